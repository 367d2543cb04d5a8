"""What a notebook shows of a result."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from qloom.results.samples import IN_ORDER, distinct_rows, item_of, pack_words, row_texts
from qloom.results.telling import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.results.samples import FloatArray, SampleTable

SHOWN_ITEMS, SHOWN_KEYS, SHOWN_ROWS, SHOWN_OBSERVABLES = 8, 32, 32, 8
"""How much of a result a notebook shows: histograms, bars in each, rows of values, values in each."""
SHOWN_BITS, KEPT_BITS = 64, (40, 16)
"""The longest key that is shown in full, and what is left of a longer one at its beginning and end."""
COUNTED_ROWS = 1 << 17
"""Packed rows that are counted for a picture; more would hold up the notebook."""


def page(title: str, fields: Mapping[str, Any]) -> str:
    """Return a bar for each key of each item, or the values; only the beginning of what is long."""
    parts = [f"<p><code>{escape(title)}</code></p>"]
    table, values, errors, gradients = (fields[name] for name in ("samples", "values", "standard_errors", "gradients"))
    if table is not None:
        lengths, sets = fields["key_lengths"], fields["sets"]
        items = len(lengths) * sets
        for index in range(min(items, SHOWN_ITEMS)):
            width = lengths[index // sets]
            head = f"<p>item {index}</p>" if items > 1 else ""
            parts.append(head + _histogram(item_of(table, index, width), width))
        parts.append(_left_out(items - SHOWN_ITEMS, "items"))
    if fields["quasi"] is not None:
        widths = [width for width in fields["key_lengths"] for _ in range(fields["sets"])]
        parts += [_quasi_table(fields["quasi"].texts(index, width)) for index, width in enumerate(widths[:SHOWN_ITEMS])]
        parts.append(_left_out(len(widths) - SHOWN_ITEMS, "items"))
    if values is not None:
        parts.append(_values_table(values, errors))
    if gradients is not None:
        items, observables, parameters = gradients.shape
        parts.append(f"<p>gradients: {items} items x {observables} observables x {parameters} parameters</p>")
    if fields["stages"]:
        parts.append(f"<p>Stages of the pipeline:</p><pre>{escape(chr(10).join(told(fields['stages'])))}</pre>")
    return f"<div>{''.join(parts)}</div>"


def _histogram(item: SampleTable, width: int) -> str:
    """The keys measured most often, in their order: a bar and a count for each."""
    import numpy as np

    keys, counts = item.keys, item.counts
    if item.packed:
        if len(keys) > COUNTED_ROWS:
            order = "in the order of measurement" if item.order_seed == IN_ORDER else "not yet counted"
            return f"<p>{int(counts.sum()):,} shots of {width} bits, {order}; too many for a picture, .counts counts them</p>"
        keys, counts = distinct_rows(keys, counts)
    shown = np.sort(np.argsort(-counts, kind="stable")[:SHOWN_KEYS])
    most = max(1, int(counts.max(initial=0)))
    rows = keys[shown] if item.packed else pack_words(keys[shown], width)
    drawn = zip(map(_short, row_texts(rows, width)), counts[shown].tolist(), strict=True)
    bars = "".join(_bar(key, count, most) for key, count in drawn)
    return f"<table>{bars}</table>{_left_out(len(keys) - SHOWN_KEYS, 'keys that were measured less often')}"


def _quasi_table(item: Mapping[str, float]) -> str:
    """The keys with the largest quasi-probabilities, in their order."""
    largest = sorted(item, key=lambda key: -abs(item[key]))[:SHOWN_KEYS]
    rows = "".join(f"<tr><td><code>{_short(key)}</code></td><td>{item[key]:.4f}</td></tr>" for key in sorted(largest))
    return f"<table>{rows}</table>{_left_out(len(item) - SHOWN_KEYS, 'keys with smaller quasi-probabilities')}"


def _short(key: str) -> str:
    if len(key) <= SHOWN_BITS:
        return key
    begin, end = KEPT_BITS
    return f"{key[:begin]}...{key[-end:]} ({len(key)} bits)"


def _bar(key: str, count: int, most: int) -> str:
    bar = f'<span style="display:inline-block;height:.8em;width:{240 * count / most:.0f}px;background:#5468e0"></span>'
    return f'<tr><th style="font-family:monospace">{key}</th><td style="text-align:left">{bar} {count:,}</td></tr>'


def _values_table(values: FloatArray, errors: FloatArray | None) -> str:
    """A row for each item, a column for each observable; standard errors where there are any."""
    known = [[0.0] * values.shape[1]] * len(values) if errors is None else errors.tolist()
    rows = [
        f"<tr><th>{index}</th>{''.join(map(_value, row[:SHOWN_OBSERVABLES], error))}</tr>"
        for index, (row, error) in enumerate(zip(values[:SHOWN_ROWS].tolist(), known[:SHOWN_ROWS], strict=True))
    ]
    observables = values.shape[1]
    heads = "".join(f"<th>observable {column}</th>" for column in range(min(observables, SHOWN_OBSERVABLES)))
    left = _left_out(len(values) - SHOWN_ROWS, "items") + _left_out(observables - SHOWN_OBSERVABLES, "observables")
    return f"<table><tr><th>item</th>{heads}</tr>{''.join(rows)}</table>{left}"


def _value(value: float, error: float) -> str:
    return f"<td>{value:.8g}{f' &plusmn; {error:.2g}' if error else ''}</td>"


def _left_out(count: int, what: str) -> str:
    return f"<p>... and {count:,} {what}</p>" if count > 0 else ""
