"""Checks over `accept` entries themselves: each is a hole, and one that is of no use any more is to be closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.checks.across import ACROSS
from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import Drift, TenantPlan
    from reconciler.findings import Finding

EXPIRED = Rule(
    "IN238",
    "warning",
    "An acceptance has expired",
    "Take the line out, or give it another day if it shall hold on.",
    why="It lifts nothing any more: what somebody agreed to until that day is told each time, and refused once it is"
    " changed; a value that was taken by hand is drift again.",
)
USELESS = Rule(
    "PL225",
    "info",
    "An acceptance lifts nothing",
    "Take the line out, unless it is there for a change to come.",
    why="It is a hole left open: the next finding of that code and subject passes, and nobody is asked.",
)


def expired(accept: Sequence[Mapping[str, Any]], file: str, today: str) -> Iterator[Finding]:
    """Those whose day is over: what they named is refused, or drift, again."""
    for index, item in enumerate(accept):
        if item.get("expires", today) < today:
            yield EXPIRED.at(_named(item), f"It held until {item['expires']}.", Origin(file, ("accept", index)))


def judged(plan: TenantPlan, accept: Sequence[Mapping[str, Any]], today: str) -> TenantPlan:
    """A tenant's plan with what its own control.yaml accepts and the plan does not say, if it says all there is."""
    if plan.unread:
        return plan
    found = _useless(accept, f"tenants/{plan.tenant}/control.yaml", today, plan.findings, plan.drift)
    return plan._replace(findings=(*plan.findings, *found))


def over_all(
    plans: Sequence[TenantPlan],
    wide: Iterable[Finding],
    accept: Sequence[Mapping[str, Any]],
    today: str,
    *,
    whole: bool,
) -> tuple[list[TenantPlan], list[Finding]]:
    """The plans without what is of use to another check or tenant, and what reconciler.yaml accepts for nothing.

    `wide` is what was found in the agency's own files. Unless `whole`, not all tenants were asked for, and the others
    may be what an acceptance is for.
    """
    said = [*wide, *(finding for plan in plans for finding in plan.findings)]
    used = {f"{finding.code} {finding.subject}" for finding in said}
    kept = [
        plan._replace(findings=tuple(f for f in plan.findings if not _of_use(f, used, whole=whole))) for plan in plans
    ]
    if not whole or any(plan.stopped or plan.unread for plan in plans):
        return kept, []
    drift = [found for plan in plans for found in plan.drift]
    return kept, list(_useless(accept, "reconciler.yaml", today, said, drift))


def _of_use(finding: Finding, used: set[str], *, whole: bool) -> bool:
    both = not whole and finding.subject.startswith(f"{ACROSS.code} ")
    return finding.code == USELESS.code and (both or finding.subject in used)


def _useless(
    accept: Sequence[Mapping[str, Any]], file: str, today: str, findings: Iterable[Finding], drift: Iterable[Drift]
) -> Iterator[Finding]:
    used = {f"{finding.code} {finding.subject}" for finding in findings}
    values = {(str(found.address), found.field) for found in drift if found.accepted}
    for index, item in enumerate(accept):
        if item.get("expires", today) < today:
            continue
        if "field" in item and (item["subject"], item["field"]) not in values:
            what = f"Live is not `{item.get('value')}` there, or Git says something else by now."
            yield USELESS.at(_named(item), what, Origin(file, ("accept", index)))
        elif "field" not in item and _named(item) not in used:
            yield USELESS.at(_named(item), "Nothing of the kind was found.", Origin(file, ("accept", index)))


def _named(item: Mapping[str, Any]) -> str:
    """What an entry accepts: code and subject, and of drift the field."""
    return " ".join([item["finding"], item["subject"], *filter(None, [item.get("field")])])
