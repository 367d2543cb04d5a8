"""Noise channels as matrices: Kraus operators of each, and the one matrix that acts on a density matrix."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from qloom.circuits.gates import kraus_operators, matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits.gates import ComplexArray

_ONE = np.eye(2, dtype=np.complex128)
_PAULIS = {"I": _ONE, "X": matrix("x"), "Y": matrix("y"), "Z": matrix("z")}
_TWO_QUBIT = tuple(first + second for first, second in product("IXYZ", repeat=2) if first + second != "II")


def operators(name: str, parameters: Sequence[float], num_qubits: int) -> ComplexArray:
    """Return the Kraus operators of a channel.

    Args:
        name: a name in `CHANNELS`.
        parameters: its probabilities; for `kraus` the entries of its operators.
        num_qubits: how many qubits it acts on, k.

    Returns:
        Shape (operators, 2**k, 2**k), first qubit most significant; operators that never act are left out.

    Source: the documentation of Amazon Braket's noise channels, for what each probability means
    (https://docs.aws.amazon.com/braket/latest/developerguide/braket-openqasm-noise-simulation.html).

    >>> operators("bit_flip", [0.36], 1).real.tolist()
    [[[0.8, 0.0], [0.0, 0.8]], [[0.0, 0.6], [0.6, 0.0]]]
    """
    found = kraus_operators(parameters, num_qubits) if name == "kraus" else np.array(_CHANNELS[name](*parameters))
    acting: ComplexArray = found[np.abs(found).max(axis=(1, 2)) > 0]
    return acting


def superoperator(kraus: ComplexArray) -> ComplexArray:
    """Return the matrix of a channel on density matrices whose columns are stacked, shape (4**k, 4**k).

    >>> superoperator(operators("phase_flip", [0.5], 1)).real.round(12).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    total: ComplexArray = np.sum([np.kron(operator.conj(), operator) for operator in kraus], axis=0)
    return total


def _mixture(weights: dict[str, float]) -> list[ComplexArray]:
    """Return a mixture of Pauli strings; the identity has what is left of 1."""
    rest = max(0.0, 1.0 - sum(weights.values()))
    size = len(next(iter(weights)))
    return [np.sqrt(weight) * _string(text) for text, weight in {"I" * size: rest, **weights}.items()]


def _string(text: str) -> ComplexArray:
    found: ComplexArray = _PAULIS[text[0]]
    for letter in text[1:]:
        found = np.asarray(np.kron(found, _PAULIS[letter]), dtype=np.complex128)
    return found


def _damping(gamma: float, stays: float = 1.0) -> list[ComplexArray]:
    """Amplitude damping towards a mixture that has |0> with this probability."""
    kept, lost = np.sqrt(1 - gamma), np.sqrt(gamma)
    down, up = np.sqrt(stays), np.sqrt(1 - stays)
    rows = [[[down, 0], [0, down * kept]], [[0, down * lost], [0, 0]], [[up * kept, 0], [0, up]], [[0, 0], [up * lost, 0]]]
    return [np.array(row, dtype=np.complex128) for row in rows]


_CHANNELS: dict[str, Callable[..., list[ComplexArray]]] = {
    "bit_flip": lambda p: _mixture({"X": p}),
    "phase_flip": lambda p: _mixture({"Z": p}),
    "depolarizing": lambda p: _mixture(dict.fromkeys("XYZ", p / 3)),
    "pauli_channel": lambda x, y, z: _mixture({"X": x, "Y": y, "Z": z}),
    "amplitude_damping": _damping,
    "generalized_amplitude_damping": _damping,
    "phase_damping": lambda p: [
        np.diag([1, np.sqrt(1 - p)]).astype(np.complex128),
        np.diag([0, np.sqrt(p)]).astype(np.complex128),
    ],
    "two_qubit_depolarizing": lambda p: _mixture(dict.fromkeys(_TWO_QUBIT, p / 15)),
    "two_qubit_dephasing": lambda p: _mixture(dict.fromkeys(("IZ", "ZI", "ZZ"), p / 3)),
}
