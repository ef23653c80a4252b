"""Zones changed by DNS UPDATE: the contract on Knot and BIND, and what is theirs alone: races, keys, cut answers."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dns.message
import dns.query
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone
import pytest

from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.model import Scope
from reconciler.providers import _primary, rfc2136
from tests.providers.contract import IDN, NAME, OURS, DnsContract, World, apply, change, create, make, read, texts
from tests.servers import need
from tests.servers.dns import SECRET, SigningKnot, UpdatedBind, UpdatedKnot, UpdatedPowerDns
from tests.servers.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.model import Resource
    from tests.servers.dns import NameServer

HOME = "reconciler.example"
ZONES = ("a.example", "xn--bcher-kva.example", HOME)
EMPTY = """\
$TTL 3600
@ IN SOA ns1.agency.example. hostmaster.agency.example. 1 86400 7200 3600000 3600
@ IN NS ns1.agency.example.
"""
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


@need("pdns_server")
class TestPowerDns(Updated):
    server = UpdatedPowerDns

    def odd(self, domain: str) -> list[Resource]:
        """Without two texts that differ in capitals alone; they have a test of their own."""
        return [thing for thing in super().odd(domain) if not thing.address.name.startswith("TXT/_capital.")]


def record(name: str, *values: str, ttl: int = 3600) -> Resource:
    return make("record", name, "a.example", values=values, ttl=ttl)


MX = record("MX/a.example", "10 mx1.agency.example.")
SPF = record("TXT/a.example", "v=spf1 -all")
BOTH = [pytest.param(UpdatedKnot, marks=need("knotd")), pytest.param(UpdatedBind, marks=need("named"))]
ALL = [*BOTH, pytest.param(UpdatedPowerDns, marks=need("pdns_server"))]
on_all = pytest.mark.parametrize("server", ALL, indirect=True)


@pytest.fixture(params=BOTH)
def server(request: pytest.FixtureRequest) -> Iterator[NameServer]:
    with serving(request.param) as running:
        yield running


@pytest.fixture
def relay(server: NameServer) -> Iterator[Relay]:
    """What stands between provider and server and can meddle."""
    with Relay(server.port) as relay:
        yield relay


@on_all
def test_one_message_a_zone(relay: Relay) -> None:
    """A read is one transfer per zone on one connection, a batch is a transfer and an update, and no change is none."""
    provider = connect(relay.port)
    create(provider, OURS, [MX, SPF])
    assert relay.asked == [(1, "AXFR a.example"), (1, "UPDATE a.example")]
    relay.asked.clear()
    labs = Scope("labs.a.example", "a.example")
    provider.read([OURS, labs, IDN])
    assert relay.asked == [(2, "AXFR a.example"), (2, f"AXFR {IDN.zone}")]
    relay.asked.clear()
    apply(provider, OURS, change(MX, MX))
    assert relay.asked == [(3, "AXFR a.example")]


@need("knotd")
def test_many_zones_are_read_over_a_few_connections() -> None:
    """Each is asked for once, and each domain gets the answer of its own zone."""
    names = [f"z{n}.example" for n in range(45)]
    with serving(UpdatedKnot, *names, text=EMPTY + "@ MX 10 mx1.agency.example.\n") as server:
        with Relay(server.port) as relay:
            answers = connect(relay.port).read([Scope(name, name) for name in [*names, "none.example"]])
        assert sorted(what for _, what in relay.asked) == sorted(
            [*(f"AXFR {name}" for name in [*names, "none.example"]), "SOA none.example"]
        )
        assert {number for number, _ in relay.asked} <= {1, 2, 3, 4, 5}  # one more after what was missing
        assert isinstance(answers.pop("none.example"), Missing)
        assert {name: [thing.address.name for thing in answer] for name, answer in answers.items()} == {
            name: [f"MX/{name}"] for name in names
        }


@on_all
@pytest.mark.parametrize(
    ("meanwhile", "live", "aim"),
    [
        (("add", "@", 3600, "MX", "20 mx2.agency.example."), MX, MX.having(values=("10 mx3.agency.example.",))),
        (("delete", "@", "MX"), MX, MX.having(ttl=60)),
        (("delete", "@", "MX"), MX, None),
        (("add", "@", 3600, "TXT", '"site-verification=2"'), SPF, SPF.having(values=("v=spf1 ~all",))),
        (("add", "www", 3600, "A", "192.0.2.66"), None, record("A/www.a.example", "192.0.2.1")),
        (("add", "www", 3600, "SSHFP", "1 1 " + "ab" * 20), None, record("CNAME/www.a.example", "a.example.")),
        (("add", "www", 3600, "CNAME", "a.example."), None, record("A/www.a.example", "192.0.2.1")),
    ],
    ids=["more", "gone", "gone-too", "neighbour", "made", "beside-a-cname", "a-cname-beside"],
)
def test_what_moves_under_us_is_refused_by_the_server(relay: Relay, meanwhile, live, aim) -> None:
    """Somebody writes between our look and our update: Conflict, nothing of the batch is made, theirs stays."""
    provider = connect(relay.port)
    create(provider, OURS, [MX, SPF])
    seen: list[set[tuple[str, str, str]]] = []

    def before(what: str) -> None:
        if what.startswith("UPDATE"):
            by_hand(relay.target, "a.example", meanwhile)
            seen.append(held(relay.target))

    relay.before = before
    with pytest.raises(Conflict, match="nothing was written, plan again"):
        apply(provider, OURS, change(None, record("A/other.a.example", "192.0.2.7")), change(live, aim))
    assert [held(relay.target)] == seen


@on_all
def test_a_cname_in_the_place_of_an_address(relay: Relay) -> None:
    """Both go in one update; an address that somebody adds meanwhile is not passed over in silence."""
    provider = connect(relay.port)
    www, alias = record("A/www.a.example", "192.0.2.1"), record("CNAME/www.a.example", "web.agency.example.")
    create(provider, OURS, [www])
    by_hand(relay.target, "a.example", ("add", "www", 60, "AAAA", "2001:db8::1"))
    with pytest.raises(Conflict, match="cannot have a CNAME beside"):
        apply(provider, OURS, change(www, None), change(None, alias))
    by_hand(relay.target, "a.example", ("delete", "www", "AAAA"))
    relay.before = lambda what: (
        by_hand(relay.target, "a.example", ("add", "www", 60, "AAAA", "2001:db8::1")) if what[0] == "U" else None
    )
    with pytest.raises(Conflict, match="nothing was written"):
        apply(provider, OURS, change(www, None), change(None, alias))
    relay.before = lambda _what: None
    by_hand(relay.target, "a.example", ("delete", "www", "AAAA"))
    apply(provider, OURS, change(None, alias), change(www, None))
    assert read(provider) == {alias.address: alias}
    apply(provider, OURS, change(None, www), change(alias, None))
    assert read(provider) == {www.address: www}


@on_all
def test_only_what_changes_is_written(server: NameServer) -> None:
    """Neighbours in a shared set stay as they are cut, without a write; another TTL reaches all of a set of ours."""
    provider = connect(server.port)
    by_hand(server.port, "a.example", ("add", "@", 60, "TXT", '"in " "two parts"', '"site"'))
    create(provider, OURS, [SPF])
    parts = {("a.example.", "TXT", text) for text in ('"in " "two parts"', '"site"', '"v=spf1 -all"')}
    assert parts < held(server.port)
    assert read(provider)[SPF.address].get("ttl") == 60
    apply(provider, OURS, change(SPF, None))
    assert held(server.port) & parts == {part for part in parts if "spf" not in part[2]}
    pair = record("A/www.a.example", "192.0.2.1", "192.0.2.2", ttl=300)
    create(provider, OURS, [pair])
    for aim in (pair.having(ttl=60), pair.having(ttl=600, values=("192.0.2.2", "192.0.2.3"))):
        apply(provider, OURS, change(pair, aim))
        pair = read(provider)[aim.address]
        assert (pair.get("ttl"), pair.get("values")) == (aim.get("ttl"), aim.get("values"))


@on_all
@pytest.mark.parametrize("late", [False, True], ids=["cut", "late"])
def test_an_update_whose_answer_is_lost_is_not_repeated(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """The outcome is said not to be known; it is sent once, and the next look finds it made."""
    monkeypatch.setattr(_primary, "TIMEOUT", 0.3)
    provider, done = connect(relay.port), threading.Event()

    def lost(what: str, data: bytes) -> bytes:
        if what.startswith("UPDATE"):
            return data if late and done.wait(5) else b""
        return data

    relay.answer = lost
    with pytest.raises(ProviderError, match=r"Whether a\.example was written is not known") as error:
        create(provider, OURS, [MX])
    done.set()
    assert not isinstance(error.value, Conflict | Refused | Unreachable)
    assert [what for _, what in relay.asked].count("UPDATE a.example") == 1
    assert read(provider) == {MX.address: MX}


@on_all
def test_a_server_that_goes_down_between_look_and_write(relay: Relay, server: NameServer) -> None:
    """Nobody claims that nothing was written, and afterwards it is unreachable, not empty."""
    provider = connect(relay.port)
    relay.before = lambda what: server.stop() if what.startswith("UPDATE") else None
    with pytest.raises(ProviderError, match=r"Whether a\.example was written is not known"):
        create(provider, OURS, [MX])
    assert isinstance(provider.read([OURS])["a.example"], Unreachable)


def test_a_transfer_that_is_cut_is_never_a_part(relay: Relay) -> None:
    """Wherever the stream ends, within a message or between two: an error of that zone, and the next one is read."""
    by_hand(relay.target, "a.example", *(("add", f"n{n}", 60, "TXT", f'"{n:0200}"') for n in range(250)))
    for n in range(250, 1250, 250):
        by_hand(relay.target, "a.example", *(("add", f"n{i}", 60, "TXT", f'"{i:0200}"') for i in range(n, n + 250)))
    provider = connect(relay.port)
    sizes: list[int] = []
    relay.answer = lambda _what, data: sizes.append(len(data)) or data
    assert len(read(provider)) == 1250
    assert len(sizes) > 2
    total = sum(sizes)
    for end in (0, 1, 2, 100, sizes[0] - 1, sizes[0], sizes[0] + 1, sizes[0] + 2, total - sizes[-1], total - 1):
        left = [end]

        def cut(what: str, data: bytes, left: list[int] = left) -> bytes:
            if what != "AXFR a.example":
                return data
            data = data[: left[0]]
            left[0] -= len(data)
            return data

        relay.answer = cut
        answers = provider.read([OURS, IDN])
        assert isinstance(answers[OURS.domain], ProviderError), end
        assert end == 0 or answers[IDN.domain] == (), end


def test_an_answer_that_was_altered_is_not_believed(relay: Relay) -> None:
    """A value changed on the way, wherever it stands in a long transfer, does not fit the signature."""
    by_hand(relay.target, "a.example", *(("add", f"n{n}", 60, "TXT", f'"{n:0200}"') for n in range(250)))
    provider = connect(relay.port)
    for text in (b"%0200d" % 0, b"%0200d" % 249):
        relay.answer = lambda _what, data, text=text: data.replace(text, b"1" * 200)
        error = provider.read([OURS])[OURS.domain]
        assert isinstance(error, ProviderError)
        assert "not believed" in str(error)
    relay.answer = lambda _what, data: data[:2] + bytes([data[2] ^ 1]) + data[3:]  # the id of another question
    assert isinstance(provider.read([OURS])[OURS.domain], ProviderError)


def test_an_unsigned_answer_is_not_believed(relay: Relay) -> None:
    """Without a signature neither a zone nor an outcome is one."""

    def stripped(_what: str, data: bytes) -> bytes:
        message = dns.message.from_wire(data[2:], keyring=False)
        message.tsig = None
        wire = message.to_wire()
        return len(wire).to_bytes(2, "big") + wire

    provider = connect(relay.port)
    relay.answer = stripped
    assert "does not sign" in str(provider.read([OURS])[OURS.domain])
    relay.answer = lambda what, data: stripped(what, data) if what[0] == "U" else data
    with pytest.raises(ProviderError, match="does not sign"):
        create(provider, OURS, [MX])


def test_a_server_may_close_after_each_answer(relay: Relay) -> None:
    """A connection that ends between two zones is opened again; one that gives no answer at all is not, twice."""
    provider = connect(relay.port)
    create(provider, OURS, [MX])
    relay.brief = True
    relay.asked.clear()
    home = Scope(HOME, HOME)
    answers = provider.read([OURS, IDN, home])
    assert [len(answers[scope.domain]) for scope in (OURS, IDN, home)] == [1, 0, 0]
    assert {number for number, _ in relay.asked} >= {2, 3, 4}
    relay.answer = lambda _what, _data: b""
    relay.asked.clear()
    answers = provider.read([OURS, IDN, home])
    assert [type(answer).__mro__[1] for answer in answers.values()] == [Unreachable] * 3
    assert len(relay.asked) == 1


@on_all
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({"secret": "R2VoZWltR2VoZWltR2VoZWltR2VoZWltR2VoZWltISE="}, "does not take the `key`"),
        ({"name": "stranger"}, "does not take the `key`"),
        ({"algorithm": "hmac-sha512"}, "does not take the `key`"),
    ],
    ids=["secret", "name", "algorithm"],
)
def test_a_wrong_key_is_refused(server: NameServer, key: dict[str, str], said: str) -> None:
    """Reading, writing and the identity say that the key is not the server's, and no secret."""
    key = {"name": "reconciler", "secret": SECRET, **key}
    provider = connect(server.port, key=key)
    with pytest.raises(Refused, match=said) as error:
        create(provider, OURS, [MX])
    answer = provider.read([OURS])[OURS.domain]
    assert isinstance(answer, Refused)
    with pytest.raises(Refused):
        provider.identity()
    assert key["secret"] not in " ".join([*texts(error.value), *texts(answer)])


@on_all
def test_clocks_that_differ(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour between the two hosts is said to be that; PowerDNS does not tell it from another wrong key."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    with pytest.raises(Refused, match=r"set both clocks|clocks may differ by 5 minutes"):
        create(connect(server.port), OURS, [MX])


@pytest.mark.parametrize("kind", BOTH)
def test_what_the_key_may_not_do_is_named(kind: type[NameServer]) -> None:
    """A zone that is there and not transferred is no missing one; an update that is not allowed writes nothing."""

    def allowing(*actions: str) -> type[NameServer]:
        class Strict(kind):
            def configuration(self, names: list[str]) -> str:
                text = super().configuration(names).replace("[ transfer, update ]", f"[ {', '.join(actions)} ]")
                for action in {"transfer", "update"} - {*actions}:
                    text = text.replace(f'allow-{action} {{ key "reconciler"; }};', f"allow-{action} {{ none; }};")
                return text

        return Strict

    with serving(allowing("update")) as server:
        answer = connect(server.port).read([OURS])[OURS.domain]
        assert isinstance(answer, Refused)
        assert "does not let the key transfer" in str(answer) or "must let it transfer" in str(answer)
    with (
        serving(allowing("transfer")) as server,
        pytest.raises(Refused, match=r"must let it transfer|may not update it"),
    ):
        create(connect(server.port), OURS, [MX])


@on_all
def test_a_zone_that_is_not_there(server: NameServer) -> None:
    """It is missing, also where a zone may be made: no UPDATE makes one. Zones beside it are read."""
    provider = connect(server.port)
    other = Scope("b.example", "b.example", create=True)
    answers = provider.read([other, OURS])
    assert (type(answers["b.example"]), answers["a.example"]) == (Missing, ())
    assert "UPDATE cannot make one: make it on the server" in str(answers["b.example"])
    with pytest.raises(Missing):
        create(provider, other, [make("record", "A/b.example", "b.example", values=["192.0.2.1"])])
    with pytest.raises(Missing):
        connect(server.port, identity="nowhere.example").identity()


def test_a_server_that_is_silent_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking the connection and saying nothing, or dripping bytes, is not answering; so is a closed port."""
    monkeypatch.setattr(_primary, "TIMEOUT", 0.2)
    monkeypatch.setattr(_primary, "PATIENCE", 0.5)
    scopes = [Scope(f"z{n}.example", f"z{n}.example") for n in range(50)]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        start = time.monotonic()
        answers = connect(port).read(scopes)
        assert {type(answer) for answer in answers.values()} == {Unreachable}
        with pytest.raises(Unreachable):
            create(connect(port), OURS, [MX])
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        assert isinstance(connect(port).read(scopes)["z1.example"], Unreachable)
        assert time.monotonic() - start < 3
    answers = connect(port).read(scopes)
    assert {type(answer) for answer in answers.values()} == {Unreachable}
    assert "does not answer over TCP" in str(answers["z1.example"])


def drip(listening: socket.socket) -> None:
    with suppress(OSError):
        for _ in range(4):
            client, _ = listening.accept()
            with client, suppress(OSError):
                while client.send(b"\x01"):
                    time.sleep(0.1)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 40, b"\0" * 40, bytes(range(256)) * 4])
def test_bytes_that_are_no_answer_are_an_error(relay: Relay, data: bytes) -> None:
    """Whatever comes in the place of a message, it is an error of the provider's, and nobody waits for more."""
    framed = len(data).to_bytes(2, "big") + data
    relay.answer = lambda _what, _data: framed
    provider = connect(relay.port)
    assert isinstance(provider.read([OURS])[OURS.domain], ProviderError)
    relay.answer = lambda what, answer: framed if what[0] == "U" else answer
    with pytest.raises(ProviderError, match=r"Whether a\.example was written"):
        create(provider, OURS, [MX])


def test_a_zone_beyond_all_measure_is_refused(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to what is read into memory; and to what one update may hold, which is told before it is sent."""
    provider = connect(server.port)
    many = [record(f"TXT/n{n}.a.example", "x" * 250) for n in range(250)]
    with pytest.raises(Refused, match="more than one UPDATE message holds"):
        create(provider, OURS, many)
    assert read(provider) == {}
    create(provider, OURS, many[:200])
    monkeypatch.setattr(_primary, "MAX_RECORDS", 100)
    answers = provider.read([OURS, IDN])
    assert (type(answers[OURS.domain]), answers[IDN.domain]) == (Refused, ())
    monkeypatch.undo()
    monkeypatch.setattr(_primary, "MAX_BYTES", 10_000)
    assert isinstance(provider.read([OURS])[OURS.domain], Refused)


def test_names_and_types_of_others_are_read_and_stay(server: NameServer) -> None:
    """Dots and bytes inside a label, types nobody declares, types nobody knows, a zone below."""
    foreign = [
        (r"a\.b", 60, "TXT", "dot"),
        (r"sp\032ace.\195\188", 60, "TXT", r'"\255\000"'),
        ("LOUD", 60, "CNAME", r"Ma\.il.Example."),
        ("new", 60, "TYPE65280", r"\# 3 010203"),
        ("sub", 60, "NS", "ns.sub"),
        ("ns.sub", 60, "A", "192.0.2.53"),
        ("loc", 60, "LOC", "51 30 12.748 N 0 7 39.612 W 0.00m"),
        ("loc", 60, "NAPTR", '100 10 "u" "sip+E2U" "!^.*$!sip:info@example!" .'),
    ]
    by_hand(server.port, "a.example", *(("add", *one) for one in foreign))
    before = held(server.port)
    provider = connect(server.port)
    live = read(provider)
    create(provider, OURS, [MX, SPF])
    loud = live[make("record", "CNAME/loud.a.example", "a.example", values=[]).address]
    apply(provider, OURS, change(loud, loud.having(ttl=120)))
    apply(provider, OURS, change(loud.having(ttl=120), loud))
    assert {address: thing for address, thing in read(provider).items() if address in live} == live
    apply(provider, OURS, change(MX, None), change(SPF, None))
    assert {line[0].lower() for line in held(server.port)} == {line[0].lower() for line in before}
    assert len(held(server.port)) == len(before)
    with pytest.raises(Conflict, match="cannot have a CNAME beside NS"):
        create(provider, OURS, [record("CNAME/sub.a.example", "a.example.")])
    with pytest.raises(Refused, match="not this program's to write"):
        create(provider, OURS, [record("NS/sub.a.example", "ns2.sub.a.example.")])


@need("knotd")
def test_a_signed_zone_stays_signed() -> None:
    """What the signer writes is not read and not touched, and what we write is signed, a CNAME too."""
    with serving(SigningKnot) as server:
        signer = {"DNSKEY", "RRSIG", "NSEC", "CDS", "CDNSKEY"}
        provider = connect(server.port)
        alias = record("CNAME/www.a.example", "web.agency.example.")
        create(provider, OURS, [MX, alias])
        assert read(provider) == {MX.address: MX, alias.address: alias}
        signed = {name for name, type_, text in held(server.port) if type_ == "RRSIG" and text.startswith("CNAME ")}
        assert signed == {"www.a.example."}
        address = record("A/www.a.example", "192.0.2.1")
        apply(provider, OURS, change(alias, None), change(None, address), change(MX, MX.having(ttl=60)))
        apply(provider, OURS, change(address, None), change(MX.having(ttl=60), None))
        assert read(provider) == {}
        assert {type_ for _, type_, _ in held(server.port)} == signer | {"NS"}


@on_all
def test_the_identity_is_no_record(server: NameServer) -> None:
    """It stands in the zone that the settings name, is not answered as a record there, and no batch touches it."""
    provider = connect(server.port)
    provider.identify("a" * 32)
    name = f"_reconciler-identity.{HOME}"
    assert (f"{name}.", "TXT", f'"{"a" * 32}"') in held(server.port, HOME)
    home = Scope(HOME, HOME)
    assert read(provider, home) == {}
    stray = make("record", f"TXT/{name}", HOME, values=["a" * 32], ttl=3600)
    with pytest.raises(Refused, match="this system's identity"):
        apply(provider, home, change(stray, None))
    by_hand(server.port, HOME, ("add", f"{name}.", 60, "TXT", "another"))
    assert provider.identity() != "a" * 32
    with pytest.raises(Conflict):
        provider.identify("a" * 32)


@need("pdns_server")
def test_powerdns_takes_texts_that_differ_in_capitals_for_one() -> None:
    """A limit: it lists both, but finds no such set when it is asked to change it; nothing is written."""
    with serving(UpdatedPowerDns) as server:
        provider = connect(server.port)
        two = record("TXT/a.example", "Keeps Capitals", "keeps capitals")
        create(provider, OURS, [two])
        with pytest.raises(Conflict, match="nothing was written"):
            apply(provider, OURS, change(two, None))
        assert read(provider) == {two.address: two}


@need("pdns_server")
def test_powerdns_says_what_the_key_may_not_do() -> None:
    """A zone that is there and not transferred is no missing one; an update that is not allowed writes nothing."""
    with serving(UpdatedPowerDns) as server:
        provider = connect(server.port)
        server.sql("UPDATE domainmetadata SET content = 'another' WHERE kind = 'TSIG-ALLOW-DNSUPDATE'")
        with pytest.raises(Refused, match="may not update it"):
            create(provider, OURS, [MX])
        server.sql("DELETE FROM domainmetadata")
        assert "does not let the key transfer" in str(provider.read([OURS])["a.example"])


@need("named")
def test_a_value_that_a_server_does_not_take_is_refused() -> None:
    """BIND wants an address for an MX host of the zone itself: in the same batch is soon enough."""
    with serving(UpdatedBind) as server:
        provider = connect(server.port)
        mx, address = record("MX/a.example", "10 mx.a.example."), record("A/mx.a.example", "192.0.2.25")
        with pytest.raises(Refused, match="does not take a value"):
            create(provider, OURS, [mx, SPF])
        assert read(provider) == {}
        create(provider, OURS, [mx, address])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A/w.a.example", "192.0.2.1 ; x"),
        ("MX/w.a.example", "10 mx.\n20 mx2."),
        ("CNAME/w.a.example", "x. y."),
        ("TXT/w.a.example", "x" * 70_000),
        ("CAA/w.a.example", "zero issue x"),
        ("NOTYPE/w.a.example", "x"),
        (f"A/{'w' * 64}.a.example", "192.0.2.1"),
    ],
)
def test_a_value_that_dns_cannot_carry_is_refused(relay: Relay, name: str, value: str) -> None:
    """A value that is another one as a record, or none at all, is refused before anything is sent."""
    provider = connect(relay.port)
    with pytest.raises(Refused, match="no form that DNS can carry"):
        create(provider, OURS, [MX, record(name, value)])
    assert [what for _, what in relay.asked if what.startswith("UPDATE")] == []
