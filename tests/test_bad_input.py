"""Bad input: each gets its finding with place and exit code, stops the tenants it concerns, and writes nothing there.

Every case below is put into one tenant, Northwind, which was applied before. Contoso, beside it, has a change to make
and must get it each time.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from reconciler.providers import _sql
from tests.estates import (
    AGENCY,
    CONTOSO,
    NORTHWIND,
    NORTHWIND_DNS,
    TEMPLATE,
    Estate,
    call,
    codes,
    contoso,
    control,
    dns,
    mail,
    make,
    northwind,
    summary,
    tenant,
)
from tests.servers import free_port

TENANT = "tenants/northwind/tenant.yaml"
CONTROL = "tenants/northwind/control.yaml"
MINI = "domain-templates/mini/1.yaml"
SOUND = mail({"jane": "{owner: jane}"}, "aliases:\n  info: [jane]\n", "contoso.example")


def box(said: str) -> dict[str, str | bytes | None]:
    return mail({"jane": said})


def aliases(lines: str) -> dict[str, str | bytes | None]:
    return mail(more=f"aliases:\n{lines}\n")


def record(text: str) -> dict[str, str | bytes | None]:
    return dns(f"records:\n  - {text}\n")


def raw(file: str, content: str | bytes) -> dict[str, str | bytes | None]:
    return {file: content}


HEAD = "domain: northwind.example\nowner: jane\n"
FORWARD = "to: [jane@phone.example], owner: jane, reason: travel, approved_by: ops, expires: 2099-12-31"

BOMB = f"{HEAD}a0: &a0 [x, x]\na1: &a1 [*a0, *a0]\n"

# What is wrong -> the files, the finding's code, and where it stands (where several lines clash: each of them).
CASES = {
    # files that are missing, or not what they are called
    "no tenant.yaml": ({TENANT: None}, "IN219", f"{TENANT}:1:1"),
    "a DNS file without a domain file": ({NORTHWIND: None}, "IN209", f"{NORTHWIND_DNS}:1:1"),
    "tenant id and folder": (raw(TENANT, "tenant: northwnd\nname: N\n"), "IN201", f"{TENANT}:1:1"),
    "tenant id in control": (raw(CONTROL, "quota: 1 GiB\ntenant: contoso\n"), "IN201", f"{CONTROL}:2:1"),
    "domain and file": (raw(NORTHWIND, "domain: north.example\nowner: jane\n"), "IN201", f"{NORTHWIND}:1:1"),
    "domain and DNS file": (raw(NORTHWIND_DNS, "\ndomain: north.example\n"), "IN201", f"{NORTHWIND_DNS}:2:1"),
    "a stray file": (raw("tenants/northwind/boxes.yaml", "a: b\n"), "IN223", "tenants/northwind/boxes.yaml:1:1"),
    "a domain file that is deeper": (
        raw("tenants/northwind/domains/x/y.example.yaml", "a: b\n"), "IN223", "tenants/northwind/domains/x/y.example.yaml:1:1",
    ),
    # YAML
    "not YAML": (raw(NORTHWIND, f"{HEAD}mailboxes:\n  jane: {{owner: jane\n"), "IN005", f"{NORTHWIND}:5:1"),
    "tabs": (raw(NORTHWIND, f"{HEAD}mailboxes:\n\tjane: {{owner: jane}}\n"), "IN005", f"{NORTHWIND}:4:1"),
    "a byte order mark": (raw(NORTHWIND, f"\ufeff{HEAD}"), "IN003", f"{NORTHWIND}:1:1"),
    "Latin-1": (raw(TENANT, "tenant: northwind\nname: Caf\xe9\n".encode("latin-1")), "IN002", f"{TENANT}:2:10"),
    "a bidi character": (raw(NORTHWIND, f"{HEAD}# \u202e\n"), "IN004", f"{NORTHWIND}:3:3"),
    "an escaped bidi character": (box('{owner: jane, name: "J \\u202e R"}'), "IN004", f"{NORTHWIND}:4:29"),
    "a NUL": (raw(NORTHWIND, f"{HEAD}mail\0: x\n"), "IN004", f"{NORTHWIND}:3:5"),
    "an escaped NUL": (box('{owner: jane, name: "J\\0R"}'), "IN004", f"{NORTHWIND}:4:29"),
    "CR LF in an address": (aliases('  info: ["jane\\r\\nbcc: x"]'), "IN004", f"{NORTHWIND}:7:10"),
    "CR LF in a local part": (aliases('  "in\\r\\nfo": [jane]'), "IN004", f"{NORTHWIND}:7:3"),
    "a tag": (box("{owner: !!str jane}"), "IN007", f"{NORTHWIND}:4:17"),
    "a Python tag": (box("!!python/object/apply:os.system [id]"), "IN007", f"{NORTHWIND}:4:9"),
    "an anchor": (box("&a {owner: jane}"), "IN008", f"{NORTHWIND}:4:9"),
    "an alias bomb": (raw(NORTHWIND, BOMB), "IN008", f"{NORTHWIND}:3:5 {NORTHWIND}:4:5 {NORTHWIND}:4:11 {NORTHWIND}:4:16"),
    "a merge key": (box("{<<: {owner: jane}}"), "IN009", f"{NORTHWIND}:4:10"),
    "a key twice": (raw(NORTHWIND, f"{HEAD}Owner: tom\n"), "IN015", f"{NORTHWIND}:3:1"),
    "a local part twice in capitals": (
        mail({"jane": "{owner: jane}", "Jane": "{owner: tom}"}), "IN015", f"{NORTHWIND}:5:3",
    ),
    "an empty value": (raw(NORTHWIND, "domain: northwind.example\nowner:\n"), "IN016", f"{NORTHWIND}:2:1"),
    "two documents": (raw(NORTHWIND, f"{HEAD}---\nowner: tom\n"), "IN012", f"{NORTHWIND}:3:1"),
    "an empty file": (raw(NORTHWIND, ""), "IN013", f"{NORTHWIND}:1:1"),
    "2 MB": (raw(NORTHWIND, HEAD + "# comment\n" * 210_000), "IN001", f"{NORTHWIND}:1:1"),
    "5,000 levels": (raw(NORTHWIND, HEAD + f"mailboxes: {'[' * 5000}{']' * 5000}\n"), "IN006", f"{NORTHWIND}:3:31"),
    # the schema
    "an unknown key": (box("{owner: jane, qouta: 1 GiB}"), "IN020", f"{NORTHWIND}:4:23"),
    "a missing key": (box("{quota: 1 GiB}"), "IN021", f"{NORTHWIND}:4:3"),
    "a wrong type": (box("{owner: jane, quota: 5}"), "IN022", f"{NORTHWIND}:4:23"),
    "a wrong choice": (box("{owner: jane, state: locked}"), "IN023", f"{NORTHWIND}:4:23"),
    "a wrong size": (box("{owner: jane, quota: 5GB}"), "IN024", f"{NORTHWIND}:4:23"),
    "a day that is none": (
        mail(more=f"forwards:\n  x: {{{FORWARD.replace('12-31', '02-30')}}}\n"), "IN026", f"{NORTHWIND}:7:80",
    ),
    "a password": (box("{owner: jane, password: secret}"), "IN027", f"{NORTHWIND}:4:23"),
    "a password, deep and in capitals": (
        raw(TENANT, "tenant: northwind\nname: N\nassets:\n  - {kind: x, name: y, Password: z}\n"), "IN027", f"{TENANT}:4:24",
    ),
    "an unknown record type": (record('{name: "@", type: SPF, values: ["x"]}'), "IN023", f"{NORTHWIND_DNS}:4:17"),
    "NS": (record('{name: "@", type: NS, values: ["ns.x.example."]}'), "IN028", f"{NORTHWIND_DNS}:4:17"),
    "SOA": (record('{name: "@", type: SOA, values: ["x"]}'), "IN028", f"{NORTHWIND_DNS}:4:17"),
    "a shared mailbox without members": (mail(more="shared:\n  desk: {owner: jane}\n"), "IN021", f"{NORTHWIND}:7:3"),
    # names
    "an address used twice": (aliases("  jane: [tom]"), "IN203", f"{NORTHWIND}:4:3 {NORTHWIND}:7:3"),
    "a shared mailbox of a mailbox's name": (
        mail(more="shared:\n  jane: {owner: jane, members: {tom: full}}\n"), "IN203", f"{NORTHWIND}:4:3 {NORTHWIND}:7:3",
    ),
    "a forward on a mailbox that does not say what stays": (
        mail(more=f"forwards:\n  jane: {{{FORWARD}}}\n"), "IN215", f"{NORTHWIND}:7:3",
    ),
    "a space in a local part": (aliases('  "in fo": [jane]'), "IN204", f"{NORTHWIND}:7:3"),
    "a local part of 65 letters": (aliases(f"  {'a' * 65}: [jane]"), "IN204", f"{NORTHWIND}:7:3"),
    "a target that is no address": (aliases('  info: ["jane@@x"]'), "IN204", f"{NORTHWIND}:7:10"),
    "a name that IDNA forbids": (aliases("  info: [jane@xn--zzzz--.example]"), "IN204", f"{NORTHWIND}:7:10"),
    "a record outside the domain": (
        record('{name: "www.other.example.", type: A, values: [192.0.2.1]}'), "IN024", f"{NORTHWIND_DNS}:4:6",
    ),
    "a record above the domain": (record('{name: "..", type: A, values: [192.0.2.1]}'), "IN024", f"{NORTHWIND_DNS}:4:6"),
    "a zone the domain is not in": (
        raw(NORTHWIND_DNS, "domain: northwind.example\nzone: {name: other.example}\n"), "IN204", f"{NORTHWIND_DNS}:2:8",
    ),
    "an A record that is no address": (record('{name: "@", type: A, values: [192.0.2]}'), "IN210", f"{NORTHWIND_DNS}:4:5"),
    "a target without a dot": (
        record('{name: x, type: CNAME, values: [www.other.example]}'), "IN210", f"{NORTHWIND_DNS}:4:5",
    ),
    "a second SPF": (record('{name: "@", type: TXT, values: ["v=spf1 -all"]}'), "IN212", f"{NORTHWIND_DNS}:4:5"),
    "an MX beside the template's": (
        record('{name: "@", type: MX, values: ["5 mx.other.example."]}'), "IN213", f"{NORTHWIND_DNS}:4:5",
    ),
    "a CNAME beside other records": (
        record('{name: _dmarc, type: CNAME, values: [d.vendor.example.]}'), "IN203", f"{NORTHWIND_DNS}:1:1 {NORTHWIND_DNS}:4:5",
    ),
    # references
    "an unknown owner": (box("{owner: kim}"), "IN205", f"{NORTHWIND}:4:10"),
    "a team as owner": (box("{owner: ops}"), "IN205", f"{NORTHWIND}:4:10"),
    "an unknown approver": (
        mail(more=f"forwards:\n  x: {{{FORWARD.replace('by: ops', 'by: opps')}}}\n"), "IN205", f"{NORTHWIND}:7:62",
    ),
    "an unknown holder of a role": (control("roles: {dns_auth: [jane, opps]}\n"), "IN205", f"{CONTROL}:2:26"),
    "an unknown member of a team": (
        {**tenant("northwind", "teams: {sales: {members: [jane, kim]}}\n")}, "IN205", f"{TENANT}:6:34",
    ),
    "an id of the agency's": (tenant("northwind", "teams: {ops: {members: [jane]}}\n"), "IN222", f"{TENANT}:6:9"),
    "a team of a person's id": (tenant("northwind", "teams: {tom: {members: [jane]}}\n"), "IN222", f"{TENANT}:6:9"),
    "an unknown template": (dns("template: minni/1\n"), "IN206", f"{NORTHWIND_DNS}:3:1"),
    "an unknown server": (dns("server: secondary\n"), "IN207", f"{NORTHWIND_DNS}:3:1"),
    "an unknown provider": (control("mail: nowhere\n"), "IN208", f"{CONTROL}:2:1"),
    "a provider of the other side": (dns("dns: mailhost\n"), "IN208", f"{NORTHWIND_DNS}:3:1"),
    "a parameter the template has not": (dns("with: {dmark: none}\n"), "IN232", f"{NORTHWIND_DNS}:3:8"),
    "a value the parameter has not": (dns("with: {dmarc: maybe}\n"), "IN232", f"{NORTHWIND_DNS}:3:8"),
    "a value from control.yaml the parameter has not": (control("with: {dmarc: maybe}\n"), "IN232", f"{CONTROL}:2:8"),
    "signing with a key that is not there": (
        dns("dkim:\n  sign: [s2]\n  keys: {s1: {type: rsa, bits: 2048}}\n"), "IN227", f"{NORTHWIND_DNS}:4:3",
    ),
    "a twin of a domain that is not there": (
        {**raw(NORTHWIND, f"{HEAD}alias_of: other.example\n")}, "IN218", f"{NORTHWIND}:3:1",
    ),
    "an alias to nowhere": (aliases("  info: [kim]"), "RT001", f"{NORTHWIND}:7:10"),
    "one of several targets": (aliases("  info:\n    - jane\n    - kim"), "RT001", f"{NORTHWIND}:9:7"),
    "a member that is not there": (
        mail(more="shared:\n  desk: {owner: jane, members: {tom: full, kim: read}}\n"), "RT001", f"{NORTHWIND}:7:43",
    ),
    "an alias that leaves": (aliases("  info: [jane, jane@phone.example]"), "RT002", f"{NORTHWIND}:7:16"),
}  # fmt: skip


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    """Northwind and Contoso, both applied."""
    folder = tmp_path_factory.mktemp("bad") / "estate"
    return make(folder, northwind(), contoso()).applied({})


@pytest.fixture
def estate(applied, tmp_path):
    """A copy of them, and a change for Contoso that is not applied yet."""
    copy = Estate(Path(shutil.copytree(applied.root, tmp_path / "estate", symlinks=True)))
    copy.save(SOUND)
    return copy


def places(run, code):
    """Where the findings of a code stand, of any command's JSON."""
    found = [*run.json.get("findings", ()), *(f for t in run.json.get("tenants", ()) for f in t["findings"])]
    return {f"{f['file']}:{f['line']}:{f['column']}" for f in found if f["code"] == code and f["severity"] == "error"}


def northwinds(estate):
    """All of Northwind that is live: its rows, its zone, its ledger."""
    rows = [
        row
        for table in ("mailbox", "alias", "domain")
        for row in estate.sql(f"SELECT * FROM {table} WHERE domain = 'northwind.example'")
    ]
    return rows, estate.zone().read_bytes(), estate.git("rev-parse", "refs/reconciler/tenants/northwind")


def contoso_goes_on(estate, exits):
    """Northwind stops with one of these exits and is not touched; Contoso is planned and applied all the same."""
    before = northwinds(estate)
    plan = estate.run("plan", "--format", "json")
    by_tenant = {found["tenant"]: found for found in plan.json["tenants"]}
    assert plan.code in exits
    assert summary(by_tenant["contoso"]["changes"]) == {("create", "alias/info@contoso.example".partition("/")[2])}
    done = estate.apply()
    results = {found["tenant"]: found["result"] for found in done.json["tenants"]}
    assert (done.code, results["contoso"]) == (plan.code, "applied")
    assert results["northwind"] in {"refused", "failed"}
    assert northwinds(estate) == before
    assert estate.sql("SELECT goto FROM alias WHERE address = 'info@contoso.example'") == [("jane@contoso.example",)]


@pytest.mark.parametrize(("files", "code", "place"), CASES.values(), ids=CASES)
def test_bad_input_is_named_with_its_place_and_stops_its_tenant_alone(estate, files, code, place):
    """One finding says what and where; exit 1 (3 where a check refuses a sound file); the neighbour is applied."""
    estate.write(files)
    validated = estate.run("validate", "--format", "json")
    assert places(validated, code) == set(place.split())
    assert validated.code == 1
    text = estate.run("validate")
    assert all(f"error {code} {one}: " in text.out for one in place.split())
    assert text.code == 1
    contoso_goes_on(estate, {1} if code.startswith("IN") else {3})
