"""Findings: what a person should know, whoever found it. Input, checks, limits and providers all speak it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written: a file of the estate and the keys that lead to it, or a position.

    `line` and `column` count from 1; 0 means "not looked up yet" (they are found again only when printed).
    """

    file: str
    path: tuple[str | int, ...] = ()
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line or 1}:{self.column or 1}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know: what it is about, what holds, why it matters and what to do."""

    code: str
    severity: Severity
    subject: str
    summary: str  # constant per code, so that people learn it; holds no user data
    detail: str  # what, why it matters, what to do
    origin: Origin


@dataclass(frozen=True, slots=True)
class Rule:
    """What one code means. Call `at` to say that it holds for a subject; `fix` says what to do about it."""

    code: str
    severity: Severity
    summary: str
    fix: str

    def at(self, subject: str, what: str, origin: Origin, *, fix: str = "") -> Finding:
        return Finding(self.code, self.severity, subject, self.summary, f"{what} {fix or self.fix}".strip(), origin)
