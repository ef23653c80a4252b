"""The world is asked what it sees of a run: name servers, a mailbox for who signs, mail servers for who is let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reconciler import closed, hearsay, proof, witnesses
from reconciler.answers import Answer, Arrival
from reconciler.errors import Refused
from reconciler.kinds import dkim_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

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
        told += _carried(agency, resolver, signing, password, alive)
    return tuple(told)


def _shut(changes: Sequence[Change], logins: Logins) -> Iterator[Proof]:
    """What mail servers say of mailboxes that nobody is to log in to."""
    for name in sorted({change.address.provider for change in changes}):
        here = [change for change in changes if change.address.provider == name]
        yield from closed.shut(here, logins(name, [change.address.name for change in here]))


def _carried(
    agency: Agency, resolver: Any, signing: Sequence[Change], password: Callable[[], str], alive: Callable[[], object]
) -> Iterator[Proof]:
    """A password that is not there is no failure of the domain's."""
    from reconciler import probing

    probe = agency.data["probe"]
    domains = {change.domain for change in signing}
    try:
        came = probing.deliver(probe, password(), domains, alive)
    except Refused as error:
        came = dict.fromkeys(domains, Arrival(problem=str(error)))
    return proof.arrived(signing, _judged(agency, resolver, signing, came), probe["mailbox"])


def _judged(
    agency: Agency, resolver: Any, signing: Sequence[Change], came: Mapping[str, Arrival]
) -> Mapping[str, Arrival]:
    """The messages with what their signatures are worth, by the keys that DNS has."""
    from reconciler import verifying

    read = [change for change in signing if change.aim is not None and came[change.domain].message]
    names = {
        (change.domain, selector): dkim_key.name(selector, change.domain)
        for change in read
        for selector in (change.aim.get("selectors") if change.aim else ())
    }
    keys = _keys(agency, resolver, frozenset(names.values()))
    found = dict(came)
    for domain in {change.domain for change in read}:
        mine = {selector: keys[name] for (whose, selector), name in names.items() if whose == domain}
        found[domain] = came[domain]._replace(seals=verifying.seals(came[domain].message, domain, mine))
    return found


def _keys(agency: Agency, resolver: Any, names: Collection[str]) -> Mapping[str, Answer]:
    """What is at the names of keys: by the servers of our zones, else by a resolver; `failed` where nobody says it."""
    servers = {server for some in agency.witnesses.values() for server in some}
    heard = witnesses.ask((server, (name, "TXT")) for server in servers for name in names)
    found = {question[0]: answer for (_, question), answer in heard.items() if answer.values}
    other = None if resolver == "none" else resolver or hearsay.systems()
    said = hearsay.ask((other, (name, "TXT")) for name in names if name not in found) if other else {}
    return {**dict.fromkeys(names, Answer("failed")), **{q[0]: one.answer for (_, q), one in said.items()}, **found}


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
