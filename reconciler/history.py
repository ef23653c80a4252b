"""Git: the files of the estate at a commit, and who wrote a line.

Desired state is read from Git's objects, never from the working tree (but for `--worktree`), by one `ls-tree` and
one `cat-file --batch` a process: a symbolic link, a filter or an editor's half-saved file cannot get in. Git is run
without hooks, without file monitors and without asking anybody for a password.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.around import environment
from reconciler.codeowners import PLACES
from reconciler.errors import InputError
from reconciler.estate_rules import NO_COMMIT, NO_FOLDER, NO_REPOSITORY
from reconciler.findings import Origin
from reconciler.tree import File, Tree, file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

UNBORN = "0" * 40
_OPTIONS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
_Touch = tuple[str, str, str, str]
_PIPELINE = 400  # names asked for at once: more would fill the pipe while Git waits for us to read
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_HEADER = re.compile(rb"([0-9a-f]{40,64}) [a-z]+ ([0-9]+)\n")  # of an object that is there, from `cat-file --batch`


class Repository:
    """The Git repository an estate lies in; paths are relative to the estate's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._reader: tuple[int, subprocess.Popen[bytes]] | None = None
        if not root.is_dir():
            raise InputError([NO_FOLDER.at(str(root), f"{root} is no folder.", Origin(str(root)))])

    def git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Run Git and give what it prints. Raises subprocess.CalledProcessError."""
        command = ["git", *_OPTIONS, *arguments]
        return subprocess.run(  # noqa: S603  (a fixed program, no shell)
            command, cwd=self.root, input=stdin, capture_output=True, check=True, env=environment(self.root)
        ).stdout

    def attempt(self, *arguments: str, stdin: str = "", incoming: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Git where failing is an answer: its exit code and what it prints. `incoming` as of `environment`."""
        command = ["git", *_OPTIONS, *arguments]
        return subprocess.run(  # noqa: S603  (a fixed program, no shell)
            command, cwd=self.root, input=stdin, capture_output=True, check=False, text=True, errors="replace",
            env=environment(self.root, incoming=incoming),
        )  # fmt: skip

    def commit(self, revision: str, *, unborn: bool = False) -> str:
        """The full id of a commit. Raises InputError when there is no repository or no such commit.

        `unborn`: before the first commit, HEAD is 40 zeros, as Git itself writes it, and not an error.
        """
        done = self.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        found = done.stdout.strip()
        if done.returncode == 0 and _COMMIT.fullmatch(found):
            return found
        place = self.attempt("rev-parse", "--git-dir")
        if place.returncode:
            reason = place.stderr.strip().splitlines()
            what = f"{self.root} is not in one ({reason[0] if reason else 'git says no more'})."
            raise InputError([NO_REPOSITORY.at(str(self.root), what, Origin(str(self.root)))])
        if done.returncode and revision == "HEAD":
            if unborn:
                return UNBORN
            fix = "Commit the estate; before that, `--worktree` has `validate` and `plan` read the files as they are."
            raise InputError(
                [NO_COMMIT.at(revision, "Nothing is committed here yet.", Origin(str(self.root)), fix=fix)]
            )
        what = f"`{revision}` {'names no commit' if done.returncode else 'is a range'}."
        raise InputError([NO_COMMIT.at(revision, what, Origin(str(self.root)))])

    @property
    def prefix(self) -> str:
        """The estate's folder as it is named from the repository's root (`clients/`, or "")."""
        return self.git("rev-parse", "--show-prefix").decode(errors="surrogateescape").removesuffix("\n")

    @property
    def bare(self) -> bool:
        """Whether it is one without a working tree, which others push to."""
        return self.attempt("rev-parse", "--is-bare-repository").stdout == "true\n"

    def tree(self, commit: str | None) -> Tree:
        """Every file of the estate at a commit, or (None) in the working tree."""
        if commit is None:
            found = sorted(self._walk(), key=lambda file: file.path)
            return Tree([file.path for file in found], found.__getitem__)
        lines = self.git("ls-tree", "-r", "-z", commit).decode(errors="surrogateescape").split("\0")[:-1]
        return Tree([line.partition("\t")[2] for line in lines], lambda at: file(lines[at]))

    def _walk(self) -> Iterator[File]:
        for part in ("reconciler.yaml", "domain-templates", "tenants", *PLACES):
            path = self.root / part
            for found in [path] if path.is_file() else sorted(path.rglob("*")):
                if found.is_symlink() or found.is_file():
                    yield File(found.relative_to(self.root).as_posix(), None, not found.is_symlink())

    def read(self, files: Iterable[File]) -> dict[str, bytes]:
        """{path: content} of the regular ones among the files."""
        regular = [file for file in files if file.regular]
        contents = self.objects(list({file.blob: None for file in regular if file.blob is not None}))
        return {
            file.path: contents[file.blob] if file.blob is not None else (self.root / file.path).read_bytes()
            for file in regular
        }

    def objects(self, names: Sequence[str]) -> dict[str, bytes]:
        """{name: content} of Git objects (`<id>` or `<commit>:<path>`); what is not there is left out."""
        return {name: content for name, _, content in self._found(names)}

    def resolve(self, names: Sequence[str]) -> dict[str, str]:
        """{name: id} of the refs or revisions that lead to an object."""
        return {name: found for name, found, _ in self._found(names)}

    def _found(self, names: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
        """(name, id, content) of each object that is there."""
        asked = [name for name in names if "\n" not in name]  # else it would be two
        for start in range(0, len(asked), _PIPELINE):
            some = asked[start : start + _PIPELINE]
            reader = self._reader_of(some)
            for name in some:
                if (header := _HEADER.fullmatch(reader.readline())) is not None:
                    content = reader.read(int(header[2]))
                    reader.read(1)
                    yield name, header[1].decode(), content

    def refs(self, *prefixes: str) -> dict[str, str]:
        """{name: id} of every ref below the prefixes."""
        lines = self.git("for-each-ref", "--format=%(objectname) %(refname)", "--", *prefixes).decode().splitlines()
        return {name: found for found, _, name in (line.partition(" ") for line in lines)}

    def _reader_of(self, names: Sequence[str]) -> IO[bytes]:
        process = self._batch
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"{name}\n" for name in names).encode())
        process.stdin.flush()
        return process.stdout

    @property
    def _batch(self) -> subprocess.Popen[bytes]:
        """One `cat-file` a process: a forked worker must not talk into its parent's."""
        if self._reader is None or self._reader[0] != os.getpid():
            process = self._start("cat-file", "--batch", stdin=subprocess.PIPE)
            self._reader = (os.getpid(), process)
        return self._reader[1]

    @contextmanager
    def changed_in_worktree(self, paths: Sequence[str]) -> Iterator[Callable[[], list[str]]]:
        """Starts to look for files at or below `paths` that the working tree has otherwise than HEAD, or has and
        Git does not know; call what it gives for the answer. Git looks at each file's time: that takes a while.
        """
        arguments = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", *paths)

        def answer() -> list[str]:
            found = process.communicate()[0].decode(errors="surrogateescape").split("\0")
            prefix = self.prefix if any(found) else ""
            return [entry[3:].removeprefix(prefix) for entry in found if entry]

        with self._start(*arguments, stderr=subprocess.DEVNULL) as process:
            yield answer

    def changed(self, base: str, commit: str | None) -> list[str]:
        """The estate's files that differ between two commits; None: the working tree, with what Git does not know.

        Raises InputError where a commit is not in this clone.
        """
        base = self.commit(base)
        if commit is not None:
            said = self.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--relative", base, commit)
        else:
            said = self.git("diff", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--relative", base, "--")
            said += self.git("ls-files", "-z", "--others", "--exclude-standard")
        return said.decode(errors="surrogateescape").split("\0")[:-1]

    def _start(self, *arguments: str, stdin: int | None = None, stderr: int | None = None) -> subprocess.Popen[bytes]:
        command = ["git", *_OPTIONS, *arguments]
        return subprocess.Popen(  # noqa: S603  (a fixed program, no shell)
            command, cwd=self.root, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment(self.root)
        )

    def authors(self, base: str | None, commit: str, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
        """{path: (commit, author)} of the last change to each path after `base` (None: in all of history)."""
        found: dict[str, tuple[str, str]] = {}
        for path, written, author, _ in self._touched(base, commit, paths):
            found.setdefault(path, (written, author))
        return found

    def writers(self, base: str, commit: str, paths: Sequence[str]) -> dict[str, set[str]]:
        """{path: names and e-mail addresses of all who changed it after `base`}, in small letters.

        Also who wrote in a merge itself, and who wrote on one side of it what came from the other side too.
        """
        found: dict[str, set[str]] = {}
        for path, _, author, mail in self._touched(base, commit, paths, "--full-history", "--remerge-diff"):
            found.setdefault(path, set()).update((author.lower(), mail.lower()))
        return found

    def _touched(self, base: str | None, commit: str, paths: Sequence[str], *options: str) -> Iterator[_Touch]:
        """(path, commit, author, e-mail) of each change after `base`, the newest first."""
        if commit == UNBORN:
            return iter(())
        # The answer of a big first plan names thousands of files: beyond what a command line takes, ask for all.
        some = paths if len(paths) <= _PIPELINE else ("reconciler.yaml", "domain-templates", "tenants")
        return _parted(self._log(base, commit, some, *options, "--name-only", "--no-renames", "--relative"))

    def commits(self, base: str | None, commit: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        """(commit, author) of each commit after `base` that touched one of the paths, newest first."""
        fields = self._log(base, commit, paths).split("\0") if commit != UNBORN else []
        return [(written, who.partition("\n")[0]) for written, who in zip(fields[0::2], fields[1::2], strict=False)]

    def _log(self, base: str | None, commit: str, paths: Sequence[str], *options: str) -> str:
        command = ("log", "--format=%H%x00%an%n%ae", "--no-show-signature", "-z", *options)
        try:
            listing = self.git(*command, commit if base is None else f"{base}..{commit}", "--", *paths)
        except subprocess.CalledProcessError:  # `base` was applied from another clone
            listing = self.git(*command, commit, "--", *paths)
        return listing.decode(errors="replace")

    def close(self) -> None:
        """End the reading process."""
        if self._reader is not None and self._reader[0] == os.getpid():
            self._reader[1].communicate()
        self._reader = None


def _parted(listing: str) -> Iterator[_Touch]:
    """A log's parts: fields end in NUL, which no name can hold, nor a line's end. A path is never a bare commit id."""
    fields = iter(listing.split("\0"))
    for part in fields:
        if _COMMIT.fullmatch(part):
            commit, (author, _, mail) = part, next(fields).partition("\n")
        elif part:
            yield part.removeprefix("\n"), commit, author, mail
