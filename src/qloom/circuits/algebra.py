"""Inverse, control and power of single instructions, exact in matrix, global phase included."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

from qloom.circuits.circuit import Instruction
from qloom.circuits.expressions import Angle, Expression
from qloom.circuits.gates import GATES, standard_controls
from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Sequence

UNCHANGED = frozenset({"barrier", "delay"})
"""What takes no part in a unitary and stands as it is in an inverse."""

SCALED = frozenset({"gphase", "rx", "ry", "rz", "p", "r", "rxx", "ryy", "rzz", "rzx"})
"""Gates whose k-th power has k times the (first) angle."""

# The gate is V p(angle) V†, with V given as the gates around it: name -> (before, angle, after).
_Around = tuple[tuple[str, tuple[float, ...]], ...]
_PHASES: dict[str, tuple[_Around, float, _Around]] = {
    "z": ((), pi, ()),
    "s": ((), pi / 2, ()),
    "sdg": ((), -pi / 2, ()),
    "t": ((), pi / 4, ()),
    "tdg": ((), -pi / 4, ()),
    "x": ((("h", ()),), pi, (("h", ()),)),
    "sx": ((("h", ()),), pi / 2, (("h", ()),)),
    "sxdg": ((("h", ()),), -pi / 2, (("h", ()),)),
    "y": ((("sdg", ()), ("h", ())), pi, (("h", ()), ("s", ()))),
    "h": ((("ry", (-pi / 4,)),), pi, (("ry", (pi / 4,)),)),
}
_HALF_POWERS = {("x", 0.5): "sx", ("x", -0.5): "sxdg", ("z", 0.5): "s", ("z", -0.5): "sdg", ("s", 0.5): "t", ("sdg", 0.5): "tdg"}


def negated(angle: Angle) -> Angle:
    """Return minus the angle; minus minus an angle is the angle itself.

    >>> negated(0.5), str(negated(negated(Expression(("parameter", "a")))))
    (-0.5, 'a')
    """
    if isinstance(angle, Expression) and angle.node[0] == "neg":
        return Expression(angle.node[1])
    return -angle


def inverse(step: Instruction) -> Instruction:
    """Return the instruction that undoes this one; barriers and delays stay as they are.

    Raises:
        InvalidCircuit: a measurement, reset or channel, which nothing undoes; an `if`, whose bits may have changed since.

    >>> inverse(Instruction("u", (0,), (0.1, 0.2, 0.3))).parameters, inverse(Instruction("s", (0,))).name
    ((-0.1, -0.3, -0.2), 'sdg')
    """
    if step.name in UNCHANGED:
        return step
    if step.name == "verbatim":
        return step._replace(body=inverse_sequence(step.body))
    if step.name == "if":
        bits = ", ".join(map(str, step.clbits))
        raise InvalidCircuit(
            f"an if on the classical bits {bits} has no inverse: what they held is not known backwards; invert what lies"
            " before and behind it"
        )
    if step.name not in GATES:
        raise InvalidCircuit(f"{step.name} has no inverse; only gates have one")
    return step._replace(name=GATES[step.name].inverse, parameters=_inverse_angles(step.name, step.parameters))


def inverse_sequence(steps: Sequence[Instruction]) -> tuple[Instruction, ...]:
    """Return the inverses of the steps, last step first."""
    return tuple(inverse(step) for step in reversed(steps))


def _inverse_angles(name: str, angles: tuple[Angle, ...]) -> tuple[Angle, ...]:
    if name in {"u", "cu"}:
        theta, phi, lam, *gamma = angles
        return tuple(negated(angle) for angle in (theta, lam, phi, *gamma))
    if name == "r":
        return (negated(angles[0]), angles[1])
    return tuple(negated(angle) for angle in angles)


def controlled(step: Instruction, controls: Sequence[int]) -> Instruction:
    """Return the gate under these control qubits, all of which must be |1>, by its standard name where there is one.

    Raises:
        InvalidCircuit: not a gate.

    >>> controlled(Instruction("x", (2,)), [0, 1]).name, controlled(Instruction("gphase", (), (0.5,)), [1]).name
    ('ccx', 'p')
    """
    if step.name == "barrier":
        return step
    if step.name not in GATES:
        article = "an " if step.name == "if" else ""
        raise InvalidCircuit(f"{article}{step.name} cannot be controlled; only gates can")
    name, extra = standard_controls(step.name, step.controls + len(controls))
    return step._replace(name=name, qubits=(*controls, *step.qubits), controls=extra)


def power(steps: Sequence[Instruction], exponent: float) -> tuple[Instruction, ...]:
    """Return the steps repeated `exponent` times; a fractional exponent means the principal power.

    Args:
        steps: gates, in order.
        exponent: any whole number; a fractional one for rotations, phases, Paulis, `h`, `s`, `t`, `sx`, and these under controls.

    Raises:
        InvalidCircuit: a fractional power of a gate that has none in the table.

    The power of a rotation by an angle a is the rotation by `exponent * a`.

    >>> [step.name for step in power([Instruction("h", (0,)), Instruction("s", (0,))], -1)]
    ['sdg', 'h']
    >>> power([Instruction("cx", (0, 1))], 0.5)[0].name, power([Instruction("rz", (0,), (0.2,))], 0.5)[0].parameters
    ('csx', (0.1,))
    """
    if len(steps) == 1 and steps[0].name in GATES:
        return _power_of_gate(steps[0], exponent)
    if exponent != int(exponent):
        names = ", ".join(step.name for step in steps[:4])
        raise InvalidCircuit(f"a fractional power, {exponent:g}, of a sequence of gates ({names}, ...) is not known")
    return tuple(steps) * int(exponent) if exponent >= 0 else inverse_sequence(steps) * int(-exponent)


def _power_of_gate(step: Instruction, exponent: float) -> tuple[Instruction, ...]:
    base = GATES[step.name].base
    if base in SCALED:
        first, *others = step.parameters
        return (step._replace(parameters=(exponent * first, *others)),)
    if exponent == int(exponent):
        own_inverse = GATES[step.name].inverse == step.name and not step.parameters
        times = int(exponent) % 2 if own_inverse else int(exponent)
        return (step,) * times if times >= 0 else (inverse(step),) * -times
    if base not in _PHASES:
        raise InvalidCircuit(
            f"a fractional power, {exponent:g}, of the gate {step.name!r} is not known; write the gate it stands for"
        )
    return _fractional_power(step, base, exponent)


def _fractional_power(step: Instruction, base: str, exponent: float) -> tuple[Instruction, ...]:
    controls, target = step.qubits[:-1], step.qubits[-1:]
    if half := _HALF_POWERS.get((base, exponent)):
        return (controlled(Instruction(half, target), controls),)
    before, angle, after = _PHASES[base]
    middle = controlled(Instruction("p", target, (exponent * angle,)), controls)
    # V p V† to a power is V p^k V†, and the controls need to hold only what lies between.
    return (*(Instruction(n, target, a) for n, a in before), middle, *(Instruction(n, target, a) for n, a in after))
