"""What is to be edited in a tenant's files: a value and its place. Lists are edited item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.model import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.files import Files
    from reconciler.model import State

SIGNER = "no file holds what a signer has; declare another key beside it"
Path = tuple[str | int, ...]


class Edit(NamedTuple):
    """A value that is to stand in a file under `path`; MISSING: nothing is to stand there."""

    file: str
    path: Path
    value: Any = MISSING


class Where(NamedTuple):
    """A tenant's files, what they come to, and the reason to give where one must be given."""

    files: Files
    state: State
    reason: str

    def boxes(self, domain: str) -> str:
        return f"{self.files.folder}/domains/{domain}.yaml"

    def names(self, domain: str) -> str:
        return f"{self.files.folder}/dns/{domain}.yaml"


Answer = list[Edit] | str  # or why there are none


def items(
    file: str, path: Path, written: Sequence[str], live: Sequence[str], form: Callable[[str], str] = str
) -> list[Edit]:
    """A list with the items of `live`: what stays stays where it is, and what comes takes the place of what goes.

    `written` are the items that the file has now, in canonical form as `live` is; `form` makes of one what a file says.
    """
    gone = [at for at, item in enumerate(written) if item not in live]
    new = [form(item) for item in live if item not in written]
    swapped, end = min(len(gone), len(new)), len(written)
    places = [*gone[:swapped], *range(end, end + len(new) - swapped)]
    puts = [Edit(file, (*path, at), item) for at, item in zip(places, new, strict=True)]
    return [*puts, *(Edit(file, (*path, at)) for at in reversed(gone[swapped:]))]
