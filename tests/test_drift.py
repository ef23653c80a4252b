"""`reconciler drift`: what was changed outside Git, how risky that is, and since when."""

from __future__ import annotations

import json

import pytest

from tests.estates import contoso, control, make, northwind
from tests.test_due import INFO, TOM, day, redirect


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(), contoso()).applied({})


def drift(estate, *arguments):
    run = estate.run("drift", "--format", "json", *arguments)
    return run.code, run.json


def test_nothing_drifted(estate):
    """Exit code 0, in words and as JSON."""
    code, found = drift(estate)
    assert (code, [t["drift"] for t in found["tenants"]]) == (0, [[], []])
    assert "Nothing changed outside Git" in estate.run("drift").out


def test_what_git_says_and_what_live_says(estate):
    """A redirected alias is of high risk, a quota of low; exit code 2."""
    redirect(estate)
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    code, found = drift(estate)
    rows = [(d["address"], d["field"], d["git"], d["live"], d["risk"]) for d in found["tenants"][1]["drift"]]
    assert (code, rows) == (
        2,
        [
            (INFO, "to", ["jane@northwind.example"], ["tom@northwind.example"], "high"),
            (TOM, "quota", 2 * 2**30, 1, "low"),
        ],
    )
    text = estate.run("drift").out
    assert "to: Git says jane@northwind.example, live is tom@northwind.example" in text


def test_unmanaged_things_of_high_risk_count(estate):
    """A catch-all nobody declared is exit code 2; an unmanaged alias inside is told, and is not."""
    estate.redirect("hello", "jane@northwind.example")
    assert drift(estate)[0] == 0
    estate.redirect("", "jane@northwind.example")
    code, found = drift(estate)
    assert code == 2
    assert ("mailhost:alias/@northwind.example", "high") in {
        (item["address"], item["risk"]) for item in found["tenants"][1]["unmanaged"]["listed"]
    }


def test_what_leads_to_a_domain_with_mail_elsewhere_counts(estate):
    """The domain is declared, its mail is not ours: what goes there leaves. One with `0 .` takes none."""
    for name, mx in (("else.example", "10 mx.other.test."), ("parked.example", "0 .")):
        says = f"records: [{{name: '@', type: MX, values: ['{mx}'], mode: replace, reason: so it is}}]\n"
        folder = "tenants/northwind"
        estate.write(
            {
                f"{folder}/domains/{name}.yaml": f"domain: {name}\nowner: jane\nmail: null\n",
                f"{folder}/dns/{name}.yaml": f"domain: {name}\nzone: {{create: true}}\n{says}",
            }
        )
        estate.redirect(f"to-{name.partition('.')[0]}", f"jane@{name}")
    listed = drift(estate)[1]["tenants"][1]["unmanaged"]["listed"]
    assert [(item["address"], item["risk"]) for item in listed if "/to-" in item["address"]] == [
        ("mailhost:alias/to-else@northwind.example", "high"),
        ("mailhost:alias/to-parked@northwind.example", "low"),
    ]


def test_accepted_drift_is_told_and_counts_not(estate):
    """Until its day."""
    estate.sql("UPDATE mailbox SET quota = 1073741824 WHERE username = 'tom@northwind.example'")
    item = f"finding: PL201, subject: '{TOM}', field: quota, value: 1 GiB, approved_by: ops, expires: {day(1)}"
    estate.write(control(f"accept:\n  - {{{item}}}\n"))
    assert drift(estate)[0] == 0
    assert f"accepted by ops until {day(1)}" in estate.run("drift").out


def test_since_when_is_kept_where_it_is_asked_for(estate):
    """`--record` notes a value when it is first seen and keeps that; another is seen anew; gone, it is forgotten."""
    redirect(estate)
    assert drift(estate)[1]["tenants"][1]["drift"][0]["first_seen"] is None
    assert estate.git("for-each-ref", "refs/reconciler/drift") == ""
    first = drift(estate, "--record")[1]
    assert first["tenants"][1]["drift"][0]["first_seen"] == first["read_at"]
    tip = estate.git("rev-parse", "refs/reconciler/drift")
    seen = json.loads(estate.git("show", "refs/reconciler/drift:northwind.json"))
    old = dict.fromkeys(seen, "2026-01-02T03:04:05Z")
    _put(estate, old)
    assert drift(estate, "--record")[1]["tenants"][1]["drift"][0]["first_seen"] == "2026-01-02T03:04:05Z"
    estate.sql("UPDATE alias SET goto = 'x@northwind.example' WHERE address = 'info@northwind.example'")
    assert drift(estate, "--record")[1]["tenants"][1]["drift"][0]["first_seen"] != "2026-01-02T03:04:05Z"
    estate.sql("UPDATE alias SET goto = 'jane@northwind.example' WHERE address = 'info@northwind.example'")
    assert drift(estate, "--record")[0] == 0
    assert estate.git("ls-tree", "--name-only", "refs/reconciler/drift") == ""
    assert estate.git("merge-base", "--is-ancestor", tip, "refs/reconciler/drift") == ""


def _put(estate, seen):
    """Another file in the place of Northwind's, on top of what is there."""
    blob = estate._object("hash-object", "-w", "--stdin", text=json.dumps(seen).encode())
    tree = estate._object("mktree", text=f"100644 blob {blob}\tnorthwind.json\n".encode())
    parent = estate.git("rev-parse", "refs/reconciler/drift")
    estate.git("update-ref", "refs/reconciler/drift", estate.git("commit-tree", tree, "-p", parent, "-m", "by hand"))


def test_it_is_kept_where_the_ledger_is(estate, tmp_path):
    """Another clone goes on from what the first one saw."""
    estate.git("init", "--quiet", "--bare", str(tmp_path / "hub.git"))
    estate.git("remote", "add", "origin", str(tmp_path / "hub.git"))
    redirect(estate)
    assert drift(estate, "--record")[0] == 2
    refs = estate.git("ls-remote", "origin").split()
    assert "refs/reconciler/drift" in refs


def test_what_cannot_be_read_is_an_error(estate):
    """Exit code 1, and it is said what."""
    estate.zone().write_text("no zone file")
    assert drift(estate)[0] == 1
    assert "not read: zones" in estate.run("drift").out
