"""How many lookups a receiver makes for an SPF record (RFC 7208, 4.6.4), as far as what it includes is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.kinds.record import tag
from reconciler.tags import ASKING, heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.answers import Answer, Question
    from reconciler.tags import Term

MOST, NEARLY, MOST_VOIDS, MOST_HOSTS = 10, 8, 2, 10
_ENOUGH = 50  # whoever needs so many needs no exact number


def spf(values: Iterable[object]) -> list[str]:
    """The SPF records among the values of a TXT set."""
    return [value for value in values if isinstance(value, str) and tag(value) == "v=spf1"]


class Count:
    """The lookups of one record, and what was met on the way. `known` gives an answer, or None: not asked.

    `open` are questions nobody asked yet, `unknown` those without an answer; `voids` those that there is nothing for,
    with the answer's status; `faults` says what makes a receiver give up, as phrases.
    """

    def __init__(self, name: str, value: str, known: Callable[[Question], Answer | None]) -> None:
        self._known = known
        self.lookups = 0
        self.open: set[Question] = set()
        self.unknown: set[Question] = set()
        self.voids: list[tuple[Question, str]] = []
        self.faults: list[str] = []
        self.circle = False
        self._walk(value, (name,))

    def _walk(self, value: str, above: tuple[str, ...]) -> None:
        for term in heard(value):
            if term.name not in ASKING or self.lookups > _ENOUGH:
                continue
            self.lookups += 1
            if not term.is_macro:
                self._term(term, term.value or above[-1], above)

    def _term(self, term: Term, name: str, above: tuple[str, ...]) -> None:
        if term.name in {"include", "redirect"}:
            self._include(term, name, above)
        elif term.name in {"a", "exists"}:
            self._host(name, term.name)
        elif term.name == "mx":
            answer = self._ask((name, "MX"))
            if answer is not None and len(answer.values) > MOST_HOSTS:
                self.faults.append(f"`{term.text}` has {len(answer.values)} hosts, and {MOST_HOSTS} are allowed")

    def _include(self, term: Term, name: str, above: tuple[str, ...]) -> None:
        if name in above:
            self.circle = True
            self.faults.append(f"{name} includes itself")
            return
        answer = self._ask((name, "TXT"))
        if answer is None or answer.status == "failed":
            return
        found = spf(answer.values)
        if len(found) == 1:
            self._walk(found[0], (*above, name))
        elif found:
            self.faults.append(f"{name} has {len(found)} SPF records")
        else:
            why = "does not exist" if answer.status == "nxdomain" else "has no SPF record"
            self.faults.append(f"{name}, which `{term.text}` names, {why}")

    def _host(self, name: str, how: str) -> None:
        """An address of either family will do; where one is not there, both are asked for."""
        four = self._known((name, "A"))
        empty = four is not None and four.status == "empty"
        self._ask((name, "AAAA" if empty and how == "a" else "A"))

    def _ask(self, question: Question) -> Answer | None:
        answer = self._known(question)
        if answer is None:
            self.open.add(question)
        elif answer.status == "failed":
            self.unknown.add(question)
        elif answer.status != "found":
            self.voids.append((question, answer.status))
        return answer
