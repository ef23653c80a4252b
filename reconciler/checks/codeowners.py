"""Checks over CODEOWNERS, where the estate has one: it says what the roles say, and whoever has one can be asked."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from reconciler import codeowners
from reconciler.findings import Origin, Rule
from reconciler.people import people_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.findings import Finding

STALE = Rule(
    "OW060",
    "warning",
    "CODEOWNERS is not what the roles say",
    "Make it anew with `reconciler codeowners --output FILE`.",
    why="The Git host asks for review whom the file names: until it is made anew, somebody who lost a role may still "
    "approve, and somebody who got one is not asked.",
    dated=True,
)
NOBODY_ASKED = Rule(
    "OW061",
    "warning",
    "A role's holder has no account at the Git host",
    "Write it as `account`, such as `@anna`, of the person or of the team.",
    why="CODEOWNERS can name accounts only: this person has a role and is never asked to review.",
)


def stale(file: str, content: str, wanted: str) -> Iterator[Finding]:
    """The first line in which the file that is there differs from what `reconciler codeowners` prints."""
    lines = zip_longest(content.splitlines(), wanted.splitlines())
    number = next((at for at, (one, other) in enumerate(lines, start=1) if one != other), None)
    if number is not None:
        last = max(content.count("\n"), 1)
        origin = Origin(file, line=min(number, last), column=1)
        yield STALE.at(
            file,
            f"It differs from line {number} on.",
            origin,
            fix=f"Make it anew: `reconciler codeowners --output {file}`.",
        )


def unasked(files: Files, agency: Agency, today: str) -> Iterator[Finding]:
    """People without an account in the roles that a tenant sets, or (of no tenant) in the agency's."""
    people = people_of(files, agency, today)
    file = f"{files.folder}/control.yaml" if files.tenant else "reconciler.yaml"
    mine = files.tenant_file.get("people", {}) if files.tenant else agency.persons
    roles = files.control.get("roles", {}) if files.tenant else people.roles
    told = set[str]()
    for role, holders in roles.items():
        for index, holder in enumerate(holders):
            for name in codeowners.silent(people, holder):
                if name not in told:
                    told.add(name)
                    origin = people.places[name] if name in mine else Origin(file, ("roles", role, index))
                    yield NOBODY_ASKED.at(name, f"`{name}` has the role `{role}`.", origin)
