"""What becomes possible only once the world has seen what came before: signing with a key that nobody can look up yet
makes every receiver count the mail as forged.

A domain is signed with a new key once every name server that its DNS provider names has the key's record. Until then
it is later; from then on it is due, for the line that asks for it was reviewed before. Where no server is named nothing
can be asked: the key signs as soon as its record is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.changes import Change, Waiting
from reconciler.kinds import dkim_key, dkim_signing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.changes import Facts
    from reconciler.comparing import Draft
    from reconciler.model import Address, Entry, Resource


def hold(draft: Draft, base: Mapping[Address, Entry], there: Mapping[Address, Resource], facts: Facts) -> None:
    """Move what waits for a record to later, and what has waited to due; what live signs with does not rest yet."""
    if not facts.watched:
        return
    draft.changes, waiting = _seen(draft.changes, facts)
    draft.due, more = _seen(draft.due, facts)
    draft.later += [*waiting, *more]
    ready = [change for change in draft.changes if _was_reviewed(change, base, facts)]
    draft.changes = [change for change in draft.changes if change not in ready]
    draft.due += [change._replace(reason="stage") for change in ready]
    resting = {step.address for step in draft.steps if step.what == "retire"}
    busy = {a for a in resting if a.name.removeprefix("TXT/") in _signing(draft, there)}
    draft.steps = [step for step in draft.steps if step.address not in busy]
    draft.later = [waiting for waiting in draft.later if waiting.address not in busy]
    draft.later += [Waiting(address, "purge", None, "mail is still signed with it") for address in busy]


def keys(live: Resource | None, aim: Resource | None) -> Iterator[str]:
    """The names of the keys that a domain begins to be signed with."""
    if aim is not None and aim.address.kind == dkim_signing.KIND.name:
        had = () if live is None else live.get("selectors")
        yield from (dkim_key.name(s, aim.address.name) for s in aim.get("selectors") if s not in had)


def _signing(draft: Draft, there: Mapping[Address, Resource]) -> frozenset[str]:
    """The names of the keys that domains are signed with until what waits is done: their rest begins only then."""
    after = {**there, **{change.address: change.aim for change in draft.changes}}
    signings = (thing for address, thing in after.items() if address.kind == dkim_signing.KIND.name and thing)
    return frozenset(dkim_key.name(s, thing.address.name) for thing in signings for s in thing.get("selectors"))


def _seen(changes: list[Change], facts: Facts) -> tuple[list[Change], list[Waiting]]:
    able, later = list[Change](), list[Waiting]()
    for change in changes:
        missing = [name for name in keys(change.live, change.aim) if name in facts.unseen]
        if missing:
            why = f"waits until every name server has TXT {', '.join(missing)}"
            later.append(Waiting(change.address, change.action, None, why))
        else:
            able.append(change)
    return able, later


def _was_reviewed(change: Change, base: Mapping[Address, Entry], facts: Facts) -> bool:
    """Whether it waited for nothing but its keys' records, which an earlier apply has published."""
    asked = list(keys(change.live, change.aim))
    ours = {address.name for address in base if address.kind == dkim_key.KIND.name}
    return bool(asked) and all(name in facts.seen and name in ours for name in asked)
