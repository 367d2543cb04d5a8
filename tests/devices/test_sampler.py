"""Samples follow their probabilities, repeat with their seed, and never show what is impossible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.devices import sampler
from qloom.devices.sampler import BLOCK, OUTCOMES_PER_SHOT, SMALL, checked_norm, draw, draw_rows, seeded
from qloom.errors import InvalidTask
from qloom.tasks import read_seed
from tests.devices.helpers import FloatArray

WAYS = {
    "multinomial": (16, 1000),
    "multinomial, many shots": (4096, 20_000),
    "sorted uniforms": (1024, 500),
    "blocks": (1 << 14, 200),
}
"""(outcomes, shots) that take each way through `draw`."""


def spread(outcomes: int, seed: int = 0) -> FloatArray:
    weights: FloatArray = np.random.default_rng(seed).exponential(size=outcomes) ** 3
    weights /= weights.sum()
    return weights


@pytest.mark.parametrize("way", WAYS)
def test_frequencies_follow_the_probabilities(way: str) -> None:
    outcomes, shots = WAYS[way]
    probabilities = spread(outcomes)
    rounds = max(1, 200_000 // shots)
    seen = np.zeros(outcomes)
    for seed in range(rounds):
        keys, counts = draw(seeded(seed), probabilities, shots)
        seen[keys] += counts
    # 16 bins of about equal weight: chi-square with at most 15 degrees of freedom, above 60 once in 4 million seeds.
    bins = np.minimum((probabilities.cumsum() * 16).astype(int), 15)
    expected = np.bincount(bins, probabilities, 16) * shots * rounds
    full = expected > 0
    chi_square = ((np.bincount(bins, seen, 16)[full] - expected[full]) ** 2 / expected[full]).sum()
    assert chi_square < 60


@pytest.mark.parametrize("way", WAYS)
def test_keys_are_distinct_and_ascending_and_counts_sum_to_the_shots(way: str) -> None:
    outcomes, shots = WAYS[way]
    keys, counts = draw(seeded(3), spread(outcomes), shots)
    assert keys.dtype == np.uint64
    assert counts.dtype == np.int64
    assert (np.diff(keys.astype(np.int64)) > 0).all()
    assert (counts > 0).all()
    assert counts.sum() == shots


@pytest.mark.parametrize("way", WAYS)
def test_equal_seeds_draw_equal_samples(way: str) -> None:
    outcomes, shots = WAYS[way]
    first, again, other = (draw(seeded(seed), spread(outcomes), shots) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert len(first[0]) != len(other[0]) or (first[0] != other[0]).any() or (first[1] != other[1]).any()


@given(
    outcomes=st.sampled_from([2, SMALL, 2 * SMALL, BLOCK * 64, 1 << 14]),
    shots=st.sampled_from([1, 3, 100]),
    hot=st.lists(st.integers(0, (1 << 14) - 1), min_size=1, max_size=4),
    seed=st.integers(0, 2**64 - 1),
)
@settings(max_examples=200, deadline=None)
def test_impossible_outcomes_are_never_drawn(outcomes: int, shots: int, hot: list[int], seed: int) -> None:
    probabilities = np.zeros(outcomes)
    for number, place in enumerate(hot):
        probabilities[place % outcomes] += 1 / (number + 3)
    probabilities /= probabilities.sum()
    keys, counts = draw(seeded(seed), probabilities, shots)
    assert (probabilities[keys] > 0).all()
    assert counts.sum() == shots


def test_a_sum_that_is_off_by_rounding_is_put_right() -> None:
    for outcomes, shots in WAYS.values():
        keys, counts = draw(seeded(1), spread(outcomes) * (1 + 1e-9), shots)
        assert counts.sum() == shots
        assert len(keys)


@pytest.mark.parametrize(("outcomes", "shots"), WAYS.values())
@pytest.mark.parametrize("total", [np.nan, 0.5, 2.0])
def test_a_state_whose_norm_is_lost_is_refused(outcomes: int, shots: int, total: float) -> None:
    with pytest.raises(InvalidTask, match="sum to"):
        draw(seeded(1), spread(outcomes) * total, shots)
    with pytest.raises(InvalidTask, match="sum to"):
        checked_norm(total)


@pytest.mark.parametrize("off", [1.0, 1 + 1e-9])
def test_rows_together_are_rows_one_after_the_other(off: float) -> None:
    rows = np.stack([spread(64, seed) for seed in range(9)])
    rows[4] *= off
    generator = seeded(7)
    single = [draw(generator, row, 300) for row in rows]
    keys, counts, ends = draw_rows(seeded(7), rows.copy(), 300)
    starts = [0, *ends]
    for row, (expected_keys, expected_counts) in enumerate(single):
        part = slice(starts[row], ends[row])
        np.testing.assert_array_equal(keys[part], expected_keys)
        np.testing.assert_array_equal(counts[part], expected_counts)


def test_the_first_numbers_of_a_stream_stay_what_they_are() -> None:
    # Journals replay by seeds: another stream would give resumed jobs other samples than the ones recorded.
    assert [int(seeded(seed).integers(0, 1 << 32)) for seed in (0, 1, 2**64 - 1)] == [2166797574, 905259104, 2964102380]


def test_every_thread_draws_from_its_own_stream() -> None:
    from concurrent.futures import ThreadPoolExecutor

    expected = [draw(seeded(seed), spread(512), 400)[0].tolist() for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: draw(seeded(seed), spread(512), 400)[0].tolist(), range(40)))
    assert found == expected


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1", True])
def test_seeds_that_are_no_64_bit_numbers_are_refused(seed: object) -> None:
    with pytest.raises(InvalidTask, match="seed"):
        read_seed(seed)


def test_each_way_of_drawing_is_taken_by_one_of_these_tests() -> None:
    outcomes, shots = WAYS["blocks"]
    assert outcomes >= shots * OUTCOMES_PER_SHOT
    outcomes, shots = WAYS["sorted uniforms"]
    assert SMALL < outcomes < shots * OUTCOMES_PER_SHOT
    assert 2 * outcomes > shots
    outcomes, shots = WAYS["multinomial, many shots"]
    assert outcomes > SMALL
    assert 2 * outcomes <= shots
    assert sampler.drawing_bytes(1 << 20, 1000) < sampler.drawing_bytes(1 << 20, 1 << 16)
