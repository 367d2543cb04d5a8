"""The forms of an answer: counts, bits, packed bits, items, records."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import InvalidTask
from qloom.journal.codec import decode, encode
from qloom.results import IN_ORDER, Engine, Result, SampleTable, table_of
from tests.results.helpers import ENGINE, random_bits, results, rows, texts, wide, words


def narrow(width: int, counts: dict[int, int], order_seed: int = 7) -> Result:
    shots = sum(counts.values())
    return Result(engine=ENGINE, shots=shots, key_lengths=(width,), samples=words([counts], order_seed))


@given(
    st.integers(1, 64).flatmap(
        lambda width: st.tuples(st.just(width), st.dictionaries(st.integers(0, 2**width - 1), st.integers(1, 5)))
    )
)
def test_counts_bits_and_probabilities_tell_the_same(drawn: tuple[int, dict[int, int]]) -> None:
    width, counts = drawn
    result = narrow(width, counts)
    expected = {format(key, f"0{width}b"): counts[key] for key in sorted(counts)}
    assert list(result.counts.items()) == list(expected.items())
    assert Counter(texts(result.bits)) == Counter(expected)
    assert result.bits.shape == (sum(counts.values()), width)
    assert sum(result.probabilities.values()) == pytest.approx(1 if counts else 0)


def test_the_shots_of_words_come_in_the_order_that_the_seed_has_always_given() -> None:
    keys, counts = [1, 2, 7], [4, 3, 5]
    drawn = np.random.Generator(np.random.PCG64(11)).permutation(np.repeat(keys, counts))
    assert narrow(3, dict(zip(keys, counts, strict=True)), 11).bits.tolist() == [
        [key >> 2 & 1, key >> 1 & 1, key & 1] for key in drawn
    ]


@given(st.integers(65, 300), st.integers(0, 20), st.integers(0, 2**32))
def test_the_bits_of_a_wide_result_are_its_shots_in_their_order(width: int, shots: int, seed: int) -> None:
    bits = random_bits(shots, width, seed)
    result = wide(bits)
    assert result.bits.dtype == np.uint8
    assert np.array_equal(result.bits, bits)
    assert np.array_equal(result.packed_bits, np.packbits(bits, axis=1))
    assert result.counts == dict(sorted(Counter(texts(bits)).items()))


def test_counts_of_a_wide_result_take_equal_rows_together_in_ascending_order() -> None:
    bits = random_bits(3, 100)[[0, 1, 0, 2, 0]]
    counts = wide(bits).counts
    assert sorted(counts.values()) == [1, 1, 3]
    assert list(counts) == sorted(counts)


def test_rows_with_counts_are_listed_in_the_order_of_their_seed() -> None:
    table = rows([random_bits(3, 70)])._replace(counts=np.array([2, 1, 3]), order_seed=5)
    result = Result(engine=ENGINE, shots=6, key_lengths=(70,), samples=table)
    assert Counter(texts(result.bits)) == Counter(result.counts)
    assert not np.array_equal(result.bits, np.repeat(random_bits(3, 70), [2, 1, 3], axis=0))
    assert np.array_equal(result.bits, result.bits)


@pytest.mark.parametrize("result", [narrow(9, {3: 2, 500: 1}), wide(random_bits(5, 90))], ids=["words", "rows"])
def test_packed_bits_are_what_numpy_packs_and_cannot_be_changed(result: Result) -> None:
    assert np.array_equal(result.packed_bits, np.packbits(result.bits, axis=1))
    with pytest.raises(ValueError, match="read-only"):
        result.packed_bits[0, 0] = 1
    result.bits[0, 0] ^= 1  # anew each time, so it is the caller's


def test_packed_bits_in_measured_order_copy_nothing() -> None:
    result = wide(random_bits(5, 90))
    assert np.shares_memory(result.packed_bits, result.samples.keys)


def test_items_of_several_lengths_are_cut_to_their_own() -> None:
    items = [random_bits(4, 70, 1), random_bits(4, 70, 2), random_bits(4, 3, 3), random_bits(4, 3, 4)]
    both = Result(engine=ENGINE, shots=4, sets=2, key_lengths=(70, 3), samples=rows(items))
    for item, bits in zip(both, items, strict=True):
        assert np.array_equal(item.bits, bits)
        assert np.array_equal(item.packed_bits, np.packbits(bits, axis=1))
        assert item.counts == dict(sorted(Counter(texts(bits)).items()))
        assert Result.unpack(decode(encode(item.pack()))) == item
    assert both[-1] == both[3] != both[2]


def test_a_table_is_made_of_items_of_both_forms() -> None:
    row = np.packbits(random_bits(6, 65), axis=1)
    table = table_of([(np.array([1, 2], np.uint64), np.array([2, 4])), (row, np.ones(6, np.int64))], [2, 65], 3)
    result = Result(engine=ENGINE, shots=6, key_lengths=(2, 65), samples=table)
    assert result[0].counts == {"01": 2, "10": 4}
    assert np.array_equal(result[1].bits, random_bits(6, 65))
    assert result[0].bits[:, 0].tolist() != [0, 0, 1, 1, 1, 1]  # seed 3 puts them in another order
    other = table_of([(np.array([1, 2], np.uint64), np.array([2, 4])), (row, np.ones(6, np.int64))], [2, 65], 4)
    assert not np.array_equal(other.keys[:6], table.keys[:6])
    assert table_of([(np.array([1], np.uint64), np.array([2]))], [2], 3).order_seed == 3


def test_several_items_have_no_single_answer() -> None:
    both = Result(engine=ENGINE, shots=1, key_lengths=(1, 1), samples=words([{0: 1}, {1: 1}]))
    for name in ("counts", "bits", "packed_bits", "probabilities"):
        with pytest.raises(InvalidTask, match=r"2 items; use result\[i\]"):
            getattr(both, name)


@given(results())
def test_a_record_is_read_as_it_was_written(result: Result) -> None:
    again = Result.unpack(decode(encode(result.pack())))
    assert again == result
    assert again.samples.keys.dtype == result.samples.keys.dtype if result._samples is not None else True


OLD_WORDS = (
    "9a94a47374696da6312e31352e3002a8436c6966666f72640b01910294c41000000000000000000300000000000000"
    "c4100500000000000000060000000000000092000209c0c0c09080"
)
OLD_VALUES = (
    "9a94a171a13101a0c0019100c092920102c410000000000000e03f000000000000f0bfc09293010201c410000000000000000000000000000000009080"
)


def test_records_of_words_and_values_are_those_that_are_in_journals() -> None:
    values = Result(engine=Engine("q", "1"), shots=None, values=np.array([[0.5, -1.0]]), gradients=np.zeros((1, 2, 1)))
    for result, record in ((narrow(2, {0: 5, 3: 6}, 9), OLD_WORDS), (values, OLD_VALUES)):
        assert encode(result.pack()).hex() == record
        assert Result.unpack(decode(bytes.fromhex(record))) == result


def test_the_record_of_shots_in_order_takes_no_place_for_counts() -> None:
    assert len(encode(wide(random_bits(1000, 80)).pack())) < 1000 * 10 + 100


def test_results_differ_in_the_order_of_their_shots() -> None:
    bits = random_bits(5, 80)
    assert wide(bits) == wide(bits)
    assert wide(bits) != wide(bits[::-1])
    assert wide(bits).counts == wide(bits[::-1]).counts


def test_values_that_are_no_numbers_are_equal_to_themselves() -> None:
    first, again, other = (Result(engine=ENGINE, shots=None, values=np.array([[value]])) for value in (np.nan, np.nan, 0.5))
    assert first == again != other
    assert other != "0.5"


def test_an_empty_table_has_no_shots() -> None:
    for keys, width in ((np.zeros(0, np.uint64), 3), (np.zeros((0, 9), np.uint8), 70)):
        order = IN_ORDER if keys.ndim == 2 else 0
        empty = Result(
            engine=ENGINE, shots=0, key_lengths=(width,), samples=SampleTable(keys, np.zeros(0, np.int64), (0, 0), order)
        )
        assert empty.counts == {}
        assert empty.bits.shape == (0, width)
        assert Result.unpack(decode(encode(empty.pack()))) == empty


def test_an_item_has_the_facts_of_its_own_circuit() -> None:
    metadata = {"backend": "toy", "circuits": [{"depth": 3}, {"depth": 5}]}
    both = Result(engine=ENGINE, shots=None, sets=2, key_lengths=(1, 1), values=np.zeros((4, 1)), metadata=metadata)
    assert [item.metadata["circuits"] for item in both] == [[{"depth": 3}]] * 2 + [[{"depth": 5}]] * 2
    assert [item.metadata["backend"] for item in both] == ["toy"] * 4
    assert both[3][0].metadata == {"backend": "toy", "circuits": [{"depth": 5}]}


def test_slices_are_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidTask, match=r"no slices; take \[result\[i\] for i in range"):
        Result(engine=ENGINE, shots=None, sets=3, values=np.zeros((3, 1)))[0:2]  # type: ignore[index]


@pytest.mark.parametrize("form", ["counts", "bits", "packed_bits", "probabilities"])
@pytest.mark.parametrize("items", [1, 2])
def test_a_result_of_values_says_so_however_many_items_it_has(form: str, items: int) -> None:
    result = Result(engine=ENGINE, shots=None, sets=items, values=np.zeros((items, 1)))
    with pytest.raises(InvalidTask, match="this result holds values, not samples"):
        getattr(result, form)
