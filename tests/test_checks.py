"""Every rule on an estate that breaks it and on one that does not: tests/checks/README.md says how to add one."""

from __future__ import annotations

import ast
import re
import shutil
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from reconciler.findings import Rule
from tests.estates import Estate, by_hand, make
from tests.findings_page import rules
from tests.servers.answering import Answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.estates import Files

EXAMPLES = Path(__file__).parent / "checks"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name[0] != "_")
BESIDE = {"findings.txt", "removed.txt", "live.sql", "live.zone", "answers.txt"}
# What no folder can show, and the test that shows it. No code comes in here anew that a folder can show.
ELSEWHERE = {
    # no repository, commit, folder or tenant where a command was sent, no plan in the file that it was given
    "IN301": "test_bad_input.py::test_a_folder_that_is_no_estate_is_said_to_be_none",
    "IN302": "test_bad_input.py::test_a_commit_that_is_not_there_is_an_error",
    "IN303": "test_bad_input.py::test_a_folder_that_is_no_estate_is_said_to_be_none",
    "IN305": "test_bad_input.py::test_a_tenant_that_is_not_there_is_an_error",
    "IN306": "test_cli.py::test_init_takes_an_empty_folder_and_no_other",
    "IN309": "test_cli.py::test_init_in_a_folder_that_is_ignored_writes_nothing",
    "IN308": "test_due.py::test_a_plan_file_counts_only_with_its_digest",
    # the day of the week, the tenants a command names, changes that no estate brings about
    "PL105": "test_pausing.py::test_what_was_applied_before_is_put_back_in_a_freeze",
    "PL216": "test_order.py::test_a_cycle_is_a_finding",
    "PL224": "test_handover.py::test_one_of_both_is_refused",
    # ledgers: what stands there, who wrote it, where it is kept, who is at work
    "PL301": "test_ledger.py::test_a_ledger_that_cannot_be_read_stops_its_tenant",
    "PL302": "test_remote.py::test_a_clone_finishes_what_another_has_begun",
    "PL303": "test_apply.py::test_what_is_there_by_half_is_not_taken_away",
    "PL304": "test_remote.py::test_a_rewritten_ledger_stops_its_tenant",
    "PL305": "test_remote.py::test_a_remote_that_is_gone",
    "PL308": "test_locks.py::test_one_of_two_is_told_who_is_at_work",
    # no live system asked, or those of another commit
    "PL310": "test_trusted.py::test_offline_asks_no_live_system",
    "PL311": "test_trusted.py::test_providers_come_from_the_trusted_commit",
    "PL309": "test_signing.py::test_what_somebody_else_wrote_stops_that_tenant",
    # the clock
    "PL231": "test_cutover.py::test_a_domain_moves_in_stages",
    "PL232": "test_cutover.py::test_the_old_ttl_has_to_run_out",
    # what the world says afterwards
    "LV001": "test_proof.py::test_a_server_that_does_not_say_it_fails_the_run",
    "LV002": "test_hearsay.py::test_a_broken_chain_fails_the_run",
    "LV003": "test_probing.py::test_a_message_that_nobody_signed_fails_the_run",
    "LV004": "test_closed.py::test_a_login_that_is_let_in_fails_the_run",
    # a history that is not in this clone
    "PL230": "test_widened.py::test_a_clone_without_what_was_applied_says_so",
}


def said(raw: bytes) -> str | bytes:
    """A file of an example with `<today+30>` as a day in the estate's time zone; as it is, where it is no text."""
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw
    text = re.sub(r"<today([+-]\d+)>", lambda m: (today + timedelta(days=int(m[1]))).isoformat(), text)
    return re.sub(r"<(\d+) bytes>", lambda m: "x" * int(m[1]), text)


def files(folder: Path) -> Files:
    """The files of an example, as an estate has them."""
    there = [path for path in folder.rglob("*") if path.is_file() and path.name not in BESIDE]
    gone = dict.fromkeys(_text(folder / "removed.txt").split())
    return {**{str(path.relative_to(folder)): said(path.read_bytes()) for path in there}, **gone}


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def marked(laid: Files) -> Iterator[tuple[str, str, int]]:
    """(code, file, line) of what the marks in some files say."""
    for name, text in laid.items():
        for number, line in enumerate(text.splitlines() if isinstance(text, str) else (), start=1):
            mark = re.search(r"# <- ([A-Z]{2}\d{3}(?: [A-Z]{2}\d{3})*)$", line)
            yield from ((code, name, number) for code in (mark[1].split() if mark else ()))


def expected(folder: Path) -> list[tuple[str, str, int]]:
    """(code, file, line) of all that one side of an example says."""
    beside = (re.split(r"[ :]", line) for line in _text(folder / "findings.txt").splitlines())
    return sorted([*marked({**files(EXAMPLES / "_base"), **files(folder)}), *((c, f, int(n)) for c, f, n in beside)])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Estate, Estate]:
    """The base, and the base after it was applied."""
    folder = tmp_path_factory.mktemp("base")
    fresh = make(folder / "fresh", files(EXAMPLES / "_base"))
    return fresh, _copy(fresh, folder / "applied").applied({})


def _copy(estate: Estate, folder: Path) -> Estate:
    return Estate(Path(shutil.copytree(estate.root, folder)))


def begun(base: tuple[Estate, Estate], folder: Path, example: Path) -> Estate:
    """What both sides of an example begin with: the base, or what was applied before."""
    before = sorted(example.glob("before*"))
    if not before:
        return base[planned(example)]
    estate = _copy(base[0], folder)
    for group in before:
        estate.applied(files(group))
    return estate


def laid(start: Estate, folder: Path, example: Path, side: str) -> Estate:
    """One side of an example, committed upon what both begin with."""
    estate = _copy(start, folder)
    for place in (example, example / side):
        by_hand(estate, place)
    estate.write(files(example / side))
    _links(estate, example / side)
    return estate


def planned(example: Path) -> bool:
    """Whether it is about a plan; else `validate` finds it."""
    return example.name.startswith("PL") or (example / "before").exists()


def _links(estate: Estate, folder: Path) -> None:
    """The symbolic links of an example, as they are."""
    links = [path for path in folder.rglob("*") if path.is_symlink()]
    for link in links:
        (estate.root / link.relative_to(folder)).unlink(missing_ok=True)
        (estate.root / link.relative_to(folder)).symlink_to(link.readlink())
    if links:
        estate.commit()


def found(estate: Estate, example: Path) -> list[tuple[str, str, int]]:
    """(code, file, line) of all that is found in it."""
    with _answering(example):
        data = estate.run("plan" if planned(example) else "validate", "--format", "json").json
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


def _all(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [*data["findings"], *(f for tenant in data.get("tenants", ()) for f in tenant["findings"])]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_its_finding_at_its_line(
    base: tuple[Estate, Estate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The bad one has just what is marked, its code among it; without that rule it has not; the good one has none."""
    code, example = name.partition("-")[0], EXAMPLES / name
    bad, good = expected(example / "bad"), expected(example / "good")
    assert code in {c for c, _, _ in bad}
    assert code not in {c for c, _, _ in good}
    start = begun(base, tmp_path / "before", example)
    estate = laid(start, tmp_path / "bad", example, "bad")
    assert found(estate, example) == bad
    assert found(laid(start, tmp_path / "good", example, "good"), example) == good
    at = Rule.at
    monkeypatch.setattr(Rule, "at", lambda self, *a, **k: at(self, *a, **k)._replace(code=_off(self.code, code)))
    assert found(estate, example) != bad


def _off(code: str, switched: str) -> str:
    return "XX000" if code == switched else code


def test_the_base_is_sound(base: tuple[Estate, Estate]) -> None:
    """What all examples start from has no finding, before and after it is applied."""
    assert base[0].run("validate", "--format", "json").json["findings"] == []
    assert _all(base[1].plan()) == []


def test_a_disaster_is_told_line_by_line(tmp_path: Path) -> None:
    """What ends in incidents, all in one estate: each failure is found once, at its line, and nothing else is."""
    estate = make(tmp_path / "estate", {**files(EXAMPLES / "_base"), **files(EXAMPLES / "_disaster")})
    assert found(estate, EXAMPLES / "_disaster") == expected(EXAMPLES / "_disaster")
    assert len({code for code, _, _ in expected(EXAMPLES / "_disaster")}) >= 20


def test_every_rule_has_an_example() -> None:
    """A new rule comes with a folder here; what no folder can show names the test that does."""
    shown = {name.partition("-")[0] for name in NAMES}
    codes = {rule.code for rule, _ in rules()}
    assert sorted(codes - shown - ELSEWHERE.keys()) == []
    assert sorted(ELSEWHERE.keys() & shown) == []
    assert sorted((ELSEWHERE.keys() | shown) - codes) == []


@pytest.mark.parametrize("code", ELSEWHERE)
def test_what_is_shown_elsewhere_is_there(code: str) -> None:
    """The test that is named, or a helper that it calls, asks for the code: it fails where the rule finds nothing."""
    file, _, name = ELSEWHERE[code].partition("::")
    parts = ast.parse((EXAMPLES.parent / file).read_text()).body
    functions = {part.name: part for part in parts if isinstance(part, ast.FunctionDef)}
    named = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
    asked = [functions[one] for one in {name, *named} & functions.keys()]
    for function in filter(ast.get_docstring, asked):
        del function.body[0]  # what a docstring says, nobody asks for
    assert code in "\n".join(map(ast.unparse, asked))
