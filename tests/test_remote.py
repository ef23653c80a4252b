"""The ledger at a remote: bare repositories, several clones that share the live systems, and remotes that say no."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from reconciler import engine
from reconciler.permit import Permit
from reconciler.request import Request
from tests.estates import AGENCY, BOXES, ROOT, Estate, codes, contoso, mail, make, northwind
from tests.test_locks import at_work, elsewhere, intent

if TYPE_CHECKING:
    from pathlib import Path

REF = "refs/reconciler/tenants/northwind"
MORE = mail({**BOXES, "max": "{owner: jane}"})


@dataclass(frozen=True)
class Hub:
    """A bare repository, and two clones of it whose estates name the same live systems."""

    folder: Path
    remote: Estate
    a: Estate
    b: Estate

    def clone(self, name: str, *options: str) -> Estate:
        self.remote.git("clone", "--quiet", *options, f"file://{self.remote.root}", str(self.folder / name))
        return Estate(self.folder / name)

    def write(self, files: Any) -> None:
        """A commit that both clones have."""
        self.a.write(files)
        self.a.git("push", "--quiet", "origin", "main")
        self.b.git("pull", "--quiet", "origin", "main")

    def hook(self, name: str, script: str) -> Path:
        """A hook of the remote; what Git sets in its environment would be in the way of other repositories."""
        path = self.remote.root / "hooks" / name
        path.write_text(f"#!/bin/sh\nunset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH\n{script}\n")
        path.chmod(0o755)
        return path

    def live(self) -> dict[str, bytes]:
        var = self.folder / "live"
        return {str(path): path.read_bytes() for path in sorted(var.rglob("*")) if path.is_file()}


def agency(folder: Path, more: str = "") -> str:
    return (
        AGENCY.replace("sqlite:///var/", f"sqlite:///{folder}/live/").replace("var/zones", f"{folder}/live/zones")
        + more
    )


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    (tmp_path / "live").mkdir()
    a = make(tmp_path / "a", northwind(), contoso(), agency=agency(tmp_path))
    a.git("clone", "--quiet", "--bare", str(a.root), str(tmp_path / "remote.git"))
    a.git("remote", "add", "origin", f"file://{tmp_path}/remote.git")
    found = Hub(tmp_path, Estate(tmp_path / "remote.git"), a, Estate(tmp_path / "b"))
    found.clone("b")
    return found


def refs(estate: Estate) -> dict[str, str]:
    lines = estate.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/reconciler").splitlines()
    return dict(line.split() for line in lines)


def results(run: Any) -> dict[str, str]:
    return {found["tenant"]: found["result"] for found in run.json["tenants"]}


def error(run: Any, tenant: str = "northwind") -> str:
    return next(str(found["error"]) for found in run.json["tenants"] if found["tenant"] == tenant)


# ---------------------------------------------------------------------- where it is kept


def test_origin_holds_the_ledger(hub: Hub) -> None:
    """Without a word about it: what is here is there, and nothing of a run is left in between."""
    hub.a.applied({})
    assert refs(hub.remote) == refs(hub.a)
    assert refs(hub.a).keys() == {REF, "refs/reconciler/tenants/contoso"}


def test_another_repository_holds_the_ledger(hub: Hub) -> None:
    """`ledger: {remote: URL}`: origin has nothing of it, and a clone that knows no such remote finds it."""
    hub.a.git("init", "--quiet", "--bare", str(hub.folder / "ledgers.git"))
    said = agency(hub.folder, f"ledger: {{remote: 'file://{hub.folder}/ledgers.git'}}\n")
    hub.write({"reconciler.yaml": said})
    hub.a.applied({})
    assert refs(hub.remote) == {}
    assert refs(Estate(hub.folder / "ledgers.git")) == refs(hub.a)
    assert hub.b.run("plan", "--exit-code").code == 0
    assert refs(hub.b) == refs(hub.a)


def test_no_remote_is_asked_where_the_estate_says_so(hub: Hub) -> None:
    """`ledger: {remote: null}`: it stays in this clone, whether or not origin answers."""
    hub.write({"reconciler.yaml": agency(hub.folder, "ledger: {remote: null}\n")})
    hub.remote.root.rename(hub.folder / "gone")
    hub.a.applied({})
    assert len(refs(hub.a)) == 2
    assert refs(Estate(hub.folder / "gone")) == {}


# ---------------------------------------------------------------------- several clones


def test_a_clone_goes_on_from_what_another_has_finished(hub: Hub) -> None:
    """It sees it in its first plan, and adds to it."""
    hub.a.applied({})
    assert hub.b.run("plan", "--exit-code").code == 0
    assert hub.b.one()["applied_commit"] == hub.a.head
    hub.write(MORE)
    assert results(hub.b.apply()) == {"contoso": "nothing", "northwind": "applied"}
    assert hub.a.run("plan", "--exit-code").code == 0


def test_a_clone_finishes_what_another_has_begun(hub: Hub) -> None:
    """Killed after its first batch: a fresh clone knows of it, and makes the rest."""
    with at_work(hub.a, "--tenant", "northwind") as first:
        first.step()
        first.writing()
    fresh = hub.clone("fresh")
    assert "PL302" in codes(fresh.one()["findings"])
    assert fresh.apply().code == 0
    assert hub.a.run("plan", "--exit-code").code == 0


def test_two_clones_apply_different_tenants_at_once(hub: Hub) -> None:
    """Neither waits for the other, nor loses what it noted."""
    with at_work(hub.a, "--tenant", "northwind") as first:
        assert hub.b.apply("--yes", "--tenant", "contoso").code == 0
        assert first.end()[0] == 0
    assert hub.b.run("plan", "--exit-code").code == 0
    assert refs(hub.a) | refs(hub.b) == refs(hub.remote)


def test_two_clones_apply_one_tenant(hub: Hub) -> None:
    """The second sees the first one's intent at the remote: exit 5, its name, and nothing written."""
    with at_work(hub.a) as first:
        before = hub.live()
        second = hub.b.apply()
        assert (second.code, results(second)["northwind"]) == (5, "locked")
        assert f"process {first.process.pid} is at work on it" in error(second)
        assert hub.live() == before
        assert first.end()[0] == 0


def test_two_clones_with_one_plan(hub: Hub) -> None:
    """Both planned before either began: the remote takes one intent, and the other clone writes nothing."""
    planned = engine.plan(Request(hub.b.root))
    with at_work(hub.a) as first:
        before = hub.live()
        late = engine.apply(Request(hub.b.root), planned, Permit(everything=True))
        assert {found.result for found in late.tenants} == {"locked"}
        assert hub.live() == before
        assert first.end()[0] == 0
    assert hub.b.run("plan", "--exit-code").code == 0


def test_a_ref_that_is_locked_for_an_instant_is_asked_for_again(hub: Hub) -> None:
    """Another push at the very same moment is neither a refusal nor somebody at work."""
    hub.a.applied({})
    hub.write(mail({**BOXES, "jane": "{owner: jane, quota: 1 GiB}"}, "aliases:\n  info: [jane]\n"))
    lock = hub.remote.root / f"{REF}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    hook = hub.hook("pre-receive", f"(sleep 0.2; rm -f {lock}) >/dev/null 2>&1 &\n")
    done = hub.a.apply("--yes", "--tenant", "northwind")
    hook.unlink()
    assert (done.code, results(done)) == (0, {"northwind": "applied"})


def test_two_clones_race(hub: Hub) -> None:
    """Started together, a few times over: every change is made by exactly one of them."""
    command = [sys.executable, "-m", "reconciler", "apply", "--yes", "--tenant", "northwind", "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for quota in (1, 2, 3):
        hub.write(mail({**BOXES, "jane": f"{{owner: jane, quota: {quota} GiB}}"}, "aliases:\n  info: [jane]\n"))
        both = [
            subprocess.Popen(command, cwd=estate.root, env=environment, stdout=subprocess.PIPE, text=True)
            for estate in (hub.a, hub.b)
        ]
        said = [process.communicate()[0] for process in both]
        assert {process.returncode for process in both} <= {0, 5}, said
        assert sum('"result": "applied"' in text for text in said) == 1
    assert hub.a.run("plan", "--exit-code", "--tenant", "northwind").code == 0


def test_who_loses_in_the_middle_of_the_push_is_locked_out(hub: Hub) -> None:
    """The remote had the old tip when the push began and another when it ended: exit 5, as for any lock."""
    hub.a.applied({})
    hub.write(MORE)
    other = hub.remote.git("commit-tree", f"{REF}^{{tree}}", "-p", REF, "-m", "another's")
    hub.hook("update", f"git update-ref {REF} {other}")
    before = hub.live()
    done = hub.a.apply()
    assert (done.code, results(done)["northwind"]) == (5, "locked")
    assert hub.live() == before


def test_a_plan_beside_an_apply_takes_nothing_from_it(hub: Hub) -> None:
    """A plan in the same clone fetches what the apply has just pushed: that is no one else's work."""
    fetch = f"git -C {hub.a.root} fetch --quiet origin '+refs/reconciler/*:refs/reconciler/*'"
    hub.hook("post-receive", fetch)
    done = hub.a.apply()
    assert (done.code, set(results(done).values())) == (0, {"applied"})
    assert refs(hub.a) == refs(hub.remote)


def test_a_lock_broken_from_elsewhere_stops_the_holder(hub: Hub) -> None:
    """Unlocked in one clone; the holder in the other sees it at its next sign of life."""
    with at_work(hub.a, "--tenant", "northwind", lease=0.1, place="lost") as first:
        assert hub.b.run("plan").code == 0
        assert hub.b.run("unlock", "northwind", intent(hub.b)["run"]).code == 0
        before = hub.live()
        assert first.end()[0] == 5
        assert hub.live() == before


def test_a_shallow_clone_applies(hub: Hub) -> None:
    """As CI makes them: the estate's history is cut off, the ledger's is not needed from there."""
    hub.a.applied({})
    hub.write(MORE)
    shallow = hub.clone("shallow", "--depth", "1")
    assert results(shallow.apply()) == {"contoso": "nothing", "northwind": "applied"}
    found = shallow.run("history", "jane@northwind.example", "--format", "json").json["changes"]
    assert [change["action"] for change in found] == ["create"]
    assert hub.a.run("plan", "--exit-code").code == 0


# ---------------------------------------------------------------------- a remote that says no


def test_a_remote_that_takes_nothing_stops_the_apply_before_the_first_write(hub: Hub) -> None:
    """Exit 1, what it said, and what to write where it is meant to be so; nothing is left behind."""
    hub.hook("pre-receive", "echo no such luck >&2; exit 1")
    before = hub.live()
    done = hub.a.apply()
    assert (done.code, results(done)["northwind"]) == (1, "failed")
    assert "pre-receive hook declined" in error(done)
    assert "ledger: {remote: null}" in error(done)
    assert (hub.live(), refs(hub.a)) == (before, {})


def test_a_remote_that_takes_one_tenant_only(hub: Hub) -> None:
    """What it refuses is refused there alone."""
    hub.hook("update", f'test "$1" != {REF}')
    done = hub.a.apply()
    assert (done.code, results(done)) == (1, {"contoso": "applied", "northwind": "failed"})


def test_a_remote_that_is_gone(hub: Hub) -> None:
    """A plan goes on from what was seen last, and says so; an apply exits 1 before its first write."""
    hub.a.applied({})
    hub.write(MORE)
    hub.remote.root.rename(hub.folder / "gone")
    planned = hub.a.run("plan", "--format", "json")
    assert (planned.code, codes(planned.json["findings"])) == (0, {"PL305"})
    assert planned.json["summary"]["create"] == 1
    before = hub.live()
    done = hub.a.apply()
    assert (done.code, results(done)) == (1, {"contoso": "nothing", "northwind": "failed"})
    assert "does not answer" in error(done)
    assert hub.live() == before
    (hub.folder / "gone").rename(hub.remote.root)
    assert hub.a.apply().code == 0


def test_an_outcome_that_is_not_pushed_is_settled_by_looking(hub: Hub) -> None:
    """The remote goes away between intent and outcome: exit 1 says so; the next run looks, and writes nothing."""
    count = hub.folder / "count"
    hub.hook("pre-receive", f"echo x >> {count}; test $(wc -l < {count}) -lt 2")
    with at_work(hub.a, "--tenant", "northwind") as first:
        code, found = first.end()
    assert (code, "the next run looks what was made" in found["northwind"]["error"]) == (1, True)
    count.unlink()
    before = hub.live()
    assert "PL302" in codes(hub.b.one()["findings"])
    assert results(hub.b.apply("--yes", "--tenant", "northwind")) == {"northwind": "nothing"}
    assert hub.live() == before
    assert "PL302" not in codes(hub.a.one()["findings"])


@pytest.mark.parametrize("setting", ["", "fetch.showForcedUpdates=false", "fetch.prune=true", "fetch.output=compact"])
def test_a_rewritten_ledger_stops_its_tenant(hub: Hub, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """Its tip does not descend from the one seen last: PL304, nothing applied there; the neighbour goes on.

    Neither somebody's settings of Git nor his language change that.
    """
    hub.a.applied({})
    tip = hub.a.git("rev-parse", REF)
    hub.remote.git("update-ref", REF, hub.remote.git("commit-tree", f"{REF}^{{tree}}", "-m", "another history"))
    hub.write({**MORE, **mail({"jane": "{owner: jane, quota: 1 GiB}"}, "", "contoso.example")})
    if setting:
        hub.a.git("config", *setting.split("="))
    monkeypatch.setenv("LANGUAGE", "de")
    done = hub.a.apply()
    assert (done.code, results(done)) == (3, {"contoso": "applied", "northwind": "refused"})
    assert "PL304" in codes(hub.a.one()["findings"])
    assert hub.a.git("rev-parse", REF) == tip


def test_a_ledger_deleted_at_the_remote_is_not_forgotten_here(hub: Hub) -> None:
    """Whoever prunes by habit keeps it all the same, and the next apply brings it back."""
    hub.a.applied({})
    hub.a.git("config", "fetch.prune", "true")
    hub.remote.git("update-ref", "-d", REF)
    before = refs(hub.a)
    assert hub.a.run("plan", "--exit-code").code == 0
    assert refs(hub.a) == before
    hub.write(MORE)
    assert results(hub.a.apply())["northwind"] == "applied"
    assert hub.a.one()["adopted"] == []
    assert refs(hub.remote)[REF] == refs(hub.a)[REF]


def test_a_lock_of_a_run_elsewhere_is_watched_through_the_remote(hub: Hub) -> None:
    """Its signs of life come from there: with a sign nobody takes over, without one a lease is enough."""
    elsewhere(hub.a, lease=2)
    hub.a.git("push", "--quiet", "--force", "origin", f"{REF}:{REF}")
    assert hub.b.apply("--yes", "--tenant", "northwind").code == 5
    assert hub.b.apply("--yes", "--tenant", "northwind", "--wait", "20").code == 0
    assert hub.a.run("plan", "--tenant", "northwind", "--exit-code").code == 0
