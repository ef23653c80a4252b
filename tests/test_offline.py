"""Applying while the ledger's remote is away: kept apart with a reason, and joined by looking when it answers again."""

from __future__ import annotations

import pytest

from tests.estates import BOXES, codes, mail
from tests.test_due import changes
from tests.test_locks import at_work
from tests.test_remote import Hub, hub, refs

__all__ = ["hub"]  # a fixture of theirs

WHY = "the forge is down, and a leaver's box must close"
INFO = "aliases:\n  info: [jane]\n"
BLOCKED = {**BOXES, "tom": "{owner: tom, quota: 2 GiB, state: blocked}"}
APART = "refs/reconciler/offline/northwind"
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
