"""Other people's readers as witnesses: Qiskit's for OpenQASM 2 and 3, Amazon Braket's simulator for OpenQASM 3."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import qiskit.qasm2
import qiskit.qasm3
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.circuits.gates import GATES
from qloom.convert import from_openqasm, to_openqasm
from tests.circuits.oracle import Matrix, matrix_of, same_up_to_phase, unitary
from tests.circuits.strategies import turns, unitary_circuits

CORPUS = Path(__file__).parent / "corpus" / "plain"
ANGLES = (0.7, -1.9, 2.3, 0.4)

# Braket knows no include file: what stdgates.inc would define, in Braket's own gates.
BRAKETS_STDGATES = """
gate id a { i a; } gate sdg a { si a; } gate tdg a { ti a; } gate sx a { v a; } gate p(x0) a { phaseshift(x0) a; }
gate cx a, b { cnot a, b; } gate ch a, b { ctrl @ h a, b; } gate cp(x0) a, b { cphaseshift(x0) a, b; }
gate crx(x0) a, b { ctrl @ rx(x0) a, b; } gate cry(x0) a, b { ctrl @ ry(x0) a, b; } gate crz(x0) a, b { ctrl @ rz(x0) a, b; }
gate ccx a, b, c { ccnot a, b, c; } gate cu(x0, x1, x2, x3) a, b { phaseshift(x3) a; ctrl @ U(x0, x1, x2) a, b; }
"""


def measured(circuit: QuantumCircuit) -> dict[int, int]:
    """Classical bit -> qubit, of a Qiskit circuit."""
    return {
        circuit.find_bit(bit).index: circuit.find_bit(qubit).index
        for step in circuit.data
        if step.operation.name == "measure"
        for qubit, bit in zip(step.qubits, step.clbits, strict=True)
    }


@pytest.mark.parametrize("path", sorted(CORPUS.glob("v2_*.qasm")), ids=lambda path: path.stem)
def test_qiskit_reads_version_2_the_same(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # Older files define rzz themselves, which Qiskit's include has; some writers use version 3's block comments.
    theirs = qiskit.qasm2.loads(
        re.sub(r"gate rzz.*|(?s:/\*.*?\*/)", "", text),
        custom_instructions=qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
        include_path=(),
    )
    ours = from_openqasm(text)
    assert (ours.num_qubits, ours.num_clbits) == (theirs.num_qubits, theirs.num_clbits)
    assert same_up_to_phase(unitary(ours), matrix_of(theirs))
    if measured(theirs):
        assert ours.measured() == measured(theirs)


def qiskit_loads(text: str) -> QuantumCircuit:
    pytest.importorskip("qiskit_qasm3_import", reason="Qiskit reads OpenQASM 3 only with this package")
    return qiskit.qasm3.loads(text)


@pytest.mark.parametrize(
    "name",
    ["v3_qiskit_export", "v3_registers", "v3_every_gate", "v3_cirq", "v3_white_space", "v3_written_by_qloom"],
)
def test_qiskit_reads_version_3_the_same(name: str) -> None:
    text = (CORPUS / f"{name}.qasm").read_text(encoding="utf-8")
    if name == "v3_registers":
        text = "\n".join(line for line in text.splitlines() if "measure old" not in line and "delay" not in line)
    text = re.sub(r"rx\([^;]*(\*\*|log)[^;]*;", "", text)  # Qiskit writes these and does not read them
    ours, theirs = from_openqasm(text), qiskit_loads(text)
    inputs = {parameter.name: 0.1 + 0.17 * index for index, parameter in enumerate(theirs.parameters)}
    names = dict(zip((found[1] for found in re.finditer(r"input [^;]* (\w+);", text)), ours.parameters, strict=True))
    values = {names[name]: value for name, value in inputs.items()}
    bound = ours.bind(values).bind({name: 0.5 for name in ours.parameters if name not in values})
    assert np.allclose(unitary(bound), matrix_of(theirs.assign_parameters(inputs)), atol=1e-9)
    if measured(theirs):
        assert ours.measured() == measured(theirs)


@settings(max_examples=40)
@given(unitary_circuits())
def test_qiskit_reads_what_we_write_with_the_same_unitary(circuit: Circuit) -> None:
    theirs = qiskit_loads(to_openqasm(circuit))
    assert np.allclose(matrix_of(theirs), unitary(circuit), atol=1e-8)


@pytest.mark.parametrize("name", sorted(GATES))
def test_qiskit_reads_every_gate_that_we_write(name: str) -> None:
    size = GATES[name].num_qubits
    circuit = Circuit(size, [Instruction(name, tuple(reversed(range(size))), ANGLES[: GATES[name].num_parameters])])
    assert np.allclose(matrix_of(qiskit_loads(to_openqasm(circuit))), unitary(circuit), atol=1e-9)


def test_qiskit_reads_our_measurements_into_the_same_bits() -> None:
    circuit = Circuit(3, num_clbits=4).measure(2, 3).measure([1, 0], [0, 2]).barrier(2, 0).reset(1)
    theirs = qiskit_loads(to_openqasm(circuit))
    assert measured(theirs) == circuit.measured() == {3: 2, 0: 1, 2: 0}


def brakets_state(text: str, inputs: Mapping[str, float] | None = None) -> Matrix:
    """The state that Amazon Braket's simulator ends in."""
    simulator = pytest.importorskip("braket.default_simulator")
    # Reading all the definitions takes Braket half a second.
    needed = [found[0] for found in re.finditer(r"gate (\w+)[^}]*}", BRAKETS_STDGATES) if re.search(rf"\b{found[1]}\b", text)]
    source = text.replace('include "stdgates.inc";', "\n".join(needed)) + "#pragma braket result state_vector\n"
    program = pytest.importorskip("braket.ir.openqasm").Program(source=source, inputs=inputs)
    result = simulator.StateVectorSimulator().run(program, shots=0)
    state: Matrix = result.resultTypes[0].value
    return state


@settings(max_examples=10)
@given(unitary_circuits(max_qubits=3), st.lists(turns, min_size=6, max_size=6))
def test_brakets_simulator_reads_what_we_write_with_the_same_state(circuit: Circuit, angles: list[float]) -> None:
    start = Circuit(circuit.num_qubits)
    for qubit in range(circuit.num_qubits):  # no two qubits alike, and no amplitude zero
        start = start.ry(angles[qubit], qubit).rz(angles[qubit + 3], qubit)
    # A bare phase says nothing about a state, and Braket's own is left out of it.
    steps = [step for step in circuit.instructions if step.name != "gphase"]
    whole = start.extend(steps)
    state = brakets_state(to_openqasm(whole))
    assert abs(np.vdot(state, unitary(whole)[:, 0])) == pytest.approx(1, abs=1e-9)


TWO = "gate one(a) x0 { rx(a / 2) x0; rz(-a) x0; } gate two(a) x0, x1 { one(a) x0; ctrl @ one(2 * a) x0, x1; }"
PROGRAMS = [
    "h q; ctrl @ rx(theta) q[2], q[0]; negctrl @ ry(2*theta) q[1], q[2];",
    "h q; ctrl(2) @ pow(0.5) @ x q[2], q[0], q[1]; pow(0.25) @ z q[1];",
    "h q; negctrl @ ctrl @ U(theta, 0.2, 0.3) q[1], q[2], q[0]; inv @ U(0.4, theta, 0.6) q[1];",
    "h q; inv @ ctrl @ s q[1], q[0]; pow(3) @ t q[2]; pow(-1) @ rz(theta) q[0];",
    "for int i in [0:2] { ry(theta * (i + 1)) q[i]; } for int i in {2, 0} { rz(0.3 * i) q[i]; cnot q[i], q[1]; }",
    "const int n = 2; const float f = pi / 4; rx(f * n) q[n]; ry(f) q[n - 1]; cnot q[n], q[n - 2];",
    # (No power of a defined gate here: Braket takes the power of each gate inside.)
    f"{TWO} h q; two(theta) q[2], q[0]; inv @ two(0.3) q[0], q[1]; ctrl @ two(0.4) q[1], q[2], q[0];",
    "h q; xy(theta) q[0], q[2]; ms(0.1, 0.2, theta) q[2], q[1]; gpi(0.3) q[0]; gpi2(theta) q[1]; prx(theta, 0.2) q[2];",
    "h q; pswap(theta) q[0], q[2]; cphaseshift00(0.3) q[2], q[1]; cphaseshift01(0.4) q[0], q[1]; cphaseshift10(0.5) q[1], q[2];",
    "h q; rx(0.3) q[1]; ecr q[2], q[0]; iswap q[0], q[1]; cv q[2], q[1]; cswap q[2], q[0], q[1]; zz(theta) q[0], q[2];",
]


@pytest.mark.parametrize("text", PROGRAMS, ids=[text[:40] for text in PROGRAMS])
def test_brakets_simulator_reads_modifiers_loops_and_its_own_gates_the_same(text: str) -> None:
    program = f"OPENQASM 3.0;\ninput float theta;\nqubit[3] q;\nry(0.4) q[0];\nry(0.9) q[1];\nry(1.7) q[2];\n{text}\n"
    state = brakets_state(program, {"theta": 0.83})
    ours = unitary(from_openqasm(program), {"theta": 0.83})[:, 0]
    assert abs(np.vdot(state, ours)) == pytest.approx(1, abs=1e-9)


def test_brakets_own_export_is_read_with_its_bits_and_noise() -> None:
    circuits = pytest.importorskip("braket.circuits")
    theta = circuits.FreeParameter("theta")
    theirs = circuits.Circuit().h(0).cnot(0, 2).ry(1, 2 * theta + 0.1).bit_flip(2, 0.125)
    theirs = theirs.add_verbatim_box(circuits.Circuit().rx(1, 0.3)).measure([2, 0])
    ours = from_openqasm(theirs.to_ir("OPENQASM").source)
    expected = (
        Circuit(3, num_clbits=2).h(0).cx(0, 2).ry(2 * Parameter("theta") + 0.1, 1).channel("bit_flip", 2, probabilities=[0.125])
    )
    assert ours == expected.verbatim(Circuit(3).rx(0.3, 1)).measure(2, 0).measure(0, 1)
