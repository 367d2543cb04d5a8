"""Lowering and fusing keep what a circuit computes."""

import numpy as np
from hypothesis import given, settings

from qloom.circuits import Circuit, Expression, Instruction, Parameter
from qloom.devices.lowering import active_steps, fuse, lower, lower_step
from qloom.testing.device_contract import state_of
from tests.devices.helpers import ANGLES, circuits, fidelity, matrix_of, product_of


@given(circuit=circuits(formulas=False))
@settings(max_examples=60, deadline=None)
def test_lowered_gates_multiply_to_the_same_state(circuit: Circuit) -> None:
    expected = state_of(circuit, np.zeros(2))
    found = product_of(lower(circuit), circuit.num_qubits)[:, 0]
    assert abs(fidelity(expected, found) - 1) < 1e-10


@given(circuit=circuits(formulas=False, longest=20))
@settings(max_examples=60, deadline=None)
def test_fused_operations_multiply_to_the_same_matrix(circuit: Circuit) -> None:
    lowered = lower(circuit)
    fused = fuse(lowered)
    assert len(fused) <= len(lowered)
    product = product_of(fused, circuit.num_qubits).conj().T @ product_of(lowered, circuit.num_qubits)
    np.testing.assert_allclose(product / product[0, 0], np.eye(len(product)), atol=1e-9)


def test_rotations_between_two_entangling_gates_become_one_operation() -> None:
    theta, phi = Parameter("theta"), Parameter("phi")
    layer = Circuit(2).rz(phi, 0).ry(2 * theta, 0).rz(theta, 0).h(1).t(1).sdg(1).cx(0, 1)
    assert [(step.name, step.targets) for step in fuse(lower(layer))] == [("rot", (0,)), ("rot", (1,)), ("x", (1,))]


def test_a_lone_gate_stays_itself() -> None:
    assert [step.name for step in fuse(lower(Circuit(3).x(0).h(1).cx(0, 1).rz(0.3, 2)))] == ["x", "h", "x", "rz"]


def test_what_cancels_is_left_out() -> None:
    theta = Parameter("theta")
    assert fuse(lower(Circuit(1).rz(0.3, 0).p(-0.3, 0))) == []
    assert [step.name for step in fuse(lower(Circuit(1).ry(theta, 0).ry(0.3, 0)))] == ["ry"]


def test_a_long_run_on_one_qubit_is_one_operation_whose_formula_is_short() -> None:
    theta = Parameter("theta")
    (step,) = fuse(lower(Circuit(1, [Instruction("rz", (0,), (angle,)) for angle in (theta, 0.5)] * 3000)))
    assert str(step.angles[0]) == "3000.0*theta + 1500.0"


def test_a_formula_without_parameters_is_added_as_a_number() -> None:
    two = Parameter("theta").substitute({"theta": 2.0})
    constant = Expression(("add", ("number", 1.0), ("number", 2.0)))
    (step,) = fuse(lower(Circuit(1).rz(constant, 0).rz(two, 0)))
    assert step.angles == (5.0,)


def test_angles_of_different_parameters_are_not_added() -> None:
    # Their sum would have to be worked out as a formula at every run.
    a, b = Parameter("a"), Parameter("b")
    assert [step.name for step in fuse(lower(Circuit(1).rz(a, 0).rz(b, 0)))] == ["rz", "rz"]


def test_a_global_phase_counts_only_under_controls() -> None:
    assert lower(Circuit(1).gate("gphase", angles=[0.3])) == []
    (phase,) = lower_step(Circuit(2).gate("gphase", 0, 1, angles=[0.3], controls=2).instructions[0])
    np.testing.assert_allclose(np.diag(matrix_of(phase, 2)), [1, 1, 1, np.exp(0.3j)])


def test_a_reset_stays_where_the_qubit_was_touched() -> None:
    circuit = Circuit(2).reset(0).reset(1).h(0).reset(1).reset(0)
    assert [(step.name, step.qubits) for step in active_steps(circuit)] == [("h", (0,)), ("reset", (0,))]


@given(first=ANGLES, between=ANGLES, second=ANGLES)
def test_three_turns_become_one_rot(first: float, between: float, second: float) -> None:
    lowered = lower(Circuit(1).ry(first, 0).rz(between, 0).ry(second, 0))
    fused = fuse(lowered)
    assert len(fused) <= 1
    product = product_of(fused, 1).conj().T @ product_of(lowered, 1)
    np.testing.assert_allclose(product / product[0, 0], np.eye(2), atol=1e-9)
