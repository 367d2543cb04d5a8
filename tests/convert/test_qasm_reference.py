import numpy as np
import pytest

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.convert.qasm_reference import read_reference
from tests.circuits.oracle import Matrix, unitary

theta = Parameter("theta")
HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float[64] theta;\nqubit[5] q;\n'


def steps(text: str) -> list[Instruction]:
    return list(read_reference(HEADER + text).instructions)


def on(name: str, *qubits: int, angles: tuple[object, ...] = (), controls: int = 0) -> Instruction:
    return Instruction(name, qubits, angles, (), controls)  # type: ignore[arg-type]


X0, X1 = on("x", 0), on("x", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inv @ s q[0];", [on("sdg", 0)]),
        ("inv @ sx q[0];", [on("sxdg", 0)]),
        ("inv @ rx(theta) q[1];", [on("rx", 1, angles=(-theta,))]),
        ("inv @ rx(-theta) q[1];", [on("rx", 1, angles=(theta,))]),
        ("inv @ U(theta, 0.2, 0.3) q[2];", [on("u", 2, angles=(-theta, -0.3, -0.2))]),
        ("inv @ cu(0.1, 0.2, 0.3, 0.4) q[0], q[1];", [on("cu", 0, 1, angles=(-0.1, -0.3, -0.2, -0.4))]),
        ("inv @ prx(0.1, theta) q[2];", [on("r", 2, angles=(-0.1, theta))]),
        ("inv @ u2(0.1, 0.2) q[2];", [on("u", 2, angles=(-np.pi / 2, -0.2, -0.1))]),
        ("inv @ dcx q[2], q[3];", [on("cx", 3, 2), on("cx", 2, 3)]),
        ("ctrl @ x q[3], q[1];", [on("cx", 3, 1)]),
        ("ctrl(2) @ x q[2], q[1], q[0];", [on("ccx", 2, 1, 0)]),
        ("ctrl @ ctrl @ z q[2], q[1], q[0];", [on("ccz", 2, 1, 0)]),
        ("ctrl @ cx q[4], q[0], q[1];", [on("ccx", 4, 0, 1)]),
        ("ctrl(3) @ x q[3], q[2], q[1], q[0];", [on("x", 3, 2, 1, 0, controls=3)]),
        ("ctrl @ ccx q[3], q[2], q[1], q[0];", [on("x", 3, 2, 1, 0, controls=3)]),
        ("c4x q[4], q[3], q[2], q[1], q[0];", [on("x", 4, 3, 2, 1, 0, controls=4)]),
        ("ctrl @ ry(theta) q[3], q[1];", [on("cry", 3, 1, angles=(theta,))]),
        ("ctrl(2) @ ry(0.5) q[3], q[1], q[4];", [on("ry", 3, 1, 4, angles=(0.5,), controls=2)]),
        ("ctrl @ gphase(theta) q[2];", [on("p", 2, angles=(theta,))]),
        ("ctrl(2) @ gphase(0.5) q[2], q[0];", [on("cp", 2, 0, angles=(0.5,))]),
        ("ctrl @ U(0.1, 0.2, 0.3) q[0], q[1];", [on("u", 0, 1, angles=(0.1, 0.2, 0.3), controls=1)]),
        ("ctrl @ dcx q[2], q[3], q[4];", [on("ccx", 2, 3, 4), on("ccx", 2, 4, 3)]),
        ("negctrl @ x q[0], q[1];", [X0, on("cx", 0, 1), X0]),
        ("negctrl @ ctrl @ h q[1], q[3], q[4];", [X1, on("h", 1, 3, 4, controls=2), X1]),
        ("ctrl @ negctrl(2) @ x q[3], q[0], q[1], q[2];", [X0, X1, on("x", 3, 0, 1, 2, controls=3), X0, X1]),
        ("pow(2) @ t q[0];", [on("t", 0)] * 2),
        ("pow(-2) @ s q[0];", [on("sdg", 0)] * 2),
        ("pow(3) @ x q[0];", [X0]),
        ("pow(0) @ t q[0];", []),
        ("pow(2) @ rx(theta) q[0];", [on("rx", 0, angles=(2 * theta,))]),
        ("pow(0.5) @ x q[0];", [on("sx", 0)]),
        ("pow(1/2.0) @ s q[0];", [on("t", 0)]),
        ("pow(0.5) @ cx q[3], q[4];", [on("csx", 3, 4)]),
        ("pow(0.25) @ z q[2];", [on("p", 2, angles=(np.pi / 4,))]),
        ("ctrl @ pow(0.5) @ inv @ rx(theta) q[0], q[1];", [on("crx", 0, 1, angles=(0.5 * -theta,))]),
        ("inv @ pow(0.5) @ x q[0];", [on("sxdg", 0)]),
        ("pow(0.5) @ inv @ x q[0];", [on("sx", 0)]),
        ("pow(0.5) @ negctrl @ x q[0], q[1];", [X0, on("csx", 0, 1), X0]),
        ("gphase(0.25);", [on("gphase", angles=(0.25,))]),
        ("inv @ ctrl @ s q[0:1], q[2:3];", [on("csdg", 0, 2), on("csdg", 1, 3)]),
    ],
)
def test_modifiers_become_plain_instructions(text: str, expected: list[Instruction]) -> None:
    assert steps(text) == expected


DEFINED = """
const float quarter = pi / 4;
gate turn(a, b) x0 { rx(a / 2) x0; rz(-b + quarter) x0; }
gate pair(a) x0, x1 { turn(a, 0.5) x0; ctrl @ turn(0.25, a) x0, x1; gphase(a); }
"""


def test_definitions_are_opened_with_their_arguments_put_in() -> None:
    assert steps(DEFINED + "turn(theta, 0.75) q[1];") == [
        on("rx", 1, angles=(theta / 2,)),
        on("rz", 1, angles=(-0.75 + np.pi / 4,)),
    ]
    assert steps(DEFINED + "pair(0.5) q[2], q[0];") == [
        on("rx", 2, angles=(0.25,)),
        on("rz", 2, angles=(-0.5 + np.pi / 4,)),
        on("crx", 2, 0, angles=(0.125,)),
        on("crz", 2, 0, angles=(-0.5 + np.pi / 4,)),
        on("gphase", angles=(0.5,)),
    ]


def matrix(text: str, qubits: int) -> Matrix:
    return unitary(read_reference(f"qubit[{qubits}] q;{DEFINED}{text}"))


def test_a_defined_gate_can_be_controlled_inverted_and_repeated() -> None:
    alone = matrix("pair(0.3) q[0], q[1];", 2)
    under_control = np.eye(8, dtype=complex)
    under_control[4:, 4:] = alone
    assert np.allclose(matrix("ctrl @ pair(0.3) q[0], q[1], q[2];", 3), under_control)
    assert np.allclose(matrix("inv @ pair(0.3) q[0], q[1];", 2), alone.conj().T)
    assert np.allclose(matrix("pow(3) @ pair(0.3) q[0], q[1];", 2), np.linalg.matrix_power(alone, 3))
    assert np.allclose(matrix("pow(-2) @ pair(0.3) q[0], q[1];", 2), np.linalg.matrix_power(alone.conj().T, 2))


def test_a_definition_may_hold_loops_barriers_and_modifiers() -> None:
    ladder = "gate ladder a, b { for int i in [1:2] { pow(i) @ s a; } barrier a, b; negctrl @ x a, b; barrier; }"
    assert steps(ladder + "ladder q[2], q[1];") == [
        *[on("s", 2)] * 3,
        on("barrier", 2, 1),
        on("x", 2),
        on("cx", 2, 1),
        on("x", 2),
        on("barrier", 2, 1),
    ]


def test_a_definition_holds_from_where_it_stands_on() -> None:
    flipped = "h q[0]; gate h a { x a; } h q[0];"
    assert steps(flipped) == [on("h", 0), X0]


def test_a_definition_of_a_standard_gate_with_its_matrix_is_that_gate() -> None:
    assert steps("gate rzz(p) a, b { cx a, b; rz(p) b; cx a, b; } rzz(theta) q[3], q[1];") == [on("rzz", 3, 1, angles=(theta,))]
    assert steps("gate cnot a, b { h b; cz a, b; h b; } cnot q[3], q[1];") == [on("cx", 3, 1)]


def test_a_definition_that_differs_by_a_phase_keeps_its_own_meaning() -> None:
    assert [step.name for step in steps("gate rzz(a) x0, x1 { cx x0, x1; p(a) x1; cx x0, x1; } rzz(0.3) q[0], q[1];")] == [
        "cx",
        "p",
        "cx",
    ]


def test_a_delay_keeps_its_unit_and_may_depend_on_an_input() -> None:
    assert steps("delay[theta * 1.0us] q[3];") == [Instruction("delay", (3,), (theta,), unit="us")]
    assert steps("delay[2 * (theta * 3dt)] q[3], q[1];") == [Instruction("delay", (3, 1), (2 * (theta * 3),), unit="dt")]
    assert steps("delay[1.5us] q[0:1];") == [Instruction("delay", (0, 1), (1.5,), unit="us")]


def test_noise_inside_a_verbatim_box_stays_there() -> None:
    body = "#pragma braket verbatim\nbox {\n  h q[2];\n#pragma braket noise bit_flip(0.1) q[2]\n  cx q[2], q[0];\n}\n"
    assert steps(body) == [Instruction("verbatim", (0, 2), body=(on("h", 2), on("bit_flip", 2, angles=(0.1,)), on("cx", 2, 0)))]


def test_noise_may_depend_on_an_input_and_act_on_a_register() -> None:
    assert steps("#pragma braket noise depolarizing((theta + 1)/8) q[0:1]\n") == [
        on("depolarizing", 0, angles=((theta + 1) / 8,)),
        on("depolarizing", 1, angles=((theta + 1) / 8,)),
    ]


def test_an_input_may_hide_a_gate_where_nothing_is_included() -> None:
    circuit = read_reference("input float t; qubit q; rx(t) q;")
    assert circuit == Circuit(1).rx(Parameter("t"), 0)


def test_inputs_come_in_the_order_of_their_declaration_used_or_not() -> None:
    assert read_reference("input float b; input angle[32] a; input float c; qubit q; rx(a) q; ry(b) q;").parameters == (
        "b",
        "a",
        "c",
    )


def test_classical_bits_are_numbered_in_the_order_of_their_declaration() -> None:
    circuit = read_reference("qubit[2] q; bit[2] a; bit b; bit[3] c; c[1] = measure q[0]; b = measure q[1];")
    assert circuit.num_clbits == 6
    assert circuit.measured() == {4: 0, 2: 1}


def test_physical_qubits_are_numbered_by_their_names() -> None:
    circuit = read_reference("// not $9\nctrl @ x $3, $1; barrier;")
    assert circuit == Circuit(4).cx(3, 1).barrier()
