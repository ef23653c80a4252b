"""The command line: one small function per command, exit codes, and the only place that prints.

| exit | meaning (of several tenants the first that occurs in the order 1, 3, 4, 5, 2, 0) |
|------|-------------------------------------------------------------------------------|
| 0    | done, held back until later, or nothing to do                                   |
| 1    | an error: bad input, a provider that cannot be read, a change that failed       |
| 2    | there are changes or drift (`plan --exit-code`)                                 |
| 3    | refused by a check: nothing was written in that tenant                          |
| 4    | stale: differs from what was reviewed                                           |
| 5    | locked: someone else is applying that tenant                                    |
| 64   | wrong usage of the command line                                                 |
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import __version__, cli_checks, cli_ci, cli_hook, cli_past, cli_questions
from reconciler.cli_checks import ANNOTATED, annotated
from reconciler.options import (
    ERROR,
    LOCKED,
    USAGE,
    changed_since,
    common,
    enforced,
    formats,
    leave,
    plan_exit,
    prepare,
    result_exit,
    trusted,
    worktree_option,
    worst,
)
from reconciler.output import Output, announce, fail, fail_with, open_streams, progress

if TYPE_CHECKING:
    from reconciler.changes import Plan
    from reconciler.permit import Permit
    from reconciler.request import Request


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="reconciler")
def cli() -> None:
    """GitOps for email hosting: mail and DNS of many domains, declared in Git.

    Git says what should be, the live systems say what is, the ledger in Git says what was ours.
    """


@cli.command()
@click.argument("folder", type=click.Path(), metavar="DIR")
def init(folder: str) -> None:
    """Make a new estate in DIR, ready to commit."""
    from reconciler import starter

    made = starter.start(Path(folder))
    if made.part_of is not None:
        click.echo(f"{folder} lies in the Git repository {made.part_of}: the estate becomes a part of it.", err=True)
    click.echo(f"Made {', '.join(made.names)} in {folder}.\nNext: see {folder}/README.md, add a client, commit.")


@cli.command()
@common
@changed_since
@worktree_option
@formats("text", "markdown", "json", *ANNOTATED)
@enforced
@click.option("--offline", is_flag=True, help="Compare with the ledger; no live system is asked.")
@trusted
@click.option("--as-of", metavar="DATE", help="Plan for an earlier day, at most 14 back.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there are changes or drift.")
def plan(form: str, exit_code: bool, **options: Any) -> None:  # noqa: FBT001
    """Compare what Git says with what there is, and show what would change and why. Nothing is written."""
    from reconciler import engine

    output, request = prepare(form, **options)
    with progress(output) as told:
        found = engine.plan(request._replace(progress=told))
    _show_plan(found, output, request)
    leave(plan_exit(found, exit_code=exit_code))


@cli.command()
@common
@formats("text", "json")
@click.option("--yes", is_flag=True, help="Make what the plan shows now, what is due included, without asking.")
@click.option("--plan", "plans", multiple=True, metavar="FILE", help="Make at most what this reviewed plan shows.")
@click.option(
    "--digest", "digests", multiple=True, metavar="D", help="Make exactly the plan (or tenant) of this digest."
)
@click.option("--due", is_flag=True, help="Make what follows by now from lines reviewed earlier.")
@click.option("--purge", is_flag=True, help="Purge what is due to be purged: it cannot be brought back.")
@enforced
@click.option("--no-remote", metavar="REASON", help="Keep the ledger apart while its remote does not answer.")
@click.option("--wait", type=float, default=0.0, metavar="SECONDS", help="Wait so long for who is at work.")
def apply(form: str, wait: float, yes: bool, **options: Any) -> None:  # noqa: FBT001
    """Make live what the commit says, note it in the ledger, and read it again."""
    from reconciler import engine
    from reconciler.permit import Permit
    from reconciler.reports import data, lines, results

    if options["no_remote"] is not None and ("CI" in os.environ or not options["no_remote"].strip()):
        raise click.UsageError("--no-remote is for a person at work, who says why: not under CI, not without a reason")
    permit = _permit(form, yes=yes, **{name: options.pop(name) for name in ("plans", "digests", "due", "purge")})
    output, request = prepare(form, **options)
    request = engine.waited(request, wait) if wait else request
    with progress(output) as told:
        planned = engine.plan(request._replace(progress=told))
    if form == "text":
        output.lines(lines.plan(planned, verbose=output.verbose))
    else:
        announce(planned.differing)
    if permit is None and not _agreed(planned):
        leave(plan_exit(planned))
    with progress(output) as told:
        done = engine.apply(request._replace(progress=told), planned, permit or Permit(everything=True))
    if form == "json":
        output.text(data.text(data.result(done)))
    else:
        output.lines(results.result(done), more=True)
    leave(worst([plan_exit(planned), *map(result_exit, done.tenants)]))


def _permit(
    form: str, *, yes: bool, plans: tuple[str, ...], digests: tuple[str, ...], due: bool, purge: bool
) -> Permit | None:
    """What was reviewed, as it was said; None where somebody at a terminal is to be asked."""
    from reconciler import reviewed
    from reconciler.permit import Permit

    if plans:
        return Permit(plans=reviewed.plans(plans, digests), due=due, purges=purge)
    if digests:
        return Permit(digests=digests, due=due, purges=purge)
    if yes or due:
        return Permit(everything=yes, due=due, purges=purge)
    if purge or not (sys.stdin.isatty() and sys.stdout.isatty() and form == "text"):
        raise click.UsageError("say what was reviewed: --plan FILE, --digest D, or --yes for what the plan shows now")
    return None


def _agreed(planned: Plan) -> bool:
    if not any(tenant.changes or tenant.steps or tenant.due for tenant in planned.tenants):
        return False
    return click.confirm("Apply this?", default=False)


# ---------------------------------------------------------------------- shared


def _show_plan(found: Plan, output: Output, request: Request) -> None:
    from reconciler.reports import data, lines

    if output.format == "text":
        output.lines(lines.plan(found, verbose=output.verbose))
        return
    from reconciler.reports import markdown

    announce(found.differing)
    if output.format in ANNOTATED:
        said = [*found.findings, *(f for tenant in found.tenants for f in tenant.findings)]
        output.text(annotated(said, output, request))
        return
    output.text(data.text(data.plan(found)) if output.format == "json" else markdown.plan(found))


for command in (
    cli_checks.validate,
    cli_ci.ci,
    cli_checks.explain,
    cli_hook.hook,
    cli_past.drift,
    cli_past.import_,
    cli_past.log,
    cli_past.history,
    cli_past.rollback,
    cli_past.unlock,
    *cli_questions.COMMANDS,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; turns every error of ours into text (or JSON) and an exit code."""
    from reconciler.errors import InputError, Locked, ReconcilerError

    open_streams()
    try:
        cli.main(standalone_mode=False, prog_name="reconciler")
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        fail(f"reconciler: {error.format_message()}")
        sys.exit(USAGE)
    except InputError as error:
        fail_with(error.findings)
        sys.exit(ERROR)
    except ReconcilerError as error:
        fail(f"reconciler: {error}")
        sys.exit(LOCKED if isinstance(error, Locked) else ERROR)
    except OSError as error:  # a full disk, a folder that is gone, a reader that went away
        if not isinstance(error, BrokenPipeError):
            fail(f"reconciler: {error.strerror}{f': {error.filename}' if error.filename else ''}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ERROR)
