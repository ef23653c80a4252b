"""Single values of a record set that Git names as ones that must not stand there: taken out, the neighbours stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.changes import Change
from reconciler.model import Entry, Resource

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.model import Kind, Value
    from reconciler.thing import Outcome


def without_stale(live: Resource | None, stale: Collection[str] | None) -> Resource | None:
    """The live set as it is to be compared: the very same where none of the values stands in it."""
    if live is None or not stale or not set(stale) & set(live.get("values")):
        return live
    rest = tuple(value for value in live.get("values") if value not in stale)
    return live.having(values=rest) if rest else None


def removing_stale(
    outcome: Outcome, kind: Kind, git: Resource | None, whole: Resource, live: Resource | None, entry: Entry | None
) -> Outcome:
    """The outcome of comparing `live`, with the removal of what `whole` has besides."""
    gone = tuple(value for value in whole.get("values") if live is None or value not in live.get("values"))
    change = outcome.change
    ours: Value = () if live is None or outcome.unmanaged is live else live.get("values")
    theirs = outcome.unmanaged.get("values") if outcome.unmanaged is not None else ()
    ours = tuple(value for value in ours if value not in theirs)
    before = ours if change is None else () if change.live is None else change.live.get("values")
    after = ours if change is None else () if change.aim is None else change.aim.get("values")
    aim = (change.aim or whole).having(values=after) if change is not None and after else whole.having(values=after)
    noted = change.entry if change is not None else outcome.step.entry if outcome.step is not None else entry
    made = Change(
        kind, whole.address, "", whole.domain, git,
        whole.having(values=_ordered(kind, whole, before, gone)), entry, aim if after else None,
        noted or Entry(said={}, domain=whole.domain, absent=True),
        origin=None if git is None else git.origin,
    )  # fmt: skip
    return outcome._replace(change=made, step=None)


def _ordered(kind: Kind, whole: Resource, *parts: Value) -> Value:
    """Values in the order that sets have."""
    elements = next(found for row in kind.attributes if (found := row.elements(whole.address.name)) is not None)
    return elements.join({value: (value,) for part in parts for value in part})
