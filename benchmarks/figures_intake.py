"""Reading circuits: OpenQASM 3 text with inputs, against the reference parser."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.harness import Figure, Sides
from benchmarks.workload import ansatz, qasm
from qloom.convert import read_circuit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Bench
    from benchmarks.pairs import Timed

GATES = 100
NUM_QUBITS = 9


def texts() -> Iterator[str]:
    """Give the text of 100 gates again and again, each with another angle in it: a cache by text does not help."""
    gates = ansatz(NUM_QUBITS)[:GATES]
    for number in itertools.count():
        yield qasm([gates[0]._replace(offset=0.1 + number / 2**20), *gates[1:]], NUM_QUBITS)


def reading(read: Callable[[str], object]) -> Timed:
    """Return a side that reads one new text after the other."""
    source = texts()

    def side(loops: int) -> float:
        chosen = list(itertools.islice(source, loops))
        start = time.perf_counter()
        for text in chosen:
            read(text)
        return time.perf_counter() - start

    return side


@contextmanager
def intake(_bench: Bench) -> Iterator[Sides]:
    """Read a text into our circuit form; the peer gives its syntax tree and no more."""
    import openqasm3

    circuit = read_circuit(next(texts()))
    assert len([step for step in circuit.instructions if step.kind == "gate"]) == GATES
    yield Sides(reading(read_circuit), reading(openqasm3.parse))


FIGURES = [
    Figure(name=f"intake of {GATES} gates from OpenQASM 3 text", peer="openqasm3 parser, tree only", open=intake, quick=True),
]
