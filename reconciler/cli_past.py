"""The commands that look back: what was done, by whom, and what was left undone. From Git alone."""

from __future__ import annotations

from typing import Any

import click

from reconciler.options import DONE, common, formats, leave, prepare


@click.command()
@common
@formats("text", "json")
@click.option("--limit", type=int, default=20, metavar="N", help="The newest N runs (default: 20).")
def log(form: str, limit: int, **options: Any) -> None:
    """The runs of apply: what each did in which tenant, by whom, with what result. From Git alone."""
    from reconciler import engine
    from reconciler.reports import data, past

    output, request = prepare(form, worktree=False, **options)
    found = engine.log(request, limit)
    if form == "json":
        output.text(data.text(past.log_data(found)))
    else:
        output.lines(past.log(found))
    leave(DONE)


@click.command()
@common
@formats("text", "json")
@click.argument("name", metavar="NAME")
def history(form: str, name: str, **options: Any) -> None:
    """Every change to an address, a domain or a tenant: who wrote and applied it, and how to undo it."""
    from reconciler import engine
    from reconciler.reports import data, past

    output, request = prepare(form, worktree=False, **options)
    found = engine.history(request, name)
    output.text(data.text(past.history_data(name, found))) if form == "json" else output.lines(
        past.history(name, found)
    )
    leave(DONE)


@click.command()
@common
@click.argument("tenant", metavar="TENANT")
@click.argument("run", metavar="RUN")
def unlock(tenant: str, run: str, **options: Any) -> None:
    """Break the lock of a run that will not come back. What it was doing is looked at by the next plan."""
    from reconciler import engine

    output, request = prepare("text", worktree=False, **options)
    held = engine.unlock(request, tenant, run)
    output.lines([((f"Broken: {held}. Next: reconciler plan --tenant {tenant}", ""),)])
    leave(DONE)
