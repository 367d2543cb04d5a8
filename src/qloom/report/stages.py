"""What the stages of a pipeline did for the last answer: fits, confusion matrices, values before and after, tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qloom.pipelines.curves import fit_curve
from qloom.report.labels import label, number
from qloom.report.markup import Html, element
from qloom.report.stage_plots import Fitted, describe_flips, fit_plot, heat_map, measured
from qloom.report.tables import shortened, table
from qloom.results.telling import (
    array_of,
    bounded,
    changes,
    confusion_of,
    failures,
    is_silent,
    kept_share,
    own_notes,
    summary,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from qloom.results.telling import Change, Flips

    FloatArray = npt.NDArray[np.float64]
    Notes = Mapping[str, Any]

NARROW, WIDE = (380, 280), (920, 340)
FITS = 4
"""How many observables are drawn with their fit."""
ROWS = 12
"""How many rows of a table are shown: observables, gates, branches, notes."""
MAPS = 8
LARGEST_MAP = 16
"""Larger confusion matrices are told, not drawn."""
LONGEST = 600
"""Characters of one note of a stage that nothing is known of."""


def stage_errors(stages: Sequence[Notes]) -> Html:
    """Return the errors that policies let pass, to stand where nobody overlooks them; nothing where there are none."""
    found = failures(stages)
    if not found:
        return Html("")
    lines = [element("p", shortened(line, 4 * LONGEST)) for line in found]
    why = "Their policy let the job go on with the values that there are without them: the last answer is not mitigated by them."
    heading = element("h2", "Stages that failed, and were let pass")
    return element("section", heading, *lines, element("p", why, class_="small soft"), class_="callout bad")


def stages_section(stages: Sequence[Notes]) -> Html:
    """Return what each stage did, from the device outward; nothing without stages.

    >>> "2. zne" in stages_section([{"name": "ddd"}, {"name": "zne"}])
    True
    """
    if not stages:
        return Html("")
    words = "What each stage of the pipeline did for the last answer, from the device outward. Values are those of the first"
    said = element("p", f"{words} parameter set.", class_="small soft")
    shown = [_stage(place, notes) for place, notes in enumerate(stages, 1)]
    return element("section", element("h2", "Stages"), said, *shown, class_="stages")


def _stage(place: int, notes: Notes) -> Html:
    heading = element("h3", f"{place}. {title(notes)}")
    own = own_notes(notes)
    if is_silent(notes) or not own:
        empty = "It shows nothing of what it did." if is_silent(notes) else "It noted nothing."
        failed = "It failed, as is told above." if notes.get("error") else ""
        return element("div", heading, element("p", failed or empty, class_="small soft"), class_="stage")
    words = summary(notes)
    parts = _drawn(notes) if words else None
    if parts is None:
        return element("div", heading, _noted(own), class_="stage")
    return element("div", heading, element("p", words.replace("->", "→")), *parts, class_="stage")


def _drawn(notes: Notes) -> list[Html] | None:
    """Return what is shown of a stage that we know; None where its notes are not what it documents."""
    try:
        return _DRAWN[str(notes["name"])](notes)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # damaged: shown as they stand
        return None


# ---- stages that we know ---------------------------------------------------------------------------------------------


def _zne(notes: Notes) -> list[Html]:
    fits = _fits(notes)
    found = changes(notes)
    scale = number(float(notes["scales"][0]), 4)
    left = len(found) - len(fits)
    rest = f"{left:,} more observable{'s are' if left > 1 else ' is'} not drawn." if fits and left > 0 else ""
    figures = [_fit_figure(fit, large=len(fits) == 1) for fit in fits]
    return [
        element("div", *figures, class_="plots") if figures else Html(""),
        element("p", rest, class_="small soft") if rest else Html(""),
        _before_after(found, f"at scale {scale}", "without noise"),
    ]


def _fits(notes: Notes) -> list[Fitted]:
    """Return what is drawn of the first parameter set; nothing where the notes do not hold together."""
    import numpy as np

    scales, coefficients = array_of(notes, "scales", 1), array_of(notes, "coefficients", 3)
    values, errors = array_of(notes, "values", 3), array_of(notes, "standard_errors", 3)
    found = changes(notes)
    if scales is None or coefficients is None or values is None or errors is None or notes.get("form") not in _FORMS:
        return []
    if len(scales) != len(values) or coefficients.shape[1:] != values.shape[1:] or len(coefficients) < _FORMS[notes["form"]]:
        return []
    with np.errstate(all="ignore"):  # what runs away is left out of the drawing
        x, y = fit_curve({"scales": scales.tolist(), "form": notes["form"], "coefficients": coefficients[:, :1, :FITS]})
    return [
        Fitted(
            f"observable {one.observable}",
            tuple(zip(scales.tolist(), *(each[:, 0, one.observable].tolist() for each in (values, errors)), strict=True)),
            tuple(zip(x.tolist(), y[:, 0, one.observable].tolist(), strict=True)),
            one.after,
            one.after_error,
        )
        for one in found[:FITS]
    ]


_FORMS = {"polynomial": 1, "exponential": 2}
"""Form of a fit -> the fewest coefficients that it has."""


def _fit_figure(fit: Fitted, *, large: bool) -> Html:
    sizes = [(WIDE, "wide"), (NARROW, "narrow")] if large else [(NARROW, None)]
    drawings = [fit_plot(fit, width=width, height=height, css_class=name) for (width, height), name in sizes]
    bars = "Bars are one standard error." if any(point[2] for point in fit.points) else "The values are exact."
    said = f"{fit.name}: {measured(fit.value, fit.error)} without noise. {bars}"
    return element("figure", *drawings, element("figcaption", said), class_="whole" if large else None)


def _readout(notes: Notes) -> list[Html]:
    clusters = confusion_of(notes)
    drawn = [found for found in clusters if len(found.matrix) <= LARGEST_MAP][:MAPS]
    left = len(clusters) - len(drawn)
    maps = [
        element("figure", heat_map(found), element("figcaption", _bits(found)), class_=None if len(found.bits) > 1 else "one")
        for found in drawn
    ]
    words = ["Columns: what was prepared. Rows: what was read."] if maps else []
    if left:
        worst = min(found.worst for found in clusters)
        words.append(f"{left:,} more {'is' if left == 1 else 'are'} not drawn; the lowest probability of all to be read right is")
        words.append(f"{number(worst, 4)}.")
    return [
        element("div", *maps, class_="maps") if maps else Html(""),
        element("p", " ".join(words), class_="small soft"),
        _before_after(changes(notes), "as read", "corrected"),
    ]


def _bits(found: Flips) -> str:
    return describe_flips(found).partition(":")[0]


def _before_after(found: Sequence[Change], before: str, after: str) -> Html:
    if not found:
        return Html("")
    rows = [
        (f"observable {one.observable}", measured(one.before, one.before_error), measured(one.after, one.after_error))
        for one in found
    ]
    return _table(("", before, after), rows, "observables")


def _ddd(notes: Notes) -> list[Html]:
    facts = [("sequence", notes["sequence"]), ("windows", f"{notes['windows']:,}")]
    facts += [("... with pulses", f"{notes['decoupled']:,}"), ("pulses", f"{notes['pulses']:,}")]
    return [table([*facts, ("idle in these windows", f"{notes['idle_s']:.3g} s")])]


def _twirling(notes: Notes) -> list[Html]:
    values = array_of(notes, "values", 3)
    if values is None:
        return []
    columns = (values[:, 0].min(axis=0), values[:, 0].mean(axis=0), values[:, 0].max(axis=0))
    rows = [
        (f"observable {place}", *(number(float(value), 5) for value in row))
        for place, row in enumerate(zip(*columns, strict=True))
    ]
    return [_table(("", "lowest instance", "mean", "highest"), rows, "observables")]


def _symmetry(notes: Notes) -> list[Html]:
    return [table([("symmetries", ", ".join(map(str, notes["symmetries"]))), ("share kept", kept_share(notes))])]


def _transpile(notes: Notes) -> list[Html]:
    before, after = notes["gates_before"], notes["gates_after"]
    rows = [(str(name), _count(before.get(name)), _count(after.get(name))) for name in dict.fromkeys([*before, *after])]
    layout = ", ".join(f"{qubit} → {place}" for qubit, place in enumerate(notes["layout"][:LARGEST_MAP]))
    more = len(notes["layout"]) - LARGEST_MAP
    shown = f"{layout}, and {more:,} more" if more > 0 else layout
    facts = [("qubits of the circuit → of the device", shown), ("compiler", str(notes.get("compiler", "–")))]
    return [_table(("gate", "before", "after"), rows, "gates"), table(facts)]


def _count(value: object) -> str:
    return f"{value:,}" if type(value) is int else "–"


def _mitiq(notes: Notes) -> list[Html]:
    first = {"technique": notes["technique"], "licence": notes["licence"]}
    return [_noted(first | {name: value for name, value in own_notes(notes).items() if name not in first})]


def _average(notes: Notes) -> list[Html]:
    values, errors, weights = (array_of(notes, name, 3) for name in ("values", "standard_errors", "weights"))
    if values is None or errors is None or weights is None or not values.shape == errors.shape == weights.shape:
        return []
    rows = [
        (
            f"branch {branch}, observable {place}",
            measured(float(values[branch, 0, place]), float(errors[branch, 0, place])),
            f"{100 * weights[branch, 0, place]:.3g} %",
        )
        for place in range(values.shape[2])
        for branch in range(len(values))
    ]
    return [_table(("", "value", "weight"), rows, "rows")]


def _auto(notes: Notes) -> list[Html]:
    more = {name: value for name, value in own_notes(notes).items() if name != "message"}
    return [_noted(more)] if more else []


_DRAWN: dict[str, Callable[[Notes], list[Html]]] = {
    "auto": _auto,
    "average": _average,
    "ddd": _ddd,
    "mitiq": _mitiq,
    "readout": _readout,
    "symmetry": _symmetry,
    "transpile": _transpile,
    "twirling": _twirling,
    "zne": _zne,
}

# ---- tables ----------------------------------------------------------------------------------------------------------


def _noted(own: Notes) -> Html:
    """All notes as they stand, each bounded: of stages that nothing is known of."""
    rows = [(label(str(name)), _note(value)) for name, value in list(own.items())[:ROWS]]
    more = f"{len(own) - ROWS:,} more notes; qloom job show --json has them." if len(own) > ROWS else ""
    return Html(table(rows) + (element("p", more, class_="small soft") if more else ""))


def _note(value: Any) -> Html | str:
    if isinstance(value, str):
        return shortened(value, LONGEST)
    text = shortened(json.dumps(bounded(value), ensure_ascii=False, default=str), LONGEST)
    return element("code", text) if isinstance(value, dict | list) else text


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], what: str) -> Html:
    """Return a table with a heading for each column, of so many rows at most."""
    body = [
        element("tr", element("th", name, scope="row"), *(element("td", value) for value in values))
        for name, *values in rows[:ROWS]
    ]
    top = element("tr", *(element("th", words, scope="col") for words in heads))
    shown = element("table", element("thead", top), element("tbody", *body), class_="compared")
    more = f"... and {len(rows) - ROWS:,} more {what}." if len(rows) > ROWS else ""
    return Html(shown + (element("p", more, class_="small soft") if more else ""))
