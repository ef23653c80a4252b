"""GitHub, through its REST API as PyGithub speaks it, and the variables and files of GitHub Actions.

Our comments, issues and checks are known by a marker *and* by who made them: anybody may paste a marker, but nobody
else writes as the account of the workflow's own token.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.errors import ForgeError
from reconciler.forges import LABELS, Pull, Reviewed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from github.Issue import Issue
    from github.PullRequest import PullRequest
    from github.Repository import Repository

    from reconciler.forges import Topic, Verdict

CHECK = "reconciler plan"
STATUS = "reconciler apply"
DRIFT = "drift"
_BOT, _APP = "github-actions[bot]", "github-actions"  # who the token of a workflow writes as
_BY_THE_HOST = "web-flow"  # commits what is clicked together in a browser
_CHECK_LIMIT = 65_000  # characters of a check's text; the platform takes 65,535
_SUMMARY_LIMIT = 1_000_000  # bytes of a step's summary; over 1 MiB it is dropped whole
_PLAN_LIMIT = 256 * 2**20  # bytes of a plan's JSON, unpacked
_CANDIDATES = 5  # plans of one commit that are looked at: the job may have run again


class GitHub:
    """The repository that a workflow runs for. Raises ForgeError."""

    limit = 65_536
    annotates = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.clocked = environment.get("GITHUB_EVENT_NAME") == "schedule"
        event = _event(environment.get("GITHUB_EVENT_PATH", ""))
        self._main = event.get("repository", {}).get("default_branch", "main")
        self.pull = _pull(event)

    @property
    def access(self) -> Mapping[str, str]:
        token, server = self._environment.get("GITHUB_TOKEN"), self._environment.get("GITHUB_SERVER_URL", "")
        if not token or not server.startswith("https://"):
            return {}
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{server}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {basic}",
        }

    def say(self, pull: int, topic: Topic, text: str) -> None:
        with _errors(f"the comment of pull request {pull}"):
            issue = self._repository.get_issue(pull)
            every = [comment for comment in issue.get_comments() if comment.user.login == _BOT]
            ours = [comment for comment in every if comment.body.startswith(_marker(topic))]
            if not ours:
                issue.create_comment(text)
            elif ours[0].body != text:
                ours[0].edit(text)
            for double in ours[1:]:  # an answer was lost, and the library asked again
                double.delete()

    def judge(self, head: str, verdict: Verdict) -> None:
        text = verdict.text if len(verdict.text) <= _CHECK_LIMIT else "It is too long for a check: see the summary."
        output: dict[str, Any] = {"title": verdict.title, "summary": f"Digest `{verdict.digest}`", "text": text}
        with _errors("the check"):
            self._repository.create_check_run(
                CHECK, head, external_id=verdict.digest, status="completed",
                conclusion="success" if verdict.good else "failure", output=output,
            )  # fmt: skip

    def label(self, pull: int, name: str) -> None:
        with _errors(f"the label of pull request {pull}"):
            issue = self._repository.get_issue(pull)
            there = {label.name for label in issue.get_labels()}
            if there & LABELS.keys() != {name}:
                self._make_label(name, LABELS[name])
                issue.edit(labels=sorted(there - LABELS.keys() | {name}))

    def reviewed(self, commits: Sequence[str]) -> list[Reviewed]:
        found: dict[int, Reviewed] = {}
        with _errors("what was reviewed"):
            for commit in commits:
                for pull in self._repository.get_commit(commit).get_pulls():
                    if pull.merged_at is not None and pull.base.ref == self._main and pull.number not in found:
                        found[pull.number] = self._reviewed(pull, commit)
        return list(found.values())

    def _reviewed(self, pull: PullRequest, commit: str) -> Reviewed:
        head = pull.head.sha
        checks = self._repository.get_commit(head).get_check_runs(check_name=CHECK, filter="latest")
        ours = [run for run in checks if run.app.slug == _APP and run.status == "completed"]
        digest = max(ours, key=lambda run: run.id).external_id if ours else ""
        made: list[Any] = [who for commit in pull.get_commits() for who in (commit.author, commit.committer)]
        wrote = {pull.user.login, *(who.login for who in made if who is not None)}  # None: an address of no account
        return Reviewed(
            pull.number, commit, pull.base.sha, head, frozenset(wrote - {_BY_THE_HOST}), _approvals(pull), digest,
            self._plan(head, digest) if digest else None,
        )  # fmt: skip

    def _plan(self, head: str, digest: str) -> bytes | None:
        """The plan of a commit whose digest is the one that its check says."""
        found = [a for a in self._repository.get_artifacts(name=f"reconciler-plan-{head}") if not a.expired]
        for artifact in sorted(found, key=lambda artifact: -artifact.id)[:_CANDIDATES]:
            content = _unpacked(self._download(artifact.archive_download_url))
            if content is not None and digest.encode() in content:
                return content
        return None

    def _download(self, url: str) -> bytes:
        import requests  # which sends our token to the API alone, and not to where that sends it on

        token = self._environment.get("GITHUB_TOKEN", "")
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        if answer.status_code != 200:
            raise ForgeError(f"GitHub: the plan of a pull request: HTTP {answer.status_code}")
        return answer.content

    def tell(self, commit: str, *, good: bool, text: str) -> None:
        with _errors("the status of a commit"):
            state = "success" if good else "failure"
            self._repository.get_commit(commit).create_status(state, description=text[:140], context=STATUS)

    def summary(self, text: str) -> None:
        file = self._environment.get("GITHUB_STEP_SUMMARY")
        if file:
            content = text.encode("utf-8", "backslashreplace")[:_SUMMARY_LIMIT]
            with Path(file).open("ab") as summary:
                summary.write(content.decode(errors="ignore").encode() + b"\n")

    def issues(self) -> Mapping[str, str]:
        return {tenant: issue.body for tenant, issue in self._drift.items() if issue.state == "open"}

    def report(self, tenant: str, title: str, text: str) -> None:
        with _errors(f"the issue of {tenant}"):
            if tenant in self._drift:
                self._drift[tenant].edit(title=title, body=text, state="open")
                return
            self._make_label(DRIFT, "fbca04")
            self._repository.create_issue(title, body=text, labels=[DRIFT])

    def close(self, tenant: str, text: str) -> None:
        with _errors(f"the issue of {tenant}"):
            self._drift[tenant].create_comment(text)
            self._drift[tenant].edit(state="closed")

    def compare(self, branch: str) -> str:
        server, name = (self._environment.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY"))
        return f"{server}/{name}/compare/{self._main}...{branch}?expand=1"

    @cached_property
    def _drift(self) -> dict[str, Issue]:
        """{tenant: the issue about its drift}, open or not; of several the newest, and the others are closed."""
        found: dict[str, Issue] = {}
        with _errors("the issues about drift"):
            for issue in self._repository.get_issues(state="all", labels=[DRIFT], sort="created", direction="asc"):
                first = (issue.body or "").partition("\n")[0]
                if issue.user.login == _BOT and first.startswith(_marker(DRIFT)):
                    tenant = first.removeprefix(_marker(DRIFT)).partition(" ")[0]
                    if tenant in found and found[tenant].state == "open":  # an answer was lost, as in `say`
                        found[tenant].edit(state="closed")
                    found[tenant] = issue
        return found

    @cached_property
    def _repository(self) -> Repository:
        from github import Auth, Github

        token, name = (self._environment.get(f"GITHUB_{key}", "") for key in ("TOKEN", "REPOSITORY"))
        if not token or not name:
            raise ForgeError("GitHub: GITHUB_TOKEN and GITHUB_REPOSITORY are not both set; give the step the token")
        url = self._environment.get("GITHUB_API_URL", "https://api.github.com")
        # Writes are few (what is there already as it should be is left), so they need not be spaced out.
        host = Github(
            base_url=url, auth=Auth.Token(token), per_page=100, lazy=True,
            seconds_between_requests=0, seconds_between_writes=0,
        )  # fmt: skip
        return host.get_repo(name)

    def _make_label(self, name: str, colour: str) -> None:
        from github import GithubException

        try:
            self._repository.create_label(name, colour)
        except GithubException as error:
            if error.status != 422:  # it is there
                raise


def _marker(topic: str) -> str:
    return f"<!-- reconciler:{topic} "


def _event(path: str) -> Mapping[str, Any]:
    try:
        return json.loads(Path(path).read_bytes()) if path else {}
    except (OSError, ValueError) as error:
        raise ForgeError(f"GitHub: the event in GITHUB_EVENT_PATH cannot be read ({type(error).__name__})") from None


def _pull(event: Mapping[str, Any]) -> Pull | None:
    said = event.get("pull_request")
    if said is None:
        return None
    home = (said["head"].get("repo") or {}).get("full_name")  # None: the fork is gone
    foreign = home != said["base"]["repo"]["full_name"]
    return Pull(said["number"], said["head"]["sha"], said["base"]["sha"], said["user"]["login"], foreign)


def _approvals(pull: PullRequest) -> frozenset[str]:
    """Whose last word on the pull request is an approval of what was merged."""
    last: dict[str, tuple[str, str]] = {}
    for review in pull.get_reviews():
        if review.state in {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}:
            last[review.user.login] = (review.state, review.commit_id)
    return frozenset(who for who, said in last.items() if said == ("APPROVED", pull.head.sha))


def _unpacked(archive: bytes) -> bytes | None:
    """The plan in an artifact; None where there is none, or one that is too big to be one."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed, packed.open("plan.json") as file:
            content = file.read(_PLAN_LIMIT + 1)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, OSError):
        return None
    return content if len(content) <= _PLAN_LIMIT else None


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """What the library raises becomes ours: which request, and what GitHub says of it."""
    from github import GithubException
    from requests.exceptions import RequestException

    try:
        yield
    except GithubException as error:
        said = (error.data or {}).get("message", "") if isinstance(error.data, dict) else ""
        raise ForgeError(f"GitHub: {what}: HTTP {error.status} {str(said)[:200]}".rstrip()) from None
    except RequestException as error:
        raise ForgeError(f"GitHub: {what}: it does not answer ({type(error).__name__})") from None
