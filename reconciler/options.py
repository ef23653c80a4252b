"""What the commands share: options that mean the same everywhere, where the answer goes, exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.changes import Plan
    from reconciler.request import Request
    from reconciler.results import TenantResult

DONE, ERROR, CHANGES, REFUSED, STALE, LOCKED, USAGE = 0, 1, 2, 3, 4, 5, 64
_WORST_FIRST = (ERROR, REFUSED, STALE, LOCKED, CHANGES, DONE)


class _Text(click.types.StringParamType):
    """Names here are text, as files and servers have it: bytes in another encoding than UTF-8 are wrong usage."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if any("\udc80" <= character <= "\udcff" for character in value):
            self.fail(f"{value!r} is no UTF-8 text; write it in UTF-8.", param, ctx)
        return value


TEXT = _Text()


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that mean the same everywhere."""
    options = [
        click.option(
            "--estate", type=click.Path(), default=".", metavar="DIR", help="The estate's folder (default: here)."
        ),
        click.option("--rev", type=TEXT, default="HEAD", metavar="COMMIT", help="The commit to read (default: HEAD)."),
        click.option(
            "--tenant", "tenants", type=TEXT, multiple=True, metavar="NAME", help="Only this tenant; may be repeated."
        ),
        click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write the answer to a file."),
        click.option("--no-color", is_flag=True, help="No colours, even on a terminal."),
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def formats(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that says how to answer; text is the default."""
    return click.option("--format", "form", type=click.Choice(names), default="text", help="How to answer.")


changed_since = click.option(
    "--changed-since",
    type=TEXT,
    default="",
    metavar="COMMIT",
    help="Only tenants that have changed since; what was wrong there already refuses nothing.",
)
trusted = click.option(
    "--trusted",
    type=TEXT,
    default="",
    metavar="COMMIT",
    help="Take providers, secrets and the ledger's place from this commit, not from the one under review.",
)
worktree_option = click.option("--worktree", is_flag=True, help="Read the working tree instead of a commit.")


enforced = click.option(
    "--enforce", type=TEXT, multiple=True, metavar="ADDRESS", help="Put back what was changed by hand there, or `all`."
)


def prepare(form: str, **said: Any) -> tuple[Output, Request]:
    """Where the answer goes, and what is asked for, from the options of `common` and those a command adds to them."""
    from reconciler.request import Request

    color = not said["no_color"] and "NO_COLOR" not in os.environ
    answer = Output(form, said["output"], color, said["verbose"])
    answer.ready()
    root = Path(os.path.abspath(said["estate"]))  # noqa: PTH100  (resolve() would follow links a user named on purpose)
    request = Request(
        root,
        said["rev"],
        said.get("worktree", False),
        said["tenants"],
        enforce=frozenset(said.get("enforce", ())),
        as_of=_day(said.get("as_of")),
        no_remote=said.get("no_remote") or "",
        changed_since=said.get("changed_since", ""),
        trusted=said.get("trusted", ""),
        offline=said.get("offline", False),
    )
    return answer, request


def _day(text: str | None) -> str:
    """A day to plan for: today, or one of the fourteen before."""
    from datetime import date, timedelta

    if text is None:
        return ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no day such as 2026-12-31", param_hint="--as-of") from None
    today = date.today()  # noqa: DTZ011  (a day either way is in the agency's time zone)
    if not today - timedelta(days=15) <= day <= today + timedelta(days=1):
        raise click.BadParameter("a plan is for today or one of the 14 days before", param_hint="--as-of")
    return text


def worst(codes: Iterable[int]) -> int:
    """The exit code of several, the worst first."""
    return min(codes, key=_WORST_FIRST.index, default=DONE)


def plan_exit(found: Plan, *, exit_code: bool = False) -> int:
    """The exit code of a plan; with `exit_code` also for what there is to do."""
    findings = [*found.findings, *(f for tenant in found.tenants for f in tenant.findings)]
    codes = [ERROR if f.is_input else REFUSED for f in findings if f.refuses]
    codes += [ERROR for tenant in found.tenants if tenant.unread]
    if exit_code and any(t.changes or t.due or any(not d.accepted for d in t.drift) for t in found.tenants):
        codes.append(CHANGES)
    return worst(codes)


def result_exit(result: TenantResult) -> int:
    """The exit code of what became of a tenant."""
    if result.result == "locked":
        return LOCKED
    if result.result == "failed" or result.error:
        return ERROR
    return STALE if result.result == "stale" else DONE


def leave(code: int) -> None:
    """End with an exit code."""
    sys.stdout.flush()
    sys.exit(code)
