"""What was reviewed, and what of a plan may be made because of it.

A reviewed plan counts by what it does to the world: a change is allowed where a reviewed one has the same address,
action and fields. Of several reviewed plans the union is allowed; fewer changes are fine, any other makes its tenant
stale. What follows from lines reviewed earlier (`due`) never makes a tenant stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.errors import StalePlan
from reconciler.holding import possible
from reconciler.order import batches, joined
from reconciler.review import covered, digest, plain, sha256, tenant_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.changes import Change, Intent, Plan, TenantPlan

_ANY = {"known": "after apply"}


class Permit(NamedTuple):
    """What an apply may do. `everything`: what the plan shows now; `due` and `purges`: those too; `plans`: reviewed."""

    everything: bool = False
    digests: tuple[str, ...] = ()
    plans: tuple[Mapping[str, Any], ...] = ()
    due: bool = False
    purges: bool = False

    def select(self, planned: Plan, tenant: TenantPlan) -> TenantPlan:
        """The part of a tenant's plan that may be made. Raises StalePlan where it is not what was reviewed."""
        if self.everything:
            return _with_due(tenant, self._due(tenant.due))
        if self.digests:
            if not self._by_digest(planned, tenant):
                raise StalePlan("not what was reviewed")
            return _with_due(tenant, self._due(tenant.due) if self.due else ())
        return self._reviewed(tenant)

    def _due_alone(self, tenant: TenantPlan) -> TenantPlan:
        """What follows from lines reviewed earlier, and nothing that is declared."""
        alone = {change.address for change in tenant.changes}
        due = possible([c for c in self._due(tenant.due) if c.address not in alone], tenant.changes)
        return _with_due(tenant._replace(batches=(), takes=_held(tenant), held=tenant.changes), due)

    def _due(self, due: Iterable[Change]) -> tuple[Change, ...]:
        return tuple(change for change in due if self.purges or change.action != "purge")

    def _by_digest(self, planned: Plan, tenant: TenantPlan) -> bool:
        if not tenant.changes or digest(planned.tenants) in self.digests or tenant_digest(tenant) in self.digests:
            return True
        begun, resumed = tenant.unfinished, bool(planned.resumes) and planned.resumes in self.digests
        if begun is None:
            return resumed
        return (resumed or begun.digest in self.digests) and _left_of(begun, tenant)

    def _reviewed(self, tenant: TenantPlan) -> TenantPlan:
        """Of what the reviewed plans show of a tenant; of a tenant in none of them nothing but what is due."""
        shown = [found for plan in self.plans for found in plan["tenants"] if found["tenant"] == tenant.tenant]
        if not shown and self.due:
            return self._due_alone(tenant)
        if not shown:
            return tenant._replace(
                batches=(), due=(), steps=(), unfinished=None, takes=frozenset(), names={}, gives={}, given={}
            )
        allowed = _shapes(item for found in shown for item in found["changes"])
        for change in tenant.changes:
            if not _is_allowed(change, allowed):
                raise StalePlan("not what was reviewed")
        reviewed = _shapes(item for found in shown for item in found["due"])
        due = [c for c in self._due(tenant.due) if self.due or _is_allowed(c, reviewed)]
        return _with_due(tenant, due)


def _with_due(tenant: TenantPlan, due: Iterable[Change]) -> TenantPlan:
    """The plan with due changes among the others, all in order; those that are held stay apart.

    A due change that needs one that is not chosen waits with it.
    """
    wanted = {change.address: change for change in due}
    held = tuple(change for change in wanted.values() if change.held)
    left = [change for change in tenant.due if change.address not in wanted]
    chosen = possible([change for change in wanted.values() if not change.held], [*left, *held])
    if not chosen:
        return tenant._replace(due=held)
    scopes = {(provider, scope.domain): scope for provider, scope in tenant.scopes}
    return tenant._replace(batches=batches(joined(tenant.changes, chosen), scopes), due=held)


def _held(tenant: TenantPlan) -> frozenset[str]:
    """The providers whose identity the ledger takes though none of the declared changes is made."""
    kept = {step.address.provider for step in tenant.steps if step.entry is not None}
    return tenant.takes - ({change.address.provider for change in tenant.changes} - kept)


def _left_of(begun: Intent, tenant: TenantPlan) -> bool:
    """Whether a tenant's changes are all among those that an unfinished run meant to make, or held all the same."""
    claimed = {claim.address: claim.aim for claim in begun.claims}
    now = [change for change in tenant.changes if not change.held]
    return all(change.address in claimed and _same(claimed[change.address], change.aim) for change in now)


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return {name: plain(value) for name, value in one.attributes.items()} == {
        name: plain(value) for name, value in other.attributes.items()
    }


def _shapes(items: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, Any], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str, Any], list[Mapping[str, Any]]] = {}
    for item in items:
        found.setdefault((item["address"], item["action"], item["was"]), []).append(item["fields"])
    return found


def _is_allowed(change: Change, allowed: Mapping[tuple[str, str, Any], Sequence[Mapping[str, Any]]]) -> bool:
    address, action, was, fields = covered(change)
    return any(_alike(fields, reviewed) for reviewed in allowed.get((address, action, was), ()))


def _alike(fields: Mapping[str, Sequence[Any]], reviewed: Mapping[str, Any]) -> bool:
    if fields.keys() != reviewed.keys():
        return False
    return all(
        old == reviewed[name]["from"] and _fits(new, reviewed[name]["to"]) for name, (old, new) in fields.items()
    )


def _fits(value: Any, reviewed: Any) -> bool:
    """Whether a value is the reviewed one; what is known only after applying may be anything."""
    if isinstance(reviewed, list) and isinstance(value, list):
        return len(value) == len(reviewed) and all(map(_fits, value, reviewed))
    return reviewed == _ANY or bool(value == reviewed)


def digest_of(plan: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """(the digest of a plan's JSON, of each of its tenants), made from what it says it would do."""
    tenants = {found["tenant"]: _tenant_digest(found["changes"]) for found in plan["tenants"]}
    return sha256([[name, sha] for name, sha in tenants.items()]), tenants


def _tenant_digest(changes: Iterable[Mapping[str, Any]]) -> str:
    ordered = sorted(changes, key=lambda change: str(change["address"]))
    return sha256(
        [
            [c["address"], c["action"], c["was"], {name: [f["from"], f["to"]] for name, f in c["fields"].items()}]
            for c in ordered
        ]
    )
