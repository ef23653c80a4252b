"""What became of a run that said what it would do and not what came of it: each of its changes is judged by a look.

live is as it should be afterwards   it was made: the ledger has it as the run would have noted it
live is as it was before             it was not made: the ledger stays as it is
neither                              it counts as ours, and nothing of it is taken away until a person has looked
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.changes import Step
from reconciler.diff import resolve
from reconciler.findings import Origin, Rule
from reconciler.looking import confirmed, noted, reached, seen
from reconciler.model import MISSING
from reconciler.parts import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.changes import Change, Intent
    from reconciler.findings import Finding
    from reconciler.model import Address, Entry, Resource, State, Value

UNFINISHED = Rule(
    "PL302",
    "warning",
    "A run did not say what came of it",
    "Apply again: what is left of it is made, and noted.",
    why="Some of its changes may be made and others not: until somebody looks, nobody knows what is live.",
)
UNCLEAR = Rule(
    "PL303",
    "error",
    "Half of an unfinished run's change is there",
    "Look at it. Leave it declared, or accept that it goes: an `accept` entry with this code and subject.",
    why="Somebody may have used it since, or changed it by hand: removed now, their mail could be lost.",
)


class Settled(NamedTuple):
    """What a look came to. `entries` are the ledger's lines that differ from what it holds (None: no line)."""

    entries: Mapping[Address, Entry | None]
    made: frozenset[Address] = frozenset()
    unclear: frozenset[Address] = frozenset()
    findings: tuple[Finding, ...] = ()

    def over(self, base: Mapping[Address, Entry]) -> Mapping[Address, Entry]:
        """The ledger's lines with what was found put in their place."""
        if not self.entries:
            return base
        return {address: entry for address, entry in {**base, **self.entries}.items() if entry is not None}

    def beside(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """The plan's moves of the ledger, and those that a look made of it, in order: no provider is written."""
        moved = {step.address: step for step in steps}
        found = {address: Step(address, "settle", entry) for address, entry in self.entries.items()}
        return tuple(sorted((found | moved).values(), key=lambda step: step.address))

    def check(self, changes: Iterable[Change]) -> Iterator[Finding]:
        """What was found, and the removals of what is there by half: refused until a person has looked."""
        yield from self.findings
        for change in changes:
            if change.address in self.unclear and (change.aim is None or change.action == "retire"):
                what = f"It is neither as before that run nor as it meant it; this plan would {change.action} it."
                yield UNCLEAR.at(str(change.address), what, change.origin or Origin(""))


def settle(
    intent: Intent, tenant: str, base: Mapping[Address, Entry], there: State, read: AbstractSet[tuple[str, str]]
) -> Settled:
    """What a look at live makes of an intent's claims; `read` says which (provider, domain) could be looked at."""
    entries: dict[Address, Entry | None] = {}
    unclear: set[Address] = set()
    made: set[Address] = set()
    unmade = 0
    for said in intent.claims:
        address, live = said.address, seen(said, there)
        if (address.provider, said.domain) not in read:
            continue
        claim = said._replace(aim=resolve(said.aim, lambda reference: known(reference, there)))
        if reached(claim, live):
            made.add(address)
            entries = noted(entries, claim, confirmed(claim, live))
        elif _untouched(claim, live):
            unmade += 1
        else:
            unclear.add(address)
            if claim.was is None or live is not None:
                entries = noted(entries, claim, base.get(address, claim.entry))
    what = f"Run {intent.run} of {intent.began} by {intent.actor}: {len(made)} of its {len(intent.claims)} changes"
    what += f" are there, {unmade} are not{f', {len(unclear)} by half' if unclear else ''}."
    what += f" It ran without the ledger's remote: {intent.no_remote}." if intent.no_remote else ""
    found = UNFINISHED.at(tenant, what, Origin(f"tenants/{tenant}/tenant.yaml", line=1, column=1))
    return Settled(entries, frozenset(made), frozenset(unclear), (found,))


def _untouched(claim: Change, live: Resource | None) -> bool:
    """Whether what the change would have moved is as it was before; neighbours in a shared set do not matter."""
    rows = [(row.name, row.elements(claim.address.name)) for row in claim.kind.compared]
    shared = {name: elements for name, elements in rows if elements is not None and elements.shared}
    for name, elements in shared.items():
        aimed, was, now = (elements.split(_value(side, name, ())) for side in (claim.aim, claim.live, live))
        if any(now.get(key) != was.get(key) for key in {*aimed, *was}):
            return False
    if claim.was is not None and live is not None and live.address == claim.address:
        return False
    if claim.live is None or live is None:
        return bool(shared) or claim.live is live
    return all(_value(claim.live, name) == _value(live, name) for name in claim.fields if name not in shared)


def _value(resource: Resource | None, name: str, missing: Value = None) -> Value:
    value = MISSING if resource is None else resource.get(name)
    return missing if value is MISSING else value
