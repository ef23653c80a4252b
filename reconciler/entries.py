"""A line of the ledger as JSON and back, each value of the type that its kind's table has for it.

Whoever may push a tenant's ref can write anything there. What is read here is compared, sorted and taken apart by all
that follows: a value of another type would end a run over all tenants somewhere in the middle.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any

from reconciler.kinds import kinds
from reconciler.model import Address, Computed, Entry, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.model import Attribute

    Form = Mapping[type, Callable[[Any], Value] | None]  # per type that JSON may have there: what makes a value of it

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PLAIN = frozenset({bool, int, str})
_LONGEST = 100_000  # days that something may be kept
_LINE: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(("said", "seen", "before"), frozenset({dict})),
    **dict.fromkeys(("domain", "commit", "file"), frozenset({str})),
    "keep": frozenset({int, NoneType}),
    "retired": frozenset({str, NoneType}),
    "absent": frozenset({bool}),
    "line": frozenset({int}),
}


def read(kind: str, data: dict[str, Any]) -> Entry:
    """What is kept of a thing of a kind that there is. Raises ValueError, KeyError, TypeError, AttributeError."""
    for name, value in data.items():
        if type(value) not in _LINE[name]:
            raise ValueError(f"`{name}` is {value!r}")
    forms, needed = _table(kind)
    said = data["said"]
    for values in (said, data.get("seen"), data.get("before")):
        if values:
            _bring(forms, values)
    for name in needed:
        if name not in said and not data.get("absent"):
            raise ValueError(f"a {kind} has no `{name}`")
    if "commit" in data:
        _check_commit(data["commit"])
    if data.get("retired") is not None:
        date.fromisoformat(data["retired"])
        if not 0 <= data["keep"] <= _LONGEST:
            raise ValueError(f"`keep` is {data['keep']}")
    return Entry(**data)


def values(kind: str, data: Any) -> dict[str, Value]:
    """The attributes of a thing of a kind that there is. Raises as `read` does."""
    if type(data) is not dict:
        raise ValueError(f"no attributes of a {kind}: {data!r}")
    _bring(_table(kind)[0], data)
    return data


def _bring(forms: Mapping[str, Form], values: dict[str, Any]) -> None:
    """Values of JSON as the model has them, in their own place."""
    name = ""
    try:
        for name, value in values.items():
            make = forms[name][type(value)]
            if make is not None:
                values[name] = make(value)
    except KeyError:
        raise ValueError(f"`{name}` is {values[name]!r}") from None


@cache
def _table(kind: str) -> tuple[dict[str, Form], tuple[str, ...]]:
    """(what each attribute may be, the attributes that Git always says) of a kind."""
    rows = kinds()[kind].attributes
    return {row.name: _form(row) for row in rows}, tuple(row.name for row in rows if row.required)


def _form(row: Attribute) -> Form:
    form: dict[type, Callable[[Any], Value] | None] = {type_: None for type_ in row.types if type_ in _PLAIN}
    if tuple in row.types:
        form[list] = _parts if Computed in row.types else _texts
    elif dict in row.types or Computed in row.types:
        form[dict] = _named if dict in row.types else _computed
    return form if row.governed and row.default is not None else {**form, NoneType: None}


def _texts(value: list[Any]) -> tuple[str, ...]:
    for item in value:
        if type(item) is not str:
            raise ValueError(f"{item!r} is no text")
    return tuple(value)


def _parts(value: list[Any]) -> tuple[str | Computed, ...]:
    return tuple(item if type(item) is str else _computed(item) for item in value)


def _named(value: dict[str, Any]) -> dict[str, str]:
    for item in value.values():
        if type(item) is not str:
            raise ValueError(f"{item!r} is no text")
    return value


def _computed(value: Any) -> Computed:
    address, attribute = Address.parse(value["of"]), value["attribute"]
    if attribute not in _table(address.kind)[0]:
        raise ValueError(f"{value!r} is of nothing that there is")
    return Computed(address, attribute)


@cache
def _check_commit(text: str) -> None:
    if text and not _COMMIT.fullmatch(text):
        raise ValueError(f"{text!r} is no commit")


# ---------------------------------------------------------------------- written


_SINGLE = tuple(enumerate(Entry._fields))[Entry._fields.index("keep") :]
_EMPTY = Entry(said={}, domain="")


def written(entry: Entry) -> dict[str, Any]:
    """Only what differs from an empty entry: a line stays short enough to be read in a diff."""
    line: dict[str, Any] = {"said": encoded(entry.said), "domain": entry.domain}
    line |= {name: encoded(values) for name, values in (("seen", entry.seen), ("before", entry.before)) if values}
    return line | {name: entry[index] for index, name in _SINGLE if entry[index] != _EMPTY[index]}


def encoded(values: Mapping[str, Value]) -> dict[str, Any]:
    """Attributes as JSON has them."""
    return {name: _encode(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _encode(value: Value) -> Any:
    if isinstance(value, Computed):
        return {"of": str(value.address), "attribute": value.attribute}
    return [_encode(item) for item in value] if isinstance(value, tuple) else value
