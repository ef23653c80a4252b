"""`reconciler ci`: the pull-request flow, as the workflows of a Git host run it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from reconciler.options import DONE, ERROR, TEXT, common, leave, plan_exit, prepare, result_exit, worst
from reconciler.output import fail_with, progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from reconciler.findings import Finding
    from reconciler.forges import Forge
    from reconciler.output import Output
    from reconciler.reports.lines import Line
    from reconciler.request import Request

FOLDER = "var/ci"


@click.group()
def ci() -> None:
    """Plan pull requests, apply what is merged, report drift: for the workflows of a Git host, or any other CI."""


folder = click.option(
    "--dir", "folder", type=click.Path(file_okay=False), default=FOLDER, metavar="DIR",
    help=f"Where plan.json and, outside GitHub, all else is left (default: {FOLDER} of the estate).",
)  # fmt: skip


@ci.command()
@common
@folder
@click.option("--offline", is_flag=True, help="Compare with the ledger: for a pull request that gets no secret.")
@click.option(
    "--base", type=TEXT, default="", metavar="COMMIT", help="What it would be merged into, where the host does not say."
)
def plan(folder: str, base: str, **options: Any) -> None:
    """Plan the pull request that this run is about, and show it there."""
    from reconciler import ci as flow
    from reconciler.errors import InputError
    from reconciler.reports import data, lines

    output, request, forge = _begin(folder, **options)
    if not base and not (forge.pull and forge.pull.base):
        raise click.UsageError("say with --base what this would be merged into: providers and secrets come from there")
    try:
        with progress(output) as told:
            found = flow.plan(request._replace(progress=told), forge, base)
    except InputError as error:
        _annotate(forge, error.findings, request)
        fail_with(error.findings)
        leave(ERROR)
    _keep(request.root / folder / "plan.json", data.text(data.plan(found)))
    said = [*found.findings, *(f for tenant in found.tenants for f in tenant.findings)]
    _annotate(forge, said, request)
    _log(forge, output, lines.plan(found, verbose=output.verbose))
    leave(plan_exit(found))


@ci.command()
@common
@folder
@click.option(
    "--digest", "digests", multiple=True, type=TEXT, metavar="D", help="Make the plan (or tenant) of this digest."
)
@click.option("--purge", is_flag=True, help="Purge what is due to be purged: it cannot be brought back.")
def apply(folder: str, digests: tuple[str, ...], purge: bool, **options: Any) -> None:  # noqa: FBT001
    """Apply the main branch's head: at most what was reviewed and approved, then what is due."""
    from reconciler import ci as flow
    from reconciler.reports import results

    output, request, forge = _begin(folder, **options)
    with progress(output) as told:
        done = flow.apply(request._replace(progress=told), forge, digests=tuple(filter(None, digests)), purges=purge)
    _log(forge, output, results.result(done.result))  # first: whatever the host does not take stands in the log
    flow.tell(forge, done, _run())
    leave(worst([plan_exit(done.planned), *map(result_exit, done.result.tenants)]))


@ci.command()
@common
@folder
def drift(folder: str, **options: Any) -> None:
    """What was changed outside Git: an issue per tenant, closed when it is over."""
    from reconciler import ci as flow
    from reconciler.reports import drifts

    output, request, forge = _begin(folder, **options)
    with progress(output) as told:
        found = flow.drift(request._replace(progress=told), forge)
    _log(forge, output, drifts.lines(found))
    leave(ERROR if any(tenant.unread or tenant.stopped for tenant in found.tenants) else DONE)


def _begin(folder: str, **options: Any) -> tuple[Output, Request, Forge]:
    from reconciler import forges

    output, request = prepare("text", **options)
    forge = forges.here(os.environ, request.root / folder)
    os.environ.update(forge.access)  # Git's processes get it from there, and no command line or file holds it
    return output, request, forge


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def _annotate(forge: Forge, findings: Sequence[Finding], request: Request) -> None:
    """Findings at their lines, where the host reads them from the log."""
    from reconciler.history import Repository
    from reconciler.reports import annotations

    if forge.annotates and findings:
        click.echo(annotations.text("github", findings, Repository(request.root).prefix))


def _log(forge: Forge, output: Output, lines: Iterable[Line]) -> None:
    """Lines for the log. Where that is read for commands, none in them counts: values are no commands."""
    import secrets

    word = secrets.token_hex(16)
    if forge.annotates:
        click.echo(f"::stop-commands::{word}")
    output.lines(lines)
    if forge.annotates:
        click.echo(f"::{word}::")


def _run() -> str:
    """Where the log of this run is, on GitHub."""
    server, name, run = (os.environ.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{name}/actions/runs/{run}" if server and name and run else ""
