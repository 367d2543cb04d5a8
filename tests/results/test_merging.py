"""Several results of one question become one, as if all shots had been taken at once."""

from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import InvalidTask
from qloom.results import Engine, Result
from tests.results.helpers import ENGINE, random_bits, rows, wide, words


def counted(items: list[dict[int, int]], shots: int = 10, seed: int = 7) -> Result:
    return Result(engine=ENGINE, shots=shots, sets=len(items), key_lengths=(3,), samples=words(items, seed))


def valued(value: float, error: float | None, shots: int | None) -> Result:
    errors = None if error is None else np.array([[error]])
    return Result(engine=ENGINE, shots=shots, values=np.array([[value]]), standard_errors=errors)


seeds = st.integers(0, 2**63 - 1)
item = st.dictionaries(st.integers(0, 7), st.integers(1, 2**50), min_size=1)


@given(st.lists(st.lists(item, min_size=2, max_size=2), min_size=3, max_size=3), st.lists(seeds, min_size=3, max_size=3))
def test_counts_add_up_however_results_are_grouped(drawn: list[list[dict[int, int]]], orders: list[int]) -> None:
    one, two, three = (counted(items, seed=seed) for items, seed in zip(drawn, orders, strict=True))
    whole = Result.merge([one, two, three])
    assert whole == Result.merge([Result.merge([one, two]), three]) == Result.merge([one, Result.merge([two, three])])
    for index in (0, 1):
        expected = Counter({key: 0 for part in drawn for key in part[index]})
        for part in drawn:
            expected.update(part[index])
        assert whole[index].counts == {format(key, "03b"): count for key, count in sorted(expected.items())}
    assert whole.shots == 30
    assert Result.merge([one]) == one


@given(
    st.permutations([10, 100, 1000]),
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_values_are_weighted_by_shots_and_errors_add_by_squares(
    shots: list[int], values: list[float], errors: list[float]
) -> None:
    parts = [valued(*part) for part in zip(values, errors, shots, strict=True)]
    whole = Result.merge(parts)
    assert whole.value == pytest.approx(sum(n * v for n, v in zip(shots, values, strict=True)) / 1110)
    assert whole.standard_error**2 == pytest.approx(sum((n * e / 1110) ** 2 for n, e in zip(shots, errors, strict=True)))
    again = Result.merge([Result.merge(parts[:2]), parts[2]])
    assert (again.value, again.standard_error) == pytest.approx((whole.value, whole.standard_error))


def test_merged_values_are_right_as_often_as_their_standard_errors_say() -> None:
    generator = np.random.default_rng(5)
    hits, p = 0, 0.9
    for _ in range(400):
        parts = []
        for shots in (50, 200, 800):
            mean = 2 * generator.binomial(shots, p) / shots - 1
            parts.append(valued(mean, float(np.sqrt((1 - mean**2) / shots)), shots))
        whole = Result.merge(parts)
        hits += abs(whole.value - (2 * p - 1)) <= 1.96 * whole.standard_error
    assert 0.91 <= hits / 400 <= 0.985  # 0.95 within 3.5 standard deviations of 400 tries


def test_a_result_that_looks_sure_by_chance_does_not_outweigh_the_others() -> None:
    whole = Result.merge([valued(1.0, 0.0, 10), valued(0.5, 0.05, 990)])
    assert whole.value == pytest.approx(0.505)


def test_gradients_are_weighted_as_values_are() -> None:
    parts = [
        Result(engine=ENGINE, shots=n, values=np.array([[v]]), gradients=np.array([[[g, 0.0]]]))
        for n, v, g in ((1, 0, 4), (3, 0, 8))
    ]
    assert Result.merge(parts).gradients.tolist() == [[[7.0, 0.0]]]


def test_exact_values_stay_what_they_are_and_must_agree() -> None:
    assert Result.merge([valued(0.5, None, None), valued(0.5 + 1e-12, None, None)]).value == 0.5
    assert np.isnan(Result.merge([valued(np.nan, None, None)] * 2).value)
    with pytest.raises(InvalidTask, match=r"exact values\[0, 0\] are 0.5 and 0.50001"):
        Result.merge([valued(0.5, None, None), valued(0.50001, None, None)])


def test_a_merged_result_is_kept_like_any_other() -> None:
    whole = Result.merge([counted([{1: 5}], seed=2**63 - 1)] * 4)
    assert Result.from_json(whole.to_json()) == whole
    assert whole.bits.shape == (20, 3)


def test_wide_results_are_listed_one_after_the_other() -> None:
    first, second = random_bits(3, 90, 1), random_bits(5, 90, 2)
    whole = Result.merge([wide(first), wide(second)])
    assert np.array_equal(whole.bits, np.concatenate([first, second]))
    assert whole.shots == 8


def test_rows_with_and_without_an_order_are_counted_together() -> None:
    bits = random_bits(4, 90)
    table = rows([bits])._replace(counts=np.array([1, 2, 3, 4]), order_seed=5)
    drawn = Result(engine=ENGINE, shots=10, key_lengths=(90,), samples=table)
    for parts in permutations([wide(bits), drawn, drawn]):
        whole = Result.merge(parts)
        assert sorted(whole.counts.values()) == [3, 5, 7, 9]
        assert whole.bits.shape == (24, 90)


def test_words_and_rows_of_the_same_bits_are_counted_together() -> None:
    bits = random_bits(4, 3)
    packed = Result(engine=ENGINE, shots=4, key_lengths=(3,), samples=rows([bits]))
    plain = Result(engine=ENGINE, shots=5, key_lengths=(3,), samples=words([{5: 5}]))
    counts = Result.merge([packed, plain]).counts
    assert sum(counts.values()) == 9
    assert counts["101"] == packed.counts.get("101", 0) + 5


def test_items_keep_their_own_shots() -> None:
    items = [random_bits(2, 70, 1), random_bits(2, 5, 2)]
    both = Result(engine=ENGINE, shots=2, key_lengths=(70, 5), samples=rows(items))
    whole = Result.merge([both, both])
    for merged, bits in zip(whole, items, strict=True):
        assert np.array_equal(merged.bits, np.concatenate([bits, bits]))


def test_facts_on_which_all_agree_are_kept() -> None:
    made = [
        Result(engine=ENGINE, shots=1, values=np.zeros((1, 1)), stages=({"name": "zne"},), metadata=facts)
        for facts in ({"a": 1, "b": 2}, {"a": 1, "b": 3})
    ]
    whole = Result.merge(made)
    assert whole.metadata == {"a": 1}
    assert whole.stages == ({"name": "zne"},)


def changed(**changes: Any) -> Result:
    fields: dict[str, Any] = {"engine": ENGINE, "shots": 10, "key_lengths": (2,), "samples": words([{0: 4, 3: 6}])}
    return Result(**fields | changes)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (changed(engine=Engine("qulacs", "1.15.0")), "computed by stim 1.15.0 and by qulacs 1.15.0"),
        (changed(engine=Engine("stim", "1.16.0")), "computed by stim 1.15.0 and by stim 1.16.0"),
        (changed(key_lengths=(3,)), r"key_lengths \(2,\) and \(3,\)"),
        (changed(sets=2, samples=words([{0: 4}, {1: 6}])), "sets 1 and 2"),
        (changed(samples=None, values=np.zeros((1, 1))), "only one of them has samples"),
        (changed(shots=None), "only one of them is exact"),
        (changed(values=np.zeros((1, 1))), "only one of them has values"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_first_difference(other: Result, said: str) -> None:
    with pytest.raises(InvalidTask, match=f"results 0 and 2 do not answer the same question: {said}"):
        Result.merge([changed(), changed(), other])


def test_values_of_other_observables_are_refused() -> None:
    first, second = (Result(engine=ENGINE, shots=1, values=np.zeros((1, count))) for count in (1, 2))
    with pytest.raises(InvalidTask, match=r"values of shape \(1, 1\) and \(1, 2\)"):
        Result.merge([first, second])


@pytest.mark.parametrize("nothing", [[], changed(), [1]])
def test_merging_takes_several_results(nothing: Any) -> None:
    with pytest.raises(InvalidTask, match="merge"):
        Result.merge(nothing)
