"""Waiting that backs off and ends."""

import subprocess
import sys
import time
from collections import deque

import pytest

from qloom.errors import TimedOut
from qloom.kit.waiting import pauses, sleep_or_exit


def test_pauses_grow_up_to_the_longest() -> None:
    found = [pause for pause, _ in zip(pauses("x", None, first_s=0.01, longest_s=0.05), range(20), strict=False)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.01, 0.05)


def test_a_wait_ends_by_saying_what_was_waited_for() -> None:
    with pytest.raises(TimedOut, match=r"job 7 did not end within 0.02 s; .*timeout_s"):
        deque(map(time.sleep, pauses("job 7", 0.02)))


@pytest.mark.parametrize("pid", [None, 2**22 + 1])
def test_sleeping_beside_nobody_is_sleeping(pid: int | None) -> None:
    begun = time.monotonic()
    sleep_or_exit(pid, 0.02)
    assert time.monotonic() - begun >= 0.02


def test_sleeping_beside_a_process_ends_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        sleep_or_exit(process.pid, 3600)  # the test's own limit would end this
        assert process.wait(timeout=60) == 0
