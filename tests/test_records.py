"""`records`: what to hand to whoever runs a zone. What it prints is read by a parser of zone files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.zone
import pytest

from reconciler.kinds import record
from reconciler.providers import _sets
from tests.estates import AGENCY, make, northwind
from tests.estates import dns as names

if TYPE_CHECKING:
    from pathlib import Path

    from tests.estates import Estate

LONG = "x" * 300
SIGNED = f"""\
dkim: {{sign: [s1], keys: {{s1: {{type: rsa}}}}}}
absent: [{{name: old, type: TXT, value: "v=spf1 -all", reason: moved}}, {{name: gone, type: A, reason: moved}}]
records:
  - {{name: long, type: TXT, values: ["{LONG}", 'a "quoted" \\; é'], ttl: 5 min}}
  - {{name: "*", type: MX, values: ["10 mx1.agency.example."]}}
  - {{name: "@", type: CAA, values: ['0 issue "ca.example"']}}
"""


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return make(tmp_path / "estate", northwind(names=SIGNED))


def read(text: str) -> dict[tuple[str, str], set[str]]:
    """The record sets in a text, as a parser of zone files reads them; TXT is its joined text."""
    head = "northwind.example. 60 IN SOA ns. h. 1 1 1 1 1\nnorthwind.example. 60 IN NS ns.\n"
    zone = dns.zone.from_text(head + text, "northwind.example.", relativize=False)
    return {
        (dns.rdatatype.to_text(data.rdtype), name.to_text(omit_final_dot=True)): {
            record.lenient(dns.rdatatype.to_text(data.rdtype), _sets.text_of(one)) for one in data
        }
        for name, data in zone.iterate_rdatasets()
        if dns.rdatatype.to_text(data.rdtype) not in {"SOA", "NS"}
    }


def test_what_is_printed_is_what_is_declared(estate: Estate) -> None:
    """Every set of the JSON stands in the text, letter by letter, and nothing else does."""
    estate.apply()
    found = estate.run("records", "northwind.example", "--format", "json").json
    told = {(one["type"], one["name"]): set(one["values"]) for one in found["records"]}
    assert read(estate.run("records", "northwind.example").out) == told
    assert told["TXT", "long.northwind.example"] == {LONG, 'a "quoted" \\; é'}
    assert {one["ttl"] for one in found["records"] if one["name"].startswith("long")} == {300}
    assert found["unknown"] == []


def test_a_key_is_told_once_it_is_made(estate: Estate) -> None:
    """Before the first apply its public half is nobody's to say; the text says so in a comment."""
    run = estate.run("records", "northwind.example")
    assert "; not known yet: s1._domainkey.northwind.example. TXT: its key is made by the first apply" in run.out
    assert ("TXT", "s1._domainkey.northwind.example") not in read(run.out)
    estate.apply()
    text = estate.run("records", "northwind.example").out
    assert read(text)["TXT", "s1._domainkey.northwind.example"].pop().startswith("v=DKIM1; k=rsa; p=")
    estate.write({"reconciler.yaml": AGENCY.replace("sqlite:///var/mail.sqlite", "postgresql://127.0.0.1:1/mail")})
    run = estate.run("records", "northwind.example")
    assert (run.code, "; not known yet: s1._domainkey" in run.out) == (0, True)


def test_what_must_not_be_there_is_a_comment(estate: Estate) -> None:
    """`absent` of a value and of a whole set."""
    out = estate.run("records", "northwind.example").out
    assert '; must not be there: old.northwind.example. TXT "v=spf1 -all"\n' in out
    assert "; must not be there: gone.northwind.example. A any value\n" in out


def test_a_zone_that_is_not_ours_is_told_as_if_it_were(estate: Estate) -> None:
    """`dns: null`: this is what the command is for."""
    before = read(estate.run("records", "northwind.example").out)
    estate.write(names(f"dns: null\n{SIGNED}"))
    assert estate.plan()["tenants"][0]["changes"]
    assert read(estate.run("records", "northwind.example").out) == before


@pytest.mark.parametrize("name", ["jane", "jane@northwind.example", "nothing.example"])
def test_only_a_domain_has_records(estate: Estate, name: str) -> None:
    """A person, an address or a domain of nobody is an error that leads on."""
    run = estate.run("records", name)
    assert (run.code, run.out) == (1, "")
    assert "is no domain" in run.err or "nothing here is called nothing.example" in run.err
