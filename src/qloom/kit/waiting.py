"""Waiting with a limit: every poll backs off, every wait ends."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from qloom.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator


def pauses(what: str, timeout_s: float | None, *, first_s: float = 0.002, longest_s: float = 0.1) -> Iterator[float]:
    """Yield how long to pause before each next look, growing by half; ends by TimedOut.

    Args:
        what: what is waited for, for the error.
        timeout_s: limit of the whole wait; None waits for ever (only where a person can interrupt).
        first_s: the first pause.
        longest_s: no pause is longer.

    Raises:
        TimedOut: the limit is reached.

    >>> [round(pause, 4) for pause, _ in zip(pauses("x", 10), range(3))]
    [0.002, 0.003, 0.0045]
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause = first_s
    while True:
        left = float("inf") if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(f"{what} did not end within {timeout_s:g} s; it goes on, ask again or allow more time (timeout_s)")
        yield min(pause, left)
        pause = min(pause * 1.5, longest_s)


def sleep_or_exit(pid: int | None, pause_s: float) -> None:
    """Sleep, but no longer than the process lives: returns at once when it is gone. No pid sleeps."""
    descriptor = open_pid(pid)
    if descriptor is None:
        time.sleep(pause_s)
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(pause_s * 1000)
    finally:
        os.close(descriptor)


def open_pid(pid: int | None) -> int | None:
    """Return a descriptor that is readable once the process has ended; None where there is no such process.

    >>> open_pid(None) is None
    True
    """
    if pid is None or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
