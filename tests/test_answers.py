"""What questions were answered wrongly, or with nothing at all: each was a fault, and each stays mended."""

from __future__ import annotations

import pytest

from tests.estates import contoso, make, northwind
from tests.test_questions import ROLES, agency

STAFF = agency(f'  anna: {{name: Anna Ops, account: "@anna"}}\nteams: {{ops: {{members: [anna]}}}}\n{ROLES}')
QUESTIONS = {
    "inventory": [],
    "codeowners": [],
    "trace": ["jane@northwind.example"],
    "who": ["jane@northwind.example"],
    "history": ["jane@northwind.example"],
    "log": [],
    "rollback": ["HEAD"],
}


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(), contoso(), agency=STAFF)


# ---------------------------------------------------------------------- which tenant


@pytest.mark.parametrize("command", QUESTIONS)
def test_a_question_about_a_tenant_there_is_not_is_an_error(estate, command):
    """A misspelled name, or a folder below one, is never a tenant of which there is nothing to tell."""
    estate.applied()
    for name in ("nrothwind", "northwind/domains"):
        run = estate.run(command, *QUESTIONS[command], "--tenant", name)
        assert (run.code, run.out, f"There is no tenants/{name}." in run.err) == (1, "", True)
    assert "rollback" not in estate.git("branch", "--list")


def test_what_only_a_ledger_knows_is_still_told(estate):
    """The folder is gone and not applied yet: what was done there, and where its mail goes."""
    estate.applied()
    estate.write(dict.fromkeys(contoso()))
    for command in (["log"], ["history", "contoso"], ["history", "jane@contoso.example"], ["inventory"]):
        run = estate.run(*command, "--tenant", "contoso")
        assert (run.code, run.err) == (0, "")
    assert "contoso" in estate.run("log", "--tenant", "contoso").out
    run = estate.run("trace", "jane@contoso.example", "--tenant", "contoso")
    assert (run.code, "delivered" in run.out) == (0, True)


def test_a_tenant_that_did_not_change_is_one_all_the_same(estate):
    """`--changed-since` leaves it out; that is no misspelled name."""
    run = estate.run("validate", "--tenant", "northwind", "--changed-since", "HEAD")
    assert (run.code, run.out.startswith("0 tenants")) == (0, True)
