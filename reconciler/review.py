"""What a reviewer relies on: the digest of a plan, and what a `git revert` of a change brings back."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal

from reconciler.model import MISSING, Computed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.changes import Change, TenantPlan
    from reconciler.model import Value


def digest(tenants: Iterable[TenantPlan]) -> str:
    """The digest of a plan: over the digests of its tenants."""
    return sha256([[plan.tenant, tenant_digest(plan)] for plan in tenants])


def tenant_digest(plan: TenantPlan) -> str:
    """What a tenant's declared changes do to the world; equal digests do the same. Nothing else is covered."""
    if plan.sha:
        return plan.sha
    changes = sorted((*plan.changes, *plan.held), key=lambda change: str(change.address))
    return sha256([covered(change) for change in changes])


def covered(change: Change) -> list[Any]:
    """What a digest covers of a change: address, action, old name, and each field from and to."""
    pairs = {name: [plain(old), plain(new)] for name, (old, new) in change.fields.items()}
    return [str(change.address), change.action, was(change), pairs]


def was(change: Change) -> str | None:
    """The address that a change takes from what it changes."""
    return None if change.was is None else str(change.was)


def plain(value: Value) -> Any:
    """A value as JSON has it."""
    if not isinstance(value, tuple):
        return value
    return {"known": "after apply"} if isinstance(value, Computed) else [plain(item) for item in value]


def sha256(data: Any) -> str:
    """The digest of anything that is JSON, in its canonical form."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # A live TXT value may hold bytes that are no UTF-8; as escapes they are still the same text each time.
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def revert(change: Change) -> Literal["full", "partial", "none"]:
    """What reverting the commit of a change restores.

    All of it when every value it replaces is one Git said, or one the ledger keeps as an optional attribute's
    before; a part when a value was never in Git, and for making what keeps data (a revert only retires that).
    """
    if change.action == "purge" or (change.entry is not None and change.entry.absent):
        return "none"
    if change.takeover:
        return "partial"
    if change.action == "create":
        return "full" if change.desired is None or change.desired.keep is None else "partial"
    return "full" if all(_known(change, name, old) for name, (old, _) in change.fields.items()) else "partial"


def _known(change: Change, name: str, old: Value) -> bool:
    base, entry = change.base, change.entry
    if base is not None and old == base.seen.get(name, base.said.get(name, MISSING)):
        return True
    if base is not None and base.retired and name in change.kind.retired:
        return True
    return entry is not None and entry.before.get(name, MISSING) == old


def loses(change: Change) -> str | None:
    """What cannot be brought back, in words."""
    return "the mail in it" if change.action == "purge" and change.kind.name == "mailbox" else None
