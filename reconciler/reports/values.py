"""Changes of values for people: of a set, what goes and what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.wording import shown, visible

if TYPE_CHECKING:
    from reconciler.model import Value


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
