"""Everything that is checked about people: who owns, who approved, who may decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.checks import approvals, ownership, roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.people import People


def check(files: Files, agency: Agency, people: People) -> Iterator[Finding]:
    """Every finding of these themes in a tenant's files; `people` are those that they may name, on a day."""
    yield from ownership.check(files, people)
    yield from approvals.check(files, people)
    yield from roles.check(files, agency, people)
