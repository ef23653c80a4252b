"""Freeze and observe: what is held back is planned and shown as ever, and a later apply makes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reconciler.pausing import frozen_until
from tests.estates import (
    AGENCY,
    NORTHWIND,
    accepting,
    accepts,
    control,
    dns,
    mail,
    make,
    northwind,
    summary,
)

LATER, PAST = "2099-12-31", "2026-01-01"
TIGHTER = "with: {dmarc: quarantine}\n"
DMARC = "TXT/_dmarc.northwind.example"


NOW = datetime.now(ZoneInfo("Europe/Berlin"))


def weekly(hours):
    """The weekday and time so many hours from now, in the estate's time zone."""
    return (NOW + timedelta(hours=hours)).strftime("%a %H:%M").lower()


def freeze(*kinds, begin=-5, end=5):
    """A reconciler.yaml with a freeze that began five hours ago; no kinds: all of them."""
    of = f"kinds: [{', '.join(kinds)}], " if kinds else ""
    return {"reconciler.yaml": f'{AGENCY}freeze: [{{{of}from: "{weekly(begin)}", to: "{weekly(end)}"}}]\n'}


def held(plan):
    """{name: by what} of the changes that are held."""
    return {change["name"]: change["held"] for change in plan["changes"] if change["held"]}


@pytest.fixture
def estate(tmp_path):
    """Northwind, applied: Jane, Tom, info."""
    return make(tmp_path / "estate", northwind()).applied({})


# ---------------------------------------------------------------------- a freeze


def test_what_is_frozen_is_shown_and_made_later(estate):
    """A record change on a Friday evening: reviewed with the rest, left out by apply, made on Monday."""
    said = freeze("record")
    estate.write({**dns(TIGHTER), **mail(more="aliases:\n  info: [tom]\n"), **said})
    plan, until = estate.one(), f"freeze until {weekly(5)}"
    assert summary(plan["changes"]) == {("update", DMARC), ("update", "info@northwind.example")}
    assert held(plan) == {DMARC: until}
    done = estate.apply()
    (found,) = done.json["tenants"]
    assert (done.code, found["result"], [c["address"] for c in found["done"]]) == (
        0, "applied", ["mailhost:alias/info@northwind.example"],
    )  # fmt: skip
    assert found["not_done"] == [{"address": f"zones:record/{DMARC}", "action": "update", "why": until}]
    assert "p=none" in estate.zone().read_text()
    estate.write({"reconciler.yaml": AGENCY})
    assert (estate.apply().code, estate.one()["changes"]) == (0, [])
    assert "p=quarantine" in estate.zone().read_text()


def test_when_only_frozen_changes_are_left_nothing_is_done(estate):
    """The tenant is `held`, which is no failure: exit 0, and not a byte is written."""
    estate.write({**dns(TIGHTER), **freeze("record")})
    world = estate.world()
    done = estate.apply()
    (found,) = done.json["tenants"]
    assert (done.code, found["result"], found["error"], estate.world()) == (0, "held", None, world)
    assert found["rerun"] == "reconciler apply --tenant northwind --yes"


def test_people_read_what_is_held(estate):
    """In text, in Markdown and after an apply, each with the end of it."""
    estate.write({**dns(TIGHTER), **freeze("record")})
    until = f"freeze until {weekly(5)}"
    assert f"~ update record {DMARC}  (held: {until})" in estate.run("plan").out
    assert "1 to update, 1 held back for now" in estate.run("plan").out
    assert f", held: {until}" in estate.run("plan", "--format", "markdown").out
    said = estate.run("apply", "--yes").out
    assert "northwind  held back until later: 0 done" in said
    assert f"not done: update zones:record/{DMARC}: {until}" in said


def test_a_commit_counts_as_applied_only_without_anything_held(estate):
    """What is left of a commit is not said to be applied: its author is still found."""
    before = estate.one()["applied_commit"]
    estate.write({**dns(TIGHTER), **mail(more="aliases:\n  info: [tom]\n"), **freeze("record")})
    assert estate.apply().code == 0
    assert estate.one()["applied_commit"] == before
    (change,) = estate.one()["changes"]
    assert change["origin"]["commit"] == estate.head
    thawed = estate.write({"reconciler.yaml": AGENCY})
    assert estate.apply().code == 0
    assert estate.one()["applied_commit"] == thawed


def test_a_freeze_changes_no_digest(estate):
    """What was reviewed on Thursday is what Friday's plan says: the tenant is not stale."""
    estate.write({**dns(TIGHTER), **mail(more="aliases:\n  info: [tom]\n")})
    before = estate.one()["digest"]
    estate.write(freeze("record"))
    assert estate.one()["digest"] == before
    assert estate.apply("--digest", before).json["tenants"][0]["result"] == "applied"


NOT_FROZEN = {
    "of another kind": freeze("mailbox", "dkim_key"),
    "over since an hour": freeze("record", begin=-5, end=-1),
    "not begun": freeze("record", begin=1, end=5),
}


@pytest.mark.parametrize("which", NOT_FROZEN)
def test_a_freeze_holds_its_kinds_in_its_hours(estate, which):
    """Other kinds, and other hours, are as ever."""
    estate.write({**dns(TIGHTER), **NOT_FROZEN[which]})
    assert held(estate.one()) == {}
    assert estate.apply().code == 0
    assert "p=quarantine" in estate.zone().read_text()


def test_a_freeze_of_no_kind_is_one_of_all(estate):
    """`kinds` left out: everything."""
    estate.write({**dns(TIGHTER), **mail(more="aliases:\n  info: [tom]\n"), **freeze()})
    assert held(estate.one()).keys() == {DMARC, "info@northwind.example"}


HOURS = {  # 2026-11-27 is a Friday
    "2026-11-27T15:59": None,
    "2026-11-27T16:00": "mon 06:00",
    "2026-11-29T23:59": "mon 06:00",
    "2026-11-30T05:59": "mon 06:00",
    "2026-11-30T06:00": None,
    "2026-12-02T12:00": "wed 13:00",
    "": None,
}


@pytest.mark.parametrize("now", HOURS)
def test_a_freeze_begins_and_ends_to_the_minute(now):
    """Over the end of the week as inside it; where two hold, the one that ends last is named."""
    weekend, noon = {"from": "fri 16:00", "to": "mon 06:00"}, {"from": "wed 12:00", "to": "wed 13:00"}
    short = {"kinds": ["record"], "from": "fri 16:00", "to": "fri 18:00"}
    assert frozen_until("record", [short, weekend, noon], now) == HOURS[now]


# ---------------------------------------------------------------------- what goes with it


def test_what_needs_a_frozen_change_is_held_too(estate):
    """An alias to a mailbox that is not made yet waits with it, whatever its own kind; what needs neither goes on."""
    boxes = {"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB}", "kim": "{owner: jane}"}
    estate.write({**mail(boxes, "aliases:\n  info: [kim]\n  press: [tom]\n"), **freeze("mailbox")})
    until = f"freeze until {weekly(5)}"
    assert held(estate.one()) == {"kim@northwind.example": until, "info@northwind.example": until}
    assert estate.apply().code == 0
    assert summary(estate.one()["changes"]) == {
        ("create", "kim@northwind.example"),
        ("update", "info@northwind.example"),
    }


def test_a_name_is_not_left_before_it_can_be_taken(estate):
    """An alias becomes a mailbox, which is frozen: the alias stays meanwhile, and no mail bounces."""
    boxes = {"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB}", "info": "{owner: jane}"}
    estate.write({**mail(boxes, ""), **freeze("mailbox"), **accepting("RT011", "info@northwind.example")})
    assert [(c["kind"], bool(c["held"])) for c in estate.one()["changes"]] == [("alias", True), ("mailbox", True)]
    assert estate.apply().json["tenants"][0]["result"] == "held"


WORD = "owner: jane, reason: x, approved_by: ops, expires: 2099-12-31"
FORWARD = f"forwards:\n  sales: {{to: [crm@vendor.test], {WORD}}}\n"
COPY = f"forwards:\n  jane: {{to: [jane@phone.test], keep_copy: true, {WORD}}}\n"
URGENT = {
    "a mailbox is blocked": ("", mail({"jane": "{owner: jane}", "tom": "{owner: tom, state: blocked}"})),
    "a mailbox is paused": ("", mail({"jane": "{owner: jane}", "tom": "{owner: tom, state: paused}"})),
    "a mailbox is retired": ("", mail({"jane": "{owner: jane}"})),
    "a forward goes": (FORWARD, mail()),
    "a forward comes home": (FORWARD, mail(more="aliases:\n  sales: [jane]\n")),
    "copies go no more": (COPY, mail()),
    "a member goes": (
        "shared:\n  desk: {owner: jane, members: {jane: full, tom: read}}\n",
        mail(more="shared:\n  desk: {owner: jane, members: {jane: full}}\n"),
    ),
}


@pytest.mark.parametrize("what", URGENT)
def test_what_takes_access_away_is_never_frozen(tmp_path, what):
    """Friday evening, everything is frozen: who shall not read mail any more does not until Monday."""
    before, after = URGENT[what]
    estate = make(tmp_path / "estate", northwind(more=before)).applied({})
    estate.write({**after, **freeze()})
    (change,) = estate.one()["changes"]
    assert change["held"] is None
    done = estate.apply()
    assert (done.code, done.json["tenants"][0]["result"], estate.one()["changes"]) == (0, "applied", [])


def test_what_leads_to_a_domain_with_mail_elsewhere_is_never_frozen(tmp_path):
    """That domain is the tenant's own, and its mail somebody else's: the way there ends at once."""
    folder = "tenants/northwind"
    own = {
        f"{folder}/domains/else.example.yaml": "domain: else.example\nowner: jane\nmail: null\n",
        f"{folder}/dns/else.example.yaml": "domain: else.example\nzone: {create: true}\n",
    }
    leaving = f"forwards:\n  sales: {{to: [crm@else.example], {WORD}}}\n"
    estate = make(tmp_path / "estate", northwind(more=leaving), own).applied({})
    estate.write({**mail(more=""), **freeze()})
    assert [(c["name"], c["held"]) for c in estate.one()["changes"]] == [("sales@northwind.example", None)]


HARMLESS = {
    "a quota": mail({"jane": "{owner: jane}", "tom": "{owner: tom, quota: 3 GiB}"}, "aliases:\n  info: [jane]\n"),
    "an alias inside goes": mail(more=""),
    "an alias moves inside": mail(more="aliases:\n  info: [tom]\n"),
    "a mailbox is made": mail({"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB}", "kim": "{owner: jane}"},
                              "aliases:\n  info: [jane]\n"),
}  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS)
def test_everything_else_is_frozen(estate, what):
    """Nobody's access ends by it: it can wait."""
    estate.write({**HARMLESS[what], **freeze()})
    (change,) = estate.one()["changes"]
    assert change["held"] == f"freeze until {weekly(5)}"


def test_a_mailbox_that_opens_up_again_is_frozen(tmp_path):
    """From paused to blocked mail arrives again: that gives, and takes nothing."""
    boxes = {"jane": "{owner: jane}", "tom": "{owner: tom, state: paused}"}
    estate = make(tmp_path / "estate", northwind(boxes, "")).applied({})
    estate.write({**mail({**boxes, "tom": "{owner: tom, state: blocked}"}, ""), **freeze()})
    assert held(estate.one()).keys() == {"tom@northwind.example"}


def test_what_must_come_first_is_not_frozen_either(tmp_path):
    """A forward comes home to a mailbox that is only made: both go, for the way out must not stay open."""
    estate = make(tmp_path / "estate", northwind(more=FORWARD)).applied({})
    boxes = {
        "jane": "{owner: jane}",
        "tom": "{owner: tom, quota: 2 GiB}",
        "kim": "{owner: jane}",
        "mia": "{owner: jane}",
    }
    estate.write({**mail(boxes, "aliases:\n  sales: [kim]\n"), **freeze()})
    assert held(estate.one()).keys() == {"mia@northwind.example"}
    assert estate.apply().code == 0
    assert summary(estate.one()["changes"]) == {("create", "mia@northwind.example")}


def test_what_takes_the_name_of_a_forward_goes_with_it(tmp_path):
    """A forward becomes a mailbox: it goes at once, and so its name is not without anybody until Monday."""
    estate = make(tmp_path / "estate", northwind(more=FORWARD)).applied({})
    boxes = {"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB}", "sales": "{owner: jane}"}
    estate.write({**mail(boxes, ""), **freeze(), **accepting("RT011", "sales@northwind.example")})
    assert (len(estate.one()["changes"]), held(estate.one())) == (2, {})
    assert estate.apply().json["tenants"][0]["result"] == "applied"


# ---------------------------------------------------------------------- what is put back


def test_what_was_applied_before_is_put_back_in_a_freeze(estate):
    """A bad record of Friday noon, reverted on Friday night: it goes back at once, with a warning."""
    estate.applied(dns(TIGHTER))
    estate.write(freeze())
    estate.git("revert", "--no-edit", "HEAD~1")
    found = estate.one()
    said = {f["code"]: f for f in found["findings"]}
    assert (held(found), {f["severity"] for f in said.values()}) == ({}, {"warning"})
    assert said.keys() == {"PL105", "DN023"}  # DMARC is lowered by it, which is said and refuses nothing
    assert f"It is frozen until {weekly(5)}" in said["PL105"]["detail"]
    assert estate.apply().json["tenants"][0]["result"] == "applied"
    assert "p=none" in estate.zone().read_text()


def test_a_restored_mailbox_is_put_back(estate):
    """A mailbox that was taken out by mistake comes back in the freeze, and so does the alias to it."""
    estate.applied(mail({"tom": "{owner: tom, quota: 2 GiB}"}, "aliases:\n  info: [tom]\n"))
    estate.write({**mail(more="aliases:\n  info: [jane]\n"), **freeze()})
    assert (held(estate.one()), len(estate.one()["changes"])) == ({}, 2)


NEW = {
    "another value": dns("with: {dmarc: reject}\n"),
    "a removal": dns("with: {dmarc: quarantine}\nrecords:\n  - {name: _dmarc, type: TXT, mode: drop, reason: x}\n"),
}


@pytest.mark.parametrize("what", NEW)
def test_what_was_never_applied_is_frozen(estate, what):
    """A third value is new; and a removal is never taken for a return, for once everything was not there."""
    estate.applied(dns(TIGHTER))
    estate.write({**NEW[what], **freeze()})
    assert held(estate.one()).keys() == {DMARC}


def test_what_is_put_back_waits_for_what_it_needs(estate):
    """An alias goes back to a mailbox that is lost and made anew, with another quota: that is new, so both wait."""
    boxes, to_tom = {"jane": "{owner: jane}"}, "aliases:\n  info: [tom]\n"
    estate.applied(mail(more=to_tom))
    estate.applied(mail(boxes, "aliases:\n  info: [jane]\n"))
    estate.sql("DELETE FROM mailbox WHERE username = 'tom@northwind.example'")
    estate.applied({})
    estate.write({**mail({**boxes, "tom": "{owner: tom, quota: 3 GiB}"}, to_tom), **freeze()})
    assert held(estate.one()).keys() == {"tom@northwind.example", "info@northwind.example"}


# ---------------------------------------------------------------------- observe

BOTH = {**dns(TIGHTER), **mail(more="aliases:\n  info: [tom]\n")}
OBSERVED = {
    "everywhere": (
        {"reconciler.yaml": AGENCY.replace("defaults: {", f"defaults: {{observe: {LATER}, ")},
        {DMARC, "info@northwind.example"},
    ),
    "a tenant": (control(f"observe: {LATER}\n"), {DMARC, "info@northwind.example"}),
    "its DNS": (dns(f"{TIGHTER}observe: {LATER}\n"), {DMARC}),
    "its mail": (mail(more=f"aliases:\n  info: [tom]\nobserve: {LATER}\n"), {"info@northwind.example"}),
    "but for its DNS": (
        {**control(f"observe: {LATER}\n"), **dns(f"{TIGHTER}observe: {PAST}\n")}, {"info@northwind.example"},
    ),
    "no more": (control(f"observe: {PAST}\n"), set()),
}  # fmt: skip


@pytest.mark.parametrize("what", OBSERVED)
def test_what_is_observed_is_shown_and_not_made(estate, what):
    """Each side by the nearest word: its own file, the tenant, the agency."""
    said, wanted = OBSERVED[what]
    estate.write({**BOTH, **said})
    plan = estate.plan()
    (found,) = plan["tenants"]
    assert held(found) == dict.fromkeys(wanted, f"observe until {LATER}")
    assert (len(found["changes"]), plan["findings"], found["findings"]) == (2, [], [])
    assert estate.apply().code == 0
    assert {change["name"] for change in estate.one()["changes"]} == wanted


def test_the_day_itself_is_not_observed_any_more(estate):
    """`observe` ends where its day begins."""
    today = estate.plan()["as_of"]
    estate.write({**BOTH, **control(f"observe: {today}\n")})
    assert held(estate.one()) == {}


def test_what_is_observed_is_not_touched_at_all(estate):
    """No block, no retirement: the live system is somebody else's until that day."""
    estate.write({**mail({"jane": "{owner: jane}"}), **control(f"observe: {LATER}\n")})
    assert held(estate.one()) == dict.fromkeys(
        ["tom@northwind.example", "info@northwind.example"], f"observe until {LATER}"
    )


def test_a_domain_that_goes_is_observed_as_its_tenant(estate):
    """Its own files are gone; what the tenant says holds for what is left of it."""
    named = ("PL210", "northwind.example"), ("PL101", "northwind/alias"), ("PL101", "northwind/record")
    more = {**mail(domain="northwind.test"), **dns(domain="northwind.test")}
    word = control(f"observe: {LATER}\n{accepts(*named, up_to=9)}")
    estate.write({**dict.fromkeys({**mail(), **dns()}), **more, **word})
    assert NORTHWIND not in more
    found = estate.one()
    assert {change["held"] for change in found["changes"]} == {f"observe until {LATER}"}
    assert estate.apply().json["tenants"][0]["result"] == "held"


def test_a_system_that_is_observed_gets_no_identity(tmp_path):
    """Before the day not even that is left in it; the first apply after it leaves one."""
    estate = make(tmp_path / "estate", northwind(), control(f"observe: {LATER}\n"))
    assert estate.apply().json["tenants"][0]["result"] == "held"
    assert list((estate.root / "var").rglob("*")) == []
    estate.applied(control(""))
    assert (estate.root / "var/zones/.reconciler-identity").exists()


# ---------------------------------------------------------------------- what is due

ENFORCE = "drift: enforce\n"
UNTIL = {
    "frozen": (freeze("alias"), f"freeze until {weekly(5)}"),
    "observed": (control(f"{ENFORCE}observe: {LATER}\n"), f"observe until {LATER}"),
}


def by_hand(estate):
    """Somebody turns info to Tom."""
    estate.sql("UPDATE alias SET goto = 'tom@northwind.example' WHERE address = 'info@northwind.example'")


def goto(estate, name):
    return estate.sql("SELECT goto FROM alias WHERE address = ?", f"{name}@northwind.example")


@pytest.mark.parametrize("how", UNTIL)
def test_what_is_due_is_held_too(estate, how):
    """It stays among what is due, marked; no apply makes it, and each says so, until nothing holds it any more."""
    said, until = UNTIL[how]
    estate.applied({**control(ENFORCE), **said} | ({} if how == "observed" else control(ENFORCE)))
    by_hand(estate)
    found = estate.one()
    assert (found["changes"], [(c["reason"], c["held"]) for c in found["due"]]) == ([], [("drift", until)])
    assert f"(held: {until})" in estate.run("plan").out
    assert "1 due, 1 held back for now" in estate.run("plan").out
    assert f", held: {until}" in estate.run("plan", "--format", "markdown").out
    for arguments in (["--yes"], ["--due"]):
        done = estate.apply(*arguments)
        (result,) = done.json["tenants"]
        assert (done.code, result["result"], [c["why"] for c in result["not_done"]]) == (0, "held", [until])
    assert goto(estate, "info") == [("tom@northwind.example",)]
    estate.write({"reconciler.yaml": AGENCY, **control(ENFORCE)})
    assert estate.apply("--due").code == 0
    assert goto(estate, "info") == [("jane@northwind.example",)]


def test_held_due_changes_do_not_hinder_the_rest(estate, tmp_path):
    """What is reviewed goes on, the commit counts as applied, and a digest and a plan file still let it through."""
    estate.applied({**control(ENFORCE), **freeze("alias")})
    by_hand(estate)
    for number, argument in enumerate(("--digest", "--plan")):
        estate.write(dns(f"with: {{dmarc: {('quarantine', 'reject')[number]}}}\n"))
        plan = estate.run("plan", "--format", "json")
        reviewed = tmp_path / "plan.json"
        reviewed.write_text(plan.out)
        word = plan.json["digest"] if argument == "--digest" else str(reviewed)
        done = estate.apply(argument, word, "--due")
        (result,) = done.json["tenants"]
        assert (result["result"], len(result["done"]), len(result["not_done"])) == ("applied", 1, 1)
        assert estate.one()["applied_commit"] == estate.head
    assert goto(estate, "info") == [("tom@northwind.example",)]


def test_an_expired_forward_to_outside_is_never_frozen(estate):
    """Its end takes access away; one that stays inside waits."""
    day = [(NOW + timedelta(days=offset)).date().isoformat() for offset in (0, -2)]
    said = "{{to: [{}], owner: jane, reason: import, approved_by: ops, expires: {}}}"
    lines = {name: said.format(to, day[0]) for name, to in (("out", "crm@vendor.example"), ("in", "jane"))}
    estate.applied(mail(more="forwards:\n" + "".join(f"  {name}: {line}\n" for name, line in lines.items())))
    estate.write({NORTHWIND: (estate.root / NORTHWIND).read_text().replace(day[0], day[1]), **freeze()})
    found = {c["name"].partition("@")[0]: (c["reason"], c["held"]) for c in estate.one()["due"]}
    assert found == {"out": ("expired", None), "in": ("expired", f"freeze until {weekly(5)}")}
    assert estate.apply().code == 0
    assert (goto(estate, "out"), goto(estate, "in")) == ([], [("jane@northwind.example",)])


def test_a_declared_change_goes_with_what_is_due_of_the_same_thing(estate):
    """Jane's own forward to outside is over, and her quota moves: the end is not frozen, and no change is divided."""
    day = [(NOW + timedelta(days=offset)).date().isoformat() for offset in (0, -2)]
    said = (
        "forwards:\n  jane: {{to: [crm@vendor.example], keep_copy: true, owner: jane, reason: import, approved_by: ops,"
    )
    said += " expires: {}}}\n"
    estate.applied(mail(more=said.format(day[0])))
    boxes = {"jane": "{owner: jane, quota: 3 GiB}", "tom": "{owner: tom, quota: 2 GiB}"}
    estate.write({**mail(boxes, said.format(day[1])), **freeze()})
    found = estate.one()
    assert ([c["held"] for c in found["changes"]], [c["held"] for c in found["due"]]) == ([None], [None])
    assert estate.apply().code == 0
    assert estate.one()["changes"] == estate.one()["due"] == []


def test_a_purge_waits(estate):
    """What cannot be brought back is not made in a freeze, whoever says `--purge`."""
    alone = mail({"jane": "{owner: jane}"})
    estate.applied({**alone, **control("retention: 0 days\n")})
    estate.write(freeze("mailbox"))
    assert [(c["action"], c["held"]) for c in estate.one()["due"]] == [("purge", f"freeze until {weekly(5)}")]
    assert estate.apply("--yes", "--purge").json["tenants"][0]["result"] == "held"
    assert estate.sql("SELECT count(*) FROM mailbox WHERE username = 'tom@northwind.example'") == [(1,)]
