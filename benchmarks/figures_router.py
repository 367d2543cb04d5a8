"""Which engine `sim` picks, against the best that there is, on circuits of MQT Bench: regret.

The time of an engine is that of one prepare and 100 runs of 1000 shots, for one run: the median of its prepares over 100, and the
median of its runs. Engines take turns, so that what drifts falls on all alike. What runs in the engine that was picked counts
for both, whoever named it: a regret is never the noise between two timings of one engine.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import time
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import qloom
from benchmarks import ours
from benchmarks.harness import Finding, Survey
from benchmarks.mqt import Case, cases
from benchmarks.pairs import Target, median_interval
from benchmarks.workload import SHOTS
from qloom.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Bench
    from qloom.programs.quantum import QuantumDevice
    from qloom.programs.task import Task

ENGINES = ("lightning", "qulacs", "aer", "stim")
RUNS = 100
"""Runs of a prepared circuit: the horizon."""
ROUNDS = 15
SLOW_ROUNDS = 5
SLOW_S = 0.2
FIRST_RUNS = 2
HOPELESS = 3.0
"""An engine whose first runs take so many times the least is not run again: it is not the best."""
CHUNK_S = 0.002
"""A timing of short runs takes at least so long, by repeating them."""
SMALLEST_S = 50e-6
SMALLEST_SHARE = 0.10
"""Differences under either count as none."""
PICK = "picked"


@dataclass
class Way:
    """One way of running a circuit, and what was measured of it, in seconds."""

    device: QuantumDevice
    prepared: Task
    loops: int = 1
    prepares: list[float] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)

    def prepare(self, case: Case) -> None:
        """Take the time of one prepare."""
        start = time.perf_counter()
        self.prepared = self.device.prepare(case.circuit)
        self.prepares.append(time.perf_counter() - start)

    def run(self, seeds: itertools.count[int]) -> None:
        """Take the time of a run, repeated where it is short."""
        start = time.perf_counter()
        for _ in range(self.loops):
            self.prepared.run(shots=SHOTS, seed=next(seeds)).counts  # noqa: B018  made when it is read
        self.runs.append((time.perf_counter() - start) / self.loops)


@dataclass(frozen=True)
class Regret:
    """What a choice cost on one circuit.

    Attributes:
        picked: the engine that `sim` picks; `best` the one that takes the least time.
        times: engine -> seconds for one run, its share of the prepare included; those that cannot run the circuit are not there.
        ratio: time of the choice over the least; 1 where the difference counts as none.
        rounds: timings of each engine; those that are hopeless have two.
    """

    circuit: str
    num_qubits: int
    gates: int
    picked: str
    best: str
    chosen_s: float
    best_s: float
    ratio: float
    rounds: int
    times: dict[str, float]


def regret_of(case: Case) -> Regret:
    """Measure a circuit on every engine that can run it.

    Raises:
        AssertionError: two engines sample different distributions.
    """
    ways = opened(case)
    same_samples(ways)
    seeds = itertools.count(1)
    least = first_runs(ways, seeds)
    rounds = SLOW_ROUNDS if least > SLOW_S else ROUNDS
    limit = HOPELESS * max(least, SMALLEST_S)
    rest = [name for name, way in ways.items() if name == PICK or min(way.runs) <= limit]
    draw = random.Random(case.name)
    for _ in range(rounds - FIRST_RUNS):
        for name in draw.sample(rest, len(rest)):
            ways[name].prepare(case)
            ways[name].run(seeds)
    return judged(case, ways, rounds)


def opened(case: Case) -> dict[str, Way]:
    """Return the ways that can run the circuit: engine by engine, and the one that `sim` picks."""
    ways = {}
    for name in (PICK, *ENGINES):
        device = qloom.device(ours.DEVICE if name == PICK else f"{ours.DEVICE},engine={name}")
        try:
            device.prepare(case.circuit)  # the first of an engine imports it
        except Unsupported:
            continue
        start = time.perf_counter()
        prepared = device.prepare(case.circuit)
        ways[name] = Way(device, prepared, prepares=[time.perf_counter() - start])
    return ways


def first_runs(ways: dict[str, Way], seeds: itertools.count[int]) -> float:
    """Time each way twice, after one run to warm up that says how often short runs are repeated; return the least."""
    for way in ways.values():
        way.run(seeds)
        way.loops = max(1, round(CHUNK_S / way.runs.pop()))
        for _ in range(FIRST_RUNS):
            way.run(seeds)
    return min(min(way.runs) for way in ways.values())


def same_samples(ways: dict[str, Way]) -> None:
    """Refuse engines that sample different distributions."""
    first, *others = [way.prepared.run(shots=SHOTS, seed=seed).counts for seed, way in enumerate(ways.values(), start=1)]
    for other in others:
        ours.agree(first, other)


def judged(case: Case, ways: dict[str, Way], rounds: int) -> Regret:
    """Compare the choice with the best."""
    picked = ways[PICK].prepared.engine.name
    runs = {name: way.runs for name, way in ways.items() if name != PICK}
    runs[picked] = [*runs[picked], *ways[PICK].runs]
    times = {name: statistics.median(ways[name].prepares) / RUNS + statistics.median(found) for name, found in runs.items()}
    best = min(times, key=lambda name: times[name])
    chosen = statistics.median(ways[PICK].prepares) / RUNS + statistics.median(runs[picked])
    return Regret(
        circuit=case.name,
        num_qubits=case.num_qubits,
        gates=case.gates,
        picked=picked,
        best=best,
        chosen_s=chosen,
        best_s=times[best],
        ratio=counted(chosen, times[best]),
        rounds=rounds,
        times=times,
    )


def counted(chosen: float, best: float) -> float:
    """Return how many times the least time a choice takes; 1 where the difference counts as none.

    >>> counted(3e-3, 2e-3), counted(2.1e-3, 2e-3), counted(40e-6, 10e-6)
    (1.5, 1.0, 1.0)
    """
    small = chosen - best < max(SMALLEST_S, SMALLEST_SHARE * best)
    return 1.0 if small else chosen / best


@cache
def regrets(bench: Bench, most_qubits: int | None, families: int | None) -> list[Regret]:
    """Measure all circuits, once for both rows; they stand in `router.json`."""
    found = []
    for case in cases(bench.build, most_qubits, families):
        found.append(regret_of(case))
        rows: list[dict[str, Any]] = [asdict(each) for each in found]
        (bench.build / "router.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return found


def usual(bench: Bench, most_qubits: int | None = None, families: int | None = None) -> Finding:
    """Return the median regret."""
    found = regrets(bench, most_qubits, families)
    ratios = [each.ratio for each in found]
    low, high = median_interval(ratios)
    return Finding(
        ours=statistics.median(each.chosen_s for each in found),
        theirs=statistics.median(each.best_s for each in found),
        ratio=statistics.median(ratios),
        low=low,
        high=high,
        n=len(found),
        note=f"{sum(ratio == 1 for ratio in ratios)} of {len(found)} circuits without regret; each in router.json",
    )


def worst(bench: Bench) -> Finding:
    """Return the largest regret."""
    found = regrets(bench, None, None)
    most = max(found, key=lambda each: each.ratio)
    return Finding(
        ours=most.chosen_s,
        theirs=most.best_s,
        ratio=most.ratio,
        low=most.ratio,
        high=most.ratio,
        n=len(found),
        note=f"{most.circuit}: {most.picked} was picked, {most.best} is the fastest; {listed(found)}",
    )


def listed(found: Sequence[Regret]) -> str:
    """Return the circuits with regret, the largest first."""
    told = sorted((each for each in found if each.ratio > 1), key=lambda each: -each.ratio)
    return ", ".join(f"{each.circuit} {each.ratio:.2f}" for each in told) or "no circuit has regret"


PEER = "the best of lightning, qulacs, Aer and stim for each"

FIGURES = [
    Survey(
        name="engine that sim picks, circuits of MQT Bench up to 5 qubits, median",
        peer=PEER,
        take=partial(usual, most_qubits=5, families=12),
        quick=True,
    ),
    Survey(
        name="engine that sim picks, circuits of MQT Bench of 2 to 24 qubits, median",
        peer=PEER,
        take=usual,
        target=Target(1.1),
    ),
    Survey(
        name="engine that sim picks, circuits of MQT Bench of 2 to 24 qubits, worst",
        peer=PEER,
        take=worst,
        target=Target(1.4),
    ),
]
