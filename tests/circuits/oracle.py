"""What Qiskit says that a circuit does: an independent check on matrices, conventions and bit order."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import library
from qiskit.quantum_info import Operator

from qloom.circuits import Circuit, Instruction

Matrix = npt.NDArray[np.complex128]

QISKIT_GATES: dict[str, Callable[..., Any]] = {
    "gphase": library.GlobalPhaseGate,
    "id": library.IGate,
    "x": library.XGate,
    "y": library.YGate,
    "z": library.ZGate,
    "h": library.HGate,
    "s": library.SGate,
    "sdg": library.SdgGate,
    "t": library.TGate,
    "tdg": library.TdgGate,
    "sx": library.SXGate,
    "sxdg": library.SXdgGate,
    "rx": library.RXGate,
    "ry": library.RYGate,
    "rz": library.RZGate,
    "p": library.PhaseGate,
    "u": library.UGate,
    "r": library.RGate,
    "cx": library.CXGate,
    "cy": library.CYGate,
    "cz": library.CZGate,
    "ch": library.CHGate,
    "cs": library.CSGate,
    "csdg": library.CSdgGate,
    "csx": library.CSXGate,
    "csxdg": lambda: library.SXdgGate().control(1),
    "cp": library.CPhaseGate,
    "crx": library.CRXGate,
    "cry": library.CRYGate,
    "crz": library.CRZGate,
    "cu": library.CUGate,
    "swap": library.SwapGate,
    "iswap": library.iSwapGate,
    "iswapdg": lambda: library.iSwapGate().inverse(),
    "ecr": library.ECRGate,
    "rxx": library.RXXGate,
    "ryy": library.RYYGate,
    "rzz": library.RZZGate,
    "rzx": library.RZXGate,
    "ccx": library.CCXGate,
    "ccz": library.CCZGate,
    "cswap": library.CSwapGate,
}


def gate_matrix(name: str, angles: tuple[float, ...] = (), controls: int = 0) -> Matrix:
    """Qiskit's matrix of a gate, its first qubit most significant."""
    size = QISKIT_GATES[name](*angles).num_qubits + controls
    return unitary(Circuit(size, [Instruction(name, tuple(range(size)), angles, (), controls)]))


def qiskit_matrix(step: Instruction) -> Matrix:
    """Qiskit's matrix of a gate in Qiskit's order, first qubit least significant; extra controls put around it by hand."""
    alone = Operator(QISKIT_GATES[step.name](*step.parameters)).data
    all_ones = (1 << step.controls) - 1
    matrix = np.eye(len(alone) << step.controls, dtype=complex)
    under_control = [(index << step.controls) | all_ones for index in range(len(alone))]
    matrix[np.ix_(under_control, under_control)] = alone
    return matrix


def matrix_of(circuit: QuantumCircuit) -> Matrix:
    """The unitary of a Qiskit circuit, what is no gate left out, qubit 0 most significant."""
    plain = QuantumCircuit(circuit.num_qubits, global_phase=circuit.global_phase)
    for step in circuit.data:
        if step.operation.name not in {"barrier", "measure", "reset", "delay"}:
            plain.append(step.operation, [circuit.find_bit(qubit).index for qubit in step.qubits])
    matrix: Matrix = Operator(plain.reverse_bits()).data
    return matrix


def unitary(circuit: Circuit, values: Mapping[str, float] | None = None) -> Matrix:
    """The unitary that Qiskit gives our circuit, what is no gate left out, qubit 0 most significant."""
    total = Operator(np.eye(2**circuit.num_qubits, dtype=complex))
    for step in (circuit.bind(values) if values else circuit).flat():
        if step.kind == "gate":
            matrix = qiskit_matrix(step)
            total = total.compose(matrix, qargs=list(step.qubits)) if step.qubits else total * matrix[0, 0]
    result: Matrix = total.reverse_qargs().data
    return result


def same_up_to_phase(left: Matrix, right: Matrix) -> bool:
    """Whether two unitaries differ by a global phase at most."""
    overlap = np.vdot(left, right) / len(left)
    return bool(np.isclose(abs(overlap), 1, atol=1e-9))
