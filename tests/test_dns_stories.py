"""A cut-over and a rotation of a key, forth and back, on a clock of the test: on PowerDNS, and on Knot by UPDATE."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dns.message
import dns.query
import pytest

from tests.estates import AGENCY, NORTHWIND_DNS, make, northwind
from tests.estates import dns as names
from tests.providers.test_rfc2136 import EMPTY, HOME, serving
from tests.servers import need
from tests.servers.dns import SECRET, PowerDns, UpdatedKnot
from tests.test_cutover import NEW, OLD, SERVERS, Clock, begin, clock  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.estates import Estate

DOMAIN = "northwind.example"
FIRST = "dkim: {sign: [s1], keys: {s1: {type: rsa}}, overlap: 7 days}\n"
SECOND = FIRST.replace("s1", "s2")


@contextmanager
def powerdns() -> Iterator[tuple[int, str]]:
    """(where it answers, the provider's settings)."""
    with TemporaryDirectory() as folder, PowerDns(Path(folder)) as server:
        yield server.port, f"type: powerdns, url: '{server.url}', key: {server.key}"


@contextmanager
def knot() -> Iterator[tuple[int, str]]:
    with serving(UpdatedKnot, DOMAIN, HOME, text=EMPTY) as server:
        key = f"{{name: reconciler, secret: {SECRET}}}"
        yield server.port, f"type: rfc2136, server: '127.0.0.1:{server.port}', identity: {HOME}, key: {key}"


class World:
    """The name server as everybody sees it."""

    def __init__(self, port: int, settings: str) -> None:
        self._port = port
        self._settings = f"{{{settings}, authoritative: ['127.0.0.1:{port}']}}"

    def agency(self, text: str) -> str:
        line = next(line for line in text.splitlines() if "zone_files" in line)
        return text.replace(line, f"  dns: {{zones: {self._settings}}}")

    def says(self, name: str, type_: str) -> tuple[int, list[str]]:
        """(TTL, values) of a set; (0, []) where there is none."""
        asked = dns.message.make_query(f"{name}.{DOMAIN}".removeprefix("@."), type_)
        reply, _ = dns.query.udp_with_fallback(asked, "127.0.0.1", 5, self._port)
        return (reply.answer[0].ttl, sorted(map(str, reply.answer[0]))) if reply.answer else (0, [])

    def mail(self) -> dict[str, Any]:
        """Where it says that the domain's mail is."""
        ttl, mx = self.says("@", "MX")
        spf = " ".join(self.says("@", "TXT")[1])
        known = [server for server in ("oldhost", "agency") if f"spf.{server}.example" in spf]
        return {"mx": mx, "ttl": ttl, "spf": known, "imap": bool(self.says("_imaps._tcp", "SRV")[1])}

    def keys(self) -> dict[str, str]:
        """{selector: the record of its key}, of those that are there."""
        found = {one: " ".join(self.says(f"{one}._domainkey", "TXT")[1]) for one in ("s1", "s2")}
        return {one: text for one, text in found.items() if text}


@pytest.fixture(params=[pytest.param(powerdns, marks=need("pdns_server")), pytest.param(knot, marks=need("knotd"))])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with request.param() as (port, settings):
        yield World(port, settings)


def test_a_domain_moves_and_comes_back(tmp_path: Path, world: World, clock: Clock) -> None:  # noqa: F811
    """TTL, MX, SPF in stages, each as the world sees it; a revert brings all back, from the middle, from the end."""
    old = (
        "server: oldhost\nrecords: [{name: '@', type: MX, values: [10 mx.oldhost.example.], ttl: 1 day, mode: replace, "
        "reason: still there}]\n"
    )
    estate = make(tmp_path / "estate", northwind(names=old), agency=world.agency(SERVERS)).applied()
    before = world.mail()
    assert before == {"mx": OLD, "ttl": 86400, "spf": ["oldhost"], "imap": False}
    begin(estate)
    assert estate.apply().code == 0
    prepared = {"mx": OLD, "ttl": 300, "spf": ["oldhost", "agency"], "imap": False}
    assert world.mail() == prepared
    clock.at("2026-12-05 21:59")
    due(estate)
    assert world.mail() == prepared
    clock.at("2026-12-05 22:00")
    due(estate)
    moved = {"mx": NEW, "ttl": 300, "spf": ["oldhost", "agency"], "imap": True}
    assert world.mail() == moved
    back(estate)
    assert world.mail() == before
    back(estate)  # of the revert: from the beginning, and the old TTL has to run out anew
    assert world.mail() == prepared
    clock.at("2026-12-06 22:01")
    due(estate)
    assert world.mail() == moved
    clock.at("2026-12-09 22:01")
    due(estate)
    assert world.mail() == {"mx": NEW, "ttl": 3600, "spf": ["agency"], "imap": True}
    assert estate.run("plan", "--exit-code").code == 0
    back(estate)
    assert world.mail() == before


def test_a_key_is_rotated_and_comes_back(tmp_path: Path, world: World, clock: Clock) -> None:  # noqa: F811
    """Published, signed with, the old one removed; until then a revert, wherever it stands, signs with the old key."""
    estate = make(tmp_path / "estate", northwind(names=FIRST), agency=world.agency(AGENCY)).applied()
    assert signing(estate) == set()
    due(estate)
    assert (signing(estate), world.keys().keys()) == ({"s1"}, {"s1"})
    first = world.keys()["s1"]
    estate.write({NORTHWIND_DNS: names(SECOND)[NORTHWIND_DNS]})
    assert estate.apply().code == 0
    assert (signing(estate), world.keys().keys()) == ({"s1"}, {"s1", "s2"})
    both = world.keys()
    back(estate)  # the new key is published and nobody signs with it
    assert (signing(estate), world.keys()["s1"]) == ({"s1"}, first)
    back(estate)
    due(estate)
    assert (signing(estate), world.keys()) == ({"s2"}, both)
    back(estate)  # the new key signs: the old one is still there, with its record
    due(estate)
    assert (signing(estate), world.keys()["s1"]) == ({"s1"}, first)
    back(estate)
    due(estate)
    clock.time += timedelta(days=6)
    due(estate, "--purge")
    assert (signing(estate), world.keys()) == ({"s2"}, both)
    clock.time += timedelta(days=2)
    due(estate, "--purge")
    assert (signing(estate), world.keys()) == ({"s2"}, {"s2": both["s2"]})
    assert estate.run("plan", "--exit-code").code == 0


def back(estate: Estate) -> None:
    """The last commit is reverted and applied."""
    estate.git("revert", "--no-edit", "HEAD")
    run = estate.apply()
    assert run.code == 0, run.out


def due(estate: Estate, *more: str) -> None:
    """The apply that a timer makes."""
    run = estate.run("apply", "--due", *more)
    assert run.code == 0, run.out


def signing(estate: Estate) -> set[str]:
    """The selectors that the signer signs with."""
    rows = estate.sql("SELECT dkim_id FROM reconciler_dkim_signing")
    return {name.partition(".")[0] for (name,) in rows}
