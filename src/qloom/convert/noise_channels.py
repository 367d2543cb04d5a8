"""Which of the circuit form's channels a given superoperator is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qloom.circuits.gates import kraus_parameters
from qloom.noise import ErrorChannel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    RealMatrix = npt.NDArray[np.float64]
    ComplexMatrix = npt.NDArray[np.complex128]

_SAME = 1e-12
"""Entries that differ by less are equal."""


def channels_of(transfer: RealMatrix, choi: ComplexMatrix) -> tuple[ErrorChannel, ...]:
    """Return channels, in order, that together are a given one on one or two qubits, by name where they have one.

    Args:
        transfer: its Pauli transfer matrix, Paulis in the order I, X, Y, Z; for two qubits the last qubit's Pauli comes first, as
            in Qiskit's `PTM`. Shape (4, 4) or (16, 16).
        choi: its Choi matrix as in Qiskit's `Choi`: column-stacking, the last qubit first. Shape as `transfer`.

    What acts on the two qubits apart becomes channels of each; what has no name becomes `kraus`.
    """
    import numpy as np

    if len(transfer) == 4:
        named = _named_one(transfer, 0)
        return _kraus(choi, (0,)) if named is None else named
    parts = transfer.reshape(4, 4, 4, 4)
    first, second = parts[0, :, 0, :], parts[:, 0, :, 0]
    if np.abs(np.kron(second, first) - transfer).max() < _SAME:
        left, right = _named_one(first, 0), _named_one(second, 1)
        if left is not None and right is not None:
            return left + right
    return _named_two(transfer) or _kraus(choi, (0, 1))


def _named_one(transfer: RealMatrix, place: int) -> tuple[ErrorChannel, ...] | None:
    import numpy as np

    scale, shift = np.diag(transfer), float(transfer[3, 0])
    rest = transfer - np.diag(scale)
    rest[3, 0] = 0
    if np.abs(rest).max() > _SAME:
        return None
    x, y, z = (float(value) for value in scale[1:])
    if abs(shift) > _SAME:
        return _relaxation(x, z, shift, place) if abs(x - y) < _SAME else None
    return _pauli(((1 + x - y - z) / 4, (1 - x + y - z) / 4, (1 - x - y + z) / 4), place)


def _pauli(given: tuple[float, float, float], place: int) -> tuple[ErrorChannel, ...]:
    px, py, pz = (value if value > _SAME else 0.0 for value in given)
    if not px + py + pz:
        return ()
    if max(px, py, pz) - min(px, py, pz) < _SAME:
        return (ErrorChannel("depolarizing", (min(px + py + pz, 1.0),), (place,)),)
    if not py + pz:
        return (ErrorChannel("bit_flip", (min(px, 1.0),), (place,)),)
    if not px + py:
        return (ErrorChannel("phase_flip", (min(pz, 1.0),), (place,)),)
    return (ErrorChannel("pauli_channel", (px, py, pz), (place,)),)


def _relaxation(coherence: float, energy: float, shift: float, place: int) -> tuple[ErrorChannel, ...] | None:
    """Return energy decay and loss of coherence, where they are what shrinks x and y, z, and moves z."""
    gamma = 1 - energy
    excited = (1 - shift / gamma) / 2 if gamma else -1.0
    if not (gamma <= 1 + _SAME and -_SAME <= excited <= 1 + _SAME and -_SAME <= coherence <= math.sqrt(max(energy, 0)) + _SAME):
        return None
    gamma, excited = min(gamma, 1.0), min(max(excited, 0.0), 1.0)
    if excited > _SAME:
        damping = ErrorChannel("generalized_amplitude_damping", (gamma, 1 - excited), (place,))
    else:
        damping = ErrorChannel("amplitude_damping", (gamma,), (place,))
    lost = 1 - coherence**2 / energy if energy > 0 else 0.0
    return (damping, ErrorChannel("phase_damping", (lost,), (place,))) if lost > _SAME else (damping,)


def _named_two(transfer: RealMatrix) -> tuple[ErrorChannel, ...]:
    """Return the named channels of two qubits together; empty where it is none of them."""
    import numpy as np

    scale = np.diag(transfer)
    if np.abs(transfer - np.diag(scale)).max() > _SAME:
        return ()
    if np.ptp(scale[1:]) < _SAME:
        return (ErrorChannel("two_qubit_depolarizing", (float((1 - scale[1:].mean()) * 15 / 16),), (0, 1)),)
    sign = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    probabilities = np.kron(sign, sign) @ scale / 16
    dephasing = probabilities[[3, 12, 15]]
    if np.ptp(dephasing) < _SAME and abs(dephasing.sum() + probabilities[0] - 1) < _SAME:
        return (ErrorChannel("two_qubit_dephasing", (float(dephasing.sum()),), (0, 1)),)
    return ()


def _kraus(choi: ComplexMatrix, on: tuple[int, ...]) -> tuple[ErrorChannel, ...]:
    import numpy as np

    size = 1 << len(on)
    weights, vectors = np.linalg.eigh((choi + choi.conj().T) / 2)
    # Weights of nothing but rounding are dropped: far below what completeness is checked to.
    operators = [
        math.sqrt(weight) * vector.reshape(size, size).T
        for weight, vector in zip(weights, vectors.T, strict=True)
        if weight > 1e-14
    ]
    if len(on) == 2:  # the last qubit first there, the first qubit first here
        operators = [matrix.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4) for matrix in operators]
    return (ErrorChannel("kraus", kraus_parameters(operators), on),)
