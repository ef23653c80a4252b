"""What a freeze or `observe` holds back: planned, shown and reviewed as everything else, and made by a later apply.

A held change keeps back what needs it, and what would make room for it: else a name would lead nowhere in between. What
takes access away is never frozen, and neither is what must be made together with it: nobody's access outlives a
weekend. What only puts back what was applied before is not frozen either, for that is how a bad Friday ends. What is
observed is not touched at all.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin, Rule
from reconciler.order import dependencies, joined, makes_room, unavoidable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.changes import Change, Facts, TenantPlan
    from reconciler.compile import Compiled
    from reconciler.findings import Finding
    from reconciler.model import Address, Entry, Resource

BACK = Rule(
    "PL105",
    "warning",
    "A freeze does not hold what is put back",
    "Look whether this is what shall come back; whatever else is frozen waits.",
    why="Servers are written while everybody counts on nothing happening, and perhaps nobody is there to look.",
)

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60  # minutes
_WEEK = 7 * _DAY
_STATES = ("active", "blocked", "paused")  # of a mailbox, each with less access than the one before

Needs = dict["Address", set["Address"]]


def paused(plan: TenantPlan, compiled: Compiled, facts: Facts, back: AbstractSet[Address] = frozenset()) -> TenantPlan:
    """The plan with what must not be made now marked, and until when. `back` is what a freeze does not hold."""
    held = _held(plan, compiled, facts, back)
    plan = plan._replace(findings=(*plan.findings, *_passing(plan.changes, held, back, facts)))

    def marked(changes: Iterable[Change]) -> tuple[Change, ...]:
        return tuple(change._replace(held=held.get(change.address)) for change in changes)

    batches = tuple(batch._replace(changes=marked(batch.changes)) for batch in plan.batches)
    return plan._replace(batches=batches, due=marked(plan.due)) if held else plan


def frozen(plan: TenantPlan) -> bool:
    """Whether a freeze holds something of it."""
    return any(change.held and change.held.startswith("freeze") for change in plan.changes)


def put_back(changes: Iterable[Change], earlier: Iterable[Mapping[Address, Entry]]) -> frozenset[Address]:
    """What becomes as Git said it when it was applied before, as `earlier` states of the ledger have it.

    Removals are none of it: before it was made, everything was not there.
    """
    made = [(change, change.entry) for change in changes if change.desired is not None and change.entry is not None]
    lines = [(change, entry, entries.get(change.address)) for entries in earlier for change, entry in made]
    return frozenset(
        change.address
        for change, entry, line in lines
        if line is not None and not (line.absent or line.retired) and _said(change, line) == _said(change, entry)
    )


def _said(change: Change, line: Entry) -> dict[str, Any]:
    return {row.name: line.said[row.name] for row in change.kind.compared if row.name in line.said}


def _passing(
    changes: Iterable[Change], held: Mapping[Address, str], back: AbstractSet[Address], facts: Facts
) -> Iterator[Finding]:
    for change in changes:
        until = frozen_until(change.kind.name, facts.freezes, facts.now)
        if until and change.address in back and change.address not in held:
            what = f"It is frozen until {until}, and this is as it was applied before."
            yield BACK.at(str(change.address), what, change.origin or Origin(""))


def going(plan: TenantPlan) -> TenantPlan:
    """The plan of what is made now; what is held stands apart, and a system with nothing else to do is left alone."""
    held = tuple(change for change in plan.changes if change.held)
    if not held:
        return plan
    parts = (batch._replace(changes=tuple(c for c in batch.changes if not c.held)) for batch in plan.batches)
    batches = tuple(batch for batch in parts if batch.changes)
    used = {batch.provider for batch in batches} | {s.address.provider for s in plan.steps if s.entry is not None}
    waiting = {change.address.provider for change in held} - used
    return plan._replace(batches=batches, held=held, takes=plan.takes - waiting)


def _held(plan: TenantPlan, compiled: Compiled, facts: Facts, back: AbstractSet[Address]) -> dict[Address, str]:
    """{address: why and until when it is held}. What is declared and what is due of one thing wait or go together."""
    changes = joined(plan.changes, plan.due)
    urgent = {change.address for change in (*plan.changes, *plan.due) if _takes_access(change, facts.inside)}
    passing = _with_what_they_need(urgent, changes)
    frozen = {
        c.address: f"freeze until {to}"
        for c in changes
        if c.address not in passing | back and (to := frozen_until(c.kind.name, facts.freezes, facts.now))
    }
    observed = {c.address: f"observe until {day}" for c in changes if (day := _observed(c, compiled, facts))}
    return _spread(frozen | observed, _needs(changes, passing)) if frozen or observed else {}


def frozen_until(kind: str, freezes: Iterable[Mapping[str, Any]], now: str) -> str | None:
    """The end of the freeze that holds a kind at a local time (ISO, to the minute); the last one where several do."""
    if not now:
        return None
    time = datetime.fromisoformat(now)
    at = time.weekday() * _DAY + time.hour * 60 + time.minute
    ends = []
    for said in freezes:
        begin, end = _minute(said["from"]), _minute(said["to"])
        if kind in said.get("kinds", (kind,)) and (at - begin) % _WEEK < (end - begin) % _WEEK:
            ends.append(((end - at) % _WEEK, said["to"]))
    return max(ends)[1] if ends else None


def _minute(text: str) -> int:
    """A weekday and time as minutes since the week began."""
    day, _, time = text.partition(" ")
    hours, _, minutes = time.partition(":")
    return _DAYS.index(day) * _DAY + int(hours) * 60 + int(minutes)


def _observed(change: Change, compiled: Compiled, facts: Facts) -> str | None:
    side = facts.providers[change.address.provider]
    until = compiled.observe.get((side, change.domain), compiled.observe_gone)
    return until if until and facts.today < until else None


def _takes_access(change: Change, inside: frozenset[str]) -> bool:
    """Whether somebody has less afterwards: a mailbox is blocked, paused or retired, a target outside or a member goes.

    What it does besides goes with it: a change is not divided.
    """
    if change.live is None:
        return False
    if change.action == "retire" or _gone(change, "members"):
        return change.kind.name == "mailbox"
    states = [side.get("state") for side in (change.live, change.aim) if side is not None and side.get("state")]
    if change.kind.name == "mailbox" and len(states) == 2 and _STATES.index(states[1]) > _STATES.index(states[0]):
        return True
    return any(canonical.domain_of(to) not in inside for name in ("to", "copies_to") for to in _gone(change, name))


def _gone(change: Change, name: str) -> AbstractSet[str]:
    """What an attribute held and holds no more."""
    before, after = ((_held_by(side, name)) for side in (change.live, change.aim))
    return before - after


def _held_by(resource: Resource | None, name: str) -> frozenset[str]:
    return frozenset((resource.attributes.get(name) or ()) if resource is not None else ())


def _with_what_they_need(urgent: AbstractSet[Address], changes: Sequence[Change]) -> set[Address]:
    """With what must be made together with them, through however many others."""
    first, found = _together(changes), set(urgent)
    while more := {need for address in found for need in first[address]} - found:
        found |= more
    return found


def _together(changes: Sequence[Change]) -> Needs:
    """{address: what no server would take it without, and what takes its name when it goes}."""
    first, gone = unavoidable(changes), {change.address for change in changes if change.aim is None}
    for taker, leaving in makes_room(changes).items():
        for address in leaving & gone:
            first[address].add(taker)
    return first


def _needs(changes: Sequence[Change], passing: AbstractSet[Address]) -> Needs:
    """{address: what is held only together with it}. What passes a freeze waits for no more than it must."""
    first, before = _together(changes), dependencies(changes)
    return {address: needs if address in passing else needs | before[address] for address, needs in first.items()}


def _spread(held: dict[Address, str], needs: Needs) -> dict[Address, str]:
    """With what needs, through however many others, what is held: for the same reason."""
    while more := {
        address: held[min(needed & held.keys())]
        for address, needed in needs.items()
        if address not in held and needed & held.keys()
    }:
        held |= more
    return held
