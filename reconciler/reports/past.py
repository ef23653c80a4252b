"""What was done, as lines and as JSON: the log of runs, and the history of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.kinds import named
from reconciler.model import Address
from reconciler.reports.lines import SIGNS
from reconciler.reports.values import moved
from reconciler.wording import shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.reports.lines import Line

Data = dict[str, Any]
_STYLES = {"applied": "green", "failed": "red", "at work": "yellow", "unfinished": "bold red"}


def log_data(runs: Sequence[Data]) -> Data:
    """`reconciler.log/1`."""
    return {"format": "reconciler.log/1", "runs": list(runs)}


def history_data(name: str, changes: Sequence[Data]) -> Data:
    """`reconciler.history/1`."""
    return {"format": "reconciler.history/1", "name": name, "changes": list(changes)}


def log(runs: Sequence[Data]) -> Iterator[Line]:
    """A run a paragraph, the newest first."""
    for run in runs:
        yield (
            (f"{run['began']}  ", "dim"), (f"run {run['run']}", "bold"), (f" by {visible(run['actor'])}", ""),
            (f", commit {run['commit'][:12]}", ""), (_apart(run), "yellow"),
        )  # fmt: skip
        for tenant in run["tenants"]:
            missed = f", {tenant['not_done']} not" if tenant["not_done"] else ""
            text = f"  {visible(tenant['tenant'])}  {tenant['result']}: {tenant['done']} made{missed}"
            yield ((text, _STYLES.get(tenant["result"], "")),)
    if not runs:
        yield (("Nothing was applied yet.", ""),)


def _apart(run: Data) -> str:
    return f", without the ledger's remote: {visible(run['no_remote'])}" if run["no_remote"] else ""


def history(name: str, changes: Sequence[Data]) -> Iterator[Line]:
    """A change a paragraph, the newest first: what, who wrote it, who applied it, how it is undone."""
    for change in changes:
        yield from _change(change)
    if not changes:
        yield ((f"Nothing was applied to {visible(name)}.", ""),)


def _change(change: Data) -> Iterator[Line]:
    applied, origin = change["applied"], change["origin"]
    sign, style = SIGNS.get(change["action"], ("=", "cyan"))
    failed = ((f"  ({change['result']})", "red"),) if change["result"] not in {"applied", "noted"} else ()
    noted = (("  (in the ledger alone)", ""),) if change["result"] == "noted" else ()
    address = visible(change["address"])
    yield (
        (f"{applied['ended'] or applied['began']}  ", "dim"),
        (f"{sign} {change['action']} ", style),
        (address, "bold"),
        *failed,
        *noted,
    )
    for field, text in _fields(change):
        yield ((f"    {field}: {text}", ""),)
    if change["error"]:
        yield ((f"    {visible(change['error'])}", "red"),)
    commit = origin["commit"] or applied["commit"]
    place = f" ({visible(origin['file'])}:{origin['line']})" if origin["file"] else ""
    by = f" by {visible(origin['author'])}" if origin["author"] else ""
    yield ((f"    commit {commit[:12]}{by}{place}", ""),)
    yield ((f"    applied by {visible(applied['actor'])}, run {applied['run']}{_apart(applied)}", ""),)
    if change["result"] in {"applied", "noted"} and change["revert"]:
        brings = {"full": "all of it", "partial": "a part of it", "none": "nothing of it"}[change["revert"]]
        by_hand = "by hand: with that commit the estate began, and a revert would take all of it"
        yield ((f"    undo: {change['undo']} brings back {brings}" if change["undo"] else f"    undo: {by_hand}", ""),)


def _fields(change: Data) -> Iterator[tuple[str, str]]:
    """(field, what became of it): of what was made, what is no default; of what went, nothing."""
    if change["was"]:
        yield "was", Address.parse(change["was"]).name
    defaults = {row.name: row.default for row in named(Address.parse(change["address"]).kind).attributes}
    for field, pair in change["fields"].items():
        old, new = (_value(pair[side]) for side in ("from", "to"))
        if change["action"] == "create" and new != defaults.get(field):
            yield field, shown(field, new)
        elif change["action"] not in {"create", "delete", "purge"}:
            yield from ((field, part) for part in moved(field, old, new))


def _value(value: Any) -> Any:
    """JSON has lists where values are tuples."""
    return tuple(map(_value, value)) if isinstance(value, list) else value
