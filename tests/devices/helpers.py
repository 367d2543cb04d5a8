"""Circuits and oracles that the tests of devices share."""

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.circuits.gates import GATES, controlled, matrix
from qloom.devices.choosing import library
from qloom.devices.lowering import Operation
from qloom.testing.device_contract import state_of

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]

ENGINES = ("lightning", "qulacs")
PARAMETERS = ("b", "a")


def fidelity(one: ComplexArray, two: ComplexArray) -> float:
    """1 for equal states, whatever their phase."""
    return float(abs(np.vdot(one, two)))


def embedded(unitary: ComplexArray, qubits: tuple[int, ...], num_qubits: int) -> ComplexArray:
    """A gate as a matrix on all qubits, qubit 0 most significant."""
    columns = np.eye(2**num_qubits, dtype=np.complex128).reshape((2,) * num_qubits + (-1,))
    tensor = unitary.reshape((2,) * (2 * len(qubits)))
    applied: ComplexArray = np.tensordot(tensor, columns, (range(len(qubits), 2 * len(qubits)), qubits))  # type: ignore[assignment]
    return np.moveaxis(applied, range(len(qubits)), qubits).reshape(2**num_qubits, -1)


def matrix_of(operation: Operation, num_qubits: int) -> ComplexArray:
    """A native operation, whose angles are numbers, as a matrix on all qubits."""
    angles = [float(angle) for angle in operation.angles]  # type: ignore[arg-type]
    if operation.name == "rot":
        first, second, third = angles
        own = matrix("rz", [third]) @ matrix("ry", [second]) @ matrix("rz", [first])
    elif operation.name == "xy":
        own = matrix("rxx", [-angles[0] / 2]) @ matrix("ryy", [-angles[0] / 2])
    else:
        own = matrix(operation.name, angles)
    own = own.conj().T if operation.inverse else own
    return embedded(controlled(own, len(operation.controls)), operation.controls + operation.targets, num_qubits)


def product_of(operations: list[Operation], num_qubits: int) -> ComplexArray:
    total: ComplexArray = np.eye(2**num_qubits, dtype=np.complex128)
    for operation in operations:
        total = matrix_of(operation, num_qubits) @ total
    return total


def around(step: Instruction, num_qubits: int) -> Circuit:
    """A circuit in which every entry and phase of the step's matrix shows in the probabilities."""
    turned = Circuit(num_qubits, parameters=PARAMETERS)
    for qubit in range(num_qubits):
        turned = turned.ry(0.7 + 0.3 * qubit, qubit).rz(0.4 - 0.2 * qubit, qubit)
    turned = turned.append(step)
    for qubit in range(num_qubits):
        turned = turned.rx(0.5 + 0.4 * qubit, qubit)
    return turned


def probabilities(engine: str, circuit: Circuit, values: FloatArray) -> FloatArray:
    """What an engine computes for one parameter set."""
    compiled = library(engine).compile(circuit, [], library(engine).engine(circuit.num_qubits, 1))
    return compiled.probabilities(compiled.table.row(values))


def expected_probabilities(circuit: Circuit, values: FloatArray) -> FloatArray:
    """The same from the product of matrices."""
    found: FloatArray = np.abs(state_of(circuit, values)) ** 2
    return found


ANGLES = st.floats(-7, 7, allow_nan=False)
FORMULAS = st.sampled_from(
    [
        Parameter("a"),
        2 * Parameter("a") + 0.1,
        -Parameter("b") / 3,
        Parameter("a") * Parameter("b"),
        Parameter("b").sin() + 1,
    ]
)


@st.composite
def instructions(draw: st.DrawFn, num_qubits: int, *, formulas: bool = True) -> Instruction:
    """Any gate of the circuit form, with up to two extra controls."""
    name = draw(st.sampled_from([name for name, row in GATES.items() if row.num_qubits <= num_qubits]))
    definition = GATES[name]
    controls = draw(st.integers(0, min(2, num_qubits - definition.num_qubits)))
    qubits = tuple(draw(st.permutations(range(num_qubits)))[: definition.num_qubits + controls])
    angle = st.one_of(ANGLES, FORMULAS) if formulas else ANGLES
    angles = tuple(draw(angle) for _ in range(definition.num_parameters))
    return Instruction(name, qubits, angles, (), controls)


@st.composite
def circuits(draw: st.DrawFn, *, formulas: bool = True, longest: int = 12) -> Circuit:
    num_qubits = draw(st.integers(1, 4))
    steps = draw(st.lists(instructions(num_qubits, formulas=formulas), max_size=longest))
    return Circuit(num_qubits, steps, parameters=PARAMETERS)
