"""One attribute, or one element of it, in three states: the parts that `diff` puts together.

Where several owners share a value (the TXT records at a name), `project` first takes out what is ours; the rest are
neighbours, which nothing here can touch. Row numbers are those of the second table in docs/truth-table.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.model import MISSING, Value

if TYPE_CHECKING:
    from reconciler.model import Attribute, Computed, Elements, Entry, Kind, Resource, State


class Part(NamedTuple):
    """What shall become of one attribute or element. `drift` when only live moved; `declared` when Git moved too."""

    aim: Value
    drift: bool = False
    declared: bool = False
    conflict: bool = False
    takeover: bool = False
    immutable: bool = False


class Sides(NamedTuple):
    """The states of one part: as Git says it, its value, live, and both as of the ledger."""

    said: Value = MISSING
    value: Value = MISSING
    live: Value = MISSING
    base_said: Value = MISSING
    base: Value = MISSING
    before: Value = MISSING


def part_of(row: Attribute, name: str, sides: Sides, *, known: bool, enforce: bool) -> Part:
    """The part of one attribute of the thing called `name`. `known`: the ledger has a line for the thing."""
    elements = row.elements(name)
    if elements is None:
        return _whole(row, sides, known=known, enforce=enforce)
    return _elements(elements, sides, known=known, enforce=enforce)


def base_value(base: Entry | None, name: str) -> Value:
    """What the ledger has as the value of an attribute, references resolved as they were then."""
    if base is None or base.absent:
        return MISSING
    return base.seen.get(name, base.said.get(name, MISSING))


def project(
    kind: Kind, name: str, git: Resource | None, live: Resource | None, base: Entry | None
) -> tuple[Resource | None, Resource | None]:
    """Of a value that several owners share: our elements, and the neighbours' (either may be None)."""
    for row in kind.attributes:
        elements = row.elements(name)
        if elements is None or not elements.shared or live is None:
            continue
        parts = elements.split(live.get(row.name))
        ours = _keys(elements, git.get(row.name) if git else ()) | _keys(elements, base_value(base, row.name))
        mine = {key: part for key, part in parts.items() if key in ours}
        rest = {key: part for key, part in parts.items() if key not in ours}
        return (
            live.having(**{row.name: elements.join(mine)}) if mine else None,
            live.having(**{row.name: elements.join(rest)}) if rest else None,
        )
    return live, None


def known(reference: Computed, there: State) -> Value:
    """What a reference comes to where its source is there; else it stands for itself."""
    source = there.get(reference.address)
    value = MISSING if source is None else source.get(reference.attribute)
    return reference if value is MISSING else value


def without_ttl(resource: Resource | None) -> Resource | None:
    """A set with a neighbour in it has a TTL that is not ours alone: it is not compared and stays."""
    if resource is None:
        return None
    initial = {name: value for name, value in resource.initial.items() if name != "ttl"}
    return resource.having(ttl=MISSING)._replace(initial=initial)


def _keys(elements: Elements, value: Value) -> set[str]:
    return set() if value is MISSING else set(elements.split(value))


def _whole(row: Attribute, s: Sides, *, known: bool, enforce: bool) -> Part:
    if s.value is MISSING:
        return _silent(row, s)
    if s.value == s.live:
        return Part(s.live)
    if row.immutable:
        return Part(s.live, drift=s.said == s.base_said, immutable=s.said != s.base_said)
    if s.base_said is MISSING and (not known or row.governed):  # rows 4, 5
        newer_table = known and s.value == row.default
        return _unmoved(s, enforce=enforce) if newer_table else Part(s.value, takeover=True)
    if s.said == s.base_said:
        return _unmoved(s, enforce=enforce)
    return Part(s.value, conflict=s.base is not MISSING and s.live != s.base)


def _silent(row: Attribute, s: Sides) -> Part:
    if row.computed:
        return Part(s.live, drift=s.base is not MISSING and s.live != s.base)
    back = s.base_said is not MISSING and s.before is not MISSING and s.live == s.base  # row 6
    return Part(s.before if back else s.live)


def _unmoved(s: Sides, *, enforce: bool) -> Part:
    return Part(s.value if enforce else s.live, drift=True)


def _elements(elements: Elements, s: Sides, *, known: bool, enforce: bool) -> Part:
    said, value, live, base_said, base = (
        {} if side is MISSING else elements.split(side) for side in (s.said, s.value, s.live, s.base_said, s.base)
    )
    parts = {}
    for key in sorted({*value, *live, *base}):
        sides = Sides(*(side.get(key, MISSING) for side in (said, value, live, base_said, base)))
        parts[key] = _element(sides, known=known, enforce=enforce)
    return Part(
        elements.join({key: part.aim for key, part in parts.items() if part.aim is not MISSING}),
        drift=any(part.drift for part in parts.values()),
        declared=any(part.aim != live.get(key, MISSING) and not part.drift for key, part in parts.items()),
        conflict=any(part.conflict for part in parts.values()),
        takeover=any(part.takeover for part in parts.values()),
    )


def _element(s: Sides, *, known: bool, enforce: bool) -> Part:
    if s.value == s.live or (s.value is MISSING and s.base is not MISSING):
        return Part(s.value)  # nothing to do, or row 9: ours, no longer wanted
    if s.base is MISSING and (s.value is not MISSING or not known):
        return Part(s.value, takeover=s.live is not MISSING)
    if s.value is MISSING:  # row 10: nobody declared it, and the value as a whole is ours
        return Part(MISSING if enforce else s.live, drift=True)
    if s.said == s.base_said:
        return _unmoved(s, enforce=enforce)
    return Part(s.value, conflict=s.live != s.base)
