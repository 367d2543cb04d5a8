import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qloom.circuits import Expression, Parameter
from qloom.circuits.expressions import FUNCTIONS, Affine
from qloom.convert.formulas import FUNCTIONS_3, finish, parse
from qloom.errors import InvalidCircuit
from tests.circuits.strategies import NAMES, expressions

a, b = Parameter("a"), Parameter("b")
VALUES = st.fixed_dictionaries({name: st.floats(0.1, 0.9) for name in NAMES})


def scalar(expression: Expression, values: dict[str, float]) -> float:
    """The value, where it is a moderate number; other examples are left out."""
    try:
        value = expression.evaluate(values)
    except InvalidCircuit:
        value = math.nan
    assume(math.isfinite(value) and abs(value) < 1e12)
    return float(value)


@given(expressions(), st.lists(VALUES, min_size=1, max_size=3))
def test_evaluating_arrays_gives_what_evaluating_numbers_gives(expression: Expression, sets: list[dict[str, float]]) -> None:
    one_by_one = [scalar(expression, values) for values in sets]
    at_once = expression.evaluate({name: np.array([values[name] for values in sets]) for name in NAMES})
    assert np.allclose(np.broadcast_to(at_once, len(sets)), one_by_one, rtol=1e-9)


@given(expressions(), VALUES)
def test_an_affine_form_has_the_value_of_its_expression(expression: Expression, values: dict[str, float]) -> None:
    affine = expression.affine()
    assume(affine is not None)
    assert affine is not None
    value = scalar(expression, values)
    worked_out = affine.offset + (affine.scale * values[affine.parameter] if affine.parameter else 0)
    assert math.isclose(worked_out, value, rel_tol=1e-6, abs_tol=1e-6) or abs(affine.scale) > 1e6


@given(expressions())
def test_the_text_of_an_expression_reads_back_as_the_same_tree(expression: Expression) -> None:
    names = {name: ("parameter", name) for name in NAMES}
    assert finish(parse(str(expression), names, FUNCTIONS_3, whole_numbers=False)) == expression


@given(expressions(), VALUES)
def test_putting_in_numbers_one_by_one_gives_what_all_at_once_gives(expression: Expression, values: dict[str, float]) -> None:
    expected = scalar(expression, values)
    rest: object = expression
    for name, value in values.items():
        rest = rest.substitute({name: value}) if isinstance(rest, Expression) else rest
    assert rest == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expression", "affine"),
    [
        (2 * a + 0.3, Affine("a", 2.0, 0.3)),
        (0.3 - a / 4, Affine("a", -0.25, 0.3)),
        (-(a - 1) * 2, Affine("a", -2.0, 2.0)),
        (a + a, Affine("a", 2.0, 0.0)),
        (a * 0 + 1, Affine("a", 0.0, 1.0)),
        (a + b, None),
        (a * a, None),
        (1 / a, None),
        (a.sin(), None),
        (a**1, None),
    ],
    ids=str,
)
def test_affine_forms_in_one_parameter_are_recognised(expression: Expression, affine: Affine | None) -> None:
    assert expression.affine() == affine


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (2 * a + 0.3, "2.0*a + 0.3"),
        (a - (b - 1), "a - (b - 1.0)"),
        (a + (b + 1), "a + (b + 1.0)"),
        ((-a) ** 2, "(-a)**2.0"),
        (-(a**2), "-a**2.0"),
        (2**-a, "2.0**(-a)"),
        (a * -0.5, "a*(-0.5)"),
        ((a + b).cos() / 2, "cos(a + b)/2.0"),
    ],
)
def test_the_text_has_the_brackets_that_it_needs(expression: Expression, text: str) -> None:
    assert str(expression) == text


def test_every_function_is_the_one_of_the_math_module() -> None:
    names = {"arcsin": math.asin, "arccos": math.acos, "arctan": math.atan}
    for function in FUNCTIONS:
        expected = names.get(function) or getattr(math, function)
        assert a.apply(function).evaluate({"a": 0.4}) == expected(0.4)


def test_a_number_left_alone_is_a_float_again() -> None:
    assert (a / 2).substitute({"a": 1.0}) == 0.5
    assert str((a * b + 1).substitute({"a": 2.0})) == "2.0*b + 1.0"
    assert str((a * b + 1).substitute({"a": 2.0, "b": b + 1})) == "2.0*(b + 1.0) + 1.0"


def test_parameters_are_named_in_the_order_they_are_met() -> None:
    assert (b * a + b).parameters() == ("b", "a")


@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "a[", "a[x]", "a[0][1]", "$x$"])
def test_a_name_that_no_text_could_spell_is_refused(name: str) -> None:
    with pytest.raises(InvalidCircuit, match="is no parameter name; use letters, digits and _"):
        Parameter(name)


@pytest.mark.parametrize("name", ["theta", "θ", "_x1", "theta[0]", "t[12]"])
def test_names_of_letters_digits_and_an_index_are_fine(name: str) -> None:
    assert Parameter(name).name == name


@pytest.mark.parametrize("value", ["x", None, math.inf, math.nan, 1j])
def test_an_angle_that_is_no_finite_real_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidCircuit, match=r"is no angle|must be finite"):
        _ = a + value  # type: ignore[operator]


def test_a_formula_without_a_value_there_says_so() -> None:
    with pytest.raises(InvalidCircuit, match=r"cannot work out the angle 1\.0/a"):
        (1 / a).evaluate({"a": 0.0})
    with pytest.raises(InvalidCircuit, match="no function called 'sinh' in angles"):
        a.apply("sinh")
