"""Checks over all tenants at once, on what each leaves in its Links; never over one big state.

Tenants are islands. A target or member in another tenant is an error until `accept` in *both* control.yaml files
names it: the one who points, and the one who is pointed at. Where mail ends is followed over all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical, routes
from reconciler.changes import Links
from reconciler.checks.flow import CATCHES_OUT, CIRCLE, SHOWN, crosses, ends, outside, way_out
from reconciler.checks.pointing import Places
from reconciler.checks.routing import NO_READER, NOWHERE, leaving, pointed_at
from reconciler.findings import Rule
from reconciler.routes import Stop, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding, Origin
    from reconciler.routes import Judged

ACROSS = Rule(
    "RT004",
    "error",
    "Points into another tenant",
    "Keep targets and members inside the tenant, or `accept` it in both control.yaml files by code and subject.",
    why="One client would read another's mail, or wait for mail that ends when the other one leaves.",
)


def points_outward(compiled: Compiled, domains: Mapping[str, str]) -> bool:
    """Whether anything of a tenant points into another one: rarely, so only of those Links are made."""
    return any(
        domains.get(canonical.domain_of(target), compiled.tenant) != compiled.tenant
        for resource in compiled.state.values()
        for target in pointed_at(resource)
    )


def links(files: Files, compiled: Compiled, domains: Mapping[str, str], today: str) -> Links:
    """What a tenant leaves: the names that answer and where their mail goes on to, its pointers outward, its word."""
    places = Places(files)
    outward = tuple(
        (resource.address.name, target, places.target(resource, target))
        for resource in compiled.state.values()
        for target in pointed_at(resource)
        if domains.get(canonical.domain_of(target), files.tenant) != files.tenant and resource.origin is not None
    )
    accepted = frozenset(
        item["subject"]
        for item in files.control.get("accept", ())
        if item["finding"] == ACROSS.code and item.get("expires", today) >= today
    )
    mine = routes.table((address, resource.attributes) for address, resource in compiled.state.items())
    stops = tuple((name, *stop) for name, stop in mine.stops.items())
    boxes = [resource for address, resource in compiled.state.items() if address.kind == "mailbox"]
    return Links(
        files.tenant, outward, accepted, stops, tuple(mine.domains.items()), frozenset(compiled.elsewhere),
        members=frozenset((box.address.name, member) for box in boxes for member in box.get("members")),
        logins=frozenset(box.address.name for box in boxes if box.get("login")),
    )  # fmt: skip


def check(
    found: Mapping[str, Links], domains: Mapping[str, str], inside: AbstractSet[str]
) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding) for every pointer that crosses a border without both sides' word, or ends in no good place.

    `found` holds whom they lead to too; `inside` are the domains outside the estate that count as inside.
    """
    tables = {name: _table(one) for name, one in found.items()}
    elsewhere = frozenset().union(*(one.elsewhere for one in found.values()))
    judged = routes.judge(routes.merged(tables.values()), outside(domains, inside, elsewhere))
    for mine in found.values():
        for name, target, origin in mine.outward:
            other = found[domains[canonical.domain_of(target)]]
            for finding in _word(mine, other, name, target, origin):
                yield mine.tenant, finding
            agreed = name in mine.accepted & other.accepted
            if agreed and canonical.domain_of(target) in other.elsewhere:
                for finding in leaving(name, target, origin, inside, domains):
                    yield mine.tenant, finding
            elif agreed:
                for finding in _arrival(mine, other, name, target, origin, tables[other.tenant]):
                    yield mine.tenant, finding
        stops = tables[mine.tenant].stops
        places = {
            name: origin
            for name, _, origin in reversed(mine.outward)
            if crosses(stops[name].targets, mine.tenant, domains)
        }
        for finding in (*_circles(places, judged, stops), *_ends(places, judged, stops)):
            yield mine.tenant, finding


def _word(mine: Links, other: Links, name: str, target: str, origin: Origin) -> Iterator[Finding]:
    """Whether both sides agree to a pointer."""
    silent = [side.tenant for side in (mine, other) if name not in side.accepted]
    if silent:
        what = f"{target} belongs to the tenant {other.tenant}; not accepted by {' and '.join(silent)}."
        yield ACROSS.at(name, what, origin)
        return
    what = f"Accepted by {mine.tenant} and {other.tenant}. {target} is {other.tenant}'s."
    yield ACROSS.at(name, what, origin)._replace(severity="info")


def _arrival(mine: Links, other: Links, name: str, target: str, origin: Origin, table: Table) -> Iterator[Finding]:
    """Whether the other side has what a pointer leads to; of a member, whether somebody logs in there."""
    answer = table.answering(target)
    if answer is None or answer[1] == "catch-all":
        yield NOWHERE.at(name, f"{other.tenant} does not declare {target}.", origin)
    elif (name, target) in mine.members and target not in other.logins:
        yield NO_READER.at(name, f"{target} is none.", origin)


def _circles(places: Mapping[str, Origin], judged: Judged, own: Mapping[str, Stop]) -> Iterator[Finding]:
    """Names from which mail comes back to them, and not within their tenant."""
    for name in [name for name in places if name in judged.endless][:SHOWN]:
        within = {one: [step for step in judged.steps[one] if step in own] for one in own if one in judged.steps}
        if routes.comes_back(name, judged.steps) and not routes.comes_back(name, within):
            yield CIRCLE.at(name, f"{name} leads to itself, by way of another tenant.", places[name])


def _ends(places: Mapping[str, Origin], judged: Judged, own: Mapping[str, Stop]) -> Iterator[Finding]:
    """What is wrong with where the mail ends of names that point into another tenant, or of a catch-all behind them."""
    for name, origin in places.items():
        if name in judged.verdicts:
            steps = [step for step in judged.steps[name] if step in own and step in judged.verdicts]
            yield from ends(name, judged.verdicts[name], [judged.verdicts[step] for step in steps], origin)
    for name in own:
        if name.startswith("@"):
            border = next((step for step in (name, *routes.way_out(name, judged)) if step in places), None)
            if border is not None and judged.verdicts[name].outside:
                yield CATCHES_OUT.at(name, way_out(name, judged), places[border])


def _table(link: Links) -> Table:
    return Table({name: Stop(targets, keeps) for name, targets, keeps in link.stops}, dict(link.domains))
