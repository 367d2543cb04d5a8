"""Several results of one question as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.errors import InvalidTask
from qloom.results.memory import memory_for
from qloom.results.samples import ARRAYS, IN_ORDER, LARGEST_ORDER_SEED, item_of, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.results.result import Engine
    from qloom.results.samples import FloatArray, IntArray, Keys, SampleTable

    Fields = Mapping[str, Any]
    Part = tuple[Engine, Fields]

TOLERANCE = 1e-10
"""Exact values of one question agree so well on all hosts; relative above 1."""


def merged(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the constructor's arguments for the result of all parts; `Result.merge` says what becomes of what.

    Raises:
        InvalidTask: no parts, or they do not fit; the first difference is named.
    """
    if not parts:
        raise InvalidTask("there are no results to merge; give at least one")
    engine, first = parts[0]
    for index, part in enumerate(parts[1:], start=1):
        if difference := _difference(parts[0], part):
            raise InvalidTask(f"results 0 and {index} do not answer the same question: {difference}; merge those that do")
    fields = [part for _, part in parts]
    if any(part["quasi"] is not None for part in fields):
        raise InvalidTask(
            "results with quasi-probabilities are not merged: each rests on its own calibration; ask with more shots"
        )
    shots = None if first["shots"] is None else sum(part["shots"] for part in fields)
    arrays = {name: first[name] for name in ARRAYS} if shots is None else {name: _combined(fields, name) for name in ARRAYS}
    stages = first["stages"] if all(part["stages"] == first["stages"] for part in fields) else []
    return {
        "engine": engine,
        "shots": shots,
        "sets": first["sets"],
        "key_lengths": first["key_lengths"],
        "samples": None if first["samples"] is None else _samples([part["samples"] for part in fields], first),
        "quasi": None,
        **arrays,
        "stages": stages,
        "metadata": {
            name: fact
            for name, fact in first["metadata"].items()
            if all(name in part["metadata"] and part["metadata"][name] == fact for part in fields)
        },
    }


def _difference(one: Part, other: Part) -> str:
    """Return the first thing in which two results differ that results of one question have in common; empty for none."""
    (engine, first), (engine2, second) = one, other
    if engine[:2] != engine2[:2]:
        return f"computed by {engine.name} {engine.version} and by {engine2.name} {engine2.version}"
    for name in ("sets", "key_lengths"):
        if first[name] != second[name]:
            return f"{name} {first[name]} and {second[name]}"
    for name in ("samples", *ARRAYS):
        if (first[name] is None) != (second[name] is None):
            return f"only one of them has {name}"
        if name != "samples" and first[name] is not None and first[name].shape != second[name].shape:
            return f"{name} of shape {first[name].shape} and {second[name].shape}"
    if (first["shots"] is None) != (second["shots"] is None):
        return "only one of them is exact (shots=None)"
    return _disagreement(first, second) if first["shots"] is None else ""


def _disagreement(first: Fields, second: Fields) -> str:
    import numpy as np

    for name in ARRAYS:
        if first[name] is None:
            continue
        apart = np.argwhere(~np.isclose(first[name], second[name], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))
        if len(apart):
            place = tuple(apart[0].tolist())
            return f"exact {name}{list(place)} are {float(first[name][place])!r} and {float(second[name][place])!r}"
    return ""


def _combined(fields: Sequence[Fields], name: str) -> FloatArray | None:
    """Return the mean weighted by shots; standard errors add up by their squares, since shots are independent."""
    if fields[0][name] is None or len(fields) == 1:
        found: FloatArray | None = fields[0][name]
        return found
    import numpy as np

    shots = np.array([part["shots"] for part in fields], dtype=np.float64)
    weights = shots / max(1.0, float(shots.sum()))
    stacked = np.stack([part[name] for part in fields])
    if name == "standard_errors":
        return np.sqrt(np.tensordot(weights**2, stacked**2, axes=1))
    return np.asarray(np.tensordot(weights, stacked, axes=1))


def _samples(tables: Sequence[SampleTable], fields: Fields) -> SampleTable:
    lengths = [width for width in fields["key_lengths"] for _ in range(fields["sets"])]
    if len(tables) == 1:
        return tables[0]
    order = sum(table.order_seed for table in tables if table.order_seed != IN_ORDER) & LARGEST_ORDER_SEED
    in_order = all(table.order_seed == IN_ORDER for table in tables if table.packed)
    with memory_for("samples", sum(len(table.counts) for table in tables), max(lengths)):
        items = [
            _item([item_of(table, index, width) for table in tables], width, order + index if in_order else None)
            for index, width in enumerate(lengths)
        ]
        return table_of(items, lengths, order, rows_are_shots=in_order)


def _item(tables: Sequence[SampleTable], width: int, seed: int | None) -> tuple[Keys, IntArray]:
    """Return keys and counts of one item: words together with their equals, packed rows one result after the other."""
    import numpy as np

    if any(table.packed for table in tables):
        parts = [(table.keys, table.counts) for table in tables]
        joined = table_of(parts, [width] * len(parts), seed or 0, rows_are_shots=seed is not None)
        return joined.keys, joined.counts
    keys, places = np.unique(np.concatenate([table.keys for table in tables]), return_inverse=True)
    counts = np.zeros(len(keys), dtype=np.int64)
    np.add.at(counts, places, np.concatenate([table.counts for table in tables]))
    return keys, counts
