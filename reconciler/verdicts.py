"""What a JSON Schema refuses, in plain words: what stands there, what is wanted, and an example of it."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import faults, forms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.findings import Rule
    from reconciler.forms import Schema

Keys = tuple[str | int, ...]

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "a mapping of keys to values",
    "null": "`null`",
}
_BOUNDS = {
    "minLength": "must not be empty",
    "maxLength": "has more than {} characters",
    "minItems": "needs an item",
    "minProperties": "needs a key",
    "minimum": "must be {} or more",
}
_EMPTY = {"minLength", "minItems", "minProperties"}


class Verdict(NamedTuple):
    """A no of `jsonschema`: the value at `path` breaks the `rule` that `keyword` has in `schema`.

    `about` are all schemas of the file's, `root`, that speak of the value, from the outside in.
    """

    path: Keys
    value: Any
    keyword: str
    rule: Any
    schema: Schema
    about: Sequence[Schema]
    root: Schema


class Problem(NamedTuple):
    """What becomes a finding once its file and line are known."""

    rule: Rule
    path: Keys
    what: str
    fix: str = ""


def explained(no: Verdict) -> Iterator[Problem]:
    """A verdict in our words; its keyword picks the function."""
    return _EXPLAIN.get(no.keyword, _bound)(no)


def _unknown(no: Verdict) -> Iterator[Problem]:
    known = list(no.schema["properties"])
    listed = ", ".join(f"`{key}`" for key in known)
    for key in no.value:
        if key not in known:
            what = f"`{_short(key)}` is not known here{_nearest(key, known)}"
            yield Problem(faults.UNKNOWN, (*no.path, key), what, f"{faults.UNKNOWN.fix} Known are {listed}.")


def _missing(no: Verdict) -> Iterator[Problem]:
    place = f" in {_named(no.path)}" if no.path else ""
    for key in no.rule:
        if key not in no.value:
            named = forms.key_of(no.root, no.about, key)
            conditional = key not in no.schema.get("properties", {})  # then the condition says why
            why = forms.said([no.schema] if conditional else named, "description") or ""
            example = forms.example(no.root, named)
            fix = "" if example is None else f"Write it here, such as `{forms.pair(key, example)}`."
            yield Problem(faults.MISSING, no.path, f"`{key}` is missing{place}. {why}".rstrip(), fix)


def _type(no: Verdict) -> Iterator[Problem]:
    allowed = [no.rule] if isinstance(no.rule, str) else no.rule
    words = " or ".join(_KINDS[name] for name in allowed)
    if "string" in allowed and "pattern" in no.schema:
        words = no.schema["description"]
    what = f"{_subject(no.path)} is {_shown(no.value)} and must be {words}."
    yield Problem(faults.TYPE, no.path, what, _retyped(no, allowed))


def _retyped(no: Verdict, allowed: Sequence[str]) -> str:
    """How to write what has another type: the value itself where that can be, else an example."""
    if isinstance(no.value, dict | list):
        return _such(no)
    if isinstance(no.value, str):
        if "array" in allowed and forms.items_are_text(no.root, no.schema):
            return f"Write it as a list: `[{_short(no.value)}]`."
        return "Write it without quotes." if "integer" in allowed and no.value.isdecimal() else _such(no)
    quoted = "string" in allowed and re.search(no.schema.get("pattern", ""), json.dumps(no.value))
    return "Put it in quotes if it is text." if quoted else _such(no)


def _such(no: Verdict) -> str:
    example, last = forms.example(no.root, no.about), no.path[-1]
    if example is None:
        return ""
    return f"Write it in this form: `{forms.pair(last, example) if isinstance(last, str) else forms.line(example)}`."


def _choice(no: Verdict) -> Iterator[Problem]:
    values = [str(value) for value in no.rule]
    if "TXT" in values and no.value in ("NS", "SOA"):
        yield Problem(faults.ZONE_TYPE, no.path, f"`{no.value}` belongs to the zone itself, not to one domain's mail.")
        return
    listed = ", ".join(f"`{value}`" for value in values)
    what = f"{_subject(no.path)} is {_shown(no.value)} and must be one of {listed}"
    if no.value in values:
        yield Problem(faults.CHOICE, no.path, f"{what}, a number.", "Write it without quotes.")
    else:
        yield Problem(faults.CHOICE, no.path, what + _nearest(no.value, values))


def _form(no: Verdict) -> Iterator[Problem]:
    said = _shown(no.value) if no.value else "An empty text"
    yield Problem(faults.FORM, no.path, f"{said} is not {no.schema['description']}.")


def _day(no: Verdict) -> Iterator[Problem]:
    if re.search(no.schema["pattern"], no.value):  # else its form is wrong, which is said already
        yield Problem(faults.NO_DAY, no.path, f"There is no {_shown(no.value)}.")


def _both(no: Verdict) -> Iterator[Problem]:
    yield Problem(faults.FORM, no.path, f"It must have {no.rule['description']}.", "Take one away.")


def _bound(no: Verdict) -> Iterator[Problem]:
    what = f"{_subject(no.path)} {_BOUNDS[no.keyword].format(no.rule)}."
    yield Problem(faults.BOUND, no.path, what, _such(no) if no.keyword in _EMPTY else "")


_EXPLAIN: dict[str, Callable[[Verdict], Iterator[Problem]]] = {
    "additionalProperties": _unknown,
    "required": _missing,
    "type": _type,
    "enum": _choice,
    "pattern": _form,
    "format": _day,
    "not": _both,
}


def _subject(path: Keys) -> str:
    return f"`{_short(path[-1])}`" if isinstance(path[-1], str) else f"I{_named(path)[1:]}"


def _named(path: Keys) -> str:
    """`item 2 of …`, or a key with the one above it: enough to find it without counting lines."""
    above, last = path[-2] if len(path) > 1 else None, path[-1]
    if isinstance(last, int):
        return f"item {last + 1} of `{_short(str(above))}`"
    return f"`{_short(last)}`" + (f" under `{_short(above)}`" if isinstance(above, str) else "")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"`{_short(value)}`"
    if isinstance(value, dict | list):
        return _KINDS["object" if isinstance(value, dict) else "array"]
    return f"`{json.dumps(value)}`"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _nearest(word: object, known: list[str]) -> str:
    written = {name.lower(): name for name in known}
    found = get_close_matches(_short(str(word)).lower(), written, 1)
    return f"; did you mean `{written[found[0]]}`?" if found else "."
