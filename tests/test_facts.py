"""What the world says: every question asked once, side by side, and a silent resolver not waited for."""

from __future__ import annotations

import time

import pytest

from reconciler import facts
from reconciler.answers import Answer
from reconciler.errors import ReconcilerError
from reconciler.facts import Resolver
from tests.servers import free_port
from tests.servers.answering import Answering

RECORDS = {
    ("a.example", "TXT"): ["v=spf1 -all", "b"],
    ("a.example", "MX"): ["20 MX2.a.example.", "10 mx1.a.example."],
    ("www.a.example", "CNAME"): ["web.b.example."],
    ("web.b.example", "A"): ["192.0.2.1"],
}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    """A fifth of the patience."""
    for name in ("ONE", "SILENCE"):
        monkeypatch.setattr(facts, name, getattr(facts, name) / 5)


def test_each_question_has_its_answer():
    """Values are canonical and sorted, aliases followed; nothing there, no such name and no answer are three things."""
    with Answering(RECORDS, failing=["bad.example"]) as server:
        found = Resolver(server.address).ask(
            [
                ("a.example", "TXT"),
                ("a.example", "MX"),
                ("a.example", "AAAA"),
                ("www.a.example", "A"),
                ("no.example", "MX"),
                ("bad.example", "MX"),
                ("x..y", "MX"),
            ]
        )
    assert found == {
        ("a.example", "TXT"): Answer("found", ("b", "v=spf1 -all")),
        ("a.example", "MX"): Answer("found", ("10 mx1.a.example.", "20 mx2.a.example.")),
        ("a.example", "AAAA"): Answer("empty"),
        ("www.a.example", "A"): Answer("found", ("192.0.2.1",)),
        ("no.example", "MX"): Answer("nxdomain"),
        ("bad.example", "MX"): Answer("failed"),
        ("x..y", "MX"): Answer("failed"),
    }


def test_many_questions_are_asked_once_each():
    """Some hundred names, side by side: as many packets."""
    names = [(f"n{number}.a.example", "A") for number in range(300)]
    with Answering(RECORDS) as server:
        found = Resolver(server.address).ask([*names, *names])
    assert sorted(server.asked) == sorted(names)
    assert set(found.values()) == {Answer("nxdomain")}


def test_a_silent_resolver_is_not_waited_for_question_by_question():
    """Once the first have timed out the rest fail at once, and so does whatever is asked later."""
    names = [(f"n{number}.example", "A") for number in range(500)]
    began = time.monotonic()
    with Answering({}, mute=["*"]) as server:
        resolver = Resolver(server.address)
        found = resolver.ask(names)
        asked = len({name for name, _ in server.asked})
        assert resolver.ask([("later.example", "A")]) == {("later.example", "A"): Answer("failed")}
    assert time.monotonic() - began < 3
    assert set(found.values()) == {Answer("failed")}
    assert (len(found), asked) == (500, 64)


def test_a_silent_name_does_not_cost_the_others_their_answers():
    """One name nobody answers for beside many that are answered."""
    names = [(f"n{number}.a.example", "A") for number in range(100)]
    with Answering(RECORDS, mute=["mute.example"]) as server:
        found = Resolver(server.address).ask([("mute.example", "A"), *names])
    assert found.pop(("mute.example", "A")) == Answer("failed")
    assert set(found.values()) == {Answer("nxdomain")}


@pytest.mark.parametrize("said", ["none", "127.0.0.1:{port}"])
def test_nobody_there_is_no_answer(said):
    """`none` asks nobody; a port where nobody listens is no error either."""
    resolver = Resolver(said.format(port=free_port()))
    assert resolver.ask([("a.example", "MX")]) == {("a.example", "MX"): Answer("failed")}


@pytest.mark.parametrize("said", ["dns.example", "192.0.2.1:0", "192.0.2.1:x", "::1:53:", "nobody"])
def test_what_is_no_resolver_is_said(said):
    """A resolver is an address, or an address and a port."""
    with pytest.raises(ReconcilerError, match="RECONCILER_RESOLVER"):
        Resolver(said)


def test_an_answer_is_text_without_control_characters():
    """What the world wrote is shown to people: nothing in it that a terminal obeys."""
    with Answering({("a.example", "TXT"): ["v=x \\027[31m \\226\\128\\174"]}) as server:
        (value,) = Resolver(server.address).ask([("a.example", "TXT")])["a.example", "TXT"].values
    assert value.isascii()
    assert value.isprintable()
