"""The commands about findings: what is wrong with the declared state, and what a code means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.options import DONE, ERROR, TEXT, changed_since, common, formats, leave, prepare, worktree_option
from reconciler.output import Output, announce, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.findings import Finding
    from reconciler.request import Request

ANNOTATED = ("sarif", "github")  # formats that show findings alone, to other programs


@click.command()
@common
@changed_since
@worktree_option
@formats("text", "json", *ANNOTATED)
def validate(form: str, worktree: bool, **options: Any) -> None:  # noqa: FBT001  (click's own calling style)
    """Check files, schemas and references. No live system is contacted."""
    from reconciler import validation
    from reconciler.reports import data, lines

    output, request = prepare(form, worktree=worktree, **options)
    with progress(output) as told:
        found = validation.validate(request._replace(progress=told))
    if form == "text":
        output.lines(lines.checked(found))
    else:
        announce(found.differing)
        text = data.text(data.checked(found)) if form == "json" else annotated(found.findings, output, request)
        output.text(text)
    leave(ERROR if any(f.refuses for f in found.findings) else DONE)


def annotated(findings: Sequence[Finding], output: Output, request: Request) -> str:
    """Findings in one of the formats of `ANNOTATED`; their files are named from the repository's root."""
    from reconciler.history import Repository
    from reconciler.reports import annotations

    return annotations.text(output.format, findings, Repository(request.root).prefix)


@click.command()
@click.argument("code", type=TEXT, metavar="CODE")
@formats("text", "json")
def explain(code: str, form: str) -> None:
    """What a finding means, why it matters and what to do about it."""
    from reconciler import rulebook
    from reconciler.reports import data, explained

    rule = rulebook.rule(code)
    output = Output(form, None, color=True, verbose=False)
    output.text(data.text(data.rule(rule))) if form == "json" else output.lines(explained.rule(rule))
    leave(DONE)
