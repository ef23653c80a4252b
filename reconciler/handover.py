"""Lines of a ledger that go to another tenant: with a domain that moved, or with all of a tenant that got a new name.

Nothing live is written. The one that gives and the one that takes are planned together, and their refs move in one
transaction before anything else of either is made: a thing is in one ledger at any time, with all that is known of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.changes import Gift, Step, TenantPlan
from reconciler.errors import LedgerError, Locked
from reconciler.findings import Origin, Rule
from reconciler.following import follow
from reconciler.ledger import FILE, REFS, Ledger, noted, text
from reconciler.results import TenantResult, why
from reconciler.review import tenant_digest
from reconciler.swap import Commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.findings import Finding
    from reconciler.journal import Run
    from reconciler.model import Address
    from reconciler.results import Verdict
    from reconciler.session import Session

ALONE = Rule(
    "PL224",
    "error",
    "A move between tenants names one of the two",
    "Name both: `--tenant` for the one and the other.",
    why="The other one's ledger would not move along: the domain would be in both, or in none.",
)


class Moved:
    """What of a ledger other tenants hold now: domains that moved, or all of a tenant that has another name.

    `declared` is {domain: what its new tenant declares}, `heir` the tenant that says it was this one.
    """

    def __init__(self, session: Session, ledger: Ledger, tenant: str) -> None:
        self._tenant, self._ledger = tenant, ledger
        domains = {scope.domain for _, scope in ledger.reach}
        self._holders = {domain: session.estate.domains.get(domain, tenant) for domain in domains}
        others = sorted({holder for holder in self._holders.values() if holder != tenant})
        known = list(session.compiled(others))
        gone = not session.estate.has(tenant)
        heirs = [c.tenant for other, c in known if gone and other.files.control.get("renamed_from") == tenant]
        self.heir = min(heirs, default="")
        if self.heir:
            self._holders = {domain: self.heir if at == tenant else at for domain, at in self._holders.items()}
        states = {compiled.tenant: frozenset(compiled.state) for _, compiled in known}
        self.declared = {domain: states[at] for domain, at in self._holders.items() if at != tenant}
        if self.heir:
            self.declared = dict.fromkeys(self.declared, frozenset(ledger.entries))

    def lines(self) -> dict[str, frozenset[Address]]:
        """{tenant: the addresses whose lines go there}."""
        found: dict[str, set[Address]] = {}
        for address, entry in self._ledger.entries.items() if self.declared else ():
            holder = self._holders.get(entry.domain, self._tenant)
            if holder != self._tenant:
                found.setdefault(holder, set()).add(address)
        return {holder: frozenset(addresses) for holder, addresses in found.items()}


def taken(ledger: Ledger, gifts: Iterable[Gift]) -> Ledger:
    """A ledger with what others give it."""
    for gift in gifts:
        scopes = {(name, scope.domain): (name, scope) for name, scope in (*gift.scopes, *ledger.scopes)}
        ledger = ledger._replace(
            entries={**gift.lines, **ledger.entries},
            scopes=tuple(scopes.values()),
            identities={**gift.identities, **ledger.identities},
        )
    return ledger


def gifts(session: Session, plans: Iterable[TenantPlan]) -> dict[str, list[Gift]]:
    """{tenant: what it gets}, as the plans of those that give say."""
    giving = [plan for plan in plans if plan.gives]
    ledgers = session.ledgers.read({plan.tenant: plan.tip for plan in giving})
    found: dict[str, list[Gift]] = {}
    for plan in giving:
        ledger = ledgers[plan.tenant]
        if isinstance(ledger, LedgerError):
            continue
        ledger = follow(ledger, plan.names)
        for taker, addresses in plan.gives.items():
            lines = {address: entry for address, entry in ledger.entries.items() if address in addresses}
            found.setdefault(taker, []).append(Gift(plan.tenant, lines, ledger.scopes, ledger.identities))
    return found


def received(plan: TenantPlan, given: Sequence[Gift]) -> TenantPlan:
    """The plan with each line that it gets adopted, whatever becomes of it besides."""
    steps = {step.address: step for step in plan.steps}
    for gift in given:
        for address, entry in gift.lines.items():
            step = steps.get(address, Step(address, "adopt", entry))
            steps[address] = step if step.entry is None else step._replace(what="adopt")
    from_ = {gift.giver: frozenset(gift.lines) for gift in given}
    return plan._replace(steps=tuple(sorted(steps.values(), key=lambda step: step.address)), given=from_)


def alone(session: Session, plans: Iterable[TenantPlan]) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding) where those asked for give to, or get from, one that is not asked for."""
    asked = set(session.names)
    for plan in plans:
        others = {*plan.gives, *_former(session, plan)} - asked
        for other in sorted(others):
            origin = Origin(f"tenants/{plan.tenant}/tenant.yaml", line=1, column=1)
            yield plan.tenant, ALONE.at(plan.tenant, f"The other is {other}.", origin)


def _former(session: Session, plan: TenantPlan) -> set[str]:
    """Tenants whose ledger has a domain that this one declares and its own ledger does not know."""
    fresh = {scope.domain for _, scope in plan.scopes} - plan.known
    if not session.request.tenants or not fresh:
        return set()
    paths = [f":(glob)tenants/*/domains/{domain}.yaml" for domain in sorted(fresh)]
    written = session.estate.repository.authors(plan.applied_commit, session.estate.commit, paths)
    others = sorted({path.split("/")[1] for path in written} - set(session.names))
    ledgers = session.ledgers.read(session.vouched(session.ledgers.both(others)[REFS])) if others else {}
    known = [found for found in ledgers.values() if isinstance(found, Ledger)]
    return {found.tenant for found in known if fresh & {scope.domain for _, scope in found.reach}}


def hand_over(session: Session, run: Run, ready: dict[str, TenantPlan], results: dict[str, TenantResult]) -> None:
    """Move the lines of those that are ready: both of a pair, or neither is applied."""
    for giver, taker in sorted((giver, plan.tenant) for plan in ready.values() for giver in plan.given):
        if giver in ready and taker in ready:
            _settle_first(ready, giver, taker)
        if giver in ready and taker in ready and giver in ready[taker].given:
            _move(session, run, (ready[giver], ready[taker]), ready, results)
    while lonely := [plan for plan in ready.values() if not {*plan.gives, *plan.given} <= ready.keys()]:
        for plan in lonely:
            other = min({*plan.gives, *plan.given} - ready.keys())
            verdict = results[other].result if other in results else "refused"
            _dropped(plan, "refused" if verdict == "nothing" else verdict, f"not without {other}", ready, results)


def _settle_first(ready: dict[str, TenantPlan], giver: str, taker: str) -> None:
    """Where a run was killed in one of both, what came of it is noted first; the lines move with the next apply."""
    if not (ready[giver].unfinished or ready[taker].unfinished):
        return
    moved = ready[taker].given[giver]
    for name in (giver, taker):
        plan = ready[name]
        steps = tuple(step for step in plan.steps if step.address not in moved)
        gives = {other: lines for other, lines in plan.gives.items() if other != taker}
        given = {other: lines for other, lines in plan.given.items() if other != giver}
        ready[name] = plan._replace(steps=steps, gives=gives, given=given)


def _move(
    session: Session, run: Run, both: tuple[TenantPlan, TenantPlan], ready: dict[str, TenantPlan],
    results: dict[str, TenantResult],
) -> None:  # fmt: skip
    giver, taker = both
    read = session.ledgers.read({plan.tenant: plan.tip for plan in both})
    known = {name: follow(ledger, ready[name].names) for name, ledger in read.items() if isinstance(ledger, Ledger)}
    old, new = known[giver.tenant], known[taker.tenant]  # both were read for the plan
    lines = {address: line for address, line in old.entries.items() if address in taker.given[giver.tenant]}
    gift = Gift(giver.tenant, lines, old.scopes, old.identities)
    after = {giver.tenant: noted(old, dict.fromkeys(lines), ()), taker.tenant: noted(taken(new, [gift]), {}, ())}
    message = f"handed over: run {run.id}, {len(lines)} lines from {giver.tenant} to {taker.tenant}\n"
    # Git renames the refs of a transaction in turn: should it die in between, both ledgers have the lines, not none.
    commits = [Commit(plan.tenant, plan.tip, message, {FILE: text(after[plan.tenant])}) for plan in (taker, giver)]
    try:
        tips, refused = session.refs.write(run.actor, commits, together=True)
    except LedgerError as error:
        tips, refused = {}, {plan.tenant: error for plan in both}
    for plan in both:
        if plan.tenant in tips:
            ready[plan.tenant] = ready[plan.tenant]._replace(tip=tips[plan.tenant])
        else:
            locked = isinstance(refused[plan.tenant], Locked)
            _dropped(plan, "locked" if locked else "failed", str(refused[plan.tenant]), ready, results)


def _dropped(
    plan: TenantPlan, verdict: Verdict, error: str, ready: dict[str, TenantPlan], results: dict[str, TenantResult]
) -> None:
    sha = tenant_digest(plan)
    results[plan.tenant] = TenantResult(plan.tenant, verdict, not_done=why(plan, error), error=error, digest=sha)
    del ready[plan.tenant]
