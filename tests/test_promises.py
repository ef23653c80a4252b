"""docs/promises.md names tests that are there."""

import pytest

from tests.estates import ROOT
from tests.promises import promises, shown_by, table


@pytest.mark.parametrize("name", sorted(promises()))
def test_a_promise_is_shown_by_tests_that_are_there(name):
    """Each file exists, and each test that is named stands in it."""
    for test in promises()[name][1]:
        file, _, function = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, test


def test_what_is_printed_counts():
    """A line per promise, with how often it was tried and how often it broke."""
    lines = table([("P1", True, 3), ("P1", False, 2)])
    assert len(lines) == len(promises()) >= 12
    assert "5 times, 2 broken" in lines[0]
    assert shown_by("tests/test_killed.py::test_anything[x]") == ["P1"]
