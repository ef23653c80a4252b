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

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.changes import Change, Drift, Step, Waiting
from reconciler.findings import Finding, Origin, Rule
from reconciler.model import MISSING, Computed, Entry, Resource, Value
from reconciler.parts import Part, Sides, base_value, part_of, project, without_ttl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.model import Address, Attribute, Kind

TAKEOVER = Rule(
    "PL202",
    "error",
    "Something that was not ours would be changed",
    "Write the live values into the YAML, or accept the takeover: an `accept` entry with this code and subject.",
)
CONFLICT = Rule(
    "PL205", "warning", "Changed in Git and by hand", "Git wins when this is applied; check that the hand-made value may go."
)
GONE = Rule(
    "PL204", "info", "Already gone outside Git", "Nothing is done; the ledger forgets it. Find out who removed it."
)
KEPT_GONE = Rule(
    "PL203",
    "warning",
    "Kept mail is gone",
    "Somebody removed what was retired and kept. If the mail was needed, restore it from a backup.",
)
CANNOT = Rule(
    "PL206",
    "error",
    "Git's change cannot be made",
    "The thing was removed by hand. Put it back with `drift: enforce`, or take it out of the YAML.",
)
IMMUTABLE = Rule(
    "PL207", "error", "This cannot be changed in place", "Declare a new one beside it and remove the old one afterwards."
)


class Context(NamedTuple):
    """What a comparison needs to know besides the three states."""

    today: str  # ISO day
    commit: str
    enforce: bool = False
    absent: bool = False  # Git names this thing as one that must not exist
    held: bool = False  # a purge must wait (a legal hold, something still refers to it)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison says about one thing; any part may be there or not."""

    change: Change | None = None
    step: Step | None = None
    drift: tuple[Drift, ...] = ()
    later: Waiting | None = None
    unmanaged: Resource | None = None
    findings: tuple[Finding, ...] = ()


def compare(
    kind: Kind, address: Address, git: Resource | None, value: Resource | None, live: Resource | None,
    base: Entry | None, context: Context,
) -> Outcome:  # fmt: skip
    """One thing in three states. `git` is as declared, `value` the same with its references resolved."""
    if git is not None and value is not None and live is not None and base is not None:
        if _still(kind, git, value, live, base):
            return Outcome()
    live, neighbours = project(kind, address.name, git, live, base)
    if neighbours is not None:
        git, value, live = without_ttl(git), without_ttl(value), without_ttl(live)
    thing = _Thing(kind, address, git, value, live, base, context)
    outcome = thing.undeclared() if git is None else thing.declared()
    return replace(outcome, unmanaged=outcome.unmanaged or neighbours)


def _still(kind: Kind, git: Resource, value: Resource, live: Resource, base: Entry) -> bool:
    """Whether nothing moved anywhere: nearly everything, nearly always, so it is asked first and cheaply."""
    if git.attributes != base.said or git.keep != base.keep or base.retired or base.absent:
        return False
    for row in kind.compared:
        wanted = base.seen.get(row.name, MISSING) if row.computed else value.get(row.name)
        if wanted is not MISSING and wanted != live.get(row.name):
            return False
    return True


def resolve(resource: Resource | None, lookup: Callable[[Computed], Value]) -> Resource | None:
    """The resource with each reference replaced by what it refers to, where that is known."""
    if resource is None or not any(_waits(v) for v in resource.attributes.values()):
        return resource
    found = {
        name: tuple(lookup(item) if isinstance(item, Computed) else item for item in value)
        for name, value in resource.attributes.items()
        if _waits(value)
    }
    return resource.having(**found)


def _waits(value: Value) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, Computed) for item in value)


@dataclass(frozen=True, slots=True)
class _Thing:
    """One thing in its three states, and the questions asked of it. Row numbers are those of the truth table."""

    kind: Kind
    address: Address
    git: Resource | None
    value: Resource | None
    live: Resource | None
    base: Entry | None
    context: Context

    # ------------------------------------------------------------------ Git does not declare it

    def undeclared(self) -> Outcome:
        if self.context.absent:
            return self._must_not_exist()
        if self.base is None:
            return Outcome(unmanaged=self.live)
        if self.base.absent:  # row 27
            return Outcome(step=Step(self.address, "forget", None), unmanaged=self.live)
        if self.live is None:  # rows 6, 16
            rule = KEPT_GONE if self.base.retired else GONE
            return Outcome(step=Step(self.address, "forget", None), findings=(self._finding(rule),))
        if self.base.retired:
            return self._retired()
        if self.base.keep is None:
            return Outcome(change=self._change(None, None))
        entry = replace(self.base, retired=_days_after(self.context.today, self.base.keep))
        form = self._retired_form(self.live)
        if form == self.live:  # row 8
            return Outcome(step=Step(self.address, "retire", entry))
        return Outcome(change=self._change(form, entry))  # row 7

    def _retired(self) -> Outcome:
        assert self.base is not None and self.base.retired and self.live is not None
        form = self._retired_form(self.live)
        if form != self.live:  # row 17: re-enabled outside Git
            drift = tuple(self._drift(row.name, form.get(row.name), "high") for row in self._differing(form))
            change = self._change(form, self.base, reason="drift") if self.context.enforce else None
            return Outcome(change=change, drift=drift)
        if self.context.held or self.context.today < self.base.retired:  # row 18
            why = "hold" if self.context.held else "retention"
            when = None if self.context.held else self.base.retired
            return Outcome(later=Waiting(self.address, "purge", when, why))
        return Outcome(change=self._change(None, None, reason="retention"))  # row 19

    def _retired_form(self, live: Resource) -> Resource:
        return live.having(**self.kind.retired)

    def _must_not_exist(self) -> Outcome:
        entry = Entry(said={}, domain=self._domain(), absent=True, commit=self.context.commit)
        noted = self.base is not None and self.base.absent
        if self.live is None:  # row 24
            return Outcome() if noted else Outcome(step=Step(self.address, "settle", entry))
        if not noted:  # row 25
            return Outcome(change=self._change(None, entry))
        change = self._change(None, entry, reason="drift") if self.context.enforce else None
        return Outcome(change=change, drift=(self._drift("exists", git=False, risk="high"),))  # row 26

    # ------------------------------------------------------------------ Git declares it

    def declared(self) -> Outcome:
        ours = self.base is not None and not self.base.absent
        if self.live is None:
            return self._gone() if ours else Outcome(change=self._change(self._made(), self._entry()))  # row 3
        if ours and self.base is not None and self.base.retired:
            return self._come_back()
        return self._side_by_side()

    def _gone(self) -> Outcome:
        """It was ours and is not there: rows 9, 12, 20."""
        assert self.base is not None
        create = self._change(self._made(), self._entry())
        if self.base.retired:
            return Outcome(change=create, findings=(self._finding(KEPT_GONE),))
        change = replace(create, reason="drift") if self.context.enforce else None
        drift = (self._drift("exists", git=True, risk="high" if self._sensitive() else "low"),)
        moved = any(self.base.said.get(row.name, MISSING) != self._said(row) for row in self.kind.compared)
        findings = (self._finding(CANNOT),) if moved and not self.context.enforce else ()
        return Outcome(change=change, drift=drift, findings=findings)

    def _come_back(self) -> Outcome:
        """It was retired and is declared again: rows 21, 22."""
        assert self.live is not None and self.value is not None
        aim = self.live.having(**self.value.attributes)
        if not self._differing(aim):
            return Outcome(step=Step(self.address, "restore", self._entry()))
        return Outcome(change=self._change(aim, self._entry()))

    def _side_by_side(self) -> Outcome:
        """It is on all sides (or on Git's and live's): part by part."""
        assert self.live is not None
        parts = {row.name: self._part(row) for row in self.kind.compared}
        aim = self.live.having(**{name: part.aim for name, (part, _) in parts.items()})
        drift = tuple(self._drift(name, git) for name, (part, git) in parts.items() if part.drift)
        stuck = [name for name, (part, _) in parts.items() if part.immutable]
        findings = tuple(self._finding(IMMUTABLE, f"`{name}` differs.") for name in stuck)
        entry = self._entry(stuck)
        if not self._differing(aim):
            return Outcome(step=self._settled(entry), drift=drift, findings=findings)
        takeover = self.base is None or any(part.takeover for part, _ in parts.values())
        conflict = any(part.conflict for part, _ in parts.values())
        enforced = self.context.enforce and bool(drift)
        change = self._change(aim, entry, reason="drift" if enforced and self._only_drift(parts) else "declared")
        if conflict:
            findings = (*findings, self._finding(CONFLICT, _fields_text(change)))
        return Outcome(replace(change, conflict=conflict, takeover=takeover), None, drift, findings=findings)

    def _only_drift(self, parts: dict[str, tuple[Part, Value]]) -> bool:
        moving = [part for name, (part, _) in parts.items() if part.aim != self._live(name)]
        return all(part.drift for part in moving)

    def _settled(self, entry: Entry) -> Step | None:
        if self.base is None:
            return Step(self.address, "adopt", entry)
        same = replace(entry, commit=self.base.commit, file=self.base.file, line=self.base.line) == self.base
        return None if same else Step(self.address, "settle", entry)

    # ------------------------------------------------------------------ parts

    def _part(self, row: Attribute) -> tuple[Part, Value]:
        """The part of one attribute, and the value drift of it is compared with (Git's)."""
        sides = self._sides(row)
        known = self.base is not None and not self.base.absent
        part = part_of(row, self.address.name, sides, known=known, enforce=self.context.enforce)
        return part, sides.base if row.computed else sides.value

    def _sides(self, row: Attribute) -> Sides:
        base = self.base if self.base is not None and not self.base.absent else None
        value = MISSING if self.value is None else self.value.get(row.name)
        return Sides(
            said=self._said(row),
            value=value,
            live=self._live(row.name),
            base_said=MISSING if base is None else base.said.get(row.name, MISSING),
            base=base_value(base, row.name),
            before=MISSING if base is None else base.before.get(row.name, MISSING),
        )

    # ------------------------------------------------------------------ building the answer

    def _said(self, row: Attribute) -> Value:
        return MISSING if self.git is None else self.git.get(row.name)

    def _live(self, name: str) -> Value:
        return MISSING if self.live is None else self.live.get(name)

    def _differing(self, aim: Resource) -> list[Attribute]:
        return [row for row in self.kind.compared if aim.get(row.name) != self._live(row.name)]

    def _sensitive(self) -> bool:
        return any(row.sensitive(self.address.name) for row in self.kind.attributes)

    def _domain(self) -> str:
        for side in (self.git, self.live, self.base):
            if side is not None:
                return side.domain
        return ""

    def _tenant(self) -> str:
        return self.git.tenant if self.git is not None else ""

    def _made(self) -> Resource:
        """What a create aims at: Git's values, the starting values of what Git leaves open, what only making tells."""
        assert self.value is not None
        computed = {
            row.name: Computed(self.address, row.name) for row in self.kind.attributes if row.computed
        }
        return replace(self.value, attributes={**computed, **self.value.initial, **self.value.attributes})

    def _entry(self, stuck: list[str] | None = None) -> Entry:
        """The ledger line once Git's word is fulfilled. An attribute that is stuck keeps what the ledger said."""
        assert self.git is not None and self.value is not None
        base = self.base if self.base is not None and not self.base.absent else None
        said = dict(self.git.attributes)
        for name in stuck or ():
            said[name] = base.said.get(name) if base else self._live(name)
        origin = self.git.origin
        return Entry(
            said=said,
            domain=self.git.domain,
            seen=self._seen(),
            before=self._before(base, said),
            keep=self.git.keep,
            commit=self.context.commit,
            file=origin.file if origin else "",
            line=origin.line if origin else 0,
        )

    def _seen(self) -> dict[str, Value]:
        assert self.git is not None and self.value is not None
        base_seen = self.base.seen if self.base is not None else {}
        computed = {
            row.name: base_seen.get(row.name, self._live(row.name)) for row in self.kind.attributes if row.computed
        }
        referring = {
            name: self.value.get(name) for name, value in self.git.attributes.items() if value != self.value.get(name)
        }
        return {k: v for k, v in {**computed, **referring}.items() if v is not MISSING}

    def _before(self, base: Entry | None, said: Mapping[str, Value]) -> dict[str, Value]:
        """Per optional attribute: what it was before we first set it (parts row 4), kept while Git mentions it."""
        kept = {} if base is None else {name: value for name, value in base.before.items() if name in said}
        for row in self.kind.compared:
            first = row.name in said and (base is None or row.name not in base.said)
            if not row.governed and first and self._live(row.name) is not MISSING:
                kept[row.name] = self._live(row.name)
        return kept

    def _change(self, aim: Resource | None, entry: Entry | None, reason: str = "declared") -> Change:
        origin = self.git.origin if self.git is not None else None
        if origin is None and self.base is not None and self.base.file:
            origin = Origin(self.base.file, line=self.base.line)
        return Change(
            self.kind, self.address, self._tenant(), self._domain(), self.value, self.live, self.base, aim, entry,
            reason, origin=origin,
        )  # fmt: skip

    def _drift(self, name: str, git: Value, risk: Any = None) -> Drift:
        live: Value = self.live is not None if name == "exists" else self._live(name)
        row = next((row for row in self.kind.attributes if row.name == name), None)
        sensitive = row is not None and row.sensitive(self.address.name)
        return Drift(self.address, name, git, live, risk or ("high" if sensitive else "low"))

    def _finding(self, rule: Rule, what: str = "") -> Finding:
        origin = self.git.origin if self.git is not None else None
        if origin is None:
            file, line = (self.base.file, self.base.line) if self.base is not None else ("", 0)
            origin = Origin(file, line=line)
        return rule.at(str(self.address), what, origin)


def _fields_text(change: Change) -> str:
    return f"{', '.join(f'`{name}`' for name in change.fields)} differ from what the ledger has."


def _days_after(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
