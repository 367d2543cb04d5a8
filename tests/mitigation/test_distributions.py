import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Observable
from qloom.contracts import Distribution
from qloom.errors import InvalidTask, Unsupported
from qloom.mitigation.distributions import Estimator, mean, needed_bits, odd, post_select
from qloom.pipelines.distributions import distribution_of
from qloom.results import Engine, Result, SampleTable
from qloom.testing.device_contract import ansatz, state_of
from qloom.testing.stage_contract import ideal_distribution
from tests.mitigation.estimates import expectation

POINT = np.array([0.4, -1.1, 0.7])


def drawn(bits: int, seed: int, shots: float = 500.0, basis: str = "") -> Distribution:
    weights = np.random.default_rng(seed).dirichlet(np.ones(1 << bits))
    return Distribution(np.arange(1 << bits, dtype=np.uint64), weights, bits, shots, basis=basis)


def exact(observable: Observable) -> float:
    state = state_of(ansatz(), POINT)
    return float(np.vdot(state, observable.matrix() @ state).real)


def result(keys: list[int], counts: list[int], bits: int) -> Result:
    table = SampleTable(np.array(keys, np.uint64), np.array(counts), (0, len(keys)))
    return Result(engine=Engine("test", "1"), shots=sum(counts), key_lengths=(bits,), samples=table)


def test_counts_become_frequencies() -> None:
    found = distribution_of(result([1, 6], [1, 3], 3), basis="XZZ")
    assert (found.keys.tolist(), found.weights.tolist(), found.bits, found.shots, found.basis) == (
        [1, 6],
        [0.25, 0.75],
        3,
        4,
        "XZZ",
    )


def test_more_bits_than_a_word_has_are_refused() -> None:
    table = SampleTable(np.zeros((1, 9), np.uint8), np.array([1]), (0, 1))
    with pytest.raises(Unsupported, match="64"):
        distribution_of(Result(engine=Engine("test", "1"), shots=1, key_lengths=(65,), samples=table))


def test_several_items_are_refused() -> None:
    two = Result(engine=Engine("test", "1"), shots=1, sets=2, key_lengths=(1,))
    with pytest.raises(InvalidTask, match="2"):
        distribution_of(two)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), st.lists(st.integers(0, 63), unique=True))
def test_parities_are_those_of_the_bits_counted(keys: list[int], bits: list[int]) -> None:
    expected = [sum(key >> (63 - bit) & 1 for bit in bits) % 2 == 1 for key in keys]
    assert odd(np.array(keys, np.uint64), 64, bits).tolist() == expected


def test_a_mean_of_equal_parts_has_all_their_shots() -> None:
    one, two = drawn(2, 1)._replace(spread=1.5), drawn(2, 2)._replace(spread=1.5)
    both = mean([one, two])
    np.testing.assert_allclose(both.weights, (one.weights + two.weights) / 2)
    assert (both.shots, both.spread) == (1000.0, 1.5)


def test_a_mean_weighs_by_shots_over_spread_so_that_its_variance_is_least() -> None:
    one, two = drawn(1, 1, shots=100.0)._replace(spread=2.0), drawn(1, 2, shots=300.0)
    both = mean([one, two])
    np.testing.assert_allclose(both.weights, (50 * one.weights + 300 * two.weights) / 350)
    assert both.spread / both.shots == pytest.approx(1 / 350)


def test_distributions_of_different_settings_have_no_mean() -> None:
    with pytest.raises(InvalidTask, match="XX"):
        mean([drawn(2, 1), drawn(2, 1, basis="XX")])


def test_post_selection_keeps_the_parity_asked_for() -> None:
    found = drawn(3, 5)
    kept, share = post_select(found, (((0, 2), True),))
    chosen = [key for key in range(8) if (key >> 2 & 1) != (key & 1)]
    assert kept.keys.tolist() == chosen
    assert share == pytest.approx(found.weights[chosen].sum())
    np.testing.assert_allclose(kept.weights, found.weights[chosen] / share)
    assert kept.shots == pytest.approx(500 * share)


def test_keeping_nothing_is_an_error() -> None:
    only = Distribution(np.array([0], np.uint64), np.ones(1), 2, 10)
    with pytest.raises(Unsupported, match="none of 10 shots"):
        post_select(only, (((0, 1), True),))


@pytest.mark.parametrize("measured", [(0, 1, 2), (2, 0, 1)])
def test_exact_distributions_give_the_exact_value(measured: tuple[int, ...]) -> None:
    energy = Observable({"ZII": 0.5, "IZZ": -0.7, "XXI": 0.4, "IYX": 0.3, "XYZ": -0.2, "III": 1.5})
    settings = [ideal_distribution(ansatz(), POINT, measured, group.basis) for group in energy.groups]
    assert expectation(energy, settings, measured)[0] == pytest.approx(exact(energy), abs=1e-12)


def test_the_standard_error_is_that_of_the_terms_summed_shot_by_shot() -> None:
    energy, found = Observable({"ZZ": 1.0, "ZI": 0.5, "IZ": -0.25}), drawn(2, 3, shots=100.0)
    worth = np.array([1 + 0.5 - 0.25, -1 + 0.5 + 0.25, -1 - 0.5 - 0.25, 1 - 0.5 + 0.25])
    value = float(found.weights @ worth)
    spread = float(found.weights @ (worth - value) ** 2)
    assert expectation(energy, [found]) == pytest.approx((value, (spread / 99) ** 0.5))


def test_a_single_shot_has_the_largest_error_there_can_be() -> None:
    one = Distribution(np.array([0], np.uint64), np.ones(1), 1, 1)
    assert expectation(Observable({"Z": 2.0}), [one]) == (2.0, 2.0)


def test_standard_errors_cover_what_is_drawn() -> None:
    energy, truth = Observable({"ZZ": 1.0, "XI": 0.5, "ZI": 0.3}), [drawn(2, 1, basis="ZZ"), drawn(2, 2, basis="XZ")]
    expected, _ = expectation(energy, truth)
    generator = np.random.default_rng(3)
    pulls = []
    for _ in range(400):
        seen = [one._replace(weights=generator.multinomial(500, one.weights) / 500) for one in truth]
        value, error = expectation(energy, seen)
        pulls.append((value - expected) / error)
    assert abs(np.mean(pulls)) < 0.25
    assert 0.85 < float(np.std(pulls)) < 1.15


def test_a_term_that_two_settings_tell_is_averaged_over_them() -> None:
    one, two = drawn(1, 1, basis="Z"), drawn(1, 2, basis="Z")
    value, _ = expectation(Observable({"Z": 1.0}), [one, two])
    assert value == pytest.approx((one.weights - one.weights[::-1])[0] / 2 + (two.weights - two.weights[::-1])[0] / 2)


def test_what_no_setting_tells_is_refused_with_the_settings() -> None:
    with pytest.raises(Unsupported, match=r"YI.*ZZ, XX"):
        expectation(Observable({"YI": 1.0}), [drawn(2, 1, basis="ZZ"), drawn(2, 1, basis="XX")])
    with pytest.raises(Unsupported, match="qubit 2"):
        needed_bits("IIZ", (0, 1))


def test_many_bits_are_estimated_without_a_table() -> None:
    keys = np.unique(np.random.default_rng(1).integers(0, 1 << 40, 50).astype(np.uint64))
    weights: npt.NDArray[np.float64] = np.full(len(keys), 1 / len(keys))
    wide = Distribution(keys, weights, 40, 50)
    observable = Observable.sparse({"Z0 Z39": 1.0, "Z5": 0.5}, 40)
    signs = [(-1) ** ((int(key) >> 39 & 1) + (int(key) & 1)) + 0.5 * (-1) ** (int(key) >> 34 & 1) for key in keys]
    assert expectation(observable, [wide])[0] == pytest.approx(float(np.mean(signs)))


def test_a_setting_of_another_size_is_refused() -> None:
    with pytest.raises(Unsupported, match="3 bits"):
        Estimator((Observable({"ZZ": 1.0}),), ("ZZZ",), (0, 1))


def test_circuits_without_noise_give_the_bits_asked_for() -> None:
    assert ideal_distribution(Circuit(3).x(0), np.zeros(0), (2, 0)).weights.tolist() == [0, 1, 0, 0]
