"""The commands of the pull-request flow, run in this very process as a job would run them: quick, and without `act`."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from tests.estates import call

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from tests.estates import Files, Run
    from tests.forge.agency import Agency
    from tests.forge.github import Pull

GRANTS = {
    "actions": "read", "checks": "write", "contents": "write", "issues": "write", "pull-requests": "write",
    "statuses": "write",
}  # fmt: skip


class Runs:
    """What jobs do in the clone of an agency."""

    def __init__(self, agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
        self.agency, self.github, self._monkeypatch = agency, agency.github, monkeypatch
        token = agency.api.token(GRANTS)
        said = {"ACTIONS": "true", "API_URL": self.github.url, "REPOSITORY": self.github.name, "TOKEN": token}
        for name, value in said.items():
            monkeypatch.setenv(f"GITHUB_{name}", value)
        monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def asked(self, name: str, files: Files, who: str = "nora") -> Pull:
        """A pull request with one commit, planned; its plan is kept."""
        self.agency.branch(name, files)
        pull = self.github.open_pull(who, name, name)
        done = self.plan(pull)
        assert done.code == 0, f"{done.out}\n{done.err}"
        self.keep(pull, (self.agency.estate.root / "var/ci/plan.json").read_bytes())
        return pull

    def keep(self, pull: Pull, plan: bytes) -> None:
        """An artifact with a plan, as the workflow leaves one."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("plan.json", plan)
        self.github.keep(f"reconciler-plan-{pull.head}", archive.getvalue(), pull.head)

    def plan(self, pull: Pull) -> Run:
        """`ci plan` at the merge that GitHub tries."""
        self.agency.estate.git("fetch", "--quiet", "origin", f"refs/pull/{pull.number}/merge")
        self.agency.estate.git("switch", "--quiet", "--detach", "FETCH_HEAD")
        return self._run("plan", self.agency.api.answers.pull_event(pull))

    def merged(self, *pulls: Pull) -> Run:
        """They are merged one after the other, and what is on main then is applied."""
        for pull in pulls:
            self.github.push(pull) if pull.base != self.github.main else None
            self.github.merge(pull, "anna")
        return self.apply()

    def apply(self, *arguments: str) -> Run:
        """`ci apply` of main."""
        self.agency.main()
        return self._run("apply", self.agency.api.answers.push_event(), *arguments)

    def drift(self) -> Run:
        """`ci drift` of main."""
        self.agency.main()
        return self._run("drift", self.agency.api.answers.event(schedule="43 4 * * *"))

    def _run(self, command: str, event: Mapping[str, Any], *arguments: str) -> Run:
        file = self.agency.estate.root.parent / "event.json"
        file.write_text(json.dumps(event))
        self._monkeypatch.setenv("GITHUB_EVENT_PATH", str(file))
        return call("ci", command, "--estate", self.agency.estate.root, *arguments)
