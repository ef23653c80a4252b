"""Where resets arrive, and which mailboxes are of high value: what the examples in tests/checks do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.agency import Agency
from reconciler.files import Files
from reconciler.findings import Origin
from reconciler.kinds import named
from reconciler.people import people_of
from reconciler.resets import FAR, Graph, high_value
from tests.estates import AGENCY, accepting, contoso, mail, make, northwind

if TYPE_CHECKING:
    from reconciler.model import Address, Resource

TENANT = "tenants/northwind/tenant.yaml"
TODAY = "2026-11-24"


def people(**said: str) -> dict[str, str]:
    """Northwind's people, `jane="…"` with the rest of their line; whoever is not named has a telephone."""
    both = {"jane": 'contact: "+44 20 1"', "tom": 'contact: "+44 20 2"', **said}
    lines = "".join(f"  {who}: {{name: {who}, {line}}}\n" for who, line in both.items() if who != "more")
    return {TENANT: f"tenant: northwind\nname: N\npeople:\n{lines}{said.get('more', '')}"}


def found(estate, *files):
    """(code, severity, subject, file) of the findings about ownership."""
    for group in files:
        estate.write(group)
    data = estate.run("validate", "--format", "json").json
    return [(f["code"], f["severity"], f["subject"], f["file"]) for f in data["findings"] if f["code"] > "OW"]


def graph(
    boxes: dict[str, Any], aliases: dict[str, list[str]], people: dict[str, Any], more: dict[str, Any] | None = None
) -> Graph:
    """The graph of one tenant with the domain a.example, without files on a disk; `boxes` are name and owner."""
    sections = {"mailboxes": {name: {"owner": owner} for name, owner in boxes.items()}}
    files = Files(
        "t", {"people": people, **(more or {})}, {}, {"a.example": {"domain": "a.example", "owner": "x", **sections}}
    )
    agency = Agency({"version": 1})
    things = [_made("domain", "a.example", {}, ("domain",))]
    things += [_made("mailbox", f"{name}@a.example", {"owner": o}, ("mailboxes", name)) for name, o in boxes.items()]
    things += [_made("alias", f"{name}@a.example", {"to": to}, ("aliases", name)) for name, to in aliases.items()]
    state: dict[Address, Resource] = {thing.address: thing for thing in things}
    return Graph(files, state, people_of(files, agency, TODAY), agency, {"a.example": "t"})


def _made(kind: str, name: str, said: dict[str, Any], path: tuple[str, ...]) -> Resource:
    return named(kind).resource("m", name, said, domain="a.example", origin=Origin("f.yaml", path))


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind())


def test_no_asset_and_no_address_is_nothing_to_judge(estate):
    """Where people are reached by telephone and no asset is declared, nothing is said."""
    assert found(estate) == []


def test_a_contact_in_another_tenant_is_not_known(estate):
    """Tenants are islands: who reads a mailbox of another one is not looked up."""
    assert found(estate, contoso(), people(tom="contact: jane@contoso.example")) == [
        ("OW037", "info", "tom", TENANT)
    ]  # fmt: skip


def test_a_domain_whose_mail_is_not_ours_is_not_known(estate):
    """It is declared, but nothing here says who reads its addresses."""
    elsewhere = {"tenants/northwind/domains/other.example.yaml": "domain: other.example\nowner: jane\nmail: null\n"}
    assert found(estate, elsewhere, people(tom="contact: tom@other.example")) == [("OW037", "info", "tom", TENANT)]


def test_the_agencys_contacts_are_judged_once(estate):
    """At an inside domain once for the estate, at a tenant's domain in that tenant: never once per tenant."""
    inside = {"reconciler.yaml": AGENCY.replace('"+49 30 1234567"', "anna@agency.example")}
    assert found(estate, contoso(), inside) == [("OW037", "info", "anna", "reconciler.yaml")]
    ours = {"reconciler.yaml": AGENCY.replace('"+49 30 1234567"', "nobody@northwind.example")}
    assert found(estate, ours) == [("OW035", "error", "anna", "reconciler.yaml")]


def test_an_owner_from_the_agency_is_judged_at_their_domain(estate):
    """Anna owns Northwind's domain and is reached below it: that is found there, and not for her other domains."""
    anna = {"reconciler.yaml": AGENCY.replace('"+49 30 1234567"', "anna@mail.northwind.example")}
    hers = {path: str(text).replace("owner: jane\n", "owner: anna\n", 1) for path, text in mail().items()}
    other = {path: str(text).replace("owner: jane\n", "owner: anna\n", 1) for path, text in contoso().items()}
    assert found(estate, hers, other, anna) == [("OW034", "error", "anna", "reconciler.yaml")]


def test_of_several_faults_one_is_found_and_the_other_told(estate):
    """A shared mailbox at the domain that is to be recovered is one finding, whose text has both."""
    shared = mail(more="shared:\n  desk: {owner: jane, members: {jane: full}}\n")
    asset = "reset_to: desk@northwind.example, domains: [northwind.example]"
    said = people(jane='contact: "+44 20 1", mfa_attested: 2099-01-01', more=_asset(asset))
    assert sorted(code for code, *_ in found(estate, shared, said)) == ["OW030", "OW041"]
    told = estate.run("validate", "--format", "json").json["findings"]
    assert "northwind.example too, which it recovers" in next(f["detail"] for f in told if f["code"] == "OW030")


def test_what_is_wrong_further_on_stands_at_that_contact(estate):
    """Jane's mailbox is a fine end for an asset; that her own contact is not is said at her contact alone."""
    said = people(jane="contact: jane@northwind.example", more=_asset("reset_to: jane@northwind.example"))
    assert ("OW033", "error", "jane", TENANT) in found(estate, said)
    assert [code for code, severity, *_ in found(estate) if severity == "error"] == ["OW033"]


def test_an_acceptance_lifts_a_path(estate):
    """By code and the asset's kind and name."""
    said = people(more=_asset("reset_to: gone@northwind.example"))
    assert ("OW035", "error", "billing/Bank", TENANT) in found(estate, said)
    assert ("OW035", "info", "billing/Bank", TENANT) in found(estate, accepting("OW035", "billing/Bank"))


def test_what_renews_itself_is_one_step_milder(estate):
    """The last week of an asset refuses, unless it renews itself: then it warns."""
    assert ("OW050", "error", "billing/Bank", TENANT) in found(estate, people(more=_asset("expires: 2026-01-31")))
    renewing = people(more=_asset("expires: 2026-01-31, auto_renew: true"))
    assert ("OW050", "warning", "billing/Bank", TENANT) in found(estate, renewing)


def test_a_forward_that_keeps_nothing_is_where_it_leads():
    """A mailbox that passes everything on to another is no second reader."""
    made = graph({"jane": "jane", "old": "tom"}, {}, {"jane": {}, "tom": {}})
    old = made.things["old@a.example"]
    assert made.arrival("old@a.example").boxes == ("old@a.example",)
    passing = graph({"jane": "jane", "old": "tom"}, {}, {"jane": {}, "tom": {}})
    passing.things["old@a.example"] = old.having(copies_to=("jane@a.example",), keep_copy=False)
    assert passing.arrival("old@a.example").boxes == ("jane@a.example",)


def test_high_value_mailboxes_are_inferred():
    """By what arrives there, by their name, by their owner's role; everybody else's is none."""
    names = {name: name for name in ("jane", "tom", "kim", "liz", "max")}
    who = {name: {} for name in names} | {"max": {"contact": "tom@a.example"}}
    more = {"assets": [{"kind": "registrar", "name": "R", "reset_to": "boss@a.example"}]}
    made = graph({**names, "dns": "liz"}, {"boss": ["jane@a.example"]}, who, more)
    made.people = made.people._replace(roles={"reset_approver": ["kim"]})
    assert high_value(made) == {
        "jane@a.example": "resets of registrar/R arrive there",
        "tom@a.example": "resets of max arrive there",
        "kim@a.example": "kim is reset_approver",
        "dns@a.example": "its name stands for control of the domain",
    }


def test_a_path_is_told_from_contact_to_contact():
    """`path` gives each address with the mailbox it arrives in, to the contact that is outside."""
    contacts = {"jane": {"contact": "boss@a.example"}, "tom": {"contact": "tom@home.example"}}
    made = graph({"jane": "jane", "tom": "tom"}, {"boss": ["tom@a.example"]}, contacts)
    told = [(address, arrival.boxes) for address, arrival in made.path("jane@a.example")]
    assert told == [
        ("jane@a.example", ("jane@a.example",)), ("boss@a.example", ("tom@a.example",)), ("tom@home.example", ()),
    ]  # fmt: skip


def test_long_chains_and_wide_lists_stay_cheap(monkeypatch):
    """Thousands of contacts into a chain of thousands of aliases, or a list of thousands: a bounded look at each."""
    size, looks = 2000, []
    thing = Graph._thing
    monkeypatch.setattr(Graph, "_thing", lambda self, *a: looks.append(1) or thing(self, *a))
    chain = {f"c{n}": [f"c{n + 1}@a.example"] for n in range(size)} | {f"c{size}": ["x@a.example"]}
    wide = {"all": [f"b{n}@a.example" for n in range(size)]} | {f"w{n}": ["all@a.example"] for n in range(size)}
    who = {f"p{n}": {"contact": f"{'c' if n % 2 else 'w'}{n % size}@a.example"} for n in range(2 * size)}
    made = graph({"x": "p1999", **{f"b{n}": f"p{n}" for n in range(size)}}, {**chain, **wide}, who)
    troubles = {made.arrival(address).trouble for address in made.contacts.values()}
    assert made.circles == {"p1999"}
    assert troubles <= {"", "shared", "unknown"}
    assert len(looks) <= (FAR + 1) * 2 * size


def _asset(said: str) -> str:
    return f"assets:\n  - {{kind: billing, name: Bank, held_by: jane, {said}}}\n"
