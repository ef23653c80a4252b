"""The commands that answer a question from Git alone: no live system and no remote is contacted by any of them, but
for `records`, which asks the signer for its public keys, and `baseline`, which asks public DNS.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.options import DONE, ERROR, TEXT, common, formats, leave, prepare, worktree_option
from reconciler.output import announce, aside, progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.findings import Finding


@click.command()
@common
@formats("text", "json")
@click.argument("name", type=TEXT, metavar="NAME")
def who(form: str, name: str, **options: Any) -> None:
    """Whose an ADDRESS or DOMAIN is, or what a PERSON has; who may reset it, what changed last, how to undo it."""
    from reconciler import inquiries
    from reconciler.reports import data, lines, traces
    from reconciler.reports import who as answers

    output, request = prepare(form, **options)
    found, differs = inquiries.who(request, name)
    if form == "json":
        output.text(data.text(answers.who_data(found)))
        announce(differs)
    else:
        first = [
            *lines.differing(differs),
            *traces.untold(ledgers=found["ledgers"]),
            *traces.opened(found["open_runs"]),
        ]
        output.lines([*first, *answers.who(found)])
    leave(DONE)


@click.command()
@common
@formats("text", "json")
@click.argument("domain", type=TEXT, metavar="[DOMAIN]", default="")
def inventory(form: str, domain: str, **options: Any) -> None:
    """All through which each domain could be taken over, and what there is of it: value, source and age."""
    from reconciler import inquiries
    from reconciler.errors import InputError
    from reconciler.reports import data, inventories, lines, traces

    output, request = prepare(form, **options)
    with progress(output) as told:
        found, bad, differs = inquiries.inventory(request._replace(progress=told), domain)
    if bad and not found["tenants"]:
        raise InputError(bad)
    if form == "json":
        output.text(data.text(inventories.as_data(found, bad)))
        announce(differs)
    else:
        first = [*lines.differing(differs), *traces.untold(ledgers=found["ledgers"])]
        output.lines([*first, *inventories.lines(found)])
    _warn(bad)
    leave(ERROR if bad else DONE)


@click.command()
@common
@worktree_option
def codeowners(**options: Any) -> None:
    """Print the CODEOWNERS file that the roles and accounts come to."""
    from reconciler import inquiries

    output, request = prepare("text", **options)
    text, found, differs = inquiries.codeowners(request)
    announce(differs)
    output.text(text)
    if "@" not in text:
        aside([(("No person or team of any role has an `account`: the file names nobody.", ""),)])
    _warn(found)
    leave(DONE)


@click.command()
@common
@formats("text", "json")
@click.argument("address", type=TEXT, metavar="ADDRESS")
def trace(form: str, address: str, **options: Any) -> None:
    """Where mail for an address ends up, now and after this change: each step with its line and owner."""
    from reconciler import canonical, lookup
    from reconciler.reports import data, traces

    try:
        asked = canonical.check_address(address)
    except ValueError as error:
        hint = f", or ask `reconciler who {address}` whose something is" if "@" not in address else ""
        raise click.UsageError(f"{error}; write an address as jane@northwind.example{hint}") from None
    output, request = prepare(form, **options)
    found = lookup.traced(request, asked)
    if form == "json":
        output.text(data.text(traces.as_data(found)))
        announce(found.differing)
    else:
        output.lines(traces.lines(found))
    leave(ERROR if found.unknown else DONE)


@click.command()
@common
@formats("text", "json")
@click.argument("domain", type=TEXT, metavar="DOMAIN")
def records(form: str, domain: str, **options: Any) -> None:
    """Print the DNS records of DOMAIN, as text to hand to whoever runs its zone."""
    from reconciler import handing
    from reconciler.reports import data, handed

    output, request = prepare(form, **options)
    found = handing.records(request, domain)
    announce(found.differing)
    output.text(data.text(handed.as_data(found)) if form == "json" else handed.text(found))
    leave(DONE)


@click.command()
@common
@formats("text", "json", "html")
@click.option("--mta-sts", "site", type=click.Path(file_okay=False), metavar="DIR", help="Write the policy site there.")
@click.argument("domain", type=TEXT, metavar="[DOMAIN]", default="")
def baseline(form: str, domain: str, site: str | None, **options: Any) -> None:
    """How far each domain is from the baseline of mail authentication, by Git and public DNS, and what to do next."""
    from reconciler import conforming
    from reconciler.reports import baselines, data, lines

    output, request = prepare(form, **options)
    if site is not None:
        _write_site(site, *conforming.policy_site(request))
        leave(DONE)
    with progress(output) as told:
        found = conforming.baseline(request._replace(progress=told), domain)
    if form == "text":
        output.lines([*lines.differing(found.differing), *baselines.lines(found.domains, whole=bool(domain))])
    else:
        announce(found.differing)
        head = (found.commit, found.as_of, found.domains)
        page = baselines.page(*head) if form == "html" else data.text(baselines.as_data(*head, found.findings))
        output.text(page)
    _warn(found.findings)
    leave(ERROR if found.findings else DONE)


def _write_site(folder: str, files: Mapping[str, bytes], differs: Sequence[str]) -> None:
    """The files, and no others of ours: the folder of a domain that announces none any more is named on stderr."""
    announce(differs)
    for path, content in files.items():
        place = Path(folder, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    stale = sorted(str(p.parent.parent) for p in Path(folder).glob("mta-sts.*/.well-known/mta-sts.txt")
                   if str(p.relative_to(folder)) not in files)  # fmt: skip
    aside([((f"{len(files)} policies written to {folder}.", ""),)])
    aside([((f"No domain announces {old} any more: take it away after a week.", ""),) for old in stale])


def _warn(found: Sequence[Finding]) -> None:
    """Findings beside an answer that somebody keeps: on stderr."""
    from reconciler.reports import lines

    aside(lines.findings(found))


COMMANDS = (who, trace, inventory, codeowners, records, baseline)
