"""Which of the DKIM keys that are to sign the world can look up: asked where a change waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import stages, witnesses
from reconciler.errors import ProviderError
from reconciler.kinds import dkim_key, dkim_signing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.agency import Agency
    from reconciler.answers import Server
    from reconciler.compile import Compiled
    from reconciler.effects import Live
    from reconciler.model import Resource


def seen(agency: Agency, tenants: Iterable[Compiled], live: Live) -> tuple[frozenset[str], frozenset[str]]:
    """(the names that every server has as the key says, those that some server does not have): `Facts`."""
    if not agency.witnesses:
        return frozenset(), frozenset()
    wanted = {name: said for compiled in tenants for name, said in _wanted(agency, compiled, live)}
    asked = [(server, (name, "TXT")) for name, (servers, public) in wanted.items() if public for server in servers]
    heard = witnesses.ask(asked)
    unseen = {name for name, (_, public) in wanted.items() if not public}
    unseen |= {one[1][0] for one in asked if wanted[one[1][0]][1] not in heard[one].values}
    return frozenset(wanted.keys() - unseen), frozenset(unseen)


def _wanted(agency: Agency, compiled: Compiled, live: Live) -> Iterator[tuple[str, tuple[tuple[Server, ...], str]]]:
    """(name of a key, (the servers that shall have its record, what that says; empty: nobody has the key yet))."""
    watched = {scope.domain: agency.witnesses[p] for p, scope in compiled.scopes if p in agency.witnesses}
    for address, thing in compiled.state.items():
        if address.kind == dkim_signing.KIND.name and thing.domain in watched:
            there = _there(live, address.provider, thing.domain)
            had = next((r for r in there if r.address == address), None)
            public = {r.address.name: r.get("public") for r in there if r.address.kind == dkim_key.KIND.name}
            for name in stages.keys(had, thing):
                yield name, (watched[thing.domain], public.get(name, ""))


def _there(live: Live, provider: str, domain: str) -> tuple[Resource, ...]:
    answer = live.get((provider, domain), ())
    return () if isinstance(answer, ProviderError) else answer
