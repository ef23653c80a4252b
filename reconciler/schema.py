"""JSON Schema (2020-12) for every kind of file, and its verdict in plain words.

`jsonschema-rs` says yes, fast, to nearly every file there is; only when it says no does `jsonschema` look for the
reasons, and each becomes a finding. The schemas are written so that a wrong value has one reason: instead of `anyOf`
they name several types, whose keywords do not meet. What `format` means the standard leaves open, so both validators
are given the same test. The tool validates with the schemas it ships; an estate's copies are for editors.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import faults
from reconciler.documents import MAX_FINDINGS, Document, bounded, locate
from reconciler.findings import Finding, Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import jsonschema
    import jsonschema_rs

Keys = tuple[str | int, ...]

NAMES = ("reconciler", "control", "tenant", "domain", "dns", "template")


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


class _Verdict(NamedTuple):
    """A no of `jsonschema`: the value at `path` breaks the `rule` that `keyword` has in `schema`."""

    path: Keys
    value: Any
    keyword: str
    rule: Any
    schema: Any


class _Problem(NamedTuple):
    rule: Rule
    path: Keys
    what: str
    fix: str = ""


def shipped(name: str) -> Path:
    """The folder `schemas` or `domain-templates` that travels with the tool: in its wheel, or in its checkout."""
    inside = Path(__file__).resolve().parent / "data" / name
    return inside if inside.is_dir() else inside.parents[2] / name


def validate(document: Document, schema_name: str) -> list[Finding]:
    """All that is wrong with a file by its schema (one of NAMES), in the order of its lines; empty when it is valid."""
    problems = dict.fromkeys(islice(_problems(document, schema_name), 10 * MAX_FINDINGS))  # some come more than once
    findings = [_finding(document, problem) for problem in problems]
    return bounded(sorted(findings, key=lambda finding: (finding.origin.line, finding.origin.column)))


def _finding(document: Document, problem: _Problem) -> Finding:
    origin = Origin(document.file, problem.path, *locate(document, problem.path))
    return problem.rule.at(document.file, problem.what, origin, fix=problem.fix)


def _problems(document: Document, schema_name: str) -> Iterator[_Problem]:
    secret = set() if schema_name == "reconciler" else _passwords(document)
    yield from (_Problem(faults.PASSWORD, path, "Whoever can read the repository can read it.") for path in secret)
    if not _quick(schema_name).is_valid(document.data):
        for error in _thorough(schema_name).iter_errors(document.data):
            yield from (problem for problem in _explained(error) if problem.path not in secret)


def _passwords(document: Document) -> set[Keys]:
    if b"password" not in document.raw.lower():  # spares nearly all files the walk
        return set()
    return {path for path in _paths(document.data, ()) if str(path[-1]).lower() == "password"}


def _paths(data: Any, path: Keys) -> Iterator[Keys]:
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in pairs:
        yield (*path, step)
        yield from _paths(value, (*path, step))


@cache
def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((shipped("schemas") / f"{name}.schema.json").read_bytes())
    return schema


@cache
def _quick(name: str) -> jsonschema_rs.Draft202012Validator:
    import jsonschema_rs

    formats = {"date": _exists, "moment": _exists}
    return jsonschema_rs.Draft202012Validator(_schema(name), formats=formats, validate_formats=True)


@cache
def _thorough(name: str) -> jsonschema.Draft202012Validator:
    import jsonschema

    formats = jsonschema.FormatChecker(())
    for form in ("date", "moment"):
        formats.checks(form)(_exists)
    return jsonschema.Draft202012Validator(_schema(name), format_checker=formats)


def _exists(text: object) -> bool:
    """Whether the calendar has a day such as `2026-12-31`, with or without a time behind it."""
    try:
        return not isinstance(text, str) or bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _explained(error: Any) -> Iterator[_Problem]:
    """One verdict of `jsonschema` in our words; its keyword picks the function."""
    path = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        path = (*path, error.instance)  # the key itself is what is wrong
    verdict = _Verdict(path, error.instance, error.validator, error.validator_value, error.schema)
    return _EXPLAIN.get(error.validator, _bound)(verdict)


def _unknown(no: _Verdict) -> Iterator[_Problem]:
    known = list(no.schema["properties"])
    listed = ", ".join(f"`{key}`" for key in known)
    for key in no.value:
        if key not in known:
            what = f"`{_short(key)}` is not known here{_nearest(key, known)}"
            yield _Problem(faults.UNKNOWN, (*no.path, key), what, f"{faults.UNKNOWN.fix} Known are {listed}.")


def _missing(no: _Verdict) -> Iterator[_Problem]:
    for key in no.rule:
        if key not in no.value:
            why = no.schema.get("properties", {}).get(key, no.schema).get("description", "")
            yield _Problem(faults.MISSING, no.path, f"`{key}` is missing. {why}".rstrip())


def _type(no: _Verdict) -> Iterator[_Problem]:
    allowed = [no.rule] if isinstance(no.rule, str) else no.rule
    words = " or ".join(_KINDS[name] for name in allowed)
    fix = f"Write it as a list: `[{_short(no.value)}]`." if "array" in allowed and isinstance(no.value, str) else ""
    if "string" in allowed and "pattern" in no.schema:
        words = no.schema["description"]
    elif "string" in allowed and not isinstance(no.value, (dict, list)):
        fix = "Put it in quotes if it is text."
    yield _Problem(faults.TYPE, no.path, f"{_subject(no.path)} is {_shown(no.value)} and must be {words}.", fix)


def _choice(no: _Verdict) -> Iterator[_Problem]:
    values = [str(value) for value in no.rule]
    if "TXT" in values and no.value in ("NS", "SOA"):
        yield _Problem(faults.ZONE_TYPE, no.path, f"`{no.value}` belongs to the zone itself, not to one domain's mail.")
        return
    listed = ", ".join(f"`{value}`" for value in values)
    what = f"{_subject(no.path)} is {_shown(no.value)} and must be one of {listed}"
    if no.value in values:
        yield _Problem(faults.CHOICE, no.path, f"{what}, a number.", "Write it without quotes.")
    else:
        yield _Problem(faults.CHOICE, no.path, what + _nearest(no.value, values))


def _form(no: _Verdict) -> Iterator[_Problem]:
    said = _shown(no.value) if no.value else "An empty text"
    yield _Problem(faults.FORM, no.path, f"{said} is not {no.schema['description']}.")


def _day(no: _Verdict) -> Iterator[_Problem]:
    if re.search(no.schema["pattern"], no.value):  # else its form is wrong, which is said already
        yield _Problem(faults.NO_DAY, no.path, f"There is no {_shown(no.value)}.")


def _both(no: _Verdict) -> Iterator[_Problem]:
    yield _Problem(faults.FORM, no.path, f"It must have {no.rule['description']}.", "Take one away.")


def _bound(no: _Verdict) -> Iterator[_Problem]:
    yield _Problem(faults.BOUND, no.path, f"{_subject(no.path)} {_BOUNDS[no.keyword].format(no.rule)}.")


_EXPLAIN: dict[str, Callable[[_Verdict], Iterator[_Problem]]] = {
    "additionalProperties": _unknown,
    "required": _missing,
    "type": _type,
    "enum": _choice,
    "pattern": _form,
    "format": _day,
    "not": _both,
}


def _subject(path: Keys) -> str:
    return f"`{_short(path[-1])}`" if path and isinstance(path[-1], str) else "This item"


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
