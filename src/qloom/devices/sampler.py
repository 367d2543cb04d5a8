"""Our own sampler: the same seed draws the same samples in every process, and small circuits are not held up.

One 64-bit seed starts one stream; what is drawn from it, in which order, is fixed by the probabilities and the shots. So
equal probabilities give equal samples on every machine. Engines that differ in the last bits of a probability (another
library, another instruction set) may draw differently where a random number falls between the two.

Which way of drawing is the fastest depends on the sizes (measured, see `draw`).
"""

from __future__ import annotations

import struct
import threading
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qloom.errors import InvalidTask

if TYPE_CHECKING:
    from qloom.results import IntArray, KeyArray
    from qloom.tasks import FloatArray

SMALL = 256
"""Up to so many outcomes a multinomial, one binomial for each outcome, is the fastest."""

BLOCK = 32
"""Outcomes in a block, where only the blocks that are hit are looked into."""

OUTCOMES_PER_SHOT = 64
"""With at least so many outcomes for each shot, most blocks are not hit."""

MAX_SHOTS = 1 << 53
"""So that frequencies are exact numbers."""

NORM_SLACK = 5e-13
"""So much below 1 a mended sum is kept, so that rounding cannot lift it over what numpy's multinomial takes, 1 + 1e-12."""
NORM_LIMIT = 1e-6

_unpack_words = struct.Struct("<4Q").unpack
_thread = threading.local()


class _Stream(NamedTuple):
    """A thread's generator, and the state that it is set to: SFC64, whose state is plain words, 256 bits, is set fastest.

    Source: Chris Doty-Humphrey, PractRand; all states are good ones, and no period is below 2**64 draws.
    """

    generator: np.random.Generator
    source: np.random.SFC64
    state: Any
    words: dict[str, Any]


def _new_stream() -> _Stream:
    source = np.random.SFC64(0)
    words: dict[str, Any] = {}
    state = {"bit_generator": "SFC64", "state": words, "has_uint32": 0, "uinteger": 0}
    return _Stream(np.random.Generator(source), source, state, words)


def seeded(seed: int) -> np.random.Generator:
    """Return this thread's generator, at the start of the stream of that seed.

    The generator is one object for each thread, set anew: that takes a fifth of the time of making one.

    >>> first, again = seeded(1).random(), seeded(1).random()
    >>> first == again
    True
    """
    try:
        stream: _Stream = _thread.stream
    except AttributeError:
        stream = _thread.stream = _new_stream()
    words = blake2b(seed.to_bytes(8, "little"), digest_size=32).digest()
    stream.words["state"] = _unpack_words(words)
    stream.source.state = stream.state
    return stream.generator


def draw(generator: np.random.Generator, probabilities: FloatArray, shots: int) -> tuple[KeyArray, IntArray]:
    """Draw shots from one distribution.

    Args:
        generator: where the randomness comes from.
        probabilities: shape (outcomes,), not negative; the sum may be off 1 by rounding.
        shots: how many, from 1 up.

    Returns:
        The outcomes seen, uint64, distinct and ascending, and how often each was, int64.

    Raises:
        InvalidTask: the probabilities are no numbers, since an angle overflowed.

    A multinomial costs about 60 ns for each outcome, a search for sorted uniforms 25 ns for each shot and 3 ns for each
    outcome, blocks 0.5 ns for each outcome. Sorted uniforms come without sorting: sums of exponential gaps (Devroye,
    Non-Uniform Random Variate Generation, 1986, V.3.1).

    >>> keys, counts = draw(seeded(1), np.array([0.5, 0.0, 0.0, 0.5]), 100)
    >>> keys.tolist(), int(counts.sum())
    ([0, 3], 100)
    """
    size = len(probabilities)
    if size <= SMALL or 2 * size <= shots:
        total = probabilities.dot(_ones(size)) if size <= SMALL else probabilities.sum()
        if not -NORM_LIMIT < total - 1.0 < NORM_LIMIT:
            checked_norm(float(total))
        try:
            counts = generator.multinomial(shots, probabilities)
        except ValueError:  # it refuses before it draws: a sum above 1 by more than 1e-12
            counts = generator.multinomial(shots, probabilities / (total * (1.0 + NORM_SLACK)))
        seen = counts.nonzero()[0]
        if len(seen) == size and size <= SMALL:
            return _every_key(size), counts
        return seen.view(np.uint64), counts[seen]
    if size >= shots * OUTCOMES_PER_SHOT:
        return _runs(_draw_from_blocks(generator, probabilities, shots))
    cumulative = probabilities.cumsum()
    found = cumulative.searchsorted(_sorted_uniforms(generator, shots, checked_norm(float(cumulative[-1]))), side="right")
    return _runs(_inside(found, probabilities))


def draw_rows(generator: np.random.Generator, probabilities: FloatArray, shots: int) -> tuple[KeyArray, IntArray, list[int]]:
    """Draw from many small distributions at once: what `draw` gives for one row after the other.

    Args:
        generator: where the randomness comes from.
        probabilities: shape (rows, outcomes), at most `SMALL` outcomes.
        shots: how many for each row.

    Returns:
        Outcomes and counts of all rows, row after row, and where each row ends.

    Raises:
        InvalidTask: as for `draw`.
    """
    totals = np.einsum("ij->i", probabilities)
    worst = totals[np.abs(totals - 1.0).argmax()]
    if not -NORM_LIMIT < worst - 1.0 < NORM_LIMIT:
        checked_norm(float(worst))
    try:
        table = generator.multinomial(shots, probabilities)
    except ValueError:  # some row's sum is off: only such rows are mended, as `draw` mends them
        return _one_by_one(generator, probabilities, shots)
    rows, seen = table.nonzero()
    ends = rows.searchsorted(np.arange(1, len(table) + 1)).tolist()
    return seen.view(np.uint64), table[rows, seen], ends


def draw_evenly(generator: np.random.Generator, outcomes: int, shots: int) -> tuple[KeyArray, IntArray]:
    """Draw shots from outcomes that are equally likely: as `draw`, without their probabilities where most are not seen.

    Args:
        generator: where the randomness comes from.
        outcomes: how many there are, at most 2**53.
        shots: how many, from 1 up.

    Returns:
        As `draw`.

    >>> keys, counts = draw_evenly(seeded(1), 1 << 50, 100)
    >>> len(keys), bool((keys[1:] > keys[:-1]).all())
    (100, True)
    """
    if outcomes <= SMALL or 2 * outcomes <= shots:
        return draw(generator, np.full(outcomes, 1 / outcomes), shots)
    found = _sorted_uniforms(generator, shots, float(outcomes)).astype(np.int64)
    return _runs(np.minimum(found, outcomes - 1))


def _one_by_one(generator: np.random.Generator, probabilities: FloatArray, shots: int) -> tuple[KeyArray, IntArray, list[int]]:
    drawn = [draw(generator, row, shots) for row in probabilities]
    ends = np.cumsum([len(keys) for keys, _ in drawn]).tolist()
    return np.concatenate([keys for keys, _ in drawn]), np.concatenate([counts for _, counts in drawn]), ends


def drawing_bytes(outcomes: int, shots: int) -> int:
    """Return the bytes that drawing takes beside the probabilities.

    >>> drawing_bytes(1 << 20, 1000), drawing_bytes(1 << 20, 1 << 19)
    (262144, 33554432)
    """
    if outcomes >= shots * OUTCOMES_PER_SHOT:
        return 8 * outcomes // BLOCK
    return 16 * outcomes if outcomes <= SMALL or 2 * outcomes <= shots else 16 * outcomes + 32 * shots


def even_drawing_bytes(outcomes: int, shots: int) -> int:
    """Return the bytes that `draw_evenly` takes at most.

    >>> even_drawing_bytes(1 << 40, 1000), even_drawing_bytes(1024, 1 << 40)
    (40000, 24576)
    """
    return 24 * outcomes if outcomes <= SMALL or 2 * outcomes <= shots else 40 * shots


def checked_norm(total: float) -> float:
    """Return a sum of probabilities if it is 1 up to rounding.

    Raises:
        InvalidTask: it is not, or no number: an angle was too large.
    """
    if not abs(total - 1.0) < NORM_LIMIT:
        raise InvalidTask(
            f"the state's probabilities sum to {total}, not 1: an angle is too large for floating point; give smaller parameters"
        )
    return total


@cache
def _every_key(size: int) -> KeyArray:
    """Return all keys; shared by many results, so nobody may write to it."""
    keys = np.arange(size, dtype=np.uint64)
    keys.flags.writeable = False
    return keys


@cache
def _ones(size: int) -> FloatArray:
    return np.ones(size)


def _sorted_uniforms(generator: np.random.Generator, shots: int, top: float) -> FloatArray:
    """Return uniform numbers from 0 to `top`, ascending."""
    sums = generator.standard_exponential(shots + 1).cumsum()
    sums *= top / sums[-1]
    return sums[:-1]


def _inside(found: IntArray, probabilities: FloatArray) -> IntArray:
    """Move what rounding pushed past the end to the last possible outcome."""
    if found[-1] >= len(probabilities):
        found[found >= len(probabilities)] = probabilities.nonzero()[0][-1]
    return found


def _draw_from_blocks(generator: np.random.Generator, probabilities: FloatArray, shots: int) -> IntArray:
    """Return the outcome of each shot, ascending; the size is a power of two, so blocks are full."""
    blocks = probabilities.reshape(-1, BLOCK)
    # einsum sums without BLAS, whose threads nobody asked for, and faster than sum(axis=1).
    weights = np.einsum("ij->i", blocks)
    cumulative = weights.cumsum()
    uniforms = _sorted_uniforms(generator, shots, checked_norm(float(cumulative[-1])))
    hit, hits = _runs(_inside(cumulative.searchsorted(uniforms, side="right"), weights))
    hit = hit.view(np.int64)
    inner = blocks[hit].ravel().cumsum()
    # From a place in the whole distribution to the place among the blocks that were hit.
    shift = (inner[BLOCK - 1 :: BLOCK] - weights[hit]) - (cumulative[hit] - weights[hit])
    places = inner.searchsorted(uniforms + np.repeat(shift, hits), side="right")
    first = np.repeat(np.arange(len(hit)) * BLOCK, hits)
    offsets = np.clip(places - first, 0, BLOCK - 1)
    outcomes: IntArray = np.repeat(hit * BLOCK, hits) + offsets
    impossible = probabilities[outcomes] == 0
    if impossible.any():  # rounding at the edge of a block, about once in 1e13 shots: take the block's likeliest outcome
        rows = outcomes[impossible] // BLOCK
        outcomes[impossible] = rows * BLOCK + blocks[rows].argmax(axis=1)
        outcomes.sort()
    return outcomes


def _runs(ascending: IntArray) -> tuple[KeyArray, IntArray]:
    """Return the distinct values of an ascending array and the length of each run."""
    starts = np.empty(len(ascending) + 1, dtype=bool)
    starts[0] = starts[-1] = True
    np.not_equal(ascending[1:], ascending[:-1], out=starts[1:-1])
    edges = starts.nonzero()[0]
    return ascending[edges[:-1]].view(np.uint64), edges[1:] - edges[:-1]
