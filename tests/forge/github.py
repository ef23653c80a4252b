"""A GitHub for the tests: one repository, its pull requests and issues, and the people who work there.

Git is real: branches, `refs/pull/N/head`, `refs/pull/N/merge` and merge commits lie in a bare repository. What the API
answers of all this is in `api.py`.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.forge.description import filled

if TYPE_CHECKING:
    from pathlib import Path

BOT = "github-actions[bot]"  # whom the token of a workflow writes as
WEB = "web-flow"  # who commits what is merged in a browser
NOBODY = "0" * 40


class Refused(Exception):
    """The host does not do it: a rule of the repository is not met."""


@dataclass
class Pull:
    """A pull request; `fork` is the repository of its branch where that is another."""

    number: int
    author: str
    title: str
    branch: str
    head: str
    base: str
    fork: Path | None = None
    reviews: list[dict[str, Any]] = field(default_factory=list)
    merged: str | None = None
    merged_at: str | None = None


class GitHub:
    """One repository on a Git host. `approvals` is how many a merge needs."""

    def __init__(self, bare: Path, *, name: str = "agency/estate", approvals: int = 0) -> None:
        self.bare, self.name, self.approvals = bare, name, approvals
        self.url = self.store = ""  # of its API, and of an artifact; known once it is served
        self.accounts: dict[str, str] = {WEB: "noreply@github.com"}  # {login: address of its commits}
        self.pulls: dict[int, Pull] = {}
        self.issues: dict[int, dict[str, Any]] = {}  # pull requests too, as on GitHub
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.labels: dict[str, dict[str, Any]] = {}
        self.checks: list[dict[str, Any]] = []
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.artifacts: dict[int, dict[str, Any]] = {}
        self.archives: dict[int, bytes] = {}
        self.ids = itertools.count(1000)

    def git(self, *arguments: str, at: Path | None = None, **environment: str) -> str:
        """What Git says, in the bare repository."""
        command = ["git", "-C", str(at or self.bare), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    @property
    def main(self) -> str:
        return self.git("rev-parse", "refs/heads/main")

    # What people do.

    def open_pull(self, author: str, branch: str, title: str, *, fork: Path | None = None) -> Pull:
        """A pull request of a branch of the repository, or of a fork."""
        number = len(self.issues) + 1
        pull = Pull(number, author, title, branch, "", "", fork)
        self.pulls[number] = pull
        self._issue(number, author, title, "", pull=True)
        return self.push(pull)

    def push(self, pull: Pull) -> Pull:
        """Its branch has moved, or main has: both commits and the merge that is tried are what they are now."""
        self.git(
            "fetch",
            "--quiet",
            "--force",
            str(pull.fork or self.bare),
            f"+refs/heads/{pull.branch}:{_ref(pull, 'head')}",
        )
        pull.head, pull.base = self.git("rev-parse", _ref(pull, "head")), self.main
        self.git("update-ref", _ref(pull, "merge"), self._merge(pull, f"Merge {pull.head} into {pull.base}", BOT))
        return pull

    def review(self, pull: Pull, who: str, state: str = "APPROVED") -> None:
        """A review of what the pull request is now. GitHub lets nobody approve their own."""
        if who == pull.author and state != "COMMENTED":
            raise Refused("Can not approve your own pull request")
        known = {"id": next(self.ids), "user": self.user(who), "state": state, "commit_id": pull.head, "body": ""}
        pull.reviews.append(filled("pull-request-review", known | {"submitted_at": now()}))

    def merge(self, pull: Pull, who: str) -> str:
        """A merge commit on main, as the button makes one."""
        approving = {found["user"]["login"] for found in pull.reviews if found["state"] == "APPROVED"}
        if len(approving) < self.approvals:
            raise Refused(f"At least {self.approvals} approving review is required by reviewers with write access.")
        message = f"Merge pull request #{pull.number} from {self.name.partition('/')[0]}/{pull.branch}\n\n{pull.title}"
        pull.merged, pull.merged_at = self._merge(pull, message, who), now()
        self.git("update-ref", "refs/heads/main", pull.merged)
        self.issues[pull.number] |= {"state": "closed", "closed_at": pull.merged_at}
        return pull.merged

    def comment(self, number: int, who: str, body: str) -> dict[str, Any]:
        """A comment at an issue or a pull request, by whomever."""
        ident = next(self.ids)
        known = {"id": ident, "user": self.user(who), "body": body, "created_at": now(), "updated_at": now()}
        known["url"] = f"{self.url}/repos/{self.name}/issues/comments/{ident}"
        self.comments[number].append(filled("issue-comment", known))
        return self.comments[number][-1]

    def issue(self, who: str, title: str, body: str = "", labels: tuple[str, ...] = ()) -> dict[str, Any]:
        """An issue, by whomever."""
        made = self._issue(len(self.issues) + 1, who, title, body)
        made["labels"] = [self.label(name) for name in labels]
        return made

    def label(self, name: str, color: str = "ededed") -> dict[str, Any]:
        """A label of the repository; GitHub makes one in passing where an issue is given one that is not there."""
        known = {"id": next(self.ids), "name": name, "color": color, "description": ""}
        return self.labels.setdefault(name, filled("label", known))

    def keep(self, name: str, archive: bytes, commit: str) -> None:
        """An artifact, as a workflow leaves one: a ZIP file."""
        ident = next(self.ids)
        known = {"id": ident, "name": name, "size_in_bytes": len(archive), "created_at": now()}
        known["archive_download_url"] = f"{self.url}/repos/{self.name}/actions/artifacts/{ident}/zip"
        known["workflow_run"] = {"id": next(self.ids), "head_sha": commit}
        self.artifacts[ident], self.archives[ident] = filled("artifact", known), archive

    def user(self, login: str) -> dict[str, Any]:
        return filled("simple-user", {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"})

    # What the host does by itself.

    def _issue(self, number: int, who: str, title: str, body: str, *, pull: bool = False) -> dict[str, Any]:
        known: dict[str, Any] = {"id": next(self.ids), "number": number, "title": title, "body": body, "labels": []}
        known |= {"user": self.user(who), "state": "open", "locked": False, "created_at": now(), "updated_at": now()}
        known["url"] = f"{self.url}/repos/{self.name}/issues/{number}"
        if pull:
            urls = ("url", "html_url", "diff_url", "patch_url")
            known["pull_request"] = dict.fromkeys(urls, f"https://github.com/{self.name}/pull/{number}")
        self.issues[number], self.comments[number] = filled("issue", known), []
        return self.issues[number]

    def _merge(self, pull: Pull, message: str, who: str) -> str:
        tree = self.git("merge-tree", "--write-tree", "refs/heads/main", pull.head).splitlines()[0]
        return self.git(
            "commit-tree", tree, "-p", "refs/heads/main", "-p", pull.head, "-m", message,
            GIT_AUTHOR_NAME=who, GIT_AUTHOR_EMAIL=self.accounts.get(who, "nobody@github.com"),
            GIT_COMMITTER_NAME="GitHub", GIT_COMMITTER_EMAIL=self.accounts[WEB],
        )  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _ref(pull: Pull, name: str) -> str:
    return f"refs/pull/{pull.number}/{name}"
