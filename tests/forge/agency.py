"""An estate on the tests' GitHub, its live systems, and the clone of somebody who works on it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.estates import AGENCY, make, northwind
from tests.forge.actions import Actions
from tests.forge.api import serve
from tests.forge.github import GitHub

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.estates import Estate, Files
    from tests.forge.actions import Run
    from tests.forge.api import Api
    from tests.forge.github import Pull

ROOT = Path(__file__).resolve().parents[2]


class Agency:
    """What a person does there: branches, pull requests, merges; and what the host's clock does."""

    def __init__(self, folder: Path, api: Api, estate: Estate) -> None:
        self.api, self.github, self.estate = api, api.github, estate
        self.actions = Actions(api, folder)
        self.actions.variables = {"RECONCILER_APPLY": "true"}
        self.database = folder / "live" / "mail.sqlite"

    def branch(self, name: str, files: Files) -> None:
        """A branch from main with a commit, pushed."""
        self.main()
        self.push(name, files)

    def main(self) -> None:
        """What is merged by now, to go on from."""
        self.estate.git("fetch", "--quiet", "origin")
        self.estate.git("switch", "--quiet", "--detach", "origin/main")

    def push(self, name: str, files: Files) -> None:
        """One more commit, pushed to a branch."""
        self.estate.write(files)
        self.estate.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{name}")

    def asked(self, name: str, title: str, who: str = "nora") -> Pull:
        """A pull request of a branch, planned."""
        pull = self.github.open_pull(who, name, title)
        done = self.actions.pull(pull)["plan"]
        assert done.result == "success", done.log
        return pull

    def approved(self, pull: Pull) -> Run:
        """Approved by one who may, merged, and what comes of it."""
        self.github.review(pull, "bela")
        return self.merged(pull)

    def merged(self, pull: Pull, who: str = "anna") -> Run:
        """Merged by somebody, and what comes of it."""
        before = self.github.main
        self.github.merge(pull, who)
        return self.actions.run("apply", "push", self.api.answers.push_event(before))["apply"]

    def hourly(self) -> Run:
        return self.actions.run("apply", "schedule", self.api.answers.event(schedule="17 * * * *"))["apply"]

    def by_hand(self, digest: str) -> Run:
        """The apply workflow, run by a person with the digest of a plan."""
        return self.actions.run("apply", "workflow_dispatch", self.api.answers.event(inputs={"digest": digest}))[
            "apply"
        ]

    def daily(self) -> Run:
        return self.actions.run("drift", "schedule", self.api.answers.event(schedule="43 4 * * *"))["drift"]

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute(text).fetchall()
            connection.commit()
        return rows

    def box(self, name: str) -> list[tuple[Any, ...]]:
        """[(whether its owner may log in, its password)] of a mailbox of Northwind; empty where it is not there."""
        return self.sql(
            "SELECT coalesce(login_enabled, 1), password FROM mailbox LEFT JOIN reconciler_mailbox USING (username) "
            f"WHERE username = '{name}@northwind.example'"
        )

    def said(self, number: int, topic: str) -> list[str]:
        """Our comments of a topic at a pull request."""
        return [c["body"] for c in self.github.comments[number] if c["body"].startswith(f"<!-- reconciler:{topic} ")]


@contextmanager
def agency_in(folder: Path, files: Mapping[str, str | bytes | None] = northwind()) -> Iterator[Agency]:
    """Northwind, applied once from somebody's machine; Anna and Bela may approve."""
    live = AGENCY.replace("///var/", f"///{folder}/live/").replace("var/zones", f"{folder}/live/zones")
    for who in ("anna", "bela"):
        live = live.replace(f"{who}: {{", f'{who}: {{account: "@{who}", ')
    estate = make(folder / "estate", files, agency=live)
    shutil.copytree(ROOT / ".github", estate.root / ".github")
    estate.commit("Workflows")
    estate.git("init", "--quiet", "--bare", "--initial-branch=main", str(folder / "estate.git"))
    estate.git("remote", "add", "origin", str(folder / "estate.git"))
    estate.git("push", "--quiet", "origin", "main")
    estate.applied()
    with serve(GitHub(folder / "estate.git", approvals=1)) as api:
        yield Agency(folder, api, estate)
