"""Public DNS, as a resolver tells it: for zones that somebody else keeps. It reads, and writes nothing.

DNS answers for names only: nobody can be asked for all that is in a zone. So it is told by `ask` which record sets
somebody wants to know of, and what else stands in the zone it does not know. A TTL is what is left of it in a cache,
so it is not told. `server` is a recursive resolver; without it RECONCILER_RESOLVER's or the system's are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import facts
from reconciler.errors import ProviderError, ReconcilerError, Refused, Unreachable
from reconciler.kinds import record
from reconciler.providers import _shapes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from reconciler.answers import Answer, Question
    from reconciler.changes import Batch
    from reconciler.model import Address, Resource, Scope, Value
    from reconciler.providers._shapes import Problem

SIDE = "dns"
REQUIRED = frozenset({"read_only"})
OPTIONAL = frozenset({"server"})


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings: where, and why."""
    if settings.get("read_only", True) is not True:
        yield ("read_only",), "must be true: public DNS is read, and written by whoever keeps the zone"
    said = settings.get("server", "192.0.2.1")
    try:
        known = isinstance(said, str) and isinstance(facts.server(said), tuple)
    except ReconcilerError:
        known = False
    if not known:
        yield ("server",), "must be the IP address of a resolver, or ADDRESS:PORT"


def connect(name: str, settings: Mapping[str, Any], _root: str) -> PublicDns:
    """Public DNS. Raises Refused for settings that cannot be."""
    _shapes.refuse(name, problems(settings))
    return PublicDns(name, settings.get("server"))


class PublicDns:
    """The provider."""

    kinds: Mapping[str, frozenset[str]] = {"record": frozenset({"values"})}
    cautions: Mapping[str, str] = {}

    def __init__(self, name: str, server: str | None = None) -> None:
        self._name, self._server = name, server

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """Nothing was asked by name, so nothing is known."""
        return self.ask({scope.domain: () for scope in scopes})

    def ask(self, names: Mapping[str, Collection[str]]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """Of each domain the record sets with these names that there are. A question without answer is no absence."""
        asked = {domain: {(record.label(n), record.rtype(n)) for n in of_domain} for domain, of_domain in names.items()}
        heard = facts.Resolver(self._server, exact=True).ask({question for some in asked.values() for question in some})
        found: dict[str, tuple[Resource, ...] | ProviderError] = {}
        for domain, questions in asked.items():
            silent = sorted(f"{name} {type_}" for name, type_ in questions if heard[name, type_].status == "failed")
            there = [self._set(q, heard[q], domain) for q in sorted(questions) if heard[q].status == "found"]
            found[domain] = (
                Unreachable(f"{self._name}: no resolver answered for {', '.join(silent[:5])}")
                if silent
                else tuple(there)
            )
        return found

    def _set(self, question: Question, answer: Answer, domain: str) -> Resource:
        name, type_ = question
        return record.KIND.resource(self._name, f"{type_}/{name}", {"values": answer.values}, domain=domain)

    def apply(self, _batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """Nobody writes to public DNS."""
        raise Refused(f"{self._name}: public DNS is read only; whoever keeps the zone writes there")

    def identity(self) -> str | None:
        """It has none."""
        return None

    def identify(self, _identity: str) -> None:
        """It takes none."""
        raise Refused(f"{self._name}: public DNS is read only")

    def close(self) -> None:
        """Nothing is held open."""
