"""Adapter of lightning's C++ bindings, a private module: nothing else in qloom imports it.

The bindings are driven directly, without PennyLane: a gate costs about 0.14 us, a tenth of what a tape costs. They are
pinned to the releases they were checked with; every gate is tested against matrices, and circuits against qulacs.

What to know about the module (0.45):

- A `MeasurementsC128` holds a bare pointer to its state: the state has to outlive it.
- Wrong arguments inside an OpenMP region end the process, so nothing unchecked may reach it.
- Gates and probabilities use one thread. Sums of terms and gradients use OpenMP; inner products from 18 qubits up ask for
  2**(n-17) threads whatever `omp_set_num_threads` says, unless dynamic adjustment is on. So with one thread it is switched
  on, and sums are the same to the last bit in every run; with several, the last bits may differ.
"""

from __future__ import annotations

import ctypes
import threading
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.circuits.expressions import Expression
from qloom.devices.alike import joined
from qloom.devices.compiled import AngleTable
from qloom.devices.engines import DIAGONAL_BYTES, suitable_threads
from qloom.devices.lowering import Operation, fused, lower, lowered
from qloom.devices.pauli_sums import diagonal, split
from qloom.errors import MissingExtra
from qloom.results import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qloom.circuits import Angle, Circuit, Observable
    from qloom.tasks import FloatArray

CHECKED_RELEASES = ("0.45",)

NAMES = {
    "x": "PauliX",
    "y": "PauliY",
    "z": "PauliZ",
    "h": "Hadamard",
    "s": "S",
    "t": "T",
    "sx": "SX",
    "swap": "SWAP",
    "rx": "RX",
    "ry": "RY",
    "rz": "RZ",
    "p": "PhaseShift",
    "rot": "Rot",
    "rxx": "IsingXX",
    "ryy": "IsingYY",
    "rzz": "IsingZZ",
    "xy": "IsingXY",
}
"""Native operation -> binding."""

CONTROLLED_NAMES = {
    ("x", 1): "CNOT",
    ("x", 2): "Toffoli",
    ("y", 1): "CY",
    ("z", 1): "CZ",
    ("rx", 1): "CRX",
    ("ry", 1): "CRY",
    ("rz", 1): "CRZ",
    ("p", 1): "ControlledPhaseShift",
    ("swap", 1): "CSWAP",
}
"""(Native operation, controls) -> binding of its own, controls first in its wires; the general form takes half as long again."""

PAULIS = {"X": "PauliX", "Y": "PauliY", "Z": "PauliZ"}
TURNS = {"X": "Hadamard", "Y": "RX"}
"""Binding that turns a letter's eigenstates into 0 and 1; RX by pi/2."""

BLAS_LIMIT = 4096
"""Up to so many numbers BLAS multiplies in the calling thread; above it might use threads that nobody asked for."""

HIDDEN_THREADS_QUBITS = 17
"""From so many qubits up, one thread has to be enforced."""

TERM_BY_TERM_QUBITS = 16
"""From so many qubits up, terms are summed one by one."""

DENSE_QUBITS = 6
"""Up to so many qubits a sum is one small matrix: entering lightning's own sum costs 6 us, more than the product."""

POOLED_QUBITS = 20
POOLED_STATES = 2
"""States up to 16 MiB are kept for the next call, so many of each size; larger ones cost little beside their gates."""

_thread = threading.local()


class Lightning:
    """The library behind `sim` where it is installed.

    Raises:
        MissingExtra: it is not installed, or in a release that was not checked.
    """

    name = "lightning"
    reason = ""

    def __init__(self) -> None:
        try:
            from pennylane_lightning import lightning_qubit_ops
            from pennylane_lightning.core import __version__ as version
        except ImportError as error:
            raise MissingExtra(f"lightning is not installed ({error}); `pip install 'qloom[sim]'`") from error
        if not version.startswith(tuple(f"{release}." for release in CHECKED_RELEASES)):
            raise MissingExtra(
                f"lightning {version} is installed, its bindings were checked in {', '.join(CHECKED_RELEASES)} only; "
                "`pip install 'qloom[sim]'`"
            )
        self.ops: Any = lightning_qubit_ops
        self.version = str(version)
        library = ctypes.CDLL(lightning_qubit_ops.__file__)  # finds the OpenMP library that the module is linked to
        self._openmp = library if hasattr(library, "omp_set_num_threads") else None
        self._pool: dict[int, list[tuple[Any, Any]]] = {}

    def engine(self, num_qubits: int, threads: int | None) -> Engine:
        """Return what computes a circuit of that size; the threads serve sums of terms and gradients."""
        return Engine(self.name, self.version, suitable_threads(num_qubits, threads))

    def compile(self, circuit: Circuit, observables: Sequence[Observable], engine: Engine) -> LightningCircuit:
        """Make a circuit ready."""
        return LightningCircuit(self, circuit, _Sums(self.ops, observables), engine.threads)

    def compile_alike(
        self, circuits: Sequence[Circuit], observables: Sequence[Observable], engine: Engine
    ) -> Sequence[LightningCircuit]:
        """Make circuits of one structure ready: they share their calls, and what is worked out of the observables."""
        first = LightningCircuit(self, joined(circuits), _Sums(self.ops, observables), engine.threads)
        return [first.member(*one) for one in zip(circuits, first.table.of_each(len(circuits)), strict=True)]

    def take_state(self, num_qubits: int) -> tuple[Any, Any]:
        """Return a state |0...0> with its measurements; no other thread has it until it is given back."""
        try:
            state, measurements = self._pool[num_qubits].pop()
        except (KeyError, IndexError):
            state = self.ops.StateVectorC128(num_qubits)
            return state, self.ops.MeasurementsC128(state)
        state.resetStateVector()
        return state, measurements

    def give_back(self, num_qubits: int, pair: tuple[Any, Any]) -> None:
        """Keep a state for the next call, or let it go."""
        if num_qubits <= POOLED_QUBITS:
            kept = self._pool.setdefault(num_qubits, [])
            if len(kept) < POOLED_STATES:
                kept.append(pair)

    def use_threads(self, threads: int, num_qubits: int) -> None:
        """Set the OpenMP threads of this thread's next calls."""
        # Dynamic adjustment reads the load average at each call, 1.5 us: only where it is needed to hold to one thread.
        wanted = (threads, threads == 1 and num_qubits >= HIDDEN_THREADS_QUBITS)
        if self._openmp is not None and getattr(_thread, "openmp", None) != wanted:
            self._openmp.omp_set_num_threads(threads)
            self._openmp.omp_set_dynamic(int(wanted[1]))
            _thread.openmp = wanted


class LightningCircuit:
    """One circuit as a list of bound calls, with its observables."""

    def __init__(self, library: Lightning, circuit: Circuit, sums: _Sums, threads: int) -> None:
        self._library = library
        self._qubits = circuit.num_qubits
        self._threads = threads
        self._circuit = circuit
        self._sums = sums
        self._calls, angles = _calls(library.ops.StateVectorC128, fused(lowered(circuit)))
        self.table = AngleTable(circuit.parameters, angles)
        self._reverse: _Reverse | None = None

    def member(self, circuit: Circuit, table: AngleTable) -> LightningCircuit:
        """Return one of the circuits that this one was joined from, with its own angles."""
        found = copy(self)
        found._circuit, found.table = circuit, table  # noqa: SLF001  our own kind
        return found

    def probabilities(self, angles: list[float]) -> FloatArray:
        pair = self._forward(angles)
        found: FloatArray = pair[1].probs()
        self._library.give_back(self._qubits, pair)
        return found

    def probabilities_in(self, angles: list[float], bases: Sequence[str]) -> Iterator[FloatArray]:
        pair = self._forward(angles)
        state, measurements = pair
        for basis in bases:
            turns = _turns(self._library.ops.StateVectorC128, basis)
            _turn(state, turns, back=False)
            yield measurements.probs()
            _turn(state, turns, back=True)
        self._library.give_back(self._qubits, pair)

    def expectations(self, angles: list[float]) -> list[float]:
        pair = self._forward(angles)
        values = self._values(pair)
        self._library.give_back(self._qubits, pair)
        return values

    def gradients(self, parameters: FloatArray) -> tuple[list[float], FloatArray]:
        if self._reverse is None:
            self._reverse = _Reverse(self._library.ops, self._circuit, self._sums.observables)
        pair = self._forward(self.table.row(parameters))
        values = self._values(pair)
        gradients = self._reverse.gradients(pair[0], parameters)
        self._library.give_back(self._qubits, pair)
        return values, gradients

    def _forward(self, angles: list[float]) -> tuple[Any, Any]:
        pair = self._library.take_state(self._qubits)
        state = pair[0]
        for call, wires, inverse, fixed, part in self._calls:
            call(state, wires, inverse, fixed if part is None else angles[part])
        return pair

    def _values(self, pair: tuple[Any, Any]) -> list[float]:
        self._library.use_threads(self._threads, self._qubits)
        return [terms.value(*pair) for terms in self._sums.ready]


Call = tuple[Any, list[int], bool, list[float], slice | None]


def _calls(state_class: Any, operations: Iterable[Operation]) -> tuple[list[Call], list[Angle]]:
    """Return (method, wires, inverse, fixed angles, where its angles stand else) for each operation, and those angles.

    Methods take the state first: unbound ones cost the same as bound ones, and serve every state.
    """
    calls: list[Call] = []
    angles: list[Angle] = []
    plain: dict[tuple[object, ...], Call] = {}
    for name, targets, given, controls, inverse in operations:
        key = (name, targets, controls, inverse)
        call = plain.get(key) or plain.setdefault(key, _plain_call(state_class, Operation(name, targets, (), controls, inverse)))
        if not given:
            calls.append(call)
            continue
        fixed = [angle for angle in given if not isinstance(angle, Expression)]
        if len(fixed) == len(given):
            calls.append((*call[:3], fixed, None))
            continue
        calls.append((*call[:4], slice(len(angles), len(angles) + len(given))))
        angles += given
    return calls, angles


def _plain_call(state_class: Any, step: Operation) -> Call:
    """Return the call of an operation without its angles."""
    name, wires, controls = _binding(step)
    method = getattr(state_class, name)
    return (_with_controls(method, controls) if controls else method, wires, step.inverse, [], None)


def _binding(step: Operation) -> tuple[str, list[int], list[int]]:
    """Return the binding's name, its wires, and the controls that it is given besides."""
    own = CONTROLLED_NAMES.get((step.name, len(step.controls)))
    if own is None:
        return NAMES[step.name], list(step.targets), list(step.controls)
    return own, [*step.controls, *step.targets], []


def _with_controls(method: Any, controls: list[int]) -> Callable[..., None]:
    values = [True] * len(controls)

    def call(state: Any, wires: list[int], inverse: bool, angles: list[float]) -> None:  # noqa: FBT001  as the others
        method(state, controls, values, wires, inverse, angles)

    return call


Turns = list[tuple[Any, list[int], list[float]]]


def _turns(state_class: Any, basis: str) -> Turns:
    """Return the calls that turn the eigenstates of a Pauli string's letters into 0 and 1."""
    return [
        (getattr(state_class, TURNS[letter]), [qubit], [np.pi / 2] if letter == "Y" else [])
        for qubit, letter in enumerate(basis)
        if letter in TURNS
    ]


def _turn(state: Any, turns: Turns, *, back: bool) -> None:
    for method, wires, angles in turns:
        method(state, wires, back, angles)


class _Sum:
    """One observable: groups whose diagonal is kept, and the other terms by lightning.

    Its sum of terms is the faster way up to 15 qubits; term by term is above, and needs one state vector instead of four.
    """

    def __init__(self, ops: Any, observable: Observable) -> None:
        most = DIAGONAL_BYTES // (8 << observable.num_qubits) if observable.num_qubits < 60 else 0
        self._constant, groups, rest = split(observable, most)
        self._groups = [(_turns(ops.StateVectorC128, group.basis), diagonal(observable, group.terms)) for group in groups]
        one_by_one = observable.num_qubits >= TERM_BY_TERM_QUBITS
        self._rest = pauli_sum(ops, observable, rest) if rest and not one_by_one else None
        self._terms = [(observable.coefficients[index], pauli_product(ops, observable, index)) for index in rest * one_by_one]
        simple = not rest and all(not turns for turns, _ in self._groups)
        self._matrix = observable.matrix() if observable.num_qubits <= DENSE_QUBITS and not simple else None

    def value(self, state: Any, measurements: Any) -> float:
        if self._matrix is not None:
            amplitudes = np.empty(len(self._matrix), dtype=np.complex128)
            state.getState(amplitudes)
            return float(np.vdot(amplitudes, self._matrix @ amplitudes).real)
        total: float = self._constant
        if self._rest is not None:
            total += measurements.expval(self._rest)
        for coefficient, product in self._terms:
            total += coefficient * measurements.expval(product)
        for turns, worth in self._groups:
            _turn(state, turns, back=False)
            probabilities = measurements.probs()
            total += probabilities.dot(worth) if len(worth) <= BLAS_LIMIT else np.einsum("i,i->", probabilities, worth)
            _turn(state, turns, back=True)
        return float(total)


class _Sums:
    """Observables, worked out when a value is asked for first, and once for all circuits that share them."""

    def __init__(self, ops: Any, observables: Sequence[Observable]) -> None:
        self._ops = ops
        self.observables = observables

    @cached_property
    def ready(self) -> list[_Sum]:
        return [_Sum(self._ops, observable) for observable in self.observables]


def pauli_sum(ops: Any, observable: Observable, terms: Sequence[int]) -> Any:
    """Return some terms of an observable as lightning's object."""
    products = [pauli_product(ops, observable, index) for index in terms]
    return ops.observables.HamiltonianC128([observable.coefficients[index] for index in terms], products)


def pauli_product(ops: Any, observable: Observable, index: int) -> Any:
    """Return one Pauli string of an observable as lightning's object."""
    kinds = ops.observables
    letters = [
        kinds.NamedObsC128(PAULIS[letter], [qubit]) for qubit, letter in enumerate(observable.strings[index]) if letter != "I"
    ] or [kinds.NamedObsC128("Identity", [0])]
    return letters[0] if len(letters) == 1 else kinds.TensorProdObsC128(letters)


class _Reverse:
    """Adjoint differentiation: derivatives of all observables by all angles for the price of a few runs.

    Source: Jones and Gacon, arXiv:2009.02823. It wants one angle for each operation, so it uses the unfused ones.
    """

    def __init__(self, ops: Any, circuit: Circuit, observables: Sequence[Observable]) -> None:
        operations = lower(circuit)
        self._create = ops.algorithms.create_ops_listC128
        self._table = AngleTable(circuit.parameters, [angle for step in operations for angle in step.angles])
        bindings = [_binding(step) for step in operations]
        self._names = [name for name, _, _ in bindings]
        self._wires = [wires for _, wires, _ in bindings]
        self._inverses = [step.inverse for step in operations]
        self._matrices = [np.zeros((0, 0), dtype=np.complex128)] * len(operations)
        self._controls = [controls for _, _, controls in bindings]
        self._values = [[True] * len(controls) for controls in self._controls]
        self._places = [place for place, step in enumerate(operations) if step.angles]
        self._sums = [pauli_sum(ops, observable, range(len(observable.strings))) for observable in observables]
        self._jacobian = ops.algorithms.AdjointJacobianC128()
        formulas = {slot for slot, _ in self._table.formulas}
        self._wanted = [slot for slot, scale in enumerate(self._table.scale.tolist()) if scale != 0 or slot in formulas]

    def gradients(self, state: Any, parameters: FloatArray) -> FloatArray:
        """Return the derivatives, shape (observables, parameters); `state` is the circuit's final state."""
        by_angle = np.zeros((len(self._sums), len(self._table.offset)))
        if self._wanted:
            operations = self._bound(self._table.row(parameters))
            found = self._jacobian(state, self._sums, operations, self._wanted)
            by_angle[:, self._wanted] = np.asarray(found).reshape(len(self._sums), -1)
        return self._table.pull_back(parameters, by_angle)

    def _bound(self, angles: list[float]) -> Any:
        none: list[float] = []
        given = [none] * len(self._names)
        for place, angle in zip(self._places, angles, strict=True):
            given[place] = [angle]
        return self._create(self._names, given, self._wires, self._inverses, self._matrices, self._controls, self._values)
