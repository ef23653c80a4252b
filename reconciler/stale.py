"""Single values of a record set that Git names as ones that must not stand there: taken out, the neighbours stay.

The rest of the set is compared as ever, as if those values were not there. Then they are put beside it, each by itself:
rows 24-27 of the truth table, for one value. That a value's absence was applied stands in the ledger's line as what Git
said (`without`), so that one that comes back is known for drift; of a set that Git does not declare it is all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.changes import Drift, Step
from reconciler.diff import compare
from reconciler.model import Entry, Resource
from reconciler.thing import Thing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.changes import Change
    from reconciler.model import Address, Kind, Value
    from reconciler.thing import Context, Outcome


def compare_apart(
    kind: Kind, address: Address, git: Resource | None, value: Resource | None, live: Resource | None,
    base: Entry | None, context: Context,
) -> Outcome:  # fmt: skip
    """As `compare`, also of a set some of whose values must not stand in it."""
    if not context.stale:
        return compare(kind, address, git, value, live, base, context)
    found = () if live is None else tuple(v for v in live.get("values") if v in context.stale)
    rest = _only(live, [v for v in live.get("values") if v not in found]) if live is not None else None
    outcome = compare(kind, address, git, value, rest, base, context)
    thing = Thing(kind, address, git, value, live, base, context)
    line = _line(thing, outcome)
    if outcome.change is None:
        what = outcome.step.what if outcome.step is not None and outcome.step.entry is not None else "settle"
        outcome = outcome._replace(step=None if line is None or line == base else Step(address, what, line))
    back = [v for v in found if v in _noted(thing)]
    if git is None and (outcome.change is not None or len(back) < len(found)):
        back = []  # of a set that goes, or some of whose values go, all of them go: Git moved
    stay = back if not context.enforce or _field(thing) in context.quiet else []
    ours = _ours(outcome, rest)
    if outcome.change is not None or len(stay) < len(found):
        change = _change(thing, outcome.change, ours, found, stay)
        outcome = outcome._replace(change=change._replace(entry=line), step=None)
    return outcome._replace(drift=_drift(thing, outcome.drift, ours, back)) if back else outcome


def _only(whole: Resource | None, values: Iterable[str]) -> Resource | None:
    some = tuple(values)
    return whole.having(values=some) if whole is not None and some else None


def _field(thing: Thing) -> str:
    return "exists" if thing.git is None else "values"


def _noted(thing: Thing) -> frozenset[str]:
    """The values whose absence was applied before; they had to go too where the whole set had."""
    if thing.base is None:
        return frozenset()
    whole = thing.base.absent and not thing.base.said
    return thing.context.stale if whole else frozenset(thing.base.said.get("without", ()))


def _line(thing: Thing, outcome: Outcome) -> Entry | None:
    """The ledger's line once none of them stands there."""
    made = outcome.change or outcome.step
    line, said = thing.base if made is None else made.entry, {"without": tuple(sorted(thing.context.stale))}
    if line is not None and not line.absent:
        return line._replace(said={**line.said, **said})
    if thing.base is not None and thing.base.absent and thing.base.said == said:
        return thing.base
    return Entry(said, thing.domain(), absent=True, commit=thing.context.commit)


def _ours(outcome: Outcome, rest: Resource | None) -> Value:
    """What of the rest is not the neighbours'."""
    theirs = () if outcome.unmanaged is None else outcome.unmanaged.get("values")
    return () if rest is None else tuple(value for value in rest.get("values") if value not in theirs)


def _change(thing: Thing, change: Change | None, ours: Value, found: Value, stay: list[str]) -> Change:
    """The change of the rest, where there is one, and the removal of what is found and may not stay."""
    if change is None:
        rest = _only(thing.live, ours)
        reason = "declared" if set(found) - _noted(thing) else "drift"
        change = thing.change(None, None, reason)._replace(live=rest, aim=rest)
    before, after = (() if side is None else side.get("values") for side in (change.live, change.aim))
    return change._replace(
        live=_only(change.live or thing.live, _ordered(thing, before, found)),
        aim=_only(change.aim or thing.live, _ordered(thing, after, stay)),
    )


def _drift(thing: Thing, drift: tuple[Drift, ...], ours: Value, back: list[str]) -> tuple[Drift, ...]:
    """With what came back, of high risk: in a set that Git declares it is the values that drifted."""
    field = _field(thing)
    if field == "exists":
        return (*drift, thing.drift(field, git=False, risk="high"))
    assert thing.value is not None
    rest = [found for found in drift if found.field != field]
    live = _ordered(thing, ours, back)
    return (*rest, Drift(thing.address, field, thing.value.get(field), live, "high"))


def _ordered(thing: Thing, *parts: Iterable[str]) -> Value:
    """Values in the order that sets have."""
    row = next(row for row in thing.kind.attributes if row.name == "values")
    return row.normal(thing.address.name, [value for part in parts for value in part])
