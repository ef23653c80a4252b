"""Life stories: what happens to a client's mail and DNS over commits, hands and time, through the real command line."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.estates import (
    AGENCY,
    BOXES,
    NORTHWIND,
    NORTHWIND_DNS,
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
)  # fmt: skip

HASH = "{SSHA512}something-the-owner-chose"


@pytest.fixture
def estate(tmp_path):
    """Northwind, applied; Jane has set her password and has mail."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.sql("UPDATE mailbox SET password = ? WHERE username = 'jane@northwind.example'", HASH)
    return estate


def box(estate, name="jane"):
    """(password, active, quota in bytes, login enabled) of a mailbox row, or None."""
    rows = estate.sql(
        "SELECT password, m.active, quota, coalesce(login_enabled, 1) FROM mailbox m "
        "LEFT JOIN reconciler_mailbox r ON r.username = m.username WHERE m.username = ?",
        f"{name}@northwind.example",
    )  # fmt: skip
    return rows[0] if rows else None


def goto(estate, name):
    rows = estate.sql("SELECT goto FROM alias WHERE address = ? AND active = 1", f"{name}@northwind.example")
    return rows[0][0] if rows else None


def settled(estate):
    """A second plan is empty, ends with 0, and an apply of it does nothing."""
    run = estate.run("plan", "--exit-code", "--format", "json")
    assert (run.code, [tenant["changes"] for tenant in run.json["tenants"]]) == (0, [[] for _ in run.json["tenants"]])
    world = estate.world()
    assert {tenant["result"] for tenant in estate.apply().json["tenants"]} == {"nothing"}
    assert estate.world() == world
    return True


def only(estate):
    """The one change of a plan as (action, name, {field: (from, to)})."""
    (change,) = estate.one()["changes"]
    return change["action"], change["name"], {name: (f["from"], f["to"]) for name, f in change["fields"].items()}


# ---------------------------------------------------------------------- from nothing, and again


def test_from_nothing_to_everything_and_then_nothing_more(tmp_path):
    """A first plan creates all, an apply makes it, a second plan is empty and writes nothing, not even the ledger."""
    estate = make(tmp_path / "estate", northwind(), contoso())
    plan = estate.run("plan", "--exit-code", "--format", "json")
    assert plan.code == 2
    assert {change["action"] for tenant in plan.json["tenants"] for change in tenant["changes"]} == {"create"}
    assert not (estate.root / "var").exists()
    done = estate.apply()
    assert [(tenant["result"], tenant["not_done"]) for tenant in done.json["tenants"]] == [("applied", [])] * 2
    assert [len(t["done"]) for t in done.json["tenants"]] == [len(t["changes"]) for t in plan.json["tenants"]]
    assert settled(estate)
    assert estate.git("status", "--porcelain") == ""


def test_the_order_of_a_first_apply_is_one_that_works(tmp_path):
    """A domain before its boxes, a box before what points at it, addresses before the MX that brings mail."""
    more = "shared:\n  desk: {owner: jane, members: {jane: full}}\naliases:\n  a-first: [z-last]\n  z-last: [jane]\n"
    estate = make(tmp_path / "estate", northwind(more=more))
    names = [change["address"] for change in estate.one()["changes"]]
    at = {name: index for index, name in enumerate(names)}
    assert at["mailhost:domain/northwind.example"] < at["mailhost:mailbox/jane@northwind.example"]
    assert at["mailhost:mailbox/jane@northwind.example"] < at["mailhost:mailbox/desk@northwind.example"]
    assert at["mailhost:mailbox/jane@northwind.example"] < at["mailhost:alias/z-last@northwind.example"]
    assert at["mailhost:alias/z-last@northwind.example"] < at["mailhost:alias/a-first@northwind.example"]
    assert max(at[name] for name in names if "mailhost:" in name) < at["zones:record/MX/northwind.example"]


def test_a_changed_quota_is_the_only_change(estate):
    """Git moves one attribute: one change of one field; nothing else of the row moves, the password least of all."""
    estate.write(mail({"jane": "{owner: jane, quota: 10 GiB}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n"))
    assert only(estate) == ("update", "jane@northwind.example", {"quota": (5 * 2**30, 10 * 2**30)})
    assert estate.apply().code == 0
    assert box(estate) == (HASH, 1, 10 * 2**30, 1)
    assert settled(estate)


def test_what_only_git_knows_is_noted_and_written_nowhere(estate):
    """Another owner moves the ledger and nothing else: no change, exit 0, one apply notes it."""
    rows = estate.sql("SELECT * FROM mailbox")
    estate.write(mail({"jane": "{owner: tom}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n"))
    assert estate.run("plan", "--exit-code").code == 0
    before = estate.git("rev-parse", "refs/reconciler/tenants/northwind")
    assert estate.apply().code == 0
    assert estate.git("rev-parse", "refs/reconciler/tenants/northwind") != before
    assert estate.sql("SELECT * FROM mailbox") == rows
    assert settled(estate)


# ---------------------------------------------------------------------- by hand


def test_a_hand_edit_is_drift_and_is_not_touched(estate):
    """Shown with both values, exit 2 with `--exit-code`, and an apply leaves it alone."""
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    run = estate.run("plan", "--exit-code", "--format", "json")
    (drift,) = run.json["tenants"][0]["drift"]
    assert (run.code, drift["field"], drift["git"], drift["live"]) == (2, "quota", 2 * 2**30, 1)
    assert "`quota` is 1" in estate.run("plan").out
    assert estate.apply().code == 0
    assert box(estate, "tom")[2] == 1
    assert estate.run("plan", "--exit-code").code == 2


def test_drift_beside_a_change_stays_drift(estate):
    """Git moves the name, a hand moved the quota: the name is written, the quota stays as the hand left it."""
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    estate.write(
        mail(
            {"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB, name: Tom Poe}"}, "aliases:\n  info: [jane]\n"
        )
    )
    assert only(estate) == ("update", "tom@northwind.example", {"name": (None, "Tom Poe")})
    assert estate.apply().code == 0
    assert estate.sql("SELECT name, quota FROM mailbox WHERE username = 'tom@northwind.example'") == [("Tom Poe", 1)]


def test_both_moved_git_wins_with_a_warning(estate):
    """The same attribute in Git and by hand: declared, a conflict, a warning, exit 0; an apply writes Git's."""
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    estate.write(mail({"jane": "{owner: jane}", "tom": "{owner: tom, quota: 3 GiB}"}, "aliases:\n  info: [jane]\n"))
    found = estate.one()
    assert [change["conflict"] for change in found["changes"]] == [True]
    assert found["drift"] == []
    assert codes(found["findings"]) == {"PL205"}
    assert "also changed by hand" in estate.run("plan").out
    assert estate.apply().code == 0
    assert box(estate, "tom")[2] == 3 * 2**30


def test_both_made_the_same_change(estate):
    """Git and a hand moved to one value: nothing to write, the ledger catches up."""
    estate.sql("UPDATE mailbox SET quota = ? WHERE username = 'tom@northwind.example'", 3 * 2**30)
    estate.write(mail({"jane": "{owner: jane}", "tom": "{owner: tom, quota: 3 GiB}"}, "aliases:\n  info: [jane]\n"))
    assert estate.run("plan", "--exit-code").code == 0
    assert estate.apply().code == 0
    assert settled(estate)


def test_a_thing_removed_by_hand_is_drift_of_its_existence(estate):
    """Never silently made again: who removed it may have had a reason."""
    estate.sql("DELETE FROM alias WHERE address = 'info@northwind.example'")
    run = estate.run("plan", "--exit-code", "--format", "json")
    (drift,) = run.json["tenants"][0]["drift"]
    assert (run.code, drift["field"], drift["git"], drift["live"]) == (2, "exists", True, False)
    assert estate.apply().code == 0
    assert goto(estate, "info") is None


def test_a_change_to_a_thing_removed_by_hand_is_refused(estate):
    """Git's change cannot be made on what is not there: an error, exit 3, nothing of the tenant is written."""
    estate.sql("DELETE FROM alias WHERE address = 'info@northwind.example'")
    estate.write(mail(more="aliases:\n  info: [tom]\n"))
    run = estate.run("plan", "--format", "json")
    assert (run.code, codes(run.json["tenants"][0]["findings"]) & {"PL206"}) == (3, {"PL206"})
    assert (estate.apply().code, goto(estate, "info")) == (3, None)


def test_what_nobody_declared_is_unmanaged_and_survives_everything(estate):
    """A foreign alias, mailbox and record are listed, and an apply around them leaves every byte of them."""
    estate.redirect("x", "y@z.example")
    columns = "(username, password, name, maildir, local_part, domain, active)"
    row = "('ghost@northwind.example', 'p', 'G', 'g/', 'ghost', 'northwind.example', 1)"
    estate.sql(f"INSERT INTO mailbox {columns} VALUES {row}")
    estate.edit_zone("", "www 600 IN A 192.0.2.1 ; the web shop")
    unmanaged = estate.one()["unmanaged"]
    assert {item["address"] for item in unmanaged["listed"]} == {
        "mailhost:alias/x@northwind.example", "mailhost:mailbox/ghost@northwind.example",
    }  # fmt: skip
    assert unmanaged["counted"] == {"A": 1}
    assert estate.run("plan", "--exit-code").code == 0
    foreign = (
        "SELECT * FROM alias WHERE address = 'x@northwind.example'",
        "SELECT * FROM mailbox WHERE local_part = 'ghost'",
    )
    before = [estate.sql(query) for query in foreign]
    estate.applied({**mail({"jane": "{owner: jane, quota: 1 GiB}"}, ""), **dns("with: {dmarc: quarantine}\n")})
    assert [estate.sql(query) for query in foreign] == before
    assert "www 600 IN A 192.0.2.1 ; the web shop" in estate.zone().read_text()


# ---------------------------------------------------------------------- letting go, and back


def test_a_removed_mailbox_is_retired_and_a_revert_brings_it_back_whole(estate):
    """Blocked, mail and password kept, a date in the ledger; `git revert` restores it as it was, hash and all."""
    removed = estate.write(mail({"tom": BOXES["tom"]}, "aliases:\n  info: [tom]\n"), "Jane leaves")
    changes = summary(estate.one()["changes"])
    assert changes == {("retire", "jane@northwind.example"), ("update", "info@northwind.example")}
    assert estate.apply().code == 0
    assert box(estate) == (HASH, 1, 5 * 2**30, 0)
    assert goto(estate, "jane") == "jane@northwind.example"
    plan = estate.plan()
    due = (date.fromisoformat(plan["as_of"]) + timedelta(days=30)).isoformat()
    assert plan["tenants"][0]["later"] == [
        {"address": "mailhost:mailbox/jane@northwind.example", "action": "purge", "when": due, "why": "retention"}
    ]
    assert settled(estate)
    estate.git("revert", "--no-edit", removed)
    actions = summary(estate.one()["changes"])
    assert actions == {("restore", "jane@northwind.example"), ("update", "info@northwind.example")}
    assert estate.apply().code == 0
    assert box(estate) == (HASH, 1, 5 * 2**30, 1)
    assert estate.one()["later"] == []
    assert settled(estate)


def test_a_retired_mailbox_gives_nobody_access_and_forwards_nothing(tmp_path):
    """Members and copies go with it; a revert brings them back."""
    why = "owner: jane, reason: travel, approved_by: ops, expires: 2099-12-31"
    forward = f"{{to: [jane@phone.example], keep_copy: false, {why}}}"
    more = "shared:\n  desk: {owner: jane, members: {tom: full}}\naliases:\n  info: [tom]\n"
    both = f"{more}forwards:\n  jane: {forward}\n"
    estate = make(tmp_path / "estate", northwind(more=both)).applied({})
    assert goto(estate, "jane") == "jane@phone.example"
    removed = estate.write(mail({"tom": BOXES["tom"]}, "aliases:\n  info: [tom]\n"))
    assert estate.apply().code == 0
    assert estate.sql("SELECT * FROM reconciler_member WHERE access <> ''") == []
    assert goto(estate, "jane") == "jane@northwind.example"
    estate.git("revert", "--no-edit", removed)
    assert estate.apply().code == 0
    assert (goto(estate, "jane"), estate.sql("SELECT member, access FROM reconciler_member")) == (
        "jane@phone.example", [("tom@northwind.example", "full")],
    )  # fmt: skip
    assert settled(estate)


def test_a_retired_mailbox_that_is_enabled_by_hand_is_drift_of_high_risk(estate):
    """Somebody gave the leaver access again: shown, exit 2."""
    estate.applied(mail({"tom": BOXES["tom"]}, "aliases:\n  info: [tom]\n"))
    estate.sql("DELETE FROM reconciler_mailbox WHERE username = 'jane@northwind.example'")
    run = estate.run("plan", "--exit-code", "--format", "json")
    (drift,) = run.json["tenants"][0]["drift"]
    assert (run.code, drift["field"], drift["risk"]) == (2, "state", "high")


def test_kept_mail_that_is_gone_is_said(estate):
    """A retired mailbox removed by hand: forgotten, with a warning; declared again it is made anew."""
    estate.applied(mail({"tom": BOXES["tom"]}, "aliases:\n  info: [tom]\n"))
    for table, column in (("mailbox", "username"), ("alias", "address"), ("reconciler_mailbox", "username")):
        estate.sql(f"DELETE FROM {table} WHERE {column} = 'jane@northwind.example'")
    found = estate.one()
    assert (found["forgotten"], codes(found["findings"])) == (["mailhost:mailbox/jane@northwind.example"], {"PL203"})
    estate.write(mail(more="aliases:\n  info: [tom]\n"))
    found = estate.one()
    assert summary(found["changes"]) == {("create", "jane@northwind.example")}
    assert codes(found["findings"]) == {"PL203"}


def test_a_retired_mailboxs_name_may_go_on_as_an_alias(estate):
    """Mail for the leaver goes to a colleague; the box stays kept and is restored when the alias goes."""
    estate.applied(mail({"tom": BOXES["tom"]}, "aliases:\n  info: [tom]\n"))
    estate.applied(mail({"tom": BOXES["tom"]}, "aliases:\n  info: [tom]\n  jane: [tom]\n"))
    assert goto(estate, "jane") == "tom@northwind.example"
    assert box(estate)[0] == HASH
    assert settled(estate)
    estate.applied(mail(more="aliases:\n  info: [tom]\n"))
    assert (goto(estate, "jane"), box(estate)[0]) == ("jane@northwind.example", HASH)
    assert settled(estate)


def test_a_removed_alias_and_record_are_deleted(estate):
    """They hold no data: gone at once; a revert makes them again."""
    estate.applied(dns("records:\n  - {name: www, type: A, values: [192.0.2.1]}\n"))
    removed = estate.write({**mail(more=""), **dns()})
    assert summary(estate.one()["changes"]) == {
        ("delete", "info@northwind.example"),
        ("delete", "A/www.northwind.example"),
    }
    assert estate.apply().code == 0
    assert (goto(estate, "info"), "www" in estate.zone().read_text()) == (None, False)
    assert settled(estate)
    estate.git("revert", "--no-edit", removed)
    assert summary(estate.one()["changes"]) == {
        ("create", "info@northwind.example"),
        ("create", "A/www.northwind.example"),
    }


def test_an_alias_may_become_a_mailbox_and_back(estate):
    """One name, one batch: no moment without the address; the box is kept when the name becomes an alias again."""
    estate.applied({**mail({**BOXES, "info": "{owner: jane}"}, ""), **accepting("RT011", "info@northwind.example")})
    assert (goto(estate, "info"), box(estate, "info") is not None) == ("info@northwind.example", True)
    assert settled(estate)
    estate.applied(mail(more="aliases:\n  info: [tom]\n"))
    assert goto(estate, "info") == "tom@northwind.example"
    assert box(estate, "info") is not None
    assert settled(estate)


def test_a_mailbox_may_become_shared_and_back(estate):
    """An update in place: the same row, the same mail, no login meanwhile."""
    shared = "shared:\n  jane: {owner: jane, members: {tom: full}}\naliases:\n  info: [jane]\n"
    estate.write(mail({"tom": BOXES["tom"]}, shared))
    assert only(estate)[:2] == ("update", "jane@northwind.example")
    assert estate.apply().code == 0
    assert box(estate) == (HASH, 1, 5 * 2**30, 0)
    assert settled(estate)
    estate.applied(mail(more="aliases:\n  info: [jane]\n"))
    assert box(estate) == (HASH, 1, 5 * 2**30, 1)
    assert settled(estate)


@pytest.mark.parametrize(("state", "active", "login"), [("blocked", 1, 0), ("paused", 0, 1), ("active", 1, 1)])
def test_states_of_a_mailbox(estate, state, active, login):
    """blocked: mail arrives, nobody logs in; paused: mail is refused too; the hash is never touched."""
    estate.applied(
        mail({"jane": f"{{owner: jane, state: {state}}}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n")
    )
    assert box(estate)[:2] == (HASH, active)
    assert state == "paused" or box(estate)[3] == login
    assert settled(estate)


# ---------------------------------------------------------------------- takeovers and neighbours


@pytest.fixture
def found_live(tmp_path):
    """A server that had things before the first apply: one equal, one that differs, an SPF and a verification."""
    other = make(
        tmp_path / "other", northwind(names='records:\n  - {name: "@", type: TXT, values: ["MS=ms1"]}\n')
    ).applied({})
    other.sql("UPDATE alias SET goto = 'tom@northwind.example' WHERE address = 'info@northwind.example'")
    estate = make(tmp_path / "estate", northwind(names="with: {dmarc: quarantine}\n"))
    (other.root / "var").rename(estate.root / "var")
    return estate


def test_what_is_equal_is_adopted(found_live):
    """No change for what is there as Git says it: the ledger takes it in."""
    adopted = found_live.one()["adopted"]
    assert "mailhost:mailbox/jane@northwind.example" in adopted
    assert "zones:record/MX/northwind.example" in adopted
    assert "adopted as they are" in found_live.run("plan").out


def test_a_takeover_is_refused_until_it_is_accepted(found_live):
    """What was not ours and differs: PL202 per domain, exit 3, nothing written; one acceptance, and it is done."""
    world = found_live.world()
    run = found_live.run("plan", "--format", "json")
    (finding,) = [f for f in run.json["tenants"][0]["findings"] if f["code"] == "PL202"]
    assert (run.code, finding["severity"], finding["subject"]) == (3, "error", "northwind.example")
    assert summary(run.json["tenants"][0]["changes"]) == {
        ("update", "info@northwind.example"), ("update", "TXT/_dmarc.northwind.example"),
    }  # fmt: skip
    assert (found_live.apply().code, found_live.world()) == (3, world)
    found_live.write(accepting("PL202", "northwind.example"))
    assert "PL202" not in codes(found_live.one()["findings"])
    assert found_live.apply().code == 0
    assert goto(found_live, "info") == "jane@northwind.example"
    assert "p=quarantine" in found_live.zone().read_text()
    assert settled(found_live)


@pytest.mark.parametrize(
    "files",
    [
        accepting("PL202", "contoso.example"),
        accepting("PL201", "northwind.example"),
        control(
            "accept: [{finding: PL202, subject: northwind.example, reason: x, approved_by: ops, expires: 2020-01-01}]\n"
        ),
        accepting("PL202", "northwind.example", "contoso"),
    ],
    ids=["another subject", "another finding", "expired", "another tenant's"],
)
def test_an_acceptance_lifts_what_it_names_and_no_more(found_live, files):
    """Another subject, another code, a date that has passed, another tenant's file: the takeover stays refused."""
    found_live.write({**tenant("contoso"), **files})
    assert found_live.run("plan", "--tenant", "northwind").code == 3


def test_neighbours_in_a_shared_set_stay(found_live):
    """The TXT set at the domain belongs to several: ours is written, the foreign value stays, its TTL too."""
    found_live.write(accepting("PL202", "northwind.example"))
    assert found_live.apply().code == 0
    assert '"MS=ms1"' in found_live.zone().read_text()
    found_live.applied(dns('with: {senders: ["include:x.example"], dmarc: quarantine}\n'))
    text = found_live.zone().read_text()
    assert text.count("v=spf1") == 1
    assert '"MS=ms1"' in text
    found_live.applied(dns('records:\n  - {name: "@", type: TXT, mode: drop, reason: no mail}\n'))
    text = found_live.zone().read_text()
    assert ("v=spf1" in text, '"MS=ms1"' in text) == (False, True)


def test_a_second_spf_by_hand_can_never_stay_two(estate):
    """A tag is one value: another SPF beside ours is ours, changed, not a neighbour."""
    estate.edit_zone("v=spf1 include:spf.agency.example -all", "v=spf1 +all")
    (drift,) = estate.one()["drift"]
    assert (drift["address"], drift["risk"]) == ("zones:record/TXT/northwind.example", "low")
    estate.write(dns('with: {senders: ["include:x.example"]}\n'))
    (change,) = estate.one()["changes"]
    assert change["conflict"] is True
    assert change["fields"]["values"] == {
        "from": ["v=spf1 +all"], "to": ["v=spf1 include:spf.agency.example include:x.example -all"],
    }  # fmt: skip


def test_something_unmanaged_in_the_way_is_an_error(estate):
    """A CNAME where we want an address record: both remedies are named, nothing is written."""
    estate.edit_zone("", "www 600 IN CNAME shop.vendor.example.")
    estate.write(dns("records:\n  - {name: www, type: A, values: [192.0.2.1]}\n"))
    run = estate.run("plan", "--format", "json")
    assert (run.code, codes(run.json["tenants"][0]["findings"])) == (3, {"PL208"})


# ---------------------------------------------------------------------- whole sides, domains and tenants


def test_mail_null_lets_go_without_writing(estate):
    """`mail: null`: the ledger forgets, the database stays; planned again it is found, not made."""
    before = estate.sql("SELECT * FROM mailbox"), estate.sql("SELECT * FROM alias")
    let_go = {NORTHWIND: "domain: northwind.example\nowner: jane\nmail: null\n"}
    estate.write({**let_go, **accepting("PL101", "northwind/alias", up_to=3)})
    found = estate.one()
    assert (found["changes"], len(found["forgotten"])) == ([], 6)
    assert estate.apply().code == 0
    assert (estate.sql("SELECT * FROM mailbox"), estate.sql("SELECT * FROM alias")) == before
    assert settled(estate)
    estate.write(mail(more="aliases:\n  info: [jane]\n"))
    found = estate.one()
    assert (found["changes"], len(found["adopted"])) == ([], 6)


@pytest.mark.parametrize("first", [NORTHWIND, NORTHWIND_DNS, None])
def test_both_sides_null_let_all_of_it_go(estate, first):
    """One after the other, or both in one merge: a domain that Git still has loses nothing."""
    before = estate.world()
    gone = {
        NORTHWIND: "domain: northwind.example\nowner: jane\nmail: null\n",
        NORTHWIND_DNS: "domain: northwind.example\ndns: null\n",
    }
    limits = accepts(("PL101", "northwind/alias"), ("PL101", "northwind/record"), up_to=3)
    estate.write({**control(limits), **({first: gone[first]} if first else {})})
    assert estate.apply().code == 0
    estate.write(gone)
    found = estate.one()
    assert (found["changes"], found["due"], found["later"]) == ([], [], [])
    assert len(found["forgotten"]) > 0
    assert estate.apply().code == 0
    assert {**estate.world(), "ledgers": b""} == {**before, "ledgers": b""}
    assert estate.one()["forgotten"] == []


def test_dns_null_lets_the_zone_go(estate):
    """`dns: null`: records are forgotten, the zone file stays."""
    before = estate.zone().read_bytes()
    let_go = {NORTHWIND_DNS: "domain: northwind.example\ndns: null\n"}
    estate.write({**let_go, **accepting("PL101", "northwind/record", up_to=3)})
    assert len(estate.one()["forgotten"]) == 3
    assert (estate.apply().code, estate.zone().read_bytes()) == (0, before)


def test_a_domain_file_that_goes_is_planned_and_refused_until_it_is_named(estate):
    """A whole domain vanishing while the ledger holds something: shown as it would go, refused with exit 3."""
    second = {**mail({"kim": "{owner: jane}"}, "", "northwind.example"), **dns()}
    second = {
        key.replace("northwind.example.", "second.example."): text.replace("northwind.example", "second.example")
        for key, text in second.items()
    }
    estate.applied(second)
    world = estate.world()
    estate.write(dict.fromkeys(second))
    run = estate.run("plan", "--format", "json")
    found = run.json["tenants"][0]
    assert ("retire", "kim@second.example") in summary(found["changes"])
    assert ("delete", "MX/second.example") in summary(found["changes"])
    assert {"address": "mailhost:domain/second.example", "action": "delete"} in [
        {key: later[key] for key in ("address", "action")} for later in found["later"]
    ]
    assert [change["provider"] for change in found["changes"]] == sorted(
        (c["provider"] for c in found["changes"]), reverse=True
    )
    assert (run.code, estate.apply().code, estate.world()) == (3, 3, world)


def test_a_tenant_folder_that_goes_is_refused(estate):
    """The ledger still knows it: planned from there, and refused until somebody names it."""
    world = estate.world()
    estate.write(dict.fromkeys(northwind()))
    run = estate.run("plan", "--format", "json")
    assert [found["tenant"] for found in run.json["tenants"]] == ["northwind"]
    assert ("retire", "jane@northwind.example") in summary(run.json["tenants"][0]["changes"])
    assert (run.code, estate.apply().code, estate.world()) == (3, 3, world)


def test_a_tenant_that_goes_by_name_goes_in_stages(estate):
    """Accepted in reconciler.yaml: DNS first, boxes kept and blocked, the domain waits; brought back, all is well."""
    estate.write(dict.fromkeys(northwind()))
    errors = [(f["code"], f["subject"]) for f in estate.one()["findings"] if f["severity"] == "error"]
    assert sorted(errors) == [("PL101", "northwind/alias"), ("PL101", "northwind/record"), ("PL213", "northwind")]
    estate.write({"reconciler.yaml": AGENCY + accepts(*errors, up_to=3)})
    order = [change["provider"] for change in estate.one()["changes"]]
    assert order == sorted(order, reverse=True)
    assert estate.apply().code == 0
    assert "IN MX" not in estate.zone().read_text()
    assert (box(estate)[0], box(estate)[3], goto(estate, "info")) == (HASH, 0, None)
    assert {(later["action"], later["why"].split()[0]) for later in estate.one()["later"]} == {
        ("purge", "retention"), ("delete", "still"),
    }  # fmt: skip
    assert settled(estate)
    estate.applied(northwind())
    assert box(estate) == (HASH, 1, 5 * 2**30, 1)
    assert settled(estate)


def test_the_last_active_mailbox_or_mx_is_refused_until_it_is_accepted(estate):
    """Taking a domain's last mailbox or last MX cuts its mail off: an error with a subject that can be accepted."""
    estate.write(mail({}, "aliases:\n  info: [anna@agency.example]\n"))
    run = estate.run("plan", "--format", "json")
    assert run.code == 3
    errors = [f for f in run.json["tenants"][0]["findings"] if f["severity"] == "error"]
    assert len(errors) == 1
    estate.write(accepting(errors[0]["code"], errors[0]["subject"]))
    assert estate.apply().code == 0
    estate.write(dns('records:\n  - {name: "@", type: MX, mode: drop, reason: no mail}\n'))
    assert estate.run("plan").code == 3


def test_a_provider_that_is_gone_is_an_error(estate):
    """The ledger names a provider that reconciler.yaml has not: nothing is forgotten by that."""
    estate.write({"reconciler.yaml": AGENCY.replace("zones:", "names:").replace("dns: zones", "dns: names")})
    run = estate.run("plan", "--format", "json")
    assert (run.code, codes(run.json["tenants"][0]["findings"]) & {"PL218"}) == (3, {"PL218"})
    assert run.json["tenants"][0]["forgotten"] == []


def test_kept_mail_does_not_change_its_provider(tmp_path):
    """Another `mail:` for a domain with mailboxes is a migration, which nobody has declared: refused."""
    second = AGENCY.replace(
        "mail: {mailhost: {", 'mail: {second: {type: postfix_dovecot, database: "sqlite:///var/2.sqlite"}, mailhost: {'
    )
    estate = make(tmp_path / "estate", northwind(), agency=second).applied({})
    estate.write(control("mail: second\n"))
    run = estate.run("plan", "--format", "json")
    assert (run.code, "PL217" in codes(run.json["tenants"][0]["findings"])) == (3, True)
    assert estate.apply().code == 3
    assert not (estate.root / "var" / "2.sqlite").exists()


# ---------------------------------------------------------------------- tenants are islands


def pointing(both):
    """Northwind's info goes to a mailbox of Contoso's."""
    return {**northwind(more="aliases:\n  info: [jane@contoso.example]\n"), **contoso(), **both}


def test_two_tenants_that_point_at_each_other_need_both_words(tmp_path):
    """RT004 until both control.yaml files accept the pointing address; one side's word is not enough."""
    estate = make(tmp_path / "estate", pointing({}))
    subject = "info@northwind.example"
    for files in (
        {},
        accepting("RT004", subject),
        {"tenants/northwind/control.yaml": None, **accepting("RT004", subject, "contoso")},
    ):
        estate.write(files)
        run = estate.run("plan", "--format", "json")
        theirs, ours = run.json["tenants"]
        (finding,) = [f for f in ours["findings"] if f["code"] == "RT004"]
        assert (run.code, finding["subject"], f"{finding['file']}:{finding['line']}") == (3, subject, f"{NORTHWIND}:7")
        assert codes(theirs["findings"]) == set()
        assert estate.run("validate").code == 1
    estate.write(accepting("RT004", subject))
    assert estate.run("validate").code == 0
    assert estate.apply().code == 0
    assert goto(estate, "info") == "jane@contoso.example"
    assert estate.run("plan", "--tenant", "northwind", "--exit-code").code == 0


def test_a_pointer_across_that_leads_nowhere_is_an_error(tmp_path):
    """Accepted by both, but the other tenant does not declare it: points to nowhere, also with `--tenant` alone."""
    both = {**accepting("RT004", "info@northwind.example"), **accepting("RT004", "info@northwind.example", "contoso")}
    estate = make(tmp_path / "estate", pointing(both), mail({"tom": "{owner: tom}"}, "", "contoso.example"))
    for arguments in ([], ["--tenant", "northwind"]):
        run = estate.run("validate", "--format", "json", *arguments)
        assert (run.code, codes(run.json["findings"])) == (1, {"RT001"})


def test_only_the_tenant_that_is_asked_for(tmp_path):
    """`--tenant` plans and applies one, as in the whole; the other is not even mentioned."""
    estate = make(tmp_path / "estate", northwind(), contoso())
    whole = {found["tenant"]: found for found in estate.plan()["tenants"]}
    (alone,) = estate.plan("--tenant", "contoso")["tenants"]
    assert alone == whole["contoso"]
    assert estate.apply("--tenant", "contoso", "--yes").code == 0
    assert estate.sql("SELECT domain FROM domain") == [("contoso.example",)]
    assert len(estate.plan("--tenant", "northwind", "--tenant", "contoso")["tenants"]) == 2


# ---------------------------------------------------------------------- what was reviewed


def test_the_digest_of_the_plan_applies_exactly_that(tmp_path):
    """`--digest` of the plan as reviewed: applied, exit 0."""
    estate = make(tmp_path / "estate", northwind(), contoso())
    digest = estate.plan()["digest"]
    assert estate.apply("--digest", digest).code == 0
    assert settled(estate)


def test_the_digest_of_a_tenant_applies_that_tenant_alone(tmp_path):
    """Another tenant with changes is not what was reviewed: nothing is written there."""
    estate = make(tmp_path / "estate", northwind(), contoso())
    digests = {found["tenant"]: found["digest"] for found in estate.plan()["tenants"]}
    done = estate.apply("--digest", digests["contoso"])
    results = {found["tenant"]: found["result"] for found in done.json["tenants"]}
    assert (done.code, results) == (4, {"contoso": "applied", "northwind": "stale"})
    assert estate.sql("SELECT domain FROM domain") == [("contoso.example",)]
    assert estate.apply("--digest", digests["northwind"]).code == 0
    assert settled(estate)


def test_the_digests_of_several_tenants_apply_them_all(tmp_path):
    """`--digest` may be repeated."""
    estate = make(tmp_path / "estate", northwind(), contoso())
    both = [word for found in estate.plan()["tenants"] for word in ("--digest", found["digest"])]
    assert estate.apply(*both).code == 0


def test_a_stale_digest_writes_nothing_and_says_the_new_one(estate):
    """The world moved since the review: exit 4, nothing written, the digest that a new review would see is printed."""
    estate.write(mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n"))
    reviewed = estate.plan()["digest"]
    estate.sql("UPDATE mailbox SET quota = 7 WHERE username = 'jane@northwind.example'")
    now = estate.one()["digest"]
    world = estate.world()
    text, data = estate.run("apply", "--digest", reviewed), estate.apply("--digest", reviewed)
    (found,) = data.json["tenants"]
    assert (text.code, data.code, found["result"], found["digest"]) == (4, 4, "stale", now)
    assert now in text.out
    assert estate.world() == world
    assert estate.apply("--digest", now).code == 0


def test_steps_of_the_ledger_alone_are_free(estate):
    """Another owner in Git makes no reviewed plan stale: it is noted by any apply."""
    digest = estate.plan()["digest"]
    estate.write(mail({"jane": "{owner: tom}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n"))
    assert estate.plan()["digest"] == digest
    assert estate.apply("--digest", digest).code == 0
    other = estate.apply("--digest", "sha256:" + "0" * 64)
    assert (other.code, other.json["tenants"][0]["result"]) == (0, "nothing")


def test_a_refused_tenant_is_refused_whatever_was_reviewed(tmp_path):
    """`--yes` and a digest lift no finding: 3, and the sound tenant is applied."""
    estate = make(tmp_path / "estate", northwind(more="aliases:\n  info: [kim]\n"), contoso())
    done = estate.apply("--digest", estate.plan()["digest"])
    assert (done.code, [found["result"] for found in done.json["tenants"]]) == (3, ["applied", "refused"])


# ---------------------------------------------------------------------- when a change fails


def test_a_failed_change_skips_what_needs_it_and_the_rest_goes_on(estate, tmp_path):
    """The zone cannot be written: the mail is done and noted, the records are not, and the next apply finishes."""
    estate.write(
        {
            **mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n"),
            **dns("with: {dmarc: quarantine}\n"),
        }
    )
    outside = tmp_path / "outside.zone"
    estate.zone().rename(outside)
    estate.zone().symlink_to(outside)  # is read, and never replaced
    done = estate.apply()
    (found,) = done.json["tenants"]
    assert (done.code, found["result"], summary_of(found["done"])) == (
        1,
        "failed",
        {"mailhost:mailbox/jane@northwind.example"},
    )
    assert summary_of(found["not_done"]) == {"zones:record/TXT/_dmarc.northwind.example"}
    assert (found["rerun"], "symbolic link" in found["error"]) == ("reconciler apply --tenant northwind --yes", True)
    assert summary(estate.one()["changes"]) == {("update", "TXT/_dmarc.northwind.example")}
    estate.zone().unlink()
    outside.rename(estate.zone())
    assert estate.apply().code == 0
    assert settled(estate)


def summary_of(changes):
    return {change["address"] for change in changes}


def test_after_a_failure_nothing_that_was_made_is_orphaned(tmp_path):
    """A first apply that fails half-way leaves a ledger of what it made: taken out of Git, it is removed."""
    estate = make(tmp_path / "estate", northwind())
    estate.zone().parent.mkdir(parents=True)
    estate.zone().symlink_to("nowhere")  # reads as missing, and is never replaced
    assert estate.apply().code == 1
    assert goto(estate, "info") == "jane@northwind.example"
    estate.zone().unlink()
    estate.write(mail(more=""))
    assert ("delete", "info@northwind.example") in summary(estate.one()["changes"])
    assert estate.apply().code == 0
    assert goto(estate, "info") is None
    assert settled(estate)
