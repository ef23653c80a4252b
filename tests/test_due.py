"""What follows from lines reviewed earlier: purges, what has expired, drift put back; and who lets it happen."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.estates import BOXES, NORTHWIND, contoso, control, mail, make, northwind

INFO = "mailhost:alias/info@northwind.example"
JANE = "mailhost:mailbox/jane@northwind.example"
TOM = "mailhost:mailbox/tom@northwind.example"
LIST = '{"format": "reconciler.plan/1", "tenants": [1]}'
FORWARD = "{{to: [crm@vendor.example], owner: jane, reason: import, approved_by: ops, expires: {}}}"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind())


def day(offset):
    """A day in the agency's time zone."""
    return (datetime.now(ZoneInfo("Europe/Berlin")).date() + timedelta(days=offset)).isoformat()


def redirect(estate):
    """By hand, in the place of Jane."""
    estate.sql("UPDATE alias SET goto = 'tom@northwind.example' WHERE address = 'info@northwind.example'")


def due(found):
    return [(c["address"], c["action"], c["reason"]) for c in found["due"]]


def changes(found):
    return [(c["address"], c["action"]) for c in found["changes"]]


@pytest.fixture
def gone(estate):
    """Tom was taken out and kept for no day."""
    estate.applied({})
    return estate.applied({**mail({"jane": BOXES["jane"]}), **control("retention: 0 days\n")})


# ---------------------------------------------------------------------- purge


def test_a_purge_is_due_and_no_declared_change(gone):
    """It stands under `due`, moves no digest, says what is lost, and `plan --exit-code` speaks of it."""
    found = gone.one()
    assert (changes(found), due(found)) == ([], [(TOM, "purge", "retention")])
    assert (found["due"][0]["revert"], found["due"][0]["loses"]) == ("none", "the mail in it")
    assert gone.run("plan", "--exit-code").code == 2
    assert "purge" in gone.run("plan").out


@pytest.mark.parametrize("said", [["--yes"], ["--due"]])
def test_nothing_is_purged_without_being_told_to(gone, said):
    """`--purge` must be said besides; the box stays, and stays due."""
    assert gone.apply(*said).code == 0
    assert due(gone.one()) == [(TOM, "purge", "retention")]
    assert gone.apply(*said, "--purge").code == 0
    assert gone.one()["due"] == []
    assert gone.sql("SELECT count(*) FROM mailbox WHERE username = 'tom@northwind.example'") == [(0,)]


def test_purge_alone_is_wrong_usage(gone):
    """Somebody must have said what is made."""
    assert gone.run("apply", "--purge").code == 64


def test_a_hold_keeps_it(gone):
    """No purge before the hold's last day is over; the plan says why."""
    hold = f"holds: [{{subject: Tom@northwind.example, reason: legal, approved_by: ops, until: {day(3)}}}]\n"
    gone.write(control(f"retention: 0 days\n{hold}"))
    found = gone.one()
    assert (found["due"], [(w["address"], w["why"], w["when"]) for w in found["later"]]) == (
        [],
        [(TOM, "hold", day(3))],
    )
    gone.write(control(f"retention: 0 days\n{hold.replace(day(3), day(-2))}"))
    assert due(gone.one()) == [(TOM, "purge", "retention")]


def test_an_early_purge_is_named_in_the_file(estate):
    """`retired: {tom: {purge: …}}` brings the day forward."""
    estate.applied({})
    estate.applied(mail({"jane": BOXES["jane"]}, "aliases:\n  info: [jane]\n"))
    assert estate.one()["due"] == []
    early = f"retired: {{tom: {{purge: {day(-1)}, reason: erasure, approved_by: ops}}}}\n"
    estate.write(mail({"jane": BOXES["jane"]}, f"aliases:\n  info: [jane]\n{early}"))
    assert due(estate.one()) == [(TOM, "purge", "retention")]


# ---------------------------------------------------------------------- expiry


@pytest.fixture
def forwarding(estate):
    """A forward that ends today, and one on Jane's own name; both applied."""
    said = FORWARD.format(day(0))
    both = f"  orders: {said}\n  jane: {said.replace('owner', 'keep_copy: true, owner')}\n"
    return estate.applied(mail(more=f"aliases:\n  info: [jane]\nforwards:\n{both}"))


def expired(estate):
    text = (estate.root / NORTHWIND).read_text()
    estate.write({NORTHWIND: text.replace(day(0), day(-2))})
    return estate


def test_a_forward_holds_to_the_end_of_its_day(forwarding):
    """On its last day nothing is due."""
    assert (forwarding.one()["changes"], forwarding.one()["due"]) == ([], [])


def test_an_expired_forward_is_due_to_go(forwarding):
    """Both kinds: the alias goes, Jane's copies stop and her own copy stays. The lines may stay in the file."""
    found = expired(forwarding).one()
    orders = "mailhost:alias/orders@northwind.example"
    assert (changes(found), due(found)) == ([], [(orders, "delete", "expired"), (JANE, "update", "expired")])
    assert found["due"][1]["fields"] == {"copies_to": {"from": ["crm@vendor.example"], "to": []}}
    assert forwarding.apply("--due").code == 0
    found = forwarding.one()
    assert (changes(found), due(found), found["drift"]) == ([], [], [])


def test_what_has_expired_is_never_made(estate):
    """A forward declared with a day that is over does not come into being."""
    estate.applied(mail(more=f"forwards:\n  orders: {FORWARD.format(day(-2))}\n"))
    assert estate.sql("SELECT count(*) FROM alias WHERE address = 'orders@northwind.example'") == [(0,)]


def test_a_new_day_brings_it_back(forwarding):
    """Extended after it went, it is declared again."""
    expired(forwarding).apply("--due")
    text = (forwarding.root / NORTHWIND).read_text()
    forwarding.write({NORTHWIND: text.replace(day(-2), day(9))})
    found = forwarding.one()
    assert set(changes(found)) == {("mailhost:alias/orders@northwind.example", "create"), (JANE, "update")}


def test_a_reviewed_plan_lets_what_it_showed_happen(forwarding, tmp_path):
    """What is due is made when the reviewed plan showed it, not otherwise."""
    before = tmp_path / "before.json"
    before.write_text(forwarding.run("plan", "--format", "json").out)
    shown = tmp_path / "shown.json"
    shown.write_text(expired(forwarding).run("plan", "--format", "json").out)
    assert forwarding.apply("--plan", str(before)).code == 0
    assert forwarding.apply("--plan", str(shown), "--digest", "sha256:00").code == 0  # so it does not count
    assert len(forwarding.one()["due"]) == 2
    assert forwarding.apply("--plan", str(shown)).code == 0
    assert forwarding.one()["due"] == []


def test_what_is_due_needs_no_review_where_it_was_asked_for(forwarding, tmp_path):
    """`--plan FILE --due`: of a tenant that no file shows what is due, and nothing that is declared."""
    forwarding.write({**contoso()})
    plan = reviewed(forwarding, tmp_path / "plan.json", "--tenant", "contoso")
    text = (expired(forwarding).root / NORTHWIND).read_text()
    forwarding.write({NORTHWIND: text.replace("mailboxes:\n", "mailboxes:\n  new: {owner: jane}\n")})
    assert forwarding.apply("--plan", plan, "--due").code == 0
    found = forwarding.one()
    assert (changes(found), due(found)) == ([("mailhost:mailbox/new@northwind.example", "create")], [])


# ---------------------------------------------------------------------- drift


def test_drift_is_put_back_under_enforce(estate):
    """`drift: enforce` makes it due; `report` only says it."""
    estate.applied({})
    redirect(estate)
    assert (estate.one()["due"], len(estate.one()["drift"])) == ([], 1)
    estate.write(control("drift: enforce\n"))
    found = estate.one()
    assert (changes(found), due(found)) == ([], [(INFO, "update", "drift")])
    assert estate.apply("--yes").code == 0
    assert estate.one()["drift"] == []


def test_a_person_puts_it_back(estate):
    """`--enforce ADDRESS` and `--enforce all`, without `--due`."""
    estate.applied({})
    for what in (INFO, "all"):
        redirect(estate)
        assert due(estate.one("--enforce", what)) == [(INFO, "update", "drift")]
        assert estate.apply("--yes", "--enforce", what).code == 0
        assert estate.one()["drift"] == []


def test_what_was_removed_by_hand_is_made_again(estate):
    """Truth table, rows 9 and 12: under enforce it is created, whatever Git moved on to."""
    estate.applied({})
    estate.sql("DELETE FROM alias WHERE address = 'info@northwind.example'")
    assert due(estate.one("--enforce", "all")) == [(INFO, "create", "drift")]
    estate.write(mail(more="aliases:\n  info: [tom]\n"))
    assert "PL206" in {f["code"] for f in estate.one()["findings"]}
    found = estate.one("--enforce", "all")
    assert (due(found), {f["code"] for f in found["findings"]} & {"PL206"}) == ([(INFO, "create", "drift")], set())
    assert estate.apply("--yes", "--enforce", "all").code == 0
    assert estate.one()["drift"] == []


def test_what_is_put_back_waits_where_something_else_was_put(estate):
    """A mailbox removed by hand, an alias by hand on its name: whose mail that is, a person says; the rest goes on."""
    estate.applied({})
    estate.sql("DELETE FROM mailbox WHERE username = 'tom@northwind.example'")
    estate.sql("DELETE FROM alias WHERE address = 'tom@northwind.example'")
    estate.redirect("tom", "jane@northwind.example")
    redirect(estate)
    found = estate.one("--enforce", "all")
    assert due(found) == [(INFO, "update", "drift")]
    assert [(w["address"], w["why"]) for w in found["later"]] == [
        (TOM, "its place is taken by mailhost:alias/tom@northwind.example")
    ]
    assert estate.apply("--yes", "--enforce", "all").code == 0


def test_declared_and_drifted_parts_are_kept_apart(estate):
    """Truth table, parts row 18: the declared part is a change, the other is due; made together they are one."""
    estate.applied({})
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    boxes = {**BOXES, "tom": "{owner: tom, quota: 2 GiB, name: Tom Poe}"}
    estate.write(mail(boxes, "aliases:\n  info: [jane]\n"))
    found = estate.one("--enforce", "all")
    (declared,), (put_back,) = found["changes"], found["due"]
    assert (declared["fields"].keys(), put_back["fields"]) == ({"name"}, {"quota": {"from": 1, "to": 2 * 2**30}})
    assert estate.apply("--yes", "--enforce", "all").code == 0
    found = estate.one()
    assert (changes(found), found["drift"]) == ([], [])


def test_an_accepted_value_is_quiet(estate):
    """Named by field and value until a day: still shown, no exit code, not put back; another value is drift again."""
    estate.applied({})
    estate.sql("UPDATE mailbox SET quota = 1073741824 WHERE username = 'tom@northwind.example'")
    item = f"finding: PL201, subject: '{TOM}', field: quota, value: 1 GiB, reason: full, approved_by: ops"
    estate.write(control(f"drift: enforce\naccept:\n  - {{{item}, expires: {day(1)}}}\n"))
    found = estate.one()
    assert (found["due"], found["drift"][0]["accepted"]) == ([], {"approved_by": "ops", "expires": day(1)})
    assert estate.run("plan", "--exit-code").code == 0
    estate.sql("UPDATE mailbox SET quota = 1073741825 WHERE username = 'tom@northwind.example'")
    found = estate.one()
    assert (due(found), found["drift"][0]["accepted"]) == ([(TOM, "update", "drift")], None)
    estate.sql("UPDATE mailbox SET quota = 1073741824 WHERE username = 'tom@northwind.example'")
    estate.write(control(f"drift: enforce\naccept:\n  - {{{item}, expires: {day(-2)}}}\n"))
    assert due(estate.one()) == [(TOM, "update", "drift")]


# ---------------------------------------------------------------------- what was reviewed


def reviewed(estate, path, *arguments):
    path.write_text(estate.run("plan", "--format", "json", *arguments).out)
    return str(path)


def test_at_most_what_was_reviewed(estate, tmp_path):
    """Fewer is fine, anything else makes the tenant stale (4), and it prints its digest of now."""
    estate.write(contoso())
    plan = reviewed(estate, tmp_path / "plan.json", "--tenant", "northwind")
    estate.write(mail({**BOXES, "new": "{owner: jane}"}))
    stale = estate.apply("--plan", plan)
    assert stale.code == 4
    assert {t["tenant"]: t["result"] for t in stale.json["tenants"]} == {"northwind": "stale", "contoso": "nothing"}
    assert stale.json["tenants"][1]["digest"] == estate.one()["digest"]
    assert estate.apply("--plan", plan, "--plan", reviewed(estate, tmp_path / "two.json")).code == 0
    assert estate.plan()["summary"]["create"] == 0


def test_a_plan_file_counts_only_with_its_digest(estate, tmp_path):
    """Beside `--digest` only a file of that digest counts; one whose content was edited is refused."""
    plan = reviewed(estate, tmp_path / "plan.json")
    assert estate.apply("--plan", plan, "--digest", "sha256:00").json["tenants"][0]["result"] == "nothing"
    data = json.loads((tmp_path / "plan.json").read_text())
    data["tenants"][0]["changes"][0]["fields"]["to"] = {"from": None, "to": ["mallory@evil.example"]}
    (tmp_path / "bad.json").write_text(json.dumps(data))
    bad = estate.apply("--plan", str(tmp_path / "bad.json"))
    assert (bad.code, [f["code"] for f in bad.json["findings"]]) == (1, ["IN308"])
    assert estate.apply("--plan", plan, "--digest", estate.plan()["digest"]).code == 0


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", '{"format": "reconciler.plan/1"}', '{"format": "reconciler.plan/1", "tenants": [1]}'],
)
def test_what_is_no_plan_is_refused(estate, tmp_path, text):
    """An error, exit code 1, and nothing is made."""
    (tmp_path / "x.json").write_text(text)
    assert estate.apply("--plan", str(tmp_path / "x.json")).code == 1
    assert estate.apply("--plan", str(tmp_path / "nowhere.json")).code == 1


# ---------------------------------------------------------------------- another day


def test_a_plan_for_an_earlier_day(gone):
    """`--as-of` plans for one of the last fourteen days; no other day is taken."""
    found = gone.plan("--as-of", day(-3))
    assert (found["as_of"], found["tenants"][0]["due"]) == (day(-3), [])
    for bad in (day(-40), day(9), "yesterday"):
        assert gone.run("plan", "--as-of", bad).code == 64


# ---------------------------------------------------------------------- what is noted of it


def test_what_is_due_alone_leaves_the_declared_for_later(forwarding):
    """`--due`: the commit counts as applied only once all that it declares is made."""
    before = forwarding.one()["applied_commit"]
    expired(forwarding)
    text = (forwarding.root / NORTHWIND).read_text()
    forwarding.write({NORTHWIND: text.replace("info: [jane]", "info: [tom]")})
    assert forwarding.apply("--due").code == 0
    found = forwarding.one()
    assert (changes(found), found["due"], found["applied_commit"]) == ([(INFO, "update")], [], before)
    assert forwarding.apply("--yes").code == 0
    assert forwarding.one()["applied_commit"] == forwarding.head


def test_the_digest_that_is_noted_is_the_one_that_was_reviewed(forwarding):
    """What is due is made with it, and is no part of it."""
    expired(forwarding)
    text = (forwarding.root / NORTHWIND).read_text()
    forwarding.write({NORTHWIND: text.replace("info: [jane]", "info: [tom]")})
    reviewed_as = forwarding.one()["digest"]
    done = forwarding.apply("--yes").json["tenants"][0]
    assert (len(done["done"]), done["digest"]) == (3, reviewed_as)
    noted = forwarding.run("history", "--format", "json", "northwind").json["changes"][:3]
    assert {change["applied"]["digest"] for change in noted} == {reviewed_as}
