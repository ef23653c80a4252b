"""A bare repository that people push to: its deployed branch, its folder of plans, and its hooks."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.history import UNBORN, Repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BRANCHES = "refs/heads/"
_OURS = "refs/reconciler/"
HOOKS = ("pre-receive", "post-receive")
_MARK = "# Made by `reconciler hook install`, which writes it anew."


class Push(NamedTuple):
    """One ref of a push: from which commit to which, as Git tells its hooks; 40 zeros are none."""

    old: str
    new: str
    ref: str


class Hub:
    """The bare repository; `branch` is the ref of its deployed branch. Raises ReconcilerError where it is none."""

    def __init__(self, root: Path) -> None:
        self.root, self.repository = root, Repository(root)
        if not self.repository.bare or not (root / "HEAD").is_file():
            why = f"{root} is no bare repository, one that others push to; `git init --bare DIR` makes one"
            raise ReconcilerError(why)
        self.branch = self.repository.attempt("symbolic-ref", "--quiet", "HEAD").stdout.strip()
        if not self.branch.startswith(BRANCHES):
            raise ReconcilerError(f"HEAD of {root} names no branch: git -C {root} symbolic-ref HEAD refs/heads/main")

    @property
    def name(self) -> str:
        """The deployed branch as people call it."""
        return self.branch.removeprefix(BRANCHES)

    @property
    def tip(self) -> str:
        """The deployed commit, or 40 zeros."""
        return self.repository.attempt("rev-parse", "--verify", "--quiet", self.branch).stdout.strip() or UNBORN

    @property
    def waiting(self) -> bool:
        """Whether there are plans that were shown and are not made."""
        return any(self.plans.glob("*.json"))

    @property
    def plans(self) -> Path:
        """The folder of the plans that were shown and are not applied yet."""
        return self.root / "reconciler" / "plans"

    def has(self, ancestor: str, commit: str) -> bool:
        """Whether a commit is another one or comes before it."""
        return self.repository.attempt("merge-base", "--is-ancestor", ancestor, commit).returncode == 0


def pushed(lines: bytes) -> list[Push]:
    """What Git tells its hooks on standard input."""
    return [Push(*os.fsdecode(line).split(" ", 2)) for line in lines.splitlines()]


def forbidden(hub: Hub, pushes: Iterable[Push]) -> Iterator[tuple[Push, str]]:
    """The refs that nobody moves so, and why."""
    for push in pushes:
        if push.ref.startswith(_OURS):
            yield push, "the ledger says what was really applied: this repository alone writes it"
        elif push.ref == hub.branch and _is_none(push.new):
            yield push, "it is the deployed branch, which nobody deletes"
        elif push.ref == hub.branch and not _is_none(push.old) and not hub.has(push.old, push.new):
            yield push, "it is the deployed branch, and goes forward only: merge what is there, or revert it"


def branches(pushes: Iterable[Push]) -> list[Push]:
    """Those to look at: branches that get a commit."""
    return [push for push in pushes if push.ref.startswith(BRANCHES) and not _is_none(push.new)]


def _is_none(commit: str) -> bool:
    return set(commit) == {"0"}


def install(hub: Hub) -> list[str]:
    """Write the hooks; gives those that were not as they are now. Raises ReconcilerError, and writes nothing then."""
    _refuse(hub)
    scripts = {hub.root / "hooks" / name: f"#!/bin/sh\n{_MARK}\nexec {_command(name)}\n" for name in HOOKS}
    for path in scripts:
        if (path.exists() or path.is_symlink()) and _MARK not in path.read_text(errors="replace").splitlines():
            why = f"there is a hook already: {path}. Have it run `{_command(path.name)}`, with its own standard input"
            raise ReconcilerError(why + (", and fail where that fails" if path.name == HOOKS[0] else ""))
    written = [path for path, script in scripts.items() if not path.exists() or path.read_text() != script]
    for path in written:
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link
        path.write_text(scripts[path])
        path.chmod(0o755)
    return [path.name for path in written]


def _refuse(hub: Hub) -> None:
    """Raises ReconcilerError where hooks would not be run, or the ledger be kept elsewhere than people think."""
    elsewhere = hub.repository.attempt("config", "--get-all", "core.hooksPath").stdout.splitlines()[:-1]  # ours is last
    if elsewhere:
        raise ReconcilerError(f"Git looks for hooks in {elsewhere[-1]}: take core.hooksPath out of its configuration")
    if hub.repository.attempt("config", "remote.origin.url").returncode == 0:
        raise ReconcilerError(
            f"{hub.root} has a remote `origin`, where its ledger would be kept, and not here where people look for it:"
            f" git -C {shlex.quote(str(hub.root))} remote rename origin upstream"
        )
    tried = subprocess.run(  # noqa: S603  (this very program, no shell)
        [*_PROGRAM, "--version"], cwd=hub.root, capture_output=True, check=False
    )
    if tried.returncode:
        raise ReconcilerError(f"{sys.executable} runs reconciler only in this folder: install it there, with pip")


_PROGRAM = (sys.executable, "-P", "-m", "reconciler")  # -P: nothing in the repository's folder is taken for a module


def _command(name: str) -> str:
    return shlex.join([*_PROGRAM, "hook", name])
