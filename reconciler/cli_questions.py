"""The commands that answer questions, from Git alone: no live system and no remote is asked."""

from __future__ import annotations

from typing import Any

import click

from reconciler.options import DONE, ERROR, common, formats, leave, prepare


@click.command()
@common
@formats("text", "json")
@click.argument("address", metavar="ADDRESS")
def trace(form: str, address: str, **options: Any) -> None:
    """Where mail for an address ends up, now and after this change: each step with its line and owner."""
    from reconciler import canonical, lookup
    from reconciler.reports import data, lines, traces

    try:
        asked = canonical.check_address(address)
    except ValueError as error:
        raise click.UsageError(f"{error}; write it as jane@northwind.example") from None
    output, request = prepare(form, **options)
    found = lookup.traced(request, asked)
    if form == "json":
        output.text(data.text(traces.as_data(found)))
        for line in lines.differing(found.differing):
            click.echo("".join(text for text, _ in line), err=True)
    else:
        output.lines(traces.lines(found))
    leave(ERROR if found.unknown else DONE)


COMMANDS = (trace,)
