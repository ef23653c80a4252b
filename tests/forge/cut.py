"""Makes `github.json`: GitHub's own description of its REST API, cut down to what the forge of the tests speaks.

    npm install @octokit/openapi@23.0.2
    python -m tests.forge.cut node_modules/@octokit/openapi > tests/forge/github.json

Words and examples are left out, nothing that is checked. OpenAPI 3.0 has its own way to say that null is allowed; what
comes out is plain JSON Schema, as the validator reads it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

OPERATIONS = (
    "actions/download-artifact", "actions/list-artifacts-for-repo",
    "checks/create", "checks/list-for-ref", "checks/update",
    "issues/create", "issues/create-comment", "issues/create-label", "issues/delete-comment", "issues/get",
    "issues/list-comments", "issues/list-for-repo", "issues/list-labels-on-issue", "issues/update",
    "issues/update-comment",
    "pulls/get", "pulls/list-commits", "pulls/list-reviews",
    "repos/create-commit-status", "repos/get", "repos/get-commit",
    "repos/list-pull-requests-associated-with-commit",
)  # fmt: skip
WORDS = {
    "default", "deprecated", "description", "discriminator", "example", "examples", "externalDocs", "readOnly", "title",
}  # fmt: skip
REF = "#/components/schemas/"
CHECKED = {"date-time", "uri"}  # formats


def cut(package: Path) -> dict[str, Any]:
    """The operations by their id, and every schema that they need."""
    said = json.loads((package / "package.json").read_text("utf-8"))
    whole = json.loads((package / "generated" / "api.github.com.json").read_text("utf-8"))
    operations = {
        operation["operationId"]: _operation(whole, method, path, operation)
        for path, methods in whole["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and operation.get("operationId") in OPERATIONS
    }
    assert sorted(operations) == sorted(OPERATIONS)
    schemas: dict[str, Any] = {}
    asked = _named(operations)
    while missing := asked - schemas.keys():
        schemas |= {name: _schema(whole["components"]["schemas"][name]) for name in missing}
        asked |= _named(schemas)
    return {
        "source": f"{said['name']} {said['version']}, generated/api.github.com.json",
        "license": (package / "LICENSE").read_text("utf-8"),
        "operations": dict(sorted(operations.items())),
        "$defs": dict(sorted(schemas.items())),
    }


def _operation(whole: Any, method: str, path: str, operation: Any) -> dict[str, Any]:
    parameters = [_resolved(whole, parameter) for parameter in operation.get("parameters", ())]
    body = operation.get("requestBody", {})
    return {
        "method": method.upper(),
        "path": path,
        "parameters": {
            found["name"]: {"in": found["in"], "required": found.get("required", False)}
            | {"schema": _schema(found["schema"])}
            for found in parameters
        },
        "body": _json(body),
        "body_required": body.get("required", False),
        "answers": {
            status: _json(_resolved(whole, answer)) for status, answer in operation["responses"].items()
        },
    }  # fmt: skip


def _resolved(whole: Any, found: Any) -> Any:
    if "$ref" not in found:
        return found
    for part in found["$ref"].removeprefix("#/").split("/"):
        whole = whole[part]
    return whole


def _json(found: Any) -> Any:
    """The schema of a body that is JSON; None where there is none."""
    kinds = found.get("content", {})
    return _schema(kinds["application/json"]["schema"]) if "application/json" in kinds else None


def _schema(found: Any) -> Any:
    """A schema without words, in which null is a type."""
    if isinstance(found, list):
        return [_schema(one) for one in found]
    if not isinstance(found, dict):
        return found
    if "$ref" in found:
        return {"$ref": found["$ref"].replace(REF, "#/$defs/")}
    kept = {key: value for key, value in found.items() if key not in WORDS and not key.startswith("x-")}
    nullable = kept.pop("nullable", False)
    if kept.get("format") not in CHECKED:
        kept.pop("format", None)
    made = {key: _part(key, value) for key, value in kept.items()}
    return _or_null(made) if nullable else made


def _part(key: str, value: Any) -> Any:
    if key == "properties":
        return {name: _schema(one) for name, one in value.items()}
    return value if key in {"enum", "required", "pattern"} else _schema(value)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "type" not in schema or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def _named(found: Any) -> set[str]:
    return set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(found)))


def text(found: dict[str, Any]) -> str:
    """As JSON, an operation or a schema a line: a new version of the package shows as what it changes."""
    parts = []
    for key, value in found.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in value.items())
            parts.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.stdout.write(text(cut(Path(sys.argv[1]))))
