"""What whoever pushed is shown, as lines that fit a terminal's scroll: what would be done, and what was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.reports import lines, results
from reconciler.wording import counted, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.changes import Plan
    from reconciler.reports.lines import Line
    from reconciler.results import Result

LIMIT = 100  # lines


def plan(found: Plan) -> Iterator[Line]:
    """The whole plan where it is short; else all that takes away, and as much of the rest as there is room for."""
    whole = list(lines.plan(found))
    yield from whole if len(whole) <= LIMIT else _short(found)


def _short(found: Plan) -> Iterator[Line]:
    said = [*found.findings, *(f for tenant in found.tenants for f in tenant.findings)]
    yield from lines.findings([f for f in said if f.refuses])
    for address in (address for tenant in found.tenants for address in tenant.forgotten):
        yield ((f"  ! let go {address.kind} {visible(address.name)}  (not touched)", ""),)
    changes = [change for tenant in found.tenants for change in tenant.changes]
    taking = sorted((c for c in changes if c.action in lines.TAKES), key=lambda c: lines.TAKES.index(c.action))
    others = [change for change in changes if change.action not in lines.TAKES]
    yield from (next(lines.of_change(change)) for change in [*taking, *others[:LIMIT]])
    if len(others) > LIMIT:
        yield ((f"  … and {counted(len(others) - LIMIT, 'more change')} that take nothing away", ""),)
    yield ((f"Shortened; all of it: reconciler plan --rev {found.commit[:12]}", "dim"),)
    yield from lines.ending(found, ())


def result(planned: Plan, found: Result) -> Iterator[Line]:
    """What became of it; of a tenant that was not touched for what stands in its plan, that plan too."""
    closed = {tenant.tenant for tenant in found.tenants if tenant.result in {"stale", "refused"}}
    shown = [line for tenant in planned.tenants if tenant.tenant in closed for line in lines.of_tenant(tenant)]
    yield from _cut([*lines.findings([f for f in planned.findings if f.refuses]), *shown])
    yield from _cut(list(results.result(found)))


def _cut(found: Sequence[Line]) -> Iterator[Line]:
    """As many lines as there is room for, the last one always."""
    left = len(found) - LIMIT
    yield from found if left <= 0 else found[: LIMIT - 1]
    if left > 0:
        yield ((f"  … and {counted(left, 'more line')}", ""),)
        yield found[-1]
