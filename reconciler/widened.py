"""A tenant's files as of its last apply beside what they say now: what a change allows itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import agency as agency_file
from reconciler.checks import approvals, widened
from reconciler.errors import InputError
from reconciler.estate import Estate
from reconciler.findings import accepted
from reconciler.people import people_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding
    from reconciler.session import Session
    from reconciler.tenant_files import Tenant


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
        wrote = _approving(session, base, paths)
        changed = {path.split("/")[1] for path in wrote}
        asked = {
            plan.tenant: plan
            for plan in plans
            if wide or plan.tenant in changed or f"tenants/{plan.tenant}/control.yaml" in paths
        }
        if asked:
            yield from _compared(session, base, asked.values(), paths, wrote)
    except InputError:  # that commit is not in this clone, or is none that this version reads
        return


def _approving(session: Session, base: str, paths: Sequence[str]) -> dict[str, set[str]]:
    """{file: who wrote in it} of the changed ones that speak of an approval: few, and only they are looked at again.

    Of a working tree nobody is the author yet.
    """
    if session.request.worktree:
        return {}
    asked = (session.estate.tree.get(path) for path in paths if path.startswith("tenants/"))
    said = session.estate.repository.read(file for file in asked if file is not None and file.regular)
    speaking = [path for path, content in said.items() if b"approved_by" in content]
    return session.estate.repository.writers(base, session.estate.commit, speaking) if speaking else {}


def _own(session: Session, tenant: Tenant, old: Tenant, wrote: Mapping[str, set[str]]) -> Iterator[Finding]:
    """What authors approved themselves."""
    people = people_of(tenant.files, session.estate.agency, session.today)
    found = approvals.by_author(tenant.files, old.files, people, wrote)
    return accepted(found, session.accept(tenant), session.today)


def _compared(
    session: Session, base: str, plans: Iterable[TenantPlan], paths: Sequence[str], wrote: Mapping[str, set[str]]
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
            tenant, old = (tenants[plan.tenant] for _, tenants in both)
            own = _own(session, tenant, old, wrote) if wrote and old.sound else ()
            found = [*widened.check(plan, now, before, touched), *own]
            yield plan.tenant, [f._replace(origin=session.estate.located(tenant, f.origin)) for f in found]
    finally:
        earlier.close()
