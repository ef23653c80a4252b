"""Checks over where resets arrive: with one person who is here, and not by way of what is to be recovered.

A path is judged up to the next contact: what is wrong further on stands at that contact. One finding per line; of
several faults it is the first of: arrives in bad hands, goes in a circle, needs what it recovers, is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.checks import assets, high_value
from reconciler.findings import Origin, Rule
from reconciler.resets import Graph, asset_name, reset_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.people import People

SHARED = Rule(
    "OW030",
    "error",
    "A reset arrives where several people read it",
    "Name the address of one person, best one outside these mailboxes.",
    why="Whoever reads that mailbox can take the account over, and nobody can say afterwards who it was.",
)
LEFT = Rule(
    "OW031",
    "error",
    "A reset arrives with somebody who has left",
    "Name the address of a person who is here, and change it in the account itself too.",
    why="Somebody who has no business here any more could take the account over, or nobody can get into it again.",
    dated=True,
)
OUTSIDE = Rule(
    "OW032",
    "error",
    "A reset leaves the estate by a forward",
    "Name an address that is not forwarded, or take the forward out.",
    why="Whoever reads it at the other end can take the account over, and this estate does not see who that is.",
)
CIRCLE = Rule(
    "OW033",
    "error",
    "A reset comes back to where it began",
    "Give one of them a contact that works without these mailboxes: a private address or a telephone number.",
    why="Who is locked out needs the very mailbox that is locked, and nobody on the way can help.",
)
OWN_DOMAIN = Rule(
    "OW034",
    "error",
    "A reset depends on the domain it recovers",
    "Name an address that works when the domain does not: at another domain, or a telephone number.",
    why="When the domain has lapsed or was taken over, the mail that would bring it back cannot arrive.",
)
NOWHERE = Rule(
    "OW035",
    "error",
    "A reset arrives nowhere",
    "Declare the address as a person's mailbox, or name another one.",
    why="The account cannot be recovered, and whoever declares the address later receives its resets.",
)
CLOSED = Rule(
    "OW036",
    "warning",
    "A reset arrives in a mailbox that is closed",
    "Name a mailbox that somebody can log in to, or another address.",
    why="Nobody can log in to a mailbox that is blocked or paused, so nobody would see the reset.",
)
UNKNOWN = Rule(
    "OW037",
    "info",
    "Where a reset arrives is not known",
    "See to it that one person reads it there, or name an address that does not need looking after.",
    why="What is not declared here cannot be judged: it may be one person's mailbox, or a list of thirty.",
)
NOBODYS = Rule(
    "OW038",
    "warning",
    "A reset arrives at an address of nobody we know",
    "Write it as the `contact` of the person it belongs to, or name the contact of somebody who is here.",
    why="Nobody here can say who receives it, and nothing tells when that person leaves.",
)
_RULES = {
    "left": LEFT, "outside": OUTSIDE, "shared": SHARED, "nowhere": NOWHERE, "closed": CLOSED, "unknown": UNKNOWN,
}  # fmt: skip
_MILD = {"", "closed", "unknown"}


def check(
    files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str], people: People
) -> Iterator[Finding]:
    """Every finding about resets, high-value mailboxes and assets. `domains` says whose each domain is."""
    graph = Graph(files, compiled.state, people, agency, domains)
    yield from _contacts(graph)
    yield from _assets(graph)
    yield from high_value.check(graph)
    yield from assets.check(graph)


def unknown_contacts(agency: Agency, domains: Mapping[str, str], today: str) -> Iterator[Finding]:
    """Contacts of the agency's people at `inside` domains that no tenant holds: once for the whole estate."""
    for host in sorted(agency.inside & agency.contacts.keys() - domains.keys()):
        for person, address in agency.contacts[host].items():
            said = agency.data["people"][person]
            if said.get("left", "9999") > today and said.get("until", "9999") >= today:
                what = f"{address} is at {host}, which is not declared here."
                yield UNKNOWN.at(person, what, Origin("reconciler.yaml", ("people", person, "contact")))


def _contacts(graph: Graph) -> Iterator[Finding]:
    owned = _owned(graph)
    for person in dict.fromkeys([*graph.contacts, *owned]):
        address = graph.contact(person)
        if address is not None and person in graph.people.places:
            place = graph.people.places[person]
            origin = place._replace(path=(*place.path, "contact"))
            if person in graph.contacts:
                yield from _fault(graph, address, person, frozenset(owned.get(person, ())), origin)
            elif (needed := graph.needs(address, frozenset(owned[person]))) is not None:
                yield OWN_DOMAIN.at(person, f"{address} depends on {needed}, which {person} owns.", origin)


def _owned(graph: Graph) -> dict[str, list[str]]:
    """{person who is here: the domains they are declared to own}."""
    found: dict[str, list[str]] = {}
    for domain, said in graph.files.domains.items():
        if not graph.people.has_left(said["owner"]):
            found.setdefault(said["owner"], []).append(domain)
    return found


def _assets(graph: Graph) -> Iterator[Finding]:
    for index, asset in enumerate(graph.assets):
        address = reset_to(asset)
        if address is not None:
            origin = Origin(f"{graph.files.folder}/tenant.yaml", ("assets", index, "reset_to"))
            domains = frozenset(map(canonical.domain, asset.get("domains", ())))
            found = list(_fault(graph, address, asset_name(asset), domains, origin))
            yield from found or _outside(graph, address, asset_name(asset), origin)


def _fault(graph: Graph, address: str, subject: str, domains: frozenset[str], origin: Origin) -> Iterator[Finding]:
    """What is wrong with a path: `domains` are those it recovers, `subject` is the person or asset it begins at."""
    arrival, needed = graph.arrival(address), graph.needs(address, domains)
    also = "" if needed is None else f" It depends on {needed} too, which it recovers."
    if arrival.trouble not in _MILD:
        yield _RULES[arrival.trouble].at(subject, f"{_words(graph, address)}{also}", origin)
    elif subject in graph.circles:
        what = f"{address} leads to the mailbox of {arrival.person}, who is reset the same way.{also}"
        own = f"{address} leads to a mailbox of {subject}'s own.{also}"
        yield CIRCLE.at(subject, own if arrival.person == subject else what, origin)
    elif needed is not None:
        yield OWN_DOMAIN.at(subject, f"{address} depends on {needed}, which it recovers.", origin)
    elif arrival.trouble:
        yield _RULES[arrival.trouble].at(subject, _words(graph, address), origin)


def _words(graph: Graph, address: str) -> str:
    """What is wrong where an address leads to."""
    arrival = graph.arrival(address)
    there = address if arrival.where == address else f"{address} leads to {arrival.where}, which"
    if arrival.trouble == "shared":
        box = graph.things.get(arrival.where)
        several = f"{len(arrival.boxes)} mailboxes of several people"
        return f"{there} is a shared mailbox." if box and not box.get("login") else f"{address} leads to {several}."
    if arrival.trouble == "left":
        return f"{there} is the mailbox of {graph.owner(graph.things[arrival.where])}, who has left."
    if arrival.trouble == "closed":
        return f"{there} is {graph.things[arrival.where].get('state')}."
    return f"{there} is {_BEYOND[arrival.trouble]}."


_BEYOND = {"outside": "outside the estate", "nowhere": "declared nowhere", "unknown": "beyond what is declared here"}


def _outside(graph: Graph, address: str, subject: str, origin: Origin) -> Iterator[Finding]:
    """An address outside the estate must be the contact of somebody, and they must be here."""
    if graph.arrival(address).boxes:
        return
    known = graph.known.get(address, ())
    if not known:
        yield NOBODYS.at(subject, f"{address} is nobody's `contact`.", origin)
    elif all(graph.people.has_left(person) for person in known):
        yield LEFT.at(subject, f"{address} is the contact of {known[0]}, who has left.", origin)
