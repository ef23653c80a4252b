"""The example estate, changed by hand at random: what `import --drift` writes is no drift any more."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import canonical, documents
from reconciler.last_change import lines_of
from tests.estates import ROOT, make

NUMBER = st.integers(0, 2**16)
KINDS = ("quota", "name", "state", "to", "copies", "gone", "value", "ttl", "set", "member", "signing")
TEXTS = ("Zoë", "a: b # c", "yes", "{x}", "'", "10", "@x", "-", "[skip ci]")
VALUES = {"A": "192.0.2.99", "AAAA": "2001:db8::99", "CNAME": "x.vendor.example.", "MX": "5 mx.vendor.example."}
EDITS = st.lists(st.tuples(st.sampled_from(KINDS), NUMBER, NUMBER), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The project's own example, applied."""
    files = [path for part in ("tenants", "domain-templates") for path in (ROOT / part).rglob("*.yaml")]
    said = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    estate = make(tmp_path_factory.mktemp("law") / "estate", said, agency=(ROOT / "reconciler.yaml").read_text())
    estate.applied({})
    shutil.copytree(estate.root / "var", estate.root.parent / "var")
    return estate


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDITS)
def test_what_is_imported_is_no_drift_and_moves_its_own_lines_only(example, edits):
    """Each value that drifted is written or left with a reason, and the plan of the commit has none of the written."""
    shutil.rmtree(example.root / "var")
    shutil.copytree(example.root.parent / "var", example.root / "var")
    with closing(sqlite3.connect(example.database)) as mail:
        for what, which, how in edits:
            by_hand(example, mail, what, which, how)
        mail.commit()
    drifted = {(t["tenant"], d["address"], d["field"]) for t in example.plan()["tenants"] for d in t["drift"]}
    run = example.run("import", "--drift", "--format", "json")
    assert run.code in {0, 1, 3}, run.err
    found = run.json
    written, left = (
        {(item["tenant"], item["address"], item["field"]) for item in found[key]} for key in ("written", "left")
    )
    assert (written | left, written & left) == (drifted, set())
    assert all(item["why"] for item in found["left"])
    if written:
        holds(example, found, written)
        example.git("branch", "--quiet", "-D", found["branch"])


def holds(estate, found, written):
    """The plan of the commit has nothing of what was written, and its diff nothing of anything else."""
    for tenant in found["plan"]["tenants"]:
        again = {(tenant["tenant"], d["address"], d["field"]) for d in tenant["drift"]}
        assert again & written == set()
        assert {c["address"] for c in tenant["changes"]} & {address for _, address, _ in written} == set()
    for file in estate.git("diff", "--name-only", found["base"], found["commit"]).splitlines():
        assert file in found["files"]
        document = documents.parse(file, estate.git("show", f"{found['base']}:{file}").encode())
        mine = {line for _, address, _ in written for line in lines(document, address.partition(":")[2])}
        diff = estate.git("diff", "-U0", found["base"], found["commit"], "--", file)
        for first, count in re.findall(r"^@@ -(\d+)(?:,(\d+))? ", diff, re.MULTILINE):
            assert set(range(int(first), int(first) + int(count or 1))) <= mine, diff


def lines(document, name):
    """The lines of a file that speak of a thing."""
    kind, _, address = name.partition("/")
    domain = canonical.domain(document.data["domain"])
    said = document.data
    paths = [
        (section, key)
        for section in ("mailboxes", "shared", "aliases", "forwards")
        for key in said.get(section, {})
        if canonical.address(key, domain) == address
    ]
    paths += [("catch_all",)] if address == f"@{domain}" else []
    paths += [("dkim",)] if kind == "dkim_signing" and "dkim" in said else []
    for index, item in enumerate(said.get("records", ()) if kind == "record" else ()):
        host = domain if item["name"] == "@" else f"{canonical.domain(item['name'])}.{domain}"
        paths += [("records", index)] if f"{item['type']}/{host}" == address else []
    return [line for path in paths for line in range(lines_of(document, path).first, lines_of(document, path).last + 1)]


def by_hand(estate, mail, what, which, how):
    """One thing that somebody does on the servers."""

    def one(text):
        rows = mail.execute(text).fetchall()
        return rows[which % len(rows)][0]

    box = one("SELECT username FROM mailbox ORDER BY username")
    alias = one("SELECT address FROM alias ORDER BY address")
    if what == "quota":
        mail.execute("UPDATE mailbox SET quota = ? WHERE username = ?", (how * 2**20, box))
    elif what == "name":
        mail.execute("UPDATE mailbox SET name = ? WHERE username = ?", (TEXTS[how % len(TEXTS)], box))
    elif what == "state":
        mail.execute("UPDATE mailbox SET active = 1 - active WHERE username = ?", (box,))
    elif what in {"to", "copies"}:
        boxes = [row[0] for row in mail.execute("SELECT username FROM mailbox ORDER BY username")]
        out = ["x@vendor.example"] if what == "copies" else []
        goto = ",".join([boxes[how % len(boxes)], boxes[how * 7 % len(boxes)], *out])
        mail.execute("UPDATE alias SET goto = ? WHERE address = ?", (goto, alias))
    elif what == "gone":
        mail.execute("DELETE FROM alias WHERE address = ?", (alias,))
    elif what == "member":
        mail.execute("UPDATE reconciler_member SET access = 'read' WHERE rowid % 3 = ?", (how % 3,))
    elif what == "signing":
        mail.execute("DELETE FROM reconciler_dkim_signing WHERE rowid % 5 = ?", (how % 5,))
    else:
        in_zone(estate, what, which, how)


def in_zone(estate, what, which, how):
    zones = sorted((estate.root / "var" / "zones").glob("*.zone"))
    path = zones[which % len(zones)]
    text = path.read_text().splitlines()
    records = [at for at, line in enumerate(text) if re.search(r" IN (?!SOA|NS )", line)]
    at = records[how % len(records)]
    name, ttl, _, type_, value = text[at].split(" ", 4)
    if what == "ttl":
        ttl = str(60 * (1 + which % 90))
    elif what == "value" and type_ in VALUES:
        value = VALUES[type_]
    elif what == "value":
        value = value.replace("none", "reject").replace("spf.agency", "spf.other")
    text[at : at + 1] = [] if what == "set" else [f"{name} {ttl} IN {type_} {value}"]
    path.write_text("\n".join(text) + "\n")
