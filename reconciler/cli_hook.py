"""The commands of a bare repository: what its hooks run, and what puts them there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.options import DONE, REFUSED, leave, plan_exit, result_exit, worst
from reconciler.output import aside, fail, fail_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.hooks import Look
    from reconciler.hub import Hub, Push
    from reconciler.reports.lines import Line


@click.group()
def hook() -> None:
    """Without a forge: pushes to a bare repository are checked and planned, and applied where they move its branch."""


@hook.command()
@click.argument("folder", type=click.Path(), metavar="DIR")
def install(folder: str) -> None:
    """Put the hooks into the bare repository DIR."""
    from reconciler import hub

    here = hub.Hub(Path(folder).absolute())
    written = hub.install(here)
    click.echo(f"{'Wrote ' + ' and '.join(written) if written else 'Both are there already'}: {here.root}/hooks.")
    click.echo(f"A push to {here.name} is checked, planned and applied; one to another branch is only looked at.")
    click.echo(
        f"Next: push {here.name}; have cron run `reconciler hook post-receive {here.root}` for what a day brings."
    )


@hook.command("pre-receive")
def pre_receive() -> None:
    """What Git runs before a push: its branches are checked and planned; the deployed one is refused for an error."""
    from reconciler.hub import Hub, branches, forbidden, pushed

    here, pushes = Hub(Path.cwd()), pushed(sys.stdin.buffer.read())
    wrong = list(forbidden(here, pushes))
    for push, why in wrong:
        fail(f"{push.ref} is not taken: {why}.")
    if wrong:
        leave(REFUSED)
    refused = [push for push in branches(pushes) if not _looked(here, push)]
    leave(REFUSED if any(push.ref == here.branch for push in refused) else DONE)


@hook.command("post-receive")
@click.argument("folder", type=click.Path(), metavar="[DIR]", required=False)
def post_receive(folder: str | None) -> None:
    """What Git runs after a push: what was shown is applied. With DIR and without a push: what is left or due."""
    from reconciler.hub import Hub, pushed

    here = Hub(Path(folder or ".").absolute())
    if folder is None:
        if all(push.ref != here.branch for push in pushed(sys.stdin.buffer.read())):
            leave(DONE)
        if here.waiting:
            _tell([((f"Applying {_plain(here.name)}.", ""),)])
    from reconciler import hooks
    from reconciler.reports import pushes

    found = hooks.apply(here, all_tenants=folder is not None)
    if found is None:
        leave(DONE)
        return
    planned, done = found
    code = worst([plan_exit(planned), *map(result_exit, done.tenants)])
    if folder is None or code or any(tenant.done for tenant in done.tenants):  # cron sends what is said by mail
        _tell(pushes.result(planned, done))
    leave(code)


def _tell(said: Iterable[Line]) -> None:
    """Show it to whoever pushed; who is gone meanwhile has it applied all the same."""
    try:
        aside(said)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _looked(here: Hub, push: Push) -> bool:
    """Show what a push to a branch would do; gives whether nothing is in its way."""
    from reconciler import hooks
    from reconciler.errors import InputError, ReconcilerError

    behind, refused = False, True
    try:
        found = hooks.look(here, push)
        aside(_shown(found))
        behind, refused = found.behind, found.refused
    except InputError as error:
        fail_with(error.findings)
    except ReconcilerError as error:
        fail(f"reconciler: {error}")
    if push.ref != here.branch:
        aside(((text, "bold"),) for text in _ahead(here, push, behind=behind, refused=refused))
    elif refused:
        fail(f"{here.name} stays where it is: solve what is said above, and push again.")
    return not refused


def _shown(found: Look) -> Iterator[Line]:
    from reconciler.reports import lines, pushes

    if found.plan is not None:
        yield from pushes.plan(found.plan)
    elif found.refused:
        yield from lines.checked(found.checked)
    elif not found.checked.tenants:
        yield (("No tenant is touched: there is nothing to plan.", ""),)


def _ahead(here: Hub, push: Push, *, behind: bool, refused: bool) -> Iterator[str]:
    branch, name = _plain(push.ref.removeprefix("refs/heads/")), _plain(here.name)
    if behind:
        yield f"{name} has gone on since {branch} left it: merge it first, what is new there seems to be undone here."
    if refused:
        yield f"{branch}: only looked at. A push of it to {name} is refused."
    else:
        yield f"{branch}: only looked at. It is applied when it is pushed to {name}."


def _plain(name: str) -> str:
    """A branch's name as no terminal obeys it."""
    from reconciler.wording import visible

    return visible(name)
