"""What a day or a policy brings about, kept apart from what a commit declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.kinds.site import Ended
from reconciler.model import MISSING, Address, Entry, Resource, Value
from reconciler.rules import accepted_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.changes import Change
    from reconciler.thing import Outcome


def as_applied(
    git: Resource | None, entry: Entry, address: Address, tenant: str, ended: Ended | None
) -> Resource | None:
    """What Git says, with what has ended still as it was last applied: its end is no declared change."""
    if entry.retired or entry.absent:
        return git  # it comes into being anew, without what has ended
    if git is not None:
        ended = ended or Ended()
        said = {name: entry.said.get(name, MISSING) for name in ended.parts}
        if ended.members:
            had: Mapping[str, str] = entry.said.get("members", {})
            members = {**git.get("members"), **{name: had[name] for name in ended.members & had.keys()}}
            said["members"] = dict(sorted(members.items()))
        return git.having(**said)
    return Resource(address, entry.said, entry.domain, tenant, keep=entry.keep)


def divided(outcome: Outcome, full: Outcome, why: str | None) -> tuple[Outcome, list[Change]]:
    """(what is declared, what of the full outcome goes beyond it and is due); `why` is the reason of its end."""
    if full.change is None:
        return (full if why and outcome.change is None else outcome), []
    declared = outcome.change
    live = full.change.live if declared is None else declared.aim
    if declared is not None and (live is None or live == full.change.aim):
        return outcome, []
    reason = full.change.reason if full.change.reason in {"retention", "drift"} else why or "drift"
    due = full.change._replace(live=live, reason=reason, conflict=False, takeover=False)
    return outcome._replace(findings=full.findings, step=None), [due]


def accepted(
    address: Address, live: Resource | None, items: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """{attribute: the acceptance that names its live value}."""
    return {item["field"]: item for item in items if accepted_value(address, item) == _live(live, item["field"])}


def _live(live: Resource | None, field: str) -> Value:
    if field == "exists":
        return live is not None
    return MISSING if live is None else live.get(field)
