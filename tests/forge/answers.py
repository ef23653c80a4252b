"""What GitHub's API says of a repository: one small function for each operation, called by its id.

What the description leaves open is null, a body may be too long, and nobody edits the comments of others.
"""

from __future__ import annotations

import re
import subprocess
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.forge.description import filled
from tests.forge.github import BOT, NOBODY, now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.forge.description import Asked
    from tests.forge.github import GitHub, Pull

LONGEST = 65_536  # characters of a body


class Failed(Exception):
    """The answer is an error: its status and message."""


class Answer(NamedTuple):
    """What goes back over HTTP."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})


class Answers:
    """The operations of one repository."""

    def __init__(self, github: GitHub) -> None:
        self.github = github

    def of(self, asked: Asked) -> Any:
        """The answer, or the whole of a list. Raises Failed."""
        return getattr(self, "_" + re.sub(r"\W", "_", asked.operation))(asked.parameters, asked.body)

    # One repository

    def _repos_get(self, _: Any, __: Any) -> Any:
        return self._repository("full-repository")

    def _repository(self, schema: str) -> dict[str, Any]:
        owner, _, name = self.github.name.partition("/")
        known = {"id": 1, "name": name, "full_name": self.github.name, "owner": self.github.user(owner)}
        known |= {"default_branch": "main", "private": True, "url": f"{self.github.url}/repos/{self.github.name}"}
        return filled(schema, known)

    def _repos_get_commit(self, asked: Any, _: Any) -> Any:
        return self._commit(self._resolved(asked["ref"]))

    def _resolved(self, ref: str) -> str:
        command = ["git", "-C", str(self.github.bare), "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(422, f"No commit found for SHA: {ref}")
        return done.stdout.strip()

    def _commit(self, sha: str) -> dict[str, Any]:
        said = self.github.git("log", "-1", "--format=%ae%n%ce%n%B", sha).split("\n", 2)
        logins = {address: login for login, address in self.github.accounts.items()}
        who = [self.github.user(logins[address]) if address in logins else None for address in said[:2]]
        commit = filled("commit", {"sha": sha, "author": who[0], "committer": who[1]})
        commit["commit"]["message"] = said[2]
        commit["url"] = f"{self.github.url}/repos/{self.github.name}/commits/{sha}"
        return commit

    # Pull requests

    def _pull(self, number: int) -> Pull:
        if number not in self.github.pulls:
            raise Failed(404, "Not Found")
        return self.github.pulls[number]

    def pull(self, pull: Pull, schema: str = "pull-request") -> dict[str, Any]:
        """A pull request as the API and an event have it."""
        issue, url = self.github.issues[pull.number], f"{self.github.url}/repos/{self.github.name}/pulls/{pull.number}"
        known = {key: issue[key] for key in ("title", "body", "user", "state", "labels", "number", "created_at")}
        made = filled(schema, known | {"url": url, "merged_at": pull.merged_at, "merge_commit_sha": pull.merged})
        if schema == "pull-request":
            made["merged"] = pull.merged is not None
        home = self._repository("repository")
        fork = home | {"full_name": f"{pull.author}/{home['name']}", "fork": True} if pull.fork else home
        made["head"] |= {"sha": pull.head, "ref": pull.branch, "repo": fork}
        made["base"] |= {"sha": pull.base, "ref": "main", "repo": home}
        return made

    def _pulls_get(self, asked: Any, _: Any) -> Any:
        return self.pull(self._pull(asked["pull_number"]))

    def _pulls_list_reviews(self, asked: Any, _: Any) -> Any:
        return self._pull(asked["pull_number"]).reviews

    def _pulls_list_commits(self, asked: Any, _: Any) -> Any:
        pull = self._pull(asked["pull_number"])
        return [self._commit(sha) for sha in self._brought(pull)][:250]  # GitHub lists no more

    def _brought(self, pull: Pull) -> list[str]:
        return self.github.git("rev-list", "--reverse", f"{pull.base}..{pull.head}").split()

    def _repos_list_pull_requests_associated_with_commit(self, asked: Any, _: Any) -> Any:
        sha = self._resolved(asked["commit_sha"])
        found = [pull for pull in self.github.pulls.values() if sha in (pull.merged, *self._brought(pull))]
        return [self.pull(pull, "pull-request-simple") for pull in found]

    # Comments, issues, labels

    def _issue(self, asked: Any) -> dict[str, Any]:
        if asked["issue_number"] not in self.github.issues:
            raise Failed(404, "Not Found")
        return self.github.issues[asked["issue_number"]]

    def _issues_get(self, asked: Any, _: Any) -> Any:
        return self._issue(asked)

    def _issues_list_comments(self, asked: Any, _: Any) -> Any:
        return self.github.comments[self._issue(asked)["number"]]

    def _issues_create_comment(self, asked: Any, body: Any) -> Any:
        return Answer(201, self.github.comment(self._issue(asked)["number"], BOT, _fitting(body["body"])))

    def _issues_update_comment(self, asked: Any, body: Any) -> Any:
        _, comment = self._own(asked["comment_id"])
        comment.update(body=_fitting(body["body"]), updated_at=now())
        return comment

    def _issues_delete_comment(self, asked: Any, _: Any) -> Any:
        thread, comment = self._own(asked["comment_id"])
        thread.remove(comment)
        return Answer(204)

    def _own(self, ident: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """A comment of the bot's, and those it stands among."""
        found = [(some, one) for some in self.github.comments.values() for one in some if one["id"] == ident]
        if not found:
            raise Failed(404, "Not Found")
        if found[0][1]["user"]["login"] != BOT:
            raise Failed(403, "Must have admin rights to Repository.")
        return found[0]

    def _issues_list_for_repo(self, asked: Any, _: Any) -> Any:
        wanted = set(filter(None, asked.get("labels", "").split(",")))
        state, latest = asked.get("state", "open"), asked.get("direction", "desc") == "desc"
        found = [
            issue for issue in self.github.issues.values()
            if state in ("all", issue["state"]) and wanted <= {label["name"] for label in issue["labels"]}
        ]  # fmt: skip
        return sorted(found, key=lambda issue: issue["number"], reverse=latest)

    def _issues_create(self, _: Any, body: Any) -> Any:
        return Answer(
            201, self.github.issue(BOT, body["title"], _fitting(body.get("body") or ""), tuple(body.get("labels", ())))
        )

    def _issues_update(self, asked: Any, body: Any) -> Any:
        issue = self._issue(asked)
        known = {key: body[key] for key in ("title", "body", "state") if body.get(key) is not None}
        _fitting(known.get("body", ""))
        issue |= known | {"updated_at": now()}
        if "labels" in body:
            issue["labels"] = [self.github.label(name) for name in body["labels"]]
        issue["closed_at"] = now() if issue["state"] == "closed" else None
        return issue

    def _issues_create_label(self, _: Any, body: Any) -> Any:
        if body["name"] in self.github.labels:
            raise Failed(422, "Validation Failed")
        return Answer(201, self.github.label(body["name"], body.get("color", "ededed")))

    def _issues_list_labels_on_issue(self, asked: Any, _: Any) -> Any:
        return self._issue(asked)["labels"]

    # Checks, statuses, artifacts

    def _checks_create(self, _: Any, body: Any) -> Any:
        ident = next(self.github.ids)
        known = {"id": ident, "name": body["name"], "head_sha": self._resolved(body["head_sha"])}
        known["url"] = f"{self.github.url}/repos/{self.github.name}/check-runs/{ident}"
        made = filled("check-run", known | {"status": "queued", "started_at": now()})
        made["check_suite"] = {"id": next(self.github.ids)}
        made["app"] = filled("nullable-integration", {"id": 15368, "slug": "github-actions", "name": "GitHub Actions"})
        self.github.checks.append(made)
        return Answer(201, self._checked(made, body))

    def _checks_update(self, asked: Any, body: Any) -> Any:
        found = [check for check in self.github.checks if check["id"] == asked["check_run_id"]]
        if not found:
            raise Failed(404, "Not Found")
        return self._checked(found[0], body)

    def _checked(self, check: dict[str, Any], body: Any) -> dict[str, Any]:
        check |= {key: body[key] for key in ("status", "conclusion", "external_id", "name") if key in body}
        if "conclusion" in body:
            check |= {"status": "completed", "completed_at": now()}
        said = body.get("output", {})
        check["output"] |= {key: said[key] for key in ("title", "summary", "text") if key in said}
        check["output"]["annotations_count"] += len(said.get("annotations", ()))
        return check

    def _checks_list_for_ref(self, asked: Any, _: Any) -> Any:
        sha, wanted = self._resolved(asked["ref"]), asked.get("check_name")
        found = [c for c in self.github.checks if c["head_sha"] == sha and wanted in (None, c["name"])]
        if asked.get("filter", "latest") == "latest":
            found = list({(check["app"]["slug"], check["name"]): check for check in found}.values())
        return {"total_count": len(found), "check_runs": found}

    def _repos_create_commit_status(self, asked: Any, body: Any) -> Any:
        sha = self._resolved(asked["sha"])
        known = {"id": next(self.github.ids), "creator": self.github.user(BOT), "created_at": now()} | body
        self.github.statuses.setdefault(sha, []).append(filled("status", known))
        return Answer(201, self.github.statuses[sha][-1])

    def _actions_list_artifacts_for_repo(self, asked: Any, _: Any) -> Any:
        found = [one for one in self.github.artifacts.values() if asked.get("name") in (None, one["name"])]
        return {"total_count": len(found), "artifacts": found[::-1]}

    def _actions_download_artifact(self, asked: Any, _: Any) -> Any:
        if asked["artifact_id"] not in self.github.archives:
            raise Failed(410, "Artifact has expired")
        return Answer(302, None, {"location": self.github.store.format(asked["artifact_id"])})

    # What an event says

    def event(self, **said: Any) -> dict[str, Any]:
        """The payload of an event of this repository, as a workflow finds it in a file."""
        return said | {"repository": self._repository("full-repository")}

    def pull_event(self, pull: Pull, action: str = "opened") -> dict[str, Any]:
        """The payload of an event of a pull request."""
        return self.event(action=action, number=pull.number, pull_request=self.pull(pull))

    def push_event(self, before: str = NOBODY) -> dict[str, Any]:
        """The payload of a push to main."""
        return self.event(ref="refs/heads/main", before=before, after=self.github.main)


def _fitting(text: str) -> str:
    if len(text.encode("utf-16-le")) // 2 > LONGEST:
        raise Failed(422, "Body is too long (maximum is 65536 characters)")
    return text
