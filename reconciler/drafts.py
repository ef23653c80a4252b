"""A few tenants at a time from documents to plans: compile, read the ledger, read live, compare; then look up lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import offline
from reconciler.changes import Change, Facts, Step, TenantPlan
from reconciler.claims import UNFINISHED
from reconciler.crossing import left
from reconciler.errors import LedgerError, ProviderError
from reconciler.findings import Origin, Rule, in_order
from reconciler.following import check, follow, names
from reconciler.handover import Moved, received, taken
from reconciler.identities import meet
from reconciler.ledger import Ledger
from reconciler.moving import clocks
from reconciler.mta_sts import enforcing
from reconciler.pausing import frozen, paused, put_back
from reconciler.plan import plan_tenant, scopes
from reconciler.review import tenant_digest
from reconciler.surveys import Wanted, survey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.compile import Compiled
    from reconciler.crossing import Left
    from reconciler.model import Entry
    from reconciler.session import Session
    from reconciler.surveys import Survey
    from reconciler.tenant_files import Tenant

REWRITTEN = Rule(
    "PL304",
    "error",
    "The ledger's history was rewritten",
    "Find out who did it and restore its ref from another clone; or, to take it as it is, delete the ref here.",
    why="Whoever rewrites it decides what counts as ours, and so what is overwritten or removed.",
)
AT_WORK = Rule(
    "PL308",
    "warning",
    "Somebody is at work on it",
    "Wait for it, `apply --wait SECONDS` does. If it will not come back, break its lock: `reconciler unlock`.",
    why="Two runs would write the same mailboxes, and what is planned now may not hold when the other one is done.",
)
UNSIGNED = Rule(
    "PL309",
    "error",
    "Nobody who may has signed for the ledger",
    "Find out who wrote it and restore its ref; or, if it is sound, sign it (docs/reference/files.md, `ledger`).",
    why="It may be from somebody who can push and may not apply, and it decides what is overwritten or removed.",
)
NO_LEDGER = Rule(
    "PL301",
    "error",
    "The ledger cannot be read",
    "Restore the ref from a backup or another clone.",
    why="Without it nobody knows what was ours: a change by hand cannot be told from one of Git's, nor a "
    "leftover from a stranger's.",
)


def plan_some(session: Session, names: Sequence[str]) -> list[tuple[Left, TenantPlan]]:
    """(what it leaves for checks over all of them, its plan) of some tenants, read together: one call per provider."""
    ledgers, facts = session.ledgers.read({name: session.tips.get(name) for name in names}), _facts(session)
    drafts = [_Draft(session, facts, *both, ledgers[both[1].tenant]) for both in session.compiled(names)]
    found = survey(session, [Wanted(d.compiled, d.ledger, d.asked, d.judged) for d in drafts])
    for draft in drafts:
        draft.facts = draft.facts._replace(seen=found.seen, unseen=found.unseen)
    return [(draft.left, draft.plan(own)) for draft, own in zip(drafts, found.surveys, strict=True)]


class _Draft:
    """A tenant on its way to a plan: compiled, its ledger read, its scopes known."""

    def __init__(
        self, session: Session, facts: Facts, tenant: Tenant, compiled: Compiled, ledger: Ledger | LedgerError
    ) -> None:
        self.session, self.tenant, self.compiled = session, tenant, compiled
        self.left = left(session, tenant, compiled)
        if isinstance(ledger, LedgerError):
            ledger = self._unreadable(ledger, Ledger(compiled.tenant))
        if compiled.tenant in session.unsigned:
            origin, tip = Origin("reconciler.yaml", line=1, column=1), session.unsigned[compiled.tenant]
            compiled.findings.append(UNSIGNED.at(compiled.tenant, f"Its last commit is {tip}.", origin))
        if compiled.tenant in session.rewritten:
            origin = Origin("reconciler.yaml", line=1, column=1)
            compiled.findings.append(REWRITTEN.at(compiled.tenant, f"{session.rewritten[compiled.tenant]}.", origin))
        self.names = names(ledger, session.estate.agency)
        compiled.findings += check(ledger, self.names, session.estate.agency)
        self.locked = session.locked(ledger) or session.locked(session.kept(compiled.tenant))
        self.joins = session.joins.get(compiled.tenant)
        if self.joins and not self.locked:
            ledger = self._joined(ledger, self.joins)
        self.own = frozenset(scope.domain for _, scope in ledger.scopes)
        self.given = session.gifts.get(compiled.tenant, [])
        self.ledger = ledger = taken(follow(ledger, self.names), self.given)
        moved = Moved(session, ledger, compiled.tenant)
        self.gives = moved.lines()
        self.facts = facts._replace(
            accept=session.accept(tenant), moved=moved.declared, clocks=clocks(session, compiled),
            inside=facts.inside - (compiled.elsewhere - session.estate.agency.inside),
        )  # fmt: skip
        self.stopped = any(f.severity == "error" and f.is_input for f in compiled.findings)
        self.asked = [] if self.stopped or moved.heir else scopes(compiled, ledger.reach, self.facts)
        self.judged = frozenset(name for name, _ in self.asked) - facts.read_only

    def plan(self, there: Survey) -> TenantPlan:
        if self.stopped:
            found = TenantPlan(self.compiled.tenant, findings=tuple(self.compiled.findings))
        else:
            ledger, facts = self.ledger, self.facts
            seen = {name: there.identities[name] for name in self.judged & there.identities.keys()}
            met = meet(ledger.identities, seen, facts)
            base, intent = met.base(ledger.entries), met.intent(ledger.intent)
            found = plan_tenant(self.compiled, base, met.live(there.live), self.asked, facts, intent)
            found = self._paused(met.completed(found, ledger.entries, facts))
        locked = self.locked
        if locked:  # it has not said what came of it, because it goes on
            others = [f for f in found.findings if f.code != UNFINISHED.code]
            origin = Origin(f"tenants/{found.tenant}/tenant.yaml", line=1, column=1)
            found = found._replace(findings=(*others, AT_WORK.at(found.tenant, f"{locked}.", origin)))
        found = received(found, self.given) if self.given and not self.stopped else found
        return self._located(
            found._replace(
                known=self.own, applied_commit=self.ledger.applied, tip=self.ledger.tip, locked=locked,
                names=self.names, gives=self.gives, joins=self.joins, sha=tenant_digest(found),
            )
        )  # fmt: skip

    def _joined(self, ledger: Ledger, tip: str) -> Ledger:
        """The ledger with what runs without the remote claim."""
        repository, tenant = self.session.estate.repository, self.compiled.tenant
        try:
            return ledger._replace(intent=offline.claims(repository, tenant, tip, ledger.tip, ledger.intent))
        except LedgerError as error:
            return self._unreadable(error, ledger)

    def _unreadable(self, error: LedgerError, instead: Ledger) -> Ledger:
        """What the tenant is planned with, which stops it."""
        origin = Origin(f"tenants/{instead.tenant}/tenant.yaml", line=1, column=1)
        self.compiled.findings.append(NO_LEDGER.at(instead.tenant, f"{error}.", origin))
        return instead

    def _paused(self, planned: TenantPlan) -> TenantPlan:
        """With what must wait marked; the journal is asked only where a freeze holds something."""
        found = paused(planned, self.compiled, self.facts)
        if not frozen(found) or self.ledger.tip is None:
            return found
        back = put_back(planned.changes, self.session.ledgers.earlier(planned.tenant, self.ledger.tip))
        return paused(planned, self.compiled, self.facts, back)

    def _located(self, found: TenantPlan) -> TenantPlan:
        """With the lines of changes, ledger lines and findings looked up, while the documents are at hand."""
        return found._replace(
            batches=tuple(b._replace(changes=tuple(map(self._change, b.changes))) for b in found.batches),
            todo=tuple(map(self._change, found.todo)),
            due=tuple(map(self._change, found.due)),
            steps=tuple(step._replace(entry=self._entry(step)) for step in found.steps),
            findings=in_order([f._replace(origin=self._origin(f.origin)) for f in found.findings]),
        )

    def _origin(self, origin: Origin | None) -> Origin:
        return self.session.estate.located(self.tenant, origin)

    def _change(self, change: Change) -> Change:
        origin, entry = self._origin(change.origin), change.entry
        if entry is not None and entry.file == origin.file:
            entry = entry._replace(line=origin.line)
        return change._replace(origin=origin, entry=entry)

    def _entry(self, step: Step) -> Entry | None:
        resource = self.compiled.state.get(step.address)
        if step.entry is None or resource is None:
            return step.entry
        return step.entry._replace(line=self._origin(resource.origin).line)


def _facts(session: Session) -> Facts:
    """What all tenants share: made once for a few dozen of them, as it names every domain of the estate."""
    agency, estate = session.estate.agency, session.estate
    kinds: dict[str, Mapping[str, frozenset[str]]] = {}
    cautions: dict[str, Mapping[str, str]] = {}
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
        domains=estate.domains,
        providers={name: side for name, (side, _) in agency.providers.items()},
        provider_kinds=kinds,
        cautions=cautions,
        read_only=frozenset(name for name, (_, s) in agency.providers.items() if s.get("read_only")),
        accept=(),
        enforce=session.request.enforce,
        released=agency.data.get("released", {}),
        rebuilt="all" in session.request.enforce,
        limits=agency.data.get("limits", {}),
        freezes=agency.data.get("freeze", ()),
        now=session.estate.now,
        enforcing=frozenset(enforcing(agency.servers)),
        watched=frozenset(session.systems.witnesses),
        probed="probe" in agency.data,
    )


def authors(session: Session, tenants: Sequence[TenantPlan]) -> dict[str, tuple[str, str]]:
    """{file: (commit, author)} of its last change since it was applied, for each file that a change or step comes from.

    A file that nobody touched changes what it says with the agency's files: then it is their last change.
    """
    by_base: dict[str | None, set[str]] = {}
    for tenant in tenants:
        files = {
            change.origin.file
            for change in (*tenant.changes, *tenant.todo)
            if change.origin is not None and change.origin.file
        }
        lines = (step.entry for step in tenant.steps if step.what == "settle")
        files |= {line.file for line in lines if line is not None and line.file}
        by_base.setdefault(tenant.applied_commit, set()).update(files)
    found: dict[str, tuple[str, str]] = {}
    for base, files in by_base.items():
        if files:
            asked = ["domain-templates", "reconciler.yaml", *sorted(files)]
            known = session.estate.repository.authors(base, session.estate.commit, asked)
            agency = next((known[file] for file in known if not file.startswith("tenants/")), None)
            found |= known | (dict.fromkeys(files - known.keys(), agency) if agency else {})
    return found
