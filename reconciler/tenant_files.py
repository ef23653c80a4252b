"""One tenant's files: which place each has, parsed and validated one by one, all that is wrong noted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler import canonical, documents, schema
from reconciler.errors import InputError
from reconciler.files import Files
from reconciler.findings import Finding, Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.documents import Document
    from reconciler.tree import File

LINK = Rule(
    "IN220",
    "error",
    "Not a regular file",
    "Commit the file itself; links and submodules are not followed.",
    why="A link leads out of what was reviewed: whoever may change its target would change a client's mail.",
)
STRAY = Rule(
    "IN223",
    "error",
    "This file has no meaning here",
    "See docs/reference/files.md for the places; move it or give it another suffix.",
    why="Nothing in it is read: mailboxes written there are never made, and their author thinks they are.",
)
TENANT_ID = Rule(
    "IN224",
    "error",
    "Not a tenant id",
    "Use lower-case letters, digits and hyphens, at most 63.",
    why="The id is a part of paths, of a Git ref and of who may approve what: other characters break these or "
    "lead elsewhere.",
)

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PLACES = re.compile(
    r"tenants/(?P<tenant>[^/]+)(?:/(?:(?P<file>tenant|control)\.yaml|(?P<part>domains|dns|resets)/(?P<stem>[^/]+)\.yaml))?"
)
_SCHEMAS = {"domains": "domain", "dns": "dns", "tenant": "tenant", "control": "control"}


@dataclass(slots=True)
class Tenant:
    """One tenant's files, parsed: the documents by path, what they say by place, and what is wrong with them."""

    files: Files
    documents: dict[str, Document] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


def is_tenant(name: str) -> bool:
    """Whether a name can be a tenant's id."""
    return _TENANT.fullmatch(name) is not None


def parse(name: str, files: Sequence[File], contents: Mapping[str, bytes]) -> Tenant:
    """The tenant called `name`; `contents` holds the bytes of its regular files by path."""
    found = Tenant(Files(name))
    if not is_tenant(name):
        found.findings.append(TENANT_ID.at(name, f"`{name}` is none.", Origin(f"tenants/{name}")))
    parts: dict[str, dict[str, Any]] = {"domains": {}, "dns": {}, "tenant": {}, "control": {}}
    for file in files:
        if file.regular:
            _place(file.path, contents[file.path], found, parts)
        else:
            found.findings.append(link(file))
    found.files = Files(name, parts["tenant"], parts["control"], parts["domains"], parts["dns"])
    return found


def _place(path: str, raw: bytes, found: Tenant, parts: dict[str, dict[str, Any]]) -> None:
    place = _PLACES.fullmatch(path)
    part = place and (place["file"] or place["part"])
    if place is None or part is None:
        if path.endswith((".yaml", ".yml")):
            fix = "Give it the ending .yaml." if path.endswith(".yml") else ""
            found.findings.append(STRAY.at(path, "", Origin(path, line=1, column=1), fix=fix))
        return
    document = parsed(path, raw, _SCHEMAS[part], found.findings) if part != "resets" else None
    if document is not None:
        found.documents[path] = document
        if place["file"]:
            parts[part] = document.data
        else:
            parts[part][place["stem"]] = document.data


def delegates(file: File | None, read: Callable[[Sequence[File]], Mapping[str, bytes]]) -> Mapping[str, str] | None:
    """{domain: the tenant that may hold it} of a tenant's control.yaml; None where that cannot be read."""
    if file is None:
        return {}
    document = parsed(file.path, read([file])[file.path], "control", []) if file.regular else None
    said = {} if document is None else document.data.get("delegates", {})
    return None if document is None else {canonical.domain(name): heir for name, heir in said.items()}


def link(file: File) -> Finding:
    """The finding for what is no regular file."""
    return LINK.at(file.path, "It is a link or a submodule.", Origin(file.path, line=1, column=1))


def parsed(path: str, raw: bytes, kind: str, findings: list[Finding]) -> Document | None:
    """The document, or None after noting what is wrong with it."""
    try:
        document = documents.parse(path, raw)
    except InputError as error:
        findings += error.findings
        return None
    problems = schema.validate(document, kind)
    findings += problems
    return None if problems else document
