"""SSH signatures of the journal's commits: made by one `ssh-keygen` for all of them, checked by Git.

With `ledger: {allowed_signers: FILE}` a ledger counts only as far as one of these keys has signed for it: whoever may
push refs can otherwise write a ledger. A signed tip vouches for what it was built on, so the tips are looked at.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import LedgerError
from reconciler.ledger import FILE, INTENT, RUN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.history import Repository

_NAME = "{:06}"  # of the file that a commit is signed in
_SSH_ALONE = ("-c", "gpg.ssh.revocationFile=", "-c", "gpg.program=false", "-c", "gpg.x509.program=false")
_HOW = "`allowed_signers` wants it: git config user.signingkey FILE, an SSH key whose public half is in that file"


class Signers:
    """Who may sign, from the content of an allowed-signers file (ssh-keygen(1)); `name` is what it is called."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="reconciler-")
        self._file = Path(self._folder.name, "allowed_signers")
        self._file.write_bytes(content)

    def close(self) -> None:
        self._folder.cleanup()

    def unsigned(self, repository: Repository, commits: Sequence[str]) -> frozenset[str]:
        """Those of the commits that are no journal's, or without a good signature by one of them."""
        if not commits:
            return frozenset()
        command = ("log", "--no-walk=unsorted", "--no-show-signature", "--stdin", "--format=%H %T %G?")
        options = ("-c", f"gpg.ssh.allowedSignersFile={self._file}", *_SSH_ALONE)
        said = repository.git(*options, *command, stdin="".join(f"{commit}\n" for commit in commits).encode())
        found = [line.split(" ") for line in said.decode().splitlines()]
        trees = {commit: tree for commit, tree, verdict in found if verdict == "G"}
        held = repository.objects(list(trees.values()))
        good = {commit for commit, tree in trees.items() if _is_journal(held[tree], len(tree) // 2)}
        return frozenset(commits) - good

    def signed(self, repository: Repository, commits: Mapping[str, str]) -> dict[str, str]:
        """{name: the same commit, signed with this user's key}. Raises LedgerError when that cannot be done."""
        key = repository.attempt("config", "--type=path", "--get", "user.signingkey").stdout.strip()
        if not key:
            raise LedgerError(f"the journal is not signed, for there is no key: {_HOW}")
        contents = repository.objects(list(commits.values()))
        with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
            files = [Path(folder, _NAME.format(number)) for number in range(len(commits))]
            for file, commit in zip(files, commits.values(), strict=True):
                file.write_bytes(contents[commit])
            _sign(repository, key, files)
            for file in files:
                file.write_bytes(_with(file.read_bytes(), Path(f"{file}.sig").read_bytes(), commits))
            paths = "".join(f"{file}\n" for file in files).encode()
            made = repository.git("hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths", stdin=paths)
        found = dict(zip(commits, made.decode().split(), strict=True))
        if self.unsigned(repository, list(found.values())[:1]):  # one key for all
            raise LedgerError(f"the journal is not signed, the key is not in {self.name}: {_HOW}")
        return found


def _is_journal(tree: bytes, size: int) -> bool:
    """Whether a tree holds the journal's files alone: the same people sign commits of the estate, and a file of the
    journal's name is soon in one of those. `size` is that of an object's id, in bytes.
    """
    names = re.findall(rb"[0-7]+ ([^\0]+)\0.{%d}" % size, tree, re.DOTALL)
    return {name.decode(errors="replace") for name in names} <= {FILE, INTENT, RUN}


def _sign(repository: Repository, key: str, files: Sequence[Path]) -> None:
    program = repository.attempt("config", "--get", "gpg.ssh.program").stdout.strip() or "ssh-keygen"
    with tempfile.NamedTemporaryFile(prefix="reconciler-", suffix=".pub") as public:
        literal = key.removeprefix("key::")
        if key.startswith(("key::", "ssh-", "ecdsa-", "sk-")):  # the key itself; an agent has its private half
            public.write(f"{literal}\n".encode())
            public.flush()
            key = public.name
        command = [program, "-Y", "sign", "-n", "git", "-f", key, *map(str, files)]
        try:
            subprocess.run(  # noqa: S603  (the program that Git signs with, no shell)
                command, cwd=repository.root, stdin=subprocess.DEVNULL, capture_output=True, check=True
            )
        except FileNotFoundError:
            raise LedgerError(f"the journal is not signed, {program} is not installed; {_HOW}") from None
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            raise LedgerError(f"the journal is not signed ({said[-1] if said else program}); {_HOW}") from None


def _with(commit: bytes, signature: bytes, commits: Mapping[str, str]) -> bytes:
    """A commit with its signature as Git writes it: a header of its own, the last one."""
    head, _, message = commit.partition(b"\n\n")
    name = b"gpgsig" if len(next(iter(commits.values()))) == 40 else b"gpgsig-sha256"
    return head + b"\n" + name + b" " + signature.strip().replace(b"\n", b"\n ") + b"\n\n" + message
