"""The ledger's refs: commits written for many tenants at once, and moved only where nobody else has moved meanwhile.

One `fast-import` makes the commits of a phase, on no ref. The tenants' refs are moved to them by compare-and-swap, each
for itself: at a remote, which then is the truth, by one unforced push of all of them; in this clone by a transaction
that names the old values. No process per tenant, and nothing to sweep up after a run that was killed.
"""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from reconciler.errors import LedgerError, Locked, ReconcilerError, RemoteError
from reconciler.history import UNBORN
from reconciler.ledger import OFFLINE, REFS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.history import Repository
    from reconciler.signing import Signers

_MAKING = "refs/reconciler/making"  # named in the stream alone: it ends with taking this ref back
_INSTANT = 0.5  # seconds, far longer than Git holds the lock of a ref
# A pack is made sure of before its commits are named; of the single files that Git writes for small imports the disk
# decides when, and a ref would outlive what it points to when the power goes. `git gc` makes packs small, not a run.
_DURABLY = ("-c", "fastimport.unpackLimit=1", "-c", "pack.compression=1")
_QUIETLY = (
    "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--refmap=", "--no-prune", "--show-forced-updates",
)  # fmt: skip
_NO_REMOTE = "say `ledger: {remote: null}` in reconciler.yaml to keep the ledger in this clone alone"


class Commit(NamedTuple):
    """A commit on a tenant's ref: what it changes in the tree of `parent` (None: takes the file out).

    `joins` is the commit of runs that were kept apart; their ref goes when this one arrives, if it still is there.
    """

    tenant: str
    parent: str | None
    message: str
    files: Mapping[str, bytes | None]
    joins: str | None = None


class Refs:
    """The tenants' refs, here and (where `remote` is not None) at the remote that holds the ledger."""

    def __init__(
        self, repository: Repository, remote: str | None, *, base: str = REFS, signers: Signers | None = None
    ) -> None:
        self._repository, self.remote, self._base, self._signers = repository, remote, base, signers

    def fetch(self, tenants: Sequence[str]) -> dict[str, str]:
        """Brings our refs up to the remote's: {tenant: why its ref was not moved}. Raises LedgerError.

        A ref whose new tip does not descend from the one seen last was rewritten: it stays as it is.
        """
        if self.remote is None:
            return {}
        specs = [f"{self._base}{tenant}*:{self._base}{tenant}*" for tenant in tenants or ("",)]
        done = self._repository.attempt("fetch", *_QUIETLY, "--", self.remote, *specs, incoming=False)
        rejected = re.findall(rf"^ ! \[rejected\] +{self._base}(\S+) ", done.stderr, re.MULTILINE)
        if done.returncode and not rejected:
            raise RemoteError(f"the ledger's remote `{self.remote}` does not answer: {done.stderr.strip()}")
        return dict.fromkeys(rejected, f"the ledger at `{self.remote}` does not descend from the one seen last")

    def write(
        self, who: str, commits: Sequence[Commit], *, together: bool = False
    ) -> tuple[dict[str, str], dict[str, ReconcilerError]]:
        """({tenant: its new tip}, {tenant: why it has none}). Raises LedgerError when nothing could be written.

        `together`: all of them move, or none does.
        """
        try:
            made = self._made(who, commits)
            if self._signers is not None and made:
                made = self._signers.signed(self._repository, made)
            parents = {commit.tenant: commit.parent for commit in commits}
            refused = self._push(made, parents, *(["--atomic"] if together else []))
            here = {tenant: parent for tenant, parent in parents.items() if tenant not in refused}
            refused |= self._move(made, here, together=together)
        except subprocess.CalledProcessError as error:
            raise LedgerError(f"the ledger was not written: {error.stderr.decode(errors='replace').strip()}") from None
        arrived = {tenant: tip for tenant, tip in made.items() if tenant not in refused}
        if joined := [f"delete {OFFLINE}{c.tenant} {c.joins}\n" for c in commits if c.joins and c.tenant in arrived]:
            self._repository.attempt("update-ref", "--stdin", stdin="".join(joined))
        return arrived, refused

    def _made(self, who: str, commits: Sequence[Commit]) -> dict[str, str]:
        """{tenant: its commit}, made and on no ref yet."""
        lines = [_import(number, who, commit) for number, commit in enumerate(commits, start=1)]
        stream = b"".join([*lines, f"reset {_MAKING}\n".encode()])
        said = self._repository.git(*_DURABLY, "fast-import", "--quiet", "--date-format=now", stdin=stream)
        return dict(zip((commit.tenant for commit in commits), said.decode().split(), strict=True))

    def _push(
        self, made: Mapping[str, str], parents: Mapping[str, str | None], *options: str
    ) -> dict[str, ReconcilerError]:
        """{tenant: why the remote did not take it}. Raises RemoteError when it took none at all."""
        if self.remote is None:
            return {}
        said = self._pushed(made, *options)
        if any(map(_collided, said.values())):  # another was at the very ref in that instant: once more, then it counts
            time.sleep(_INSTANT)
            said = self._pushed(made, *options)
        there = {} if all(map(_outrun, said.values())) else self._there()
        return {
            tenant: _moved()
            if _outrun(why) or there.get(tenant, parents[tenant]) != parents[tenant]
            else self._denied(why)
            for tenant, why in said.items()
        }

    def _pushed(self, made: Mapping[str, str], *options: str) -> dict[str, str]:
        """{tenant: why it was not taken}; what is there already counts as taken."""
        remote = str(self.remote)
        specs = [f"{tip}:{self._base}{tenant}" for tenant, tip in made.items()]
        done = self._repository.attempt("push", "--porcelain", "--no-verify", *options, "--", remote, *specs)
        lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
        if done.returncode and not lines:
            raise RemoteError(f"the ledger's remote `{remote}` does not answer: {done.stderr.strip()}")
        return {pair.partition(":")[2].removeprefix(self._base): why for flag, pair, why in lines if flag == "!"}

    def _there(self) -> dict[str, str]:
        """{tenant: its tip at the remote}: another may have come between while the push went on."""
        lines = self._repository.attempt("ls-remote", "--", str(self.remote), f"{self._base}*").stdout.splitlines()
        return {name.removeprefix(self._base): tip for tip, _, name in (line.partition("\t") for line in lines)}

    def _denied(self, said: str) -> LedgerError:
        return LedgerError(f"the ledger's remote `{self.remote}` does not take it: {said}; {_NO_REMOTE}")

    def _move(
        self, made: Mapping[str, str], parents: Mapping[str, str | None], *, together: bool
    ) -> dict[str, ReconcilerError]:
        """Our own refs to what was made, from their parents: {tenant: why it was not}."""
        refused: dict[str, ReconcilerError] = {}
        arrived: list[str] = []  # a fetch beside this run has brought them here from the remote
        while waiting := [tenant for tenant in parents if tenant not in refused and tenant not in arrived]:
            lines = [f"update {self._base}{t} {made[t]} {parents[t] or UNBORN}\n" for t in waiting]
            done = self._repository.attempt("update-ref", "--stdin", stdin="".join(lines))
            if done.returncode == 0:
                break
            now = self._repository.refs(self._base)
            moved = [tenant for tenant in waiting if now.get(f"{self._base}{tenant}") != parents[tenant]]
            if not moved:
                raise LedgerError(f"the ledger was not written: {done.stderr.strip()}")
            arrived += [tenant for tenant in moved if now.get(f"{self._base}{tenant}") == made[tenant]]
            refused |= {tenant: _moved() for tenant in moved if tenant not in arrived}
            if refused and together and self.remote is None:
                return dict.fromkeys(parents, _moved())
        return refused


def _outrun(said: str) -> bool:
    """Whether a push was refused because the remote has moved on, as Git saw before it asked."""
    return said.startswith("[rejected]")


def _collided(said: str) -> bool:
    """Whether the remote could not take it because something else held the ref's lock file."""
    return "failed to update ref" in said or "cannot lock ref" in said


def _moved() -> Locked:
    return Locked("somebody else has begun to apply this tenant, or has applied it, since the plan was made")


def _import(number: int, who: str, commit: Commit) -> bytes:
    """One commit as `fast-import` reads it, and the question what it is called."""
    message = commit.message.encode()
    head = f"reset {_MAKING}\n\ncommit {_MAKING}\nmark :{number}\ncommitter {who} now\ndata {len(message)}\n"
    origin = f"\nfrom {commit.parent}\n" if commit.parent else "\n"
    origin += f"merge {commit.joins}\n" if commit.joins else ""
    files = b"".join(_file(path, content) for path, content in commit.files.items())
    return head.encode() + message + origin.encode() + files + f"get-mark :{number}\n".encode()


def _file(path: str, content: bytes | None) -> bytes:
    if content is None:
        return f"D {path}\n".encode()
    return f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
