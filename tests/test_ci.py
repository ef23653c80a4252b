"""The pull-request flow on any CI: what a host would show is left as files, what was reviewed is found as files."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from reconciler.consents import Consent
from tests.estates import AGENCY, NORTHWIND, call, contoso, mail, make, northwind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.estates import Estate, Run

SEVEN = {"jane": "{owner: jane, quota: 7 GiB}", "tom": "{owner: tom, quota: 2 GiB}"}
INFO = "aliases:\n  info: [jane]\n"


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    """Northwind and Contoso, applied; then a branch."""
    estate = make(tmp_path / "estate", northwind(), contoso()).applied()
    estate.git("switch", "--quiet", "--create", "change")
    return estate


def left(estate: Estate, name: str) -> str:
    return (estate.root / "var" / "ci" / name).read_text()


def run(estate: Estate, command: str, *arguments: str) -> Run:
    return call("ci", command, "--estate", estate.root, *arguments)


def planned(estate: Estate) -> Run:
    return run(estate, "plan", "--base", "main")


def merged(estate: Estate, name: str = "1") -> None:
    """What was planned counts as reviewed from now on, and main has it."""
    folder = estate.root / "var" / "ci"
    (folder / "reviewed").mkdir(exist_ok=True)
    shutil.copy(folder / "plan.json", folder / "reviewed" / f"{name}.json")
    estate.git("switch", "--quiet", "main")
    estate.git("merge", "--quiet", "--no-ff", "-m", "Merge", "change")
    estate.git("switch", "--quiet", "change")


def test_a_plan_is_shown_with_its_digest_and_label(estate: Estate) -> None:
    """Comment, check, label and summary say the same plan, of the tenant that changed and no other."""
    estate.write(mail(SEVEN, INFO))
    done = planned(estate)
    assert done.code == 0, done.err
    plan, check = json.loads(left(estate, "plan.json")), json.loads(left(estate, "check.json"))
    assert [tenant["tenant"] for tenant in plan["tenants"]] == ["northwind"]
    assert (check["good"], check["title"], check["digest"]) == (True, "1 change", plan["digest"])
    assert left(estate, "label.txt") == "plan: changes\n"
    assert "`5 GiB -> 7 GiB`" in left(estate, "comment-plan.md") == left(estate, "summary.md")


def test_what_a_branch_would_be_merged_into_must_be_said(estate: Estate) -> None:
    """Else the commit before would be trusted with the secrets, which may be one of the branch itself."""
    assert run(estate, "plan").code == 64


def test_providers_come_from_what_it_would_be_merged_into(estate: Estate) -> None:
    """A branch of several commits that turns a provider elsewhere is read where main has it."""
    estate.write({"reconciler.yaml": AGENCY.replace("var/mail.sqlite", "var/other.sqlite")})
    estate.write(mail(SEVEN, INFO))
    assert planned(estate).code == 0
    assert "PL311" in left(estate, "comment-plan.md")
    assert not (estate.root / "var" / "other.sqlite").exists()


def test_what_cannot_be_planned_says_why_in_the_comment(estate: Estate) -> None:
    """A file that stops everything leaves a comment with its findings, a failed check and the label for it."""
    estate.write({"reconciler.yaml": AGENCY + "nonsense: 1\n"})
    done = planned(estate)
    assert done.code == 1
    assert "## Plan: cannot be made" in left(estate, "comment-plan.md")
    assert "`reconciler.yaml:" in left(estate, "comment-plan.md")
    assert not json.loads(left(estate, "check.json"))["good"]
    assert left(estate, "label.txt") == "plan: refused\n"


def test_a_refused_tenant_fails_the_check(estate: Estate) -> None:
    """The merge is held up where the host asks for the check."""
    estate.write(mail(SEVEN, "aliases:\n  info: [nobody]\n"))
    assert planned(estate).code == 3
    check = json.loads(left(estate, "check.json"))
    assert (check["good"], check["title"]) == (False, "2 changes, 1 tenant refused")


def test_a_plan_that_takes_away_has_the_label_for_it(estate: Estate) -> None:
    """The worst effect is on the pull request's list, and who has to approve stands before all else."""
    estate.write(mail({"jane": "{owner: jane}"}, INFO))
    assert planned(estate).code == 0
    assert left(estate, "label.txt") == "plan: takes away\n"
    text = left(estate, "comment-plan.md")
    assert text.index("### Needs an approval") < text.index("### Takes away") < text.index("<details>")


def test_what_was_reviewed_is_applied_after_the_merge(estate: Estate) -> None:
    """At most what the plan showed; the result is left for the pull request and the commit."""
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    merged(estate)
    estate.git("switch", "--quiet", "main")
    done = run(estate, "apply")
    assert done.code == 0, done.out
    assert "## Applied: 1 change" in left(estate, "comment-apply.md")
    assert json.loads(left(estate, "status.json"))["good"]
    assert estate.sql("SELECT quota FROM mailbox WHERE username = 'jane@northwind.example'") == [(7 * 2**30,)]
    assert run(estate, "apply").out.count("done") == 0  # nothing is left to do


def test_two_merges_are_applied_together(estate: Estate) -> None:
    """The plans of both since the last apply are allowed: neither alone shows all that there is to do."""
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    merged(estate, "1")
    estate.write(mail(SEVEN, INFO + "  sales: [tom]\n"))
    planned(estate)
    merged(estate, "2")
    estate.git("switch", "--quiet", "main")
    assert run(estate, "apply").code == 0
    assert estate.plan()["summary"]["create"] == estate.plan()["summary"]["update"] == 0


def test_what_nobody_reviewed_is_stale_and_the_others_go_on(estate: Estate) -> None:
    """A commit past the review stops its tenant with the command that applies it; another tenant is applied."""
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    merged(estate)
    estate.git("switch", "--quiet", "main")
    estate.write(mail({"jane": "{owner: jane, quota: 9 GiB}"}, "", "contoso.example"))
    done = run(estate, "apply")
    assert done.code == 4
    text = left(estate, "comment-apply.md")
    assert "| `northwind` | applied | 1 | 0 |" in text
    assert "| `contoso` | **stale**: not what was reviewed | 0 | 1 |" in text
    command = text.partition("`reconciler apply --digest ")[2].partition("`")[0]
    assert run(estate, "apply", "--digest", command).code == 0


def test_live_that_moved_after_the_review_is_stale(estate: Estate) -> None:
    """What was shown was a step from 5 to 7; from 1 to 7 is another one."""
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    merged(estate)
    estate.git("switch", "--quiet", "main")
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'jane@northwind.example'")
    assert run(estate, "apply").code == 4


def test_a_plan_that_was_edited_counts_for_nothing(estate: Estate) -> None:
    """The file may come from anywhere: it counts by its digest."""
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    merged(estate)
    path = estate.root / "var" / "ci" / "reviewed" / "1.json"
    path.write_text(path.read_text().replace(str(7 * 2**30), str(8 * 2**30)))
    estate.git("switch", "--quiet", "main")
    assert run(estate, "apply").code == 4


def test_a_tenant_that_stands_twice_in_a_plan_counts_for_nothing(estate: Estate) -> None:
    """A digest is of the last one alone: whatever is put before it was reviewed by nobody."""
    estate.write(mail({**SEVEN, "kim": "{owner: jane}"}, INFO))
    planned(estate)
    more = json.loads(left(estate, "plan.json"))["tenants"]
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    path = estate.root / "var" / "ci" / "plan.json"
    plan = json.loads(path.read_text())
    path.write_text(json.dumps(plan | {"tenants": [*more, *plan["tenants"]]}))
    estate.write(mail({**SEVEN, "kim": "{owner: jane}"}, INFO))
    merged(estate)
    estate.git("switch", "--quiet", "main")
    assert run(estate, "apply").code == 4


@pytest.mark.parametrize("key", ["due", "forgotten", "changes"])
def test_a_plan_with_a_name_that_is_none_is_no_plan(estate: Estate, key: str) -> None:
    """What no digest covers may be anything in a file from anywhere, and ends no run."""
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    merged(estate)
    path = estate.root / "var" / "ci" / "reviewed" / "1.json"
    plan = json.loads(path.read_text())
    odd = {"address": ["x"], "action": "create", "was": {}, "fields": {}}
    plan["tenants"][0][key] = [5] if key == "forgotten" else [odd]
    path.write_text(json.dumps(plan))
    estate.git("switch", "--quiet", "main")
    assert run(estate, "apply").code == 4


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '{"format": "reconciler.plan/1"}', "\x00"])
def test_a_reviewed_file_of_nonsense_is_none(estate: Estate, content: str) -> None:
    """Whatever lies where plans are looked for ends no run."""
    estate.write(mail(SEVEN, INFO))
    planned(estate)
    merged(estate)
    (estate.root / "var" / "ci" / "reviewed" / "1.json").write_text(content)
    estate.git("switch", "--quiet", "main")
    assert run(estate, "apply").code == 4


def test_what_is_due_follows_though_nothing_was_merged(estate: Estate) -> None:
    """An hourly run makes what a day brought about, without a review of its own."""
    more = (
        "forwards:\n  out: {to: [x@elsewhere.test], owner: jane, reason: trip, approved_by: ops, expires: 2099-01-01}\n"
    )
    estate.git("switch", "--quiet", "main")
    estate.applied(mail(SEVEN, more))
    estate.write(mail(SEVEN, more.replace("2099", "2020")))
    estate.applied()
    run(estate, "apply")
    assert estate.plan()["summary"]["due"] == 0


def test_an_issue_stands_while_there_is_drift(estate: Estate) -> None:
    """It says since when and both ways out, stays the same while nothing moves, and is gone when it is over."""
    quota = "UPDATE mailbox SET quota = {} WHERE username = 'tom@northwind.example'"
    estate.sql(quota.format(1))
    assert run(estate, "drift").code == 0
    text = left(estate, "issues/northwind.md")
    assert "| `mailhost:mailbox/tom@northwind.example` `quota` | `2 GiB` | `1 bytes` | low | 20" in text
    assert "put it back" in text
    run(estate, "drift")
    assert left(estate, "issues/northwind.md") == text
    estate.sql(quota.format(2 * 2**30))
    run(estate, "drift")
    assert not (estate.root / "var" / "ci" / "issues" / "northwind.md").exists()


def test_the_comment_of_five_thousand_changes_fits(tmp_path: Path) -> None:
    """It says that values are left out, and still shows all that is taken away."""
    boxes = {f"box{i:04}": "{owner: jane}" for i in range(5000)}
    limits = "limits: {removals: {mailbox: {count: 999}}, per_run: {removals: 999}}\n"
    kept = {"jane": "{owner: jane}", **{f"old{i:03}": "{owner: jane}" for i in range(100)}}
    estate = make(tmp_path / "estate", northwind(kept), agency=AGENCY + limits).applied()
    base = estate.head
    estate.write(mail({"jane": "{owner: jane}", **boxes}, INFO))
    assert run(estate, "plan", "--base", base).code == 0
    assert left(estate, "comment-plan.md").count("**retire**") == 200  # at the top, and in the tenant's part
    text = estate.run("plan", "--format", "markdown").out
    assert len(text) <= 65_536
    assert text.count("**retire**") == 100
    assert "the plan is too long for a comment" in text


HOSTILE = "@org/team <img src=x> `` ` `` --> </code></details> [a](http://x) ![b](http://x) ::error::x"


def test_values_stay_text_in_comment_and_issue(estate: Estate) -> None:
    """Neither YAML nor live data become markup, a mention or a link."""
    text = (estate.root / NORTHWIND).read_text()
    estate.write({NORTHWIND: text.replace("{owner: jane}", f"{{owner: jane, name: {json.dumps(HOSTILE)}}}", 1)})
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username LIKE 'tom@%'")
    estate.sql("UPDATE alias SET goto = ? WHERE address LIKE 'info@%'", "<b>@all|`x`<!--")
    planned(estate)
    run(estate, "drift")
    for name in ("comment-plan.md", "issues/northwind.md"):
        html = MarkdownIt("commonmark", {"html": True}).enable("table").render(left(estate, name))
        outside = re.sub(r"<code>.*?</code>|<!-- reconciler:.*? -->", "", html)
        assert re.search(r"@|<img|<b>|<a |http|<!--", outside) is None, outside
        assert html.count("<details") == html.count("</details>")


@pytest.mark.parametrize(
    ("approvals", "authors", "given"),
    [
        (["anna"], ["tom"], True),
        (["Anna"], ["tom"], True),  # accounts have no case
        (["anna"], ["anna"], False),  # self-approval
        (["tom"], ["jane"], False),  # no holder of the role
        ([], ["tom"], False),
        (["anna", "tom"], ["anna"], False),  # the holder wrote it, the other one holds nothing
    ],
)
def test_who_holds_the_role_and_did_not_write_it_approves(
    approvals: list[str], authors: list[str], given: bool
) -> None:
    """An approval counts by who gives it."""
    consent = Consent("mailbox_admin", "x", "retires it", frozenset({"anna", "bela"}), named=True)
    assert consent.given(frozenset(approvals), frozenset(authors)) is given


def test_where_a_role_is_given_to_nobody_anybody_else_approves() -> None:
    """But never the author."""
    consent = Consent("mailbox_admin", "x", "retires it")
    assert consent.given(frozenset({"tom"}), frozenset({"jane"}))
    assert not consent.given(frozenset({"jane"}), frozenset({"jane"}))


def test_a_role_whose_holders_have_no_account_is_approved_by_nobody() -> None:
    """It is not taken for a role that nobody holds."""
    assert not Consent("mailbox_admin", "x", "retires it", named=True).given(frozenset({"tom"}), frozenset({"jane"}))


@pytest.fixture
def remote(estate: Estate, tmp_path: Path) -> Estate:
    """The estate with a remote that has its main branch and its ledgers."""
    estate.git("switch", "--quiet", "main")
    estate.git("clone", "--quiet", "--bare", "--template=", ".", str(tmp_path / "origin.git"))
    estate.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    estate.git("push", "--quiet", "origin", "refs/reconciler/tenants/*:refs/reconciler/tenants/*")
    return estate


def branches(estate: Estate) -> dict[str, str]:
    """{branch: commit} of the remote's branches that take drift over."""
    lines = estate.git("ls-remote", "origin", "refs/heads/reconciler/*").splitlines()
    return {name.removeprefix("refs/heads/"): commit for commit, name in (line.split("\t") for line in lines)}


TOMS = "UPDATE mailbox SET quota = {} WHERE username = 'tom@northwind.example'"
TAKEN_OVER = "reconciler/drift/northwind"


def test_a_branch_takes_the_drift_over(remote: Estate) -> None:
    """The issue names it; merged, nothing is drift any more, issue and branch are gone."""
    remote.sql(TOMS.format(3 * 2**30))
    assert run(remote, "drift").code == 0
    assert f"merge the branch `{TAKEN_OVER}`" in left(remote, "issues/northwind.md")
    assert list(branches(remote)) == [TAKEN_OVER]
    assert remote.git("branch", "--list", "reconciler/*") == ""
    remote.git("merge", "--quiet", "--no-ff", "-m", "Adopt", branches(remote)[TAKEN_OVER])
    assert "quota: 3 GiB" in (remote.root / NORTHWIND).read_text()
    assert run(remote, "drift").code == 0
    assert not (remote.root / "var" / "ci" / "issues" / "northwind.md").exists()
    assert branches(remote) == {}


def test_the_branch_stays_while_nothing_moves_and_follows_what_does(remote: Estate) -> None:
    """The same drift pushes nothing; other drift puts another commit in its place."""
    remote.sql(TOMS.format(3 * 2**30))
    run(remote, "drift")
    first = branches(remote)
    run(remote, "drift")
    assert branches(remote) == first
    remote.sql(TOMS.format(4 * 2**30))
    run(remote, "drift")
    assert branches(remote) != first


def test_what_a_person_put_onto_the_branch_is_left(remote: Estate) -> None:
    """Their commit is neither overwritten nor taken away."""
    remote.sql(TOMS.format(3 * 2**30))
    run(remote, "drift")
    remote.git("switch", "--quiet", "--create", "mine", branches(remote)[TAKEN_OVER])
    own = remote.write(
        {"tenants/northwind/tenant.yaml": (remote.root / "tenants/northwind/tenant.yaml").read_text() + "# seen\n"}
    )
    remote.git("push", "--quiet", "origin", f"mine:{TAKEN_OVER}")
    remote.git("switch", "--quiet", "main")
    remote.sql(TOMS.format(4 * 2**30))
    run(remote, "drift")
    assert branches(remote)[TAKEN_OVER] == own


def test_what_cannot_be_read_keeps_issue_and_branch(remote: Estate) -> None:
    """Of a server that does not answer nobody knows that the drift is over."""
    remote.sql(TOMS.format(3 * 2**30))
    run(remote, "drift")
    before = branches(remote), left(remote, "issues/northwind.md")
    remote.database.write_bytes(b"no database")
    assert run(remote, "drift").code == 1
    assert (branches(remote), left(remote, "issues/northwind.md")) == before
