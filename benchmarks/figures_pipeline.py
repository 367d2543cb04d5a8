"""Pipelines: what decoupling and extrapolation cost beside the circuits that they run, and beside Mitiq's expansion."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import qloom
from benchmarks import ours
from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Sense, Target
from benchmarks.workload import ansatz, count_parameters, parameter_sets, pauli_terms
from qloom.programs.pipelined import PipelinedTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from benchmarks.harness import Bench
    from qloom.programs.task import Task

    FloatArray = npt.NDArray[np.float64]

TERMS = 15
DECOUPLING = {"stage": "ddd", "sequence": "XX", "durations_s": {"default:1": 35e-9, "default:2": 300e-9}}
PIPELINE = [DECOUPLING, {"stage": "zne", "scales": [1, 3, 5]}]


def mitigated(num_qubits: int) -> PipelinedTask:
    """Return an energy through the pipeline, as a user prepares it."""
    gates, terms = ansatz(num_qubits), pauli_terms(num_qubits, TERMS)
    task = qloom.device(ours.DEVICE, pipeline=PIPELINE).prepare(ours.circuit(gates, num_qubits), qloom.Observable(terms))
    assert isinstance(task, PipelinedTask)
    return task


def expanded(task: PipelinedTask) -> Task:
    """Return the same circuits without the pipeline, as a user would prepare them who had expanded them by hand."""
    return qloom.device(ours.DEVICE).prepare(task.circuits, task.observables)


@contextmanager
def overhead(_bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Estimate through the pipeline; the peer runs the same circuits and leaves their values as they are."""
    task = mitigated(num_qubits)
    plain = expanded(task)
    sets = ours.arrays(num_qubits)

    def mine(parameters: FloatArray) -> float:
        return task.estimate(parameters).value

    def theirs(parameters: FloatArray) -> Any:
        return plain.estimate(parameters).values

    assert abs(mine(sets[0]) - theirs(sets[0])[0, 0]) < 1e-8, "without noise the mitigated value is the plain one"
    yield Sides(ours.cycling(mine, sets), ours.cycling(theirs, sets))


@contextmanager
def beside_mitiq(bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Estimate through the pipeline, circuits run and all; the peer only expands, in a process of its own."""
    gates, terms = ansatz(num_qubits), pauli_terms(num_qubits, TERMS)
    task, sets = mitigated(num_qubits), ours.arrays(num_qubits)
    values = parameter_sets(count_parameters(gates))
    worker = bench.workers.get("mitiq_expansion")
    way = worker.open({"gates": gates, "num_qubits": num_qubits, "terms": terms, "sets": values})

    def mine(parameters: FloatArray) -> float:
        return task.estimate(parameters).value

    yield Sides(ours.cycling(mine, sets), worker.seconds, f"Mitiq: {way}")


FIGURES = [
    *(
        Figure(
            name=f"evaluation through ddd and zne, exact, {size} qubits",
            peer="the same circuits without the pipeline",
            open=partial(overhead, num_qubits=size),
            target=Target(1.15),
            quick=size <= 4,
        )
        for size in (4, 10)
    ),
    *(
        Figure(
            name=f"evaluation through ddd and zne, exact, {size} qubits",
            peer="Mitiq, expansion alone",
            open=partial(beside_mitiq, num_qubits=size),
            target=Target(50, Sense.AT_LEAST),
            quick=size <= 4,
        )
        for size in (4, 10)
    ),
]
