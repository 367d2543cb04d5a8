"""How time and memory grow with qubits, gates, parameter sets and shots, beside lightning's bindings called directly.

Every point is measured in processes of its own, ours and the peer's in turn. An exponent is the slope of a straight line through
the points of the upper half, both axes logarithmic; with qubits it is the slope over their number, in powers of two.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import ours
from benchmarks.harness import Finding, Survey
from benchmarks.peers import NotRunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Bench

TIMEOUT_S = 300.0
SIDES = ("ours", "theirs")
PROCESSES = 2
"""For each side and point."""
MEASURABLE = 8 * 2**20
"""Memory below is not told from what an allocator keeps."""
MIB = 2**20


@dataclass(frozen=True)
class Axis:
    """What grows.

    Attributes:
        name: as `benchmarks.growing` knows it.
        sizes: ascending.
        counted_from: the smallest size whose ratio counts: below, constants decide.
        quick: the axis that `--quick` measures, with fewer sizes.
    """

    name: str
    sizes: tuple[int, ...]
    counted_from: int
    quick: bool = False


@dataclass(frozen=True)
class Point:
    """Both sides at one size: seconds of one call, seconds to prepare, bytes at the peak beyond what was there before."""

    size: int
    ours_s: float
    theirs_s: float
    ours_prepare_s: float
    theirs_prepare_s: float
    ours_bytes: int
    theirs_bytes: int


AXES = (
    Axis("gates", (10, 100, 1000), 100, quick=True),
    Axis("qubits", (2, 4, 8, 12, 14, 16, 18, 20, 22, 24), 8),
    Axis("gates", (10, 100, 1000, 10_000, 100_000), 100),
    Axis("sets", (1, 10, 100, 1000, 10_000), 10),
    Axis("shots", (1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000), 100),
)


def run_point(bench: Bench, axis: str, side: str, size: int) -> dict[str, Any]:
    """Measure one side at one size in a process of its own.

    Raises:
        NotRunError: it failed, or took longer than `TIMEOUT_S`.
    """
    request = json.dumps({"axis": axis, "side": side, "size": size})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.growing", request],
            cwd=bench.root,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotRunError(f"{side} with {size} {axis} took longer than {TIMEOUT_S:g} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise NotRunError(f"{side} with {size} {axis} failed: {last}")
    return dict(json.loads(done.stdout))


def measured(bench: Bench, axis: Axis) -> list[Point]:
    """Measure all sizes, each side in two processes in turn, of which the better counts; both sides must sample the same."""
    points = []
    for size in axis.sizes:
        found = [[run_point(bench, axis.name, side, size) for side in SIDES] for _ in range(PROCESSES)]
        ours.agree(*(answer["counts"] for answer in found[0]))
        mine, other = ([round_[side] for round_ in found] for side in range(len(SIDES)))
        least = {
            f"{side}_{short}": min(answer[name] for answer in answers)
            for side, answers in zip(SIDES, (mine, other), strict=True)
            for short, name in (("s", "seconds"), ("prepare_s", "prepare_s"), ("bytes", "extra_bytes"))
        }
        points.append(Point(size=size, **least))
    return points


def slope(sizes: Sequence[float], values: Sequence[float], *, qubits: bool = False) -> float:
    """Return the exponent of a growth, from the upper half of its points, three of them at least.

    >>> round(slope([1, 10, 100, 1000], [5, 10, 100, 1000]), 6), slope([2, 4, 6], [4, 16, 64], qubits=True)
    (1.0, 1.0)
    """
    first = min(len(sizes) // 2, max(len(sizes) - 3, 0))
    across = [float(size) if qubits else math.log2(size) for size in sizes[first:]]
    return round(float(np.polyfit(across, [math.log2(max(value, 1e-9)) for value in values[first:]], 1)[0]), 9)


def grown(bench: Bench, axis: Axis) -> Finding:
    """Return the worst ratio of an axis, and its exponents as a note; every point stands in `growth.json`."""
    points = measured(bench, axis)
    keep(bench, axis, points)
    counted = [each for each in points if each.size >= axis.counted_from]
    worst = max(counted, key=lambda each: each.ours_s / each.theirs_s)
    ratio = worst.ours_s / worst.theirs_s
    return Finding(
        ours=worst.ours_s,
        theirs=worst.theirs_s,
        ratio=ratio,
        low=min(each.ours_s / each.theirs_s for each in counted),
        high=ratio,
        n=len(points),
        note=told(axis, points, worst),
    )


def told(axis: Axis, points: Sequence[Point], worst: Point) -> str:
    """Return the exponents in words."""
    sizes = [each.size for each in points]
    exponent = partial(slope, sizes, qubits=axis.name == "qubits")
    form = "2^({:.2f} n)" if axis.name == "qubits" else f"{axis.name}^{{:.2f}}"
    time_ours, time_theirs = (form.format(exponent(values)) for values in _pair(points, "s"))
    ready_ours, ready_theirs = (form.format(exponent(values)) for values in _pair(points, "prepare_s"))
    most_ours, most_theirs = (max(values) / MIB for values in _pair(points, "bytes"))
    parts = [
        f"worst with {worst.size:,} {axis.name}",
        f"time grows as {time_ours}, raw as {time_theirs}",
        f"prepare as {ready_ours}, raw as {ready_theirs}",
        f"memory up to {most_ours:.0f} MiB, raw {most_theirs:.0f} MiB",
    ]
    large = [each for each in points if min(each.ours_bytes, each.theirs_bytes) >= MEASURABLE]
    if len(large) >= 2:
        fit = partial(slope, [each.size for each in large], qubits=axis.name == "qubits")
        memory_ours, memory_theirs = (form.format(fit(values)) for values in _pair(large, "bytes"))
        parts.append(f"which grows as {memory_ours}, raw as {memory_theirs}")
    return "; ".join(parts)


def _pair(points: Sequence[Point], what: str) -> tuple[list[float], list[float]]:
    mine, other = ([getattr(each, f"{side}_{what}") for each in points] for side in SIDES)
    return mine, other


def keep(bench: Bench, axis: Axis, points: Sequence[Point]) -> None:
    """Put an axis into `growth.json`, beside those that are there."""
    path = bench.build / "growth.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = {}
    document[f"{axis.name} up to {axis.sizes[-1]}"] = [asdict(each) for each in points]
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


FIGURES = [
    Survey(
        name=f"growth with {axis.name}, {axis.sizes[0]:,} to {axis.sizes[-1]:,}, worst of {axis.counted_from:,} and up",
        peer="raw loop: lightning",
        take=partial(grown, axis=axis),
        quick=axis.quick,
    )
    for axis in AXES
]
