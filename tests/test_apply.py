"""An apply as its effects: what is written, looked at and noted, when everything goes well and when it does not.

Most stories drive the generator by hand, so each answer of the world is in plain sight; some let a whole world answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler import apply as applying
from reconciler.apply import Outcome
from reconciler.changes import Step, TenantPlan
from reconciler.effects import Begin, Identify, Read, Record, Write
from reconciler.errors import Conflict, Locked, ProviderError, Refused, Unreachable
from reconciler.looking import reached
from reconciler.model import MISSING, Address, Resource, Scope
from reconciler.order import batches
from tests.worlds import (
    COMMIT,
    DNS,
    MAIL,
    SIDES,
    World,
    alias,
    change,
    converge,
    dkim,
    domain,
    entry,
    key,
    key_record,
    mailbox,
    record,
    signing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.changes import Batch, Change
    from reconciler.effects import Effect, Live

A, B = "a.example", "b.example"
HOME, OTHER, JANE, TOM = domain(A), domain(B), mailbox(f"jane@{A}"), mailbox(f"tom@{A}")
MAX = mailbox(f"max@{B}")
INFO = alias(f"info@{A}", f"jane@{A}")
MX = record(f"MX/{A}", "10 mx.agency.example.", ttl=3600)
SCOPES = tuple((name, Scope(host, host)) for host in (A, B) for name in SIDES)
Answer = Any


def planned(*changes: Change, steps: Sequence[Step] = ()) -> TenantPlan:
    return TenantPlan("acme", batches=batches(changes, {}), steps=tuple(steps), scopes=SCOPES)


def run(plan: TenantPlan, answer: Callable[[Effect], Answer]) -> tuple[list[Effect], Outcome]:
    """The effects of an apply and its outcome, when `answer` is the world."""
    effects: list[Effect] = []
    steps = applying.apply(plan)
    said: Answer = None
    while True:
        try:
            effects.append(steps.send(said))
        except StopIteration as end:
            return effects, end.value
        said = answer(effects[-1])


class Script:
    """A world that answers writes as it is told and reads as it is told; `None` writes go well."""

    def __init__(self, *live: Resource, **failing: ProviderError) -> None:
        self.live, self.failing = live, failing
        self.computed: dict[Address, dict[str, Any]] = {}
        self.blind: ProviderError | None = None
        self.elsewhere: dict[str, ProviderError] = {}

    def __call__(self, effect: Effect) -> Answer:
        if isinstance(effect, Begin | Record):
            return None
        if isinstance(effect, Identify):
            return self.elsewhere.get(effect.provider, effect.seen or "made")
        if isinstance(effect, Write):
            error = self.failing.get(effect.batch.scope.domain.partition(".")[0])
            return error or {made.address: self.computed.get(made.address, {}) for made in effect.batch.changes}
        return {(name, scope.domain): self._read(name, scope) for name, scope in effect.scopes}

    def _read(self, name: str, scope: Scope) -> tuple[Resource, ...] | ProviderError:
        if self.blind is not None:
            return self.blind
        return tuple(r for r in self.live if (r.address.provider, r.domain) == (name, scope.domain))


def outcome(found: Outcome) -> tuple[list[str], dict[str, str]]:
    done = [made.address.name for made in found.done]
    return done, {made.address.name: why for made, why in found.failed}


def recorded(effects: Sequence[Effect]) -> Record:
    assert isinstance(effects[-1], Record)
    return effects[-1]


def names(effects: Sequence[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


# ---------------------------------------------------------------------- all goes well


def test_write_look_note() -> None:
    """Each batch is written, then what was touched is read once, then what is there is noted; the rest is not asked."""
    effects, found = run(planned(change(None, HOME), change(None, JANE)), Script(HOME, JANE))
    assert names(effects) == ["Begin", "Identify", "Write", "Read", "Record"]
    assert isinstance(effects[3], Read)
    assert effects[3].scopes == ((MAIL, Scope(A, A)),)
    assert outcome(found) == ([A, f"jane@{A}"], {})
    line = recorded(effects)
    assert line.entries == {HOME.address: entry(HOME), JANE.address: entry(JANE)}
    assert (line.tenant, line.whole, line.scopes) == ("acme", True, SCOPES)


def test_what_goes_is_forgotten() -> None:
    """A removal that is confirmed takes its line out of the ledger."""
    effects, found = run(planned(change(INFO, None)), Script(HOME, JANE))
    assert recorded(effects).entries == {INFO.address: None}
    assert outcome(found) == ([f"info@{A}"], {})


def test_steps_alone_write_nothing() -> None:
    """Adopting, settling and forgetting are noted without any write or look; with nothing to note nothing is noted."""
    adopt = Step(JANE.address, "adopt", entry(JANE))
    effects, _ = run(planned(steps=[adopt]), Script())
    assert names(effects) == ["Record"]
    assert recorded(effects).entries == {JANE.address: entry(JANE)}
    assert run(planned(), Script()) == ([], Outcome("acme"))


def test_steps_that_somebody_else_took_meanwhile_are_no_error() -> None:
    """Two that plan at once and have nothing to write: one notes it, for the other the tenant is locked."""
    adopt = Step(JANE.address, "adopt", entry(JANE))
    _, found = run(planned(steps=[adopt]), lambda _effect: Locked("somebody else has applied it"))
    assert (found.locked, found.done, found.errors) == (True, [], ["somebody else has applied it"])


def test_a_new_key_reaches_its_record() -> None:
    """What making a key pair tells is what its record is written with, and what the ledger has seen of both."""
    public = "v=DKIM1; k=rsa; p=NEW"
    pair, published, signs = key("s1", A), key_record("s1", A).having(ttl=3600), signing(A, "s1")
    live = Script(pair.having(public=public), published.having(values=(public,)), signs)
    live.computed = {pair.address: {"public": public}}
    effects, found = run(planned(*(change(None, made) for made in (pair, published, signs))), live)
    written = {made.address: made.aim for e in effects if isinstance(e, Write) for made in e.batch.changes}
    there = written[published.address]
    assert there is not None
    assert there.get("values") == (public,)
    lines = recorded(effects).entries
    line = lines[published.address]
    assert line is not None
    assert line.said["values"] == published.get("values")
    assert line.seen == {"values": (public,)}
    seen = lines[pair.address]
    assert seen is not None
    assert seen.seen == {"public": public}
    assert found.failed == []


# ---------------------------------------------------------------------- something fails


def test_a_failure_skips_what_depends_on_it_and_nothing_else() -> None:
    """A batch that fails takes with it what needs it, in turn; what is independent is done and noted."""
    info = alias(f"info@{A}", f"max@{B}")
    fax = alias(f"fax@{A}", f"info@{A}")
    plan = planned(*(change(None, made) for made in (MAX, info, fax, JANE)))
    effects, found = run(plan, Script(JANE, b=Refused("disk full")))
    done, failed = outcome(found)
    assert done == [f"jane@{A}"]
    assert failed == {
        f"max@{B}": "disk full",
        f"info@{A}": f"skipped: it needs mailhost:mailbox/max@{B}",
        f"fax@{A}": f"skipped: it needs mailhost:alias/info@{A}",
    }
    written = [made.address for effect in effects if isinstance(effect, Write) for made in effect.batch.changes]
    assert info.address not in written
    assert recorded(effects).entries == {JANE.address: entry(JANE)}
    assert not recorded(effects).whole


def test_an_error_after_it_was_done_is_settled_by_looking() -> None:
    """When the answer is lost and the batch is there, it counts as done; nothing is written a second time."""
    effects, found = run(
        planned(change(None, HOME), change(None, JANE)), Script(HOME, JANE, a=Unreachable("no answer"))
    )
    assert names(effects) == ["Begin", "Identify", "Write", "Read", "Record"]
    assert outcome(found) == ([A, f"jane@{A}"], {})
    assert found.errors == ["no answer"]
    assert recorded(effects).whole


def test_another_system_is_neither_written_nor_asked() -> None:
    """Where another system stands behind the name by now, nothing of it is done, nor taken for done; the rest is."""
    world = Script(HOME, MX)
    world.elsewhere[MAIL] = Conflict("another system")
    effects, found = run(planned(change(INFO, None), change(None, MX)), world)
    assert [batch.provider for batch in written(effects)] == [DNS]
    assert outcome(found) == ([f"MX/{A}"], {f"info@{A}": "another system"})
    note = recorded(effects)
    assert (set(note.entries), note.identities, note.whole) == ({MX.address}, {DNS: "made"}, False)


def test_an_identity_alone_is_noted() -> None:
    """A ledger that has nothing to do takes the identity it lacks, and says so where it could not."""
    plan = planned()._replace(identities={MAIL: "known", DNS: None}, takes=frozenset({MAIL, DNS}))
    world = Script()
    world.elsewhere[DNS] = Refused("no right to write")
    effects, found = run(plan, world)
    assert names(effects) == ["Identify", "Identify", "Record"]
    assert (recorded(effects).identities, found.errors) == ({MAIL: "known"}, ["no right to write"])


def test_a_batch_that_is_there_in_part_is_done_in_part() -> None:
    """Each change of a failed batch is judged by itself: the ledger has what is there."""
    effects, found = run(planned(change(None, HOME), change(None, JANE)), Script(HOME, a=Unreachable("no answer")))
    assert outcome(found) == ([A], {f"jane@{A}": "no answer"})
    assert recorded(effects).entries == {HOME.address: entry(HOME)}


def test_what_is_not_there_afterwards_is_not_done() -> None:
    """A write that was answered well but is not there when read again has failed, and says so."""
    effects, found = run(planned(change(JANE, JANE.having(quota=2))), Script(JANE.having(quota=1)))
    assert outcome(found) == ([], {f"jane@{A}": "written, but not there when read again"})
    assert names(effects) == ["Begin", "Identify", "Write", "Read", "Record"]


def test_a_look_that_fails_confirms_nothing() -> None:
    """Where reading again fails, what was written is marked as failed, with both reasons; steps are still noted."""
    world = Script(HOME)
    world.blind = Unreachable("timed out")
    forget = Step(TOM.address, "forget", None)
    effects, found = run(planned(change(None, HOME), steps=[forget]), world)
    assert outcome(found) == ([], {A: "written, but not there when read again; reading again: timed out"})
    assert recorded(effects).entries == {TOM.address: None}
    assert not recorded(effects).whole


def test_a_record_whose_key_was_not_made_is_not_written() -> None:
    """Without the key's text nothing is published and nothing is signed."""
    changes = [change(None, made) for made in dkim(A, "s1")]
    effects, found = run(planned(*changes), Script(a=Conflict("taken")))
    assert [batch.provider for batch in written(effects)] == [MAIL]
    _, failed = outcome(found)
    assert failed[f"TXT/s1._domainkey.{A}"] == f"skipped: it needs mailhost:dkim_key/s1._domainkey.{A}"
    assert failed[A].startswith("skipped: it needs mailhost:dkim_key/")


def test_a_value_that_nobody_tells_is_not_made_up() -> None:
    """A record refers to a key that this run does not make and that has no public half: it is skipped, in words."""
    effects, found = run(planned(change(None, key_record("s1", A))), Script())
    assert outcome(found) == ([], {f"TXT/s1._domainkey.{A}": "skipped: it needs a value that is not known"})
    assert effects == []


def written(effects: Sequence[Effect]) -> list[Batch]:
    return [effect.batch for effect in effects if isinstance(effect, Write)]


# ---------------------------------------------------------------------- looking

TXT = record(f"TXT/{A}", "v=spf1 -all", ttl=60)
LOOKS: dict[str, tuple[Change, Resource | None, bool]] = {
    "as aimed": (change(JANE, JANE.having(quota=2)), JANE.having(quota=2), True),
    "another value": (change(JANE, JANE.having(quota=2)), JANE.having(quota=3), False),
    "not there": (change(None, JANE), None, False),
    "what the aim leaves open": (change(None, JANE), JANE.having(quota=9, name="Jane"), True),
    "gone": (change(INFO, None), None, True),
    "still there": (change(INFO, None), INFO, False),
    "a new key has a public half": (change(None, key("s1", A)), key("s1", A).having(public="v=DKIM1; p=x"), True),
    "ours beside a neighbour": (
        change(None, TXT.having(ttl=MISSING)),
        TXT.having(values=("token=1", "v=spf1 -all")),
        True,
    ),
    "only the neighbour": (change(None, TXT), TXT.having(values=("token=1",)), False),
    "ours is gone, the neighbour stays": (change(TXT, None), TXT.having(values=("token=1",)), True),
    "ours is still there": (change(TXT, None), TXT.having(values=("token=1", "v=spf1 -all")), False),
    "a second value of our tag": (change(TXT, TXT), TXT.having(values=("v=spf1 -all", "v=spf1 ~all")), False),
    "a set that is ours alone": (change(MX, None), MX, False),
}


@pytest.mark.parametrize("story", LOOKS)
def test_a_change_is_judged_by_what_is_there(story: str) -> None:
    """Done is what is there as aimed; neighbours in a shared set and what the aim leaves open do not count."""
    made, live, done = LOOKS[story]
    assert reached(made, live) is done


# ---------------------------------------------------------------------- with a whole world


def break_once(world: World, when: str, provider: str, error: Exception) -> None:
    """The next batch of a provider ends with the error, before or after it was written."""
    left = [error]
    world.fault = lambda now, batch: left.pop() if left and (now, batch.provider) == (when, provider) else None


STATE = [HOME, JANE, INFO, MX, *dkim(A, "s1")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("provider", [MAIL, DNS])
def test_the_next_run_finishes_what_a_failed_one_began(when: str, provider: str) -> None:
    """After a failure at any side the ledger has exactly what is live, and a second run ends where one would."""
    world = World()
    break_once(world, when, provider, Unreachable("lost"))
    world.apply(world.plan(STATE))
    assert set(world.ledger.entries) == set(world.live)
    first = world.ledger
    converge(world, STATE)
    assert set(world.live) == {found.address for found in STATE}
    assert (first.applied, world.ledger.applied) == (None, COMMIT)
    assert world.plan(STATE).changes == ()
    public = world.live[key("s1", A).address].get("public")
    assert world.live[key_record("s1", A).address].get("values") == (public,)


def test_what_moved_since_the_plan_is_not_overwritten() -> None:
    """When somebody changed a box between plan and apply, the write is refused and their value stays."""
    world = World()
    converge(world, STATE)
    plan = world.plan([HOME, JANE.having(quota=2), *STATE[2:]])
    world.put(world.live[JANE.address].having(quota=3))
    [(made, why)] = world.apply(plan).failed
    assert (made.address, why) == (JANE.address, f"{JANE.address} is no longer as it was read")
    assert world.live[JANE.address].get("quota") == 3
    assert "quota" not in world.ledger.entries[JANE.address].said


def test_several_tenants_run_together() -> None:
    """One driver runs many applies: each has its own outcome, and one that fails stops no other."""
    from reconciler import runner

    world = World(HOME, OTHER)
    world.fault = lambda when, batch: Refused("no") if when == "before" and batch.scope.domain == B else None
    plans = [planned(change(None, JANE)), planned(change(None, MAX))]
    found = runner.drive([applying.apply(plan) for plan in plans], world, world)
    assert sorted(map(outcome, found)) == [([], {f"max@{B}": "no"}), ([f"jane@{A}"], {})]
    assert {frozenset(note.entries) for note in world.records} == {frozenset(), frozenset({JANE.address})}


def test_one_look_for_all() -> None:
    """However many tenants there are, what they touched is read in one call per provider."""
    from reconciler import runner

    class Counting(World):
        reads = 0

        def read(self, scopes: Any) -> Live:  # type: ignore[override]
            self.reads += 1
            return super().read(scopes)

    world = Counting(HOME, OTHER)
    runner.drive([applying.apply(planned(change(None, box))) for box in (JANE, MAX)], world, world)
    assert world.reads == 1


def test_a_claim_knows_what_it_waited_for() -> None:
    """A run was killed after it made a key and its record: the next plan sees both, and changes nothing."""
    world, signed = World(), [HOME, *dkim("a.example", "s1")[:2]]
    plan = world.plan(signed)
    steps = applying.apply(plan)
    answer: Answer = None
    while not isinstance(effect := steps.send(answer), Read):
        answer = world.write(effect.batch) if isinstance(effect, Write) else world.begin([plan]).get("acme")
    again = world.plan(signed)
    assert (again.changes, again.unfinished is None) == ((), False)
    [found] = [f for f in again.findings if f.code == "PL302"]
    assert f"{len(plan.changes)} of its {len(plan.changes)} changes are there, 0 are not." in found.detail


def test_what_is_there_by_half_is_not_taken_away() -> None:
    """A run was killed, and somebody has changed what it changed: the plan that retires it is refused."""
    world = World()
    converge(world, [HOME, JANE])
    plan = world.plan([HOME, JANE.having(quota=2)])
    world.begin([plan])
    world.put(JANE.having(quota=3))
    again = world.plan([HOME])
    [found] = [f for f in again.findings if f.code == "PL303"]
    assert (found.subject, found.severity) == (str(JANE.address), "error")
    assert "PL303" not in {f.code for f in world.plan([HOME, JANE]).findings}
