"""Batches over circuits of one structure: what each gives is what it gives when it is prepared alone."""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp, Statevector

from qloom.circuits import Circuit, Expression, Instruction, Observable, Parameter
from qloom.devices.alike import Alike, alike, joined
from qloom.devices.choosing import library
from qloom.devices.common import prepared_digest
from qloom.devices.lowering import fuse, lower
from qloom.devices.sim import create
from qloom.errors import Unsupported
from qloom.kit.angle_table import AngleTable
from tests.devices.helpers import ANGLES, ENGINES, circuits, expected_probabilities, matrix_of, product_of
from tests.devices.test_sim import run_python

SPECIAL = st.sampled_from([0.0, -0.0, math.pi, -math.pi / 2, math.pi / 2, 2 * math.pi, 1e-9])
NUMBERS = st.one_of(ANGLES, SPECIAL)
A = Parameter("a")


@st.composite
def variants(draw: st.DrawFn, circuit: Circuit) -> Circuit:
    """The same circuit with other numbers where it has numbers."""
    steps = [
        step._replace(parameters=tuple(angle if isinstance(angle, Expression) else draw(NUMBERS) for angle in step.parameters))
        for step in circuit.instructions
    ]
    return Circuit(circuit.num_qubits, steps, parameters=circuit.parameters)


@st.composite
def batches(draw: st.DrawFn) -> list[Circuit]:
    """Circuits of up to three structures in any order, several of each."""
    bases = draw(st.lists(circuits(longest=8), min_size=1, max_size=3))
    found = [draw(variants(base)) for base in bases for _ in range(draw(st.integers(1, 4)))]
    return list(draw(st.permutations(found)))


def layers(seed: int, num_qubits: int = 10) -> Circuit:
    """Random layers with numbers as angles."""
    rng = np.random.default_rng(seed)
    steps = [
        Instruction(name, (qubit,), (float(rng.uniform(-4, 4)),)) for name in ("rx", "ry", "rz") for qubit in range(num_qubits)
    ]
    return Circuit(num_qubits, steps + [Instruction("cx", pair) for pair in pairwise(range(num_qubits))])


def number(value: int, turn: float = 0.0) -> Circuit:
    """Three qubits in the state that spells a number, read out in the opposite order."""
    circuit = Circuit(3)
    for qubit in range(3):
        circuit = circuit.rz(turn, qubit).rx(math.pi * (value >> qubit & 1), qubit)
    return circuit.measure([0, 1, 2], [2, 1, 0])


# ---- the same answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@given(given_circuits=batches(), values=st.tuples(st.floats(-4, 4), st.floats(-4, 4)))
def test_each_circuit_of_a_batch_has_the_probabilities_of_its_matrices(
    engine: str, given_circuits: list[Circuit], values: tuple[float, float]
) -> None:
    found, point = library(engine), np.array(values)
    for group in alike(given_circuits):
        ready = found.compile_alike(group.circuits, [], found.engine(group.circuits[0].num_qubits, 1))
        for one, circuit in zip(ready, group.circuits, strict=True):
            probabilities = one.probabilities(one.table.row(point))
            np.testing.assert_allclose(probabilities, expected_probabilities(circuit, point), atol=1e-12)


@given(base=circuits(longest=8), data=st.data())
def test_values_and_gradients_of_a_batch_are_those_of_circuits_prepared_alone(base: Circuit, data: st.DataObject) -> None:
    other = base.h(0)
    batch = [data.draw(variants(circuit)) for circuit in (base, other, base, base, other)]
    energy = [Observable({"Z" * base.num_qubits: 1.0, "X" + "I" * (base.num_qubits - 1): 0.5})]
    sets = np.array([[0.3, -1.2], [2.0, 0.4]])
    device = create()
    together = device.prepare(batch, energy)
    alone = [device.prepare(circuit, energy) for circuit in batch]
    expected = np.concatenate([one.estimate(sets).values for one in alone])
    np.testing.assert_allclose(together.estimate(sets).values, expected, atol=1e-12)
    slopes = np.concatenate([one.gradient(sets).gradients for one in alone])
    np.testing.assert_allclose(together.gradient(sets).gradients, slopes, atol=1e-11)


def test_random_layers_have_the_values_that_qiskit_finds() -> None:
    batch = [layers(seed, 5) for seed in range(6)]
    found = create().prepare(batch, Observable({"XZIYI": 1.0})).estimate().values
    assert found is not None
    for circuit, value in zip(batch, found[:, 0], strict=True):
        theirs = QuantumCircuit(5)
        for step in circuit.instructions:
            getattr(theirs, step.name)(*step.parameters, *step.qubits)
        expected = Statevector(theirs).expectation_value(SparsePauliOp("XZIYI"[::-1])).real
        assert value == pytest.approx(expected, abs=1e-12)


def test_samples_of_mixed_structures_stand_at_the_places_of_their_circuits() -> None:
    values = [3, 6, 0, 5, 7, 1, 2, 4]
    batch = [number(value, 0.1 * value) if value % 2 else number(value).barrier() for value in values]
    result = create().prepare(batch).run(shots=10, seed=1)
    assert [result[place].counts for place in range(len(batch))] == [{f"{value:03b}": 10} for value in values]


def test_values_from_shots_are_drawn_for_each_circuit() -> None:
    batch = [number(value) for value in (0, 1, 5)]
    result = create().prepare(batch, Observable({"ZII": 1.0})).estimate(shots=100, seed=1)
    np.testing.assert_allclose(result.values, [[1.0], [-1.0], [-1.0]], atol=1e-12)


def test_own_parameters_stay_parameters() -> None:
    batch = [Circuit(1).ry(shift, 0).ry(2 * A, 0) for shift in (0.0, 0.4, math.pi)]
    prepared = create().prepare(batch, Observable({"Z": 1.0}))
    expected = [[math.cos(shift + 2 * value)] for shift in (0.0, 0.4, math.pi) for value in (0.3, 0.9)]
    np.testing.assert_allclose(prepared.estimate([[0.3], [0.9]]).values, expected, atol=1e-12)
    np.testing.assert_allclose(prepared.gradient([0.3]).gradients[1], [[-2 * math.sin(1.0)]], atol=1e-12)


def test_a_batch_draws_the_same_samples_in_another_process() -> None:
    code = """
from qloom.devices.sim import create
from tests.devices.test_alike import layers
result = create().prepare([layers(seed, 6) for seed in range(20)]).run(shots=200, seed=5)
print(result.samples.keys.tolist(), result.samples.counts.tolist())
"""
    once = run_python(code)
    assert len(once) > 1000
    assert run_python(code, PYTHONHASHSEED="7") == once


def test_the_digest_is_that_of_the_circuits_one_after_the_other() -> None:
    batch = [layers(seed, 3) for seed in range(3)]
    expected = prepared_digest("engine=None", batch, [])
    assert create().prepare(batch).digest == expected
    assert create().prepare(batch[::-1]).digest != expected


# ---- what runs, and what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("angles", "engine"), [((0.0, math.pi, math.pi / 2), "stim"), ((0.0, math.pi, 0.3), "lightning")])
def test_a_batch_goes_to_stim_where_the_angles_of_every_circuit_are_clifford(angles: tuple[float, ...], engine: str) -> None:
    def wide(angle: float) -> Circuit:
        circuit = Circuit(20).rx(angle, 0)
        for qubit in range(19):
            circuit = circuit.cx(qubit, qubit + 1)
        return circuit

    prepared = create().prepare([wide(angle) for angle in angles])
    assert prepared.engine.name == engine
    assert [prepared.run(shots=100, seed=1)[place].counts for place in range(2)] == [{"0" * 20: 100}, {"1" * 20: 100}]


def test_each_circuit_of_a_refused_structure_is_named() -> None:
    with pytest.raises(Unsupported) as caught:
        create(engine="lightning").prepare([layers(0, 2), layers(0, 2).reset(1), layers(1, 2), layers(1, 2).reset(1)])
    assert "circuit 1: reset" in str(caught.value)
    assert "circuit 3: reset" in str(caught.value)
    assert "circuit 0" not in str(caught.value)


# ---- structures ------------------------------------------------------------------------------------------------------

PLAIN = Circuit(2).rx(0.1, 0).cx(0, 1).ry(A, 1)
OTHERS: dict[str, Circuit] = {
    "a gate": Circuit(2).ry(0.1, 0).cx(0, 1).ry(A, 1),
    "a qubit": Circuit(2).rx(0.1, 1).cx(0, 1).ry(A, 1),
    "a width": Circuit(3).rx(0.1, 0).cx(0, 1).ry(A, 1),
    "a formula": Circuit(2).rx(0.1, 0).cx(0, 1).ry(2 * A, 1),
    "a number for a formula": Circuit(2, parameters=["a"]).rx(0.1, 0).cx(0, 1).ry(0.3, 1),
    "a formula for a number": Circuit(2).rx(A, 0).cx(0, 1).ry(A, 1),
    "a step more": Circuit(2).rx(0.1, 0).cx(0, 1).ry(A, 1).h(0),
    "controls": Circuit(2).gate("rx", 1, 0, angles=[0.1], controls=1).cx(0, 1).ry(A, 1),
    "a measurement": Circuit(2).rx(0.1, 0).cx(0, 1).ry(A, 1).measure(0),
    "classical bits": Circuit(2, PLAIN.instructions, num_clbits=1),
    "parameters": Circuit(2, PLAIN.instructions, parameters=["a", "b"]),
}


@pytest.mark.parametrize("what", OTHERS)
def test_circuits_are_not_alike_that_differ_in(what: str) -> None:
    assert [group.places for group in alike([PLAIN, OTHERS[what], PLAIN])] == [(0, 2), (1,)]


def test_numbers_inside_of_blocks_are_part_of_the_structure() -> None:
    one, two = (Circuit(1).verbatim(Circuit(1).rx(angle, 0)) for angle in (0.1, 0.2))
    assert [group.places for group in alike([one, two, one])] == [(0, 2), (1,)]


@given(given_circuits=batches())
def test_circuits_of_one_structure_have_one_structure_digest(given_circuits: list[Circuit]) -> None:
    groups = alike(given_circuits)
    assert Counter(place for group in groups for place in group.places) == Counter(range(len(given_circuits)))
    for group in groups:
        assert group.circuits == tuple(given_circuits[place] for place in group.places)
        assert len({circuit.structure_digest for circuit in group.circuits}) == 1


def test_circuits_without_steps_are_alike_by_their_sizes() -> None:
    assert alike([Circuit(2), Circuit(1), Circuit(2)])[0] == Alike((0, 2), (Circuit(2), Circuit(2)))


def test_numbers_that_are_equal_everywhere_stay_numbers() -> None:
    made = joined([Circuit(1).rx(0.1, 0).rz(math.pi, 0), Circuit(1).rx(0.2, 0).rz(math.pi, 0)])
    assert made.instructions[1].parameters == (math.pi,)


# ---- what they share -------------------------------------------------------------------------------------------------


def test_circuits_of_one_structure_share_their_calls() -> None:
    prepared: Any = create().prepare([layers(1), layers(0).h(0), layers(2)])
    first, other, second = (item.circuit._calls for item in prepared._items)
    assert first is second
    assert first is not other


@given(rows=st.lists(st.tuples(*[NUMBERS] * 5), min_size=2, max_size=5).filter(lambda rows: rows[0][0] != rows[1][0]))
def test_runs_on_one_qubit_become_one_operation_in_a_batch_too(rows: list[tuple[float, ...]]) -> None:
    batch = [Circuit(1).rx(a, 0).ry(b, 0).rz(c, 0).rx(d, 0).u(e, a, b, 0) for a, b, c, d, e in rows]
    operations = fuse(lower(joined(batch)))
    assert len(operations) == 1
    tables = AngleTable((), operations[0].angles).of_each(len(batch))
    for circuit, table in zip(batch, tables, strict=True):
        numbers = operations[0]._replace(angles=tuple(table.row(np.zeros(0))))
        product = matrix_of(numbers, 1).conj().T @ product_of(lower(circuit), 1)
        np.testing.assert_allclose(product / product[0, 0], np.eye(2), atol=1e-9)
