"""What must wait: removals of what is still referred to, and changes that need what is gone or left to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.changes import Change, Waiting
from reconciler.kinds import kinds, ref_to
from reconciler.order import dependencies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.model import Address, Ref, Resource

Held = tuple[list[Change], list[Waiting]]


def hold_back(
    changes: Sequence[Change],
    there: Mapping[Address, Resource],
    gone: AbstractSet[Address],
    read_only: AbstractSet[str],
) -> tuple[list[Change], list[Waiting], tuple[Change, ...]]:
    """(what can be done, what is later, what a person must do because its provider is read only).

    `there` is what is live; `gone` is what Git declares and somebody removed by hand.
    """
    rest, hindered = _needing_what_is_gone(list(changes), gone - {change.address for change in changes})
    rest, referred = _still_referred_to(rest, there)  # also by what was just held back
    todo = tuple(change for change in rest if change.address.provider in read_only)
    rest, waiting = _after_a_person(rest, {change.address for change in todo})
    return rest, [*referred, *hindered, *waiting], todo


def possible(chosen: Sequence[Change], omitted: Sequence[Change]) -> tuple[Change, ...]:
    """Those of the chosen changes that can be made while the omitted ones are not (a domain goes after its purges)."""
    able, left = list(chosen), list(omitted)
    while stuck := [change for change in able if _needs_one_of(change, left)]:
        able = [change for change in able if change not in stuck]
        left += stuck
    return tuple(able)


def _needs_one_of(change: Change, omitted: Sequence[Change]) -> bool:
    if change.aim is None:
        return any(ref_to(change.address) in other.kind.refs(other.live) for other in omitted if other.live is not None)
    return any(ref_to(other.address) in _refs(change) for other in omitted if other.live is None or other.was)


def _still_referred_to(changes: list[Change], there: Mapping[Address, Resource]) -> Held:
    """A removal of what something that stays still refers to waits (a domain with kept mailboxes in it)."""
    later: list[Waiting] = []
    while any(change.aim is None for change in changes):
        near, anywhere = _users(_after(there, changes))
        removals = [change.address for change in changes if change.aim is None]
        users = {gone: near.get((gone.provider, ref_to(gone))) or anywhere.get(ref_to(gone)) for gone in removals}
        stuck = {gone: user for gone, user in users.items() if user is not None}
        if not stuck:
            break
        changes = [change for change in changes if change.address not in stuck]
        later += [Waiting(gone, "delete", None, f"still referred to by {user}") for gone, user in stuck.items()]
    return changes, later


def _users(after: Mapping[Address, Resource]) -> tuple[dict[tuple[str, Ref], Address], dict[Ref, Address]]:
    """Who refers to what is not there: at its own provider, and anywhere.

    What has moved answers everybody but who stays behind: kept mailboxes hold the domain they lie in.
    """
    there = {(address.provider, ref_to(address)) for address in after}
    answered = {ref for _, ref in there}
    refs = [(address, ref) for address in sorted(after) for ref in kinds()[address.kind].refs(after[address])]
    near = {(address.provider, ref): address for address, ref in refs if (address.provider, ref) not in there}
    return near, {ref: address for address, ref in refs if ref not in answered}


def _needing_what_is_gone(changes: list[Change], gone: AbstractSet[Address]) -> Held:
    """A change that needs something removed by hand, which no change puts back, waits for a person's word."""
    missing, later = {ref_to(address): address for address in gone}, list[Waiting]()
    while stuck := [(change, ref) for change in changes for ref in _needed(change, missing) if ref in missing]:
        for change, ref in stuck:
            if change in changes:
                why = f"needs {missing[ref]}, which was removed by hand"
                later.append(Waiting(change.address, change.action, None, why))
                changes = [other for other in changes if other is not change]
                if change.action in {"create", "rename"}:
                    missing[ref_to(change.address)] = change.address
    return changes, later


def _after_a_person(changes: list[Change], todo: AbstractSet[Address]) -> Held:
    """What needs, through however many others, a change that a person must make; those themselves go too."""
    held = set(todo)
    before = dependencies(changes) if todo else {}
    while more := {address for address, needed in before.items() if needed & held and address not in held}:
        held |= more
    why = "needs what a person must do first"
    later = [Waiting(c.address, c.action, None, why) for c in changes if c.address in held - todo]
    return [change for change in changes if change.address not in held], later


def _refs(change: Change) -> Sequence[Ref]:
    return () if change.aim is None else change.kind.refs(change.aim)


def _needed(change: Change, missing: Mapping[Ref, Address]) -> Sequence[Ref]:
    """What it refers to; what goes here needs what stands, or shall stand, under its name at another provider."""
    own = ref_to(change.address)
    moves = change.aim is None and own in missing and missing[own].provider != change.address.provider
    return (own,) if moves else _refs(change)


def _after(there: Mapping[Address, Resource], changes: Sequence[Change]) -> dict[Address, Resource]:
    """What will be there: live with every aim in its place."""
    after = dict(there)
    for change in changes:
        after.pop(change.was or change.address, None)
    for change in changes:
        if change.aim is not None:
            after[change.address] = change.aim
    return after
