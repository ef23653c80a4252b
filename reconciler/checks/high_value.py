"""Checks over high-value mailboxes and assets: whoever holds one has a second factor that somebody saw this year."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.findings import Origin, Rule
from reconciler.people import ATTESTED_FOR
from reconciler.resets import asset_name, high_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.findings import Finding
    from reconciler.resets import Graph

NOT_ATTESTED = Rule(
    "OW040",
    "warning",
    "Nobody has seen a second factor of somebody who could take over others",
    "Look at their accounts, then write the day as their `mfa_attested`.",
    why="A guessed or stolen password of theirs is enough to take over mailboxes, domains or accounts of others.",
)
LAPSED = Rule(
    "OW041",
    "warning",
    "A second factor was seen more than a year ago",
    "Look at their accounts again, then write the new day as their `mfa_attested`.",
    why="Second factors get lost with a telephone or are switched off in support calls; a year is long enough.",
    dated=True,
)
SHARED_LOGIN = Rule(
    "OW042",
    "warning",
    "Several people hold an account, not all with a second factor",
    "Attest the second factor of each (`mfa_attested`), or name one person in `held_by`.",
    why="A team with a second factor each has personal logins; without, it is one password that several know.",
    dated=True,
)


def check(graph: Graph) -> Iterator[Finding]:
    """Every finding of this theme."""
    people = graph.people
    for person, (why, origin) in _held_to_more(graph).items():
        if people.here(person) and not people.attested(person):
            day = people.persons[person].get("mfa_attested")
            place = people.places[person]
            own = place if place.file.startswith(f"{graph.files.folder}/") else origin
            if day is None:
                yield NOT_ATTESTED.at(person, f"{why}.", own)
            else:
                seen = f"`mfa_attested` is {day}; it counts for {ATTESTED_FOR} days, and not ahead of its day."
                at = own._replace(path=(*own.path, "mfa_attested")) if own is place else own
                yield LAPSED.at(person, f"{why}. {seen}", at)
    yield from _teams(graph)


def _held_to_more(graph: Graph) -> dict[str, tuple[str, Origin]]:
    """{person: what they hold that is of high value, and where that is said}, the first of several."""
    found: dict[str, tuple[str, Origin]] = {}
    for index, asset in enumerate(graph.assets):
        holders = graph.people.here(asset.get("held_by", ""))
        if len(holders) == 1:
            origin = Origin(f"{graph.files.folder}/tenant.yaml", ("assets", index, "held_by"))
            found.setdefault(holders[0], (f"{holders[0]} holds {asset_name(asset)}", origin))
    for address, why in high_value(graph).items():
        box = graph.things[address]
        heir = graph.people.heir(graph.owner(box)) if box.get("login") else None
        if heir is not None and box.origin is not None:
            found.setdefault(heir, (f"{heir} owns {address}, of high value because {why}", box.origin))
    return found


def _teams(graph: Graph) -> Iterator[Finding]:
    for index, asset in enumerate(graph.assets):
        holders = graph.people.here(asset.get("held_by", ""))
        without = [person for person in holders if not graph.people.attested(person)]
        if len(holders) > 1 and without:
            what = f"Of {asset['held_by']} {', '.join(without)}: none seen within a year."
            origin = Origin(f"{graph.files.folder}/tenant.yaml", ("assets", index, "held_by"))
            yield SHARED_LOGIN.at(asset_name(asset), what, origin)
