"""The tests' own GitHub is as strict as the real one: what it takes and answers is what GitHub describes."""

import subprocess

import pytest

from tests.forge.api import Fault, serve
from tests.forge.github import BOT, GitHub, Refused

EVERY = {
    "actions": "read", "checks": "write", "contents": "write", "issues": "write", "pull-requests": "write",
    "statuses": "write",
}  # fmt: skip


def git(folder, *arguments):
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(clone, name, branch):
    """A commit with one file, on a branch, pushed."""
    git(clone, "checkout", "--quiet", "-B", branch)
    (clone / name).write_text(name)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", name)
    git(clone, "push", "--quiet", "--force", "origin", branch)
    return git(clone, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "estate.git")
    git(tmp_path, "clone", "--quiet", "estate.git", "clone")
    commit(tmp_path / "clone", "first", "main")
    return tmp_path / "clone"


@pytest.fixture
def github(clone):
    return GitHub(clone.parent / "estate.git", approvals=1)


@pytest.fixture
def api(github):
    with serve(github) as found:
        yield found


def client(api, grants, retry=0):
    """The repository as PyGithub sees it with a token of these grants."""
    from github import Auth, Github

    return Github(
        base_url=api.github.url, auth=Auth.Token(api.token(grants)), per_page=100, retry=retry,
        seconds_between_requests=0, seconds_between_writes=0,
    ).get_repo(api.github.name)  # fmt: skip


@pytest.fixture
def opened(clone, github):
    commit(clone, "second", "feature")
    github.accounts["nora"] = "anna@agency.example"  # of the commits that tests make
    return github.open_pull("nora", "feature", "A feature")


def test_a_pull_request_is_merged_as_github_does_it(clone, github, api, opened):
    """It needs the approval of another, brings a merge commit that the API finds it by, and is closed."""
    head, base = opened.head, github.main
    with pytest.raises(Refused, match="approve your own"):
        github.review(opened, "nora")
    with pytest.raises(Refused, match="At least 1"):
        github.merge(opened, "nora")
    github.review(opened, "anna")
    merged = github.merge(opened, "anna")
    assert github.git("rev-list", "--parents", "-n1", "main").split() == [merged, base, head]
    found = client(api, {"contents": "read", "pull-requests": "read"}).get_commit(merged).get_pulls()[0]
    assert (found.number, found.merged_at is not None, found.head.sha, found.base.sha) == (1, True, head, base)
    assert [(r.user.login, r.state, r.commit_id) for r in found.get_reviews()] == [("anna", "APPROVED", head)]
    assert [(c.sha, c.author.login) for c in found.get_commits()] == [(head, "nora")]


def test_a_push_moves_a_pull_request(clone, github, opened):
    """Head and the merge that is tried follow the branch; an approval stays with what it approved."""
    before = opened.head
    github.review(opened, "anna")
    github.push(opened) if commit(clone, "third", "feature") else None
    assert opened.head != before == opened.reviews[0]["commit_id"]
    assert github.git("rev-parse", "refs/pull/1/head") == opened.head
    assert github.git("rev-list", "--parents", "-n1", "refs/pull/1/merge").split()[1:] == [github.main, opened.head]


def test_comments_know_their_author(github, api, opened):
    """What is written with the token of a workflow is its bot's, whatever others pasted."""
    github.comment(1, "mallory", "<!-- marker -->")
    issue = client(api, EVERY).get_issue(1)
    issue.create_comment("<!-- marker --> ours").edit("<!-- marker --> edited")
    assert [(c.user.login, c.user.type, c.body) for c in issue.get_comments()] == [
        ("mallory", "User", "<!-- marker -->"), (BOT, "Bot", "<!-- marker --> edited"),
    ]  # fmt: skip


def test_lists_come_in_pages(github, api, opened):
    """A hundred at most a page, and the address of the next."""
    for number in range(101):
        github.comment(1, "nora", str(number))
    found = client(api, EVERY).get_issue(1).get_comments()
    assert [comment.body for comment in found] == [str(number) for number in range(101)]
    assert [asked.parameters.get("page") for asked in api.asked[-2:]] == [None, 2]


def test_checks_labels_issues_and_statuses_are_kept(github, api, opened):
    """What a workflow writes is there for the next one that looks."""
    repository, head = client(api, EVERY), opened.head
    for digest in ("one", "two"):
        repository.create_check_run(
            "plan", head, external_id=digest, status="completed", conclusion="success",
            output={"title": "t", "summary": "s", "text": "t"},
        )  # fmt: skip
    checks = repository.get_commit(head).get_check_runs(check_name="plan", filter="latest")
    assert [(run.external_id, run.app.slug) for run in checks] == [("two", "github-actions")]
    repository.create_label("drift", "fbca04")
    issue = repository.create_issue("Drift", body="text", labels=["drift"])
    issue.edit(state="closed")
    assert [(i.title, i.state) for i in repository.get_issues(state="all", labels=["drift"])] == [("Drift", "closed")]
    repository.get_issue(1).edit(labels=["drift", "new"])
    assert [label.name for label in repository.get_issue(1).get_labels()] == ["drift", "new"]
    repository.get_commit(head).create_status("success", description="done", context="apply")
    assert [status["context"] for status in github.statuses[head]] == ["apply"]


def test_an_artifact_is_fetched_where_the_api_sends(github, api, opened):
    """The archive lies with another host, which gets no token."""
    github.keep("plan", b"PK", opened.head)
    artifact = client(api, EVERY).get_artifacts(name="plan")[0]
    import urllib3

    token = next(iter(api.tokens))
    answer = urllib3.request("GET", artifact.archive_download_url, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.data) == (200, b"PK")


def test_a_token_may_what_it_was_granted(github, api, opened):
    """Without the grant a request is refused, as GitHub refuses it."""
    from github import GithubException

    issue = client(api, {"contents": "read", "pull-requests": "read"}).get_issue(1)
    with pytest.raises(GithubException, match="not accessible by integration"):
        issue.create_comment("text")


def test_too_long_a_comment_is_refused(github, api, opened):
    """65,536 characters of UTF-16 are the most that a comment holds."""
    from github import GithubException

    issue = client(api, EVERY).get_issue(1)
    issue.create_comment("x" * 65_536)
    with pytest.raises(GithubException, match="too long"):
        issue.create_comment("🙂" * 32_769)


def test_a_request_can_be_made_to_fail(github, api, opened):
    """A rate limit is told as GitHub tells it; what is done before the answer is lost stays done."""
    from github import GithubException

    issue = client(api, EVERY).get_issue(1)
    api.faults += [
        Fault("issues/create-comment", 403, {"retry-after": "1"}),
        Fault("issues/create-comment", 502, after=True),
    ]
    for status, comments in ((403, 0), (502, 1)):
        with pytest.raises(GithubException) as caught:
            issue.create_comment("text")
        assert (caught.value.status, len(github.comments[1])) == (status, comments)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/repos/agency/estate/branches", b""),
        ("GET", "/repos/agency/estate/issues?perpage=3", b""),
        ("GET", "/repos/agency/estate/issues?per_page=many", b""),
        ("POST", "/repos/agency/estate/issues/1/comments", b'{"text": "body is missing"}'),
        ("POST", "/repos/agency/estate/issues/1/comments", b"no JSON"),
        ("POST", "/repos/agency/estate/statuses/main", b'{"state": "good"}'),
        ("POST", "/repos/agency/estate/check-runs", b'{"name": "x", "head_sha": "main", "conclusion": "good"}'),
        ("POST", "/repos/agency/estate/issues/1/comments", b'{"body": "text", "bodi": "a slip"}'),
        ("GET", "/repos/agency/estate/issues/1", b'{"a": "body"}'),
    ],
)  # fmt: skip
def test_what_github_does_not_describe_fails_the_test(github, api, method, path, body):
    """An operation, a parameter or a body that the description does not know is noted, and ends the test."""
    assert api.answer(method, path, f"Bearer {api.token(EVERY)}", body).status == 400
    assert len(api.wrong) == 1
    api.wrong.clear()
