"""What a circuit with noise, measurements and `if` does, by density matrices: one for each history of classical bits.

Gates are Qiskit's matrices, channels the Kraus operators of Braket's simulator.
"""

from collections import defaultdict

import numpy as np
import numpy.typing as npt
from braket.default_simulator import noise_operations

from qloom.circuits import Circuit, Instruction, Observable
from qloom.circuits.gates import kraus_operators
from tests.circuits.oracle import gate_matrix
from tests.devices.helpers import embedded

ComplexArray = npt.NDArray[np.complex128]
Bits = tuple[int, ...]
Worlds = dict[Bits, ComplexArray]

CHANNELS = {
    "bit_flip": noise_operations.BitFlip,
    "phase_flip": noise_operations.PhaseFlip,
    "depolarizing": noise_operations.Depolarizing,
    "amplitude_damping": noise_operations.AmplitudeDamping,
    "generalized_amplitude_damping": noise_operations.GeneralizedAmplitudeDamping,
    "phase_damping": noise_operations.PhaseDamping,
    "pauli_channel": noise_operations.PauliChannel,
    "two_qubit_depolarizing": noise_operations.TwoQubitDepolarizing,
    "two_qubit_dephasing": noise_operations.TwoQubitDephasing,
}
RESET = [np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]])]


def operators(step: Instruction) -> list[ComplexArray]:
    """The Kraus operators of a gate, channel or reset, first qubit most significant."""
    values = [float(value) for value in step.parameters]  # type: ignore[arg-type]
    if step.kind == "gate":
        return [gate_matrix(step.name, tuple(values), step.controls)]
    if step.name == "reset":
        return RESET
    if step.name == "kraus":
        return list(kraus_operators(values, len(step.qubits)))
    return list(CHANNELS[step.name](step.qubits, *values).matrices)


def worlds(circuit: Circuit) -> Worlds:
    """Every history of the classical bits, with its density matrix; the traces are the probabilities."""
    start: ComplexArray = np.zeros((2**circuit.num_qubits,) * 2, dtype=np.complex128)
    start[0, 0] = 1
    found: Worlds = {(0,) * circuit.num_clbits: start}
    for step in circuit.flat():
        found = _after(found, step, circuit.num_qubits)
    return found


def _after(before: Worlds, step: Instruction, num_qubits: int) -> Worlds:
    found: Worlds = defaultdict(lambda: np.zeros((2**num_qubits,) * 2, dtype=np.complex128))
    if step.name in {"barrier", "delay"}:
        return before
    if step.name == "measure":
        for qubit, bit in zip(step.qubits, step.clbits, strict=True):
            before = _measured(before, qubit, bit, num_qubits)
        return before
    for bits, state in before.items():
        if step.name == "if":
            holds = sum(bits[bit] << place for place, bit in enumerate(step.clbits)) == step.value
            branch: Worlds = {bits: state}
            for inner in step.body if holds else step.orelse:
                branch = _after(branch, inner, num_qubits)
            for key, part in branch.items():
                found[key] = found[key] + part
        else:
            for operator in operators(step):
                full = embedded(operator, step.qubits, num_qubits)
                found[bits] = found[bits] + full @ state @ full.conj().T
    return dict(found)


def _measured(before: Worlds, qubit: int, bit: int, num_qubits: int) -> Worlds:
    found: Worlds = {}
    for bits, state in before.items():
        for value in (0, 1):
            projector = embedded(np.diag([1.0 - value, value]).astype(np.complex128), (qubit,), num_qubits)
            key = (*bits[:bit], value, *bits[bit + 1 :])
            found[key] = found.get(key, 0) + projector @ state @ projector
    return {bits: state for bits, state in found.items() if np.trace(state).real > 1e-14}


def mixture(circuit: Circuit) -> ComplexArray:
    """The density matrix at the end of the circuit, whatever was measured."""
    found: ComplexArray = np.sum(list(worlds(circuit).values()), axis=0)
    return found


def distribution(circuit: Circuit) -> dict[str, float]:
    """The probability of every key that can be measured; of the qubits where nothing is measured."""
    if any(step.name == "measure" for step in circuit.every()):
        asked, length = circuit, circuit.num_clbits
    else:
        asked, length = circuit.measure_all(), circuit.num_qubits
    return {"".join(map(str, bits[:length])): float(np.trace(state).real) for bits, state in worlds(asked).items()}


def expectation(circuit: Circuit, observable: Observable) -> float:
    """The exact value at the end of the circuit."""
    return float(np.trace(mixture(circuit) @ observable.matrix()).real)
