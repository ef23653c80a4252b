"""Checks over domains that take no mail and records that nobody looks for: a policy works only at its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.checks.dmarc import policy
from reconciler.checks.places import place
from reconciler.findings import Rule
from reconciler.kinds.record import label, null_mx, tag
from reconciler.model import Address
from reconciler.tags import heard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.model import Resource, State

MISPLACED = Rule(
    "DN025",
    "warning",
    "A record at a name where nobody looks for it",
    "Move it to its name: `_dmarc`, `<selector>._domainkey`, `_mta-sts` or `_smtp._tls`.",
    why="Receivers look for each policy at one name. Anywhere else it is text: the domain looks protected in Git and "
    "is not.",
)
OPEN = Rule(
    "DN033",
    "warning",
    "A parked domain that forgers can use",
    "Give it `v=spf1 -all` and `v=DMARC1; p=reject`; the template parked/1 does.",
    why="A domain without mail is watched by nobody, and that is the one a forger takes. A null MX keeps mail from "
    "it; only SPF and DMARC keep mail in its name away from others.",
)
_HOMES = {
    "v=dmarc1": re.compile(r"_dmarc\..+|.+\._report\._dmarc\..+"),
    "v=dkim1": re.compile(r".+\._domainkey\..+"),
    "v=stsv1": re.compile(r"_mta-sts\..+"),
    "v=tlsrptv1": re.compile(r"_smtp\._tls\..+"),
}


def check(files: Files, sets: Mapping[str, Sequence[Resource]], state: State) -> Iterator[Finding]:
    """Every finding of this theme. `sets` are the record sets of `state` by type."""
    for resource in sets.get("TXT", ()):
        yield from _misplaced(files, resource)
    for resource in sets.get("MX", ()):
        if null_mx(resource.get("values")) and label(resource.address.name) == resource.domain:
            yield from _open(resource, state)


def _misplaced(files: Files, resource: Resource) -> Iterator[Finding]:
    name = label(resource.address.name)
    for value in resource.get("values"):
        known = tag(value)
        if isinstance(value, str) and known in _HOMES and not _HOMES[known].fullmatch(name):
            what = f"`{value[:60]}{' …' if len(value) > 60 else ''}` stands at {name}."
            yield MISPLACED.at(resource.address.name, what, place(files, resource, value))


def _open(resource: Resource, state: State) -> Iterator[Finding]:
    """A domain that takes no mail and lets others send is no parked one: it only sends."""
    domain = resource.domain
    records = [heard(value) for value in _texts(resource, domain, state) if tag(value) == "v=spf1"]
    if any(term.name != "all" for terms in records for term in terms):
        return
    rungs = [policy(value).rung for value in _texts(resource, f"_dmarc.{domain}", state) if tag(value) == "v=dmarc1"]
    missing = [] if any(term.sign == "-" for terms in records for term in terms) else ["SPF `v=spf1 -all`"]
    missing += [] if "reject" in rungs else ["DMARC `p=reject`"]
    if missing:
        assert resource.origin is not None
        yield OPEN.at(domain, f"It takes no mail, and has no {' and no '.join(missing)}.", resource.origin)


def _texts(resource: Resource, name: str, state: State) -> list[str]:
    """The TXT values at a name, beside a resource."""
    found = state.get(Address(resource.address.provider, "record", f"TXT/{name}"))
    return [value for value in (found.get("values") if found else ()) if isinstance(value, str)]
