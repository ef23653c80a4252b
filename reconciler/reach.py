"""How far an edit of the agency's files reaches: the domains that change though nobody touched their own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.changes import TenantPlan
    from reconciler.session import Session

_AGENCY = ("domain-templates", "reconciler.yaml")


def reach(session: Session, tenants: Sequence[TenantPlan]) -> dict[str, int]:
    """{tenant: how many domains of its ledger change by the agency's files alone, since it was last applied}."""
    by_base: dict[str | None, list[TenantPlan]] = {}
    for plan in tenants:
        if plan.changes and plan.known:
            by_base.setdefault(plan.applied_commit, []).append(plan)
    return {plan.tenant: len(found) for base, some in by_base.items() for plan, found in _since(session, base, some)}


def _since(session: Session, base: str | None, tenants: list[TenantPlan]) -> Iterator[tuple[TenantPlan, set[str]]]:
    """(plan, domains) of those that were last applied at `base` and whose change comes from the agency."""
    files = {change.origin.file for plan in tenants for change in plan.changes if change.origin}
    paths = [*_AGENCY, *sorted(files - {""})]
    edited = session.estate.repository.authors(base, session.estate.commit, paths).keys()
    if all(file.startswith("tenants/") for file in edited):
        return
    for plan in tenants:
        moved = {change.domain for change in plan.changes if change.origin and change.origin.file not in edited}
        if moved & plan.known:
            yield plan, moved & plan.known
