"""The same metric of two jobs in one drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qloom.report.markup import Html, element
from qloom.report.svg import axes, axis_labels, describe, drawing, finite, grid, nothing, outside, path, reference_line, thin

if TYPE_CHECKING:
    from qloom.report.svg import Axis, FloatArray
    from qloom.report.values import MetricSeries


def overlay_plot(
    first: MetricSeries,
    second: MetricSeries,
    *,
    width: int,
    height: int,
    reference: tuple[str, float] | None = None,
    css_class: str | None = None,
) -> Html:
    """Return two series of one metric as an `<svg>` element: the first with a full line, the second with a broken one.

    Args:
        first, second: the values; those that are not finite are left out.
        width, height: size of the drawing; it scales to the page.
        reference: a word and a value to reach, drawn as a broken line across.
        css_class: class of the element, besides `plot`.

    >>> from qloom.report.values import MetricSeries
    >>> series = MetricSeries("energy_hartree", (0.0, 1.0), (-1.0, -1.1))
    >>> overlay_plot(series, series, width=380, height=280).count("<path")
    2
    """
    drawn = [finite(first), finite(second)]
    x_axis, y_axis = _common_axes(drawn, reference, width, height)
    lines = [
        element("path", class_=f"line{second_line}", d=path(thin(points, x_axis), x_axis, y_axis))
        for points, second_line in zip(drawn, ("", " second"), strict=True)
    ]
    body = [
        grid(x_axis, y_axis, width, height),
        axis_labels(first.name, y_axis, width, height),
        reference_line(reference, x_axis, y_axis) if reference else "",
        *(lines if any(map(len, drawn)) else [nothing(width, height)]),
    ]
    return drawing(f"A: {describe(first)}; B: {describe(second)}", body, width, height, css_class=css_class)


def overlay_notes(
    first: MetricSeries, second: MetricSeries, width: int, height: int, reference: tuple[str, float] | None = None
) -> list[str]:
    """Return what a drawing of that size does not show, in sentences for its caption; empty where it shows all.

    >>> from qloom.report.values import MetricSeries
    >>> overlay_notes(MetricSeries("loss", (0.0, 1.0), (0.5, float("nan"))), MetricSeries("loss", (0.0,), (1.0,)), 380, 280)
    ['Values that are not finite are left out: 1 of A.']
    """
    sides = {"A": (first, finite(first)), "B": (second, finite(second))}
    x_axis, y_axis = _common_axes([sides["A"][1], sides["B"][1]], reference, width, height)
    drawn = {word: (len(thin(points, x_axis)), len(points)) for word, (_, points) in sides.items()}
    thinned = [f"{few:,} of {all_:,} values of {word}" for word, (few, all_) in drawn.items() if few < all_]
    lost = [f"{gone:,} of {word}" for word, (series, points) in sides.items() if (gone := len(series.values) - len(points))]
    said = [f"Drawn are {' and '.join(thinned)}: the first, lowest, highest and last of each pixel column."] if thinned else []
    said += [f"Values that are not finite are left out: {', '.join(lost)}."] if lost else []
    return said + outside(reference, y_axis)


def _common_axes(drawn: list[FloatArray], reference: tuple[str, float] | None, width: int, height: int) -> tuple[Axis, Axis]:
    import numpy as np

    return axes(np.concatenate(drawn), reference, width, height)
