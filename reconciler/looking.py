"""What a look at live says of a change: whether it was made, and what the ledger then notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model import MISSING, Computed, references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.changes import Change
    from reconciler.model import Address, Entry, Resource, State

    Lines = Mapping[Address, Entry | None]


def seen(change: Change, there: State) -> Resource | None:
    """What is there of a change's thing: under its address, else under the one that it had."""
    live = there.get(change.address)
    return there.get(change.was) if live is None and change.was is not None else live


def noted(lines: Lines, change: Change, entry: Entry | None) -> dict[Address, Entry | None]:
    """The lines with that of a change; a name that it left has none, but for what another change made of it."""
    left = {} if change.was is None else {change.was: None}
    return {**left, **lines, change.address: entry}


def reached(change: Change, live: Resource | None) -> bool:
    """Whether live is as the change aims; neighbours in a shared set do not matter."""
    if change.was is not None and (live is None or live.address != change.address):
        return False
    for row in change.kind.compared:
        elements = row.elements(change.address.name)
        aim = MISSING if change.aim is None else change.aim.get(row.name)
        there = MISSING if live is None else live.get(row.name)
        if elements is not None and elements.shared:
            ours = {} if aim is MISSING else elements.split(aim)
            was = {} if change.live is None else elements.split(change.live.get(row.name))
            parts = {} if there is MISSING else elements.split(there)
            if any(parts.get(key) != ours.get(key) for key in {*ours, *was}):
                return False
        elif change.aim is None:
            if live is not None and not has_shared(change):
                return False
        elif aim is not MISSING and not isinstance(aim, Computed) and aim != there:
            return False
    return True


def has_shared(change: Change) -> bool:
    """Whether a part of the thing has neighbours that are not ours."""
    found = [row.elements(change.address.name) for row in change.kind.attributes]
    return any(elements is not None and elements.shared for elements in found)


def confirmed(change: Change, live: Resource | None) -> Entry | None:
    """The ledger line, with what was really seen of computed and referring values."""
    if change.entry is None or live is None or change.aim is None:
        return change.entry
    computed = {row.name: live.get(row.name) for row in change.kind.attributes if row.computed}
    referring = {name: change.aim.get(name) for name, said in change.entry.said.items() if references(said)}
    return change.entry._replace(seen={**change.entry.seen, **computed, **referring})
