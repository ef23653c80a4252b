"""One tenant's three states -> its plan: compare everything, hold back what cannot be done, put the rest in order.

Pure: what was read, what the ledger says and which day it is come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import CycleError
from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.changes import Batch, Change, Facts, Step, TenantPlan, Unmanaged, Unread, Waiting
from reconciler.checks import planned, removals
from reconciler.checks.dns import holder
from reconciler.checks.planned import Compared
from reconciler.diff import Outcome, compare, resolve
from reconciler.errors import ProviderError
from reconciler.findings import Finding, Origin, Rule, accepted
from reconciler.holding import hold_back
from reconciler.kinds import kinds
from reconciler.model import MISSING, Address, Computed, Entry, Resource, Scope, Value, references
from reconciler.order import CYCLE, batches, cycle
from reconciler.thing import Context

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.apply import Live
    from reconciler.compile import Compiled

DROPPED = Rule(
    "PL221",
    "error",
    "A move between tenants would drop something",
    "Move the domain as it is, apply, and take things out in the next merge.",
)
NO_PROVIDER = Rule(
    "PL218",
    "error",
    "The ledger names a provider that is not configured",
    "Add it back under `providers` in reconciler.yaml.",
)

FIRST = Rule(
    "PL209", "info", "First plan of this tenant", "The ledger is empty: equal things are adopted, nothing is removed."
)


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    later: list[Waiting] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    unmanaged: list[Resource] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def scopes(compiled: Compiled, known: Sequence[tuple[str, Scope]], facts: Facts) -> list[tuple[str, Scope]]:
    """What is to be read for a tenant: the domains of Git and of the ledger, but for what is let go.

    Let go are sides that Git now calls not ours, and domains that another tenant holds now.
    """
    wanted = {(provider, scope.domain) for provider, scope in compiled.scopes}
    declared = {scope.domain for _, scope in compiled.scopes}
    sides = {(facts.providers.get(provider), scope.domain) for provider, scope in compiled.scopes}
    extra = [
        (provider, scope)
        for provider, scope in known
        if (provider, scope.domain) not in wanted
        and provider in facts.providers
        and facts.domains.get(scope.domain, compiled.tenant) == compiled.tenant
        and (scope.domain not in declared or (facts.providers[provider], scope.domain) in sides)
    ]
    return [*compiled.scopes, *extra]


def plan_tenant(
    compiled: Compiled, base: Mapping[Address, Entry], live: Live, asked: Sequence[tuple[str, Scope]], facts: Facts
) -> TenantPlan:
    """The plan of one tenant whose documents are sound. `asked` are the scopes that `live` answers."""
    draft = _Draft()
    there = _there(live, asked, facts, draft)
    scopes_asked = {(provider, scope.domain) for provider, scope in asked}
    read = {key for key in scopes_asked if not isinstance(live[key], ProviderError)}
    _compare_all(compiled, base, there, read, facts, draft)
    _let_go(base, scopes_asked, facts, draft)
    drift = tuple(drift for outcome in draft.outcomes for drift in outcome.drift)
    compared = Compared(compiled.state, base, there, draft.changes, draft.unmanaged, drift, asked)
    draft.findings += planned.check(compared, facts)
    if not base and compiled.state:
        draft.findings.append(FIRST.at(compiled.tenant, "", Origin(f"tenants/{compiled.tenant}/tenant.yaml")))
    gone = {d.address for d in drift if d.field == "exists"} & compiled.state.keys()
    draft.changes, later, todo = hold_back(draft.changes, there, gone, facts.read_only)
    draft.later += later
    draft.findings += removals.check(compiled.tenant, compared._replace(changes=draft.changes), facts)
    ordered = _ordered(draft.changes, asked, draft)
    return TenantPlan(
        tenant=compiled.tenant,
        batches=ordered,
        steps=tuple(sorted(draft.steps, key=lambda step: step.address)),
        todo=todo,
        later=tuple(sorted(draft.later, key=lambda waiting: waiting.address)),
        drift=drift,
        unmanaged=_unmanaged(draft.unmanaged, facts),
        unread=tuple(draft.unread),
        findings=(*compiled.findings, *accepted(draft.findings, facts.accept, facts.today)),
        scopes=tuple(asked),
    )


# ---------------------------------------------------------------------- comparing


def _there(live: Live, asked: Sequence[tuple[str, Scope]], facts: Facts, draft: _Draft) -> dict[Address, Resource]:
    """What is there, but for what belongs to another declared domain inside the same zone."""
    found: dict[Address, Resource] = {}
    for provider, scope in asked:
        answer = live[provider, scope.domain]
        if isinstance(answer, ProviderError):
            draft.unread.append(Unread(provider, "*", f"{scope.domain}: {answer}"))
            continue
        for resource in answer:
            host = canonical.domain_of(resource.address.name).rpartition("/")[2]
            if holder(host, scope.domain, facts.domains) == scope.domain:
                found[resource.address] = resource
    return found


def _compare_all(
    compiled: Compiled, base: Mapping[Address, Entry], there: Mapping[Address, Resource],
    read: set[tuple[str, str]], facts: Facts, draft: _Draft,
) -> None:  # fmt: skip
    def lookup(reference: Computed) -> Value:
        source = there.get(reference.address)
        value = MISSING if source is None else source.get(reference.attribute)
        return reference if value is MISSING else value

    context = Context(facts.today, facts.commit)
    for address in sorted({*compiled.state, *base, *there}):
        git, entry, live = compiled.state.get(address), base.get(address), there.get(address)
        domain = next(side.domain for side in (git, entry, live) if side is not None)
        if (address.provider, domain) not in read or (draft.unread and _source_unread(git, read)):
            continue
        outcome = compare(kinds()[address.kind], address, git, resolve(git, lookup), live, entry, context)
        _collect(outcome, compiled.tenant, draft)


def _source_unread(git: Resource | None, read: set[tuple[str, str]]) -> bool:
    """Whether what it refers to lies where nothing could be read: then nothing can be said of it."""
    found = [ref for value in git.attributes.values() for ref in references(value)] if git is not None else []
    return git is not None and any((ref.address.provider, git.domain) not in read for ref in found)


def _collect(outcome: Outcome, tenant: str, draft: _Draft) -> None:
    draft.outcomes.append(outcome)
    draft.findings += outcome.findings
    if outcome.change is not None and outcome.change.reason == "retention":
        change = outcome.change
        when = change.base.retired if change.base else None
        draft.later.append(Waiting(change.address, "purge", when, "retention"))
    elif outcome.change is not None:
        draft.changes.append(outcome.change._replace(tenant=tenant))
    if outcome.step is not None:
        draft.steps.append(outcome.step)
    if outcome.later is not None:
        draft.later.append(outcome.later)
    if outcome.unmanaged is not None:
        draft.unmanaged.append(outcome.unmanaged)


def _let_go(base: Mapping[Address, Entry], asked: set[tuple[str, str]], facts: Facts, draft: _Draft) -> None:
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


# ---------------------------------------------------------------------- holding back, ordering


def _dropped(address: Address, entry: Entry, facts: Facts) -> Iterator[Finding]:
    """A domain that moves to another tenant takes along what that tenant declares; the rest would be nobody's."""
    if entry.domain in facts.moved and address not in facts.moved[entry.domain] and not entry.retired:
        what = f"{entry.domain} is {facts.domains[entry.domain]}'s now, and it does not declare this."
        yield DROPPED.at(str(address), what, Origin(entry.file, line=entry.line))


def _ordered(changes: list[Change], asked: Sequence[tuple[str, Scope]], draft: _Draft) -> tuple[Batch, ...]:
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
