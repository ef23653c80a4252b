"""An example of what a schema asks for: from its `examples` or put together from its parts, as one line of YAML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Schema = Mapping[str, Any]

_PLAIN = re.compile(r"[A-Za-z]|[A-Za-z0-9_][A-Za-z0-9_ @./%-]*[A-Za-z0-9_%]")
_OTHER = re.compile(r"[0-9][0-9_.]*|true|false|null|yes|no|on|off", re.IGNORECASE)  # what is no text, or not for all
_PLAIN_TYPES = {"integer": 1, "boolean": True}
ANY_KEY = "NAME"  # stands for a key that is somebody's to choose


def about(root: Schema, steps: Sequence[str | int]) -> list[Schema]:
    """The schemas that speak of one value, from the outside in: the one that `steps` lead to, and what refers to it."""
    found: list[Schema] = [root]
    inside: Any = root
    for step in steps:
        if step not in inside and "$ref" in inside:
            inside = _target(root, inside)
            found.append(inside)
        inside = inside[step]
        if step == "properties":  # a mapping of names to schemas, and none itself
            continue
        found = [*found, inside] if step in {"then", "else"} else [inside]
    return [*found, _target(root, found[-1])] if "$ref" in found[-1] else found


def key_of(root: Schema, schemas: Sequence[Schema], key: str) -> tuple[Schema, ...]:
    """The schemas that speak of a key of such a value."""
    named = next((schema["properties"][key] for schema in schemas if key in schema.get("properties", {})), None)
    return () if named is None else (named, _target(root, named)) if "$ref" in named else (named,)


def said(schemas: Sequence[Schema], word: str) -> Any:
    """What the outermost of some schemas says under a keyword; None where none does."""
    return next((schema[word] for schema in schemas if word in schema), None)


def example(root: Schema, schemas: Sequence[Schema]) -> Any:
    """A value that such schemas take; None where they say too little to make one."""
    for schema in schemas:
        found = _example(root, schema)
        if found is not None:
            return found
    return None


def _example(root: Schema, schema: Schema) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return _example(root, _target(root, schema))
    kinds = schema.get("type", ())
    if "object" in kinds:
        return dict(_keys(root, schema)) or None
    if "array" in kinds:
        item = _example(root, schema["items"])
        return None if item is None else [item]
    return _PLAIN_TYPES.get(kinds) if isinstance(kinds, str) else None


def _keys(root: Schema, schema: Schema) -> Iterator[tuple[str, Any]]:
    """The keys that must be there; else the first that can be shown, or any."""
    named = schema.get("properties", {})
    shown = ((key, _example(root, named[key])) for key in schema.get("required", named))
    known = [(key, value) for key, value in shown if value is not None]
    if not named and isinstance(schema.get("additionalProperties"), dict):
        known = [(ANY_KEY, _example(root, schema["additionalProperties"]))]
    yield from known if "required" in schema else known[:1]


def items_are_text(root: Schema, schema: Schema) -> bool:
    """Whether a list holds what can be written as one word."""
    items = schema["items"]
    return bool((_target(root, items) if "$ref" in items else items).get("type", "string") != "object")


def _target(root: Schema, schema: Schema) -> Schema:
    return root["$defs"][schema["$ref"].rpartition("/")[2]]  # type: ignore[no-any-return]


def line(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(pair(key, item) for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(line, value))}]"
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and not _OTHER.fullmatch(value)
    return value if plain else json.dumps(value, ensure_ascii=False)


def pair(key: str, value: Any) -> str:
    """A key and its value as YAML on one line."""
    return f"{key if _PLAIN.fullmatch(key) else line(key)}: {line(value)}"
