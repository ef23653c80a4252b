"""Values for people: sizes in units, sets as lists, what comes and goes, and nothing a terminal would obey."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from reconciler.model import MISSING, Computed

if TYPE_CHECKING:
    from reconciler.model import Value

_UNITS = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def moved(field: str, old: Value, new: Value) -> list[str]:
    """A change of value for people: of sets and maps what goes and comes, one by one, else from and to."""
    if not (old and new and isinstance(old, (tuple, dict)) and isinstance(new, (tuple, dict))):
        return [f"{shown(field, old)} -> {shown(field, new)}"]
    from deepdiff import DeepDiff

    found = DeepDiff(_as_map(old), _as_map(new), view="tree", threshold_to_diff_deeper=0)
    parts = sorted(f"- {_element(node, node.t1)}" for node in found.get("dictionary_item_removed", ()))
    parts += sorted(f"+ {_element(node, node.t2)}" for node in found.get("dictionary_item_added", ()))
    parts += sorted(f"{_element(node, '')}: {node.t1} -> {node.t2}" for node in found.get("values_changed", ()))
    return [visible(part) for part in parts]


def _element(node: Any, right: str) -> str:
    """What one difference is about: an address, or a member with its right."""
    name = str(node.path(output_format="list")[-1])
    return f"{name} ({right})" if right and right != name else name


def _as_map(value: Value) -> dict[str, str]:
    """Elements by what they are known by: a member by its name, anything else by itself."""
    if isinstance(value, dict):
        return {str(name): str(part) for name, part in value.items()}
    return {shown("", item): shown("", item) for item in value}


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
