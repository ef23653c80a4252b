"""Where mail goes, as a graph: who answers for an address, what ends and what goes in a circle."""

from __future__ import annotations

import pytest

from reconciler import routes
from reconciler.routes import Stop, Table, Verdict

HOST = "a.example"


def table(**stops: Stop) -> Table:
    """Names of a.example, which has a twin; targets are local parts there, or addresses."""
    named = {
        f"{name}@{HOST}": Stop(tuple(_full(to) for to in stop.targets), stop.keeps) for name, stop in stops.items()
    }
    return Table(named, {HOST: None, "twin.example": HOST})


def _full(name: str) -> str:
    return name if "@" in name else f"{name}@{HOST}"


def to(*targets: str, keeps: str = "") -> Stop:
    return Stop(targets, keeps)


BOX = Stop(keeps="active")


def judge(known: Table) -> routes.Judged:
    return routes.judge(known, lambda host: host.startswith("out"))


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("jane@a.example", ("jane@a.example", "")),
        ("jane+x@a.example", ("jane@a.example", "plus address")),
        ("jane+own@a.example", ("jane+own@a.example", "")),
        ("jane@twin.example", ("jane@a.example", "alias domain")),
        ("jane+x@twin.example", ("jane@a.example", "alias domain")),
        ("jnae@a.example", ("@a.example", "catch-all")),
        ("jnae@twin.example", None),
        ("jane@elsewhere.example", None),
    ],
)
def test_who_answers_for_an_address(address: str, answer: tuple[str, str] | None) -> None:
    """Itself, then without its plus part, then by its twin, then the catch-all; a twin's catch-all does not."""
    known = table(**{"jane": BOX, "jane+own": BOX, "": to("jane")})
    assert known.answering(address) == answer


def test_copies_between_two_mailboxes_are_no_circle() -> None:
    """Each keeps its mail and is given it once, so each ends; who keeps nothing and comes back does not."""
    found = judge(table(jane=to("tom", keeps="active"), tom=to("jane", keeps="active"), all=to("jane", "tom")))
    assert found.endless == frozenset()
    assert found.verdicts[f"all@{HOST}"].read
    assert judge(table(jane=to("tom"), tom=to("jane"))).endless == {f"jane@{HOST}", f"tom@{HOST}"}


def test_a_circle_by_way_of_a_twin_is_one() -> None:
    """An address in an alias domain is its original's."""
    found = judge(table(info=to("info@twin.example")))
    assert found.endless == {f"info@{HOST}"}
    assert routes.comes_back(f"info@{HOST}", found.steps)


def test_what_mail_comes_to() -> None:
    """Steps in a row, recipients in all, somebody who reads it, and the way by which it leaves."""
    known = table(
        jane=BOX, tom=Stop(keeps="blocked"), fair=Stop(keeps="paused"), crm=to("x@out.example"), team=to("jane", "crm"),
        all=to("team", "tom"), stand=to("fair"), desk=to("tom", "fair"),
    )  # fmt: skip
    verdicts = judge(known).verdicts
    assert verdicts[f"all@{HOST}"] == Verdict(3, 3, True, True, "x@out.example", f"team@{HOST}")
    assert verdicts[f"stand@{HOST}"] == Verdict(1, 1)
    assert verdicts[f"desk@{HOST}"] == Verdict(1, 2, kept=True)
    assert routes.way_out(f"all@{HOST}", judge(known)) == [f"team@{HOST}", f"crm@{HOST}", "x@out.example"]
    assert routes.way_out(f"desk@{HOST}", judge(known)) == []


def test_a_chain_longer_than_the_stack_ends() -> None:
    """Nothing calls itself: 5,000 aliases in a row are judged like any other."""
    chain = {f"n{n}": to(f"n{n + 1}") for n in range(5000)}
    assert judge(table(**chain, n5000=BOX)).verdicts[f"n0@{HOST}"].hops == 5000
