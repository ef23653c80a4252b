"""The policy of MTA-STS as senders fetch it: a real web server with a certificate stands for the policy host."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest

from reconciler import fetching, mta_sts
from reconciler.answers import Answer
from tests.estates import AGENCY, ROOT, accepts, dns, make, northwind
from tests.servers import need
from tests.servers.answering import Answering
from tests.servers.policies import PolicyHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.estates import Estate, Files

needs_port = need(root=True)
HOST, RECORD = "mta-sts.northwind.example", "TXT/_mta-sts.northwind.example"
MX = ["10 mx1.agency.example."]
LOOPBACK = "mta_sts: {networks: [127.0.0.0/8]}\n"
REAL = mta_sts.policy("enforce", MX).encode()


def announcing(mode: str, domain: str = "northwind.example", more: str = "") -> Files:
    """The DNS file of a domain that announces its policy."""
    standard = (ROOT / "domain-templates/standard/1.yaml").read_text()
    said = f'template: standard/1\nwith: {{mta_sts: {mode}, tls_rpt: "on"}}\ndkim: null\n{more}'
    return {"domain-templates/standard/1.yaml": standard, **dns(said, domain)}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PolicyHost]:
    """A policy host that public DNS leads to, with a certificate that this machine trusts; it serves our policy."""
    with PolicyHost(tmp_path) as server, Answering({(HOST, "A"): [server.address]}) as public:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        monkeypatch.setenv("RECONCILER_RESOLVER", public.address)
        server.body = REAL
        yield server


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    """A client in the mode `testing`, applied before anybody was asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECONCILER_RESOLVER", "none")
        agency = f"{AGENCY}{LOOPBACK}{accepts(('DN036', RECORD))}"
        return make(tmp_path / "estate", northwind(), announcing("testing"), agency=agency).applied({})


def told(estate: Estate) -> dict[str, tuple[str, str]]:
    """{code: (severity, what is the case)} of what a plan says of policies."""
    found = [f for tenant in estate.plan()["tenants"] for f in tenant["findings"]]
    assert {f["subject"] for f in found if f["code"] in {"DN049", "DN050"}} <= {RECORD}
    return {f["code"]: (f["severity"], f["detail"]) for f in found if f["code"] in {"DN049", "DN050"}}


@needs_port
def test_a_policy_that_answers_is_fine(estate: Estate, host: PolicyHost) -> None:
    """It is asked for once, at its one place; a plan that announces nothing anew asks nobody, nor does validate."""
    estate.write(announcing("enforce"))
    assert estate.run("validate").code == 0
    assert host.asked == []
    assert told(estate) == {}
    assert host.asked == [(HOST, "/.well-known/mta-sts.txt")]
    assert estate.apply().code == 0
    host.asked.clear()
    estate.write(announcing("enforce", more="ttl: 2 hours\n"))
    assert (told(estate), host.asked) == ({}, [])


@needs_port
@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"status": 404}, "it answers 404."),
        ({"status": 301, "more": {"Location": "https://mta-sts.northwind.example/elsewhere"}}, "it answers 301."),
        ({"body": mta_sts.policy("testing", MX).encode()}, "it says `mode: testing`, not `mode: enforce`."),
        ({"body": REAL.replace(b"mx1", b"mx9")}, "it says `mx: mx9.agency.example`, not `mx: mx1.agency.example`."),
        ({"body": b"version: STSv1\nmode: enforce\nmx: mx1.agency.example\n"}, "it says no `max_age`, not"),
        ({"body": b"<html>\xff"}, "its answer is no HTTP with text (UnicodeDecodeError)."),
        ({"kind": "text/html"}, "it serves text/html."),
        ({"body": b"x" * 70_000}, "its answer is longer than 64 KiB."),
        ({"body": b"mode: \x1b[2J" + b"y" * 9999 + b"\nversion: STSv1"}, r"it says `mode: \x1b[2j"),
    ],
    ids=["404", "redirect", "testing", "mx", "max_age", "bytes", "html", "long", "hostile"],
)
def test_enforce_before_its_policy_answers_is_refused(
    estate: Estate, host: PolicyHost, answer: dict[str, Any], detail: str
) -> None:
    """Whatever comes in its place; once it answers the same commit goes."""
    for name, value in answer.items():
        setattr(host, name, value)
    estate.write(announcing("enforce"))
    severity, said = told(estate)["DN049"]
    assert (severity, detail in said, len(said) < 600) == ("error", True, True)
    assert estate.apply().code == 3
    assert [path for _, path in host.asked if path != "/.well-known/mta-sts.txt"] == []
    host.status, host.body, host.kind = 200, REAL.replace(b"\r\n", b"\n"), "text/plain"
    assert (told(estate), estate.apply().code) == ({}, 0)


@needs_port
def test_a_certificate_that_does_not_hold_is_no_policy(
    estate: Estate, host: PolicyHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a CA that nobody knows, or for another name: senders take it for none, and so is it refused."""
    estate.write(announcing("enforce"))
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "its certificate does not hold: unable to get local issuer" in told(estate)["DN049"][1]
    (tmp_path / "other").mkdir()
    with (
        PolicyHost(tmp_path / "other", "www.northwind.example") as other,
        Answering({(HOST, "A"): [other.address]}) as public,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(other.authority))
        monkeypatch.setenv("RECONCILER_RESOLVER", public.address)
        assert "its certificate does not hold: Hostname mismatch" in told(estate)["DN049"][1]
        assert other.asked == []


@needs_port
def test_what_is_only_tested_is_a_warning(tmp_path: Path, host: PolicyHost) -> None:
    """In the mode `testing` nobody's mail waits for it."""
    host.status = 500
    estate = make(tmp_path / "estate", northwind(), agency=AGENCY + LOOPBACK)
    estate.write(announcing("testing"))
    assert told(estate)["DN049"][0] == "warning"


@needs_port
def test_a_host_that_cannot_be_reached_is_unknown(
    estate: Estate, host: PolicyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that answers drop by drop, one that is down, and one whose address is not public: a warning, no error."""
    estate.write(announcing("enforce"))
    monkeypatch.setattr(fetching, "ONE", 0.5)
    host.pause = 0.2
    assert told(estate)["DN050"] == ("warning", told(estate)["DN050"][1])
    assert f"{host.address} does not answer (TimeoutError)" in told(estate)["DN050"][1]
    host.__exit__()
    assert f"{host.address} does not answer (ConnectionRefusedError)" in told(estate)["DN050"][1]
    assert estate.apply().code == 0
    host.__enter__()


@needs_port
def test_no_address_inside_is_asked(estate: Estate, host: PolicyHost) -> None:
    """A name leads where its holder likes: without the agency's word nothing but public addresses is connected to."""
    estate.write({"reconciler.yaml": f"{AGENCY}{accepts(('DN036', RECORD))}", **announcing("enforce")})
    assert f"{host.address} is no public address" in told(estate)["DN050"][1]
    assert host.asked == []


@needs_port
def test_a_host_that_the_plan_makes_is_not_asked_for(
    estate: Estate, host: PolicyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is not there yet: a resolver would keep that for a while, so the policy is unknown until it is."""
    record = f"records:\n  - {{name: mta-sts, type: A, values: [{host.address}]}}\n"
    estate.write(announcing("enforce", more=record))
    with Answering({}) as public:
        monkeypatch.setenv("RECONCILER_RESOLVER", public.address)
        assert "is made by this plan" in told(estate)["DN050"][1]
    assert [name for name, _ in public.asked if name == HOST] == []


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("10.1.2.3", True),
        ("127.0.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("224.0.0.1", False), ("0.0.0.0", False), ("::1", False), ("fe80::1", False), ("fd00::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
        ("64:ff9b::5db8:d70e", True), ("ff02::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_asked(address: str, allowed: bool) -> None:
    """Public ones, and those of the agency's networks; an address of IPv4 in the clothes of IPv6 is what it is."""
    assert fetching.is_allowed(address, [ipaddress.ip_network("10.0.0.0/8")]) is allowed


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/9.9 what\r\n", b"\xff" * 100, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"]
)
def test_what_is_no_http_is_no_policy(raw: bytes) -> None:
    """Nothing that a host can send makes it crash."""
    assert fetching._read(raw).status == "empty"


def test_an_answer_in_chunks_is_read() -> None:
    """A proxy in front may cut it up."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert fetching._read(head + b"3\r\nabc\r\n0\r\n\r\n") == Answer("found", ("abc",))


@pytest.mark.parametrize("said", ["10.0.0.1/8", "loopback", ""])
def test_a_network_that_is_none_is_bad_input(tmp_path: Path, said: str) -> None:
    """It would open nothing, or something else than was meant."""
    estate = make(tmp_path / "estate", northwind(), agency=f"{AGENCY}mta_sts: {{networks: ['{said}']}}\n")
    assert estate.run("validate").code == 1
