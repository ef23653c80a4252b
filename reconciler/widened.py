"""A tenant's files as of its last apply beside what they say now: what a change allows itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import agency as agency_file
from reconciler.checks import widened
from reconciler.errors import InputError
from reconciler.estate import Estate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding
    from reconciler.session import Session


def allowed(session: Session, plans: Sequence[TenantPlan]) -> dict[str, list[Finding]]:
    """{tenant: findings} of exceptions and roles that a change widens and makes use of."""
    by_base: dict[str, list[TenantPlan]] = {}
    for plan in plans:
        base = session.since or plan.applied_commit
        if base is not None and base != session.estate.commit and not plan.stopped:
            by_base.setdefault(base, []).append(plan)
    return {name: found for base, some in by_base.items() for name, found in _since(session, base, some)}


def _since(session: Session, base: str, plans: Sequence[TenantPlan]) -> Iterator[tuple[str, list[Finding]]]:
    try:
        paths = session.estate.repository.changed(base, None if session.request.worktree else session.estate.commit)
        wide = agency_file.FILE in paths
        asked = {plan.tenant: plan for plan in plans if wide or f"tenants/{plan.tenant}/control.yaml" in paths}
        if asked:
            yield from _compared(session, base, asked.values(), paths)
    except InputError:  # that commit is not in this clone, or is none that this version reads
        return


def _compared(
    session: Session, base: str, plans: Iterable[TenantPlan], paths: Sequence[str]
) -> Iterator[tuple[str, list[Finding]]]:
    earlier = Estate(session.estate.root, base)
    try:
        both = [(session.estate, session.estate.parsed([p.tenant for p in plans]))]
        both.append((earlier, earlier.parsed([p.tenant for p in plans])))
        for plan in plans:
            file = f"tenants/{plan.tenant}/control.yaml"
            now, before = (
                [(file, tenants[plan.tenant].files.control), (agency_file.FILE, estate.agency.data)]
                for estate, tenants in both
            )
            touched = [path for path in paths if path.startswith(f"tenants/{plan.tenant}/")]
            found = widened.check(plan, now, before, touched)
            tenant = both[0][1][plan.tenant]
            yield plan.tenant, [f._replace(origin=session.estate.located(tenant, f.origin)) for f in found]
    finally:
        earlier.close()
