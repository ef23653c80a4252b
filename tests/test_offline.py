"""Applying while the ledger's remote is away: kept apart with a reason, and joined by looking when it answers again."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest

from tests.estates import BOXES, codes, contoso, mail, northwind
from tests.test_due import changes
from tests.test_handover import renamed
from tests.test_locks import at_work
from tests.test_remote import Hub, hub, refs, results

__all__ = ["hub"]  # a fixture of theirs

WHY = "the forge is down, and a leaver's box must close"
INFO = "aliases:\n  info: [jane]\n"
BLOCKED = {**BOXES, "tom": "{owner: tom, quota: 2 GiB, state: blocked}"}
TENANT, APART = "refs/reconciler/tenants/northwind", "refs/reconciler/offline/northwind"
ALONE = ("--tenant", "northwind", "--yes")


@pytest.fixture(autouse=True)
def a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def away(hub: Hub) -> None:
    hub.remote.root.rename(hub.folder / "gone")


def back(hub: Hub) -> None:
    (hub.folder / "gone").rename(hub.remote.root)


@pytest.fixture
def applied(hub: Hub) -> Hub:
    hub.a.applied({})
    hub.write(mail(BLOCKED, INFO))
    return hub


def test_it_is_kept_apart_and_joined_at_the_next_contact(applied: Hub) -> None:
    """The change is made; the tenant's own ref stands still until a look has confirmed what was done."""
    before = refs(applied.a)
    away(applied)
    assert applied.a.apply(*ALONE).code == 1
    assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    assert {name: tip for name, tip in refs(applied.a).items() if "offline" not in name} == before
    assert changes(applied.a.one()) == []
    assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    back(applied)
    found = applied.a.one()
    assert (changes(found), codes(found["findings"])) == ([], {"PL302"})
    assert WHY in next(f["detail"] for f in found["findings"] if f["code"] == "PL302")
    assert applied.a.apply().code == 0
    assert APART not in refs(applied.a)
    assert refs(applied.a) == refs(applied.remote)
    found = applied.b.one()
    assert (changes(found), found["drift"], codes(found["findings"])) == ([], [], set())


def test_its_reason_is_told_before_and_after(applied: Hub) -> None:
    """In the log and in the history, here at once, and for everybody once it is joined."""
    away(applied)
    applied.a.apply(*ALONE, "--no-remote", WHY)
    assert WHY in [run["no_remote"] for run in applied.a.run("log", "--format", "json").json["runs"]]
    back(applied)
    applied.a.apply()
    runs = applied.b.run("log", "--format", "json").json["runs"]
    assert WHY in [run["no_remote"] for run in runs]
    told = applied.b.run("history", "tom@northwind.example", "--format", "json").json["changes"]
    change = next(change for change in told if change["action"] == "update")
    assert (change["applied"]["no_remote"], change["result"]) == (WHY, "applied")
    assert WHY in applied.b.run("log").out
    assert WHY in applied.b.run("history", "tom@northwind.example").out


def test_others_went_on_meanwhile(applied: Hub) -> None:
    """Another clone applied the same tenant: both histories are kept, and live decides."""
    away(applied)
    assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    back(applied)
    applied.write(mail({**BLOCKED, "max": "{owner: jane}"}, INFO))
    assert applied.b.apply("--tenant", "northwind", "--yes").code == 0
    found = applied.a.one()
    assert (changes(found), found["drift"]) == ([], [])
    assert applied.a.apply().code == 0
    assert refs(applied.a) == refs(applied.remote)
    assert "mailbox/max" in applied.remote.git("show", "refs/reconciler/tenants/northwind:ledger.jsonl")


def test_killed_while_it_was_away(applied: Hub) -> None:
    """Its intent is a claim like another: the next run, with the remote or without, looks."""
    away(applied)
    with at_work(applied.a, *ALONE[:2], "--no-remote", WHY) as held:
        held.process.kill()
        held.process.wait()
    assert codes(applied.a.one()["findings"]) >= {"PL302"}
    back(applied)
    assert changes(applied.a.one()) == [("mailhost:mailbox/tom@northwind.example", "update")]
    assert applied.a.apply().code == 0
    assert (changes(applied.b.one()), APART in refs(applied.a)) == ([], False)


def test_two_clones_were_alone(applied: Hub) -> None:
    """Each joins what it did, one after the other, and both reasons are told."""
    away(applied)
    assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    applied.b.write(mail({**BLOCKED, "max": "{owner: jane}"}, INFO))
    assert applied.b.apply(*ALONE, "--no-remote", "the same").code == 0
    back(applied)
    assert [estate.apply(*ALONE).code for estate in (applied.a, applied.b)] == [0, 0]
    assert refs(applied.b)[TENANT] == refs(applied.remote)[TENANT]
    assert APART not in {**refs(applied.a), **refs(applied.b)}
    runs = applied.b.run("log", "--format", "json").json["runs"]
    assert {WHY, "the same"} <= {run["no_remote"] for run in runs}


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_joined_is_no_ledger_any_more(applied: Hub, *, begun: bool) -> None:
    """A run that was killed before its first write, or before it took the ref away, has left it; others go on."""
    away(applied)
    if begun:
        assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    left = refs(applied.a)[APART if begun else TENANT]
    back(applied)
    assert applied.a.apply().code == 0
    applied.a.git("update-ref", APART, left)
    applied.write(mail({**BLOCKED, "max": "{owner: jane}"}, INFO))
    assert applied.b.apply(*ALONE).code == 0
    applied.a.plan()
    away(applied)
    found = applied.a.one()
    assert (changes(found), found["adopted"], codes(found["findings"])) == ([], [], set())
    applied.a.write(mail({**BLOCKED, "max": "{owner: jane, quota: 1 GiB}"}, INFO))
    assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    back(applied)
    assert applied.a.apply().code == 0
    assert APART not in refs(applied.a)


def test_a_ledger_that_begins_without_the_remote(hub: Hub) -> None:
    """The first apply of all: what it made is ours when it is joined, and not taken for somebody else's."""
    away(hub)
    assert hub.a.apply("--yes", "--no-remote", WHY).code == 0
    back(hub)
    assert [(changes(t), t["adopted"]) for t in hub.a.plan()["tenants"]] == [([], [])] * 2
    assert hub.a.apply().code == 0
    assert refs(hub.a) == refs(hub.remote)
    assert [(changes(t), t["adopted"], codes(t["findings"])) for t in hub.b.plan()["tenants"]] == [([], [], set())] * 2


def test_a_tenant_that_went_before_it_was_joined(hub: Hub) -> None:
    """Nobody else has heard of it: what it has is shown as that of a tenant that is gone."""
    away(hub)
    assert hub.a.apply("--yes", "--no-remote", WHY).code == 0
    back(hub)
    hub.write(dict.fromkeys(contoso()))
    found = {found["tenant"]: codes(found["findings"]) for found in hub.a.plan()["tenants"]}
    assert found["contoso"] >= {"PL213", "PL302"}


def test_a_domain_moved_without_the_remote(applied: Hub) -> None:
    """Both ledgers are kept apart, and both are joined."""
    applied.a.apply()
    applied.write(renamed(northwind(BLOCKED)))
    away(applied)
    assert applied.a.apply("--yes", "--no-remote", WHY).code == 0
    back(applied)
    assert applied.a.apply().code == 0
    assert refs(applied.a) == refs(applied.remote)
    for found in applied.b.plan()["tenants"]:
        assert (changes(found), found["adopted"], found["forgotten"], codes(found["findings"])) == ([], [], [], set())


def test_what_moved_only_the_ledger_is_joined(applied: Hub) -> None:
    """It adopted something, and others did the same meanwhile: nothing is to do, and both histories are kept."""
    applied.a.apply()
    with closing(sqlite3.connect(applied.folder / "live" / "mail.sqlite")) as mails:
        row = "'more@' || domain, goto, domain, 1 FROM alias WHERE address LIKE 'info@%'"
        mails.execute(f"INSERT INTO alias (address, goto, domain, active) SELECT {row}")
        mails.commit()
    applied.write(mail(BLOCKED, f"{INFO}  more: [jane]\n"))
    away(applied)
    assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    back(applied)
    assert applied.b.apply(*ALONE).code == 0
    assert applied.a.apply(*ALONE).code == 0
    assert APART not in refs(applied.a)
    assert WHY in [run["no_remote"] for run in applied.b.run("log", "--format", "json").json["runs"]]


def test_who_is_at_work_without_the_remote_holds_the_tenant(applied: Hub) -> None:
    """In this clone, with the remote away and when it answers again: two applies never interleave."""
    away(applied)
    with at_work(applied.a, *ALONE[:2], "--no-remote", WHY, lease=0.1, place="lost") as first:
        assert results(applied.a.apply(*ALONE, "--no-remote", WHY)) == {"northwind": "locked"}
        back(applied)
        done = applied.a.apply(*ALONE)
        assert (done.code, f"process {first.process.pid} is at work" in done.out) == (5, True)
        told = next(run for run in applied.a.run("log", "--format", "json").json["runs"] if run["no_remote"])
        assert told["tenants"][0]["result"] == "at work"
        broken = applied.a.run("unlock", "northwind", told["run"])
        assert (broken.code, str(first.process.pid) in broken.out) == (0, True)
        time.sleep(0.1)
        assert first.end()[0] == 5
    assert changes(applied.a.one()) == [("mailhost:mailbox/tom@northwind.example", "update")]
    assert applied.a.apply().code == 0
    assert (changes(applied.b.one()), APART in refs(applied.a)) == ([], False)


def test_a_tenant_that_others_have_opened_since_is_left_alone(applied: Hub) -> None:
    """It was kept apart once, and not joined when the remote answered last: that does not make it free."""
    away(applied)
    assert applied.a.apply(*ALONE, "--no-remote", WHY).code == 0
    back(applied)
    applied.write(mail({**BLOCKED, "max": "{owner: jane}"}, INFO))
    with at_work(applied.b, "--tenant", "northwind"):
        applied.a.one()
        away(applied)
        assert results(applied.a.apply(*ALONE, "--no-remote", WHY)) == {"northwind": "locked"}
        back(applied)


def test_a_tenant_that_was_open_is_left_alone(applied: Hub) -> None:
    """Somebody was at work on it when the remote answered last: nobody can tell whether they still are."""
    with at_work(applied.b, "--tenant", "northwind"):
        applied.a.one()
        away(applied)
        done = applied.a.apply(*ALONE, "--no-remote", WHY)
        assert (done.code, done.json["tenants"][0]["result"]) == (5, "locked")
        assert APART not in refs(applied.a)
        back(applied)


def test_a_remote_that_answers_is_used(applied: Hub) -> None:
    """Nothing is written: the ledger has its place."""
    before = applied.live()
    done = applied.a.apply(*ALONE, "--no-remote", WHY)
    assert (done.code, "answers: apply without --no-remote" in done.err + done.out) == (1, True)
    assert applied.live() == before


def test_without_a_remote_there_is_nothing_to_keep_apart(applied: Hub) -> None:
    """A ledger of this clone alone needs no such word."""
    applied.a.git("remote", "remove", "origin")
    done = applied.a.apply(*ALONE, "--no-remote", WHY)
    assert (done.code, "has no remote" in done.err + done.out) == (1, True)


@pytest.mark.parametrize(("ci", "why"), [("true", WHY), (None, " ")])
def test_a_person_says_why(applied: Hub, monkeypatch: pytest.MonkeyPatch, ci: str | None, why: str) -> None:
    """Under CI nobody is there to decide it, and a reason is what the history is for: wrong usage."""
    if ci:
        monkeypatch.setenv("CI", ci)
    away(applied)
    assert applied.a.apply(*ALONE, "--no-remote", why).code == 64
