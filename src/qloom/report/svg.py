"""A small line plot as SVG text: axes, ticks, a reference line, the last value; no script, colours by style sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qloom.report.labels import MINUS, brief, label, number, power_of_ten, steps_of
from qloom.report.markup import Html, element, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from qloom.report.values import MetricSeries

    FloatArray = npt.NDArray[np.float64]

DECADES_FOR_LOG = 2.0
"""Positive values that span more powers of ten than this are drawn on a logarithmic axis."""
TOOLTIPS = 120
"""Up to this many points, each tells its value under the pointer."""
DOTS = 60
"""Up to this many points, each is seen."""
TINY, HUGE = 1e-290, 1e300
"""Between them differences and powers of ten can be worked out: less is drawn as none, more as infinite."""
TOP, BOTTOM, RIGHT = 36, 38, 14
CHARACTER = 7.2
"""Width of a digit, about, in the plot's units."""

Points = list[tuple[float, float]]
"""(step, value) of what is drawn."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: data values to places between `start` and `stop`, straight or logarithmic.

    >>> Axis(0.0, 10.0, 100.0, 200.0).place(5.0)
    150.0
    """

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value stands."""
        low, high, at = (
            (math.log10(x) for x in (self.low, self.high, value)) if self.logarithmic else (self.low, self.high, value)
        )
        return self.start + (at - low) / (high - low) * (self.stop - self.start)

    def places(self, values: Iterable[float]) -> list[float]:
        """Return where several values stand.

        >>> Axis(0.0, 10.0, 100.0, 200.0).places([0.0, 5.0])
        [100.0, 150.0]
        """
        if self.logarithmic:
            return [self.place(value) for value in values]
        low, start, scale = self.low, self.start, (self.stop - self.start) / (self.high - self.low)
        return [start + (value - low) * scale for value in values]

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return about that many values with their labels."""
        return decades(self.low, self.high, count) if self.logarithmic else nice_ticks(self.low, self.high, count)


def line_plot(
    series: MetricSeries,
    *,
    reference: tuple[str, float] | None = None,
    width: int = 760,
    height: int = 340,
    margin: int = 0,
    css_class: str | None = None,
    style: Html | None = None,
) -> Html:
    """Return one metric over its steps as an `<svg>` element.

    Args:
        series: the values; those that are not finite are left out.
        reference: a word and a value to reach, drawn as a broken line.
        width, height: size of the drawing; it scales to the page.
        margin: free space round it, as a picture that stands alone needs.
        css_class: class of the element, besides `plot`.
        style: the style sheet of a picture that stands alone, on a card of its own.

    Returns:
        The element. Where there are more points than pixels, the lowest and the highest of each pixel column are drawn.

    >>> from qloom.report.values import MetricSeries
    >>> line_plot(MetricSeries("energy_hartree", (0.0, 1.0), (-1.0, -1.1)))[:31]
    '<svg viewBox="0 0 760 340" role'
    """
    points = finite(series)
    x_axis, y_axis = axes(points, reference, width, height)
    drawn = thin(points, x_axis)
    body = [
        grid(x_axis, y_axis, width, height),
        axis_labels(series.name, y_axis, width, height),
        reference_line(reference, x_axis, y_axis) if reference else "",
        element("path", class_="line" if len(points) <= width else "line dense", d=path(drawn, x_axis, y_axis)),
        _tooltips(drawn, x_axis, y_axis) if len(points) <= TOOLTIPS else "",
        _last(drawn, x_axis, y_axis) if drawn else nothing(width, height),
    ]
    return drawing(describe(series), body, width, height, margin=margin, css_class=css_class, style=style)


def describe(series: MetricSeries) -> str:
    """Return the plot in one sentence, for those who do not see it.

    >>> from qloom.report.values import MetricSeries
    >>> describe(MetricSeries("energy_hartree", (0.0, 1.0), (-1.0, -1.1)))
    'energy (hartree): 2 values from step 0 to 1, first −1, last −1.1, lowest −1.1, highest −1'
    """
    points = finite(series)
    if not len(points):
        return f"{label(series.name)}: no finite values"
    values = points[:, 1]
    return (
        f"{label(series.name)}: {len(points)} values from step {number(points[0, 0])} to {number(points[-1, 0])}, "
        f"first {number(values[0])}, last {number(values[-1])}, lowest {number(values.min())}, highest {number(values.max())}"
    )


def finite(series: MetricSeries) -> FloatArray:
    """Return step and value of the values that can be drawn, shape (values, 2), by step."""
    points = series.points
    size = abs(points)
    return points[(size[:, 0] <= HUGE) & (size[:, 1] <= HUGE)]  # NaN compares as false


def notes(series: MetricSeries, reference: tuple[str, float] | None, width: int = 760, height: int = 340) -> list[str]:
    """Return what a plot of that size does not show, in sentences for its caption; empty where it shows all.

    >>> from qloom.report.values import MetricSeries
    >>> notes(MetricSeries("loss", (0.0, 1.0), (0.5, float("nan"))), None)
    ['1 value that is not finite is left out.']
    """
    points = finite(series)
    x_axis, y_axis = axes(points, reference, width, height)
    said = []
    if len(drawn := thin(points, x_axis)) < len(points):
        said.append(
            f"{len(drawn):,} of {len(points):,} values are drawn: the first, lowest, highest and last of each pixel column."
        )
    if lost := len(series.values) - len(points):
        said.append(
            f"{lost:,} value{'s that are' if lost > 1 else ' that is'} not finite {'are' if lost > 1 else 'is'} left out."
        )
    return said + outside(reference, y_axis)


def outside(reference: tuple[str, float] | None, y_axis: Axis) -> list[str]:
    """Return the sentence for a value to reach that a plot does not show; empty where it does.

    >>> outside(("exact", 5.0), Axis(0, 1, 0, 100))
    ['The exact value, 5, lies outside the plot.']
    """
    if reference is None or y_axis.low <= reference[1] <= y_axis.high:
        return []
    return [f"The {reference[0]} value, {number(reference[1])}, lies outside the plot."]


def thin(points: FloatArray, x_axis: Axis) -> Points:
    """Return at most four points of each pixel column: the first, the lowest, the highest and the last, in their order.

    Args:
        points: shape (points, 2), by step.
        x_axis: where they are drawn; it is straight.

    >>> import numpy as np
    >>> axis = Axis(0, 9, 0, 2)
    >>> thin(np.array([(float(step), float(step % 4)) for step in range(10)]), axis)[:4]
    [(0.0, 0.0), (3.0, 3.0), (4.0, 0.0), (5.0, 1.0)]
    """
    if len(points) > 2 * (x_axis.stop - x_axis.start):
        points = points[_ends_and_extremes(points, x_axis)]
    return list(zip(points[:, 0].tolist(), points[:, 1].tolist(), strict=True))


def axes(points: FloatArray, reference: tuple[str, float] | None, width: int, height: int) -> tuple[Axis, Axis]:
    """Return the axes that hold all points (shape (points, 2), in any order), and the reference where it does not dwarf them."""
    (first, low), (last, high) = (points.min(axis=0).tolist(), points.max(axis=0).tolist()) if len(points) else ((0, 0), (0, 0))
    logarithmic = low > TINY and reference is None and math.log10(high / low) > DECADES_FOR_LOG
    if logarithmic:
        low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
    else:
        low, high = _padded(*_with_reference(low, high, reference), reference)
    y_axis = Axis(low, high, height - BOTTOM, TOP, logarithmic=logarithmic)
    left = 16 + CHARACTER * max(len(text) for _, text in y_axis.ticks(5))
    return Axis(first, last if last > first else first + max(1.0, 1e-9 * abs(first)), left, width - RIGHT), y_axis


def nice_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Return round values from low to high, 1, 2 or 5 times a power of ten apart, about `count` of them.

    >>> [text for _, text in nice_ticks(-1.14, -1.02, 5)]
    ['−1.14', '−1.12', '−1.10', '−1.08', '−1.06', '−1.04', '−1.02']
    """
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.7)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [index * step for index in range(first, last + 1)]
    if max(abs(low), abs(high)) >= 1e7 or step < 1e-9:
        return [(value, f"{value:.3g}".replace("-", MINUS)) for value in values]
    return [(value, steps_of(value, max(0, -math.floor(math.log10(step) + 1e-9)))) for value in values]


def decades(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Return powers of ten from low to high, at most about `count`.

    >>> [text for _, text in decades(1e-4, 1.0, 3)]
    ['10⁻⁴', '10⁻²', '10⁰']
    """
    first, last = round(math.log10(low)), round(math.log10(high))
    stride = max(1, math.ceil((last - first) / max(count, 1)))
    return [(10.0**exponent, power_of_ten(exponent)) for exponent in range(first, last + 1, stride)]


def path(points: Points, x_axis: Axis, y_axis: Axis) -> str:
    """Return the `d` of a path through the points, one decimal each.

    >>> path([(0.0, 0.0), (1.0, 1.0)], Axis(0, 1, 0, 10), Axis(0, 1, 10, 0))
    'M0.0 10.0L10.0 0.0'
    """
    if not points:
        return ""
    steps, values = zip(*points, strict=True)
    places = zip(x_axis.places(steps), y_axis.places(values), strict=True)
    return "M" + "L".join([f"{x:.1f} {y:.1f}" for x, y in places])


def grid(x_axis: Axis, y_axis: Axis, width: int, height: int) -> Html:
    """Return both axes with their ticks, and a line across for each tick of the values."""
    lines: list[Html] = []
    for value, shown in y_axis.ticks(5):
        y = f"{y_axis.place(value):.1f}"
        lines += [
            element("line", class_="grid", x1=f"{x_axis.start:.1f}", x2=width - RIGHT, y1=y, y2=y),
            element("text", shown, class_="tick", x=f"{x_axis.start - 8:.1f}", y=y, dy="0.33em", text_anchor="end"),
        ]
    base = height - BOTTOM
    lines.append(element("line", class_="axis", x1=f"{x_axis.start:.1f}", x2=width - RIGHT, y1=base, y2=base))
    for value, shown in x_axis.ticks(max(2, width // 110)):
        if value != round(value):
            continue  # steps are counted: no half ones on a short axis
        x = f"{x_axis.place(value):.1f}"
        lines += [
            element("line", class_="axis", x1=x, x2=x, y1=base, y2=base + 5),
            element("text", shown.removesuffix(".0"), class_="tick", x=x, y=base + 18, text_anchor="middle"),
        ]
    return join(lines)


def axis_labels(name: str, y_axis: Axis, width: int, height: int, across: str = "step") -> Html:
    """Return what stands on the two axes."""
    words = label(name) + (", logarithmic" if y_axis.logarithmic else "")
    return join(
        [
            element("text", words, class_="axis-label", x=8, y=18),
            element("text", across, class_="axis-label", x=width - RIGHT, y=height - 6, text_anchor="end"),
        ]
    )


def drawing(
    title: str,
    body: Iterable[Html | str],
    width: int,
    height: int,
    *,
    margin: int = 0,
    css_class: str | None = None,
    style: Html | None = None,
) -> Html:
    """Return an `<svg>` element that says in its title what it shows.

    Args:
        title: the picture in words.
        body: what is drawn.
        width, height: of that; it scales to the page.
        margin: free space round it.
        css_class: class of the element, besides `plot`.
        style: the style sheet of a picture that stands alone, on a card of its own, which follows the system's light or dark
            setting: that may not be its page's.
    """
    corner = {"x": -margin, "y": -margin, "width": width + 2 * margin, "height": height + 2 * margin}
    return element(
        "svg",
        element("title", title),
        join([style, element("rect", class_="card", **corner, rx=8)]) if style else "",
        *body,
        viewBox=" ".join(map(str, corner.values())),
        role="img",
        class_=f"plot {css_class}" if css_class else "plot",
        xmlns="http://www.w3.org/2000/svg",
    )


def nothing(width: int, height: int) -> Html:
    """Return the words that stand where nothing can be drawn."""
    return element("text", "no finite values", class_="tick", x=width / 2, y=height / 2, text_anchor="middle")


def reference_line(reference: tuple[str, float], x_axis: Axis, y_axis: Axis) -> Html:
    """Return a broken line at the value to reach, with its word; nothing where it lies outside."""
    word, value = reference
    if outside(reference, y_axis):
        return Html("")
    y = y_axis.place(value)
    # On the side where the data are not, as _padded has left room there.
    beside = y + 18 if y > (y_axis.start + y_axis.stop) / 2 else y - 8
    return join(
        [
            element("line", class_="reference", x1=f"{x_axis.start:.1f}", x2=f"{x_axis.stop:.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}"),
            element("text", f"{word} {number(value)}", class_="reference-label", x=f"{x_axis.start + 8:.1f}", y=f"{beside:.1f}"),
        ]
    )


# ---- inside ----------------------------------------------------------------------------------------------------------


def _ends_and_extremes(points: FloatArray, x_axis: Axis) -> npt.NDArray[np.int64]:
    """Return the places of the first, lowest, highest and last point of each pixel column, ascending, each once."""
    import numpy as np

    steps, values = points[:, 0], points[:, 1]
    columns = np.floor((steps - x_axis.low) * ((x_axis.stop - x_axis.start) / (x_axis.high - x_axis.low)) + x_axis.start)
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(columns)) + 1])
    lasts = np.concatenate([firsts[1:], [len(points)]]) - 1
    own = np.repeat(np.arange(len(firsts)), lasts - firsts + 1)
    order = np.lexsort((values, own))  # inside each column from the lowest to the highest
    places: npt.NDArray[np.int64] = np.unique(np.concatenate([firsts, lasts, order[firsts], order[lasts]]))
    return places


def _with_reference(low: float, high: float, reference: tuple[str, float] | None) -> tuple[float, float]:
    if reference is None or abs(reference[1]) > HUGE:
        return low, high
    wide_low, wide_high = min(low, reference[1]), max(high, reference[1])
    # A reference far away would press the curve flat; it is left to the caption then.
    return (wide_low, wide_high) if wide_high - wide_low <= 4 * (high - low) or high == low else (low, high)


def _padded(low: float, high: float, reference: tuple[str, float] | None) -> tuple[float, float]:
    span = high - low
    largest = max(abs(low), abs(high))
    if span <= max(1e-9 * largest, TINY):
        span = largest if largest > TINY else 1.0
    below = above = 0.06
    if reference and low <= reference[1] <= high:  # room for its label
        below, above = (0.14, above) if reference[1] < (low + high) / 2 else (below, 0.14)
    return low - below * span, high + above * span


def _last(points: Points, x_axis: Axis, y_axis: Axis) -> Html:
    """A dot on the last value; the number stands in the corner, where no curve can run through it."""
    step, value = points[-1]
    return join(
        [
            element("circle", class_="last", cx=f"{x_axis.place(step):.1f}", cy=f"{y_axis.place(value):.1f}", r=4),
            element("text", f"● last {brief(value)}", class_="last-label", x=f"{x_axis.stop:.1f}", y=18, text_anchor="end"),
        ]
    )


def _tooltips(points: Sequence[tuple[float, float]], x_axis: Axis, y_axis: Axis) -> Html:
    return join(
        element(
            "circle",
            element("title", f"step {number(step)}: {number(value, 10)}"),
            class_="point dot" if len(points) <= DOTS else "point",
            cx=f"{x_axis.place(step):.1f}",
            cy=f"{y_axis.place(value):.1f}",
            r=2.5 if len(points) <= DOTS else 5,
        )
        for step, value in points
    )
