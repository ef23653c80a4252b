"""`baseline`: what Git says and public DNS answers, as points with a next step; and the policy site of MTA-STS."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from reconciler import mta_sts
from tests.estates import AGENCY, ROOT, accepting, dns, mail, make, northwind
from tests.servers import SBIN, need
from tests.servers.answering import Answering
from tests.servers.policies import PolicyHost
from tests.test_proof import agency, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.estates import Estate

MX, SPF = "10 mx1.agency.example.", "v=spf1 include:spf.agency.example -all"
DMARC = "v=DMARC1; p=reject; rua=mailto:dmarc@northwind.example"
THERE = {
    ("northwind.example", "MX"): [MX],
    ("northwind.example", "TXT"): [SPF, "site-verification=1"],
    ("_dmarc.northwind.example", "TXT"): [DMARC],
}
POLICY_AT = "https://mta-sts.northwind.example/.well-known/mta-sts.txt"
STRICT = f"""\
records:
  - {{name: _dmarc, type: TXT, values: ["{DMARC}"], mode: replace, reason: ours}}
"""
STANDARD = "template: standard/1\nwith: {dmarc: reject, mta_sts: enforce, tls_rpt: 'on'}\n"
PARKED = "domain: parked.example\nowner: jane\nmail: null\n"


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return make(tmp_path / "estate", northwind(names=STRICT))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """Public DNS as a test says it."""
    with Answering(THERE) as server:
        monkeypatch.setenv("RECONCILER_RESOLVER", server.address)
        yield server


def items(estate: Estate, domain: str = "northwind.example") -> dict[str, tuple[str, int, str | None]]:
    """{item: (verdict, points, next step)}."""
    found = estate.run("baseline", domain, "--format", "json").json
    return {item["name"]: (item["verdict"], item["points"], item["next"]) for item in found["domains"][0]["items"]}


def test_what_git_and_public_dns_agree_on_conforms(estate: Estate, world: Answering) -> None:
    """Full points where both say what is enough; what nobody declares deviates, with what to do."""
    told = items(estate)
    assert {name for name, (verdict, _, _) in told.items() if verdict == "conforming"} == {"MX", "SPF", "DMARC"}
    assert told["DMARC"][1] == 30
    assert told["MTA-STS"] == ("deviating", 0, "publish an MTA-STS policy, mode testing first")
    whole = estate.run("baseline", "--format", "json").json
    assert whole["summary"] == {"conforming": 0, "deviating": 1, "unverified": 0, "score": 60}


def test_without_an_answer_nothing_is_fine(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can be asked: unverified and no points, never conforming."""
    monkeypatch.setenv("RECONCILER_RESOLVER", "none")
    told = items(estate)
    assert {name: told[name][:2] for name in ("MX", "SPF", "DMARC")} == dict.fromkeys(
        ("MX", "SPF", "DMARC"), ("unverified", 0)
    )
    assert "ask again where public DNS can be asked for northwind.example MX" in told["MX"][2]


@pytest.mark.parametrize(
    ("there", "item", "step"),
    [
        ({("northwind.example", "MX"): ["10 mx.oldhost.example."]}, "MX", "have northwind.example MX say"),
        ({("northwind.example", "TXT"): [SPF, "v=spf1 a -all"]}, "SPF", "have northwind.example TXT say"),
        ({("_dmarc.northwind.example", "TXT"): ["v=DMARC1; p=none"]}, "DMARC", "have _dmarc.northwind.example TXT say"),
    ],
)
def test_what_public_dns_says_otherwise_deviates(
    estate: Estate, world: Answering, there: dict[tuple[str, str], list[str]], item: str, step: str
) -> None:
    """Git says the right thing and the world hears another one."""
    world.records = {**THERE, **there}
    verdict, points, said = items(estate)[item]
    assert (verdict, points, step in str(said)) == ("deviating", 0, True)


@pytest.mark.parametrize(
    ("record", "points", "step"),
    [
        ("v=DMARC1; p=none; rua=mailto:d@northwind.example", 10, "read the reports, then set DMARC to quarantine"),
        ("v=DMARC1; p=quarantine; rua=mailto:d@northwind.example", 20, "read the reports, then set DMARC to reject"),
        ("v=DMARC1; p=reject; sp=none; rua=mailto:d@northwind.example", 10, "then set DMARC to quarantine"),
        ("v=DMARC1; p=reject; t=y; rua=mailto:d@northwind.example", 15, "have DMARC hold for all mail"),
        ("v=DMARC1; p=reject", 15, "name who gets DMARC reports"),
        ("v=DMARC1; p=reject; rua=mailto:d@vendor.example", 15, "northwind.example._report._dmarc.vendor.example"),
    ],
)
def test_a_policy_has_points_by_how_far_it_is(
    tmp_path: Path, world: Answering, record: str, points: int, step: str
) -> None:
    """The ladder of DMARC, its subdomains, its share of mail, and whether somebody outside takes the reports."""
    estate = make(tmp_path / "estate", northwind(names=STRICT.replace(DMARC, record)))
    world.records = {**THERE, ("_dmarc.northwind.example", "TXT"): [record]}
    verdict, got, said = items(estate)["DMARC"]
    assert (verdict, got, step in str(said)) == ("deviating", points, True)


def test_reports_elsewhere_conform_once_they_are_permitted(tmp_path: Path, world: Answering) -> None:
    """RFC 7489, 7.1: the other domain says that it takes them."""
    record = "v=DMARC1; p=reject; rua=mailto:d@vendor.example"
    estate = make(tmp_path / "estate", northwind(names=STRICT.replace(DMARC, record)))
    permission = ("northwind.example._report._dmarc.vendor.example", "TXT")
    world.records = {**THERE, ("_dmarc.northwind.example", "TXT"): [record], permission: ["v=DMARC1"]}
    assert items(estate)["DMARC"] == ("conforming", 30, None)


def test_a_zone_that_is_not_ours_is_judged_by_what_is_public(estate: Estate, world: Answering) -> None:
    """`dns: null`: there is nothing to compare, and what is public has its points."""
    estate.write(dns("dns: null\n"))
    told = items(estate)
    assert {name: told[name][:2] for name in ("MX", "SPF", "DMARC")} == {
        "MX": ("conforming", 10),
        "SPF": ("conforming", 20),
        "DMARC": ("conforming", 30),
    }
    assert told["DKIM"][0] == "unverified"


def test_a_domain_without_mail_is_judged_as_one(tmp_path: Path, world: Answering) -> None:
    """Null MX, SPF of nobody, DMARC reject: a hundred points."""
    parked = (ROOT / "domain-templates/parked/1.yaml").read_text()
    names = {"tenants/northwind/dns/parked.example.yaml": "domain: parked.example\ntemplate: parked/1\n"}
    files = {"tenants/northwind/domains/parked.example.yaml": PARKED, "domain-templates/parked/1.yaml": parked, **names}
    estate = make(tmp_path / "estate", northwind(), files)
    assert items(estate, "parked.example")["DMARC"][0] == "deviating"
    found = estate.run("records", "parked.example", "--format", "json").json["records"]
    world.records = {(one["name"], one["type"]): one["values"] for one in found}
    whole = estate.run("baseline", "parked.example", "--format", "json").json["domains"][0]
    assert (whole["parked"], whole["score"], whole["verdict"], whole["next"]) == (True, 100, "conforming", None)


def test_text_names_the_furthest_off_first_and_its_next_step(tmp_path: Path, world: Answering) -> None:
    """A line a domain; one domain with all its items."""
    files = mail({"jane": "{owner: jane}"}, domain="northwind.test")
    other = {name.replace("tenants/northwind.test", "tenants/northwind"): said for name, said in files.items()}
    estate = make(tmp_path / "estate", northwind(names=STRICT), other)
    out = estate.run("baseline").out
    assert out.index("northwind.test ") < out.index("northwind.example")
    assert "northwind.example   60 of 100  deviating   northwind\n" in out
    assert "2 domains: 2 deviating; " in out
    assert "  DMARC     30 of 30  conforming  v=DMARC1; p=reject" in estate.run("baseline", "northwind.example").out


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.names.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_html_that_nothing_breaks_out_of(estate: Estate, world: Answering) -> None:
    """One page, all elements closed; what DNS says is text in it."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    world.records = {**THERE, ("_dmarc.northwind.example", "TXT"): [f"v=DMARC1; p=none; x={evil}"]}
    page = Page(estate.run("baseline", "--format", "html").out)
    assert page.open == []
    assert not page.names & {"script", "img", "link", "iframe"}
    assert evil in page.text


def test_the_policy_site_says_what_the_records_announce(tmp_path: Path) -> None:
    """A file for each domain that announces a policy, with the very text its id is made of; what is stale is named."""
    standard = (ROOT / "domain-templates/standard/1.yaml").read_text()
    files = {**dns(STANDARD), "domain-templates/standard/1.yaml": standard}
    estate = make(tmp_path / "estate", northwind(), files)
    site = tmp_path / "site"
    run = estate.run("baseline", "--mta-sts", str(site))
    policy = site / "mta-sts.northwind.example/.well-known/mta-sts.txt"
    assert (run.code, run.out) == (0, "")
    assert policy.read_bytes() == (b"version: STSv1\r\nmode: enforce\r\nmx: mx1.agency.example\r\nmax_age: 604800\r\n")
    assert [path for path in site.rglob("*") if path.is_file()] == [policy]
    estate.write(dns("template: standard/1\n"))
    assert f"No domain announces {policy.parent.parent} any more" in estate.run("baseline", "--mta-sts", str(site)).err


@need(root=True)
@pytest.mark.parametrize(
    ("mode", "answer", "expected"),
    [
        ("enforce", {}, ("conforming", 10, None)),
        ("testing", {}, ("deviating", 5, "once its reports are clean, set MTA-STS to enforce")),
        ("enforce", {"status": 404}, ("deviating", 0, f"serve the policy at {POLICY_AT}")),
        ("enforce", {"body": b"version: STSv1\nmode: none\n"}, ("deviating", 0, f"serve the policy at {POLICY_AT}")),
    ],
)
def test_a_policy_counts_when_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, answer: dict[str, Any], expected: tuple[str, int, str]
) -> None:
    """The record alone protects nobody: the host has to answer with the policy that its id stands for."""
    record = [f"v=STSv1; id={mta_sts.policy_id(mode, (MX,))}"]
    sets = f'records:\n  - {{name: _mta-sts, type: TXT, values: ["{record[0]}"]}}\n'
    estate = make(tmp_path / "estate", northwind(names=sets), agency=f"{AGENCY}mta_sts: {{networks: [127.0.0.0/8]}}\n")
    public = {**THERE, ("_mta-sts.northwind.example", "TXT"): record}
    with PolicyHost(tmp_path) as host, Answering(public) as world:
        monkeypatch.setenv("SSL_CERT_FILE", str(host.authority))
        monkeypatch.setenv("RECONCILER_RESOLVER", world.address)
        unseen = f"see that {POLICY_AT} answers"
        assert items(estate)["MTA-STS"] == ("unverified", 0, unseen)
        public["mta-sts.northwind.example", "A"] = [host.address]
        host.body = mta_sts.policy(mode, [MX]).encode()
        vars(host).update(answer)
        assert items(estate)["MTA-STS"] == expected


@need("nsd", "nsd-control", root=True)
def test_from_nothing_to_a_hundred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One merged change, then what is due: every item conforms, as a real name server says it."""
    monkeypatch.setenv("PATH", SBIN, prepend=":")
    standard = (ROOT / "domain-templates/standard/1.yaml").read_text()
    with TemporaryDirectory() as run, serving(Path(run)) as nsd, PolicyHost(tmp_path) as host:
        record = f"records:\n  - {{name: mta-sts, type: A, values: [{host.address}]}}\n"
        names = {"domain-templates/standard/1.yaml": standard, **dns(STANDARD + record)}
        monkeypatch.setenv("SSL_CERT_FILE", str(host.authority))
        monkeypatch.setenv("RECONCILER_RESOLVER", f"127.0.0.1:{nsd.port}")
        boxes = northwind(more="aliases:\n  info: [jane]\n")
        accept = accepting("DN036", "TXT/_mta-sts.northwind.example")
        estate = make(
            tmp_path / "estate",
            {**boxes, **names, **accept},
            agency=f"{agency(nsd.settings())}mta_sts: {{networks: [127.0.0.0/8]}}\n",
        )
        assert items(estate)["DKIM"][0] == "deviating"
        applied = estate.run("apply", "--yes")
        assert applied.code == 0, applied.out
        assert estate.run("apply", "--due").code == 0
        estate.run("baseline", "--mta-sts", str(tmp_path / "site"))
        host.body = (tmp_path / "site/mta-sts.northwind.example/.well-known/mta-sts.txt").read_bytes()
        found = estate.run("baseline", "--format", "json").json
        assert found["summary"] == {"conforming": 1, "deviating": 0, "unverified": 0, "score": 100}, found["domains"]
