"""Derivatives by shifted angles: every gate against finite differences of an independent matrix product, and adjoint ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qloom
from qloom.circuits import Circuit, Observable, Parameter
from qloom.circuits.gates import GATES
from qloom.errors import InvalidTask, Unsupported
from qloom.kit.parameter_shift import ONE, ShiftedCircuit, Waves, rule, waves
from qloom.testing.device_contract import values_of

STEP = 1e-5
WITH_ANGLES = [(name, controls) for name, found in GATES.items() if found.num_parameters for controls in (0, 1)]


def spread(circuit: Circuit, seed: int) -> Circuit:
    """Turn every qubit by some angles, and join neighbours: no derivative stays zero by symmetry."""
    generator = np.random.default_rng(seed)
    for qubit in range(circuit.num_qubits):
        circuit = circuit.gate("u", qubit, angles=generator.normal(size=3).tolist())
    for qubit in range(circuit.num_qubits - 1):
        circuit = circuit.cx(qubit, qubit + 1)
    return circuit


@pytest.mark.parametrize(("name", "controls"), WITH_ANGLES)
def test_each_angle_of_each_gate_has_the_slope_of_finite_differences(name: str, controls: int) -> None:
    gate = GATES[name]
    size = max(1, gate.num_qubits + controls)
    angles = [2 * Parameter(f"p{index}") + 0.3 for index in range(gate.num_parameters)]
    circuit = spread(Circuit(size), 1).gate(name, *range(gate.num_qubits + controls), angles=angles, controls=controls)
    circuit = spread(spread(circuit, 2), 3)
    observable = Observable({"Z" * size: 1.0, "X" * size: 0.5, "Y" + "I" * (size - 1): 0.7})
    point = np.random.default_rng(7).normal(size=gate.num_parameters)
    shifted = ShiftedCircuit(circuit)
    asked = np.array([[values_of(shifted.circuit, observable, row)] for row in shifted.sets(point)])
    found = shifted.gradients(point, asked)[0]
    for index, step in enumerate(STEP * np.eye(len(point))):
        above, below = (values_of(circuit, observable, point + sign * step) for sign in (1, -1))
        assert found[index] == pytest.approx((above - below) / (2 * STEP), abs=1e-8)


@given(
    base=st.sampled_from([0.5, 1.0, 2.0]),
    waves=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=4),
)
def test_the_rule_is_exact_for_every_sum_of_its_waves(base: float, waves: list[tuple[float, float]]) -> None:
    shifts, weights = rule(Waves(base, len(waves)))

    def value(x: float) -> float:
        parts = [a * math.cos(k * base * x) + b * math.sin(k * base * x) for k, (a, b) in enumerate(waves, 1)]
        return 0.7 + sum(parts)

    slope = sum(b * k * base for k, (_, b) in enumerate(waves, 1))
    assert sum(weight * value(shift) for shift, weight in zip(shifts, weights, strict=True)) == pytest.approx(slope, abs=1e-9)


def test_two_runs_for_each_plain_rotation_and_four_for_a_controlled_one() -> None:
    a = Parameter("a")
    shifted = ShiftedCircuit(Circuit(2).rx(a, 0).gate("crz", 0, 1, angles=[a]).ry(0.5, 1))
    assert len(shifted.sets(np.array([0.1]))) == 1 + 2 + 4
    assert waves(Circuit(1).p(0.1, 0).instructions[0], 0) == ONE


def test_it_agrees_with_adjoint_differentiation_also_through_formulas_and_several_sets_and_circuits() -> None:
    a, b = Parameter("a"), Parameter("b")
    first = Circuit(2).ry(a * b + 0.1, 0).cx(0, 1).gate("crx", 0, 1, angles=[2 * a]).rz(b, 1).ry(b / 2, 1)
    second = Circuit(2).ry(b, 1).rx(a, 0).cx(1, 0)
    second = Circuit(2, second.instructions, parameters=first.parameters)
    task = qloom.device("sim").prepare([first, second], [{"ZZ": 1.0, "XI": 0.3}, {"YY": 1.0}])
    sets = np.array([[0.3, 0.4], [1.0, 2.0], [-2.0, 0.5]])
    exact = task.gradient(sets)
    drawn = task.gradient(sets, shots=2000, seed=4)
    assert drawn.gradients.shape == exact.gradients.shape == (6, 2, 2)
    away = (drawn.gradients - exact.gradients) / np.array(drawn.metadata["gradient_standard_errors"])
    assert np.abs(away).max() < 5
    assert 0.5 < away.std() < 1.6


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_gradients_from_shots_are_the_same_for_the_same_seed(seed: int) -> None:
    task = qloom.device("sim").prepare(Circuit(1).ry(Parameter("a"), 0), {"Z": 1.0})
    assert task.gradient([0.5], shots=50, seed=seed) == task.gradient([0.5], shots=50, seed=seed)


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (
            Circuit(1).append(
                Circuit(1).channel("bit_flip", 0, probabilities=[0.1]).instructions[0]._replace(parameters=(Parameter("p"),))
            ),
            "a probability of bit_flip on qubits",
        ),
        (
            Circuit(1).append(Circuit(1).delay(1.0, 0).instructions[0]._replace(parameters=(Parameter("t"),))),
            r"by the duration of delay on qubits \[0\]",
        ),
    ],
    ids=["probability", "duration"],
)
def test_what_is_no_angle_is_refused_by_name(circuit: Circuit, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        ShiftedCircuit(circuit)


def test_without_observables_there_is_nothing_to_differentiate() -> None:
    with pytest.raises(InvalidTask, match="prepared without observables"):
        qloom.device("sim").prepare(Circuit(1).ry(Parameter("a"), 0)).gradient([0.5], shots=10)
