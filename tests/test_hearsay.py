"""What a resolver makes of a run: Unbound, which validates, before Knot, which signs."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dns.dnssec
import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from reconciler import hearsay, witnesses
from reconciler.answers import Answer, Hearsay
from tests import estates
from tests.estates import AGENCY, NORTHWIND_DNS, make, northwind
from tests.providers.test_rfc2136 import HOME, serving
from tests.servers import need
from tests.servers.answering import Answering
from tests.servers.dns import SECRET, SigningKnot
from tests.servers.unbound import resolving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.estates import Estate
    from tests.servers.dns import NameServer

ZONE = "northwind.example"
TEXT = "$TTL 3600\n@ IN SOA ns1 hostmaster 1 86400 7200 3600000 3600\n@ IN NS ns1\nns1 IN A 127.0.0.1\n"
WWW = f"zones:record/A/www.{ZONE}"
MX = (ZONE, "MX")

signing = need("knotd", "unbound")


def www(value: str) -> str:
    return f"records:\n  - {{name: www, type: A, values: [{value}], ttl: 1 hour}}\n"


@pytest.fixture
def knot() -> Iterator[NameServer]:
    with serving(SigningKnot, ZONE, HOME, text=TEXT) as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def estate_of(path: Path, knot: NameServer, *more: str, authoritative: tuple[str, ...] = ()) -> Estate:
    """An estate whose zone Knot has; `more` are further settings of the provider."""
    servers = json.dumps([f"127.0.0.1:{knot.port}", *authoritative])
    settings = (
        f"type: rfc2136, server: '127.0.0.1:{knot.port}', identity: {HOME}, authoritative: {servers}",
        f"key: {{name: reconciler, secret: {SECRET}}}",
        *more,
    )
    line = next(line for line in AGENCY.splitlines() if "zone_files" in line)
    agency = AGENCY.replace(line, f"  dns: {{zones: {{{', '.join(settings)}}}}}")
    return make(path / "estate", northwind(names=www("192.0.2.1")), agency=agency)


def anchor(knot: NameServer) -> str:
    """The DS that the zone's parent should have."""
    reply = dns.query.tcp(dns.message.make_query(ZONE, "DNSKEY"), "127.0.0.1", timeout=5, port=knot.port)
    [key] = [key for key in reply.answer[0] if key.flags == 257]
    return dns.dnssec.make_ds(f"{ZONE}.", key, "SHA256").to_text()


def heard(told: list[dict[str, str]], resolver: str) -> dict[str, tuple[str, str]]:
    """{record set: (why, note)} of what this resolver said."""
    return {proof["address"]: (proof["why"], proof["note"]) for proof in told if proof["server"] == resolver}


@signing
def test_a_resolver_finds_the_chain_whole(
    tmp_path: Path, folder: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each set that every server says is asked of the provider's own resolver, too, and the journal keeps its word."""
    with Answering({}) as other, resolving(folder, ZONE, knot.port, anchor(knot)) as resolver:
        monkeypatch.setenv("RECONCILER_RESOLVER", other.address)
        estate = estate_of(tmp_path, knot, f"resolver: '{resolver}'")
        run = estate.apply().json["tenants"][0]
        assert run["result"] == "applied"
        said = heard(run["proofs"], resolver)
        authoritative = heard(run["proofs"], f"127.0.0.1:{knot.port}")
    assert WWW in said
    assert said.keys() == authoritative.keys()
    assert (set(said.values()), set(authoritative.values())) == ({("", "secure")}, {("", "")})
    kept = json.loads(estate.git("show", "refs/reconciler/tenants/northwind:run.json"))["proofs"]
    assert heard(kept, resolver) == said


@signing
def test_a_broken_chain_fails_the_run(
    tmp_path: Path, folder: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent has the DS of another key: LV002 tells what the resolver says of it, though all servers are right."""
    right = anchor(knot)
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    with Answering({}) as other, resolving(folder, ZONE, knot.port, wrong) as resolver:
        monkeypatch.setenv("RECONCILER_RESOLVER", other.address)
        estate = estate_of(tmp_path, knot, f"resolver: '{resolver}'")
        run = estate.apply()
    tenant = run.json["tenants"][0]
    assert (run.code, tenant["result"], tenant["not_done"]) == (1, "failed", [])
    assert {note for _, note in heard(tenant["proofs"], resolver).values()} == {"broken"}
    assert {finding["code"] for finding in tenant["findings"]} == {"LV002"}
    details = {finding["subject"]: finding["detail"] for finding in tenant["findings"]}
    assert f"{resolver}: it answers SERVFAIL; DNS" in details[WWW]  # DNSKEY MISSING (EDE 9), or DNSSEC BOGUS (EDE 6)
    assert any("DS hash mismatches" in detail for detail in details.values())
    [entry] = estate.run("log", "--format", "json").json["runs"]
    assert entry["tenants"][0]["result"] == "failed"


@signing
def test_what_a_cache_has_from_before_is_no_failure(
    tmp_path: Path, folder: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes away by itself, and the proof says when at the latest; without a trust anchor all is insecure."""
    with resolving(folder, ZONE, knot.port) as resolver:
        monkeypatch.setenv("RECONCILER_RESOLVER", resolver)
        estate = estate_of(tmp_path, knot)
        assert heard(estate.apply().json["tenants"][0]["proofs"], resolver)[WWW] == ("", "insecure")
        estate.write({NORTHWIND_DNS: estates.dns(www("192.0.2.2"))[NORTHWIND_DNS]})
        run = estate.run("apply", "--yes")
    assert run.code == 0
    assert "seen at 1 name server: 1 record set\n" in run.out
    assert "asked of 1 resolver: 1 record set (1 as before)\n" in run.out
    [proof] = json.loads(estate.git("show", "refs/reconciler/tenants/northwind:run.json"))["proofs"][1:]
    note, _, seconds = proof["note"].removesuffix(" s").rpartition(" ")
    assert (proof["address"], proof["why"], note) == (WWW, "", "insecure, as before for up to")
    assert 0 < int(seconds) <= 3600


@signing
def test_what_is_neither_old_nor_new_is_something_else(
    tmp_path: Path, folder: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache from two changes ago does not read as before, and the time it may last is said."""
    with resolving(folder, ZONE, knot.port) as resolver:
        estate = estate_of(tmp_path, knot)
        for value, asked in (("192.0.2.1", resolver), ("192.0.2.2", "none"), ("192.0.2.3", resolver)):
            monkeypatch.setenv("RECONCILER_RESOLVER", asked)
            estate.write({NORTHWIND_DNS: estates.dns(www(value))[NORTHWIND_DNS]})
            run = estate.run("apply", "--yes")
    assert run.code == 0
    assert "asked of 1 resolver: 1 record set (1 something else)\n" in run.out
    kept = json.loads(estate.git("show", "refs/reconciler/tenants/northwind:run.json"))["proofs"]
    why, note = heard(kept, resolver)[WWW]
    assert (why, note.startswith("insecure, something else for up to 3")) == ("", True)


@signing
def test_what_no_cache_explains_fails_the_run(
    tmp_path: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that keeps saying something else after that may be kept no more: LV002, not patience."""
    monkeypatch.setattr(hearsay, "WITHIN", 2.5)
    with Answering({}) as resolver:
        monkeypatch.setenv("RECONCILER_RESOLVER", resolver.address)
        tenant = estate_of(tmp_path, knot).apply().json["tenants"][0]
        said = heard(tenant["proofs"], resolver.address)
    assert (tenant["result"], {finding["code"] for finding in tenant["findings"]}) == ("failed", {"LV002"})
    assert said[WWW] == (
        "it says that there is no such name, though what a cache may keep has run out",
        "insecure, as before, overdue",
    )


def test_a_cache_that_runs_out_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again when it has, a resolver has the new answer; one whose answer lasts longer is asked once."""
    new = Answer("found", ("10 mx.agency.example.",))
    records: dict[tuple[str, str], list[str]] = {}
    with Answering(records) as server, Answering({MX: ["10 mx.oldhost.example."]}) as slow:
        monkeypatch.setattr(hearsay, "PAUSE", 0.0)
        monkeypatch.setattr(hearsay.time, "sleep", lambda _: records.update({MX: list(new.values)}))
        asked = [((host, int(port)), MX) for host, port in (s.address.split(":") for s in (server, slow))]
        told = hearsay.until(asked, lambda _, answer: answer == new)
    assert told[asked[0]] == Hearsay(new, ttl=60)
    assert told[asked[1]] == Hearsay(Answer("found", ("10 mx.oldhost.example.",)), ttl=60)
    assert (len(server.asked), len(slow.asked)) == (2, 1)


@signing
def test_nobody_is_asked_too_early(tmp_path: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one server does not say a set no resolver is asked: it would keep that there is nothing."""
    monkeypatch.setattr(witnesses, "WITHIN", 0.3)
    with Answering({}) as late, Answering({}) as resolver:
        monkeypatch.setenv("RECONCILER_RESOLVER", late.address)
        run = estate_of(tmp_path, knot, f"resolver: '{resolver.address}'", authoritative=(late.address,)).apply()
    assert {finding["code"] for finding in run.json["tenants"][0]["findings"]} == {"LV001"}
    assert resolver.asked == []


@signing
def test_none_asks_nobody(tmp_path: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """RECONCILER_RESOLVER=none also keeps the provider's own resolver out of it."""
    monkeypatch.setenv("RECONCILER_RESOLVER", "none")
    with Answering({}) as resolver:
        run = estate_of(tmp_path, knot, f"resolver: '{resolver.address}'").apply()
    assert run.code == 0
    assert {proof["note"] for proof in run.json["tenants"][0]["proofs"]} == {""}
    assert resolver.asked == []


@signing
def test_a_resolver_that_is_none_stops_before_anything_is_written(
    tmp_path: Path, knot: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the variable says is read first: after the writes an error would leave the run without an end."""
    monkeypatch.setenv("RECONCILER_RESOLVER", "resolver.example")
    run = estate_of(tmp_path, knot).run("apply", "--yes")
    assert (run.code, "RECONCILER_RESOLVER" in run.err) == (1, True)
    assert knot.query(f"www.{ZONE}.", "A") == []


class Saying(Answering):
    """A resolver that answers with this code, and with Extended DNS Errors as they stand on the wire."""

    def __init__(self, rcode: dns.rcode.Rcode, *errors: bytes) -> None:
        super().__init__({MX: ["10 mx.agency.example."]})
        self.rcode, self.errors = rcode, errors

    def _answer(self, question: dns.message.Message, name: str, rtype: str) -> dns.message.Message:
        answer = super()._answer(question, name, rtype)
        answer.set_rcode(self.rcode)
        answer.use_edns(0, options=[dns.edns.GenericOption(15, error) for error in self.errors])
        return answer


def asked(server: Answering) -> Hearsay:
    host, _, port = server.address.rpartition(":")
    [said] = hearsay.ask([((host, int(port)), MX)]).values()
    return said


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearsay, "ONE", 0.2)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("rcode", "errors", "broken"),
    [
        (dns.rcode.SERVFAIL, (), "it answers SERVFAIL"),
        (dns.rcode.SERVFAIL, (b"\0\x16",), "it answers SERVFAIL; NO REACHABLE AUTHORITY (EDE 22)"),
        (dns.rcode.SERVFAIL, (b"\xff\xff\x1b[2J",), r"it answers SERVFAIL; (EDE 65535): \x1b[2J"),
        (dns.rcode.SERVFAIL, (b"\0\6\xff\xfe",), ""),  # a text that is no UTF-8: no message
        (dns.rcode.SERVFAIL, (b"\0",), ""),
        (dns.rcode.REFUSED, (), ""),
    ],
)
def test_what_a_resolver_says_of_itself(rcode: dns.rcode.Rcode, errors: tuple[bytes, ...], broken: str) -> None:
    """SERVFAIL comes with its reasons, which no terminal obeys; what is no message, and a refusal, say nothing."""
    with Saying(rcode, *errors) as server:
        assert asked(server) == Hearsay(Answer("failed"), broken=broken)
        assert len(server.asked) == (1 if rcode == dns.rcode.REFUSED else hearsay.TRIES)


@pytest.mark.usefixtures("hurry")
def test_what_a_resolver_says_for_people_is_kept_short() -> None:
    """A text of a kilobyte stands in no journal."""
    with Saying(dns.rcode.SERVFAIL, b"\0\6" + b"x" * 1000) as server:
        assert len(asked(server).broken) == hearsay.LONGEST


@pytest.mark.usefixtures("hurry")
def test_a_silent_resolver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has said nothing, of however many sets, and all of them together take no longer than they may."""
    monkeypatch.setattr(hearsay, "WITHIN", 0.3)
    with Answering({}, mute=["*"]) as server:
        assert asked(server) == Hearsay(Answer("failed"))
        host, _, port = server.address.rpartition(":")
        said = hearsay.ask([((host, int(port)), (f"n{number}.a.example", "A")) for number in range(1000)])
        assert len(server.asked) < 500
    assert (len(said), {one.answer.status for one in said.values()}) == (1000, {"failed"})


def test_an_answer_comes_with_its_seconds() -> None:
    """Nothing there is an answer as well."""
    with Answering({MX: ["10 mx.agency.example."]}) as server:
        assert asked(server) == Hearsay(Answer("found", ("10 mx.agency.example.",)), ttl=60)
        server.records = {}
        assert asked(server) == Hearsay(Answer("nxdomain"))


@pytest.mark.parametrize(
    "said", ["authoritative: [ns1.a.example], resolver: 1", "authoritative: [ns1.a.example], resolver: 'a b'",
             "authoritative: [ns1.a.example], resolver: '192.0.2.1:0'", "resolver: 192.0.2.1"],
)  # fmt: skip
def test_a_resolver_that_nobody_can_ask_is_bad_input(tmp_path: Path, said: str) -> None:
    """Neither is one that would never be asked, for no authoritative server is named."""
    agency = AGENCY.replace("type: zone_files", f"type: zone_files, {said}")
    for command in ("validate", "plan"):
        run = make(tmp_path / command, northwind(), agency=agency).run(command, "--format", "json")
        assert run.code == 1
        assert [("resolver" in f["detail"], f["severity"]) for f in run.json["findings"]] == [(True, "error")]
