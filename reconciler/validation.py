"""The checks of the declared state: all that can be said of an estate without asking a live system.

Apart from `engine`, so that what is run before each commit loads nothing that plans or applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import reviewers
from reconciler.crossing import crossing, left
from reconciler.findings import in_order
from reconciler.known import marked
from reconciler.quoting import quoted
from reconciler.request import differing
from reconciler.results import Checked
from reconciler.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.crossing import Left
    from reconciler.findings import Finding
    from reconciler.request import Request

Part = tuple["Left", "list[Finding]", "tuple[tuple[str, ...] | None, list[Finding]]"]


def validate(request: Request) -> Checked:
    """Files, schemas and checks of the declared state; no live system is contacted. Raises InputError."""
    with differing(request) as differs, Session(request) as session:

        def job(names: Sequence[str]) -> list[Part]:
            return [
                (left(session, tenant, c), c.findings, reviewers.of_tenant(session, tenant))
                for tenant, c in session.compiled(names)
            ]

        parts = session.over_tenants(job)
        between = crossing(session, [one for one, *_ in parts])
        found = marked(session, {one.tenant: [*said, *between.get(one.tenant, ())] for one, said, _ in parts})
        asked = reviewers.findings(session, [owners for *_, owners in parts])
        findings = [*session.findings, *(finding for some in found.values() for finding in some), *asked]
        shown = quoted(session.estate, in_order(findings))
        return Checked(session.estate.commit, shown, len(session.names), request.worktree, tuple(differs()))
