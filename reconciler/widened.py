"""A tenant's files as of its last apply beside what they say now: what a change allows itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import agency as agency_file
from reconciler.checks import approvals, widened
from reconciler.errors import InputError
from reconciler.estate import Estate
from reconciler.files import Files
from reconciler.findings import Origin, accepted
from reconciler.ledger import REFS, Ledger
from reconciler.people import people_of
from reconciler.tenant_files import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding
    from reconciler.session import Session


def allowed(session: Session, plans: Sequence[TenantPlan]) -> dict[str, list[Finding]]:
    """{tenant: findings} of exceptions and roles that a change widens and makes use of."""
    by_base: dict[str, list[TenantPlan]] = {}
    for plan in plans:
        base = session.since or plan.applied_commit or next(iter(_givers(session, plan).values()), None)
        if base is not None and base != session.estate.commit and not plan.stopped:
            by_base.setdefault(base, []).append(plan)
    return {name: found for base, some in by_base.items() for name, found in _since(session, base, some)}


def _givers(session: Session, plan: TenantPlan) -> dict[str, str]:
    """{tenant: the commit it was applied at last} of those whose lines a plan takes over: its own former name too."""
    tips = session.ledgers.both(sorted(plan.given))[REFS] if plan.given else {}
    ledgers = session.ledgers.read(tips).items()
    return {name: found.applied for name, found in ledgers if isinstance(found, Ledger) and found.applied}


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
        for plan in plans:
            origin = Origin(f"tenants/{plan.tenant}/tenant.yaml", line=1, column=1)
            what = f"The commit {base[:12]}, which it is compared with, cannot be read in this clone."
            yield plan.tenant, [widened.UNCOMPARED.at(plan.tenant, what, origin)] if plan.changes else []


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


def _compared(
    session: Session, base: str, plans: Iterable[TenantPlan], paths: Sequence[str], wrote: Mapping[str, set[str]]
) -> Iterator[tuple[str, list[Finding]]]:
    earlier = Estate(session.estate.root, base)
    try:
        tenants, former = (
            estate.parsed([plan.tenant for plan in plans if estate.has(plan.tenant)])
            for estate in (session.estate, earlier)
        )
        for plan in plans:
            tenant = tenants.get(plan.tenant, Tenant(Files(plan.tenant)))
            old = [*([former[plan.tenant]] if plan.tenant in former else []), *_given(session, plan)]
            now = _level(session, session.estate, tenant)
            before = _level(session, earlier, old[0] if old else Tenant(Files(plan.tenant)))
            touched = [path for path in paths if path.startswith(f"tenants/{plan.tenant}/")]
            own = _own(session, tenant, old, now, wrote) if all(one.sound for one in old) else ()
            found = [*widened.check(plan, now, before, touched), *own]
            yield plan.tenant, [f._replace(origin=session.estate.located(tenant, f.origin)) for f in found]
    finally:
        earlier.close()


def _given(session: Session, plan: TenantPlan) -> Iterator[Tenant]:
    """The tenants from whom a plan takes something over, as they were applied."""
    for name, commit in _givers(session, plan).items():
        estate = Estate(session.estate.root, commit)
        yield from estate.parsed([name]).values()
        estate.close()


def _level(session: Session, estate: Estate, tenant: Tenant) -> widened.Level:
    files, agency = tenant.files, estate.agency
    people = people_of(files, agency, session.today)
    return widened.Level(f"tenants/{files.tenant}/control.yaml", files.control, agency, people)


def _own(
    session: Session, tenant: Tenant, old: Sequence[Tenant], now: widened.Level, wrote: Mapping[str, set[str]]
) -> Iterator[Finding]:
    """What authors approved themselves."""
    found = approvals.by_author(tenant.files, [one.files for one in old], now.people, wrote) if wrote else ()
    return accepted(found, session.accept(tenant), session.today)
