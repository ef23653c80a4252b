"""The pull-request flow on GitHub: the shipped workflow files run, against a forge that is held to GitHub's own API."""

import pytest

from tests.estates import BOXES, mail
from tests.forge.agency import agency_in
from tests.forge.api import Fault
from tests.forge.github import BOT

INFO = "aliases:\n  info: [jane]\n"
KIM = mail({**BOXES, "kim": "{owner: jane}"}, INFO)
LEE = mail({**BOXES, "kim": "{owner: jane}", "lee": "{owner: jane}"}, INFO)


@pytest.fixture
def agency(tmp_path):
    """Northwind on GitHub."""
    with agency_in(tmp_path) as agency:
        yield agency


def test_a_removal_waits_for_who_may_approve_it(agency):
    """What nobody approved who may is left as it is, and the pull request says so; an author does not count."""
    agency.github.accounts["bela"] = "anna@agency.example"  # whose address the commits have
    agency.branch("fewer", mail({"jane": BOXES["jane"]}, INFO))
    pull = agency.github.open_pull("nora", "fewer", "Tom leaves")
    agency.actions.pull(pull)
    agency.github.review(pull, "bela")
    done = agency.merged(pull)
    assert done.result == "failure"
    assert [may for may, _ in agency.box("tom")] == [1]
    assert "mailbox_admin" in agency.said(1, "apply")[0]


def test_what_the_host_does_not_take_stands_in_the_log(agency):
    """A comment that is refused fails the job, but hides nothing of what was applied."""
    agency.branch("kim", KIM)
    pull = agency.asked("kim", "A mailbox for Kim")
    agency.api.faults.append(Fault("issues/create-comment", 422))
    done = agency.approved(pull)
    assert done.result == "failure"
    assert "applied: 1 done" in done.log
    assert [may for may, _ in agency.box("kim")] == [1]


def test_nothing_of_a_pull_request_runs(agency, tmp_path):
    """Its title, the name of its branch and the Python in it are read by nobody who would do what they say."""
    pwned = tmp_path / "pwned"
    code = f"open({str(pwned)!r}, 'w').close()\n"
    names = ("sitecustomize.py", "yaml.py", "github/__init__.py", "reconciler/__init__.py", "setup.py")
    branch = f"kim$(touch${{IFS}}{pwned})"
    agency.branch(branch, KIM | dict.fromkeys(names, code))
    pull = agency.github.open_pull("mallory", branch, f'"; touch {pwned}; ## $(touch {pwned})')
    assert agency.actions.pull(pull)["plan"].result == "success"
    assert not pwned.exists()


def test_a_marker_that_others_paste_is_not_ours(agency):
    """A comment that looks like ours is left alone, by whomever; ours stands beside it."""
    agency.branch("kim", KIM)
    pull = agency.github.open_pull("nora", "kim", "A mailbox for Kim")
    agency.github.comment(1, "mallory", "<!-- reconciler:plan {} -->\nNothing to see here")
    agency.actions.pull(pull)
    assert [(c["user"]["login"], "kim@" in c["body"]) for c in agency.github.comments[1]] == [
        ("mallory", False), (BOT, True),
    ]  # fmt: skip


def test_a_lost_answer_makes_no_second_comment(agency):
    """GitHub did it and did not say so: what is asked again leads to the same."""
    agency.branch("kim", KIM)
    pull = agency.github.open_pull("nora", "kim", "A mailbox for Kim")
    agency.api.faults.append(Fault("issues/create-comment", 502, after=True))
    assert agency.actions.pull(pull)["plan"].result == "success"
    (said,) = agency.said(1, "plan")
    assert "kim@northwind.example" in said


def test_drift_is_an_issue_until_it_is_over(agency):
    """One issue for the client, made, left alone while nothing moves, closed when live is as Git says again."""
    agency.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    for _ in range(2):
        done = agency.actions.run("drift", "schedule", agency.api.answers.event(schedule="43 4 * * *"))["drift"]
        assert done.result == "success", done.log
    (issue,) = agency.github.issues.values()
    assert (issue["state"], issue["user"]["login"], issue["labels"][0]["name"]) == ("open", BOT, "drift")
    assert "tom@northwind.example" in issue["body"]
    agency.sql(f"UPDATE mailbox SET quota = {2 * 2**30} WHERE username = 'tom@northwind.example'")
    agency.actions.run("drift", "workflow_dispatch", agency.api.answers.event(inputs={}))
    assert issue["state"] == "closed"


def test_a_lost_answer_leaves_no_second_issue(agency):
    """GitHub opened it and did not say so: of the two the next run keeps one open."""
    agency.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    agency.api.faults.append(Fault("issues/create", 502, after=True))
    for _ in range(2):
        agency.actions.run("drift", "schedule", agency.api.answers.event(schedule="43 4 * * *"))
    assert [issue["state"] for issue in agency.github.issues.values()] == ["closed", "open"]


def test_a_fork_learns_what_git_and_ledger_say(agency, tmp_path):
    """Its pull request is planned without a live system, a secret, or a word to GitHub."""
    agency.estate.git("switch", "--quiet", "--create", "kim")
    agency.estate.write(KIM)
    agency.estate.git("clone", "--quiet", "--bare", ".", str(tmp_path / "fork.git"))
    agency.database.rename(tmp_path / "away")
    pull = agency.github.open_pull("mallory", "kim", "A mailbox for Kim", fork=tmp_path / "fork.git")
    runs = agency.actions.pull(pull)
    assert {job: run.result for job, run in runs.items()} == {"plan": "skipped", "fork": "success"}
    assert "create mailbox kim@northwind.example" in runs["fork"].log
    assert agency.api.asked == []
    assert not agency.database.exists()


def test_a_purge_is_for_a_hand(agency):
    """Its workflow names a client; without the repository's variable neither it nor an apply runs."""
    event = agency.api.answers.event(inputs={"tenant": "northwind"})
    done = agency.actions.run("purge", "workflow_dispatch", event)["purge"]
    assert done.result == "success", done.log
    agency.actions.variables = {}
    for workflow in ("apply", "purge", "drift"):
        assert agency.actions.run(workflow, "workflow_dispatch", event)[workflow].result == "skipped"
