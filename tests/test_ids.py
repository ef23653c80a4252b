"""What is said where somebody is named who is nobody, or not one person: what was meant, and where to add them."""

from __future__ import annotations

import pytest

from tests.estates import AGENCY, call, control, mail, make, northwind

TENANT = "tenants/northwind/tenant.yaml"
PEOPLE = """\
tenant: northwind
name: Northwind Ltd
people:
  jane: {name: Jane Roe, contact: jane.roe@home.example}
  tom: {name: Tom Poe, contact: "+44 20 5550100"}
"""
FORWARD = "to: [jane@phone.example], owner: jane, reason: travel, expires: 2030-12-31"
FIX = f"Add it to `people` in {TENANT}, or in reconciler.yaml if it is the agency's, or correct the id."


def client(more="", tom=""):
    """Northwind's own file."""
    return {TENANT: PEOPLE.replace('5550100"', f'5550100"{tom}') + more}


def forward(by):
    return mail(more=f"forwards: {{x: {{{FORWARD}, approved_by: {by}}}}}\n")


def told(tmp_path, *files, severities=("error",)):
    """(code, detail) of all errors of an estate."""
    found = make(tmp_path / "estate", northwind(), client(), *files).run("validate", "--format", "json").json
    return [(f["code"], f["detail"]) for f in found["findings"] if f["severity"] in severities]


MEANT = {
    "a name": (mail({"jane": "{owner: Jane Roe}"}), "There is no person `Jane Roe`. Did you mean `jane`?"),
    "a name in small letters": (mail({"jane": "{owner: jane roe}"}), "Did you mean `jane`?"),
    "a contact": (mail({"jane": "{owner: Jane.Roe@home.example}"}), "Did you mean `jane`?"),
    "the address of a mailbox": (mail({"jane": "{owner: jane@northwind.example}"}), "Did you mean `jane`?"),
    "a name as holder": (
        client("assets: [{kind: backup, name: B, held_by: Jane Roe}]\n"), "There is no person or team `Jane Roe`. Did",
    ),
    "an approver's contact": (forward("jane.roe@home.example"), "Did you mean `jane`?"),
    "an approver of the agency": (forward("Anna Ops"), "Did you mean `anna`?"),
    "a team, nearly": (forward("opps"), "Did you mean `ops`?"),
    "a member, nearly": (client("teams: {it: {members: [tomm]}}\n"), "There is no person `tomm`. Did you mean `tom`?"),
    "a role's holder, nearly": (control("roles: {dns_auth: [jane, opps]}\n"), "Did you mean `ops`?"),
    "a successor, nearly": (client(tom=", left: 2026-11-30, successor: jan"), "Did you mean `jane`?"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "words"), MEANT.values(), ids=MEANT)
def test_who_was_meant_is_asked(tmp_path, files, words):
    """A name, a contact or an address stands for its person; else the nearest id is named. One error says it."""
    ((code, detail),) = told(tmp_path, files)
    assert code == "IN205"
    assert words in detail
    assert "tenants/northwind/tenant.yaml, or in reconciler.yaml" in detail


def test_a_name_of_two_stands_for_neither(tmp_path):
    """Two people of one name: whichever was proposed could be the wrong one."""
    files = mail({"jane": "{owner: Jane Roe}"})
    ((_, detail),) = told(tmp_path, client("  joan: {name: Jane Roe, contact: joan@home.example}\n"), files)
    assert detail == f"There is no person `Jane Roe`. {FIX}"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (mail({"jane": "{owner: ops}"}), "`ops` is a team, and an owner is one person."),
        (client(tom=", left: 2026-11-30, successor: ops"), "`ops` is a team, and a successor is one person."),
        (client("teams: {it: {members: [ops]}}\n"), "`ops` is a team, and a member of a team is one person."),
    ],
)
def test_a_team_is_no_person(tmp_path, files, words):
    """Where one person has to stand, a team is not said to be unknown: it is there, and a member of it is named."""
    assert told(tmp_path, files) == [("IN205", f"{words} Write the id of a person, such as `anna`.")]


def test_the_agencys_people_are_added_in_its_own_file(tmp_path):
    """A tenant's file is not named where it would not help."""
    estate = make(tmp_path / "estate", northwind(), agency=AGENCY.replace("[anna, bela]", "[anna, belo]"))
    run = call("validate", "--estate", estate.root)
    assert "There is no person `belo`. Did you mean `bela`? Add it to `people` in reconciler.yaml, or" in run.err


@pytest.mark.parametrize(
    "files",
    [
        client(tom=", left: 2026-11-30, successor: tim"),
        control("roles: {dns_auth: [tim], mailbox_admin: [ops], reset_approver: [ops]}\n"),
        client("teams: {it: {members: [tim]}}\n"),
    ],
)
def test_one_typo_is_one_error(tmp_path, files):
    """An id that names nobody is not also said to be of somebody who has left."""
    codes = [code for code, _ in told(tmp_path, files, severities=("error", "warning"))]
    assert codes == ["IN205"]
