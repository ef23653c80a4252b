"""octoDNS as a provider: the contract through two of its classes on real servers, and what is the adapter's own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.changes import Batch
from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.model import Scope
from reconciler.providers import _octo, octodns
from tests.providers.contract import IDN, NAME, OURS, DnsContract, World, apply, change, create, make, read, texts
from tests.providers.test_rfc2136 import FOREIGN, HOME, by_hand, held, serving
from tests.servers import free_port, need
from tests.servers.dns import SECRET, PowerDns, UpdatedBind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reconciler.model import Resource

pytestmark = pytest.mark.filterwarnings("ignore:.*DEPRECATED.*:DeprecationWarning")  # of octoDNS among its packages
POWERDNS = "octodns_powerdns.PowerDnsProvider"
PLAIN = r"[ !#-\[\]-~]*"


def connect(class_: str, settings: dict[str, Any], home: str = HOME) -> octodns.OctoDns:
    return octodns.connect(NAME, {"class": class_, "settings": settings, "identity": home}, "/")


def powerdns(port: int, **more: Any) -> octodns.OctoDns:
    return connect(POWERDNS, {"host": "127.0.0.1", "port": port, "api_key": PowerDns.key, **more})


def record(name: str, *values: str, ttl: int = 3600, domain: str = "a.example") -> Resource:
    return make("record", name, domain, values=values, ttl=ttl)


MX = record("MX/a.example", "10 mx.agency.example.")
SPF = record("TXT/a.example", "v=spf1 -all")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDns]:
    with PowerDns(tmp_path_factory.mktemp("pdns")) as server:
        yield server


@pytest.fixture
def server(running: PowerDns) -> Iterator[PowerDns]:
    """A server with no zone but that of the identity."""
    running.ask("POST", "/zones", {"name": f"{HOME}.", "kind": "Native", "nameservers": ["ns1.agency.example."]})
    yield running
    running.clear()


@pytest.fixture
def zones(server: PowerDns) -> octodns.OctoDns:
    return powerdns(server.api)


class Plain(DnsContract):
    """Without what octoDNS cannot hold; that it is refused has a test of its own."""

    def odd(self, domain: str) -> list[Resource]:
        texts = [" two  spaces ", "back;slash", "@", "a 'quoted' {text}"]
        things = [thing for thing in super().odd(domain) if all(map(octodns._PLAIN.fullmatch, thing.get("values")))]
        return [*things, self.record("TXT/müller", domain, *texts)]


@need("pdns_server")
class TestPowerDns(Plain):
    @pytest.fixture
    def world(self, server: PowerDns) -> World:
        port = server.api

        def plant() -> Callable[[], object]:
            there = [one["content"] for one in server.rrsets("a.example")["TXT/a.example"]["records"]]
            server.put("TXT/a.example", *there, '"site-verification=1"')
            server.put("LUA/geo.a.example", "A \"ifportup(443, {'192.0.2.1'})\"")
            server.put("SSHFP/shop.a.example", "1 1 0123456789abcdef0123456789abcdef01234567")
            server.put("TXT/odd.a.example", '"a \\"b\\" \\195\\169"')

            def look() -> object:
                rrsets = server.rrsets("a.example")
                shared = [one["content"] for one in rrsets["TXT/a.example"]["records"]]
                foreign = [f"{key}.a.example" for key in ("LUA/geo", "SSHFP/shop", "TXT/odd")]
                return '"site-verification=1"' in shared, [rrsets[key] for key in foreign]

            return look

        def sever() -> None:
            nonlocal port
            port = free_port()

        def tamper(thing: Resource) -> None:
            server.put("MX/a.example", *thing.get("values"))

        return World(lambda: powerdns(port), plant, tamper, sever, (server.key,))

    def odd(self, domain: str) -> list[Resource]:
        """Without the names that PowerDNS takes from nobody."""
        return [thing for thing in super().odd(domain) if "+" not in thing.address.name]


@need("named")
class TestBind(Plain):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        with serving(UpdatedBind) as running:
            port = running.port

            def provider() -> octodns.OctoDns:
                key = {"key_name": "reconciler", "key_secret": SECRET, "key_algorithm": "hmac-sha256"}
                return connect("octodns_bind.Rfc2136Provider", {"host": "127.0.0.1", "port": port, **key})

            def plant() -> Callable[[], object]:
                by_hand(port, "a.example", *(("add", name, 60, type_, text) for name, type_, text in sorted(FOREIGN)))
                return lambda: sorted(FOREIGN - held(port))

            def tamper(thing: Resource) -> None:
                by_hand(port, "a.example", ("replace", "@", 3600, "MX", *thing.get("values")))

            yield World(provider, plant, tamper, running.stop, (SECRET,))
