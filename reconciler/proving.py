"""The world is asked what it sees of a run: name servers, a mailbox for who signs, mail servers for who is let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reconciler import closed, hearsay, proof, witnesses
from reconciler.answers import Arrival
from reconciler.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.answers import Login, Server
    from reconciler.changes import Change
    from reconciler.effects import Proof


Logins = Callable[[str, "Sequence[str]"], "Mapping[str, Login]"]


def proofs(
    agency: Agency, resolver: Any, changes: Sequence[Change], password: Callable[[], str], logins: Logins,
    alive: Callable[[], object],
) -> tuple[Proof, ...]:  # fmt: skip
    """What was said of record sets that were changed, once all servers have them or the time is up; who signs, and who
    is still let in.

    `resolver` is what RECONCILER_RESOLVER says: a server, `none` for nobody, or empty for the system's own. `password`
    is that of the probe mailbox, and may raise Refused; `logins` asks a mail provider. `alive` is called between the
    looks.
    """
    told = list(_shut(closed.sample(changes), logins))
    signing = [change for change in changes if change.kind.name == "dkim_signing"]
    sets = [change for change in changes if change.kind.name == "record"]
    asked = {
        (server, proof.question(change.address)): change
        for change in sets
        for server in agency.witnesses.get(change.address.provider, ())
    }
    heard = witnesses.until(asked, lambda one, answer: proof.agrees(asked[one], answer))
    said = list(proof.proofs(asked, heard))
    alive()
    told += [*said, *_resolved(agency, resolver, proof.everywhere(sets, said))]
    if signing:
        told += _carried(agency.data["probe"], signing, password, alive)
    return tuple(told)


def _shut(changes: Sequence[Change], logins: Logins) -> Iterator[Proof]:
    """What mail servers say of mailboxes that nobody is to log in to."""
    for name in sorted({change.address.provider for change in changes}):
        here = [change for change in changes if change.address.provider == name]
        yield from closed.shut(here, logins(name, [change.address.name for change in here]))


def _carried(
    probe: Mapping[str, Any], signing: Sequence[Change], password: Callable[[], str], alive: Callable[[], object]
) -> Iterator[Proof]:
    """A password that is not there is no failure of the domain's."""
    from reconciler import probing

    domains = {change.domain for change in signing}
    try:
        came = probing.deliver(probe, password(), domains, alive)
    except Refused as error:
        came = dict.fromkeys(domains, Arrival(problem=str(error)))
    return proof.arrived(signing, came, probe["mailbox"])


def _resolved(agency: Agency, resolver: Any, changes: Sequence[Change]) -> Iterator[Proof]:
    named = {change.address.provider for change in changes}
    resolvers = {name: server for name in named if (server := _resolver(agency, resolver, name))}
    asked = {
        (resolvers[change.address.provider], proof.question(change.address)): change
        for change in changes
        if change.address.provider in resolvers
    }
    heard = hearsay.until(asked, lambda one, answer: proof.agrees(asked[one], answer))
    return proof.resolved(asked, heard)


def _resolver(agency: Agency, resolver: Any, provider: str) -> Server | None:
    """Whom to ask of a provider's zones: its own resolver, that of the environment, the system's; None: nobody."""
    if resolver == "none":
        return None
    return agency.resolvers.get(provider) or resolver or hearsay.systems()
