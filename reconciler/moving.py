"""When the domains that move from another server may go on: the time, and what the journal says of their MX."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.cutover import Clock
from reconciler.runs import runs

if TYPE_CHECKING:
    from reconciler.compile import Compiled
    from reconciler.session import Session


def clocks(session: Session, compiled: Compiled) -> dict[str, Clock]:
    """{domain: its clock}, of those of a tenant that are on their way; the journal is read for them alone."""
    if not compiled.cutovers:
        return {}
    zone = session.estate.zone
    now = datetime.fromisoformat(session.estate.now).replace(tzinfo=zone)
    changed = _changed(session, compiled)
    found: dict[str, Clock] = {}
    for domain, cut in compiled.cutovers.items():
        at = datetime.fromisoformat(cut.at).replace(tzinfo=zone) if cut.at else None
        when, ttl = changed.get(str(cut.address), (None, 0))
        found[domain] = Clock(now, at, when.astimezone(zone) if when else None, ttl)
    return found


def _changed(session: Session, compiled: Compiled) -> dict[str, tuple[datetime, int]]:
    """{address of an MX: (when it was changed last, the TTL before that in seconds)}, as the journal has it."""
    tip = session.tips.get(compiled.tenant)
    wanted = {str(cut.address) for cut in compiled.cutovers.values()}
    found: dict[str, tuple[datetime, int]] = {}
    for run in runs(session.estate.repository, [tip]) if tip else ():
        for change in run["changes"]:
            if change["address"] in wanted - found.keys() and change["result"] == "applied" and run["ended"]:
                before = change["fields"].get("ttl", {}).get("from")
                found[change["address"]] = (
                    datetime.fromisoformat(run["ended"]),
                    before if isinstance(before, int) else 0,
                )
        if found.keys() == wanted:
            break
    return found
