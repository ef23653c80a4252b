"""`reconciler import --drift`: what was changed by hand goes into the YAML, as lines to be reviewed on a branch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.estates import NORTHWIND, NORTHWIND_DNS, TEMPLATE, Estate, contoso, control, mail, make, northwind
from tests.test_due import INFO, TOM, day, redirect
from tests.test_rollback import live

BOXES = {"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB}   # the shop"}
MORE = """\
shared:
  desk: {owner: jane, members: {jane: full}}

aliases:
  info: [jane]   # the front desk
  fax: [tom]
  all:
    - jane
    - tom   # since 2024

forwards:
  out: {to: [x@vendor.example], owner: jane, reason: crm, approved_by: ops, expires: 2098-12-31}
  jane: {to: [j@phone.example], keep_copy: true, owner: jane, reason: away, approved_by: ops, expires: 2098-12-31}

catch_all: {to: [desk], owner: jane, reason: old names, approved_by: ops, expires: 2098-12-31}
"""
NAMES = """\
records:
  - {name: www, type: A, values: [192.0.2.1], ttl: 5 min}   # the shop
  - {name: "@", type: TXT, values: ["site=1"]}
  - {name: "@", type: TXT, values: ["token=1", "token=2"]}
  - {name: ftp, type: CNAME, values: [www.northwind.example.]}
"""


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    """Two estates, as they are copied for each test; the small one has little in it, to take things out of."""
    folder = tmp_path_factory.mktemp("applied")
    make(folder / "big", northwind(BOXES, MORE, NAMES), contoso()).applied({})
    make(folder / "small", northwind(), contoso()).applied({})
    return folder


@pytest.fixture
def estate(applied, tmp_path):
    return Estate(Path(shutil.copytree(applied / "big", tmp_path / "estate", symlinks=True)))


@pytest.fixture
def small(applied, tmp_path):
    return Estate(Path(shutil.copytree(applied / "small", tmp_path / "small", symlinks=True)))


def imported(estate, *arguments, code=0):
    """The command's JSON."""
    run = estate.run("import", "--drift", "--format", "json", *arguments)
    assert run.code == code, run.out + run.err
    return run.json


def told(items):
    return {(item["address"].partition(":")[2], item["field"]) for item in items}


def lines(estate, found):
    """The lines that the commit takes out and puts in."""
    diff = estate.git("diff", "-U0", f"{found['base']}..{found['commit']}").splitlines()
    return [line for line in diff if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]


def settled(estate, found):
    """On the branch there is no drift any more, nothing to change, and applying it touches nothing but the ledger."""
    before = live(estate)
    estate.git("merge", "--quiet", "--ff-only", found["branch"])
    plan = estate.one("--exit-code")
    assert (plan["drift"], plan["changes"], plan["due"]) == ([], [], [])
    assert estate.apply().code == 0
    assert live(estate) == before
    return True


CHANGES = {
    "a quota": (
        "UPDATE mailbox SET quota = 4294967296 WHERE username = 'tom@northwind.example'",
        ["-  tom: {owner: tom, quota: 2 GiB}   # the shop", "+  tom: {owner: tom, quota: 4 GiB}   # the shop"],
    ),
    "no quota": (
        "UPDATE mailbox SET quota = 0 WHERE username = 'tom@northwind.example'",
        ["-  tom: {owner: tom, quota: 2 GiB}   # the shop", "+  tom: {owner: tom, quota: unlimited}   # the shop"],
    ),
    "a state": (
        (
            "INSERT OR REPLACE INTO reconciler_mailbox (domain, username, login_enabled, shared, blocked, name_taken) "
            "VALUES ('northwind.example', 'tom@northwind.example', 0, 0, 0, 0)"
        ),
        [
            "-  tom: {owner: tom, quota: 2 GiB}   # the shop",
            "+  tom: {owner: tom, quota: 2 GiB, state: blocked}   # the shop",
        ],
    ),
    "an alias": (
        "UPDATE alias SET goto = 'tom@northwind.example' WHERE address = 'info@northwind.example'",
        ["-  info: [jane]   # the front desk", "+  info: [tom]   # the front desk"],
    ),
    "more targets": (
        (
            "UPDATE alias SET goto = 'jane@northwind.example,tom@northwind.example,hostmaster@agency.example' "
            "WHERE address = 'all@northwind.example'"
        ),
        ["+    - hostmaster@agency.example"],
    ),
    "fewer targets": (
        "UPDATE alias SET goto = 'tom@northwind.example' WHERE address = 'all@northwind.example'",
        ["-    - jane"],
    ),
    "an alias that is gone": (
        "DELETE FROM alias WHERE address = 'fax@northwind.example'",
        ["-  fax: [tom]"],
    ),
    "an alias of the template": (
        "UPDATE alias SET goto = 'jane@northwind.example' WHERE address = 'abuse@northwind.example'",
        ["+  abuse: [jane]"],
    ),
    "a forward": (
        "UPDATE alias SET goto = 'y@vendor.example' WHERE address = 'out@northwind.example'",
        [
            "-  out: {to: [x@vendor.example], owner: jane, reason: crm, approved_by: ops, expires: 2098-12-31}",
            "+  out: {to: [y@vendor.example], owner: jane, reason: crm, approved_by: ops, expires: 2098-12-31}",
        ],
    ),
    "a catch-all": (
        "UPDATE alias SET goto = 'tom@northwind.example' WHERE address = '@northwind.example'",
        [
            "-catch_all: {to: [desk], owner: jane, reason: old names, approved_by: ops, expires: 2098-12-31}",
            "+catch_all: {to: [tom], owner: jane, reason: old names, approved_by: ops, expires: 2098-12-31}",
        ],
    ),
    "a copy that ends": (
        "UPDATE alias SET goto = 'jane@northwind.example' WHERE address = 'jane@northwind.example'",
        [
            (
                "-  jane: {to: [j@phone.example], keep_copy: true, owner: jane, reason: away, approved_by: ops,"
                " expires: 2098-12-31}"
            )
        ],
    ),
    "no copy kept": (
        "UPDATE alias SET goto = 'j@phone.example' WHERE address = 'jane@northwind.example'",
        [
            f"{sign}  jane: {{to: [j@phone.example], keep_copy: {keep}, owner: jane, reason: away, approved_by: ops,"
            " expires: 2098-12-31}"
            for sign, keep in (("-", "true"), ("+", "false"))
        ],
    ),
    "a member": (
        (
            "INSERT INTO reconciler_member (domain, mailbox, member, access, acl) "
            "VALUES ('northwind.example', 'desk@northwind.example', 'tom@northwind.example', 'read', '')"
        ),
        [
            "-  desk: {owner: jane, members: {jane: full}}",
            "+  desk: {owner: jane, members: {jane: full, tom: read}}",
        ],
    ),
    "a right": (
        "UPDATE reconciler_member SET access = 'read'",
        [
            "-  desk: {owner: jane, members: {jane: full}}",
            "+  desk: {owner: jane, members: {jane: read}}",
        ],
    ),
}


@pytest.mark.parametrize(("statement", "expected"), CHANGES.values(), ids=list(CHANGES))
def test_a_change_of_mail_becomes_its_line(estate, statement, expected):
    """That line moves and no other; on the branch nothing has drifted, and applying it writes nothing."""
    estate.sql(statement)
    found = imported(estate)
    assert (lines(estate, found), found["left"]) == (expected, [])
    assert settled(estate, found)


TAKEN = f"found live on {day(0)}, changed outside Git"
SPF = "v=spf1 include:spf.other.example"
RECORDS = {
    "an address": (
        ("192.0.2.1", "192.0.2.7"),
        [
            "-  - {name: www, type: A, values: [192.0.2.1], ttl: 5 min}   # the shop",
            '+  - {name: www, type: A, values: ["192.0.2.7"], ttl: 5 min}   # the shop',
        ],
    ),
    "a TTL": (
        (" 300 IN A", " 7200 IN A"),
        [
            "-  - {name: www, type: A, values: [192.0.2.1], ttl: 5 min}   # the shop",
            "+  - {name: www, type: A, values: [192.0.2.1], ttl: 2 hours}   # the shop",
        ],
    ),
    "one of two values": (
        ('"token=2"', None),
        [
            '-  - {name: "@", type: TXT, values: ["token=1", "token=2"]}',
            '+  - {name: "@", type: TXT, values: ["token=1"]}',
        ],
    ),
    "a line's only value": (('"site=1"', None), ['-  - {name: "@", type: TXT, values: ["site=1"]}']),
    "a set": (
        ("192.0.2.1", None),
        ["-  - {name: www, type: A, values: [192.0.2.1], ttl: 5 min}   # the shop"],
    ),
    "a tag of the template's": (
        ('"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'),
        [f'+  - {{name: _dmarc, type: TXT, values: ["v=DMARC1; p=reject"], mode: replace, reason: "{TAKEN}"}}'],
    ),
    "a set of the template's": (
        ('"v=DMARC1; p=none"', None),
        [f'+  - {{name: _dmarc, type: TXT, mode: drop, reason: "{TAKEN}"}}'],
    ),
    "an MX of the template's": (
        ("10 mx1.agency.example.", "5 mx.filter.example."),
        [f'+  - {{name: "@", type: MX, values: ["5 mx.filter.example."], mode: replace, reason: "{TAKEN}"}}'],
    ),
    "the template's tag beside our values": (
        ("spf.agency.example", "spf.other.example"),
        [
            '-  - {name: "@", type: TXT, values: ["site=1"]}',
            f'+  - {{name: "@", type: TXT, values: ["site=1", "{SPF} -all"], mode: replace, reason: "{TAKEN}"}}',
        ],
    ),
}


@pytest.mark.parametrize(("edit", "expected"), RECORDS.values(), ids=list(RECORDS))
def test_a_change_of_dns_becomes_its_line(estate, edit, expected):
    """Of our own line that; of the template's a line that takes its place, with a reason."""
    old, new = edit
    text = estate.zone().read_text()
    kept = [line if new is not None or old not in line else "" for line in text.splitlines()]
    estate.zone().write_text("\n".join(kept).replace(old, new or old) + "\n")
    found = imported(estate)
    assert (lines(estate, found), found["left"]) == (expected, [])
    assert settled(estate, found)


LEFT = {
    "a mailbox that is gone": (
        "DELETE FROM mailbox WHERE username = 'tom@northwind.example'",
        ("mailbox/tom@northwind.example", "exists"),
        "an empty one",
    ),
    "a copy nobody declared": (
        "UPDATE alias SET goto = 'tom@northwind.example,t@phone.example' WHERE address = 'tom@northwind.example'",
        ("mailbox/tom@northwind.example", "copies_to"),
        "under `forwards`, with owner",
    ),
    "an alias that leaves": (
        "UPDATE alias SET goto = 'x@evil.example' WHERE address = 'info@northwind.example'",
        ("alias/info@northwind.example", "to"),
        "RT002",
    ),
    "an alias to nowhere": (
        "UPDATE alias SET goto = 'x@northwind.example' WHERE address = 'info@northwind.example'",
        ("alias/info@northwind.example", "to"),
        "RT001",
    ),
    "the template's alias that is gone": (
        "DELETE FROM alias WHERE address = 'postmaster@northwind.example'",
        ("alias/postmaster@northwind.example", "exists"),
        "the template gives it",
    ),
    "a box that keeps nothing": (
        "DELETE FROM alias WHERE address = 'tom@northwind.example'",
        ("mailbox/tom@northwind.example", "keep_copy"),
        "keeps nothing",
    ),
    "a size that no file says": (
        "UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'",
        ("mailbox/tom@northwind.example", "quota"),
        "size such as `10 GiB`",
    ),
    "a circle": (
        "UPDATE alias SET goto = 'fax@northwind.example' WHERE address = 'fax@northwind.example'",
        ("alias/fax@northwind.example", "to"),
        "RT006",
    ),
    "a login given": (
        "UPDATE reconciler_mailbox SET shared = 0, login_enabled = 1 WHERE username = 'desk@northwind.example'",
        ("mailbox/desk@northwind.example", "login"),
        "between `mailboxes` and `shared`",
    ),
}


@pytest.mark.parametrize(("statement", "which", "why"), LEFT.values(), ids=list(LEFT))
def test_what_a_file_cannot_say_is_left_with_the_reason(estate, statement, which, why):
    """No branch is made for it, and exit code 0: the command did what it can."""
    for part in statement.split(";"):
        estate.sql(part)
    before = estate.world()
    found = imported(estate)
    assert (found["written"], found["branch"], found["commit"], found["plan"]) == ([], None, None, None)
    reasons = {(item["address"].partition(":")[2], item["field"]): item["why"] for item in found["left"]}
    assert why in reasons[which]
    assert estate.world() == before
    assert estate.git("branch", "--format=%(refname:short)") == "main"
    assert why in estate.run("import", "--drift").out


def test_nothing_else_of_the_clone_moves(estate):
    """HEAD, index, working tree, servers and ledgers are as they were; the branch grows from what was read."""
    redirect(estate)
    base = estate.head
    estate.save({NORTHWIND: "half a thought"})
    before = (estate.head, estate.git("status", "--porcelain"), estate.world(), estate.git("worktree", "list"))
    found = imported(estate, "--branch", "adopt/it")
    assert (estate.head, estate.git("status", "--porcelain"), estate.world(), estate.git("worktree", "list")) == before
    assert (found["branch"], found["base"], found["files"]) == ("adopt/it", base, [NORTHWIND])
    assert estate.git("rev-parse", "adopt/it", "adopt/it~1").split() == [found["commit"], base]
    again = estate.run("import", "--drift", "--branch", "adopt/it")
    assert (again.code, "there is a branch adopt/it already" in again.err) == (1, True)
    assert imported(estate, "--tenant", "contoso", "--branch", "adopt/it")["branch"] is None


@pytest.mark.parametrize("name", ["a..b", "-x", "a b", "x.lock", ""])
def test_a_branch_has_a_name_that_git_takes(estate, name):
    """Another one is an error that says so, also of a rollback; an empty one is the default."""
    redirect(estate)
    for command in (["import", "--drift"], ["rollback", estate.head]):
        run = estate.run(command[0], f"--branch={name}", *command[1:])
        assert (run.code, "name another one with --branch" in run.err) == ((1, True) if name else (run.code, False))


def test_all_that_drifted_makes_one_commit(estate):
    """Of several things, tenants and files; its message says what, since when, and whom it affects."""
    redirect(estate)
    estate.sql("UPDATE mailbox SET quota = 1073741824, name = 'Tom Poe' WHERE username = 'tom@northwind.example'")
    estate.sql("UPDATE alias SET goto = 'jane@contoso.example' WHERE address = 'abuse@contoso.example'")
    estate.edit_zone("p=none", "p=quarantine")
    assert estate.run("drift", "--record").code == 2
    seen = json.loads(estate.git("show", "refs/reconciler/drift:northwind.json"))
    found = imported(estate)
    assert len(found["files"]) == len({"northwind mail", "northwind dns", "contoso mail"})
    message = estate.git("show", "--no-patch", "--format=%B", found["commit"])
    assert message.splitlines()[0] == f"Import {len(found['written'])} values changed outside Git"
    for said in (
        "Tenant contoso:",
        "- alias info@northwind.example (mailhost), of Jane Roe (jane)",
        "  to: Git said jane@northwind.example, live is tom@northwind.example; first seen " + next(iter(seen.values())),
        "  quota: Git said 2 GiB, live is 1 GiB; first seen",
        "- record TXT/_dmarc.northwind.example (zones), of Jane Roe (jane)",
    ):
        assert said in message
    assert {item["first_seen"] for item in found["written"]} == set(seen.values())
    assert found["plan"]["summary"]["drift"] == 0
    assert settled(estate, found)


def test_only_what_is_named_is_imported(estate):
    """`--address` and `--tenant` narrow it; what has not drifted is an error, as a misspelled name would be."""
    redirect(estate)
    estate.sql("UPDATE mailbox SET quota = 1073741824 WHERE username = 'tom@northwind.example'")
    assert told(imported(estate, "--address", TOM, "--branch", "a")["written"]) == {
        ("mailbox/tom@northwind.example", "quota")
    }
    assert imported(estate, "--tenant", "contoso")["written"] == []
    run = estate.run("import", "--drift", "--address", "mailhost:mailbox/tim@northwind.example")
    assert (run.code, "tim@northwind.example has not drifted" in run.err) == (1, True)


def test_accepted_drift_is_imported_where_it_is_named(estate):
    """Somebody agreed that it stays for now: only a word for that very thing writes it down."""
    estate.sql("UPDATE mailbox SET quota = 1073741824 WHERE username = 'tom@northwind.example'")
    item = f"finding: PL201, subject: '{TOM}', field: quota, value: 1 GiB, approved_by: ops, expires: {day(1)}"
    estate.write(control(f"accept:\n  - {{{item}}}\n"))
    found = imported(estate)
    assert (found["written"], [item["why"] for item in found["left"]]) == (
        [],
        ["it is accepted; name it with --address to write it all the same"],
    )
    assert told(imported(estate, "--address", TOM)["written"]) == {("mailbox/tom@northwind.example", "quota")}


def test_it_must_be_said_what_is_imported(estate):
    """Without --drift it is wrong usage, which says what there is."""
    run = estate.run("import")
    assert (run.code, "--drift" in run.err) == (64, True)


def test_a_domain_without_a_dns_file_gets_one(tmp_path):
    """What takes the template's place stands in a file of its own."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.applied({NORTHWIND_DNS: None})
    estate.edit_zone("p=none", "p=reject")
    found = imported(estate)
    assert lines(estate, found)[:2] == ["+domain: northwind.example", "+records:"]
    assert settled(estate, found)


def test_what_cannot_be_read_is_said(estate):
    """The rest is imported, and the exit code is that of an error."""
    redirect(estate)
    estate.zone().write_text("no zone file")
    found = imported(estate, code=1)
    assert told(found["written"]) == {("alias/info@northwind.example", "to")}
    assert [unread["provider"] for unread in found["unread"]] == ["zones"]
    estate.write({"tenants/contoso/tenant.yaml": "tenant: nobody\nname: x\n"})
    assert imported(estate, "--tenant", "contoso", "--branch", "b", code=1)["findings"] != []


def test_what_nobody_declares_any_more_is_left(small):
    """A retired mailbox that somebody opened again has no line: a person declares it, or puts it back."""
    small.applied(mail({"jane": "{owner: jane}"}, "aliases:\n  info: [jane]\n"))
    small.sql("UPDATE reconciler_mailbox SET blocked = 0, login_enabled = 1 WHERE username = 'tom@northwind.example'")
    small.sql("UPDATE mailbox SET active = 1 WHERE username = 'tom@northwind.example'")
    found = imported(small)
    assert (found["written"], {item["why"] for item in found["left"]}) == (
        [],
        {"Git does not declare it; declare it, or have it put back"},
    )


def test_what_must_not_exist_and_is_back_is_left(small):
    """One line would make it and the other take it away."""
    small.applied(mail(BOXES, "aliases:\n  info: [jane]\nabsent:\n  - {alias: old}\n"))
    small.redirect("old", "jane@northwind.example")
    (item,) = imported(small)["left"]
    assert (item["field"], item["live"]) == ("exists", True)


SIGNED = f"{TEMPLATE}dkim: {{sign: [s1], keys: {{s1: {{type: rsa}}, s2: {{type: rsa}}}}, overlap: 3 days}}\n"
RSA = "{type: rsa, bits: 2048}"
OWN = "dkim:\n  sign: [s1]   # since 2024\n  keys: {s1: {type: rsa}, s2: {type: rsa}}\n"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (OWN, ["-  sign: [s1]   # since 2024", "+  sign: [s2]   # since 2024"]),
        (
            "",
            [
                "+dkim:",
                "+  sign: [s2]",
                f"+  keys: {{s1: {RSA}, s2: {RSA}}}",
                "+  overlap: 3 days",
            ],
        ),
    ],
    ids=["our own block", "the template's"],
)
def test_who_signs_becomes_a_dkim_block(tmp_path, names, expected):
    """The list in the domain's own block, or a block that takes the template's place, its keys and overlap kept."""
    estate = make(tmp_path / "estate", northwind(names=names), template=SIGNED).applied({})
    estate.sql("UPDATE reconciler_dkim_signing SET dkim_id = replace(dkim_id, 's1.', 's2.')")
    found = imported(estate)
    assert (lines(estate, found), found["left"]) == (expected, [])
    assert settled(estate, found)


def test_the_domain_decides_where_no_line_of_its_own_does(small):
    """A quota that the whole domain has becomes the mailbox's own."""
    small.applied(mail({"jane": "{owner: jane}", "tom": "{owner: tom}"}, "aliases:\n  info: [jane]\nquota: 3 GiB\n"))
    small.sql("UPDATE mailbox SET quota = 1073741824 WHERE username = 'jane@northwind.example'")
    found = imported(small)
    assert lines(small, found) == ["-  jane: {owner: jane}", "+  jane: {owner: jane, quota: 1 GiB}"]
    assert settled(small, found)


HOSTILE = [
    "[skip ci] @everyone closes #12",
    "}, mailboxes: {x: {owner: jane}",
    "*anchor &a !!python/object:x",
    "yes",
    "1e3",
    "007",
    "null",
    "- x: y # z",
    "'\"\\",
    "é ü 漢字",
    "https://forge.example/a/b/issues/1 GH-1 gh-2 a/b#3",
    " leading and trailing ",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_is_data(estate, name):
    """Whatever it looks like, the file says it and nothing else, and no forge obeys the message."""
    estate.applied(mail({**BOXES, "jane": "{owner: jane, name: J}"}, MORE))
    estate.sql("UPDATE mailbox SET name = ? WHERE username = 'jane@northwind.example'", name)
    found = imported(estate)
    message = estate.git("show", "--no-patch", "--format=%B", found["commit"])
    for obeyed in ("[skip", "@every", "#12", "#3", "//", "GH-1", "gh-2"):
        assert obeyed not in message
    assert settled(estate, found)


@pytest.mark.parametrize("name", ["a\nSigned-off-by: x", "a\u202eb", "a\x1b[2J", "a\x00b", "x" * 5000])
def test_a_value_that_no_file_may_hold_is_refused(estate, name):
    """It stays drift, and is shown so that no terminal obeys it."""
    estate.applied(mail({**BOXES, "jane": "{owner: jane, name: J}"}, MORE))
    estate.sql("UPDATE mailbox SET name = ? WHERE username = 'jane@northwind.example'", name)
    found = imported(estate)
    assert (found["written"], len(found["left"])) == ([], 1)
    text = estate.run("import", "--drift").out
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_texts_of_dns_that_are_no_text_are_left(estate):
    """Bytes that are no UTF-8 stand in no file."""
    estate.edit_zone('"site=1"', '"site=1"\n@ 300 IN TXT "v=spf1 \\255 -all"')
    text = estate.zone().read_text().splitlines()
    estate.zone().write_text("\n".join(line for line in text if "spf.agency.example" not in line) + "\n")
    found = imported(estate)
    assert found["written"] == []
    assert told(found["left"]) == {("record/TXT/northwind.example", "values")}


def test_what_crosses_tenants_is_refused_on_the_branch(small):
    """Only the plan of all tells: the commit is made, exit code 3 and the finding say what to solve on the branch."""
    small.sql("UPDATE alias SET goto = 'jane@contoso.example' WHERE address = 'info@northwind.example'")
    run = small.run("import", "--drift")
    assert (run.code, "error RT004" in run.out, "Next: solve on it what refuses it" in run.out) == (3, True, True)


def test_text_says_what_is_next(estate):
    """Branch, files, what was written and what was left, and how to go on."""
    redirect(estate)
    estate.sql("DELETE FROM mailbox WHERE username = 'tom@northwind.example'")
    text = estate.run("import", "--drift").out
    for said in (
        f"written: {INFO}, of Jane Roe (jane)",
        f"in {NORTHWIND}",
        f"left: {TOM}",
        f"on the branch import-drift-{day(0)}: 1 value in 1 file; 1 value left.",
        "have it reviewed, merge it, apply",
    ):
        assert said in text
