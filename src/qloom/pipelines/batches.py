"""The circuits that a pipeline sends to a device in one batch, and the answers that come back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.contracts.stage import COUNTS, Answer, Distribution
from qloom.errors import Unsupported
from qloom.pipelines.distributions import WORD_BITS, distribution_of, expectations, flipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qloom.circuits import Observable
    from qloom.contracts.stage import FloatArray
    from qloom.results import Result

_TURNS = {"X": ("h",), "Y": ("sdg", "h"), "Z": (), "I": ()}
"""Gates that turn a Pauli letter's eigenstates into those of Z."""


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """One circuit as it is to run, and what is asked of it.

    Attributes:
        circuit: without measurements.
        observables: on the circuit's qubits; empty where its measured bits are asked for as they are.
        measured: the qubit that each classical bit is read from.
        wanted: `values` or `counts`.
        flips: for each classical bit the parameter that flips it, as in an `Expansion`; empty for none.
    """

    circuit: Circuit
    observables: tuple[Observable, ...]
    measured: tuple[int, ...]
    wanted: str
    flips: tuple[str, ...] = ()


class Batch:
    """Leaves that go to the device together.

    Args:
        leaves: at least one.
        given: the parameters that the user binds.
        drawn: those that stages draw for each evaluation. All circuits have all of them, used or not.

    Attributes:
        circuits: what to prepare, in order; each as a verbatim block, with what is measured behind it.
        observables: what to prepare them with; None where samples are asked for.
        drawn: as above.

    >>> from qloom.circuits import Observable
    >>> batch = Batch([Leaf(Circuit(1).x(0), (Observable({"Z": 1.0}),), (0,), "values")], ())
    >>> batch.observables, batch.circuits[0].instructions[0].name
    ([Observable({'Z': 1.0})], 'verbatim')
    """

    def __init__(self, leaves: Sequence[Leaf], given: tuple[str, ...], drawn: tuple[str, ...] = ()) -> None:
        self.leaves = tuple(leaves)
        self.drawn = drawn
        names = (*given, *drawn)
        self._column = {name: column for column, name in enumerate(names)}
        self.samples = any(leaf.wanted == COUNTS for leaf in leaves)
        if self.samples:
            self.observables = None
            self._settings = [_settings(leaf.observables) for leaf in leaves]
            self.circuits = [
                _measured(leaf, basis, names)
                for leaf, settings in zip(leaves, self._settings, strict=True)
                for basis in settings or ("",)
            ]
        else:
            union = {one.digest: one for leaf in leaves for one in leaf.observables}
            self.observables = list(union.values())
            order = {digest: column for column, digest in enumerate(union)}
            columns = [tuple(order[one.digest] for one in leaf.observables) for leaf in leaves]
            everything = tuple(range(len(order)))
            self._columns = [None if found == everything else list(found) for found in columns]
            self.circuits = [_circuit(leaf.circuit, (), 0, names) for leaf in leaves]

    def answers(self, result: Result, values: FloatArray) -> list[Answer]:
        """Return each leaf's answer, out of the result for all circuits of the batch.

        Args:
            result: of the batch's circuits.
            values: of all parameters, with which it was asked; shape (sets, parameters).

        Raises:
            Unsupported: measured keys have more than 64 bits.
        """
        sets = len(values)
        if self.samples:
            return self._sampled(result, values)
        values, errors = result.values, result.standard_errors
        answers = []
        for number, columns in enumerate(self._columns):
            rows = slice(number * sets, number * sets + sets)
            if columns is None:
                answers.append(Answer(values[rows], errors[rows]))
            else:
                answers.append(Answer(values[rows, columns], errors[rows, columns]))
        return answers

    def _sampled(self, result: Result, values: FloatArray) -> list[Answer]:
        answers, first, sets = [], 0, len(values)
        for leaf, settings in zip(self.leaves, self._settings, strict=True):
            bases = settings or ("",)
            found = tuple(
                tuple(
                    self._read(result[(first + position) * sets + one], _on_bits(basis, leaf.measured), leaf, values[one])
                    for position, basis in enumerate(bases)
                )
                for one in range(sets)
            )
            first += len(bases)
            answers.append(Answer(distributions=found) if leaf.wanted == COUNTS else _valued(found, leaf))
        return answers

    def _read(self, item: Result, basis: str, leaf: Leaf, values: FloatArray) -> Distribution:
        found = distribution_of(item, basis)
        if not leaf.flips:
            return found
        return flipped(found, [values[self._column[name]] > math.pi / 2 for name in leaf.flips])


def bare(circuit: Circuit) -> tuple[Circuit, tuple[tuple[int, int], ...]]:
    """Return a circuit without its measurements, and which qubit each classical bit is read from, as (bit, qubit).

    Raises:
        Unsupported: something happens after a measurement, or depends on one.

    >>> body, read = bare(Circuit(2).x(0).measure(0, 1))
    >>> len(body.instructions), read
    (1, ((1, 0),))
    """
    if "if" in circuit.instruction_names:
        raise Unsupported("a pipeline needs a circuit whose measurements all stand at its end; this one has an `if`")
    steps: list[Instruction] = []
    done: set[int] = set()
    for step in circuit.instructions:
        if step.name == "measure":
            done.update(step.qubits)
        elif step.name == "barrier":
            steps.append(step)
        elif done.intersection(step.qubits):
            shown = f"{step.name} on qubits {list(step.qubits)} comes after a measurement"
            raise Unsupported(f"a pipeline needs a circuit whose measurements all stand at its end; {shown}")
        else:
            steps.append(step)
    body = Circuit.trusted(circuit.num_qubits, tuple(steps), 0, circuit.parameters, circuit.name)
    return body, tuple(sorted(circuit.measured().items()))


def kept(circuit: Circuit) -> Circuit:
    """Return a circuit whose gates no compiler may change; its measurements, all at the end, stay behind the block.

    >>> [step.name for step in kept(Circuit(1).x(0).x(0).measure(0)).instructions]
    ['verbatim', 'measure']
    """
    reads = tuple(step for step in circuit.flat() if step.name == "measure")
    block = _block(step for step in circuit.flat() if step.name != "measure")
    return Circuit.trusted(circuit.num_qubits, (*block, *reads), circuit.num_clbits, circuit.parameters, circuit.name)


def _settings(observables: Iterable[Observable]) -> tuple[str, ...]:
    """Return the bases in which to measure, each once."""
    return tuple(dict.fromkeys(group.basis for observable in observables for group in observable.groups))


def _measured(leaf: Leaf, basis: str, names: tuple[str, ...]) -> Circuit:
    qubits = leaf.measured
    if len(qubits) > WORD_BITS:
        raise Unsupported(f"a stage that works on counts takes up to {WORD_BITS} bits, this circuit has {len(qubits)}")
    turns = [Instruction(gate, (qubit,)) for qubit, letter in enumerate(basis) for gate in _TURNS[letter]]
    for qubit, name in zip(qubits, leaf.flips, strict=False):
        turns.append(Instruction("u", (qubit,), (Parameter(name), 0.0, Parameter(name))))
    reads = [Instruction("measure", qubits, clbits=tuple(range(len(qubits))))]
    return _circuit(leaf.circuit, (*turns, *reads), len(qubits), names)


def _circuit(circuit: Circuit, behind: tuple[Instruction, ...], clbits: int, names: tuple[str, ...]) -> Circuit:
    return Circuit.trusted(circuit.num_qubits, (*_block(circuit.flat()), *behind), clbits, names, circuit.name)


def _block(steps: Iterable[Instruction]) -> tuple[Instruction, ...]:
    """Return the steps as one verbatim block; nothing where there is none."""
    body = tuple(steps)
    qubits = tuple(sorted({qubit for step in body for qubit in step.qubits}))
    return (Instruction("verbatim", qubits, body=body),) if body else ()


def _on_bits(basis: str, measured: tuple[int, ...]) -> str:
    return "".join("Z" if basis[qubit] == "I" else basis[qubit] for qubit in measured) if basis else ""


def _valued(found: tuple[tuple[Distribution, ...], ...], leaf: Leaf) -> Answer:
    import numpy as np

    pairs = [[expectations(one, observable, leaf.measured) for observable in leaf.observables] for one in found]
    return Answer(
        np.array([[value for value, _ in row] for row in pairs]), np.array([[error for _, error in row] for row in pairs])
    )
