"""Who has to agree to what, at a host: no way round the approval of those who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.estates import BOXES, mail
from tests.forge.agency import agency_in
from tests.forge.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFO = "aliases:\n  info: [jane]\n"
FEWER = mail({"jane": BOXES["jane"]}, INFO)
MORE = mail({**BOXES, "kim": "{owner: jane}"}, INFO)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Northwind at a host, where the flow's commands run."""
    with agency_in(tmp_path) as agency:
        yield Runs(agency, monkeypatch)


def test_an_approval_by_one_who_may_is_enough(runs: Runs) -> None:
    """What the others of this file are held against."""
    pull = runs.asked("fewer", FEWER)
    runs.github.review(pull, "bela")
    assert runs.merged(pull).code == 0
    assert [may for may, _ in runs.agency.box("tom")] == [0]


def test_somebody_else_with_the_account_of_a_role_joins_it(runs: Runs) -> None:
    """A person stays the same and gets another account: who has that one could approve from then on."""
    text = (runs.agency.estate.root / "reconciler.yaml").read_text()
    more = {"reconciler.yaml": text.replace('"@bela"', '"@mallory"')}
    runs.asked("other", more)
    (said,) = runs.agency.said(1, "plan")
    assert "bela as @mallory would join the role" in said


def test_joining_those_who_approve_for_the_agency_asks_the_agency(runs: Runs) -> None:
    """The role `agency` is one, too; and where it is not set, no role of a client's counts for it."""
    text = (runs.agency.estate.root / "reconciler.yaml").read_text()
    text = text.replace("people:\n", 'people:\n  carl: {name: Carl, contact: "+49 30 1"}\n', 1)
    wider = {"reconciler.yaml": text.replace("roles: {", "roles: {agency: [carl], ")}
    runs.asked("wider", wider)
    (said,) = runs.agency.said(1, "plan")
    assert "`agency`: `@anna` or `@bela`, for `roles/agency` (`carl would join the role`)" in said


def test_a_renamed_mailbox_is_what_it_was(runs: Runs) -> None:
    """Resets arrive at its old name: another name makes its change no smaller one."""
    box = {"jane.roe": "{owner: jane, renamed_from: jane}", "tom": BOXES["tom"]}
    text = (runs.agency.estate.root / "tenants/northwind/tenant.yaml").read_text()
    runs.agency.branch("x", {})
    reset = text.replace('contact: "+44 20 5550100"', "contact: jane@northwind.example", 1)
    runs.agency.estate.write({"tenants/northwind/tenant.yaml": reset})
    runs.agency.estate.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    runs.asked("renamed", mail(box, "aliases:\n  info: [jane.roe]\n") | {"tenants/northwind/tenant.yaml": text})
    (said,) = runs.agency.said(1, "plan")
    assert "it is of high value" in said
