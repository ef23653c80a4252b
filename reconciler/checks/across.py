"""Checks over all tenants at once, on what each leaves in its Links; never over one big state.

Tenants are islands. A target or member in another tenant is an error until `accept` in *both* control.yaml files
names it: the one who points, and the one who is pointed at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.changes import Links
from reconciler.checks.routing import NOWHERE, Answered, pointed_at, pointer
from reconciler.findings import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding

ACROSS = Rule(
    "RT004",
    "error",
    "Points into another tenant",
    "Keep targets and members inside the tenant, or `accept` it in both control.yaml files by code and subject.",
)


def points_outward(compiled: Compiled, domains: Mapping[str, str]) -> bool:
    """Whether anything of a tenant points into another one: rarely, so only of those Links are made."""
    return any(
        domains.get(canonical.domain_of(target), compiled.tenant) != compiled.tenant
        for resource in compiled.state.values()
        for target in pointed_at(resource)
    )


def links(files: Files, compiled: Compiled, domains: Mapping[str, str], today: str) -> Links:
    """What a tenant leaves: the addresses it answers for by name, its pointers outward, what it accepts."""
    answered = Answered(compiled.state)
    outward = tuple(
        (resource.address.name, target, pointer(files, resource, target))
        for resource in compiled.state.values()
        for target in pointed_at(resource)
        if domains.get(canonical.domain_of(target), files.tenant) != files.tenant and resource.origin is not None
    )
    accepted = frozenset(
        item["subject"]
        for item in files.control.get("accept", ())
        if item["finding"] == ACROSS.code and item.get("expires", today) >= today
    )
    return Links(files.tenant, frozenset(answered.names), outward, accepted)


def check(found: Mapping[str, Links], domains: Mapping[str, str]) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding) for every pointer that crosses a border without both sides' word, or ends nowhere."""
    for mine in found.values():
        for name, target, origin in mine.outward:
            other = found[domains[canonical.domain_of(target)]]
            silent = [side.tenant for side in (mine, other) if name not in side.accepted]
            if silent:
                what = f"{target} belongs to the tenant {other.tenant}; not accepted by {' and '.join(silent)}."
                yield mine.tenant, ACROSS.at(name, what, origin)
                continue
            what = f"Accepted by {mine.tenant} and {other.tenant}. {target} is {other.tenant}'s."
            yield mine.tenant, ACROSS.at(name, what, origin)._replace(severity="info")
            if target not in other.names and canonical.base_address(target) not in other.names:
                yield mine.tenant, NOWHERE.at(name, f"{other.tenant} does not declare {target}.", origin)
