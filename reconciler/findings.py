"""Findings: what a person should know, whoever found it. Input, checks, limits and providers all speak it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Severity = Literal["error", "warning", "info"]
_FINAL = {
    "PL211",
    "PL212",
    "PL216",
    "PL217",
    "PL218",
    "PL224",
    "PL304",
    "PL306",
    "PL309",
}  # accepted, it could not be made all the same
OF_THE_AGENCY = {"PL103", "PL104", "DN046"}  # only an acceptance in reconciler.yaml lifts them
_NEVER = {"DN040", "DN044", "DN045"}  # another tenant's to give away, or nobody's: an acceptance would not make it ours


class Origin(NamedTuple):
    """Where something was written: a file of the estate and the keys that lead to it, or a position.

    `line` and `column` count from 1; 0 means "not looked up yet" (they are found again only when printed).
    """

    file: str
    path: tuple[str | int, ...] = ()
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line or 1}:{self.column or 1}"


class Finding(NamedTuple):
    """Something a person should know: what it is about, what holds, why it matters and what to do."""

    code: str
    severity: Severity
    subject: str
    summary: str  # constant per code, so that people learn it; holds no user data
    detail: str  # what, why it matters, what to do
    origin: Origin
    number: int | None = None  # of a limit: how many there are; an acceptance says up to how many it holds
    known: bool = False  # it held already when the tenant was applied last: it refuses nothing
    dated: bool = False  # a day that passes can bring it about
    source: str = ""  # the line it stands at, as it is written

    @property
    def refuses(self) -> bool:
        """Whether its tenant is not applied because of it."""
        return self.severity == "error" and not self.known

    @property
    def can_be_accepted(self) -> bool:
        """Whether it refuses something that an acceptance would let through.

        Who approved an acceptance is not accepted away by another one.
        """
        own = self.origin.path[:1] == ("accept",)
        return self.refuses and not self.is_input and not own and self.code not in _FINAL | _NEVER

    @property
    def is_input(self) -> bool:
        """Whether it is about bad input (or a ledger that cannot be used): that stops its tenant and is never accepted.

        What a check refuses is still planned and shown.
        """
        return self.code.startswith(("IN", "PL301", "PL309"))


class Rule(NamedTuple):
    """What one code means. Call `at` to say that it holds for a subject; `fix` says what to do about it.

    `why` says why it matters, for `explain`. `dated`: a day that passes can bring it about, with no line touched.
    """

    code: str
    severity: Severity
    summary: str
    fix: str
    why: str = ""
    dated: bool = False

    def at(self, subject: str, what: str, origin: Origin, *, fix: str = "") -> Finding:
        detail = f"{what} {fix or self.fix}".strip()
        return Finding(self.code, self.severity, subject, self.summary, detail, origin, dated=self.dated)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings by place."""
    return tuple(sorted(findings, key=lambda f: (f.origin.file, f.origin.line, f.origin.column, f.code, f.subject)))


def accepted(findings: Iterable[Finding], accept: Sequence[Mapping[str, Any]], today: str) -> Iterator[Finding]:
    """Each finding; one that an acceptance names by code and subject, in force today (ISO), refuses nothing.

    `accept` are the entries of that name in control.yaml and reconciler.yaml. Bad input cannot be accepted, nor a
    domain that another tenant or everybody holds, and a limit only up to a number.
    """
    named: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for item in accept:
        if item.get("expires", today) >= today and "field" not in item:
            named.setdefault((item["finding"], item["subject"]), []).append(item)
    for finding in findings:
        lifting = [item for item in named.get((finding.code, finding.subject), ()) if _reaches(item, finding.number)]
        if not lifting or finding.is_input or finding.code in _NEVER:
            yield finding
        else:
            by = lifting[-1].get("approved_by", "nobody named")
            yield finding._replace(severity="info", detail=f"Accepted by {by}. {finding.detail}")


def _reaches(item: Mapping[str, Any], number: int | None) -> bool:
    return number is None or bool(item.get("up_to", -1) >= number)


def lifted(accept: Sequence[Mapping[str, Any]], code: str, subject: str, today: str) -> int:
    """Up to which number a limit is lifted by what is in force today (ISO); 0 where nothing lifts it."""
    named = [item for item in accept if (item["finding"], item["subject"]) == (code, subject)]
    return max((item.get("up_to", 0) for item in named if item.get("expires", today) >= today), default=0)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean …?` for the nearest known word, else nothing."""
    from difflib import get_close_matches

    nearest = get_close_matches(word, sorted(known), n=1)
    return f" Did you mean `{nearest[0]}`?" if nearest else ""
