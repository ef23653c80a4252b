"""What a change allows itself: an exception or a role that is new in the very change that makes use of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.findings import Origin, Rule
from reconciler.people import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding

NEW_EXCEPTION = Rule(
    "PL227",
    "warning",
    "An exception is made by the change that uses it",
    "Let somebody who is not its author look at the reason, the approver and the end.",
    why="Whoever writes the change lifts the check that would have stopped it: only a reviewer who sees both is left.",
)
WIDER_ROLE = Rule(
    "PL228",
    "warning",
    "A role is widened by a change that it approves",
    "Let one who held the role before approve it, or widen the role in a merge of its own.",
    why="Whoever joins a role in the same change could approve their own changes with it.",
)
_APPROVES = {"mailbox_admin": "/domains/", "dns_auth": "/dns/", "reset_approver": "/tenant.yaml"}
Said = tuple[str, "Mapping[str, Any]"]  # a file, and what it says


def check(found: TenantPlan, now: Sequence[Said], before: Sequence[Said], touched: Sequence[str]) -> Iterator[Finding]:
    """What is wider in a tenant's plan. `now` and `before` are its control.yaml and reconciler.yaml, the nearest first;
    `touched` are the tenant's files that differ between the two.
    """
    used = {(f.code, f.subject) for f in found.findings if f.severity == "info" and f.detail.startswith("Accepted by ")}
    known = [item for _, said in before for item in said.get("accept", ())]
    for file, said in now if used else ():
        for index, item in enumerate(said.get("accept", ())):
            if (item["finding"], item["subject"]) in used and not any(_covers(old, item) for old in known):
                what = f"Approved by {item.get('approved_by', 'nobody named')}: {item.get('reason', 'no reason')}."
                yield NEW_EXCEPTION.at(f"{item['finding']} {item['subject']}", what, Origin(file, ("accept", index)))
    for role in ROLES:
        yield from _wider(found.tenant, role, now, before, touched)


def _covers(old: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether an exception allowed before what one allows now."""
    if any(old.get(key) != item.get(key) for key in ("finding", "subject", "field", "value")):
        return False
    return bool(
        old.get("up_to", 0) >= item.get("up_to", 0) and old.get("expires", "9999") >= item.get("expires", "9999")
    )


def _wider(
    tenant: str, role: str, now: Sequence[Said], before: Sequence[Said], touched: Sequence[str]
) -> Iterator[Finding]:
    holders, file = _holders(role, now)
    more = sorted(set(holders) - set(_holders(role, before)[0]))
    files = [name for name in touched if _APPROVES[role] in name]
    if more and files:
        what = f"{', '.join(more)} would be in `{role}`, and the change touches {files[0]}."
        yield WIDER_ROLE.at(f"{tenant}/{role}", what, Origin(file, ("roles", role)))


def _holders(role: str, levels: Sequence[Said]) -> tuple[Sequence[str], str]:
    """Who holds a role where it is said nearest, and in which file."""
    return next(
        ((said["roles"][role], file) for file, said in levels if role in said.get("roles", {})), ((), levels[0][0])
    )
