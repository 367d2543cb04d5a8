"""Fits: the numbers of Mitiq's factories and of SciPy's least squares, and error bars that hold."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qloom.mitigation.extrapolation import Fit, exponential, log_linear, next_scale, polynomial_weights
from qloom.pipelines.curves import curve

FloatArray = npt.NDArray[np.float64]
SCALES = ([1.0, 3.0, 5.0], [1.0, 2.0, 3.0, 4.0], [1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
values = st.lists(st.floats(-1, 1), min_size=6, max_size=6)
heights = st.one_of(st.floats(-1, -0.3), st.floats(0.3, 1))


def mitiq(factory: str, scales: list[float], data: FloatArray, **options: Any) -> tuple[float, list[float]]:
    """The value at no noise, and the coefficients."""
    inference = pytest.importorskip("mitiq.zne.inference")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = getattr(inference, factory).extrapolate(scales, data.tolist(), full_output=True, **options)
    return found[0], found[2]


def column(data: FloatArray) -> FloatArray:
    return data[:, None]


def decaying(scales: list[float], asymptote: float, height: float, *exponents: float) -> FloatArray:
    x = np.array(scales)
    return asymptote + height * np.exp(sum(z * x**power for power, z in enumerate(exponents, 1)))


# ---- linear in the data --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.sampled_from(SCALES), values, st.sampled_from(["LinearFactory", "RichardsonFactory", "PolyFactory"]), st.integers(1, 2))
def test_weights_give_what_mitiq_gives(scales: list[float], given: list[float], factory: str, order: int) -> None:
    data = np.array(given[: len(scales)])
    degree = {"LinearFactory": 1, "RichardsonFactory": len(scales) - 1}.get(factory, order)
    found, coefficients = mitiq(factory, scales, data, **({"order": order} if factory == "PolyFactory" else {}))
    ours = np.array(polynomial_weights(scales, degree)) @ data
    assert abs(ours[0] - found) < 1e-10
    assert np.allclose(ours[::-1], coefficients, atol=1e-10)


@given(st.lists(st.floats(1, 9), min_size=4, max_size=7, unique_by=lambda x: round(x, 1)), st.integers(1, 3))
def test_weights_are_exact_for_polynomials_of_their_order(scales: list[float], order: int) -> None:
    x: FloatArray = np.array(scales)
    given = np.array([float(power) for power in range(1, order + 2)])
    weights = np.array(polynomial_weights(scales, order))
    data = curve("polynomial", given, x)
    assert np.abs(weights @ data - given).max() < 1e-13 * np.abs(weights).max() * np.abs(data).max() * len(x)


# ---- exponential, known asymptote ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.sampled_from(SCALES), values, st.floats(-0.4, 0.4), st.integers(1, 2))
def test_the_fit_of_logarithms_gives_what_mitiq_gives(
    scales: list[float], given: list[float], asymptote: float, order: int
) -> None:
    data = np.array(given[: len(scales)])
    # Which side of the asymptote the values are on is not for rounding errors to say.
    assume(abs(np.array(polynomial_weights(scales, 1)[0]) @ data - asymptote) > 1e-9)
    found, coefficients = mitiq("PolyExpFactory", scales, data, order=order, asymptote=asymptote)
    fit = log_linear(np.array(scales), column(data), column(0 * data), asymptote, order)
    assert abs(fit.values[0] - found) < 1e-10 * max(1, abs(found))
    assert np.allclose(fit.coefficients[2:, 0], coefficients[2:], atol=1e-9)


def test_an_exponential_comes_back_exactly_and_its_curve_goes_through_it() -> None:
    x = np.array([1.0, 2.0, 3.0])
    data = decaying([1, 2, 3], 0.5, -0.7, -0.3)
    fit = log_linear(x, column(data), column(0 * data), 0.5)
    assert abs(fit.values[0] + 0.2) < 1e-12
    assert np.allclose(curve("exponential", fit.coefficients, x)[:, 0], data, atol=1e-12)
    assert abs(mitiq("ExpFactory", [1, 2, 3], data, asymptote=0.5)[0] - fit.values[0]) < 1e-10


# ---- exponential, free asymptote -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(SCALES), st.floats(-0.3, 0.3), heights, st.floats(-0.8, -0.1))
def test_a_free_asymptote_gives_what_mitiq_gives(scales: list[float], asymptote: float, height: float, decay: float) -> None:
    data = decaying(scales, asymptote, height, decay)
    fit = exponential(np.array(scales), column(data), column(0 * data))
    assert fit.converged[0]
    assert abs(fit.values[0] - asymptote - height) < 1e-10
    try:
        found, coefficients = mitiq("ExpFactory", scales, data)
    except pytest.importorskip("mitiq.zne.inference").ExtrapolationError:
        return  # it gives up on some decays that are there
    # It stops some 1e-10 before the minimum, and in flat ones 1e-8.
    assert abs(fit.values[0] - found) < 1e-8
    assert np.allclose(fit.coefficients[:, 0], coefficients, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_three_noisy_values_give_what_mitiq_gives(seed: int) -> None:
    scales = [1.0, 3.0, 5.0]
    data = decaying(scales, 0.1, 0.8, -0.4) + 0.003 * np.random.default_rng(seed).normal(size=3)
    fit = exponential(np.array(scales), column(data), column(0 * data))
    assert abs(fit.values[0] - mitiq("ExpFactory", scales, data)[0]) < 1e-10


@pytest.mark.parametrize("seed", range(8))
def test_more_noisy_values_than_parameters_give_the_least_squares_of_scipy(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    scales, x = SCALES[2], np.array(SCALES[2])
    data = decaying(scales, 0.1, 0.8, -0.4) + 0.01 * np.random.default_rng(seed).normal(size=6)
    start = (0.0, 1.0, -1.0)
    found, _ = optimize.curve_fit(
        lambda x, a, b, z: a + b * np.exp(z * x),
        x,
        data,
        start,
        jac=lambda x, a, b, z: np.stack([0 * x + 1, np.exp(z * x), b * x * np.exp(z * x)], axis=1),
        ftol=1e-15,
        xtol=1e-15,
        gtol=1e-15,
    )
    fit = exponential(x, column(data), column(0 * data))
    assert np.allclose(fit.coefficients[:, 0], found, atol=1e-7)
    # Mitiq stops where the sum of squares no longer falls, which is half the digits of the value.
    assert abs(fit.values[0] - mitiq("ExpFactory", scales, data)[0]) < 1e-6


@pytest.mark.parametrize("exponents", [(-0.3, -0.02), (-0.1, -0.04), (-0.4, 0.02, -0.002)])
def test_an_exponent_of_higher_order_gives_what_mitiq_gives(exponents: tuple[float, ...]) -> None:
    scales = SCALES[2]
    data = decaying(scales, 0.1, 0.8, *exponents)
    fit = exponential(np.array(scales), column(data), column(0 * data), len(exponents))
    assert fit.converged[0]
    assert abs(fit.values[0] - mitiq("PolyExpFactory", scales, data, order=len(exponents))[0]) < 1e-10
    assert np.allclose(fit.coefficients[:, 0], [0.1, 0.8, *exponents], atol=1e-8)


def test_all_series_are_fitted_as_each_alone() -> None:
    x = np.array(SCALES[1])
    data = np.stack([decaying(SCALES[1], 0.1 * n, 0.8 - 0.3 * n, -0.1 - 0.1 * n) for n in range(4)], axis=1)
    data += 0.003 * np.random.default_rng(0).normal(size=data.shape)
    together = exponential(x, data, 0 * data + 0.01)
    for number in range(4):
        alone = exponential(x, data[:, [number]], np.full((4, 1), 0.01))
        assert np.allclose([together.values[number], together.errors[number]], [alone.values[0], alone.errors[0]], rtol=1e-9)


def test_a_straight_line_is_an_exponential_of_no_decay() -> None:
    x = np.array([1.0, 3.0, 5.0])
    fit = exponential(x, column(0.9 - 0.1 * x), np.full((3, 1), 0.01))
    assert fit.converged[0]
    assert abs(fit.values[0] - 0.9) < 1e-6


def test_values_that_are_all_alike_are_their_own_answer() -> None:
    fit = exponential(np.array([1.0, 3.0, 5.0]), np.array([[0.0, 0.4], [0.0, 0.4 + 1e-15], [0.0, 0.4]]), np.full((3, 2), 0.01))
    assert fit.converged.all()
    assert np.allclose(fit.values, [0, 0.4], atol=1e-14)
    assert (fit.errors > 0.01).all()
    assert np.allclose(fit.coefficients, np.array([[0, 0.4], [0, 0], [0, 0]]))


@pytest.mark.parametrize("data", [(0.9, 0.5, 0.6), (0.9, 0.5, 0.6, 0.55), (0.1, 0.0, 0.0)])
@pytest.mark.parametrize("order", [1, 2])
def test_values_that_follow_no_exponential_do_not_converge(data: tuple[float, ...], order: int) -> None:
    x = np.array([float(scale) for scale in range(1, len(data) + 1)])
    if len(data) >= order + 2:
        assert not exponential(x, column(np.array(data)), np.zeros((len(data), 1)), order).converged[0]


# ---- error bars --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [lambda x, y, e: log_linear(x, y, e, 0.1), exponential])
def test_error_bars_are_how_much_the_answers_spread(fit: Any) -> None:
    x = np.array(SCALES[1])
    exact = decaying(SCALES[1], 0.1, 0.8, -0.3)[:, None]
    errors = np.array([0.001, 0.002, 0.002, 0.003])[:, None]
    draws = exact + errors * np.random.default_rng(5).normal(size=(4, 4000))
    found = fit(x, draws, np.broadcast_to(errors, draws.shape))
    assert found.converged.all()
    assert found.values.std() / found.errors.mean() == pytest.approx(1, abs=0.08)


def test_a_value_beyond_the_asymptote_keeps_its_error_bar_finite() -> None:
    fit = log_linear(np.array([1.0, 3.0, 5.0]), column(np.array([0.6, 0.2, -0.01])), np.full((3, 1), 0.02), 0.0)
    assert 0.02 < fit.errors[0] < 0.2


# ---- the adaptive choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asymptote", [None, 0.1])
def test_scales_are_chosen_as_mitiq_chooses_them(asymptote: float | None) -> None:
    inference = pytest.importorskip("mitiq.zne.inference")

    def value(scale: float) -> float:
        return float(0.1 + 0.8 * np.exp(-0.45 * scale) + 0.002 * np.sin(9 * scale))

    factory = inference.AdaExpFactory(steps=3 + (asymptote is None), asymptote=asymptote)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        factory.run_classical(value)
        found = factory.reduce()
    scales = [1.0, 2.0] if asymptote else [1.0, 2.0, 4.0]

    def fitted() -> Fit:
        x, data = np.array(scales), column(np.array([value(scale) for scale in scales]))
        return exponential(x, data, 0 * data) if asymptote is None else log_linear(x, data, 0 * data, asymptote)

    scales.append(next_scale(fitted(), 6.0))
    assert np.allclose(scales, factory.get_scale_factors(), atol=1e-10)
    assert abs(fitted().values[0] - found) < (1e-10 if asymptote else 1e-7)
