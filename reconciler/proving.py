"""The world is asked what it sees of a run: the authoritative servers, then a resolver for what all of them say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import hearsay, proof, witnesses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.agency import Agency
    from reconciler.answers import Server
    from reconciler.changes import Change
    from reconciler.effects import Proof


def proofs(agency: Agency, resolver: Any, changes: Sequence[Change]) -> tuple[Proof, ...]:
    """What was said of record sets that were changed, once all servers have them or the time is up.

    `resolver` is what RECONCILER_RESOLVER says: a server, `none` for nobody, or empty for the system's own.
    """
    asked = {
        (server, proof.question(change.address)): change
        for change in changes
        for server in agency.witnesses.get(change.address.provider, ())
    }
    heard = witnesses.until(asked, lambda one, answer: proof.agrees(asked[one], answer))
    told = tuple(proof.proofs(asked, heard))
    return (*told, *_resolved(agency, resolver, proof.everywhere(changes, told)))


def _resolved(agency: Agency, resolver: Any, changes: Sequence[Change]) -> Iterator[Proof]:
    named = {change.address.provider for change in changes}
    resolvers = {name: server for name in named if (server := _resolver(agency, resolver, name))}
    asked = {
        (resolvers[change.address.provider], proof.question(change.address)): change
        for change in changes
        if change.address.provider in resolvers
    }
    return proof.resolved(asked, hearsay.ask(asked))


def _resolver(agency: Agency, resolver: Any, provider: str) -> Server | None:
    """Whom to ask of a provider's zones: its own resolver, that of the environment, the system's; None: nobody."""
    if resolver == "none":
        return None
    return agency.resolvers.get(provider) or resolver or hearsay.systems()
