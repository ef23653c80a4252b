"""A tenant's things, each compared in its three states: what the plan is drafted from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.changes import Change, Facts, Step, Unread, Waiting
from reconciler.checks.dns import holder
from reconciler.diff import Outcome, compare, resolve
from reconciler.errors import ProviderError
from reconciler.kinds import kinds
from reconciler.model import MISSING, Address, Computed, Entry, Resource, Scope, Value, references
from reconciler.thing import Context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.apply import Live
    from reconciler.compile import Compiled
    from reconciler.findings import Finding


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    changes: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    later: list[Waiting] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    unmanaged: list[Resource] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def present(live: Live, asked: Sequence[tuple[str, Scope]], facts: Facts, draft: Draft) -> dict[Address, Resource]:
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


def compare_all(
    compiled: Compiled, base: Mapping[Address, Entry], found: Mapping[Address, Resource],
    read: set[tuple[str, str]], facts: Facts, draft: Draft,
) -> None:  # fmt: skip
    """Compare every thing of Git, the ledger and live; what could not be read is left out."""

    def lookup(reference: Computed) -> Value:
        source = found.get(reference.address)
        value = MISSING if source is None else source.get(reference.attribute)
        return reference if value is MISSING else value

    context = Context(facts.today, facts.commit)
    for address in sorted({*compiled.state, *base, *found}):
        git, entry, live = compiled.state.get(address), base.get(address), found.get(address)
        domain = next(side.domain for side in (git, entry, live) if side is not None)
        if (address.provider, domain) not in read or (draft.unread and _source_unread(git, read)):
            continue
        outcome = compare(kinds()[address.kind], address, git, resolve(git, lookup), live, entry, context)
        _collect(outcome, compiled.tenant, draft)


def _source_unread(git: Resource | None, read: set[tuple[str, str]]) -> bool:
    """Whether what it refers to lies where nothing could be read: then nothing can be said of it."""
    found = [ref for value in git.attributes.values() for ref in references(value)] if git is not None else []
    return git is not None and any((ref.address.provider, git.domain) not in read for ref in found)


def _collect(outcome: Outcome, tenant: str, draft: Draft) -> None:
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
