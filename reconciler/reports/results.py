"""What an apply did, as styled lines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.reports.lines import findings
from reconciler.wording import counted, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.effects import Proof
    from reconciler.reports.lines import Line
    from reconciler.results import Result, TenantResult


def result(found: Result) -> Iterator[Line]:
    """What an apply did."""
    for tenant in found.tenants:
        yield from _tenant_result(tenant, found.run)
    done = sum(len(tenant.done) for tenant in found.tenants)
    missed = sum(len(tenant.not_done) for tenant in found.tenants)
    yield ()
    well = {"applied", "nothing", "held"}
    style = "bold green" if all(tenant.result in well for tenant in found.tenants) else "bold red"
    yield ((f"Applied: {counted(done, 'change')}, {missed} not made. Run {found.run}.", style),)


_SAID = {
    "applied": "applied",
    "nothing": "nothing to do",
    "refused": "refused by its findings: nothing was written",
    "held": "held back until later",
    "stale": "stale, it is not what was reviewed: nothing was written",
    "locked": "locked, somebody else is at work on it",
    "failed": "failed",
    "skipped": "skipped",
}


def _seen(proofs: Iterable[Proof]) -> Iterator[Line]:
    by_kind: dict[str, list[Proof]] = {}
    for proof in proofs:
        by_kind.setdefault(proof.address.kind, []).append(proof)
    sets = by_kind.get("record", ())
    servers, resolvers = ([proof for proof in sets if bool(proof.note) is noted] for noted in (False, True))
    if servers:
        yield ((f"  seen at {_at(servers, 'name server')}", "green"),)
    if resolvers:
        notes = Counter(_without_seconds(proof.note) for proof in resolvers)
        said = ", ".join(f"{number} {note}" for note, number in sorted(notes.items()))
        yield ((f"  asked of {_at(resolvers, 'resolver')} ({said})", ""),)
    if boxes := by_kind.get("mailbox"):
        notes = Counter(visible(proof.note) for proof in boxes)
        said = ", ".join(f"{number} {note}" for note, number in sorted(notes.items()))
        yield ((f"  login asked of {counted(len(boxes), 'mailbox')}: {said}", ""),)
    for proof in by_kind.get("dkim_signing", ()):
        yield ((f"  a message from {proof.address.name}: {visible(proof.note)}", ""),)


def _without_seconds(note: str) -> str:
    """A resolver's note as it can be counted: what another answer is, without the chain and the time it may last."""
    answer = note.partition(", ")[2]
    return answer.partition(" for up to ")[0] or note


def _at(proofs: Iterable[Proof], thing: str) -> str:
    servers, sets = (len(set(column)) for column in zip(*((p.server, p.address) for p in proofs), strict=True))
    return f"{counted(servers, thing)}: {counted(sets, 'record set')}"


def _tenant_result(tenant: TenantResult, run: str) -> Iterator[Line]:
    if tenant.result == "nothing":
        return
    good = tenant.result in {"applied", "held"}
    yield (
        (visible(tenant.tenant), "bold"),
        (f"  {_SAID[tenant.result]}: {len(tenant.done)} done", "green" if good else "red"),
    )
    if tenant.error:
        yield ((f"  {visible(tenant.error)}", "red"),)
    if good or tenant.result == "failed":
        for change, why in tenant.not_done:
            yield ((f"  not done: {change.action} {change.address}: {visible(why)}", ""),)
    if tenant.findings:
        yield from findings(tenant.findings)
        yield ((f"  to undo what was made: reconciler rollback {run}", "bold"),)
    elif tenant.proofs:
        yield from _seen(tenant.proofs)
    if tenant.result == "stale":
        yield ((f"  its digest now: {tenant.digest}", ""),)
    if tenant.rerun:
        yield ((f"  to go on: {tenant.rerun}", "bold"),)
