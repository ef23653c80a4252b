"""The JSON of plan, validate and apply: every key of the contract, no other, the same bytes for the same input."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.estates import (
    AGENCY,
    NORTHWIND,
    NORTHWIND_DNS,
    ROOT,
    accepting,
    contoso,
    control,
    dns,
    mail,
    make,
    northwind,
    summary,
)  # fmt: skip

FORMATS = Path(__file__).parent / "formats"
PARKED = "tenants/contoso/domains/parked.example.yaml"


@cache
def validator(name):
    return Draft202012Validator(json.loads((FORMATS / f"{name}.schema.json").read_text()))


def conforms(data):
    """The document is of the format it names, key for key."""
    name = data["format"].removeprefix("reconciler.").removesuffix("/1")
    errors = [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(data)]
    assert errors == []
    return data


def sha256(data):
    """The digest of the contract: SHA-256 over canonical JSON."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def digest_of(tenant):
    """A tenant's digest, computed from its JSON alone as the contract says."""
    return sha256(
        [
            [c["address"], c["action"], c["was"], {name: [f["from"], f["to"]] for name, f in c["fields"].items()}]
            for c in sorted(tenant["changes"], key=lambda c: c["address"])
        ]
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An estate in which everything a plan can say is said at once; gives (estate, commits by name)."""
    boxes = {
        "jane": "{owner: jane, quota: 2 GiB}",
        "tom": "{owner: tom}",
        "kim": "{owner: tom}",
        "lou": "{owner: jane}",
    }
    more = "aliases:\n  info: [jane]\n  old: [jane]\n  lost: [tom]\n"
    estate = make(tmp_path_factory.mktemp("json") / "estate", northwind(boxes, more), contoso())
    estate.applied({})
    first = estate.head
    del boxes["lou"]
    estate.applied(northwind(boxes, more))  # lou: retired, so a purge is waiting
    live(estate)
    boxes = {"jane": "{owner: jane, quota: 5 GiB}", "tom": "{owner: tom}", "ann": "{owner: jane}"}
    changed = estate.write(
        northwind(boxes, "aliases:\n  info: [tom]\n  lost: [tom]\n  same: [jane]\n"), "More for Jane"
    )
    estate.write({**control("mail: null\n", "contoso")}, "Their mail is elsewhere")
    return estate, first, changed


def live(estate):
    """What people did by hand."""
    for table, column in (("mailbox", "username"), ("alias", "address")):
        estate.sql(f"UPDATE {table} SET active = 0 WHERE {column} = 'tom@northwind.example'")
    estate.sql("UPDATE alias SET goto = 'jane@northwind.example,tom@northwind.example' WHERE address LIKE 'info@%'")
    estate.sql("DELETE FROM alias WHERE address LIKE 'lost@%'")
    for name, goto in (
        ("same", "jane@northwind.example"),
        ("foreign", "x@evil.example"),
        ("local", "jane@northwind.example"),
    ):
        estate.sql(
            "INSERT INTO alias (address, goto, domain, active) VALUES (?, ?, 'northwind.example', 1)",
            f"{name}@northwind.example", goto,
        )  # fmt: skip
    estate.edit_zone("", 'www 600 IN A 192.0.2.1\nftp 600 IN A 192.0.2.2\n_dmarc.x 600 IN TXT "v=DMARC1; p=none"')


@pytest.fixture(scope="module")
def plan(world):
    return conforms(world[0].plan())


@pytest.fixture(scope="module")
def found(plan):
    return plan["tenants"][1]


def change_of(tenant, name):
    """The one change of a name."""
    (found,) = [change for change in tenant["changes"] if change["name"] == name]
    return found


def test_a_change_has_every_key_of_the_contract(world, found):
    """One change, key by key: identity, action, values, the line it comes from, what a revert brings back."""
    _, _, changed = world
    assert change_of(found, "jane@northwind.example") == {
        "address": "mailhost:mailbox/jane@northwind.example",
        "tenant": "northwind",
        "kind": "mailbox",
        "provider": "mailhost",
        "name": "jane@northwind.example",
        "action": "update",
        "reason": "declared",
        "was": None,
        "conflict": False,
        "held": None,
        "fields": {"quota": {"from": 2 * 2**30, "to": 5 * 2**30}},
        "origin": {"file": NORTHWIND, "line": 4, "commit": changed, "author": "Anna Ops"},
        "revert": "full",
        "loses": None,
    }


def test_the_head_of_a_plan(world, plan):
    """Format, commit, digest, the moment of reading and the day it is for; the summary counts what is below."""
    estate, _, _ = world
    assert list(plan) == ["format", "commit", "digest", "read_at", "as_of", "findings", "summary", "tenants"]
    assert (plan["commit"], plan["findings"]) == (estate.head, [])
    assert plan["digest"] == sha256([[tenant["tenant"], tenant["digest"]] for tenant in plan["tenants"]])
    assert [tenant["tenant"] for tenant in plan["tenants"]] == ["contoso", "northwind"]
    assert plan["summary"] == {
        "create": 1, "update": 2, "rename": 0, "restore": 0, "retire": 1, "delete": 1, "purge": 0, "due": 0,
        "later": 1, "drift": 2, "adopted": 1, "unmanaged": 5,
    }  # fmt: skip


def test_digests_cover_the_declared_changes_alone(plan):
    """A tenant's digest can be computed from its changes; nothing else is in it."""
    assert [tenant["digest"] for tenant in plan["tenants"]] == [digest_of(tenant) for tenant in plan["tenants"]]


def test_a_tenants_plan_says_everything_else_beside_its_changes(world, found):
    """Applied commit, drift, adopted, later, unmanaged things listed or counted."""
    _, first, _ = world
    estate = world[0]
    today = estate.plan()["as_of"]
    assert found["applied_commit"] not in {None, first, estate.head}
    assert found["complete"] is True
    assert (found["due"], found["todo"], found["unread"], found["forgotten"]) == ([], [], [], [])
    assert found["adopted"] == ["mailhost:alias/same@northwind.example"]
    due = (date.fromisoformat(today) + timedelta(days=30)).isoformat()
    assert found["later"] == [
        {"address": "mailhost:mailbox/lou@northwind.example", "action": "purge", "when": due, "why": "retention"}
    ]
    assert found["unmanaged"] == {
        "listed": [
            {"address": "mailhost:alias/foreign@northwind.example", "risk": "high"},
            {"address": "mailhost:alias/local@northwind.example", "risk": "low"},
            {"address": "zones:record/TXT/_dmarc.x.northwind.example", "risk": "low"},
        ],
        "counted": {"A": 2},
    }


def test_drift_is_said_with_both_values_and_its_risk(found):
    """An attribute that only live moved; a thing that is gone has the field `exists`."""
    assert found["drift"] == [
        {
            "address": "mailhost:alias/lost@northwind.example", "field": "exists", "git": True, "live": False,
            "first_seen": None, "risk": "high", "accepted": None,
        },
        {
            "address": "mailhost:mailbox/tom@northwind.example", "field": "state", "git": "active", "live": "paused",
            "first_seen": None, "risk": "high", "accepted": None,
        },
    ]  # fmt: skip


def test_a_change_on_both_sides_is_a_conflict(found):
    """Git moved and live moved: declared, marked, warned of; reverting it does not bring back the hand-made value."""
    change = change_of(found, "info@northwind.example")
    assert (change["action"], change["conflict"], change["revert"]) == ("update", True, "partial")
    assert change["fields"] == {
        "to": {"from": ["jane@northwind.example", "tom@northwind.example"], "to": ["tom@northwind.example"]}
    }
    assert ("PL205", "warning") in {
        (f["code"], f["severity"]) for f in found["findings"] if f["subject"] == change["address"]
    }


def test_what_is_created_comes_from_nothing(found):
    """A create has every field `from` null; what keeps data is brought back in part only (a revert retires it)."""
    change = change_of(found, "ann@northwind.example")
    assert (change["action"], change["revert"]) == ("create", "partial")
    assert {field["from"] for field in change["fields"].values()} == {None}
    assert change["fields"]["state"] == {"from": None, "to": "active"}


def test_a_removal_names_the_line_it_had_last(found):
    """Lines above it that went in other commits moved it up: the line is the one of the commit before the removal."""
    assert change_of(found, "old@northwind.example")["origin"]["line"] == 9


def test_a_removal_names_the_line_it_had_and_the_commit_that_took_it_out(world, found):
    """For a retired mailbox and a deleted alias: file and line as they were, commit and author of the removal."""
    _, _, changed = world
    retired, deleted = change_of(found, "kim@northwind.example"), change_of(found, "old@northwind.example")
    assert (retired["action"], retired["revert"], retired["loses"]) == ("retire", "full", None)
    assert retired["origin"] == {"file": NORTHWIND, "line": 6, "commit": changed, "author": "Anna Ops"}
    assert (deleted["action"], deleted["revert"]) == ("delete", "full")
    assert {field["to"] for field in deleted["fields"].values()} == {None}
    assert deleted["origin"] == {**retired["origin"], "line": deleted["origin"]["line"]}


def test_a_side_that_is_let_go_is_forgotten(plan):
    """`mail: null`: the ledger's lines are listed, nothing is changed."""
    theirs = plan["tenants"][0]
    assert (theirs["changes"], theirs["later"], theirs["drift"]) == ([], [], [])
    assert theirs["forgotten"] == [
        "mailhost:alias/abuse@contoso.example", "mailhost:alias/postmaster@contoso.example",
        "mailhost:domain/contoso.example", "mailhost:mailbox/jane@contoso.example",
    ]  # fmt: skip


def test_a_finding_has_every_key_of_the_contract(found):
    """One finding, key by key."""
    (finding,) = [f for f in found["findings"] if f["code"] == "PL201" and "tom@" in f["subject"]]
    detail = finding.pop("detail")
    assert "paused" in detail
    assert finding == {
        "code": "PL201", "severity": "warning", "subject": "mailhost:mailbox/tom@northwind.example",
        "summary": "Changed outside Git", "file": NORTHWIND, "line": 5, "column": 3, "known": False,
    }  # fmt: skip


def test_validate_is_of_its_format(world, tmp_path):
    """`reconciler.findings/1`, with findings and without, and where there is not even a commit."""
    assert conforms(world[0].run("validate", "--format", "json").json) == {
        "format": "reconciler.findings/1", "commit": world[0].head, "findings": [],
    }  # fmt: skip
    bad = make(tmp_path / "bad", northwind({"jane": "{owner: kim, qouta: 1}"}))
    assert len(conforms(bad.run("validate", "--format", "json").json)["findings"]) == 1
    assert conforms(bad.run("validate", "--rev", "nothing", "--format", "json").json)["commit"] is None


def test_a_result_is_of_its_format(tmp_path):
    """`reconciler.result/1`: run, commit, and per tenant the verdict, what was done and what was not."""
    estate = make(tmp_path / "estate", northwind(), contoso(), mail({"jane": "{owner: kim}"}, "", "contoso.example"))
    result = conforms(estate.apply().json)
    theirs, ours = result["tenants"]
    assert (result["commit"], len(result["run"]) > 0) == (estate.head, True)
    assert (theirs["result"], theirs["done"], theirs["rerun"]) == ("refused", [], None)
    assert (ours["result"], ours["not_done"], ours["error"], ours["rerun"]) == ("applied", [], None, None)
    assert {"address": "mailhost:mailbox/jane@northwind.example", "action": "create"} in ours["done"]
    again = conforms(estate.apply().json)
    assert [tenant["result"] for tenant in again["tenants"]] == ["refused", "nothing"]
    assert again["run"] != result["run"]


def test_what_cannot_be_read_is_not_planned(tmp_path):
    """`complete` is false, `unread` says of what and why; nothing of that provider is planned, not even a create."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.database.write_bytes(b"no database at all " * 100)
    estate.write({**mail({"jane": "{owner: jane}", "new": "{owner: jane}"}), **dns("with: {dmarc: quarantine}\n")})
    run = estate.run("plan", "--format", "json")
    (found,) = conforms(run.json)["tenants"]
    assert (run.code, found["complete"]) == (1, False)
    assert {unread["provider"] for unread in found["unread"]} == {"mailhost"}
    assert "mailhost" not in {change["provider"] for change in found["changes"]}
    assert (found["drift"], found["later"], found["forgotten"], found["unmanaged"]["listed"]) == ([], [], [], [])


def test_what_a_person_must_do_is_todo(tmp_path):
    """`read_only: true`: compared, listed under `todo` in the shape of a change, never written and in no digest."""
    agency = AGENCY.replace("zone_files,", "zone_files, read_only: true,")
    estate = make(tmp_path / "estate", northwind(), agency=agency)
    run = estate.run("plan", "--format", "json")
    (found,) = conforms(run.json)["tenants"]
    assert {change["provider"] for change in found["changes"]} == {"mailhost"}
    assert summary(found["todo"]) == {
        ("create", f"{record}northwind.example") for record in ("MX/", "TXT/", "TXT/_dmarc.")
    }
    assert (run.code, found["digest"]) == (0, digest_of(found))
    assert estate.apply().code == 0
    assert not estate.zone().exists()
    assert estate.run("plan", "--exit-code").code == 0


def test_a_value_known_after_applying_is_said_to_be(tmp_path):
    """A DKIM key's public half, in the key and in the record that publishes it."""
    estate = make(tmp_path / "estate", northwind(names="dkim: {sign: [], keys: {e1: {type: ed25519}}}\n"))
    (found,) = conforms(estate.plan())["tenants"]
    later = {"known": "after apply"}
    key = change_of(found, "e1._domainkey.northwind.example")
    assert key["fields"]["public"] == {"from": None, "to": later}
    assert change_of(found, "TXT/e1._domainkey.northwind.example")["fields"]["values"] == {"from": None, "to": [later]}
    assert found["digest"] == digest_of(found)


def test_a_takeover_is_an_update_that_a_revert_brings_back_in_part(tmp_path):
    """What was never in Git is not brought back by Git; the plan says so."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.redirect("new", "x@y.example")
    estate.write({**mail(more="aliases:\n  info: [jane]\n  new: [tom]\n"), **accepting("PL202", "northwind.example")})
    (found,) = conforms(estate.plan())["tenants"]
    (change,) = found["changes"]
    assert (change["action"], change["revert"], change["fields"]["to"]["from"]) == (
        "update",
        "partial",
        ["x@y.example"],
    )


# ---------------------------------------------------------------------- the same bytes


def without_moment(text):
    """A plan's text but for `read_at`."""
    return [line for line in text.splitlines() if '"read_at"' not in line]


def test_the_same_input_gives_the_same_bytes(world):
    """Another hash seed, time zone, locale and folder change nothing but `read_at`."""
    estate, _, _ = world
    command = [sys.executable, "-m", "reconciler", "plan", "--format", "json", "--estate"]
    outputs = []
    for seed, zone, locale in (
        ("0", "UTC", "C"),
        ("1", "Pacific/Kiritimati", "C.UTF-8"),
        ("2", "America/Adak", "POSIX"),
    ):
        env = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "LC_ALL": locale,
            "LANG": locale,
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run([*command, "."], cwd=estate.root, env=env, capture_output=True, check=True)
        outputs.append(without_moment(done.stdout.decode()))
    assert outputs[0] == outputs[1] == outputs[2] == without_moment(estate.run("plan", "--format", "json").out)


def test_equal_digests_do_the_same_to_the_world(tmp_path):
    """Another commit, line, comment, finding or ledger step leaves a digest alone; another value does not."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    changed = {
        **mail(
            {"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom, quota: 2 GiB}"}, "aliases:\n  info: [jane]\n"
        )
    }
    estate.write(changed)
    first = estate.plan()
    text = changed[NORTHWIND]
    estate.write(
        {NORTHWIND: f"# moved by a line\n{text.replace('{owner: tom', '{owner: jane')}"},
        "As before, but for owner and lines",
    )
    estate.sql("UPDATE mailbox SET active = 0 WHERE username = 'tom@northwind.example'")
    second = estate.plan()
    assert second["commit"] != first["commit"]
    assert second["tenants"][0]["drift"] != []
    assert second["digest"] == first["digest"]
    estate.write({NORTHWIND: text.replace("1 GiB", "3 GiB")})
    assert estate.plan()["digest"] != first["digest"]


def test_bytes_that_are_no_text_stay_one_json_document(tmp_path):
    """A live TXT value of arbitrary bytes is shown escaped: the document is UTF-8 and parses."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.zone().write_bytes(
        estate.zone().read_bytes().replace(b'"v=DMARC1; p=none"', b'"v=DMARC1; p=\\255\\000\xe9"')
    )
    estate.write(dns("with: {dmarc: quarantine}\n"))
    run = estate.run("plan", "--format", "json")
    (found,) = conforms(run.json)["tenants"]
    assert [change["name"] for change in found["changes"]] == ["TXT/_dmarc.northwind.example"]
    assert NORTHWIND_DNS in run.out
