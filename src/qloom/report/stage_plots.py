"""What stages did, as SVG text: a fit to no noise with error bars, and how bits are misread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from qloom.report.labels import MINUS, number
from qloom.report.markup import Html, element, join
from qloom.report.svg import HUGE, axes, axis_labels, drawing, grid, nothing, path
from qloom.results.telling import with_error

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from qloom.report.svg import Axis, Points
    from qloom.results.telling import Flips

    FloatArray = npt.NDArray[np.float64]

ROOM = 0.04
"""Of the largest scale, what is left free before scale 0, so that its point stands beside the axis."""
CAP = 4
CELL, WITHOUT_NUMBERS = 46, 184
NUMBERED = 4
"""Matrices up to this size have their numbers in them; others are as wide as the largest of these."""
HEAD = 24


class Fitted(NamedTuple):
    """A fit to be drawn.

    Attributes:
        name: of the value.
        points: (scale, value, standard error) of what was measured.
        curve: the fit, (scale, value), from no noise on.
        value, error: at no noise.
    """

    name: str
    points: tuple[tuple[float, float, float], ...]
    curve: tuple[tuple[float, float], ...]
    value: float
    error: float


def fit_plot(fit: Fitted, *, width: int, height: int, css_class: str | None = None) -> Html:
    """Return values over noise scales with their error bars, and the fit down to no noise, as an `<svg>` element.

    Args:
        fit: what is drawn; what is not finite is left out.
        width, height: size of the drawing; it scales to the page.
        css_class: class of the element, besides `plot`.

    >>> fit_plot(Fitted("value", ((1.0, 0.7, 0.0), (3.0, 0.5, 0.1)), ((0.0, 0.8), (3.0, 0.5)), 0.8, 0.0), width=380,
    ...          height=280).count("<circle")
    3
    """
    import numpy as np

    points = [point for point in fit.points if _drawable(*point)]
    curve = [point for point in fit.curve if _drawable(*point)]
    ends = [(0.0, fit.value, fit.error)] if _drawable(fit.value, fit.error) else []
    if not points and not ends:
        return drawing(f"{fit.name}: no finite values", [nothing(width, height)], width, height, css_class=css_class)
    held = [(scale, value + sign * error) for scale, value, error in (*points, *ends) for sign in (-1, 1)]
    x_axis, y_axis = axes(np.array([*held, *curve]), None, width, height)
    x_axis = replace(x_axis, low=x_axis.low - ROOM * (x_axis.high - x_axis.low))
    last = f"● without noise {measured(fit.value, fit.error)}"
    body = [
        grid(x_axis, y_axis, width, height),
        axis_labels(fit.name, y_axis, width, height, across="noise scale"),
        element("path", class_="line", d=path(curve, x_axis, y_axis)),
        *(_measured(point, x_axis, y_axis, "point dot") for point in points),
        *(_measured(point, x_axis, y_axis, "limit") for point in ends),
        element("text", last, class_="limit-label", x=f"{x_axis.stop:.1f}", y=18, text_anchor="end") if ends else "",
    ]
    return drawing(describe_fit(fit), body, width, height, css_class=css_class)


def describe_fit(fit: Fitted) -> str:
    """Return the plot in one sentence, for those who do not see it.

    >>> describe_fit(Fitted("value", ((1.0, 0.7, 0.0), (3.0, 0.5, 0.1)), (), 0.8, 0.05))
    'value: 0.7 at noise scale 1, 0.50 ± 0.10 at 3, fitted to 0.800 ± 0.050 without noise'
    """
    said = [f"{measured(value, error)} at {number(scale, 4)}" for scale, value, error in fit.points]
    said[:1] = [one.replace(" at ", " at noise scale ", 1) for one in said[:1]]
    return f"{fit.name}: {', '.join(said)}, fitted to {measured(fit.value, fit.error)} without noise"


def measured(value: float, error: float) -> str:
    """Return a value with its standard error, with a true minus sign.

    >>> measured(-1.1373, 0.0123), measured(1.0, 0.0)
    ('−1.137 ± 0.012', '1')
    """
    return with_error(value, error).replace("-", MINUS)


def heat_map(flips: Flips) -> Html:
    """Return how bits are misread as an `<svg>` element: columns are prepared, rows read; the fuller, the more probable.

    >>> import numpy as np
    >>> from qloom.results.telling import Flips
    >>> heat_map(Flips((0,), np.array([[0.9, 0.2], [0.1, 0.8]]))).count('class="cell"')
    4
    """
    size = len(flips.matrix)
    cell = CELL if size <= NUMBERED else WITHOUT_NUMBERS // size
    keys = [format(state, f"0{len(flips.bits)}b") for state in range(size)] if size <= NUMBERED else []
    left = 12 + 8 * len(flips.bits) if keys else 0
    heads = [
        element("text", key, class_="key", x=left + cell * place + cell // 2, y=HEAD - 8, text_anchor="middle")
        for place, key in enumerate(keys)
    ]
    sides = [
        element("text", key, class_="key", x=left - 8, y=HEAD + cell * place + cell // 2, dy="0.33em", text_anchor="end")
        for place, key in enumerate(keys)
    ]
    top = HEAD if keys else 0
    rows = flips.matrix.tolist()
    cells = [
        _cell(probability, left + cell * prepared, top + cell * read, cell)
        for read, row in enumerate(rows)
        for prepared, probability in enumerate(row)
    ]
    return drawing(describe_flips(flips), [*heads, *sides, *cells], left + cell * size + 1, top + cell * size + 1)


def describe_flips(flips: Flips) -> str:
    """Return a confusion matrix in one sentence.

    >>> import numpy as np
    >>> from qloom.results.telling import Flips
    >>> describe_flips(Flips((2,), np.array([[0.9, 0.2], [0.1, 0.8]])))
    'bit 2: read right with a probability of 0.8 to 0.9'
    """
    low, high = (number(float(value), 4) for value in (flips.worst, flips.matrix.diagonal().max()))
    words = f"of {low}" if low == high else f"of {low} to {high}"
    return f"bit{'s' * (len(flips.bits) > 1)} {', '.join(map(str, flips.bits))}: read right with a probability {words}"


# ---- inside ----------------------------------------------------------------------------------------------------------


def _drawable(*values: float) -> bool:
    return all(abs(value) <= HUGE for value in values)  # NaN compares as false


def _measured(point: tuple[float, float, float], x_axis: Axis, y_axis: Axis, css_class: str) -> Html:
    """A dot with its error bar, which tells its numbers under the pointer."""
    scale, value, error = point
    x, y = x_axis.place(scale), y_axis.place(value)
    said = element("title", f"noise scale {number(scale)}: {measured(value, error)}")
    dot = element("circle", said, class_=css_class, cx=f"{x:.1f}", cy=f"{y:.1f}", r=4)
    if not error:
        return dot
    low, high = y_axis.place(value - error), y_axis.place(value + error)
    bar: list[Points] = [[(x, low), (x, high)], *([(x - CAP, end), (x + CAP, end)] for end in (low, high))]
    line = "".join("M" + "L".join(f"{right:.1f} {down:.1f}" for right, down in piece) for piece in bar)
    kind = "error limit-error" if css_class == "limit" else "error"
    return join([element("path", class_=kind, d=line), dot])


def _cell(probability: float, x: int, y: int, size: int) -> Html:
    shade = min(max(probability, 0.0), 1.0) ** 0.5  # so that small errors are seen
    box = element("rect", class_="cell", x=x + 0.5, y=y + 0.5, width=size, height=size, fill_opacity=f"{shade:.2f}")
    if size < CELL:
        return box
    ink = "on" if shade > 0.6 else "tick"
    shown = f"{probability:.3f}"
    return join([box, element("text", shown, class_=ink, x=x + size // 2, y=y + size // 2, dy="0.33em", text_anchor="middle")])
