"""A branch per tenant at the remote that takes its drift over into Git, for a person to make a pull request of.

It is put in place while the drift lasts, and is gone with it. What a person has put onto it is left alone.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from reconciler import importing
from reconciler.errors import ReconcilerError
from reconciler.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.changes import Plan
    from reconciler.history import Repository
    from reconciler.request import Request

_REMOTE, _PREFIX = "origin", "reconciler/drift/"
_OURS = ("Import ", " changed outside Git")  # how the message of such a commit begins, and how its first line ends


def branches(request: Request, found: Plan, plan: Callable[[str, tuple[str, ...]], Plan]) -> dict[str, str]:
    """{tenant: the branch at the remote with its drift}. Where there is no remote there is none.

    `plan` makes that of a commit for some tenants. Raises ReconcilerError where the remote does not do it.
    """
    with closing(_Remote(request, found)) as remote:
        if not remote.known:
            return {}
        drifted = [tenant for tenant in found.tenants if any(not drift.accepted for drift in tenant.drift)]
        made = {}
        for tenant in drifted:
            one = importing.make(
                remote.session, found._replace(tenants=(tenant,)), (), f"{_PREFIX}{tenant.tenant}", plan
            )
            if one.commit:
                made[f"{_PREFIX}{tenant.tenant}"] = one.commit
        unknown = {f"{_PREFIX}{tenant.tenant}" for tenant in found.tenants if tenant.unread or tenant.stopped}
        remote.put(made, unknown)
        return {branch.removeprefix(_PREFIX): branch for branch in made}


class _Remote:
    """The branches as the remote has them."""

    def __init__(self, request: Request, found: Plan) -> None:
        self.session = Session(request._replace(revision=found.commit))
        self._repository: Repository = self.session.estate.repository
        self.known = self._repository.attempt("config", f"remote.{_REMOTE}.url").returncode == 0
        if self.known:
            where = f"refs/remotes/{_REMOTE}/{_PREFIX}*"
            self._git("fetch", "--quiet", "--prune", _REMOTE, f"+refs/heads/{_PREFIX}*:{where}")
            self._forget()

    def close(self) -> None:
        self._forget()
        self.session.__exit__()

    def put(self, made: Mapping[str, str], unknown: set[str]) -> None:
        """Have the remote hold what was made, and no other branch of ours but those nothing is known of."""
        there = {name.partition(f"{_REMOTE}/")[2]: tip for name, tip in self._tips(f"refs/remotes/{_REMOTE}/").items()}
        moves = []
        for branch in sorted({*there, *made} - unknown):
            tip, commit = there.get(branch, ""), made.get(branch, "")
            if (tip and not self._ours(tip)) or (tip and commit and self._tree(tip) == self._tree(commit)):
                continue
            moves += [f"--force-with-lease=refs/heads/{branch}:{tip}", f"{commit}:refs/heads/{branch}"]
        if moves:
            leases = [move for move in moves if move.startswith("--")]
            self._git("push", "--quiet", *leases, _REMOTE, *(move for move in moves if move not in leases))

    def _tips(self, below: str) -> dict[str, str]:
        return self._repository.refs(f"{below}{_PREFIX}")

    def _forget(self) -> None:
        """Take away the branches that were made here: they are for the remote alone."""
        for name in self._tips("refs/heads/"):
            self._git("update-ref", "-d", name)

    def _ours(self, commit: str) -> bool:
        first = self._git("log", "-1", "--format=%s", commit)
        return first.startswith(_OURS[0]) and first.endswith(_OURS[1])

    def _tree(self, commit: str) -> str:
        return self._git("rev-parse", f"{commit}^{{tree}}")

    def _git(self, *arguments: str) -> str:
        done = self._repository.attempt(*arguments)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["git says no more"])[-1]
            raise ReconcilerError(f"the branches with drift cannot be put in place at {_REMOTE}: {said[:200]}")
        return done.stdout.strip()
