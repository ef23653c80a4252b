"""The journal: what each run meant to do and what came of it, as commits on the tenants' ledger refs.

    intent     before a tenant's first write: every change with before and after, and who holds the tenant meanwhile
    outcome    afterwards: what became of each change (`run.json`); the ledger's lines moved on, the intent is gone

The open intent is the lock. It is taken by compare-and-swap on the very commit that the plan was made from; its holder
moves the ref every third of the lease, and stops writing once that fails. Whoever finds it open goes on at once where
the holder was a process of this host that is gone, after `unlock`, or after having watched the ref stand still for a
whole lease: nobody's clock is trusted. Commits of main are no parents of these: history of what was done, beside
history of what was said.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import __version__
from reconciler.compact import compact
from reconciler.errors import LedgerError
from reconciler.following import follow
from reconciler.holders import here
from reconciler.ledger import FILE, INTENT, INTENT_FORMAT, RUN, Ledger, Ledgers, advanced, claim, listed, noted, text
from reconciler.reports import data
from reconciler.review import tenant_digest
from reconciler.swap import Commit, Refs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.changes import Change, TenantPlan
    from reconciler.effects import Record
    from reconciler.errors import ReconcilerError
    from reconciler.history import Repository
    from reconciler.model import Address, Resource

RUN_FORMAT = "reconciler.run/1"
LEASE = 120  # seconds without a sign of life after which a holder counts as gone

Data = dict[str, Any]


class Run(NamedTuple):
    """One run of `apply`: its id, who runs it, the commit it applies, and by file or address who wrote that."""

    id: str
    actor: str
    commit: str
    authors: Mapping[str, tuple[str, str]]
    no_remote: str = ""  # why its journal is kept apart, if it is


class Journal:
    """The journal of some tenants' plans in one run. It holds those whose intent it wrote."""

    def __init__(self, repository: Repository, refs: Refs, run: Run, plans: Sequence[TenantPlan]) -> None:
        self._repository, self._ledgers, self._refs, self._run = repository, Ledgers(repository), refs, run
        self._began, self._holder = now(), here()
        self._plans = {plan.tenant: plan for plan in plans}
        self._tips = {plan.tenant: plan.tip for plan in plans}
        self._held: set[str] = set()
        self._told: dict[Address, tuple[Resource | None, Data]] = {}  # what an intent says of a change, and its aim
        self._signed = 0.0  # when the refs of what is held moved last, on this process's clock

    def begin(self, plans: Sequence[TenantPlan]) -> dict[str, ReconcilerError]:
        """Write the intents of plans that change something: {tenant: why it is not ours to change now}."""
        found = self._ledgers.read({plan.tenant: plan.tip for plan in plans if _moved(plan)}, FILE)
        unread = {tenant: ledger for tenant, ledger in found.items() if isinstance(ledger, LedgerError)}
        ready = [plan for plan in plans if plan.tenant not in unread]
        files = {plan.tenant: {**self._intent(plan), **_lines(plan, found.get(plan.tenant))} for plan in ready}
        message = f"intent: run {self._run.id}, {{}} changes\n"
        refused = self._write(
            [
                Commit(plan.tenant, plan.tip, message.format(len(plan.changes)), files[plan.tenant], plan.joins)
                for plan in ready
            ]
        )
        self._held |= {plan.tenant for plan in ready} - refused.keys()
        return unread | refused

    def lost(self) -> dict[str, ReconcilerError]:
        """Give a sign of life where it is time to: {tenant: why it is ours no more}. Ask before every write."""
        if not self._held or clock() - self._signed < LEASE / 3:
            return {}
        message = f"at work: run {self._run.id}\n"
        refused = self._write([Commit(tenant, self._tips[tenant], message, {}) for tenant in sorted(self._held)])
        self._held -= refused.keys()
        return refused

    def record(self, records: Sequence[Record]) -> dict[str, ReconcilerError]:
        """Write what came of it: {tenant: why that is not noted}; then the intent stays, and the next run looks."""
        ledgers = self._ledgers.read({record.tenant: self._tips[record.tenant] for record in records}, FILE)
        found: dict[str, ReconcilerError] = {}
        commits: list[Commit] = []
        for record in records:
            ledger = ledgers[record.tenant]
            if isinstance(ledger, LedgerError):
                found[record.tenant] = ledger
            else:
                commits.append(self._outcome(ledger, record))
        found |= self._write(commits)
        self._held -= {record.tenant for record in records}
        return found

    def _write(self, commits: Sequence[Commit]) -> dict[str, ReconcilerError]:
        if not commits:
            return {}
        began = clock()  # others may see it from now on
        try:
            tips, refused = self._refs.write(self._run.actor, commits)
        except LedgerError as error:
            tips, refused = {}, dict.fromkeys((commit.tenant for commit in commits), error)
        self._signed = began
        self._tips |= tips
        return refused

    def _intent(self, plan: TenantPlan) -> dict[str, bytes | None]:
        content = {
            "format": INTENT_FORMAT,
            **self._head(plan),
            "holder": self._holder,
            "lease": LEASE,
            "unlocked": None,
            "scopes": listed(plan.scopes),
            "changes": [{**self._change(change), "claim": claim(change)} for change in plan.changes],
        }
        return {INTENT: compact(content), RUN: None}

    def _outcome(self, ledger: Ledger, record: Record) -> Commit:
        plan = self._plans[record.tenant]
        lines = {**ledger.entries, **plan.settled}
        changes = [{**self._change(change), "result": "applied", "error": None} for change in record.done]
        changes += [{**self._change(change), "result": "not applied", "error": why} for change, why in record.failed]
        wrong = record.failed or any(proof.why for proof in record.proofs)
        content = {
            "format": RUN_FORMAT,
            **self._head(plan),
            "ended": now(),
            "base": ledger.applied,
            "result": "failed" if wrong else "applied",
            "changes": changes,
            **({"proofs": list(map(data.proof, record.proofs))} if record.proofs else {}),
            "steps": [data.step(step, lines.get(step.address), self._run.authors) for step in plan.steps],
        }
        after = advanced(follow(ledger, plan.names), record, self._run.commit)
        unseen = record.unseen and ledger.tip is not None
        left = unlocked(self._repository, str(ledger.tip), "itself, unable to look")[INTENT] if unseen else None
        message = f"applied {after.applied or 'in part'}: run {self._run.id}, {len(record.done)} changes\n"
        joins = plan.joins if ledger.tip == plan.tip else None
        return Commit(
            record.tenant, ledger.tip, message, {INTENT: left, FILE: text(after), RUN: compact(content)}, joins
        )

    def _head(self, plan: TenantPlan) -> Data:
        return {
            "run": self._run.id,
            "tenant": plan.tenant,
            "actor": self._run.actor,
            "began": self._began,
            "commit": self._run.commit,
            "digest": tenant_digest(plan),
            "version": __version__,
            "no_remote": self._run.no_remote or None,
            "settled": _settled(plan),
        }

    def _change(self, change: Change) -> Data:
        """What is said of a change; an outcome says it as the intent did, but for what was known only afterwards."""
        known = self._told.get(change.address)
        if known is None or known[0] is not change.aim:
            known = self._told[change.address] = change.aim, self._described(change)
        return known[1]

    def _described(self, change: Change) -> Data:
        """As the plan has it, and what Git alone knows of it besides: an owner, a reason."""
        shown = data.shown(change, self._run.authors)
        said = data.said(change.base, change.entry)
        local = {row.name for row in change.kind.attributes if row.local} if said else ()
        noted = {name: pair for name, pair in said.items() if name in local}
        return {**shown, "fields": {**shown["fields"], **noted}}


def _moved(plan: TenantPlan) -> bool:
    """Whether an intent moves the ledger's lines: those of a new one, renamed ones, and what a look came to."""
    return bool(plan.settled or plan.names or plan.tip is None)


def _lines(plan: TenantPlan, ledger: Ledger | LedgerError | None) -> dict[str, bytes | None]:
    """The ledger's lines as a look left them: the claims they come from are gone with the older intent."""
    if not isinstance(ledger, Ledger):
        return {}
    return {FILE: text(noted(follow(ledger, plan.names), plan.settled, plan.scopes))}


def _settled(plan: TenantPlan) -> Data | None:
    """What a look made of the intent that was found: which of its changes are there, and which by half."""
    if plan.unfinished is None:
        return None
    unclear = sorted(str(address) for address in plan.settled if address not in plan.made)
    return {"run": plan.unfinished.run, "made": sorted(map(str, plan.made)), "unclear": unclear}


def identity(repository: Repository) -> str:
    """Git's own identity as `Name <address>`, else login@host: nothing fails where Git has none."""
    said = repository.attempt("var", "GIT_COMMITTER_IDENT")
    if said.returncode:
        return f"{_login()} <{_login()}@{socket.gethostname()}>"
    name, _, rest = said.stdout.partition(" <")
    return f"{name} <{rest.partition('>')[0]}>"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        return f"uid{os.getuid()}"


def clock() -> float:
    """Seconds on this host's clock that nobody sets; where there is one, the time a host sleeps counts too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unlocked(repository: Repository, tip: str, who: str) -> dict[str, bytes | None]:
    """The intent at `tip` with its lock broken: what it claims stays, for whoever plans next to look at."""
    name = f"{tip}:{INTENT}"
    return {INTENT: compact({**json.loads(repository.objects([name])[name]), "unlocked": f"{who} at {now()}"})}
