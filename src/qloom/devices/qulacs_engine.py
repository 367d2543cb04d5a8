"""Adapter of qulacs: the portable fallback of `sim`, and the check on its main engine.

Gates with plain angles are built from `circuits.gates.matrix`, not from the lowering that lightning uses, so that agreement
of the two says something.

What to know about qulacs (0.6):

- Its parametric gates turn by minus the angle they are given: exp(+i angle/2 P). Angles and derivatives are negated here.
- Qubit 0 is the least significant bit of a basis state; our qubit q is its qubit n-1-q, so that vectors need no reordering.
- The first gate of a process fixes its threads for good: `QULACS_NUM_THREADS`, and the size from which they are used. We fix
  them ourselves, once; a program that uses qulacs before qloom fixes them for qloom too.
- With several threads (above 16 qubits) sums may differ in the last bits from run to run; states and samples do not.
"""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import qulacs
from qulacs._version import __version__

from qloom.circuits.expressions import Expression
from qloom.circuits.gates import GATES, matrix
from qloom.devices.compiled import AngleTable
from qloom.devices.engines import SINGLE_THREAD_QUBITS, suitable_threads
from qloom.devices.lowering import Operation, active_steps, lower_step
from qloom.errors import InvalidSetting
from qloom.results import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.circuits import Angle, Circuit, Instruction, Observable
    from qloom.circuits.gates import ComplexArray
    from qloom.tasks import FloatArray

PLAIN = {
    "x": "X",
    "y": "Y",
    "z": "Z",
    "h": "H",
    "s": "S",
    "sdg": "Sdag",
    "t": "T",
    "tdg": "Tdag",
    "sx": "sqrtX",
    "sxdg": "sqrtXdag",
    "cx": "CNOT",
    "cz": "CZ",
    "swap": "SWAP",
}
"""Gates with a kernel of their own."""

ROTATIONS = {"rx": "RX", "ry": "RY", "rz": "RZ", "p": "RZ"}
"""Parametric gates on one qubit; `p` is `rz` up to a phase."""

PAIR_ROTATIONS = {"rxx": (1, 1), "ryy": (2, 2), "rzz": (3, 3)}
"""Parametric gates on two qubits: the Pauli letters they turn about, as qulacs numbers them."""

# Derivative of a + b cos(x/2 + .) + c cos(x + .): the frequencies that a rotation has with and without controls.
# Source: Anselmetti et al., arXiv:2104.05695 (four-term rule).
SHIFTS = (
    (math.pi / 2, (math.sqrt(2) + 1) / (4 * math.sqrt(2))),
    (3 * math.pi / 2, -(math.sqrt(2) - 1) / (4 * math.sqrt(2))),
)

_start_lock = threading.Lock()
_started: list[int] = []


class Qulacs:
    """The library behind `sim` where lightning is not installed.

    Args:
        reason: why it was picked.
    """

    name = "qulacs"
    version = __version__

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    def engine(self, num_qubits: int, threads: int | None) -> Engine:
        """Return what computes a circuit of that size.

        Raises:
            InvalidSetting: this process runs qulacs with another number of threads already.
        """
        started = _start(threads)
        if num_qubits <= SINGLE_THREAD_QUBITS:
            return Engine(self.name, self.version, 1, self.reason)
        if threads is not None and threads != started:
            raise InvalidSetting(
                f"threads={threads}, but qulacs was started with {started} in this process and cannot change; "
                f"use threads={started}, or a process of its own"
            )
        return Engine(self.name, self.version, started, self.reason)

    def compile(self, circuit: Circuit, observables: Sequence[Observable], engine: Engine) -> QulacsCircuit:
        """Make a circuit ready."""
        return QulacsCircuit(circuit, observables)

    def compile_alike(
        self, circuits: Sequence[Circuit], observables: Sequence[Observable], engine: Engine
    ) -> Sequence[QulacsCircuit]:
        """Make circuits of one structure ready, each by itself: numbers are built into qulacs' gates."""
        return [self.compile(circuit, observables, engine) for circuit in circuits]


def _start(threads: int | None) -> int:
    """Fix qulacs' threads for this process if nobody has, and return them."""
    with _start_lock:
        if not _started:
            wanted = suitable_threads(SINGLE_THREAD_QUBITS + 1, threads)
            ours = {
                "QULACS_NUM_THREADS": str(wanted),
                "QULACS_PARALLEL_NQUBIT_THRESHOLD": str(SINGLE_THREAD_QUBITS + 1),
            }
            before = {name: os.environ.get(name) for name in ours}
            os.environ.update(ours)
            qulacs.gate.X(0).update_quantum_state(qulacs.QuantumState(1))
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            _started.append(wanted)
        return _started[0]


class _Rebuilt(NamedTuple):
    """A rotation under controls, for which qulacs has no parametric gate: made anew for each angle."""

    operation: Operation
    slot: int


class _Stretch(NamedTuple):
    """A parametric circuit, and the slots of its parameters in the angle table."""

    circuit: Any
    slots: list[int]


class QulacsCircuit:
    """One circuit as qulacs' own, with its observables."""

    def __init__(self, circuit: Circuit, observables: Sequence[Observable]) -> None:
        self._qubits = circuit.num_qubits
        self._parts: list[_Stretch | _Rebuilt] = []
        angles: list[Angle] = []
        for step in active_steps(circuit):
            if not any(_symbolic(angle) for angle in step.parameters):
                self._add_plain(step)
                continue
            for operation in lower_step(step):
                self._add_operation(operation, angles)
        self.table = AngleTable(circuit.parameters, angles)
        self._observables = [_observable(observable) for observable in observables]
        self._state = qulacs.QuantumState(self._qubits)
        # Parameters are set inside the circuit, so one call at a time; qulacs holds the interpreter's lock anyway.
        self._lock = threading.Lock()

    def probabilities(self, angles: list[float]) -> FloatArray:
        with self._lock:
            self._run(angles)
            return _probabilities(self._state)

    def probabilities_in(self, angles: list[float], bases: Sequence[str]) -> Iterator[FloatArray]:
        with self._lock:
            self._run(angles)
            state = self._state.copy()
        for basis in bases:
            turned = state.copy()
            for qubit, letter in enumerate(basis):
                if letter in "XY":
                    turn = matrix("h") if letter == "X" else matrix("rx", (math.pi / 2,))
                    qulacs.gate.DenseMatrix(self._wire(qubit), turn).update_quantum_state(turned)
            yield _probabilities(turned)

    def expectations(self, angles: list[float]) -> list[float]:
        with self._lock:
            self._run(angles)
            return [float(observable.get_expectation_value(self._state)) for observable in self._observables]

    def gradients(self, parameters: FloatArray) -> tuple[list[float], FloatArray]:
        angles = self.table.row(parameters)
        values = self.expectations(angles)
        plain = len(self._parts) == 1 and isinstance(self._parts[0], _Stretch)
        by_angle = self._backprop(angles) if plain else self._shifted(angles, len(values))
        return values, self.table.pull_back(parameters, by_angle)

    def _backprop(self, angles: list[float]) -> FloatArray:
        with self._lock:
            self._run(angles)
            circuit = self._parts[0].circuit  # type: ignore[union-attr]  # it is plain
            found = [circuit.backprop(observable) for observable in self._observables]
        return -np.array(found, dtype=np.float64).reshape(len(found), len(angles))

    def _shifted(self, angles: list[float], values: int) -> FloatArray:
        by_angle = np.zeros((values, len(angles)))
        for slot, angle in enumerate(angles):
            for shift, weight in SHIFTS:
                for sign in (1, -1):
                    moved = [*angles[:slot], angle + sign * shift, *angles[slot + 1 :]]
                    by_angle[:, slot] += sign * weight * np.array(self.expectations(moved))
        return by_angle

    def _run(self, angles: list[float]) -> None:
        self._state.set_zero_state()
        for part in self._parts:
            if isinstance(part, _Rebuilt):
                operation = part.operation
                unitary = matrix(operation.name, (angles[part.slot],))
                self._dense(unitary, operation.controls, operation.targets).update_quantum_state(self._state)
                continue
            for position, slot in enumerate(part.slots):
                part.circuit.set_parameter(position, -angles[slot])
            part.circuit.update_quantum_state(self._state)

    # ---- building ------------------------------------------------------------------------------------------------

    def _wire(self, qubit: int) -> int:
        return self._qubits - 1 - qubit

    def _stretch(self) -> _Stretch:
        if not self._parts or isinstance(self._parts[-1], _Rebuilt):
            self._parts.append(_Stretch(qulacs.ParametricQuantumCircuit(self._qubits), []))
        last: _Stretch = self._parts[-1]  # type: ignore[assignment]  # just made sure
        return last

    def _add_plain(self, step: Instruction) -> None:
        """Add a gate whose angles are numbers, as its matrix."""
        definition = GATES[step.name]
        angles = [float(angle.affine().offset) if isinstance(angle, Expression) else angle for angle in step.parameters]  # type: ignore[union-attr]  # not symbolic
        if step.name in PLAIN and not step.controls:
            gate = getattr(qulacs.gate, PLAIN[step.name])(*map(self._wire, step.qubits))
        else:
            count = step.controls + definition.num_controls
            controls, targets = step.qubits[:count], step.qubits[count:]
            unitary = matrix(definition.base, angles)
            if not targets:  # a global phase: on its last control a phase of |1>, else nothing
                if not controls:
                    return
                controls, targets, unitary = controls[:-1], controls[-1:], np.diag([1, unitary[0, 0]])
            gate = self._dense(unitary, controls, targets)
        self._stretch().circuit.add_gate(gate)

    def _add_operation(self, operation: Operation, angles: list[Angle]) -> None:
        """Add an operation of a gate that has parameters."""
        if not any(_symbolic(angle) for angle in operation.angles):
            numbers = [angle.affine().offset if isinstance(angle, Expression) else angle for angle in operation.angles]  # type: ignore[union-attr]  # not symbolic
            unitary = matrix(operation.name, numbers)
            unitary = unitary.conj().T if operation.inverse else unitary
            self._stretch().circuit.add_gate(self._dense(unitary, operation.controls, operation.targets))
            return
        if operation.controls:
            self._parts.append(_Rebuilt(operation, len(angles)))
        else:
            stretch = self._stretch()
            wires = [self._wire(qubit) for qubit in operation.targets]
            if operation.name in ROTATIONS:
                getattr(stretch.circuit, f"add_parametric_{ROTATIONS[operation.name]}_gate")(wires[0], 0.0)
            else:
                letters = list(PAIR_ROTATIONS[operation.name])
                stretch.circuit.add_parametric_multi_Pauli_rotation_gate(wires, letters, 0.0)
            stretch.slots.append(len(angles))
        angles.extend(operation.angles)

    def _dense(self, unitary: ComplexArray, controls: Sequence[int], targets: Sequence[int]) -> Any:
        # The first wire of qulacs' list is the least significant in the matrix, our first qubit the most significant.
        gate = qulacs.gate.DenseMatrix([self._wire(qubit) for qubit in reversed(targets)], unitary)
        for qubit in controls:
            gate.add_control_qubit(self._wire(qubit), 1)
        return gate


def _symbolic(angle: Angle) -> bool:
    return isinstance(angle, Expression) and bool(angle.parameters())


def _probabilities(state: Any) -> FloatArray:
    parts = state.get_vector().view(np.float64).reshape(-1, 2)
    found: FloatArray = np.einsum("ij,ij->i", parts, parts)
    return found


def _observable(observable: Observable) -> Any:
    last = observable.num_qubits - 1
    total = qulacs.Observable(observable.num_qubits)
    for text, value in observable.terms.items():
        letters = " ".join(f"{letter} {last - qubit}" for qubit, letter in enumerate(text) if letter != "I")
        total.add_operator(value, letters)
    return total
