"""READ ME FIRST. The program as short lists of calls: plan, apply (and validate, in `validation`).

    session     the estate's files at a commit, the ledgers, the day, the live systems
    compile     documents -> desired state             checks    what is wrong with it
    plan        three states -> changes in order       apply     the changes, then look again

The unit of work is the tenant: each is parsed, read, compared and ordered by itself, a few dozen at a time, in worker
processes above some hundred files. Nothing here prints.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reconciler import asked, importing, last_change, offline, past, rollback, seen
from reconciler.changes import Plan, TenantPlan
from reconciler.checks import limits
from reconciler.checks.acceptances import over_all
from reconciler.crossing import crossing
from reconciler.drafts import authors, plan_some
from reconciler.errors import LedgerError, StalePlan
from reconciler.findings import in_order
from reconciler.handover import alone, gifts
from reconciler.identities import begun, together
from reconciler.journal import Run, identity
from reconciler.known import marked
from reconciler.ledger import REFS, Ledger
from reconciler.pausing import going
from reconciler.quoting import quoted
from reconciler.reach import reach
from reconciler.removed import placed, removed
from reconciler.request import differing
from reconciler.results import Result, TenantResult, why
from reconciler.review import tenant_digest
from reconciler.rollout import left, roll_out
from reconciler.session import CHUNK, Session
from reconciler.widened import allowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.crossing import Left
    from reconciler.findings import Finding, Origin
    from reconciler.permit import Permit
    from reconciler.request import Request
    from reconciler.results import Import, Rollback


def plan(request: Request) -> Plan:
    """Desired against live: what would change, and why. Nothing is written. Raises InputError."""
    with differing(request) as differs, Session(request, fetch=True) as session:

        def job(names: Sequence[str]) -> list[tuple[Left, TenantPlan]]:
            return plan_some(session, names)

        parts = _handed(session, session.over_tenants(job))
        in_turn = sorted((found for _, found in parts), key=lambda found: found.tenant)
        moved = {found.tenant: {change.address.name for change in found.changes} for found in in_turn}
        between = crossing(session, [left for left, _ in parts], moved)
        tenants = _with(together(in_turn, _known(session, in_turn)), between)
        before = marked(session, {found.tenant: found.findings for found in tenants})
        tenants = [found._replace(findings=tuple(before[found.tenant])) for found in tenants]
        tenants = _with(tenants, _limited(session, tenants))
        tenants = asked.judged(session, tenants)
        tenants = _with(tenants, allowed(session, tenants))
        wide, accept = session.findings, session.agency_accept
        tenants, useless = over_all(tenants, wide, accept, session.today, whole=not request.tenants)
        if not request.worktree:
            tenants = rollback.naming(session.estate.repository, session.estate.commit, tenants)
        gone = removed(session, tenants)
        tenants = [placed(found, gone) for found in tenants]
        tenants = [found._replace(findings=quoted(session.estate, found.findings)) for found in tenants]
        written = {str(address): (commit, author) for address, (_, commit, author) in gone.items()}
        return Plan(
            commit=session.estate.commit,
            read_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            as_of=session.today,
            tenants=tuple(tenants),
            findings=quoted(session.estate, in_order([*session.findings, *session.estate.located_all(useless)])),
            authors=authors(session, tenants) | written,
            differing=tuple(differs()),
            worktree=request.worktree,
            resumes=past.resumed(session.estate.repository, tenants),
        )


def _with(tenants: Sequence[TenantPlan], more: Mapping[str, Sequence[Finding]]) -> list[TenantPlan]:
    """The plans with more findings."""
    return [found._replace(findings=in_order([*found.findings, *more.get(found.tenant, ())])) for found in tenants]


def _handed(session: Session, parts: list[tuple[Left, TenantPlan]]) -> list[tuple[Left, TenantPlan]]:
    """The plans, made once more where a tenant gets lines of another one's ledger: with all that is known of them."""
    plans = [found for _, found in parts]
    wrong: dict[str, list[Finding]] = {}
    for tenant, finding in alone(session, plans):
        wrong.setdefault(tenant, []).append(finding)
    session.gifts = gifts(session, plans)
    asked = sorted(session.gifts.keys() & set(session.names))
    again = {found.tenant: (left, found) for left, found in (plan_some(session, asked) if asked else ())}
    both = (again.get(found.tenant, (left, found)) for left, found in parts)
    return [(left, p._replace(findings=(*p.findings, *wrong.get(p.tenant, ())))) for left, p in both]


def _known(session: Session, tenants: Sequence[TenantPlan]) -> dict[str, Origin]:
    """{provider: where it stands} of what would be begun anew, though ledgers of tenants not asked for know it."""
    fresh = begun(tenants) - session.estate.agency.data.get("released", {}).keys()
    if not fresh or not session.request.tenants or "all" in session.request.enforce:
        return {}
    tips = {name: tip for name, tip in session.ledgers.both(())[REFS].items() if name not in session.names}
    ledgers = session.ledgers.read(session.vouched(dict(list(tips.items())[:CHUNK])))
    held = {name for ledger in ledgers.values() if isinstance(ledger, Ledger) for name in ledger.identities}
    return {
        name: session.estate.place(("providers", session.estate.agency.providers[name][0], name))
        for name in fresh & held
    }


def _limited(session: Session, tenants: Sequence[TenantPlan]) -> dict[str, list[Finding]]:
    """{tenant: findings} of what all plans come to together."""
    agency = session.estate.agency.data
    removed = {found.tenant: found.removed for found in tenants}
    reached = reach(session, tenants) if "fan_out" in agency.get("limits", {}) else {}
    found: dict[str, list[Finding]] = {}
    for tenant, finding in limits.over_all(removed, reached, agency, session.today):
        found.setdefault(tenant, []).extend(session.estate.located_all([finding]))
    return found


def drift(request: Request, *, record: bool) -> Plan:
    """What was changed outside Git; with `record` since when, which is kept. Raises InputError, LedgerError."""
    found = plan(request)
    if not record:
        return found
    with Session(request) as session:
        return seen.record(session.estate.repository, session.refs.remote, found)


def import_drift(request: Request, addresses: Sequence[str], branch: str) -> Import:
    """The drift of some addresses (none: all that nobody accepted) in YAML, on a branch. Raises as `roll_back` does."""
    found = plan(request)
    with Session.asking(request, fetch=True) as session:
        return importing.make(
            session, found, addresses, branch or f"import-drift-{found.as_of}",
            lambda commit, tenants: plan(request._replace(revision=commit, tenants=tenants)),
        )  # fmt: skip


def apply(request: Request, planned: Plan, permit: Permit) -> Result:
    """Make it so, tenant by tenant, some dozens at a time, as far as `permit` allows.

    A tenant whose plan is not what was reviewed is stale and is not touched. Raises InputError, LedgerError.
    """
    results: dict[str, TenantResult] = {}
    ready: list[TenantPlan] = []
    for found in planned.tenants:
        verdict = _verdict(found) or _selected(planned, found, permit)
        if isinstance(verdict, TenantResult):
            results[found.tenant] = verdict
        else:
            ready.append(verdict)
    with Session(request._replace(revision=planned.commit)) as session:
        who = identity(session.estate.repository)
        run = Run(os.urandom(6).hex(), who, planned.commit, planned.authors, request.no_remote)
        if request.no_remote:
            ready = _apart(session, ready, results)
        roll_out(session, run, {found.tenant: found for found in ready}, results)
        if len(ready) > CHUNK:  # each chunk leaves two packs: with one index Git need not open them one by one
            session.estate.repository.attempt("multi-pack-index", "write")
    return Result(run.id, planned.commit, tuple(results[found.tenant] for found in planned.tenants))


def _apart(session: Session, ready: Sequence[TenantPlan], results: dict[str, TenantResult]) -> list[TenantPlan]:
    """Those that may go on without the remote: others are at work on a tenant whose intent was seen open last."""
    tips = session.ledgers.both([found.tenant for found in ready])[REFS] if ready else {}
    seen = session.ledgers.read(tips)
    open_ = {tenant for tenant, ledger in seen.items() if isinstance(ledger, LedgerError) or ledger.intent}
    error = "its intent was open when the remote answered last: somebody may be at work on it"
    for found in ready:
        if found.tenant in open_:
            results[found.tenant] = TenantResult(found.tenant, "locked", not_done=why(found, "locked"), error=error)
    free = [found for found in ready if found.tenant not in open_]
    offline.begin(session.estate.repository, free)
    return free


def log(request: Request, limit: int) -> tuple[list[dict[str, Any]], LedgerError | None]:
    """The newest runs, and of which ledgers nothing is told. Raises InputError, LedgerError."""
    with Session.asking(request, fetch=True) as session:
        return past.log(session, limit), _unsigned(session)


def _unsigned(session: Session) -> LedgerError | None:
    """Which ledgers nobody who may has signed for: nothing of theirs is told, nor signed on top of."""
    if not session.unsigned:
        return None
    return LedgerError(f"nobody who may has signed for the ledger of {', '.join(sorted(session.unsigned))}")


def history(request: Request, name: str) -> tuple[list[dict[str, Any]], LedgerError | None]:
    """Every change to a name, the newest first, and of which ledgers nothing is told. Raises as `log` does."""
    with Session.asking(request, fetch=True) as session:
        return last_change.undone(session.estate.repository, past.history(session, name)), _unsigned(session)


def roll_back(request: Request, target: str, branch: str) -> Rollback:
    """The revert of a run or a commit on a branch, and what it would do. Raises InputError, ReconcilerError."""
    with Session.asking(request, fetch=True) as session:
        return rollback.make(session, target, branch, lambda commit: plan(request._replace(revision=commit)))


def unlock(request: Request, tenant: str, run: str) -> str:
    """Break a lock; gives who held it. Raises InputError, LedgerError, Locked."""
    with Session(request._replace(tenants=(tenant,)), fetch=True) as session:
        if missing := _unsigned(session):
            raise missing
        return past.unlock(session, tenant, run)


def waited(request: Request, seconds: float) -> Request:
    """The request once nobody is at work on its tenants, or the time is up; with the locks that were seen abandoned."""
    with Session(request) as session:
        return request._replace(broken=past.watch(session, seconds))


def _selected(whole: Plan, planned: TenantPlan, permit: Permit) -> TenantPlan | TenantResult:
    """What of a tenant's plan is made, or why nothing is."""
    try:
        chosen = going(permit.select(whole, planned))
    except StalePlan as stale:
        return TenantResult(planned.tenant, "stale", not_done=why(planned, str(stale)), digest=tenant_digest(planned))
    noted = chosen.unfinished or chosen.takes or chosen.names or chosen.joins
    if not chosen.changes and not chosen.steps and not noted:
        return left(chosen)
    return chosen


def _verdict(planned: TenantPlan) -> TenantResult | None:
    """Why a tenant cannot be applied at all, or None."""
    sha = tenant_digest(planned)
    if planned.refused:
        return TenantResult(planned.tenant, "refused", not_done=why(planned, "refused"), digest=sha)
    if planned.unread:
        error = "; ".join(f"{unread.provider}: {unread.error}" for unread in planned.unread)
        return TenantResult(planned.tenant, "failed", not_done=why(planned, "not read"), error=error, digest=sha)
    if planned.locked:
        return TenantResult(planned.tenant, "locked", not_done=why(planned, "locked"), error=planned.locked, digest=sha)
    return None
