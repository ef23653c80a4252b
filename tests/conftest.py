"""What every test stands on: a Git that knows no one's settings, and one budget for random tests."""

import os

import pytest
from hypothesis import settings

from tests.promises import shown_by, table

pytest.register_assert_rewrite("tests.providers.contract")  # its asserts explain themselves as those of tests do

# No deadline: on a busy machine one slow example is no failure. In CI a run depends on the commit alone, not on luck.
settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile("default")

# The variables that Git sets in a hook would turn every `git` in a temporary folder on the outer repository.
for name in [name for name in os.environ if name.startswith("GIT_")]:
    del os.environ[name]
os.environ |= {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Anna Ops",
    "GIT_AUTHOR_EMAIL": "anna@agency.example",
    "GIT_COMMITTER_NAME": "Anna Ops",
    "GIT_COMMITTER_EMAIL": "anna@agency.example",
    "RECONCILER_RESOLVER": "none",  # no test asks the Internet
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test carries the promises that it shows, also out of a worker process."""
    for item in items:
        item.user_properties += [("promise", name) for name in shown_by(item.nodeid)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How often each promise of docs/promises.md was put to the test in this run; `times` is a test's own count."""
    found = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            if report.when == "call":
                said = dict(reversed(report.user_properties))
                names = [value for key, value in report.user_properties if key == "promise"]
                found += [(name, outcome == "passed", int(said.get("times", 1))) for name in names]
    if found:
        terminalreporter.section("promises (docs/promises.md)")
        for line in table(found):
            terminalreporter.write_line(line)
