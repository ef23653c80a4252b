"""Whether the providers in reconciler.yaml are of types there are, with the settings those take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import agency as agency_file
from reconciler import providers
from reconciler.findings import Origin, Rule
from reconciler.providers import _shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from reconciler.agency import Agency
    from reconciler.findings import Finding

NO_TYPE = Rule(
    "IN225",
    "error",
    "No such provider type",
    "Write one of the types there are.",
    why="Nothing can be read or written there: no client on it could be planned.",
)
SETTING = Rule(
    "IN226",
    "error",
    "Provider settings do not fit its type",
    "See docs/reference/files.md for the settings of each type.",
    why="A misspelled setting left out in silence would have us work on another database or folder than meant.",
)
_GENERAL = {
    "mail": frozenset({"type", "read_only", "renamed_from"}),
    "dns": frozenset({"type", "read_only", "renamed_from", "authoritative", "resolver"}),
}


def check(agency: Agency) -> Iterator[Finding]:
    """A finding for each provider that could not be opened as it is written."""
    for name, (side, settings) in agency.providers.items():
        origin = Origin(agency_file.FILE, ("providers", side, name))
        module = providers.module(settings["type"])
        if module is None or module.SIDE not in {side, "any"}:
            names = ", ".join(providers.types())
            yield NO_TYPE.at(name, f"`{settings['type']}` is no {side} provider; there are {names}.", origin)
            continue
        yield from _settings(name, settings, module.REQUIRED, module.OPTIONAL | _GENERAL[side], origin)
        for path, why in (*module.problems(settings), *_asked(settings)):
            what = f"`{'.'.join(map(str, path))}` {why}."
            yield SETTING.at(name, what, Origin(origin.file, (*origin.path, *path)))


def _asked(settings: Mapping[str, Any]) -> Iterator[_shapes.Problem]:
    """What is wrong with the name servers that are asked after an apply."""
    yield from _shapes.servers(settings, "authoritative")
    yield from _shapes.server(settings, "resolver")
    if "resolver" in settings and "authoritative" not in settings:
        yield ("resolver",), "is asked only for what the servers of `authoritative` say: name them, too"


def _settings(
    name: str, settings: Mapping[str, Any], required: frozenset[str], optional: frozenset[str], origin: Origin
) -> Iterator[Finding]:
    for missing in sorted(required - settings.keys()):
        yield SETTING.at(name, f"`{missing}` is missing.", origin)
    for unknown in sorted(settings.keys() - required - optional):
        yield SETTING.at(name, f"`{unknown}` is none of its settings.", Origin(origin.file, (*origin.path, unknown)))
