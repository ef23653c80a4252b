"""What a command asks for, and how far what it reads is what lies in the working tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from reconciler.history import Repository

if TYPE_CHECKING:
    from pathlib import Path

Progress = Callable[[int, int], None]


class Request(NamedTuple):
    """What a command asks for; empty `tenants` means all of them. `progress` is told (done, total) tenants.

    `broken` are tips of ledgers whose intent was watched standing still for a whole lease. `enforce` are addresses (or
    `all`) whose drift is put back whatever the policy is; `as_of` is the day (ISO) to plan for, empty: today.
    `no_remote` says why the ledger is kept apart, which is done while its remote does not answer. `changed_since` is a
    commit: only tenants that have changed since are looked at, and what was wrong there already is known. `trusted` is
    a commit whose providers and secrets are used instead of those at `revision`. `offline`: no live system is asked.
    """

    root: Path
    revision: str = "HEAD"
    worktree: bool = False
    tenants: tuple[str, ...] = ()
    progress: Progress = lambda _done, _total: None
    broken: frozenset[str] = frozenset()
    enforce: frozenset[str] = frozenset()
    as_of: str = ""
    no_remote: str = ""
    changed_since: str = ""
    trusted: str = ""
    offline: bool = False


@contextmanager
def differing(request: Request) -> Iterator[Callable[[], list[str]]]:
    """Asks which files of what is read the working tree has otherwise than HEAD, where HEAD is what is read.

    Git answers while the rest goes on: begin with it, and call what it gives at the end. Raises InputError.
    """
    if request.worktree or request.revision != "HEAD":
        yield list
        return
    tenants = [f"tenants/{name}" for name in request.tenants] or ["tenants"]
    paths = ["reconciler.yaml", "domain-templates", *tenants]
    with Repository(request.root).changed_in_worktree(paths) as answer:
        yield answer
