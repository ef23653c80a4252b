"""The lock: an open intent. Who is refused, who waits, who takes over, and what becomes of one who was taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.estates import BOXES, ROOT, Estate, codes, contoso, dns, mail, make, northwind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REF = "refs/reconciler/tenants/northwind"

# An apply with a lease of some length that stops before each write and goes on when it is told to: before it asks
# whether the tenant is still its own (`lost`), or when it has asked (`write`).
SLOW = """
import sys
from reconciler import cli, journal, runner

journal.LEASE, place = float(sys.argv.pop(1)), sys.argv.pop(1)
owner = journal.Journal if place == "lost" else runner.World
inner = getattr(owner, place)

def slow(*arguments):
    print("writing", file=sys.stderr, flush=True)
    sys.stdin.readline()
    return inner(*arguments)

setattr(owner, place, slow)
cli.main()
"""


class Apply:
    """An apply in a process of its own, which stands before its first write."""

    def __init__(self, estate: Estate, lease: float, place: str, *arguments: str) -> None:
        command = [sys.executable, "-c", SLOW, str(lease), place, "apply", "--yes", "--format", "json", *arguments]
        pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=estate.root, env=environment, text=True, **pipes)
        self.writing()

    def writing(self) -> None:
        """Wait until it is about to write."""
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == "writing\n"

    def step(self) -> None:
        """Let it write once."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, dict[str, Any]]:
        """Let it go on to its end: exit code, and what it says of each tenant."""
        out, err = self.process.communicate("\n" * 20)
        assert out, err
        return self.process.returncode, {found["tenant"]: found for found in json.loads(out)["tenants"]}


@contextmanager
def at_work(estate: Estate, *arguments: str, lease: float = 120, place: str = "write") -> Iterator[Apply]:
    found = Apply(estate, lease, place, *arguments)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.communicate()


@contextmanager
def waiting(estate: Estate, seconds: str) -> Iterator[subprocess.Popen[str]]:
    """An apply in a process of its own that waits for whoever is at work."""
    command = [sys.executable, "-m", "reconciler", "apply", "--yes", "--format", "json", "--wait", seconds]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=estate.root, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return make(tmp_path / "estate", northwind())


def intent(estate: Estate) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(estate.git("show", f"{REF}:intent.json"))
    return said


def elsewhere(estate: Estate, *, lease: int = 120) -> str:
    """A run of another host that began and is not heard of any more: its id."""
    with at_work(estate) as held:
        held.process.kill()
        held.process.wait()
    said = intent(estate)
    content = json.dumps({**said, "lease": lease, "holder": {**said["holder"], "host": "ci-7", "ci": "4711"}})
    blob = estate._object("hash-object", "-w", "--stdin", text=content.encode())
    ledger = estate.git("rev-parse", f"{REF}:ledger.jsonl")
    tree = estate._object(
        "mktree", text=f"100644 blob {blob}\tintent.json\n100644 blob {ledger}\tledger.jsonl\n".encode()
    )
    estate.git("update-ref", REF, estate.git("commit-tree", tree, "-p", REF, "-m", "intent"))
    return str(said["run"])


# ---------------------------------------------------------------------- two at once


def test_one_of_two_is_told_who_is_at_work(estate: Estate) -> None:
    """The second is refused with exit 5, names the holder, and writes nothing; the first comes to its end."""
    with at_work(estate) as first:
        run = intent(estate)["run"]
        before = estate.world()
        second = estate.apply()
        [found] = second.json["tenants"]
        assert (second.code, found["result"], found["done"]) == (5, "locked", [])
        assert f"run {run} by Anna Ops <anna@agency.example>" in found["error"]
        assert f"process {first.process.pid} is at work on it since" in found["error"]
        assert estate.world() == before
        assert codes(estate.one()["findings"]) == {"PL308"}
        assert estate.run("log", "--format", "json").json["runs"][0]["tenants"][0]["result"] == "at work"
        assert first.end()[0] == 0
    assert estate.run("plan", "--exit-code").code == 0


def test_questions_say_that_a_run_is_open(estate: Estate) -> None:
    """`who` and `trace` name a run at work, and one that was killed: what was applied may be otherwise by now."""
    name = "jane@northwind.example"
    with at_work(estate) as first:
        said = {"tenant": "northwind", "run": intent(estate)["run"], "actor": "Anna Ops <anna@agency.example>"}
        said |= {"began": intent(estate)["began"], "result": "at work"}
        assert [estate.run(ask, "--format", "json", name).json["open_runs"] for ask in ("who", "trace")] == [[said]] * 2
        first.process.kill()
        first.process.wait()
    for ask in ("who", "trace"):
        assert estate.run(ask, "--format", "json", name).json["open_runs"] == [{**said, "result": "unfinished"}]
        assert f"Unsettled in northwind: run {said['run']} by Anna Ops" in estate.run(ask, name).out
    assert estate.apply().code == 0
    for ask in ("who", "trace"):
        assert estate.run(ask, "--format", "json", name).json["open_runs"] == []


def test_of_two_with_one_plan_the_second_is_refused(estate: Estate) -> None:
    """Both planned before either began: compare-and-swap lets one through, the other writes nothing and exits 5."""
    from reconciler import engine
    from reconciler.permit import Permit
    from reconciler.request import Request

    planned = engine.plan(Request(estate.root))
    with at_work(estate) as first:
        late = engine.apply(Request(estate.root), planned, Permit(everything=True))
        assert [(found.result, len(found.done)) for found in late.tenants] == [("locked", 0)]
        assert first.end()[0] == 0
    stale = engine.apply(Request(estate.root), planned, Permit(everything=True))
    assert [(found.result, len(found.done)) for found in stale.tenants] == [("locked", 0)]


def test_who_waits_goes_on_when_the_other_is_done(estate: Estate) -> None:
    """`--wait` looks again and again; what the other has made is not made twice."""
    with at_work(estate) as first, waiting(estate, "60") as second:
        time.sleep(1)
        assert second.poll() is None
        assert first.end()[0] == 0
        assert json.loads(second.communicate()[0])["tenants"][0]["result"] == "nothing"
        assert second.returncode == 0


def test_waiting_has_an_end(estate: Estate) -> None:
    """After SECONDS it is exit 5 all the same."""
    with at_work(estate):
        began = time.monotonic()
        assert estate.apply("--yes", "--wait", "1.2").code == 5
        assert time.monotonic() - began >= 1.2


def test_one_locked_tenant_does_not_stop_the_others(estate: Estate) -> None:
    """Each tenant has a lock of its own."""
    estate.write(contoso())
    with at_work(estate, "--tenant", "northwind") as first:
        second = estate.apply()
        results = {found["tenant"]: found["result"] for found in second.json["tenants"]}
        assert (second.code, results) == (5, {"contoso": "applied", "northwind": "locked"})
        assert first.end()[0] == 0


# ---------------------------------------------------------------------- holders that are gone


def test_a_dead_process_of_this_host_holds_nothing(estate: Estate) -> None:
    """Its number may be another's by now: when it began tells. The next run goes on at once."""
    with at_work(estate) as first:
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    assert estate.run("log", "--format", "json").json["runs"][0]["tenants"][0]["result"] == "unfinished"
    assert estate.apply().code == 0


def test_a_dead_process_that_nobody_has_waited_for_holds_nothing(estate: Estate) -> None:
    """Only its exit code is left."""
    with at_work(estate) as first:
        first.process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, first.process.pid, os.WEXITED | os.WNOWAIT)
        assert estate.apply().code == 0


def test_another_host_is_believed_to_be_at_work(estate: Estate) -> None:
    """However old its intent is by whatever clock: without watching it nothing is taken over."""
    run = elsewhere(estate, lease=0)
    done = estate.apply()
    assert (done.code, f"run {run} by" in done.json["tenants"][0]["error"]) == (5, True)
    assert "on ci-7, process" in done.json["tenants"][0]["error"]
    assert "CI run 4711" in done.json["tenants"][0]["error"]


def test_who_has_watched_it_stand_still_for_a_lease_takes_over(estate: Estate) -> None:
    """On the watcher's own clock; a second too little is not enough."""
    elsewhere(estate, lease=2)
    began = time.monotonic()
    assert estate.apply("--yes", "--wait", "1").code == 5
    assert estate.apply("--yes", "--wait", "30").code == 0
    assert 3 <= time.monotonic() - began < 25


def test_a_sign_of_life_keeps_the_lock(estate: Estate) -> None:
    """Whoever watches a ref that moves never takes over, however long it waits."""
    elsewhere(estate, lease=3)
    with waiting(estate, "4") as second:
        while second.poll() is None:
            estate.git("update-ref", REF, estate.git("commit-tree", f"{REF}^{{tree}}", "-p", REF, "-m", "at work"))
            time.sleep(0.3)
        assert second.returncode == 5


def test_a_holder_gives_signs_of_life(estate: Estate) -> None:
    """When a third of the lease has passed, before its next write; the outcome comes on top of them."""
    with at_work(estate, lease=0.3) as first:
        time.sleep(0.2)
        first.step()
        code, found = first.end()
    assert (code, found["northwind"]["result"]) == (0, "applied")
    subjects = [line.partition(":")[0] for line in estate.git("log", "--format=%s", REF).splitlines()]
    assert (subjects[0], {*subjects[1:-1]}, subjects[-1]) == (f"applied {estate.head}", {"at work"}, "intent")


@pytest.mark.parametrize("place", ["lost", "write"])
def test_who_was_stopped_and_taken_over_writes_nothing_more(estate: Estate, place: str) -> None:
    """It stands still past its lease, another takes over and finishes, it goes on: not a row, not a serial changes.

    Where it had asked already, in the instant between look and write, the provider's own condition refuses the write.
    """
    estate.applied({})
    estate.write({**mail({**BOXES, "max": "{owner: jane}"}), **dns("with: {dmarc: quarantine}\n")})
    with at_work(estate, lease=1.5, place=place) as first:
        first.step()
        first.writing()
        first.process.send_signal(signal.SIGSTOP)
        assert estate.apply("--yes", "--wait", "20").code == 0
        before = estate.world()
        first.process.send_signal(signal.SIGCONT)
        code, found = first.end()
        assert (code, bool(found["northwind"]["error"])) == (5 if place == "lost" else 1, True)
        assert estate.world() == before
    assert estate.run("plan", "--exit-code").code == 0


# ---------------------------------------------------------------------- unlock


def test_unlock_names_what_it_breaks(estate: Estate) -> None:
    """Whose lock it was; the next plan says what became of that run, and the next apply finishes it."""
    run = elsewhere(estate)
    done = estate.run("unlock", "northwind", run)
    assert done.code == 0
    assert done.out.startswith(f"Broken: run {run} by Anna Ops <anna@agency.example> on ci-7, process ")
    assert done.out.endswith("Next: reconciler plan --tenant northwind\n")
    assert intent(estate)["unlocked"].startswith("Anna Ops <anna@agency.example> at ")
    assert "PL302" in estate.run("plan").out
    assert estate.apply().code == 0


def test_unlock_breaks_only_what_was_named(estate: Estate) -> None:
    """Another run's id, another tenant, a lock that is broken already: exit 1, and the lock stays as it is."""
    run, tip = elsewhere(estate), estate.git("rev-parse", REF)
    wrong = estate.run("unlock", "northwind", "0" * 12)
    assert (wrong.code, f"run {run} does" in wrong.err) == (1, True)
    assert estate.run("unlock", "contoso", run).code == 1
    assert estate.git("rev-parse", REF) == tip
    assert estate.run("unlock", "northwind", run).code == 0
    again = estate.run("unlock", "northwind", run)
    assert (again.code, "holds no lock" in again.err) == (1, True)


def test_whose_lock_was_broken_stops(estate: Estate) -> None:
    """Its next sign of life fails: exit 5, and nothing more is written."""
    with at_work(estate, lease=0.1, place="lost") as first:
        assert estate.run("unlock", "northwind", intent(estate)["run"]).code == 0
        time.sleep(0.1)
        before = estate.world()
        code, found = first.end()
        assert (code, found["northwind"]["result"]) == (5, "locked")
        assert estate.world() == before
    assert estate.apply().code == 0


def test_a_sign_of_life_that_cannot_be_written_stops_it(estate: Estate) -> None:
    """It is an error, not a lock of somebody else's: exit 1, and nothing more is written."""
    with at_work(estate, lease=0.1, place="lost") as first:
        pack = estate.root / ".git" / "objects" / "pack"
        (estate.root / ".git" / "kept").mkdir()
        pack.rename(estate.root / ".git" / "kept" / "pack")
        pack.with_name("info").joinpath("alternates").write_text("../kept")  # what is there can be read
        pack.touch()
        time.sleep(0.1)
        before = estate.world()
        code, found = first.end()
        assert (code, found["northwind"]["result"]) == (1, "failed")
        assert estate.world() == before
    pack.unlink()
    assert estate.apply().code == 0
