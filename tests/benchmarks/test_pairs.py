"""What is concluded from timings, on timings made up."""

import math
import statistics
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pairs import (
    Pair,
    Row,
    Sense,
    Target,
    calibrate,
    calmest,
    median_interval,
    not_run,
    spread,
    summary,
    take_pairs,
)

times = st.floats(1e-7, 10.0)


def row_of(pairs: list[Pair], target: Target | None = None) -> Row:
    return summary("a figure", "a peer", target or Target(1.2), pairs)


def test_a_row_is_the_median_of_the_pairs_own_ratios() -> None:
    row = row_of([Pair(1.0, 1.0), Pair(1.1, 1.0), Pair(30.0, 20.0)])
    assert (row.ratio, row.ours, row.theirs, row.n) == (1.1, 1.1, 1.0, 3)


def test_a_drift_of_the_machine_falls_on_both_sides_and_leaves_the_ratio_alone() -> None:
    slower = [1.0 + 0.1 * index for index in range(31)]
    row = row_of([Pair(1.5 * factor, factor) for factor in slower])
    assert row.ratio == pytest.approx(1.5)
    assert row.low == row.high == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("target", "ours", "met"),
    [
        (Target(1.2), 1.19, True),
        (Target(1.2), 1.2, True),
        (Target(1.2), 1.21, False),
        (Target(2.0, Sense.AT_LEAST), 0.5, True),
        (Target(2.0, Sense.AT_LEAST), 0.51, False),
        (Target(), 99.0, None),
    ],
)
def test_a_target_is_met_by_the_median(target: Target, ours: float, met: bool | None) -> None:
    assert row_of([Pair(ours, 1.0)] * 5, target).met is met


def test_the_document_has_the_agreed_fields_first() -> None:
    document = row_of([Pair(1.0, 2.0)] * 30, Target(1.5, Sense.AT_LEAST)).to_json()
    assert list(document)[:10] == ["figure", "ours", "theirs", "peer", "ratio", "low", "high", "n", "target", "met"]
    assert (document["ratio"], document["n"], document["target"], document["met"]) == (2.0, 30, 1.5, True)


def test_a_peer_that_spreads_over_a_third_of_its_median_makes_the_row_noisy() -> None:
    calm = row_of([Pair(1.0, 1.0 + 0.01 * index) for index in range(30)])
    wild = row_of([Pair(1.0, 1.0 + 0.05 * index) for index in range(30)])
    assert (calm.noisy, wild.noisy) == (False, True)
    assert wild.to_json()["noisy"] is True


def test_our_own_spread_does_not_excuse_us() -> None:
    assert not row_of([Pair(1.0 + index, 1.0) for index in range(30)]).noisy


def test_of_repeated_rows_the_one_with_the_calmest_peer_counts_even_when_it_is_worse_for_us() -> None:
    wild = row_of([Pair(1.0, 1.0 + 0.2 * index) for index in range(30)])
    calm = row_of([Pair(2.0, 1.0)] * 30)
    assert calmest([wild, calm]) is calm


def test_a_figure_that_did_not_run_is_not_met_and_keeps_its_place() -> None:
    row = not_run("a figure", "a peer", Target(1.2), "build it with `make envs`")
    assert row.to_json()["met"] is False
    assert row.to_json()["note"] == "not run: build it with `make envs`"
    assert not_run("a figure", "a peer", Target(), "gone").met is False


@given(st.lists(times, min_size=1, max_size=60))
def test_the_interval_holds_the_median_and_is_made_of_measured_values(values: list[float]) -> None:
    low, high = median_interval(values)
    assert low <= statistics.median(values) <= high
    assert {low, high} <= set(values)


@pytest.mark.parametrize("count", [6, 9, 30, 31, 100])
def test_the_interval_misses_the_true_median_at_most_once_in_twenty(count: int) -> None:
    values = list(range(count))
    low, high = (int(edge) for edge in median_interval(values))
    missed = sum(math.comb(count, below) for below in range(low + 1)) * 2 / 2**count
    assert high == count - 1 - low
    assert missed <= 0.05
    wider_would_do = sum(math.comb(count, below) for below in range(low + 2)) * 2 / 2**count
    assert wider_would_do > 0.05


def test_five_values_give_their_whole_range_and_none_are_refused() -> None:
    assert median_interval([3.0, 1.0, 2.0, 5.0, 4.0]) == (1.0, 5.0)
    with pytest.raises(ValueError, match="at least one"):
        median_interval([])


@given(st.lists(times, min_size=2, max_size=40), st.floats(0.01, 100.0))
def test_the_spread_does_not_depend_on_the_unit(values: list[float], factor: float) -> None:
    assert spread([value * factor for value in values]) == pytest.approx(spread(values), rel=1e-9, abs=1e-9)


def test_the_spread_of_a_single_timing_is_nothing() -> None:
    assert spread([1.0]) == 0.0


@given(st.floats(1e-7, 0.1), st.floats(0.001, 0.05))
def test_calibration_makes_a_timing_long_enough_but_not_far_longer(unit_s: float, minimum_s: float) -> None:
    loops = calibrate(lambda count: count * unit_s, minimum_s)
    assert loops * unit_s >= minimum_s
    assert loops == 1 or loops * unit_s <= 1.3 * minimum_s + unit_s


def test_calibration_ends_when_the_clock_shows_nothing() -> None:
    assert calibrate(lambda count: 0.0, 0.005) == 1_000_000


def test_both_sides_go_first_about_as_often_and_the_seed_decides_when() -> None:
    def order(seed: int) -> list[str]:
        seen: list[str] = []

        def side(name: str, loops: int) -> float:
            seen.append(name)
            return float(loops)

        pairs = list(take_pairs(partial(side, "ours"), partial(side, "theirs"), count=40, minimum_s=0.1, seed=seed))
        assert pairs == [Pair(1.0, 1.0)] * 40
        return seen[4::2]  # two calls to warm up and calibrate each side, then pairs

    assert 10 <= order(1).count("ours") <= 30
    assert order(1) == order(1)
    assert order(1) != order(2)


def test_a_pair_holds_the_seconds_of_one_unit_of_work() -> None:
    pairs = take_pairs(lambda loops: loops * 0.002, lambda loops: loops * 0.0005, count=4, minimum_s=0.01, seed=1)
    for pair in pairs:
        assert pair.ours == pytest.approx(0.002)
        assert pair.theirs == pytest.approx(0.0005)
