"""octoDNS as a provider: the contract through two of its classes on real servers, and what is the adapter's own."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar

import dns.message
import dns.query
import pytest
from octodns.provider.base import BaseProvider
from octodns.provider.plan import Plan
from octodns.record import Create, Record
from octodns.zone import Zone
from octodns_bind import ZoneFileProvider
from octodns_powerdns import PowerDnsProvider

from reconciler import runner
from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.model import Scope
from reconciler.providers import _octo, _sets, octodns
from tests import estates
from tests.estates import AGENCY
from tests.providers.contract import IDN, NAME, OURS, DnsContract, World, apply, change, create, make, read, texts
from tests.providers.test_rfc2136 import FOREIGN, HOME, by_hand, held, serving
from tests.servers import free_port, need
from tests.servers.dns import SECRET, PowerDns, UpdatedBind
from tests.servers.faults import CUT_AFTER, CUT_BEFORE, Fault, Faulty, says, slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reconciler.model import Resource

pytestmark = [
    need("pdns_server"),
    pytest.mark.filterwarnings("ignore:.*DEPRECATED.*:DeprecationWarning"),  # of octoDNS, about its packages
]
POWERDNS = "octodns_powerdns.PowerDnsProvider"


def connect(class_: str, settings: dict[str, Any], home: str = HOME) -> octodns.OctoDns:
    return octodns.connect(NAME, {"class": class_, "settings": settings, "identity": home}, "/")


def powerdns(port: int, **more: Any) -> octodns.OctoDns:
    return connect(POWERDNS, {"host": "127.0.0.1", "port": port, "api_key": PowerDns.key, **more})


def record(name: str, *values: str, ttl: int = 3600, domain: str = "a.example") -> Resource:
    return make("record", name, domain, values=values, ttl=ttl)


def rrset(type_: str, content: Any, ttl: Any) -> bytes:
    """An answer of PowerDNS with one record set."""
    one = {"type": type_, "name": "a.example.", "ttl": ttl, "records": [{"content": content}]}
    return json.dumps({"rrsets": [one]}).encode()


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


def test_queries_are_answered(server: PowerDns, zones: octodns.OctoDns) -> None:
    """Each record is answered as it was aimed at: what octoDNS escapes in a text does not reach the wire."""
    contract = TestPowerDns()
    things = [*contract.samples("a.example"), *contract.odd("a.example")]
    create(zones, OURS, things)
    for thing in things:
        type_, _, name = thing.address.name.partition("/")
        reply = dns.query.tcp(dns.message.make_query(name, type_), "127.0.0.1", port=server.port, timeout=5)
        assert {_sets.text_of(data) for found in reply.answer for data in found} == set(thing.get("values")), name


# What a zone is, and what of it is whose


def test_a_zone_that_is_not_there_is_missing_or_made(server: PowerDns, zones: octodns.OctoDns) -> None:
    """Only with `create` a zone counts as empty and is made; else its domain's error says how."""
    strict = OURS._replace(create=False)
    answer = zones.read([strict, IDN])
    assert isinstance(answer["a.example"], Missing)
    assert "zone: {create: true}" in str(answer["a.example"])
    assert answer[IDN.domain] == ()
    with pytest.raises(Missing):
        create(zones, strict, [MX])
    assert [zone["name"] for zone in server.ask("GET", "/zones")] == [f"{HOME}."]
    assert "see that its SOA and NS" in zones.cautions["zone"]


def test_without_the_identitys_zone_nothing_is_made(server: PowerDns, zones: octodns.OctoDns) -> None:
    """A class that sees not even that zone is not believed that others are not there."""
    server.clear()
    answer = zones.read([OURS])["a.example"]
    assert isinstance(answer, Missing)
    assert f"sees no zone {HOME}" in str(answer)
    with pytest.raises(Missing):
        create(zones, OURS, [MX])
    assert zones.identity() is None
    with pytest.raises(Missing):
        zones.identify("a" * 32)
    assert server.ask("GET", "/zones") == []


def test_the_identity_is_no_record(server: PowerDns, zones: octodns.OctoDns) -> None:
    """It is not answered with its zone's records, nobody declares it, and what else stands there is no identity."""
    home = Scope(HOME, HOME)
    zones.identify("a" * 32)
    assert read(zones, home) == {}
    mark = record(f"TXT/_reconciler-identity.{HOME}", "a" * 32, domain=HOME)
    for live, aim in ((mark, None), (None, mark)):
        with pytest.raises(Refused, match="identity"):
            apply(zones, home, change(live, aim))
    server.put(f"TXT/_reconciler-identity.{HOME}", '"one"', '"two"', zone=HOME)
    assert zones.identity() == "one two"
    with pytest.raises(Conflict):
        zones.identify("a" * 32)


def test_two_domains_share_a_zone(server: PowerDns, zones: octodns.OctoDns) -> None:
    """A domain below another in its zone is answered by itself too, and the zone is read once."""
    below = Scope("shop.a.example", "a.example")
    things = [MX, record("MX/shop.a.example", "10 mx.shop.example.", domain="shop.a.example")]
    create(zones, OURS, things[:1])
    create(zones, below, things[1:])
    with Faulty(server.api) as between:
        answer = powerdns(between.server_address[1]).read([OURS, below])
        assert [(kind, path.rpartition("/")[2]) for kind, path in between.asked] == [("GET", "a.example.")]
    assert {thing.address for thing in answer["a.example"]} == {thing.address for thing in things}
    assert [thing.address for thing in answer["shop.a.example"]] == [things[1].address]


def test_many_zones_are_each_read(server: PowerDns, zones: octodns.OctoDns) -> None:
    """Over several instances at once: each domain has its own records, and one that is not there says so."""
    names = [f"n{number}.example" for number in range(3 * octodns.FEW)]
    for name in names:
        create(zones, Scope(name, name, create=True), [record(f"TXT/{name}", name, domain=name)])
    answer = zones.read([Scope(name, name) for name in (*names, "none.example")])
    assert isinstance(answer.pop("none.example"), Missing)
    assert {name: [thing.get("values") for thing in things] for name, things in answer.items()} == {
        name: [(name,)] for name in names
    }


def test_a_cname_has_its_name_alone(server: PowerDns, zones: octodns.OctoDns) -> None:
    """Beside a record that nobody declared it is refused whole; after that is gone in the same batch it is made."""
    create(zones, OURS, [MX])
    server.put("A/web.a.example", "192.0.2.1")
    alias = record("CNAME/web.a.example", "web.agency.example.")
    with pytest.raises(Conflict, match="beside A"):
        apply(zones, OURS, change(MX, None), change(None, alias))
    there = read(zones)[record("A/web.a.example").address]
    apply(zones, OURS, change(None, alias), change(there, None))
    assert set(read(zones)) == {MX.address, alias.address}


# What octoDNS cannot hold


@pytest.mark.parametrize("text", ['a "quoted" text', "back\\slash", "é", "\udcff", "tab\t", '"'])
def test_a_text_octodns_may_write_otherwise_is_refused(server: PowerDns, zones: octodns.OctoDns, text: str) -> None:
    """Quotes, backslashes, all beyond printable ASCII: nothing of the batch is written, not even the zone."""
    with pytest.raises(Refused, match="printable ASCII"):
        create(zones, OURS, [MX, record("TXT/x.a.example", text)])
    assert [zone["name"] for zone in server.ask("GET", "/zones")] == [f"{HOME}."]


def test_a_set_with_such_a_text_of_others_is_left_alone(server: PowerDns, zones: octodns.OctoDns) -> None:
    """octoDNS writes a set whole: where a neighbour's text might change, ours is not put beside it, or taken away."""
    create(zones, OURS, [MX, SPF])
    server.put("TXT/a.example", '"v=spf1 -all"', '"a \\"b\\""')
    before = server.rrsets("a.example")
    for aim in (None, SPF.having(values=("v=spf1 ~all",))):
        with pytest.raises(Refused, match="printable ASCII"):
            apply(zones, OURS, change(SPF, aim))
    assert server.rrsets("a.example") == before


@need("named")
def test_bytes_that_are_no_text_make_a_zone_unreadable() -> None:
    """Through the class for BIND a TXT that is no UTF-8 is the error of its zone's domains, and of no other."""
    with serving(UpdatedBind) as running:
        by_hand(running.port, "a.example", ("add", "x", 60, "TXT", '"\\255"'))
        key = {"key_name": "reconciler", "key_secret": SECRET}
        zones = connect("octodns_bind.Rfc2136Provider", {"host": "127.0.0.1", "port": running.port, **key})
        answer = zones.read([OURS, IDN])
    assert "(RdataParseError)" in str(answer["a.example"])
    assert answer[IDN.domain] == ()


@need("named")
def test_a_text_in_quotes_loses_them() -> None:
    """A limit: the class for BIND reads it without, so that a change of its set writes it without."""
    with serving(UpdatedBind) as running:
        by_hand(running.port, "a.example", ("add", "@", 3600, "TXT", '"\\"theirs\\""'))
        key = {"key_name": "reconciler", "key_secret": SECRET}
        zones = connect("octodns_bind.Rfc2136Provider", {"host": "127.0.0.1", "port": running.port, **key})
        create(zones, OURS, [SPF])
        assert ("a.example.", "TXT", '"theirs"') in held(running.port)


def test_a_disabled_record_comes_alive(server: PowerDns, zones: octodns.OctoDns) -> None:
    """A limit: the class for PowerDNS does not see that it is disabled. Comments stay."""
    create(zones, OURS, [MX])
    note = {"content": "ask Anna", "account": "anna", "modified_at": 1700000000}
    server.put("TXT/a.example", {"content": '"theirs"', "disabled": True}, comments=[note])
    create(zones, OURS, [SPF])
    there = server.rrsets("a.example")["TXT/a.example"]
    assert {(one["content"], one["disabled"]) for one in there["records"]} == {
        ('"theirs"', False),
        ('"v=spf1 -all"', False),
    }
    assert there["comments"] == [note]


def test_a_record_that_answers_by_rules_is_left_alone(server: PowerDns) -> None:
    """A dynamic record is read with the values it falls back to; ours would take its rules away."""
    zones = powerdns(server.api, enable_dynamic=True)
    create(zones, OURS, [MX])
    rules = {"pools": {"one": {"values": [{"value": "192.0.2.1"}]}}, "rules": [{"pool": "one"}]}
    data = {"type": "A", "ttl": 60, "value": "192.0.2.9", "dynamic": rules}
    zone = Zone("a.example.", [])
    octo = zones._octo.made()
    octo.apply(Plan(zone, zone, [Create(Record.new(zone, "geo", data))], True))
    before = server.rrsets("a.example")
    there = read(zones)[record("A/geo.a.example").address]
    for aim in (None, there.having(values=("192.0.2.7",))):
        with pytest.raises(Refused, match="answers by rules"):
            apply(zones, OURS, change(there, aim))
    assert server.rrsets("a.example") == before


# Classes and their settings


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "octodns_route53.Route53Provider",
            r'not installed.*pip install .*"mail-reconciler\[octodns\]" octodns-route53$',
        ),
        ("octodns_powerdns.Nothing", "is no provider class"),
        ("octodns.zone.Zone", "is no provider class"),
        ("octodns.nothing.Zone", "is not installed"),
        ("octodns_bind.AxfrSource", "is no provider class"),
        ("octodns_bind.ZoneFileProvider", "zone_files"),
        ("octodns.provider.yaml.YamlProvider", "without a look"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused(path: str, why: str) -> None:
    """Not installed, no provider, or one that writes whole zones without a look: it says so, and what to do."""
    with pytest.raises(Refused, match=f"live: {path} .*{why}"):
        connect(path, {"directory": "."})


def test_a_file_of_the_estate_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would import it from the folder one stands in; only what is installed is."""
    (tmp_path / "octodns_evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refused, match="not installed"):
        connect("octodns_evil.Provider", {})


def test_a_package_that_fails_is_its_providers_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises while it is imported, of which nothing is quoted."""
    (tmp_path / "octodns_broken.py").write_text("raise ValueError('geheim')")
    (tmp_path / "octodns_broken-1.dist-info").mkdir()
    (tmp_path / "octodns_broken-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: octodns-broken\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refused, match=r"cannot be imported \(ValueError\)$") as caught:
        connect("octodns_broken.Provider", {})
    assert "geheim" not in " ".join(texts(caught.value))


def test_settings_that_a_class_does_not_take_are_refused() -> None:
    """By the argument's name, without its value; what only the class itself finds wrong is told by its exception."""
    for settings in ({"host": "x"}, {"host": "x", "api_key": "geheim", "port": "geheim"}):
        with pytest.raises(ProviderError, match=r"api_key|\(ValueError\)") as caught:
            read(connect(POWERDNS, settings))
        assert "geheim" not in " ".join(texts(caught.value))


def test_secrets_stand_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is put in place, in lists too, and one that is not set is named with where it belongs."""
    settings = {"hosts": [{"key": {"env": "OCTO_KEY"}}, "plain"]}
    with pytest.raises(Refused, match=r"OCTO_KEY for `settings\.hosts\.0\.key` is not set"):
        runner._secret(NAME, "settings", settings)
    monkeypatch.setenv("OCTO_KEY", "geheim")
    assert runner._secret(NAME, "settings", settings) == {"hosts": [{"key": "geheim"}, "plain"]}


def test_a_class_that_writes_blindly_is_found_out(tmp_path: Path) -> None:
    """It sees no zone, that of the identity neither: nothing is read as absent, and no file is written over."""
    file = tmp_path / "a.example."
    file.write_text("what others wrote\n")
    settings = {"directory": str(tmp_path)}
    zones = octodns.OctoDns(NAME, _octo.Octo(NAME, ZoneFileProvider, settings), HOME)
    answer = zones.read([OURS, OURS._replace(domain="b.example", zone="b.example", create=False)])
    assert all("without a look" in str(error) for error in answer.values())
    with pytest.raises(Missing, match="without a look"):
        create(zones, OURS, [MX])
    with pytest.raises(Missing, match="without a look"):
        zones.identify("a" * 32)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(file.name, "what others wrote\n")]


def test_a_class_told_to_write_nothing_is_refused(server: PowerDns) -> None:
    """octoDNS passes over a change then, and calls it done."""
    with pytest.raises(Refused, match="apply_disabled"):
        create(powerdns(server.api, apply_disabled=True), OURS, [MX])


class Shop(BaseProvider):
    """A class that keeps what it wrote as octoDNS has it, says nothing of zones, and adds something to each record."""

    SUPPORTS = frozenset({"A", "TXT"})
    SUPPORTS_GEO = False
    kept: ClassVar[dict[str, dict[tuple[str, str], Any]]] = {}

    def __init__(self, name: str) -> None:
        self.log = logging.getLogger(f"Shop[{name}]")
        super().__init__(name)

    def populate(self, zone: Any, target: bool = False, lenient: bool = False) -> None:
        for one in self.kept.get(zone.name, {}).values():
            zone.add_record(one, lenient=lenient)

    def _apply(self, plan: Any) -> None:
        for one in plan.changes:
            if one.new is None:
                del self.kept[plan.desired.name][one.existing.name, one.existing._type]
            else:
                one.new.octodns.setdefault("shop", {"proxied": True})
                self.kept[plan.desired.name][one.new.name, one.new._type] = one.new


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> octodns.OctoDns:
    monkeypatch.setattr(Shop, "kept", {"a.example.": {}, f"{HOME}.": {}})
    return octodns.OctoDns(NAME, _octo.Octo(NAME, Shop, {}), HOME)


def test_a_class_that_does_not_say_whether_a_zone_is_there(shop: octodns.OctoDns) -> None:
    """With records in it it is there; without any nobody knows, and nothing is written."""
    assert "does not say whether" in str(shop.read([OURS])["a.example"])
    with pytest.raises(ProviderError, match="does not say whether"):
        create(shop, OURS, [SPF])
    seed(shop)
    create(shop, OURS, [SPF])
    assert SPF.address in read(shop)


def seed(shop: octodns.OctoDns) -> None:
    zone = Zone("a.example.", [])
    Shop.kept["a.example."]["www", "A"] = Record.new(zone, "www", {"type": "A", "ttl": 60, "value": "192.0.2.1"})


def test_what_a_service_keeps_beside_the_values_stays(shop: octodns.OctoDns) -> None:
    """Such as that requests go through its proxy: a change of values or TTL takes it along."""
    seed(shop)
    www = read(shop)[record("A/www.a.example").address]
    Shop.kept["a.example."]["www", "A"].octodns = {"shop": {"proxied": False}}
    apply(shop, OURS, change(www, www.having(values=("192.0.2.2",), ttl=300)))
    kept = Shop.kept["a.example."]["www", "A"]
    assert (kept.values, kept.ttl, kept.octodns) == (["192.0.2.2"], 300, {"shop": {"proxied": False}})


def test_a_type_that_a_class_has_not_is_known(shop: octodns.OctoDns) -> None:
    """Beforehand, for the plan to say; and where a class says otherwise by then, nothing is written."""
    assert sorted(shop.cautions) == ["record.AAAA", "record.CAA", "record.CNAME", "record.MX", "record.SRV",
                                     "record.TLSA", "zone"]  # fmt: skip
    seed(shop)
    with pytest.raises(Refused, match="cannot hold this MX"):
        create(shop, OURS, [SPF, MX])
    assert set(Shop.kept["a.example."]) == {("www", "A")}


# What goes wrong on the way


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        (says(401, b'{"error": "geheim"}'), Refused, r"\(Exception, HTTP status 401\)"),
        (says(403, b"geheim"), Refused, r"\(HTTPError, HTTP status 403\)"),
        (says(500, b"geheim"), ProviderError, r"\(HTTPError, HTTP status 500\)"),
        (says(503, b"geheim"), Unreachable, r"\(HTTPError, HTTP status 503\)"),
        (says(429, b"geheim"), Unreachable, r"\(HTTPError, HTTP status 429\)"),
        (says(418, b"geheim"), ProviderError, r"\(HTTPError, HTTP status 418\)"),
        (CUT_BEFORE, Unreachable, r"\(ConnectionError\)"),
        (says(200, b"geheim"), ProviderError, r"\(JSONDecodeError\)"),
        (says(200, b"[]"), ProviderError, ""),
        (says(200, b'{"rrsets": 5}'), ProviderError, ""),
        (says(200, b'{"rrsets": [{"type": "A"}]}'), ProviderError, ""),
        (says(200, b'{"rrsets": [{"type": ["A"], "name": 5}]}'), ProviderError, ""),
        (says(200, b"[" * 100_000), ProviderError, r"\(RecursionError\)"),
        *((says(200, rrset("A", "192.0.2.1", ttl)), ProviderError, "") for ttl in (10**30, -1, "x", None, [])),
        (says(200, rrset("A", ["192.0.2.1"], 60)), ProviderError, ""),
        (says(200, rrset("MX", "x mx.a.example.", 60)), ProviderError, ""),
        (says(200, rrset("MX", f"{'9' * 5000} mx.a.example.", 60)), ProviderError, ""),
    ],
)
def test_an_answer_that_is_none_is_the_domains_error(
    server: PowerDns, fault: Fault, kind: type[ProviderError], why: str
) -> None:
    """Of it no word is quoted but the class of what was raised and its HTTP status."""
    with Faulty(server.api) as between:
        between.faults["GET"] = [fault]
        answer = powerdns(between.server_address[1]).read([OURS])["a.example"]
    assert type(answer) is kind
    assert re.fullmatch(f"live: octodns_powerdns.PowerDnsProvider did not read the zone a.example .*{why}", str(answer))
    assert not {"geheim", PowerDns.key} & set(re.findall(r"[\w-]+", " ".join(texts(answer))))


def test_a_wrong_key_is_refused(server: PowerDns) -> None:
    """By the real servers, reading and writing; no message holds the key."""
    wrong = connect(POWERDNS, {"host": "127.0.0.1", "port": server.api, "api_key": "geheim"})
    with serving(UpdatedBind) as bind:
        key = {"key_name": "reconciler", "key_secret": "Z2VoZWlt"}
        for zones in (wrong, connect("octodns_bind.Rfc2136Provider", {"host": "127.0.0.1", "port": bind.port, **key})):
            with pytest.raises(ProviderError, match=r"did not read the zone a\.example") as error:
                create(zones, OURS, [MX])
            assert isinstance(zones.read([OURS])["a.example"], ProviderError)
            assert not {"geheim", "Z2VoZWlt"} & set(re.findall(r"\w+", " ".join(texts(error.value))))


def test_a_service_that_takes_too_long_is_unreachable(server: PowerDns, zones: octodns.OctoDns) -> None:
    """Reading; of a write it is not known what came of it, and it is not sent twice."""
    create(zones, OURS, [SPF])
    with Faulty(server.api) as between:
        late = powerdns(between.server_address[1], timeout=0.2)
        between.faults = {"GET": [slow(0.5)]}
        assert isinstance(late.read([OURS])["a.example"], Unreachable)
        between.faults = {"PATCH": [slow(0.5)]}
        with pytest.raises(ProviderError, match=r"failed while it changed.*the next plan shows"):
            create(late, OURS, [MX])
        while MX.address not in read(zones):  # it comes in later
            time.sleep(0.05)
        assert [kind for kind, _ in between.asked].count("PATCH") == 1


def test_a_service_that_has_a_floor_for_the_ttl(shop: octodns.OctoDns) -> None:
    """A limit: a TTL reads back as the service keeps it, so that a lower one in Git differs from it in each plan."""
    seed(shop)
    brief = record("TXT/t.a.example", "x", ttl=5)
    create(shop, OURS, [brief])
    Shop.kept["a.example."]["t", "TXT"].ttl = 60
    assert read(shop)[brief.address] == brief.having(ttl=60)


def test_what_is_as_aimed_at_is_not_written(server: PowerDns, zones: octodns.OctoDns) -> None:
    """A look, and no request after it."""
    create(zones, OURS, [MX, SPF])
    with Faulty(server.api) as between:
        apply(powerdns(between.server_address[1]), OURS, change(MX, MX), change(SPF, SPF))
        assert {method for method, _ in between.asked} == {"GET"}


def test_a_service_that_is_gone_is_not_asked_for_the_rest(server: PowerDns) -> None:
    """Once by each thread, and each zone has the error."""
    scopes = [Scope(f"n{number}.example", f"n{number}.example") for number in range(100)]
    with Faulty(server.api) as between:
        between.faults["GET"] = [says(503)] * 100
        answer = powerdns(between.server_address[1]).read(scopes)
        assert len(between.asked) == octodns.THREADS
    assert {type(error) for error in answer.values()} == {Unreachable}


def test_a_zone_that_fails_stops_no_other(server: PowerDns, zones: octodns.OctoDns) -> None:
    """A service that fails over one zone (500) is there for the next."""
    create(zones, OURS, [MX])
    with Faulty(server.api) as between:
        between.faults["GET"] = [says(500)]
        answer = powerdns(between.server_address[1]).read([IDN, OURS])
    assert isinstance(answer[IDN.domain], ProviderError)
    assert isinstance(answer["a.example"], tuple)


def test_a_write_nobody_knows_of_is_not_repeated(server: PowerDns, zones: octodns.OctoDns) -> None:
    """The answer is lost: it is an error of unknown outcome, one request was sent, and the next read tells."""
    create(zones, OURS, [SPF])
    with Faulty(server.api) as between:
        between.faults["PATCH"] = [CUT_AFTER]
        with pytest.raises(ProviderError, match=r"failed while it changed.*the next plan shows") as caught:
            create(powerdns(between.server_address[1]), OURS, [MX])
        assert [kind for kind, _ in between.asked].count("PATCH") == 1
    assert type(caught.value) is ProviderError
    assert set(read(zones)) == {MX.address, SPF.address}


def test_what_octodns_logs_is_not_shown(
    server: PowerDns, zones: octodns.OctoDns, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It logs answers whole, and Python writes to standard error what nobody handles."""
    create(zones, OURS, [SPF])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with Faulty(server.api) as between:
        between.faults["PATCH"] = [says(422, b'{"error": "geheim"}')]
        with pytest.raises(ProviderError):
            create(powerdns(between.server_address[1]), OURS, [MX])
    assert capfd.readouterr() == ("", "")


# All of it together


def test_an_estate_through_octodns(server: PowerDns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned, applied, settled: the command line over it. A type that the class has not is an error of the plan."""
    monkeypatch.setenv("PDNS_KEY", server.key)
    given = f"{{host: 127.0.0.1, port: {server.api}, api_key: {{env: PDNS_KEY}}}}"
    files = f"{{type: octodns, class: {POWERDNS}, identity: {HOME}, settings: {given}}}"
    agency = re.sub(r"\{type: zone_files.*?\]\}", files, AGENCY)
    estate = estates.make(tmp_path / "estate", estates.northwind(), agency=agency)
    run = estate.apply()
    assert run.code == 0, run.out
    settled = estate.run("plan", "--exit-code")
    assert settled.code == 0, settled.out
    monkeypatch.setattr(PowerDnsProvider, "SUPPORTS", PowerDnsProvider.SUPPORTS - {"TLSA"})
    estate.write(estates.dns(f"records:\n  - {{name: _25._tcp.mx, type: TLSA, values: [3 1 1 {'ab' * 32}]}}\n"))
    found = [one for one in estate.plan()["tenants"][0]["findings"] if one["code"] == "PL211"]
    (text,) = [one["detail"] for one in found]
    assert text.startswith("octodns_powerdns.PowerDnsProvider has no TLSA records.")
