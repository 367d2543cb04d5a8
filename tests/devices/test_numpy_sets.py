"""Many parameter sets of a tiny circuit at once: the same answers as one library call after the other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.circuits.gates import GATES
from qloom.devices import numpy_sets, prepared
from qloom.devices.choosing import library
from qloom.devices.engines import EngineCircuit
from qloom.devices.numpy_sets import FEWEST_SETS, SetsCircuit, suits
from qloom.devices.prepared import PreparedSim
from qloom.devices.sim import create
from qloom.errors import InvalidTask
from tests.circuits.strategies import unitary_circuits
from tests.devices.helpers import ENGINES, PARAMETERS, FloatArray, around, circuits, expected_probabilities

SETS = np.random.default_rng(5).uniform(-4, 4, (37, 2))
A, B = Parameter("a"), Parameter("b")


def loop(engine: str, circuit: Circuit, observables: list[Observable]) -> EngineCircuit:
    found = library(engine)
    return found.compile(circuit, observables, found.engine(circuit.num_qubits, 1))


def probabilities(circuit: Circuit, sets: FloatArray) -> FloatArray:
    made = SetsCircuit(circuit)
    return made.probabilities(made.table.rows(sets))


# ---- agreement -------------------------------------------------------------------------------------------------------


@given(circuit=circuits())
@settings(max_examples=80, deadline=None)
def test_probabilities_are_those_of_both_engines(circuit: Circuit) -> None:
    found = probabilities(circuit, SETS)
    assert found.shape == (len(SETS), 2**circuit.num_qubits)
    for engine in ENGINES:
        one = loop(engine, circuit, [])
        expected = [one.probabilities(angles) for angles in one.table.rows(SETS).tolist()]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(circuit=unitary_circuits(max_qubits=6), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_circuits_without_parameters_have_the_same_answer_in_every_set(circuit: Circuit, seed: int) -> None:
    letters = np.random.default_rng(seed).choice(list("IXYZ"), (3, circuit.num_qubits))
    observable = Observable({"".join(row): 0.5 + place for place, row in enumerate(letters)})
    made = SetsCircuit(circuit, [observable])
    rows = made.table.rows(np.zeros((3, 0)))
    for engine in ENGINES:
        one = loop(engine, circuit, [observable])
        np.testing.assert_allclose(made.probabilities(rows), [one.probabilities(one.table.row(np.zeros(0)))] * 3, atol=1e-12)
        np.testing.assert_allclose(made.expectations(rows), [one.expectations(one.table.row(np.zeros(0)))] * 3, atol=1e-11)


@given(circuit=circuits(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_values_are_those_of_both_engines(circuit: Circuit, data: st.DataObject) -> None:
    letters = data.draw(st.sampled_from(["IZ", "IXYZ"]))
    string = st.text(letters, min_size=circuit.num_qubits, max_size=circuit.num_qubits)
    observables = data.draw(
        st.lists(st.dictionaries(string, st.floats(-2, 2), min_size=1, max_size=4).map(Observable), min_size=1, max_size=2)
    )
    made = SetsCircuit(circuit, observables)
    found = made.expectations(made.table.rows(SETS))
    for engine in ENGINES:
        one = loop(engine, circuit, observables)
        expected = [one.expectations(angles) for angles in one.table.rows(SETS).tolist()]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("controls", [0, 1, 2])
@pytest.mark.parametrize("name", [name for name in GATES if name != "gphase"])
def test_every_gate_is_the_product_of_matrices_on_any_qubits(name: str, controls: int) -> None:
    size = GATES[name].num_qubits + controls
    angles = (A, B, A + B, A * B)[: GATES[name].num_parameters]
    qubits = tuple(np.random.default_rng(len(name)).permutation(6)[:size].tolist())
    circuit = around(Instruction(name, qubits, angles, (), controls), 6)
    expected = np.array([expected_probabilities(circuit, values) for values in SETS[:3]])
    np.testing.assert_allclose(probabilities(circuit, SETS[:3]), expected, rtol=0, atol=1e-12)


def test_gates_that_wait_are_not_overtaken_by_those_that_touch_their_qubits() -> None:
    circuit = Circuit(3, parameters=PARAMETERS).ry(A, 0).cx(0, 1).ry(B, 2).rx(A, 1).gate("swap", 1, 2).gate("y", 0, 1, controls=1)
    circuit = circuit.h(0).t(0).cz(0, 2).ry(A, 2).s(1).rx(B, 1).gate("sxdg", 2, 0, controls=1).gate("xx", 0, 2, angles=[B])
    expected = np.array([expected_probabilities(circuit, values) for values in SETS])
    np.testing.assert_allclose(probabilities(circuit, SETS), expected, rtol=0, atol=1e-12)
    by_control = Circuit(3, parameters=PARAMETERS).ry(A, 0).ry(0.3, 1).cx(0, 1).gate("crx", 1, 2, angles=[B])
    expected = np.array([expected_probabilities(by_control, values) for values in SETS])
    np.testing.assert_allclose(probabilities(by_control, SETS), expected, rtol=0, atol=1e-12)


def test_sets_are_worked_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit(3, parameters=PARAMETERS).ry(A, 0).cx(0, 1).rx(B, 2).cx(1, 2)
    observables = [Observable({"XYZ": 1.0, "IZZ": 0.3}), Observable({"ZIZ": 2.0})]
    made = SetsCircuit(circuit, observables)
    rows = made.table.rows(SETS)
    whole = made.probabilities(rows), made.expectations(rows)
    monkeypatch.setattr(numpy_sets, "CHUNK", 5 * 8)
    monkeypatch.setattr(numpy_sets, "BLAS_PRODUCTS", 2 * 64)
    small = SetsCircuit(circuit, observables)
    np.testing.assert_allclose(small.probabilities(rows), whole[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(small.expectations(rows), whole[1], rtol=0, atol=1e-14)


# ---- behind sim ------------------------------------------------------------------------------------------------------


def test_the_way_depends_on_qubits_and_sets_alone() -> None:
    assert [suits(num_qubits, 10_000) for num_qubits in range(1, 9)] == [True] * 6 + [False] * 2
    assert all(suits(num_qubits, fewest) and not suits(num_qubits, fewest - 1) for num_qubits, fewest in enumerate(FEWEST_SETS))


def problem() -> tuple[Circuit, list[Observable]]:
    circuit = Circuit(3, parameters=PARAMETERS).ry(A, 0).cx(0, 1).rx(B, 2).cx(1, 2).measure([0, 1, 2], [2, 0, 1])
    return circuit, [Observable({"XYZ": 1.0, "IZZ": 0.3}), Observable({"ZIZ": 2.0})]


def both_ways(sets: int) -> tuple[PreparedSim, PreparedSim]:
    """`sim` as it is, and with every set by lightning."""
    together, alone = create(), create(engine="lightning")
    circuit, observables = problem()
    found = together.prepare(circuit, observables), alone.prepare(circuit, observables)
    assert isinstance(found[0], PreparedSim)
    assert isinstance(found[1], PreparedSim)
    assert suits(3, sets)
    return found[0], found[1]


def test_samples_of_many_sets_are_those_of_the_engine() -> None:
    one, other = both_ways(len(SETS))
    found, expected = one.run(SETS, shots=200, seed=3), other.run(SETS, shots=200, seed=3)
    assert found.metadata == {"sets_together": "numpy"}
    assert expected.metadata == {}
    assert [item.counts for item in found] == [item.counts for item in expected]


def test_values_of_many_sets_are_those_of_the_engine() -> None:
    one, other = both_ways(len(SETS))
    found, expected = one.estimate(SETS), other.estimate(SETS)
    assert (found.metadata, expected.metadata) == ({"sets_together": "numpy"}, {})
    assert found.values.shape == (len(SETS), 2)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-12)


def test_equal_calls_give_equal_bytes_whatever_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = both_ways(len(SETS))[0], both_ways(len(SETS))[0]
    other.run(SETS[:2], shots=10, seed=1)
    other.estimate(SETS[:30])
    assert one.run(SETS, shots=100, seed=4) == other.run(SETS, shots=100, seed=4)
    assert one.estimate(SETS) == other.estimate(SETS)
    monkeypatch.setattr(prepared, "CHUNK", 8 * 10)
    assert one.run(SETS, shots=100, seed=4) == other.run(SETS, shots=100, seed=4)


def test_few_sets_and_one_set_are_the_engines() -> None:
    one, _ = both_ways(len(SETS))
    for sets in (SETS[0], SETS[:5]):
        assert one.run(sets, shots=10, seed=1).metadata == {}
        assert one.estimate(sets).metadata == {}


def test_circuits_of_several_sizes_each_take_their_way() -> None:
    wide = Circuit(7, parameters=PARAMETERS).ry(A, 0).cx(0, 6).rx(B, 3)
    small = Circuit(2, parameters=PARAMETERS).ry(A, 0).cx(0, 1).rx(B, 1)
    found, expected = (create(engine=engine).prepare([small, wide]).run(SETS, 100, seed=2) for engine in (None, "lightning"))
    assert [item.counts for item in found] == [item.counts for item in expected]


def test_a_formula_without_a_value_is_refused_as_ever() -> None:
    circuit = Circuit(1, parameters=("a",)).ry(A**0.5, 0)
    with pytest.raises(InvalidTask, match="no finite value for parameter set 3"):
        create().prepare(circuit).run(np.where(np.arange(30) == 3, -1.0, math.pi)[:, None], shots=10)
