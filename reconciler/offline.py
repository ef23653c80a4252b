"""Runs that were made while the ledger's remote did not answer: kept apart, and joined when it answers again.

`apply --no-remote REASON` writes its journal to `refs/reconciler/offline/<tenant>` of this clone, on top of what was
seen of the tenant's ledger last. Meanwhile others may have applied the tenant, too. So nothing of it is believed: at
the next contact every change of such runs is a claim, as of a run that was killed, and a look at live settles it. The
commit that notes this has both histories as parents.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reconciler.errors import LedgerError
from reconciler.history import UNBORN
from reconciler.ledger import INTENT, OFFLINE, as_intent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.changes import Change, Intent, TenantPlan
    from reconciler.history import Repository
    from reconciler.model import Address


def waiting(repository: Repository, apart: Mapping[str, str], tips: Mapping[str, str]) -> dict[str, str]:
    """Those of the runs kept apart that are not joined yet: of the others a run that was killed has left the ref."""
    if not apart:
        return {}
    joined = [f"^{tips[tenant]}" for tenant in apart if tenant in tips]
    asked = "".join(f"{tip}\n" for tip in [*apart.values(), *joined])
    left = set(repository.git("rev-list", "--stdin", stdin=asked.encode()).decode().split())
    return {tenant: tip for tenant, tip in apart.items() if tip in left}


def claims(repository: Repository, tenant: str, tip: str, seen: str | None, known: Intent | None) -> Intent | None:
    """What runs kept apart meant to do since `seen`, and what an open intent does, as one. Raises LedgerError."""
    excluded = [f"^{seen}"] if seen else []
    commits = repository.git("rev-list", "--reverse", tip, *excluded).decode().split()
    found = repository.objects([f"{commit}:{INTENT}" for commit in commits])
    try:
        said = [as_intent(tenant, json.loads(content)) for content in found.values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"{OFFLINE}{tenant} cannot be read ({error})") from None
    if not said:  # they moved nothing but the ledger's own lines, which are found again
        return known
    intents = [*([known] if known else []), *said]
    scopes = {(name, scope.domain): (name, scope) for intent in intents for name, scope in intent.scopes}
    return said[-1]._replace(claims=_whole(c for i in intents for c in i.claims), scopes=tuple(scopes.values()))


def _whole(claims: Iterable[Change]) -> tuple[Change, ...]:
    """Claims in order; several of one thing are one, from what was there first to what was meant last."""
    found: dict[Address, Change] = {}
    for claim in claims:
        first = found.get(claim.address)
        found[claim.address] = claim if first is None else claim._replace(live=first.live, was=first.was or claim.was)
    return tuple(found.values())


def begin(repository: Repository, plans: Iterable[TenantPlan]) -> None:
    """Refs of this clone's own to go on from, where the ledgers were seen last."""
    there = repository.refs(OFFLINE)
    known = {f"{OFFLINE}{plan.tenant}": plan.tip for plan in plans if plan.tip is not None}
    moved = {name: tip for name, tip in known.items() if there.get(name) != tip}
    lines = "".join(f"update {name} {tip} {there.get(name, UNBORN)}\n" for name, tip in moved.items())
    if lines:
        repository.git("update-ref", "--stdin", stdin=lines.encode())
