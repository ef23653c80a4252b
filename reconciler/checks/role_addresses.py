"""Checks over addresses that the world expects: there must be somebody, and nobody logs in as them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.findings import Rule
from reconciler.kinds.record import label, null_mx, rtype

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.compile import Compiled
    from reconciler.findings import Finding
    from reconciler.model import Resource

REQUIRED = ("abuse", "postmaster")
# Those of RFC 2142 that are in use, and the names that people try first. docs/reference/files.md lists them.
ROLES = frozenset(
    ("abuse", "admin", "administrator", "billing", "helpdesk", "hostmaster", "info", "marketing", "noc", "postmaster",
     "root", "sales", "security", "support", "webmaster")
)  # fmt: skip

MISSING_ROLE = Rule(
    "RT010",
    "error",
    "A required address is not there",
    "Declare it, as an alias for somebody who reads it; a template may give it.",
    why="Every domain that takes mail answers at postmaster and abuse (RFC 2142): other operators write there before"
    " they block a domain, and a certificate authority may prove control by it.",
)
ROLE_LOGIN = Rule(
    "RT011",
    "error",
    "A role address that somebody logs in to",
    "Make it a shared mailbox or an alias, so that each person logs in as themselves.",
    why="The password of such a name is known to several people and guessed at first, outlives each of them, and no"
    " log tells who it was.",
)


def check(compiled: Compiled) -> Iterator[Finding]:
    """Every finding of this theme."""
    state = compiled.state
    boxes = {address.name: box for address, box in state.items() if address.kind == "mailbox"}
    answering = {name for name, box in boxes.items() if box.get("state") != "paused"}
    answering |= {address.name for address in state if address.kind == "alias"}
    # An MX that says that the domain takes no mail (RFC 7505), whichever provider holds it.
    sets = ((address.name, record) for address, record in state.items() if address.kind == "record")
    parked = {label(name) for name, record in sets if rtype(name) == "MX" and null_mx(record.get("values"))}
    full = {box.domain for box in boxes.values()}
    for address, resource in state.items():
        if address.kind != "domain" or resource.get("alias_of"):
            continue
        if address.name in full or address.name not in parked:
            yield from _missing(resource, answering)
    for name, box in boxes.items():
        if name.partition("@")[0] in ROLES and box.get("login") and box.get("state") == "active":
            assert box.origin is not None
            yield ROLE_LOGIN.at(name, "It is a mailbox with a login of its own.", box.origin)


def _missing(domain: Resource, answering: set[str]) -> Iterator[Finding]:
    assert domain.origin is not None
    for role in REQUIRED:
        name = f"{role}@{domain.address.name}"
        if name not in answering:
            yield MISSING_ROLE.at(name, f"Nothing is declared that takes mail for {name}.", domain.origin)
