"""Where and how a command answers: plain text, styled lines on a terminal, a file, a progress bar."""

from __future__ import annotations

import itertools
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.progress import Progress as Bar

    from reconciler.findings import Finding
    from reconciler.reports.lines import Line
    from reconciler.request import Progress


class Output(NamedTuple):
    """Where and how a command answers."""

    format: str
    file: str | None
    color: bool
    verbose: bool

    def ready(self) -> None:
        """Make sure of the file before the work begins. Raises click.FileError."""
        if self.file is not None:
            self._write("", "a")

    def _write(self, text: str, mode: str) -> None:
        assert self.file is not None
        try:
            with Path(self.file).open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise click.FileError(self.file, error.strerror) from None

    def text(self, text: str, *, more: bool = False) -> None:
        """The command's answer, to the file or to standard output; `more` goes on with it. Raises click.FileError."""
        if self.file is None:
            click.echo(text.removesuffix("\n"))
        else:
            self._write(text.removesuffix("\n") + "\n", "a" if more else "w")

    def lines(self, lines: Iterable[Line], *, more: bool = False) -> None:
        """Styled lines: through rich on a terminal, plain and never wrapped elsewhere."""
        if self.file is None and sys.stdout.isatty():
            _styled(lines, color=self.color)
        else:
            self.text("\n".join("".join(text for text, _ in line) for line in lines), more=more)


def _styled(lines: Iterable[Line], *, color: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, no_color=not color, soft_wrap=False)
    for line in lines:
        console.print(Text.assemble(*((text, style) for text, style in line)), emoji=False)


def announce(files: Sequence[str]) -> None:
    """The first line of the text output, on stderr where stdout holds another format."""
    from reconciler.reports import lines

    aside(lines.differing(files))


def aside(lines: Iterable[Line]) -> None:
    """Lines on stderr, plain: beside an answer that somebody keeps or another program reads."""
    for line in lines:
        click.echo("".join(text for text, _ in line), err=True)


@contextmanager
def progress(output: Output) -> Iterator[Progress]:
    """A bar on stderr when that is a terminal and the work has taken a second."""
    shows, begun = sys.stderr.isatty() and output.format == "text", time.monotonic()
    bar: Bar | None = None  # not before the workers are forked: it has a thread

    def told(done: int, total: int) -> None:
        nonlocal bar
        if shows and bar is None and time.monotonic() - begun > 1:
            bar = stack.enter_context(_bar(color=output.color))
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done, total=total)

    with ExitStack() as stack:
        yield told


def _bar(*, color: bool) -> Bar:
    from rich.console import Console
    from rich.progress import Progress as Bar

    bar = Bar(console=Console(stderr=True, no_color=not color), transient=True)
    bar.add_task("tenants", total=None)
    return bar


def _wanted() -> str:
    """The format that was asked for, where a command fails before it knows."""
    arguments = [part for argument in sys.argv[1:] for part in argument.split("=", 1)]
    return next((b for a, b in itertools.pairwise(arguments) if a == "--format"), "text")


def fail(message: str) -> None:
    """An error as a line; as a JSON document too where that was asked for. It may quote anything."""
    from reconciler.wording import visible

    click.echo("\n".join(map(visible, message.split("\n"))), err=True)
    if _wanted() == "json":
        from reconciler.reports import data

        click.echo(data.text({"format": "reconciler.error/1", "error": message}))


def fail_with(findings: Sequence[Finding]) -> None:
    """Findings that stop everything."""
    from reconciler.reports import annotations, data, lines

    form = _wanted()
    if form == "json":
        click.echo(data.text(data.findings(None, findings)))
    elif form in {"sarif", "github"}:
        click.echo(annotations.text(form, findings, ""))
    else:
        aside(lines.findings(findings))


def open_streams() -> None:
    """A stream that the caller closed is an empty one, not a fault."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  (open until the end)
