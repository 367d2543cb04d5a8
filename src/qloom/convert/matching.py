"""Recognising, in a gate that a text defines, the standard gate it spells out."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from qloom.circuits import Expression
from qloom.circuits.gates import ALIASES, GATES, controlled, matrix
from qloom.convert.calls import Meaning

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from qloom.circuits import Instruction

    ComplexArray = npt.NDArray[np.complex128]

# Angles without a pattern: formulas that agree at all of these, several turns apart, agree.
_PROBES = (
    (0.7310585, -1.9287421, 2.2360679, 0.3183098),
    (-4.1231056, 5.8309518, -0.8414709, 3.6055512),
    (9.86, -7.38, 11.1, 8.53),
)
_TOLERANCE = 1e-9
_MAX_BODY = 100


def standard(name: str, defined: Meaning) -> Meaning:
    """Return the standard gate of that name where the definition has exactly its matrix, else the definition itself.

    Writers define gates that `stdgates.inc` lacks (`gate rzz(p0) a, b { cx a, b; rz(p0) b; cx a, b; }`). Taken for what it is,
    such a gate runs as one, and a circuit that was written to text reads back equal.
    """
    known = GATES.get(ALIASES.get(name, name))
    if known is None or (known.num_parameters, known.num_qubits) != (defined.num_parameters, defined.num_qubits):
        return defined
    if len(defined.body) > _MAX_BODY or any(step.name not in GATES for step in defined.body):
        return defined
    return Meaning(known.num_parameters, known.num_qubits, known.name) if _is_gate(known.name, defined) else defined


@lru_cache(maxsize=256)
def _is_gate(name: str, defined: Meaning) -> bool:
    return all(_agree(name, defined, probe[: defined.num_parameters]) for probe in _PROBES)


def _agree(name: str, defined: Meaning, angles: tuple[float, ...]) -> bool:
    import numpy as np

    return bool(
        np.abs(unitary(defined.apply(angles, range(defined.num_qubits)), defined.num_qubits) - matrix(name, angles)).max()
        < _TOLERANCE
    )


def unitary(steps: tuple[Instruction, ...], num_qubits: int) -> ComplexArray:
    """Return the matrix of a few gates, shape (2**n, 2**n), qubit 0 most significant; angles are numbers."""
    import numpy as np

    full = np.eye(1 << num_qubits, dtype=np.complex128)
    for step in steps:
        angles = [angle.evaluate({}) if isinstance(angle, Expression) else angle for angle in step.parameters]
        full = _applied(controlled(matrix(step.name, angles), step.controls), step.qubits, full, num_qubits)
    return full


def _applied(gate: ComplexArray, qubits: tuple[int, ...], full: ComplexArray, num_qubits: int) -> ComplexArray:
    import numpy as np

    count = len(qubits)
    tensor = np.tensordot(
        gate.reshape((2,) * (2 * count)), full.reshape((2,) * num_qubits + (-1,)), axes=(range(count, 2 * count), qubits)
    )
    return np.asarray(np.moveaxis(tensor, range(count), qubits).reshape(full.shape), dtype=np.complex128)
