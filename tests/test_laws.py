"""What holds for every estate: random ones are applied to random worlds, with edits by hand in between.

Bounded in every run; `make fuzz` gives each law thousands of worlds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from reconciler.compile import Compiled
from reconciler.errors import ProviderError, Refused, Unreachable
from reconciler.kinds import kinds
from reconciler.parts import base_value
from reconciler.pausing import going, paused
from reconciler.review import digest, plain, revert, tenant_digest
from tests.worlds import (
    ACCEPT,
    FOREIGN,
    HOSTS,
    TENANT,
    Edits,
    Said,
    World,
    alias,
    alike,
    dkim,
    domain,
    edits,
    inhabited,
    mailbox,
    record,
    shared,
    states,
    tamper,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.changes import Batch, Change, Step, TenantPlan
    from reconciler.effects import Live
    from reconciler.model import Address, Entry

pytestmark = pytest.mark.fuzz
ROOT = Path(__file__).resolve().parent.parent

NOON = "2026-11-24T12:00"
by_hand = edits()
git = states()


def settle(world: World, state: Said) -> TenantPlan | None:
    """Plan and apply; None when the plan is refused, and then nothing is applied. Nothing may fail."""
    plan = world.plan(state, accept=ACCEPT)
    if plan.refused:
        event("refused: " + ", ".join(sorted({f.code for f in plan.findings if f.severity == "error"})))
        return None
    assert [f"{change.action} {change.address}: {why}" for change, why in world.apply(plan).failed] == []
    return plan


@given(by_hand, git, by_hand, git)
def test_after_an_apply_there_is_nothing_to_do(first: Edits, a: Said, then: Edits, b: Said) -> None:
    """Whatever was there, an apply that is not refused leaves no change and no ledger step for the next plan."""
    world = inhabited()
    tamper(world, first)
    settle(world, a)
    tamper(world, then)
    if settle(world, b) is None:
        return
    again = world.plan(b, accept=ACCEPT)
    assert (again.changes, again.steps) == ((), ())


FROZEN = st.lists(st.sampled_from(sorted(kinds())), min_size=1, max_size=3, unique=True)


@given(git, git, FROZEN)
def test_what_a_freeze_lets_through_can_be_made_and_the_rest_later(a: Said, b: Said, frozen: list[str]) -> None:
    """Whatever kinds are frozen: no change that goes on needs one that is held, and afterwards everything is made."""
    world = inhabited()
    settle(world, a)
    facts = world.facts(HOSTS)._replace(freezes=[{"kinds": frozen, "from": "mon 00:00", "to": "sun 23:59"}], now=NOON)
    plan = paused(world.plan(b, accept=ACCEPT), Compiled(TENANT), facts)
    event(f"held: {min(len(going(plan).held), 3)}, made: {min(len(going(plan).changes), 3)}")
    if not plan.refused:
        assert tenant_digest(going(plan)) == tenant_digest(plan)
        assert world.apply(going(plan)).failed == []
        assert settle(world, b) is not None
        assert world.plan(b, accept=ACCEPT).changes == ()


def spared(found: Edits) -> Edits:
    """The edits that leave the foreign values alone."""
    return Edits(edit for edit in found if edit[1].address != FOREIGN[-1].address)


@given(by_hand, git, by_hand, git)
def test_what_is_not_ours_survives(first: Edits, a: Said, then: Edits, b: Said) -> None:
    """Foreign things are as before after any two runs; so are foreign values in a set that we share, and its TTL."""
    world = inhabited()
    tamper(world, spared(first))
    settle(world, a)
    tamper(world, spared(then))
    settle(world, b)
    live, token = world.live, FOREIGN[-1]
    for found in FOREIGN[:-1]:
        assert alike({found.address: live[found.address]}) == alike({found.address: inhabited().live[found.address]})
    assert "token=1" in live[token.address].get("values")
    assert live[token.address].get("ttl") == token.get("ttl")


@given(by_hand, git, by_hand, git)
def test_nothing_goes_that_was_never_ours(first: Edits, a: Said, then: Edits, b: Said) -> None:
    """A plan removes and retires what the ledger has and nothing else; with an empty ledger that is nothing."""
    world = inhabited()
    tamper(world, first)
    for state, edited in ((a, then), (b, Edits())):
        for change in world.plan(state).changes:
            for what in removed(change):
                assert change.address in world.ledger.entries, f"{change.address}: {what}"
                assert what == "it" or what in base_value(change.base, "values")
        settle(world, state)
        tamper(world, edited)


def removed(change: Change) -> Iterator[str]:
    """What a change takes out: the thing, or TXT values (those that one of the same tag replaces do not count)."""
    kind, name = change.kind, change.address.name
    elements = next(
        (row.elements(name) for row in kind.attributes if kind.name == "record" and row.elements(name)), None
    )
    if elements is not None and change.live is not None:
        aimed = {} if change.aim is None else elements.split(change.aim.get("values"))
        for key, part in elements.split(change.live.get("values")).items():
            if key not in aimed and not key.startswith("v="):
                yield from part
    elif change.aim is None or change.action == "retire":
        yield "it"


@given(by_hand, git, git)
def test_a_revert_restores_what_the_plan_said(first: Edits, a: Said, b: Said) -> None:
    """From A to B and back to A: live is as it was, but for what the plan of B called not fully revertible."""
    world = inhabited()
    tamper(world, first)
    if settle(world, a) is None or world.plan(a).drift:
        return
    was, lines = alike(world.live), world.ledger.entries
    there = settle(world, b)
    if there is None:
        return
    boxes = {address for address in was if address.kind == "mailbox"}
    assert boxes <= set(world.live), "a box is never removed, it keeps its mail"
    back = settle(world, a)
    if back is None:
        return
    lost = {change.address for change in there.changes if revert(change) != "full"}
    lost |= {waiting.address for waiting in back.later}
    moves: list[Step | Change] = [*there.steps, *there.changes]
    lost |= {move.address for move in moves if adopts(move, lines.get(move.address), was)}
    event(f"exact: {not lost}")
    now = alike(world.live)
    differ = {address for address in {*was, *now} if was.get(address) != now.get(address)}
    assert differ <= lost


def adopts(move: Step | Change, line: Entry | None, was: Mapping[Address, Mapping[str, Any]]) -> bool:
    """Whether a thing or a value that was there becomes ours: when Git lets go of it again, it goes."""
    if move.entry is None or move.address not in was:
        return False
    ours, known, there = (
        found.get("values", ()) for found in (move.entry.said, line.said if line else {}, was[move.address])
    )
    return line is None or bool(set(ours) & set(there) - set(known))


FAULTS = st.tuples(st.sampled_from(["before", "after", "read"]), st.integers(0, 5), st.booleans())


@given(by_hand, git, by_hand, git, FAULTS)
def test_a_fault_costs_a_second_run_and_nothing_else(
    first: Edits, a: Said, then: Edits, b: Said, fault: tuple[str, int, bool]
) -> None:
    """A write that fails before or after it was done, or a look that fails: the next run ends where one run would."""
    smooth, rough = inhabited(), inhabited()
    for world in (smooth, rough):
        tamper(world, first)
        settle(world, a)
        tamper(world, then)
    if settle(smooth, b) is None:
        return
    interrupted(rough, b, *fault)
    settle(rough, b)
    if settle(rough, b) is None:
        pytest.fail("the second run is refused")
    assert alike(rough.live) == alike(smooth.live)
    lines = [{address: line.said for address, line in world.ledger.entries.items()} for world in (rough, smooth)]
    assert lines[0] == lines[1]
    assert rough.plan(b, accept=ACCEPT).changes == ()


def interrupted(world: World, state: Said, when: str, number: int, lasting: bool) -> None:
    """Apply with a fault at one batch, or (lasting) from that batch on; `read`: the look afterwards fails."""
    plan = world.plan(state, accept=ACCEPT)
    count = {"before": -1, "after": -1}

    def fault(now: str, _batch: Batch) -> Exception | None:
        count[now] += 1
        hit = count[now] >= number if lasting else count[now] == number
        return (Refused if number % 2 else Unreachable)("it broke") if now == when and hit else None

    def blind(scopes: Any) -> dict[tuple[str, str], ProviderError]:
        return {(provider, scope.domain): Unreachable("no answer") for provider, scope in scopes}

    world.fault = fault
    if when == "read":
        world.read = blind  # type: ignore[method-assign, assignment]
    world.apply(plan)
    world.fault = lambda _when, _batch: None
    world.__dict__.pop("read", None)


@given(by_hand, git, by_hand, git, st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_things(
    first: Edits, a: Said, then: Edits, b: Said, rng: random.Random
) -> None:
    """Read order, the order of files and the order of the ledger's lines change neither digest nor plan."""
    world = inhabited()
    tamper(world, first)
    settle(world, a)
    tamper(world, then)
    plan = world.plan(b)
    world.ledger = mixed_ledger(world, rng)
    again = world.plan(mixed(b, rng), read=lambda live: mixed_answers(live, rng))
    assert digest([again]) == digest([plan])
    assert seen(again) == seen(plan)


def mixed(items: Sequence[Any], rng: random.Random) -> list[Any]:
    return rng.sample(list(items), len(items))


def mixed_ledger(world: World, rng: random.Random) -> Any:

    return world.ledger._replace(entries=dict(mixed(list(world.ledger.entries.items()), rng)))


def mixed_answers(live: Live, rng: random.Random) -> Live:
    return {
        key: answer if isinstance(answer, ProviderError) else tuple(mixed(answer, rng))
        for key, answer in mixed(list(live.items()), rng)
    }


def seen(plan: TenantPlan) -> Any:
    """What a person sees of a plan; findings are sorted where they are shown."""
    changes = [[(str(c.address), c.action, plain_fields(c)) for c in batch.changes] for batch in plan.batches]
    return changes, plan.steps, plan.later, plan.drift, plan.unmanaged, sorted(map(str, plan.findings))


def plain_fields(change: Change) -> str:
    return json.dumps({name: [plain(old), plain(new)] for name, (old, new) in change.fields.items()}, sort_keys=True)


def sample(*loops: str) -> TenantPlan:
    """The plan of an estate with something of everything, and with aliases that wait for each other."""
    host, other = "a.example", "b.example"
    jane = f"jane@{host}"
    world = inhabited()
    settle(world, Said([domain(host), mailbox(jane), shared(f"desk@{host}", jane="full"), alias(f"info@{host}", jane)]))
    world.put(record(f"TXT/{host}", "token=1", "v=spf1 ?all"))
    boxes = [domain(other), *(mailbox(f"{name}@{other}") for name in "xyz"), *dkim(other, "s1", "s2")]
    waiting = [alias(f"{loop[0]}@{host}", *[f"{name}@{host}" for name in list(loop[1:])]) for loop in loops]
    changed = [mailbox(jane, quota=1), alias(f"desk@{host}", jane), record(f"TXT/{host}", "v=spf1 -all", "b", "a")]
    return world.plan([domain(host), *changed, *boxes, *waiting], accept=ACCEPT)


LOOPS = "'acdgh', 'ce', 'ec', 'df', 'fd', 'gi', 'ig', 'hj', 'jh'"  # the first name points to the others


@pytest.mark.parametrize(("loops", "refused"), [("", False), (LOOPS, True)])
def test_another_process_finds_the_same(loops: str, refused: bool) -> None:
    """Neither digest nor plan nor the cycle that a finding names depends on how this Python hashes text."""
    code = f"from tests.test_laws import *; p = sample({loops}); print(p.refused, digest([p]), seen(p))"
    found = {hashed(code, seed) for seed in ("0", "1", "2")}
    assert len(found) == 1
    assert found.pop().startswith(f"{refused} sha256:")


def hashed(code: str, seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
