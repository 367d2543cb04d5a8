import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.circuits.algebra import controlled, inverse, inverse_sequence, negated, power
from qloom.circuits.gates import GATES
from qloom.errors import InvalidCircuit
from tests.circuits.oracle import unitary
from tests.circuits.strategies import gates, unitary_circuits

ANGLES = (0.7, -1.9, 2.3, 0.4)
WITH_FRACTIONS = ("x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "cx", "cz", "ch", "ccx", "ccz", "cs", "csx")


def step(name: str, controls: int = 0) -> Instruction:
    row = GATES[name]
    return Instruction(name, tuple(range(row.num_qubits + controls)), ANGLES[: row.num_parameters], (), controls)


def circuit_of(*steps: Instruction, size: int = 4) -> Circuit:
    return Circuit(size, steps)


@pytest.mark.parametrize("name", GATES)
def test_a_gate_and_its_inverse_are_the_identity(name: str) -> None:
    assert np.allclose(unitary(circuit_of(step(name), inverse(step(name)))), np.eye(16), atol=1e-9)


@given(unitary_circuits())
def test_the_inverse_of_a_sequence_undoes_it(circuit: Circuit) -> None:
    both = Circuit(circuit.num_qubits, circuit.instructions + inverse_sequence(circuit.instructions))
    assert np.allclose(unitary(both), np.eye(2**circuit.num_qubits), atol=1e-8)


def test_inverting_twice_gives_the_instruction_itself() -> None:
    symbolic = Instruction("u", (0,), (Parameter("a"), 2 * Parameter("b"), 0.5))
    assert inverse(inverse(symbolic)) == symbolic
    assert negated(negated(symbolic.parameters[1])) == symbolic.parameters[1]


def test_barriers_stay_and_verbatim_blocks_turn_around() -> None:
    block = Instruction("verbatim", (0, 1), body=(Instruction("s", (0,)), Instruction("barrier", (0, 1)), Instruction("t", (1,))))
    assert [inner.name for inner in inverse(block).body] == ["tdg", "barrier", "sdg"]


@pytest.mark.parametrize("name", ["measure", "reset", "bit_flip"])
def test_what_is_no_gate_has_no_inverse_and_no_controls(name: str) -> None:
    with pytest.raises(InvalidCircuit, match=f"{name} has no inverse"):
        inverse(Instruction(name, (0,)))
    with pytest.raises(InvalidCircuit, match=f"{name} cannot be controlled"):
        controlled(Instruction(name, (0,)), [1])


@given(gates(2, angle=st.floats(-4, 4)))
def test_controls_stand_in_front_and_all_must_be_one(gate: Instruction) -> None:
    alone = unitary(Circuit(2, [gate]))
    placed = gate._replace(qubits=tuple(qubit + 2 for qubit in gate.qubits))
    expected = np.eye(16, dtype=complex)
    expected[12:, 12:] = alone
    assert np.allclose(unitary(Circuit(4, [controlled(placed, (0, 1))])), expected, atol=1e-9)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2])
def test_a_whole_power_repeats_the_gate(name: str, exponent: int) -> None:
    expected = np.linalg.matrix_power(unitary(circuit_of(step(name))), exponent)
    assert np.allclose(unitary(circuit_of(*power([step(name)], exponent))), expected, atol=1e-9)


@pytest.mark.parametrize("name", WITH_FRACTIONS)
@pytest.mark.parametrize("exponent", [0.5, -0.5, 0.25, 1.5, -0.3])
def test_a_fractional_power_is_the_principal_one(name: str, exponent: float) -> None:
    original = unitary(circuit_of(step(name)))
    values, vectors = np.linalg.eig(original)
    phases = np.angle(values)
    phases[np.isclose(phases, -np.pi)] = np.pi
    expected = vectors @ np.diag(np.exp(1j * exponent * phases)) @ np.linalg.inv(vectors)
    assert np.allclose(unitary(circuit_of(*power([step(name)], exponent))), expected, atol=1e-8)


@pytest.mark.parametrize("name", ["rx", "rz", "p", "r", "crx", "cp", "rzz", "rzx", "gphase"])
def test_a_power_of_a_rotation_scales_its_angle(name: str) -> None:
    half = power([step(name)], 0.5)
    assert np.allclose(unitary(circuit_of(*half, *half)), unitary(circuit_of(step(name))), atol=1e-9)


def test_a_power_of_a_sequence_repeats_or_undoes_the_sequence() -> None:
    steps = [Instruction("h", (0,)), Instruction("t", (1,))]
    assert [gate.name for gate in power(steps, 2)] == ["h", "t", "h", "t"]
    assert [gate.name for gate in power(steps, -1)] == ["tdg", "h"]


@pytest.mark.parametrize("name", ["swap", "u", "iswap", "ecr", "cu"])
def test_a_fractional_power_that_is_not_known_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidCircuit, match=rf"a fractional power, 0\.5, of the gate '{name}' is not known"):
        power([step(name)], 0.5)
    with pytest.raises(InvalidCircuit, match=r"a fractional power, 0\.5, of a sequence of gates \(h, x"):
        power([step("h"), step("x")], 0.5)
