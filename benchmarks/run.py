"""Times the tool on large estates, and beside octodns-sync on the same zones; prints a table of medians.

    python -m benchmarks.run                                     everything, at full size
    python -m benchmarks.run --tenants 100 --large 500 --runs 3  a quick look; targets are not judged

Every number is of a whole process, start to exit, with its output thrown away. The commands of a round follow one
another, so that a machine that is slow for a while is slow for all of them. Works under var/benchmarks, which it
empties first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import make_estate, peer

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = make_estate.CHECKOUT / "var" / "benchmarks"
PEER = make_estate.CHECKOUT / "var" / "peer"
TOOL = [sys.executable, "-m", "reconciler"]
FULL_SIZE = (2_000, 10_000)
# An installed tool finds its bytecode: where the shell forbids keeping it, each process would compile it anew.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Sample(NamedTuple):
    """Wall-clock and processor time of a command with its workers, and the peak bytes of its largest process."""

    seconds: float
    cpu: float
    rss: int


@dataclass(frozen=True)
class Row:
    key: str
    title: str
    seconds: float | None = None  # targets
    megabytes: int | None = None


ROWS = (
    Row("validate", "validate, {tenants:,} tenants", seconds=4.0),
    Row("plan", "plan with nothing to do, {tenants:,} tenants", seconds=6.0, megabytes=200),
    Row("apply", "first apply, {tenants:,} tenants", seconds=60.0),
    Row("one", "plan --tenant, estate of {large:,} tenants", seconds=0.4),
    Row("who", "who ADDRESS, estate of {large:,} tenants", seconds=1.0),
    Row("help", "--help", seconds=0.15),
    Row("peer", "octodns-sync, dry run, {tenants:,} zones"),
    Row("load", "  its YAML loader alone, the same files"),
)


def measure(command: list[str], cwd: Path) -> Sample:
    """Run to the end. Raises RuntimeError with what it printed when it fails."""
    with (FOLDER / "output.log").open("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}\n{log.read()[-4000:]}")
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def forget_everything(estate: Path) -> None:
    """No live system and no ledger: the next apply is the first again."""
    shutil.rmtree(estate / "var", ignore_errors=True)
    refs = subprocess.check_output(["git", "for-each-ref", "--format=delete %(refname)", "refs/reconciler"], cwd=estate)
    subprocess.run(["git", "update-ref", "--stdin"], cwd=estate, input=refs, check=True)


def make_large(tenants: int) -> Path:
    """The large estate, applied, so that its database, zone files and ledger are as large as it is."""
    estate = FOLDER / "large"
    make_estate.make(estate, tenants)
    sample = measure([*TOOL, "apply", "--yes"], estate)
    print(f"set-up: first apply of {tenants:,} tenants took {sample.seconds:.0f} s, {sample.rss / 1e6:.0f} MB")
    return estate


def measure_peer(folder: Path) -> dict[str, Sample]:
    """A dry run of octodns-sync, which must find nothing to do, as ours did."""
    bin_folder = peer.install(PEER)
    samples = {"peer": measure(peer.command(bin_folder, folder), FOLDER)}
    if "No changes were planned" not in (FOLDER / "output.log").read_text():
        raise RuntimeError("octodns-sync found changes: the comparison would not be of the same work")
    return {**samples, "load": measure(peer.load_command(bin_folder, folder), FOLDER)}


def measure_round(estate: Path, large: Path, tenant: str) -> dict[str, Sample]:
    """`plan --exit-code` fails where there is something to do, so a plan that is measured here had nothing."""
    forget_everything(estate)
    return {
        "apply": measure([*TOOL, "apply", "--yes"], estate),
        "validate": measure([*TOOL, "validate"], estate),
        "plan": measure([*TOOL, "plan", "--exit-code"], estate),
        "one": measure([*TOOL, "plan", "--exit-code", "--tenant", tenant], large),
        "who": measure([*TOOL, "who", f"ada.abbot@{tenant}.example"], large),
        "help": measure([*TOOL, "--help"], estate),
    }


def measure_all(options: argparse.Namespace) -> dict[str, list[Sample]]:
    estate, folder = FOLDER / "estate", FOLDER / "peer"
    make_estate.make(estate, options.tenants)
    large = make_large(options.large)
    found: dict[str, list[Sample]] = defaultdict(list)
    with ExitStack() as servers:
        for number in range(options.runs):
            samples = measure_round(estate, large, make_estate.name_of(options.large // 2))
            if options.peer and not number:
                peer.set_up(folder, estate / "var" / "zones")
                servers.enter_context(peer.powerdns(folder))
            samples |= measure_peer(folder) if options.peer else {}
            for key, sample in samples.items():
                found[key].append(sample)
            print(f"round {number + 1} of {options.runs}: " + ", ".join(f"{k} {s[0]:.2f}" for k, s in samples.items()))
    return found


def line(row: Row, samples: list[Sample], options: argparse.Namespace) -> str:
    times = sorted(sample.seconds for sample in samples)
    median, rss = statistics.median(times), max(sample.rss for sample in samples) / 1e6
    target = [f"<= {row.seconds:g} s"] if row.seconds else []
    target += [f"<= {row.megabytes} MB"] if row.megabytes else []
    met = median <= (row.seconds or median) and rss <= (row.megabytes or rss)
    verdict = ("yes" if met else "NO") if target and (options.tenants, options.large) == FULL_SIZE else ""
    title = row.title.format(tenants=options.tenants, large=options.large)
    span = f"{times[0]:.2f} .. {times[-1]:.2f}"
    cpu = statistics.median(sample.cpu for sample in samples)
    return f"{title:<46} {median:8.2f} {span:>16} {cpu:7.2f} {rss:5.0f}  {', '.join(target):<18} {verdict}"


def report(found: dict[str, list[Sample]], options: argparse.Namespace) -> str:
    head = f"{'':<46} {'median s':>8} {'min .. max':>16} {'CPU s':>7} {'MB':>5}  {'target':<18} met"
    lines = [head, *(line(row, found[row.key], options) for row in ROWS if found[row.key])]
    if found["peer"]:
        ours, theirs, load = (statistics.median(s.seconds for s in found[key]) for key in ("plan", "peer", "load"))
        lines += [
            "",
            f"octodns-sync takes {theirs / ours:.1f} times as long as plan, which plans the mail too (target: >= 4).",
            f"{load / theirs:.0%} of it is PyYAML's pure-Python loader; the rest: {(theirs - load) / ours:.1f} times.",
            "It reads live from PowerDNS over HTTP; ours reads SQLite and zone files.",
        ]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    parser.add_argument("--tenants", type=int, default=FULL_SIZE[0])
    parser.add_argument("--large", type=int, default=FULL_SIZE[1], help="tenants of the estate for plan --tenant")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave octodns-sync and PowerDNS out")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print(report(measure_all(options), options))


if __name__ == "__main__":
    main()
