"""Checks over SPF as it is declared (RFC 7208): what receivers do not take, let pass or count too many lookups in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.answers import Answer
from reconciler.checks.breadth import too_broad
from reconciler.checks.counting import MOST, NEARLY, Count, spf
from reconciler.checks.places import place
from reconciler.findings import Rule
from reconciler.kinds.record import label
from reconciler.tags import heard, spf_faults, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.answers import Question
    from reconciler.files import Files
    from reconciler.findings import Finding, Origin
    from reconciler.model import Resource

ANYBODY = Rule(
    "DN010",
    "error",
    "SPF lets anybody send in the domain's name",
    "End it with `-all` (or `~all`), and name who may send before that, by networks that are theirs.",
    why="`+all`, or networks of which everybody can rent an address, tell every receiver that any machine in the world "
    "may use the domain: forged mail then passes SPF, and with it DMARC.",
)
UNDECIDED = Rule(
    "DN011",
    "warning",
    "SPF says nothing about everybody else",
    "End it with `-all` or `~all`.",
    why="Without an `all` at its end, or with `?all`, a message from an unlisted server is treated as if there were no "
    "SPF record at all.",
)
INVALID = Rule(
    "DN012",
    "error",
    "SPF that receivers do not take",
    "Correct it; RFC 7208 says its form.",
    why="One term that is wrong makes the whole record a permanent error: every message of the domain fails SPF.",
)
UNHEARD = Rule(
    "DN013",
    "warning",
    "SPF goes on after its end",
    "Move the terms before `all`, or take them out.",
    why="A receiver stops at `all` and does not follow `redirect` beside it: who is named only there may not send.",
)
POINTERS = Rule(
    "DN014",
    "warning",
    "SPF asks for names of addresses",
    "Take `ptr` out and name the networks: `ip4:`, `ip6:` or `include:`.",
    why="`ptr` is slow, and whoever runs the reverse zone decides; RFC 7208 (5.5) says not to publish it, and some "
    "receivers do not follow it.",
)
TOO_MANY = Rule(
    "DN015",
    "error",
    "SPF needs too many lookups",
    "Take out what no longer sends, or give bulk senders a subdomain of their own.",
    why="At the eleventh lookup a receiver gives up with a permanent error: every message of the domain fails SPF.",
)
MANY = Rule(
    "DN016",
    "warning",
    "SPF is near its limit of lookups",
    "Take out what no longer sends before the next sender comes in.",
    why="Those who are included add lookups without telling anybody; the eleventh makes all mail fail SPF.",
)


def check(files: Files, texts: Iterable[Resource]) -> Iterator[Finding]:
    """Every finding of this theme. `texts` are the tenant's TXT sets."""
    found = [(resource, value) for resource in texts for value in spf(resource.get("values"))]
    known = {label(resource.address.name): value for resource, value in found}

    def declared(question: Question) -> Answer | None:
        name, type_ = question
        return Answer("found", (known[name],)) if type_ == "TXT" and name in known else None

    for resource, value in found:
        for finding in _record(resource, value, declared):
            yield finding._replace(origin=place(files, resource, value))


def _record(resource: Resource, value: str, known: Callable[[Question], Answer | None]) -> Iterator[Finding]:
    origin = resource.origin
    assert origin is not None
    name = label(resource.address.name)
    if faults := spf_faults(value):
        yield INVALID.at(resource.address.name, f"{name}: {'; '.join(faults)}.", origin)
        return
    yield from _end(resource.address.name, value, origin)
    if any(term.name == "ptr" for term in heard(value)):
        yield POINTERS.at(resource.address.name, f"{name}: `{value}`.", origin)
    yield from count_of(resource.address.name, Count(name, value, known), origin)


def _end(subject: str, value: str, origin: Origin) -> Iterator[Finding]:
    """What the record says of those it does not name, and what it says after that."""
    reached, last = heard(value), next((term for term in heard(value) if term.sign and term.name == "all"), None)
    if last is not None and last.sign == "+":
        yield ANYBODY.at(subject, f"It says `{last.text}`: `{value}`.", origin)
    elif broad := too_broad(value):
        yield ANYBODY.at(subject, f"It names {broad}: `{value}`.", origin)
    elif last is not None and last.sign == "?":
        yield UNDECIDED.at(subject, f"It says `{last.text}`: `{value}`.", origin)
    elif last is None and not any(term.name == "redirect" for term in reached):
        yield UNDECIDED.at(subject, f"It has no `all`: `{value}`.", origin)
    unheard = [term.text for term in terms(value) if term not in reached and (term.sign or term.name == "redirect")]
    if unheard:
        yield UNHEARD.at(subject, f"Nobody comes to `{' '.join(unheard)}` in `{value}`.", origin)


def count_of(subject: str, count: Count, origin: Origin) -> Iterator[Finding]:
    """What a count of lookups comes to: at least so many, where something is open or unknown."""
    least = "at least " if count.open or count.unknown else ""
    if count.circle:
        yield TOO_MANY.at(subject, f"{'; '.join(count.faults)}: without end, and {MOST} lookups are allowed.", origin)
    elif count.lookups > MOST:
        yield TOO_MANY.at(subject, f"It needs {least}{count.lookups}, and {MOST} are allowed.", origin)
    elif count.lookups >= NEARLY:
        yield MANY.at(subject, f"It needs {least}{count.lookups} of {MOST}.", origin)
