"""What is live for all that the ledger says: what a plan is compared with where no live system may be asked.

A plan made so knows no drift, and nothing that nobody declared: it shows what Git has moved since the last apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.kinds import named
from reconciler.model import MISSING, Resource
from reconciler.parts import base_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.effects import Live
    from reconciler.model import Address, Entry, Scope


def live(asked: Iterable[tuple[str, Scope]], entries: Mapping[Address, Entry]) -> Live:
    """An answer for each scope, as if all were still as it was applied last."""
    found: dict[tuple[str, str], list[Resource]] = {(provider, scope.domain): [] for provider, scope in asked}
    for address, entry in entries.items():
        if not entry.absent and (address.provider, entry.domain) in found:
            found[address.provider, entry.domain].append(_thing(address, entry))
    return {key: tuple(things) for key, things in found.items()}


def _thing(address: Address, entry: Entry) -> Resource:
    kind = named(address.kind)
    known = {row.name: base_value(entry, row.name) for row in kind.compared}
    if entry.retired:
        known |= kind.retired
    attributes = {name: value for name, value in known.items() if value is not MISSING}
    return Resource(address, attributes, entry.domain)
