"""The commands that look back: what was done, by whom, what was left undone, and what was changed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.options import CHANGES, DONE, ERROR, REFUSED, TEXT, common, formats, leave, prepare, worst

if TYPE_CHECKING:
    from reconciler.changes import Plan


@click.command()
@common
@formats("text", "json")
@click.option("--limit", type=int, default=20, metavar="N", help="The newest N runs (default: 20).")
def log(form: str, limit: int, **options: Any) -> None:
    """The runs of apply: what each did in which tenant, by whom, with what result. From Git alone."""
    from reconciler import engine
    from reconciler.reports import data, past

    output, request = prepare(form, **options)
    found, missing = engine.log(request, limit)
    if missing and not found:
        raise missing
    if form == "json":
        output.text(data.text(past.log_data(found)))
    else:
        output.lines(past.log(found))
    if missing:
        raise missing
    leave(DONE)


@click.command()
@common
@formats("text", "json")
@click.argument("name", type=TEXT, metavar="NAME")
def history(form: str, name: str, **options: Any) -> None:
    """Every change to an address, a domain or a tenant: who wrote and applied it, and how to undo it."""
    from reconciler import engine
    from reconciler.reports import data, past

    output, request = prepare(form, **options)
    found, missing = engine.history(request, name)
    if missing and not found:
        raise missing
    output.text(data.text(past.history_data(name, found))) if form == "json" else output.lines(
        past.history(name, found)
    )
    if missing:
        raise missing
    leave(DONE)


@click.command()
@common
@formats("text", "json")
@click.option("--record", is_flag=True, help="Keep since when it is there, on refs/reconciler/drift.")
def drift(form: str, record: bool, **options: Any) -> None:  # noqa: FBT001  (click's own calling style)
    """What was changed outside Git: what Git says, what live says, how risky it is."""
    from reconciler import engine
    from reconciler.reports import data, drifts

    output, request = prepare(form, **options)
    found = engine.drift(request, record=record)
    if form == "json":
        output.text(data.text(data.drift(found)))
    else:
        output.lines(drifts.lines(found))
    leave(drifted(found))


@click.command("import")
@common
@formats("text", "json")
@click.option("--drift", is_flag=True, help="What was changed outside Git.")
@click.option("--address", "addresses", type=TEXT, multiple=True, metavar="ADDRESS", help="Only this; repeatable.")
@click.option("--branch", default="", metavar="NAME", help="The branch to make (default: import-drift-<DAY>).")
def import_(form: str, drift: bool, addresses: tuple[str, ...], branch: str, **options: Any) -> None:  # noqa: FBT001
    """Write what live has into the YAML, as a commit on a branch. Never applies."""
    from reconciler import engine
    from reconciler.reports import data, imports

    if not drift:
        raise click.UsageError("say what to import: --drift, what was changed outside Git")
    output, request = prepare(form, **options)
    found = engine.import_drift(request, addresses, branch)
    if form == "json":
        output.text(data.text(imports.as_data(found)))
    else:
        output.lines(imports.as_lines(found))
    unread = any(tenant.unread for tenant in found.seen.tenants)
    refused = found.plan is not None and any(tenant.refused for tenant in found.plan.tenants)
    leave(worst([*([ERROR] if unread or found.stopping else []), *([REFUSED] if refused else [])]))


@click.command()
@common
@click.argument("tenant", type=TEXT, metavar="TENANT")
@click.argument("run", type=TEXT, metavar="RUN")
def unlock(tenant: str, run: str, **options: Any) -> None:
    """Break the lock of a run that will not come back. What it was doing is looked at by the next plan."""
    from reconciler import engine

    output, request = prepare("text", **options)
    held = engine.unlock(request, tenant, run)
    output.lines([((f"Broken: {held}. Next: reconciler plan --tenant {tenant}", ""),)])
    leave(DONE)


@click.command()
@common
@formats("text", "json")
@click.option("--branch", metavar="NAME", help="The branch to make (default: rollback-<RUN or COMMIT>).")
@click.argument("target", type=TEXT, metavar="RUN|COMMIT")
def rollback(form: str, target: str, branch: str | None, **options: Any) -> None:
    """What reverting a run or a commit brings back and what not; makes the revert commit on a branch. Never applies."""
    from reconciler import engine
    from reconciler.reports import data, rollbacks

    output, request = prepare(form, **options)
    found = engine.roll_back(request, target, branch or f"rollback-{target[:12]}")
    if form == "json":
        output.text(data.text(rollbacks.as_data(found)))
    else:
        output.lines(rollbacks.as_lines(found))
    leave(REFUSED if any(tenant.refused for tenant in found.plan.tenants) else DONE)


def drifted(found: Plan) -> int:
    """2 for drift that nobody accepted and for unmanaged things of high risk; 1 where something cannot be read."""
    findings = [*found.findings, *(f for tenant in found.tenants for f in tenant.findings)]
    bad = any(f.severity == "error" and f.is_input for f in findings) or any(t.unread for t in found.tenants)
    moved = any(not d.accepted for tenant in found.tenants for d in tenant.drift)
    risky = any(risk == "high" for tenant in found.tenants for _, risk in tenant.unmanaged.listed)
    return worst([*([ERROR] if bad else []), *([CHANGES] if moved or risky else [])])
