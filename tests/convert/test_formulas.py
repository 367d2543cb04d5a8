import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Expression
from qloom.convert.formulas import CONSTANTS_3, FUNCTIONS_3, Formulas, NotAFormula, Value, combine, depth, finish, negate, parse
from qloom.errors import InvalidCircuit
from tests.circuits.strategies import expressions

NAMES: dict[str, Value] = {**CONSTANTS_3, "theta": ("parameter", "theta"), "t[0]": ("parameter", "t[0]")}


def value(text: str, *, whole_numbers: bool = True) -> Value:
    return parse(text, NAMES, FUNCTIONS_3, whole_numbers=whole_numbers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("-1.5e-3", -0.0015),
        (".5", 0.5),
        ("5.", 5.0),
        ("2*3+4", 10),
        ("2+3*4", 14),
        ("2-3-4", -5),
        ("8/4/2", 1),
        ("-2**2", -4),
        ("2**3**2", 512),
        ("2.0**-1", 0.5),
        ("2*-3", -6),
        ("--3", 3),
        ("(1 + 2) * (3 - 4)", -3),
        ("pi/2", math.pi / 2),
        ("2*π - τ", 0.0),
        ("sin(pi/6)*2", math.sin(math.pi / 6) * 2),
        ("sqrt(arccos(0.5))", math.sqrt(math.acos(0.5))),
        (" ( 1 ) ", 1),
    ],
)
def test_numbers_are_worked_out_as_python_works_them_out(text: str, expected: float) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@given(
    st.recursive(
        st.integers(1, 9).map(str), lambda t: st.tuples(t, st.sampled_from(["+", "-", "*", "**1*", "*-"]), t).map("".join)
    )
)
def test_whole_numbers_agree_with_python_on_precedence(text: str) -> None:
    if len(text) < 100:
        assert value(text) == eval(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2*theta + 0.3", "2.0*theta + 0.3"),
        ("-theta**2", "-theta**2.0"),
        ("t[0]/(theta - 1)", "t[0]/(theta - 1.0)"),
        ("sin(-theta)", "sin(-theta)"),
    ],
)
def test_parameters_stay_symbolic(text: str, expected: str) -> None:
    assert str(finish(value(text))) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "()",
            "1 2",
            "2theta",
            "theta.",
            "1.2.3",
            "(1",
            "1)",
            "+1",
            "1 +",
            "*2",
            "alpha",
            "theta[1]",
            "sinh(1)",
            "sin 1",
            "sin",
        ),
        *(
            "0x1F",
            "1_0",
            "1e",
            "1,2",
            "theta theta",
            "1im",
            "'a'",
            "1;2",
            "\u00b2",
            "\u0661",
            "9" * 16,
            "theta(1)",
            "2^3",
            "1//2",
        ),
        *("1+" * 200 + "1", "10**400 x"),
    ],
)
def test_anything_else_is_left_to_others(text: str) -> None:
    with pytest.raises((NotAFormula, InvalidCircuit)):
        value(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1/2", r"1/2 divides two integers and leaves a rest, .* write 1\.0/2"),
        ("1/0", "division by zero"),
        ("1.0/0", "division by zero"),
        ("2**-1", "raises an integer to a negative power"),
        ("2**5000", r"2\*\*5000 is too large"),
        ("log(0)", r"cannot work out log\(0\)"),
        ("1e200**2", "cannot work out"),
    ],
)
def test_what_has_no_value_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidCircuit, match=said):
        value(text)


def test_version_2_divides_whole_numbers_as_real_ones() -> None:
    assert value("1/2", whole_numbers=False) == 0.5
    assert value("2**-1", whole_numbers=False) == 0.5


@given(expressions(("theta", "t[0]")))
def test_formulas_of_the_same_form_read_as_if_read_alone(expression: Expression) -> None:
    text = str(expression)
    shared = Formulas({"theta": ("parameter", "theta"), "t[0]": ("parameter", "t[0]")}, FUNCTIONS_3, whole_numbers=True)
    for other in (text, text.replace("theta", "t[0]"), text):
        assert shared.value(other) == value(other)


def test_a_name_next_to_foreign_letters_is_not_taken_for_another() -> None:
    formulas = Formulas({"b": ("parameter", "b"), "ä": ("parameter", "ä")}, {}, whole_numbers=True)
    assert formulas.value("b*2") == ("mul", ("parameter", "b"), ("number", 2.0))
    with pytest.raises(NotAFormula):
        formulas.value("äb*2")


def test_the_pieces_keep_numbers_numbers() -> None:
    assert combine("add", 1, 2) == 3
    assert negate(("parameter", "a")) == ("neg", ("parameter", "a"))
    assert depth(value("-(theta + 1)*2")) == 3
    with pytest.raises(InvalidCircuit, match="an angle must be finite, got inf"):
        finish(math.inf)
    with pytest.raises(InvalidCircuit, match="a whole number is too large for a float"):
        finish(10**400)
