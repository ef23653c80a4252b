"""Changes -> batches in a safe order, from what the things themselves refer to.

    need      what a thing refers to is made before it, and goes after it
    slot      a place is vacated before it is taken (an address; a CNAME's label)
    move      what goes at one provider is made at the other one first: two providers are two places
    barrier   a domain's MX points here only after its addresses are there; when Git wants no MX for it any more,
              its addresses go only after the MX is gone

Among what is free, changes that take access away come first. Neighbours of one provider and one domain form a batch.
The order is a graph's, not a list of priorities: tests scramble every tie-break and the result must still be safe.
"""

from __future__ import annotations

from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from reconciler.changes import Batch
from reconciler.findings import Rule
from reconciler.kinds import kinds, modules, ref_to
from reconciler.kinds.record import label, rtype
from reconciler.model import Ref, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.changes import Change
    from reconciler.model import Address, Resource

CYCLE = Rule(
    "PL216",
    "error",
    "These changes wait for each other",
    "Make it in two merges: first take one of the references out, then the rest.",
    why="In any order something would point to what is not there yet, or not any more, and mail would bounce "
    "meanwhile.",
)

Key = tuple[str, str]
Slot = tuple[str, str, str]  # provider, namespace, place


def dependencies(changes: Sequence[Change]) -> dict[Address, set[Address]]:
    """{address: addresses of the changes that must be made before it}."""
    before, blockers = unavoidable(changes), makes_room(changes)
    _mx_barrier(changes, before)
    for taker, leaving in blockers.items():
        for address in leaving:  # when the place is left, it can be taken at once: one batch
            before[address] |= before[taker] - leaving
    for address, needed in before.items():
        needed.discard(address)
    return before


def unavoidable(changes: Sequence[Change]) -> dict[Address, set[Address]]:
    """{address: the changes without which it cannot be made at all}: no server would take it.

    They make what it refers to, stop referring to it before it goes, make it elsewhere, or leave its place.
    """
    makers = {ref_to(change.address): change.address for change in changes if _makes(change)}
    removers = {ref_to(gone): change.address for change in changes if (gone := _leaves(change)) is not None}
    before: dict[Address, set[Address]] = {change.address: set() for change in changes}
    moving = {ref for ref, old in removers.items() if ref in makers and makers[ref].provider != old.provider}
    for ref in moving:
        before[removers[ref]].add(makers[ref])
    for change in changes:
        aims, lives = _refs(change.aim), _refs(change.live)
        before[change.address] |= {makers[ref] for ref in aims if ref in makers}
        for ref in lives:
            stays = ref in aims or (ref in makers and ref not in moving)
            if ref in removers and not stays and removers[ref] not in before[change.address]:
                before[removers[ref]].add(change.address)
    for address, leaving in makes_room(changes).items():
        before[address] |= leaving
    return before


def makes_room(changes: Sequence[Change]) -> dict[Address, set[Address]]:
    """{address: the changes that leave the place it takes}, for what is made or restored."""
    vacated = _vacated(changes)
    return {c.address: _slot_blockers(c, vacated) for c in changes if c.action in {"create", "restore", "rename"}}


def batches(changes: Sequence[Change], scopes: Mapping[Key, Scope]) -> tuple[Batch, ...]:
    """The changes in order, grouped. `scopes` maps (provider, domain) to its scope. Raises CycleError."""
    by_address = {change.address: change for change in changes}
    sorter = TopologicalSorter({address: sorted(needed) for address, needed in dependencies(changes).items()})
    sorter.prepare()
    ready: dict[Key, list[Change]] = {}
    found: list[Batch] = []
    while sorter.is_active():
        for address in sorter.get_ready():
            change = by_address[address]
            ready.setdefault((address.provider, change.domain), []).append(change)
        key = min(ready, key=lambda k: (min(map(_rank, ready[k])), k))
        found.append(Batch(key[0], scopes.get(key, Scope(key[1], key[1])), _drain(key, ready, sorter, by_address)))
    return tuple(found)


def cycle(error: CycleError) -> list[Address]:
    """The addresses of a cycle, in order."""
    members: list[Address] = error.args[1]
    return members


def _drain(
    key: Key, ready: dict[Key, list[Change]], sorter: TopologicalSorter[Address], by_address: Mapping[Address, Change]
) -> tuple[Change, ...]:
    """Everything of one provider and domain that can be done now, and what becomes free by it."""
    taken: list[Change] = []
    while ready.get(key):
        neighbours = sorted(ready.pop(key), key=_rank)
        taken += neighbours
        sorter.done(*(change.address for change in neighbours))
        for address in sorter.get_ready():
            change = by_address[address]
            ready.setdefault((address.provider, change.domain), []).append(change)
    return tuple(taken)


@cache
def _order() -> dict[str, int]:
    return {module.KIND.name: module.ORDER for module in modules()}


def _rank(change: Change) -> tuple[int, int, str]:
    return (0 if _takes_away(change) else 1, _order()[change.kind.name], change.address.name)


def _takes_away(change: Change) -> bool:
    """Whether it ends, or moves for someone, who gets mail; making a new thing takes nothing from anybody."""
    if change.aim is None or change.live is None:
        return change.aim is None
    changed = change.fields
    return any(row.sensitive(change.address.name) for row in change.kind.compared if row.name in changed)


def _refs(resource: Resource | None) -> frozenset[Ref]:
    if resource is None:
        return frozenset()
    return frozenset(kinds()[resource.address.kind].refs(resource))


def _makes(change: Change) -> bool:
    """Whether there is something under its address only afterwards."""
    return change.aim is not None and (change.live is None or change.was is not None)


def _leaves(change: Change) -> Address | None:
    """The address under which there is nothing any more afterwards."""
    return change.was or (change.address if change.live is not None and change.aim is None else None)


def _vacated(changes: Iterable[Change]) -> dict[Slot, list[Change]]:
    """{slot: the changes that leave it}."""
    found: dict[Slot, list[Change]] = {}
    for change in changes:
        left = change.address if change.aim is None or change.action == "retire" else change.was
        if left is not None:
            found.setdefault(slot(left), []).append(change)
    return found


def slot(address: Address) -> Slot:
    """The place it takes at its provider."""
    kind = kinds()[address.kind]
    return address.provider, kind.namespace, kind.slot(address.name)


def _slot_blockers(change: Change, vacated: Mapping[Slot, list[Change]]) -> set[Address]:
    place, alone = slot(change.address), change.kind.alone(change.address.name)
    return {other.address for other in vacated.get(place, ()) if alone or other.kind.alone(other.address.name)}


def _mx_barrier(changes: Sequence[Change], before: dict[Address, set[Address]]) -> None:
    mx = [c for c in changes if c.kind.name == "record" and rtype(c.address.name) == "MX"]
    made = {ref_to(c.address) for c in mx if _makes(c)}
    for change in mx:
        moves = change.aim is None and ref_to(change.address) in made  # Git wants one still, at another provider
        if label(change.address.name) != change.domain or moves:
            continue
        ours = [c for c in changes if c.domain == change.domain and c.kind.namespace in {"address", "domain"}]
        if change.aim is not None:
            before[change.address] |= {c.address for c in ours if c.aim is not None and c.live is None}
        else:
            for other in ours:
                if other.aim is None or other.action == "retire":
                    before[other.address].add(change.address)


def joined(declared: Iterable[Change], due: Iterable[Change]) -> tuple[Change, ...]:
    """Declared and due changes; what is of one thing is one change, that what is due goes on from."""
    found = {change.address: change for change in declared}
    for change in due:
        first = found.get(change.address)
        found[change.address] = change if first is None else first._replace(aim=change.aim, entry=change.entry)
    return tuple(found.values())
