"""What a reviewer relies on: a digest that is exactly the contract's, and what a revert of each change brings back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.changes import Batch, TenantPlan
from reconciler.model import Address, Computed, Entry, Scope
from reconciler.review import digest, loses, plain, revert, tenant_digest
from tests.worlds import (
    ACCEPT,
    MAIL,
    World,
    alias,
    alike,
    change,
    converge,
    dkim,
    domain,
    entry,
    key,
    mailbox,
    record,
    retired,
    shared,
)

if TYPE_CHECKING:
    from reconciler.changes import Change

A = "a.example"
HOME, JANE, TOM = domain(A), mailbox(f"jane@{A}"), mailbox(f"tom@{A}")
INFO = alias(f"info@{A}", f"jane@{A}")


def planned(*changes: Change, tenant: str = "acme", **parts: Any) -> TenantPlan:
    return TenantPlan(tenant, batches=(Batch(MAIL, Scope(A, A), changes),), **parts)


# ---------------------------------------------------------------------- digest

# What the contract says, written by hand: UTF-8, sorted keys, no spaces; changes sorted by address.
CANONICAL = (
    '[["mailhost:alias/info@a.example","delete",null,{"to":[["jane@a.example"],null]}],'
    '["mailhost:mailbox/jane@a.example","update",null,'
    '{"members":[{},{"max@a.example":"read","tom@a.example":"full"}],"name":[null,"Jané Röe"],'
    '"quota":[1073741824,"unlimited"]}],'
    '["zones:record/TXT/s1._domainkey.a.example","create",null,'
    '{"ttl":[null,3600],"values":[null,[{"known":"after apply"}]]}]]'
)


def example() -> list[Change]:
    """The changes of CANONICAL, in the order they would be made."""
    more = {"members": {f"tom@{A}": "full", f"max@{A}": "read"}, "name": "Jané Röe", "quota": "unlimited"}
    live = JANE.having(quota=2**30)
    _, published, _ = dkim(A, "s1")
    return [change(None, published.having(ttl=3600)), change(live, live.having(**more)), change(INFO, None)]


def sha(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_a_tenants_digest_is_the_contracts() -> None:
    """SHA-256 over `[address, action, was, {field: [from, to]}]` of each change by address, in canonical JSON."""
    assert tenant_digest(planned(*example())) == sha(CANONICAL)
    assert sha(CANONICAL) == "sha256:e5c906edd4343f9bb41ffc5fa9674110a9450238220acd9d946bb903ff754d6c"


def test_a_plans_digest_is_over_its_tenants() -> None:
    """SHA-256 over `[tenant, digest]` pairs; a tenant without changes has the digest of an empty list."""
    tenants = [planned(*example()), planned(tenant="contoso")]
    assert tenant_digest(tenants[1]) == sha("[]")
    assert digest(tenants) == sha(f'[["acme","{sha(CANONICAL)}"],["contoso","{sha("[]")}"]]')


def test_a_digest_covers_what_is_done_and_nothing_else() -> None:
    """Commit, origin, order, findings, drift, what is later and ledger steps change no digest; a value does."""
    changes = example()
    wanted = tenant_digest(planned(*changes))
    other = [found._replace(origin=None, tenant="x", conflict=True, entry=None) for found in reversed(changes)]
    world = World(HOME, JANE, mailbox(f"x@{A}"))
    adopted = world.plan([HOME, JANE])
    assert adopted.steps
    assert adopted.findings
    noise: dict[str, Any] = {
        "steps": adopted.steps,
        "findings": adopted.findings,
        "applied_commit": "beef",
        "scopes": adopted.scopes,
    }
    assert tenant_digest(planned(*other, **noise)) == wanted
    aim = JANE._replace(attributes={**JANE.attributes, "quota": 1})
    assert tenant_digest(planned(*changes[:1], change(JANE.having(quota=2**30), aim), *changes[2:])) != wanted
    assert tenant_digest(planned(*changes[:2])) != wanted


def test_bytes_that_are_no_text_have_a_digest() -> None:
    """A TXT value with bytes that are no UTF-8 is covered as escapes: the same each time, another for other bytes."""
    one, two = (record(f"TXT/{A}", f"x\\udc{byte}".encode().decode("unicode_escape")) for byte in ("fe", "ff"))
    assert tenant_digest(planned(change(None, one))) == tenant_digest(planned(change(None, one)))
    assert tenant_digest(planned(change(None, one))) != tenant_digest(planned(change(None, two)))


def test_values_are_plain_in_json() -> None:
    """Tuples are lists, what is not known yet says so, everything else is itself."""
    waiting = Computed(Address(MAIL, "dkim_key", "k"), "public")
    assert plain(("a", waiting)) == ["a", {"known": "after apply"}]
    assert [plain(value) for value in (waiting, None, False, 3, "x", {"a": "b"})] == [
        {"known": "after apply"}, None, False, 3, "x", {"a": "b"},
    ]  # fmt: skip


# ---------------------------------------------------------------------- revert


def base(said: Any, **parts: Any) -> Entry:
    return entry(said, **parts)


def update(live: Any, aim: Any, line: Entry, **parts: Any) -> Change:
    """An update whose ledger line keeps what was before."""
    return change(live, aim, base=line, **{"entry": entry(aim)._replace(before=line.before), **parts})


def quota(size: int) -> Any:
    return mailbox(f"jane@{A}", quota=size)


REVERTS: dict[str, tuple[str, Change]] = {
    # All of it comes back.
    "an alias is made: it is deleted": ("full", change(None, INFO)),
    "an alias goes: it is made again": ("full", change(INFO, None, base=base(INFO))),
    "a value that Git said": ("full", update(quota(1), quota(2), base(quota(1)))),
    "a value from before us": ("full", update(quota(7), quota(2), base(JANE, before={"quota": 7}))),
    "a box retires: it is restored": ("full", update(JANE, retired(JANE), base(JANE), desired=None)),
    "a box is restored: it retires": ("full", update(retired(JANE), JANE, base(JANE, retired="2026-12-24"))),
    "a member who was said": (
        "full",
        update(shared(f"d@{A}", jane="full"), shared(f"d@{A}", tom="full"), base(shared(f"d@{A}", jane="full"))),
    ),
    # A part of it.
    "a box is made: a revert retires it": ("partial", change(None, JANE)),
    "a key is made: it rests": ("partial", change(None, key("s1", A))),
    "a value made by hand": ("partial", update(quota(3), quota(2), base(quota(1)))),
    "one of two made by hand": ("partial", update(quota(1).having(state="paused"), quota(2), base(quota(1)))),
    "nothing was set: what we set stays": ("partial", update(JANE, quota(2), base(JANE))),
    "a takeover: it is ours from now on": (
        "partial",
        update(INFO, alias(f"info@{A}", f"tom@{A}"), base(INFO), takeover=True),
    ),
    "a set whose TTL nobody said": (
        "partial",
        change(record(f"MX/{A}", "10 mx.example.", ttl=60), None, base=base(record(f"MX/{A}", "10 mx.example."))),
    ),
    # Nothing.
    "a purge": ("none", change(retired(JANE), None, base=base(JANE, retired="2026-11-01"), desired=None)),
    "what must not exist": ("none", change(INFO, None, entry=Entry({}, A, absent=True))),
}  # fmt: skip


@pytest.mark.parametrize("story", REVERTS)
def test_a_change_says_what_its_revert_restores(story: str) -> None:
    """`full` when Git said every value or the ledger keeps it, `partial` else, `none` for what is destroyed."""
    wanted, found = REVERTS[story]
    assert revert(found) == wanted


def test_a_revert_of_a_take_over_through_the_plan() -> None:
    """What was never ours cannot come back whole: the plan says so before it is taken over."""
    world = World(HOME, JANE, alias(f"info@{A}", "old@out.example"))
    [found] = world.plan([HOME, JANE, INFO]).changes
    assert (found.action, revert(found)) == ("update", "partial")


def test_a_revert_restores_exactly_what_was_there() -> None:
    """From A to B and back: a value from before us, an alias and a retired box are as they were, field by field."""
    a = [HOME, JANE, TOM, shared(f"desk@{A}", jane="full", tom="read"), INFO]
    b = [HOME, quota(1), shared(f"desk@{A}", jane="read")]
    world = World(HOME, JANE.having(quota=7))
    converge(world, a)
    was = alike(world.live)
    plan = converge(world, b, accept=ACCEPT)
    assert {revert(found) for found in plan.changes} == {"full"}
    assert alike(world.live) != was
    converge(world, a)
    assert alike(world.live) == was


def test_only_a_purge_loses_mail() -> None:
    """In words: a purge of a box loses its mail; what is kept or can be made again loses nothing."""
    purge, *others = (
        REVERTS[story][1] for story in ("a purge", "a box retires: it is restored", "what must not exist")
    )
    assert loses(purge) == "the mail in it"
    assert [loses(found) for found in others] == [None, None]
