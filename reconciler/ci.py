"""The pull-request flow: the plan is shown where it is reviewed, and what was reviewed is what gets applied.

    plan    of a pull request: providers and secrets from the commit before it, shown as comment, check and label
    apply   of the main branch's head: at most what was reviewed and approved, then what is due
    drift   of everything: an issue per tenant, closed when it is over

Each can be run again at any time and comes to the same: nothing is remembered between runs but in Git and at the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler import adopting, consulting, engine, reviewed
from reconciler.errors import InputError, ReconcilerError
from reconciler.forges import CHANGES, NOTHING, REFUSED, TAKES, Verdict
from reconciler.history import Repository
from reconciler.permit import Permit
from reconciler.reports import data, pulls
from reconciler.review import digest
from reconciler.tenant_files import is_tenant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.changes import Plan, TenantPlan
    from reconciler.consents import Consent
    from reconciler.forges import Forge, Pull, Reviewed
    from reconciler.request import Request
    from reconciler.results import Result

MERGES = 50  # merges before the head that are looked at for what was reviewed
_REMOVES = {"retire", "delete", "purge"}


class Allowed(NamedTuple):
    """What was reviewed: plans with what is approved of them, and {tenant: approvals that lack}."""

    plans: tuple[reviewed.Reviewed, ...]
    missing: Mapping[str, Sequence[Consent]]
    pulls: tuple[int, ...]


class Applied(NamedTuple):
    """What an apply of the head came to; `planned` is what there was to do."""

    planned: Plan
    result: Result
    allowed: Allowed


def plan(request: Request, forge: Forge, into: str) -> Plan:
    """The plan of a pull request, shown there. `into` is the commit that it would be merged into, where
    the host does not say so. Raises InputError, ForgeError.
    """
    repository, pull = Repository(request.root), forge.pull
    commit = repository.commit(request.revision)
    base, head = _base(repository, pull, commit, into), (pull.head if pull else "") or commit
    shown = pull if pull and not pull.foreign else None  # a fork's run may not write at the host
    if shown:
        forge.say(shown.number, "plan", pulls.planning(head))
    try:
        found = engine.plan(request._replace(revision=commit, trusted=base, changed_since=base))
        consents = consulting.consents(request.root, base, commit, data.plan(found))
    except InputError as error:
        text = pulls.stopped(error.findings, head, forge.limit)
        _show(forge, shown, Verdict(False, "cannot be planned", text, ""), REFUSED)  # noqa: FBT003
        raise
    asked = [consent for some in consents.values() for consent in some]
    text = pulls.plan(found, head, base, asked, forge.limit)
    good = not any(tenant.refused or tenant.unread for tenant in found.tenants)
    _show(forge, shown, Verdict(good, _title(found, asked), text, digest(found.tenants)), _label(found))
    return found


def _show(forge: Forge, pull: Pull | None, verdict: Verdict, label: str) -> None:
    forge.summary(verdict.text)
    if pull is not None:
        forge.say(pull.number, "plan", verdict.text)
        forge.judge(pull.head, verdict)
        forge.label(pull.number, label)


def _base(repository: Repository, pull: Pull | None, commit: str, into: str) -> str:
    """The reviewed commit that a change is planned on: providers and secrets are taken from there."""
    parents = repository.git("rev-list", "--parents", "-n1", commit).decode().split()[1:]
    if pull is not None and pull.head in parents[1:]:  # what the host would merge is checked out
        return parents[0]
    onto = repository.commit(into or (pull.base if pull else ""))
    found = repository.attempt("merge-base", onto, commit)
    if found.returncode:
        raise ReconcilerError(f"{commit[:12]} and {onto[:12]} have no history in common here: fetch all of it")
    return found.stdout.strip()


def _label(found: Plan) -> str:
    """The worst of what a plan does."""
    if any(tenant.refused or tenant.unread for tenant in found.tenants):
        return REFUSED
    changes = [change for tenant in found.tenants for change in tenant.changes]
    if any(change.action in _REMOVES for change in changes) or any(tenant.forgotten for tenant in found.tenants):
        return TAKES
    return CHANGES if changes else NOTHING


def _title(found: Plan, asked: Sequence[Consent]) -> str:
    number = sum(len(tenant.changes) for tenant in found.tenants)
    refused = sum(bool(tenant.refused) for tenant in found.tenants)
    parts = [f"{number} change{'' if number == 1 else 's'}" if number else "nothing to change"]
    parts += [f"{refused} tenant{'' if refused == 1 else 's'} refused"] if refused else []
    parts += ["needs an approval"] if asked else []
    return ", ".join(parts)


def apply(request: Request, forge: Forge, *, digests: tuple[str, ...], purges: bool) -> Applied:
    """Make of the head what was reviewed, or what has one of the digests; then what is due. Raises as `engine` does.

    Tenants end by themselves: one that differs from what was reviewed is stale, and the others go on.
    """
    planned = engine.plan(request)
    if digests:
        allowed, permit = Allowed((), {}, ()), Permit(digests=digests, due=True, purges=purges)
    else:
        allowed = _allowed(request, forge, planned)
        permit = Permit(plans=_every(allowed.plans, planned), due=True, purges=purges)
    return Applied(planned, engine.apply(request, planned, permit), allowed)


def _every(plans: Sequence[reviewed.Reviewed], planned: Plan) -> tuple[reviewed.Reviewed, ...]:
    """The plans, and an empty one: a tenant that has changes and is in none of them is stale, and not passed over."""
    waiting = [tenant.tenant for tenant in planned.tenants if tenant.changes]
    return (*plans, {"tenants": [{"tenant": name, "changes": [], "due": []} for name in waiting]})


def _allowed(request: Request, forge: Forge, planned: Plan) -> Allowed:
    """What was reviewed of what there is to do now, without what lacks an approval."""
    waiting = [tenant for tenant in planned.tenants if tenant.changes]
    if not waiting:
        return Allowed((), {}, ())
    commits = _merges(Repository(request.root), planned.commit, waiting)
    plans: list[reviewed.Reviewed] = []
    missing: dict[str, list[Consent]] = {}
    found = forge.reviewed(commits)
    for merged in found:
        for shown in reviewed.shown(merged.plan, merged.digest):
            plans += [_approved(request, merged, shown, missing)]
    return Allowed(tuple(plans), missing, tuple(merged.pull for merged in found))


def _merges(repository: Repository, head: str, tenants: Iterable[TenantPlan]) -> list[str]:
    """The commits of the main branch that one of the tenants was not applied at yet, the newest first."""
    bases = {tenant.applied_commit for tenant in tenants}
    found: dict[str, None] = {}
    for base in bases:
        span = [head] if base is None else [head, f"^{base}"]
        listed = repository.attempt("rev-list", "--first-parent", f"--max-count={MERGES}", *span, "--").stdout
        found |= dict.fromkeys(listed.split())
    return list(found)


def _approved(
    request: Request, merged: Reviewed, shown: reviewed.Reviewed, missing: dict[str, list[Consent]]
) -> reviewed.Reviewed:
    """A reviewed plan without what nobody approved who may; that is noted as missing."""
    if merged.approvals is None:
        return shown
    tenants = []
    try:
        needs = consulting.consents(request.root, merged.base, merged.commit, shown)
    except InputError:  # nobody can say who might approve it: it counts as not reviewed
        return {**shown, "tenants": []}
    for tenant in shown["tenants"]:
        lacking = [c for c in needs[tenant["tenant"]] if not c.given(merged.approvals, merged.authors)]
        if lacking:
            missing.setdefault(tenant["tenant"], []).extend(lacking)
        else:
            tenants.append(tenant)
    return {**shown, "tenants": tenants}


def tell(forge: Forge, done: Applied, log: str) -> None:
    """What came of it, beside the log, at the commit, and at the pull requests that brought it. Raises ForgeError."""
    result = done.result
    text = pulls.result(result, done.allowed.missing, log, forge.limit)
    forge.summary(text)
    if not forge.clocked or any(tenant.done for tenant in result.tenants):  # else it says what is said already
        good = all(tenant.result in {"applied", "nothing", "held"} for tenant in result.tenants)
        forge.tell(result.commit, good=good, text=text.splitlines()[1].removeprefix("## "))
    for number in dict.fromkeys(done.allowed.pulls):
        forge.say(number, "apply", text)


def drift(request: Request, forge: Forge) -> Plan:
    """What was changed outside Git, and since when; an issue per tenant. Raises as `engine` does, ForgeError."""
    found = engine.drift(request, record=True)
    open_, branches = forge.issues(), _adopting(request, found)
    for tenant in found.tenants:
        if not is_tenant(tenant.tenant) or tenant.stopped or tenant.unread:  # what is not known is not over
            continue
        if any(not drift.accepted for drift in tenant.drift) or any(r == "high" for _, r in tenant.unmanaged.listed):
            branch = branches.get(tenant.tenant, "")
            title, text = pulls.drift(tenant, branch, forge.compare(branch) if branch else "", forge.limit)
            if open_.get(tenant.tenant) != text:
                forge.report(tenant.tenant, title, text)
        elif tenant.tenant in open_:
            forge.close(tenant.tenant, f"Live is as Git says again, as of {found.read_at}.")
    return found


def _adopting(request: Request, found: Plan) -> dict[str, str]:
    """{tenant: the branch that takes its drift over into Git}."""
    return adopting.branches(
        request, found, lambda commit, tenants: engine.plan(request._replace(revision=commit, tenants=tenants))
    )
