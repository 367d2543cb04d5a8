"""Results as people read them, in a report as on the command line."""

import numpy as np
import pytest

from qloom.kit.values import to_plain
from qloom.report.readable import SHOWN_NUMBERS, readable


@pytest.mark.parametrize("shape", [(0,), (3,), (2, 2, 4), (SHOWN_NUMBERS,)])
@pytest.mark.parametrize("kind", ["float64", "int8", "bool"])
def test_a_small_array_is_the_list_that_numpy_makes_of_it(kind: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    assert readable(to_plain({"deep": [array]})) == {"deep": [array.tolist()]}


def test_a_large_array_is_told_by_kind_and_shape() -> None:
    assert readable(to_plain(np.zeros((300, 40), "complex64"))) == "array of complex64, shape 300 x 40"


def test_numbers_that_json_has_not_are_text_in_arrays_too() -> None:
    value = {"one": float("-inf"), "some": np.array([1.5, np.nan]), "turned": np.array([1 - 2j])}
    assert readable(to_plain(value)) == {"one": "-inf", "some": [1.5, "nan"], "turned": ["1-2j"]}


def test_what_only_looks_like_an_array_is_shown_as_it_is_and_a_damaged_one_as_that() -> None:
    assert readable(to_plain({"__array__": 1})) == {"__array__": 1}
    for record in (["<f8", [2], "AA"], ["<f8", [2]], 7, ["none", [1], "AA=="]):
        assert readable({"__array__": record}) == "an array whose record is damaged"
