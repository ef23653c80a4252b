"""Values in words: sizes in units, sets as lists, nothing as `none`, and nothing that a terminal would obey."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from reconciler.model import MISSING, Computed

if TYPE_CHECKING:
    from reconciler.model import Value

_UNITS = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def shown(field: str, value: Value) -> str:
    """A value for people: sizes and times in units, sets as lists, nothing as `none`."""
    if value is None or value is MISSING or value in ((), {}):
        return "none"
    if isinstance(value, Computed):
        return "(known after apply)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(shown("", item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{visible(str(name))} ({visible(str(part))})" for name, part in value.items())
    if isinstance(value, int):
        return _size(value) if field == "quota" else f"{value} s" if field == "ttl" else str(value)
    return visible(str(value))


def _size(number: int) -> str:
    unit, factor = next(((u, f) for u, f in _UNITS if number >= f and number % f == 0), ("bytes", 1))
    return f"{number // factor} {unit}"


def visible(text: str) -> str:
    """The text with everything a terminal would obey or hide written out: live data and YAML are not trusted."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else ascii(c)[1:-1] for c in text)


def counted(number: int, thing: str) -> str:
    """`1 change`, `2 changes`."""
    return f"{number} {thing}{'' if number == 1 or thing == 'info' else 's'}"


def called(kind: str) -> str:
    """What people call a kind of address, in a sentence."""
    return {"shared": "shared mailbox", "catch_all": "catch-all"}.get(kind, kind)
