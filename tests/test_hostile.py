"""What an attacker and a newcomer found: each was a fault, and each stays mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from markdown_it import MarkdownIt

from reconciler import runner
from reconciler.ledger import FORMAT
from tests.estates import (
    AGENCY,
    NORTHWIND,
    NORTHWIND_DNS,
    ROOT,
    accepts,
    codes,
    contoso,
    control,
    dns,
    mail,
    make,
    northwind,
    tenant,
)  # fmt: skip

HASH = "{SSHA512}what-tom-chose"
FORWARD = f"owner: jane, reason: r, approved_by: ops, expires: {datetime.now(UTC).date() + timedelta(days=90)}"


def validated(estate):
    return codes(estate.run("validate", "--format", "json").json["findings"])


def found(tmp_path, **files):
    """The codes that `validate` gives for Northwind with these parts."""
    return validated(make(tmp_path / "estate", northwind(**files)))


# Islands


def test_a_fault_of_a_provider_ends_one_change_and_not_the_run(tmp_path, monkeypatch):
    """Whatever a provider's code does, the other tenants are applied and noted, and the error says where it was."""
    estate = make(tmp_path / "estate", northwind(), contoso())
    write = runner.World.provider

    def faulty(self, name):
        provider = write(self, name)
        apply = provider.apply

        def broken(batch):
            if batch.scope.domain == "northwind.example":
                raise OverflowError("a secret: hunter2")
            return apply(batch)

        monkeypatch.setattr(provider, "apply", broken, raising=False)
        return provider

    monkeypatch.setattr(runner.World, "provider", faulty)
    done = estate.apply()
    results = {one["tenant"]: one for one in done.json["tenants"]}
    assert (done.code, results["contoso"]["result"], results["northwind"]["result"]) == (1, "applied", "failed")
    assert "OverflowError at test_hostile.py" in results["northwind"]["error"]
    assert "hunter2" not in done.out + done.err
    assert "refs/reconciler/tenants/contoso" in estate.git("for-each-ref")


def test_a_size_that_no_database_holds_is_refused(tmp_path):
    """`9999999999 TiB` is a finding at its place, not an overflow in the middle of an apply."""
    assert found(tmp_path, boxes={"jane": "{owner: jane, quota: 9999999999 TiB}"}) == {"IN024"}


# Mailboxes and people


def test_a_kept_mailbox_is_nobody_elses(tmp_path):
    """Tom's retired box cannot become another person's: it holds his mail and his password."""
    estate = make(tmp_path / "estate", northwind()).applied({}).applied(mail({"jane": "{owner: jane}"}))
    estate.write(mail({"jane": "{owner: jane}", "tom": "{owner: jane}"}))
    assert "PL220" in codes(estate.one()["findings"])
    assert estate.apply().code == 3
    assert estate.sql("SELECT login_enabled FROM reconciler_mailbox WHERE username = 'tom@northwind.example'") == [(0,)]
    estate.write(mail())
    assert (estate.apply().code, codes(estate.one()["findings"])) == (0, set())


def test_an_alias_may_take_a_kept_name_and_give_it_back(tmp_path):
    """A removal that leaves a forward of the same name, and its revert: the box comes back though it is pointed at."""
    more = f"aliases:\n  sales: [tom]\nforwards:\n  tom: {{to: [t@x.example], keep_copy: false, {FORWARD}}}\n"
    estate = make(tmp_path / "estate", northwind(more=more)).applied({})
    estate.sql("UPDATE mailbox SET password = ? WHERE username = 'tom@northwind.example'", HASH)
    before = estate.one()
    estate.applied(mail({"jane": "{owner: jane}"}, more.replace("keep_copy: false, ", "")))
    estate.git("revert", "--no-edit", "HEAD")
    assert estate.apply().code == 0
    assert (before["changes"], estate.one()["changes"], estate.one()["later"]) == ([], [], [])
    assert estate.sql("SELECT password FROM mailbox WHERE username = 'tom@northwind.example'") == [(HASH,)]


def test_what_was_made_in_part_is_finished_by_the_next_run(tmp_path, monkeypatch):
    """A shared mailbox whose members Dovecot did not take is ours: the next apply gives them, nothing is a takeover."""
    more = "shared:\n  office: {owner: jane, members: {jane: full}}\n"
    doveadm = 'database: "sqlite:///var/mail.sqlite", doveadm: {url: "http://127.0.0.1:9", api_key: k}'
    agency = AGENCY.replace('database: "sqlite:///var/mail.sqlite"', doveadm)
    estate = make(tmp_path / "estate", northwind(more=more), agency=agency)
    assert estate.apply().code == 1
    monkeypatch.setattr("reconciler.providers._doveadm.Doveadm.share", lambda _self, rights: list(rights))
    assert codes(estate.one()["findings"]) == set()
    assert (estate.apply().code, estate.one()["changes"]) == (0, [])


# Routing


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("aliases:\n  info: [jnae]\ncatch_all: {to: [jane], " + FORWARD + "}\n", "RT001"),
        ("shared:\n  office: {owner: jane, members: {info: read}}\naliases:\n  info: [jane]\n", "RT005"),
        ("aliases:\n  info: [info]\n", "RT006"),
        ("aliases:\n  a: [b]\n  b: [c]\n  c: [a]\n", "RT006"),
        (f"forwards:\n  crm: {{to: [c@x.example], keep_copy: true, {FORWARD}}}\n", "IN216"),
    ],
)
def test_mail_that_would_go_nowhere_is_an_error(tmp_path, more, code):
    """A typo that only a catch-all would take, a member that cannot log in, a circle, a copy without a box."""
    assert found(tmp_path, more=more) == {code}


def test_a_large_circle_is_found_in_time(tmp_path):
    """Thousands of aliases one behind the other, in a circle, cost no more than they say."""
    more = "aliases:\n" + "".join(f"  a{n}: [a{n + 1}]\n" for n in range(4000)) + "  a4000: [a0]\n"
    assert found(tmp_path, more=more) == {"RT006"}


# DNS


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("{name: www.northwind.example, type: A, values: [192.0.2.1]}", "IN211"),
        ("{name: '@', type: TXT, values: ['\"verify=abc\"']}", "IN210"),
        ("{name: mail, type: TXT, values: ['v=spf1 spf.x.example -all']}", "IN210"),
        ("{name: mail, type: TXT, values: ['v=spf1 include:a.example, ip4:192.0.2.7 -all']}", "IN210"),
        ("{name: mail, type: MX, values: ['10 my_host.example.']}", "IN210"),
        ("{name: '@', type: MX, mode: replace, reason: r, values: ['0 .']}", "DN001"),
    ],
)
def test_a_record_that_is_surely_not_meant_is_an_error(tmp_path, record, code):
    """The domain written twice, quotes inside quotes, SPF terms that are none, a host with `_`, no mail for boxes."""
    assert found(tmp_path, names=f"records:\n  - {record}\n") == {code}


def test_a_name_below_another_domain_is_that_domains(tmp_path):
    """A record at or below a nested domain, of this tenant or of another, is an error in the domain above."""
    labs = {
        **tenant("zeta"),
        "tenants/zeta/domains/labs.northwind.example.yaml": "domain: labs.northwind.example\nowner: jane\nmail: null\n",
        "tenants/zeta/dns/labs.northwind.example.yaml": "domain: labs.northwind.example\n"
        "zone: {name: northwind.example, create: true}\n",
    }
    names = "records:\n  - {name: labs, type: MX, values: ['1 mx.x.example.']}\n"
    given = control("delegates: {labs.northwind.example: zeta}\n")
    estate = make(tmp_path / "estate", northwind(names=names), labs, given)
    assert validated(estate) == {"DN002"}
    estate.write(dns())
    assert (validated(estate), estate.apply().code, estate.one()["changes"]) == (set(), 0, [])


@pytest.mark.parametrize("null", ["0 .", "10 ."])
def test_a_domain_that_becomes_mail_less_is_named(tmp_path, null):
    """The null MX in the place of a real one is a removal of the MX: refused until it is accepted. Then there is none
    to remove: with a preference of its own it says the same.
    """
    estate = make(tmp_path / "estate", northwind()).applied({})
    parked = f"records:\n  - {{name: '@', type: MX, mode: replace, reason: parked, values: ['{null}']}}\n"
    estate.write({**mail({}, "mail: null\n"), **dns(parked)})
    assert "PL219" in codes(estate.one()["findings"])
    named = ("PL219", "northwind.example"), ("PL101", "northwind/alias")
    estate.write(control(accepts(*named, up_to=3)))
    assert "error" not in {f["severity"] for f in estate.one()["findings"]}
    estate.applied({}).write({**dns(parked.replace(null, "5 .")), **control("")})
    assert codes(estate.one()["findings"]).isdisjoint({"PL219", "PL226"})


def test_a_key_cannot_come_back_as_another(tmp_path):
    """A DKIM key that rests and is declared again with another type is an error before the apply, not in it."""
    key = "dkim: {{sign: [s1], keys: {{s1: {{type: ed25519}}{}}}}}\n".replace("sign: [s1]", "sign: []")
    estate = make(tmp_path / "estate", northwind(names=key.format(", s2: {type: ed25519}"))).applied({})
    estate.applied(dns(key.format("")))
    estate.write(dns(key.format(", s2: {type: rsa}")))
    assert "PL207" in codes(estate.one()["findings"])
    assert estate.apply().code == 3


def test_a_mail_side_that_cannot_be_read_says_nothing_of_its_keys_records(tmp_path):
    """While the signer is away, the record of its key is neither planned nor drift."""
    names = "dkim: {sign: [], keys: {s1: {type: ed25519}}}\n"
    estate = make(tmp_path / "estate", northwind(names=names)).applied({})
    estate.database.write_bytes(b"garbage" * 500)
    plan = estate.one()
    assert (plan["complete"], plan["drift"], plan["changes"]) == (False, [], [])


# Tenants


def test_a_move_takes_everything_along_or_is_refused(tmp_path):
    """A domain goes to another tenant and a box is dropped in the same commit: its access would be left to nobody."""
    estate = make(tmp_path / "estate", northwind(), tenant("newco")).applied({})
    moved = {
        path.replace("northwind/", "newco/", 1): text.replace("tenants/northwind", "tenants/newco")
        for path, text in {**mail({"jane": "{owner: jane}"}, "aliases:\n  info: [jane]\n"), **dns()}.items()
    }
    estate.write({NORTHWIND: None, NORTHWIND_DNS: None, **moved})
    assert codes(estate.one()["findings"]) == {"PL221"}
    assert estate.apply("--tenant", "northwind", "--yes").code == 3
    whole = mail(more="aliases:\n  info: [jane]\n")[NORTHWIND]
    estate.write({NORTHWIND.replace("northwind/", "newco/", 1): whole})
    plan = {one["tenant"]: one for one in estate.plan()["tenants"]}
    assert len(plan["northwind"]["forgotten"]) == len(plan["newco"]["adopted"]) > 0
    assert (plan["northwind"]["changes"], plan["newco"]["changes"], estate.apply().code) == ([], [], 0)


# Git, ledger, templates


def test_a_ledger_cannot_name_an_option_of_git(tmp_path):
    """What stands for the applied commit is a commit id, or the ledger is not read: `--output=…` writes no file."""
    estate = make(tmp_path / "estate", northwind())
    header = {"format": FORMAT, "tenant": "northwind", "commit": f"--output={tmp_path}/pwned", "scopes": []}
    estate.put_ledger(json.dumps(header).encode() + b"\n")
    assert codes(estate.one()["findings"]) == {"PL301"}
    assert [path.name for path in tmp_path.iterdir()] == ["estate"]


def test_a_range_is_no_commit(tmp_path):
    """`--rev ^HEAD` is an error that says so."""
    assert make(tmp_path / "estate", northwind()).run("plan", "--rev", "^HEAD").code == 1


def test_a_hooks_variables_do_not_turn_it_elsewhere(tmp_path, monkeypatch):
    """GIT_DIR of another repository in the environment does not change which estate is read."""
    other = make(tmp_path / "other", contoso())
    estate = make(tmp_path / "estate", northwind())
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    assert [one["tenant"] for one in estate.plan()["tenants"]] == ["northwind"]


def test_what_is_pushed_to_another_repository_is_not_seen(tmp_path, monkeypatch):
    """In a hook of another repository: what waits there is not this estate's, and its ledger is written as ever."""
    other, estate = make(tmp_path / "other", contoso()), make(tmp_path / "estate", northwind())
    apart = other.root / ".git" / "objects" / "tmp_objdir-incoming-x"
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(apart))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(apart))
    assert estate.apply().code == 0


def test_a_user_without_a_name_has_a_ledger_too(tmp_path, monkeypatch):
    """A user id that no passwd line names, and no identity in Git: the apply is noted all the same."""
    estate = make(tmp_path / "estate", northwind())
    monkeypatch.setattr("getpass.getuser", lambda: {}["nobody"])
    monkeypatch.setenv("EMAIL", "")
    for name in ("user.name", "user.email"):
        subprocess.run(["git", "config", "--unset", name], cwd=estate.root, check=False)
    monkeypatch.setattr("reconciler.history.Repository.git", _without_identity())
    assert estate.apply().code == 0


def _without_identity():
    from reconciler.history import Repository

    git = Repository.git

    def asked(self, *arguments, stdin=None):
        if arguments[0] == "var":
            raise subprocess.CalledProcessError(128, "git var")
        return git(self, *arguments, stdin=stdin)

    return asked


@pytest.mark.parametrize(
    "expression",
    [
        "domain.upper",
        "domain | join('xxxxxxxxxxxxxxxxxxxx') | join('xxxxxxxxxxxxxxxxxxxx')",
        "(" * 400 + "domain" + ")" * 400,
        "domain" + " | lower" * 300,
        "server.items",
        "senders",
        "x" * 2000,
    ],
)
def test_an_expression_is_small_and_gives_text(tmp_path, expression):
    """Methods, lists, towers of filters and brackets are errors of the template; none hangs or crashes."""
    text = "template: mini/1\nparameters: {senders: {type: array, items: {type: string}, default: []}}\n"
    text += f'records:\n  - {{name: "@", type: TXT, values: ["x {{{{ {expression} }}}}"]}}\n'
    estate = make(tmp_path / "estate", northwind(), template=text)
    assert {code[:4] for code in validated(estate)} == {"IN23"} or "IN206" in validated(estate)


# What people see


def test_a_folder_name_cannot_write_into_the_report(tmp_path):
    """Headings, mentions, HTML and escapes in the name of a tenant's folder come out as visible text."""
    names = ["z\n## Plan: nothing to change @admin", "<img src=x>", "\x1b]0;pwned\x07\x1b[31mred"]
    estate = make(tmp_path / "estate", northwind(), {f"tenants/{name}/tenant.yaml": "tenant: x\n" for name in names})
    text, markdown = estate.run("plan").out, estate.run("plan", "--format", "markdown").out
    assert "\x1b" not in text + markdown
    html = MarkdownIt("commonmark").render(markdown)
    assert [line for line in html.splitlines() if line.startswith("<h2>")] == ["<h2>Plan: 9 changes in 1 tenant</h2>"]
    assert "<img" not in html


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_file_name_that_is_no_utf_8_is_one_finding(tmp_path, command):
    """Every format tells it, and of the other tenants what there is to tell; SARIF names the bytes of the name."""
    bad = "tenants/contoso/domains/x\udcff.yml"
    theirs = mail({"jane": "{owner: nobody}"})
    estate = make(tmp_path / "estate", contoso(), {**northwind(), **theirs})
    estate.write({bad: "x\n"})
    for form in ("text", "json", "github", "sarif"):
        run = estate.run(command, "--format", form)
        assert (run.code, run.err, "IN223" in run.out, "IN205" in run.out) == (1, "", True, True)
        assert "udcff.yml" in run.out
    (found,) = [one for one in run.json["runs"][0]["results"] if one["ruleId"] == "IN223"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == bad.replace("\udcff", "%FF")
    assert "\udcff" not in json.dumps(run.json, ensure_ascii=False)


def test_an_estate_may_lie_in_a_folder_whose_name_is_no_utf_8(tmp_path):
    """What differs in the working tree, and the paths of other programs, begin at the repository's root."""
    estate = make(tmp_path / "repo" / "our\udcff", northwind())
    (estate.root / ".git").rename(tmp_path / "repo" / ".git")
    estate.commit()
    estate.save(mail({"jane": "{owner: nobody}"}))
    assert f"Not committed, so not part of this: {NORTHWIND}" in estate.run("validate").out
    (found,) = estate.run("validate", "--worktree", "--format", "sarif").json["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == f"our%FF/{NORTHWIND}"
    assert f"file=our\\udcff/{NORTHWIND}" in estate.run("validate", "--worktree", "--format", "github").out


def test_the_file_for_the_answer_is_opened_before_the_work(tmp_path):
    """An answer that cannot be written is wrong usage, and nothing was applied."""
    estate = make(tmp_path / "estate", northwind())
    assert estate.apply("--yes", "--output", str(tmp_path / "no" / "x")).code == 64
    assert not estate.database.exists()


@pytest.mark.parametrize("redirection", [">&-", "<&-", "2>&-", ">/dev/full"])
def test_a_closed_stream_is_no_fault(tmp_path, redirection):
    """A caller that closes a stream, or whose disk is full, gets an exit code and no traceback."""
    estate = make(tmp_path / "estate", northwind())
    command = f'"{sys.executable}" -m reconciler plan {redirection}'
    done = subprocess.run(
        command, shell=True, cwd=estate.root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (1 if "full" in redirection else 0, False)
