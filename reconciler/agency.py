"""What reconciler.yaml says, ready for use: providers, servers, people, defaults. One for the whole estate."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin, Rule
from reconciler.ids import Known, unusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.answers import Server
    from reconciler.findings import Finding

FILE = "reconciler.yaml"
# Settings that say nothing of which system it is.
_BESIDE = frozenset({"auth_socket", "authoritative", "read_only", "renamed_from", "resolver"})
_PORT = re.compile(r":[0-9]+\Z", re.ASCII)

SAME_SYSTEM = Rule(
    "IN217",
    "error",
    "Two providers are one system",
    "Keep one of them; two would undo each other's work.",
    why="Each would meet what the other made as something foreign, and one would remove what the other declares.",
)
NO_RENAME = Rule(
    "IN236",
    "error",
    "A provider cannot have had this name",
    "Correct `renamed_from`, or take it out.",
    why="The ledger would follow the wrong name: mailboxes of one server would be looked for at another, and "
    "not found.",
)
ONE_SPACE = Rule(
    "IN222",
    "error",
    "An id stands for two",
    "People and teams share one space of ids; rename one.",
    why="An approval would be somebody else's than meant: that of a team instead of a person's, or the other "
    "way round.",
)
UNKNOWN_DEFAULT = Rule(
    "IN208",
    "error",
    "Provider is not defined",
    "Add it under `providers`, or correct the name.",
    why="Nothing there could be compared or made: mailboxes that are declared would not exist.",
)
UNKNOWN_SERVER = Rule(
    "IN207",
    "error",
    "Server is not defined",
    "Add it under `servers`, or correct the name.",
    why="MX and SPF come from the server's facts: without them the domain's mail would go nowhere.",
)
NO_PROBE = Rule(
    "IN241",
    "error",
    "The probe mailbox cannot be used as it is written",
    "Write `mailbox` as an address, `submission` and `imap` as HOST:PORT (IPv6 in brackets), `password` as "
    "`{env: NAME}` or `{file: NAME}`.",
    why="Nobody would see whether mail comes signed, though the file says that somebody looks.",
)
NO_NETWORK = Rule(
    "IN242",
    "error",
    "Not a network",
    "Write it as ADDRESS/BITS with nothing behind the bits: `10.0.0.0/8`, `fd00::/8`.",
    why="Policy hosts there would not be asked, and whether their policies are served would stay unknown.",
)


@dataclass(frozen=True)
class Agency:
    """The agency's file. `data` is what it says; the rest is derived once."""

    data: Mapping[str, Any]

    @cached_property
    def providers(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """{name: (side, settings)}; the side is `mail` or `dns`."""
        sides = self.data.get("providers", {})
        return {name: (side, settings) for side, named in sides.items() for name, settings in named.items()}

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        return self.data.get("defaults", {})  # type: ignore[no-any-return]

    @cached_property
    def servers(self) -> Mapping[str, Any]:
        return self.data.get("servers", {})  # type: ignore[no-any-return]

    @cached_property
    def exchangers(self) -> frozenset[str]:
        """Our mail servers: every host that an entry of `servers` names as `mx`."""
        values = (value for facts in self.servers.values() for value in facts.get("mx", ()))
        return frozenset(canonical.domain(value.rpartition(" ")[2]) for value in values)

    @cached_property
    def witnesses(self) -> dict[str, tuple[Server, ...]]:
        """{DNS provider: the authoritative servers it names}, of those that name some."""
        named = ((name, said.get("authoritative", ())) for name, (_, said) in self.providers.items())
        return {name: tuple(canonical.server(text) for text in said) for name, said in named if said}

    @cached_property
    def resolvers(self) -> dict[str, Server]:
        """{DNS provider: the recursive resolver it names}, of those that name one."""
        named = ((name, said.get("resolver")) for name, (_, said) in self.providers.items())
        return {name: canonical.server(text) for name, text in named if text}

    @cached_property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Where hosts of MTA-STS policies may be, besides public addresses."""
        return tuple(map(ipaddress.ip_network, self.data.get("mta_sts", {}).get("networks", ())))

    @cached_property
    def inside(self) -> frozenset[str]:
        """Domains outside the estate that count as inside."""
        return frozenset(canonical.domain(name) for name in self.data.get("inside", ()))

    @cached_property
    def ids(self) -> frozenset[str]:
        """Every person and team of the agency."""
        return frozenset((*self.data.get("people", {}), *self.data.get("teams", {})))

    @cached_property
    def persons(self) -> frozenset[str]:
        return frozenset(self.data.get("people", {}))

    @cached_property
    def contacts(self) -> dict[str, dict[str, str]]:
        """{domain: {person: e-mail address}} of the agency's people whose contact is one."""
        found: dict[str, dict[str, str]] = {}
        for name, person in self.data.get("people", {}).items():
            address = canonical.address_in(person.get("contact", ""))
            if address is not None:
                found.setdefault(canonical.domain_of(address), {})[name] = address
        return found


def check(agency: Agency) -> Iterator[Finding]:
    """What is wrong with the file by itself, beyond its schema."""
    yield from _ids(agency)
    yield from _systems(agency)
    yield from _renamed(agency)
    yield from _probe(agency.data.get("probe", {}))
    yield from _networks(agency.data.get("mta_sts", {}).get("networks", ()))
    for side in ("mail", "dns"):
        name = agency.defaults.get(side)
        if name is not None and agency.providers.get(name, ("", {}))[0] != side:
            origin = Origin(FILE, ("defaults", side))
            yield UNKNOWN_DEFAULT.at(name, f"There is no {side} provider called `{name}`.", origin)
    for name in agency.data.get("released", {}):
        if name not in agency.providers:
            yield UNKNOWN_DEFAULT.at(name, f"There is no provider called `{name}`.", Origin(FILE, ("released", name)))
    server = agency.defaults.get("server")
    if server is not None and server not in agency.servers:
        yield UNKNOWN_SERVER.at(server, f"There is no server called `{server}`.", Origin(FILE, ("defaults", "server")))


def _probe(said: Mapping[str, Any]) -> Iterator[Finding]:
    """What of the probe mailbox nobody could send to or look into; the password is quoted nowhere."""
    if not said:
        return
    if canonical.address_in(said["mailbox"]) is None:
        yield NO_PROBE.at("mailbox", "It is no e-mail address.", Origin(FILE, ("probe", "mailbox")))
    for key in ("submission", "imap"):
        if not _PORT.search(said[key]) or not _is_server(said[key]):
            yield NO_PROBE.at(key, "It is no server with a port.", Origin(FILE, ("probe", key)))
    secret = said["password"]
    if not isinstance(secret, dict) or secret.keys() not in ({"env"}, {"file"}):
        yield NO_PROBE.at("password", "It says not where the password is.", Origin(FILE, ("probe", "password")))


def _networks(said: Sequence[str]) -> Iterator[Finding]:
    for index, text in enumerate(said):
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            yield NO_NETWORK.at(text, f"{error}.", Origin(FILE, ("mta_sts", "networks", index)))


def _is_server(text: str) -> bool:
    try:
        canonical.server(text)
    except ValueError:
        return False
    return True


def _renamed(agency: Agency) -> Iterator[Finding]:
    """Names that a provider cannot have had: they are another's, or two say so."""
    taken = set(agency.providers)
    for name, (side, settings) in agency.providers.items():
        old = settings.get("renamed_from")
        if old in taken:
            origin = Origin(FILE, ("providers", side, name, "renamed_from"))
            yield NO_RENAME.at(name, f"`{old}` is another provider, or another says that it was that.", origin)
        if old is not None:
            taken.add(old)


def _ids(agency: Agency) -> Iterator[Finding]:
    known = Known(agency.data.get("people", {}), agency.data.get("teams", {}), FILE)
    for name in agency.data.get("teams", {}):
        if name in agency.persons:
            yield ONE_SPACE.at(name, f"`{name}` is a person and a team.", Origin(FILE, ("teams", name)))
    for name, person in agency.data.get("people", {}).items():
        for key in ("sponsor", "successor"):
            if key in person:
                yield from known.judged(key, person[key], Origin(FILE, ("people", name, key)))
    yield from unknown(FILE, agency.data, known)
    yield from unusable(FILE, agency.data)


def unknown(file: str, data: Mapping[str, Any], known: Known) -> Iterator[Finding]:
    """Members of a file's `teams` that are no person, and holders of its `roles` that are no person or team."""
    for team, said in data.get("teams", {}).items():
        for index, member in enumerate(said.get("members", ())):
            yield from known.judged("members", member, Origin(file, ("teams", team, "members", index)))
    for role, holders in data.get("roles", {}).items():
        for index, holder in enumerate(holders):
            yield from known.judged("roles", holder, Origin(file, ("roles", role, index)))


def _systems(agency: Agency) -> Iterator[Finding]:
    seen: list[tuple[str, Mapping[str, Any]]] = []
    for name, (side, settings) in agency.providers.items():
        plain = {key: value for key, value in settings.items() if key not in _BESIDE}
        twin = next((other for other, known in seen if known == plain), None)
        if twin is not None:
            origin = Origin(FILE, ("providers", side, name))
            yield SAME_SYSTEM.at(name, f"`{name}` has the same settings as `{twin}`.", origin)
        seen.append((name, plain))
