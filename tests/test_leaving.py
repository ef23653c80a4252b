"""Who leaves is compiled out from that day on: it is due, never declared, and what it does not cover is a finding."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.estates import AGENCY, NORTHWIND, accepting, accepts, codes, make, northwind

DOMAIN = "mailhost:domain/northwind.example"
INFO = "mailhost:alias/info@northwind.example"
ORDERS = "mailhost:alias/orders@northwind.example"
TOM = "mailhost:mailbox/tom@northwind.example"
JANE = "mailhost:mailbox/jane@northwind.example"
DESK = "mailhost:mailbox/desk@northwind.example"
PEOPLE = "tenants/northwind/tenant.yaml"


def day(offset):
    """A day in the agency's time zone."""
    return (datetime.now(ZoneInfo("Europe/Berlin")).date() + timedelta(days=offset)).isoformat()


END = day(300)
FORWARD = f"{{to: [crm@vendor.example], owner: tom, reason: import, approved_by: ops, expires: {END}}}"
COPY = FORWARD.replace("owner", "keep_copy: false, owner")
MORE = f"""\
shared:
  desk: {{owner: tom, members: {{jane: full, tom: read}}}}
aliases:
  info: {{to: [jane], owner: tom}}
forwards:
  orders: {FORWARD}
  jane: {COPY}
catch_all: {{to: [desk], owner: tom, reason: old flyers, approved_by: ops, expires: {END}}}
"""


def people(tom=""):
    """Jane, and Tom of whom something more is said."""
    lines = '  jane: {name: Jane Roe, contact: "+44 20 1"}\n'
    lines += f'  tom: {{name: Tom Roe, contact: "+44 20 2"{tom}}}\n'
    return {PEOPLE: f"tenant: northwind\nname: Northwind Ltd\npeople:\n{lines}"}


def leaves(offset, successor="jane"):
    return people(f", left: {day(offset)}, successor: {successor}")


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(more=MORE), people()).applied({})


def due(found):
    return {c["address"]: (c["action"], c["reason"], {k: (v["from"], v["to"]) for k, v in c["fields"].items()})
            for c in found["due"]}  # fmt: skip


GONE = {
    TOM: ("update", "offboarding", {"state": ("active", "blocked")}),
    DESK: (
        "update",
        "offboarding",
        {"members": ({"jane@northwind.example": "full", "tom@northwind.example": "read"},
                     {"jane@northwind.example": "full"})},
    ),
    ORDERS: ("delete", "offboarding", {"to": (["crm@vendor.example"], None)}),
    JANE: ("update", "offboarding", {"copies_to": (["crm@vendor.example"], []), "keep_copy": (False, True)}),
}  # fmt: skip


def owners(estate):
    """{address: who owns it}, as the ledger has it."""
    lines = estate.git("show", "refs/reconciler/tenants/northwind:ledger.jsonl").splitlines()
    said = [json.loads(line) for line in lines]
    return {line["address"]: line["said"]["owner"] for line in said if "owner" in line.get("said", {})}


def test_before_the_day_nothing_happens(estate):
    """A day that is set and not yet come changes nothing, live or in the ledger."""
    estate.write(leaves(1))
    found = estate.one()
    assert (found["changes"], found["due"], found["later"]) == ([], [], [])
    assert estate.run("plan", "--exit-code").code == 0


@pytest.mark.parametrize("offset", [0, -30])
def test_from_that_day_on_it_is_due(estate, offset):
    """Box, membership, forward and copies; a day in the past is due at once. The digest is that of no change."""
    before = estate.one()["digest"]
    estate.write(leaves(offset))
    found = estate.one()
    assert (found["changes"], due(found), found["digest"]) == ([], GONE, before)


@pytest.mark.parametrize("said", ["--due", "--yes"])
def test_it_is_made_and_then_there_is_nothing_to_do(estate, said):
    """Live is as the plan said; what was owned is the successor's."""
    estate.write(leaves(0))
    assert estate.apply(said).code == 0
    found = estate.one()
    assert (found["changes"], found["due"], found["drift"]) == ([], [], [])
    assert {name: owner for name, owner in owners(estate).items() if owner == "tom"} == {}
    assert estate.run("validate").code == 0


def test_ownership_moves_with_any_apply(estate):
    """It is known to Git alone: the ledger follows, and nothing is written for it."""
    estate.write({**leaves(0), **northwind(more="aliases:\n  info: {to: [jane], owner: tom}\n")})
    estate.write(people())
    estate.applied({})
    estate.write(leaves(0))
    assert due(estate.one()) == {TOM: GONE[TOM]}
    assert estate.apply("--digest", estate.one()["digest"]).code == 0
    assert (owners(estate)[INFO], due(estate.one())) == ("jane", {TOM: GONE[TOM]})
    assert estate.apply("--due").code == 0
    assert (owners(estate)[TOM], estate.one()["due"]) == ("jane", [])


def test_what_is_declared_beside_it_stays_declared(estate):
    """A new member and a name are changes of this commit; the one who leaves is due, of the same two boxes."""
    text = (estate.root / NORTHWIND).read_text()
    text = text.replace(
        "tom: {owner: tom, quota: 2 GiB}", "tom: {owner: tom, quota: 2 GiB, name: Tom}\n  kim: {owner: jane}"
    )
    estate.write({**leaves(0), NORTHWIND: text.replace("jane: full, tom: read", "jane: full, tom: read, kim: read")})
    found = estate.one()
    declared = {c["address"]: c["fields"] for c in found["changes"]}
    assert declared[TOM] == {"name": {"from": None, "to": "Tom"}}
    assert declared[DESK]["members"]["to"].keys() == {f"{who}@northwind.example" for who in ("jane", "tom", "kim")}
    assert due(found)[TOM] == GONE[TOM]
    assert due(found)[DESK][2]["members"][1].keys() == {f"{who}@northwind.example" for who in ("jane", "kim")}
    assert estate.apply("--digest", found["digest"]).code == 0
    found = estate.one()
    assert (found["changes"], due(found).keys()) == ([], GONE.keys())
    assert estate.apply("--due").code == 0
    found = estate.one()
    assert (found["changes"], found["due"], found["drift"]) == ([], [], [])


def test_what_is_due_makes_no_review_stale(estate, tmp_path):
    """A plan of the day before is applied as it was; one that showed what is due lets it happen."""
    before, shown = tmp_path / "before.json", tmp_path / "shown.json"
    before.write_text(estate.run("plan", "--format", "json").out)
    estate.write(leaves(0))
    shown.write_text(estate.run("plan", "--format", "json").out)
    assert estate.apply("--plan", str(before)).code == 0
    assert due(estate.one()) == GONE
    assert estate.apply("--plan", str(shown)).code == 0
    assert estate.one()["due"] == []


def test_who_comes_back_gets_it_back(estate):
    """The line taken out again is a declared change like any other: box, membership, forward."""
    estate.applied(leaves(0))
    assert estate.apply("--due").code == 0
    estate.write(people())
    found = estate.one()
    assert {(c["address"], c["reason"]) for c in found["changes"]} == {(name, "declared") for name in GONE}
    assert estate.apply().code == 0
    assert owners(estate)[TOM] == "tom"


def test_the_file_may_be_written_anew_later(estate):
    """Once it is made the leaver's lines can say what is: then there is nothing to do."""
    estate.applied(leaves(0))
    boxes = {"jane": "{owner: jane}", "tom": "{owner: jane, quota: 2 GiB, state: blocked}"}
    more = "shared:\n  desk: {owner: jane, members: {jane: full}}\naliases:\n  info: [jane]\n"
    catch_all = f"catch_all: {{to: [desk], owner: jane, reason: old flyers, approved_by: ops, expires: {END}}}\n"
    estate.write({**northwind(boxes, more + catch_all), **leaves(0)})
    found = estate.one()
    assert (found["changes"], found["due"]) == ([], [])


def test_a_guest_is_gone_after_the_last_day(estate):
    """`until` holds to its end; then it is as `left`."""
    estate.write(people(f", sponsor: jane, successor: jane, until: {day(0)}"))
    assert estate.one()["due"] == []
    estate.write(people(f", sponsor: jane, successor: jane, until: {day(-1)}"))
    assert due(estate.one()) == GONE


def test_a_box_put_back_to_work_by_hand_is_drift(estate):
    """Once it was made, live is compared with it as with anything declared."""
    estate.applied(leaves(0))
    estate.sql("UPDATE reconciler_mailbox SET login_enabled = 1 WHERE username = 'tom@northwind.example'")
    (drift,) = estate.one()["drift"]
    assert (drift["address"], drift["field"], drift["git"], drift["risk"]) == (TOM, "state", "blocked", "high")


def test_what_was_blocked_by_hand_already_is_settled(estate):
    """An emergency comes before its commit: then the box is no drift, and only the rest is due."""
    columns = "(username, domain, login_enabled, shared, blocked, name_taken)"
    said = "('tom@northwind.example', 'northwind.example', 0, 0, 0, 0)"
    estate.sql(f"INSERT OR REPLACE INTO reconciler_mailbox {columns} VALUES {said}")
    assert [drift["address"] for drift in estate.one()["drift"]] == [TOM]
    estate.write(leaves(0))
    found = estate.one()
    assert (found["changes"], found["drift"]) == ([], [])
    assert due(found) == {name: said for name, said in GONE.items() if name != TOM}


def test_a_new_box_of_who_left_is_made_blocked(estate):
    """It was never there before: a declared creation, in the form it has from that day on."""
    estate.applied(leaves(0))
    text = (estate.root / NORTHWIND).read_text()
    estate.write({NORTHWIND: text.replace("mailboxes:\n", "mailboxes:\n  tom2: {owner: tom}\n")})
    (change,) = estate.one()["changes"]
    assert (change["action"], change["fields"]["state"]["to"]) == ("create", "blocked")


def test_a_kept_box_comes_back_blocked_to_its_heir(estate):
    """Retired while its owner was here and declared again when he is gone: it is no other person's (PL220)."""
    text = (estate.root / NORTHWIND).read_text()
    estate.applied({NORTHWIND: text.replace("  tom: {owner: tom, quota: 2 GiB}\n", "").replace(", tom: read", "")})
    estate.write({**leaves(0), NORTHWIND: text})
    found = estate.one()
    assert "PL220" not in {f["code"] for f in found["findings"]}
    assert estate.apply().code == 0
    found = estate.one()
    assert (owners(estate)[TOM], found["changes"], found["due"]) == ("jane", [], [])


def test_one_of_the_agency_leaves(estate):
    """Their days stand in reconciler.yaml and hold in every tenant; what is theirs there goes to their successor."""
    text = (
        (estate.root / NORTHWIND)
        .read_text()
        .replace("info: {to: [jane], owner: tom}", "info: {to: [jane], owner: anna}")
    )
    agency = AGENCY.replace('contact: "+49 30 1234567"', f'contact: "+49 30 1234567", left: {day(0)}, successor: bela')
    estate.applied({NORTHWIND: text}, {"reconciler.yaml": agency})
    assert (owners(estate)[INFO], codes(estate.one()["findings"])) == ("bela", set())


def test_what_is_found_in_the_agencys_file_can_be_accepted(estate):
    """By code and subject in reconciler.yaml; the entry is of use then (no PL225)."""
    agency = AGENCY.replace(", reset_approver: [ops]", "")
    estate.write({"reconciler.yaml": agency})
    assert codes(estate.plan()["findings"]) == {"OW010"}
    estate.write({"reconciler.yaml": f"{agency}{accepts(('OW010', 'reset_approver'))}"})
    found = estate.plan()["findings"]
    assert [(f["code"], f["severity"]) for f in found] == [("OW010", "info")]


def test_a_leaver_without_a_successor_is_refused_before_the_day(estate):
    """The commit that sets the day is, with the person's line; nothing is made, what is due neither."""
    estate.write(people(f", left: {day(5)}"))
    found = estate.one()
    assert [(f["code"], f["file"], f["line"]) for f in found["findings"]] == [("OW001", PEOPLE, 5)]
    assert estate.apply("--due").code == 3


def test_the_last_member_stays_in(tmp_path):
    """Refused (OW005); and where that is accepted the box keeps its member, whose own box is blocked all the same."""
    more = "shared:\n  desk: {owner: jane, members: {tom: full}}\n"
    estate = make(tmp_path / "estate", northwind(more=more), people()).applied({})
    estate.write(leaves(0))
    found = estate.one()
    assert (codes(found["findings"]), due(found)) == ({"OW005"}, {TOM: GONE[TOM]})
    estate.write(accepting("OW005", "desk@northwind.example", expires=END))
    assert estate.apply().code == 0
    assert estate.one()["due"] == []


def test_an_end_is_not_made_twice(estate):
    """A forward that has expired and whose owner has left as well ends once; it has expired."""
    text = (estate.root / NORTHWIND).read_text()
    estate.write(
        {
            **leaves(0),
            NORTHWIND: text.replace(
                f"import, approved_by: ops, expires: {END}", f"import, approved_by: ops, expires: {day(-1)}"
            ),
        }
    )
    found = due(estate.one())
    assert found[JANE][:2] == ("update", "expired")
    assert found[TOM] == GONE[TOM]
    assert estate.apply("--due").code == 0
    assert (estate.one()["changes"], estate.one()["due"]) == ([], [])


def test_freeze_does_not_hold_it(estate):
    """What takes access away is never frozen."""
    estate.write({"reconciler.yaml": f'{AGENCY}freeze: [{{from: "mon 00:00", to: "sun 23:59"}}]\n', **leaves(0)})
    assert {change["held"] for change in estate.one()["due"]} == {None}
