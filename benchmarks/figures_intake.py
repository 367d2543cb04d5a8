"""Reading circuits: OpenQASM 3 text with inputs, against the reference parser; live Qiskit circuits, against a walk over them."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Sense, Target
from benchmarks.workload import ansatz, count_parameters, parameter_sets, qasm
from qloom.convert import read_circuit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qiskit import QuantumCircuit

    from benchmarks.harness import Bench
    from benchmarks.pairs import Timed

GATES = 100
NUM_QUBITS = 9


def texts() -> Iterator[str]:
    """Give the text of 100 gates again and again, each with another angle in it: a cache by text does not help."""
    gates = ansatz(NUM_QUBITS)[:GATES]
    for number in itertools.count():
        yield qasm([gates[0]._replace(offset=0.1 + number / 2**20), *gates[1:]], NUM_QUBITS)


def reading(read: Callable[[Any], object], source: Iterator[Any]) -> Timed:
    """Return a side that reads one new text, or one new circuit, after the other."""

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
    yield Sides(reading(read_circuit, texts()), reading(openqasm3.parse, texts()))


def live(*, free: bool) -> QuantumCircuit:
    """Return the gates as a Qiskit circuit, their angles as formulas of free parameters or as numbers."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    gates = ansatz(NUM_QUBITS)[:GATES]
    names, values = ParameterVector("t", count_parameters(gates)), parameter_sets(count_parameters(gates), sets=1)[0]
    circuit = QuantumCircuit(NUM_QUBITS)
    for gate in gates:
        if gate.name == "cx":
            circuit.cx(*gate.qubits)
        else:
            value = names[gate.parameter] if free else values[gate.parameter]
            getattr(circuit, gate.name)(gate.scale * value + gate.offset, *gate.qubits)
    return circuit


def copies(circuit: QuantumCircuit) -> Iterator[QuantumCircuit]:
    """Give the circuit again and again, each time as an object that nobody has seen."""
    while True:
        yield circuit.copy()


def walk(circuit: QuantumCircuit) -> list[tuple[str, tuple[Any, ...], tuple[int, ...]]]:
    """Read name, angles and qubits of each instruction, in the quickest way that Qiskit has."""
    index = {bit: number for number, bit in enumerate(circuit.qubits)}
    return [(step.name, tuple(step.params), tuple([index[bit] for bit in step.qubits])) for step in circuit.data]


@contextmanager
def live_intake(_bench: Bench, *, free: bool) -> Iterator[Sides]:
    """Read a live circuit into our form; the peer reads every field of it and makes nothing of them."""
    circuit = live(free=free)
    steps, walked = read_circuit(circuit).instructions, walk(circuit)
    assert [(step.name, step.qubits) for step in steps] == [(name, qubits) for name, _, qubits in walked]
    assert free or [step.parameters for step in steps] == [angles for _, angles, _ in walked]
    yield Sides(reading(read_circuit, copies(circuit)), reading(walk, copies(circuit)))


FIGURES = [
    Figure(
        name=f"intake of {GATES} gates from OpenQASM 3 text",
        peer="openqasm3 parser, tree only",
        open=intake,
        target=Target(20, Sense.AT_LEAST),
        quick=True,
    ),
    Figure(
        name=f"intake of {GATES} gates from a live Qiskit circuit, angles are numbers",
        peer="a bare walk over it",
        open=partial(live_intake, free=False),
        target=Target(1.2),
        quick=True,
    ),
    Figure(
        name=f"intake of {GATES} gates from a live Qiskit circuit, angles are formulas",
        peer="a bare walk over it, formulas not read",
        open=partial(live_intake, free=True),
    ),
]
