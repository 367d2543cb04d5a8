"""Angles as tables, measured bits as maps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Expression, Parameter
from qloom.circuits.expressions import FUNCTIONS
from qloom.devices.compiled import AngleTable, KeyMap
from qloom.errors import InvalidTask
from tests.devices.helpers import ANGLES, FORMULAS

NAMES = ("b", "a")
SMOOTH = st.sampled_from(
    [
        Parameter("a").apply("exp") - 1,
        (Parameter("a") ** 2 + 1).apply("sqrt") * Parameter("b"),
        (Parameter("b") ** 2 + 0.5).apply("log"),
        Parameter("a").cos() / (Parameter("b") ** 2 + 2),
        (Parameter("a").sin() / 2).apply("arcsin"),
    ]
)


@given(
    angles=st.lists(st.one_of(ANGLES, FORMULAS, SMOOTH), min_size=1, max_size=6),
    sets=st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=1, max_size=4),
)
def test_a_table_gives_what_each_formula_gives(angles: list[float | Expression], sets: list[tuple[float, float]]) -> None:
    table = AngleTable(NAMES, angles)
    rows = table.rows(np.array(sets))
    for row, values in zip(rows.tolist(), sets, strict=True):
        named = dict(zip(NAMES, values, strict=True))
        expected = [angle.evaluate(named) if isinstance(angle, Expression) else angle for angle in angles]
        assert row == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(angles=st.lists(st.one_of(ANGLES, FORMULAS, SMOOTH), min_size=1, max_size=6))
def test_one_set_gives_to_the_bit_what_it_gives_among_many(angles: list[float | Expression]) -> None:
    table = AngleTable(NAMES, angles)
    sets = np.random.default_rng(1).normal(size=(7, 2))
    assert [table.row(values) for values in sets] == table.rows(sets).tolist()


@given(formula=st.one_of(FORMULAS, SMOOTH), at=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_derivatives_of_formulas_follow_the_chain_rule(formula: Expression, at: tuple[float, float]) -> None:
    table = AngleTable(NAMES, [formula])
    found = table.pull_back(np.array(at), np.array([[1.0], [-2.0]]))
    for column in range(2):
        step = 1e-5 * np.eye(2)[column]
        slope = (table.row(np.array(at) + step)[0] - table.row(np.array(at) - step)[0]) / 2e-5
        assert found[0, column] == pytest.approx(slope, abs=1e-5)
        assert found[1, column] == pytest.approx(-2 * slope, abs=2e-5)


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name not in ("arcsin", "arccos")])
def test_every_function_has_its_derivative(function: str) -> None:
    table = AngleTable(["a"], [Parameter("a").apply(function)])
    at = np.array([0.6])
    slope = (table.row(at + 1e-6)[0] - table.row(at - 1e-6)[0]) / 2e-6
    assert table.pull_back(at, np.array([[1.0]]))[0, 0] == pytest.approx(slope, abs=1e-8)


def test_a_formula_without_a_finite_value_is_refused_with_its_text_and_set() -> None:
    table = AngleTable(["a"], [Parameter("a").apply("log")])
    with pytest.raises(InvalidTask, match=r"log\(a\).*set 1"):
        table.rows(np.array([[1.0], [-1.0]]))


def test_a_table_without_parameters_serves_any_number_of_sets() -> None:
    table = AngleTable([], [0.5, math.pi])
    assert table.row(np.zeros(0)) == [0.5, math.pi]
    assert table.rows(np.zeros((2, 0))).tolist() == [[0.5, math.pi]] * 2
    assert table.pull_back(np.zeros(0), np.ones((3, 2))).shape == (3, 0)


@st.composite
def measured(draw: st.DrawFn) -> Circuit:
    num_qubits = draw(st.integers(1, 5))
    qubits = draw(st.permutations(range(num_qubits)))[: draw(st.integers(0, num_qubits))]
    bits = draw(st.permutations(range(num_qubits + 2)))[: len(qubits)]
    circuit = Circuit(num_qubits, num_clbits=num_qubits + 2)
    return circuit.measure(qubits, bits) if qubits else circuit


@given(circuit=measured(), seed=st.integers(0, 1000))
def test_keys_are_put_together_bit_by_bit(circuit: Circuit, seed: int) -> None:
    rng = np.random.default_rng(seed)
    states = np.unique(rng.integers(0, 2**circuit.num_qubits, size=6)).astype(np.uint64)
    counts = rng.integers(1, 9, size=len(states))
    keys, totals = KeyMap(circuit).apply(states, counts)
    expected: dict[str, int] = {}
    for state, count in zip(states.tolist(), counts.tolist(), strict=True):
        text = f"{state:0{circuit.num_qubits}b}"
        key = ["0"] * circuit.key_length
        for bit, qubit in circuit.measured().items():
            key[bit] = text[qubit]
        expected["".join(key)] = expected.get("".join(key), 0) + count
    found = {f"{key:0{circuit.key_length}b}": count for key, count in zip(keys.tolist(), totals.tolist(), strict=True)}
    assert found == expected
    assert keys.tolist() == sorted(keys.tolist())


def test_a_map_that_changes_nothing_says_so() -> None:
    assert KeyMap(Circuit(3)).identity
    assert KeyMap(Circuit(3).measure_all()).identity
    assert not KeyMap(Circuit(3).measure([0, 1])).identity
    assert not KeyMap(Circuit(2).measure([1, 0], [0, 1])).identity
