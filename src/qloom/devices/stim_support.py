"""Samples of a noiseless Clifford circuit whose measurements stand at its end: every outcome that can be is equally likely.

The outcomes are one of them, and what becomes of it when some of a few flips are done: an affine space over two elements (Dehaene
and De Moor, arXiv:quant-ph/0304125). So a shot is a number below 2**flips, drawn as our own sampler draws it, however many
shots there are and whichever release of stim is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qloom.devices.sampler import draw_evenly, even_drawing_bytes, seeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import stim

    from qloom.results import IntArray, KeyArray

MOST_FLIPS = 53
"""So that a uniform number in double precision tells all outcomes apart."""
BITS_AT_ONCE = 8
"""So many flips are done by one look into a table."""
KEY_BYTES = 64
"""What a key that was seen takes at most, while keys are made of numbers."""


class Support:
    """The outcomes that a circuit can have.

    Args:
        outcome: one of them, as a key.
        flips: keys; each of them turns outcomes into outcomes.

    >>> ghz = Support(0b000, [0b111])
    >>> ghz.draw(100, 1)[0].tolist(), ghz.flips
    ([0, 7], 1)
    """

    def __init__(self, outcome: int, flips: Iterable[int]) -> None:
        rows = _reduced(flips)
        for row in rows:
            outcome = min(outcome, outcome ^ row)
        self.flips = len(rows)
        self._start = np.uint64(outcome)
        self._tables = [_combined(rows[start : start + BITS_AT_ONCE]) for start in range(0, len(rows), BITS_AT_ONCE)]

    def bytes_for(self, shots: int) -> int:
        """Return about how many bytes drawing takes, with what is drawn."""
        return even_drawing_bytes(1 << self.flips, shots) + KEY_BYTES * min(shots, 1 << self.flips)

    def draw(self, shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        """Return the keys seen, distinct and ascending, and how often each was.

        A key's number has its flips as bits, and each flip's first bit is in no other one and not in the first outcome: so keys
        are in the order of their numbers.
        """
        numbers, counts = draw_evenly(seeded(seed), 1 << self.flips, shots)
        keys: KeyArray = np.full(len(numbers), self._start)
        mask = np.uint64((1 << BITS_AT_ONCE) - 1)
        for place, table in enumerate(self._tables):
            keys ^= table[(numbers >> np.uint64(BITS_AT_ONCE * place)) & mask]
        return keys, counts


def support(circuit: stim.Circuit, outcome: int, qubits: Sequence[int | None]) -> Support | None:
    """Return the outcomes of a circuit, or None where it is none of gates alone, or has too many.

    Args:
        circuit: without the measurements at its end.
        outcome: one of its outcomes, as a key.
        qubits: what is read at the end for each bit of a key, most significant first; None for 0.
    """
    try:
        tableau = circuit.to_tableau()
    except ValueError:  # noise, a measurement or a reset
        return None
    flipped = tableau.to_numpy()[2]  # row: the stabilizer that Z of a qubit becomes; column: whether it flips a qubit
    columns = [flipped[:, qubit] if qubit is not None and qubit < len(tableau) else None for qubit in qubits]
    flips = [0] * len(tableau)
    for bit, column in enumerate(columns):
        if column is not None:
            for row in column.nonzero()[0].tolist():
                flips[row] |= 1 << (len(qubits) - 1 - bit)
    found = Support(outcome, flips)
    return found if found.flips <= MOST_FLIPS else None


def _reduced(flips: Iterable[int]) -> list[int]:
    """Return flips that give the same space, ascending; the first bit of each is 0 in all others.

    >>> _reduced([0b110, 0b011, 0b101])
    [3, 5]
    """
    rows: list[int] = []
    for flip in flips:
        rest = flip
        for row in rows:
            rest = min(rest, rest ^ row)
        if rest:
            first = rest.bit_length() - 1
            rows = [*(row ^ rest if row >> first & 1 else row for row in rows), rest]
    return sorted(rows)


def _combined(rows: Sequence[int]) -> KeyArray:
    """Return what each selection of rows gives: entry k has row j where bit j of k is 1."""
    table = np.zeros(1, dtype=np.uint64)
    for row in rows:
        table = np.concatenate([table, table ^ np.uint64(row)])
    return table
