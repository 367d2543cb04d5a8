import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qloom.circuits import Expression, Parameter
from qloom.programs.literals import NotLiteral, literal

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
KEYS = st.integers() | st.text() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner) | st.sets(KEYS) | st.frozensets(KEYS)
    ),
    max_leaves=20,
)
FLOATS = arrays.floating_dtypes(sizes=(16, 32, 64)) | arrays.complex_number_dtypes(sizes=(64, 128))
NUMBERS = arrays.boolean_dtypes() | arrays.integer_dtypes() | FLOATS


def evaluated(text: str, needed: set[str]) -> Any:
    names: dict[str, Any] = {}
    exec("\n".join(sorted(needed)), names)
    return eval(text, names)


@given(VALUES)
def test_plain_values_come_back_equal(value: Any) -> None:
    needed: set[str] = set()
    back = evaluated(literal(value, needed), needed)
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, set | frozenset | dict | list | tuple)


@given(arrays.arrays(NUMBERS, arrays.array_shapes(min_dims=0, min_side=0, max_side=4)))
def test_arrays_come_back_bit_by_bit(array: Any) -> None:
    needed: set[str] = set()
    back = evaluated(literal(array, needed), needed)
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array, equal_nan=array.dtype.kind in "fc")


@pytest.mark.parametrize(
    "value", [np.float32(0.1), np.bool_(True), np.complex128(1j), range(1, 9, 2), Path("a/b"), PurePosixPath("c")]
)
def test_other_small_values_come_back_with_their_type(value: Any) -> None:
    needed: set[str] = set()
    back = evaluated(literal(value, needed), needed)
    assert back == value
    assert type(back) is type(value)


def test_numbers_that_are_not_finite_come_back() -> None:
    back = evaluated(literal([math.inf, -math.inf, math.nan, complex(math.nan, 1)], set()), set())
    assert back[:2] == [math.inf, -math.inf]
    assert math.isnan(back[2])
    assert math.isnan(back[3].real)


def test_angle_formulas_come_back() -> None:
    needed: set[str] = set()
    angles: list[Expression] = [Parameter("a"), 2 * Parameter("a").sin() - 0.5]
    assert evaluated(literal(angles, needed), needed) == angles


@pytest.mark.parametrize("value", [object(), {1: [object()]}, np.array(["a"]), np.array([object()]), np.longdouble(1)])
def test_everything_else_is_refused(value: Any) -> None:
    with pytest.raises(NotLiteral):
        literal(value, set())
