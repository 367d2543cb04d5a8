"""The simulator against its own engines called directly: what qloom's prepared circuits cost on top."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import qloom
from benchmarks import ours, raw
from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Target
from benchmarks.workload import SHOTS, ansatz, pauli_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from benchmarks.harness import Bench

    FloatArray = npt.NDArray[np.float64]

BATCH = 100


def our_loop(num_qubits: int) -> Callable[[FloatArray], dict[str, int]]:
    """Return one iteration as a user writes it: another seed each time, the counts read."""
    prepared = qloom.device(ours.DEVICE).prepare(ours.circuit(ansatz(num_qubits), num_qubits))
    seeds = itertools.count(1)

    def once(parameters: FloatArray) -> dict[str, int]:
        return prepared.run(parameters, shots=SHOTS, seed=next(seeds)).counts

    return once


@contextmanager
def one_set(_bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Bind parameters, run, take 1000 shots as a dict."""
    sets, mine = ours.arrays(num_qubits), our_loop(num_qubits)
    ways = raw.candidates(ansatz(num_qubits), num_qubits, SHOTS)
    label = ours.fastest(ways, sets)
    ours.agree(ours.samples(mine, sets[0]), ours.samples(ways[label], sets[0]))
    yield Sides(ours.cycling(mine, sets), ours.cycling(ways[label], sets), f"raw loop: {label}")


@contextmanager
def many_sets(_bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Give 100 parameter sets in one call; the peer loops over them."""
    sets = ours.arrays(num_qubits)
    ways = raw.candidates(ansatz(num_qubits), num_qubits, SHOTS)
    label = ours.fastest(ways, sets)
    once = ways[label]
    prepared = qloom.device(ours.DEVICE).prepare(ours.circuit(ansatz(num_qubits), num_qubits))
    seeds = itertools.count(1)

    def mine(batch: FloatArray) -> list[dict[str, int]]:
        return [item.counts for item in prepared.run(batch, shots=SHOTS, seed=next(seeds))]

    def theirs(batch: FloatArray) -> list[dict[str, int]]:
        return [once(parameters) for parameters in batch]

    batches = [np.stack([sets[(first + index) % len(sets)] for index in range(BATCH)]) for first in range(4)]
    for item in (0, BATCH - 1):
        sampled = ours.samples(partial(one_item, mine, item), batches[0])
        ours.agree(sampled, ours.samples(once, batches[0][item]))
    yield Sides(ours.cycling(mine, batches), ours.cycling(theirs, batches), f"raw loop over the sets: {label}")


def one_item(step: Callable[[FloatArray], list[dict[str, int]]], item: int, batch: FloatArray) -> dict[str, int]:
    """Return the counts of one set of a batch."""
    return step(batch)[item]


@contextmanager
def estimate(_bench: Bench, num_qubits: int) -> Iterator[Sides]:
    """Give one exact expectation value of an observable with 15 Pauli terms."""
    sets, terms = ours.arrays(num_qubits), pauli_terms(num_qubits)
    prepared = qloom.device(ours.DEVICE).prepare(
        ours.circuit(ansatz(num_qubits), num_qubits), observables=qloom.Observable(terms)
    )
    theirs = raw.lightning_estimate(ansatz(num_qubits), num_qubits, terms)

    def mine(parameters: FloatArray) -> float:
        return prepared.estimate(parameters).value

    assert abs(mine(sets[0]) - theirs(sets[0])) < 1e-9, "the two sides give different values"
    yield Sides(ours.cycling(mine, sets), ours.cycling(theirs, sets))


FIGURES = [
    *(
        Figure(
            name=f"run 1000 shots, bound parameters, {size} qubits",
            peer="raw loop: lightning or qulacs",
            open=partial(one_set, num_qubits=size),
            target=Target(limit),
            quick=size <= 10,
        )
        for size, limit in ((4, 1.6), (10, 1.3), (16, 1.2), (20, 1.2))
    ),
    *(
        Figure(
            name=f"run 1000 shots, 100 parameter sets in one call, {size} qubits",
            peer="raw loop over the sets: lightning or qulacs",
            open=partial(many_sets, num_qubits=size),
            target=Target(1.15),
            quick=size <= 4,
        )
        for size in (4, 10, 12)
    ),
    *(
        Figure(
            name=f"estimate 15 Pauli terms, {size} qubits",
            peer="raw: lightning expval",
            open=partial(estimate, num_qubits=size),
            quick=size <= 4,
        )
        for size in (4, 10, 16)
    ),
]
