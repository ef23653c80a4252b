"""JSON Schema (2020-12) for every kind of file; `verdicts` says in plain words what it refuses.

`jsonschema-rs` says yes, fast, to nearly every file there is; only when it says no does `jsonschema` look for the
reasons, and each becomes a finding. The schemas are written so that a wrong value has one reason: instead of `anyOf`
they name several types, whose keywords do not meet. What `format` means the standard leaves open, so both validators
are given the same test. The tool validates with the schemas it ships; an estate's copies are for editors.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import faults, forms
from reconciler.documents import MAX_FINDINGS, Document, bounded
from reconciler.findings import Finding, Origin
from reconciler.spans import locate
from reconciler.verdicts import Keys, Problem, Verdict, explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jsonschema
    import jsonschema_rs

NAMES = ("reconciler", "control", "tenant", "domain", "dns", "template")


def shipped(name: str) -> Path:
    """`schemas`, `domain-templates` or `.github`, which travel with the tool: in its wheel, or in its checkout."""
    inside = Path(__file__).resolve().parent / "data" / name
    return inside if inside.is_dir() else inside.parents[2] / name


def validate(document: Document, schema_name: str) -> list[Finding]:
    """All that is wrong with a file by its schema (one of NAMES), in the order of its lines; empty when it is valid."""
    problems = dict.fromkeys(islice(_problems(document, schema_name), 10 * MAX_FINDINGS))  # some come more than once
    findings = [_finding(document, problem) for problem in problems]
    return bounded(sorted(findings, key=lambda finding: (finding.origin.line, finding.origin.column)))


def _finding(document: Document, problem: Problem) -> Finding:
    origin = Origin(document.file, problem.path, *locate(document, problem.path))
    return problem.rule.at(document.file, problem.what, origin, fix=problem.fix)


def _problems(document: Document, schema_name: str) -> Iterator[Problem]:
    secret = set() if schema_name == "reconciler" else _passwords(document)
    yield from (Problem(faults.PASSWORD, path, "Whoever can read the repository can read it.") for path in secret)
    if not _quick(schema_name).is_valid(document.data):
        for error in _thorough(schema_name).iter_errors(document.data):
            verdict = _verdict(error, _schema(schema_name))
            yield from (problem for problem in explained(verdict) if problem.path not in secret)


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


def _verdict(error: Any, root: dict[str, Any]) -> Verdict:
    path, steps = tuple(error.absolute_path), list(error.absolute_schema_path)
    if "propertyNames" in steps:
        path = (*path, error.instance)  # the key itself is what is wrong
    about = forms.about(root, steps[:-1])
    return Verdict(path, error.instance, error.validator, error.validator_value, error.schema, about, root)
