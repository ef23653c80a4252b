"""Plans, findings and results as the JSON of the contract: plain dicts, sorted, the same bytes for the same input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.findings import Origin
from reconciler.model import MISSING
from reconciler.review import digest, loses, plain, revert, tenant_digest, was

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.changes import Change, Drift, Plan, Step, TenantPlan
    from reconciler.effects import Proof
    from reconciler.findings import Finding, Rule
    from reconciler.model import Address, Entry, Value
    from reconciler.results import Checked, Result, TenantResult

Data = dict[str, Any]
ACTIONS = ("create", "update", "rename", "restore", "retire", "delete", "purge")


def text(data: Data) -> str:
    """One JSON document. Bytes of a live value that are no UTF-8 stay visible as escapes."""
    return json.dumps(data, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace").decode("utf-8")


def plan(found: Plan) -> Data:
    """`reconciler.plan/1`."""
    tenants = [_tenant(tenant, found) for tenant in found.tenants]
    return {
        "format": "reconciler.plan/1",
        "commit": found.commit,
        "digest": digest(found.tenants),
        "read_at": found.read_at,
        "as_of": found.as_of,
        "findings": [finding(f) for f in found.findings],
        "summary": summary(tenants),
        "tenants": tenants,
    }


def summary(tenants: Sequence[Data]) -> Data:
    """How much of everything there is in tenants as `plan` shows them."""
    actions = [change["action"] for tenant in tenants for change in tenant["changes"]]
    counts = {action: actions.count(action) for action in ACTIONS}
    for key in ("due", "later", "drift", "adopted"):
        counts[key] = sum(len(tenant[key]) for tenant in tenants)
    unmanaged = [tenant["unmanaged"] for tenant in tenants]
    counts["unmanaged"] = sum(len(found["listed"]) + sum(found["counted"].values()) for found in unmanaged)
    return counts


def _tenant(found: TenantPlan, whole: Plan) -> Data:
    return {
        "tenant": found.tenant,
        "applied_commit": found.applied_commit,
        "digest": tenant_digest(found),
        "changes": [change(c, whole.authors) for c in found.changes],
        "due": [change(c, whole.authors) for c in found.due],
        "later": [{"address": str(w.address), "action": w.action, "when": w.when, "why": w.why} for w in found.later],
        "adopted": _addresses(found.steps, "adopt"),
        "forgotten": _addresses(found.steps, "forget"),
        "drift": [drifted(d) for d in found.drift],
        "complete": not found.unread,
        "unmanaged": {
            "listed": [{"address": str(address), "risk": risk} for address, risk in found.unmanaged.listed],
            "counted": dict(found.unmanaged.counted),
        },
        "unread": [{"provider": u.provider, "kind": u.kind, "error": u.error} for u in found.unread],
        "todo": [change(c, whole.authors) for c in found.todo],
        "findings": [finding(f) for f in found.findings],
    }


def _addresses(steps: Sequence[Step], what: str) -> list[str]:
    return [str(step.address) for step in steps if step.what == what]


def change(found: Change, authors: Mapping[str, tuple[str, str]]) -> Data:
    """One change of a plan."""
    kept = {"tenant": found.tenant, "conflict": found.conflict, "held": found.held}
    return {**shown(found, authors), **kept, **found.address._asdict()}


def shown(found: Change, authors: Mapping[str, tuple[str, str]]) -> Data:
    """What a plan and the journal say of a change.

    `authors` says who took it out (by its address), or last changed the file it comes from.
    """
    fields = found.fields
    return {
        "address": str(found.address),
        "action": found.action,
        "reason": found.reason,
        "was": was(found),
        "fields": {name: {"from": plain(old), "to": plain(new)} for name, (old, new) in fields.items()},
        "origin": _origin(found.address, found.origin, authors),
        "revert": revert(found),
        "loses": loses(found),
    }


def _origin(address: Address, origin: Origin | None, authors: Mapping[str, tuple[str, str]]) -> Data:
    commit, author = authors.get(str(address)) or authors.get(origin.file if origin else "") or (None, None)
    place = (origin.file, origin.line) if origin else (None, None)
    return {"file": place[0], "line": place[1], "commit": commit, "author": author}


def step(found: Step, base: Entry | None, authors: Mapping[str, tuple[str, str]]) -> Data:
    """One move of the ledger alone, whose line was `base`; `authors` as for a change."""
    line = found.entry or base
    origin = Origin(line.file, line=line.line) if line is not None and line.file else None
    fields = said(base, found.entry)
    return {
        "address": str(found.address),
        "what": found.what,
        "fields": fields,
        "origin": _origin(found.address, origin, authors),
    }


def said(base: Entry | None, entry: Entry | None) -> Data:
    """What the ledger's line holds otherwise than before, of what Git said."""
    if base is None or entry is None or base.absent != entry.absent:
        return {}
    names = [name for name in {**base.said, **entry.said} if base.said.get(name) != entry.said.get(name)]
    return {name: {"from": plain(base.said.get(name)), "to": plain(entry.said.get(name))} for name in names}


def drifted(found: Drift) -> Data:
    """One value that was changed outside Git."""
    return {
        "address": str(found.address),
        "field": found.field,
        "git": _value(found.git),
        "live": _value(found.live),
        "first_seen": found.first_seen,
        "risk": found.risk,
        "accepted": found.accepted and {"approved_by": found.accepted[0], "expires": found.accepted[1]},
    }


def _value(value: Value) -> Any:
    return None if value is MISSING else plain(value)


def drift(found: Plan) -> Data:
    """`reconciler.drift/1`: of a plan what was changed outside Git."""
    whole = plan(found)
    keys = ("tenant", "drift", "complete", "unmanaged", "unread")
    tenants = [{key: tenant[key] for key in keys} for tenant in whole["tenants"]]
    head = {key: whole[key] for key in ("commit", "read_at", "as_of", "findings")}
    return {"format": "reconciler.drift/1", **head, "tenants": tenants}


def finding(found: Finding) -> Data:
    """One finding."""
    return {
        "code": found.code,
        "severity": found.severity,
        "subject": found.subject,
        "summary": found.summary,
        "detail": found.detail,
        "file": found.origin.file,
        "line": found.origin.line or 1,
        "column": found.origin.column or 1,
        "known": found.known,
    }


def rule(found: Rule) -> Data:
    """`reconciler.rule/1`."""
    return {"format": "reconciler.rule/1", **found._asdict()}


def checked(found: Checked) -> Data:
    """`reconciler.findings/1`."""
    return findings(found.commit, found.findings)


def findings(commit: str | None, found: Sequence[Finding]) -> Data:
    """`reconciler.findings/1` of any findings; `commit` None when there is none."""
    return {"format": "reconciler.findings/1", "commit": commit, "findings": [finding(f) for f in found]}


def result(found: Result) -> Data:
    """`reconciler.result/1`."""
    return {
        "format": "reconciler.result/1",
        "run": found.run,
        "commit": found.commit,
        "tenants": [_tenant_result(tenant) for tenant in found.tenants],
    }


def _tenant_result(found: TenantResult) -> Data:
    return {
        "tenant": found.tenant,
        "result": found.result,
        "digest": found.digest,
        "done": [{"address": str(c.address), "action": c.action} for c in found.done],
        "not_done": [{"address": str(c.address), "action": c.action, "why": why} for c, why in found.not_done],
        "error": found.error,
        "rerun": found.rerun,
        "proofs": list(map(proof, found.proofs)),
        "findings": list(map(finding, found.findings)),
    }


def proof(found: Proof) -> Data:
    """What one name server said of a record set; `why` is empty where it says what was applied."""
    return {"address": str(found.address), "server": found.server, "why": found.why, "note": found.note}
