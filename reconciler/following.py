"""A ledger under the names that its providers have now: `renamed_from` in reconciler.yaml, and the revert of it.

A provider's name is part of every address, and of nothing that is live: only the ledger moves. It remembers the name
that a provider had, because a revert names the old one as if it had never had another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.findings import Origin, Rule
from reconciler.model import Address, Computed, Entry, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.changes import Change
    from reconciler.findings import Finding
    from reconciler.ledger import Ledger
    from reconciler.model import Resource

FOLLOWS = Rule(
    "PL223",
    "info",
    "A provider has another name",
    "Nothing is written to it; the next apply notes the name.",
    why="From now on all that the ledger has is looked for under the new name: at another system it would not "
    "be found.",
)

Names = dict[str, str]


def names(ledger: Ledger, agency: Agency) -> Names:
    """{a name that the ledger has: the one that it is to have}."""
    said = {settings.get("renamed_from"): name for name, (_, settings) in agency.providers.items()}
    used = {provider for provider, _ in ledger.reach} | {address.provider for address in ledger.entries}
    found = {name: said.get(name, ledger.renamed.get(name, "")) for name in used - agency.providers.keys()}
    return {old: new for old, new in found.items() if new in agency.providers}


def check(ledger: Ledger, followed: Names, agency: Agency) -> Iterator[Finding]:
    """What follows, in numbers."""
    for old, new in sorted(followed.items()):
        count = sum(address.provider == old for address in ledger.entries)
        what = f"`{new}` was `{old}`; {count} line{'s' * (count != 1)} of the ledger follow{'s' * (count == 1)}."
        yield FOLLOWS.at(new, what, Origin("reconciler.yaml", ("providers", agency.providers[new][0], new)))


def follow(ledger: Ledger, followed: Mapping[str, str]) -> Ledger:
    """The ledger with other names in the place of those that it has."""
    if not followed:
        return ledger
    moving = _Moving(followed)
    intent = ledger.intent
    if intent is not None:
        claims = tuple(map(moving.claim, intent.claims))
        intent = intent._replace(claims=claims, scopes=tuple((moving.name(n), scope) for n, scope in intent.scopes))
    return ledger._replace(
        entries={moving.address(address): moving.entry(entry) for address, entry in ledger.entries.items()},
        scopes=tuple((moving.name(name), scope) for name, scope in ledger.scopes),
        identities={moving.name(name): identity for name, identity in ledger.identities.items()},
        renamed={**ledger.renamed, **{new: old for old, new in followed.items()}},
        intent=intent,
    )


class _Moving:
    """What holds a provider's name, with the new one in its place."""

    def __init__(self, followed: Mapping[str, str]) -> None:
        self._followed = followed

    def name(self, name: str) -> str:
        return self._followed.get(name, name)

    def address(self, address: Address) -> Address:
        return address._replace(provider=self.name(address.provider))

    def entry(self, entry: Entry) -> Entry:
        return entry._replace(said=self._values(entry.said))

    def claim(self, claim: Change) -> Change:
        return claim._replace(
            address=self.address(claim.address),
            was=claim.was and self.address(claim.was),
            live=self._thing(claim.live),
            aim=self._thing(claim.aim),
            entry=claim.entry and self.entry(claim.entry),
        )

    def _thing(self, thing: Resource | None) -> Resource | None:
        if thing is None:
            return None
        return thing._replace(address=self.address(thing.address), attributes=self._values(thing.attributes))

    def _values(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {name: self._value(value) for name, value in values.items()}

    def _value(self, value: Value) -> Value:
        if isinstance(value, Computed):
            return value._replace(address=self.address(value.address))
        return tuple(map(self._value, value)) if type(value) is tuple else value
