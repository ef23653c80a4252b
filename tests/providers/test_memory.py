"""The reference world passes the contract of both sides and is no kinder than the real ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import Conflict, Refused, Unreachable
from reconciler.providers import memory
from tests.providers.contract import (
    NAME,
    OURS,
    DnsContract,
    MailContract,
    World,
    apply,
    assert_live,
    change,
    create,
    make,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.model import Resource

DOMAIN = make("domain", "a.example", "a.example")
JANE = make("mailbox", "jane@a.example", "a.example")
INFO = make("alias", "info@a.example", "a.example", to=["jane@a.example"])


def world_in(file: Path, side: str, foreign: Resource) -> World:
    """A world in a file; what others do to it comes through providers of their own."""

    def connect() -> memory.Memory:
        return memory.connect(NAME, {"file": file.name, "side": side}, str(file.parent))

    def plant() -> Callable[[], object]:
        create(connect(), OURS, [foreign])
        return look

    def look() -> object:
        """The foreign thing; a record's set may be shared with us."""
        thing = read(connect())[foreign.address]
        return set(foreign.get("values")) <= set(thing.get("values")) if side == "dns" else thing

    def tamper(thing: Resource) -> None:
        apply(connect(), OURS, change(read(connect())[thing.address], thing))

    return World(connect, plant, tamper, sever=lambda: file.write_text("no JSON"))


class TestMemoryMail(MailContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return world_in(tmp_path / "world.json", "mail", make("alias", "fax@a.example", "a.example", to=["x@b.test"]))


class TestMemoryDns(DnsContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        foreign = make("record", "TXT/a.example", "a.example", values=["site-verification=1", "other=2"], ttl=60)
        return world_in(tmp_path / "world.json", "dns", foreign)


@pytest.fixture
def world() -> memory.Memory:
    """A world in memory with a domain and a mailbox."""
    world = memory.Memory(NAME)
    create(world, OURS, [DOMAIN, JANE])
    return world


def test_it_holds_both_sides() -> None:
    """Without a side one world holds mail and records alike."""
    world = memory.connect(NAME, {}, ".")
    mx = make("record", "MX/a.example", "a.example", values=["10 mx.a.example."], ttl=60)
    create(world, OURS, [DOMAIN, mx])
    assert_live(world, OURS, [DOMAIN, mx])


def test_two_providers_share_a_world(world: memory.Memory) -> None:
    """Given the same things, a second provider sees what the first one wrote."""
    assert_live(memory.Memory(NAME, things=world.things), OURS, [DOMAIN, JANE])


def test_nothing_dangles(world: memory.Memory) -> None:
    """What points at nothing is refused, and so is taking away what is pointed at; nothing is written."""
    lost = make("alias", "lost@a.example", "a.example", to=["nobody@a.example"])
    with pytest.raises(Refused, match="needs address nobody"):
        create(world, OURS, [INFO, lost])
    create(world, OURS, [INFO])
    with pytest.raises(Refused, match="needs it"):
        apply(world, OURS, change(JANE, None))
    assert_live(world, OURS, [DOMAIN, JANE, INFO])


def test_a_catch_all_or_a_twin_answers(world: memory.Memory) -> None:
    """An address is there when its domain's catch-all or the domain it is a twin of has it."""
    twin = make("domain", "a.test", "a.test", alias_of="a.example")
    create(world, OURS, [twin, make("alias", "x@a.example", "a.example", to=["jane@a.test"])])
    catch_all = make("alias", "@a.example", "a.example", to=["jane@a.example"])
    create(world, OURS, [catch_all, make("alias", "y@a.example", "a.example", to=["anybody@a.example"])])


def test_names_are_taken_once(world: memory.Memory) -> None:
    """A mailbox and an alias exclude each other, unless the mailbox is blocked; a CNAME has its name alone."""
    alias = make("alias", JANE.address.name, "a.example", to=["x@b.test"])
    with pytest.raises(Conflict, match="its name is"):
        create(world, OURS, [alias])
    blocked = JANE.having(state="blocked")
    apply(world, OURS, change(JANE, blocked), change(None, alias))
    with pytest.raises(Conflict, match="its name is"):
        apply(world, OURS, change(blocked, JANE))
    create(world, OURS, [make("record", "A/www.a.example", "a.example", values=["192.0.2.1"])])
    with pytest.raises(Conflict, match="its name is"):
        create(world, OURS, [make("record", "CNAME/www.a.example", "a.example", values=["a.example."])])


def test_a_cname_has_one_value(world: memory.Memory) -> None:
    """It is no kinder here than name servers are."""
    two = make("record", "CNAME/www.a.example", "a.example", values=["a.test.", "b.test."])
    with pytest.raises(Refused, match="can have one value, not 2"):
        create(world, OURS, [two])
    assert two.address not in read(world)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "[[]]", '[["mailbox", "a@a.example", "a.example", []]]', '[[[], "a", "a.example", {}]]', "{}x",
        '[["record", "A/a.example", "a.example", {"values": [[]]}]]', '[["alias", 5, "a.example", {}]]', "\udcff",
    ],
)  # fmt: skip
def test_a_file_that_is_no_world_is_unreachable(tmp_path: Path, text: str) -> None:
    """Whatever stands in it, it is an error of the provider, for reading and writing."""
    (tmp_path / "world.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    world = memory.connect(NAME, {"file": "world.json"}, str(tmp_path))
    for act in (lambda: read(world), lambda: create(world, OURS, [DOMAIN])):
        with pytest.raises(Unreachable):
            act()


def test_a_file_without_an_identity_still_reads(tmp_path: Path) -> None:
    """A plain list of things is a world that has none yet; given one, it holds the same things."""
    (tmp_path / "world.json").write_text('[["domain", "a.example", "a.example", {"alias_of": null}]]')
    world = memory.connect(NAME, {"file": "world.json"}, str(tmp_path))
    assert world.identity() is None
    world.identify("a" * 32)
    assert_live(world, OURS, [DOMAIN])


def test_a_place_where_no_file_can_be_is_an_error(tmp_path: Path) -> None:
    """A pipe is not opened, a folder that cannot be made is told."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="no regular file"):
        read(memory.connect(NAME, {"file": "pipe"}, str(tmp_path)))
    with pytest.raises(Unreachable):
        create(memory.connect(NAME, {"file": "/proc/nowhere/world.json"}, "/"), OURS, [DOMAIN])


def test_it_can_fail_before_and_after_writing() -> None:
    """An error before writing leaves nothing, the same error afterwards leaves everything."""
    for when, there in [("fail_before", set()), ("fail_after", {DOMAIN.address})]:
        fail = {when: lambda batch: Unreachable(f"lost while writing to {batch.provider}")}
        world = memory.Memory(NAME, **fail)
        with pytest.raises(Unreachable, match="lost while writing"):
            create(world, OURS, [DOMAIN])
        assert set(read(world)) == there


def test_keys_are_random(world: memory.Memory) -> None:
    """Each key pair made is another one."""
    keys = [make("dkim_key", f"s{n}._domainkey.a.example", "a.example", type="rsa", bits=2048) for n in (1, 2)]
    answer = apply(world, OURS, *(change(None, key) for key in keys))
    assert len({found["public"] for found in answer.values()}) == 2
