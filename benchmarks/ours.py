"""The same workload in qloom's words, and what the figures share."""

from __future__ import annotations

import time
from collections import Counter
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.pairs import calibrate
from benchmarks.workload import SHOTS, ansatz, count_parameters, difference, parameter_sets
from qloom.circuits import Circuit, Instruction, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from benchmarks.pairs import Timed
    from benchmarks.workload import Gate

    FloatArray = npt.NDArray[np.float64]

DEVICE = "sim:threads=1"
"""Without it, more than 16 qubits would be given every core, and the peers have one."""
SAMPLES = 8
"""Samples of 1000 shots that both sides are compared by before they are timed."""
TRIAL_S = 0.003


def circuit(gates: Iterable[Gate], num_qubits: int) -> Circuit:
    """Return the workload as a circuit, its parameters in order."""
    gates = list(gates)
    names = [f"t{index}" for index in range(count_parameters(gates))]
    free = [Parameter(name) for name in names]
    steps = []
    for gate in gates:
        angles = () if gate.parameter < 0 else (gate.scale * free[gate.parameter] + gate.offset,)
        steps.append(Instruction(gate.name, gate.qubits, angles))
    return Circuit(num_qubits, steps, parameters=names)


def arrays(num_qubits: int) -> list[FloatArray]:
    """Return the parameter sets of the workload at this size."""
    return [np.array(values) for values in parameter_sets(count_parameters(ansatz(num_qubits)))]


def cycling(step: Callable[[Any], object], inputs: Sequence[Any]) -> Timed:
    """Return a side that does one step after the other, going round the inputs."""
    rest = cycle(inputs)

    def side(loops: int) -> float:
        chosen = list(islice(rest, loops))
        start = time.perf_counter()
        for each in chosen:
            step(each)
        return time.perf_counter() - start

    return side


def fastest(ways: Mapping[str, Callable[[Any], object]], inputs: Sequence[Any]) -> str:
    """Return the name of the way that takes the least time, each at its best of three trials."""

    def trial(name: str) -> float:
        side = cycling(ways[name], inputs)
        loops = calibrate(side, TRIAL_S)
        return min(side(loops) for _ in range(3)) / loops

    return min(ways, key=trial)


def samples(once: Callable[[Any], Mapping[str, int]], parameters: Any) -> Counter[str]:
    """Return some samples of one parameter set, added up."""
    total: Counter[str] = Counter()
    for _ in range(SAMPLES):
        total.update(once(parameters))
    return total


def agree(ours: Mapping[str, int], theirs: Mapping[str, int]) -> None:
    """Refuse to compare the speed of sides that do not do the same.

    Raises:
        AssertionError: their samples differ beyond chance.
    """
    told = difference(ours, theirs)
    assert not told, f"the two sides do not do the same: {told}"


__all__ = ["DEVICE", "SHOTS", "agree", "arrays", "circuit", "cycling", "fastest", "samples"]
