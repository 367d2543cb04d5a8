"""Pairs of timings, and what may be said about them: pure, apart from calling what it is to time."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Timed = Callable[[int], float]
"""Does its work that many times and returns the seconds all of it took."""

CONFIDENCE = 0.95
NOISY_SPREAD = 0.30
MOST_LOOPS = 1_000_000


class Sense(StrEnum):
    """Which way a ratio is read."""

    AT_MOST = "at most"
    """The ratio is ours / theirs: how many times the peer's time we take."""
    AT_LEAST = "at least"
    """The ratio is theirs / ours: how many times faster we are."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach; `value` None where it only informs."""

    value: float | None = None
    sense: Sense = Sense.AT_MOST

    def met_by(self, ratio: float) -> bool | None:
        """Return whether a ratio is within the target; None where there is no target."""
        if self.value is None:
            return None
        return ratio <= self.value if self.sense is Sense.AT_MOST else ratio >= self.value


@dataclass(frozen=True, slots=True)
class Pair:
    """One measurement of both sides next to each other: seconds for one unit of work each."""

    ours: float
    theirs: float

    def ratio(self, sense: Sense) -> float:
        """Return this pair's ratio, in the sense of the target."""
        return self.ours / self.theirs if sense is Sense.AT_MOST else self.theirs / self.ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the result: a figure, measured or with the reason why not.

    Attributes:
        figure: what was measured.
        peer: whom it was measured against.
        target: what it has to reach.
        ours, theirs: median seconds for one unit of work.
        ratio, low, high: median of the pairs' ratios and its 95 % interval.
        n: pairs measured.
        spread: interquartile range of the peer's timings over their median.
        note: why it was not measured, or what else is to be said.
    """

    figure: str
    peer: str
    target: Target
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    spread: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median is within the target: never where it was not measured, None where nothing was asked."""
        if self.ratio is None:
            return False
        return self.target.met_by(self.ratio)

    @property
    def noisy(self) -> bool:
        """Whether the peer's own timings spread so much that the ratio says little."""
        return self.spread is not None and self.spread > NOISY_SPREAD

    def to_json(self) -> dict[str, Any]:
        """Return the row as it stands in bench.json."""
        return {
            "figure": self.figure,
            "ours": _short(self.ours),
            "theirs": _short(self.theirs),
            "peer": self.peer,
            "ratio": _short(self.ratio),
            "low": _short(self.low),
            "high": _short(self.high),
            "n": self.n,
            "target": self.target.value,
            "met": self.met,
            "sense": str(self.target.sense),
            "spread": _short(self.spread),
            "noisy": self.noisy,
            "note": self.note,
        }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def not_run(figure: str, peer: str, target: Target, reason: str) -> Row:
    """Return the row of a figure that could not be measured: it stays in the list, with its reason, and is not met."""
    return Row(figure=figure, peer=peer, target=target, note=f"not run: {reason}")


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return an interval that holds the true median with at least this confidence, whatever the distribution.

    It is the narrowest symmetric pair of order statistics whose binomial probability reaches the confidence; with fewer
    than six values none does, and the whole range is returned.
    Source: H. A. David, H. N. Nagaraja, Order Statistics, section 7.1.

    >>> median_interval([float(value) for value in range(1, 31)])
    (10.0, 21.0)
    """
    ordered = sorted(values)
    count = len(ordered)
    if not count:
        raise ValueError("an interval needs at least one value, got none")
    outside = 0.0  # probability that the median lies below the value of this rank
    rank = 0
    for below in range(count // 2):
        outside += math.comb(count, below) / 2**count
        if 2 * outside > 1 - confidence:
            break
        rank = below
    return ordered[rank], ordered[count - 1 - rank]


def spread(values: Sequence[float]) -> float:
    """Return the interquartile range over the median; 0 for a single value.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
    0.6666666666666666
    """
    if len(values) < 2:
        return 0.0
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return (upper - lower) / middle


def summary(figure: str, peer: str, target: Target, pairs: Sequence[Pair]) -> Row:
    """Return the row that pairs of timings add up to."""
    ratios = [pair.ratio(target.sense) for pair in pairs]
    low, high = median_interval(ratios)
    return Row(
        figure=figure,
        peer=peer,
        target=target,
        ours=statistics.median(pair.ours for pair in pairs),
        theirs=statistics.median(pair.theirs for pair in pairs),
        ratio=statistics.median(ratios),
        low=low,
        high=high,
        n=len(pairs),
        spread=spread([pair.theirs for pair in pairs]),
    )


def calibrate(side: Timed, minimum_s: float) -> int:
    """Return how many units of work make one timing of at least `minimum_s`; the first call also warms the side up."""
    side(1)
    loops = 1
    while loops < MOST_LOOPS:
        seconds = side(loops)
        if seconds >= minimum_s:
            break
        wanted = math.ceil(1.2 * loops * minimum_s / max(seconds, 1e-9))
        loops = min(max(wanted, loops + 1), 10 * loops, MOST_LOOPS)
    return loops


def take_pairs(ours: Timed, theirs: Timed, *, count: int, minimum_s: float, seed: int, single: bool = False) -> Iterator[Pair]:
    """Time both sides `count` times; which goes first is drawn anew for each pair, from the seed.

    Whatever drifts (clock speed, other processes, caches) then falls on both sides alike. With `single`, each timing is one unit
    of work, however short.
    """
    draw = random.Random(seed)
    loops_ours, loops_theirs = (1, 1) if single else (calibrate(ours, minimum_s), calibrate(theirs, minimum_s))
    for _ in range(count):
        if draw.random() < 0.5:
            mine = ours(loops_ours) / loops_ours
            yield Pair(mine, theirs(loops_theirs) / loops_theirs)
        else:
            other = theirs(loops_theirs) / loops_theirs
            yield Pair(ours(loops_ours) / loops_ours, other)


def calmest(rows: Sequence[Row]) -> Row:
    """Return the row whose peer spread least. The ratio has no say in it, so repeating cannot be used to pick a result."""
    return min(rows, key=lambda row: row.spread or 0.0)
