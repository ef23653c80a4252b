"""How much one run may take away: per tenant and kind, over all tenants, and what that says of an answer's length."""

from __future__ import annotations

import pytest

from tests.estates import (
    AGENCY,
    NORTHWIND,
    accepting,
    accepts,
    codes,
    contoso,
    control,
    dns,
    mail,
    make,
    northwind,
    summary,
    tenant,
)

TEN = {f"box{number}": "{owner: jane}" for number in range(9)} | {"jane": "{owner: jane}"}


def some(number):
    """So many of the ten mailboxes, Jane's among them."""
    return dict(list(TEN.items())[-number:])


def errors(plan):
    """{(code, subject)} of what refuses a tenant."""
    return {(f["code"], f["subject"]) for f in plan["findings"] if f["severity"] == "error"}


def detail(plan, code):
    """What the one finding of a code says."""
    (found,) = [f for f in plan["findings"] if f["code"] == code]
    return found["detail"]


@pytest.fixture
def ten(tmp_path):
    """Northwind with ten mailboxes, applied."""
    return make(tmp_path / "estate", northwind(TEN, "")).applied({})


# ---------------------------------------------------------------------- removals


def test_six_of_ten_mailboxes_do_not_go_by_mistake(ten):
    """Nothing is said of limits: two may go, or a tenth. Six are refused in numbers, and nothing is written."""
    world = ten.world()
    ten.write(mail(some(4), ""))
    found = ten.one()
    assert errors(found) == {("PL101", "northwind/mailbox")}
    assert "6 of 10 mailboxes would go; 2 are allowed." in detail(found, "PL101")
    assert len([c for c in found["changes"] if c["action"] == "retire"]) == 6
    done = ten.apply()
    assert (done.code, done.json["tenants"][0]["result"], ten.world()) == (3, "refused", world)
    assert (
        '/northwind/control.yaml: - {finding: PL101, subject: "northwind/mailbox", up_to: 6, reason'
        in ten.run("plan").out
    )


def test_two_go_without_a_word(ten):
    """What one run may take away needs nobody's word."""
    ten.write(mail(some(8), ""))
    assert errors(ten.one()) == set()
    assert ten.apply().code == 0


ACCEPTED = {
    "by its number": ({"up_to": 6}, True),
    "with room": ({"up_to": 7}, True),
    "up to five": ({"up_to": 5}, False),
    "without a number": ({}, False),
    "until last year": ({"up_to": 6, "expires": "2025-12-31"}, False),
}


@pytest.mark.parametrize("how", ACCEPTED)
def test_a_limit_is_lifted_up_to_a_number(ten, how):
    """An acceptance holds up to the number it says, until the day it says; else the finding stands."""
    said, lifted = ACCEPTED[how]
    ten.write({**mail(some(4), ""), **accepting("PL101", "northwind/mailbox", **said)})
    assert (ten.apply().code, errors(ten.one()) == set()) == ((0, True) if lifted else (3, False))


def test_an_acceptance_is_for_one_kind_of_one_tenant(ten):
    """Another kind's number, or another tenant's, lifts nothing."""
    named = ("PL101", "northwind/alias"), ("PL101", "contoso/mailbox"), ("PL102", "northwind/mailbox")
    ten.write({**mail(some(4), ""), **control(accepts(*named, up_to=99))})
    assert errors(ten.one()) == {("PL101", "northwind/mailbox")}


LIMITS = {
    "a count": ("mailbox: {count: 6}", True),
    "one less": ("mailbox: {count: 5}", False),
    "a share": ("mailbox: {share: 60%}", True),
    "a share, rounded down": ("mailbox: {share: 59%}", False),
    "whichever allows more": ("mailbox: {count: 0, share: 70%}", True),
    "of another kind": ("alias: {count: 9}", False),
}


@pytest.mark.parametrize("how", LIMITS)
def test_an_agency_sets_its_own_limits(ten, how):
    """`limits.removals`, by kind: the count or the share of what the ledger has, whichever allows more."""
    said, allowed = LIMITS[how]
    ten.write({**mail(some(4), ""), "reconciler.yaml": f"{AGENCY}limits: {{removals: {{{said}}}}}\n"})
    plan = ten.plan()
    assert (errors(plan["tenants"][0]) == set(), plan["findings"]) == (allowed, [])


def test_what_is_let_go_counts(ten):
    """Ten mailboxes forgotten are as many gone as ten retired; what another kind may lose is counted by itself."""
    ten.write({NORTHWIND: "domain: northwind.example\nowner: jane\nmail: null\n"})
    found = ten.one()
    assert errors(found) == {("PL101", "northwind/mailbox")}
    assert "10 of 10 mailboxes would go" in detail(found, "PL101")
    assert ten.apply().code == 3


def test_mailboxes_that_are_blocked_already_count(ten):
    """A mailbox that goes without a write, as it is blocked already, goes all the same."""
    blocked = dict.fromkeys(TEN, "{owner: jane, state: blocked}") | {"jane": "{owner: jane}"}
    ten.applied(mail(blocked, ""))
    ten.write(mail({name: blocked[name] for name in some(4)}, ""))
    found = ten.one()
    assert (found["changes"], errors(found)) == ([], {("PL101", "northwind/mailbox")})


def test_deleted_aliases_count(tmp_path):
    """Three of five aliases are one too many; the two of the template stay."""
    more = "aliases:\n" + "".join(f"  a{number}: [jane]\n" for number in range(3))
    estate = make(tmp_path / "estate", northwind(more=more)).applied({})
    estate.write(mail())
    assert errors(estate.one()) == {("PL101", "northwind/alias")}
    assert "3 of 5 aliases would go; 2 are allowed." in detail(estate.one(), "PL101")


def test_what_is_gone_already_does_not_count(ten):
    """What somebody removed by hand, and Git no longer declares, is forgotten; only what is there can be taken away."""
    ten.sql("DELETE FROM mailbox WHERE username IN ('box0@northwind.example', 'box1@northwind.example')")
    ten.write(mail(some(6), ""))
    found = ten.one()
    assert (len(found["forgotten"]), len(found["changes"])) == (2, 2)
    assert errors(found) == set()


def test_a_move_to_another_tenant_takes_nothing_away(ten):
    """Ten mailboxes change their tenant: they count as no removal."""
    domain = "northwind.example"
    moved = {key.replace("northwind/", "fabrikam/"): text for key, text in {**mail(TEN, ""), **dns()}.items()}
    ten.write({**tenant("fabrikam"), **moved, **dict.fromkeys({**mail(TEN, ""), **dns()})})
    plan = ten.plan()
    assert [errors(found) for found in plan["tenants"]] == [set(), set()]
    assert f"mailhost:mailbox/jane@{domain}" in plan["tenants"][1]["forgotten"]
    assert ten.apply().code == 0


def test_a_whole_domain_counts_too(ten):
    """PL213 says that the tenant is gone, PL101 how much that is; both are lifted in reconciler.yaml, by name."""
    ten.write(dict.fromkeys(northwind(TEN, "")))
    found = errors(ten.one())
    assert found == {("PL213", "northwind"), ("PL101", "northwind/mailbox"), ("PL101", "northwind/record")}
    ten.write({"reconciler.yaml": AGENCY + accepts(*sorted(found), up_to=10)})
    assert ten.apply().code == 0


def test_what_is_released_counts(ten):
    """Three mailboxes that the ledger is told to forget are as many gone; with their number they go."""
    names = sorted(set(TEN) - set(some(7)))
    released = "".join(f'  "mailhost:mailbox/{name}@northwind.example": theirs\n' for name in names)
    ten.write({**mail(some(7), ""), **control(f"released:\n{released}")})
    found = ten.one()
    assert (found["changes"], len(found["forgotten"]), errors(found)) == ([], 3, {("PL101", "northwind/mailbox")})
    assert "3 of 10 mailboxes would go; 2 are allowed." in detail(found, "PL101")
    ten.write(control(f"released:\n{released}{accepts(('PL101', 'northwind/mailbox'), up_to=3)}"))
    assert ten.apply().code == 0


@pytest.mark.parametrize("boxes", [TEN, dict.fromkeys(TEN, "{owner: jane, state: blocked}")], ids=["open", "blocked"])
def test_what_is_due_is_no_declared_removal(tmp_path, boxes):
    """A domain that `retire` takes out goes in stages, reviewed with its line: ten mailboxes count as none."""
    estate = make(tmp_path / "estate", northwind(boxes, "")).applied({})
    retire = "retire: {northwind.example: {on: 2026-01-01, keep: 9 days, reason: left, approved_by: ops}}\n"
    estate.write(control(retire))
    found = estate.one()
    assert (found["changes"], errors(found)) == ([], set())
    assert {c["reason"] for c in found["due"]} == {"stage"}
    assert estate.apply().code == 0


@pytest.fixture
def purging(ten):
    """Two of ten are retired and may be purged; one run may purge one."""
    limits = f"{AGENCY}limits: {{purges: {{mailbox: {{count: 1}}}}}}\n"
    return ten.applied({**mail(some(8), ""), **control("retention: 0 days\n"), "reconciler.yaml": limits})


def test_purges_count_among_what_is_due(purging):
    """Two purges are one too many, whether `--purge` is said or not; by their number they go."""
    found = purging.one()
    assert ([c["action"] for c in found["due"]], errors(found)) == (["purge"] * 2, {("PL102", "northwind/mailbox")})
    assert "2 of 10 mailboxes would be purged; 1 is allowed." in detail(found, "PL102")
    assert purging.apply("--yes", "--purge").code == 3
    purging.write(control(f"retention: 0 days\n{accepts(('PL102', 'northwind/mailbox'), up_to=2)}"))
    assert purging.apply("--yes", "--purge").code == 0
    assert purging.sql("SELECT count(*) FROM mailbox") == [(8,)]


def test_a_kind_without_a_limit_is_purged_in_any_number(purging):
    """`purges` that does not name it sets none."""
    purging.write({"reconciler.yaml": AGENCY})
    assert errors(purging.one()) == set()


# ---------------------------------------------------------------------- over all tenants


@pytest.fixture
def both(tmp_path):
    """Two tenants, each with an alias that may go; three removals at most in one run."""
    more = "aliases:\n  info: [jane]\n  press: [jane]\n"
    theirs = {**contoso(), **mail({"jane": "{owner: jane}"}, more, "contoso.example")}
    agency = f"{AGENCY}limits: {{per_run: {{removals: 3}}}}\n"
    return make(tmp_path / "estate", northwind(more=more), theirs, agency=agency).applied({})


def test_many_small_removals_are_one_big_one(both):
    """Two in each of two tenants: each may lose them, all together may not. Every tenant that loses one is refused."""
    both.write({**mail(), **mail({"jane": "{owner: jane}"}, "", "contoso.example"), **tenant("fabrikam")})
    plan = both.plan()
    found = {found["tenant"]: errors(found) for found in plan["tenants"]}
    stopped = {("PL103", "per_run/removals")}
    assert found == {"contoso": stopped, "fabrikam": set(), "northwind": stopped}
    assert "4 removals in 2 tenants; 3 are allowed." in detail(plan["tenants"][0], "PL103")
    assert both.apply().code == 3
    assert both.one("--tenant", "northwind")["findings"] == []  # a run of one tenant is a run


def test_a_tenant_that_loses_nothing_goes_on(both):
    """Four aliases go in one tenant, too many for the run; the other only gets something, and gets it."""
    agency = f"{AGENCY}limits: {{removals: {{alias: {{count: 9}}}}, per_run: {{removals: 3}}}}\n"
    many = "aliases:\n" + "".join(f"  a{number}: [jane]\n" for number in range(4))
    both.applied({**mail(more=many), "reconciler.yaml": agency})
    both.write({**mail(), **dns("with: {dmarc: quarantine}\n", "contoso.example")})
    done = both.apply()
    results = {found["tenant"]: found["result"] for found in done.json["tenants"]}
    assert (done.code, results) == (3, {"northwind": "refused", "contoso": "applied"})


@pytest.mark.parametrize(("where", "code"), [("reconciler.yaml", 0), ("control.yaml", 3)])
def test_all_tenants_are_accepted_by_the_agency(both, where, code):
    """In reconciler.yaml, for it is no single tenant's; a tenant's own word does not lift it."""
    said = accepts(("PL103", "per_run/removals"), up_to=4)
    agency = (both.root / "reconciler.yaml").read_text()
    word = {where: agency + said} if where == "reconciler.yaml" else {**control(said), **control(said, "contoso")}
    both.write({**mail(), **mail({"jane": "{owner: jane}"}, "", "contoso.example"), **word})
    assert both.apply().code == code


# ---------------------------------------------------------------------- an edit for all

FAN_OUT = f"{AGENCY}limits: {{fan_out: {{domains: 1}}}}\n"
MOVED = FAN_OUT.replace("mx1.agency.example", "mx2.agency.example")


@pytest.fixture
def fleet(tmp_path):
    """Two tenants on one server entry; one domain at most may move by an edit of it."""
    return make(tmp_path / "estate", northwind(), contoso(), agency=FAN_OUT).applied({})


def test_an_edit_that_moves_too_many_domains_needs_a_rollout(fleet):
    """Another MX for every client: refused for all it reaches; the same with `rollout` goes on."""
    fleet.write({"reconciler.yaml": MOVED})
    run = fleet.run("plan", "--format", "json")
    assert run.code == 3
    assert [errors(found) for found in run.json["tenants"]] == [{("PL104", "fan_out/domains")}] * 2
    assert "2 domains in 2 tenants; 1 is allowed." in detail(run.json["tenants"][0], "PL104")
    (found,) = [f for f in run.json["tenants"][0]["findings"] if f["code"] == "PL104"]
    assert (found["file"], found["line"]) == ("reconciler.yaml", MOVED.count("\n"))
    assert fleet.apply().code == 3
    fleet.write({"reconciler.yaml": f"{MOVED}rollout: {{canary: [contoso]}}\n"})
    assert fleet.apply().code == 0


@pytest.mark.parametrize(("up_to", "code"), [(2, 0), (1, 3)])
def test_an_edit_for_all_is_accepted_by_the_agency(fleet, up_to, code):
    """In reconciler.yaml, up to a number of domains."""
    fleet.write({"reconciler.yaml": MOVED + accepts(("PL104", "fan_out/domains"), up_to=up_to)})
    assert fleet.apply().code == code


def test_a_new_version_of_a_template_is_an_edit_for_all(fleet):
    """What a template says is as much the agency's."""
    template = (fleet.root / "domain-templates/mini/1.yaml").read_text()
    fleet.write({"domain-templates/mini/1.yaml": template.replace("v=DMARC1;", "v=DMARC1; pct=50;")})
    assert errors(fleet.one()) == {("PL104", "fan_out/domains")}


def test_what_clients_change_themselves_is_no_edit_for_all(fleet):
    """Two domains change by their own files; the agency only added a person. And a new domain is no old one."""
    person = FAN_OUT.replace("people:\n", 'people:\n  clara: {name: Clara Lind, contact: "+49 30 1234569"}\n')
    both = {**dns("with: {dmarc: quarantine}\n"), **dns("with: {dmarc: quarantine}\n", "contoso.example")}
    fleet.write({**both, "reconciler.yaml": person})
    assert [errors(found) for found in fleet.plan()["tenants"]] == [set(), set()]
    more = {**mail(domain="northwind.test"), **dns(domain="northwind.test")}
    fleet.applied(both)
    fleet.write({**more, "reconciler.yaml": person.replace("mx1.agency", "mx2.agency")})
    assert "2 domains in 2 tenants" in detail(fleet.one(), "PL104")


# ---------------------------------------------------------------------- an answer that is too short


def test_a_server_that_lost_its_mailboxes_is_not_believed(ten):
    """All of them missing is no drift but a bad answer: not read, not applied, nothing forgotten, nothing made."""
    ten.sql("DELETE FROM mailbox")
    ten.write(mail(some(4), "aliases:\n  info: [jane]\n"))
    plan = ten.run("plan", "--format", "json")
    found = plan.json["tenants"][0]
    (unread,) = found["unread"]
    assert (plan.code, found["complete"], unread["provider"], unread["kind"]) == (1, False, "mailhost", "mailbox")
    assert unread["error"].startswith("10 of 10 mailboxes that the ledger has are not in its answer, 2 are allowed")
    assert (found["changes"], found["forgotten"], found["drift"]) == ([], [], [])
    assert unread["error"].endswith("accept PL101 of northwind/mailbox with `up_to: 10`")
    world = ten.world()
    done = ten.apply()
    assert (done.code, done.json["tenants"][0]["result"], ten.world()) == (1, "failed", world)


def test_the_other_side_is_still_planned(ten):
    """A name server that answers whole is compared as ever."""
    ten.sql("DELETE FROM mailbox")
    ten.write(dns("with: {dmarc: quarantine}\n"))
    assert summary(ten.one()["changes"]) == {("update", "TXT/_dmarc.northwind.example")}


def test_a_zone_that_came_back_empty_is_not_believed(ten):
    """Three records of a small tenant, all missing: more than two."""
    ten.zone().write_text("")
    assert [(u["provider"], u["kind"]) for u in ten.one()["unread"]] == [("zones", "record")]


@pytest.mark.parametrize("number", [1, 2])
def test_one_or_two_missing_things_are_drift(ten, number):
    """What one run may take away may go missing: somebody did that by hand."""
    for name in list(TEN)[:number]:
        ten.sql("DELETE FROM mailbox WHERE username = ?", f"{name}@northwind.example")
    found = ten.one()
    assert [d["field"] for d in found["drift"]] == ["exists"] * number
    assert (found["unread"], codes(found["findings"])) == ([], {"PL201"})


def test_a_loss_is_made_good_by_who_enforces_everything(ten):
    """`--enforce all` says that what is missing is to be made again, however much that is."""
    ten.sql("DELETE FROM mailbox")
    assert ten.apply("--yes").code == 1
    assert ten.apply("--yes", "--enforce", "all").code == 0
    assert ten.sql("SELECT count(*) FROM mailbox") == [(10,)]


def test_a_loss_is_believed_when_somebody_says_so(ten):
    """With the acceptance that would let so many go, an answer may be as short: what is missing is drift again."""
    ten.sql("DELETE FROM mailbox WHERE username LIKE 'box%'")
    ten.write(accepting("PL101", "northwind/mailbox", up_to=9))
    found = ten.one()
    assert (found["unread"], len(found["drift"])) == ([], 9)
