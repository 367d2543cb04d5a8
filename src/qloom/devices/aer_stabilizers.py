"""From the circuit form to what Aer's stabilizer method has: a few Clifford gates, and no channels.

A mixture of Paulis is written with what Aer has for readout errors: two bits for each qubit are set, whatever they were, with
the probabilities of the Paulis, the first of them says whether an X acts on the qubit, the second whether a Z does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from qloom.devices.clifford import mixture, moves, probabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qloom.circuits import Instruction

NAMES = {
    "X": "x",
    "Y": "y",
    "Z": "z",
    "H": "h",
    "S": "s",
    "S_DAG": "sdg",
    "SQRT_X": "sx",
    "SQRT_X_DAG": "sxdg",
    "CX": "cx",
    "CY": "cy",
    "CZ": "cz",
    "SWAP": "swap",
}
"""stim's name -> Aer's, https://qiskit.github.io/qiskit-aer/stubs/qiskit_aer.AerSimulator.html; the rest is written out."""

COINS = 4
"""Bits that are set anew for each channel: two for each of its qubits, of which it has two at most."""
PAULIS = {"I": 0, "X": 1, "Y": 3, "Z": 2}
"""Bit 0: there is an X; bit 1: there is a Z."""


def clifford_gates(step: Instruction) -> Iterator[tuple[str, list[int]]]:
    """Yield a Clifford gate as gates of Aer's stabilizer method, in time order.

    >>> from qloom.circuits import Circuit
    >>> list(clifford_gates(Circuit(2).gate("iswap", 1, 0).instructions[0]))[0]
    ('h', [1])
    """
    for name, targets in moves(step) or ():
        for part, places in _written_out(name, len(targets)):
            yield part, [step.qubits[targets[place]] for place in places]


@lru_cache(maxsize=128)
def _written_out(name: str, qubits: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return one of stim's gates in gates that Aer has; in H, S and CX where it has no name there."""
    import stim

    places = tuple(range(qubits))
    if name in NAMES:
        return ((NAMES[name], places),)
    parts = stim.Circuit(f"{name} {' '.join(map(str, places))}").decomposed()
    return tuple((NAMES[part.name], tuple(place.value for place in group)) for part in parts for group in part.target_groups())


def coin_table(step: Instruction) -> list[list[float]]:
    """Return the table of a readout error that draws the Pauli of a channel: equal rows, so that what was there is forgotten.

    Args:
        step: a mixture of Paulis on k qubits.

    Returns:
        Shape (4**k, 4**k): column c is drawn, bits 0 and 1 of c for the step's first qubit, 2 and 3 for its second.

    >>> from qloom.circuits import Circuit
    >>> coin_table(Circuit(1).channel("bit_flip", 0, probabilities=[0.25]).instructions[0])[3]
    [0.75, 0.25, 0.0, 0.0]
    """
    found = mixture(step)
    if found is None:
        raise ValueError(f"{step.name} is no mixture of Paulis")
    row = np.zeros(4 ** len(step.qubits))
    letters = list(PAULIS.values())
    places = letters if len(step.qubits) == 1 else [first + 4 * second for first in letters for second in letters]
    row[places[1:]] = probabilities(*found)
    row[0] = max(0.0, 1.0 - row.sum())
    row /= row.sum()
    return [row.tolist()] * len(row)
