"""What programs hand back and keep comes out as it went in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from qloom.errors import NoResult
from qloom.kit.values import dumps, loads, read_result, result_document

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)
KINDS = st.sampled_from(["?", "<i4", ">i8", "u1", "<f4", "<f8", "<c16"])


@given(VALUES)
def test_json_and_numbers_come_back_as_they_were(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert read_result(result_document(value)) == value


@given(KINDS.flatmap(lambda kind: arrays(kind, array_shapes(max_dims=3, max_side=4))))
def test_arrays_come_back_with_their_type_and_shape(array: Any) -> None:
    found = loads(dumps({"deep": [array]}))["deep"][0]
    assert found.dtype == array.dtype.newbyteorder("<")
    np.testing.assert_array_equal(found, array)


def test_numpy_scalars_come_back_as_numbers() -> None:
    assert loads(dumps([np.float64(0.5), np.int32(3), np.bool_(True), np.array(2.5)])) == [0.5, 3, True, 2.5]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"fit": [object()]}, r"result\['fit'\]\[0\] is a builtins.object"),
        ({1: 2}, "a key of result is 1"),
        (np.array(["a"]), "array of dtype <U1"),
    ],
)
def test_what_cannot_be_kept_is_named_with_its_place(value: object, said: str) -> None:
    with pytest.raises(NoResult, match=said):
        dumps(value)


def test_pickled_results_of_braket_are_never_opened() -> None:
    document = {"braketSchemaHeader": {}, "dataDictionary": {"x": "gASV"}, "dataFormat": "pickled_v4"}
    with pytest.raises(NoResult, match="opens no pickle"):
        read_result(document)
