"""The files of a commit or of a working tree, by path."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_REGULAR = frozenset({"100644", "100755"})


class File(NamedTuple):
    """One file of a tree. `blob` is its object id, or None in a working tree; `regular` is false for links."""

    path: str
    blob: str | None
    regular: bool


class Tree:
    """The files of a commit or of a working tree, by path. Tens of thousands cost next to nothing until asked for."""

    def __init__(self, paths: list[str], file: Callable[[int], File]) -> None:
        self.paths = paths  # sorted
        self._file = file

    def get(self, path: str) -> File | None:
        """The file at a path, or None."""
        at = bisect_left(self.paths, path)
        return self._file(at) if at < len(self.paths) and self.paths[at] == path else None

    def under(self, folder: str) -> list[File]:
        """The files below a folder, and what stands at its own path (a link in its place)."""
        start, end = (bisect_left(self.paths, f"{folder}{mark}") for mark in "/0")  # "0" follows "/"
        itself = self.get(folder)
        return [*([itself] if itself else []), *map(self._file, range(start, end))]


def file(line: str) -> File:
    """One line of `ls-tree` (git-ls-tree(1))."""
    description, _, path = line.partition("\t")
    mode, _, blob = description.split()
    return File(path, blob, mode in _REGULAR)
