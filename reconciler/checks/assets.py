"""Checks over assets: accounts that end, that nobody holds, that name domains of others."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin, Rule, did_you_mean
from reconciler.resets import asset_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.findings import Finding, Severity
    from reconciler.resets import Graph

_RENEW = (
    "Renew it and write the new day; `auto_renew: true` says that it renews itself, and makes this one step milder."
)
_LAPSE = "A domain that lapses takes mail, web and every login that is reset over it with it, and anybody may buy it."
ENDED = Rule("OW050", "error", "An asset has ended", _RENEW, why=_LAPSE, dated=True)
WEEK = Rule("OW051", "error", "An asset ends within 7 days", _RENEW, why=_LAPSE, dated=True)
MONTH = Rule("OW052", "warning", "An asset ends within 30 days", _RENEW, why=_LAPSE, dated=True)
SOON = Rule("OW053", "warning", "An asset ends within 60 days", _RENEW, why=_LAPSE, dated=True)
NOT_HELD = Rule(
    "OW054",
    "warning",
    "Nobody holds an asset",
    "Say in `held_by` which person or team can log in.",
    why="When it must be renewed or changed in a hurry, nobody knows who can.",
)
FOREIGN = Rule(
    "OW055",
    "warning",
    "An asset names a domain that the tenant does not hold",
    "Correct the name, or take it out.",
    why="The domain that was meant has then no declared account, and questions about this one get a wrong answer.",
)
_STEPS = ((-1, ENDED), (7, WEEK), (30, MONTH), (60, SOON))
_MILDER: Mapping[Severity, Severity] = {"error": "warning", "warning": "info", "info": "info"}


def check(graph: Graph) -> Iterator[Finding]:
    """Every finding of this theme."""
    held = graph.files.domains.keys()
    for index, asset in enumerate(graph.assets):
        origin = Origin(f"{graph.files.folder}/tenant.yaml", ("assets", index))
        yield from _ending(asset, graph.people.today, origin)
        if "held_by" not in asset:
            yield NOT_HELD.at(asset_name(asset), "It says no `held_by`.", origin)
        for place, name in enumerate(asset.get("domains", ())):
            if canonical.domain(name) not in held:
                what = f"{asset_name(asset)} names `{name}`.{did_you_mean(canonical.domain(name), held)}"
                yield FOREIGN.at(canonical.domain(name), what, origin._replace(path=(*origin.path, "domains", place)))


def _ending(asset: Mapping[str, Any], today: str, origin: Origin) -> Iterator[Finding]:
    """Which step an asset has come to; one that renews itself is one step milder."""
    if "expires" in asset:
        left = (date.fromisoformat(asset["expires"]) - date.fromisoformat(today)).days
        rule = next((rule for step, rule in _STEPS if left <= step), None)
        if rule is not None:
            what = f"It holds until {asset['expires']}, {_days(left)}."
            found = rule.at(asset_name(asset), what, origin._replace(path=(*origin.path, "expires")))
            yield found._replace(severity=_MILDER[rule.severity]) if asset.get("auto_renew") else found


def _days(left: int) -> str:
    return "today" if left == 0 else f"{abs(left)} day{'s' * (abs(left) != 1)} {'from now' if left > 0 else 'ago'}"
