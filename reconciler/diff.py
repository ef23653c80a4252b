"""The three-state diff: what Git says (desired), what there is (live), what was ours (base).

The idea. A two-state diff cannot tell "somebody changed this by hand" from "Git moved on", nor "left over from us"
from "never ours"; it must either overwrite people or leave orphans. So each thing is compared in three states, and
not as a whole but attribute by attribute (element by element where several owners share one value). For each part
one question decides: did *Git* move since the ledger? If it did, live follows; if it did not, a difference is drift,
reported and left alone unless the policy is to enforce. Drift that is left alone is copied from live into the aim,
so that no write can touch it by accident.

The way not taken: comparing Git at the last applied commit with Git now. After a partial failure the last applied
commit is a fiction, and whatever the failed run made would be orphaned.

`compare` is total: every combination of (base, desired, live) has one answer, the same for all kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.changes import Change, Step
from reconciler.findings import Rule
from reconciler.model import MISSING, Computed, Entry, Resource, Value, references
from reconciler.parts import Part, part_of, project, without_ttl
from reconciler.thing import Context, Outcome, Thing
from reconciler.undeclared import KEPT_GONE, undeclared

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model import Address, Attribute, Kind

TAKEOVER = Rule(
    "PL202",
    "error",
    "Something that was not ours would be changed",
    "Write the live values into the YAML, or accept the takeover: an `accept` entry with this code and subject.",
    why="Somebody made it for a reason that Git does not know: a forward or an SPF sender would be lost "
    "without a trace.",
)
CONFLICT = Rule(
    "PL205",
    "warning",
    "Changed in Git and by hand",
    "Git wins when this is applied; check that the hand-made value may go.",
    why="It was changed by hand for a reason, perhaps in an emergency, and this would undo it.",
)
CANNOT = Rule(
    "PL206",
    "error",
    "Git's change cannot be made",
    "It was removed by hand. Take it out of the YAML (the ledger forgets it), then declare it again: it is made anew.",
    why="Somebody took it away, perhaps on purpose: making it anew would bring back access, and a mailbox "
    "without its mail.",
)
IMMUTABLE = Rule(
    "PL207",
    "error",
    "This cannot be changed in place",
    "Declare a new one beside it, and remove the old one later.",
    why="A key changed under its name breaks every signature made with the old one: receivers reject mail on its way.",
)


def compare(
    kind: Kind, address: Address, git: Resource | None, value: Resource | None, live: Resource | None,
    base: Entry | None, context: Context,
) -> Outcome:  # fmt: skip
    """One thing in three states. `git` is as declared, `value` the same with its references resolved."""
    if still(kind, git, value, live, base):
        return Outcome()
    # Where a whole set must not exist, none of its values is a neighbour's.
    live, neighbours = (live, None) if context.absent else project(kind, address.name, git, live, base)
    if neighbours is not None:
        git, value, live = without_ttl(git), without_ttl(value), without_ttl(live)
    thing = Thing(kind, address, git, value, live, base, context)
    outcome = undeclared(thing) if git is None else _declared(thing)
    return outcome._replace(unmanaged=outcome.unmanaged or neighbours)


def still(kind: Kind, git: Resource | None, value: Resource | None, live: Resource | None, base: Entry | None) -> bool:
    """Whether nothing moved anywhere: nearly everything, nearly always, so it is asked first and cheaply."""
    if git is None or value is None or live is None or base is None:
        return False
    if git.attributes != base.said or git.keep != base.keep or base.retired or base.absent:
        return False
    said, there = value.attributes, live.attributes
    for row in kind.compared:
        wanted = (base.seen if row.computed else said).get(row.name, MISSING)
        if wanted is not MISSING and wanted != there.get(row.name, MISSING):
            return False
    return True


def resolve(resource: Resource | None, lookup: Callable[[Computed], Value]) -> Resource | None:
    """The resource with each reference replaced by what it refers to, where that is known."""
    said = {} if resource is None else resource.attributes
    waiting = [name for name, value in said.items() if type(value) is tuple and references(value)]
    if resource is None or not waiting:
        return resource
    found = {name: tuple(lookup(i) if isinstance(i, Computed) else i for i in said[name]) for name in waiting}
    return resource.having(**found)


# ---------------------------------------------------------------------- Git declares it


def _declared(thing: Thing) -> Outcome:
    if thing.live is None:
        return _gone(thing) if thing.known else Outcome(change=thing.change(thing.made(), thing.entry()))  # row 3
    if thing.base is not None and thing.base.retired:
        return _come_back(thing)
    return _side_by_side(thing)


def _gone(thing: Thing) -> Outcome:
    """It was ours and is not there: rows 9, 12, 20."""
    assert thing.base is not None
    create = thing.change(thing.made(), thing.entry())
    if thing.base.retired:
        return Outcome(change=create, findings=(thing.finding(KEPT_GONE),))
    change = create._replace(reason="drift") if thing.context.enforce and "exists" not in thing.context.quiet else None
    drift = (thing.drift("exists", git=True, risk="high" if thing.sensitive() else "low"),)
    moved = any(thing.base.said.get(row.name, MISSING) != thing.said(row) for row in thing.kind.compared)
    findings = (thing.finding(CANNOT),) if moved and not thing.context.enforce else ()
    return Outcome(change=change, drift=drift, findings=findings)


def _come_back(thing: Thing) -> Outcome:
    """It was retired and is declared again: rows 21, 22."""
    assert thing.live is not None and thing.value is not None
    aim = thing.live.having(**thing.value.attributes)
    stuck = [row.name for row in thing.differing(aim) if row.immutable]
    if stuck:
        return Outcome(findings=tuple(thing.finding(IMMUTABLE, f"`{name}` differs.") for name in stuck))
    if not thing.differing(aim):
        return Outcome(step=Step(thing.address, "restore", thing.entry()))
    return Outcome(change=thing.change(aim, thing.entry()))


def _side_by_side(thing: Thing) -> Outcome:
    """It is on all sides (or on Git's and live's): part by part."""
    assert thing.live is not None
    parts = {row.name: _part(thing, row) for row in thing.kind.compared}
    aim = thing.live.having(**{name: part.aim for name, (part, _) in parts.items()})
    drift = tuple(thing.drift(name, git) for name, (part, git) in parts.items() if part.drift)
    stuck = [name for name, (part, _) in parts.items() if part.immutable]
    findings = tuple(thing.finding(IMMUTABLE, f"`{name}` differs.") for name in stuck)
    entry = thing.entry(stuck)
    if not thing.differing(aim):
        return Outcome(step=_settled(thing, entry), drift=drift, findings=findings)
    takeover = not thing.known or any(part.takeover for part, _ in parts.values())
    conflict = any(part.conflict for part, _ in parts.values())
    enforced = thing.context.enforce and bool(drift)
    change = thing.change(
        thing.left(aim), entry, reason="drift" if enforced and _only_drift(thing, parts) else "declared"
    )
    if conflict:
        findings = (*findings, thing.finding(CONFLICT, _fields_text(change)))
    return Outcome(change._replace(conflict=conflict, takeover=takeover), None, drift, findings=findings)


def _only_drift(thing: Thing, parts: dict[str, tuple[Part, Value]]) -> bool:
    moving = [part for name, (part, _) in parts.items() if part.aim != thing.live_value(name)]
    return all(part.drift and not part.declared for part in moving)


def _settled(thing: Thing, entry: Entry) -> Step | None:
    if thing.base is None or not thing.known:
        return Step(thing.address, "adopt", entry)
    same = entry._replace(commit=thing.base.commit, file=thing.base.file, line=thing.base.line) == thing.base
    return None if same else Step(thing.address, "settle", entry)


def _part(thing: Thing, row: Attribute) -> tuple[Part, Value]:
    """The part of one attribute, and the value drift of it is compared with (Git's)."""
    sides = thing.sides(row)
    enforce = thing.context.enforce and row.name not in thing.context.quiet
    part = part_of(row, thing.address.name, sides, known=thing.known, enforce=enforce)
    return part, sides.base if row.computed else sides.value


def _fields_text(change: Change) -> str:
    return f"{', '.join(f'`{name}`' for name in change.fields)} differ from what the ledger has."
