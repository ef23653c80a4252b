"""PowerDNS: the contract on a real server, and what is its own: requests, faults on the way, what others keep there."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import dns.message
import dns.query
import pytest

from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.model import Scope
from reconciler.providers import _http, _sets, powerdns
from tests.providers.contract import NAME, OURS, DnsContract, World, apply, change, create, make, read, texts
from tests.servers import free_port, need
from tests.servers.dns import PowerDns
from tests.servers.faults import CUT_AFTER, CUT_BEFORE, Fault, Faulty, says, slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reconciler.model import Resource

pytestmark = need("pdns_server")
TOKEN = '"site-" "verification=1"'  # two strings: whoever wrote it so finds it so
NAMED = {"nameservers": ["ns1.agency.example", "ns2.agency.example."]}


def record(name: str, *values: str, domain: str = "a.example", ttl: int | None = None) -> Resource:
    return make("record", name, domain, values=values, **({} if ttl is None else {"ttl": ttl}))


MX = record("MX/a.example", "10 mx.a.example.")
SPF = record("TXT/a.example", "v=spf1 -all", ttl=300)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDns]:
    with PowerDns(tmp_path_factory.mktemp("pdns")) as server:
        yield server


@pytest.fixture
def server(running: PowerDns) -> Iterator[PowerDns]:
    """A server without zones."""
    yield running
    running.clear()


def connect(url: str, **settings: Any) -> powerdns.PowerDns:
    return powerdns.connect(NAME, {"url": url, "key": PowerDns.key, **settings}, "/")


@pytest.fixture
def zones(server: PowerDns) -> powerdns.PowerDns:
    return connect(server.url)


@pytest.fixture
def between(server: PowerDns) -> Iterator[Faulty]:
    """What stands between the provider and the server."""
    with Faulty(server.api) as faulty:
        yield faulty


@pytest.fixture
def faulty(between: Faulty) -> powerdns.PowerDns:
    """A provider that asks over it."""
    return connect(between.url)


def contents(server: PowerDns, key: str, zone: str = "a.example") -> list[str]:
    return sorted(one["content"] for one in server.rrsets(zone).get(key, {"records": []})["records"])


class TestPowerDns(DnsContract):
    @pytest.fixture
    def world(self, server: PowerDns) -> World:
        url = server.url

        def provider() -> powerdns.PowerDns:
            return connect(url)

        def plant() -> Callable[[], object]:
            there = contents(server, "TXT/a.example")
            note = [{"content": "ask Anna", "account": "anna", "modified_at": 1700000000}]
            server.put("TXT/a.example", *there, TOKEN, comments=note)
            server.put("LUA/geo.a.example", "A \"ifportup(443, {'192.0.2.1'})\"")
            server.put("ALIAS/shop.a.example", "shop.example.", comments=note)
            server.put("A/old.a.example", {"content": "192.0.2.9", "disabled": True})
            foreign = [f"{key}.a.example" for key in ("LUA/geo", "ALIAS/shop", "A/old")]

            def look() -> object:
                rrsets = server.rrsets("a.example")
                shared = rrsets["TXT/a.example"]
                kept = [one for one in shared["records"] if one["content"] == TOKEN]
                return kept, shared["comments"], [rrsets[key] for key in foreign]

            return look

        def sever() -> None:
            nonlocal url
            url = f"http://127.0.0.1:{free_port()}"

        def tamper(thing: Resource) -> None:
            server.put("MX/a.example", *thing.get("values"))

        return World(provider, plant, tamper, sever, secrets=(server.key,))

    def odd(self, domain: str) -> list[Resource]:
        """Without the names that the API takes from nobody; they have a test of their own."""
        return [thing for thing in super().odd(domain) if "+" not in thing.address.name]


# What the server holds, and what of it is whose


def test_queries_are_answered_at_once(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """Every sample and every odd value is answered as it was aimed at, and so is a change."""
    contract = TestPowerDns()
    things = [*contract.samples("a.example"), *contract.odd("a.example")]
    create(zones, OURS, things)
    was, _, ours = contract.moved("a.example")
    apply(zones, OURS, change(was, ours))
    for thing in (*(thing for thing in things if thing != was), ours):
        type_, _, name = thing.address.name.partition("/")
        reply = dns.query.tcp(dns.message.make_query(name, type_), "127.0.0.1", port=server.port, timeout=5)
        assert {_sets.text_of(data) for found in reply.answer for data in found} == set(thing.get("values")), name


def test_a_name_the_api_does_not_take_is_refused(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """PowerDNS takes letters, digits and -_/ in names; it says so, and nothing of the batch is there, nor the zone."""
    things = [SPF, record("TXT/a+b._report.a.example", "v=DMARC1")]
    why = r"live: PowerDNS at .* 422: Name 'a\+b.* unsupported characters"
    with pytest.raises(Refused, match=why):
        create(zones, OURS, things)
    assert server.ask("GET", "/zones") == []
    create(zones, OURS, [MX])
    with pytest.raises(Refused, match=why):
        create(zones, OURS, things)
    assert set(read(zones)) == {MX.address}


def test_such_a_name_that_is_there_is_read(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """What others put there by the database is answered under its name."""
    create(zones, OURS, [MX])
    names = ["a+b", "e=mc", "Big", "*.w", "sl/ash", "at@"]
    server.sql("".join(INSERT.format(name=f"{name}.a.example", type="A", content="192.0.2.1") for name in names))
    found = {address.name for address in read(zones)}
    assert found == {"MX/a.example", *(f"A/{name.lower()}.a.example" for name in names)}


INSERT = """
INSERT INTO records (domain_id, name, type, content, ttl, disabled, auth)
SELECT id, '{name}', '{type}', '{content}', 60, 0, 1 FROM domains WHERE name = 'a.example';
"""


def test_what_somebody_disabled_stays(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """It is not live, no change enables or removes it, and beside it a set comes and goes."""
    create(zones, OURS, [MX])
    asleep = {"content": "192.0.2.9", "disabled": True}
    server.put("A/www.a.example", asleep)
    ours = record("A/www.a.example", "192.0.2.1")
    assert ours.address not in read(zones)
    create(zones, OURS, [ours])
    assert read(zones)[ours.address].get("values") == ("192.0.2.1",)
    later = ours.having(values=("192.0.2.2",))
    apply(zones, OURS, change(ours, later))
    assert asleep in server.rrsets("a.example")["A/www.a.example"]["records"]
    apply(zones, OURS, change(later, None))
    assert server.rrsets("a.example")["A/www.a.example"]["records"] == [asleep]
    create(zones, OURS, [record("A/www.a.example", "192.0.2.9")])
    assert server.rrsets("a.example")["A/www.a.example"]["records"] == [asleep | {"disabled": False}]


def test_comments_of_a_set_that_changes_stay(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """They belong to whoever wrote them; a set that goes takes them along."""
    note = {"content": "ask Anna", "account": "anna", "modified_at": 1700000000}
    create(zones, OURS, [MX])
    server.put("MX/a.example", "10 mx.a.example.", comments=[note])
    later = MX.having(values=("10 mx2.a.example.",), ttl=60)
    apply(zones, OURS, change(read(zones)[MX.address], later))
    assert server.rrsets("a.example")["MX/a.example"]["comments"] == [note]
    apply(zones, OURS, change(later, None))
    assert "MX/a.example" not in server.rrsets("a.example")


def test_a_text_is_read_however_it_is_spelled(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """One string beyond 255 bytes, raw UTF-8, escapes; beside ours each keeps its spelling."""
    create(zones, OURS, [SPF])
    spelled = {
        f'"{"x" * 300}"': "x" * 300,
        '"caf\u00e9"': "café",
        r'"\195\169" "2"': "é2",
        TOKEN: "site-verification=1",
    }
    server.put("TXT/a.example", *spelled, '"v=spf1 -all"')
    assert set(read(zones)[SPF.address].get("values")) == {*spelled.values(), "v=spf1 -all"}
    apply(zones, OURS, change(SPF, SPF.having(values=("v=spf1 ~all",))))
    assert contents(server, "TXT/a.example") == sorted([*spelled, '"v=spf1 ~all"'])


def test_a_record_that_cannot_be_read_is_its_zones_error(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """Nonsense in the database: that domain has an error, the others an answer, and nothing is written there."""
    b = Scope("b.example", "b.example", create=True)
    create(zones, OURS, [MX])
    create(zones, b, [record("A/b.example", "192.0.2.1", domain="b.example")])
    for type_, content in [("TXT", '"open'), ("A", "no address"), ("MX", "ten mx")]:
        server.sql(INSERT.format(name="x.a.example", type=type_, content=content))
        answer = zones.read([OURS, b])
        assert isinstance(answer["a.example"], ProviderError), type_
        assert isinstance(answer["b.example"], tuple)
        with pytest.raises(ProviderError):
            create(zones, OURS, [SPF])
        server.sql("DELETE FROM records WHERE name = 'x.a.example'")
    server.sql("UPDATE records SET ttl = 4294967295 WHERE type = 'MX'")
    assert "MX/a.example, whose name or TTL" in str(zones.read([OURS])["a.example"])


# Zones


@pytest.mark.parametrize(
    ("kind", "made"), [({}, "Native"), ({"kind": "Primary"}, "Master"), ({"kind": "Master"}, "Master")]
)
def test_a_new_zone_names_its_servers(server: PowerDns, kind: dict[str, str], made: str) -> None:
    """SOA and NS are those of the settings, and the serial moves by one with each batch."""
    zones = connect(server.url, **NAMED, **kind)
    assert (zones.cautions, set(connect(server.url).cautions)) == ({}, {"zone"})
    create(zones, OURS, [MX])
    rrsets = server.rrsets("a.example")
    soa = "ns1.agency.example. hostmaster.agency.example. {} 86400 7200 3600000 3600"
    assert contents(server, "SOA/a.example") == [soa.format(1)]
    assert contents(server, "NS/a.example") == ["ns1.agency.example.", "ns2.agency.example."]
    assert set(rrsets) == {"SOA/a.example", "NS/a.example", "MX/a.example"}
    apply(zones, OURS, change(None, SPF), change(MX, MX.having(ttl=60)))
    assert contents(server, "SOA/a.example") == [soa.format(2)]
    assert server.ask("GET", "/zones/a.example.")["kind"] == made


def test_a_missing_zone_is_an_error_unless_it_may_be_made(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """Without `create` its domain is Missing, with the remedy, and nothing is made."""
    strict = Scope("b.example", "b.example")
    answer = zones.read([OURS, strict])
    assert answer["a.example"] == ()
    assert isinstance(answer["b.example"], Missing)
    assert "zone: {create: true}" in str(answer["b.example"])
    with pytest.raises(Missing):
        create(zones, strict, [record("A/b.example", "192.0.2.1", domain="b.example")])
    assert server.ask("GET", "/zones") == []


def test_two_domains_share_a_zone(zones: powerdns.PowerDns) -> None:
    """A domain inside another's zone is read and written there; the upper one sees all that is below it."""
    labs = Scope("labs.a.example", "a.example")
    mx = record("MX/labs.a.example", "10 mx.a.example.", domain="labs.a.example")
    create(zones, OURS, [MX])
    create(zones, labs, [mx])
    answer = zones.read([OURS, labs])
    assert [thing.address for thing in answer["labs.a.example"]] == [mx.address]
    assert mx.address in {thing.address for thing in answer["a.example"]}


def test_a_zone_that_was_made_by_half_is_refused(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """The server makes the zone before its records: when it dies between, there is no SOA, and no serial to move."""
    server.sql("INSERT INTO domains (name, type) VALUES ('a.example', 'NATIVE')")
    assert read(zones) == {}
    with pytest.raises(Refused, match=r"without SOA.*`pdnsutil delete-zone a\.example`"):
        create(zones, OURS, [MX])


def test_what_would_reach_nobody_is_refused(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """A copy is overwritten by its primary; a primary whose serial stays tells its secondaries nothing."""
    create(zones, OURS, [MX])
    for metadata, why in [({"kind": "Slave"}, "only a copy"), ({"kind": "Master", "soa_edit_api": ""}, "SOA-EDIT-API")]:
        server.ask("PUT", "/zones/a.example.", metadata)
        assert MX.address in read(zones)
        with pytest.raises(Refused, match=why):
            create(zones, OURS, [SPF])
    assert SPF.address not in read(zones)


def test_an_alias_takes_a_names_place(zones: powerdns.PowerDns) -> None:
    """In one batch, whatever the order: the server refuses a CNAME while another type is there."""
    www, alias = record("A/www.a.example", "192.0.2.1"), record("CNAME/www.a.example", "web.agency.example.")
    create(zones, OURS, [www])
    apply(zones, OURS, change(None, alias), change(www, None))
    apply(zones, OURS, change(None, www), change(alias, None))
    with pytest.raises(Conflict, match="cannot have a CNAME beside"):
        create(zones, OURS, [alias])
    assert set(read(zones)) == {www.address}


def test_the_zone_of_the_identity_is_no_domain(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """It is answered to nobody and takes no records."""
    zones.identify("a" * 32)
    own = Scope("reconciler-identity.invalid", "reconciler-identity.invalid", create=True)
    assert zones.read([own]) == {own.domain: ()}
    with pytest.raises(Refused):
        create(zones, own, [record("A/reconciler-identity.invalid", "192.0.2.1", domain=own.domain)])
    assert zones.identity() == "a" * 32


def test_an_identity_that_is_half_there_is_none(server: PowerDns, zones: powerdns.PowerDns, monkeypatch) -> None:
    """A zone without its record, or with two, is an error that says what to do, and never a system without one."""
    monkeypatch.setattr(powerdns, "_BUSY", (0, 0))
    server.sql("INSERT INTO domains (name, type) VALUES ('reconciler-identity.invalid', 'NATIVE')")
    for ask in (zones.identity, lambda: zones.identify("a" * 32)):
        with pytest.raises(ProviderError, match="delete that zone"):
            ask()


# Requests


def test_requests_are_counted(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """One list in a run, one look for each zone; a look and a write for each batch; one look for the identity."""
    b = Scope("b.example", "b.example", create=True)
    create(faulty, OURS, [MX, SPF])
    create(faulty, b, [record("A/b.example", "192.0.2.1", domain="b.example")])
    assert [method for method, _ in between.asked] == ["GET", "POST", "GET", "POST"]
    between.asked.clear()
    faulty.read([OURS, Scope("labs.a.example", "a.example"), b, Scope("c.example", "c.example", create=True)])
    looks = [path.rpartition("/")[2] for _, path in between.asked]
    assert sorted(looks) == ["a.example.?rrsets=true", "b.example.?rrsets=true", "zones?dnssec=false"]
    between.asked.clear()
    again = faulty.read([OURS, Scope("c.example", "c.example"), Scope("d.example", "d.example", create=True)])
    looks = [path.rpartition("/")[2] for _, path in between.asked]
    assert sorted(looks) == ["a.example.?rrsets=true", "c.example.?rrsets=true", "d.example.?rrsets=true"]
    assert (type(again["c.example"]), again["d.example"]) == (Missing, ())
    between.asked.clear()
    apply(faulty, OURS, change(MX, None), change(SPF, SPF.having(ttl=60)))
    assert [method for method, _ in between.asked] == ["GET", "PATCH"]
    between.asked.clear()
    assert (faulty.read([]), faulty.identity(), len(between.asked)) == ({}, None, 1)


@pytest.mark.parametrize(
    "faults",
    [[says(429, Retry_After="0")], [says(500), says(503)], [CUT_BEFORE], [CUT_AFTER, CUT_AFTER], [Fault(sent=9)]],
    ids=["too many", "failed twice", "cut", "answer lost twice", "half an answer"],
)
def test_a_read_is_tried_again(between: Faulty, faulty: powerdns.PowerDns, faults: list[Fault]) -> None:
    """Whatever happened on the way, it is asked twice more before it is an error."""
    create(faulty, OURS, [MX])
    between.faults["GET"] = list(faults)
    assert set(read(faulty)) == {MX.address}
    between.faults["GET"] = faults * 3
    with pytest.raises(ProviderError, match=r"^live: PowerDNS at 127\.0\.0\.1:\d+ "):
        read(faulty)


def test_a_server_that_asks_for_long_patience_is_left_alone(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """It is not asked again before its time; it is not asked for the other zones either."""
    scopes = [Scope(f"n{n}.example", f"n{n}.example", create=True) for n in range(12)]
    for scope in scopes:
        create(faulty, scope, [record(f"A/{scope.domain}", "192.0.2.1", domain=scope.domain)])
    between.asked.clear()
    between.faults["GET"] = [Fault(), *[says(429, Retry_After="3600")] * 12]
    with suppress(Unreachable):  # where one thread heard it before the others had asked, it is said once for all
        assert {type(error) for error in faulty.read(scopes).values()} == {Unreachable}
    assert len(between.asked) <= 1 + 2 * 4  # four threads, each with perhaps one on its way
    between.faults["GET"] = [says(429, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"), says(429, Retry_After="x" * 9999)]
    with pytest.raises(Unreachable):
        connect(between.url).read(scopes)


def test_connections_stay_open_where_the_server_lets_them(server: PowerDns) -> None:
    """One does for all that is asked one after the other; one that has ended meanwhile costs a change nothing."""
    with Faulty(server.api, keeps=0.3) as keeping:
        zones = connect(keeping.url)
        create(zones, OURS, [MX])
        read(zones)
        assert (keeping.clients, len(keeping.asked)) == (1, 4)
        threading.Event().wait(0.6)
        apply(zones, OURS, change(MX, MX.having(ttl=60)))
        assert keeping.clients == 2
        assert [method for method, _ in keeping.asked[4:]] == ["GET", "PATCH"]
        zones.close()


@pytest.mark.parametrize(
    "fault", [says(429, Retry_After="0"), says(500, b"Internal Server Error")], ids=["too many", "failed"]
)
def test_a_write_that_failed_is_made_after_another_look(
    between: Faulty, faulty: powerdns.PowerDns, server: PowerDns, fault: Fault
) -> None:
    """A look between the two, and one change; the same for a zone that is made."""
    between.faults["POST"] = [fault]
    create(faulty, OURS, [MX])
    between.faults["PATCH"] = [fault, fault]
    create(faulty, OURS, [SPF])
    methods = [method for method, _ in between.asked]
    assert methods == ["GET", "POST", "GET", "POST", "GET", "PATCH", "GET", "PATCH", "GET", "PATCH"]
    assert contents(server, "TXT/a.example") == ['"v=spf1 -all"']


def test_a_write_that_failed_and_was_made_all_the_same(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """The second look finds it: done, without a second change."""
    late = Fault(status=500, body=b"Internal Server Error")
    between.faults["POST"] = [late]
    create(faulty, OURS, [MX])
    between.faults["PATCH"] = [late]
    apply(faulty, OURS, change(MX, None), change(None, SPF))
    assert [method for method, _ in between.asked] == ["GET", "POST", "GET", "GET", "PATCH", "GET"]
    assert set(read(faulty)) == {SPF.address}


@pytest.mark.parametrize(("status", "error"), [(429, Conflict), (500, ProviderError)])
def test_what_moved_before_a_second_try_is_seen(
    between: Faulty, faulty: powerdns.PowerDns, server: PowerDns, status: int, error: type[ProviderError]
) -> None:
    """Somebody else writes while we wait: a conflict, but where the first try may have been made nobody promises."""
    create(faulty, OURS, [MX])
    theirs = replace(says(status), before=lambda: server.put("MX/a.example", "10 other.example."))
    between.faults["PATCH"] = [theirs]
    with pytest.raises(ProviderError) as raised:
        apply(faulty, OURS, change(MX, MX.having(ttl=60)))
    assert type(raised.value) is error
    assert contents(server, "MX/a.example") == ["10 other.example."]


def test_a_zone_somebody_makes_meanwhile_is_a_conflict(
    between: Faulty, faulty: powerdns.PowerDns, server: PowerDns
) -> None:
    """And so is a name that a CNAME would share: the server refuses both whole."""
    other = connect(server.url)
    between.faults["POST"] = [Fault(before=lambda: create(other, OURS, [SPF]))]
    with pytest.raises(Conflict):
        create(faulty, OURS, [MX])
    between.faults["PATCH"] = [Fault(before=lambda: server.put("A/www.a.example", "192.0.2.1"))]
    with pytest.raises(Conflict, match="nothing was written"):
        create(faulty, OURS, [MX, record("CNAME/www.a.example", "x.example.")])
    assert {address.name for address in read(other)} == {"TXT/a.example", "A/www.a.example"}


@pytest.mark.parametrize(
    ("fault", "written"),
    [(CUT_BEFORE, False), (CUT_AFTER, True), (Fault(sent=-1, status=204), True), (slow(0.6), True), (says(502), False)],
    ids=["cut before", "cut after", "cut in the answer", "too late", "a proxy's word"],
)
def test_a_write_nobody_knows_of_is_not_repeated(
    between: Faulty, faulty: powerdns.PowerDns, monkeypatch, fault: Fault, written: bool
) -> None:
    """It is an error that promises nothing; what is there is told by the next look."""
    monkeypatch.setattr(_http, "ANSWER", 0.3)
    create(faulty, OURS, [MX])
    between.asked.clear()
    between.faults["PATCH"] = [fault]
    with pytest.raises(ProviderError) as raised:
        create(faulty, OURS, [SPF])
    assert "nothing was written" not in str(raised.value)
    assert [method for method, _ in between.asked] == ["GET", "PATCH"]
    threading.Event().wait(0.5)  # what is on its way arrives
    assert (SPF.address in read(faulty)) == written


def test_a_zone_that_goes_between_list_and_look_is_missing(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """404 for a listed zone is that: gone."""
    create(faulty, OURS, [MX])
    between.faults["GET"] = [Fault(), says(404, b"Not Found")]
    strict = OURS._replace(create=False)
    assert isinstance(faulty.read([strict])["a.example"], Missing)


# Writers that meet


def test_threads_of_a_provider_take_turns(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """Many batches at once, each written by its own first request."""
    domains = [f"n{n}.example" for n in range(24)]

    def write(domain: str) -> None:
        scope = Scope(domain, domain, create=True)
        create(faulty, scope, [record(f"A/{domain}", "192.0.2.1", domain=domain)])
        create(faulty, scope, [record(f"TXT/{domain}", "v=spf1 -all", domain=domain)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, domains))
    answer = faulty.read([Scope(domain, domain) for domain in domains])
    assert [len(answer[domain]) for domain in domains] == [2] * 24
    assert len([method for method, _ in between.asked if method in {"POST", "PATCH"}]) == 48


def test_writers_that_know_nothing_of_each_other_meet(server: PowerDns, zones: powerdns.PowerDns) -> None:
    """The database is locked for some of them: each finds its way in, and all that was written is there."""
    create(zones, OURS, [MX])

    def write(writer: int) -> None:
        own = connect(server.url)
        for n in range(12):
            create(own, OURS, [record(f"A/n{n}.w{writer}.a.example", "192.0.2.1")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(read(zones)) == 1 + 4 * 12


# Who is refused, and what is said


def test_a_wrong_key_is_refused(server: PowerDns) -> None:
    """And no message holds it, wherever it is wrong."""
    key = "geheim-0815"
    zones = powerdns.connect(NAME, {"url": server.url, "key": key}, "/")
    for ask in (lambda: zones.read([OURS]), lambda: create(zones, OURS, [MX]), zones.identity):
        with pytest.raises(Refused, match=r"refuses the key \(401\)") as raised:
            ask()
        assert key not in "".join(texts(raised.value))
    for wrong in (f"{key}\n", f"{key} x", f"{key}é", ""):
        with pytest.raises(Refused, match="`key` must be") as raised:
            powerdns.connect(NAME, {"url": server.url, "key": wrong}, "/")
        assert key not in "".join(texts(raised.value))


def test_a_server_id_that_is_none_is_missing(server: PowerDns) -> None:
    """It is not taken for a server without zones."""
    with pytest.raises(Missing, match="`server_id`"):
        connect(server.url, server_id="else/where").read([OURS])


def test_what_the_server_says_is_short_and_visible(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """Of a refusal: 200 characters, escapes for what a terminal obeys, and nothing at all where it quotes the key."""
    create(faulty, OURS, [MX])
    for said, shown in [("\x1b[31m\u202ered " + "x" * 999, r": \\x1b\[31m\\u202ered x+"), (f"key {PowerDns.key}", "")]:
        between.faults["PATCH"] = [says(422, json.dumps({"error": said}).encode())]
        with pytest.raises(Refused, match=f"answers 422{shown}$") as raised:
            create(faulty, OURS, [SPF])
        assert len(str(raised.value)) < 300
        assert PowerDns.key not in str(raised.value)


ZONE = '{"kind": "Native", "rrsets": [{"name": "a.example.", "type": "TXT", "ttl": %s, "records": [{"content": %s}]}]}'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no JSON", b"\xff", b"null", b"[]", b"{}", b"[" * 100_000, b"9" * 5000, b'{"rrsets": NaN}',
        b'{"kind": "Native", "rrsets": {}}', b'{"kind": "Native", "rrsets": [5]}',
        *((ZONE % said).encode() for said in [
            ("true", '"x"'), ("1.5", '"x"'), ("-1", '"x"'), ("1e999", '"x"'), ("9" * 400, '"x"'), ("60", "null"),
            ("60", '"\\"open"'), ("60", '"\\"\\\\999\\""'), ("60", '"\\ud800"'), ("60", '["x"]'),
        ]),
        (ZONE % ("60", '"x"')).replace("a.example.", "\u00e9\\ud800\u202e.a.example.").encode(),
        (ZONE % ("60", '"x"')).replace('"kind"', '"sort"').encode(),
    ],
)  # fmt: skip
def test_nonsense_is_the_domains_error(between: Faulty, faulty: powerdns.PowerDns, body: bytes) -> None:
    """Whatever is answered for a zone: an error of that domain, in one short visible line."""
    create(faulty, OURS, [MX])
    between.faults["GET"] = [Fault(), says(200, body)]
    error = faulty.read([OURS])["a.example"]
    assert isinstance(error, ProviderError)
    assert str(error).startswith("live: PowerDNS at")
    assert str(error).isprintable()
    assert len(str(error)) < 400
    between.faults["GET"] = [says(200, body.replace(b"[]", b"[5]"))]
    with pytest.raises(ProviderError):
        connect(between.url).read([OURS])


def test_bytes_that_are_no_text_are_read(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """A TXT of any bytes has its values, as in a zone file."""
    create(faulty, OURS, [MX])
    between.faults["GET"] = [Fault(), says(200, (ZONE % ("60", '"\\"?\\""')).encode().replace(b"?", b"\xff"))]
    assert read(faulty)[SPF.address].get("values") == ("\udcff",)


def test_an_answer_beyond_all_measure_is_not_read(between: Faulty, faulty: powerdns.PowerDns, monkeypatch) -> None:
    """Memory is ours."""
    monkeypatch.setattr(_http, "MAX_ANSWER", 1000)
    monkeypatch.setattr(_http, "PAUSES", ())
    between.faults["GET"] = [says(200, b" " * 1001)]
    with pytest.raises(ProviderError):
        faulty.read([OURS])


def test_a_server_that_is_silent_is_unreachable(monkeypatch) -> None:
    """It accepts and says nothing: a timeout, and an error for all."""
    monkeypatch.setattr(_http, "ANSWER", 0.1)
    monkeypatch.setattr(_http, "PAUSES", ())
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:
        zones = connect(f"http://127.0.0.1:{silent.server_address[1]}")
        with pytest.raises(Unreachable, match="TimeoutError"):
            zones.read([OURS])


def test_a_redirect_is_not_followed(between: Faulty, faulty: powerdns.PowerDns) -> None:
    """The key goes to no other host."""
    with Faulty(between.port) as elsewhere:
        between.faults["GET"] = [says(302, Location=elsewhere.url)]
        with pytest.raises(ProviderError, match="302"):
            faulty.read([OURS])
        assert elsewhere.asked == []


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """Of https the certificate is looked at before the key is sent."""
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", *files]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    with Faulty(free_port()) as faulty:
        faulty.socket = context.wrap_socket(faulty.socket, server_side=True)
        zones = connect(faulty.url.replace("http:", "https:"))
        with pytest.raises(Refused, match="does not trust; nothing was sent"):
            zones.read([OURS])
        assert faulty.asked == []
