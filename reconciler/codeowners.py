"""CODEOWNERS: who is asked to review which files of the estate, from roles and accounts. The last matching line counts.

The paths are those of the split of the files. One line with a `*` serves all tenants that set no `roles` of their own,
so that a new tenant makes no file stale. Accounts are what people wrote and end up in a file that is split at blanks:
whatever is no single account counts as none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.files import Files
from reconciler.people import people_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.agency import Agency
    from reconciler.people import People

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # of several, Git hosts take the first

HEAD = """\
# Who is asked to review which file: made by `reconciler codeowners` from `roles` and `account` in the estate's files.
# Change those and make it anew. The last line that matches a file counts.
"""
_AGENCY = ("reconciler.yaml", "schemas/", "domain-templates/", "tenants/*/control.yaml")
_TENANT = (
    ("tenant.yaml", "reset_approver"),
    ("resets/", "reset_approver"),
    ("domains/", "mailbox_admin"),
    ("dns/", "dns_auth"),
)
_ACCOUNT = re.compile(r"@[\w.-]+(?:/[\w.-]+)*|[^\s@#]+@[^\s@#]+")
_SPECIAL = re.compile(r"([\\ *?\[\]!#])")


def text(agency: Agency, tenants: Iterable[Sequence[str]], today: str, prefix: str = "") -> str:
    """The whole file. `tenants` are what `of_tenant` gives for each; `prefix` is the estate's folder in its repository.

    A line that would name nobody is left out: then the one before it counts, in the end the agency's.
    """
    people = people_of(Files(""), agency, today)
    root = "/" + _SPECIAL.sub(r"\\\1", prefix)
    wide = accounts(people, agency_approvers(people))
    parts = [
        ["# The agency's: these, and whatever else no line below names, this file among it"],
        _line(root if prefix else "*", wide),
        [line for path in _AGENCY for line in _line(f"{root}{path}", wide)],
        ["", "# All tenants, but where a line below says otherwise", *_of_roles(people, f"{root}tenants/*/")],
    ]
    for lines in tenants:
        parts += [["", *(line.replace("/", root, 1) for line in lines)]] if lines else []
    return HEAD + "\n" + "".join(f"{line}\n" for part in parts for line in part)


def of_tenant(files: Files, agency: Agency, today: str) -> tuple[str, ...]:
    """The lines of a tenant that sets roles of its own, as if the estate were the repository's top; else none."""
    own = files.control.get("roles", {})
    return tuple(_of_roles(people_of(files, agency, today), f"/{files.folder}/", own)) if own else ()


def agency_approvers(people: People) -> tuple[str, ...]:
    """Who approves the agency's files: the role `agency`, else whoever holds one of the agency's roles."""
    if "agency" in people.roles:
        return tuple(people.roles["agency"])
    return tuple(dict.fromkeys(holder for role in sorted(people.roles) for holder in people.roles[role]))


def accounts(people: People, holders: Iterable[str]) -> tuple[str, ...]:
    """The accounts of people and teams who are here: a team's own, else its members'."""
    found = (account for holder in holders for account in _of(people, holder))
    return tuple(dict.fromkeys(found))


def silent(people: People, holder: str) -> tuple[str, ...]:
    """The people of a role's holder whom nobody can ask, because no account of theirs or their team's is known."""
    if account(people.teams.get(holder, {}).get("account", "")):
        return ()
    return tuple(name for name in people.here(holder) if not account(people.persons[name].get("account", "")))


def account(said: str) -> str:
    """An account as it was written (`@anna`, `@agency/ops`, an e-mail address); empty where it is none."""
    return said if _ACCOUNT.fullmatch(said) else ""


def _of(people: People, holder: str) -> Iterator[str]:
    if own := account(people.teams.get(holder, {}).get("account", "")):
        yield own
        return
    yield from filter(None, (account(people.persons[name].get("account", "")) for name in people.here(holder)))


def _of_roles(people: People, folder: str, among: Iterable[str] | None = None) -> Iterator[str]:
    for path, role in _TENANT:
        if among is None or role in among:
            yield from _line(f"{folder}{path}", accounts(people, people.roles.get(role, ())))


def _line(path: str, owners: Sequence[str]) -> Iterator[str]:
    if owners:
        yield f"{path} {' '.join(owners)}"
