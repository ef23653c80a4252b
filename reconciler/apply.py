"""A plan as a generator of effects: what is to be done, one step at a time, and what each answer means.

Nothing here touches the world. A driver performs the effects and sends the answers back, so the real thing, a
simulator and a crash at every boundary run this same code. A failed change skips what depends on it; the rest goes
on. After an error nothing is repeated blindly: live is read again and each change is judged by what is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler import closed
from reconciler.diff import resolve
from reconciler.effects import Begin, Effect, Identify, Live, Proof, Prove, Read, Record, Write
from reconciler.errors import Conflict, Locked, Missing, ProviderError, ReconcilerError, Refused
from reconciler.looking import confirmed, has_shared, noted, reached, seen
from reconciler.model import MISSING, Address, Computed, Entry, Resource, Value, references
from reconciler.order import dependencies

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from reconciler.changes import Batch, Change, TenantPlan


_DEFINITE = (Refused, Missing, Conflict)  # errors that say that nothing was written


@dataclass(slots=True)
class Outcome:
    """What became of a tenant's changes: `failed` says why, and also holds what was skipped because of it.

    `errors` are the providers' own, also where a look then showed that the change was made all the same. `locked`:
    somebody else holds the tenant, and what is left is theirs.
    """

    tenant: str
    locked: bool = False
    done: list[Change] = field(default_factory=list)
    failed: list[tuple[Change, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    proofs: tuple[Proof, ...] = ()


def apply(plan: TenantPlan) -> Generator[Effect, Any, Outcome]:
    """Say what will be done, make the plan's changes, look, and note in the ledger what is confirmed."""
    work, begun = _Work(plan), False
    for batch in plan.batches:
        changes = work.possible(batch)
        if not changes:
            continue
        if not begun and (refused := (yield Begin(plan))):
            return work.given_up(refused)
        begun = True
        answer = yield from _written(work, batch._replace(changes=changes))
        if answer is not None:  # whoever plans next looks what we did: nothing is written any more
            return work.given_up(answer)
    yield from _looked(work)
    for name in sorted(plan.takes - {batch.provider for batch in plan.batches}):
        work.known(name, (yield Identify(name, plan.identities.get(name))))
    entries = {step.address: step.entry for step in plan.steps} | work.entries
    if entries or begun or plan.unfinished or plan.names or plan.joins or work.identities:
        unwritten = yield work.record(entries)
        if isinstance(unwritten, Locked) and not begun:
            return work.given_up(unwritten)
        if unwritten is not None:
            work.outcome.errors.append(f"{unwritten}; the next run looks what was made")
    return work.outcome


def _written(work: _Work, batch: Batch) -> Generator[Effect, Any, ReconcilerError | None]:
    """Write a batch, if the live system is still the one that was planned for; the error when it is ours no more."""
    seen = work.plan.identities.get(batch.provider)
    if not work.known(batch.provider, (yield Identify(batch.provider, seen))):
        work.barred(batch.changes)
        return None
    answer = yield Write(work.plan.tenant, batch)
    if isinstance(answer, ProviderError):
        work.doubt(batch.changes, answer)
    elif isinstance(answer, ReconcilerError):
        return answer
    else:
        work.written(batch.changes, answer)
    return None


def _looked(work: _Work) -> Generator[Effect, Any, None]:
    """Read again what was written, then see whether the world sees it."""
    touched = tuple(scope for scope in work.plan.scopes if (scope[0], scope[1].domain) in work.touched)
    if touched:
        work.look((yield Read(touched)))
    if published := work.published():
        work.outcome.proofs = yield Prove(work.plan.tenant, published)


@dataclass(slots=True)
class _Work:
    """What is known of a running apply."""

    plan: TenantPlan
    outcome: Outcome = field(init=False)
    before: Mapping[Address, set[Address]] | None = None
    computed: dict[Computed, Value] = field(default_factory=dict)
    unsure: dict[Address, tuple[Change, str]] = field(default_factory=dict)  # written or not: a look will tell
    failed: set[Address] = field(default_factory=set)
    entries: dict[Address, Entry | None] = field(default_factory=dict)
    touched: set[tuple[str, str]] = field(default_factory=set)
    foreign: set[Address] = field(default_factory=set)
    late: set[Address] = field(default_factory=set)  # where it is not there yet, it may be there later
    unseen: bool = False
    identities: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.plan.tenant)

    def given_up(self, why: ReconcilerError) -> Outcome:
        """Nothing more is written, and what was is for others to say."""
        failed = [(change, str(why)) for change in self.plan.changes]
        return Outcome(self.plan.tenant, isinstance(why, Locked), failed=failed, errors=[str(why)])

    def possible(self, batch: Batch) -> tuple[Change, ...]:
        """The batch's changes that depend on nothing that failed, with the values known by now."""
        found = []
        for change in batch.changes:
            blockers = self._blockers(change)
            aim = resolve(change.aim, self._known)
            if blockers or _waits(aim):
                names = ", ".join(sorted(map(str, blockers))) or "a value that is not known"
                self._fail(change, f"skipped: it needs {names}")
            else:
                found.append(change._replace(aim=aim))
        return tuple(found)

    def _blockers(self, change: Change) -> set[Address]:
        """What it needs and failed; what needs what is only worked out once something has."""
        if not self.failed:
            return set()
        if self.before is None:
            self.before = dependencies(self.plan.changes)
        return self.before[change.address] & self.failed

    def _known(self, reference: Computed) -> Value:
        return self.computed.get(reference, reference)

    def _fail(self, change: Change, why: str) -> None:
        self.failed.add(change.address)
        self.outcome.failed.append((change, why))

    def known(self, provider: str, answer: str | ProviderError) -> bool:
        """Whether it is the live system that the plan was made from."""
        if isinstance(answer, ProviderError):
            self.outcome.errors.append(str(answer))
            return False
        self.identities[provider] = answer
        return True

    def barred(self, changes: tuple[Change, ...]) -> None:
        """Nothing was written, and a look at another system would say nothing of these."""
        for change in changes:
            self._fail(change, self.outcome.errors[-1])

    def doubt(self, changes: tuple[Change, ...], error: ProviderError) -> None:
        """The provider gave an error: whatever depends on these waits, and a look will tell what happened."""
        self.outcome.errors.append(str(error))
        if isinstance(error, Conflict):  # nothing was written: what is there now is somebody else's
            self.foreign |= {change.address for change in changes}
        for change in changes:
            self.failed.add(change.address)
            self._unsure(change, str(error))
        if not isinstance(error, _DEFINITE):
            self.late |= {change.address for change in changes}

    def written(self, changes: tuple[Change, ...], answer: Mapping[Address, Mapping[str, Value]]) -> None:
        for address, values in answer.items():
            self.computed |= {Computed(address, name): value for name, value in values.items()}
        for change in changes:
            self._unsure(change, "written, but not there when read again")
            self.late.add(change.address)

    def _unsure(self, change: Change, why: str) -> None:
        self.unsure[change.address] = (change, why)
        self.touched.add((change.address.provider, change.domain))

    def published(self) -> tuple[Change, ...]:
        """What the world can be asked: record sets for which servers are named, who signs, who is let in no more."""
        return tuple(change for change in self.outcome.done if self._visible(change))

    def _visible(self, change: Change) -> bool:
        if change.kind.name == "record":
            return change.address.provider in self.plan.watched
        if change.kind.name == "mailbox":
            return closed.is_shut(change)
        return self.plan.probed and change.kind.name == "dkim_signing" and change.aim is not None

    def record(self, entries: Mapping[Address, Entry | None]) -> Record:
        """What is noted in the end."""
        made, plan = self.outcome, self.plan
        return Record(
            plan.tenant, entries, plan.scopes, tuple(made.done), tuple(made.failed), self.unseen, self.identities,
            bool(plan.held), made.proofs,
        )  # fmt: skip

    def look(self, live: Live) -> None:
        """Judge every change by what is there now."""
        found: dict[Address, Resource] = {}
        problems: dict[tuple[str, str], str] = {}
        for scope, answer in live.items():
            if isinstance(answer, ProviderError):
                problems[scope] = str(answer)
            else:
                found |= {resource.address: resource for resource in answer}
        for change, why in self.unsure.values():
            problem = problems.get((change.address.provider, change.domain))
            there = seen(change, found)
            if problem is None and reached(change, there):
                self.outcome.done.append(change)
                self.entries = noted(self.entries, change, confirmed(change, there))
            else:
                self._fail(change, why if problem is None else f"{why}; reading again: {problem}")
                started = self._claim(change, there)
                self.unseen |= problem is not None or (change.address in self.late and not started)

    def _claim(self, change: Change, live: Resource | None) -> bool:
        """What we made in part is ours: the ledger notes it as it is, so that the next run finishes it."""
        started = change.live is None and live is not None and change.address not in self.foreign
        if started and live is not None and change.entry is not None and not has_shared(change):
            there = {row.name: live.get(row.name) for row in change.kind.compared if row.name in change.entry.said}
            said = {name: value for name, value in {**change.entry.said, **there}.items() if value is not MISSING}
            self.entries[change.address] = change.entry._replace(said=said)
        return started


def _waits(resource: Resource | None) -> bool:
    values: Iterable[Value] = () if resource is None else resource.attributes.values()
    return any(map(references, values))
