"""What was changed outside Git, as styled lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.reports.lines import findings
from reconciler.wording import counted, shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.changes import Drift, Plan, TenantPlan
    from reconciler.reports.lines import Line


def lines(found: Plan) -> Iterator[Line]:
    """Each thing that drifted, tenant by tenant, then what nobody declared and may be dangerous."""
    yield from findings(found.findings)
    for tenant in found.tenants:
        if (
            tenant.drift
            or tenant.unread
            or tenant.stopped
            or any(risk == "high" for _, risk in tenant.unmanaged.listed)
        ):
            yield from _tenant(tenant)
    number = sum(len(tenant.drift) for tenant in found.tenants)
    yield ()
    total = counted(number, "value") if number else "Nothing"
    yield ((f"{total} changed outside Git, as of {found.read_at}.", "bold"),)


def _tenant(tenant: TenantPlan) -> Iterator[Line]:
    yield ()
    yield ((visible(tenant.tenant), "bold"),)
    for drift in tenant.drift:
        yield from _drift(drift)
    for address, risk in tenant.unmanaged.listed:
        yield ((f"  unmanaged ({risk} risk): {visible(str(address))}", "yellow" if risk == "high" else "dim"),)
    for unread in tenant.unread:
        yield ((f"  not read: {unread.provider}: {visible(unread.error)}", "bold red"),)
    yield from findings([f for f in tenant.findings if f.is_input])


def _drift(drift: Drift) -> Iterator[Line]:
    since = f", first seen {drift.first_seen}" if drift.first_seen else ""
    yield (
        (f"  {visible(str(drift.address))}", "bold"),
        (f"  ({drift.risk} risk{since})", "red" if drift.risk == "high" else ""),
    )
    git, live = (visible(shown(drift.field, side)) for side in (drift.git, drift.live))
    yield ((f"      {drift.field}: Git says {git}, live is {live}", ""),)
    if drift.accepted is not None:
        yield (
            (f"      accepted by {visible(drift.accepted[0])} until {drift.accepted[1] or 'it is taken out'}", "dim"),
        )
