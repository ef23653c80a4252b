"""What changed last, by whom, and how to undo it: from the journal, and from Git where it has moved since.

`git log -- FILE` over all of a history takes seconds where there are thousands of tenants. So what was applied is
looked up in the tenant's journal, and Git is asked only from there on, for the lines of the thing, and over as many
commits as a third of a second is enough for. A shallow clone names the wrong author for what lies beyond its edge: then
nothing is said.
"""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import past, spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.documents import Document
    from reconciler.findings import Origin
    from reconciler.history import Repository

Data = dict[str, Any]
_ENTRIES = 5_000_000  # of the folder tenants/ that Git may compare: every commit has one for each tenant
_FEWEST, _MOST = 500, 20_000  # commits
SHALLOW = "unknown: shallow clone"
_AUTHOR = re.compile(rb"^author (.*) <[^>]*> ([0-9]+) [+-][0-9]{4}$", re.MULTILINE)


class Past(NamedTuple):
    """The history of a commit, which is looked through over at most `far` commits."""

    repository: Repository
    head: str
    far: int


def past_of(repository: Repository, head: str, tenants: int) -> Past:
    """The history of an estate with so many tenants."""
    return Past(repository, head, min(max(_ENTRIES // max(tenants, 1), _FEWEST), _MOST))


class Lines(NamedTuple):
    """A piece of a file, with its first and last line, from 1."""

    file: str
    first: int
    last: int


def lines_of(document: Document, path: tuple[str | int, ...]) -> Lines:
    """The lines of what a path of keys leads to, without comments and empty lines that follow it."""
    first, _ = spans.locate(document, path)
    at = spans.spans(document.raw).items()
    behind = (span.place[0] for other, span in at if span.place[0] > first and other[: len(path)] != path)
    text = document.raw.decode().splitlines()
    last = min(behind, default=len(text) + 1) - 1
    while last > first and text[last - 1].strip()[:1] in {"", "#"}:
        last -= 1
    return Lines(document.file, first, last)


def unknown(why: str) -> Data:
    """The answer where nobody can say."""
    keys = ("commit", "author", "date", "file", "line", "action", "brings_back", "applied", "undo", "files")
    return {**dict.fromkeys(keys), "unknown": why}


def applied(repository: Repository, tips: Sequence[str], name: str) -> Data | None:
    """The last change to a name that was applied, as the journal tells it. Raises LedgerError."""
    change = past.last(repository, tips, name)
    if change is None:
        return None
    origin, run = change["origin"], change["applied"]
    commit = origin["commit"] or run["commit"]
    author, date = written(repository, [commit]).get(commit, (None, None))
    return {
        "commit": commit,
        "author": origin["author"] or author,
        "date": date,
        "file": origin["file"] or None,
        "line": origin["line"] or None,
        "action": change["action"],
        "brings_back": change["revert"],
        "applied": {key: run[key] for key in ("run", "actor", "ended")},
        **_undoing(repository, commit, "reconciler rollback"),
        "unknown": None,
    }


def in_files(history: Past, base: str | None, files: Sequence[str]) -> Data | None:
    """The last commit after `base` (None: of all) that touched some files; None where there is none."""
    if (why := beyond(history, base)) is not None:
        return why
    found = history.repository.commits(base, history.head, files)
    if found and base is None and _is_edge(history.repository, found[0][0]):
        return unknown(SHALLOW)
    return _commit(history.repository, found[0][0], None) if found else None


def in_lines(history: Past, base: str | None, lines: Lines) -> Data | None:
    """The last commit after `base` (None: of all) that wrote one of the lines; None where that was before."""
    if (why := beyond(history, base)) is not None:
        return why
    repository, head, _ = history
    span, range_ = f"{lines.first},{lines.last}", head if base is None else f"{base}..{head}"
    try:
        listing = repository.git("blame", "--porcelain", "-L", span, range_, "--", lines.file)
    except subprocess.CalledProcessError:
        return unknown("unknown: Git does not tell")
    found: dict[str, tuple[int, bool]] = {}
    commit = ""
    for line in listing.decode(errors="replace").splitlines():
        if (match := re.match(r"([0-9a-f]{40,64}) \d+ \d+", line)) is not None:
            commit = match[1]
        elif line.startswith("author-time "):
            found[commit] = (int(line.split()[1]), False)
        elif line == "boundary" and commit in found:
            found[commit] = (found[commit][0], True)
    if base is not None:
        found = {commit: said for commit, said in found.items() if not said[1]}
    elif any(edge for _, edge in found.values()) and _is_shallow(repository):
        return unknown(SHALLOW)
    newest = max(found, key=lambda commit: found[commit], default=None)
    return None if newest is None else _commit(repository, newest, lines)


def _commit(repository: Repository, commit: str, lines: Lines | None) -> Data:
    author, date = written(repository, [commit]).get(commit, (None, None))
    said = {"commit": commit, "author": author, "date": date, "unknown": None}
    place = {"file": lines.file, "line": lines.first} if lines else {}
    return {**unknown(""), **said, **place, **_undoing(repository, commit, "git revert")}


def removed(repository: Repository, commit: str, origin: Origin) -> Data:
    """The commit that took something out, which stood at `origin` before."""
    return {**_commit(repository, commit, None), "file": origin.file, "line": origin.line}


def _undoing(repository: Repository, commit: str, how: str) -> Data:
    """The command that undoes a commit, and how many files it touched. The first one of all cannot be undone."""
    if _first(repository, [commit]):
        return {"undo": None, "files": None}
    touched = repository.attempt("diff-tree", "-r", "-m", "--first-parent", "--no-commit-id", "--name-only", commit)
    return {"undo": f"{how} {commit[:12]}", "files": len(touched.stdout.splitlines()) or None}


def _first(repository: Repository, commits: Iterable[str]) -> set[str]:
    """Those of some commits that have none before them: a revert would take the estate itself away."""
    heads = {c: text.partition(b"\n\n")[0] for c, text in repository.objects(sorted({*commits} - {""})).items()}
    return {commit for commit, head in heads.items() if b"\nparent " not in head}


def undone(repository: Repository, changes: Sequence[Data]) -> list[Data]:
    """Changes as `history` tells them, each with the command that undoes it; None where nothing does."""
    commits = [change["origin"]["commit"] or change["applied"]["commit"] for change in changes]
    begun = _first(repository, commits)
    made = [change["result"] in {"applied", "noted"} and change["revert"] for change in changes]
    undo = [f"git revert {c[:12]}" if of and c not in begun else None for c, of in zip(commits, made, strict=True)]
    return [{**change, "undo": command} for change, command in zip(changes, undo, strict=True)]


def beyond(history: Past, base: str | None) -> Data | None:
    """Why Git cannot be asked: the clone lacks what came before, or it would take too long."""
    repository, head, far = history
    there = base is None or repository.resolve([base])
    if not there or (base is not None and repository.attempt("merge-base", "--is-ancestor", base, head).returncode):
        return unknown(SHALLOW if _is_shallow(repository) else "unknown: what was applied last is not in this history")
    range_ = head if base is None else f"{base}..{head}"
    count = int(repository.git("rev-list", "--count", f"--max-count={far + 1}", range_))
    return unknown(f"unknown: more than {far} commits to look through") if count > far else None


def _is_edge(repository: Repository, commit: str) -> bool:
    """Whether a shallow clone ends with a commit: it looks as if it had written all that there is."""
    known = repository.git("rev-list", "--parents", "--max-count=1", commit).split()
    return len(known) == 1 and not _first(repository, [commit])


def _is_shallow(repository: Repository) -> bool:
    return repository.git("rev-parse", "--is-shallow-repository").strip() == b"true"


def written(repository: Repository, commits: Iterable[str]) -> dict[str, tuple[str, str]]:
    """{commit: (author, UTC time)} of those that the clone has."""
    found = {}
    for commit, content in repository.objects(sorted(set(commits) - {""})).items():
        if (match := _AUTHOR.search(content.partition(b"\n\n")[0])) is not None:
            when = datetime.fromtimestamp(int(match[2]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            found[commit] = (match[1].decode(errors="replace"), when)
    return found
