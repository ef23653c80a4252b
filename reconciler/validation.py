"""The checks of the declared state: all that can be said of an estate without asking a live system.

Apart from `engine`, so that what is run before each commit loads nothing that plans or applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.findings import in_order
from reconciler.known import marked
from reconciler.quoting import quoted
from reconciler.request import differing
from reconciler.results import Checked
from reconciler.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.checks.copied import Own
    from reconciler.findings import Finding
    from reconciler.request import Request


def validate(request: Request) -> Checked:
    """Files, schemas and checks of the declared state; no live system is contacted. Raises InputError."""
    with differing(request) as differs, Session(request) as session:

        def job(names: Sequence[str]) -> list[tuple[str, bool, list[Finding], Sequence[Own], Sequence[Any]]]:
            return [
                (c.tenant, session.points_outward(c), c.findings, session.own(tenant), c.rules.accept)
                for tenant, c in session.compiled(names)
            ]

        parts = session.over_tenants(job)
        across = session.across([name for name, outward, *_ in parts if outward])
        alike = session.alike((name, own, accept) for name, _, _, own, accept in parts)
        more = {name: [*across.get(name, ()), *alike.get(name, ())] for name, *_ in parts}
        found = marked(session, {name: [*findings, *more[name]] for name, _, findings, *_ in parts})
        findings = [*session.findings, *(finding for some in found.values() for finding in some)]
        shown = quoted(session.estate, in_order(findings))
        return Checked(session.estate.commit, shown, len(session.names), request.worktree, tuple(differs()))
