"""Mailboxes that an apply closed: the mail server itself shows for some of each tenant's that a login is refused.

The database says what was written, not whether the server's query asks for it. A try with a password that is wrong
anyway would show nothing; what the server finds for a login does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.effects import Proof
from reconciler.findings import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.answers import Login
    from reconciler.changes import Change
    from reconciler.model import Resource

SAMPLE = 3  # mailboxes of a tenant that are asked about: a query that lets one in lets all in

OPEN = Rule(
    "LV004",
    "error",
    "A login that was blocked is not refused",
    "See that the server's password query leaves out who is blocked, as docs/servers.md has it, and empty its cache "
    "(`doveadm auth cache flush`); or undo the run.",
    why="Whoever was shut out still reads the mail and sends in the mailbox's name, and everybody believes that it "
    "is over.",
)


def is_shut(change: Change) -> bool:
    """Whether a change takes the login away from a mailbox that had one."""
    return change.kind.name == "mailbox" and change.aim is not None and _open(change.live) and not _open(change.aim)


def _open(box: Resource | None) -> bool:
    return box is not None and bool(box.get("login")) and box.get("state") == "active"


def sample(changes: Iterable[Change]) -> list[Change]:
    """Some of those of each tenant that were shut."""
    by_tenant: dict[str, list[Change]] = {}
    for change in sorted((change for change in changes if is_shut(change)), key=lambda change: change.address):
        by_tenant.setdefault(change.tenant, []).append(change)
    return [change for some in by_tenant.values() for change in some[:SAMPLE]]


def shut(changes: Iterable[Change], found: Mapping[str, Login]) -> Iterator[Proof]:
    """What came of it, a mailbox each; where nothing can be said it is unverified, never fine."""
    for change in changes:
        said = found[change.address.name]
        if said.problem:
            why, note = "", f"unverified: {said.problem}"
        else:
            why, note = ("", "refused") if said.refused else ("a login is let in", "open")
        yield Proof(change.tenant, change.address, change.address.provider, why, note)
