"""Since when drift is there: kept on `refs/reconciler/drift`, one file per tenant, moved by compare-and-swap."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reconciler import journal
from reconciler.errors import LedgerError, RemoteError
from reconciler.identities import OTHER_SYSTEM
from reconciler.review import plain
from reconciler.swap import Commit, Refs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.changes import Drift, Plan, TenantPlan
    from reconciler.history import Repository

_BASE, _NAME = "refs/reconciler/", "drift"


def record(repository: Repository, remote: str | None, found: Plan) -> Plan:
    """The plan with the time each drift was first seen at, which is kept. Raises LedgerError."""
    refs = Refs(repository, remote, base=_BASE)
    refs.fetch([_NAME])
    tip, known = _known(repository, found)
    tenants = tuple(_marked(tenant, _read(known.get(tenant.tenant)), found.read_at) for tenant in found.tenants)
    files: dict[str, bytes | None] = {}
    for tenant in tenants:
        content, before = _content(tenant), known.get(tenant.tenant)
        if _is_whole(tenant) and content != before:
            files[f"{tenant.tenant}.json"] = content
    if files:
        who = journal.identity(repository)
        _, refused = refs.write(who, [Commit(_NAME, tip, f"drift at {found.read_at}\n", files)])
        for error in refused.values():
            raise LedgerError(f"when drift was first seen is not noted: {error}")
    return found._replace(tenants=tenants)


def told(repository: Repository, remote: str | None, found: Plan) -> Plan:
    """The plan with the time each drift was first seen at, where that was recorded. Raises LedgerError.

    Where the remote does not answer, what this clone knows has to do.
    """
    with suppress(RemoteError):
        Refs(repository, remote, base=_BASE).fetch([_NAME])
    _, known = _known(repository, found)
    tenants = (_marked(tenant, _read(known.get(tenant.tenant)), None) for tenant in found.tenants)
    return found._replace(tenants=tuple(tenants))


def _known(repository: Repository, found: Plan) -> tuple[str | None, dict[str, bytes]]:
    """(the commit that was recorded last, {tenant: its file there})."""
    tip = repository.refs(f"{_BASE}{_NAME}").get(f"{_BASE}{_NAME}")
    names = {f"{tip}:{tenant.tenant}.json": tenant.tenant for tenant in found.tenants}
    files = repository.objects(list(names)) if tip is not None else {}
    return tip, {names[name]: content for name, content in files.items()}


def _read(content: bytes | None) -> Mapping[str, str]:
    if content is None:
        return {}
    try:
        data = json.loads(content)
        return {str(key): str(seen) for key, seen in data.items()}
    except (ValueError, AttributeError) as error:
        raise LedgerError(f"{_BASE}{_NAME} cannot be read ({error})") from None


def _is_whole(tenant: TenantPlan) -> bool:
    """Whether all of it was compared: of what was not, nobody can say that its drift is over."""
    return not tenant.unread and not any(found.code == OTHER_SYSTEM.code for found in tenant.findings)


def _marked(tenant: TenantPlan, known: Mapping[str, str], now: str | None) -> TenantPlan:
    """A value that was not seen before is seen now for the first time, or nobody knows since when."""
    return tenant._replace(drift=tuple(d._replace(first_seen=known.get(_key(d), now)) for d in tenant.drift))


def _content(tenant: TenantPlan) -> bytes | None:
    """One line per drift; None where there is none."""
    seen = {_key(drift): drift.first_seen for drift in tenant.drift}
    return f"{json.dumps(seen, indent=0, sort_keys=True)}\n".encode() if seen else None


def _key(drift: Drift) -> str:
    live: Any = plain(drift.live)
    return json.dumps([str(drift.address), drift.field, live], sort_keys=True, default=str)
