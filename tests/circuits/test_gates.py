import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction
from qloom.circuits.gates import ALIASES, CHANNELS, GATES, controlled, controlled_name, matrix, standard_controls
from tests.circuits.oracle import QISKIT_GATES, gate_matrix

ANGLES = (0.7, -1.9, 2.3, 0.4)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_qiskits_matrix(name: str) -> None:
    given_angles = ANGLES[: GATES[name].num_parameters]
    assert np.allclose(matrix(name, given_angles), gate_matrix(name, given_angles), atol=1e-12)


def test_the_oracle_knows_every_gate() -> None:
    assert QISKIT_GATES.keys() == GATES.keys()


@pytest.mark.parametrize("name", GATES)
def test_the_matrix_has_the_size_the_table_says_and_is_unitary(name: str) -> None:
    unitary = matrix(name, ANGLES[: GATES[name].num_parameters])
    assert unitary.shape == (2 ** GATES[name].num_qubits,) * 2
    assert np.allclose(unitary @ unitary.conj().T, np.eye(len(unitary)))


@pytest.mark.parametrize("name", [name for name, row in GATES.items() if row.num_controls])
def test_a_controlled_gate_is_its_base_under_its_controls(name: str) -> None:
    row, angles = GATES[name], ANGLES[: GATES[name].num_parameters]
    assert np.allclose(gate_matrix(name, angles), gate_matrix(row.base, angles, row.num_controls))
    assert controlled_name(row.base, row.num_controls) == name


def test_the_first_qubit_is_the_most_significant() -> None:
    # The control is qubit 0: only the lower half of the matrix, where qubit 0 is 1, flips the target.
    assert matrix("cx").real.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    # rzx turns about Z on its first qubit and X on its second.
    assert np.allclose(matrix("rzx", [np.pi]), -1j * np.kron(np.diag([1, -1]), np.array([[0, 1], [1, 0]])))


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_names_a_gate_of_the_table(alias: str, name: str) -> None:
    assert name in GATES
    assert alias not in GATES


def test_brakets_names_have_brakets_matrices() -> None:
    # Written out from the developer guide, in its order of qubits.
    half = 1 / np.sqrt(2)
    assert np.allclose(matrix(ALIASES["v"]), np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]]))
    assert np.allclose(matrix("ecr"), half * np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]]))
    assert np.allclose(matrix("iswap"), np.array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]]))
    assert np.allclose(matrix(ALIASES["zz"], [0.3]), np.diag(np.exp([-0.15j, 0.15j, 0.15j, -0.15j])))
    assert np.allclose(
        matrix(ALIASES["prx"], [np.pi / 2, 0.4]), half * np.array([[1, -1j * np.exp(-0.4j)], [-1j * np.exp(0.4j), 1]])
    )


@given(st.sampled_from(sorted(GATES)), st.integers(0, 3))
def test_folding_controls_into_the_name_keeps_the_matrix(name: str, controls: int) -> None:
    angles = ANGLES[: GATES[name].num_parameters]
    folded, extra = standard_controls(name, controls)
    before, after = controlled(matrix(name, angles), controls), controlled(matrix(folded, angles), extra)
    assert np.allclose(before, after)
    assert standard_controls(folded, extra) == (folded, extra)


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "kraus"])
def test_a_channel_with_the_counts_of_the_table_is_accepted(name: str) -> None:
    qubits, probabilities = CHANNELS[name]
    step = Instruction(name, tuple(range(qubits)), (0.1,) * probabilities)
    assert Circuit(qubits, [step]).instructions[0].kind == "channel"
