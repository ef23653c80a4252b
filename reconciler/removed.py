"""Where something stood that Git no longer declares: the line it had, the commit that took it out, and who wrote that.

The ledger knows the line of the last apply, which other commits may have moved since. So the tenant is compiled as it
was before each commit that touched it, from the newest back, until what was removed is there again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import InputError
from reconciler.estate import Estate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.changes import Change, TenantPlan
    from reconciler.findings import Origin
    from reconciler.model import Address
    from reconciler.session import Session

Removal = tuple["Origin", str, str]
_COMMITS = 50  # since the last apply, per tenant: further back the ledger's own line has to do


def removed(session: Session, tenants: Sequence[TenantPlan]) -> dict[Address, Removal]:
    """{address: (where it stood, commit, author)} for what plans retire or delete, where history tells."""
    found: dict[Address, Removal] = {}
    for tenant in tenants:
        missing = {change.address for change in tenant.changes if change.desired is None}
        found |= removals(session, tenant.tenant, tenant.applied_commit, missing)
    return found


def removals(session: Session, tenant: str, base: str | None, missing: set[Address]) -> dict[Address, Removal]:
    """Where some addresses stood that a tenant lacks, and who took them out since `base`, where history tells."""
    found: dict[Address, Removal] = {}
    for commit, author in _commits(session, tenant, base) if missing else ():
        for address, origin in _before(session, tenant, commit, missing - found.keys()):
            found[address] = (origin, commit, author)
        if missing == found.keys():
            break
    return found


def placed(tenant: TenantPlan, found: dict[Address, Removal]) -> TenantPlan:
    """The plan with each removal at the place it had."""

    def place(change: Change) -> Change:
        return change._replace(origin=found[change.address][0]) if change.address in found else change

    return tenant._replace(batches=tuple(b._replace(changes=tuple(map(place, b.changes))) for b in tenant.batches))


def _commits(session: Session, tenant: str, base: str | None) -> list[tuple[str, str]]:
    paths = (f"tenants/{tenant}", "domain-templates", "reconciler.yaml")
    return session.estate.repository.commits(base, session.estate.commit, paths)[:_COMMITS]


def _before(session: Session, tenant: str, commit: str, missing: set[Address]) -> Iterator[tuple[Address, Origin]]:
    """What is missing and was still declared before a commit; nothing when the estate could not be read then."""
    try:
        estate = Estate(session.estate.root, f"{commit}^")
    except InputError:
        return
    parsed = estate.parsed([tenant])[tenant]
    state = estate.compile(parsed).state
    estate.close()
    yield from ((address, estate.located(parsed, state[address].origin)) for address in missing & state.keys())
