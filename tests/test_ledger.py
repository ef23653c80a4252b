"""The ledger: per tenant, in Git, values attribute by attribute, of what was really applied."""

from __future__ import annotations

import contextlib
import copy
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import entries
from reconciler import ledger as ledgers
from reconciler.kinds import kinds
from reconciler.model import Address, Entry
from tests.estates import BOXES, Estate, codes, contoso, dns, mail, make, northwind, summary

HEADER = b'{"format": "reconciler.ledger/1", "tenant": "northwind", "commit": null, "scopes": []}\n'
REF = "refs/reconciler/tenants/northwind"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(), contoso())


def lines(estate, ref=REF):
    """The ledger's header and its lines by address."""
    header, *rest = map(json.loads, estate.git("show", f"{ref}:ledger.jsonl").splitlines())
    return header, {line["address"]: line for line in rest}


@given(st.text(st.characters() | st.sampled_from('\u2028\x85\n\x1e\udc80"\\')), st.integers(-(2**80), 2**80))
def test_what_a_line_holds_is_what_is_read(name, number):
    """Line ends of Unicode, bytes that were no UTF-8 and numbers of any size: a line is a line, and comes back."""
    address = Address("mailhost", "mailbox", "jane@northwind.example")
    entry = Entry(said={"name": name, "quota": number}, domain="northwind.example")
    written = ledgers.text(ledgers.Ledger("northwind", entries={address: entry}))
    assert written.count(b"\n") == 2
    assert ledgers._read("northwind", "0" * 40, written, None).entries == {address: entry}


def test_a_plan_writes_no_ledger(estate):
    """Only an apply does."""
    estate.run("plan")
    assert estate.git("for-each-ref", "refs/reconciler") == ""


def test_each_tenant_has_its_own_ref_beside_the_branches(estate):
    """One ref per tenant, whose commits share nothing with the estate's; branches, index and files stay as they are."""
    before = estate.git("for-each-ref", "refs/heads"), estate.head
    estate.applied({})
    refs = estate.git("for-each-ref", "--format=%(refname)", "refs/reconciler").splitlines()
    assert refs == ["refs/reconciler/tenants/contoso", REF]
    assert estate.git("ls-tree", "-r", "--name-only", f"{REF}~1").split() == ["intent.json", "ledger.jsonl"]
    assert estate.git("ls-tree", "-r", "--name-only", REF).split() == ["ledger.jsonl", "run.json"]
    assert (estate.git("for-each-ref", "refs/heads").split()[1:], estate.git("status", "--porcelain")) == (
        before[0].split()[1:],
        "",
    )


def test_it_holds_values_attribute_by_attribute(estate):
    """What Git said of each thing, with the commit and the line; nothing of what only the owner knows."""
    estate.applied({})
    header, found = lines(estate)
    assert (header["format"], header["tenant"], header["commit"]) == ("reconciler.ledger/1", "northwind", estate.head)
    tom = found["mailhost:mailbox/tom@northwind.example"]
    assert (tom["said"]["quota"], tom["said"]["owner"], tom["said"]["state"]) == (2 * 2**30, "tom", "active")
    assert (tom["file"], tom["line"], tom["commit"]) == (
        "tenants/northwind/domains/northwind.example.yaml",
        5,
        estate.head,
    )
    assert "quota" not in found["mailhost:mailbox/jane@northwind.example"]["said"]
    assert found["zones:record/TXT/_dmarc.northwind.example"]["said"]["values"] == ["v=DMARC1; p=none"]
    assert "password" not in estate.git("show", f"{REF}:ledger.jsonl")


def test_each_apply_that_changes_something_is_a_commit_on_it(estate):
    """An intent and an outcome; one that changes nothing adds none; a change moves its own line alone."""
    estate.applied({})
    first = estate.git("rev-parse", REF), lines(estate)[1]
    estate.apply()
    assert estate.git("rev-parse", REF) == first[0]
    estate.applied(mail({**BOXES, "jane": "{owner: jane, quota: 1 GiB}"}, "aliases:\n  info: [jane]\n"))
    assert estate.git("rev-parse", f"{REF}~2") == first[0]
    after = lines(estate)[1]
    assert [address for address in after if after[address] != first[1][address]] == [
        "mailhost:mailbox/jane@northwind.example"
    ]
    assert estate.git("rev-list", "--count", "refs/reconciler/tenants/contoso") == "2"


def test_it_is_the_same_for_the_same_applies(tmp_path):
    """Line for line, but for the identities of the live systems: no clock, no run, no path of this machine in it."""
    texts = set()
    for name in ("a", "b"):
        estate = make(tmp_path / name, northwind()).applied({})
        text = estate.git("show", f"{REF}:ledger.jsonl").replace(estate.head, "HEAD")
        assert len(lines(estate)[0]["identities"]) == 2
        for identity in lines(estate)[0]["identities"].values():
            text = text.replace(identity, "IDENTITY")
        texts.add(text)
    assert len(texts) == 1


def test_it_is_written_where_git_knows_no_name(estate, monkeypatch):
    """A machine without `user.name` and `user.email` can apply."""
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("EMAIL", raising=False)
    assert estate.apply().code == 0
    assert estate.git("log", "-1", "--format=%cn", REF) != ""


def test_an_empty_ledger_removes_nothing(estate):
    """Lost with a clone: what is in Git is adopted, what is not is unmanaged; nothing is deleted or retired."""
    estate.applied({})
    estate.git("update-ref", "-d", REF)
    estate.write(mail({"jane": "{owner: jane}"}, ""))
    found = estate.one()
    assert (found["changes"], found["applied_commit"], len(found["adopted"])) == ([], None, 7)
    assert {item["address"] for item in found["unmanaged"]["listed"]} == {
        "mailhost:alias/info@northwind.example", "mailhost:mailbox/tom@northwind.example",
    }  # fmt: skip
    assert ("PL209", "info") in {(f["code"], f["severity"]) for f in found["findings"]}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"no json\n", b"{}\n", HEADER.replace(b"/1", b"/9"), b"[1]\n", b"\xff\n",
        HEADER + b'{"address": "x"}\n',
        HEADER + b"[]\n",
        HEADER.replace(b"[]", b"[[1]]"),
        HEADER.replace(b"[]", b'[], "identities": {"mailhost": 1}'),
        HEADER.replace(b"[]", b'[], "identities": ["mailhost"]'),
        HEADER + b'{"address": "mailhost:nothing/b", "said": {}, "domain": "northwind.example"}\n',
    ],
    ids=["empty", "no JSON", "no header", "a newer format", "a list", "no UTF-8",
         "a line that is none", "a list as line", "scopes", "an identity", "identities", "an unknown kind"],
)  # fmt: skip
def test_a_ledger_that_cannot_be_read_stops_its_tenant(estate, text):
    """PL301, exit 1, nothing written there and the ref left for repair; the neighbour is applied."""
    estate.applied({})
    estate.put_ledger(text)
    estate.write({**mail(more=""), **mail({"jane": "{owner: jane, quota: 1 GiB}"}, "", "contoso.example")})
    tip, row = estate.git("rev-parse", REF), estate.sql("SELECT * FROM alias")
    run = estate.run("plan", "--format", "json")
    theirs, ours = run.json["tenants"]
    assert (run.code, codes(ours["findings"]), ours["changes"]) == (1, {"PL301"}, [])
    assert summary(theirs["changes"]) == {("update", "jane@contoso.example")}
    done = estate.apply()
    assert (done.code, [found["result"] for found in done.json["tenants"]]) == (1, ["applied", "refused"])
    assert (estate.git("rev-parse", REF), estate.sql("SELECT * FROM alias")) == (tip, row)


BOX = "mailhost:mailbox/tom@northwind.example"
ALIAS = "mailhost:alias/info@northwind.example"
MX = "zones:record/MX/northwind.example"


def forged(estate, address, **parts):
    """Northwind's ledger with other parts in one of its lines."""
    header, found = lines(estate)
    found[address] |= parts
    estate.put_ledger("".join(f"{json.dumps(line)}\n" for line in (header, *found.values())).encode())


def said(estate, address, **values):
    """What Git said of a thing by the ledger, with other values."""
    return {**lines(estate)[1][address]["said"], **values}


@pytest.mark.parametrize(
    ("address", "attribute", "value"),
    [
        (BOX, "members", ["x"]), (BOX, "members", {"x": 5}), (BOX, "members", {"of": BOX, "attribute": 5}),
        (BOX, "owner", ["a"]), (BOX, "login", 1), (BOX, "state", None), (BOX, "quota", 1.5), (BOX, "nothing", "x"),
        (BOX, "copies_to", [5]), (ALIAS, "to", 5), (ALIAS, "to", "x"),
        (ALIAS, "to", [{"of": BOX, "attribute": "name"}]), (MX, "values", [["x"]]), (MX, "ttl", "long"),
        (MX, "values", [{"of": "x", "attribute": "public"}]),
    ],
)  # fmt: skip
def test_a_value_that_no_attribute_can_have_stops_its_tenant(estate, address, attribute, value):
    """Whoever can push a ledger stops its own tenant by it, with PL301, and nobody else's plan, trace or answer."""
    estate.applied({})
    forged(estate, address, said=said(estate, address, **{attribute: value}))
    stops_alone(estate)


def stops_alone(estate):
    """Its own tenant has a finding; the neighbour is planned, and every question has an answer."""
    estate.write(mail({"jane": "{owner: jane, quota: 1 GiB}"}, "", "contoso.example"))
    run = estate.run("plan", "--format", "json")
    theirs, ours = run.json["tenants"]
    assert (run.code, codes(ours["findings"]), ours["changes"]) == (1, {"PL301"}, [])
    assert summary(theirs["changes"]) == {("update", "jane@contoso.example")}
    trace = estate.run("trace", "info@northwind.example")
    assert (trace.code, "unknown: its files or its ledger cannot be used" in trace.out) == (1, True)
    who = estate.run("who", "tom@northwind.example")
    assert (who.code, "unknown: refs/reconciler/tenants/northwind cannot be read" in who.out) == (0, True)
    assert estate.run("inventory").code == 0


@pytest.mark.parametrize(
    "parts",
    [
        {"said": {}}, {"said": []}, {"said": {"owner": "jane"}}, {"seen": {"to": 5}}, {"before": "x"}, {"domain": 5},
        {"keep": "x"}, {"retired": "soon", "keep": 1}, {"retired": "2020-01-01"},
        {"retired": "2020-01-01", "keep": -10**9}, {"absent": 1}, {"commit": "--all"}, {"commit": 5}, {"file": None},
        {"line": "x"}, {"nothing": 5},
    ],
)  # fmt: skip
def test_a_part_of_a_line_that_is_none_stops_its_tenant(estate, parts):
    """The same of whatever else a line holds; what Git must have said is there, but for what must not exist."""
    estate.applied({})
    forged(estate, ALIAS, **parts)
    stops_alone(estate)


def test_what_is_read_is_of_the_types_that_its_kind_has():
    """Any JSON in the place of any attribute of any kind: it is refused, or it is what the table says."""
    texts = (
        ("x", ""),
        (["x"], []),
        (5, 10**30, 1.5, True, None),
        ({"x": "y"}, {}, {"x": 5}, [5], [None], [["x"]], {"of": 5}),
    )
    for kind in kinds().values():
        needed = {row.name: [] if tuple in row.types else 5 if int in row.types else "x" for row in kind.attributes}
        needed = {row.name: needed[row.name] for row in kind.attributes if row.required}
        for row in kind.attributes:
            for value in (value for some in texts for value in some):
                data = {"said": {**needed, row.name: copy.deepcopy(value)}, "domain": "northwind.example"}
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    found = entries.read(kind.name, data).said[row.name]
                    assert type(found) in row.types or (
                        found is None and not (row.governed and row.default is not None)
                    )
                    parts = found if isinstance(found, tuple) else found.values() if isinstance(found, dict) else ()
                    assert {type(part) for part in parts} <= {str}


def test_a_ref_without_a_ledger_stops_its_tenant(estate):
    """A ref that points at something else altogether."""
    estate.applied({})
    estate.git("update-ref", REF, estate.head)
    run = estate.run("plan", "--format", "json")
    assert (run.code, codes(run.json["tenants"][1]["findings"])) == (1, {"PL301"})


def test_after_a_part_failed_the_commit_applied_last_stays_the_old_one(estate):
    """What was done is in the ledger, what was not is not, and `applied_commit` does not claim the whole."""
    estate.applied({})
    first = estate.head
    estate.write(
        {
            **mail({**BOXES, "jane": "{owner: jane, quota: 1 GiB}"}, "aliases:\n  info: [jane]\n"),
            **dns("with: {dmarc: quarantine}\n"),
        }
    )
    zone = estate.zone().rename(estate.root / "kept.zone")
    estate.zone().symlink_to(zone)
    assert estate.apply().code == 1
    header, found = lines(estate)
    assert header["commit"] == first == estate.one()["applied_commit"]
    assert found["mailhost:mailbox/jane@northwind.example"]["said"]["quota"] == 2**30
    assert found["zones:record/TXT/_dmarc.northwind.example"]["said"]["values"] == ["v=DMARC1; p=none"]
    estate.zone().unlink()
    zone.rename(estate.zone())
    assert estate.apply().code == 0
    assert estate.one()["applied_commit"] == estate.head


def test_a_ledger_that_cannot_be_written_is_said(estate):
    """The live systems are written, the ledger is not: exit 1 and why; the next apply takes in what is there."""
    lock = estate.root / ".git" / "refs" / "reconciler" / "tenants"
    lock.mkdir(parents=True)
    (lock / "northwind.lock").touch()
    run = estate.apply()
    assert run.code == 1
    assert isinstance(run.json, dict)
    assert "ledger" in run.err + run.out
    (lock / "northwind.lock").unlink()
    assert estate.apply().code == 0
    assert estate.run("plan", "--exit-code").code == 0


def test_the_ledger_goes_with_the_refs(estate, tmp_path):
    """A mirror has it, so another machine plans on from there."""
    estate.applied({})
    mirror = Estate(tmp_path / "mirror")
    estate.git("clone", "--quiet", str(estate.root), str(mirror.root))
    mirror.git("fetch", "--quiet", "origin", "refs/reconciler/*:refs/reconciler/*")
    (estate.root / "var").rename(mirror.root / "var")
    assert mirror.run("plan", "--exit-code").code == 0
    assert mirror.one()["applied_commit"] == estate.head
