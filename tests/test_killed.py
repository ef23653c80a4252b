"""A real apply, killed for good at every effect, one after another: what the next run makes of what is left.

The command runs in a process of its own that counts the effects of the runner and the steps inside them (a commit, a
rename, an import, a push, a move of refs), and ends itself by SIGKILL before or after one of them, one further each
time, until a run comes through. The estate is small: every boundary is met in every test run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.estates import BOXES, ROOT, Estate, codes, contoso, dns, mail, make, northwind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REF = "refs/reconciler/tenants/northwind"

KILLED = """
import os, pathlib, signal, sys
from reconciler import cli, history, runner
from reconciler.providers import _session

left = int(sys.argv.pop(1))

def boundary():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def guard(owner, name, counts=lambda *arguments: True):
    inner = getattr(owner, name)
    def guarded(self, *arguments, **options):
        if not counts(*arguments):
            return inner(self, *arguments, **options)
        boundary()
        answer = inner(self, *arguments, **options)
        boundary()
        return answer
    setattr(owner, name, guarded)

guard(runner.World, "read")
guard(runner.World, "identify")
guard(runner.World, "write")
guard(_session.Session, "commit")
guard(pathlib.Path, "rename")
guard(history.Repository, "git", lambda *words: not {"fast-import", "update-ref"}.isdisjoint(words))
guard(history.Repository, "attempt", lambda *words: not {"push", "update-ref"}.isdisjoint(words))
cli.main()
"""


def killed(estate: Estate, number: int) -> bool:
    """Apply, killed at the boundary of this number; False when it comes to its end before."""
    command = [sys.executable, "-c", KILLED, str(number), "apply", "--yes", "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=estate.root, env=environment, capture_output=True, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stdout.decode() + done.stderr.decode()
    return done.returncode != 0


def rows(estate: Estate) -> list[str]:
    """The database row by row, but for the times at which rows were written; its identity is one of its own."""
    if not estate.database.exists():
        return []
    with closing(sqlite3.connect(estate.database)) as connection:
        lines = [re.sub(r"'\d{4}-\d\d-\d\d [\d:]+'", "T", line) for line in connection.iterdump()]
        return sorted(re.sub(r"'system','[0-9a-f]{32}'", "I", line) for line in lines)


def state(estate: Estate) -> dict[str, Any]:
    """All that is there: rows, zones but for their serials, the ledger but for the commits in it.

    The ledger's identities are those of the live systems.
    """
    zones = {path.name: path.read_text().splitlines() for path in (estate.root / "var" / "zones").glob("*.zone")}
    ledger = [json.loads(line) for line in estate.git("show", f"{REF}:ledger.jsonl").splitlines()]
    if ledger[0]["identities"]:
        with closing(sqlite3.connect(estate.database)) as connection:
            ((mailhost,),) = connection.execute("SELECT identity FROM reconciler_identity")
        there = {"mailhost": mailhost, "zones": (estate.root / "var/zones/.reconciler-identity").read_text().strip()}
        assert ledger[0].pop("identities") == there
    return {
        "rows": rows(estate),
        "zones": {name: sorted(line for line in lines if " SOA " not in line) for name, lines in zones.items()},
        "ledger": [{key: value for key, value in line.items() if key != "commit"} for line in ledger],
    }


def begun(estate: Estate) -> bool:
    """Whether a run left an intent behind."""
    names = estate.git("for-each-ref", "--format=%(objectname)", REF)
    return bool(names) and "intent.json" in estate.git("ls-tree", "--name-only", names)


def copied(estate: Estate, folder: Path) -> Estate:
    """The estate and its live systems once more; where it has a remote, that too."""
    shutil.copytree(estate.root.parent, folder, symlinks=True)
    return Estate(folder / estate.root.name)


def every_boundary(estate: Estate, folder: Path) -> Counter[str]:
    """Kill at one after another, each in a copy: whatever is left, a plan says so and a run makes all of it."""
    smooth = copied(estate, folder / "smooth")
    assert (smooth.apply().code, smooth.run("plan", "--exit-code").code) == (0, 0)
    wanted, met = state(smooth), Counter[str]()
    for number in count(1):
        again = copied(estate, folder / str(number))
        if not killed(again, number):
            assert state(again) == wanted
            return met
        planned = again.one()  # it asks the remote first
        was_begun = begun(again)
        met["begun" if was_begun else "noted" if not planned["changes"] else "untouched"] += 1
        assert ("PL302" in codes(planned["findings"])) == was_begun
        assert set(again.git("for-each-ref", "--format=%(refname)", "refs/reconciler").split()) <= {REF}
        assert again.apply().code == 0
        assert state(again) == wanted, f"killed at boundary {number}"
        shutil.rmtree(again.root.parent)
    raise AssertionError


def test_a_first_apply_killed_anywhere(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """With no ledger yet: the next run ends where one run would have; no row is there twice, nothing is nobody's."""
    met = every_boundary(make(tmp_path / "one" / "estate", northwind()), tmp_path)
    record_property("times", met.total())
    assert met["untouched"] >= 4
    assert met["begun"] >= 12
    assert met["noted"] >= 1


def test_the_plans_digest_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Two tenants, killed at each third boundary: the digest of the whole plan makes what is left of it."""
    estate = make(tmp_path / "one" / "estate", northwind(), contoso())
    digest = estate.plan()["digest"]
    for number in count(1, 3):  # what is left after each one, the tests of a single tenant see
        again = copied(estate, tmp_path / str(number))
        if not killed(again, number):
            break
        assert again.apply("--digest", digest).code == 0, f"killed at boundary {number}"
        assert again.run("plan", "--exit-code").code == 0
        shutil.rmtree(again.root.parent)
    assert number > 10


def test_the_digest_of_a_killed_run_allows_no_more_than_that(tmp_path: Path) -> None:
    """Git moved on since: what nobody reviewed under this digest is stale, in both tenants."""
    estate = make(tmp_path / "one" / "estate", northwind(), contoso())
    digest = estate.plan()["digest"]
    assert killed(estate, 8)
    assert begun(estate)
    estate.write(mail({**BOXES, "new": "{owner: tom}"}, "aliases:\n  info: [jane]\n"))
    done = {found["tenant"]: found["result"] for found in estate.apply("--digest", digest).json["tenants"]}
    assert done["northwind"] == "stale"
    for text in ("", "sha256:"):
        assert estate.apply("--digest", text).code == 4


def test_a_later_apply_with_a_remote_killed_anywhere(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Boxes made, renamed and retired, an alias gone; also between what the remote has and what this clone has."""
    estate = make(tmp_path / "one" / "estate", northwind())
    estate.git("init", "--quiet", "--bare", "../remote.git")
    estate.git("remote", "add", "origin", "../remote.git")
    estate.applied({})
    boxes = {"thomas": "{owner: tom, quota: 1 GiB, renamed_from: tom}", "max": "{owner: tom}"}
    estate.write(
        {
            **mail(boxes, "aliases:\n  sales: [thomas]\n"),
            **dns("with: {dmarc: quarantine, senders: [include:a.example]}\n"),
        }
    )
    met = every_boundary(estate, tmp_path)
    record_property("times", met.total())
    assert met["begun"] >= 16
