"""Work that is spread over processes: all of it is done once, and one that fails or ends does not go unseen."""

import os
import signal

import pytest

from reconciler import runner


@pytest.mark.parametrize(("items", "workers"), [(0, 2), (3, 2), (10, 2), (1000, 3), (50, 1)])
def test_each_item_is_worked_on_once(items, workers):
    """However many chunks there are, and processes for them."""
    answers = list(runner.spread(list, range(items), size=10, workers=workers))
    assert sorted(number for answer in answers for number in answer) == list(range(items))


def test_the_work_is_done_elsewhere():
    """Not in this process, and in no more of them than were asked for."""
    answers = set(runner.spread(lambda _: os.getpid(), range(100), size=5, workers=2))
    assert os.getpid() not in answers
    assert 1 <= len(answers) <= 2


def test_what_fails_in_a_process_is_raised_here():
    """With its traceback: else nobody could tell where it was."""
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(runner.spread(lambda chunk: 1 // chunk[0], range(100), size=10, workers=2))


def test_a_process_that_is_killed_is_no_answer():
    """What it had to do is not left out: the run ends."""

    def job(chunk):
        if chunk[0] == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        return chunk

    with pytest.raises(RuntimeError, match="a worker process ended with -9"):
        list(runner.spread(job, range(100), size=10, workers=2))
