"""Work that is spread over processes: all of it is done once, and one that fails or ends does not go unseen."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reconciler.spread import spread
from tests.estates import ROOT


@pytest.mark.parametrize(("items", "workers"), [(0, 2), (3, 2), (10, 2), (1000, 3), (50, 1)])
def test_each_item_is_worked_on_once(items, workers):
    """However many chunks there are, and processes for them."""
    answers = list(spread(list, range(items), size=10, workers=workers))
    assert sorted(number for answer in answers for number in answer) == list(range(items))


def test_the_work_is_done_elsewhere():
    """Not in this process, and in no more of them than were asked for."""
    answers = set(spread(lambda _: os.getpid(), range(100), size=5, workers=2))
    assert os.getpid() not in answers
    assert 1 <= len(answers) <= 2


def test_what_fails_in_a_process_is_raised_here():
    """With its traceback: else nobody could tell where it was."""
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(spread(lambda chunk: 1 // chunk[0], range(100), size=10, workers=2))


def test_a_process_that_is_killed_is_no_answer():
    """What it had to do is not left out: the run ends."""

    def job(chunk):
        if chunk[0] == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        return chunk

    with pytest.raises(RuntimeError, match="a worker process ended with -9"):
        list(spread(job, range(100), size=10, workers=2))


ORPHANS = """
import os, time
from reconciler.spread import spread

def job(chunk):
    os.write(1, f"{os.getpid()}\\n".encode())  # in one piece: others write there, too
    time.sleep(0.2)

list(spread(job, range(1000), size=1, workers=3))
"""


def test_no_process_outlives_the_one_it_works_for():
    """Killed without a word, the parent leaves nobody behind who waits for its next word for ever."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(6)}
        parent.kill()
    deadline = time.monotonic() + 10
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, workers))


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
