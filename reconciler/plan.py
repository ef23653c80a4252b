"""One tenant's three states -> its plan: compare everything, hold back what cannot be done, put the rest in order.

Pure: what was read, what the ledger says and which day it is come in as arguments.
"""

from __future__ import annotations

from graphlib import CycleError
from typing import TYPE_CHECKING

from reconciler import stages
from reconciler.changes import Batch, Change, Facts, Step, TenantPlan, Unmanaged, Waiting
from reconciler.checks import acceptances, incidents, ladder, limits, planned, removals
from reconciler.checks.planned import Compared
from reconciler.claims import Settled, settle
from reconciler.comparing import Draft, compare_all, present
from reconciler.errors import ProviderError
from reconciler.findings import Finding, Origin, Rule, accepted
from reconciler.holding import hold_back
from reconciler.kinds import kinds
from reconciler.order import CYCLE, batches, cycle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.changes import Intent
    from reconciler.compile import Compiled
    from reconciler.effects import Live
    from reconciler.model import Address, Entry, Resource, Scope, State

DROPPED = Rule(
    "PL221",
    "error",
    "A move between tenants would drop something",
    "Move the domain as it is, apply, and take things out in the next merge.",
    why="It would be in nobody's ledger: a mailbox or a key that goes on working and that nobody looks after.",
)
NO_PROVIDER = Rule(
    "PL218",
    "error",
    "The ledger names a provider that is not configured",
    "Add it back under `providers` in reconciler.yaml.",
    why="What was made there is neither read nor changed: mailboxes go on that nobody looks after.",
)

FIRST = Rule(
    "PL209",
    "info",
    "First plan of this tenant",
    "The ledger is empty: equal things are adopted, nothing is removed.",
    why="What was ours is not known yet: what Git has left out until now stays live, and somebody must find it.",
)


def scopes(compiled: Compiled, known: Sequence[tuple[str, Scope]], facts: Facts) -> list[tuple[str, Scope]]:
    """What is to be read for a tenant: the domains of Git and of the ledger, but for what is let go.

    Let go are sides that Git now calls not ours, and domains that another tenant holds now.
    """
    wanted = {(provider, scope.domain) for provider, scope in compiled.scopes}
    sides = {(facts.providers.get(provider), scope.domain) for provider, scope in compiled.scopes}
    extra = [
        (provider, scope)
        for provider, scope in known
        if (provider, scope.domain) not in wanted
        and provider in facts.providers
        and facts.domains.get(scope.domain, compiled.tenant) == compiled.tenant
        and (not _declared(scope.domain, compiled, facts) or (facts.providers[provider], scope.domain) in sides)
    ]
    return [*compiled.scopes, *extra]


def _declared(domain: str, compiled: Compiled, facts: Facts) -> bool:
    """Whether the tenant has a file for it and does not take it out: a side that it does not name is let go."""
    return facts.domains.get(domain) == compiled.tenant and domain not in compiled.rules.leaving


def plan_tenant(
    compiled: Compiled, base: Mapping[Address, Entry], live: Live, asked: Sequence[tuple[str, Scope]], facts: Facts,
    unfinished: Intent | None = None,
) -> TenantPlan:  # fmt: skip
    """The plan of one tenant whose documents are sound. `asked` are the scopes that `live` answers.

    `unfinished` is the word of a run that did not say what came of it: a look at live does.
    """
    draft = Draft()
    there = present(live, asked, facts, draft)
    wanted = {(provider, scope.domain) for provider, scope in asked}
    read = {key for key in wanted if not isinstance(live[key], ProviderError)}
    settled = settle(unfinished, compiled.tenant, base, there, read) if unfinished else Settled({})
    base = settled.over(base)
    read = _whole(compiled.tenant, base, there, read, facts, draft)
    compare_all(compiled, base, there, read, facts, draft)
    _let_go(base, wanted, facts, draft)
    drift = tuple(draft.drift)
    whole = [(provider, scope) for provider, scope in asked if (provider, scope.domain) in read]
    compared = Compared(
        compiled.state, base, there, draft.changes, draft.unmanaged, drift, whole, compiled.rules.retiring,
        draft.was, compiled.ended,
    )  # fmt: skip
    draft.findings += [*planned.check(compared, facts), *ladder.check(compared, facts)]
    draft.findings += [*incidents.check(compared), *_first(compiled, base)]
    stages.hold(draft, base, there, facts)
    gone = {d.address for d in drift if d.field == "exists"} & compiled.state.keys()
    draft.changes, later, draft.todo = hold_back(draft.changes, there, gone, facts.read_only)
    draft.later += later
    _leave_occupied(draft)
    draft.due = _hold_due(draft, there, gone, facts)
    compared = compared._replace(changes=draft.changes)
    removed = limits.taken(compared, _not_in_stages(draft.steps, compiled, base), read, facts)
    draft.findings += [*_takes(compiled.tenant, compared, removed, draft.due, facts), *settled.check(draft.changes)]
    steps = settled.beside(draft.steps)
    finished = _finished(compiled, draft, asked, facts)._replace(drift=drift, steps=steps, removed=len(removed))
    finished = finished._replace(unfinished=unfinished, settled=settled.entries, made=settled.made)
    return acceptances.judged(finished, compiled.rules.accept, facts.today)


def _finished(compiled: Compiled, draft: Draft, asked: Sequence[tuple[str, Scope]], facts: Facts) -> TenantPlan:
    """The draft in order, with what somebody accepted."""
    ordered = _ordered(draft.changes, asked, draft)
    return TenantPlan(
        tenant=compiled.tenant,
        batches=ordered,
        due=tuple(draft.due),
        todo=draft.todo,
        later=tuple(sorted(draft.later, key=lambda waiting: waiting.address)),
        unmanaged=_unmanaged(draft.unmanaged, facts),
        unread=tuple(draft.unread),
        findings=(*compiled.findings, *accepted(draft.findings, facts.accept, facts.today)),
        scopes=tuple(asked),
        accept=compiled.rules.accept,
        watched=facts.watched,
        probed=facts.probed,
    )


def _whole(
    tenant: str, base: Mapping[Address, Entry], there: State, read: set[tuple[str, str]], facts: Facts, draft: Draft
) -> set[tuple[str, str]]:
    """What was read and can be believed; somebody who says that a system was rebuilt believes it."""
    if facts.rebuilt:
        return read
    short = list(limits.short(tenant, base, there, read, facts))
    believed = [found for _, found in short if limits.is_lifted(found, facts)]
    doubted = [unread for unread, found in short if found not in believed]
    draft.findings += believed
    draft.unread += doubted
    return {key for key in read if key[0] not in {unread.provider for unread in doubted}}


# ---------------------------------------------------------------------- holding back, ordering


def _leave_occupied(draft: Draft) -> None:
    """What is to be put back where somebody has put something else meanwhile waits for a person's word."""
    # What leads to itself alone is what a removed mailbox leaves: PostfixAdmin has such a row for each.
    others = [thing for thing in draft.unmanaged if thing.get("to") != (thing.address.name,)]
    taken = {change.address: other for change, other in planned.occupied(draft.due, others)}
    draft.later += [Waiting(a, "create", None, f"its place is taken by {taken[a]}") for a in sorted(taken)]
    draft.due = [change for change in draft.due if change.address not in taken]


def _hold_due(
    draft: Draft, there: Mapping[Address, Resource], gone: AbstractSet[Address], facts: Facts
) -> list[Change]:
    """The due changes that can be made, in order; those that must wait are listed as later."""
    declared = {change.address for change in draft.changes}
    alone = [change for change in draft.due if change.address not in declared]
    back = gone - {change.address for change in alone}
    free, later, _ = hold_back([*draft.changes, *alone], there, back, facts.read_only)
    made = {change.address for change in free}
    draft.later += [waiting for waiting in later if waiting.address not in declared]
    return sorted((c for c in draft.due if c.address in made), key=lambda change: change.address)


def _first(compiled: Compiled, base: Mapping[Address, Entry]) -> Iterator[Finding]:
    if not base and compiled.state:
        yield FIRST.at(compiled.tenant, "", Origin(f"tenants/{compiled.tenant}/tenant.yaml"))


def _let_go(base: Mapping[Address, Entry], asked: set[tuple[str, str]], facts: Facts, draft: Draft) -> None:
    """What the ledger has of what is let go: forgotten, nothing is written."""
    for address, entry in base.items():
        if (address.provider, entry.domain) in asked:
            continue
        if address.provider in facts.providers:
            draft.steps.append(Step(address, "forget", None))
            draft.findings += _dropped(address, entry, facts)
        else:
            what = f"It was applied to `{address.provider}`."
            draft.findings.append(NO_PROVIDER.at(str(address), what, Origin("reconciler.yaml", ("providers",))))


def _not_in_stages(steps: Iterable[Step], compiled: Compiled, base: Mapping[Address, Entry]) -> list[Step]:
    """The moves of the ledger that Git's own lines bring about, not the day of a domain that is taken out in stages."""
    leaving = compiled.rules.leaving
    return [step for step in steps if step.what != "retire" or base[step.address].domain not in leaving]


def _takes(
    tenant: str, compared: Compared, removed: frozenset[Address], due: Sequence[Change], facts: Facts
) -> Iterator[Finding]:
    """What is wrong with what would be taken away."""
    yield from removals.check(tenant, compared, facts)
    yield from limits.check(tenant, compared, removed, due, facts)


def _dropped(address: Address, entry: Entry, facts: Facts) -> Iterator[Finding]:
    """A domain that moves to another tenant takes along what that tenant declares; the rest would be nobody's."""
    if entry.domain in facts.moved and address not in facts.moved[entry.domain] and not entry.retired:
        what = f"{entry.domain} is {facts.domains[entry.domain]}'s now, and it does not declare this."
        yield DROPPED.at(str(address), what, Origin(entry.file, line=entry.line))


def _ordered(changes: list[Change], asked: Sequence[tuple[str, Scope]], draft: Draft) -> tuple[Batch, ...]:
    try:
        return batches(changes, {(provider, scope.domain): scope for provider, scope in asked})
    except CycleError as error:
        members = cycle(error)
        names = " -> ".join(map(str, members))
        origin = next((c.origin for c in changes if c.address in members and c.origin), Origin(""))
        draft.findings.append(CYCLE.at(str(members[0]), f"{names}.", origin))
        return ()


def _unmanaged(resources: Iterable[Resource], facts: Facts) -> Unmanaged:
    listed, counted = [], dict[str, int]()
    for resource in resources:
        kind = kinds()[resource.address.kind]
        if kind.listed(resource):
            risk = "high" if kind.risky(resource, facts.inside) else "low"
            listed.append((resource.address, risk))
        else:
            type_ = resource.address.name.partition("/")[0]
            counted[type_] = counted.get(type_, 0) + 1
    return Unmanaged(tuple(sorted(listed)), dict(sorted(counted.items())))  # type: ignore[arg-type]
