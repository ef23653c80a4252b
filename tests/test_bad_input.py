"""Bad input: each gets its finding with place and exit code, stops the tenants it concerns, and writes nothing there.

Every case below is put into one tenant, Northwind, which was applied before. Contoso, beside it, has a change to make
and must get it each time.
"""

from __future__ import annotations

import os
import re
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

FOLDER = "tenants/northwind"
TENANT = f"{FOLDER}/tenant.yaml"
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
        raw(f"{FOLDER}/domains/x/y.example.yaml", "a: b\n"), "IN223", f"{FOLDER}/domains/x/y.example.yaml:1:1",
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
    "an alias bomb": (
        raw(NORTHWIND, BOMB), "IN008", f"{NORTHWIND}:3:5 {NORTHWIND}:4:5 {NORTHWIND}:4:10 {NORTHWIND}:4:15",
    ),
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
        raw(TENANT, "tenant: northwind\nname: N\nassets:\n  - {kind: x, name: y, Password: z}\n"),
        "IN027", f"{TENANT}:4:24",
    ),
    "an unknown record type": (record('{name: "@", type: SPF, values: ["x"]}'), "IN023", f"{NORTHWIND_DNS}:4:17"),
    "NS": (record('{name: "@", type: NS, values: ["ns.x.example."]}'), "IN028", f"{NORTHWIND_DNS}:4:17"),
    "SOA": (record('{name: "@", type: SOA, values: ["x"]}'), "IN028", f"{NORTHWIND_DNS}:4:17"),
    "a shared mailbox without members": (mail(more="shared:\n  desk: {owner: jane}\n"), "IN021", f"{NORTHWIND}:7:3"),
    # names
    "an address used twice": (aliases("  jane: [tom]"), "IN203", f"{NORTHWIND}:4:3 {NORTHWIND}:7:3"),
    "a shared mailbox of a mailbox's name": (
        mail(more="shared:\n  jane: {owner: jane, members: {tom: full}}\n"),
        "IN203", f"{NORTHWIND}:4:3 {NORTHWIND}:7:3",
    ),
    "a forward on a mailbox that does not say what stays": (
        mail(more=f"forwards:\n  jane: {{{FORWARD}}}\n"), "IN215", f"{NORTHWIND}:7:3",
    ),
    "a space in a local part": (aliases('  "in fo": [jane]'), "IN204", f"{NORTHWIND}:7:3"),
    "a local part of 65 letters": (aliases(f"  {'a' * 65}: [jane]"), "IN204", f"{NORTHWIND}:7:3"),
    "a target that is no address": (aliases('  info: ["jane@@x"]'), "IN204", f"{NORTHWIND}:7:10"),
    "a name that IDNA forbids": (aliases("  info: [jane@xn--zzzz--.example]"), "IN204", f"{NORTHWIND}:7:10"),
    "a contact at a name that IDNA forbids": (
        raw(TENANT, "tenant: northwind\nname: N\npeople:\n  jane: {contact: jane@xn--zzzz--.example}\n"),
        "IN204", f"{TENANT}:4:10",
    ),
    "resets to a name that IDNA forbids": (
        raw(TENANT, "tenant: northwind\nname: N\npeople: {jane: {contact: 112 00}}\nassets:\n"
                    "  - {kind: x, name: y, reset_to: jane@-x.example}\n"),
        "IN204", f"{TENANT}:5:24",
    ),
    "a record outside the domain": (
        record('{name: "www.other.example.", type: A, values: [192.0.2.1]}'), "IN024", f"{NORTHWIND_DNS}:4:6",
    ),
    "a record above it": (record('{name: "..", type: A, values: [192.0.2.1]}'), "IN024", f"{NORTHWIND_DNS}:4:6"),
    "a zone the domain is not in": (
        raw(NORTHWIND_DNS, "domain: northwind.example\nzone: {name: other.example}\n"),
        "IN204", f"{NORTHWIND_DNS}:2:8",
    ),
    "an A that is no address": (record('{name: "@", type: A, values: [192.0.2]}'), "IN210", f"{NORTHWIND_DNS}:4:5"),
    "a target without a dot": (
        record("{name: x, type: CNAME, values: [www.other.example]}"), "IN210", f"{NORTHWIND_DNS}:4:5",
    ),
    "a second SPF": (record('{name: "@", type: TXT, values: ["v=spf1 -all"]}'), "IN212", f"{NORTHWIND_DNS}:4:5"),
    "an MX beside the template's": (
        record('{name: "@", type: MX, values: ["5 mx.other.example."]}'), "IN213", f"{NORTHWIND_DNS}:4:5",
    ),
    "a CNAME beside other records": (
        record("{name: _dmarc, type: CNAME, values: [d.vendor.example.]}"),
        "IN233", f"{NORTHWIND_DNS}:1:1 {NORTHWIND_DNS}:4:5",
    ),
    # references
    "an unknown owner": (box("{owner: kim}"), "IN205", f"{NORTHWIND}:4:10"),
    "a team as owner": (box("{owner: ops}"), "IN205", f"{NORTHWIND}:4:10"),
    "an unknown approver": (
        mail(more=f"forwards:\n  x: {{{FORWARD.replace('by: ops', 'by: opps')}}}\n"), "IN205", f"{NORTHWIND}:7:62",
    ),
    "an unknown holder of a role": (control("roles: {dns_auth: [jane, opps]}\n"), "IN205", f"{CONTROL}:2:26"),
    "an unknown member of a team": (
        {**tenant("northwind", "teams: {sales: {members: [jane, kim]}}\n")}, "IN205", f"{TENANT}:6:33",
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
        mail(more="shared:\n  desk: {owner: jane, members: {tom: full, kim: read}}\n"), "RT001", f"{NORTHWIND}:7:44",
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


# ---------------------------------------------------------------------- what more than one file makes wrong


def test_two_tenants_with_one_domain_stop_both_and_no_third(estate):
    """A domain in two folders: a finding in each of the two, exit 1, and the others go on."""
    estate.write({**tenant("fabrikam"), "tenants/fabrikam/domains/northwind.example.yaml": HEAD})
    theirs = "tenants/fabrikam/domains/northwind.example.yaml:1:1"
    assert places(estate.run("validate", "--format", "json"), "IN202") == {f"{NORTHWIND}:1:1", theirs}
    contoso_goes_on(estate, {1})
    assert estate.sql("SELECT count(*) FROM domain") == [(2,)]


@pytest.mark.parametrize("name", ["northwind.example", "NORTHWIND.example"])
def test_a_domain_is_one_domain_in_capitals_too(estate, name):
    """Another spelling of the name does not get a second tenant past the check."""
    estate.write({**tenant("fabrikam"), f"tenants/fabrikam/domains/{name}.yaml": f"domain: {name}\nowner: jane\n"})
    assert {"IN202"} <= codes(estate.run("validate", "--format", "json").json["findings"])
    contoso_goes_on(estate, {1})


def test_a_link_in_place_of_a_tenant_is_refused(estate):
    """A symbolic link to another tenant's folder is not followed: it is an error of its own and no tenant."""
    (estate.root / "tenants" / "evil").symlink_to("northwind")
    estate.commit()
    run = estate.run("validate", "--format", "json")
    assert (run.code, places(run, "IN220")) == (1, {"tenants/evil:1:1"})
    done = estate.apply()
    results = {found["tenant"]: found["result"] for found in done.json["tenants"]}
    assert (done.code, results) == (1, {"contoso": "applied", "evil": "refused", "northwind": "nothing"})
    assert estate.git("for-each-ref", "--format=%(refname)", "refs/reconciler/tenants/evil") == ""


@pytest.mark.parametrize("file", [NORTHWIND, TENANT, NORTHWIND_DNS])
@pytest.mark.parametrize("mode", [[], ["--worktree"]])
def test_a_link_in_place_of_a_file_is_refused(estate, file, mode, tmp_path):
    """A file of the estate is a file: a link could bring in anything that the person who applies may read."""
    outside = tmp_path / "outside.yaml"
    outside.write_bytes((estate.root / file).read_bytes())
    (estate.root / file).unlink()
    (estate.root / file).symlink_to(outside)
    estate.commit()
    run = estate.run("validate", "--format", "json", *mode)
    assert (run.code, places(run, "IN220")) == (1, {f"{file}:1:1"})
    contoso_goes_on(estate, {1})


def test_a_submodule_in_place_of_a_domain_folder_is_refused(estate):
    """Another repository's commit is no file of this estate."""
    estate.commit()
    estate.git("rm", "-r", "--quiet", "tenants/northwind/dns")
    estate.git("update-index", "--add", "--cacheinfo", f"160000,{estate.head},tenants/northwind/dns")
    estate.git("commit", "--quiet", "--message", "A submodule")
    run = estate.run("validate", "--format", "json")
    assert (run.code, places(run, "IN220")) == (1, {"tenants/northwind/dns:1:1"})
    contoso_goes_on(estate, {1})


def test_a_template_that_is_bad_stops_those_that_use_it(estate):
    """A broken template is named once with its own line, and in the tenants that use it; the others are applied."""
    own = "domain-templates/own/1.yaml"
    bad = 'template: own/1\nrecords:\n  - {name: "@", type: TXT, values: ["{{ \'\'.__class__ }}"]}\n'
    estate.write({own: bad, **dns("template: own/1\n")})
    run = estate.run("validate", "--format", "json")
    assert run.code == 1
    assert places(run, "IN230") == {f"{own}:3:37"}
    contoso_goes_on(estate, {1})


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}", "{{ domain.__class__ }}", "{{ domain['__class__'] }}",
        "{% for x in [1] %}x{% endfor %}",
        "{{ 'a' * 100000000 }}", "{{ range(9) }}", "{{ domain | attr('upper') }}", "{{ domain.upper() }}",
        "{{ nothing }}",
        "{{ server.nothing }}", "{{ unclosed", "{% include 'x' %}", "{{ 2 ** 99999999 }}", "{# #}{{ lipsum }}",
        "{{ '\\n' }}",
    ],
)  # fmt: skip
def test_a_template_computes_nothing_and_reaches_nothing(estate, text):
    """Expressions are names, facts and four filters; all else is an error of the estate's, and never runs."""
    quoted = "'" + text.replace("'", "''") + "'"
    own = f'template: own/1\nrecords:\n  - {{name: "@", type: TXT, values: [{quoted}]}}\n'
    estate.write({"domain-templates/own/1.yaml": own, **dns("template: own/1\n")})
    run = estate.run("validate", "--format", "json")
    assert run.code == 1
    assert codes(run.json["findings"]) & {"IN230", "IN231"}


def test_a_template_called_otherwise_than_its_file_is_an_error(estate):
    """`standard/1` in own/1.yaml: file and content must say the same name."""
    estate.write({MINI: TEMPLATE.replace("mini/1", "mini/2")})
    run = estate.run("validate", "--format", "json")
    assert (run.code, places(run, "IN201")) == (1, {f"{MINI}:1:1"})


SQLITE = '{type: postfix_dovecot, database: "sqlite:///var/second.sqlite"}'

# What is wrong with reconciler.yaml -> code and place; it stops everything.
AGENCY_CASES = {
    "no file": (None, "IN304", "reconciler.yaml:1:1"),
    "not YAML": ("version: 1\nproviders: {\n", "IN005", "reconciler.yaml:3:1"),
    "an unknown key": (f"{AGENCY}tennants: x\n", "IN020", "reconciler.yaml:15:1"),
    "an unknown provider type": (AGENCY.replace("postfix_dovecot", "exchange"), "IN225", "reconciler.yaml:4:10"),
    "a DNS provider as mail": (AGENCY.replace("postfix_dovecot", "zone_files"), "IN225", "reconciler.yaml:4:10"),
    "a setting that is missing": (AGENCY.replace("directory: var/zones, ", ""), "IN226", "reconciler.yaml:5:9"),
    "a setting there is not": (AGENCY.replace("directory:", "folder: x, directory:"), "IN226", "reconciler.yaml:5:35"),
    "no provider by default": (AGENCY.replace("{mail: mailhost", "{mail: other"), "IN208", "reconciler.yaml:13:12"),
    "a contact at no name": (AGENCY.replace("+49 30 1234567", "anna@-x.example"), "IN204", "reconciler.yaml:9:26"),
    "no server by default": (AGENCY.replace("server: primary", "server: other"), "IN207", "reconciler.yaml:13:40"),
    "a member who is nobody": (AGENCY.replace("[anna, bela]", "[anna, kim]"), "IN205", "reconciler.yaml:11:31"),
    "one system under two names": (
        AGENCY.replace("mailhost: {", f"twin: {SQLITE.replace('second', 'mail')}, mailhost: {{"),
        "IN217", "reconciler.yaml:4:80",
    ),
    "a time zone there is not": (AGENCY.replace("Europe/Berlin", "Europe/Atlantis"), "IN307", "reconciler.yaml:2:1"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "code", "place"), AGENCY_CASES.values(), ids=AGENCY_CASES)
def test_a_bad_agency_file_stops_everything(estate, text, code, place):
    """Nothing can be said of any tenant without reconciler.yaml: commands end with 1, and nothing is written."""
    estate.write({"reconciler.yaml": text})
    before = estate.world()
    for command in ("validate", "plan", "apply"):
        run = estate.run(command, "--format", "json", *(["--yes"] if command == "apply" else []))
        assert (run.code, places(run, code)) == (1, {place}), command
        assert f"{code} {place}: " in (estate.run(command, *(["--yes"] if command == "apply" else [])).err)
    assert estate.world() == before


# ---------------------------------------------------------------------- no estate at all


@pytest.mark.parametrize("command", [["validate"], ["plan"], ["apply", "--yes"]])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_folder_that_is_no_estate_is_said_to_be_none(tmp_path, command, form):
    """No folder, no repository, no commit, no reconciler.yaml: each has its code, exit 1, one document in JSON."""
    plain, empty, bare = tmp_path / "plain", tmp_path / "empty", tmp_path / "bare"
    plain.mkdir()
    make(bare).write({"reconciler.yaml": None})
    empty.mkdir()
    Estate(empty).git("init", "--quiet")
    for folder, code in ((tmp_path / "none", "IN303"), (plain, "IN301"), (empty, "IN302"), (bare, "IN304")):
        run = call(*command, "--estate", folder, "--format", form)
        assert run.code == 1
        assert code in (run.out if form == "json" else run.err)
        if form == "json":
            assert [found["code"] for found in run.json["findings"]] == [code]
            assert run.json["format"] == "reconciler.findings/1"


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_before_the_first_commit_the_way_without_one_is_named(tmp_path, command):
    """Whoever wants to see whether the first files are right need not commit them for it."""
    folder = tmp_path / "estate"
    call("init", folder)
    run = call(command, "--estate", folder)
    assert run.code == 1
    assert "Nothing is committed here yet. Commit the estate; before that, `--worktree` has" in run.err
    assert call(command, "--estate", folder, "--worktree").code == 0


def test_a_commit_that_is_not_there_is_an_error(estate):
    """`--rev` names a commit; a name that is none, or that looks like an option, ends with 1."""
    estate.commit()
    for name in ("nothing", "--all", "HEAD~99", "HEAD:tenants"):
        run = estate.run("plan", f"--rev={name}", "--format", "json")
        assert (run.code, [found["code"] for found in run.json["findings"]]) == (1, ["IN302"])


def test_a_tenant_that_is_not_there_is_an_error(estate):
    """`--tenant` with a typing mistake does not silently plan nothing."""
    estate.commit()
    run = estate.run("plan", "--tenant", "nortwind", "--format", "json")
    assert (run.code, places(run, "IN305")) == (1, {"tenants:1:1"})


# ---------------------------------------------------------------------- live systems that do not answer

SECOND = AGENCY.replace(
    "mail: {mailhost: {",
    f"mail: {{second: {SQLITE}, mailhost: {{",
).replace("dns: {zones: {", "dns: {others: {type: zone_files, directory: var/others}, zones: {")
ELSEWHERE = {**control("mail: second\ndns: others\n", "contoso"), **SOUND}


@pytest.fixture
def apart(tmp_path):
    """Northwind and Contoso applied on systems of their own; both have a change to make."""
    estate = make(
        tmp_path / "estate", northwind(), contoso(), control("mail: second\ndns: others\n", "contoso"), agency=SECOND
    )
    estate.applied({}).write(
        {**SOUND, **mail({"jane": "{owner: jane, quota: 1 GiB}"}), **dns("with: {dmarc: quarantine}\n")}
    )
    return estate


def stopped(estate, provider, words):
    """Northwind cannot be read: complete is false, nothing of that provider planned, not applied; Contoso is."""
    plan = estate.run("plan", "--format", "json")
    contoso_plan, found = plan.json["tenants"]
    assert (plan.code, contoso_plan["complete"], found["complete"]) == (1, True, False)
    assert {unread["provider"] for unread in found["unread"]} == {provider}
    assert all(words in unread["error"] for unread in found["unread"])
    assert {change["provider"] for change in found["changes"]} <= {"mailhost", "zones"} - {provider}
    assert words in estate.run("plan").out
    done = estate.apply()
    results = {tenant["tenant"]: tenant["result"] for tenant in done.json["tenants"]}
    assert (done.code, results) == (1, {"contoso": "applied", "northwind": "failed"})
    assert provider in done.json["tenants"][1]["error"]
    assert estate.run("validate").code == 0


def test_a_database_that_is_a_folder_stops_those_on_it(apart):
    """What should be the SQLite file is a folder."""
    ledger, zone = apart.git("rev-parse", "refs/reconciler/tenants/northwind"), apart.zone().read_bytes()
    apart.database.unlink()
    apart.database.mkdir()
    stopped(apart, "mailhost", "mail.sqlite")
    assert (apart.git("rev-parse", "refs/reconciler/tenants/northwind"), apart.zone().read_bytes()) == (ledger, zone)


def test_a_database_that_is_no_database_stops_those_on_it(apart):
    """The file holds something else, and still does afterwards."""
    apart.database.write_bytes(b"this is no database, and long enough to be looked at" * 99)
    before = apart.database.read_bytes()
    stopped(apart, "mailhost", "mailhost")
    assert apart.database.read_bytes() == before


def test_a_server_that_does_not_answer_stops_those_on_it(apart):
    """PostgreSQL on a closed port; the password of its URL is in no output."""
    url = f"postgresql://reconciler:hunter2-secret@127.0.0.1:{free_port()}/mail"
    apart.write({"reconciler.yaml": SECOND.replace("sqlite:///var/mail.sqlite", url)})
    stopped(apart, "mailhost", "127.0.0.1")
    for run in (apart.run("plan", "-v"), apart.run("plan", "--format", "json"), apart.apply()):
        assert "hunter2" not in run.out + run.err


def test_a_secret_that_is_not_set_stops_those_who_need_it(apart, monkeypatch):
    """`{env: NAME}` of a variable that is not set names the variable; a set one is in no output."""
    url = f'"postgresql://r@127.0.0.1:{free_port()}/mail", password: {{env: MAIL_SECRET}}'
    apart.write({"reconciler.yaml": SECOND.replace('"sqlite:///var/mail.sqlite"', url)})
    stopped(apart, "mailhost", "MAIL_SECRET")
    monkeypatch.setenv("MAIL_SECRET", "hunter2-secret")
    run = apart.run("plan", "--format", "json")
    assert run.code == 1
    assert "hunter2" not in run.out + run.err


def test_a_locked_database_stops_those_on_it(apart, monkeypatch):
    """Another program holds the database: after a while of patience the tenant fails, and nothing was written."""
    monkeypatch.setattr(_sql, "PATIENCE", 0.1)
    before = apart.sql("SELECT * FROM mailbox")
    with closing(sqlite3.connect(apart.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        stopped(apart, "mailhost", "lock")
        other.execute("ROLLBACK")
    assert apart.sql("SELECT * FROM mailbox") == before
    assert apart.apply().code == 0


def test_a_zone_that_does_not_exist_stops_its_domain(apart):
    """Without `zone: {create: true}` a missing zone is no empty one: nothing is planned on it, and it is not made."""
    apart.zone().unlink()
    apart.write({NORTHWIND_DNS: "domain: northwind.example\n"})
    stopped(apart, "zones", "there is no zone northwind.example")
    assert not apart.zone().exists()


def test_a_zone_that_cannot_be_read_whole_stops_its_domain(apart):
    """A line that is no record: the zone is named, and stays as it is."""
    apart.edit_zone("", "www IN A not-an-address")
    before = apart.zone().read_bytes()
    stopped(apart, "zones", "northwind.example.zone")
    assert apart.zone().read_bytes() == before


@contextmanager
def as_nobody(folder):
    """Without the rights of root, who may write everywhere; the estate is that person's, but for what is not."""
    if os.geteuid() != 0:
        yield
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 65534, -1, follow_symlinks=False)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, 0, -1, follow_symlinks=False)


@pytest.mark.parametrize("place", ["var/zones", "var"])
def test_a_folder_that_cannot_be_written_fails_its_change_alone(place):
    """Read-only zones or a read-only database folder: planned, exit 1 on apply, what could be done is done."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        estate = make(Path(name) / "estate", northwind()).applied({})
        estate.write({**mail({"jane": "{owner: jane, quota: 1 GiB}"}), **dns("with: {dmarc: quarantine}\n")})
        before = estate.zone().read_bytes(), estate.sql("SELECT quota FROM mailbox ORDER BY username")
        with as_nobody(estate.root):
            (estate.root / place).chmod(0o555)
            estate.database.chmod(0o444 if place == "var" else 0o644)
            planned, done = estate.run("plan", "--format", "json"), estate.apply()
            (estate.root / place).chmod(0o755)
        found = done.json["tenants"][0]
        failing = "mailhost" if place == "var" else "zones"
        assert (planned.code, done.code, found["result"]) == (0, 1, "failed")
        assert {change["address"].partition(":")[0] for change in found["not_done"]} == {failing}
        assert {change["address"].partition(":")[0] for change in found["done"]} == {"mailhost", "zones"} - {failing}
        after = estate.zone().read_bytes(), estate.sql("SELECT quota FROM mailbox ORDER BY username")
        assert after[failing == "mailhost"] == before[failing == "mailhost"]
        assert found["rerun"] == "reconciler apply --tenant northwind --yes"
        estate.database.chmod(0o644)
        assert estate.apply().code == 0
        assert estate.one()["changes"] == []


def test_everything_wrong_is_said_at_once(estate):
    """Several mistakes in several files and tenants: one run names them all, sorted by file and line."""
    estate.write(
        {
            **mail({"jane": "{owner: kim, qouta: 1}", "tom": "{owner: tom, state: gone}"}),
            **raw(TENANT, "tenant: northwind\nname: N\npeople: {jane: {name: 5}}\n"),
            **raw(CONTOSO, "domain: contoso.example\n"),
        }
    )
    found = estate.run("validate", "--format", "json").json["findings"]
    errors = [(f["file"], f["line"], f["code"]) for f in found if f["severity"] == "error"]
    assert errors == [
        (CONTOSO, 1, "IN021"), (NORTHWIND, 4, "IN020"), (NORTHWIND, 5, "IN023"), (TENANT, 3, "IN022"),
    ]  # fmt: skip


def test_a_text_of_300_bytes_is_published_and_read_back(estate):
    """More than 255 bytes go into several strings of one value (RFC 1035, 3.3.14): no bad input, no change later."""
    value = "v=verify " + "x" * 291
    estate.write(record(f'{{name: "@", type: TXT, values: ["{value}"]}}'))
    assert estate.apply().code == 0
    assert value not in estate.zone().read_text()
    assert estate.one()["changes"] == []


@pytest.mark.parametrize("stem", ["bücher.example", "Northwind2.example", "a.example.", "a b.example"])
def test_a_file_that_is_no_name_is_a_finding_and_no_fault(tmp_path, stem):
    """Named by its U-label, with capitals or as no name at all: it is said which name the file must have."""
    files = mail({"jane": "{owner: jane}"}, "", stem.lower())
    text = next(iter(files.values()))
    estate = make(tmp_path / "estate", northwind(), {f"tenants/northwind/domains/{stem}.yaml": text})
    for command in ("validate", "plan"):
        run = estate.run(command, "--format", "json")
        assert run.code == 1, run.err
        assert {"IN201", "IN204"} & set(re.findall(r'"code": "(IN\d+)"', run.out))
