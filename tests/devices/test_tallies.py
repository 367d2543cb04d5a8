"""Counts that come in parts."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qloom.devices import tallies
from qloom.devices.tallies import MERGED_BYTES, Tally

Part = dict[int, int]
PARTS = st.lists(st.dictionaries(st.integers(0, 2**64 - 1) | st.integers(0, 9), st.integers(1, 9)), max_size=6)


@given(PARTS, st.integers(0, 4))
def test_parts_are_added_up_key_by_key(parts: list[Part], waiting: int) -> None:
    tally, expected = Tally(), Part()
    before, tallies.WAITING = tallies.WAITING, waiting
    try:
        for part in parts:
            tally.add(np.array(sorted(part), dtype=np.uint64), np.array([part[key] for key in sorted(part)], dtype=np.int64))
            for key, count in part.items():
                expected[key] = expected.get(key, 0) + count
    finally:
        tallies.WAITING = before
    keys, counts = tally.table()
    assert list(zip(keys.tolist(), counts.tolist(), strict=True)) == sorted(expected.items())


def test_many_parts_take_memory_for_their_distinct_keys_only() -> None:
    tally, keys = Tally(), np.arange(1 << 17, dtype=np.uint64)
    tracemalloc.start()
    try:
        for _ in range(20):
            tally.add(keys.copy(), np.ones(len(keys), dtype=np.int64))
        found = tally.table()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found[1].tolist() == [20] * len(keys)
    assert peak < MERGED_BYTES * len(keys)
