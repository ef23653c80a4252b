"""Going back: which commits to revert, what that brings back and what not, and the commit that does it, on a branch.

Nothing is applied, and neither the working tree nor a branch that is there is touched: the commit is made in a work
tree of its own. Where the plan of that commit would be refused, the acceptances it needs go into a commit after it, to
be reviewed with it.
"""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from reconciler import branching
from reconciler.agency import FILE
from reconciler.errors import ReconcilerError
from reconciler.findings import OF_THE_AGENCY
from reconciler.results import Rollback
from reconciler.runs import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from reconciler.changes import Plan, TenantPlan
    from reconciler.findings import Finding
    from reconciler.history import Repository
    from reconciler.session import Session

Data = dict[str, Any]
_DAYS = 14  # for how long the acceptances of a rollback hold


def make(session: Session, target: str, branch: str, plan: Callable[[str], Plan]) -> Rollback:
    """The revert of a run or a commit, committed on `branch`. Raises ReconcilerError; then nothing is left of it."""
    repository = session.estate.repository
    done = list(runs(repository, session.told()))
    named = [run for run in done if run["run"] == target]
    commits = _of_run(repository, named) if named else [repository.commit(target)]
    undone = [change for run in done for change in _changes(run) if run in named or _from(change, commits)]
    branching.free(repository, branch)
    with branching.worktree(repository, "HEAD") as folder:
        _revert(repository, folder, commits)
        _kept(folder, commits)
        made = branching.head(repository, folder)
        accepted = _acceptances(plan(made))
        if accepted:
            _write(repository, folder, accepted)
            made = branching.head(repository, folder)
        planned = plan(made)
    branching.make(repository, branch, made)
    return Rollback(target, branch, made, tuple(commits), tuple(undone), tuple(_since(done, undone)), accepted, planned)


def naming(repository: Repository, commit: str, plans: Sequence[TenantPlan]) -> list[TenantPlan]:
    """The plans; where the commit is a plain revert, what refuses it names the command that makes an accepted one."""
    refused = any(map(_can_be_let_through, (finding for plan in plans for finding in plan.findings)))
    message = repository.git("show", "--no-patch", "--format=%B", commit).decode(errors="replace") if refused else ""
    match = re.search(r"^This reverts commit ([0-9a-f]{40,64})\b", message, re.MULTILINE)
    if match is None:
        return list(plans)
    what = f"This is a plain revert; with the acceptances it needs `reconciler rollback {match[1][:12]}` makes it."
    return [plan._replace(findings=tuple(_with_command(finding, what) for finding in plan.findings)) for plan in plans]


def _can_be_let_through(finding: Finding) -> bool:
    return finding.can_be_accepted and finding.code.startswith("PL")


def _with_command(finding: Finding, what: str) -> Finding:
    return finding._replace(detail=f"{finding.detail} {what}") if _can_be_let_through(finding) else finding


def _changes(run: Data) -> Iterator[Data]:
    for change in run["changes"]:
        if change["result"] == "applied":
            yield {**change, "applied": {key: run[key] for key in ("tenant", "run", "actor", "ended")}}


def _from(change: Data, commits: Sequence[str]) -> bool:
    return change["origin"]["commit"] in commits


def _of_run(repository: Repository, named: Sequence[Data]) -> list[str]:
    """The commits that a run applied, the newest first: those since the one that each of its tenants had before."""
    found: set[str] = set()
    for run in named:
        if run["base"] is None:
            raise ReconcilerError(f"run {run['run']} was the first of {run['tenant']}: nothing was before it")
        paths = (f"tenants/{run['tenant']}", "domain-templates", "reconciler.yaml")
        found |= {commit for commit, _ in repository.commits(run["base"], run["commit"], paths)}
    listing = repository.git("rev-list", "--topo-order", "--no-merges", "HEAD").decode().split()
    ordered = [commit for commit in listing if commit in found]
    if not ordered:
        raise ReconcilerError("the commits of that run are not in this branch; name a commit to revert instead")
    return ordered


def _since(done: Sequence[Data], undone: Sequence[Data]) -> Iterator[Data]:
    """What later runs changed of the same things: the newest first."""
    ended = {change["address"]: change["applied"]["ended"] for change in undone}
    mine = {change["applied"]["run"] for change in undone}
    for run in done:
        for change in _changes(run):
            then = ended.get(change["address"])
            if then is not None and run["run"] not in mine and run["ended"] >= then:
                yield change


# ---------------------------------------------------------------------- the commit


def _revert(repository: Repository, folder: Path, commits: Sequence[str]) -> None:
    identity = branching.identity(repository)
    for commit in commits:
        merge = (
            ["--mainline", "1"] if repository.attempt("rev-parse", "--verify", "--quiet", f"{commit}^2").stdout else []
        )
        done = repository.attempt(*identity, "-C", str(folder), "revert", "--no-edit", *merge, commit)
        if done.returncode and not _reverted_already(repository, folder, done.returncode):
            said = (done.stderr.strip().splitlines() or ["git says no more"])[0]
            what = f"{commit[:12]} cannot be reverted on top of HEAD: {said}; revert it by hand and solve the conflict"
            raise ReconcilerError(what)


def _kept(folder: Path, commits: Sequence[str]) -> None:
    """A revert that would take the estate itself away is none that anybody meant."""
    if not (folder / FILE).exists():
        names = ", ".join(commit[:12] for commit in commits)
        raise ReconcilerError(
            f"the estate began with {names}: a revert takes {FILE} and all of it away. Take out by hand what is not"
            " wanted; `reconciler plan` shows what becomes of it"
        )


def _reverted_already(repository: Repository, folder: Path, code: int) -> bool:
    """Whether a revert ended for there was nothing left to do: a plain one stands there that was refused."""
    return code == 1 and not repository.git("-C", str(folder), "status", "--porcelain")


# ---------------------------------------------------------------------- what it needs to be let through


def _acceptances(plan: Plan) -> tuple[Data, ...]:
    """An entry for each refusal that can be accepted, with its tenant; limits up to the very number."""
    found: dict[tuple[str, str, str], Data] = {}
    for tenant in plan.tenants:
        for finding in tenant.findings:
            if finding.can_be_accepted:
                key = ("" if finding.code in OF_THE_AGENCY else tenant.tenant, finding.code, finding.subject)
                found.setdefault(key, _entry(tenant.tenant, finding, plan.as_of))
    return tuple(found.values())


def _entry(tenant: str, finding: Finding, today: str) -> Data:
    limit = {"up_to": finding.number} if finding.number is not None else {}
    until = (date.fromisoformat(today) + timedelta(days=_DAYS)).isoformat()
    said = {"finding": finding.code, "subject": finding.subject, **limit, "reason": "rollback", "expires": until}
    return {"tenant": tenant, "entry": said}


def _write(repository: Repository, folder: Path, accepted: Sequence[Data]) -> None:
    by_file: dict[Path, list[Mapping[str, Any]]] = {}
    for item in accepted:
        gone = not (folder / "tenants" / item["tenant"]).is_dir() or item["entry"]["finding"] in OF_THE_AGENCY
        name = "reconciler.yaml" if gone else f"tenants/{item['tenant']}/control.yaml"
        by_file.setdefault(folder / name, []).append(item)
    for path, items in by_file.items():
        text = path.read_text(encoding="utf-8") if path.exists() else f"tenant: {items[0]['tenant']}\n"
        path.write_text(_with(text, [item["entry"] for item in items]), encoding="utf-8")
    branching.commit(repository, folder, "Accept what the rollback takes away")


def _with(text: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """The file with the entries first in its list of acceptances, everything else as it is."""
    flat = [", ".join(f"{key}: {json.dumps(value)}" for key, value in entry.items()) for entry in entries]
    lines = "".join(f"  - {{{said}}}\n" for said in flat)
    if re.search(r"^accept:\s*\n", text, re.MULTILINE):
        return re.sub(r"^(accept:\s*\n)", lambda match: match[1] + lines, text, count=1, flags=re.MULTILINE)
    if re.search(r"^accept:", text, re.MULTILINE):
        raise ReconcilerError("`accept` is written in one line; write it as a list of lines, then roll back again")
    return f"{text.rstrip()}\naccept:\n{lines}"
