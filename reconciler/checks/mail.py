"""All checks over one tenant's mail: what its addresses point at, where that ends, what it lets out, who is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.checks import exits, flow, role_addresses, routing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding


def check(
    files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str], today: str
) -> Iterator[Finding]:
    """Every finding of these themes. `domains` says which tenant each domain of the estate belongs to."""
    yield from routing.check(files, compiled, agency, domains)
    yield from flow.check(files, compiled, agency, domains)
    outside = flow.outside(domains, agency.inside, compiled.elsewhere)
    yield from exits.check(files, compiled, today, outside)
    yield from role_addresses.check(compiled)
