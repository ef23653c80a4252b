"""`baseline` as lines, as JSON, and as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from reconciler.reports.data import finding
from reconciler.wording import counted, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.findings import Finding
    from reconciler.reports.lines import Line
    from reconciler.results import Item, Standing

Data = dict[str, Any]
_STYLES = {"conforming": "green", "deviating": "red", "unverified": "yellow"}
_ORDER = ("deviating", "unverified", "conforming")


def as_data(commit: str, as_of: str, told: Sequence[tuple[str, Standing]], findings: Sequence[Finding]) -> Data:
    """`reconciler.baseline/1`."""
    return {
        "format": "reconciler.baseline/1",
        "commit": commit,
        "as_of": as_of,
        "summary": {**_counts(told), "score": _mean(told)},
        "domains": [_domain(tenant, found) for tenant, found in told],
        "findings": [finding(found) for found in findings],
    }


def _domain(tenant: str, found: Standing) -> Data:
    return {
        "tenant": tenant,
        "domain": found.domain,
        "parked": found.parked,
        "verdict": found.verdict,
        "score": found.score,
        "next": found.next or None,
        "items": [{**item._asdict(), "next": item.next or None} for item in found.items],
    }


def _counts(told: Sequence[tuple[str, Standing]]) -> dict[str, int]:
    verdicts = [found.verdict for _, found in told]
    return {verdict: verdicts.count(verdict) for verdict in ("conforming", "deviating", "unverified")}


def _mean(told: Sequence[tuple[str, Standing]]) -> int | None:
    """The mean of all scores, rounded down: 100 means that every domain has 100."""
    return sum(found.score for _, found in told) // len(told) if told else None


def _in_turn(told: Sequence[tuple[str, Standing]]) -> list[tuple[str, Standing]]:
    """The furthest off first."""
    return sorted(told, key=lambda one: (_ORDER.index(one[1].verdict), one[1].score, one[1].domain))


def _summary(told: Sequence[tuple[str, Standing]]) -> str:
    counts = ", ".join(f"{number} {verdict}" for verdict, number in _counts(told).items() if number)
    mean = f"; {_mean(told)} of 100 on average" if told else ""
    return f"{counted(len(told), 'domain')}: {counts or 'none is declared there'}{mean}."


def lines(told: Sequence[tuple[str, Standing]], *, whole: bool) -> Iterator[Line]:
    """A domain a line with its next step, the furthest off first; `whole` with every item."""
    width = max((len(found.domain) for _, found in told), default=0)
    for tenant, found in _in_turn(told):
        style = _STYLES[found.verdict]
        yield (
            (f"{visible(found.domain):{width}}", "bold"),
            (f"  {found.score:3} of 100  ", ""),
            (f"{found.verdict:10}", style),
            (f"  {visible(tenant)}{', takes no mail' if found.parked else ''}", "dim"),
        )
        if whole:
            for item in found.items:
                yield from _item(item)
        elif found.next:
            yield ((f"{'':{width}}  next: {visible(found.next)}", ""),)
    yield ()
    yield ((_summary(told), "bold"),)


def _item(item: Item) -> Iterator[Line]:
    yield (
        (f"  {item.name:8} {item.points:3} of {item.of:2}  ", ""),
        (f"{item.verdict:10}", _STYLES[item.verdict]),
        (f"  {visible(item.says)}", ""),
    )
    if item.next:
        yield ((f"           next: {visible(item.next)}", ""),)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mail baseline</title><style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24;background:#fff}}
h1{{font-size:1.5rem;margin-bottom:.2rem}} table{{border-collapse:collapse;width:100%}}
th,td{{text-align:left;padding:.35rem .7rem;border-bottom:1px solid #d8dee4;vertical-align:top}}
th{{font-weight:600;background:#f6f8fa}} td.n{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.conforming{{color:#116329}} .deviating{{color:#a40e26}} .unverified{{color:#7d4e00}} .said{{overflow-wrap:anywhere}}
tr.domain td{{border-bottom:0;padding-bottom:0}} summary{{cursor:pointer;color:#57606a;font-size:.85em}}
small{{color:#57606a}}
@media(prefers-color-scheme:dark){{body{{background:#0d1117;color:#e6edf3}}th{{background:#161b22}}
th,td{{border-color:#30363d}}.conforming{{color:#56d364}}.deviating{{color:#ff7b72}}.unverified{{color:#e3b341}}small{{color:#9198a1}}}}
</style></head><body>
<h1>Mail baseline</h1><p>{summary}<br><small>Commit {commit}, {as_of}.</small></p>
<table><thead><tr><th>Domain</th><th>Tenant</th><th>Score</th><th>Standing</th><th>Next step</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def page(commit: str, as_of: str, told: Sequence[tuple[str, Standing]]) -> str:
    """The HTML page. Values of DNS and YAML are text in it, whatever they hold."""
    rows = "\n".join(_row(tenant, found) for tenant, found in _in_turn(told))
    return _PAGE.format(summary=escape(_summary(told)), commit=escape(commit[:12]), as_of=escape(as_of), rows=rows)


def _row(tenant: str, found: Standing) -> str:
    items = "".join(
        f"<tr><td>{escape(item.name)}</td><td class=n>{item.points} of {item.of}</td>"
        f'<td class="{item.verdict}">{item.verdict}</td><td class=said>{_shown(item.says)}</td>'
        f"<td>{_shown(item.next)}</td></tr>"
        for item in found.items
    )
    name = f"{_shown(found.domain)}{' <small>takes no mail</small>' if found.parked else ''}"
    return (
        f"<tr class=domain><td>{name}</td><td>{_shown(tenant)}</td>"
        f'<td class=n>{found.score}</td><td class="{found.verdict}">{found.verdict}</td>'
        f"<td>{_shown(found.next)}</td></tr>"
        f"<tr><td colspan=5><details><summary>its items</summary><table>{items}</table></details></td></tr>"
    )


def _shown(text: str) -> str:
    return escape(visible(text))
