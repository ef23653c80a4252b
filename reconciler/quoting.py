"""The lines that findings stand at, as somebody wrote them: a caret below is quicker to understand than two numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.faults import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.estate import Estate
    from reconciler.findings import Finding

_SECRET = re.compile("pas+w|pwd|secret|token|api.?key", re.IGNORECASE)  # it may be one: a log is no place for it


def quoted(estate: Estate, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with the line they stand at; not of files that hold what no log should."""
    found = list(findings)
    secret = {finding.origin.file for finding in found if finding.code == PASSWORD.code}
    files = [file for name in {f.origin.file for f in found} - secret if (file := estate.tree.get(name))]
    texts = {path: raw.decode(errors="replace").split("\n") for path, raw in estate.repository.read(files).items()}
    return tuple(f._replace(source=_line(texts.get(f.origin.file, ()), f.origin.line)) for f in found)


def _line(lines: Sequence[str], number: int) -> str:
    text = lines[number - 1] if 0 < number <= len(lines) else ""
    return "" if _SECRET.search(text) else text.rstrip()
