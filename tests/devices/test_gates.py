"""Every gate of the circuit form, on both engines, against matrices of our own and against Qiskit."""

from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Statevector

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.circuits.gates import GATES
from tests.devices.helpers import ENGINES, PARAMETERS, around, expected_probabilities, probabilities

VALUES = np.array([0.9, -0.6])
FIXED_ANGLES = (0.37, -1.2, 2.1, 0.8)
FORMULAS = (Parameter("a"), 2 * Parameter("b") + 0.1, Parameter("a") * Parameter("b"), Parameter("a").sin())
QISKIT_NAMES = {"gphase": "global_phase"}
UNDONE = {"csxdg": "csx", "iswapdg": "iswap"}
"""Gates that Qiskit has only as another's inverse."""


def step_for(name: str, controls: int, angles: tuple[Any, ...]) -> tuple[Instruction, int]:
    definition = GATES[name]
    width = definition.num_qubits + controls
    # Neither the first qubits nor ascending: an order that is mixed up shows.
    qubits = tuple(reversed(range(1, width + 1)))
    return Instruction(name, qubits, angles[: definition.num_parameters], (), controls), width + 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("controls", [0, 1, 2])
@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_does_what_its_matrix_says(name: str, controls: int, engine: str) -> None:
    for angles in (FIXED_ANGLES, FORMULAS):
        circuit = around(*step_for(name, controls, angles))
        found = probabilities(engine, circuit, VALUES)
        np.testing.assert_allclose(found, expected_probabilities(circuit, VALUES), atol=1e-12)


def in_qiskit(circuit: Circuit) -> QuantumCircuit:
    """The same circuit with Qiskit's own gates, controls put on by Qiskit."""
    table = get_standard_gate_name_mapping()
    last = circuit.num_qubits - 1
    translated = QuantumCircuit(circuit.num_qubits)
    for step in circuit.instructions:
        known = table[UNDONE.get(step.name, QISKIT_NAMES.get(step.name, step.name))]
        gate = type(known)(*step.parameters)
        gate = gate.inverse() if step.name in UNDONE else gate
        gate = gate.control(step.controls) if step.controls else gate
        # Qiskit's qubit 0 is the least significant; ours is the most.
        translated.append(gate, [last - qubit for qubit in step.qubits])
    return translated


@pytest.mark.parametrize("controls", [0, 1])
@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_does_what_qiskit_says(name: str, controls: int) -> None:
    circuit = around(*step_for(name, controls, FIXED_ANGLES))
    expected = np.abs(Statevector(in_qiskit(circuit)).data) ** 2
    for engine in ENGINES:
        np.testing.assert_allclose(probabilities(engine, circuit, VALUES), expected, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gate_on_one_of_many_qubits_reaches_that_qubit(engine: str) -> None:
    for qubit in range(10):  # kernels differ by the place of the qubit
        circuit = Circuit(10, parameters=PARAMETERS).rx(Parameter("a"), qubit).cx(qubit, (qubit + 3) % 10)
        np.testing.assert_allclose(probabilities(engine, circuit, VALUES), expected_probabilities(circuit, VALUES), atol=1e-12)
