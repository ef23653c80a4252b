"""Where in a file something stands: found again by reading that one file, when somebody is told or an edit is made."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    top = yaml.compose(raw, Loader=yaml.CBaseLoader)
    return dict(_walk(top, (), top))


def _walk(node: Any, path: Keys, named: Any) -> Iterator[tuple[Keys, Span]]:
    """`named` is the node that people are sent to: a value's key."""
    mark, block = named.start_mark, not isinstance(node, yaml.ScalarNode) and not node.flow_style
    place = (mark.line + 1, mark.column + 1) if path else (1, 1)
    yield path, Span(place, mark.index, node.start_mark.index, node.end_mark.index, block)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _walk(value, (*path, key.value), key)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, index), item)
