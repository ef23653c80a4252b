"""GitHub's description of its API, as a judge of every request and every answer (`github.json`, made by `cut.py`)."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import jsonschema

DESCRIPTION = json.loads(Path(__file__).with_name("github.json").read_text("utf-8"))
OPERATIONS, SCHEMAS = DESCRIPTION["operations"], DESCRIPTION["$defs"]
FORMATS = jsonschema.FormatChecker(formats=())


class Undescribed(Exception):
    """What was asked or answered is not as the description says."""


class Asked(NamedTuple):
    """One request: which operation, and its parameters of path and query, converted."""

    operation: str
    parameters: dict[str, Any]
    body: Any


@FORMATS.checks("date-time", raises=ValueError)
def _moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri")
def _uri(value: object) -> bool:
    return not isinstance(value, str) or re.match(r"[a-z]+://[^\s]+\Z", value) is not None


def read(method: str, target: str, body: bytes) -> Asked:
    """The operation that a request is of. Raises Undescribed where it is of none, or not as that one wants it."""
    path, _, query = target.partition("?")
    operation, found = _operation(method, path)
    described = OPERATIONS[operation]
    texts = found | dict(parse_qsl(query, keep_blank_values=True))
    for name in texts.keys() - described["parameters"].keys():
        raise Undescribed(f"{operation} has no parameter {name}")
    parameters = {name: _parameter(operation, name, text) for name, text in texts.items()}
    for name, parameter in described["parameters"].items():
        if parameter["required"] and name not in parameters:
            raise Undescribed(f"{operation} needs {name}")
    return Asked(operation, parameters, _body(operation, described, body))


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], str]]:
    plain = [
        (re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(d["path"])), d, name) for name, d in OPERATIONS.items()
    ]
    return [(described["method"], re.compile(pattern), name) for pattern, described, name in plain]


def _operation(method: str, path: str) -> tuple[str, dict[str, str]]:
    for wanted, pattern, name in _patterns():
        if wanted == method and (match := pattern.fullmatch(path)):
            return name, {key: unquote(value) for key, value in match.groupdict().items()}
    raise Undescribed(f"{method} {path}: no operation that this forge knows")


def _parameter(operation: str, name: str, text: str) -> Any:
    schema = OPERATIONS[operation]["parameters"][name]["schema"]
    value = int(text) if schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]+", text) else text
    _check(schema, value, f"{operation}: {name}")
    return value


def _body(operation: str, described: Any, body: bytes) -> Any:
    if described["body"] is None or (not body and not described["body_required"]):
        if body:
            raise Undescribed(f"{operation} takes no body")
        return None
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Undescribed(f"{operation}: its body is no JSON: {error}") from None
    _check(described["body"], value, operation)
    known = described["body"].get("properties")
    for name in value.keys() - known.keys() if known and isinstance(value, dict) else ():
        raise Undescribed(f"{operation} has nothing called {name}, and would pass over it")
    return value


def check_answer(operation: str, status: int, body: Any) -> None:
    """Raises Undescribed where GitHub would not answer so."""
    answers = OPERATIONS[operation]["answers"]
    if status >= 400:  # not every operation lists all that can go wrong with it
        _check({"$ref": "#/$defs/basic-error"}, body, f"{operation} {status}")
        return
    if str(status) not in answers:
        raise Undescribed(f"{operation} never answers {status}")
    schema = answers[str(status)]
    if (schema is None) != (body is None):
        raise Undescribed(f"{operation} {status}: a body where none is described, or none where one is")
    if schema is not None:
        _check(schema, body, f"{operation} {status}")


def _check(schema: Any, value: Any, what: str) -> None:
    checker = _validator(json.dumps(schema))
    error = jsonschema.exceptions.best_match(checker.iter_errors(value))
    if error is not None:
        raise Undescribed(f"{what}: {error.json_path}: {error.message[:300]}")


@cache
def _validator(schema: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads(schema) | {"$defs": SCHEMAS}, format_checker=FORMATS)


def filled(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """A whole object of a schema: what is known, and the least that the schema wants for the rest."""
    schema = SCHEMAS[name]
    strange = known.keys() - schema["properties"].keys()
    assert not strange, f"{name} has no {strange}"
    return {key: _least(schema["properties"][key]) for key in schema["required"]} | known


def _least(schema: Any) -> Any:
    """null where it may be, else the emptiest value: whoever counts on more than is promised shall fall."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    for group in ("oneOf", "anyOf", "allOf"):
        if group in schema and not kinds:
            return None if {"type": "null"} in schema[group] else _least(schema[group][0])
    if "null" in kinds:
        return None
    if "enum" in schema:
        return schema["enum"][0]
    if "object" in kinds:
        properties = schema.get("properties", {})
        return {key: _least(properties[key]) for key in schema.get("required", ())}
    formats = {"uri": "https://github.example/", "date-time": "2026-01-01T00:00:00Z"}
    return {"string": formats.get(schema.get("format"), ""), "integer": 0, "number": 0, "boolean": False, "array": []}[
        kinds[0]
    ]
