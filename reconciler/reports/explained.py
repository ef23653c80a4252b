"""What a rule means, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.reports.lines import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.findings import Rule
    from reconciler.reports.lines import Line

_FAMILIES = {
    "IN": "input: what somebody wrote cannot be used. It is never accepted away.",
    "OW": "ownership: who answers for something, who can reset it, who approves.",
    "RT": "routing: where mail goes and who reads it.",
    "DN": "DNS: what a domain's records say together, and whose domain it is.",
    "PL": "the plan: what making it so would do to what is live.",
    "LV": "live: what the world shows after an apply.",
}


def rule(found: Rule) -> Iterator[Line]:
    """What a code means, why it matters, what to do."""
    style = SEVERITIES[found.severity]
    yield ((f"{found.code} ", "bold"), (found.severity, style), (f"  {found.summary}", "bold"))
    yield ((f"It is about {_FAMILIES[found.code[:2]]}", ""),)
    for title, text in (("Why it matters: ", found.why), ("What to do: ", found.fix)):
        if text:
            yield ()
            yield ((title, "bold"), (text, ""))
    if found.dated:
        yield ()
        yield (("A day that passes can bring it about. Then it is a warning for changes that do not touch it.", ""),)
