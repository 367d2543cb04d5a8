"""A circuit's measured bits as a map of keys, worked out once and used at every run; its angles stand in an `AngleTable`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qloom.kit.angle_table import AngleTable

if TYPE_CHECKING:
    from qloom.circuits import Circuit
    from qloom.results import IntArray, KeyArray

__all__ = ["AngleTable", "KeyMap"]


class KeyMap:
    """From basis states to keys of classical bits.

    A basis state's number has qubit 0 most significant, a key classical bit 0; bits that nothing is measured into are 0.

    Attributes:
        length: how many characters a key has.
        identity: True where a basis state's number is its key.
    """

    def __init__(self, circuit: Circuit) -> None:
        bits = circuit.measured()
        qubits = circuit.num_qubits
        self.length = circuit.key_length
        self.identity = self.length == qubits and all(bits.get(bit) == bit for bit in range(qubits))
        self._moves = [(np.uint64(qubits - 1 - qubit), np.uint64(self.length - 1 - bit)) for bit, qubit in bits.items()]

    def apply(self, states: KeyArray, counts: IntArray) -> tuple[KeyArray, IntArray]:
        """Return distinct ascending keys with their counts, from distinct basis states with theirs."""
        keys = np.zeros_like(states)
        for origin, target in self._moves:
            keys |= ((states >> origin) & np.uint64(1)) << target
        order = keys.argsort(kind="stable")
        keys, counts = keys[order], counts[order]
        first = np.empty(len(keys), dtype=bool)
        first[:1] = True
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        starts = first.nonzero()[0]
        return keys[starts], np.add.reduceat(counts, starts)
