"""A file's text with one value put in, changed or taken out; every other character stays as somebody wrote it.

Libraries that write YAML lay the whole file out anew. Here only the characters of the value itself are touched, found
by where the parser saw them. Whoever edits reads the result with the strict loader and compares what it says with what
was meant: layouts that this does not know end there, as a refusal, and not in a file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reconciler.forms import line, pair
from reconciler.spans import spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.spans import Keys, Span


def put(text: str, path: Keys, value: Any) -> str:
    """The text with `value` at `path`: in the place of what is there, else behind its last neighbour.

    A number beyond the end of a list adds an item; what leads to `path` is made where it is missing.
    """
    known = spans(text.encode())
    if path in known:
        old = text[known[path].start : known[path].end]
        return _spliced(text, known[path].start, known[path].end, line(value) + old[len(old.rstrip()) :])
    above, last = path[:-1], path[-1]
    beside = _inside(known, above)
    if not beside:
        return put(text, above, [value] if isinstance(last, int) else {last: value})
    behind = beside[-1]
    if known[above].block:
        return _with_lines(text, known, behind, last, value)
    said = line(value) if isinstance(last, int) else pair(last, value)
    return _spliced(text, known[behind].end, known[behind].end, f", {said}")


def drop(text: str, path: Keys) -> str:
    """The text without what stands at `path`, nor the list or mapping that would be left empty."""
    known = spans(text.encode())
    if path not in known:
        return text
    beside = _inside(known, path[:-1])
    if len(beside) == 1:
        return drop(text, path[:-1])
    at, own = beside.index(path), known[path]
    if known[path[:-1]].block:
        return _spliced(text, text.rfind("\n", 0, own.key) + 1, _end_of_line(text, _end(text, known, path)), "")
    if at + 1 < len(beside):
        return _spliced(text, own.key, known[beside[at + 1]].key, "")
    return _spliced(text, known[beside[at - 1]].end, own.end, "")


def _with_lines(text: str, known: Mapping[Keys, Span], behind: Keys, last: str | int, value: Any) -> str:
    """The text with an item or a key on a line of its own, below what `behind` leads to and like it."""
    at = _end_of_line(text, _end(text, known, behind))
    margin = text[text.rfind("\n", 0, known[behind].key) + 1 : known[behind].key]
    added = [margin + line(value)] if isinstance(last, int) else _keyed(re.sub(r"\S", " ", margin), last, value)
    ending = "\r\n" if "\r\n" in text else "\n"
    before = "" if text[:at].endswith("\n") else ending
    return _spliced(text, at, at, before + "".join(f"{said}{ending}" for said in added))


def _keyed(margin: str, key: str, value: Any) -> list[str]:
    """A key and its value as lines; a section of the file is one of several lines."""
    if margin or not isinstance(value, dict | list):
        return [margin + pair(key, value)]
    if isinstance(value, list):
        return [f"{key}:", *(f"  - {line(item)}" for item in value)]
    return [f"{key}:", *(f"  {pair(name, item)}" for name, item in value.items())]


def _inside(known: Mapping[Keys, Span], path: Keys) -> list[Keys]:
    """What stands directly in a list or mapping, in the order of the file."""
    return [other for other in known if other and other[:-1] == path]


def _end(text: str, known: Mapping[Keys, Span], path: Keys) -> int:
    """Where what is said at `path` ends, without comments and empty lines that follow."""
    ends = (span.end for other, span in known.items() if other[: len(path)] == path and not span.block)
    return len(text[: max(ends)].rstrip())


def _end_of_line(text: str, at: int) -> int:
    """Behind the end of the line that `at` stands in."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _spliced(text: str, start: int, end: int, said: str) -> str:
    return f"{text[:start]}{said}{text[end:]}"
