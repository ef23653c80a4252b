"""Plans of what is under review: compared with the ledger alone, or with the systems that a reviewed commit names."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from reconciler.request import Request
from reconciler.session import Session
from tests.estates import AGENCY, NORTHWIND, codes, dns, mail, make, northwind, summary

if TYPE_CHECKING:
    from pathlib import Path

    from tests.estates import Estate

ELSEWHERE = AGENCY.replace("sqlite:///var/mail.sqlite", "sqlite:///var/other.sqlite")


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    """Northwind with the shipped template and a shared mailbox, applied."""
    agency = AGENCY.replace("template: mini/1", "template: standard/1")
    shared = "aliases:\n  info: [jane]\nshared:\n  desk: {owner: jane, members: {jane: full}}\n"
    return make(tmp_path / "estate", northwind(more=shared), agency=agency).applied()


def test_after_an_apply_nothing_is_to_do_for_the_ledger_either(estate: Estate) -> None:
    """What a plan compares with offline is what an apply left, whatever there is of kinds and attributes."""
    plan = estate.one("--offline")
    assert [plan[part] for part in ("changes", "due", "adopted", "drift", "todo")] == [[], [], [], [], []]


def test_a_retired_mailbox_rests_offline_too(estate: Estate) -> None:
    """Its mail is kept until its day, as a plan that asks the server says."""
    estate.write(mail({"jane": "{owner: jane}"}, "aliases:\n  info: [jane]\n"))
    assert estate.apply("--yes").code in {0, 3}
    assert estate.one("--offline")["later"] == estate.one()["later"]


def test_offline_the_same_change_has_the_same_digest(estate: Estate) -> None:
    """Where nobody changed anything outside Git the two plans do the same."""
    estate.write(mail({"jane": "{owner: jane}", "tom": "{owner: tom, quota: 3 GiB}", "mia": "{owner: jane}"}))
    assert estate.plan("--offline")["digest"] == estate.plan()["digest"]


def test_offline_asks_no_live_system(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan without access to any of them comes to an answer, and says what it lacks."""
    shutil.rmtree(estate.root / "var")
    agency = (estate.root / "reconciler.yaml").read_text()
    hidden = agency.replace('database: "sqlite:///var/mail.sqlite"', "database: {env: MAIL_DATABASE}")
    monkeypatch.delenv("MAIL_DATABASE", raising=False)
    estate.write(
        {"reconciler.yaml": hidden, **mail({"jane": "{owner: jane}", "mia": "{owner: jane}", "tom": "{owner: tom}"})}
    )
    plan = estate.plan("--offline")
    assert ("create", "mia@northwind.example") in summary(plan["tenants"][0]["changes"])
    assert plan["tenants"][0]["complete"]
    assert "PL310" in {finding["code"] for finding in plan["findings"]}
    assert not (estate.root / "var").exists()


def test_offline_and_the_working_tree_is_a_first_look(estate: Estate) -> None:
    """What is not committed yet can be looked at without any server."""
    estate.save(mail({"jane": "{owner: jane}", "tom": "{owner: tom}", "mia": "{owner: jane}"}))
    assert ("create", "mia@northwind.example") in summary(estate.one("--offline", "--worktree")["changes"])


def test_providers_come_from_the_trusted_commit(tmp_path: Path) -> None:
    """A change that turns a provider to another server is planned with the one that was reviewed."""
    estate = make(tmp_path / "estate", northwind()).applied()
    base = estate.head
    estate.write({"reconciler.yaml": ELSEWHERE})
    plan = estate.plan("--trusted", base)
    assert plan["tenants"][0]["changes"] == []
    assert codes(plan["findings"]) == {"PL311"}
    assert "PL306" in codes(estate.one()["findings"])  # asked at its word, it meets another system


def test_a_secret_never_goes_to_a_host_that_is_under_review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that only the change has is not opened, and what it would hold is not planned."""
    estate = make(tmp_path / "estate", northwind()).applied()
    base = estate.head
    monkeypatch.setenv("PDNS_KEY", "canary")
    evil = "dns: {evil: {type: powerdns, url: 'http://127.0.0.1:1', key: {env: PDNS_KEY}}, zones:"
    estate.write({"reconciler.yaml": AGENCY.replace("dns: {zones:", evil), **dns("dns: evil\n")})
    found = estate.plan("--trusted", base)
    tenant = found["tenants"][0]
    assert not tenant["complete"]
    assert [unread["provider"] for unread in tenant["unread"]] == ["evil"]
    assert "the trusted commit has no provider of this name" in tenant["unread"][0]["error"]
    assert "canary" not in str(found)


def test_the_ledger_stays_where_the_trusted_commit_has_it(tmp_path: Path) -> None:
    """A change that names another ledger does not have it fetched."""
    estate = make(tmp_path / "estate", northwind()).applied()
    base = estate.head
    estate.write({"reconciler.yaml": f"{AGENCY}ledger: {{remote: 'file:///nowhere'}}\n"})
    found = estate.plan("--trusted", base)
    assert codes(found["findings"]) == {"PL311"}
    assert "PL305" in codes(estate.plan()["findings"])


def test_with_the_same_settings_nothing_is_said_of_trust(estate: Estate) -> None:
    """A usual change carries no warning for its reviewers to get used to."""
    base = estate.head
    estate.write({NORTHWIND: (estate.root / NORTHWIND).read_text().replace("{owner: jane}", "{owner: tom}", 1)})
    assert codes(estate.plan("--trusted", base)["findings"]) == set()


def test_a_trusted_commit_that_is_none_is_an_error(estate: Estate) -> None:
    """Nothing is taken from anywhere else instead."""
    done = estate.run("plan", "--trusted", "nowhere")
    assert done.code == 1
    assert "`nowhere` names no commit" in done.err


def test_the_networks_that_may_be_asked_are_the_trusted_ones(tmp_path: Path) -> None:
    """A change cannot have the plan fetch a policy from a host inside."""
    estate = make(tmp_path / "estate", northwind()).applied()
    base = estate.head
    estate.write({"reconciler.yaml": f"{AGENCY}mta_sts: {{networks: [127.0.0.0/8]}}\n"})
    assert codes(estate.plan("--trusted", base)["findings"]) == {"PL311"}
    with Session(Request(estate.root, trusted=base)) as session:
        assert session.systems.networks == ()
        assert len(session.estate.agency.networks) == 1
