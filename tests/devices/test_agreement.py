"""The two engines agree, and agree with products of matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Observable, Parameter
from qloom.devices.choosing import library
from qloom.devices.engines import EngineCircuit
from qloom.testing.device_contract import values_of
from tests.devices.helpers import ENGINES, circuits, expected_probabilities, probabilities

VALUES = np.array([0.8, -0.5])


def compiled(engine: str, circuit: Circuit, observables: list[Observable]) -> EngineCircuit:
    found = library(engine)
    return found.compile(circuit, observables, found.engine(circuit.num_qubits, 1))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Circuit, list[Observable]]:
    circuit = draw(circuits())
    string = st.text("IXYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits)
    sums = st.dictionaries(string, st.floats(-2, 2, allow_nan=False), min_size=1, max_size=5).map(Observable)
    return circuit, draw(st.lists(sums, min_size=1, max_size=2))


@given(circuit=circuits())
@settings(max_examples=80, deadline=None)
def test_probabilities_are_the_same_on_both_engines(circuit: Circuit) -> None:
    one, two = (probabilities(engine, circuit, VALUES) for engine in ENGINES)
    np.testing.assert_allclose(one, two, atol=1e-10)
    np.testing.assert_allclose(one, expected_probabilities(circuit, VALUES), atol=1e-10)


@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_values_and_gradients_are_the_same_on_both_engines(problem: tuple[Circuit, list[Observable]]) -> None:
    circuit, observables = problem
    expected = [values_of(circuit, observable, VALUES) for observable in observables]
    one, two = (compiled(engine, circuit, observables).gradients(VALUES) for engine in ENGINES)
    np.testing.assert_allclose(one[0], expected, atol=1e-10)
    np.testing.assert_allclose(two[0], expected, atol=1e-10)
    np.testing.assert_allclose(one[1], two[1], atol=1e-9)


@given(problem=problems())
@settings(max_examples=25, deadline=None)
def test_gradients_are_those_of_finite_differences(problem: tuple[Circuit, list[Observable]]) -> None:
    circuit, observables = problem
    _, found = compiled("lightning", circuit, observables).gradients(VALUES)
    for column, step in enumerate(1e-4 * np.eye(2)):
        for row, observable in enumerate(observables):
            ahead, behind = (values_of(circuit, observable, VALUES + sign * step) for sign in (1, -1))
            assert found[row, column] == pytest.approx((ahead - behind) / 2e-4, abs=1e-5)


def wide_problem(num_qubits: int) -> tuple[Circuit, Observable]:
    circuit = Circuit(num_qubits)
    for qubit in range(num_qubits):
        circuit = circuit.ry(0.3 + 0.2 * qubit, qubit).rx(Parameter("a"), qubit)
    for qubit in range(num_qubits - 1):
        circuit = circuit.cx(qubit, qubit + 1).rz(Parameter("b"), qubit + 1)
    rest = num_qubits - 4
    return circuit, Observable(
        {
            "ZZII" + "I" * rest: 0.5,
            "IIZZ" + "I" * rest: -0.25,
            "Z" * num_qubits: 0.7,
            "XYIZ" + "I" * rest: 0.4,
            "I" * rest + "YYXX": 0.3,
            "X" * num_qubits: -0.2,
            "I" * num_qubits: 1.0,
        }
    )


@pytest.mark.parametrize("num_qubits", [5, 7, 12, 16, 17])
def test_every_way_of_summing_terms_gives_the_same_value(num_qubits: int) -> None:
    # Small matrices to 6 qubits, lightning's sum to 15, term by term above; groups on their diagonal throughout.
    circuit, energy = wide_problem(num_qubits)
    one, two = (compiled(engine, circuit, [energy]) for engine in ENGINES)
    value = one.expectations(one.table.row(VALUES))[0]
    assert value == pytest.approx(two.expectations(two.table.row(VALUES))[0], abs=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_bases_are_turned_one_after_the_other(engine: str) -> None:
    circuit = Circuit(3, parameters=("b", "a")).h(0).ry(Parameter("a"), 1).rx(1.1, 2).cx(0, 1).rz(0.4, 1).cx(1, 2)
    made = compiled(engine, circuit, [])
    bases = ["XYZ", "III", "YIX", "ZZZ"]
    turned = {"X": lambda circuit, qubit: circuit.h(qubit), "Y": lambda circuit, qubit: circuit.rx(np.pi / 2, qubit)}
    for basis, found in zip(bases, made.probabilities_in(made.table.row(VALUES), bases), strict=True):
        expected = circuit
        for qubit, letter in enumerate(basis):
            expected = turned[letter](expected, qubit) if letter in turned else expected
        np.testing.assert_allclose(found, expected_probabilities(expected, VALUES), atol=1e-12)


def test_a_deep_circuit_keeps_its_norm_and_the_engines_together() -> None:
    circuit = Circuit(3)
    for step in range(2000):
        circuit = circuit.rx(0.1 * step, step % 3).cx(step % 3, (step + 1) % 3)
    one, two = (probabilities(engine, circuit, np.zeros(0)) for engine in ENGINES)
    np.testing.assert_allclose(one, two, atol=1e-10)
    assert one.sum() == pytest.approx(1, abs=1e-10)
