"""The three-state diff against its own page, docs/truth-table.md: every row is executed as it stands there.

An answer of `compare` is put into the words of the page and held against the row's cells. Objects are built from the
signs of the row, for a mailbox, a mailbox known by its members, an alias and a TXT value; parts by a case per row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from reconciler.diff import Outcome, compare, resolve
from reconciler.errors import Unreachable
from reconciler.kinds import kinds
from reconciler.model import Address, Computed, Entry, Resource
from reconciler.review import revert
from reconciler.thing import Context
from tests.worlds import (
    COMMIT,
    MAIL,
    TODAY,
    World,
    alias,
    converge,
    domain,
    entry,
    key,
    key_record,
    mailbox,
    record,
    retired,
    shared,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parent.parent / "docs" / "truth-table.md"
# Rows that are of a later version; to call another row `later` on the page does not take its test away.
LATER = {"11": "write-only attributes"}


class Row(NamedTuple):
    """A line of one of the two tables."""

    id: str
    ledger: str
    git: str
    live: str
    report: str
    enforce: str


def rows(section: str) -> list[Row]:
    """The rows of a table of the page; an empty cell under `enforce` repeats `report`."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|"))
    found = [Row(*line[:6]) for line in cells if re.match(r"\d", line[0])]
    return [row if row.enforce else row._replace(enforce=row.report) for row in found]


OBJECTS, PARTS = rows("Objects"), rows("Parts")


def words(outcome: Outcome) -> set[str]:
    """An answer of `compare` in the words of the page."""
    said: list[str] = []
    if (change := outcome.change) is not None:
        marks = [mark for mark in ("takeover", "conflict") if getattr(change, mark)]
        due = "" if change.reason == "declared" else f" ({change.reason})"
        said.append(", ".join([change.action, *marks]) + due)
    if outcome.step is not None:
        said.append(f"ledger: {outcome.step.what}")
    said += ["drift of existence" if drift.field == "exists" else "drift" for drift in outcome.drift]
    said += ["later"] if outcome.later is not None else []
    said += ["unmanaged"] if outcome.unmanaged is not None else []
    said += [f"{finding.severity} {finding.code}" for finding in outcome.findings]
    return set(said) or {"nothing"}


def cell(text: str, *, keeps: bool = True) -> set[str]:
    """The words of a cell; of `a / b` the one for the sort of kind."""
    return {part.split(" / ")[0 if keeps or " / " not in part else 1].strip() for part in text.split(";")}


# ---------------------------------------------------------------------- objects


class Sort(NamedTuple):
    """A kind of thing in three values: `x`, which the ledger has, `y`, which Git moves on to, `z`, set by hand."""

    x: Resource
    y: Resource
    z: Resource

    def of(self, sign: str) -> Resource | None:
        return (
            None if sign == "–" else retired(self.x) if sign == "r" else self.x if sign == "x°" else getattr(self, sign)
        )


JANE, DESK, INFO, SPF = "jane@a.example", "desk@a.example", "info@a.example", "TXT/a.example"
KEEPS = {
    "mailbox": Sort(mailbox(JANE, quota=1), mailbox(JANE, quota=2), mailbox(JANE, quota=3)),
    "members": Sort(shared(DESK, jane="read"), shared(DESK, jane="full"), shared(DESK, jane="none")),
    "copies": Sort(*(mailbox(JANE, copies_to=[f"{name}@out.example"]) for name in "xyz")),
}
OTHERS = {
    "alias": Sort(alias(INFO, "x@a.example"), alias(INFO, "y@a.example"), alias(INFO, "z@a.example")),
    "TXT": Sort(record(SPF, "v=spf1 -all"), record(SPF, "v=spf1 ~all"), record(SPF, "v=spf1 ?all")),
    "MX": Sort(*(record("MX/a.example", f"10 {name}.example.") for name in "xyz")),
}
SORTS = KEEPS | OTHERS
HELD = {"18b": True}  # what else a row says of the thing
SIGNS = {"–", "x", "y", "z", "r", "x°", "absent"}
YESTERDAY, TOMORROW = "2026-11-23", "2026-11-25"


class Combination(NamedTuple):
    """One state of a thing: a row with each of its cells at one sign."""

    row: Row
    sort: str
    ledger: str
    git: str
    live: str

    @property
    def keeps(self) -> bool:
        return self.sort in KEEPS

    def outcome(self, *, enforce: bool, neighbour: str = "") -> Outcome:
        sort = SORTS[self.sort]
        git = None if self.git in {"–", "absent"} else sort.of(self.git)
        live = sort.of(self.live)
        if neighbour:
            live = (live or sort.x.having(values=())).having(values=(*(live.get("values") if live else ()), neighbour))
        context = Context(TODAY, COMMIT, enforce, self.git == "absent", HELD.get(self.row.id, False))
        return compare(kinds()[sort.x.address.kind], sort.x.address, git, git, live, self.base(), context)

    def base(self) -> Entry | None:
        if self.ledger == "absent":
            return Entry({}, "a.example", absent=True, commit=COMMIT)
        said = SORTS[self.sort].of(self.ledger)
        if said is None:
            return None
        due = YESTERDAY if "not due" not in self.row.live else TOMORROW
        return entry(said, retired=due if self.ledger == "x°" else None)


def signs(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word in SIGNS]


def applies(sort: str, *cells: str) -> bool:
    """What keeps data is never declared absent; what does not is never retired."""
    only_kept, never_kept = {"x°", "r"} & set(cells), {"absent"} & set(cells)
    return not (only_kept if sort in OTHERS else never_kept)


COMBINATIONS = [
    Combination(row, sort, *cells)
    for row in OBJECTS
    for cells in product(signs(row.ledger), signs(row.git), signs(row.live))
    for sort in SORTS
    if applies(sort, *cells)
]


def named(combination: Combination) -> str:
    row, *rest = combination
    return "-".join([row.id, *rest])


@pytest.mark.parametrize("case", COMBINATIONS, ids=named)
@pytest.mark.parametrize("policy", ["report", "enforce"])
def test_objects_are_as_the_page_says(case: Combination, policy: str) -> None:
    """A thing in its three states gets the answer of its row, under both policies."""
    wanted = cell(getattr(case.row, policy), keeps=case.keeps)
    assert words(case.outcome(enforce=policy == "enforce")) == wanted


@pytest.mark.parametrize(
    "case", [case for case in COMBINATIONS if case.sort == "TXT" and case.git != "absent"], ids=named
)
@pytest.mark.parametrize("policy", ["report", "enforce"])
def test_a_neighbour_changes_nothing(case: Combination, policy: str) -> None:
    """Beside somebody else's TXT value ours gets the same answer, and the neighbour is unmanaged."""
    outcome = case.outcome(enforce=policy == "enforce", neighbour="token=1")
    alone = case.outcome(enforce=policy == "enforce")
    assert words(outcome) - {"nothing"} == words(alone) - {"nothing"} | {"unmanaged"}
    assert outcome.unmanaged is not None
    seen = outcome.unmanaged.get("values")
    assert seen == ("token=1",) or (alone.unmanaged is not None and "token=1" in seen)
    if outcome.change is not None:
        assert "token=1" not in str(outcome.change.fields)


def test_every_row_of_the_objects_is_executed() -> None:
    """No row of the first table is without a case (23 has a test of its own), and no number stands twice."""
    assert {case.row.id for case in COMBINATIONS} | {"23"} == {row.id for row in OBJECTS}
    assert len({row.id for row in OBJECTS}) == len(OBJECTS)
    assert {re.sub(r"\D", "", row.id) for row in OBJECTS} == {str(number) for number in range(1, 29)}


@pytest.mark.parametrize("sort", SORTS)
def test_the_objects_leave_no_case_out(sort: str) -> None:
    """Every combination of ledger, Git and live stands in one row; a retired box is looked at in three moments."""
    ledger, git, live = ("–", "x", "x°", "absent"), ("–", "x", "y", "absent"), ("–", "x", "y", "z", "r")
    every = {cells for cells in product(ledger, git, live) if applies(sort, *cells)}
    # A box of ours that somebody blocked is drift of its state, as any other `z`; a foreign one is as it is.
    every -= {cells for cells in every if cells[2] == "r" and cells[:2] not in {("x", "–"), ("x°", "–")} | RESTORED}
    # Where the ledger has nothing, `y` is as good a name as `x` for what Git says.
    every -= {cells for cells in every if cells[0] in {"–", "absent"} and cells[1] == "y"}
    found = [
        case[2:]
        for case in COMBINATIONS
        if case.sort == sort and (case.ledger, case.git) not in {("–", "y"), ("absent", "y")}
    ]
    assert {cells: found.count(cells) for cells in every} == {c: 3 if c == ("x°", "–", "r") else 1 for c in every}
    assert set(found) == every


RESTORED = {("x°", "x"), ("x°", "y")}


def outcome(row: str, sort: str, *cells: str, enforce: bool = False) -> Outcome:
    return Combination(next(found for found in OBJECTS if found.id == row), sort, *cells).outcome(enforce=enforce)


def test_a_box_retires_with_its_day() -> None:
    """A retired box is blocked, gives nothing to anybody, and may be purged after the days it is kept."""
    change = outcome("7", "members", "x", "–", "z").change
    assert change is not None
    assert change.aim is not None
    assert change.entry is not None
    assert {name: change.aim.get(name) for name in ("state", "members")} == {"state": "blocked", "members": {}}
    assert change.entry.retired == "2026-12-24"
    assert change.entry.said == KEEPS["members"].x.attributes
    step = outcome("8", "mailbox", "x", "–", "r").step
    assert step is not None
    assert step.entry is not None
    assert step.entry.retired == "2026-12-24"


def test_what_was_re_enabled_is_of_high_risk() -> None:
    """Row 17 says what of the retired form is gone, each of high risk; enforcing puts all of it back."""
    found = outcome("17", "members", "x°", "–", "x", enforce=True)
    assert {(drift.field, drift.risk) for drift in found.drift} == {("state", "high"), ("members", "high")}
    assert found.change is not None
    assert found.change.aim == retired(KEEPS["members"].x)


def test_later_says_when_and_why() -> None:
    """A purge that is not due waits for its day, one that is held waits for no day that is known."""
    late, held = outcome("18a", "mailbox", "x°", "–", "r").later, outcome("18b", "mailbox", "x°", "–", "r").later
    assert late is not None
    assert (late.action, late.when, late.why) == ("purge", TOMORROW, "retention")
    assert held is not None
    assert (held.action, held.when, held.why) == ("purge", None, "hold")


@pytest.mark.parametrize("live", ["y", "z", "r", "x"])
def test_a_restore_brings_every_field_back(live: str) -> None:
    """A box that is declared again is as Git says in every field, and its day is forgotten."""
    found = outcome("22b", "copies", "x°", "y", live)
    if live == "y":
        assert found.change is None
        assert found.step is not None
        assert found.step.entry is not None
        assert found.step.entry.retired is None
        return
    assert found.change is not None
    assert found.change.aim is not None
    assert found.change.entry is not None
    aim, wanted = found.change.aim, KEEPS["copies"].y
    assert {row.name: aim.get(row.name) for row in found.change.kind.compared} == {
        row.name: wanted.get(row.name) for row in found.change.kind.compared
    }
    assert found.change.entry.retired is None


def test_what_must_not_exist_does_not_come_back() -> None:
    """Deleting what `absent` names is noted in the ledger, and no revert brings it back."""
    change = outcome("25", "alias", "–", "absent", "z").change
    assert change is not None
    assert change.entry is not None
    assert change.entry.absent
    assert revert(change) == "none"


def test_what_git_starts_with_is_only_for_making() -> None:
    """A quota that nobody mentions starts a new box, and is not compared on one that is there."""
    box = mailbox(JANE)
    made = compare(kinds()["mailbox"], box.address, box, box, None, None, Context(TODAY, COMMIT)).change
    assert made is not None
    assert made.aim is not None
    assert made.aim.get("quota") == 5 * 2**30
    live = box.having(quota=1)
    assert words(compare(kinds()["mailbox"], box.address, box, box, live, None, Context(TODAY, COMMIT))) == {
        "ledger: adopt"
    }


# ---------------------------------------------------------------------- parts


@dataclass
class Part:
    """A case of the second table: one thing on all sides. `aims`: what it comes to, per policy (None: no change)."""

    said: Resource
    base: Entry | None
    live: Resource | None
    value: Resource | None = None
    report: dict[str, Any] | None = None
    enforce: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    high: bool = False
    quiet: frozenset[str] = frozenset()

    def outcome(self, *, enforce: bool) -> Outcome:
        kind = kinds()[self.said.address.kind]
        context = Context(TODAY, COMMIT, enforce, quiet=self.quiet)
        return compare(kind, self.said.address, self.said, self.value or self.said, self.live, self.base, context)


@dataclass
class Cases:
    """Builders of the cases, by the row of the page they are of."""

    found: dict[str, list[Part]] = field(default_factory=dict)

    def row(self, number: str, *cases: Part) -> None:
        self.found.setdefault(number, []).extend(cases)


CASES = Cases()


def box(**said: Any) -> Resource:
    return mailbox(JANE, **said)


def desk(**members: str) -> Resource:
    return shared(DESK, **members)


def txt(*values: Any, **said: Any) -> Resource:
    return record(SPF, *values, **said)


def rights(**members: str) -> dict[str, Any]:
    return {"members": {f"{member}@a.example": right for member, right in members.items()}}


def texts(*values: Any) -> dict[str, Any]:
    return {"values": values}


def case(said: Resource, base: Resource, live: Resource, **wanted: Any) -> Part:
    """A case whose ledger has the thing as Git said it before."""
    return Part(said, entry(base), live, **wanted)


def small(live: Any, git: dict[str, Any], base: Entry, **wanted: Any) -> Part:
    """A case about a quota: `live` is what is there, or None where nothing is set."""
    return Part(box(**git), base, box() if live is None else box(quota=live), **wanted)


ONE, TWO, THREE = {"quota": 1}, {"quota": 2}, {"quota": 3}
SILENT = entry(box())
SAID = entry(box(quota=1))

CASES.row("1", small(3, {}, SILENT), case(txt("v=spf1 -all"), txt("v=spf1 -all"), txt("v=spf1 -all", ttl=60)))
CASES.row("2a", small(1, ONE, SAID), case(desk(jane="full"), desk(jane="full"), desk(jane="full")))
CASES.row(
    "2b",
    small(3, ONE, SAID, enforce=ONE),
    small(None, ONE, SAID, enforce=ONE),
    Part(box(), SILENT, box(state="paused"), enforce={"state": "active"}, high=True),
    case(
        desk(jane="full"),
        desk(jane="full"),
        desk(jane="read"),
        enforce=rights(jane="full"),
        high=True,
    ),
    case(
        txt("token=1", "v=spf1 -all"),
        txt("token=1", "v=spf1 -all"),
        txt("v=spf1 -all"),
        enforce=texts("token=1", "v=spf1 -all"),
    ),
)
CASES.row("3a", small(1, TWO, SAID, report=TWO), small(1, TWO, SAID._replace(seen={}), report=TWO))
CASES.row("3b", small(2, TWO, SAID), case(desk(jane="full"), desk(jane="read"), desk(jane="full")))
CASES.row(
    "3c",
    small(3, TWO, SAID, report=TWO),
    small(None, TWO, SAID, report=TWO),
    case(
        txt("token=1", "v=spf1 -all"),
        txt("token=1", "v=spf1 ~all"),
        txt("token=1", "v=spf1 ?all"),
        report=texts("token=1", "v=spf1 -all"),
    ),
)
CASES.row(
    "4a",
    small(1, ONE, SILENT, before=ONE),
    case(desk(jane="full", tom="read"), desk(jane="full"), desk(jane="full", tom="read")),
)
CASES.row("4b", small(3, ONE, SILENT, report=ONE, before=THREE), small(None, ONE, SILENT, report=ONE, before={}))
CASES.row(
    "4c",
    Part(
        box(copies_to=["x@out.example"]),
        SILENT._replace(said={}),
        box(copies_to=["z@out.example"]),
        report={"copies_to": ("x@out.example",)},
    ),
)
CASES.row(
    "4d",
    case(
        txt("token=1", "v=spf1 -all"),
        txt("token=1"),
        txt("token=1", "v=spf1 ?all"),
        report=texts("token=1", "v=spf1 -all"),
    ),
    case(
        desk(jane="full", tom="full"),
        desk(jane="full"),
        desk(jane="full", tom="read"),
        report=rights(jane="full", tom="full"),
    ),
)
OLDER = {name: value for name, value in box().attributes.items() if name not in {"keep_copy", "state"}}
CASES.row(
    "5",
    Part(box(), SILENT._replace(said=OLDER), box(keep_copy=False), enforce={"keep_copy": True}),
    Part(box(), SILENT._replace(said=OLDER), box(state="paused"), enforce={"state": "active"}, high=True),
)
CASES.row("6", small(1, {}, SAID._replace(before={"quota": 9}), report={"quota": 9}, before={}))
CASES.row("7", small(3, {}, SAID._replace(before={"quota": 9}), before={}))
CASES.row("8", small(1, {}, SAID, before={}), small(3, {}, SAID, before={}), small(None, {}, SAID, before={}))
CASES.row(
    "9a",
    case(desk(jane="full"), desk(jane="full", tom="read"), desk(jane="full", tom="read"), report=rights(jane="full")),
    case(desk(jane="full"), desk(jane="full", tom="read"), desk(jane="full", tom="full"), report=rights(jane="full")),
    case(txt("token=1"), txt("token=1", "v=spf1 -all"), txt("token=1", "v=spf1 -all"), report=texts("token=1")),
    case(txt("token=1"), txt("token=1", "v=spf1 -all"), txt("token=1", "v=spf1 ?all"), report=texts("token=1")),
)
CASES.row(
    "9b",
    case(desk(jane="full"), desk(jane="full", tom="read"), desk(jane="full")),
    case(txt("token=1"), txt("token=1", "v=spf1 -all"), txt("token=1")),
)
CAA = "CAA/a.example"
CASES.row(
    "10a",
    case(txt("v=spf1 -all"), txt("v=spf1 -all"), txt("token=1", "v=spf1 -all")),
    case(record(CAA, '0 issue "x"'), record(CAA, '0 issue "x"'), record(CAA, '0 issue "x"', '0 issue "z"')),
)
CASES.row(
    "10b",
    case(desk(jane="full"), desk(jane="full"), desk(jane="full", tom="read"), enforce=rights(jane="full"), high=True),
    Part(box(), SILENT, box(members={"tom@a.example": "read"}), enforce=rights(), high=True),
)

K1, K2 = "v=DKIM1; k=rsa; p=K1", "v=DKIM1; k=rsa; p=K2"
KEY, PUBLISHED = key("s1", "a.example"), key_record("s1", "a.example")
CASES.row("12a", Part(KEY, entry(KEY, seen={"public": K1}), KEY.having(public=K2), high=True))
CASES.row(
    "12b",
    Part(
        PUBLISHED,
        entry(PUBLISHED, seen=texts(K1)),
        PUBLISHED.having(values=(K1,)),
        value=PUBLISHED.having(values=(K2,)),
        enforce=texts(K2),
    ),
)
LITERAL = record(PUBLISHED.address.name, K1)
WAITING = PUBLISHED.get("values")
CASES.row("13a", Part(PUBLISHED, entry(PUBLISHED), None, report={"values": WAITING, "ttl": 3600}))
CASES.row("13b", Part(PUBLISHED, entry(LITERAL), LITERAL, report={"values": WAITING}))
SEEN = {"public": K1}
CASES.row("14a", Part(key("s1", "a.example", bits=4096), entry(KEY, seen=SEEN), KEY.having(public=K1)))
CASES.row("14b", Part(KEY, entry(KEY), KEY.having(public=K1, bits=1024)))
CASES.row("14c", Part(KEY, entry(KEY, seen=SEEN), KEY.having(public=K1, bits=1024)))
CASES.row(
    "15",
    Part(box(owner="tom"), entry(box(owner="jane")), box()),
    Part(alias(INFO, JANE, reason="y"), entry(alias(INFO, JANE, reason="x")), alias(INFO, JANE)),
    Part(box()._replace(keep=60), SILENT, box()),
)
QUIET = frozenset({"quota"})
CASES.row("16", small(3, ONE, SAID, quiet=QUIET))
CASES.row("17", small(3, TWO, SAID, report=TWO, quiet=QUIET))
CASES.row(
    "18",
    Part(
        box(quota=2, state="paused"),
        entry(box(quota=1, state="paused")),
        box(quota=1),
        report=TWO,
        enforce={"quota": 2, "state": "paused"},
        high=True,
    ),
    case(
        desk(jane="full", tom="full"),
        desk(jane="read", tom="full"),
        desk(jane="read", tom="read"),
        report=rights(jane="full", tom="read"),
        enforce=rights(jane="full", tom="full"),
        high=True,
    ),
)
NOT_KNOWN = {"13a": True, "14b": True}  # rows whose ledger cell says that the thing is not there


def parts() -> Iterator[Any]:
    for row in PARTS:
        for number, case in enumerate(CASES.found.get(row.id, ())):
            base = None if row.id in NOT_KNOWN else case.base
            yield pytest.param(row, replace(case, base=base), id=f"{row.id}.{number}")


@pytest.mark.parametrize(("row", "case"), list(parts()))
@pytest.mark.parametrize("policy", ["report", "enforce"])
def test_parts_are_as_the_page_says(row: Row, case: Part, policy: str) -> None:
    """An attribute or element gets the answer of its row, comes to the value it says, and nothing else is written."""
    outcome = case.outcome(enforce=policy == "enforce")
    assert words(outcome) == cell(getattr(row, policy))
    wanted = case.report if policy == "report" or case.enforce is None else case.enforce
    written = (
        {name: new for name, (_, new) in outcome.change.fields.items() if new is not None} if outcome.change else None
    )
    assert written == wanted
    line = outcome.change.entry if outcome.change else outcome.step.entry if outcome.step else None
    assert case.before is None or (line is not None and line.before == case.before)
    assert {drift.risk for drift in outcome.drift} == ({"high" if case.high else "low"} if outcome.drift else set())


def test_every_row_of_the_parts_is_executed() -> None:
    """No row of the second table is without a case, no case without a row; what is `later` is named here too."""
    assert {row.id for row in PARTS} - set(LATER) == set(CASES.found)
    assert {row.id for row in PARTS if row.report == "later"} == set(LATER)
    assert len({row.id for row in PARTS}) == len(PARTS)
    assert {re.sub(r"\D", "", row.id) for row in PARTS} == {str(number) for number in range(1, 19)}


def test_what_cannot_be_changed_in_place_keeps_its_line() -> None:
    """A refused change of an immutable attribute is not noted as made; what else moved is."""
    said = key("s1", "a.example", bits=4096)
    outcome = Part(said, entry(KEY, seen=SEEN), KEY.having(public=K1)).outcome(enforce=False)
    assert outcome.step is None
    again = Part(said._replace(keep=9), entry(KEY, seen=SEEN), KEY.having(public=K1)).outcome(enforce=False)
    assert again.step is not None
    assert again.step.entry is not None
    assert (again.step.entry.said["bits"], again.step.entry.keep) == (2048, 9)


def test_a_source_that_is_gone_is_not_forgotten() -> None:
    """While a key is missing, its record stays as it is and the ledger keeps what it was made from."""
    live = PUBLISHED.having(values=(K1,), ttl=60)
    outcome = Part(PUBLISHED, entry(PUBLISHED, seen={"values": (K1,)}), live).outcome(enforce=False)
    assert words(outcome) == {"drift"}


# ---------------------------------------------------------------------- through the plan


def test_what_was_not_read_is_not_absent() -> None:
    """Row 23: where a provider gives an error, nothing of its domain is planned, not even a create; the rest is."""
    world = World()
    state = [domain("a.example"), mailbox(JANE), record("MX/a.example", "10 mx.example.")]
    converge(world, state)
    error = Unreachable("no answer")
    more = [*state, mailbox("tom@a.example"), record("A/www.a.example", "192.0.2.1")]
    plan = world.plan(more, read=lambda live: {**live, (MAIL, "a.example"): error})
    assert [str(change.address) for change in plan.changes] == ["zones:record/A/www.a.example"]
    assert [(unread.provider, unread.error) for unread in plan.unread] == [(MAIL, "a.example: no answer")]
    assert (plan.steps, plan.drift, plan.later) == ((), (), ())


def test_a_takeover_is_refused_until_accepted() -> None:
    """Row 5 is an error that names the domain; one acceptance for the domain lets all of its takeovers through."""
    live = [domain("a.example"), alias(INFO, "z@out.example"), alias("a@a.example", "z@out.example")]
    state = [domain("a.example"), mailbox(JANE), alias(INFO, JANE), alias("a@a.example", JANE)]
    world = World(*live)
    refused = [(f.code, f.subject) for f in world.plan(state).findings if f.severity == "error"]
    assert refused == [("PL202", "a.example")]
    accepted = {"finding": "PL202", "subject": "a.example", "approved_by": "ops", "expires": TODAY}
    assert world.plan(state, accept=[{**accepted, "expires": YESTERDAY}]).refused
    converge(world, state, accept=[accepted])
    assert world.live[alias(INFO).address].get("to") == (JANE,)


def test_what_needs_something_removed_by_hand_waits() -> None:
    """While a domain is gone outside Git, a new box in it is not tried: it is later, until the domain is put back."""
    world = World()
    converge(world, [domain("a.example"), domain("b.example")])
    world.take(domain("a.example").address)
    plan = world.plan([domain("a.example"), domain("b.example"), mailbox(JANE), alias("info@b.example", JANE)])
    assert {drift.field for drift in plan.drift} == {"exists"}
    assert plan.changes == ()
    assert [waiting.address.name for waiting in plan.later] == ["info@b.example", JANE]


def test_a_key_that_moved_is_drift_of_key_and_record() -> None:
    """Parts row 12 through the plan: a pair made anew by hand is drift of the key and of its record, nothing more."""
    world = World()
    state = [domain("a.example"), KEY, PUBLISHED]
    converge(world, state)
    world.put(world.live[KEY.address].having(public=K2))
    plan = world.plan(state)
    assert {(drift.address.kind, drift.field) for drift in plan.drift} == {("dkim_key", "public"), ("record", "values")}
    assert (plan.changes, plan.steps) == ((), ())


def test_a_purge_that_is_due_waits_for_a_person() -> None:
    """A retired box waits for its day; then its purge is due, and no declared change."""
    world = World()
    state = [domain("a.example"), mailbox(JANE), mailbox("tom@a.example")]
    converge(world, state)
    converge(world, state[:2])
    plan = world.plan(state[:2])
    assert [(w.address.name, w.action, w.when) for w in plan.later] == [("tom@a.example", "purge", "2026-12-24")]
    assert (plan.changes, plan.due) == ((), ())
    plan = world.plan(state[:2], today="2026-12-24")
    assert [(c.address.name, c.action, c.reason) for c in plan.due] == [("tom@a.example", "purge", "retention")]
    assert (plan.changes, plan.later) == ((), ())


def test_references_are_resolved_where_they_can_be() -> None:
    """A value that refers to something reads as that; what is not known yet stays a reference."""
    reference = Computed(Address(MAIL, "dkim_key", KEY.address.name), "public")
    found = resolve(PUBLISHED, lambda wanted: K1 if wanted == reference else wanted)
    assert found is not None
    assert found.get("values") == (K1,)
    assert resolve(PUBLISHED, lambda wanted: wanted) == PUBLISHED
    assert resolve(None, lambda wanted: wanted) is None


def test_a_set_we_share_keeps_its_ttl() -> None:
    """The TTL of a set with a neighbour in it is not ours to compare or to set."""
    said = txt("v=spf1 -all", ttl=60)
    live = txt("token=1", "v=spf1 ~all", ttl=900)
    outcome = Part(said, entry(txt("v=spf1 ~all", ttl=60)), live).outcome(enforce=True)
    assert outcome.change is not None
    assert set(outcome.change.fields) == {"values"}
    alone = Part(said, entry(said), txt("v=spf1 -all", ttl=900)).outcome(enforce=True)
    assert alone.change is not None
    assert set(alone.change.fields) == {"ttl"}


def test_the_last_value_that_goes_takes_the_set_along() -> None:
    """One of our two TXT values was removed by hand and Git drops the other: the set is deleted, not emptied."""
    world, name = World(), "TXT/a.example"
    both = record(name, "site=2", "v=spf1 -all")
    converge(world, [domain("a.example"), both])
    world.put(world.live[both.address].having(values=("v=spf1 ~all",)))
    state = [domain("a.example"), record(name, "site=2")]
    plan = world.plan(state)
    assert [(change.action, change.aim) for change in plan.changes] == [("delete", None)]
    assert world.apply(plan).failed == []
    assert [drift.field for drift in world.plan(state).drift] == ["exists"]
