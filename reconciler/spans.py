"""Where in a file something stands: found again by reading that one file, when somebody is told or an edit is made."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.documents import Document

Keys = tuple[str | int, ...]


class Span(NamedTuple):
    """Where a key and its value stand, or an item of a list: a place for people, then characters of the file.

    `place` is line and column (from 1) of the key or item, `key` where that begins, `start` and `end` are the value's.
    `block` tells a list or mapping of lines from one in brackets; it ends only where the next thing begins.
    """

    place: tuple[int, int]
    key: int
    start: int
    end: int
    block: bool


def locate(document: Document, path: Keys) -> tuple[int, int]:
    """Line and column (from 1) of the key or list item that `path` leads to, or of its nearest parent."""
    while path not in (known := spans(document.raw)):
        path = path[:-1]
    return known[path].place


@lru_cache(maxsize=8)  # what is printed comes file by file
def spans(raw: bytes) -> dict[Keys, Span]:
    """{path of keys: where it stands} of all that a file says, in the order of the file."""
    following = yaml.CBaseLoader(raw).get_event
    _, _, top = following(), following(), following()  # the stream begins, the document begins
    found: dict[Keys, Span] = {}
    _place(found, top, following, (), top)
    return found


def _place(found: dict[Keys, Span], event: Any, following: Callable[[], Any], path: Keys, named: Any) -> None:
    """Note where what begins at `event` stands, and its parts; `named` is where people are sent to: a value's key."""
    mark, start, last = named.start_mark, event.start_mark.index, event
    block = type(event) is not yaml.ScalarEvent and not event.flow_style
    place = (mark.line + 1, mark.column + 1) if path else (1, 1)
    found[path] = Span(place, mark.index, start, start, block)  # its end is known after its parts
    if type(event) is yaml.MappingStartEvent:
        while type(last := following()) is not yaml.MappingEndEvent:
            _place(found, following(), following, (*path, last.value), last)
    elif type(event) is yaml.SequenceStartEvent:
        index = 0
        while type(last := following()) is not yaml.SequenceEndEvent:
            _place(found, last, following, (*path, index), last)
            index += 1
    found[path] = found[path]._replace(end=last.end_mark.index)
