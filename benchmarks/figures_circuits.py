"""Circuits at full speed: the loop in a job, values, gradients and Clifford circuits, against the libraries called directly."""

from __future__ import annotations

import itertools
import random
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import qloom
from benchmarks import ours, raw, raw_values
from benchmarks.figures_jobs import served_job
from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Sense, Target
from benchmarks.workload import SHOTS, ansatz, count_parameters, energy_ansatz, parameter_sets, pauli_terms
from qloom.circuits import Circuit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    import stim

    from benchmarks.harness import Bench
    from benchmarks.pairs import Timed
    from benchmarks.workload import Gate

    FloatArray = npt.NDArray[np.float64]
    Bits = npt.NDArray[np.uint8] | npt.NDArray[np.bool_]

LOOP = 1000
"""Iterations of one loop."""
ENERGY_QUBITS = 12
ENERGY_PARAMETERS = 100
ENERGY_TERMS = 15
CLIFFORD_LAYERS = 3
CLIFFORDS = ("h", "h", "s", "sdg", "x", "y")
STIM_NAMES = {"sdg": "S_DAG"}


# ---- the loop --------------------------------------------------------------------------------------------------------


@contextmanager
def loop_in_a_job(_bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Run a loop of 1000 iterations in a real job, journal on; the peer is the same loop on lightning's bindings alone."""
    sets = ours.arrays(num_qubits)
    every = raw.candidates(ansatz(num_qubits), num_qubits, SHOTS)
    ways = {label: way for label, way in every.items() if label.startswith("lightning")}
    label = ours.fastest(ways, sets)
    theirs = ours.cycling(ways[label], sets)
    with served_job(num_qubits) as job:
        ours.agree(job.counts(ours.SAMPLES), ours.samples(ways[label], sets[0]))
        yield Sides(
            lambda loops: job.seconds(loops * LOOP),
            lambda loops: theirs(loops * LOOP),
            f"raw loop: {label}",
        )


# ---- values and gradients ----------------------------------------------------------------------------------------------


@contextmanager
def estimate(_bench: Bench, num_qubits: int, terms: int) -> Iterator[Sides]:
    """Give one exact expectation value of a sum of many terms."""
    sets, gates, found = ours.arrays(num_qubits), ansatz(num_qubits), pauli_terms(num_qubits, terms)
    prepared = qloom.device(ours.DEVICE).prepare(ours.circuit(gates, num_qubits), observables=qloom.Observable(found))
    ways = raw_values.candidates(gates, num_qubits, found)
    label = ours.fastest(ways, sets)

    def mine(parameters: FloatArray) -> float:
        return prepared.estimate(parameters).value

    for name, way in ways.items():
        assert abs(mine(sets[0]) - way(sets[0])) < 1e-9, f"the two sides give different values: {name}"
    yield Sides(ours.cycling(mine, sets), ours.cycling(ways[label], sets), f"raw: {label}")


def energy() -> tuple[list[Gate], list[list[float]], dict[str, float]]:
    """Return gates, parameter sets and Pauli terms of the energy that is differentiated."""
    gates = energy_ansatz(ENERGY_QUBITS, ENERGY_PARAMETERS)
    return gates, parameter_sets(count_parameters(gates)), pauli_terms(ENERGY_QUBITS, ENERGY_TERMS)


def our_gradient() -> Callable[[FloatArray], FloatArray]:
    """Return the derivatives of the energy by every parameter, as a user asks for them."""
    gates, _, terms = energy()
    circuit = ours.circuit(gates, ENERGY_QUBITS)
    prepared = qloom.device(ours.DEVICE).prepare(circuit, observables=qloom.Observable(terms))

    def once(parameters: FloatArray) -> FloatArray:
        return prepared.gradient(parameters).gradients.ravel()

    return once


def same_derivatives(first: Any, second: Any) -> None:
    """Refuse to compare sides that do not compute the same.

    Raises:
        AssertionError: two derivatives differ by more than 1e-9.
    """
    furthest = float(np.abs(np.asarray(first).ravel() - np.asarray(second).ravel()).max())
    assert furthest < 1e-9, f"the two sides give different derivatives, by up to {furthest:.2g}"


@contextmanager
def gradient(_bench: Bench) -> Iterator[Sides]:
    """Differentiate the energy; the peer is lightning's adjoint method alone."""
    gates, values, terms = energy()
    sets = [np.array(each) for each in values]
    mine, theirs = our_gradient(), raw.lightning_gradient(gates, ENERGY_QUBITS, terms)
    same_derivatives(mine(sets[0]), theirs(sets[0]))
    yield Sides(ours.cycling(mine, sets), ours.cycling(theirs, sets))


@contextmanager
def gradient_of_a_qnode(bench: Bench) -> Iterator[Sides]:
    """Differentiate the energy; the peer is PennyLane, in a process of its own."""
    gates, values, terms = energy()
    worker = bench.workers.get("pennylane_gradient")
    way = worker.open({"gates": gates, "num_qubits": ENERGY_QUBITS, "terms": terms, "sets": values})
    mine, sets = our_gradient(), [np.array(each) for each in values]
    same_derivatives(mine(sets[0]), worker.values())
    yield Sides(ours.cycling(mine, sets), worker.seconds, f"PennyLane QNode on lightning.qubit, {way}")


# ---- Clifford circuits ---------------------------------------------------------------------------------------------------


def clifford_steps(num_qubits: int, layers: int = CLIFFORD_LAYERS, seed: int = 3) -> list[tuple[str, tuple[int, ...]]]:
    """Return layers of a random Clifford gate on every qubit, then CX between random pairs of all qubits."""
    draw = random.Random(seed)
    steps: list[tuple[str, tuple[int, ...]]] = []
    for _ in range(layers):
        steps += [(draw.choice(CLIFFORDS), (qubit,)) for qubit in range(num_qubits)]
        order = draw.sample(range(num_qubits), num_qubits)
        steps += [("cx", pair) for pair in zip(order[::2], order[1::2], strict=False)]
    return steps


def in_our_words(steps: Sequence[tuple[str, tuple[int, ...]]], num_qubits: int) -> Circuit:
    """Return the steps as our circuit; measured are all qubits in order."""
    circuit = Circuit(num_qubits)
    for name, qubits in steps:
        circuit = getattr(circuit, name)(*qubits)
    return circuit


def in_stims_words(steps: Sequence[tuple[str, tuple[int, ...]]], num_qubits: int) -> stim.Circuit:
    """Return the steps as stim's circuit, all qubits measured in order."""
    import stim

    circuit = stim.Circuit()
    for name, qubits in steps:
        circuit.append(STIM_NAMES.get(name, name.upper()), qubits)
    circuit.append("M", range(num_qubits))
    return circuit


@contextmanager
def clifford(_bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Take 1000 shots as an array of bits, shape (shots, qubits); the peer is stim's compiled sampler, which gives the same."""
    steps = clifford_steps(num_qubits)
    prepared = qloom.device("sim").prepare(in_our_words(steps, num_qubits))
    sample: Callable[[int], Bits] = in_stims_words(steps, num_qubits).compile_sampler(seed=1).sample
    seeds = itertools.count(1)

    def mine() -> Bits:
        return prepared.run(shots=SHOTS, seed=next(seeds)).bits

    def theirs() -> Bits:
        return sample(SHOTS)

    same_bits(mine(), theirs())
    yield Sides(repeated(mine), repeated(theirs))


def same_bits(first: Bits, second: Bits) -> None:
    """Refuse to compare samples of different distributions: how often each bit, and each sum of two neighbours, is 1.

    Raises:
        AssertionError: a frequency differs by more than six standard deviations; chance does that once in a million tables.
    """
    assert first.shape == second.shape, f"{first.shape} on one side, {second.shape} on the other"
    allowed = 6 * (0.5 / len(first)) ** 0.5
    for one, other in ((first, second), (first[:, 1:] ^ first[:, :-1], second[:, 1:] ^ second[:, :-1])):
        furthest = float(np.abs(one.mean(axis=0) - other.mean(axis=0)).max())
        assert furthest < allowed, f"a frequency differs by {furthest:.3f}"


def repeated(step: Callable[[], object]) -> Timed:
    """Return a side that does one step again and again."""

    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            step()
        return time.perf_counter() - start

    return side


ENERGY = f"gradient, {ENERGY_PARAMETERS} parameters, {ENERGY_TERMS} Pauli terms, {ENERGY_QUBITS} qubits"

FIGURES = [
    *(
        Figure(
            name=f"loop of 1000 iterations in a job, journal on, {size} qubits",
            peer="raw loop: lightning",
            open=partial(loop_in_a_job, num_qubits=size),
            target=Target(limit),
            quick=size <= 4,
        )
        for size, limit in ((4, None), (10, 1.3))
    ),
    *(
        Figure(
            name=f"estimate 100 Pauli terms, {size} qubits",
            peer="raw: lightning or qulacs",
            open=partial(estimate, num_qubits=size, terms=100),
            target=Target(1.2),
            quick=size <= 10,
        )
        for size in (10, 12)
    ),
    Figure(name=ENERGY, peer="raw: lightning adjoint", open=gradient, target=Target(1.3), quick=True),
    Figure(
        name=ENERGY,
        peer="PennyLane QNode on lightning.qubit",
        open=gradient_of_a_qnode,
        target=Target(8, Sense.AT_LEAST),
    ),
    *(
        Figure(
            name=f"Clifford circuit, {size} qubits, 1000 shots as an array of bits",
            peer="raw stim: compiled sampler",
            open=partial(clifford, num_qubits=size),
            target=Target(limit),
            quick=size <= 100,
        )
        for size, limit in ((100, None), (500, 1.2))
    ),
]
