import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qloom.report.svg import Axis, axes, describe, finite, line_plot, nice_ticks, notes, thin
from qloom.report.values import MetricSeries

SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.lists(st.floats(width=32), min_size=0, max_size=50)


def series_of(values: list[float]) -> MetricSeries:
    return MetricSeries("energy_hartree", tuple(map(float, range(len(values)))), tuple(values))


def drawn(plot: str) -> list[tuple[float, float]]:
    line = next(node for node in ET.fromstring(plot).iter(f"{SVG}path"))
    numbers = [float(text) for text in re.findall(r"-?\d+\.\d", line.attrib["d"])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def words(plot: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(plot).iter(f"{SVG}text")]


@given(VALUES)
def test_every_series_is_drawn_inside_the_frame(values: list[float]) -> None:
    points = drawn(line_plot(series_of(values), width=400, height=300))
    assert len(points) == sum(map(math.isfinite, values))
    assert all(0 <= x <= 400 and 0 <= y <= 300 for x, y in points)


def test_higher_values_stand_higher_and_later_steps_to_the_right() -> None:
    first, second, third = drawn(line_plot(series_of([1.0, 3.0, 2.0])))
    assert first[0] < second[0] < third[0]
    assert second[1] < third[1] < first[1]


def test_a_plot_names_its_axes_with_the_unit_and_its_last_value() -> None:
    shown = words(line_plot(series_of([-1.0, -1.1])))
    assert {"energy (hartree)", "step", "● last −1.1"} <= set(shown)


def test_the_value_to_reach_is_drawn_with_its_word() -> None:
    plot = line_plot(series_of([-1.0, -1.1]), reference=("exact", -1.1373))
    assert "exact −1.1373" in words(plot)
    assert 'class="reference"' in plot


def test_a_value_to_reach_that_is_far_away_does_not_press_the_curve_flat() -> None:
    series = series_of([-1.0, -1.1])
    assert notes(series, ("exact", -50.0)) == ["The exact value, −50, lies outside the plot."]
    (_, high), (_, low) = drawn(line_plot(series, reference=("exact", -50.0), height=300))
    assert abs(high - low) > 150


def test_positive_values_over_many_decades_get_a_logarithmic_axis() -> None:
    plot = line_plot(MetricSeries("loss", (0.0, 1.0, 2.0), (1.0, 1e-2, 1e-4)))
    (_, first), (_, second), (_, third) = drawn(plot)
    assert second - first == pytest.approx(third - second, abs=0.2)
    assert {"loss, logarithmic", "10⁻²"} <= set(words(plot))


def test_a_constant_and_a_single_value_can_be_drawn() -> None:
    for values in ([0.0], [2.0, 2.0, 2.0], [-1e9]):
        assert len(drawn(line_plot(series_of(values)))) == len(values)


def test_values_that_are_not_finite_are_left_out_and_counted() -> None:
    series = series_of([1.0, math.nan, math.inf, 2.0])
    assert len(drawn(line_plot(series))) == 2
    assert notes(series, None) == ["2 values that are not finite are left out."]


def test_nothing_finite_is_said_in_words() -> None:
    series = series_of([math.nan])
    assert "no finite values" in words(line_plot(series))
    assert describe(series) == "energy (hartree): no finite values"


@given(st.lists(st.floats(-1e6, 1e6), min_size=200, max_size=400), st.integers(10, 60))
def test_thinning_keeps_both_ends_and_the_extremes_and_the_order(values: list[float], pixels: int) -> None:
    points = finite(series_of(values))
    kept = thin(points, Axis(0.0, len(values) - 1.0, 0.0, float(pixels)))
    assert kept[0] == tuple(points[0])
    assert kept[-1] == tuple(points[-1])
    assert {min(values), max(values)} <= {value for _, value in kept}
    assert kept == sorted(kept, key=lambda point: point[0])
    assert len(kept) <= 4 * (pixels + 1)


def test_a_thinned_plot_says_so() -> None:
    series = series_of([math.sin(step) for step in range(10_000)])
    assert re.search(r"^[\d,]+ of 10,000 values are drawn", notes(series, None)[0])
    assert len(line_plot(series)) < 60_000


@given(st.floats(-100, 100), st.floats(1e-6, 1e6))
def test_ticks_lie_on_the_axis_and_tell_themselves_apart(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span, 5)
    slack = 1e-6 * span
    assert all(low - slack <= value <= low + span + slack for value, _ in ticks)
    assert 2 <= len(ticks) <= 9
    assert len({text for _, text in ticks}) == len(ticks)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.floats(-1e3, 1e3))
def test_axes_hold_every_point(values: list[float], target: float) -> None:
    points = finite(series_of(values))
    x_axis, y_axis = axes(points, ("exact", target), 400, 300)
    assert all(y_axis.low <= value <= y_axis.high for value in values)
    assert x_axis.low < x_axis.high


@pytest.mark.parametrize(("values", "target"), [([5e-324], 0.0), ([0.0], 5e-324), ([1e-310, 1e3], 1.0), ([5e-324, 1e300], -1.0)])
def test_numbers_next_to_zero_have_axes_too(values: list[float], target: float) -> None:
    points = finite(series_of(values))
    for reference in (None, ("exact", target)):
        _, y_axis = axes(points, reference, 400, 300)
        assert y_axis.ticks(5)


@given(st.lists(st.floats(), min_size=1, max_size=5), st.floats(allow_nan=False, allow_infinity=False))
@example([5e-324], 0.0)
@example([0.0], 5e-324)
@example([1.7e308, -1.7e308], 0.0)
@example([1.0], 1.7e308)
@example([5e-324, 1.0], 0.0)
def test_values_of_any_size_are_drawn_or_left_out(values: list[float], target: float) -> None:
    drawn = line_plot(series_of(values), reference=("exact", target))
    assert "nan" not in re.sub(r"<title>.*?</title>|<text.*?</text>", "", drawn)


def test_a_single_value_at_a_step_that_is_a_time_in_nanoseconds_is_drawn() -> None:
    assert "<circle" in line_plot(MetricSeries("loss", (1.76e18,), (1.0,)))
