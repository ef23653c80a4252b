"""Going back: `git revert` restores the live state, and `reconciler rollback` makes the revert that can be reviewed."""

from __future__ import annotations

import pytest

from tests.estates import AGENCY, BOXES, contoso, mail, make, northwind
from tests.test_due import INFO, changes

INFO_ONLY = "aliases:\n  info: [jane]\n"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(), contoso()).applied({})


def live(estate):
    """What the servers have, but for times, serials and what only says when."""
    tables = {"domain": "domain, active", "mailbox": "username, name, quota, active", "alias": "address, goto, active"}
    rows = {table: sorted(estate.sql(f"SELECT {columns} FROM {table}")) for table, columns in tables.items()}
    zone = [line for line in estate.zone().read_text().splitlines() if "SOA" not in line]
    blocked = estate.sql("SELECT username FROM reconciler_mailbox WHERE blocked OR NOT login_enabled")
    return {**rows, "zone": sorted(zone), "blocked": sorted(blocked)}


def rolled_back(estate, target, *arguments):
    run = estate.run("rollback", "--format", "json", *arguments, target)
    assert run.code == 0, run.out + run.err
    return run.json


@pytest.mark.parametrize(
    "change",
    [
        mail({**BOXES, "jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom, quota: 3 GiB}"}, INFO_ONLY),
        mail(BOXES, "aliases:\n  info: [jane, tom]\n"),
        mail({"jane": BOXES["jane"], "tom": "{owner: tom, quota: 2 GiB, state: blocked}"}, INFO_ONLY),
        mail({"jane": BOXES["jane"]}, INFO_ONLY),
        {"tenants/northwind/dns/northwind.example.yaml": "domain: northwind.example\nwith: {dmarc: quarantine}\n"},
    ],
    ids=["values", "an alias", "a block", "a removal", "records"],
)
def test_a_revert_brings_the_live_state_back(estate, change):
    """Whatever was applied: revert, apply, and the servers have what they had."""
    before = live(estate)
    estate.applied(change)
    assert live(estate) != before
    estate.git("revert", "--no-edit", "HEAD")
    assert estate.apply().code == 0
    assert live(estate) == before


def test_there_and_back_is_really_applied(estate):
    """A, B, A: the second A is written, not taken for done."""
    for name in ("Jane Roe", "Jane Poe", "Jane Roe"):
        estate.applied(mail({**BOXES, "jane": f"{{owner: jane, name: {name}}}"}, INFO_ONLY))
        assert estate.sql("SELECT name FROM mailbox WHERE username = 'jane@northwind.example'") == [(name,)]


def test_a_rollback_is_a_commit_on_a_branch_and_nothing_else(estate):
    """It says what comes back; HEAD, index, working tree and servers are as they were."""
    commit = estate.write(mail(BOXES, "aliases:\n  info: [tom]\n"))
    assert estate.apply().code == 0
    before = (estate.head, estate.git("status", "--porcelain"), live(estate), estate.git("worktree", "list"))
    found = rolled_back(estate, commit)
    assert (estate.head, estate.git("status", "--porcelain"), live(estate), estate.git("worktree", "list")) == before
    northwind = next(t for t in found["plan"]["tenants"] if t["tenant"] == "northwind")
    assert (found["reverts"], changes(northwind), found["not_back"]) == ([commit], [(INFO, "update")], [])
    assert estate.git("rev-parse", found["branch"]) == found["commit"]
    assert estate.git("rev-parse", f"{found['branch']}~1") == commit
    estate.git("merge", "--quiet", "--ff-only", found["branch"])
    assert estate.apply().code == 0
    assert estate.sql("SELECT goto FROM alias WHERE address = 'info@northwind.example'") == [
        ("jane@northwind.example",)
    ]


def test_a_run_is_rolled_back_by_its_id(estate):
    """All commits whose lines it applied; what it cannot bring back, and what came since, is said."""
    estate.write(mail({**BOXES, "new": "{owner: jane}"}, INFO_ONLY))
    estate.write(mail({**BOXES, "new": "{owner: jane}"}, "aliases:\n  info: [tom]\n"))
    run = estate.apply().json["run"]
    estate.applied(mail({**BOXES, "new": "{owner: jane}"}, "aliases:\n  info: [tom, jane]\n"))
    estate.applied(mail({**BOXES, "new": "{owner: jane}"}, "aliases:\n  info: [tom]\n"))
    found = rolled_back(estate, run, "--branch", "back")
    new = "mailhost:mailbox/new@northwind.example"
    assert (len(found["reverts"]), [(c["address"], c["revert"]) for c in found["not_back"]]) == (2, [(new, "partial")])
    assert {c["address"] for c in found["since"]} == {INFO}
    text = estate.run("rollback", "--branch", "again", run).out
    assert f"comes back in part: {new}" in text
    assert "Nothing is applied" in text


def test_what_a_rollback_takes_away_is_accepted_in_its_commit(estate):
    """The revert of what made a domain takes it out: refused as such, so the acceptance comes with it."""
    files = {
        f"tenants/northwind/{part}/extra.example.yaml": f"domain: extra.example\n{said}\n"
        for part, said in (("domains", "owner: jane\nmailboxes: {j: {owner: jane}}"), ("dns", "zone: {create: true}"))
    }
    commit = estate.write(files)
    assert estate.apply().code == 0
    found = rolled_back(estate, commit)
    assert {(a["entry"]["finding"], a["entry"]["subject"]) for a in found["accepted"]} >= {("PL210", "extra.example")}
    assert "PL210" in estate.git("show", f"{found['branch']}:tenants/northwind/control.yaml")
    estate.git("merge", "--quiet", "--ff-only", found["branch"])
    assert estate.apply().code == 0


def test_a_rollback_beyond_a_limit_says_the_very_number(estate):
    """Four aliases were made and go again, two may: PL101 is accepted up to four, and it applies."""
    commit = estate.write(mail(more=f"{INFO_ONLY}" + "".join(f"  a{number}: [jane]\n" for number in range(4))))
    assert estate.apply().code == 0
    found = rolled_back(estate, commit)
    (accepted,) = found["accepted"]
    entry = {key: accepted["entry"][key] for key in ("finding", "subject", "up_to")}
    assert entry == {"finding": "PL101", "subject": "northwind/alias", "up_to": 4}
    assert "up_to: 4," in estate.git("show", f"{found['branch']}:tenants/northwind/control.yaml")
    estate.git("merge", "--quiet", "--ff-only", found["branch"])
    assert estate.apply().code == 0
    assert estate.sql("SELECT count(*) FROM alias WHERE address LIKE 'a_@%'") == [(0,)]


def test_a_plain_revert_that_is_refused_names_the_command(estate):
    """In the refusal, whatever the format; and on top of that revert too the command makes what can be applied."""
    commit = estate.write(mail(more=f"{INFO_ONLY}" + "".join(f"  a{number}: [jane]\n" for number in range(4))))
    assert estate.apply().code == 0
    estate.git("revert", "--no-edit", "HEAD")
    command = f"reconciler rollback {commit[:12]}"
    (refusal,) = [f for f in estate.one()["findings"] if f["severity"] == "error"]
    assert (refusal["code"], command in refusal["detail"]) == ("PL101", True)
    for form in ("text", "markdown"):
        assert command in " ".join(estate.run("plan", "--format", form).out.split())
    plain = estate.head
    found = rolled_back(estate, commit)
    assert estate.git("rev-parse", f"{found['branch']}~1") == plain
    estate.git("merge", "--quiet", "--ff-only", found["branch"])
    assert estate.apply().code == 0
    assert estate.sql("SELECT count(*) FROM alias WHERE address LIKE 'a_@%'") == [(0,)]


def test_the_command_is_named_for_what_it_can_do(estate):
    """Not where nothing is refused, where what is refused cannot be accepted, nor where the commit is no revert."""
    estate.applied(mail(more=f"{INFO_ONLY}  a: [jane]\n"))
    estate.git("revert", "--no-edit", "HEAD")
    assert "reconciler rollback" not in estate.run("plan").out
    estate.write(mail(more=f"{INFO_ONLY}" + "".join(f"  a{number}: [jane]\n" for number in range(4))))
    estate.applied({})
    estate.write(mail(more=INFO_ONLY), "Four aliases are done with")
    run = estate.run("plan")
    assert (run.code, "reconciler rollback" in run.out) == (3, False)


def test_what_concerns_all_tenants_is_accepted_by_the_agency(tmp_path):
    """Two removals in each of two tenants, three in one run: one entry for PL103, in reconciler.yaml."""
    agency = f"{AGENCY}limits: {{per_run: {{removals: 3}}}}\n"
    estate = make(tmp_path / "estate", northwind(), contoso(), agency=agency).applied({})
    more = "aliases:\n  info: [jane]\n  a: [jane]\n  b: [jane]\n"
    one = {"jane": "{owner: jane}"}
    commit = estate.write({**mail(more=more), **mail(one, more.replace("  info: [jane]\n", ""), "contoso.example")})
    assert estate.apply().code == 0
    found = rolled_back(estate, commit)
    assert [(a["entry"]["finding"], a["entry"]["subject"], a["entry"]["up_to"]) for a in found["accepted"]] == [
        ("PL103", "per_run/removals", 4)
    ]
    assert estate.git("diff", "--name-only", f"{found['branch']}~1", found["branch"]) == "reconciler.yaml"
    estate.git("merge", "--quiet", "--ff-only", found["branch"])
    assert estate.apply().code == 0


@pytest.mark.parametrize("target", ["0123456789ab", "nothing", "--help-me", "HEAD..HEAD"])
def test_what_is_neither_run_nor_commit(estate, target):
    """A clear error; no branch, no work tree is left."""
    assert estate.run("rollback", "--", target).code == 1
    assert estate.git("branch", "--list", "rollback*") == ""


def test_a_revert_that_clashes_is_left_to_a_person(estate):
    """It says which commit, and leaves nothing behind."""
    commit = estate.write(mail({**BOXES, "tom": "{owner: tom, quota: 3 GiB}"}, INFO_ONLY))
    estate.applied(mail({**BOXES, "tom": "{owner: tom, quota: 4 GiB}"}, INFO_ONLY))
    run = estate.run("rollback", commit)
    assert (run.code, commit[:12] in run.err, "conflict" in run.err) == (1, True, True)
    assert len(estate.git("worktree", "list").splitlines()) == 1
