"""Checks over what a tenant's records say together, and whose names they stand at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.checks import copied, dmarc, keys, spf, transport, unused
from reconciler.findings import Rule
from reconciler.kinds.record import label, null_mx, rtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.model import Resource, State

NULL_MX = Rule(
    "DN001",
    "error",
    "Addresses on a domain that takes no mail",
    "Declare a real MX, or take the addresses out (RFC 7505).",
    why="`0 .` tells senders that nothing is accepted here: every mailbox and alias of the domain stays empty.",
)
NOT_ITS_OWN = Rule(
    "DN002",
    "error",
    "A record at another domain's name",
    "Write it in that domain's own file under dns/.",
    why="The name is the other domain's to fill: whoever may change this file could lead that one's mail away.",
)


def check(files: Files, state: State, agency: Agency, domains: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding over records. `domains` says which tenant each domain of the estate belongs to."""
    sets: dict[str, list[Resource]] = {}  # type: its sets
    for address, resource in state.items():
        if address.kind == "record":
            sets.setdefault(rtype(address.name), []).append(resource)
            yield from _not_its_own(files.tenant, resource, domains)
    for resource in sets.get("MX", ()):
        if null_mx(resource.get("values")):
            yield from _null_mx(resource, state)
    texts = sets.get("TXT", ())
    yield from spf.check(files, texts)
    yield from dmarc.check(files, texts, state, domains)
    yield from keys.check(files, texts)
    yield from transport.check(files, sets, state, agency)
    yield from unused.check(files, sets, state)
    yield from copied.check(files, agency, domains)


def holder(name: str, domain: str, domains: Mapping[str, str]) -> str:
    """The nearest declared domain at or above a host name that lies at or below `domain`."""
    while name != domain and name not in domains and "." in name:
        name = name.partition(".")[2]
    return name


def _not_its_own(tenant: str, resource: Resource, domains: Mapping[str, str]) -> Iterator[Finding]:
    name = label(resource.address.name)
    nearest = holder(name, resource.domain, domains)
    if nearest != resource.domain:
        assert resource.origin is not None
        whose = "this tenant" if domains[nearest] == tenant else f"the tenant {domains[nearest]}"
        what = f"{name} belongs to {nearest}, a domain of {whose}."
        yield NOT_ITS_OWN.at(resource.address.name, what, resource.origin)


def _null_mx(resource: Resource, state: State) -> Iterator[Finding]:
    name = resource.address.name
    if label(name) != resource.domain:
        return
    found = [a for a, r in state.items() if a.kind in {"mailbox", "alias"} and r.domain == resource.domain]
    if found:
        assert resource.origin is not None
        what = f"Its MX is `{resource.get('values')[0]}`, and it has {len(found)}, first {found[0].name}."
        yield NULL_MX.at(resource.domain, what, resource.origin)
