"""What is wrong with reconciler.yaml that takes a table of the world to see: time zones, public suffixes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from reconciler import suffixes
from reconciler.agency import FILE
from reconciler.checks import domains
from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.agency import Agency
    from reconciler.findings import Finding

NO_TIME_ZONE = Rule(
    "IN307",
    "error",
    "Not a time zone",
    "Write a name such as Europe/Berlin, or UTC.",
    why="Days begin and end by it: a forward would end, and a freeze begin, hours too early or too late.",
)


def check(agency: Agency) -> Iterator[Finding]:
    """Every finding of this kind."""
    yield from _time_zone(agency)
    names, public = agency.data.get("inside", ()), suffixes.public(agency.inside)
    yield from domains.shared(names, public, Origin(FILE, ("inside",)))


def _time_zone(agency: Agency) -> Iterator[Finding]:
    name = agency.data.get("timezone", "UTC")
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        yield NO_TIME_ZONE.at(name, f"There is no `{name}`.", Origin(FILE, ("timezone",)))
