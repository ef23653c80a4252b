"""GitHub Actions for the tests: runs the very workflow files of a repository, with `act`, on this machine.

`act` knows neither what a job may nor which secrets it gets, so each job is run by itself here: with a token of its own
`permissions`, the secrets of its own environment, and for the pull request of a fork with a token that reads and none.
Three actions that would be fetched have stand-ins in `actions/`, which do the same on this machine; so has `pip`.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from tests.forge.api import Api
    from tests.forge.github import Pull

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BIN = Path(sys.executable).parent
RUNNER = "ubuntu-24.04"
OUTER = ("ACTIONS_", "GITHUB_", "RUNNER_")  # of the runner that runs these very tests


class Run(NamedTuple):
    """How a job ended, or `skipped`; its log, and its summary in Markdown."""

    result: str
    log: str
    summary: str


class Actions:
    """The workflows of a repository. `variables` are the repository's, `secrets` those of its environments."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api, self.folder = api, folder
        self.variables: dict[str, str] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self._runs = itertools.count(1)

    def pull(self, pull: Pull, action: str = "opened") -> dict[str, Run]:
        """What plan.yml does of a pull request, by job."""
        event = self.api.answers.pull_event(pull, action)
        return self.run("plan", "pull_request", event, f"refs/pull/{pull.number}/merge", foreign=pull.fork is not None)

    def run(
        self, workflow: str, event: str, payload: dict[str, Any], ref: str = "refs/heads/main", *, foreign: bool = False
    ) -> dict[str, Run]:
        """The jobs of a workflow, as the commit at `ref` has it."""
        folder = self.folder / f"run-{next(self._runs)}"
        self.api.github.git("clone", "--quiet", "--no-checkout", str(self.api.github.bare), str(folder))
        self.api.github.git("fetch", "--quiet", "origin", ref, at=folder)
        self.api.github.git("checkout", "--quiet", "--detach", "FETCH_HEAD", at=folder)
        file = folder / ".github" / "workflows" / f"{workflow}.yml"
        file.write_text(re.sub(r"\n  queue: max.*", "", file.read_text()))  # act does not know it yet
        (folder / "event.json").write_text(json.dumps(payload))
        read = yaml.safe_load(file.read_text())
        return {job: self._job(folder, file, event, job, said, foreign) for job, said in read["jobs"].items()}

    def _job(self, folder: Path, file: Path, event: str, job: str, said: Any, foreign: bool) -> Run:
        grants = said.get("permissions", {})
        grants = dict.fromkeys(grants, "read") if foreign else grants
        secrets = {} if foreign else self.secrets.get(said.get("environment", ""), {})
        given = {"GITHUB_TOKEN": self.api.token(grants)} | secrets
        command = [
            BIN / "act", event, "--workflows", file, "--job", job, "--eventpath", folder / "event.json",
            "--platform", f"{RUNNER}=-self-hosted", "--no-skip-checkout", "--no-cache-server", "--json",
            *_options("--env", _variables(self.api, folder)), *_options("--var", self.variables),
            *_options("--secret", given), *_stand_ins(file),
        ]  # fmt: skip
        outer = {name: value for name, value in os.environ.items() if not name.startswith(OUTER)}
        environment = outer | {"XDG_CACHE_HOME": str(folder / job), "PATH": _path()}
        done = subprocess.run(
            [*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        self._keep(folder)
        return _run(done)

    def _keep(self, folder: Path) -> None:
        """What the job left of artifacts, which belong to the commit that it ran at."""
        commit = self.api.github.git("rev-parse", "HEAD", at=folder)
        for artifact in (folder / "artifacts").glob("*"):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as packed:
                for path in artifact.iterdir():
                    packed.write(path, path.name)
                    path.unlink()
            artifact.rmdir()
            self.api.github.keep(artifact.name, archive.getvalue(), commit)


def _variables(api: Api, folder: Path) -> dict[str, str]:
    """What the runner and the stand-ins are told."""
    return {
        "GITHUB_API_URL": api.github.url, "GITHUB_REPOSITORY": api.github.name, "GITHUB_RUN_ID": folder.name[4:],
        "NO_COLOR": "1", "TTY_COMPATIBLE": "0",  # act gives every step a terminal, which GitHub does not
        "FORGE_REPOSITORY": str(api.github.bare), "FORGE_ARTIFACTS": str(folder / "artifacts"),
    }  # fmt: skip


def _options(name: str, values: dict[str, str]) -> list[str]:
    return [part for key, value in values.items() for part in (name, f"{key}={value}")]


def _stand_ins(file: Path) -> list[str]:
    uses = set(re.findall(r"uses: (actions/([\w-]+)@\w+)", file.read_text()))
    return [part for use, name in sorted(uses) for part in ("--local-repository", f"{use}={HERE / 'actions' / name}")]


def _path() -> str:
    return os.pathsep.join([str(HERE / "bin"), str(BIN), os.environ["PATH"]])


def _run(done: subprocess.CompletedProcess[str]) -> Run:
    lines = [_line(line) for line in done.stderr.splitlines() + done.stdout.splitlines()]
    log = "".join(str(line.get("msg", "")).rstrip("\n") + "\n" for line in lines)
    ended = [line["jobResult"] for line in lines if "jobResult" in line]
    return Run(ended[-1] if ended else "skipped", log, log.partition("Summary - ")[2])


def _line(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {"msg": line}
    return found if isinstance(found, dict) else {"msg": line}
