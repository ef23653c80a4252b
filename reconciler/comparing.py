"""A tenant's things, each compared in its three states: what the plan is drafted from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler import canonical, cutover
from reconciler.changes import Change, Drift, Facts, Step, Unread, Waiting
from reconciler.checks.dns import holder
from reconciler.diff import resolve, still
from reconciler.dues import accepted, as_applied, divided
from reconciler.errors import ProviderError
from reconciler.kinds import kinds
from reconciler.model import MISSING, Address, Computed, Entry, Resource, Scope, Value, references
from reconciler.parts import known
from reconciler.renames import renamed, renames
from reconciler.rules import quieted
from reconciler.stale import compare_apart
from reconciler.thing import Context, Outcome, Thing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.compile import Compiled
    from reconciler.effects import Live
    from reconciler.findings import Finding


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    changes: list[Change] = field(default_factory=list)
    due: list[Change] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    later: list[Waiting] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    unmanaged: list[Resource] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    todo: tuple[Change, ...] = ()
    was: Mapping[Address, Address] = field(default_factory=dict)  # {new: old} of what gets another name


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
    moved = renames(compiled.state, base, found, read)
    draft.findings += moved.findings
    draft.was = moved.was
    comparing = _Comparing(compiled, base, found, facts, draft)
    for address in sorted({*compiled.state, *base, *found, *compiled.absent} - moved.left_out):
        git = compiled.state.get(address)
        domain = comparing.domain(address)
        if (address.provider, domain) not in read or (draft.unread and _source_unread(git, read)):
            continue
        if address in base and git is None and str(address) in compiled.rules.released:
            draft.steps.append(Step(address, "forget", None))
        else:
            comparing.compare(address, domain)


class _Comparing:
    """A tenant's states side by side, and the draft that the outcomes go into."""

    def __init__(
        self, compiled: Compiled, base: Mapping[Address, Entry], found: Mapping[Address, Resource], facts: Facts,
        draft: Draft,
    ) -> None:  # fmt: skip
        self._compiled, self._base, self._found, self._facts, self._draft = compiled, base, found, facts, draft
        self._quiet = quieted(facts.accept, facts.today)
        self._plain = Context(facts.today, facts.commit)
        self._kept: dict[str, Context] = {}
        self._reached = self._moving()

    def domain(self, address: Address) -> str:
        """The domain a thing belongs to."""
        for side in (self._compiled.state, self._base, self._found):
            if address in side:
                return side[address].domain
        return self._compiled.absent[address]

    def compare(self, address: Address, domain: str) -> None:
        """Compare one thing; what a day or a policy brings about goes to what is due."""
        kind, old = kinds()[address.kind], self._draft.was.get(address)
        git, entry, live = self._git(address), self._base.get(old or address), self._live(address, old)
        ended = self._compiled.ended.get(address)
        why = (ended.why if ended else self._compiled.rules.leaving.get(domain)) if entry else None
        staged = domain in self._reached and address.kind == "record" and not why
        plain = not (why or staged or old or address in self._compiled.absent)  # the three states alone have a say
        if plain and still(kind, git, resolve(git, self._lookup), live, entry):
            return
        context = self._context(address, domain, live)
        said = as_applied(git, entry, address, self._compiled.tenant, ended) if why and entry else git
        if staged:
            said, git, why = self._in_stages(address, domain, git, entry)
        outcome = compare_apart(kind, address, said, resolve(said, self._lookup), live, entry, context)
        enforced = bool(outcome.drift) and self._enforced(address, domain)
        if why or enforced:
            context = context._replace(enforce=enforced)
            full = compare_apart(kind, address, git, resolve(git, self._lookup), live, entry, context)
            outcome, due = divided(outcome, full, why)
            self._draft.due += [change._replace(tenant=self._compiled.tenant) for change in due]
        if old is not None:
            assert git is not None and live is not None and entry is not None
            outcome = renamed(outcome, Thing(kind, address, git, git, live, entry, context), old)
        _collect(outcome if not outcome.drift else self._marked(outcome), self._compiled.tenant, self._draft)

    def _in_stages(
        self, address: Address, domain: str, git: Resource | None, entry: Entry | None
    ) -> tuple[Resource | None, Resource | None, str | None]:
        """What is declared of a domain that moves from another server, what is due beyond it, and why."""
        cut, found = self._compiled.cutovers[domain], self._reached[domain]
        first = max(found.stage, cutover.PREPARE)
        now = cutover.staged(cut, git, address, entry, first)
        return now, cutover.staged(cut, git, address, entry, first + found.may), "stage"

    def _moving(self) -> dict[str, cutover.Reached]:
        """How far each domain is that moves from another server."""
        found: dict[str, cutover.Reached] = {}
        for domain, cut in self._compiled.cutovers.items():
            git, live = self._git(cut.address), self._found.get(cut.address)
            if git is not None and domain in self._facts.clocks:
                clock = self._facts.clocks[domain]
                found[domain] = cutover.reached(cut, git, self._base.get(cut.address), live, clock)
                said, waits = cutover.check(cut, found[domain], live, clock), cutover.waiting(cut, found[domain])
                self._draft.findings += [said] if said else []
                self._draft.later += [waits] if waits else []
        return found

    def _git(self, address: Address) -> Resource | None:
        """What Git says, but for what a system that is only read does not tell: the TTL, of public DNS."""
        git = self._compiled.state.get(address)
        if git is None or address.provider not in self._facts.read_only:
            return git
        told = self._facts.provider_kinds.get(address.provider, {}).get(address.kind, frozenset())
        untold = dict.fromkeys({"ttl"} - told, MISSING)
        return git.having(**untold)._replace(initial={}) if untold else git

    def _live(self, address: Address, old: Address | None) -> Resource | None:
        """What is there, also under the name that it had."""
        found = self._found.get(old or address)
        return found._replace(address=address) if old is not None and found is not None else found

    def _lookup(self, reference: Computed) -> Value:
        return known(reference, self._found)

    def _context(self, address: Address, domain: str, live: Resource | None) -> Context:
        """Nearly always one of a few: made once."""
        context = self._kept_for(domain) if address.kind == "mailbox" else self._plain
        if address in self._compiled.absent:
            stale = self._compiled.stale.get(address, frozenset())
            context = context._replace(absent=not stale, stale=stale, home=domain)
        if str(address) in self._quiet:
            context = context._replace(quiet=frozenset(accepted(address, live, self._quiet[str(address)])))
        rules = self._compiled.rules
        if not (rules.holds or rules.early) or address.kind != "mailbox":
            return context
        hold = rules.held(address.name, self._compiled.tenant, self._facts.today)
        early = rules.early.get(address.name)
        return context._replace(held=hold is not None, until=hold[1] if hold else None, early=early)

    def _kept_for(self, domain: str) -> Context:
        if domain not in self._kept:
            self._kept[domain] = self._plain._replace(keep=self._compiled.rules.keep(domain))
        return self._kept[domain]

    def _enforced(self, address: Address, domain: str) -> bool:
        """Whether drift of a thing is put back: by policy, or because somebody asks for it."""
        facts = self._facts
        asked = "all" in facts.enforce or str(address) in facts.enforce
        policy = (facts.providers.get(address.provider, ""), domain) in self._compiled.rules.enforced
        return (asked or policy) and address.provider not in facts.read_only

    def _marked(self, outcome: Outcome) -> Outcome:
        """The outcome, its drift marked where somebody has accepted the value."""
        address = outcome.drift[0].address
        items = accepted(address, self._found.get(address), self._quiet.get(str(address), ()))
        said = {field: (item.get("approved_by", ""), item.get("expires")) for field, item in items.items()}
        return outcome._replace(drift=tuple(d._replace(accepted=said.get(d.field)) for d in outcome.drift))


def _source_unread(git: Resource | None, read: set[tuple[str, str]]) -> bool:
    """Whether what it refers to lies where nothing could be read: then nothing can be said of it."""
    found = [ref for value in git.attributes.values() for ref in references(value)] if git is not None else []
    return git is not None and any((ref.address.provider, git.domain) not in read for ref in found)


def _collect(outcome: Outcome, tenant: str, draft: Draft) -> None:
    draft.drift += outcome.drift
    draft.findings += outcome.findings
    if outcome.change is not None:
        due = outcome.change.reason == "retention"
        (draft.due if due else draft.changes).append(outcome.change._replace(tenant=tenant))
    if outcome.step is not None:
        draft.steps.append(outcome.step)
    if outcome.later is not None:
        draft.later.append(outcome.later)
    if outcome.unmanaged is not None:
        draft.unmanaged.append(outcome.unmanaged)
