"""Derivatives of expectation values from more expectation values: exact on every device, also with shots.

An expectation value is a sum of waves in each angle of the circuit, with frequencies that the gate's generator decides. So its
derivative is a sum of values at shifted angles. Source: Wierichs, Izaac, Wang and Lin, General parameter-shift rules for quantum
gradients, Quantum 6, 677 (2022), arXiv:2107.12390, equations 31 and 32; for one frequency Mitarai et al., arXiv:1803.00745.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits import Circuit, Parameter
from qloom.circuits.circuit import BLOCKS
from qloom.circuits.expressions import Expression
from qloom.circuits.gates import GATES
from qloom.errors import Unsupported
from qloom.kit.angle_table import AngleTable
from qloom.results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Angle, Instruction
    from qloom.tasks import FloatArray

LARGEST_SETS = 1 << 20
"""The most shifted sets for one gradient: more would take days, and is a mistake."""


class Waves(NamedTuple):
    """Frequencies of an expectation value in one angle: `base`, 2 `base`, up to `highest` times `base`."""

    base: float
    highest: int


ONE = Waves(1.0, 1)
CONTROLLED_TURN = Waves(0.5, 2)
"""A turn with eigenvalues +1/2 and -1/2 that happens only sometimes has 0 as a third one."""
BOTH_WAYS = Waves(1.0, 2)
"""An angle that a gate turns by, and back by."""

_PHASES = frozenset({"p", "gphase"})
_TURNS = frozenset({"rx", "ry", "rz", "rxx", "ryy", "rzz", "rzx"})


def waves(step: Instruction, position: int) -> Waves:
    """Return the frequencies of a gate's angle.

    Raises:
        Unsupported: the parameter is no angle, so that shifting it says nothing of its derivative.

    >>> from qloom.circuits import Circuit
    >>> waves(Circuit(1).rx(0.1, 0).instructions[0], 0), waves(Circuit(2).gate("crx", 0, 1, angles=[0.1]).instructions[0], 0)
    (Waves(base=1.0, highest=1), Waves(base=0.5, highest=2))
    """
    if step.kind != "gate":
        what = "a probability" if step.kind == "channel" else "the duration"
        raise Unsupported(
            f"no derivative by {what} of {step.name} on qubits {list(step.qubits)}: only angles of gates can be shifted; bind it"
        )
    definition = GATES[step.name]
    controlled = step.controls + definition.num_controls > 0
    if definition.base in _PHASES:
        return ONE
    if definition.base in _TURNS:
        return CONTROLLED_TURN if controlled else ONE
    if definition.base == "u":
        return CONTROLLED_TURN if controlled and position == 0 else ONE
    if definition.base == "cu":  # always controlled
        return CONTROLLED_TURN if position == 0 else ONE
    if definition.base == "r":
        return BOTH_WAYS if position == 1 else CONTROLLED_TURN if controlled else ONE
    if definition.base == "xy":
        return CONTROLLED_TURN
    raise Unsupported(f"no derivative by the angle of {step.name}: its frequencies are not known; write it with rx, ry, rz and p")


def rule(found: Waves) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return shifts (rad) and their weights: the derivative is the weighted sum of the values at the shifted angles.

    >>> [round(value, 6) for value in (*rule(ONE)[0], *rule(ONE)[1])]
    [1.570796, -1.570796, 0.5, -0.5]
    """
    shifts, weights = [], []
    for number in range(1, 2 * found.highest + 1):
        point = (2 * number - 1) * math.pi / (2 * found.highest)
        weight = (-1) ** (number - 1) / (4 * found.highest * math.sin(point / 2) ** 2)
        shifts.append(math.remainder(point, 2 * math.pi) / found.base)
        weights.append(weight * found.base)
    return tuple(shifts), tuple(weights)


class ShiftedCircuit:
    """A circuit with each of its angles set free, and what to ask of it for a gradient.

    Attributes:
        circuit: the same steps; every angle that depends on a parameter is a parameter of its own.

    Raises:
        Unsupported: a parameter that is no angle.

    >>> import numpy as np
    >>> from qloom.circuits import Circuit, Parameter
    >>> shifted = ShiftedCircuit(Circuit(1).rx(2 * Parameter("a") + 0.1, 0).ry(Parameter("a"), 0))
    >>> len(shifted.circuit.parameters), shifted.sets(np.array([0.3])).shape
    (2, (5, 2))
    """

    def __init__(self, circuit: Circuit) -> None:
        import numpy as np

        self._angles: list[Angle] = []
        self._waves: list[Waves] = []
        steps = self._free(circuit.instructions)
        names = [_name(index) for index in range(len(self._angles))]
        self.circuit = Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, names, circuit.name)
        self._table = AngleTable(circuit.parameters, self._angles)
        rules = [rule(found) for found in self._waves]
        self._slots = np.array([slot for slot, (shifts, _) in enumerate(rules) for _ in shifts], dtype=np.intp)
        self._shifts = np.array([shift for shifts, _ in rules for shift in shifts])
        self._weights = np.array([weight for _, weights in rules for weight in weights])

    def sets(self, parameters: FloatArray) -> FloatArray:
        """Return the sets to ask for: the angles as they are, then with one of them shifted in each.

        Args:
            parameters: one set, shape (parameters,).

        Returns:
            Shape (1 + shifts, angles).

        Raises:
            Unsupported: more sets than make sense.
        """
        import numpy as np

        count = 1 + len(self._slots)
        if count > LARGEST_SETS:
            raise Unsupported(f"a gradient by shifts would take {count} runs, the limit is {LARGEST_SETS}; use fewer angles")
        found = np.tile(self._table.rows(parameters.reshape(1, -1)), (count, 1))
        found[np.arange(1, count), self._slots] += self._shifts
        return found

    def gradients(self, parameters: FloatArray, values: FloatArray) -> FloatArray:
        """Return derivatives by the parameters, shape (observables, parameters).

        Args:
            parameters: one set, shape (parameters,).
            values: what came for `sets`, shape (1 + shifts, observables).
        """
        return self._table.pull_back(parameters, self._by_angles(self._weights, values))

    def standard_errors(self, parameters: FloatArray, errors: FloatArray) -> FloatArray:
        """Return standard errors of the derivatives, from those of independent values; shapes as for `gradients`."""
        import numpy as np

        slopes = self._table.pull_back(parameters, np.eye(len(self._angles)))  # of each angle by each parameter
        variances = self._by_angles(self._weights**2, errors**2)
        found: FloatArray = np.sqrt(variances @ slopes**2)
        return found

    def _by_angles(self, weights: FloatArray, values: FloatArray) -> FloatArray:
        """Return weighted sums for each angle, shape (observables, angles)."""
        import numpy as np

        found = np.zeros((len(self._angles), values.shape[1]))
        np.add.at(found, self._slots, weights[:, None] * values[1:])
        return found.T

    def _free(self, steps: Sequence[Instruction]) -> tuple[Instruction, ...]:
        return tuple(
            step._replace(body=self._free(step.body), orelse=self._free(step.orelse))
            if step.name in BLOCKS
            else step._replace(parameters=tuple(self._freed(step, place) for place in range(len(step.parameters))))
            for step in steps
        )

    def _freed(self, step: Instruction, place: int) -> Angle:
        angle = step.parameters[place]
        if not isinstance(angle, Expression):
            return angle
        self._waves.append(waves(step, place))
        self._angles.append(angle)
        return Parameter(_name(len(self._angles) - 1))


def _name(index: int) -> str:
    return f"angle_{index}"


def joined_shifts(parts: Sequence[tuple[ShiftedCircuit, FloatArray, Result]], *, sets: int, shots: int | None) -> Result:
    """Return values and derivatives, from what came for the shifted sets of each circuit and parameter set.

    Args:
        parts: (circuit, its parameter set, answers for its `sets`), circuit by circuit, set by set inside a circuit.
        sets: parameter sets of each circuit.
        shots: of each value; None for exact ones.
    """
    import numpy as np

    last = parts[-1][2]
    gradients = [shifted.gradients(row, found.values) for shifted, row, found in parts]
    metadata = dict(last.metadata)
    if shots is not None:
        errors = [shifted.standard_errors(row, found.standard_errors).tolist() for shifted, row, found in parts]
        metadata["gradient_standard_errors"] = errors
    return Result(
        engine=last.engine,
        shots=shots,
        sets=sets,
        key_lengths=tuple(parts[place][2].key_lengths[0] for place in range(0, len(parts), sets)),
        values=np.array([found.values[0] for _, _, found in parts]),
        standard_errors=None if shots is None else np.array([found.standard_errors[0] for _, _, found in parts]),
        gradients=np.array(gradients),
        stages=last.stages,
        metadata=metadata,
    )
