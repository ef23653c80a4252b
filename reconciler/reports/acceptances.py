"""The entry of `accept` that lifts a finding, and the file it goes into."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from reconciler.findings import OF_THE_AGENCY
from reconciler.wording import visible

if TYPE_CHECKING:
    from reconciler.findings import Finding

_OWN = re.compile(r"tenants/([^/]+)/")


def acceptance(finding: Finding) -> str:
    """The line that lifts a finding, to be completed by a person."""
    subject = visible(json.dumps(finding.subject, ensure_ascii=False))  # a string of YAML, and so are its escapes
    up_to = f"up_to: {finding.number}, " if finding.number is not None else ""
    return f"- {{finding: {finding.code}, subject: {subject}, {up_to}reason: …, approved_by: …, expires: …}}"


def place(finding: Finding, tenant: str | None = None) -> str:
    """The file for that line. `tenant` is whose finding it is, empty where it has no file of its own any more.

    Where that is not known, it is the tenant in whose folder the finding stands. What stands elsewhere, the agency's
    file lifts.
    """
    if tenant is None:
        found = _OWN.match(finding.origin.file)
        tenant = "" if found is None else found[1]
    return "reconciler.yaml" if finding.code in OF_THE_AGENCY or not tenant else f"tenants/{tenant}/control.yaml"
