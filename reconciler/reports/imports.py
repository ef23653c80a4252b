"""What an import of drift wrote and what it left, as lines, as JSON, and as the message of its commit."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from reconciler.reports import data
from reconciler.reports.lines import findings
from reconciler.wording import counted, shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.changes import Drift
    from reconciler.reports.lines import Line
    from reconciler.results import Import, Imported

Data = dict[str, Any]
# What a forge or its CI obeys in the message of a commit: mentions, references that close an issue, `[skip ci]`.
_OBEYED = re.compile(r"[#!*<>\[\]`]|(?<![\w.+-])@|(?<=/)/|(?<=[A-Z])-(?=\d)|(?<=\b(?i:gh))-(?=\d)")
_LONGEST = 300  # characters of a value


def message(found: Import) -> str:
    """The message of the commit: what is written, since when it is so, and whom it affects."""
    number = counted(len(found.written), "value")
    lines = [f"Import {number} changed outside Git", ""]
    for tenant, items in groupby(found.written, key=lambda item: item.tenant):
        lines += [f"Tenant {_quiet(tenant)}:", ""]
        for address, same in groupby(items, key=lambda item: item.drift.address):
            some = list(same)
            whom = f", of {_quiet(some[0].whom)}" if some[0].whom else ""
            lines += [f"- {address.kind} {_quiet(address.name)} ({_quiet(address.provider)}){whom}"]
            lines += [f"  {_quiet(_moved(item.drift))}" for item in some]
        lines.append("")
    return "\n".join([*lines, "Live is so already: applying this moves the ledger alone.", ""])


def _moved(drift: Drift) -> str:
    git, live = (_cut(visible(shown(drift.field, value))) for value in (drift.git, drift.live))
    since = f"; first seen {visible(drift.first_seen)}" if drift.first_seen else ""
    return f"{drift.field}: Git said {git}, live is {live}{since}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text)} characters)"


def _quiet(text: str) -> str:
    """The text as nothing obeys it: what could be a reference or a command is written as an escape."""
    return _OBEYED.sub(lambda match: f"\\x{ord(match[0]):02x}", visible(text))


def as_data(found: Import) -> Data:
    """`reconciler.import/1`."""
    return {
        "format": "reconciler.import/1",
        "base": found.seen.commit,
        "read_at": found.seen.read_at,
        "branch": found.branch or None,
        "commit": found.commit or None,
        "files": list(found.files),
        "written": [_item(item) | {"files": list(item.files)} for item in found.written],
        "left": [_item(item) | {"why": item.why} for item in found.left],
        "unread": [
            {"tenant": tenant.tenant, "provider": unread.provider, "kind": unread.kind, "error": unread.error}
            for tenant in found.seen.tenants
            for unread in tenant.unread
        ],
        "findings": [data.finding(f) for f in found.stopping],
        "plan": data.plan(found.plan) if found.plan is not None else None,
    }


def _item(item: Imported) -> Data:
    return {"tenant": item.tenant, **data.drifted(item.drift), "whom": item.whom or None}


def as_lines(found: Import) -> Iterator[Line]:
    """What was written and what was left, tenant by tenant, then what refuses the commit, and what is next."""
    yield from findings(found.stopping)
    both = sorted([*found.written, *found.left], key=lambda item: item.tenant)
    for tenant, items in groupby(both, key=lambda item: item.tenant):
        yield ()
        yield ((visible(tenant), "bold"),)
        for item in items:
            yield from _lines(item)
    for tenant in found.seen.tenants:
        for unread in tenant.unread:
            yield ((f"  not read: {unread.provider}: {visible(unread.error)}", "bold red"),)
    yield ()
    yield from _end(found)


def _lines(item: Imported) -> Iterator[Line]:
    whom = f", of {visible(item.whom)}" if item.whom else ""
    what = "left" if item.why else "written"
    yield ((f"  {what}: {visible(str(item.drift.address))}{whom}", "yellow" if item.why else ""),)
    yield ((f"      {_moved(item.drift)}", ""),)
    yield from (((f"      in {visible(file)}", "dim"),) for file in item.files)
    if item.why:
        yield ((f"      why: {visible(item.why)}", "yellow"),)


def _end(found: Import) -> Iterator[Line]:
    left = f"; {counted(len(found.left), 'value')} left" if found.left else ""
    if found.plan is None:
        yield ((f"Nothing is written{left}.", "bold"),)
        return
    refusing = [f for tenant in found.plan.tenants for f in tenant.findings if f.refuses]
    yield from findings([*found.plan.findings, *refusing])
    what = f"{counted(len(found.written), 'value')} in {counted(len(found.files), 'file')}"
    yield ((f"Commit {found.commit[:12]} on the branch {visible(found.branch)}: {what}{left}.", "bold"),)
    first = "solve on it what refuses it" if refusing else f"look at it (git show {visible(found.branch)})"
    yield ((f"Next: {first}, have it reviewed, merge it, apply.", ""),)
