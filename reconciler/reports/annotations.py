"""Findings for other programs: SARIF 2.1.0 (OASIS) for code scanning, workflow commands for GitHub's annotations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler import __version__
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.findings import Finding

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def text(form: str, findings: Sequence[Finding], prefix: str) -> str:
    """Findings as `sarif` or `github`; `prefix` leads from the repository's root to the estate (`clients/`, or "")."""
    return _sarif(findings, prefix) if form == "sarif" else "\n".join(_github(findings, prefix))


def _sarif(findings: Sequence[Finding], prefix: str) -> str:
    rules = {finding.code: finding for finding in reversed(findings)}  # the first of each code
    codes = sorted(rules)
    driver = {
        "name": "reconciler",
        "semanticVersion": __version__,
        "rules": [{"id": code, "shortDescription": {"text": rules[code].summary}} for code in codes],
    }
    results = [_result(finding, codes.index(finding.code), prefix) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(finding: Finding, index: int, prefix: str) -> dict[str, Any]:
    origin = finding.origin
    region = {"startLine": origin.line or 1, "startColumn": origin.column or 1}
    name = f"{prefix}{origin.file}".encode(errors="surrogateescape")  # the bytes that Git has for it
    place = {"artifactLocation": {"uri": quote(name)}, "region": region}
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": "warning" if finding.known and finding.severity == "error" else _LEVELS[finding.severity],
        "message": {"text": visible(f"{finding.subject}: {finding.detail}")},
        "locations": [{"physicalLocation": place}] if origin.file else [],
        "partialFingerprints": {"codeAndSubject/v1": visible(f"{finding.code}:{finding.subject}")},
        "baselineState": "unchanged" if finding.known else "new",
    }


def _github(findings: Sequence[Finding], prefix: str) -> Iterator[str]:
    """A workflow command per finding. Nothing of an estate's text can end it or begin another one."""
    for finding in findings:
        origin = finding.origin
        place = {"file": f"{prefix}{origin.file}", "line": origin.line or 1, "col": origin.column or 1}
        known = "known already: " if finding.known else ""
        said = {**(place if origin.file else {}), "title": f"{finding.code} {known}{finding.summary}"}
        properties = ",".join(f"{name}={_property(str(value))}" for name, value in said.items())
        level = "warning" if finding.known and finding.severity == "error" else _COMMANDS[finding.severity]
        yield f"::{level} {properties}::{_data(f'{finding.subject}: {finding.detail}')}"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
