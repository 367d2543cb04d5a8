import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3, transpile
from qiskit.circuit import AnnotatedOperation, ControlModifier, Gate, InverseModifier, ParameterVector, PowerModifier, library
from qiskit.circuit import Instruction as QiskitInstruction
from qiskit.circuit import Parameter as QiskitParameter
from qiskit.circuit.random import random_circuit

from qloom.circuits import Circuit, Expression, Instruction, Parameter
from qloom.circuits.gates import GATES
from qloom.convert import from_openqasm, from_qiskit, read_circuit
from qloom.errors import InvalidCircuit
from tests.circuits.oracle import QISKIT_GATES, matrix_of, unitary

a, b = QiskitParameter("a"), QiskitParameter("b")
ANGLES = (0.7, -1.9, 2.3, 0.4)
QISKITS_OTHER_GATES = {
    "u1": library.U1Gate(0.3),
    "u2": library.U2Gate(0.3, -0.4),
    "u3": library.U3Gate(0.3, -0.4, 0.5),
    "cu1": library.CU1Gate(0.3),
    "cu3": library.CU3Gate(0.3, -0.4, 0.5),
    "dcx": library.DCXGate(),
    "rccx": library.RCCXGate(),
    "rcccx": library.RC3XGate(),
    "c3x": library.C3XGate(),
    "c4x": library.C4XGate(),
    "c3sx": library.C3SXGate(),
    "xx_plus_yy": library.XXPlusYYGate(0.3, 0.4),
    "xx_minus_yy": library.XXMinusYYGate(0.3, 0.4),
    "mcx": library.MCXGate(5),
    "mcphase": library.MCPhaseGate(0.3, 3),
    "open controls": library.XGate().control(3, ctrl_state=0b011),
    "open control": library.RYGate(0.3).control(1, ctrl_state=0),
    "controlled u": library.UGate(0.1, 0.2, 0.3).control(2, annotated=False),
    "controlled custom": library.QFTGate(2).control(1, annotated=False),
    "unitary": library.UnitaryGate(np.array([[0, 1j], [1, 0]])),
    "unitary of two": library.UnitaryGate(np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1j], [0, 1, 0, 0]])),
    "qft": library.QFTGate(3),
    "pauli": library.PauliGate("XYZ"),
    "diagonal": library.DiagonalGate([1, 1j, -1, 1]),
    "rv": library.RVGate(0.1, 0.2, 0.3),
    "permutation": library.PermutationGate([2, 4, 3, 0, 1]),
    "permutation that fixes some": library.PermutationGate([0, 3, 2, 1]),
    "annotated": AnnotatedOperation(library.SGate(), [InverseModifier(), ControlModifier(2, 0b01)]),
    "annotated power": AnnotatedOperation(library.RXGate(0.3), [PowerModifier(2.5), ControlModifier(1)]),
}


def one(gate: QiskitInstruction) -> QuantumCircuit:
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, list(reversed(range(gate.num_qubits))))
    return circuit


@pytest.mark.parametrize("name", QISKIT_GATES)
def test_a_standard_gate_is_the_instruction_of_that_name(name: str) -> None:
    circuit = one(QISKIT_GATES[name](*ANGLES[: GATES[name].num_parameters]))
    read = from_qiskit(circuit)
    if name not in {"csxdg", "iswapdg"}:  # Qiskit has these only as the control or inverse of others
        assert [(step.name, step.controls) for step in read.instructions] == [(name, 0)]
    assert np.allclose(unitary(read), matrix_of(circuit), atol=1e-9)


@pytest.mark.parametrize("name", QISKITS_OTHER_GATES)
def test_any_other_gate_is_opened_or_controlled_to_the_same_unitary(name: str) -> None:
    circuit = one(QISKITS_OTHER_GATES[name])
    assert np.allclose(unitary(from_qiskit(circuit)), matrix_of(circuit), atol=1e-8)


def test_gates_with_many_controls_keep_them_as_controls() -> None:
    assert from_qiskit(one(library.C4XGate())).instructions == (Instruction("x", (4, 3, 2, 1, 0), (), (), 4),)
    assert from_qiskit(one(library.MCPhaseGate(0.3, 3))).instructions == (Instruction("p", (3, 2, 1, 0), (0.3,), (), 3),)
    assert from_qiskit(one(library.C3SXGate())).instructions == (Instruction("sx", (3, 2, 1, 0), (), (), 3),)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_random_circuits_keep_their_unitary(seed: int) -> None:
    circuit = random_circuit(3, 4, max_operands=3, seed=seed)
    assert np.allclose(unitary(from_qiskit(circuit)), matrix_of(circuit), atol=1e-8)


def test_qubit_i_is_qubit_i_and_bit_i_is_bit_i() -> None:
    circuit = QuantumCircuit(
        QuantumRegister(2, "left"), QuantumRegister(1, "right"), ClassicalRegister(1, "p"), ClassicalRegister(2, "q")
    )
    circuit.cx(2, 0)
    circuit.barrier(1, 2)
    circuit.reset(1)
    circuit.measure(2, 1)
    circuit.measure([0, 1], [2, 0])
    expected = Circuit(3, num_clbits=3).cx(2, 0).barrier(1, 2).reset(1).measure(2, 1).measure(0, 2).measure(1, 0)
    assert from_qiskit(circuit) == expected


def test_delays_keep_their_unit_and_picoseconds_become_nanoseconds() -> None:
    circuit = QuantumCircuit(2)
    circuit.delay(100, 1, unit="ns")
    circuit.delay(7, 0)
    circuit.delay(1500, 0, unit="ps")
    circuit.delay(a, 0, unit="us")
    read = from_qiskit(circuit)
    assert [(step.parameters, step.unit) for step in read.instructions] == [
        ((100.0,), "ns"),
        ((7.0,), "dt"),
        ((1.5,), "ns"),
        ((Parameter("a"),), "us"),
    ]


def test_a_global_phase_becomes_a_gate_in_front() -> None:
    circuit = QuantumCircuit(1, global_phase=a / 2)
    circuit.h(0)
    assert from_qiskit(circuit) == Circuit(1).gate("gphase", angles=[Parameter("a") / 2]).h(0)
    assert from_qiskit(QuantumCircuit(1)) == Circuit(1)


def test_parameters_stand_in_qiskits_order() -> None:
    vector = ParameterVector("v", 12)
    circuit = QuantumCircuit(1)
    circuit.rx(b * vector[11], 0)
    circuit.ry(vector[2] + a, 0)
    read = from_qiskit(circuit)
    assert read.parameters == tuple(parameter.name for parameter in circuit.parameters) == ("a", "b", "v[2]", "v[11]")


FORMULAS: list[Callable[[QiskitParameter, QiskitParameter], object]] = [
    lambda a, b: a,
    lambda a, b: 2 * a + 0.1,
    lambda a, b: -a,
    lambda a, b: 0.3 - a / 7,
    lambda a, b: (a + 0.1) * 3 - b,
    lambda a, b: a * b + a.sin() ** 2 / 3,
    lambda a, b: -((a + b) ** 2),
    lambda a, b: (-a) ** 3,
    lambda a, b: 2 ** (a - b),
    lambda a, b: a / (b / (a + 1)),
    lambda a, b: a - (b - (a - 1)),
    lambda a, b: 1e-7 * a + 1e22 * b,
    lambda a, b: (a.exp() + 2).log() + b.arctan() + (a / 9).arcsin() - (b / 9).arccos() + a.tan() * b.cos(),
    lambda a, b: 0.12345678901234568 * a,
    lambda a, b: a + b - a,
]


@pytest.mark.parametrize("index", range(len(FORMULAS)))
def test_an_angle_has_the_value_that_qiskit_gives_it(index: int) -> None:
    angle = FORMULAS[index](a, b)
    circuit = QuantumCircuit(1)
    circuit.rx(angle, 0)
    (read,) = from_qiskit(circuit).instructions[0].parameters
    for values in ({"a": 0.3, "b": 0.8}, {"a": 1.7, "b": 0.2}):
        used = {parameter.name for parameter in circuit.parameters}
        theirs = circuit.assign_parameters({name: value for name, value in values.items() if name in used})
        ours = read.evaluate(values) if isinstance(read, Expression) else read
        assert math.isclose(ours, float(theirs.data[0].params[0]), rel_tol=1e-12)


def test_the_common_angles_stay_affine() -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(2 * a + 0.1, 0)
    (angle,) = from_qiskit(circuit).instructions[0].parameters
    assert isinstance(angle, Expression)
    assert angle.affine() == (2 * Parameter("a") + 0.1).affine()


def test_what_qiskit_exports_reads_as_what_it_holds() -> None:
    circuit = QuantumCircuit(3, 3)
    circuit.ry(2 * a + 0.1, 0)
    circuit.rzz(b / 3, 0, 2)
    circuit.append(library.RGate(a, 0.4), [1])
    circuit.barrier()
    circuit.measure([2, 0], [0, 1])
    assert from_openqasm(qasm3.dumps(circuit)) == from_qiskit(circuit)


def test_numbers_of_any_kind_become_floats() -> None:
    circuit = QuantumCircuit(1)
    for value in (1, 0.5, np.float32(0.25), np.int64(2), (a + 1).bind({a: 0.5})):
        circuit.rx(value, 0)
    angles = [step.parameters[0] for step in from_qiskit(circuit).instructions]
    assert angles == [1.0, 0.5, 0.25, 2.0, 1.5]
    assert {type(angle) for angle in angles} == {float}


def test_composite_instructions_are_opened_with_their_bits() -> None:
    inner = QuantumCircuit(2, 2, name="inner")
    inner.h(1)
    inner.measure([1, 0], [0, 1])
    outer = QuantumCircuit(3, 3)
    outer.append(inner.to_instruction(), [2, 0], [1, 2])
    assert from_qiskit(outer) == Circuit(3, num_clbits=3).h(0).measure(0, 1).measure(2, 2)


def test_a_gate_that_only_borrows_a_standard_name_is_opened() -> None:
    false_x = Gate("x", 1, [])
    false_x.definition = one(library.HGate())
    assert from_qiskit(one(false_x)) == Circuit(1).h(0)


def test_a_transpiled_circuit_keeps_its_unitary() -> None:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.ccx(0, 1, 2)
    circuit.cp(0.3, 2, 0)
    physical = transpile(circuit, basis_gates=["sx", "rz", "ecr"], seed_transpiler=1)
    assert np.allclose(unitary(from_qiskit(physical)), matrix_of(physical), atol=1e-8)


def nested(depth: int) -> QuantumCircuit:
    circuit = one(library.HGate())
    for level in range(depth):
        gate = Gate(f"level{level}", 1, [])
        gate.definition = circuit
        circuit = one(gate)
    return circuit


def with_step(step: Callable[[QuantumCircuit], object]) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    step(circuit)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "said"),
    [
        (
            with_step(lambda circuit: circuit.append(QiskitInstruction("save_state", 2, 0, []), [0, 1])),
            "the Qiskit instruction 'save_state' is not held",
        ),
        (with_step(lambda circuit: circuit.rx(a.abs(), 0)), r"the angle 'abs\(a\)' of the Qiskit circuit is no formula"),
        (
            with_step(lambda circuit: circuit.rx(QiskitParameter("$x$"), 0)),
            r"the Qiskit parameter '\$x\$' needs a name of letters",
        ),
        (with_step(lambda circuit: circuit.rx(math.inf, 0)), "an angle must be finite, got inf"),
        (nested(60), "nested more than 50 deep"),
    ],
    ids=["save", "abs", "name", "infinite", "nested"],
)
def test_what_the_form_cannot_hold_is_refused_by_name(circuit: QuantumCircuit, said: str) -> None:
    with pytest.raises(InvalidCircuit, match=said):
        from_qiskit(circuit)


def test_a_subclass_of_the_users_own_is_a_qiskit_circuit_too() -> None:
    class Mine(QuantumCircuit):
        pass

    mine = Mine(1, name="mine")
    mine.x(0)
    assert read_circuit(mine) == Circuit(1).x(0)
    assert read_circuit(mine).name == "mine"
    with pytest.raises(InvalidCircuit, match="a str is no Qiskit QuantumCircuit"):
        from_qiskit("x")


def test_looking_for_qiskit_does_not_import_it() -> None:
    code = "import sys; from qloom.convert.intake import is_qiskit; print(is_qiskit(object()), 'qiskit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]
