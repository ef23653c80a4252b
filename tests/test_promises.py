"""docs/promises.md and docs/dns-traps.md name tests that are there."""

import re

import pytest

from tests.estates import ROOT
from tests.promises import promises, shown_by, table


@pytest.mark.parametrize("name", sorted(promises()))
def test_a_promise_is_shown_by_tests_that_are_there(name):
    """Each file exists, and each test that is named stands in it."""
    assert [test for test in promises()[name][1] if not is_there(test)] == []


def test_a_trap_is_shown_by_tests_that_are_there():
    """Tests, and examples of findings by their folder; each row of a table names some."""
    text = (ROOT / "docs" / "dns-traps.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[^`]+)`", text)
    assert [test for test in named if not is_there(test)] == []
    rows = [row for row in text.splitlines() if row.startswith("|") and not re.match(r"\|-|\| (trap|case) ", row)]
    assert len(rows) > 30
    assert [row for row in rows if "`tests/" not in row] == []


def is_there(test):
    """Whether a file, a folder, or a function in a file is there."""
    file, _, function = test.partition("::")
    path = ROOT / file
    return path.exists() and (not function or f"def {function}(" in path.read_text(encoding="utf-8"))


def test_what_is_printed_counts():
    """A line per promise, with how often it was tried and how often it broke."""
    lines = table([("P1", True, 3), ("P1", False, 2)])
    assert len(lines) == len(promises()) >= 12
    assert "5 times, 2 broken" in lines[0]
    assert shown_by("tests/test_killed.py::test_anything[x]") == ["P1"]
