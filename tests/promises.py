"""The promises of docs/promises.md: which tests show each, and how often they held in a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).resolve().parents[1] / "docs" / "promises.md"
_ROW = re.compile(r"^\| \*\*(P\d+)\*\* ([^|]*) \| ([^|]*) \|$", re.MULTILINE)


def promises() -> dict[str, tuple[str, list[str]]]:
    """{id: (what is promised, the tests or files of tests that show it)}."""
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name: (text, re.findall(r"`([^`]*)`", tests)) for name, text, tests in rows}


def shown_by(nodeid: str) -> list[str]:
    """The promises that a test shows."""
    bare = nodeid.partition("[")[0]
    return [name for name, (_, tests) in promises().items() if bare in tests or bare.partition("::")[0] in tests]


def table(results: Iterable[tuple[str, bool, int]]) -> list[str]:
    """A line per promise of what (promise, held, times) say."""
    times, failed = dict.fromkeys(promises(), 0), dict.fromkeys(promises(), 0)
    for name, held, count in results:
        times[name] += count
        failed[name] += 0 if held else count
    lines = []
    for name, (text, _) in promises().items():
        said = f"{text[:88]}…" if len(text) > 89 else text
        lines.append(f"{name:>4}  {times[name]:>6} times, {failed[name]} broken   {said}")
    return lines
