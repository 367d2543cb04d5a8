"""Circuits as Mitiq works on them, Cirq's, and back, without loss: gates are carried as they are, formulas of angles and all."""

from __future__ import annotations

import math
import random
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from qloom.circuits import Circuit, Expression, Instruction
from qloom.circuits.algebra import inverse
from qloom.circuits.gates import controlled, matrix
from qloom.errors import MissingExtra, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

TURNS = {"t": math.pi / 4, "tdg": -math.pi / 4}
"""Gates that are phases by a fixed angle (rad) and no Clifford gates."""


def require_mitiq() -> str:
    """Import Mitiq, and return its version.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import mitiq
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"the stage mitiq needs Mitiq (licence GPL-3.0), which is not installed ({error}); `pip install 'qloom[mitiq]'`"
        ) from error
    return str(mitiq.__version__)


def to_cirq(circuit: Circuit, who: str, *, turns: bool = False) -> Any:
    """Return a circuit as Cirq's: qubit i is `LineQubit(i)`, parameters stay symbolic.

    Verbatim blocks are opened. Barriers and global phases are left out: what comes of the circuit runs verbatim, and nothing can
    tell a global phase.

    Args:
        circuit: of gates.
        who: the stage, for errors.
        turns: write `rz`, `p`, `t` and `tdg` as Cirq's own gates, angles from -pi to pi.

    Raises:
        Unsupported: an instruction that is no gate.
    """
    import cirq

    kind = _gate_type()
    made = cirq.Circuit()
    for step in circuit.flat():
        if step.name == "barrier" or (step.kind == "gate" and not step.qubits):
            continue
        if step.kind != "gate":
            raise Unsupported(
                f"{who} takes circuits of gates only, and this one holds, on qubits {list(step.qubits)}, the instruction"
                f" {step.name}; leave it or the stage out"
            )
        own = _own_gate(step) if turns else None
        gate = cirq.I if step.name == "id" and not step.controls else own or kind(step)
        made.append(gate.on(*(cirq.LineQubit(qubit) for qubit in step.qubits)))
    if not made:
        raise Unsupported(f"{who} has nothing to do: the circuit has no gates; leave the stage out")
    return made


def from_cirq(found: Any, source: Circuit, who: str, num_qubits: int | None = None) -> Circuit:
    """Return what Mitiq made of `to_cirq(source)`, with the source's parameters in their order.

    Args:
        found: the Cirq circuit; measurements are left out.
        source: the circuit it was made of.
        who: the stage, for errors.
        num_qubits: of the result; the source's if None.

    Raises:
        Unsupported: a gate that is neither the source's nor one that Mitiq's techniques insert.
    """
    import cirq

    steps: list[Instruction] = []
    for operation in found.all_operations():
        if not cirq.is_measurement(operation):
            steps += _read(operation.gate, tuple(qubit.x for qubit in operation.qubits), who)
    size = source.num_qubits if num_qubits is None else num_qubits
    return Circuit.trusted(size, tuple(steps), 0, source.parameters, source.name)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Set the global generators of Python and NumPy, which Mitiq draws from here and there, and set them back afterwards."""
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  it is the old one that Mitiq draws from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  the same
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002  the same


def _read(gate: Any, qubits: tuple[int, ...], who: str) -> list[Instruction]:
    import cirq

    if isinstance(gate, _Carried):
        return [gate.step._replace(qubits=qubits)]
    for own, name in ((cirq.I, "id"), (cirq.X, "x"), (cirq.Y, "y"), (cirq.Z, "z")):
        if gate == own:
            return [Instruction(name, qubits)]
    if isinstance(gate, cirq.ZPowGate) and gate.global_shift in (-0.5, 0):
        return [Instruction("rz" if gate.global_shift else "p", qubits, (float(gate.exponent) * math.pi,))]
    if isinstance(gate, cirq.MatrixGate) and _mixes(gate):
        first, second = qubits
        return [
            Instruction("cx", (first, second)),
            Instruction("ch", (second, first)),
            Instruction("cx", (first, second)),
        ]
    raise Unsupported(f"{who}: Mitiq put the gate {gate!r} into the circuit, which is not known here; leave the stage out")


def _mixes(gate: Any) -> bool:
    """Return whether it is the Hadamard gate on |01> and |10>, with which virtual distillation ends."""
    import cirq
    import numpy as np

    half = math.sqrt(0.5)
    wanted = np.array([[1, 0, 0, 0], [0, half, half, 0], [0, half, -half, 0], [0, 0, 0, 1]])
    found = cirq.unitary(gate)
    return found.shape == wanted.shape and bool(np.allclose(found, wanted))


def _own_gate(step: Instruction) -> Any:
    """Return a turn about Z as Cirq's gate; None for others."""
    import cirq

    if step.controls or step.name not in {"rz", "p", *TURNS}:
        return None
    angle = TURNS[step.name] if step.name in TURNS else step.parameters[0]
    if isinstance(angle, Expression):
        return None
    turn = math.remainder(angle, 2 * math.pi)
    return cirq.rz(turn) if step.name == "rz" else cirq.ZPowGate(exponent=turn / math.pi)


class _Carried:
    """One of our gates, as Cirq sees it: its inverse, what it equals, and its matrix where it is all numbers."""

    def __init__(self, step: Instruction) -> None:
        self.step = step._replace(qubits=tuple(range(len(step.qubits))))

    def _num_qubits_(self) -> int:
        return len(self.step.qubits)

    def _has_unitary_(self) -> bool:
        return not any(isinstance(angle, Expression) for angle in self.step.parameters)

    def _unitary_(self) -> Any:
        if not self._has_unitary_():
            return NotImplemented
        unitary = matrix(self.step.name, [float(angle) for angle in self.step.parameters if not isinstance(angle, Expression)])
        return controlled(unitary, self.step.controls) if self.step.controls else unitary

    def __pow__(self, exponent: Any) -> Any:
        if exponent == 1:
            return self
        return type(self)(inverse(self.step)) if exponent == -1 else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Carried) and self.step == other.step

    def __hash__(self) -> int:
        return hash(self.step)

    def __deepcopy__(self, memo: Any) -> _Carried:
        return self

    def __repr__(self) -> str:
        return f"{self.step.name}({', '.join(map(str, self.step.parameters))})"


@cache
def _gate_type() -> type[Any]:
    """Return the Cirq gate that carries one of our instructions."""
    import cirq

    class CarriedGate(_Carried, cirq.Gate):
        """One of our gates."""

    return CarriedGate
