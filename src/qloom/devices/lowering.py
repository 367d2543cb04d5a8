"""From the circuit form to a few operations that a state-vector engine has natively.

Every gate becomes operations with at most one angle, so that each angle can be bound, and differentiated, by itself.
Global phases are dropped where nothing controls them: no probability and no expectation value depends on them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qloom.circuits.expressions import Affine, Expression
from qloom.circuits.gates import GATES
from qloom.kit.angle_table import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qloom.circuits import Angle, Circuit, Instruction
    from qloom.tasks import FloatArray

IDLE = frozenset({"barrier", "delay", "measure", "verbatim"})
"""Steps that change no state: delays are ideal here, and measurements stand at the end."""

DIAGONAL = {"z": math.pi, "s": math.pi / 2, "t": math.pi / 4}
"""Fixed gates that are rotations about Z up to a phase, with their angle in rad."""

TURNS = {
    "rx": (math.pi / 2, None, -math.pi / 2),
    "ry": (0.0, None, 0.0),
    "x": (math.pi / 2, math.pi, -math.pi / 2),
    "y": (0.0, math.pi, 0.0),
    "h": (math.pi, math.pi / 2, 0.0),
    "sx": (math.pi / 2, math.pi / 2, -math.pi / 2),
}
"""One-qubit gates as RZ(first), RY(second), RZ(third) in time order, up to a phase; None is the gate's own angle."""


class Operation(NamedTuple):
    """One native operation.

    Attributes:
        name: `x y z h s t sx swap`, `rx ry rz p rxx ryy rzz xy` with one angle, `rot` with three.
        targets: the qubits it acts on, in the gate's order.
        angles: rad; numbers, formulas or columns. `rot` is RZ(first), RY(second), RZ(third) in time order.
        controls: qubits that must be 1 for it to act.
        inverse: True for the inverse; only of operations without angles.
    """

    name: str
    targets: tuple[int, ...]
    angles: tuple[Angle, ...] = ()
    controls: tuple[int, ...] = ()
    inverse: bool = False


def without_idle_resets(circuit: Circuit) -> Iterator[Instruction]:
    """Yield the steps with verbatim blocks opened; a reset of a qubit that nothing has touched yet is left out.

    >>> from qloom.circuits import Circuit
    >>> [step.name for step in without_idle_resets(Circuit(1).reset(0).h(0).reset(0))]
    ['h', 'reset']
    """
    if "reset" not in circuit.instruction_names:
        yield from circuit.flat()
        return
    touched: set[int] = set()
    for step in circuit.flat():
        if step.name == "reset" and not touched & set(step.qubits):
            continue
        if step.name == "measure" or step.name not in IDLE:
            touched.update(step.qubits)
        yield step


def active_steps(circuit: Circuit) -> Iterator[Instruction]:
    """Yield the steps that change the state.

    >>> from qloom.circuits import Circuit
    >>> [step.name for step in active_steps(Circuit(1).reset(0).h(0).barrier().measure(0))]
    ['h']
    """
    if circuit.instruction_names <= GATES.keys():
        return iter(circuit.instructions)
    return (step for step in without_idle_resets(circuit) if step.name not in IDLE)


def lower(circuit: Circuit) -> list[Operation]:
    """Return the circuit as native operations, in time order; only for circuits of gates (and measurements at the end).

    >>> from qloom.circuits import Circuit
    >>> [(step.name, step.targets, step.controls) for step in lower(Circuit(3).sdg(0).ccx(0, 1, 2).u(0.1, 0.2, 0.3, 1))]
    [('s', (0,), ()), ('x', (2,), (0, 1)), ('p', (1,), ()), ('ry', (1,), ()), ('p', (1,), ())]
    """
    return list(lowered(circuit))


def lowered(circuit: Circuit) -> Iterator[Operation]:
    """Yield what `lower` returns; equal gates without angles are the same objects: long circuits take less time and memory."""
    plain: dict[tuple[str, tuple[int, ...], int], list[Operation]] = {}
    for step in active_steps(circuit):
        if step.parameters:
            yield from lower_step(step)
            continue
        key = (step.name, step.qubits, step.controls)
        yield from plain.get(key) or plain.setdefault(key, lower_step(step))


def lower_step(step: Instruction) -> list[Operation]:
    """Return one gate as native operations, in time order, the step's extra controls applied to each that needs them."""
    name, inverse, count, rule = _PLANS[step.name]
    count += step.controls
    controls, targets = step.qubits[:count], step.qubits[count:]
    angles = tuple([angle if isinstance(angle, Expression) else float(angle) for angle in step.parameters])
    if rule is not None:
        return rule(controls, targets, angles)
    return [Operation(name, targets, angles, controls, inverse)]


Qubits = tuple[int, ...]


def _phase(controls: Qubits, _targets: Qubits, angles: tuple[Angle, ...]) -> list[Operation]:
    """A global phase is a phase on the last of its controls; without controls it is nothing."""
    return [Operation("p", controls[-1:], angles, controls[:-1])] if controls else []


def _u(controls: Qubits, targets: Qubits, angles: tuple[Angle, ...]) -> list[Operation]:
    """U(theta, phi, lambda) = P(phi) RY(theta) P(lambda) as matrices, exactly; so it may be controlled."""
    theta, phi, lam = angles
    parts = (("p", lam), ("ry", theta), ("p", phi))
    return [Operation(name, targets, (angle,), controls) for name, angle in parts]


def _r(controls: Qubits, targets: Qubits, angles: tuple[Angle, ...]) -> list[Operation]:
    """A rotation about an axis in the equator: RX between two opposite phases; these cancel where a control is 0."""
    theta, phi = angles
    return [
        Operation("p", targets, (-phi,)),
        Operation("rx", targets, (theta,), controls),
        Operation("p", targets, (phi,)),
    ]


def _cu(controls: Qubits, targets: Qubits, angles: tuple[Angle, ...]) -> list[Operation]:
    theta, phi, lam, gamma = angles
    control, target = targets
    return [Operation("p", (control,), (gamma,), controls), *_u((*controls, control), (target,), (theta, phi, lam))]


def _rzx(controls: Qubits, targets: Qubits, angles: tuple[Angle, ...]) -> list[Operation]:
    around = Operation("h", targets[1:])
    return [around, Operation("rzz", targets, angles, controls), around]


def _ecr(controls: Qubits, targets: Qubits, _angles: tuple[Angle, ...]) -> list[Operation]:
    """ECR = (X on the first qubit) RZX(pi/2) as matrices."""
    return [*_rzx(controls, targets, (math.pi / 2,)), Operation("x", targets[:1], (), controls)]


_RULES: dict[str, Callable[[Qubits, Qubits, tuple[Angle, ...]], list[Operation]]] = {
    "id": lambda _controls, _targets, _angles: [],
    "gphase": _phase,
    "u": _u,
    "r": _r,
    "cu": _cu,
    "rzx": _rzx,
    "ecr": _ecr,
    "iswap": lambda controls, targets, _angles: [Operation("xy", targets, (math.pi,), controls)],
    "iswapdg": lambda controls, targets, _angles: [Operation("xy", targets, (-math.pi,), controls)],
}
_INVERSES = {"sdg": ("s", True), "tdg": ("t", True), "sxdg": ("sx", True)}
_PLANS = {
    name: (*_INVERSES.get(row.base, (row.base, False)), row.num_controls, _RULES.get(row.base)) for name, row in GATES.items()
}
"""Gate -> native operation, whether inverted, controls of its own, and the rule that makes several of it."""


# ---- fusing ------------------------------------------------------------------------------------------------------


class _Turn(NamedTuple):
    """What waits on a qubit: RZ(before), RY(turn), RZ(after); `turn` None leaves RZ(before).

    Attributes:
        alone: the operation it came from, where that was one.
    """

    before: Angle
    turn: Angle | None
    after: Angle
    alone: Operation | None = None


def fuse(operations: Iterable[Operation]) -> list[Operation]:
    """Return fewer operations for the same state up to a phase: runs on one qubit become one `rot`.

    A `rot` costs a state-vector engine about 1.4 times a single rotation, at every size; so two gates in one always gain.

    >>> run = [Operation("ry", (0,), (0.1,)), Operation("rz", (0,), (0.2,)), Operation("x", (1,), (), (0,))]
    >>> [step.name for step in fuse(run)]
    ['rot', 'x']
    """
    return list(fused(operations))


def fused(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield what `fuse` returns."""
    waiting: dict[int, _Turn] = {}
    for operation in operations:
        turn = _as_turn(operation)
        if turn is None:
            for qubit in (*operation.controls, *operation.targets):
                if qubit in waiting:
                    yield from _flush(waiting.pop(qubit), qubit)
            yield operation
            continue
        qubit = operation.targets[0]
        first = waiting.get(qubit)
        joined = turn if first is None else _join(first, turn)
        if first is not None and joined is None:
            yield from _flush(first, qubit)
        waiting[qubit] = turn if joined is None else joined
    for qubit, turn in waiting.items():
        yield from _flush(turn, qubit)


def _as_turn(operation: Operation) -> _Turn | None:
    if operation.controls or len(operation.targets) != 1:
        return None
    sign = -1.0 if operation.inverse else 1.0
    if operation.name in ("rz", "p"):
        return _Turn(operation.angles[0], None, 0.0, operation)
    if operation.name in DIAGONAL:
        return _Turn(sign * DIAGONAL[operation.name], None, 0.0, operation)
    before, turn, after = TURNS[operation.name]
    if turn is None:
        return _Turn(before, operation.angles[0], after, operation)
    return _Turn(before, sign * turn, after, operation)  # h, x, y are their own inverses up to a phase


def _join(first: _Turn, second: _Turn) -> _Turn | None:
    """Return both as one, or None where their angles cannot be added without working out formulas at every run."""
    if first.turn is None:
        before = _add(first.before, second.before)
        return None if before is None else _Turn(before, second.turn, second.after)
    if second.turn is None:
        after = _add(first.after, second.before)
        return None if after is None else _Turn(first.before, first.turn, after)
    between = _add(first.after, second.before)
    if isinstance(between, float) and math.remainder(between, 2 * math.pi) == 0:
        turn = _add(first.turn, second.turn)
        return None if turn is None else _Turn(first.before, turn, second.after)
    turns = None if between is None else _turned(first.turn, between, second.turn)
    if turns is not None:
        outer_before, outer_after = _add(first.before, turns[0]), _add(turns[2], second.after)
        if outer_before is not None and outer_after is not None:
            return _Turn(outer_before, turns[1], outer_after)
    return None


def _add(left: Angle, right: Angle) -> Angle | None:
    """Return the sum where it is a number, or affine in one parameter, or adds nothing; else None."""
    if isinstance(left, float) and isinstance(right, float):
        return left + right
    if isinstance(left, float) and left == 0:
        return right
    if isinstance(right, float) and right == 0:
        return left
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return Column(np.add(_values(left), _values(right)))
    one, two = _affine(left), _affine(right)
    if one is None or two is None or (one.parameter != two.parameter and None not in (one.parameter, two.parameter)):
        return None
    name = two.parameter if one.parameter is None else one.parameter
    # Written anew, so that the sum of a long run is no deeper than that of two.
    return Affine(name, one.scale + two.scale, one.offset + two.offset).angle()


_NUMBERS = (float, Column)


def _affine(angle: Angle) -> Affine | None:
    return angle.affine() if isinstance(angle, Expression) else Affine(None, 0.0, angle)


def _values(angle: float | Column) -> float | FloatArray:
    return angle.values if isinstance(angle, Column) else angle


def _turned(first: Angle, between: Angle, second: Angle) -> tuple[Angle, Angle, Angle] | None:
    """Return `_three_turns` of numbers, of columns circuit by circuit; None where one is a formula."""
    if isinstance(first, float) and isinstance(between, float) and isinstance(second, float):
        return _three_turns(first, between, second)
    if isinstance(first, _NUMBERS) and isinstance(between, _NUMBERS) and isinstance(second, _NUMBERS):
        before, turn, after = _three_turns_of_each(_values(first), _values(between), _values(second))
        return Column(before), Column(turn), Column(after)
    return None


def _three_turns(first: float, between: float, second: float) -> tuple[float, float, float]:
    """Return RY(first), RZ(between), RY(second) as RZ, RY, RZ angles, up to a phase.

    The product is a matrix of determinant 1, so its first column tells all: in that of RZ(c) RY(b) RZ(a), with both half-angle
    factors taken positive, entry 00 has the phase -(a + c)/2 and entry 10 the phase (c - a)/2. Where one of them is 0, its phase
    is any: a and c change, what they do together does not.
    """
    total, change = (first + second) / 2, (first - second) / 2
    cosine, sine = math.cos(between / 2), math.sin(between / 2)
    real00, imag00 = math.cos(total) * cosine, -math.cos(change) * sine
    real10, imag10 = math.sin(total) * cosine, math.sin(change) * sine
    size00, size10 = math.hypot(real00, imag00), math.hypot(real10, imag10)
    phase00, phase10 = math.atan2(imag00, real00), math.atan2(imag10, real10)
    return -phase00 - phase10, 2 * math.atan2(size10, size00), phase10 - phase00


def _three_turns_of_each(
    first: float | FloatArray, between: float | FloatArray, second: float | FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return `_three_turns` of many at once."""
    total, change = np.add(first, second) / 2, np.subtract(first, second) / 2
    cosine, sine = np.cos(np.divide(between, 2)), np.sin(np.divide(between, 2))
    one, two = np.cos(total) * cosine - 1j * np.cos(change) * sine, np.sin(total) * cosine + 1j * np.sin(change) * sine
    size00, size10, phase00, phase10 = np.abs(one), np.abs(two), np.angle(one), np.angle(two)
    return -phase00 - phase10, 2 * np.arctan2(size10, size00), phase10 - phase00


def _flush(turn: _Turn, qubit: int) -> list[Operation]:
    """Return what waited on a qubit as operations; a lone gate as itself, since its own kernel is the fastest."""
    if turn.alone is not None:
        return [turn.alone]
    if turn.turn is None:
        return [] if turn.before == 0 else [Operation("rz", (qubit,), (turn.before,))]
    if turn.before == 0 and turn.after == 0:
        return [Operation("ry", (qubit,), (turn.turn,))]
    return [Operation("rot", (qubit,), (turn.before, turn.turn, turn.after))]
