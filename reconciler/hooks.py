"""Without a forge: what a bare repository that people push to does before a push and after it.

`pre-receive` checks what is pushed to the deployed branch (the one that HEAD names) and plans it, with the providers
and secrets of the commit that is deployed: whether this pusher may push there is often asked afterwards, by a hook for
each ref. It refuses what `plan` would, and keeps the plan as what was shown. `post-receive` makes at most what was
shown in plans that are kept, and what is due: always of the branch's head, so that whatever is left by a freeze, a lock
or a kill is made by the next push, or when it is run without one. A push to another branch is a look ahead.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from reconciler import engine
from reconciler.errors import InputError, Locked
from reconciler.estate import Estate
from reconciler.ledger import REFS
from reconciler.permit import Permit
from reconciler.reports import data
from reconciler.request import Request
from reconciler.reviewed import plans
from reconciler.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.agency import Agency
    from reconciler.changes import Plan
    from reconciler.hub import Hub, Push
    from reconciler.results import Checked, Result, TenantResult
    from reconciler.reviewed import Reviewed

Kept = dict["Path", "Reviewed"]
PATIENCE = 120.0  # seconds to wait for whoever is at work
_FORGOTTEN = 86400.0  # seconds after which a plan of a push that did not go through goes


class Look(NamedTuple):
    """What is said of a push to a branch; without a plan where its checks refuse it, or no tenant is touched."""

    checked: Checked
    plan: Plan | None
    refused: bool
    behind: bool  # the deployed branch has commits that this one lacks


# ---------------------------------------------------------------------- before


def look(hub: Hub, push: Push) -> Look:
    """Check a push to a branch and plan it; of the deployed one what is not refused is kept as what was shown.

    Raises ReconcilerError.
    """
    deployed = push.ref == hub.branch
    before = push.old if deployed else hub.tip
    reviewed, now = _agency(hub, before), _agency(hub, push.new)
    since = "" if reviewed is None else before if deployed else _parting(hub, before, push.new)
    request = Request(hub.root, push.new, trusted=before if reviewed else "", changed_since=since)
    checked = validate(request)
    behind = not deployed and reviewed is not None and not hub.has(before, push.new)
    refused = any(finding.refuses for finding in checked.findings)
    if refused or not checked.tenants or (reviewed is None and not deployed):
        return Look(checked, None, refused, behind)
    plan = engine.plan(request._replace(offline=reviewed is None))
    refused = _refused(plan, _moved(reviewed, now))
    if deployed and not refused:
        _keep(hub, plan)
    return Look(checked, plan, refused, behind)


def _agency(hub: Hub, commit: str) -> Agency | None:
    """What reconciler.yaml says at a commit; None where there is none that this version reads."""
    try:
        estate = Estate(hub.root, commit)
    except InputError:  # of what is pushed `validate` says the same and more
        return None
    estate.close()
    return estate.agency


def _parting(hub: Hub, deployed: str, commit: str) -> str:
    """Where a branch left the deployed one."""
    return hub.repository.attempt("merge-base", deployed, commit).stdout.strip() or deployed


def _moved(before: Agency | None, now: Agency | None) -> set[str]:
    """The providers that have other settings from now on: one that answers no more can be left in no other way."""
    old, new = (agency.providers if agency else {} for agency in (before, now))
    return {name for name in old.keys() & new.keys() if old[name] != new[name]}


def _refused(plan: Plan, moved: set[str]) -> bool:
    findings = [*plan.findings, *(f for tenant in plan.tenants for f in tenant.findings)]
    unread = {found.provider for tenant in plan.tenants for found in tenant.unread}
    return any(finding.refuses for finding in findings) or not unread <= moved


def _keep(hub: Hub, plan: Plan) -> None:
    hub.plans.mkdir(parents=True, exist_ok=True)
    fresh = hub.plans / f"{plan.commit}.{os.getpid()}"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(data.text(data.plan(plan)))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(hub.plans / f"{plan.commit}.json")


# ---------------------------------------------------------------------- after


def apply(hub: Hub, *, all_tenants: bool) -> tuple[Plan, Result] | None:
    """Make what was shown and what is due, of the branch's head; None where there is nothing of it.

    `all_tenants`: also of tenants that no plan that is kept shows what is due. Raises ReconcilerError.
    """
    with _alone(hub):
        commit = hub.repository.commit("HEAD")
        kept = _kept(hub, commit)
        names = () if all_tenants else _names(hub, commit, kept)
        if not names and not all_tenants:
            return None
        request = engine.waited(Request(hub.root, commit, tenants=names), PATIENCE)
        planned = engine.plan(request)
        done = engine.apply(request, planned, Permit(plans=tuple(kept.values()), due=True))
        _drop(kept, done)
        return planned, _going_on(hub, done)


@contextmanager
def _alone(hub: Hub) -> Iterator[None]:
    """One at a time: who comes second begins at the head that is there then. Raises Locked."""
    end = time.monotonic() + PATIENCE
    hub.plans.mkdir(parents=True, exist_ok=True)
    with (hub.plans.parent / "lock").open("a") as file:
        while not _locked(file.fileno()):
            if time.monotonic() > end:
                raise Locked("another push is being applied for minutes: what this one showed is made by the next run")
            time.sleep(0.2)
        yield


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kept(hub: Hub, commit: str) -> Kept:
    """The plans that were shown of what is in the branch now; one of a push that did not go through goes in a day."""
    found: Kept = {}
    for file in sorted(hub.plans.glob("*.json")):
        if hub.has(file.stem, commit):
            found[file] = plans([str(file)], ())[0]
        elif time.time() - file.stat().st_mtime > _FORGOTTEN:
            file.unlink(missing_ok=True)
    return found


def _names(hub: Hub, commit: str, kept: Kept) -> tuple[str, ...]:
    """The tenants in plans that are kept, without those that neither Git nor a ledger has any more."""
    shown = set().union(*map(_tenants, kept.values()))
    paths = hub.repository.tree(commit).paths
    there = {path.split("/")[1] for path in paths if path.startswith("tenants/")}
    there |= {ref.removeprefix(REFS) for ref in hub.repository.refs(REFS)}
    return tuple(sorted(shown & there))


def _tenants(plan: Reviewed) -> set[str]:
    return {found["tenant"] for found in plan["tenants"]}


def _drop(kept: Kept, done: Result) -> None:
    """A plan is kept until all that it showed is made."""
    open_ = {t.tenant for t in done.tenants if t.not_done or t.result not in {"applied", "nothing"}}
    for file, plan in kept.items():
        if not open_ & _tenants(plan):
            file.unlink(missing_ok=True)


def _going_on(hub: Hub, done: Result) -> Result:
    """The result with the commands that go on from here: what was not shown is looked at first."""
    return done._replace(tenants=tuple(found._replace(rerun=_rerun(hub, found)) for found in done.tenants))


def _rerun(hub: Hub, found: TenantResult) -> str | None:
    folder = shlex.quote(str(hub.root))
    if found.result == "stale":
        return f"reconciler apply --estate {folder} --tenant {found.tenant}, which shows it and asks"
    left = found.rerun or found.result not in {"applied", "nothing", "refused"}
    return f"reconciler hook post-receive {folder}" if left else None
