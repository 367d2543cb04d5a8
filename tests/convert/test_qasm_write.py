import numpy as np
import pytest
from hypothesis import given, settings

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.circuits.gates import GATES
from qloom.convert import from_openqasm, to_openqasm
from qloom.convert.qasm_fast import read_subset
from qloom.convert.qasm_write import DEFINITIONS
from tests.circuits.oracle import gate_matrix, unitary
from tests.circuits.strategies import circuits, unitary_circuits

theta = Parameter("theta[0]")
ANGLES = (0.7, -1.9, 2.3, 0.4)

EVERYTHING = (
    Circuit(3, num_clbits=2)
    .h(0)
    .ry(2 * theta + 0.3, 1)
    .u(0.1, -0.2, theta.sin() ** 2, 2)
    .gate("rzz", 2, 0, angles=[0.5])
    .gate("ry", 2, 1, 0, angles=[-theta / 3], controls=2)
    .gate("t", 1, 2, controls=1)
    .gate("gphase", angles=[0.25])
    .channel("two_qubit_depolarizing", 2, 1, probabilities=[0.125])
    .verbatim(Circuit(3).x(2).gate("csx", 0, 1).delay(100, 1, unit="ns"))
    .barrier(2, 0)
    .delay(1.5e-7, 0, 1)
    .reset(1)
    .measure(2, 0)
    .measure([1, 0], [0, 1])
)
TEXT = """\
OPENQASM 3.0;
include "stdgates.inc";
// parameter theta_0 is theta[0]
input float[64] theta_0;
gate csx q0, q1 { h q1; cp(pi/2) q0, q1; h q1; }
gate rzz(p0) q0, q1 { cx q0, q1; rz(p0) q1; cx q0, q1; }
bit[2] c;
qubit[3] q;
h q[0];
ry(2.0*theta_0 + 0.3) q[1];
U(0.1, -0.2, sin(theta_0)**2.0) q[2];
rzz(0.5) q[2], q[0];
ctrl(2) @ ry(-theta_0/3.0) q[2], q[1], q[0];
ctrl @ t q[1], q[2];
gphase(0.25);
#pragma braket noise two_qubit_depolarizing(0.125) q[2], q[1]
#pragma braket verbatim
box {
x q[2];
csx q[0], q[1];
delay[100.0ns] q[1];
}
barrier q[2], q[0];
delay[1.5e-07s] q[0], q[1];
reset q[1];
c[0] = measure q[2];
c[{0, 1}] = measure q[{1, 0}];
"""


def test_the_text_is_this() -> None:
    assert to_openqasm(EVERYTHING) == TEXT


@settings(max_examples=100)
@given(circuits())
def test_what_is_written_reads_back_equal(circuit: Circuit) -> None:
    again = from_openqasm(to_openqasm(circuit))
    assert again == circuit
    assert again.digest == circuit.digest


@given(unitary_circuits())
def test_gates_without_modifiers_are_read_back_by_the_fast_reader(circuit: Circuit) -> None:
    plain = Circuit(circuit.num_qubits, [step for step in circuit.instructions if not step.controls])
    assert read_subset(to_openqasm(plain)) == plain


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_spells_out_exactly_its_gate(name: str) -> None:
    row = GATES[name]
    angles, qubits = ANGLES[: row.num_parameters], ", ".join(f"q[{index}]" for index in range(row.num_qubits))
    # Under another name, so that the body is opened rather than recognised.
    call = f"other{angles if len(angles) > 1 else f'({angles[0]})' if angles else ''} {qubits};"
    opened = from_openqasm(f"gate other{'' if row.num_parameters else ' '}{DEFINITIONS[name]} qubit[{row.num_qubits}] q; {call}")
    assert len(opened.instructions) > (name not in {"cs", "csdg"})
    assert np.allclose(unitary(opened), gate_matrix(name, angles), atol=1e-12)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_reads_back_as_itself(name: str) -> None:
    size = GATES[name].num_qubits
    circuit = Circuit(size, [Instruction(name, tuple(reversed(range(size))), ANGLES[: GATES[name].num_parameters])])
    assert from_openqasm(to_openqasm(circuit)) == circuit


def test_controls_that_have_a_standard_name_read_back_under_it() -> None:
    spelled = Circuit(3, [Instruction("x", (0, 1, 2), (), (), 2), Instruction("gphase", (1,), (0.5,), (), 1)])
    assert from_openqasm(to_openqasm(spelled)) == Circuit(3).ccx(0, 1, 2).p(0.5, 1)


def test_parameters_keep_their_order_and_names_even_unused_or_hard_to_spell() -> None:
    names = ["theta[1]", "theta[0]", "t", "theta_0", "q", "pi", "γ", "ä", "input", "x[2]"]
    circuit = Circuit(1, parameters=names).rx(Parameter("t") * Parameter("theta[1]"), 0)
    text = to_openqasm(circuit)
    assert from_openqasm(text).parameters == tuple(names)
    assert "// parameter theta_1 is theta[1]\ninput float[64] theta_1;" in text
    assert "input float[64] γ;" in text
    assert "// parameter theta_0_ is theta[0]" in text


def test_measuring_all_qubits_in_order_is_one_statement() -> None:
    assert "c = measure q;" in to_openqasm(Circuit(3).measure_all())


def test_an_empty_circuit_has_no_registers() -> None:
    assert to_openqasm(Circuit(0)) == 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
    assert from_openqasm(to_openqasm(Circuit(0))) == Circuit(0)


def test_numbers_come_back_to_the_last_bit() -> None:
    values = [0.1, 1 / 3, 1e-300, 2**-1074, 1.7976931348623157e308, -0.1, 123456789.123456789]
    circuit = Circuit(1, [Instruction("rx", (0,), (value,)) for value in values])
    assert [step.parameters[0] for step in from_openqasm(to_openqasm(circuit)).instructions] == values
