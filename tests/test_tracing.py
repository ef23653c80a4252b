"""`reconciler trace`: where mail for an address ends up, now and after this change, from Git alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.estates import (
    AGENCY,
    CONTOSO,
    NORTHWIND,
    Estate,
    accepting,
    contoso,
    control,
    dns,
    mail,
    make,
    northwind,
    tenant,
)
from tests.test_json import conforms

if TYPE_CHECKING:
    from pathlib import Path

WORD = "owner: jane, reason: r, approved_by: ops, expires: 2099-01-01"
MORE = f"""\
shared:
  office: {{owner: jane, members: {{jane: full}}}}
aliases:
  info: [office, tom]
  all: [info, hostmaster@agency.example]
forwards:
  orders: {{to: [crm@vendor.example], {WORD}}}
"""
BOXES = {
    "jane": "{owner: jane}",
    "tom": "{owner: tom, state: blocked}",
    "fair": "{owner: jane, state: paused}",
}


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Estate:
    """Northwind with a twin, applied; then the live systems are taken away."""
    twin = "domain: northwind.test\nowner: jane\nalias_of: northwind.example\n"
    files = {**northwind(BOXES, MORE), "tenants/northwind/domains/northwind.test.yaml": twin}
    estate = make(tmp_path_factory.mktemp("trace") / "estate", files, dns("", "northwind.test")).applied({})
    shutil.rmtree(estate.root / "var")
    return estate


def traced(estate: Estate, address: str, *arguments: str) -> Any:
    run = estate.run("trace", "--format", "json", address, *arguments)
    assert run.code == 0, run.out
    return conforms(run.json)


def ends(step: Any) -> list[tuple[str, str]]:
    """(address, end) of every step, in order."""
    return [(step["address"].partition("@")[0], step["end"]), *(e for one in step["next"] for e in ends(one))]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("jane@northwind.example", [("jane", "mailbox")]),
        ("Jane+bank@Northwind.example", [("jane+bank", "mailbox")]),
        ("fair@northwind.example", [("fair", "paused")]),
        ("nobody@northwind.example", [("nobody", "no such user")]),
        ("info@northwind.test", [("info", "passed on"), ("office", "mailbox"), ("tom", "blocked")]),
        ("nobody@northwind.test", [("nobody", "no such user")]),
        ("orders@northwind.example", [("orders", "passed on"), ("crm", "outside")]),
        (
            "all@northwind.example",
            [
                ("all", "passed on"), ("hostmaster", "inside"), ("info", "passed on"), ("office", "mailbox"),
                ("tom", "blocked"),
            ],
        ),
    ],
)  # fmt: skip
def test_where_mail_ends(applied: Estate, address: str, expected: list[tuple[str, str]]) -> None:
    """By name, plus address and twin; refused, paused, blocked; inside and outside; from the ledger as from Git."""
    found = traced(applied, address)
    assert ends(found["after"]) == expected
    assert ends(found["now"]) == expected
    assert found["changes"] is False


def test_each_step_has_its_place_and_owner(applied: Estate) -> None:
    """A declared name stands where it is declared; what is outside, where it is pointed at."""
    found = traced(applied, "orders@northwind.example")
    step = found["after"]
    text = (applied.root / NORTHWIND).read_text().splitlines()
    assert (step["file"], step["owner"], step["kind"]) == (NORTHWIND, "jane", "forward")
    assert text[step["line"] - 1].strip().startswith("orders:")
    assert (found["now"]["file"], found["now"]["line"]) == (step["file"], step["line"])
    (out,) = step["next"]
    assert (out["file"], out["line"], out["name"]) == (NORTHWIND, step["line"], None)
    assert found["applied_commit"] == applied.head


def test_a_domain_of_nobody_is_said_to_be_one(applied: Estate) -> None:
    """What is not in the estate is no error."""
    run = applied.run("trace", "jane@elsewhere.example")
    assert (run.code, "not in this estate" in run.out) == (0, True)
    assert traced(applied, "jane@elsewhere.example")["tenant"] is None


def test_what_is_no_address_is_wrong_usage(applied: Estate) -> None:
    """A domain, or text that no mail server takes, is refused with how to write it."""
    for text in ("northwind.example", "a b@northwind.example"):
        run = applied.run("trace", text)
        assert (run.code, "jane@northwind.example" in run.err) == (64, True)


def test_the_text_fits_a_terminal(applied: Estate) -> None:
    """At 80 columns, without a live system: what it is, whose it is, where it stands, how it ends."""
    run = applied.run("trace", "all@northwind.example")
    assert max(map(len, run.out.splitlines())) <= 80
    for words in (
        "Now, as applied at",
        "-> office@northwind.example",
        "shared mailbox, owner jane",
        "delivered",
        "the same",
    ):
        assert words in run.out


def test_now_and_after_a_change(tmp_path: Path) -> None:
    """An alias that moves, a mailbox that is let go and still receives, a name that is new."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.write(mail({"jane": "{owner: jane}", "mia": "{owner: jane}"}, "aliases:\n  info: [mia]\n"))
    found = traced(estate, "info@northwind.example")
    assert (ends(found["now"])[1], ends(found["after"])[1]) == (("jane", "mailbox"), ("mia", "mailbox"))
    assert found["changes"] is True
    found = traced(estate, "tom@northwind.example")
    assert (found["now"]["end"], found["after"]["end"]) == ("mailbox", "retired")
    found = traced(estate, "mia@northwind.example")
    assert (found["now"]["end"], found["after"]["end"]) == ("no such user", "mailbox")


def test_another_tenant_is_followed(tmp_path: Path) -> None:
    """Mail that goes to another tenant's address is followed there, to its own file."""
    both = {**northwind(more="aliases:\n  info: [jane@contoso.example]\n"), **contoso()}
    subject = "info@northwind.example"
    estate = make(tmp_path / "estate", both, accepting("RT004", subject), accepting("RT004", subject, "contoso"))
    (step,) = traced(estate.applied(), subject)["now"]["next"]
    assert (step["tenant"], step["end"], step["file"]) == ("contoso", "mailbox", CONTOSO)


def test_a_catch_all_answers_for_what_nobody_declares(tmp_path: Path) -> None:
    """A typing error ends there; a paused mailbox does not, and neither does its twin's address."""
    estate = make(tmp_path / "estate", northwind(BOXES, f"catch_all: {{to: [jane], {WORD}}}\n"))
    assert traced(estate, "jnae@northwind.example")["after"]["how"] == "catch-all"
    assert traced(estate, "fair@northwind.example")["after"]["end"] == "paused"
    assert traced(estate, "jane@northwind.example")["now"]["end"] == "not applied"


def test_a_redirect_that_has_ended_says_so(tmp_path: Path) -> None:
    """The line is still there, and mail for it is refused since its day is over."""
    over = WORD.replace("2099", "2020")
    estate = make(tmp_path / "estate", northwind(more=f"forwards:\n  orders: {{to: [crm@vendor.example], {over}}}\n"))
    assert traced(estate, "orders@northwind.example")["after"]["end"] == "ended"


def test_a_circle_and_a_long_chain_end(tmp_path: Path) -> None:
    """Whatever a file says, the answer ends: a circle is called one, and a chain is cut with a word."""
    chain = "".join(f"  a{n}: [a{n + 1}]\n" for n in range(2000)) + "  a2000: [jane]\n"
    estate = make(tmp_path / "estate", northwind(more=f"aliases:\n  x: [y]\n  y: [x]\n{chain}"))
    assert ends(traced(estate, "x@northwind.example")["after"])[-1] == ("x", "circle")
    assert ends(traced(estate, "a0@northwind.example")["after"])[-1][1] == "not followed"


def test_many_ways_to_one_name_are_shown_once(tmp_path: Path) -> None:
    """Aliases that fan out and meet again make no tree larger than the file."""
    fans = "".join(f"  a{n}: [b{n}, c{n}]\n  b{n}: [a{n + 1}]\n  c{n}: [a{n + 1}]\n" for n in range(15))
    estate = make(tmp_path / "estate", northwind(more=f"aliases:\n{fans}  a15: [jane]\n"))
    found = ends(traced(estate, "a0@northwind.example")["after"])
    assert len(found) < 100
    assert ("a15", "passed on") in found


def test_a_domain_that_went_is_found_by_its_ledger(tmp_path: Path) -> None:
    """Git no longer has the domain: its mailboxes are retired, and still receive."""
    estate = make(tmp_path / "estate", northwind(), contoso()).applied({})
    estate.write(dict.fromkeys(contoso()))
    found = traced(estate, "jane@contoso.example")
    assert (found["tenant"], found["now"]["end"], found["after"]["end"]) == ("contoso", "mailbox", "retired")


def test_a_moved_domain_is_found_at_both_ends(tmp_path: Path) -> None:
    """By the ledger of the tenant it was moved from, and by the files of the one it goes to."""
    estate = make(tmp_path / "estate", northwind(), tenant("contoso")).applied({})
    moved = {
        old.replace("northwind/", "contoso/"): text for old, text in northwind().items() if "/tenant.yaml" not in old
    }
    gone = {old: None for old in northwind() if "/tenant.yaml" not in old}
    estate.write({**moved, **gone})
    found = traced(estate, "jane@northwind.example")
    assert (found["now"]["tenant"], found["after"]["tenant"]) == ("northwind", "contoso")
    assert (found["now"]["end"], found["after"]["end"]) == ("mailbox", "mailbox")


def test_what_cannot_be_used_reads_unknown(tmp_path: Path) -> None:
    """A broken file, a broken ledger: that side is unknown, the other is told, and the exit code is 1."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.write({NORTHWIND: "domain: northwind.example\n"})
    run = estate.run("trace", "--format", "json", "jane@northwind.example")
    assert (run.code, run.json["now"]["end"], run.json["after"]["end"]) == (1, "mailbox", "unknown")
    estate.write(northwind())
    estate.put_ledger(b"no ledger\n")
    run = estate.run("trace", "--format", "json", "jane@northwind.example")
    assert (run.code, run.json["now"]["end"], run.json["after"]["end"]) == (1, "unknown", "mailbox")


def test_mail_that_is_not_ours_is_said_to_be_so(tmp_path: Path) -> None:
    """`mail: null`: nothing here decides where its mail goes."""
    estate = make(tmp_path / "estate", northwind(), control("mail: null\n"), agency=AGENCY)
    assert traced(estate, "jane@northwind.example")["after"]["end"] == "no mail here"


def test_a_parked_domain_reads_the_same_now_and_after(tmp_path: Path) -> None:
    """`mail: null` was applied: its mail is not ours in either state, and "not applied" would be wrong."""
    (names,) = dns("", "parked.example").values()
    parked = {
        "tenants/northwind/domains/parked.example.yaml": "domain: parked.example\nowner: jane\nmail: null\n",
        "tenants/northwind/dns/parked.example.yaml": names,
    }
    estate = make(tmp_path / "estate", northwind(), parked).applied({})
    found = traced(estate, "info@parked.example")
    assert (found["now"]["end"], found["after"]["end"], found["changes"]) == ("no mail here", "no mail here", False)
    said = estate.run("trace", "info@parked.example").out
    assert (said.count("the mail of its domain is not ours"), "the same" in said) == (1, True)
