"""Checks over who may decide: roles, teams and accounts that still name somebody who has left.

All of them are warnings: taking away the access of somebody who leaves must not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.agency import FILE
from reconciler.checks import approvals
from reconciler.checks.ownership import guests
from reconciler.files import Files
from reconciler.findings import Origin, Rule
from reconciler.people import ROLES, people_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.findings import Finding
    from reconciler.people import People

VACANT = Rule(
    "OW009",
    "warning",
    "A role that nobody holds",
    "Write somebody into the role who is here.",
    why="What only this role may approve can be changed by nobody, or by anybody, as the Git host is set up.",
    dated=True,
)
UNSET = Rule(
    "OW010",
    "warning",
    "A role that is not given to anybody",
    "Add it to `roles`; whoever approves the others may approve this, too.",
    why="Nobody can say who may decide it, `who` names nobody, and no CODEOWNERS line asks anybody for a review.",
)
ROLE_OF_LEAVER = Rule(
    "OW011",
    "warning",
    "A role names somebody who has left",
    "Take the person out of the role; and see that the account at the Git host is closed.",
    why="The role is what the Git host asks for an approval: an account that lives on can go on giving it.",
    dated=True,
)
EMPTY_TEAM = Rule(
    "OW012",
    "warning",
    "A team in which nobody is left",
    "Add a member who is here, or take the team out where it is named.",
    why="It stands for approvals and roles that nobody gives or holds.",
    dated=True,
)
HELD_BY_LEAVER = Rule(
    "OW013",
    "warning",
    "An account is held by somebody who has left",
    "Change its password and its recovery, then name in `held_by` who has it now (or take them out of the team).",
    why="With the login of a registrar or DNS host every domain in it can be taken, long after the mailbox is blocked.",
    dated=True,
)


def check(files: Files, agency: Agency, people: People) -> Iterator[Finding]:
    """Every finding of this theme in a tenant's own files."""
    file, tenant = f"{files.folder}/tenant.yaml", files.tenant
    roles = files.control.get("roles", {})
    yield from _roles(roles, f"{files.folder}/control.yaml", f"{tenant}/", people)
    if roles and not agency.data.get("roles"):
        yield from _unset(roles, f"{files.folder}/control.yaml", f"{tenant}/")
    yield from _teams(files.tenant_file, file, people)
    for index, asset in enumerate(files.tenant_file.get("assets", ())):
        if "held_by" in asset:
            yield from _held(asset, people, Origin(file, ("assets", index, "held_by")))


def agency_wide(agency: Agency, today: str) -> Iterator[Finding]:
    """The same in the agency's file, and its guests: once for all tenants, on a day (ISO)."""
    people, roles = people_of(Files(""), agency, today), agency.data.get("roles", {})
    yield from _roles(roles, FILE, "", people)
    if roles:
        yield from _unset(roles, FILE, "")
    else:
        what = "Nobody has a role: not over these files, nor in a tenant whose control.yaml sets none."
        yield UNSET.at("roles", what, Origin(FILE, line=1, column=1))
    yield from _teams(agency.data, FILE, people)
    yield from guests(agency.data.get("people", {}), people)
    for approval in approvals.wide(agency.data):
        yield from approvals.judged(approval, people)


def _roles(roles: Mapping[str, Sequence[str]], file: str, prefix: str, people: People) -> Iterator[Finding]:
    for role, holders in roles.items():
        if not any(people.here(name) or _unlisted(name, people) or _nobody(name, people) for name in holders):
            what = f"All have left: {', '.join(holders)}." if holders else "The list is empty."
            yield VACANT.at(f"{prefix}{role}", what, Origin(file, ("roles", role)))
            continue
        for index, name in enumerate(holders):
            if people.has_left(name):
                origin = Origin(file, ("roles", role, index))
                yield ROLE_OF_LEAVER.at(f"{prefix}{role}/{name}", f"{name} has left.", origin)


def _unset(roles: Mapping[str, Any], file: str, prefix: str) -> Iterator[Finding]:
    for role in ROLES:
        if role not in roles:
            yield UNSET.at(f"{prefix}{role}", f"There is no `{role}`.", Origin(file, ("roles",)))


def _unlisted(name: str, people: People) -> bool:
    """Whether it is a team whose members are not said here: the Git host may know them."""
    return name in people.teams and "members" not in people.teams[name]


def _nobody(name: str, people: People) -> bool:
    """Whether nobody is called so, or in that team: an error of input, which is said there."""
    return not all(member in people.persons for member in people.members(name))


def _teams(said: Mapping[str, Any], file: str, people: People) -> Iterator[Finding]:
    for name, team in said.get("teams", {}).items():
        if "members" in team and not people.here(name) and not _nobody(name, people):
            what = f"All of {name} have left." if team["members"] else f"{name} has no members."
            yield EMPTY_TEAM.at(name, what, Origin(file, ("teams", name)))


def _held(asset: Mapping[str, Any], people: People, origin: Origin) -> Iterator[Finding]:
    holder = asset["held_by"]
    gone = sorted(filter(people.has_left, people.members(holder)))
    if gone:
        who = f"{holder} has left" if gone == [holder] else f"{', '.join(gone)} of {holder} {_has(len(gone))} left"
        yield HELD_BY_LEAVER.at(f"{asset['kind']}/{asset['name']}", f"{who}.", origin)


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
