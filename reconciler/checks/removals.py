"""Checks over what a plan takes away: a domain or a tenant that vanished, a last mailbox, a last MX.

A file deleted by mistake must not silence a client. Such a plan is shown, and refused until an acceptance names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.findings import Origin, Rule
from reconciler.kinds.record import label, null_mx, rtype

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.changes import Change, Facts
    from reconciler.checks.planned import Compared
    from reconciler.findings import Finding
    from reconciler.model import Resource

_ACCEPT = "Put the file back, or accept it: an `accept` entry with this code and subject in {}."
DOMAIN_GONE = Rule(
    "PL210",
    "error",
    "A whole domain would be taken out",
    _ACCEPT.format("control.yaml"),
    why="A file deleted by mistake would close every mailbox of the domain and end its mail.",
)
TENANT_GONE = Rule(
    "PL213",
    "error",
    "A whole tenant would be taken out",
    _ACCEPT.format("reconciler.yaml"),
    why="A folder lost in a merge would silence a client: every mailbox closed, every record gone.",
)
LAST_BOX = Rule(
    "PL215",
    "error",
    "A domain's last active mailbox would go",
    _ACCEPT.format("control.yaml"),
    why="Nobody of that domain could read mail any more.",
)
LAST_MX = Rule(
    "PL219",
    "error",
    "A domain's MX would go",
    _ACCEPT.format("control.yaml"),
    why="Senders would turn to the domain's web server or give up: mail bounces although every mailbox is there.",
)


def check(tenant: str, compared: Compared, facts: Facts) -> Iterator[Finding]:
    """Every finding of this theme."""
    retiring = compared.retiring
    going = [c for c in compared.changes if c.action in {"retire", "delete"}]
    gone = sorted({c.domain for c in going} - facts.domains.keys() - retiring)
    if gone and not any(holder == tenant for holder in facts.domains.values()):
        what = f"{len(going)} of its things, in {', '.join(gone[:5])}{' …' if len(gone) > 5 else ''}."
        yield TENANT_GONE.at(tenant, what, Origin(f"tenants/{tenant}", line=1, column=1))
        return
    for domain in gone:
        some = [c for c in going if c.domain == domain]
        origin = Origin(f"tenants/{tenant}/domains/{domain}.yaml", line=1, column=1)
        yield DOMAIN_GONE.at(domain, f"{len(some)} of its things, first {some[0].address}.", origin)
    for change in going:
        if change.domain not in {*gone, *retiring} and _is_mx(change) and not _stands_elsewhere(change, compared):
            yield LAST_MX.at(change.domain, f"{change.address} would be removed.", _origin(change))
    for change in compared.changes:
        if _is_mx(change) and _takes_mail(change.live) and change.aim is not None and not _takes_mail(change.aim):
            yield LAST_MX.at(change.domain, f"{change.address} would become the null MX.", _origin(change))
    for domain in sorted({c.domain for c in going if c.kind.name == "mailbox"} - set(gone) - retiring):
        yield from _last_box(domain, going, compared)


def _is_mx(change: Change) -> bool:
    name = change.address.name
    return change.kind.name == "record" and rtype(name) == "MX" and label(name) == change.domain


def _takes_mail(mx: Resource | None) -> bool:
    return mx is not None and not null_mx(mx.get("values"))


def _stands_elsewhere(change: Change, compared: Compared) -> bool:
    """Whether Git declares an MX of that name at another provider, where it is made before this one goes."""
    same = (r for a, r in compared.state.items() if (a.kind, a.name) == (change.address.kind, change.address.name))
    return any(map(_takes_mail, same))


def _last_box(domain: str, going: list[Change], compared: Compared) -> Iterator[Finding]:
    boxes = [r for a, r in compared.state.items() if a.kind == "mailbox" and r.domain == domain]
    lost = [c for c in going if c.kind.name == "mailbox" and c.domain == domain and _was_active(c)]
    if lost and not any(box.get("state") == "active" and box.get("login") for box in boxes):
        yield LAST_BOX.at(domain, f"{lost[0].address} is the last.", _origin(lost[0]))


def _was_active(change: Change) -> bool:
    said = {} if change.base is None else change.base.said
    return bool(said.get("state") == "active" and said.get("login"))


def _origin(change: Change) -> Origin:
    return change.origin or Origin("")
