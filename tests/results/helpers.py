"""Results of every form, and slow ways to read them."""

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from qloom.results import IN_ORDER, Engine, Result, SampleTable

ENGINE = Engine("stim", "1.15.0", 2, "Clifford")


def words(counts: list[dict[int, int]], order_seed: int = 7) -> SampleTable:
    """A table of words; one dict for each item."""
    keys = [key for item in counts for key in sorted(item)]
    seen = [item[key] for item in counts for key in sorted(item)]
    splits = np.cumsum([0, *map(len, counts)]).tolist()
    return SampleTable(np.array(keys, dtype=np.uint64), np.array(seen, dtype=np.int64), tuple(splits), order_seed)


def rows(items: list[npt.NDArray[np.uint8]]) -> SampleTable:
    """A table of packed rows in order; for each item its shots, shape (shots, bits)."""
    longest = max(shots.shape[1] for shots in items)
    padded = [np.pad(shots, ((0, 0), (0, longest - shots.shape[1]))) for shots in items]
    splits = np.cumsum([0, *map(len, items)]).tolist()
    packed = np.packbits(np.concatenate(padded), axis=1)
    return SampleTable(packed, np.ones(len(packed), dtype=np.int64), tuple(splits), IN_ORDER)


def wide(shots: npt.NDArray[np.uint8]) -> Result:
    """A result of one item whose shots are known in their order."""
    return Result(engine=ENGINE, shots=len(shots), key_lengths=(shots.shape[1],), samples=rows([shots]))


def random_bits(shots: int, bits: int, seed: int = 1) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, (shots, bits), dtype=np.uint8)


def texts(bits: npt.NDArray[np.uint8]) -> list[str]:
    """One after the other, by Python."""
    return ["".join(map(str, row)) for row in bits.tolist()]


numbers = st.one_of(st.floats(allow_nan=False), st.just(float("nan")))
names = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def arrays(shape: tuple[int, ...]) -> st.SearchStrategy[npt.NDArray[np.float64]]:
    size = int(np.prod(shape))
    return st.lists(numbers, min_size=size, max_size=size).map(lambda found: np.array(found, dtype=np.float64).reshape(shape))


@st.composite
def tables(draw: st.DrawFn, lengths: tuple[int, ...], sets: int) -> SampleTable:
    """Words, rows in order, or rows with counts."""
    widths = [width for width in lengths for _ in range(sets)]
    if max(widths) <= 64 and draw(st.booleans()):
        one = [draw(st.dictionaries(st.integers(0, 2**width - 1), st.integers(1, 2**40), max_size=5)) for width in widths]
        return words(one, draw(st.integers(0, 2**63 - 1)))
    seed = draw(st.integers(0, 2**32))
    table = rows([random_bits(draw(st.integers(0, 6)), width, seed) for width in widths])
    if draw(st.booleans()):
        return table
    counts = np.random.default_rng(seed).integers(1, 100, len(table.counts))
    return table._replace(counts=counts, order_seed=draw(st.integers(0, 2**63 - 1)))


@st.composite
def results(draw: st.DrawFn) -> Result:
    """Anything that a task may answer."""
    lengths = tuple(draw(st.lists(st.sampled_from([0, 1, 8, 13, 64, 65, 200]), min_size=1, max_size=3)))
    sets, observables = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    items = len(lengths) * sets
    kind = draw(st.sampled_from(["samples", "values", "errors", "gradients"]))
    shape = (items, observables)
    return Result(
        engine=Engine(draw(names), draw(names), draw(st.integers(1, 64)), draw(names)),
        shots=draw(st.none() | st.integers(0, 2**53)),
        sets=sets,
        key_lengths=lengths,
        samples=draw(tables(lengths, sets)) if kind == "samples" else None,
        values=None if kind == "samples" else draw(arrays(shape)),
        standard_errors=draw(arrays(shape)) if kind == "errors" else None,
        gradients=draw(arrays((*shape, draw(st.integers(0, 2))))) if kind == "gradients" else None,
        stages=tuple(draw(st.lists(st.dictionaries(names, json_values, max_size=2), max_size=2))),
        metadata=draw(st.dictionaries(names, json_values, max_size=2)),
    )
