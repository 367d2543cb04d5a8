"""Gradients by shifted angles, for tasks of any kind: one task for each circuit, made when a gradient is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.kit.parameter_shift import ShiftedCircuit, joined_shifts
from qloom.tasks import LARGEST_SEED, read_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.circuits import Circuit
    from qloom.programs.task import Task
    from qloom.results import Result
    from qloom.tasks import FloatArray


class Shifts:
    """Circuits with their angles set free, each prepared.

    Args:
        circuits: what gradients are asked of.
        prepare: makes a circuit ready, with the same observables.

    Raises:
        Unsupported: a parameter that is no angle.
    """

    def __init__(self, circuits: Sequence[Circuit], prepare: Callable[[Circuit], Task]) -> None:
        shifted = [ShiftedCircuit(circuit) for circuit in circuits]
        self._tasks = [(one, prepare(one.circuit)) for one in shifted]

    def gradient(
        self,
        array: FloatArray,
        shots: int | None,
        seed: int | None,
        stage_options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Result:
        """Return values and derivatives.

        Args:
            array: parameters, shape (sets, parameters).
            shots: for each value; None for exact ones.
            seed: None where the job's seed decides.
            stage_options: handed to each `estimate`.
        """
        first = None if seed is None else read_seed(seed)
        parts: list[tuple[ShiftedCircuit, FloatArray, Result]] = []
        for one, task in self._tasks:
            for row in array:
                start = None if first is None else (first + len(parts)) & LARGEST_SEED
                parts.append((one, row, task.estimate(one.sets(row), shots, seed=start, stage_options=stage_options)))
        return joined_shifts(parts, sets=len(array), shots=shots)
