"""What was selected is made: wave by wave, some dozens of tenants at a time, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import apply as applying
from reconciler import proof, runner
from reconciler.findings import in_order
from reconciler.handover import hand_over
from reconciler.journal import Journal
from reconciler.results import TenantResult, why
from reconciler.review import tenant_digest
from reconciler.session import CHUNK
from reconciler.waves import waves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.apply import Outcome
    from reconciler.changes import Change, TenantPlan
    from reconciler.journal import Run
    from reconciler.results import Verdict
    from reconciler.session import Session


def roll_out(session: Session, run: Run, ready: dict[str, TenantPlan], results: dict[str, TenantResult]) -> None:
    """Apply those that are ready, wave by wave; where `rollout` says so, what fails in a wave stops the ones after it.

    A tenant that could not even be read fails in its wave, too.
    """
    hand_over(session, run, ready, results)
    rollout = session.estate.agency.data.get("rollout")
    total, stopped = len(ready), ""
    for names in waves([*ready, *(name for name, found in results.items() if _failed(found))], rollout or {}):
        wave = [ready.pop(name) for name in names if name in ready]
        for start in range(0, 0 if stopped else len(wave), CHUNK):
            some = wave[start : start + CHUNK]
            results |= {result.tenant: result for result in _apply_wave(session, run, some)}
            session.request.progress(total - len(ready) - len(wave) + start + len(some), total)
        if stopped:
            results |= {found.tenant: _skipped(found, stopped) for found in wave}
        elif rollout is not None:
            stopped = next((name for name in names if _failed(results[name])), "")


def _failed(result: TenantResult) -> bool:
    return result.result == "failed"


def _skipped(planned: TenantPlan, because: str) -> TenantResult:
    error = f"not begun, for {because} failed in a wave before"
    missed, sha = why(planned, error), tenant_digest(planned)
    return TenantResult(
        planned.tenant, "skipped", not_done=missed, error=error, rerun=_rerun(planned.tenant), digest=sha
    )


def _apply_wave(session: Session, run: Run, wave: Sequence[TenantPlan]) -> Iterator[TenantResult]:
    journal = Journal(session.estate.repository, session.refs, run, wave)
    outcomes = runner.drive([applying.apply(p) for p in wave], session.world, journal)
    plans = {found.tenant: found for found in wave}
    return (_result(outcome, plans[outcome.tenant]) for outcome in outcomes)


def _result(outcome: Outcome, planned: TenantPlan) -> TenantResult:
    done, failed, held = tuple(outcome.done), tuple(outcome.failed), _held(planned)
    unseen = in_order(proof.findings(outcome.proofs, done))
    error = outcome.errors[0] if outcome.errors else failed[0][1] if failed else unseen[0].summary if unseen else None
    wrong = failed or unseen
    result: Verdict = "locked" if outcome.locked else "failed" if wrong else "applied" if done else "nothing"
    if result == "nothing" and held:
        result = "held"
    rerun = _rerun(outcome.tenant) if failed or held or outcome.locked else None
    sha = tenant_digest(planned)
    return TenantResult(outcome.tenant, result, done, (*failed, *held), error, rerun, sha, outcome.proofs, unseen)


def left(planned: TenantPlan) -> TenantResult:
    """Nothing is to be done now: nothing at all, or what is held is for later."""
    held, sha = _held(planned), tenant_digest(planned)
    if not held:
        return TenantResult(planned.tenant, "nothing", digest=sha)
    return TenantResult(planned.tenant, "held", not_done=held, rerun=_rerun(planned.tenant), digest=sha)


def _held(planned: TenantPlan) -> tuple[tuple[Change, str], ...]:
    return tuple((change, change.held) for change in (*planned.held, *planned.due) if change.held)


def _rerun(tenant: str) -> str:
    return f"reconciler apply --tenant {tenant} --yes"
