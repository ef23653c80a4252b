"""A ledger's lines that go to another tenant: a domain that moves, and a tenant that gets another name."""

from __future__ import annotations

import json
import shutil
from itertools import count

import pytest

from reconciler import engine
from reconciler.history import Repository
from reconciler.permit import Permit
from reconciler.request import Request
from tests.estates import Estate, contoso, control, dns, mail, make, northwind, tenant
from tests.test_due import changes
from tests.test_killed import copied, killed
from tests.test_locks import at_work, elsewhere
from tests.test_remote import hub, refs

__all__ = ["hub"]  # a fixture of theirs

OLD, NEW = "northwind", "newco"
JANE, TOM = (f"mailhost:mailbox/{name}@northwind.example" for name in ("jane", "tom"))
ALIASES = "aliases:\n  info: [jane]\n"


def at(files, name=NEW):
    """The same files at another tenant."""
    return {
        path.replace("northwind/", f"{name}/", 1): text.replace("tenant: northwind", f"tenant: {name}")
        for path, text in files.items()
    }


def without(files):
    return dict.fromkeys(files)


def renamed(files=None, said=f"renamed_from: {OLD}\n"):
    """Everything of Northwind in a folder of another name."""
    files = files or northwind()
    return {**without(northwind()), **at({**files, **(control(said) if said else {})})}


def tenants(estate, *arguments):
    return {found["tenant"]: found for found in estate.plan(*arguments)["tenants"]}


def ledger(estate, name):
    return [
        json.loads(line) for line in estate.git("show", f"refs/reconciler/tenants/{name}:ledger.jsonl").splitlines()
    ]


def has(estate, name):
    return bool(estate.git("for-each-ref", f"refs/reconciler/tenants/{name}"))


def lines(estate, name):
    """{address: the line without where it stands}."""
    return {
        line["address"]: [line.get(key) for key in ("said", "before", "retired")] for line in ledger(estate, name)[1:]
    }


def codes(found):
    return {f["code"] for f in found["findings"]}


@pytest.fixture
def estate(tmp_path):
    """Applied, with a kept mailbox, and with a quota that somebody changed by hand."""
    more = {"max": "{owner: tom}", "jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom}"}
    estate = make(tmp_path / "estate", northwind(more)).applied({})
    estate.applied(northwind({name: said for name, said in more.items() if name != "max"}))
    estate.sql("UPDATE mailbox SET quota = 7 WHERE username LIKE 'jane@%'")
    return estate


BOXES = {"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom}"}


def test_a_tenant_gets_another_name(estate):
    """Nothing is written; what is kept stays kept to the same day, and what was changed by hand is drift as before."""
    world, before = estate.world(), lines(estate, OLD)
    estate.write(renamed(northwind(BOXES)))
    found = tenants(estate)
    assert (changes(found[OLD]), changes(found[NEW]), codes(found[OLD])) == ([], [], set())
    assert found[NEW]["adopted"] == found[OLD]["forgotten"] == sorted(before)
    assert [d["address"] for d in found[NEW]["drift"]] == [JANE]
    assert [w["address"] for w in found[NEW]["later"]] == ["mailhost:mailbox/max@northwind.example"]
    assert estate.apply().code == 0
    assert {**estate.world(), "ledgers": 0} == {**world, "ledgers": 0}
    assert (lines(estate, NEW), lines(estate, OLD)) == (before, {})
    assert ledger(estate, NEW)[0]["identities"]
    found = tenants(estate)
    assert (changes(found[NEW]), found[NEW]["adopted"], codes(found[NEW])) == ([], [], {"PL201"})
    assert (changes(found[OLD]), found[OLD]["forgotten"], codes(found[OLD])) == ([], [], set())


def test_a_revert_gives_the_old_name_back(estate):
    """The same the other way round."""
    before = lines(estate, OLD)
    estate.applied(renamed(northwind(BOXES)))
    estate.git("revert", "--no-edit", "HEAD")
    found = tenants(estate)
    assert (changes(found[OLD]), changes(found[NEW]), found[OLD]["adopted"]) == ([], [], sorted(before))
    assert estate.apply().code == 0
    assert (lines(estate, OLD), lines(estate, NEW)) == (before, {})


def test_what_no_domain_holds_goes_along(tmp_path):
    """A domain that was taken out leaves its kept mailboxes in the ledger; the new name has them too."""
    files = {**mail({"box": "{owner: jane}"}, "", "old.example"), **dns("", "old.example")}
    files = {path.replace("tenants/old/", "tenants/northwind/"): text for path, text in files.items()}
    said = "retire: {old.example: {on: 2026-01-01, keep: 900 days, reason: left, approved_by: ops}}\n"
    estate = make(tmp_path / "estate", northwind(), files).applied({})
    estate.write(control(said))
    assert estate.apply("--due").code == 0
    estate.applied(without(files))
    kept = "mailhost:mailbox/box@old.example"
    assert lines(estate, OLD)[kept][2]
    estate.applied({"tenants/northwind/control.yaml": None, **renamed(said=f"renamed_from: {OLD}\n{said}")})
    assert (lines(estate, NEW)[kept][2] is not None, lines(estate, OLD)) == (True, {})


def test_a_domain_moves_with_all_that_is_known_of_it(estate):
    """Without a word of a new name: kept mail, drift and what was there before it was ours go along."""
    before = lines(estate, OLD)
    files = {**mail(BOXES, ALIASES), **dns()}
    estate.write({**tenant(NEW), **without(files), **at(files)})
    found = tenants(estate)
    assert (changes(found[OLD]), changes(found[NEW]), codes(found[NEW])) == ([], [], {"PL201"})
    assert estate.apply().code == 0
    assert (lines(estate, NEW), lines(estate, OLD)) == (before, {})


def test_a_change_in_the_same_commit_is_made_by_the_new_one(estate):
    """It is an update of what it has, not of something it never had."""
    estate.write(renamed(northwind({**BOXES, "tom": "{owner: tom, quota: 3 GiB}"})))
    found = tenants(estate)
    assert (changes(found[NEW]), found[NEW]["changes"][0]["tenant"]) == ([(TOM, "update")], NEW)
    assert estate.apply().code == 0
    assert changes(tenants(estate)[NEW]) == []


@pytest.mark.parametrize("name", [OLD, NEW])
def test_one_of_both_is_refused(estate, name):
    """`--tenant` that names one of the two: lines would be in both ledgers, or in none."""
    estate.write(renamed(northwind(BOXES)))
    refs = estate.git("for-each-ref", "refs/reconciler")
    assert "PL224" in codes(tenants(estate, "--tenant", name)[name])
    assert estate.apply("--tenant", name, "--yes").code == 3
    assert estate.git("for-each-ref", "refs/reconciler") == refs
    both = ("--tenant", OLD, "--tenant", NEW)
    assert estate.apply(*both, "--yes").code == 0


def test_a_tenant_that_is_new_asks_for_nobody_else(estate):
    """No move: `--tenant` alone does."""
    estate.write(contoso())
    assert "PL224" not in codes(tenants(estate, "--tenant", "contoso")["contoso"])


def test_where_one_cannot_be_applied_the_other_is_not(estate):
    """What takes is refused: what gives keeps all it has."""
    before = lines(estate, OLD)
    estate.write({**renamed(northwind({"jane": BOXES["jane"], "new": "{owner: nobody}"}))})
    result = {found["tenant"]: found["result"] for found in estate.apply().json["tenants"]}
    assert result == {OLD: "refused", NEW: "refused"}
    assert lines(estate, OLD) == before


def test_a_remote_that_takes_one_takes_none(hub):
    """Both refs in one transaction: a hook that refuses one of the two leaves both as they are."""
    hub.a.applied({})
    hub.write(renamed())
    before = refs(hub.remote)
    hook = hub.hook("update", f"case $1 in *tenants/{NEW}) exit 1;; esac")
    done = hub.a.apply()
    assert {found["tenant"]: found["result"] for found in done.json["tenants"]} == {
        "contoso": "nothing", OLD: "failed", NEW: "failed",
    }  # fmt: skip
    assert (refs(hub.remote), refs(hub.a)) == (before, before)
    hook.unlink()
    assert hub.a.apply().code == 0
    assert (lines(hub.remote, OLD), len(lines(hub.remote, NEW)) > 5) == ({}, True)
    assert refs(hub.remote) == refs(hub.a)


def test_a_remote_without_such_transactions_takes_none(hub):
    """Old servers and some protocols have no `--atomic`: then a domain does not move, and the error says why."""
    hub.a.applied({})
    hub.remote.git("config", "receive.advertiseAtomic", "false")
    hub.write(renamed())
    before = refs(hub.remote)
    done = hub.a.apply()
    told = {found["tenant"]: found for found in done.json["tenants"]}
    assert (done.code, [told[name]["result"] for name in (OLD, NEW)]) == (1, ["failed", "failed"])
    assert "atomic" in told[OLD]["error"]
    assert (refs(hub.remote), refs(hub.a)) == (before, before)


def test_a_ref_that_is_held_here_moves_neither(estate):
    """Without a remote Git's own transaction is the one: a lock file on one of the two is enough."""
    estate.write(renamed(northwind(BOXES)))
    before = estate.git("for-each-ref", "refs/reconciler")
    lock = estate.root / ".git" / "refs" / "reconciler" / "tenants" / f"{OLD}.lock"
    lock.touch()
    done = {found["tenant"]: found["result"] for found in estate.apply().json["tenants"]}
    assert done == {OLD: "failed", NEW: "failed"}
    assert estate.git("for-each-ref", "refs/reconciler") == before
    lock.unlink()
    assert estate.apply().code == 0


def test_the_one_that_takes_moves_first(estate, monkeypatch):
    """Git renames one ref after the other: where it dies in between the lines are in both ledgers, never in none."""
    moved, attempt = [], Repository.attempt

    def seen(self, *arguments, stdin=""):
        moved.extend(line.split()[1] for line in stdin.splitlines() if line.startswith("update refs/"))
        return attempt(self, *arguments, stdin=stdin)

    monkeypatch.setattr(Repository, "attempt", seen)
    before = lines(estate, OLD)
    estate.write(renamed(northwind(BOXES)))
    assert estate.apply().code == 0
    assert [name.rpartition("/")[2] for name in moved[:2]] == [NEW, OLD]
    log = estate.git("log", "--format=%H %s", f"refs/reconciler/tenants/{OLD}").splitlines()
    handed = next(index for index, line in enumerate(log) if "handed over" in line)
    estate.git("update-ref", f"refs/reconciler/tenants/{OLD}", log[handed + 1].split()[0])
    assert (set(lines(estate, OLD)), set(lines(estate, NEW))) == (set(before), set(before))
    assert estate.apply().code == 0
    assert (lines(estate, NEW), lines(estate, OLD)) == (before, {})


@pytest.mark.parametrize("remote", [True, False])
def test_a_move_killed_anywhere(tmp_path, remote):
    """At every boundary until it is made here and at the remote: the lines are in one ledger, and the next run ends it.

    What follows is an apply like any other.
    """
    estate = make(tmp_path / "one" / "estate", northwind())
    if remote:
        estate.git("init", "--quiet", "--bare", "../remote.git")
        estate.git("remote", "add", "origin", "../remote.git")
    estate.applied({})
    before, met = set(lines(estate, OLD)), set[tuple[bool, str]]()
    estate.write(renamed())
    for number in count(1):
        if (True, NEW) in met:
            break
        again = copied(estate, tmp_path / str(number))
        assert killed(again, number)
        for place in (again, Estate(again.root.parent / "remote.git")) if remote else (again,):
            there = [name for name in (OLD, NEW) if has(place, name) and lines(place, name)]
            assert [set(lines(place, name)) for name in there] == [before], f"boundary {number}"
            met.add((place is again, *there))
        assert again.apply().code == 0
        assert (set(lines(again, NEW)), lines(again, OLD)) == (before, {})
        assert changes(tenants(again)[NEW]) == []
        shutil.rmtree(again.root.parent)
    assert len(met) == (4 if remote else 2)


def test_a_remote_that_goes_away_fails_both_and_no_other(hub):
    """Between plan and apply: both say so, nothing of either is made, and the rest is told."""
    hub.a.applied({})
    hub.write(renamed(northwind(BOXES)))
    request, before = Request(hub.a.root), refs(hub.a)
    planned = engine.plan(request)
    hub.remote.root.rename(hub.folder / "gone")
    done = engine.apply(request, planned, Permit(everything=True))
    assert {found.tenant: found.result for found in done.tenants} == {
        "contoso": "nothing", OLD: "failed", NEW: "failed",
    }  # fmt: skip
    assert refs(hub.a) == before


def test_a_tenant_that_is_still_there_was_not_this_one(estate):
    """Half of the old folder stayed: bad input at its line, and nothing moves."""
    estate.write({**renamed(northwind(BOXES)), **tenant(OLD)})
    run = estate.run("validate", "--format", "json")
    found = next(f for f in run.json["findings"] if f["code"] == "IN239")
    assert (run.code, found["file"], found["line"]) == (1, f"tenants/{NEW}/control.yaml", 2)
    assert estate.apply().code == 1


def test_somebody_at_work_on_one_locks_both(estate):
    """An open intent of the one that gives."""
    estate.write(mail({**BOXES, "new": "{owner: tom}"}))
    elsewhere(estate)
    before = estate.git("for-each-ref", "refs/reconciler")
    estate.write(renamed(northwind(BOXES)))
    done = estate.apply()
    assert (done.code, {found["result"] for found in done.json["tenants"]}) == (5, {"locked"})
    assert estate.git("for-each-ref", "refs/reconciler") == before


def test_after_a_kill_the_lines_move_with_the_next_but_one(estate):
    """First what came of the killed run is noted, at the tenant that it was killed in."""
    more = northwind({**BOXES, "new": "{owner: tom}"})
    estate.write(more)
    with at_work(estate) as held:
        held.process.kill()
        held.process.wait()
    before = lines(estate, OLD)
    estate.write(renamed(more))
    assert estate.apply().code == 0
    assert lines(estate, OLD) == before
    assert estate.apply().code == 0
    assert (set(lines(estate, NEW)), lines(estate, OLD)) == ({*before, "mailhost:mailbox/new@northwind.example"}, {})
    assert changes(tenants(estate)[NEW]) == []


def test_history_is_told_on(estate):
    """What was applied under the old name is history of the mailbox still."""
    estate.applied(renamed(northwind(BOXES)))
    told = estate.run("history", "tom@northwind.example", "--format", "json").json["changes"]
    made = [(change["action"], change["applied"]["tenant"]) for change in told]
    assert (sorted(made[:2]), made[2:]) == ([("adopt", NEW), ("forget", OLD)], [("create", OLD)])
