"""Whether a tenant's ledger belongs to the live system that stands behind a provider's name.

The first apply leaves a random identity in the system, and the ledger keeps it. A plan that meets another one, or none,
has something else before it: a wrong path, a disk that is not mounted, an empty server, another one. Compared with the
ledger all of it would look removed by hand, and what Git says no more would be forgotten. So nothing of that provider
is compared until a person says what it is:

    the same system, rebuilt    compared as ever: what is missing is drift, and is put back
    another system (released)   the ledger lets go of its lines there, and meets what is live for the first time

A ledger that knows no identity yet takes the one it meets. Where nothing is written (`read_only`) none is left, and
none is asked for: what is found gone there is only told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.changes import Facts, Step, TenantPlan
from reconciler.errors import ProviderError
from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import Intent
    from reconciler.effects import Live
    from reconciler.findings import Finding
    from reconciler.model import Address, Entry

OTHER_SYSTEM = Rule(
    "PL306",
    "error",
    "Another system stands behind a provider's name",
    "If it is the wrong place, or a disk is not mounted, put that right. If it is the same system, rebuilt, apply with"
    " `--enforce all`: what is missing is made again. If it is another system, write `released: {PROVIDER: REASON}` in"
    " reconciler.yaml: the ledger lets go of what it has there.",
    why="An empty or wrong server looks as if all had been deleted by hand: the ledger would forget every "
    "mailbox there.",
)
LINGERING = Rule(
    "PL307",
    "warning",
    "`released` has done its work",
    "Take it out: it would let go of the next system's things too.",
    why="With the line still there, the next wrong path or empty disk would be let go of instead of refused.",
)
_UNKNOWN = ProviderError("another system stands behind this name")


class Met(NamedTuple):
    """A tenant's ledger and the systems it meets: {provider: identity}, as the ledger knows it and as it was seen.

    `strange` are the providers that are another system, for all that is known; `released` those it lets go of.
    """

    known: Mapping[str, str]
    seen: Mapping[str, str | ProviderError | None]
    strange: frozenset[str]
    released: frozenset[str]

    def live(self, live: Live) -> Live:
        """What was read, but for what says nothing of this ledger's things: that counts as not read."""
        unsure = {name: error for name, error in self.seen.items() if isinstance(error, ProviderError)}
        unsure |= dict.fromkeys(self.strange, _UNKNOWN)
        return {key: unsure.get(key[0], answer) for key, answer in live.items()} if unsure else live

    def base(self, entries: Mapping[Address, Entry]) -> Mapping[Address, Entry]:
        """The ledger's lines without those it lets go of."""
        if not self.released:
            return entries
        return {address: entry for address, entry in entries.items() if address.provider not in self.released}

    def intent(self, intent: Intent | None) -> Intent | None:
        """The word of an unfinished run without what it claims of systems that are let go of."""
        if intent is None or not self.released:
            return intent
        return intent._replace(claims=tuple(c for c in intent.claims if c.address.provider not in self.released))

    def completed(self, plan: TenantPlan, entries: Mapping[Address, Entry], facts: Facts) -> TenantPlan:
        """The plan made of `live` and `base`, with what follows for the ledger: `entries` are all its lines."""
        moved = {step.address for step in plan.steps}
        gone = [Step(a, "forget", None) for a in entries if a.provider in self.released and a not in moved]
        steps = tuple(sorted((*plan.steps, *gone), key=lambda step: step.address))
        identities = {
            name: seen
            for name, seen in self.seen.items()
            if not isinstance(seen, ProviderError) and name not in self.strange
        }
        return plan._replace(
            steps=steps,
            unread=tuple(unread for unread in plan.unread if unread.provider not in self.strange),
            findings=(*plan.findings, *self._findings(facts)),
            identities=identities,
            takes=frozenset(self._takes(plan, identities, {address.provider for address in entries})),
        )

    def _takes(self, plan: TenantPlan, identities: Mapping[str, str | None], held: set[str]) -> Iterator[str]:
        """The providers whose identity the ledger does not hold yet: it gets lines there, or has some that stay."""
        used = {change.address.provider for change in plan.changes}
        used |= {step.address.provider for step in plan.steps if step.entry is not None}
        for name, seen in identities.items():
            stays = name in held - self.released and (seen is not None or name in self.known)
            if (name in used or stays) and (seen is None or seen != self.known.get(name)):
                yield name

    def _findings(self, facts: Facts) -> Iterator[Finding]:
        for name in sorted(self.strange):
            has = "one without an identity" if self.seen[name] is None else "another one"
            what = f"The ledger was kept for one system and meets {has}; nothing of it was compared."
            yield _other(name, what, Origin("reconciler.yaml", ("providers", facts.providers[name], name)))
        for name in sorted(facts.released.keys() & self.known.keys()):
            if self.seen.get(name) == self.known[name]:
                what = "The ledger belongs to the system behind this name."
                yield LINGERING.at(name, what, Origin("reconciler.yaml", ("released", name)))


def meet(known: Mapping[str, str], seen: Mapping[str, str | ProviderError | None], facts: Facts) -> Met:
    """`known` is what the ledger holds, `seen` what the systems say that are asked for this tenant."""
    sure = {name: identity for name, identity in seen.items() if not isinstance(identity, ProviderError)}
    others = {name for name, identity in sure.items() if known.get(name, identity) != identity}
    released = frozenset(others & facts.released.keys())
    return Met(known, seen, frozenset() if facts.rebuilt else frozenset(others - released), released)


def begun(tenants: Iterable[TenantPlan]) -> set[str]:
    """The providers that have no identity, and would get one."""
    return {name for plan in tenants for name in plan.takes if plan.identities.get(name) is None}


def together(tenants: Sequence[TenantPlan], known: Mapping[str, Origin]) -> list[TenantPlan]:
    """The plans of a run: a system that one ledger knows otherwise is not begun anew for another tenant either.

    `known` are providers, with where they stand, that ledgers of tenants outside of this run know by an identity.
    """
    strange = {**known} | {
        f.subject: f.origin for plan in tenants for f in plan.findings if f.code == OTHER_SYSTEM.code
    }
    return [_kept_out(plan, {name: strange[name] for name in plan.takes & strange.keys()}) for plan in tenants]


def _kept_out(plan: TenantPlan, strange: Mapping[str, Origin]) -> TenantPlan:
    what = "Other tenants' ledgers were kept for another system."
    return plan._replace(
        findings=(*plan.findings, *(_other(name, what, origin) for name, origin in sorted(strange.items())))
    )


def _other(name: str, what: str, origin: Origin) -> Finding:
    return OTHER_SYSTEM.at(name, what, origin, fix=OTHER_SYSTEM.fix.replace("PROVIDER", name))
