"""What a rollback brings back and what not, as lines and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.reports import data, lines
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.reports.lines import Line
    from reconciler.results import Rollback

Data = dict[str, Any]


def as_data(found: Rollback) -> Data:
    """`reconciler.rollback/1`."""
    return {
        "format": "reconciler.rollback/1",
        "target": found.target,
        "branch": found.branch,
        "commit": found.commit,
        "reverts": list(found.reverts),
        "not_back": [_short(change) for change in found.back if change["revert"] != "full"],
        "since": [_short(change) for change in found.since],
        "accepted": [dict(item) for item in found.accepted],
        "plan": data.plan(found.plan),
    }


def _short(change: Mapping[str, Any]) -> Data:
    return {key: change[key] for key in ("address", "action", "revert", "loses")} | {"run": change["applied"]["run"]}


def as_lines(found: Rollback) -> Iterator[Line]:
    """The plan of the revert, then what it cannot do, what came since, what must be accepted, and what is next."""
    yield from lines.plan(found.plan)
    yield ()
    for change in found.back:
        if change["revert"] != "full":
            lost = f": {change['loses']} is lost" if change["loses"] else ""
            what = "does not come back" if change["revert"] == "none" else "comes back in part"
            yield ((f"  {what}: {visible(change['address'])} ({change['action']}){lost}", "yellow"),)
    for change in found.since:
        yield ((f"  changed since, by run {change['applied']['run']}: {visible(change['address'])}", "yellow"),)
    for item in found.accepted:
        entry = item["entry"]
        yield ((f"  accepted in that commit: {entry['finding']} of {visible(entry['subject'])}", "yellow"),)
    reverts = ", ".join(commit[:12] for commit in found.reverts)
    yield ((f"Commit {found.commit[:12]} on the branch {visible(found.branch)} reverts {reverts}.", "bold"),)
    yield (("Nothing is applied. Next: have it reviewed, merge it, apply.", ""),)
