"""Acceptances that are of no use: expired, or for what is not there. Each is said at its own line, and only then."""

from __future__ import annotations

import json
import re

import pytest

from tests.estates import AGENCY, accepting, accepts, contoso, control, mail, make, northwind, tenant
from tests.test_due import day

JANE = "mailhost:mailbox/jane@northwind.example"
CONTROL = "tenants/northwind/control.yaml"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(), contoso()).applied({})


def told(estate, *arguments):
    """(code, subject, severity, file, line) of what a plan says of acceptances."""
    whole = estate.plan(*arguments)
    findings = [*whole["findings"], *(f for found in whole["tenants"] for f in found["findings"])]
    return [_of(f) for f in findings if f["code"] in {"IN238", "PL225"}]


def _of(found):
    return found["code"], found["subject"], found["severity"], found["file"], found["line"]


def quota(value="3 GiB", **more):
    """Jane's quota by hand, accepted."""
    return accepting("PL201", JANE, field="quota", value=value, **more)


def set_by_hand(estate, gib):
    estate.sql("UPDATE mailbox SET quota = ? WHERE username = 'jane@northwind.example'", gib * 2**30)


def test_an_accepted_value_that_git_moved_away_from(estate):
    """Parts, row 17: Git's change overwrites it, so the acceptance keeps nothing; as long as it does it is no news."""
    boxes = {"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom, quota: 2 GiB}"}
    estate.applied(mail(boxes))
    set_by_hand(estate, 3)
    estate.write(quota())
    assert told(estate) == []
    useless = [("PL225", f"PL201 {JANE} quota", "info", CONTROL, 3)]
    estate.write(mail({**boxes, "jane": "{owner: jane, quota: 2 GiB}"}))
    assert told(estate) == useless
    assert (estate.apply().code, told(estate)) == (0, useless)


def test_an_accepted_value_that_is_another_one(estate):
    """Somebody changed it again."""
    estate.applied(mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom, quota: 2 GiB}"}))
    set_by_hand(estate, 4)
    estate.write(quota())
    assert [found[:2] for found in told(estate)] == [("PL225", f"PL201 {JANE} quota")]


def test_an_expired_acceptance(estate):
    """It is said by `validate` too, at its own line, also where the agency wrote it; its last day counts."""
    estate.write({
        **quota(expires=f"'{day(-1)}'"),
        "reconciler.yaml": AGENCY + accepts(("PL103", "per_run/removals"), expires=f"'{day(-1)}'"),
    })  # fmt: skip
    wanted = [
        ("IN238", "PL103 per_run/removals", "warning", "reconciler.yaml", AGENCY.count("\n") + 2),
        ("IN238", f"PL201 {JANE} quota", "warning", CONTROL, 3),
    ]
    assert told(estate) == wanted
    run = estate.run("validate", "--format", "json")
    assert (run.code, [_of(f) for f in run.json["findings"] if f["code"] == "IN238"]) == (0, wanted)
    estate.write({**quota(expires=f"'{day(0)}'"), "reconciler.yaml": AGENCY})
    assert {found[0] for found in told(estate)} == {"PL225"}


def test_what_an_acceptance_lifts_makes_it_useful(estate):
    """A refusal that it lifts, once, and then no more: the next plan says that it has done its work."""
    estate.write({**mail({}), **accepting("PL215", "northwind.example")})
    assert told(estate) == []
    estate.write({**mail({}, ""), **accepting("PL101", "northwind/mailbox", up_to=2)})
    assert [found[1] for found in told(estate)] == ["PL101 northwind/mailbox"]
    estate.applied(accepting("PL215", "northwind.example"))
    assert [found[1] for found in told(estate)] == ["PL215 northwind.example"]


def test_an_acceptance_that_makes_an_answer_believed(estate):
    """What is missing live is more than one run may take away: the entry says that it is really gone."""
    boxes = dict.fromkeys(("jane", "tom", "kim", "max"), "{owner: jane}")
    estate.applied(mail(boxes))
    estate.sql("DELETE FROM mailbox WHERE username NOT LIKE 'jane%'")
    estate.write({**mail(boxes), **accepting("PL101", "northwind/mailbox", up_to=3)})
    assert (told(estate), len(estate.one()["drift"])) == ([], 3)
    assert [f["severity"] for f in estate.one()["findings"] if f["code"] == "PL101"] == ["info"]


def test_what_is_not_known_is_not_judged(estate):
    """While something cannot be read nobody knows what it is for."""
    estate.write(quota())
    assert len(told(estate)) == 1
    estate.database.write_bytes(b"no database")
    assert told(estate) == []


def test_the_agencys_are_judged_over_all_tenants(estate):
    """One that another tenant needs is of use; with `--tenant` nobody knows."""
    estate.write({"reconciler.yaml": AGENCY + accepts(("PL215", "contoso.example"), ("PL215", "nobody.example"))})
    file = ("info", "reconciler.yaml")
    assert [found[1:4] for found in told(estate)] == [
        (f"PL215 {name}.example", *file) for name in ("contoso", "nobody")
    ]
    assert told(estate, "--tenant", "northwind") == []
    estate.write(mail({}, "", "contoso.example"))
    assert [found[1] for found in told(estate)] == ["PL215 nobody.example"]


def test_the_word_of_both_sides_is_of_use(estate):
    """A pointer into another tenant needs an entry on either side; alone nobody can say what the other one is for."""
    both = [accepting("RT004", "info@northwind.example", name) for name in ("northwind", "contoso")]
    estate.write({**mail(more="aliases:\n  info: [jane@contoso.example]\n"), **both[0], **both[1]})
    assert (told(estate), estate.run("plan").code) == ([], 0)
    assert told(estate, "--tenant", "contoso") == []
    estate.write(mail())
    assert [found[3] for found in told(estate)] == [f"tenants/{name}/control.yaml" for name in ("contoso", "northwind")]


# ---------------------------------------------------------------------- the line that is offered


def offered(run):
    """What `to accept it` says, line by line."""
    return re.findall(r"to accept it, under `accept` in (\S+): - {finding: (\w+), subject: \"(.*?)\"", run.out)


def test_the_file_for_an_acceptance_is_named(estate):
    """The tenant's own, in `validate` and in a plan."""
    estate.write(mail(more="aliases:\n  info: [nobody]\n"))
    for command in ("validate", "plan"):
        assert offered(estate.run(command)) == [(CONTROL, "RT001", "info@northwind.example")]


def test_a_tenant_that_is_gone_is_accepted_in_the_agencys_file(estate):
    """It has no control.yaml any more; what else is found of it goes there, too."""
    estate.git("rm", "-rq", "tenants/northwind")
    estate.commit()
    found = offered(estate.run("plan"))
    assert ("reconciler.yaml", "PL213", "northwind") in found
    assert {file for file, _, _ in found} == {"reconciler.yaml"}
    estate.write({"reconciler.yaml": AGENCY + accepts(*((code, subject) for _, code, subject in found), up_to=99)})
    assert estate.run("plan").code == 0


def test_what_is_found_in_the_agencys_file_is_accepted_there(estate):
    """A contact of the agency's own, for one: no tenant has it."""
    estate.write({"reconciler.yaml": AGENCY.replace("name: Anna Ops", f"name: Anna Ops, left: {day(1)}")})
    estate.write(mail({"jane": "{owner: anna}"}))
    run = estate.run("validate")
    assert offered(run) == [("reconciler.yaml", "OW001", "anna")]
    estate.write({"reconciler.yaml": (estate.root / "reconciler.yaml").read_text() + accepts(("OW001", "anna"))})
    assert estate.run("validate").code == 0


@pytest.mark.parametrize(("by", "code"), [("tom", "OW007"), ("anna", "OW014")])
def test_who_approved_an_acceptance_is_not_accepted_away(estate, by, code):
    """By the owner, or by the author of the change: another person is to be named, and no entry is offered for it."""
    broken = mail({"jane": "{owner: jane}", "tom": "{owner: tom}"}, "aliases:\n  books: {to: [nobody], owner: tom}\n")
    estate.write({**broken, **accepting("RT001", "books@northwind.example", approved_by=by)})
    run = estate.run("plan")
    assert f"error {code} {CONTROL}" in run.out
    assert f"RT001 books@northwind.example: {by}" in run.out
    assert "to accept it" not in run.out


@pytest.mark.parametrize(
    "name",
    ['G", reason: ok, approved_by: ops, expires: 2099-01-01} #', "C:\\Gandi", "B\u00fccher \U0001f4d6", "a\\u202eb"],
)
def test_the_line_that_accepts_says_what_it_is_for_and_no_more(tmp_path, name):
    """What somebody called a thing cannot write the rest of the line; completed, it lifts the finding."""
    asset = f"{{kind: registrar, name: {json.dumps(name, ensure_ascii=False)}, expires: 2020-01-01}}"
    estate = make(tmp_path / "estate", northwind(), tenant("northwind", f"assets: [{asset}]\n"))
    (line,) = [line for line in estate.run("validate").out.splitlines() if "to accept it, " in line]
    entry = "- " + line.partition(": - ")[2]
    for said in ("2099-01-01", "ops", "seen"):
        entry = said.join(entry.rsplit("…", 1))
    estate.write(control(f"accept:\n  {entry}\n"))
    found = estate.run("validate", "--format", "json").json["findings"]
    assert {f["severity"] for f in found if f["code"].startswith(("IN", "OW050"))} == {"info"}
