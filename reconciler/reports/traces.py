"""Where mail for an address ends up, as a tree of lines and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.reports.lines import differing
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.reports.lines import Line
    from reconciler.tracing import Step, Traced

Data = dict[str, Any]
ENDS = {
    "mailbox": ("delivered", "green"),
    "blocked": ("delivered; nobody can log in there", "yellow"),
    "paused": ("refused with 550: it is paused", "red"),
    "retired": ("delivered; it is retired, nobody can log in there", "yellow"),
    "passed on": ("", ""),
    "no such user": ("refused with 550: nobody declares it", "red"),
    "ended": ("refused with 550: its redirect has ended", "red"),
    "no mail here": ("the mail of its domain is not ours", "yellow"),
    "not applied": ("nothing of its domain is applied yet", "yellow"),
    "inside": ("leaves to a domain that counts as inside", "cyan"),
    "outside": ("leaves the estate", "yellow"),
    "circle": ("delivered to nobody: it goes in a circle", "bold red"),
    "shown above": ("as above", "dim"),
    "not followed": ("not followed any further", "yellow"),
    "unknown": ("unknown: its files or its ledger cannot be used", "bold red"),
}

HOW = {
    "plus address": "what comes before the plus",
    "alias domain": "its domain is an alias of that one",
    "catch-all": "nobody declares the name itself",
}


def untold(*, ledgers: bool) -> Iterator[Line]:
    """The first line, when nobody brought the ledgers into this clone."""
    if not ledgers:
        what = "what was applied is not known here. `reconciler history NAME` brings the ledgers."
        yield (("No ledger in this clone: ", "bold yellow"), (what, ""))


def opened(runs: Iterable[Mapping[str, str]]) -> Iterator[Line]:
    """A line for each run that has not said what became of it."""
    for run in runs:
        does = "is at work" if run["result"] == "at work" else "was killed; the next apply looks at what it made"
        what = f"run {run['run']} by {run['actor']}, begun {run['began']}, {does}. What was applied may be otherwise."
        yield ((f"Unsettled in {visible(run['tenant'])}: ", "bold yellow"), (visible(what), ""))


def lines(found: Traced) -> Iterator[Line]:
    """The way as it is now and, where it is another one, the way after the change."""
    yield from differing(found.differing)
    yield from untold(ledgers=found.ledgers)
    yield from opened(found.open_runs)
    where = f"  tenant {visible(found.tenant)}" if found.tenant else ""
    yield ((visible(found.address), "bold"), (where, "dim"))
    if found.tenant is None:
        counts = " It counts as inside: `inside` in reconciler.yaml names it." if found.after.end == "inside" else ""
        yield ((f"  Its domain is not in this estate: no tenant has a file for it.{counts}", "yellow"),)
        return
    applied = f", as applied at {found.applied[:12]}" if found.applied else ""
    yield ()
    yield ((f"Now{applied}:", "bold"),)
    yield from _step(found.now, "  ")
    yield ()
    if found.moves:
        yield ((f"After commit {found.commit[:12]}:", "bold"),)
        yield from _step(found.after, "  ")
    else:
        yield ((f"After commit {found.commit[:12]}: the same.", "bold"),)


def _step(step: Step, indent: str) -> Iterator[Line]:
    arrow = "" if len(indent) == 2 else "-> "
    words, style = ENDS[step.end]
    yield ((f"{indent}{arrow}", "dim"), (visible(step.address), "bold"))
    inner = f"{indent}{' ' * len(arrow)}  "
    if step.name is not None:
        if step.how:
            yield ((f"{inner}{visible(step.name)} answers: {HOW[step.how]}", ""),)
        owner = f", owner {visible(step.owner)}" if step.owner else ""
        until = f", until {step.expires}" if step.expires and step.next else ""
        yield ((f"{inner}{step.kind}{owner}{until}", ""),)
    if step.file:
        yield ((f"{inner}{visible(step.file)}:{step.line}", "dim"),)
    if step.end == "passed on" and step.kind.endswith("mailbox"):
        words, style = "nothing stays here", "yellow"
    if words:
        yield ((f"{inner}{words}", style),)
    for following in step.next:
        yield from _step(following, inner)


def as_data(found: Traced) -> Data:
    """`reconciler.trace/1`."""
    return {
        "format": "reconciler.trace/1",
        "commit": found.commit,
        "applied_commit": found.applied,
        "as_of": found.as_of,
        "ledgers": found.ledgers,
        "open_runs": list(found.open_runs),
        "address": found.address,
        "tenant": found.tenant,
        "changes": found.moves,
        "now": _data(found.now),
        "after": _data(found.after),
    }


def _data(step: Step) -> Data:
    return {
        "address": step.address,
        "end": step.end,
        "name": step.name,
        "how": step.how or None,
        "kind": step.kind or None,
        "tenant": step.tenant,
        "owner": step.owner,
        "expires": step.expires,
        "file": step.file or None,
        "line": step.line or None,
        "next": [_data(following) for following in step.next],
    }
