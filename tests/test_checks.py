"""Every rule on an estate that breaks it and on one that does not: tests/checks/README.md says how to add one."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from reconciler.findings import Rule
from tests.estates import Estate, make
from tests.findings_page import rules
from tests.servers.answering import Answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.estates import Files

EXAMPLES = Path(__file__).parent / "checks"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "_base")
BESIDE = {"findings.txt", "removed.txt", "live.sql", "answers.txt"}
# What is shown elsewhere: by the corpora of bad input, by stories, by tests of their own. No code comes in here anew.
ELSEWHERE = re.compile(r"IN\d+|PL(?!22[678])\d+|RT00[2456]|DN00[12]")


def days(text: str) -> str:
    """`<today+30>` as a day in the estate's time zone."""
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    return re.sub(r"<today([+-]\d+)>", lambda m: (today + timedelta(days=int(m[1]))).isoformat(), text)


def files(folder: Path) -> Files:
    """The files of an example, as an estate has them."""
    there = [path for path in folder.rglob("*") if path.is_file() and path.name not in BESIDE]
    taken = folder / "removed.txt"
    gone = dict.fromkeys(taken.read_text().split()) if taken.exists() else {}
    return {**{str(path.relative_to(folder)): days(path.read_text()) for path in there}, **gone}


def marked(laid: Files) -> Iterator[tuple[str, str, int]]:
    """(code, file, line) of what the marks in some files say."""
    for name, text in laid.items():
        for number, line in enumerate(str(text).splitlines(), start=1):
            mark = re.search(r"# <- ([A-Z]{2}\d{3}(?: [A-Z]{2}\d{3})*)$", line)
            yield from ((code, name, number) for code in (mark[1].split() if mark else ()))


def expected(folder: Path) -> list[tuple[str, str, int]]:
    beside = folder / "findings.txt"
    lines = beside.read_text().splitlines() if beside.exists() else []
    said = (line.replace(":", " ").split() for line in lines)
    return sorted([*marked({**files(EXAMPLES / "_base"), **files(folder)}), *((c, f, int(n)) for c, f, n in said)])


def found(tmp_path: Path, example: Path, side: str) -> list[tuple[str, str, int]]:
    """(code, file, line) of all that is found in one side of an example."""
    before = example / "before"
    estate = make(tmp_path / side, files(EXAMPLES / "_base"))
    if before.exists():
        estate.applied(files(before))
        _by_hand(estate, example)
    estate.write(files(example / side))
    with _answering(example):
        data = estate.run("plan" if before.exists() else "validate", "--format", "json").json
    return sorted((f["code"], f["file"], f["line"]) for f in _all(data))


@contextmanager
def _answering(example: Path) -> Iterator[None]:
    """A name server that says what answers.txt says, asked instead of nobody."""
    said = example / "answers.txt"
    if not said.exists():
        yield
        return
    records: dict[tuple[str, str], list[str]] = {}
    for line in said.read_text().splitlines():
        name, rtype, value = line.split(" ", 2)
        records.setdefault((name, rtype), []).append(value)
    silent = [name for (name, rtype) in records if rtype == "FAILS"]
    with Answering(records, failing=silent) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECONCILER_RESOLVER", server.address)
        yield


def _by_hand(estate: Estate, example: Path) -> None:
    script = example / "live.sql"
    for statement in script.read_text().split(";\n") if script.exists() else ():
        if statement.strip():
            estate.sql(statement)


def _all(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [*data["findings"], *(f for tenant in data.get("tenants", ()) for f in tenant["findings"])]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_its_finding_at_its_line(tmp_path: Path, name: str) -> None:
    """The bad one has just what is marked, its code among it; the good one has that code nowhere."""
    code = name.partition("-")[0]
    bad, good = expected(EXAMPLES / name / "bad"), expected(EXAMPLES / name / "good")
    assert code in {c for c, _, _ in bad}
    assert code not in {c for c, _, _ in good}
    assert found(tmp_path, EXAMPLES / name, "bad") == bad
    assert found(tmp_path, EXAMPLES / name, "good") == good


def test_the_base_is_sound(tmp_path: Path) -> None:
    """What all examples start from has no finding."""
    estate = make(tmp_path / "estate", files(EXAMPLES / "_base"))
    assert estate.run("validate", "--format", "json").json["findings"] == []


def test_every_rule_has_an_example() -> None:
    """A new rule comes with a folder here."""
    shown = {name.partition("-")[0] for name in NAMES}
    missing = [rule.code for rule, _ in rules() if rule.code not in shown and not ELSEWHERE.fullmatch(rule.code)]
    assert missing == []


def test_an_example_notices_a_rule_that_is_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bad example fails its test once its own rule finds nothing."""
    at = Rule.at
    for name in NAMES:
        code = name.partition("-")[0]
        with monkeypatch.context() as patch:
            patch.setattr(Rule, "at", lambda self, *a, **k: at(self, *a, **k)._replace(code=_off(self.code, code)))  # noqa: B023
            off = found(tmp_path / name, EXAMPLES / name, "bad")
        assert off != expected(EXAMPLES / name / "bad"), name


def _off(code: str, switched: str) -> str:
    return "XX000" if code == switched else code
