"""Many parameter sets of a tiny circuit at once: one numpy operation for all of them where a library takes one call for each.

A gate on one qubit, or a rotation on two, is `d * t + o * flipped(t)`: entries of the state `t` keep a part `d` of themselves
and get a part `o` of the entry whose targets are all flipped. Fixed gates that only move entries and turn their phases are
joined into one gather and one product. With 4 layers of rotations and CX on 4 and 6 qubits, 100 sets take 3 and 8 us each,
with lightning's bindings 8 and 12 us.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from qloom.devices.lowering import fuse, lower
from qloom.devices.pauli_sums import diagonal
from qloom.kit.angle_table import AngleTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.devices.lowering import Operation
    from qloom.tasks import FloatArray

    ComplexArray = npt.NDArray[np.complex128]

FEWEST_SETS = (24, 24, 24, 24, 24, 24, 32)
"""By qubits: from so many sets up this is faster than a library; above 6 qubits it never is. Measured beside lightning."""

CHUNK = 1 << 13
"""Amplitudes worked on at once, 128 KiB: they stay in a core's cache."""

BLAS_PRODUCTS = 1 << 17
"""The most products in one matrix multiplication, so that BLAS stays in the calling thread."""

Coefficients = tuple["ComplexArray", "ComplexArray | None"]
"""What is kept and what is crossed, of all gates of one name: shape (gates, 2 for each target, sets)."""

MONOMIAL = frozenset({"x", "y", "z", "s", "t", "swap"})
"""Gates that move entries of a state and turn their phases."""

PHASES = {"z": -1, "s": 1j, "t": complex(math.sqrt(0.5), math.sqrt(0.5))}


def suits(num_qubits: int, sets: int) -> bool:
    """Whether sets of a circuit of that size are worked out together: by these two numbers alone, so that equal calls are equal.

    >>> suits(4, 100), suits(4, 5), suits(10, 100)
    (True, False, False)
    """
    return num_qubits < len(FEWEST_SETS) and sets >= FEWEST_SETS[num_qubits]


class _Move(NamedTuple):
    """new[i] = phases[i] * old[places[i]]; None where there is nothing to do."""

    places: npt.NDArray[np.intp] | None
    phases: ComplexArray | None


class _Mix(NamedTuple):
    """new = kept * old + crossed * flipped, on the part of the state where all controls are 1.

    Attributes:
        dims: of the state and the room to work in as this gate sees them: 2 for each of its qubits, the others joined; the
            sets come last.
        where: the part where the controls are 1.
        flip: what flips the targets in that part.
        shape: of a coefficient: 2 for a target, 1 else; the sets come last.
        name, place: whose coefficients, and which of them.
    """

    dims: tuple[int, ...]
    where: tuple[slice, ...]
    flip: tuple[slice, ...]
    shape: tuple[int, ...]
    name: str
    place: int


class SetsCircuit:
    """One circuit of gates on few qubits, with its observables, for many parameter sets at once.

    Args:
        circuit: checked; measurements only at its end.
        observables: on as many qubits.

    Attributes:
        table: from parameter sets to the angles that the methods take, shape (sets, angles).

    Basis states have qubit 0 most significant.

    >>> from qloom.circuits import Circuit, Observable, Parameter
    >>> made = SetsCircuit(Circuit(1).ry(Parameter("a"), 0), [Observable({"Z": 1.0})])
    >>> rows = made.table.rows(np.array([[0.0], [np.pi]]))
    >>> made.probabilities(rows).round(12).tolist(), made.expectations(rows).round(12).tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[1.0], [-1.0]])
    """

    def __init__(self, circuit: Circuit, observables: Sequence[Observable] = ()) -> None:
        self._qubits = circuit.num_qubits
        operations = fuse(lower(circuit))
        self.table = AngleTable(circuit.parameters, [angle for step in operations for angle in step.angles])
        self._steps, self._slots = _compiled(operations, self._qubits)
        self._sums = [_Sum(observable) for observable in observables]

    def probabilities(self, angles: FloatArray) -> FloatArray:
        """Return the probability of each basis state for each set: angles of shape (sets, angles) to (sets, 2**n)."""
        found = np.empty((len(angles), 1 << self._qubits))
        for part in self._parts(len(angles)):
            found[part] = _squares(self._states(angles[part])).T
        return found

    def expectations(self, angles: FloatArray) -> FloatArray:
        """Return the exact value of each observable for each set: angles of shape (sets, angles) to (sets, observables)."""
        found = np.empty((len(angles), len(self._sums)))
        for part in self._parts(len(angles)):
            states = self._states(angles[part])
            for column, terms in enumerate(self._sums):
                found[part, column] = terms.values(states)
        return found

    def _parts(self, sets: int) -> list[slice]:
        step = max(1, CHUNK >> self._qubits)
        return [slice(start, min(sets, start + step)) for start in range(0, sets, step)]

    def _states(self, angles: FloatArray) -> ComplexArray:
        """Return the final states, shape (2**n, sets)."""
        columns = np.ascontiguousarray(angles.T)
        found = {name: _COEFFICIENTS[name](*columns[slots.T]) for name, slots in self._slots.items()}
        work = np.empty((3, 1 << self._qubits, len(angles)), dtype=np.complex128)
        now = 0  # where the state is; the rest is room to work in
        work[now] = 0
        work[now, 0] = 1
        for step in self._steps:
            if isinstance(step, _Mix):
                _mix(step, found[step.name], work, now)
                continue
            if step.places is not None:
                np.take(work[now], step.places, axis=0, out=work[1 - now], mode="clip")
                now = 1 - now
            if step.phases is not None:
                work[now] *= step.phases
        state: ComplexArray = work[now]
        return state


def _mix(step: _Mix, found: Coefficients, work: ComplexArray, now: int) -> None:
    """Apply a gate to the state, in place."""
    kept, crossed = found
    parts = work.reshape(step.dims)[step.where]
    part = parts[now]
    if crossed is None:
        part *= kept[step.place].reshape(step.shape)
        return
    one, two = parts[1 - now], parts[2]
    np.multiply(part, kept[step.place].reshape(step.shape), out=one)
    np.multiply(part[step.flip], crossed[step.place].reshape(step.shape), out=two)
    np.add(one, two, out=part)


def _squares(states: ComplexArray) -> FloatArray:
    """Return the probabilities of states, same shape."""
    found: FloatArray = states.real**2
    found += states.imag**2
    return found


# ---- from operations to steps ----------------------------------------------------------------------------------------


def _compiled(operations: Sequence[Operation], num_qubits: int) -> tuple[list[_Mix | _Move], dict[str, npt.NDArray[np.intp]]]:
    """Return the steps, and the columns of the angles of all gates of a name, shape (gates, angles of one)."""
    steps: list[_Mix | _Move] = []
    slots: dict[str, list[range]] = {}
    moves = _Moves(num_qubits)
    column = 0
    for operation in operations:
        if operation.name in MONOMIAL:
            moves.add(operation)
            continue
        if not moves.touched.isdisjoint(operation.controls + operation.targets):  # else it may as well come before them
            steps += moves.taken()
        name, controls, targets = _named(operation)
        places = slots.setdefault(name, [])
        if operation.angles or not places:  # gates without angles have the same coefficients everywhere
            places.append(range(column, column + len(operation.angles)))
        column += len(operation.angles)
        steps.append(_step(name, len(places) - 1, controls, targets, num_qubits))
    steps += moves.taken()
    return steps, {name: np.array(places, dtype=np.intp).reshape(len(places), -1) for name, places in slots.items()}


def _named(operation: Operation) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Return whose coefficients an operation has, its controls and its targets.

    A phase is one number where its target is 1, as if that were a control. So is RZ without controls, up to a phase of all.
    """
    name, controls = operation.name, operation.controls
    if name == "p" or (name == "rz" and not controls):
        return "p", controls + operation.targets, ()
    return ("sxdg" if name == "sx" and operation.inverse else name), controls, operation.targets


def _step(name: str, place: int, controls: tuple[int, ...], targets: tuple[int, ...], num_qubits: int) -> _Mix:
    """Return a gate with its place among those of its name; qubits between its own are one axis."""
    dims: list[int] = []
    where, flip, shape = [], [], []
    every = slice(None)
    last = -1
    for qubit in sorted(controls + targets):
        dims += [1 << (qubit - last - 1), 2]
        where += [every, slice(1, 2) if qubit in controls else every]
        flip += [every, slice(None, None, -1) if qubit in targets else every]
        shape += [1, 2 if qubit in targets else 1]
        last = qubit
    dims.append(1 << (num_qubits - 1 - last))
    return _Mix((3, *dims, -1), (every, *where), tuple(flip), (*shape, 1, -1), name, place)


class _Moves:
    """Gates that only move entries and turn their phases, joined while no other gate acts on what they touched."""

    def __init__(self, num_qubits: int) -> None:
        self._qubits = num_qubits
        self._start()

    def _start(self) -> None:
        size = 1 << self._qubits
        self._places, self._phases = np.arange(size), np.ones(size, dtype=np.complex128)
        self.touched: set[int] = set()

    def add(self, operation: Operation) -> None:
        self.touched.update(operation.controls, operation.targets)
        where: list[int | slice] = [slice(None)] * self._qubits
        for control in operation.controls:
            where[control] = 1
        if operation.name in PHASES:
            phase = PHASES[operation.name]
            where[operation.targets[0]] = 1
            self._phases.reshape((2,) * self._qubits)[tuple(where)] *= phase.conjugate() if operation.inverse else phase
            return
        one, two = (tuple(self._with(where, operation, value)) for value in (0, 1))
        for array in (self._places, self._phases):
            tensor = array.reshape((2,) * self._qubits)
            tensor[one], tensor[two] = tensor[two].copy(), tensor[one].copy()
        if operation.name == "y":
            self._phases.reshape((2,) * self._qubits)[one] *= -1j
            self._phases.reshape((2,) * self._qubits)[two] *= 1j

    @staticmethod
    def _with(where: Sequence[int | slice], operation: Operation, value: int) -> list[int | slice]:
        """Return one of the two parts that change places: the target 0 or 1; of a swap, 01 or 10."""
        found = list(where)
        for target, bit in zip(operation.targets, (value, 1 - value), strict=False):
            found[target] = bit
        return found

    def taken(self) -> list[_Mix | _Move]:
        """Return what was joined, if it does anything, and start anew."""
        still = (self._places == np.arange(len(self._places))).all()
        plain = (self._phases == 1).all()
        move = _Move(None if still else self._places, None if plain else self._phases[:, None])
        self._start()
        return [] if still and plain else [move]


# ---- coefficients ----------------------------------------------------------------------------------------------------


def _rot(first: FloatArray, second: FloatArray, third: FloatArray) -> Coefficients:
    """RZ(first), RY(second), RZ(third) in time order."""
    cosine, sine = np.cos(second / 2), np.sin(second / 2)
    kept, crossed = (np.empty((len(first), 2, first.shape[1]), dtype=np.complex128) for _ in range(2))
    for array, length, turn in ((kept, cosine, (first + third) / 2), (crossed, sine, (third - first) / 2)):
        np.multiply(length, np.cos(turn), out=array[:, 1].real)
        np.multiply(length, np.sin(turn), out=array[:, 1].imag)
        np.conjugate(array[:, 1], out=array[:, 0])
    np.negative(crossed[:, 0], out=crossed[:, 0])
    return kept, crossed


def _pattern(*factors: complex) -> ComplexArray:
    """Return one factor for each setting of the targets, with an axis for the sets."""
    return np.array(factors, dtype=np.complex128).reshape((2,) * (len(factors).bit_length() - 1) + (1,))


def _turn(kept: ComplexArray, crossed: ComplexArray, fixed: ComplexArray | None = None) -> Callable[[FloatArray], Coefficients]:
    """Return cos(angle/2) times one pattern, plus another that no angle changes, and sin(angle/2) times a third."""

    def coefficients(angles: FloatArray) -> Coefficients:
        halves = angles.reshape(len(angles), *(1,) * (kept.ndim - 1), -1) / 2
        cosine = np.cos(halves) * kept
        return cosine if fixed is None else cosine + fixed, np.sin(halves) * crossed

    return coefficients


def _phase(angles: FloatArray) -> Coefficients:
    return np.exp(1j * angles), None


def _opposite(*signs: int) -> Callable[[FloatArray], Coefficients]:
    """Return exp(-i angle/2) or its inverse, by the targets."""
    turns = -0.5j * _pattern(*signs)
    return lambda angles: (np.exp(angles.reshape(len(angles), *(1,) * (turns.ndim - 1), -1) * turns), None)


def _still(kept: ComplexArray, crossed: ComplexArray) -> Callable[[], Coefficients]:
    return lambda: (kept[None], crossed[None])


_HALF = math.sqrt(0.5)
_COEFFICIENTS: dict[str, Callable[..., Coefficients]] = {
    "rot": _rot,
    "p": _phase,
    "rx": _turn(_pattern(1, 1), _pattern(-1j, -1j)),
    "ry": _turn(_pattern(1, 1), _pattern(-1, 1)),
    "rz": _opposite(1, -1),
    "rxx": _turn(_pattern(1, 1, 1, 1), _pattern(-1j, -1j, -1j, -1j)),
    "ryy": _turn(_pattern(1, 1, 1, 1), _pattern(1j, -1j, -1j, 1j)),
    "rzz": _opposite(1, -1, -1, 1),
    "xy": _turn(_pattern(0, 1, 1, 0), _pattern(0, 1j, 1j, 0), _pattern(1, 0, 0, 1)),
    "h": _still(_pattern(_HALF, -_HALF), _pattern(_HALF, _HALF)),
    "sx": _still(_pattern(0.5 + 0.5j, 0.5 + 0.5j), _pattern(0.5 - 0.5j, 0.5 - 0.5j)),
    "sxdg": _still(_pattern(0.5 - 0.5j, 0.5 - 0.5j), _pattern(0.5 + 0.5j, 0.5 + 0.5j)),
}


# ---- values ----------------------------------------------------------------------------------------------------------


class _Sum:
    """One observable: read off the probabilities where it is diagonal, else a small matrix."""

    def __init__(self, observable: Observable) -> None:
        plain = all(set(string) <= {"I", "Z"} for string in observable.strings)
        self._worth = diagonal(observable, range(len(observable.strings))) if plain else None
        self._matrix = np.zeros((0, 0)) if plain else observable.matrix()
        self._columns = max(1, BLAS_PRODUCTS >> (2 * observable.num_qubits))

    def values(self, states: ComplexArray) -> FloatArray:
        """Return the values in some states: shape (2**n, sets) to (sets,)."""
        found = np.empty(states.shape[1])
        if self._worth is not None:
            return np.einsum("i,is->s", self._worth, _squares(states), out=found)
        for start in range(0, len(found), self._columns):
            part = states[:, start : start + self._columns]
            turned = self._matrix @ part
            some = found[start : start + self._columns]
            np.einsum("is,is->s", part.real, turned.real, out=some)
            some += np.einsum("is,is->s", part.imag, turned.imag)
        return found
