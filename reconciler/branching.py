"""A commit on a branch of its own, made in a work tree of its own: HEAD, index and working tree stay as they are."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import journal
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.history import Repository


def free(repository: Repository, branch: str) -> None:
    """Raises ReconcilerError where no branch can be made under that name."""
    if repository.attempt("check-ref-format", f"refs/heads/{branch}").returncode or branch.startswith("-"):
        raise ReconcilerError(f"Git takes no branch called {branch!r}; name another one with --branch")
    if repository.refs(f"refs/heads/{branch}"):
        raise ReconcilerError(f"there is a branch {branch} already; name another one with --branch")


@contextmanager
def worktree(repository: Repository, commit: str) -> Iterator[Path]:
    """The estate's folder in a work tree of its own, at a commit."""
    inside = repository.prefix
    with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
        tree = Path(folder, "tree")
        repository.git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree / inside
        finally:
            repository.git("worktree", "remove", "--force", str(tree))


def commit(repository: Repository, folder: Path, message: str) -> None:
    """Commit all that was written below a work tree's folder. Raises ReconcilerError."""
    at = ("-C", str(folder))
    options = ("--quiet", "--no-verify", "--cleanup=whitespace", "--file=-")
    try:
        repository.git(*at, "add", "--all", ".")
        repository.git(*identity(repository), *at, "commit", *options, stdin=message.encode())
    except subprocess.CalledProcessError as error:
        said = (error.stderr.decode(errors="replace").strip().splitlines() or ["git says no more"])[0]
        raise ReconcilerError(f"the commit cannot be made: {said}") from None


def head(repository: Repository, folder: Path) -> str:
    """The commit that a work tree is at."""
    return repository.git("-C", str(folder), "rev-parse", "HEAD").decode().strip()


def make(repository: Repository, branch: str, commit: str) -> None:
    """The branch at a commit, unless one of that name came about meanwhile. Raises ReconcilerError."""
    done = repository.attempt("update-ref", f"refs/heads/{branch}", commit, "")
    if done.returncode:
        raise ReconcilerError(f"the branch {branch} cannot be made; name another one with --branch")


def identity(repository: Repository) -> tuple[str, ...]:
    """Options that name whoever does it, where Git knows nobody."""
    name, _, address = journal.identity(repository).partition(" <")
    return ("-c", f"user.name={name}", "-c", f"user.email={address.removesuffix('>')}")
