"""The order of changes, rule by rule, and that it is safe whatever breaks a tie.

`safe` replays batches on a world that refuses what points to nowhere, names that are taken and what is still needed;
what no single server can see (an MX before its mailboxes, a signature before its key is published) it checks itself.
"""

from __future__ import annotations

import random
from graphlib import CycleError
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import order
from reconciler.changes import TenantPlan
from reconciler.holding import hold_back
from reconciler.kinds import dkim_key
from reconciler.model import Address, Scope
from reconciler.order import batches, cycle, dependencies
from tests.worlds import (
    ACCEPT,
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
    inhabited,
    key,
    key_record,
    mailbox,
    record,
    retired,
    shared,
    signing,
    states,
    thing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.changes import Batch, Change
    from reconciler.model import Resource
    from tests.worlds import Said

A, B = "a.example", "b.example"
HOME, OTHER = domain(A), domain(B)
JANE, TOM = mailbox(f"jane@{A}"), mailbox(f"tom@{A}")
MX = record(f"MX/{A}", "10 mx.agency.example.")
OUT = "crm@vendor.example"


def seeds() -> Iterator[random.Random]:
    return map(random.Random, range(20))


def scrambled(rng: random.Random, changes: Sequence[Change]) -> tuple[Batch, ...]:
    """The batches when the input is shuffled and every tie-break is chance."""
    with patch.object(order, "_rank", chance(rng)):
        return batches(rng.sample(changes, len(changes)), {})


def chance(rng: random.Random) -> object:
    ranks: dict[Address, float] = {}
    return lambda found: (ranks.setdefault(found.address, rng.random()), 0, "")


def flat(found: Sequence[Batch]) -> list[Address]:
    return [made.address for batch in found for made in batch.changes]


def always(changes: Sequence[Change], *wanted: tuple[Resource, Resource]) -> None:
    """Each first one comes before its second one, in the order that is shown and in scrambled ones; all are made."""
    for found in [batches(changes, {}), *(scrambled(rng, changes) for rng in seeds())]:
        made = flat(found)
        assert sorted(made) == sorted(found.address for found in changes)
        for first, second in wanted:
            assert made.index(first.address) < made.index(second.address), made


def safe(found: Sequence[Batch], live: Sequence[Resource]) -> World:
    """Replays batches on a world where `live` is; nothing is refused, and no rule that crosses servers is broken."""
    world = World(*live)
    changes = [made for batch in found for made in batch.changes]

    def look(when: str, _batch: Batch) -> None:
        if when == "after":
            assert unsafe(world, changes) == []

    world.fault = look
    scopes = tuple((name, Scope(host, host)) for name in SIDES for host in (A, B))
    outcome = world.apply(TenantPlan("acme", batches=tuple(found), scopes=scopes))
    assert [f"{made.address}: {why}" for made, why in outcome.failed] == []
    return world


def unsafe(world: World, changes: Sequence[Change]) -> list[str]:
    """What is wrong at this moment: signatures nobody can verify, mail that comes to what is not there."""
    live = world.live
    found = []
    for address, thing_ in live.items():
        if address.kind == "dkim_signing":
            names = [dkim_key.name(selector, address.name) for selector in thing_.get("selectors")]
            found += [name for name in names if Address(MAIL, "dkim_key", name) not in live]
            found += [name for name in names if Address(DNS, "record", f"TXT/{name}") not in live]
    for made in changes:
        if made.address == Address(DNS, "record", f"MX/{made.domain}"):
            found += astray(made, [other for other in changes if other.domain == made.domain], live)
    return found


def astray(mx: Change, others: Sequence[Change], live: dict[Address, Resource]) -> list[str]:
    boxes = [other for other in others if other.address.kind in {"domain", "mailbox", "alias"}]
    there = live.get(mx.address)
    if mx.aim is not None and there is not None and there.get("values") == mx.aim.get("values"):
        late = [str(box.address) for box in boxes if box.live is None and box.address not in live]
        return late if mx.live is None or mx.live.get("values") != mx.aim.get("values") else []
    gone = [box for box in boxes if box.aim is None and box.address not in live]
    return [str(box.address) for box in gone if mx.aim is None and there is not None]


# ---------------------------------------------------------------------- need


def test_what_is_needed_is_made_first() -> None:
    """A domain before its boxes, a box before what points to it, over domains too."""
    desk, info = shared(f"desk@{A}", jane="full"), alias(f"info@{B}", f"desk@{A}")
    changes = [change(None, found) for found in (info, desk, JANE, OTHER, HOME)]
    always(changes, (HOME, JANE), (JANE, desk), (desk, info), (OTHER, info))
    safe(batches(changes, {}), [])


def test_what_is_needed_goes_last() -> None:
    """What points to a thing lets go of it first: by going itself, or by pointing elsewhere."""
    info, sales, fax = (alias(f"{name}@{A}", f"x@{A}") for name in ("info", "sales", "fax"))
    x = alias(f"x@{A}", f"jane@{A}")
    moved = sales.having(to=(f"jane@{A}",))
    changes = [change(x, None), change(info, None), change(sales, moved)]
    always(changes, (info, x), (moved, x))
    world = safe(batches(changes, {}), [HOME, JANE, x, info, sales])
    assert world.live[sales.address].get("to") == (f"jane@{A}",)
    assert fax.address not in world.live
    everything = [change(found, None) for found in (HOME, JANE, x, info)]
    always(everything, (info, x), (x, JANE), (JANE, HOME))


def test_an_alias_waits_for_its_new_target() -> None:
    """An update waits for what it begins to need, not for what it needed already."""
    info, moved = alias(f"info@{A}", f"jane@{A}"), alias(f"info@{A}", f"jane@{A}", f"tom@{A}")
    always([change(info, moved), change(None, TOM)], (TOM, moved))
    assert dependencies([change(info, moved), change(JANE, JANE.having(quota=1))])[info.address] == set()


def test_a_key_is_made_published_used() -> None:
    """A key pair, then its record (on another server), then signing with it."""
    pair, published, signs = dkim(A, "s1")
    changes = [change(None, found) for found in (signs, published, pair)]
    always(changes, (pair, published), (published, signs))
    for rng in seeds():
        safe(scrambled(rng, changes), [HOME])


def test_a_key_rests_only_when_nothing_signs_with_it() -> None:
    """Signing moves to the new key when that is published; the old key's record and the old key go afterwards."""
    published = record(f"TXT/s1._domainkey.{A}", "v=DKIM1; k=rsa; p=OLD")
    old, new = signing(A, "s1"), signing(A, "s2")
    changes = [
        change(published, None), change(key("s1", A), None), change(old, new),
        change(None, key("s2", A)), change(None, key_record("s2", A)),
    ]  # fmt: skip
    always(changes, (key_record("s2", A), new), (new, published), (new, key("s1", A)))
    for rng in seeds():
        safe(scrambled(rng, changes), [HOME, key("s1", A).having(public="v=DKIM1; k=rsa; p=OLD"), published, old])


# ---------------------------------------------------------------------- slot


def swaps() -> dict[str, tuple[list[Resource], list[Change]]]:
    """{what changes places: (live, the changes)}."""
    x_alias, x_box = alias(f"x@{A}", f"jane@{A}"), mailbox(f"x@{A}")
    user = alias(f"info@{A}", f"x@{A}")
    web, a, aaaa = (record(f"{kind}/www.{A}", value) for kind, value in WEB.items())
    return {
        "alias to mailbox": ([x_alias], [change(x_alias, None), change(None, x_box)]),
        "alias to mailbox, pointed at": ([x_alias, user], [change(x_alias, None), change(None, x_box)]),
        "mailbox to alias": ([x_box], [change(x_box, retired(x_box)), change(None, x_alias)]),
        "mailbox to alias, pointed at": ([x_box, user], [change(x_box, retired(x_box)), change(None, x_alias)]),
        "alias back to mailbox": (
            [retired(x_box), x_alias],
            [change(x_alias, None), change(retired(x_box), x_box, base=entry(x_box, retired="2026-12-24"))],
        ),
        "CNAME to addresses": ([web], [change(web, None), change(None, a), change(None, aaaa)]),
        "addresses to CNAME": ([a, aaaa], [change(None, web), change(a, None), change(aaaa, None)]),
    }


WEB = {"CNAME": "web.agency.example.", "A": "192.0.2.1", "AAAA": "2001:db8::1"}


@pytest.mark.parametrize("what", swaps())
def test_a_place_is_left_before_it_is_taken(what: str) -> None:
    """Whoever leaves a name goes first, and both moves are one batch: nobody ever finds the name empty."""
    live, changes = swaps()[what]
    for found in [batches(changes, {}), *(scrambled(rng, changes) for rng in seeds())]:
        assert len(found) == 1
        safe(found, [HOME, JANE, *live])


def test_a_place_is_left_when_it_can_be_taken() -> None:
    """A name is not left before everything its next holder needs is there, in another domain for example."""
    x, member = alias(f"x@{A}", f"jane@{A}"), mailbox(f"max@{B}")
    new = mailbox(f"x@{A}", login=False, members={f"max@{B}": "full"})
    changes = [change(x, None), change(None, new), change(None, member), change(None, OTHER)]
    for rng in seeds():
        found = scrambled(rng, changes)
        assert {x.address, new.address} <= {made.address for made in found[-1].changes}
        safe(found, [HOME, JANE, x])


def test_two_names_can_change_places() -> None:
    """An alias becomes a shared box and a box an alias, each pointing at the other: no cycle."""
    x, y = alias(f"x@{A}", f"y@{A}"), mailbox(f"y@{A}")
    new_x, new_y = mailbox(f"x@{A}"), alias(f"y@{A}", f"x@{A}")
    changes = [change(x, None), change(None, new_x), change(y, retired(y)), change(None, new_y)]
    for rng in seeds():
        safe(scrambled(rng, changes), [HOME, x, y])


def test_a_name_that_changes_hands_stays_a_name() -> None:
    """Two aliases become boxes, one a member of the other: who points at a name need not let go of it first."""
    x, y = alias(f"x@{A}", f"y@{A}"), alias(f"y@{A}", f"jane@{A}")
    new_x, new_y = shared(f"x@{A}", y="full"), mailbox(f"y@{A}")
    changes = [change(x, None), change(None, new_x), change(y, None), change(None, new_y)]
    for rng in seeds():
        safe(scrambled(rng, changes), [HOME, JANE, x, y])


@pytest.mark.parametrize("user", [[], [alias(f"info@{A}", f"x@{A}")]])
def test_an_alias_becomes_a_mailbox_in_one_merge(user: list[Resource]) -> None:
    """Through the plan: an alias and a mailbox change places in a name, back and forth, also where it is pointed at."""
    world = World()
    as_alias, as_box = ([HOME, JANE, found, *user] for found in (alias(f"x@{A}", f"jane@{A}"), mailbox(f"x@{A}")))
    for state in (as_alias, as_box, as_alias, as_box):
        converge(world, state)
        plan = world.plan(state)
        assert (plan.changes, {found.action for found in plan.later} - {"purge"}) == ((), set())


def test_what_is_still_needed_waits() -> None:
    """A domain with kept mail in it, and an alias that something unmanaged points at, stay: their removal is later."""
    info, foreign = alias(f"info@{B}", f"max@{B}"), alias(f"theirs@{B}", f"info@{B}")
    world = World()
    converge(world, [HOME, JANE, OTHER, mailbox(f"max@{B}"), info])
    world.put(foreign)
    plan = converge(world, [HOME, JANE], accept=ACCEPT)
    assert [(made.action, made.address.name) for made in plan.changes] == [("retire", f"max@{B}")]
    assert [(found.address.name, found.action, found.why) for found in plan.later] == [
        (f"info@{B}", "delete", f"still referred to by {foreign.address}"),
        (B, "delete", f"still referred to by mailhost:mailbox/max@{B}"),
    ]


# ---------------------------------------------------------------------- another provider


def moved(found: Resource, provider: str = "second") -> Resource:
    """The same at another provider."""
    return found._replace(address=found.address._replace(provider=provider))


def test_what_changes_its_provider_is_made_there_first() -> None:
    """There is no moment without it: two providers are two places, also for a CNAME, which stands alone."""
    www = record(f"CNAME/www.{A}", "web.example.")
    changes = [made for found in (MX, www) for made in (change(found, None), change(None, moved(found)))]
    always(changes, (moved(MX), MX), (moved(www), www))
    other = thing("record", f"A/www.{A}", values=["192.0.2.1"])
    assert dependencies([change(www, None), change(None, moved(other))])[moved(other).address] == set()


def test_the_old_place_is_cleared_from_its_users_down() -> None:
    """At the old provider too what refers goes before what it refers to."""
    info, fax = alias(f"info@{A}", OUT), alias(f"fax@{A}", f"info@{A}")
    changes = [made for found in (HOME, info, fax) for made in (change(found, None), change(None, moved(found)))]
    always(changes, (moved(HOME), moved(info)), (moved(info), moved(fax)), (fax, info), (info, HOME), (moved(fax), fax))


def test_an_mx_that_moves_is_no_barrier() -> None:
    """Mail goes on, so no address waits for the old one to go: an alias may become a box at the same time."""
    box = mailbox(f"info@{A}")
    changes = [change(MX, None), change(None, moved(MX)), change(alias(f"info@{A}", OUT), None), change(None, box)]
    always(changes, (box, moved(MX)), (moved(MX), MX))


def test_kept_mail_holds_its_domain_at_the_old_provider() -> None:
    """The domain stands at the new one already; where a mailbox is kept it stays until that is purged."""
    kept = retired(JANE)
    there = {found.address: found for found in (HOME, kept)}
    rest, later, _ = hold_back([change(HOME, None), change(None, moved(HOME))], there, frozenset(), frozenset())
    assert [made.address for made in rest] == [moved(HOME).address]
    assert [(found.address, found.why) for found in later] == [(HOME.address, f"still referred to by {kept.address}")]


def test_what_cannot_be_made_there_stays_here() -> None:
    """Removed by hand there, or waiting for what was: it does not go here meanwhile."""
    going = change(MX, None)
    rest, later, _ = hold_back([going], {MX.address: MX}, {moved(MX).address}, frozenset())
    assert (rest, [found.address for found in later]) == ([], [MX.address])
    rest, later, todo = hold_back([going, change(None, moved(MX))], {MX.address: MX}, frozenset(), {"second"})
    assert (rest, [found.address for found in later]) == ([], [MX.address])
    assert [made.address for made in todo] == [moved(MX).address]


# ---------------------------------------------------------------------- barrier


def test_mail_comes_when_its_boxes_are_there() -> None:
    """An MX is made, or turned here, after all that the domain's addresses need was made."""
    info = alias(f"info@{A}", f"jane@{A}")
    made = [change(None, found) for found in (HOME, JANE, info)]
    always([change(None, MX), *made], (HOME, MX), (JANE, MX), (info, MX))
    elsewhere = MX.having(values=("10 mx.oldhost.example.",))
    turned = [change(elsewhere, MX), *made]
    always(turned, (JANE, MX), (info, MX))
    for rng in seeds():
        safe(scrambled(rng, turned), [elsewhere])


def test_mail_stays_away_before_its_boxes_go() -> None:
    """Where Git wants no MX any more, the addresses are taken out after it; elsewhere nothing waits for an MX."""
    info = alias(f"info@{A}", f"jane@{A}")
    going = [change(MX, None), change(JANE, retired(JANE)), change(info, None)]
    always(going, (MX, JANE), (MX, info))
    for rng in seeds():
        safe(scrambled(rng, going), [HOME, JANE, info, MX])
    elsewhere = [
        change(MX, MX.having(values=("10 b.example.",))),
        change(info, None),
        change(None, mailbox(f"max@{B}")),
    ]
    needed = dependencies(elsewhere)
    assert needed[info.address] == needed[MX.address] == set()


def test_a_deeper_mx_is_no_barrier() -> None:
    """The MX of a name below the domain waits for none of the domain's addresses."""
    deeper = thing("record", f"MX/lists.{A}", values=["10 lists.example."])
    assert dependencies([change(None, deeper), change(None, JANE)])[deeper.address] == set()


# ---------------------------------------------------------------------- ties and batches


def takes_away() -> dict[str, Change]:
    desk = shared(f"zz@{A}", jane="full", tom="read")
    out = mailbox(f"zz@{A}", copies_to=["crm@vendor.example"])
    info = alias(f"zz@{A}", "crm@vendor.example")
    return {
        "retire": change(TOM, retired(TOM)),
        "block": change(TOM, TOM.having(state="blocked")),
        "delete": change(info, None),
        "member": change(desk, shared(f"zz@{A}", jane="full")),
        "login": change(TOM, TOM.having(login=False)),
        "copies": change(out, out.having(copies_to=())),
        "target": change(info, info.having(to=(f"jane@{A}",))),
    }


@pytest.mark.parametrize("what", takes_away())
def test_what_takes_access_away_comes_first(what: str) -> None:
    """Among the free, a box that closes, a member or a copy that ends comes before anything new, in any domain."""
    first = takes_away()[what]
    new = [change(None, mailbox(f"aa@{A}")), change(None, OTHER), change(JANE, JANE.having(quota=1))]
    assert flat(batches([*new, first], {}))[0] == first.address


def test_neighbours_are_written_together() -> None:
    """Changes of one provider and domain form a batch, with its scope; another domain and the DNS are others."""
    scope = Scope(A, "example", create=True)
    changes = [change(None, found) for found in (HOME, JANE, TOM, alias(f"i@{A}", f"jane@{A}"), MX, OTHER)]
    found = batches(changes, {(MAIL, A): scope})
    assert [(batch.provider, batch.scope.domain, len(batch.changes)) for batch in found] == [
        (MAIL, A, 4),
        (MAIL, B, 1),
        (DNS, A, 1),
    ]
    assert found[0].scope == scope
    assert found[1].scope == Scope(B, B)
    assert batches([], {}) == ()


def test_the_order_is_one_order() -> None:
    """However the changes come in, they go out in one order."""
    changes = [change(None, found) for found in (HOME, OTHER, JANE, TOM, MX, *dkim(A, "s1", "s2"))]
    assert len({repr(flat(batches(rng.sample(changes, len(changes)), {}))) for rng in seeds()}) == 1


# ---------------------------------------------------------------------- cycles


def loop(*names: str) -> list[Resource]:
    return [alias(f"{one}@{A}", f"{two}@{A}") for one, two in zip(names, (*names[1:], names[0]), strict=True)]


def test_a_cycle_names_its_members() -> None:
    """Changes that wait for each other raise, with the members in order."""
    with pytest.raises(CycleError) as caught:
        batches([change(None, found) for found in (HOME, *loop("x", "y", "z"))], {})
    members = [address.name.partition("@")[0] for address in cycle(caught.value)]
    assert (members[0], sorted(members[1:])) == (members[-1], ["x", "y", "z"])


def test_a_cycle_is_a_finding() -> None:
    """A plan with a cycle is refused, and says who waits for whom and how two merges solve it."""
    world = World()
    converge(world, [HOME, JANE])
    plan = world.plan([HOME, JANE, *loop("x", "y")])
    assert plan.refused
    assert plan.batches == ()
    [found] = [finding for finding in plan.findings if finding.severity == "error"]
    assert found.code == "PL216"
    assert "alias/x@a.example -> " in found.detail
    assert "two merges" in found.detail
    assert found.origin.file == "tenants/acme/domains/a.example.yaml"


def test_a_cycle_is_solved_by_two_merges() -> None:
    """What the finding advises works: first without one of the references, then with it."""
    world = World()
    x, y = loop("x", "y")
    converge(world, [HOME, JANE, x.having(to=(f"jane@{A}",)), y])
    converge(world, [HOME, JANE, x, y])


# ---------------------------------------------------------------------- any estate


@pytest.mark.fuzz
@given(states(), states(), st.randoms(use_true_random=False))
def test_any_estate_changes_safely(a: Said, b: Said, rng: random.Random) -> None:
    """From any estate to any other, with every tie left to chance: nothing is refused, no rule is broken."""
    world = inhabited()
    converge(world, a, accept=ACCEPT)
    with patch.object(order, "_rank", chance(rng)):
        plan = world.plan(rng.sample(b, len(b)), accept=ACCEPT)
    if not plan.refused:
        safe(plan.batches, list(world.live.values()))
