"""One thing in its three states, and what can be said of it: the questions `diff` asks, the answers it builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.changes import Change, Drift
from reconciler.findings import Origin
from reconciler.model import MISSING, Computed, Entry, Resource, Value
from reconciler.parts import Sides, base_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.changes import Step, Waiting
    from reconciler.findings import Finding, Rule
    from reconciler.model import Address, Attribute, Kind


class Context(NamedTuple):
    """What a comparison needs to know besides the three states."""

    today: str  # ISO day
    commit: str
    enforce: bool = False
    absent: bool = False  # Git names this thing as one that must not exist
    held: bool = False  # a purge must wait
    until: str | None = None  # the last day of that hold, where one is known
    keep: int | None = None  # for how many days Git says by now that it is kept
    early: str | None = None  # the day from which Git lets it be purged sooner
    quiet: frozenset[str] = frozenset()  # attributes whose live value is accepted
    home: str = ""  # the domain of what is on no side
    stale: frozenset[str] = frozenset()  # values of it that Git names as ones that must not exist


class Outcome(NamedTuple):
    """What a comparison says about one thing; any part may be there or not."""

    change: Change | None = None
    step: Step | None = None
    drift: tuple[Drift, ...] = ()
    later: Waiting | None = None
    unmanaged: Resource | None = None
    findings: tuple[Finding, ...] = ()


class Thing(NamedTuple):
    """One thing in its three states, and the questions asked of it. Row numbers are those of the truth table."""

    kind: Kind
    address: Address
    git: Resource | None
    value: Resource | None
    live: Resource | None
    base: Entry | None
    context: Context

    @property
    def known(self) -> bool:
        """Whether the ledger has it as ours: a line that only notes an absence is none."""
        return self.base is not None and not self.base.absent

    def sides(self, row: Attribute) -> Sides:
        base = self.base if self.base is not None and not self.base.absent else None
        value = MISSING if self.value is None else self.value.get(row.name)
        return Sides(
            said=self.said(row),
            value=value,
            live=self.live_value(row.name),
            base_said=MISSING if base is None else base.said.get(row.name, MISSING),
            base=base_value(base, row.name),
            before=MISSING if base is None else base.before.get(row.name, MISSING),
        )

    def left(self, aim: Resource) -> Resource | None:
        """The aim, or None where nothing of ours would be left in a value that several owners share."""
        rows = [(row, row.elements(self.address.name)) for row in self.kind.attributes]
        emptied = any(elements and elements.shared and not aim.get(row.name) for row, elements in rows)
        return None if emptied else aim

    def said(self, row: Attribute) -> Value:
        return MISSING if self.git is None else self.git.get(row.name)

    def live_value(self, name: str) -> Value:
        return MISSING if self.live is None else self.live.get(name)

    def differing(self, aim: Resource) -> list[Attribute]:
        return [row for row in self.kind.compared if aim.get(row.name) != self.live_value(row.name)]

    def sensitive(self) -> bool:
        return any(row.sensitive(self.address.name) for row in self.kind.attributes)

    def domain(self) -> str:
        for side in (self.git, self.live, self.base):
            if side is not None:
                return side.domain
        return self.context.home

    def _tenant(self) -> str:
        return self.git.tenant if self.git is not None else ""

    def made(self) -> Resource:
        """What a create aims at: Git's values, the starting values of what Git leaves open, what only making tells."""
        assert self.value is not None
        computed = {row.name: Computed(self.address, row.name) for row in self.kind.attributes if row.computed}
        return self.value._replace(attributes={**computed, **self.value.initial, **self.value.attributes})

    def entry(self, stuck: list[str] | None = None) -> Entry:
        """The ledger line once Git's word is fulfilled. An attribute that is stuck keeps what the ledger said."""
        assert self.git is not None and self.value is not None
        base = self.base if self.base is not None and not self.base.absent else None
        said = dict(self.git.attributes)
        for name in stuck or ():
            said[name] = base.said.get(name) if base else self.live_value(name)
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
        computed = {row.name: self.live_value(row.name) for row in self.kind.attributes if row.computed}
        referring = {
            name: self.value.get(name) for name, value in self.git.attributes.items() if value != self.value.get(name)
        }
        # What drifted is as it was when it was last applied, whatever its source is by now (parts row 12).
        drifted = {name: seen for name, seen in base_seen.items() if self._drifted(name)}
        return {k: v for k, v in {**computed, **referring, **drifted}.items() if v is not MISSING}

    def _drifted(self, name: str) -> bool:
        assert self.git is not None and self.value is not None and self.base is not None
        unmoved = self.git.get(name) == self.base.said.get(name, MISSING)
        return bool(unmoved and self.live_value(name) != self.value.get(name))

    def _before(self, base: Entry | None, said: Mapping[str, Value]) -> dict[str, Value]:
        """Per optional attribute: what it was before we first set it (parts row 4), kept while Git mentions it."""
        kept = {} if base is None else {name: value for name, value in base.before.items() if name in said}
        for row in self.kind.compared:
            first = row.name in said and (base is None or row.name not in base.said)
            if not row.governed and first and self.live_value(row.name) is not MISSING:
                kept[row.name] = self.live_value(row.name)
        return kept

    def change(self, aim: Resource | None, entry: Entry | None, reason: str = "declared") -> Change:
        origin = self.git.origin if self.git is not None else None
        if origin is None and self.base is not None and self.base.file:
            origin = Origin(self.base.file, line=self.base.line)
        return Change(
            self.kind, self.address, self._tenant(), self.domain(), self.value, self.live, self.base, aim, entry,
            reason, origin=origin,
        )  # fmt: skip

    def drift(self, name: str, git: Value, risk: Any = None) -> Drift:
        live: Value = self.live is not None if name == "exists" else self.live_value(name)
        row = next((row for row in self.kind.attributes if row.name == name), None)
        sensitive = row is not None and row.sensitive(self.address.name)
        return Drift(self.address, name, git, live, risk or ("high" if sensitive else "low"))

    def finding(self, rule: Rule, what: str = "") -> Finding:
        origin = self.git.origin if self.git is not None else None
        if origin is None:
            file, line = (self.base.file, self.base.line) if self.base is not None else ("", 0)
            origin = Origin(file, line=line)
        return rule.at(str(self.address), what, origin)
