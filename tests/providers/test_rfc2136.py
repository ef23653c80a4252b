"""Zones changed by DNS UPDATE: the contract on real Knot and BIND, and what is theirs alone: races, keys, cut answers."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dns.message
import dns.query
import dns.tsig
import dns.update
import dns.zone
import pytest

from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.model import Scope
from reconciler.providers import _primary, rfc2136
from tests.providers.contract import NAME, OURS, DnsContract, World, apply, change, create, make, read
from tests.servers import need
from tests.servers.dns import SECRET, SigningKnot, UpdatedBind, UpdatedKnot
from tests.servers.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.model import Resource
    from tests.servers.dns import NameServer

HOME = "reconciler.example"
ZONES = ("a.example", "xn--bcher-kva.example", HOME)
EMPTY = "$TTL 3600\n@ IN SOA ns1.agency.example. hostmaster.agency.example. 1 86400 7200 3600000 3600\n@ IN NS ns1.agency.example.\n"
KEY = dns.tsig.Key("reconciler", SECRET)
FOREIGN = {
    ("a.example.", "TXT", '"site-verification=1"'),
    ("shop.a.example.", "A", "192.0.2.9"),
    ("shop.a.example.", "AAAA", "2001:db8::9"),
    ("old._domainkey.a.example.", "TXT", '"v=DKIM1; k=rsa; " "p=abc"'),
    ("fp.a.example.", "SSHFP", "1 1 0123456789abcdef0123456789abcdef01234567"),
    ("sub.a.example.", "NS", "ns.sub.a.example."),
    ("ns.sub.a.example.", "A", "192.0.2.53"),
}


@contextmanager
def serving(server: type[NameServer], *names: str, text: str = EMPTY) -> Iterator[NameServer]:
    """The server with these zones, in a folder with a short name: sockets stand in it (108 bytes at most)."""
    with TemporaryDirectory() as folder:
        zones = Path(folder, "zones")
        zones.mkdir()
        for name in names or ZONES:
            (zones / f"{name}.zone").write_text(EMPTY if name == HOME else text)
        with server(zones, Path(folder, "run")) as running:
            yield running


def connect(port: int, **changed: object) -> rfc2136.Rfc2136:
    key = {"name": "reconciler", "secret": SECRET}
    return rfc2136.connect(NAME, {"server": f"127.0.0.1:{port}", "key": key, "identity": HOME, **changed}, "/")


def by_hand(port: int, zone: str, *steps: tuple[str, ...]) -> None:
    """Somebody changes a zone: `("add", "shop", 60, "A", "192.0.2.9")`, `("replace", …)`, `("delete", …)`."""
    message = dns.update.UpdateMessage(zone, keyring=KEY)
    for verb, *words in steps:
        getattr(message, verb)(*words)
    assert dns.query.tcp(message, "127.0.0.1", timeout=5, port=port).rcode() == 0


def held(port: int, zone: str = "a.example") -> set[tuple[str, str, str]]:
    """All records of a zone but its SOA, as dnspython's own reader of transfers has them."""
    found = dns.zone.Zone(zone, relativize=False)
    query = dns.message.make_query(zone, "AXFR")
    query.use_tsig(KEY)
    dns.query.inbound_xfr("127.0.0.1", found, query=query, port=port, timeout=5)
    return {
        (name.to_text(), dns.rdatatype.to_text(data.rdtype), data.to_text())
        for name, _, data in found.iterate_rdatas()
        if data.rdtype != dns.rdatatype.SOA
    }


class Updated(DnsContract):
    server: type[NameServer]

    @pytest.fixture
    def world(self) -> Iterator[World]:
        with serving(self.server) as running:
            port = running.port

            def plant() -> Callable[[], object]:
                by_hand(port, "a.example", *(("add", name, 60, type_, text) for name, type_, text in sorted(FOREIGN)))
                return lambda: sorted(FOREIGN - held(port))

            def tamper(thing: Resource) -> None:
                by_hand(port, "a.example", ("replace", "@", 3600, "MX", *thing.get("values")))

            yield World(lambda: connect(port), plant, tamper, running.stop, (SECRET,))


@need("knotd")
class TestKnot(Updated):
    server = UpdatedKnot


@need("named")
class TestBind(Updated):
    server = UpdatedBind
