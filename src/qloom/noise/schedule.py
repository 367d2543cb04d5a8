"""When each step of a circuit runs: as late, or as soon, as its qubits and bits allow.

Times are whole attoseconds, so that sums are exact and windows of nothing but rounding do not appear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCHEDULES = ("alap", "asap", "none")
UNIT_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Units of time, in seconds."""
ATTOSECONDS = 10**18
"""In a second."""
LEAST_S, MOST_S = 1e-18, 1e9
"""The shortest and the longest time that is told from zero and from for ever."""


class Timed(NamedTuple):
    """A step as the schedule sees it.

    Attributes:
        uses: what it holds on to while it runs: qubits as their numbers, classical bits as `~bit`.
        duration: attoseconds.
    """

    uses: tuple[int, ...]
    duration: int


def attoseconds(time_s: float) -> int:
    """Return a time in whole attoseconds.

    >>> attoseconds(35e-9)
    35000000000
    """
    return round(time_s * ATTOSECONDS)


def start_times(steps: Sequence[Timed], schedule: str) -> tuple[list[int], int]:
    """Return when each step starts, and when all are over (attoseconds); the first one starts at 0.

    Args:
        steps: in the order of the program; steps that use one thing in common keep it.
        schedule: `alap`, as late as possible before the common end; anything else as soon as possible.

    >>> waits = [Timed((0,), 30), Timed((1,), 10), Timed((0, 1), 5)]
    >>> start_times(waits, "alap"), start_times(waits, "asap")
    (([0, 20, 30], 35), ([0, 0, 30], 35))
    """
    if schedule != "alap":
        return _forward(steps)
    backward, total = _forward(reversed(steps))
    return [total - start - step.duration for start, step in zip(reversed(backward), steps, strict=True)], total


def _forward(steps: Iterable[Timed]) -> tuple[list[int], int]:
    free: dict[int, int] = {}
    starts = []
    for step in steps:
        start = max([free.get(used, 0) for used in step.uses], default=0)
        starts.append(start)
        free.update(dict.fromkeys(step.uses, start + step.duration))
    return starts, max(free.values(), default=0)
