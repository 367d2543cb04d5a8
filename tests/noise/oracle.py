"""What a circuit with noise does, by density matrices in numpy: an independent check on what `apply` inserts."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Operator

from qloom.circuits.gates import controlled, matrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qloom.circuits import Circuit, Instruction

Matrix = npt.NDArray[np.complex128]
Branches = dict[tuple[int, ...], Matrix]
PAULIS: list[npt.NDArray[Any]] = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]


def operators(name: str, values: Sequence[float], qubits: int = 1) -> list[Matrix]:
    """Return the Kraus operators of a channel, by the table of Amazon Braket's developer guide."""
    if name == "kraus":
        parts = np.array(values).reshape(-1, 2**qubits, 2**qubits, 2)
        return list(parts[..., 0] + 1j * parts[..., 1])
    found = [np.asarray(scale * operator, dtype=complex) for scale, operator in _weighted(name, list(values))]
    return [operator for operator in found if operator.any()]


def _weighted(name: str, values: list[float]) -> list[tuple[float, npt.NDArray[Any]]]:
    p = values[0]
    low, high = np.diag([1, sqrt(1 - p)]), np.diag([sqrt(1 - p), 1])
    down, up = np.array([[0, sqrt(p)], [0, 0]]), np.array([[0, 0], [sqrt(p), 0]])
    i, x, y, z = PAULIS
    both = [np.kron(a, b) for a in PAULIS for b in PAULIS]
    if name == "pauli_channel":
        return [(sqrt(1 - sum(values)), i), *((sqrt(v), m) for v, m in zip(values, PAULIS[1:], strict=True))]
    if name == "generalized_amplitude_damping":
        rest, excited = sqrt(values[1]), sqrt(1 - values[1])
        return [(rest, low), (rest, down), (excited, high), (excited, up)]
    errors = {
        "bit_flip": [x],
        "phase_flip": [z],
        "depolarizing": [x, y, z],
        "two_qubit_depolarizing": both[1:],
        "two_qubit_dephasing": [both[3], both[12], both[15]],
    }
    if name in errors:
        return [(sqrt(1 - p), np.eye(len(errors[name][0]))), *((sqrt(p / len(errors[name])), m) for m in errors[name])]
    return {"amplitude_damping": [(1.0, low), (1.0, down)], "phase_damping": [(1.0, low), (1.0, np.diag([0, sqrt(p)]))]}[name]


def density(circuit: Circuit) -> Matrix:
    """Return the state at the end, averaged over what was measured; shape (2**n, 2**n), qubit 0 most significant."""
    return np.asarray(sum(branches(circuit).values()))


def branches(circuit: Circuit) -> Branches:
    """Return classical bits -> unnormalised state."""
    size = 2**circuit.num_qubits
    start = np.zeros((size, size), dtype=complex)
    start[0, 0] = 1
    return _run(circuit.instructions, {(0,) * circuit.num_clbits: start}, circuit.num_qubits)


def _run(steps: Iterable[Instruction], states: Branches, n: int) -> Branches:
    for step in steps:
        if step.name == "verbatim":
            states = _run(step.body, states, n)
        elif step.name == "if":
            states = _if(step, states, n)
        elif step.name == "measure":
            for qubit, bit in zip(step.qubits, step.clbits, strict=True):
                states = _measured(states, qubit, bit, n)
        elif step.name not in ("barrier", "delay"):
            kraus = _kraus(step)
            states = {bits: _act(kraus, step.qubits, rho, n) for bits, rho in states.items()}
    return states


def _kraus(step: Instruction) -> list[Matrix]:
    if step.name == "reset":
        return [np.array([[1, 0], [0, 0]], dtype=complex), np.array([[0, 1], [0, 0]], dtype=complex)]
    values = [float(value) for value in step.parameters]  # type: ignore[arg-type]
    if step.kind == "channel":
        return operators(step.name, values, len(step.qubits))
    return [controlled(matrix(step.name, values), step.controls)]


def _if(step: Instruction, states: Branches, n: int) -> Branches:
    found: Branches = {}
    for bits, rho in states.items():
        seen = sum(bits[bit] << place for place, bit in enumerate(step.clbits))
        for key, part in _run(step.body if seen == step.value else step.orelse, {bits: rho}, n).items():
            found[key] = found.get(key, 0) + part
    return found


def _measured(states: Branches, qubit: int, bit: int, n: int) -> Branches:
    found: Branches = {}
    for bits, rho in states.items():
        for outcome in (0, 1):
            projected = _act([np.diag([1 - outcome, outcome]).astype(complex)], (qubit,), rho, n)
            key = (*bits[:bit], outcome, *bits[bit + 1 :])
            found[key] = found.get(key, 0) + projected
    return found


def _act(kraus: list[Matrix], qubits: Sequence[int], rho: Matrix, n: int) -> Matrix:
    k = len(qubits)
    rest = [qubit for qubit in range(n) if qubit not in qubits]
    order = [*qubits, *rest]
    axes = order + [n + axis for axis in order]
    tensor = rho.reshape((2,) * 2 * n).transpose(axes).reshape(2**k, 2 ** (n - k), 2**k, 2 ** (n - k))
    summed = sum(np.einsum("ab,bicj,dc->aidj", m, tensor, m.conj()) for m in kraus)
    back = np.argsort(axes)
    return np.asarray(summed).reshape((2,) * 2 * n).transpose(back).reshape(2**n, 2**n)


def aer_density(circuit: QuantumCircuit, noise: object) -> Matrix:
    """Return Aer's state at the end, qubit 0 most significant."""
    from qiskit_aer import AerSimulator

    saved = circuit.copy()
    saved.save_density_matrix()
    result = AerSimulator(method="density_matrix", noise_model=noise).run(saved).result()
    return np.asarray(Operator(np.asarray(result.data()["density_matrix"])).reverse_qargs().data)
