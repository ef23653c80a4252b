"""Where a reset arrives: a tenant's contacts and assets, followed over addresses to mailboxes and to their owners.

An asset is reset by a mail to its `reset_to`, the owner of a mailbox by one to their `contact`. Where that is an
address of this tenant it is followed through aliases, forwards and alias domains to the mailboxes it arrives in (one
*arrival*). Whoever owns such a mailbox can be reset by their own contact, so the path goes on from there; it never
branches, because an arrival at two people is one too many already.

What another tenant holds, or an `inside` domain outside the estate, is not looked into: where such a path ends is
unknown. Each address is followed once, over at most a hundred others, so the work grows with the contacts, no faster.
"""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from reconciler import canonical
from reconciler.people import circles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.model import Resource, State
    from reconciler.people import People

Trouble = Literal["", "left", "outside", "shared", "nowhere", "closed", "unknown"]
WORST_FIRST: tuple[Trouble, ...] = ("left", "outside", "shared", "nowhere", "closed", "unknown")
FAR = 100  # addresses that one arrival is followed over, and people that a path is: no honest one is longer
# Mailboxes that stand for control of the domain: who reads one passes for its owner, at a certificate authority too
# (CA/Browser Forum, Baseline Requirements 3.2.2.4.4).
CONTROLLING = frozenset(
    {"admin", "administrator", "billing", "dns", "hostmaster", "postmaster", "registrar", "root", "webmaster"}
)
CONTROLLING_ROLES = ("dns_auth", "reset_approver")


class Arrival(NamedTuple):
    """Where mail to one address ends.

    `boxes` are the mailboxes, shared ones too, that it arrives in; `person` owns them, if it is one who is here.
    `hosts` are the domains it takes to get there. `where` is the address that the trouble is about.
    """

    trouble: Trouble = ""
    where: str = ""
    boxes: tuple[str, ...] = ()
    person: str | None = None
    hosts: frozenset[str] = frozenset()


class Graph:
    """The reset paths of one tenant on a day. `holders` says which tenant each domain of the estate belongs to."""

    def __init__(self, files: Files, state: State, people: People, agency: Agency, holders: Mapping[str, str]) -> None:
        self.files, self.people, self.agency, self.holders = files, people, agency, holders
        self.things = {a.name: r for a, r in state.items() if a.kind in {"mailbox", "alias"}}
        self._twins = {a.name: r.get("alias_of") for a, r in state.items() if a.kind == "domain"}
        self._arrivals: dict[str, Arrival] = {}

    @property
    def assets(self) -> Sequence[Mapping[str, Any]]:
        return self.files.tenant_file.get("assets", ())  # type: ignore[no-any-return]

    @cached_property
    def contacts(self) -> dict[str, str]:
        """{person: e-mail address} of those who are here and whose contact is for this tenant to judge.

        These are its own people, and of the agency's those whose contact is at one of its domains.
        """
        wide = [self.agency.contacts[host] for host in self.files.domains if host in self.agency.contacts]
        own = ((person, self.contact(person)) for person in self.files.tenant_file.get("people", {}))
        found = {person: address for some in wide for person, address in some.items()}
        found |= {person: address for person, address in own if address is not None}
        return {person: address for person, address in found.items() if not self.people.has_left(person)}

    def contact(self, person: str) -> str | None:
        """The canonical address of somebody's contact; None where it is a telephone number, or nothing."""
        return canonical.address_in(self.people.persons.get(person, {}).get("contact", ""))

    @cached_property
    def known(self) -> dict[str, list[str]]:
        """{e-mail address: whose contact it is}, of all people, those who have left too."""
        found: dict[str, list[str]] = {}
        for person in self.people.persons:
            found.setdefault(self.contact(person) or "", []).append(person)
        return found

    def owner(self, box: Resource) -> str:
        """Who is declared to own a mailbox, whether still here or not."""
        assert box.origin is not None
        said: Any = self.files.domains[box.domain]
        for step in box.origin.path:
            said = said[step]
        return said["owner"]  # type: ignore[no-any-return]

    def arrival(self, address: str) -> Arrival:
        """Where mail to a canonical address ends."""
        found = self._arrivals.get(address)
        if found is None:
            found = self._arrivals[address] = self._follow(address)
        return found

    def path(self, address: str) -> Iterator[tuple[str, Arrival]]:
        """An address and where it arrives, then the contact of who owns that mailbox, and so on to the end."""
        seen: set[str] = set()
        following: str | None = address
        while following is not None and following not in seen and len(seen) < FAR:
            seen.add(following)
            arrival = self.arrival(following)
            yield following, arrival
            following = None if arrival.person is None else self.contact(arrival.person)

    def needs(self, address: str, domains: frozenset[str]) -> str | None:
        """The first of some domains that a path from an address depends on: it passes through it, or below it."""
        if not domains:
            return None
        hosts = (host for _, arrival in self.path(address) for host in sorted(arrival.hosts))
        return next((name for host in hosts for name in _upward(host) if name in domains), None)

    @cached_property
    def circles(self) -> frozenset[str]:
        """The people whose reset comes back to a mailbox of their own."""
        return circles(self.contacts, self._reset_by)

    def _reset_by(self, person: str) -> str | None:
        address = self.contact(person)
        return None if address is None else self.arrival(address).person

    def _follow(self, start: str) -> Arrival:
        todo, seen, hosts = [start], {start}, set[str]()
        boxes: dict[str, str] = {}
        found: list[tuple[Trouble, str]] = []
        for address in todo:  # which grows on the way
            thing = self._thing(address, hosts)
            if thing is None:
                found.append((self._beyond(address, first=address == start), address))
            elif thing.get("keep_copy") is not False and thing.address.kind == "mailbox":
                boxes[thing.address.name] = self.owner(thing)
                found.append((self._closed(thing), thing.address.name))
            fresh = [to for to in islice(_onward(thing), FAR) if to not in seen]
            found += [("unknown", start)] if len(todo) + len(fresh) > FAR else []
            todo += fresh[: FAR - len(todo)]
            seen.update(fresh)
        owners = sorted(set(boxes.values()))
        if len(owners) > 1:
            found.append(("shared", start))
        if not found:
            found.append(("nowhere", start))  # nothing but aliases that go in a circle
        trouble, where = min(found, key=lambda pair: WORST_FIRST.index(pair[0]) if pair[0] else len(WORST_FIRST))
        alone = len(owners) == 1 and trouble in {"", "closed", "unknown"}
        return Arrival(trouble, where, tuple(boxes), owners[0] if alone else None, frozenset(hosts))

    def _thing(self, address: str, hosts: set[str]) -> Resource | None:
        """What takes mail for an address; the domains it needs are added to `hosts`."""
        local, _, host = address.rpartition("@")
        twin = self._twins.get(host)
        hosts.update(filter(None, (host, twin)))
        full = f"{local}@{twin or host}"
        names = (full, canonical.base_address(full), *(() if twin else (f"@{host}",)))
        return next((self.things[name] for name in names if name in self.things), None)

    def _beyond(self, address: str, *, first: bool) -> Trouble:
        """What is to be said of an address that nothing here takes mail for."""
        host = canonical.domain_of(address)
        if host in self._twins:
            return "nowhere"
        if host in self.holders or host in self.agency.inside:
            return "unknown"
        return "" if first else "outside"

    def _closed(self, box: Resource) -> Trouble:
        if not box.get("login"):
            return "shared"
        if self.people.has_left(self.owner(box)):
            return "left"
        return "" if box.get("state") == "active" else "closed"


def _onward(thing: Resource | None) -> Iterable[str]:
    if thing is None:
        return ()
    targets: Iterable[str] = thing.get("to" if thing.address.kind == "alias" else "copies_to")
    return targets


def _upward(host: str) -> Iterator[str]:
    """A host name and every name above it."""
    while host:
        yield host
        host = host.partition(".")[2]


def asset_name(asset: Mapping[str, Any]) -> str:
    """How findings name an asset: `registrar/Gandi`."""
    return f"{asset['kind']}/{asset['name']}"


def reset_to(asset: Mapping[str, Any]) -> str | None:
    """The canonical address that an asset's password resets go to; None where there is none."""
    return canonical.address_in(asset.get("reset_to", ""))


def high_value(graph: Graph) -> dict[str, str]:
    """{address: why} of the mailboxes through which others are taken over, inferred from four things.

    Resets of an asset arrive there, or those of a person; it has a login and a name that stands for control of the
    domain; or its owner approves DNS changes or resets.
    """
    found: dict[str, str] = {}
    asked = [(reset_to(asset), asset_name(asset)) for asset in graph.assets]
    for address, what in (*asked, *((address, person) for person, address in graph.contacts.items())):
        for box in () if address is None else graph.arrival(address).boxes:
            found.setdefault(box, f"resets of {what} arrive there")
    roles = {who: role for role in CONTROLLING_ROLES for name in graph.people.roles.get(role, ())
             for who in graph.people.here(name)}  # fmt: skip
    for name, thing in graph.things.items():
        if thing.address.kind == "mailbox" and thing.get("login"):
            if name.partition("@")[0] in CONTROLLING:
                found.setdefault(name, "its name stands for control of the domain")
            elif (owner := graph.owner(thing)) in roles:
                found.setdefault(name, f"{owner} is {roles[owner]}")
    return found
