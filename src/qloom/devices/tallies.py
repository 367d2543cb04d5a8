"""Counts of keys that come in parts: a run of many shots takes memory for the keys that were seen, not for the shots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qloom.devices.engines import over_limit, spelled
from qloom.errors import Unsupported

if TYPE_CHECKING:
    from qloom.results import IntArray, KeyArray

ALONE_BYTES = 32
"""What a distinct key of a single part takes at the most: itself, its count, and both once more in the result."""
MERGED_BYTES = 192
"""What a distinct key takes at the most where parts are merged: as many new ones beside it, and sorting both."""
WAITING = 1 << 16
"""So many keys wait to be merged at least, so that few merges are made of small parts."""


class Tally:
    """Keys of up to 64 bits and how often each was seen.

    >>> tally = Tally()
    >>> for part in ([0, 3], [1, 3]):
    ...     tally.add(np.array(part, dtype=np.uint64), np.array([5, 7]))
    >>> [row.tolist() for row in tally.table()]
    [[0, 1, 3], [5, 5, 14]]
    """

    def __init__(self) -> None:
        self._parts: list[tuple[KeyArray, IntArray]] = []
        self._kept = self._waiting = 0

    def add(self, keys: KeyArray, counts: IntArray) -> None:
        """Add a part: distinct ascending keys, and how often each was seen."""
        self._parts.append((keys, counts))
        self._waiting += len(keys)
        if self._waiting >= self._kept + max(self._kept, WAITING):
            self._merge()

    def table(self) -> tuple[KeyArray, IntArray]:
        """Return the distinct keys, ascending, and how often each was seen in all."""
        self._merge()
        return self._parts[0] if self._parts else (np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64))

    def _merge(self) -> None:
        if len(self._parts) > 1:
            keys, places = np.unique(np.concatenate([part for part, _ in self._parts]), return_inverse=True)
            counts = np.zeros(len(keys), dtype=np.int64)
            np.add.at(counts, places, np.concatenate([part for _, part in self._parts]))
            self._parts = [(keys, counts)]
        self._kept = self._waiting = sum(len(part) for part, _ in self._parts)


def require_drawing(engine: str, shots: int, length: int, *, each: int, rows: int, buffers: int, limit: int | None) -> None:
    """Refuse shots whose result does not fit into memory, before they are drawn.

    Args:
        engine: who draws, for the message.
        shots, length: how many, of how many bits.
        each: bytes of a row of the result.
        rows: how many rows there may be, at most as many as shots.
        buffers: bytes beside them.
        limit: in bytes; None for 80 % of what is available now.

    Raises:
        Unsupported: they take more than the limit; both are named.

    >>> require_drawing("stim", 1000, 60, each=32, rows=1000, buffers=100, limit=20_000)
    Traceback (most recent call last):
    qloom.errors.Unsupported: stim cannot draw this: 1000 shots of 60 bits need 32100 bytes, the limit is 20000 bytes ...
    """
    need = each * rows + buffers
    over = over_limit(need, limit)
    if over is not None:
        raise Unsupported(
            f"{engine} cannot draw this: {shots} shots of {length} bits need {spelled(need)} bytes, {over}; "
            f"ask for at most {max(0, over.limit - buffers) // each} shots at a time"
        )
