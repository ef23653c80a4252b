"""Stories in files: tests/scenarios/README.md says how to add one."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path

import pytest

from tests.estates import Estate, by_hand, make

SCENARIOS = Path(__file__).parent / "scenarios"
STORIES = sorted(path.name for path in SCENARIOS.iterdir() if (path / "story.txt").exists())
UPDATE = "UPDATE" in os.environ


def files(folder):
    """The files below a folder, as an estate has them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _text(path):
    return path.read_text() if path.exists() else ""


def told(text, today):
    """A command's text without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "<commit>", re.sub(r"sha256:[0-9a-f]{64}", "<digest>", text))
    text = re.sub(r"Run <commit>", "Run <run>", text)
    return re.sub(r"\b20[23]\d-\d\d-\d\d\b", lambda match: _day(match[0], today), text).strip("\n") + "\n"


def _day(text, today):
    days = (date.fromisoformat(text) - today).days
    return "<today>" if days == 0 else f"<today {'+' if days > 0 else '-'} {abs(days)}>"


def expect(path, text):
    """The file says just that; with UPDATE in the environment it is written."""
    if UPDATE:
        path.write_text(text)
    assert text == path.read_text(), f"UPDATE=1 writes {path.name} anew"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", files(SCENARIOS / "_base"))


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told_by_its_plan(estate: Estate, name):
    """The plan reads as its file says; refused, it writes nothing; else it is applied, and a second plan is empty."""
    story = SCENARIOS / name
    estate.applied(files(story / "before"))
    by_hand(estate, story)
    estate.write({**files(story / "after"), **dict.fromkeys(_text(story / "removed.txt").split())})
    today = date.fromisoformat(estate.plan()["as_of"])
    planned = estate.run("plan")
    expect(story / "plan.txt", told(planned.out, today))
    world = estate.world()
    applied = estate.run("apply", "--yes")
    assert applied.code == planned.code
    if planned.code:
        assert estate.world() == world
    else:
        assert [tenant["changes"] for tenant in estate.plan()["tenants"]] == [[]]
    if (story / "applied.txt").exists():
        expect(story / "applied.txt", told(applied.out.removeprefix(planned.out), today))


def test_there_are_stories():
    """The folder is found, and each story says in a line what it shows."""
    assert len(STORIES) >= 10
    assert all(len((SCENARIOS / name / "story.txt").read_text().strip().splitlines()) == 1 for name in STORIES)
