"""Measured keys: as words of 64 bits, as rows of packed bits, as text; and tables of them for many items."""

from __future__ import annotations

from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]
    KeyArray = npt.NDArray[np.uint64]
    RowArray = npt.NDArray[np.uint8]
    Keys = npt.NDArray[np.unsignedinteger[Any]]

IN_ORDER = -1
"""As a table's `order_seed`: its rows are the shots, in the order in which they were measured."""
WORD_BITS = 64
"""Up to so many classical bits a key is one word."""
LABEL_BITS = 12
"""Keys up to so many bits are looked up as text: a fifth of the time of writing each anew (at most 4096 texts a length)."""
CHUNK_BYTES = 1 << 18
"""What is held beside the Python objects that keys are turned into."""
ARRAYS = ("values", "standard_errors", "gradients")
"""What a result holds as arrays of numbers, besides samples."""
LARGEST_ORDER_SEED = (1 << 63) - 1
"""Of a whole table; an item's is its index more."""


class SampleTable(NamedTuple):
    """Measured keys and how often each was seen, for all items of a result, item after item.

    There are two forms, told apart by `keys.ndim`:

    - words, for up to 64 classical bits: `keys` is uint64, distinct and ascending inside an item; of an item with n bits,
      classical bit 0 is the most significant of the lowest n bits;
    - packed rows, where an item has more than 64: `keys` is uint8 of shape (rows, ceil(bits / 8)), for the longest key; each row
      is `np.packbits` of the bits, classical bit 0 the most significant of byte 0, unused bits 0. Rows need not be distinct.

    Attributes:
        keys: see above.
        counts: int64, one for each key, from 1 up; ones where rows are in order.
        splits: item i owns the slice `splits[i]:splits[i+1]`.
        order_seed: seed of the order in which `bits` lists the shots; `IN_ORDER` where packed rows are the shots in their order.

    >>> import numpy as np
    >>> SampleTable(np.array([0, 3], np.uint64), np.array([510, 490]), (0, 2)).packed
    False
    """

    keys: Keys
    counts: IntArray
    splits: tuple[int, ...]
    order_seed: int = 0

    @property
    def packed(self) -> bool:
        """Whether keys are rows of packed bits."""
        return self.keys.ndim == 2


def table_of(
    items: Sequence[tuple[Keys, IntArray]],
    key_lengths: Sequence[int],
    order_seed: int,
    *,
    rows_are_shots: bool = True,
) -> SampleTable:
    """Return one table of items that were sampled one by one, whatever forms they have.

    Args:
        items: keys and counts of each item, words or packed rows.
        key_lengths: classical bits of each item.
        order_seed: of the order of words; where one item is packed and rows are shots, words are put in their order here.
        rows_are_shots: whether packed rows are the shots in their order.

    Returns:
        Words if all items are, else packed rows as wide as the longest key needs.

    Raises:
        InvalidTask: words that have to be put in order do not fit into memory.

    >>> import numpy as np
    >>> word, row = np.array([2], np.uint64), np.packbits(np.ones((1, 65), np.uint8), axis=1)
    >>> mixed = table_of([(word, np.array([2])), (row, np.array([1]))], [2, 65], 7)
    >>> mixed.keys[:, 0].tolist(), mixed.order_seed == IN_ORDER
    ([128, 128, 255], True)
    """
    import numpy as np

    keys: Any
    if any(keys.ndim == 2 for keys, _ in items):
        in_order = rows_are_shots
        rows = [
            _rows_of_item(*item, width, order_seed + index if in_order else None)
            for index, (item, width) in enumerate(zip(items, key_lengths, strict=True))
        ]
        longest = max(part.shape[1] for part, _ in rows)
        keys = np.concatenate([np.pad(part, ((0, 0), (0, longest - part.shape[1]))) for part, _ in rows])
        counts = [part for _, part in rows]
        order_seed = IN_ORDER if in_order else order_seed
    else:
        keys = np.concatenate([part for part, _ in items])
        counts = [part for _, part in items]
    return SampleTable(keys, np.concatenate(counts), tuple(accumulate(map(len, counts), initial=0)), order_seed)


def _rows_of_item(keys: Keys, counts: IntArray, width: int, seed: int | None) -> tuple[Keys, IntArray]:
    """Return an item as packed rows; words shot by shot where there is a seed for their order."""
    import numpy as np

    if keys.ndim == 2:
        return keys, counts
    if seed is None:
        return pack_words(keys, width), counts
    from qloom.results.memory import memory_for

    with memory_for("samples", int(counts.sum()), width):
        shots = shuffled(np.repeat(keys, counts), seed)
        return pack_words(shots, width), np.ones(len(shots), dtype=np.int64)


def item_of(table: SampleTable, index: int, width: int) -> SampleTable:
    """Return the table of one item; of packed rows only the bytes that its `width` bits need."""
    start, end = table.splits[index], table.splits[index + 1]
    keys, order = table.keys[start:end], table.order_seed
    if keys.ndim == 2:
        keys = keys[:, : -(-width // 8)]
    return SampleTable(keys, table.counts[start:end], (0, end - start), order if order == IN_ORDER else order + index)


# ---- forms of keys ---------------------------------------------------------------------------------------------------


def pack_words(words: Keys, width: int) -> RowArray:
    """Return words as packed rows, shape (keys, ceil(width / 8)).

    >>> import numpy as np
    >>> pack_words(np.array([1, 2], np.uint64), 2).tolist()
    [[64], [128]]
    """
    import numpy as np

    if width == 0:
        return np.zeros((len(words), 0), dtype=np.uint8)
    moved = (words << np.uint64(WORD_BITS - width)).astype(">u8")
    return moved.view(np.uint8).reshape(-1, 8)[:, : -(-width // 8)]


def unpack_words(rows: Keys, width: int) -> KeyArray:
    """Return packed rows of up to 64 bits as words."""
    import numpy as np

    if width == 0:
        return np.zeros(len(rows), dtype=np.uint64)
    padded = np.pad(rows, ((0, 0), (0, 8 - rows.shape[1])))
    return np.ascontiguousarray(padded).view(">u8").ravel().astype(np.uint64) >> np.uint64(WORD_BITS - width)


def unpack_rows(rows: Keys, width: int) -> RowArray:
    """Return packed rows bit by bit, shape (rows, width)."""
    import numpy as np

    return np.unpackbits(rows, axis=1, count=width) if width else np.zeros((len(rows), 0), dtype=np.uint8)


def row_texts(rows: Keys, width: int) -> list[str]:
    """Return packed rows as bit strings, classical bit 0 first."""
    import numpy as np

    if width == 0:
        return [""] * len(rows)
    texts: list[str] = []
    step = max(1, CHUNK_BYTES // width)
    for first in range(0, len(rows), step):
        text = (unpack_rows(rows[first : first + step], width) + np.uint8(ord("0"))).tobytes().decode("ascii")
        texts += [text[start : start + width] for start in range(0, len(text), width)]
    return texts


def rows_of_texts(texts: Sequence[str], width: int) -> RowArray:
    """Return bit strings as packed rows.

    Raises:
        ValueError: one is not `width` characters 0 and 1.
    """
    import numpy as np

    if any(len(text) != width for text in texts):
        raise ValueError(f"a key is not {width} characters long")
    bits = np.frombuffer("".join(texts).encode("latin-1"), dtype=np.uint8).reshape(len(texts), width) - np.uint8(ord("0"))
    if bits.size and bits.max() > 1:
        raise ValueError("a key has other characters than 0 and 1")
    return np.packbits(bits, axis=1) if width else np.zeros((len(texts), 0), dtype=np.uint8)


@cache
def labels(width: int) -> tuple[str, ...]:
    """Return the bit strings of all keys of that length."""
    return tuple(format(key, f"0{width}b") for key in range(1 << width))


# ---- one item --------------------------------------------------------------------------------------------------------


def long_counts(keys: Keys, counts: IntArray, width: int) -> dict[str, int]:
    """Return key -> count, keys ascending; equal rows are taken together.

    Raises:
        InvalidTask: the keys, as text, do not fit into memory.
    """
    from qloom.results.memory import memory_for

    if keys.ndim == 2:
        keys, counts = distinct_rows(keys, counts)
    with memory_for("counts", len(keys), width):
        rows = keys if keys.ndim == 2 else pack_words(keys, width)
        return dict(zip(row_texts(rows, width), counts.tolist(), strict=True))


def distinct_rows(rows: Keys, counts: IntArray) -> tuple[Keys, IntArray]:
    """Return the distinct rows, ascending, and how often each was seen; memory grows with the distinct ones only.

    Raises:
        InvalidTask: they do not fit into memory.
    """
    import numpy as np

    from qloom.results.memory import memory_for, require_memory

    if rows.shape[1] == 0:
        return rows[:1], counts.sum(keepdims=True)[: len(rows)]
    seen: dict[bytes, int] = {}
    width = 8 * rows.shape[1]
    step = max(1, CHUNK_BYTES // width)
    with memory_for("counts", 0, width):
        for start in range(0, len(rows), step):
            part = counts[start : start + step].tolist()
            for row, count in zip(_row_bytes(rows[start : start + step]), part, strict=True):
                seen[row] = seen.get(row, 0) + count
            require_memory("counts", len(seen), width)
        ascending = sorted(seen)
        found = np.frombuffer(b"".join(ascending), dtype=np.uint8).reshape(-1, rows.shape[1])
        return found, np.array([seen[row] for row in ascending], dtype=np.int64)


def _row_bytes(rows: Keys) -> list[bytes]:
    import numpy as np

    found: list[bytes] = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").ravel().tolist()
    return found


def packed_shots(table: SampleTable, width: int) -> RowArray:
    """Return the shots of a table of one item one by one as packed rows, shape (shots, ceil(width / 8))."""
    import numpy as np

    keys, counts, _, order_seed = table
    if order_seed == IN_ORDER and keys.ndim == 2:
        shots = keys[:]
    elif keys.ndim == 2:
        shots = np.random.Generator(np.random.PCG64(order_seed)).permutation(np.repeat(keys, counts, axis=0))
    else:
        shots = pack_words(shuffled(np.repeat(keys, counts), order_seed), width)
    shots.flags.writeable = False  # it may be the result's own memory
    return shots


def shuffled(shots: Keys, seed: int) -> Keys:
    """Shuffle shots in place and return them: the order depends on the seed and on how many there are."""
    import numpy as np

    np.random.Generator(np.random.PCG64(seed)).shuffle(shots)
    return shots


# ---- records ---------------------------------------------------------------------------------------------------------


def pack_table(table: SampleTable) -> list[Any]:
    """Return a table as numbers and bytes, little-endian. The record of packed rows has their bytes a row besides.

    Counts that are all 1, as rows in order have them, are left out.
    """
    keys, counts, splits, order_seed = table
    if keys.ndim == 1:
        return [keys.tobytes(), counts.tobytes(), list(splits), order_seed]
    return [keys.tobytes(), b"" if order_seed == IN_ORDER else counts.tobytes(), list(splits), order_seed, keys.shape[1]]


def unpack_table(keys: bytes, counts: bytes, splits: Sequence[int], order_seed: int, row_bytes: int | None = None) -> SampleTable:
    """Return the table that `pack_table` wrote."""
    read, unsigned, signed = _array_reader()
    if row_bytes is None:
        return SampleTable(read(keys, unsigned), read(counts, signed), tuple(splits), order_seed)
    import numpy as np

    rows = np.frombuffer(keys, np.uint8).reshape(splits[-1], row_bytes)
    seen = np.ones(len(rows), dtype=np.int64) if order_seed == IN_ORDER else np.frombuffer(counts, "<i8")
    return SampleTable(rows, seen, tuple(splits), order_seed)


@cache
def _array_reader() -> tuple[Callable[..., npt.NDArray[Any]], np.dtype[np.uint64], np.dtype[np.int64]]:
    import numpy as np

    return np.frombuffer, np.dtype("<u8"), np.dtype("<i8")


def same_arrays(one: npt.NDArray[Any] | None, other: npt.NDArray[Any] | None) -> bool:
    """Whether two arrays hold the same bytes in the same shape; so a NaN equals itself."""
    import numpy as np

    if one is None or other is None:
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return np.array_equal(np.ascontiguousarray(one).view(np.uint8), np.ascontiguousarray(other).view(np.uint8))


def problems(table: SampleTable, key_lengths: Sequence[int], sets: int) -> Iterator[str]:
    """Yield what is wrong in a table that somebody else may have written."""
    import numpy as np

    keys, counts, splits, order_seed = table
    if len(splits) != len(key_lengths) * sets + 1 or splits[0] != 0 or splits[-1] != len(keys) or (np.diff(splits) < 0).any():
        yield f"{len(splits) - 1} slices that end at {splits[-1]}, for {len(key_lengths) * sets} items and {len(keys)} keys"
        return
    if counts.shape != keys.shape[:1] or counts.dtype != np.int64 or (counts < 0).any():
        yield f"{len(keys)} keys with {len(counts)} counts, or counts below 0"
    if not (IN_ORDER if keys.ndim == 2 else 0) <= order_seed < 2 * LARGEST_ORDER_SEED:
        yield f"the order seed {order_seed}"
    longest = max(key_lengths)
    if keys.dtype != (np.uint64 if keys.ndim == 1 else np.uint8) or (
        longest > WORD_BITS if keys.ndim == 1 else keys.shape[1] < -(-longest // 8)
    ):
        yield f"{keys.dtype} keys of shape {keys.shape} for {longest} bits"
        return
    check = _right_words if keys.ndim == 1 else _right_rows
    for index, (start, end) in enumerate(pairwise(splits)):
        if start < end and not check(keys[start:end], key_lengths[index // sets]):
            yield f"item {index} has keys that are longer than {key_lengths[index // sets]} bits, or not ascending"


def _right_words(words: Any, width: int) -> bool:
    return not int(words[-1]) >> width and bool((words[1:] > words[:-1]).all())


def _right_rows(rows: Any, width: int) -> bool:
    """Whether the bits behind a key are 0."""
    whole, rest = divmod(width, 8)
    return not ((rows[:, whole] & (0xFF >> rest)).any() if rest else False) and not rows[:, whole + bool(rest) :].any()
