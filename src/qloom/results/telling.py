"""What the stages of a pipeline did, in short lines: for a terminal, for a notebook, and for whoever draws it.

Stages are anyone's, and notes may come from an old record: what is not of the form that a stage documents is told as it stands.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    Notes = Mapping[str, Any]

WIDTH = 62
"""Characters of a line that holds what a stage noted: with the names beside it, 80 columns."""
SHOWN_OBSERVABLES = 3
SHOWN_NOTES = 8
SHOWN_ITEMS = 12
DEEPEST = 4
MOST_DECIMALS = 12
_FRAME = ("name", "places", "failed_places", "error")
"""What stands in every stage's notes."""


class Change(NamedTuple):
    """An expectation value before and after a stage, of the first parameter set.

    Attributes:
        observable: its number.
        before, after: the values.
        before_error, after_error: their standard errors; 0 for none.
    """

    observable: int
    before: float
    after: float
    before_error: float = 0.0
    after_error: float = 0.0


class Flips(NamedTuple):
    """How some classical bits are misread: `matrix` is [read, prepared], shape (2**bits, 2**bits)."""

    bits: tuple[int, ...]
    matrix: FloatArray

    @property
    def worst(self) -> float:
        """The lowest probability that a state is read as what it is."""
        return float(self.matrix.diagonal().min())


def told(stages: Iterable[Notes]) -> list[str]:
    """Return what each stage did, a line or a few for each; errors that a policy let pass come first.

    Args:
        stages: as `Result.stages`, or `stages` of `qloom job show --json`.

    >>> for line in told([
    ...     {"name": "ddd", "sequence": "XX", "windows": 8, "decoupled": 6, "pulses": 12, "idle_s": 1.2e-6, "message": ""},
    ...     {"name": "zne", "scales": [1.0, 3.0], "fit": "linear", "values": [[[0.7]], [[0.5]]],
    ...      "standard_errors": [[[0.01]], [[0.01]]], "extrapolated": [[0.8]], "extrapolated_errors": [[0.016]]},
    ... ]):
    ...     print(line)
    ddd: 12 pulses (XX) in 6 of 8 windows, 1.2e-06 s idle
    zne: scales 1, 3; fit linear
      observable 0: 0.700 ± 0.010 -> 0.800 ± 0.016
    """
    known = list(stages)
    return [*(f"failed: {line}" for line in failures(known)), *(line for notes in known for line in _told(notes))]


def failures(stages: Iterable[Notes]) -> list[str]:
    """Return what went wrong in stages whose policy let it pass.

    >>> failures([{"name": "zne", "error": "stage zne: no", "places": 4, "failed_places": 2}, {"name": "ddd"}])
    ['stage zne: no (in 2 of its 4 places)']
    """
    return [f"{notes['error']}{_where(notes)}" for notes in stages if notes.get("error")]


def _where(notes: Notes) -> str:
    failed, places = notes.get("failed_places"), notes.get("places")
    return f" (in {failed} of its {places} places)" if type(failed) is int and type(places) is int and places > 1 else ""


def is_silent(notes: Notes) -> bool:
    """Return whether a stage shows nothing of what it did: it is sealed, or stands inside of one that is."""
    return bool(notes.get("sealed") or notes.get("withheld"))


def own_notes(notes: Notes) -> dict[str, Any]:
    """Return what the stage itself noted, without what stands in all notes.

    >>> own_notes({"name": "mine", "places": 1, "depth": 4})
    {'depth': 4}
    """
    return {name: value for name, value in notes.items() if name not in _FRAME}


def title(notes: Notes) -> str:
    """Return the stage's name, and that its notes are of the first of several places.

    >>> title({"name": "ddd", "places": 3}), title({"name": "mine", "sealed": True})
    ('ddd (first of 3 places)', 'mine (sealed)')
    """
    name, places = str(notes.get("name", "stage")), notes.get("places")
    if is_silent(notes):
        return f"{name} ({'sealed' if notes.get('sealed') else 'inside a sealed stage'})"
    return f"{name} (first of {places:,} places)" if type(places) is int and places > 1 else name


# ---- reading notes ---------------------------------------------------------------------------------------------------


def array_of(notes: Notes, name: str, dimensions: int) -> FloatArray | None:
    """Return a note as an array; None where it is none of so many dimensions, or holds nothing.

    >>> array_of({"scales": [1, 3]}, "scales", 1).tolist(), array_of({"scales": "all"}, "scales", 1)
    ([1.0, 3.0], None)
    """
    import numpy as np

    try:
        found = np.asarray(notes.get(name), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # text, ragged lists, whole numbers beyond any float
        return None
    return found if found.ndim == dimensions and found.size else None


def changes(notes: Notes) -> list[Change]:
    """Return the values before and after a stage, one for each observable; empty where it noted none.

    >>> changes({"name": "readout", "before": [[0.5]], "after": [[0.9]]})
    [Change(observable=0, before=0.5, after=0.9, before_error=0.0, after_error=0.0)]
    """
    read = _CHANGES.get(str(notes.get("name")))
    return [] if read is None else read(notes)


def _readout_changes(notes: Notes) -> list[Change]:
    before, after = array_of(notes, "before", 2), array_of(notes, "after", 2)
    if before is None or after is None or before.shape != after.shape:
        return []
    return [Change(*row) for row in zip(range(before.shape[1]), before[0].tolist(), after[0].tolist(), strict=True)]


def _zne_changes(notes: Notes) -> list[Change]:
    values, errors = array_of(notes, "values", 3), array_of(notes, "standard_errors", 3)
    after, after_errors = array_of(notes, "extrapolated", 2), array_of(notes, "extrapolated_errors", 2)
    if values is None or errors is None or after is None or after_errors is None:
        return []
    if values.shape != errors.shape or not values.shape[1:] == after.shape == after_errors.shape:
        return []
    columns = (values[0, 0], after[0], errors[0, 0], after_errors[0])
    return [Change(*row) for row in zip(range(after.shape[1]), *(column.tolist() for column in columns), strict=True)]


_CHANGES: dict[str, Callable[[Notes], list[Change]]] = {"readout": _readout_changes, "zne": _zne_changes}


def confusion_of(notes: Notes) -> list[Flips]:
    """Return the confusion matrices that a stage noted; empty where there is none.

    >>> [(found.bits, found.worst) for found in confusion_of({"confusion": [{"bits": [0], "matrix": [[0.9, 0.2], [0.1, 0.8]]}]})]
    [((0,), 0.8)]
    """
    given = notes.get("confusion")
    found = []
    for entry in given if isinstance(given, list | tuple) else ():
        bits = entry.get("bits") if isinstance(entry, dict) else None
        if not isinstance(bits, list | tuple) or not all(type(bit) is int for bit in bits):
            return []
        matrix = array_of(entry, "matrix", 2)
        if matrix is None or matrix.shape != (1 << len(bits),) * 2:
            return []
        found.append(Flips(tuple(bits), matrix))
    return found


def bounded(value: Any, depth: int = DEEPEST) -> Any:
    """Return a JSON value with only the beginning of what is long, and what is deep as three dots.

    >>> bounded({"values": list(range(100))})["values"][-2:]
    [11, '... 88 more']
    """
    if isinstance(value, dict):
        if depth == 0:
            return "..."
        kept = {key: bounded(item, depth - 1) for key, item in list(value.items())[:SHOWN_ITEMS]}
        return kept | ({"...": f"{len(value) - SHOWN_ITEMS} more"} if len(value) > SHOWN_ITEMS else {})
    if isinstance(value, list | tuple):
        if depth == 0:
            return "..."
        more = [f"... {len(value) - SHOWN_ITEMS} more"] if len(value) > SHOWN_ITEMS else []
        return [*(bounded(item, depth - 1) for item in value[:SHOWN_ITEMS]), *more]
    return value


# ---- telling ---------------------------------------------------------------------------------------------------------


def _told(notes: Notes) -> Iterator[str]:
    head, own = title(notes), own_notes(notes)
    if is_silent(notes) or not own:
        yield head
        return
    words = summary(notes)
    if not words:
        yield head
        yield from _listed(own)
        return
    yield f"{head}: {words}"
    found = changes(notes)
    yield from (f"  observable {one.observable}: {_values(one)}" for one in found[:SHOWN_OBSERVABLES])
    if len(found) > SHOWN_OBSERVABLES:
        yield f"  ... and {len(found) - SHOWN_OBSERVABLES:,} more observables"


def _values(one: Change) -> str:
    return f"{with_error(one.before, one.before_error)} -> {with_error(one.after, one.after_error)}"


def with_error(value: float, error: float) -> str:
    """Return a value with its standard error, to two digits of that; six digits where it is exact.

    >>> with_error(-1.13734, 0.0123), with_error(250.0, 30.0), with_error(1.0, 0.0)
    ('-1.137 ± 0.012', '250 ± 30', '1')
    """
    if not 0 < error < math.inf:
        return f"{value:.6g}"
    decimals = 1 - math.floor(math.log10(error))
    if not 0 <= decimals <= MOST_DECIMALS:
        return f"{value:.6g} ± {error:.2g}"
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _listed(own: Notes) -> Iterator[str]:
    for name, value in list(own.items())[:SHOWN_NOTES]:
        shown = value if isinstance(value, str) else json.dumps(bounded(value), ensure_ascii=False, default=str)
        line = f"  {name}: {' '.join(shown.split())}"
        yield line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
    if len(own) > SHOWN_NOTES:
        yield f"  ... and {len(own) - SHOWN_NOTES:,} more notes"


def summary(notes: Notes) -> str:
    """Return what a stage did, in a few words; empty where nothing is known of it, or its notes are not what it documents.

    >>> summary({"name": "symmetry", "mode": "postselect", "symmetries": ["+ZZ"], "kept": [[0.9, 0.8]]})
    'postselect by +ZZ, kept 80 % to 90 % of the shots'
    """
    tell = _SUMMARIES.get(str(notes.get("name")))
    if tell is None:
        return ""
    try:
        return tell(notes)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # damaged: told note by note
        return ""


def numbers(values: Sequence[float]) -> str:
    """Return the first of some numbers, with commas between.

    >>> numbers([1.0, 3.0, 5.5])
    '1, 3, 5.5'
    """
    return ", ".join([*(f"{value:.4g}" for value in values[:SHOWN_ITEMS]), *(["..."] if len(values) > SHOWN_ITEMS else [])])


def kept_share(notes: Notes) -> str:
    """Return the share of shots that was kept, in percent; from the lowest to the highest where it is not one.

    Raises:
        ValueError: there is no such note.
    """
    kept = array_of(notes, "kept", 2)
    if kept is None:
        raise ValueError("no shares")
    low, high = (f"{100 * share:.3g} %" for share in (kept.min(), kept.max()))
    return low if low == high else f"{low} to {high}"


def _zne(notes: Notes) -> str:
    return f"scales {numbers(notes['scales'])}; fit {notes['fit']}" if changes(notes) else ""


def _readout(notes: Notes) -> str:
    clusters = confusion_of(notes)
    if not clusters:
        return ""
    bits, worst = sum(len(found.bits) for found in clusters), min(found.worst for found in clusters)
    return f"{notes['model']}, {notes['method']}; bits: {bits}, read right {100 * worst:.3g} % or more"


def _ddd(notes: Notes) -> str:
    if notes["message"]:
        return str(notes["message"])
    idle = f"{notes['idle_s']:.3g} s idle"
    return f"{notes['pulses']:,} pulses ({notes['sequence']}) in {notes['decoupled']:,} of {notes['windows']:,} windows, {idle}"


def _twirling(notes: Notes) -> str:
    return str(notes["message"]) or f"{notes['instances']:,} instances, {notes['gates']:,} gates twirled in each"


def _symmetry(notes: Notes) -> str:
    by = ", ".join(map(str, notes["symmetries"][:SHOWN_ITEMS]))
    return f"{notes['mode']} by {by}, kept {kept_share(notes)} of the shots"


def _transpile(notes: Notes) -> str:
    before, after = (sum(notes[name].values()) for name in ("gates_before", "gates_after"))
    layout = ", ".join(map(str, notes["layout"][:SHOWN_ITEMS]))
    return f"level {notes['level']}, {before:,} -> {after:,} gates, qubits on {layout}"


def _mitiq(notes: Notes) -> str:
    return f"{notes['technique']}, {len(notes['values']):,} circuits, licence {notes['licence']}"


def _average(notes: Notes) -> str:
    weights = array_of(notes, "weights", 3)
    if weights is None:
        return ""
    return f"{len(weights)} branches, weights {numbers(weights[:, 0, 0].tolist())}"


def _auto(notes: Notes) -> str:
    return str(notes["message"])


_SUMMARIES: dict[str, Callable[[Notes], str]] = {
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
