"""Quasi-probabilities: what a stage that inverts errors makes of counts; some may be below 0."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    KeyArray = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class QuasiTable:
    """Keys and their quasi-probabilities, for all items of a result, item after item.

    Attributes:
        keys: distinct and ascending inside an item, uint64; classical bit 0 is the most significant.
        weights: of each key; the sum is 1 in an item.
        splits: item i owns the slice `splits[i]:splits[i+1]`.
    """

    keys: KeyArray
    weights: FloatArray
    splits: tuple[int, ...]

    def item(self, index: int) -> QuasiTable:
        """Return the table of one item."""
        start, end = self.splits[index], self.splits[index + 1]
        return QuasiTable(self.keys[start:end], self.weights[start:end], (0, end - start))

    def texts(self, index: int, width: int) -> dict[str, float]:
        """Return key -> quasi-probability of one item, keys ascending.

        >>> import numpy as np
        >>> QuasiTable(np.array([0, 2], np.uint64), np.array([1.25, -0.25]), (0, 2)).texts(0, 2)
        {'00': 1.25, '10': -0.25}
        """
        one = self.item(index)
        names = (f"{key:0{width}b}" if width else "" for key in one.keys.tolist())
        return dict(zip(names, one.weights.tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        """Whether all numbers are the same."""
        if not isinstance(other, QuasiTable):
            return False
        pairs = ((self.keys, other.keys), (self.weights, other.weights))
        return self.splits == other.splits and all(bool((one == two).all()) for one, two in pairs)

    __hash__ = None  # type: ignore[assignment]  # compared by content, so not a key


def quasi_document(table: QuasiTable, widths: Sequence[int]) -> list[dict[str, float]]:
    """Return the items as JSON."""
    return [table.texts(index, width) for index, width in enumerate(widths)]


def quasi_table(items: Sequence[Mapping[str, Any]], widths: Sequence[int]) -> QuasiTable:
    """Return the table of a document.

    Raises:
        ValueError: a key has another length, or a weight is no number.
    """
    import numpy as np

    for item, width in zip(items, widths, strict=True):
        if any(len(key) != width or set(key) - set("01") for key in item):
            raise ValueError(f"a key of quasi-probabilities has not {width} bits")
        if any(type(weight) not in (int, float) for weight in item.values()):
            raise ValueError("a quasi-probability is no number")
    keys = [int(key, 2) if key else 0 for item in items for key in item]
    weights = [float(weight) for item in items for weight in item.values()]
    return QuasiTable(np.array(keys, np.uint64), np.array(weights), (0, *accumulate(map(len, items))))


def pack_quasi(table: QuasiTable) -> list[Any]:
    """Return the table as bytes, little-endian, and a list."""
    return [table.keys.astype("<u8").tobytes(), table.weights.astype("<f8").tobytes(), list(table.splits)]


def unpack_quasi(keys: bytes, weights: bytes, splits: Sequence[int]) -> QuasiTable:
    """Return the table that `pack_quasi` wrote."""
    import numpy as np

    return QuasiTable(np.frombuffer(keys, "<u8"), np.frombuffer(weights, "<f8"), tuple(splits))
