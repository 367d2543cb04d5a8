"""From the circuit form to a few operations that a state-vector engine has natively.

Every gate becomes operations with at most one angle, so that each angle can be bound, and differentiated, by itself.
Global phases are dropped where nothing controls them: no probability and no expectation value depends on them.
"""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits.expressions import Expression
from qloom.circuits.gates import GATES, matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qloom.circuits import Angle, Circuit, Instruction

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
        angles: rad; numbers or formulas. `rot` is RZ(first), RY(second), RZ(third) in time order.
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
    return (step for step in without_idle_resets(circuit) if step.name not in IDLE)


def lower(circuit: Circuit) -> list[Operation]:
    """Return the circuit as native operations, in time order; only for circuits of gates (and measurements at the end).

    >>> from qloom.circuits import Circuit
    >>> [(step.name, step.targets, step.controls) for step in lower(Circuit(3).sdg(0).ccx(0, 1, 2).u(0.1, 0.2, 0.3, 1))]
    [('s', (0,), ()), ('x', (2,), (0, 1)), ('p', (1,), ()), ('ry', (1,), ()), ('p', (1,), ())]
    """
    return [operation for step in active_steps(circuit) for operation in lower_step(step)]


def lower_step(step: Instruction) -> list[Operation]:
    """Return one gate as native operations, in time order, the step's extra controls applied to each that needs them."""
    definition = GATES[step.name]
    count = step.controls + definition.num_controls
    controls, targets = step.qubits[:count], step.qubits[count:]
    angles = tuple(angle if isinstance(angle, Expression) else float(angle) for angle in step.parameters)
    if definition.base in _RULES:
        return _RULES[definition.base](controls, targets, angles)
    name, inverse = _INVERSES.get(definition.base, (definition.base, False))
    return [Operation(name, targets, angles, controls, inverse)]


_INVERSES = {"sdg": ("s", True), "tdg": ("t", True), "sxdg": ("sx", True)}

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


# ---- fusing ------------------------------------------------------------------------------------------------------


class _Turn(NamedTuple):
    """What waits on a qubit: RZ(before), RY(turn), RZ(after); `turn` None leaves RZ(before). The operations it came from."""

    before: Angle
    turn: Angle | None
    after: Angle
    sources: tuple[Operation, ...]


def fuse(operations: Iterable[Operation]) -> list[Operation]:
    """Return fewer operations for the same state up to a phase: runs on one qubit become one `rot`.

    A `rot` costs a state-vector engine about 1.4 times a single rotation, at every size; so two gates in one always gain.

    >>> run = [Operation("ry", (0,), (0.1,)), Operation("rz", (0,), (0.2,)), Operation("x", (1,), (), (0,))]
    >>> [step.name for step in fuse(run)]
    ['rot', 'x']
    """
    waiting: dict[int, _Turn] = {}
    done: list[Operation] = []
    for operation in operations:
        turn = _as_turn(operation)
        if turn is None:
            for qubit in (*operation.controls, *operation.targets):
                done += _flush(waiting.pop(qubit, None), qubit)
            done.append(operation)
            continue
        qubit = operation.targets[0]
        joined = _join(waiting[qubit], turn) if qubit in waiting else turn
        if joined is None:
            done += _flush(waiting[qubit], qubit)
            joined = turn
        waiting[qubit] = joined
    for qubit, turn in waiting.items():
        done += _flush(turn, qubit)
    return done


def _as_turn(operation: Operation) -> _Turn | None:
    if operation.controls or len(operation.targets) != 1:
        return None
    sign = -1.0 if operation.inverse else 1.0
    if operation.name in ("rz", "p"):
        return _Turn(operation.angles[0], None, 0.0, (operation,))
    if operation.name in DIAGONAL:
        return _Turn(sign * DIAGONAL[operation.name], None, 0.0, (operation,))
    before, turn, after = TURNS[operation.name]
    if turn is None:
        return _Turn(before, operation.angles[0], after, (operation,))
    return _Turn(before, sign * turn, after, (operation,))  # h, x, y are their own inverses up to a phase


def _join(first: _Turn, second: _Turn) -> _Turn | None:
    """Return both as one, or None where their angles cannot be added without working out formulas at every run."""
    sources = first.sources + second.sources
    if first.turn is None:
        before = _add(first.before, second.before)
        return None if before is None else _Turn(before, second.turn, second.after, sources)
    if second.turn is None:
        after = _add(first.after, second.before)
        return None if after is None else _Turn(first.before, first.turn, after, sources)
    between = _add(first.after, second.before)
    if not isinstance(between, float):
        return None
    if math.remainder(between, 2 * math.pi) == 0:
        turn = _add(first.turn, second.turn)
        return None if turn is None else _Turn(first.before, turn, second.after, sources)
    if isinstance(first.turn, float) and isinstance(second.turn, float):
        before, turn, after = _three_turns(first.turn, between, second.turn)
        outer_before, outer_after = _add(first.before, before), _add(after, second.after)
        if outer_before is not None and outer_after is not None:
            return _Turn(outer_before, turn, outer_after, sources)
    return None


def _add(left: Angle, right: Angle) -> Angle | None:
    """Return the sum where it is affine in one parameter or adds a plain number, else None."""
    if isinstance(left, float) and isinstance(right, float):
        return left + right
    if isinstance(left, float) and left == 0:
        return right
    if isinstance(right, float) and right == 0:
        return left
    total: Expression = left + right  # type: ignore[assignment]  # at least one is an Expression
    return total if total.affine() is not None else None


def _three_turns(first: float, between: float, second: float) -> tuple[float, float, float]:
    """Return RY(first), RZ(between), RY(second) as RZ, RY, RZ angles, up to a phase.

    In the matrix of RZ(c) RY(b) RZ(a), both half-angle factors taken positive, entry 10 over entry 00 has the phase c
    and minus entry 01 over entry 00 has the phase a.
    """
    product = matrix("ry", (second,)) @ matrix("rz", (between,)) @ matrix("ry", (first,))
    (u00, u01), (u10, u11) = product.tolist()
    turn = 2 * math.atan2(abs(u10), abs(u00))
    if abs(u00) < abs(u10) * 1e-12:
        return 0.0, turn, cmath.phase(-u10 / u01)
    if abs(u10) < abs(u00) * 1e-12:
        return cmath.phase(u11 / u00), turn, 0.0
    return cmath.phase(-u01 / u00), turn, cmath.phase(u10 / u00)


def _flush(turn: _Turn | None, qubit: int) -> list[Operation]:
    """Return what waited on a qubit as operations; a lone gate as itself, since its own kernel is the fastest."""
    if turn is None:
        return []
    if len(turn.sources) == 1:
        return list(turn.sources)
    if turn.turn is None:
        return [] if turn.before == 0 else [Operation("rz", (qubit,), (turn.before,))]
    if turn.before == 0 and turn.after == 0:
        return [Operation("ry", (qubit,), (turn.turn,))]
    return [Operation("rot", (qubit,), (turn.before, turn.turn, turn.after))]
