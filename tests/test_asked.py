"""A plan asks DNS for the names its changes touch, each once, and what it cannot know refuses nothing."""

from __future__ import annotations

import pytest

from tests.estates import accepting, codes, contoso, dns, make, northwind
from tests.servers.answering import Answering

SENDERS = "with:\n  senders:\n"
AGENCY_SPF = {("spf.agency.example", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"]}
UNPERMITTED = {"DN019", "DN024"}
VENDOR = ("spf.mail-vendor.net", "TXT")


def sending(*terms):
    """The DNS file with further senders."""
    return dns("with: {senders: [" + ", ".join(f'"{term}"' for term in terms) + "]}\n")


@pytest.fixture
def estate(tmp_path):
    """A client that was applied."""
    return make(tmp_path / "estate", northwind()).applied({})


def told(monkeypatch, estate, records, *arguments, **more):
    """(findings of northwind about DNS by code, exit code, what was asked) of a plan."""
    with Answering({**AGENCY_SPF, **records}, **more) as server:
        monkeypatch.setenv("RECONCILER_RESOLVER", server.address)
        run = estate.run("plan", "--format", "json", *arguments)
    (found,) = [f["findings"] for f in run.json["tenants"] if f["tenant"] == "northwind"]
    return {f["code"]: f for f in found if f["code"].startswith("DN01")}, run.code, server.asked


def test_each_name_is_asked_once_round_by_round(monkeypatch, estate):
    """What is included is asked for when it is known; no name twice, though two records name it."""
    estate.write(sending("include:spf.mail-vendor.net", "include:b.mail-vendor.net"))
    records = {
        VENDOR: ["v=spf1 include:c.mail-vendor.net -all"],
        ("b.mail-vendor.net", "TXT"): ["v=spf1 include:c.mail-vendor.net -all"],
        ("c.mail-vendor.net", "TXT"): ["v=spf1 ip4:192.0.2.9 -all"],
    }
    found, code, asked = told(monkeypatch, estate, records)
    assert (found, code) == ({}, 0)
    assert sorted(asked) == sorted({*records, *AGENCY_SPF})


def test_a_plan_without_changes_asks_nobody(monkeypatch, estate):
    """Nor does one whose changes touch no record of mail, nor validate."""
    assert told(monkeypatch, estate, {}) == ({}, 0, [])
    estate.write(dns('records:\n  - {name: www, type: A, values: ["192.0.2.1"]}\n'))
    assert told(monkeypatch, estate, {}) == ({}, 0, [])
    estate.write(sending("include:spf.mail-vendor.net"))
    with Answering({}) as server:
        monkeypatch.setenv("RECONCILER_RESOLVER", server.address)
        assert estate.run("validate").code == 0
    assert server.asked == []


def test_what_the_plan_changes_counts_as_it_shall_be(monkeypatch, estate):
    """An include that the same commit declares is not asked for: the world does not have it yet."""
    records = 'records:\n  - {name: _spf, type: TXT, values: ["v=spf1 ip4:192.0.2.7 -all"]}\n'
    text = sending("include:_spf.northwind.example")
    estate.write({name: said + records for name, said in text.items()})
    assert told(monkeypatch, estate, {}) == ({}, 0, list(AGENCY_SPF))


@pytest.mark.parametrize("type_", ["A", "AAAA"])
def test_a_name_that_the_plan_makes_is_not_asked_for(monkeypatch, estate, type_):
    """Asked before it is published, a resolver keeps that it does not exist: not as a host, nor for another type."""
    value = {"A": "192.0.2.7", "AAAA": "2001:db8::7"}[type_]
    host, mx = "mx.northwind.example", 'type: MX, mode: replace, reason: ours, values: ["10 mx.northwind.example."]'
    more = f'records:\n  - {{name: mx, type: {type_}, values: ["{value}"]}}\n  - {{name: "@", {mx}}}\n'
    text = sending("a:mx.northwind.example", "include:mx.northwind.example")
    estate.write({name: said + more for name, said in text.items()})
    with Answering(AGENCY_SPF) as server:
        monkeypatch.setenv("RECONCILER_RESOLVER", server.address)
        found = {f["code"]: f["detail"] for f in estate.one()["findings"]}
    assert [name for name, _ in server.asked if name == host] == []
    assert found["DN019"].startswith(f"{host} TXT. ")  # whether an SPF record is beside it only asking could tell
    assert found.keys() & {"DN017", "DN018", "DN028"} == set()


def test_a_permission_that_the_plan_makes_counts(monkeypatch, tmp_path):
    """One tenant's reports go to another's domain, and both change in one commit: the permission is not asked for."""
    estate = make(tmp_path / "estate", northwind(), contoso()).applied({})
    policy = "v=DMARC1; p=none; rua=mailto:d@contoso.example"
    dmarc = f"{{name: _dmarc, type: TXT, mode: replace, reason: ours, values: ['{policy}']}}"
    permission = "{name: northwind.example._report._dmarc, type: TXT, values: [v=DMARC1]}"
    estate.write({**dns(f"records: [{dmarc}]\n"), **dns(f"records: [{permission}]\n", "contoso.example")})
    with Answering({}) as server:
        monkeypatch.setenv("RECONCILER_RESOLVER", server.address)
        tenants = estate.plan()["tenants"]
    assert [f["code"] for tenant in tenants for f in tenant["findings"] if f["code"] in UNPERMITTED] == []
    assert server.asked == []


def test_too_many_lookups_behind_an_include_refuse_until_accepted(monkeypatch, estate):
    """Counted to the end by what DNS says, at the parameter's line; an acceptance lifts it as any other."""
    estate.write(sending("include:spf.mail-vendor.net"))
    records = {VENDOR: ["v=spf1 " + " ".join(f"exists:%{{i}}.x{n}.mail-vendor.net" for n in range(9)) + " -all"]}
    found, code, _ = told(monkeypatch, estate, records)
    assert (found["DN015"]["severity"], found["DN015"]["line"], code) == ("error", 3, 3)
    estate.write(accepting("DN015", "TXT/northwind.example"))
    found, code, _ = told(monkeypatch, estate, records)
    assert (found["DN015"]["severity"], code) == ("info", 0)


@pytest.mark.parametrize(
    ("records", "more", "code"),
    [
        ({}, {}, "DN018"),
        ({}, {"failing": ["spf.mail-vendor.net"]}, "DN019"),
        ({("x.mail-vendor.net", "A"): ["192.0.2.1"]}, {}, "DN018"),
    ],
    ids=["no such name", "no answer", "names that nobody has"],
)
def test_what_is_not_there_outside_refuses_nothing(monkeypatch, estate, records, more, code):
    """Four names of a vendor that do not exist: a warning each or unknown, never fine, and exit 0."""
    estate.write(sending("include:spf.mail-vendor.net", *(f"a:n{n}.mail-vendor.net" for n in range(3))))
    found, exit_code, _ = told(monkeypatch, estate, records, **more)
    assert (code in found, exit_code) == (True, 0)
    assert {f["severity"] for f in found.values()} <= {"warning", "info"}


def test_that_a_reserved_name_is_not_there_says_nothing(monkeypatch, estate):
    """Nobody can hold a name below `example` (RFC 2606): unknown."""
    estate.write(sending("include:spf.vendor.example"))
    found, exit_code, _ = told(monkeypatch, estate, {})
    assert (set(found), exit_code) == ({"DN019"}, 0)


def test_nobody_to_ask_is_unknown(monkeypatch, estate):
    """With `none` no packet leaves; the plan says what it does not know."""
    estate.write(sending("include:spf.mail-vendor.net"))
    (unknown,) = [f for f in estate.one()["findings"] if f["code"] == "DN019"]
    assert "spf.mail-vendor.net TXT" in unknown["detail"]
    assert "DN019" not in codes(estate.one()["findings"])


def test_a_resolver_that_is_none_is_said(monkeypatch, estate):
    """A typing mistake must not look like silence: exit 1, and how it is written."""
    estate.write(sending("include:spf.mail-vendor.net"))
    monkeypatch.setenv("RECONCILER_RESOLVER", "resolver.example")
    run = estate.run("plan")
    assert (run.code, "RECONCILER_RESOLVER" in run.err, "ADDRESS:PORT" in run.err) == (1, True, True)
