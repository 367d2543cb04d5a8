"""What does not fit into memory is refused with the bytes that it needs, and never tried."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.errors import InvalidTask, UnknownName
from qloom.results import IN_ORDER, Result, SampleTable
from qloom.results.memory import memory_for, memory_limit, needed_bytes, require_memory
from tests.results.helpers import ENGINE, random_bits, wide, words

HUGE = 2**50


def halves(width: int, shots: int) -> Result:
    return Result(engine=ENGINE, shots=shots, key_lengths=(width,), samples=words([{0: shots // 2, 3: shots // 2}]))


@pytest.mark.parametrize(("form", "need"), [("bits", HUGE * 27), ("packed_bits", HUGE * 25)])
def test_shots_times_bits_over_memory_are_refused_with_the_number(form: str, need: int) -> None:
    with pytest.raises(
        InvalidTask, match=rf"{form} of {HUGE} shots x 2 classical bits need {need} bytes, the limit is \d+"
    ) as caught:
        getattr(halves(2, HUGE), form)
    assert "counts" in str(caught.value)
    assert halves(2, HUGE).counts == {"00": HUGE // 2, "11": HUGE // 2}


def test_a_limit_that_is_reached_is_refused_and_one_that_is_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qloom.results.memory.FREE_BYTES", 0)
    need = needed_bytes("bits", 1000, 2)
    monkeypatch.setattr("qloom.results.memory.memory_limit", lambda: need)
    assert halves(2, 1000).bits.shape == (1000, 2)
    monkeypatch.setattr("qloom.results.memory.memory_limit", lambda: need - 1)
    with pytest.raises(InvalidTask, match=f"{need} bytes, the limit is {need - 1} "):
        halves(2, 1000).bits  # noqa: B018  it raises


def test_counting_stops_where_the_distinct_keys_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qloom.results.memory.FREE_BYTES", 0)
    monkeypatch.setattr("qloom.results.memory.memory_limit", lambda: needed_bytes("counts", 10, 104))
    same = wide(random_bits(1, 100)[[0] * 50])
    assert sum(same.counts.values()) == 50
    with pytest.raises(InvalidTask, match="counts of 50 distinct keys x 104 classical bits need"):
        wide(random_bits(50, 100)).counts  # noqa: B018  it raises
    with pytest.raises(InvalidTask, match=r"measurements of 50 shots .* save"):
        wide(random_bits(50, 100)).to_json()


def test_what_the_system_does_not_give_is_said_the_same_way() -> None:
    with (
        pytest.raises(InvalidTask, match="bits of 1 shots x 1 classical bits need 26 bytes, which the system did not give"),
        memory_for("bits", 1, 1),
    ):
        raise MemoryError


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["bits", "packed_bits", "counts"]), st.integers(1, 64), st.integers(2000, 20000))
def test_no_form_takes_more_than_was_told(form: str, width: int, shots: int) -> None:
    keys = np.unique(np.random.default_rng(1).integers(0, 2**width, shots, dtype=np.uint64))
    table = SampleTable(keys, np.ones(len(keys), np.int64), (0, len(keys)))
    assert (
        peak(Result(engine=ENGINE, shots=len(keys), key_lengths=(width,), samples=table), form)
        < needed_bytes(form, len(keys), width) + 1e6
    )


@pytest.mark.parametrize("form", ["bits", "packed_bits", "counts"])
def test_no_form_of_a_wide_result_takes_more_than_was_told(form: str) -> None:
    assert peak(wide(random_bits(20000, 333)), form) < needed_bytes(form, 20000, 333) + 1e6


def peak(result: Result, form: str) -> int:
    tracemalloc.start()
    try:
        getattr(result, form)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_table_takes_what_was_told() -> None:
    table = wide(random_bits(1000, 500)).samples
    assert table.keys.nbytes + table.counts.nbytes == needed_bytes("samples", 1000, 500)
    assert table.order_seed == IN_ORDER


def test_a_form_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'bits'"):
        require_memory("bit", 1, 1)


def test_the_limit_is_a_part_of_the_machine_and_of_its_cgroup(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < memory_limit() < 2**50
    texts = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   1000000 kB\n", "/sys/fs/cgroup/memory.max": "2000000\n"}
    texts["/sys/fs/cgroup/memory.current"] = "1000000\n"
    monkeypatch.setattr("qloom.results.memory._text", lambda path: texts.get(path, ""))
    assert memory_limit() == 800_000
    texts["/sys/fs/cgroup/memory.max"] = "max\n"
    assert memory_limit() == 819_200_000
