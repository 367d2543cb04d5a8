"""From the circuit form to the gates that each of Aer's methods has.

A state vector in Aer takes controls in any number; density matrices and matrix product states take one or two, so the rest is
written out: controls go to one multiply controlled X, which Qiskit writes out.
"""

from __future__ import annotations

from functools import cache
from math import pi
from typing import TYPE_CHECKING

from qloom.devices.lowering import Operation, lower_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qloom.circuits import Angle, Instruction

WHOLE = frozenset({"u", "r", "rzx", "ecr"})
"""Gates that every method has as they are, though `lower_step` takes them apart."""

_FEW = {"x": ("cx", "ccx"), "y": ("cy",), "z": ("cz",), "p": ("cp",)}
CONTROLLED: dict[str, dict[str, tuple[str, ...]]] = {
    "statevector": {
        "x": ("cx", "ccx", "mcx"),
        "y": ("cy", "mcy"),
        "z": ("cz", "ccz", "mcz"),
        "p": ("cp", "mcphase"),
        "rx": ("crx", "mcrx"),
        "ry": ("cry", "mcry"),
        "rz": ("crz", "mcrz"),
        "sx": ("csx", "mcsx"),
        "swap": ("cswap", "mcswap"),
    },
    "density_matrix": _FEW,
    "matrix_product_state": {**_FEW, "sx": ("csx",), "swap": ("cswap",)},
}
"""Method -> operation -> Aer's names under one control, two controls, and so on; a name with `mc` serves for more."""


def native_name(method: str, step: Operation) -> str | None:
    """Return Aer's name for an operation; None where the method has none.

    >>> native_name("statevector", Operation("x", (5,), (), (0, 1, 2, 3))), native_name("density_matrix", Operation("x", (3,)))
    ('mcx', 'x')
    >>> native_name("density_matrix", Operation("ry", (1,), (0.5,), (0,))) is None
    True
    """
    if step.name == "xy":
        return None
    if not step.controls:
        return step.name + "dg" * step.inverse
    names = CONTROLLED[method].get(step.name)
    if names is None or step.inverse:
        return None
    if len(step.controls) <= len(names):
        return names[len(step.controls) - 1]
    return names[-1] if names[-1].startswith("mc") else None


def natively(method: str, step: Instruction) -> Iterator[tuple[str, Operation]]:
    """Yield a gate as operations of a method, in time order, each with Aer's name for it.

    >>> from qloom.circuits import Circuit
    >>> [name for name, _ in natively("statevector", Circuit(3).gate("ry", 0, 1, 2, angles=[0.5], controls=2).instructions[0])]
    ['mcry']
    >>> [name for name, _ in natively("density_matrix", Circuit(2).gate("ry", 0, 1, angles=[0.5], controls=1).instructions[0])]
    ['ry', 'cx', 'ry', 'cx']
    """
    if step.name in WHOLE and not step.controls:
        yield step.name, Operation(step.name, step.qubits, step.parameters)
        return
    for operation in lower_step(step):
        yield from _expand(method, operation)


def _expand(method: str, step: Operation) -> Iterator[tuple[str, Operation]]:
    name = native_name(method, step)
    if name is not None:
        yield name, step
        return
    for part in _RULES[step.name](step):
        yield from _expand(method, part)


def _plain(name: str, qubit: int, *angles: Angle) -> Operation:
    return Operation(name, (qubit,), angles)


def _x(step: Operation) -> list[Operation]:
    """A multiply controlled X in gates on one and two qubits."""
    qubits = (*step.controls, *step.targets)
    return [
        Operation(part.name, tuple(qubits[q] for q in part.targets), part.angles, tuple(qubits[q] for q in part.controls))
        for part in _written_out(len(step.controls))
    ]


@cache
def _written_out(controls: int) -> tuple[Operation, ...]:
    """Return X on the qubit behind so many controls; linear in them, without further qubits.

    Source: Qiskit's `synth_mcx_noaux_hp24` (https://quantum.cloud.ibm.com/docs/api/qiskit/synthesis).
    """
    from qiskit import transpile
    from qiskit.synthesis import synth_mcx_noaux_hp24

    written = transpile(synth_mcx_noaux_hp24(controls), basis_gates=["p", "h", "cx"], optimization_level=0)
    place = {qubit: index for index, qubit in enumerate(written.qubits)}
    found = []
    for part in written.data:
        *before, target = (place[qubit] for qubit in part.qubits)
        found.append(Operation(part.name.removeprefix("c"), (target,), tuple(map(float, part.params)), tuple(before)))
    return tuple(found)


def _conjugated(before: str, inner: Operation, after: str) -> list[Operation]:
    target = inner.targets[0]
    return [_plain(before, target), inner, _plain(after, target)]


def _h(step: Operation) -> list[Operation]:
    """H is Z, turned about Y by 45 degrees."""
    target = step.targets[0]
    return [_plain("ry", target, -pi / 4), step._replace(name="z"), _plain("ry", target, pi / 4)]


def _quarter(step: Operation) -> list[Operation]:
    angle = pi / 2 if step.name == "s" else pi / 4
    return [Operation("p", step.targets, (-angle if step.inverse else angle,), step.controls)]


def _sx(step: Operation) -> list[Operation]:
    """The root of X is H S H."""
    return _conjugated("h", Operation("p", step.targets, (-pi / 2 if step.inverse else pi / 2,), step.controls), "h")


def _rotation(step: Operation) -> list[Operation]:
    """RY and RZ: X turns the second half of the angle round, where the controls are 1."""
    target, half = step.targets[0], step.angles[0] / 2
    flip = Operation("x", step.targets, (), step.controls)
    return [_plain(step.name, target, half), flip, _plain(step.name, target, -half), flip]


def _p(step: Operation) -> list[Operation]:
    """A phase is RZ, and half of it as a phase of the controls."""
    *others, last = step.controls
    rest = Operation("p", (last,), (step.angles[0] / 2,), tuple(others))
    return [step._replace(name="rz"), rest]


def _swap(step: Operation) -> list[Operation]:
    first, second = step.targets
    around = Operation("x", (first,), (), (second,))
    return [around, Operation("x", (second,), (), (*step.controls, first)), around]


def _rzz(step: Operation) -> list[Operation]:
    first, second = step.targets
    around = Operation("x", (second,), (), (first,))
    return [around, Operation("rz", (second,), step.angles, step.controls), around]


def _turned(turn: str, *angle: float) -> Callable[[Operation], list[Operation]]:
    """RXX and RYY are RZZ between turns of both qubits, which need no controls."""

    def rule(step: Operation) -> list[Operation]:
        before = [_plain(turn, qubit, *angle) for qubit in step.targets]
        after = [_plain(turn, qubit, *(-value for value in angle)) for qubit in step.targets]
        return [*before, step._replace(name="rzz"), *after]

    return rule


def _xy(step: Operation) -> list[Operation]:
    angles = (-step.angles[0] / 2,)
    return [step._replace(name=name, angles=angles) for name in ("rxx", "ryy")]


_RULES: dict[str, Callable[[Operation], list[Operation]]] = {
    "x": _x,
    "y": lambda step: _conjugated("sdg", step._replace(name="x"), "s"),
    "z": lambda step: _conjugated("h", step._replace(name="x"), "h"),
    "h": _h,
    "s": _quarter,
    "t": _quarter,
    "sx": _sx,
    "rx": lambda step: _conjugated("h", step._replace(name="rz"), "h"),
    "ry": _rotation,
    "rz": _rotation,
    "p": _p,
    "swap": _swap,
    "rzz": _rzz,
    "rxx": _turned("h"),
    "ryy": _turned("rx", pi / 2),
    "xy": _xy,
}
