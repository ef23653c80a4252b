"""Applies in a world where everything fails: a seeded driver with faults at every effect, thousands of stories a run.

A story goes from one state of Git to another by runs that crash, lose answers, are refused, read nothing or too little,
meet a journal that takes nothing, run twice from one plan, or are taken over in the middle. Then the faults stop, and
what is there must be what one smooth run would have made. A story that does not hold prints its seed:

    SEED=1234 python -m pytest tests/test_simulation.py      # that story alone, told step by step

`make fuzz` tells many more.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from reconciler import apply as applying
from reconciler.effects import Begin, Identify, Proof, Prove, Read, Record, Write
from reconciler.errors import LedgerError, Locked, Refused, Unreachable
from reconciler.review import revert
from tests.worlds import (
    ACCEPT,
    FOREIGN,
    NUMBERS,
    Said,
    World,
    alike,
    domain,
    inhabited,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.changes import TenantPlan
    from reconciler.effects import Effect, Live

STORIES = 1000
FAULTS = {
    Begin: ("crash before", "crash after", "not written", "lost", "twice"),
    Identify: ("crash before", "crash after", "refused"),
    Write: ("crash before", "crash after", "refused", "lost", "taken over", "taken over unseen"),
    Read: ("crash before", "crash after", "failed", "short"),
    Prove: ("crash before", "crash after"),
    Record: ("crash before", "crash after", "not written", "lost", "twice"),
}
SAID = "SEED" in os.environ


def tell(text: str) -> None:
    if SAID:
        print(text)


class Crash(Exception):
    """The process is gone."""


# ---------------------------------------------------------------------- a run among faults


@dataclass
class Run:
    """One apply of a plan, its effects performed one by one; `fault` names what goes wrong at the next of them."""

    world: World
    state: Said
    plan: TenantPlan
    fault: Callable[[Effect], str]
    tip: str | None = None

    def go(self) -> None:
        steps, answer = applying.apply(self.plan), None
        self.tip = self.plan.tip
        try:
            while True:
                answer = self.perform(steps.send(answer))
        except (StopIteration, Crash):
            return

    def perform(self, effect: Effect) -> Any:
        fault = self.fault(effect)
        tell(f"    {type(effect).__name__}{f': {fault}' if fault else ''}")
        if fault == "crash before":
            raise Crash
        answer = getattr(self, type(effect).__name__.lower())(effect, fault)
        if fault == "crash after":
            raise Crash
        return answer

    def moved(self, change: Callable[[], Any], fault: str) -> Exception | None:
        """Move the ledger by compare-and-swap."""
        if fault == "twice":
            Run(self.world, self.state, self.plan, nothing).go()
        if fault == "not written":
            return LedgerError("the disk is full")
        if str(self.world.tip) != self.tip:
            return Locked("somebody else has moved it")
        change()
        self.tip = str(self.world.tip)
        return LedgerError("no answer") if fault == "lost" else None

    def begin(self, effect: Begin, fault: str) -> Exception | None:
        return self.moved(lambda: self.world.begin([effect.plan]), fault)

    def record(self, effect: Record, fault: str) -> Exception | None:
        return self.moved(lambda: self.world.record([effect]), fault)

    def identify(self, effect: Identify, fault: str) -> Any:
        return Refused("no") if fault == "refused" else self.world.identify(effect.provider, effect.seen)

    def write(self, effect: Write, fault: str) -> Any:
        """Nothing that Git declares is taken out; whoever sees that he was taken over writes nothing."""
        declared = {found.address for found in self.state}
        assert not [c for c in effect.batch.changes if c.aim is None and c.address in declared], "it is declared"
        if fault.startswith("taken over"):
            attempt(self.world, self.state, nothing)
        if fault == "taken over":
            return Locked("somebody else is at work on it")
        if fault == "refused":
            return Refused("no")
        answer = self.world.write(effect.batch)
        return Unreachable("no answer") if fault == "lost" else answer

    def read(self, effect: Read, fault: str) -> Live:
        live = dict(self.world.read(effect.scopes))
        if fault == "failed":
            return dict.fromkeys(live, Unreachable("no answer"))
        if fault == "short":  # a replica that lags: what was made is not seen yet
            late = {found.address for found in self.state}
            return {
                scope: tuple(thing for thing in found if thing.address not in late) for scope, found in live.items()
            }
        return live

    def prove(self, effect: Prove, _fault: str) -> tuple[Proof, ...]:
        return self.world.prove(effect.changes, lambda: None)


def nothing(_effect: Effect) -> str:
    return ""


def attempt(world: World, state: Said, fault: Callable[[Effect], str]) -> TenantPlan | None:
    """Plan and apply, unless the plan is refused."""
    plan = world.plan(state, accept=ACCEPT)
    tell(f"  plan: {', '.join(f'{c.action} {c.address}' for c in plan.changes) or 'nothing'}")
    if plan.refused:
        tell(f"  refused: {[f for f in plan.findings if f.severity == 'error']}")
        return None
    if plan.changes or plan.steps or plan.unfinished:
        Run(world, state, plan, fault).go()
    return plan


def faults(rng: random.Random) -> Callable[[Effect], str]:
    """One to three faults, soon."""
    left = rng.randint(1, 3)

    def fault(effect: Effect) -> str:
        nonlocal left
        if not left or rng.random() < 0.6:
            return ""
        left -= 1
        return rng.choice(FAULTS[type(effect)])

    return fault


# ---------------------------------------------------------------------- stories


class Pair:
    """Two states of Git, and what smooth runs make of them: `after_a` and `after_b`, None where one is refused."""

    def __init__(self, number: int) -> None:
        rng = random.Random(number)
        self.a, self.b = (state_of([rng.randint(0, 2**24) for _ in range(NUMBERS)]) for _ in range(2))
        tell(f"  A: {self.a!r}\n  B: {self.b!r}\n  smoothly:")
        self.after_a, _ = self.smooth(inhabited(), self.a)
        self.after_b, there = self.smooth(self.after_a and self.after_a.copy(), self.b)
        # What the plan of B said that a way back would not restore.
        self.lost = {change.address for change in there.changes if revert(change) != "full"} if there else set()

    def smooth(self, world: World | None, state: Said) -> tuple[World | None, TenantPlan | None]:
        made = attempt(world, state, nothing) if world else None
        return (world if made else None), made


def at_rest(world: World, state: Said) -> None:
    """The faults have stopped: one run, and what must hold after it in every world."""
    assert attempt(world, state, nothing), "it is refused now"
    again = world.plan(state, accept=ACCEPT)
    assert (again.changes, again.steps, again.unfinished) == ((), (), None), "there is nothing left to do"
    live, foreign, token = world.live, FOREIGNERS, FOREIGN[-1].address
    assert {found.address for found in state} <= live.keys(), "what Git declares is there"
    assert live.keys() <= world.ledger.entries.keys() | foreign.keys(), "what we made is in the ledger"
    for address in foreign.keys() - {token, domain("a.example").address}:
        assert alike({address: live[address]}) == alike({address: foreign[address]}), "what is not ours stays"
    assert "token=1" in live[token].get("values")


def there(pair: Pair, world: World, rng: random.Random) -> None:
    """A, then B by runs that fail: in the end as one run would have left it, in live and in the ledger."""
    for _ in range(rng.randint(1, 4)):
        attempt(world, pair.b, faults(rng))
    at_rest(world, pair.b)
    assert pair.after_b
    assert alike(world.live) == alike(pair.after_b.live)
    lines = [{address: line.said for address, line in w.ledger.entries.items()} for w in (world, pair.after_b)]
    assert lines[0] == lines[1]


def and_back(pair: Pair, world: World, rng: random.Random) -> None:
    """A, then B by runs that fail, then A again by such runs: A is there as it was, and nothing of B is nobody's."""
    was = alike(world.live)
    for state, most in ((pair.b, 3), (pair.a, 2)):
        for _ in range(rng.randint(1, most)):
            attempt(world, state, faults(rng))
    at_rest(world, pair.a)
    now = alike(world.live)
    for address in {found.address for found in pair.a} - pair.lost:
        assert now[address] == was[address], address


FOREIGNERS = inhabited().live
LAWS = (there, and_back)
VARIANTS = 16  # stories told of one pair: what smooth runs make of it is found out once


def hold(seeds: Iterable[int]) -> None:
    """Tell the stories of some seeds, those of a pair one after another."""
    for number, stories in groupby(seeds, lambda seed: seed // VARIANTS):
        tell(f"pair {number}")
        pair = Pair(number)
        for seed in stories if pair.after_a and pair.after_b else ():
            law = LAWS[seed % len(LAWS)]
            tell(f"seed {seed}: {law.__doc__}")
            try:
                law(pair, pair.after_a.copy(), random.Random(seed))
            except Exception as error:
                error.add_note(f"SEED={seed} python -m pytest tests/test_simulation.py")
                raise


def test_in_the_end_it_is_as_if_nothing_had_failed(record_property: Callable[[str, object], None]) -> None:
    """Both laws, for each of some thousand stories."""
    record_property("times", STORIES)
    hold([int(os.environ["SEED"])] if SAID else range(STORIES))


@pytest.mark.fuzz
def test_many_more_stories(request: pytest.FixtureRequest) -> None:
    """As many again from elsewhere; with the large budget, forty times as many."""
    many = request.config.getoption("--hypothesis-profile") == "fuzz"
    start = random.randrange(2**40) * VARIANTS
    hold(range(start, start + (40 * STORIES if many else STORIES // 10)))
