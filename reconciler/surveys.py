"""What there is of some tenants' things, asked of the live systems together or, offline, taken from their ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler import believed, watching
from reconciler.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.compile import Compiled
    from reconciler.effects import Live
    from reconciler.errors import ProviderError
    from reconciler.ledger import Ledger
    from reconciler.model import Scope
    from reconciler.session import Session


class Wanted(NamedTuple):
    """What a tenant wants to know: `asked` are its scopes, `judged` the providers whose identity matters to it."""

    compiled: Compiled
    ledger: Ledger
    asked: Sequence[tuple[str, Scope]]
    judged: frozenset[str]


class Survey(NamedTuple):
    """The answers for one tenant: what is live, and {provider: identity}."""

    live: Live
    identities: Mapping[str, str | ProviderError | None]


class Surveyed(NamedTuple):
    """What was found for some tenants, each in its turn, and which DKIM keys every server has, which one has not."""

    surveys: Sequence[Survey]
    seen: frozenset[str]
    unseen: frozenset[str]


def survey(session: Session, tenants: Sequence[Wanted]) -> Surveyed:
    """The answers for some tenants: one call per provider for all of them."""
    if session.request.offline:
        found = [Survey(believed.live(t.asked, t.ledger.entries), _kept(t)) for t in tenants]
        return Surveyed(found, frozenset(), frozenset())
    live = session.world.read({pair: None for tenant in tenants for pair in tenant.asked}, _names(session, tenants))
    seen, unseen = watching.seen(session.systems, [tenant.compiled for tenant in tenants], live)
    answering = {name for (name, _), answer in live.items() if not isinstance(answer, Unreachable)}
    judged = {name for tenant in tenants for name in tenant.judged}
    identities = session.world.identities(sorted(judged & answering))
    return Surveyed([Survey(live, identities)] * len(tenants), seen, unseen)


def _kept(tenant: Wanted) -> dict[str, str | ProviderError | None]:
    return {name: tenant.ledger.identities.get(name) for name in tenant.judged}


def _names(session: Session, tenants: Sequence[Wanted]) -> dict[tuple[str, str], set[str]]:
    """{(provider, domain): names of what Git and the ledger have there}, of providers that are asked by name."""
    asked, found = session.world.by_name(), dict[tuple[str, str], set[str]]()
    for tenant in tenants if asked else ():
        known = {address: thing.domain for side in (tenant.ledger.entries, tenant.compiled.state)
                 for address, thing in side.items()} | tenant.compiled.absent  # fmt: skip
        for address, domain in known.items():
            if address.provider in asked:
                found.setdefault((address.provider, domain), set()).add(address.name)
    return found
