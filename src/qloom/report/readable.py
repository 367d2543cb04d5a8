"""Results as people read them: what stands in a record for arrays and for numbers that JSON has not is no sight."""

from __future__ import annotations

import math
from typing import Any

from qloom.kit.values import ARRAY_KEY, DICT_KEY, NUMBER_KEY, from_plain, to_plain

SHOWN_NUMBERS = 16
"""Larger arrays are described."""


def readable(value: Any) -> Any:
    """Return a result for people to read: small arrays as lists, of large ones what they are, other numbers as text.

    Args:
        value: plain JSON, as `qloom.kit.values.to_plain` gives it.

    >>> readable({"angles": {"__array__": ["<f8", [300, 40], "AAAA"]}, "loss": {"__number__": "inf"}})
    {'angles': 'array of float64, shape 300 x 40', 'loss': 'inf'}
    """
    if isinstance(value, list):
        return [readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {NUMBER_KEY}:
        return value[NUMBER_KEY].strip("()")
    if set(value) == {ARRAY_KEY}:
        return _readable_array(value)
    content = value[DICT_KEY] if set(value) == {DICT_KEY} else value
    return {key: readable(item) for key, item in content.items()}


def _readable_array(mark: dict[str, Any]) -> Any:
    import numpy as np  # late, as most results have no array

    try:
        kind, shape, _ = mark[ARRAY_KEY]
        if math.prod(shape) > SHOWN_NUMBERS:
            return f"array of {np.dtype(kind).name}, shape {' x '.join(map(str, shape))}"
        return readable(to_plain(from_plain(mark).tolist()))
    except (ValueError, TypeError):
        return "an array whose record is damaged"
