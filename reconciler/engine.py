"""READ ME FIRST. The program as short lists of calls: validate, plan, apply.

    estate      the files at a commit              compile   documents -> desired state
    world       what the providers say is there    ledger    what was ours
    plan        three states -> changes in order   apply     the changes, then look again

The unit of work is the tenant: each is parsed, read, compared and ordered by itself, a few dozen at a time, in worker
processes above some hundred files. Nothing here prints, and no other module knows what day it is.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from reconciler import apply as applying
from reconciler import runner
from reconciler.compile import Compiled
from reconciler.errors import LedgerError, ProviderError
from reconciler.estate import Estate, Tenant
from reconciler.ledger import Ledger, Ledgers
from reconciler.model import Change, Facts, Finding, Origin, Plan, Rule, TenantPlan
from reconciler.plan import plan_tenant, scopes
from reconciler.review import digest, tenant_digest

if TYPE_CHECKING:
    from reconciler.apply import Outcome, Record
    from reconciler.runner import World

CHUNK = 40  # tenants read, compared and applied together: enough to save round trips, few enough to stay small
PARALLEL_FILES = 300  # below, starting worker processes costs more than it saves

NO_LEDGER = Rule("PL301", "error", "The ledger cannot be read", "Restore the ref from a backup or another clone.")
NO_SUCH_TENANT = Rule("IN305", "error", "No such tenant", "See the folders under tenants/.")

Progress = Callable[[int, int], None]
Verdict = Literal["applied", "nothing", "refused", "stale", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a command asks for; empty `tenants` means all of them."""

    root: Path
    revision: str = "HEAD"
    worktree: bool = False
    tenants: tuple[str, ...] = ()
    progress: Progress = lambda _done, _total: None


@dataclass(frozen=True, slots=True)
class Checked:
    """What `validate` found."""

    commit: str
    findings: tuple[Finding, ...]
    tenants: int
    differing: tuple[str, ...] = ()  # files that were read and that the working tree has otherwise


@dataclass(frozen=True, slots=True)
class TenantResult:
    """What became of a tenant. `not_done` pairs each change with why; `rerun` is the command that goes on."""

    tenant: str
    result: Verdict
    done: tuple[Change, ...] = ()
    not_done: tuple[tuple[Change, str], ...] = ()
    error: str | None = None
    rerun: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What an apply did."""

    run: str
    commit: str
    tenants: tuple[TenantResult, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """One command's view of the world: the estate, the ledgers' tips, the day, the open providers."""

    request: Request
    estate: Estate
    ledgers: Ledgers
    tips: Mapping[str, str]
    world: World
    today: str
    names: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)


def validate(request: Request) -> Checked:
    """Files, schemas and checks of the declared state; no live system is contacted. Raises InputError."""
    session = _open(request)

    def job(names: Sequence[str]) -> list[Finding]:
        return [finding for name in names for finding in _compiled(session, name)[1].findings]

    found = [*session.findings, *(f for part in _over_tenants(session, job) for f in part)]
    _close(session)
    return Checked(session.estate.commit, _sorted(found), len(session.names), _differing(session))


def plan(request: Request) -> Plan:
    """Desired against live: what would change, and why. Raises InputError."""
    session = _open(request)

    def job(names: Sequence[str]) -> list[TenantPlan]:
        return _plan_some(session, names)

    tenants = sorted((p for part in _over_tenants(session, job) for p in part), key=lambda p: p.tenant)
    authors = _authors(session, tenants)
    _close(session)
    read_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    findings = _sorted(session.findings)
    return Plan(session.estate.commit, read_at, session.today, tuple(tenants), findings, authors, _differing(session))


def apply(request: Request, planned: Plan, allowed: Sequence[str] | None) -> Result:
    """Make it so, tenant by tenant. `allowed` are digests of what was reviewed; None means the whole plan.

    A tenant whose plan is not among the allowed is stale and is not touched. Raises InputError.
    """
    session = _open(request)
    everything = allowed is None or digest(planned.tenants) in allowed
    results = [_verdict(p, allowed=everything or tenant_digest(p) in (allowed or ())) for p in planned.tenants]
    todo = [p for p, result in zip(planned.tenants, results, strict=True) if result is None]
    for start in range(0, len(todo), CHUNK):
        wave = todo[start : start + CHUNK]
        done = {r.tenant: r for r in _apply_wave(session, planned, wave)}
        results = [result or done.get(p.tenant) for p, result in zip(planned.tenants, results, strict=True)]
        request.progress(start + len(wave), len(todo))
    _close(session)
    return Result(secrets.token_hex(6), planned.commit, tuple(result for result in results if result is not None))


# ---------------------------------------------------------------------- one session


def _open(request: Request) -> Session:
    estate = Estate(request.root, request.revision, worktree=request.worktree)
    ledgers = Ledgers(estate.repository)
    tips = ledgers.tips()
    known = sorted({*estate.tenants, *tips})
    findings = list(estate.findings)
    for name in request.tenants:
        if name not in known:
            findings.append(NO_SUCH_TENANT.at(name, f"There is no tenants/{name}.", Origin("tenants", line=1, column=1)))
    names = tuple(name for name in known if not request.tenants or name in request.tenants)
    zone = ZoneInfo(estate.agency.data.get("timezone", "UTC"))
    today = datetime.now(zone).date().isoformat()
    return Session(
        request, estate, ledgers, tips, runner.World(estate.agency, request.root), today, names, findings
    )


def _close(session: Session) -> None:
    session.world.close()
    session.estate.close()


def _over_tenants(session: Session, job: Callable[[Sequence[str]], list[Any]]) -> Iterator[list[Any]]:
    """The job over all tenants asked for, with progress; in worker processes where there is enough to do."""
    files = sum(len(session.estate.tenants.get(name, ())) for name in session.names)
    workers = min(os.cpu_count() or 1, 8) if files > PARALLEL_FILES else 1
    done = 0
    for part in runner.spread(job, session.names, size=CHUNK, workers=workers):
        done = min(done + CHUNK, len(session.names))
        session.request.progress(done, len(session.names))
        yield part


def _differing(session: Session) -> tuple[str, ...]:
    if session.request.worktree or session.request.revision != "HEAD":
        return ()
    tenants = [f"tenants/{name}" for name in session.request.tenants] or ["tenants"]
    return tuple(session.estate.repository.changed_in_worktree(["reconciler.yaml", "domain-templates", *tenants]))


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (f.origin.file, f.origin.line, f.origin.column, f.code, f.subject)))


# ---------------------------------------------------------------------- planning


def _compiled(session: Session, name: str) -> tuple[Tenant, Compiled]:
    """A tenant's documents and desired state, its findings with their lines looked up."""
    tenant = session.estate.tenant(name) if name in session.estate.tenants else Tenant(_gone(name))
    compiled = session.estate.compile(tenant) if name in session.estate.tenants else Compiled(name)
    compiled.findings = [
        replace(finding, origin=session.estate.located(tenant, finding.origin)) for finding in compiled.findings
    ]
    return tenant, compiled


def _gone(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from reconciler.compile import Files

    return Files(name)


def _plan_some(session: Session, names: Sequence[str]) -> list[TenantPlan]:
    """The plans of a few tenants, read together."""
    drafts = [_Draft(session, name) for name in names]
    live = session.world.read({pair: None for draft in drafts for pair in draft.asked})
    return [draft.plan(live) for draft in drafts]


class _Draft:
    """A tenant on its way to a plan: compiled, its ledger read, its scopes known."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.tenant, self.compiled = _compiled(session, name)
        self.facts = _facts(session, self.tenant)
        self.ledger, self.asked = Ledger(name), list(self.compiled.scopes)
        try:
            self.ledger = session.ledgers.read(name, session.tips.get(name))
        except LedgerError as error:
            origin = Origin(f"tenants/{name}/tenant.yaml", line=1, column=1)
            self.compiled.findings.append(NO_LEDGER.at(name, f"{error}.", origin))
        self.stopped = any(f.severity == "error" and _stops(f) for f in self.compiled.findings)
        self.asked = [] if self.stopped else scopes(self.compiled, self.ledger.scopes, self.facts)

    def plan(self, live: applying.Live) -> TenantPlan:
        if self.stopped:
            found = TenantPlan(self.compiled.tenant, findings=tuple(self.compiled.findings))
        else:
            found = plan_tenant(self.compiled, self.ledger.entries, live, self.asked, self.facts)
        return replace(self._located(found), applied_commit=self.ledger.applied)

    def _located(self, found: TenantPlan) -> TenantPlan:
        """With the lines of changes and findings looked up, while the documents are at hand."""
        batches = tuple(
            replace(batch, changes=tuple(self._change(change) for change in batch.changes)) for batch in found.batches
        )
        findings = [replace(f, origin=self.session.estate.located(self.tenant, f.origin)) for f in found.findings]
        return replace(found, batches=batches, findings=_sorted(findings))

    def _change(self, change: Change) -> Change:
        origin = self.session.estate.located(self.tenant, change.origin)
        entry = change.entry
        if entry is not None and entry.file == origin.file:
            entry = replace(entry, line=origin.line)
        return replace(change, origin=origin, entry=entry)


def _stops(finding: Finding) -> bool:
    """Bad input stops its tenant; what a check refuses is still planned and shown."""
    return finding.code.startswith("IN") or finding.code == NO_LEDGER.code


def _facts(session: Session, tenant: Tenant) -> Facts:
    agency, estate = session.estate.agency, session.estate
    kinds, cautions = {}, {}
    for name in agency.providers:
        try:
            provider = session.world.provider(name)
        except ProviderError:
            continue  # reading it says the same, where the tenant needs it
        kinds[name], cautions[name] = provider.kinds, provider.cautions
    return Facts(
        today=session.today,
        commit=estate.commit,
        inside=agency.inside | estate.domains.keys(),
        domains=frozenset(estate.domains),
        providers={name: side for name, (side, _) in agency.providers.items()},
        provider_kinds=kinds,
        cautions=cautions,
        read_only=frozenset(name for name, (_, s) in agency.providers.items() if s.get("read_only")),
        accept=[*agency.data.get("accept", ()), *tenant.files.control.get("accept", ())],
    )


def _authors(session: Session, tenants: Sequence[TenantPlan]) -> dict[str, tuple[str, str]]:
    """Who last changed each file that a change comes from, since it was last applied."""
    by_base: dict[str | None, set[str]] = {}
    for tenant in tenants:
        files = {change.origin.file for change in tenant.changes if change.origin is not None and change.origin.file}
        by_base.setdefault(tenant.applied_commit, set()).update(files)
    found: dict[str, tuple[str, str]] = {}
    for base, files in by_base.items():
        if files:
            found |= session.estate.repository.authors(base, session.estate.commit, sorted(files))
    return found


# ---------------------------------------------------------------------- applying


def _verdict(planned: TenantPlan, *, allowed: bool) -> TenantResult | None:
    """Why a tenant is not applied, or None when it is."""
    sha = tenant_digest(planned)
    if planned.refused:
        return TenantResult(planned.tenant, "refused", not_done=_why(planned, "refused"), digest=sha)
    if planned.unread:
        error = "; ".join(f"{unread.provider}: {unread.error}" for unread in planned.unread)
        return TenantResult(planned.tenant, "failed", not_done=_why(planned, "not read"), error=error, digest=sha)
    if not allowed:
        return TenantResult(planned.tenant, "stale", not_done=_why(planned, "not what was reviewed"), digest=sha)
    if not planned.changes and not planned.steps:
        return TenantResult(planned.tenant, "nothing", digest=sha)
    return None


def _why(planned: TenantPlan, reason: str) -> tuple[tuple[Change, str], ...]:
    return tuple((change, reason) for change in planned.changes)


def _apply_wave(session: Session, planned: Plan, wave: Sequence[TenantPlan]) -> Iterator[TenantResult]:
    ledgers = {p.tenant: session.ledgers.read(p.tenant, session.tips.get(p.tenant)) for p in wave}

    def record(records: list[Record]) -> None:
        session.ledgers.write([(ledgers[r.tenant], r) for r in records], planned.commit)

    outcomes = runner.drive([applying.apply(p) for p in wave], session.world, record)
    return map(_result, outcomes)


def _result(outcome: Outcome) -> TenantResult:
    if not outcome.failed:
        return TenantResult(outcome.tenant, "applied" if outcome.done else "nothing", tuple(outcome.done))
    error = outcome.failed[0][1]
    rerun = f"reconciler apply --tenant {outcome.tenant} --yes"
    return TenantResult(outcome.tenant, "failed", tuple(outcome.done), tuple(outcome.failed), error, rerun)
