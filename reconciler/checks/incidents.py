"""Checks over a plan: changes that are sound by themselves and end in lost mail all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.findings import Origin, Rule
from reconciler.kinds.record import label, null_mx, rtype

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.changes import Change
    from reconciler.checks.planned import Compared
    from reconciler.findings import Finding
    from reconciler.model import State

EARLY_MX = Rule(
    "PL226",
    "error",
    "Mail would move to where nobody is yet",
    "Declare the addresses that the domain has where its mail arrives today; or accept it: an `accept` entry "
    "with this code and subject.",
    why="From then on the server refuses for good whatever it has no address for, and whoever wrote gets a bounce.",
)


LONG_TTL = Rule(
    "PL233",
    "warning",
    "An MX would move while its TTL is long",
    "Lower it first and wait (`cutover` does both), or keep the old server until that time is over.",
    why="Whoever has asked before goes on to deliver to the old server; once that is switched off, their mail bounces.",
)
SHORT = 900  # seconds for which an old server can be expected to go on


def check(compared: Compared) -> Iterator[Finding]:
    """Every finding of this theme."""
    for change in compared.changes:
        if _moves_mail(change) and (kept := _kept(change)) > SHORT:
            what = f"Senders may keep the old one for {kept} s."
            yield LONG_TTL.at(change.domain, what, change.origin or Origin(""))
        if _moves_mail(change) and not _answers(change.domain, compared.state):
            old = ", ".join(change.live.get("values")) if change.live is not None else ""
            what = f"Its MX is {old} now, and no mailbox, alias or forward of it is declared in its own file."
            yield EARLY_MX.at(change.domain, what, change.origin or Origin(""))


def _kept(change: Change) -> int:
    """The TTL of the MX that is live, in seconds."""
    ttl = change.live.attributes.get("ttl") if change.live is not None else None
    return ttl if isinstance(ttl, int) else 0


def _moves_mail(change: Change) -> bool:
    """Whether it sets another MX where a domain has one that takes mail."""
    if change.kind.name != "record" or change.live is None or change.aim is None or "values" not in change.fields:
        return False
    at_domain = rtype(change.address.name) == "MX" and label(change.address.name) == change.domain
    return at_domain and not any(null_mx(side.get("values")) for side in (change.live, change.aim))


def _answers(domain: str, state: State) -> bool:
    """Whether a domain has more than what its template gives it, or has its mail elsewhere."""
    hosted = [r for a, r in state.items() if a.kind == "domain" and r.domain == domain]
    if not hosted or hosted[0].get("alias_of"):
        return True
    return any(
        resource.domain == domain and resource.origin is not None and "/domains/" in resource.origin.file
        for address, resource in state.items()
        if address.kind in {"mailbox", "alias"}
    )
