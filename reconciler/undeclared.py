"""A thing that Git does not declare: never declared, not any more, or named as one that must not exist.

Row numbers are those of docs/truth-table.md.
"""

from __future__ import annotations

from datetime import date, timedelta

from reconciler.changes import Step, Waiting
from reconciler.findings import Rule
from reconciler.model import Entry
from reconciler.thing import Outcome, Thing

GONE = Rule(
    "PL204",
    "info",
    "Already gone outside Git",
    "Nothing is done; the ledger forgets it. Find out who removed it.",
    why="Somebody removes things past Git: this time it was wanted, the next time it may be a mailbox in use.",
)
KEPT_GONE = Rule(
    "PL203",
    "warning",
    "Kept mail is gone",
    "Somebody removed what was retired and kept. If the mail was needed, restore it from a backup.",
    why="Mail that was to be kept until its day can be handed to nobody any more, not to the client and to no court.",
)


def undeclared(thing: Thing) -> Outcome:
    """What becomes of a thing that Git does not declare (rows 1, 2, 6-8, 16-19, 24-27)."""
    if thing.context.absent:
        return _must_not_exist(thing)
    if thing.base is None:
        return Outcome(unmanaged=thing.live)
    if thing.base.absent:  # row 27
        return Outcome(step=Step(thing.address, "forget", None), unmanaged=thing.live)
    if thing.live is None:  # rows 6, 16
        rule = KEPT_GONE if thing.base.retired else GONE
        return Outcome(step=Step(thing.address, "forget", None), findings=(thing.finding(rule),))
    if thing.base.retired:
        return _retired(thing)
    if thing.base.keep is None:
        return Outcome(change=thing.change(None, None))
    keep = thing.base.keep if thing.context.keep is None else thing.context.keep
    entry = thing.base._replace(keep=keep, retired=_days_after(thing.context.today, keep))
    form = thing.live.having(**thing.kind.retired)
    if form == thing.live:  # row 8
        return Outcome(step=Step(thing.address, "retire", entry))
    return Outcome(change=thing.change(form, entry))  # row 7


def _retired(thing: Thing) -> Outcome:
    assert thing.base is not None and thing.base.retired and thing.live is not None
    form = thing.live.having(**thing.kind.retired)
    if form != thing.live:  # row 17: re-enabled outside Git
        drift = tuple(thing.drift(row.name, form.get(row.name), "high") for row in thing.differing(form))
        change = thing.change(form, thing.base, reason="drift") if thing.context.enforce else None
        return Outcome(change=change, drift=drift)
    entry = _kept_longer(thing.base, thing.context.keep)
    step = None if entry == thing.base else Step(thing.address, "settle", entry)
    due = min(filter(None, (entry.retired, thing.context.early)))
    if thing.context.held or thing.context.today < due:  # row 18
        why, when = ("hold", thing.context.until) if thing.context.held else ("retention", due)
        return Outcome(step=step, later=Waiting(thing.address, "purge", when, why))
    return Outcome(change=thing.change(None, None, reason="retention"))  # row 19


def _kept_longer(base: Entry, keep: int | None) -> Entry:
    """A longer retention moves the day out; a shorter one never in."""
    assert base.retired is not None and base.keep is not None
    if keep is None or keep <= base.keep:
        return base
    return base._replace(keep=keep, retired=_days_after(base.retired, keep - base.keep))


def _must_not_exist(thing: Thing) -> Outcome:
    entry = Entry(said={}, domain=thing.domain(), absent=True, commit=thing.context.commit)
    noted = thing.base is not None and thing.base.absent and not thing.base.said
    if thing.live is None:  # row 24
        return Outcome() if noted else Outcome(step=Step(thing.address, "settle", entry))
    if not noted:  # row 25
        return Outcome(change=thing.change(None, entry))
    change = thing.change(None, entry, reason="drift") if thing.context.enforce else None
    return Outcome(change=change, drift=(thing.drift("exists", git=False, risk="high"),))  # row 26


def _days_after(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
