"""A tenant's things, each compared in its three states: what the plan is drafted from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.changes import Change, Facts, Step, Unread, Waiting
from reconciler.checks.dns import holder
from reconciler.diff import compare, resolve
from reconciler.errors import ProviderError
from reconciler.kinds import kinds
from reconciler.model import MISSING, Address, Computed, Entry, Resource, Scope, Value, references
from reconciler.rules import accepted_value, quieted
from reconciler.thing import Context, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.apply import Live
    from reconciler.compile import Compiled
    from reconciler.findings import Finding
    from reconciler.model import Kind


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    changes: list[Change] = field(default_factory=list)
    due: list[Change] = field(default_factory=list)
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

    quiet = quieted(facts.accept, facts.today)
    for address in sorted({*compiled.state, *base, *found}):
        git, entry, live = compiled.state.get(address), base.get(address), found.get(address)
        domain = next(side.domain for side in (git, entry, live) if side is not None)
        if (address.provider, domain) not in read or (draft.unread and _source_unread(git, read)):
            continue
        accepted = _accepted(address, live, quiet.get(str(address), ()))
        context = _context(address, domain, compiled, facts, frozenset(accepted))
        expired = address in compiled.expired and entry is not None
        said = _as_applied(git, entry, address, compiled.tenant) if expired and entry else git
        enforced = _enforced(address, domain, compiled, facts)
        case = _Case(kinds()[address.kind], address, live, entry, context)
        outcome = case.compare(said, lookup)
        if expired or (outcome.drift and enforced):
            full = case.compare(git, lookup, enforce=enforced)
            outcome = _with_due(outcome, full, "expired" if expired else "drift", compiled.tenant, draft)
        _collect(_marked(outcome, accepted), compiled.tenant, draft)


class _Case(NamedTuple):
    """One thing as it is live and in the ledger, to be held against what Git says."""

    kind: Kind
    address: Address
    live: Resource | None
    entry: Entry | None
    context: Context

    def compare(self, git: Resource | None, lookup: Callable[[Computed], Value], *, enforce: bool = False) -> Outcome:
        context = self.context._replace(enforce=enforce) if enforce else self.context
        return compare(self.kind, self.address, git, resolve(git, lookup), self.live, self.entry, context)


def _context(address: Address, domain: str, compiled: Compiled, facts: Facts, quiet: frozenset[str]) -> Context:
    rules = compiled.rules
    if address.kind != "mailbox":
        return Context(facts.today, facts.commit, quiet=quiet)
    hold = rules.held(address.name, compiled.tenant, facts.today)
    return Context(
        facts.today, facts.commit, held=hold is not None, until=hold[1] if hold else None, keep=rules.keep(domain),
        early=rules.early.get(address.name), quiet=quiet,
    )  # fmt: skip


def _enforced(address: Address, domain: str, compiled: Compiled, facts: Facts) -> bool:
    """Whether drift of a thing is put back: by policy, or because somebody asks for it."""
    side = facts.providers.get(address.provider, "")
    asked = "all" in facts.enforce or str(address) in facts.enforce
    return (asked or (side, domain) in compiled.rules.enforced) and address.provider not in facts.read_only


def _as_applied(git: Resource | None, entry: Entry, address: Address, tenant: str) -> Resource | None:
    """What Git says, with what has expired still as it was last applied: its end is not a declared change."""
    if git is None:
        return None if entry.retired or entry.absent else Resource(address, entry.said, entry.domain, tenant)
    kept = {
        name: entry.said.get(name, MISSING) for name in ("copies_to", "keep_copy", "reason", "approved_by", "expires")
    }
    return git.having(**kept)


def _with_due(outcome: Outcome, full: Outcome, why: str, tenant: str, draft: Draft) -> Outcome:
    """Notes what of the full outcome goes beyond the declared one; gives what is left to be noted."""
    if full.change is None:
        return full if why == "expired" and outcome.change is None else outcome
    declared = outcome.change
    live = full.change.live if declared is None else declared.aim
    if declared is not None and (live is None or live == full.change.aim):
        return outcome
    reason = full.change.reason if full.change.reason in {"retention", "drift"} else why
    draft.due.append(full.change._replace(live=live, reason=reason, tenant=tenant, conflict=False, takeover=False))
    return outcome._replace(findings=full.findings, step=None)


def _accepted(
    address: Address, live: Resource | None, items: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """{attribute: the acceptance that names its live value}."""
    there = {item["field"]: live is not None if item["field"] == "exists" else _live(live, item) for item in items}
    return {item["field"]: item for item in items if accepted_value(address, item) == there[item["field"]]}


def _live(live: Resource | None, item: Mapping[str, Any]) -> Value:
    return MISSING if live is None else live.get(item["field"])


def _marked(outcome: Outcome, accepted: Mapping[str, Mapping[str, Any]]) -> Outcome:
    """The outcome, its drift marked where somebody has accepted the value."""
    if not accepted or not outcome.drift:
        return outcome
    said = {field: (item.get("approved_by", ""), item.get("expires")) for field, item in accepted.items()}
    return outcome._replace(drift=tuple(d._replace(accepted=said.get(d.field)) for d in outcome.drift))


def _source_unread(git: Resource | None, read: set[tuple[str, str]]) -> bool:
    """Whether what it refers to lies where nothing could be read: then nothing can be said of it."""
    found = [ref for value in git.attributes.values() for ref in references(value)] if git is not None else []
    return git is not None and any((ref.address.provider, git.domain) not in read for ref in found)


def _collect(outcome: Outcome, tenant: str, draft: Draft) -> None:
    draft.outcomes.append(outcome)
    draft.findings += outcome.findings
    if outcome.change is not None and outcome.change.reason == "retention":
        draft.due.append(outcome.change._replace(tenant=tenant))
    elif outcome.change is not None:
        draft.changes.append(outcome.change._replace(tenant=tenant))
    if outcome.step is not None:
        draft.steps.append(outcome.step)
    if outcome.later is not None:
        draft.later.append(outcome.later)
    if outcome.unmanaged is not None:
        draft.unmanaged.append(outcome.unmanaged)
