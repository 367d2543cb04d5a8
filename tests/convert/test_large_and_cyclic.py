"""Texts of megabytes, nesting without end, and definitions that hold themselves."""

from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate

from qloom.circuits import Instruction
from qloom.convert import from_openqasm, from_qiskit, qasm_fast, qiskit_in, read_circuit
from qloom.convert.calls import NotInSubset
from qloom.convert.limits import MAX_BYTES, MAX_PARSED
from qloom.errors import InvalidCircuit

HEADER = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[20];\ncreg c[2];\n'
LINE = "u3(1.2345678901234567, -0.98765432109876543, pi/16384.000000000001) q[{}];  // as some compilers write\n"


def ten_megabytes(line: str = LINE) -> str:
    turn = "".join(line.replace("{}", str(qubit)) for qubit in range(20))
    return HEADER + turn * (1 + 10_000_000 // len(turn))


def test_a_file_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    text = ten_megabytes()
    (tmp_path / "large.qasm").write_text(text + "if (c == 2) x q[3];\n", encoding="utf-8")
    circuit = read_circuit(tmp_path / "large.qasm")
    assert len(circuit.instructions) == text.count("u3") + 1 > 90_000
    assert circuit.instructions[7].qubits == (7,)
    assert circuit.instructions[-1].body == (Instruction("x", (3,)),)


@pytest.mark.parametrize(
    ("wrong", "quoted"),
    [
        ("if (c > 2) x q[0];", "if (c > 2) x q[0]"),
        ("if (c == 2) { x q[0]; } else y q[0];", "else y q[0]"),
        ("if (c == 2) { x q[20]; }", "x q[20]"),
        ("nonsense q[0];", "nonsense q[0]"),
        ("rx(1/) q[0];", "rx(1/) q[0]"),
    ],
)
def test_ten_megabytes_that_need_the_full_parser_are_refused_with_place_size_and_limit(wrong: str, quoted: str) -> None:
    text = ten_megabytes().replace("u3", wrong + "u3", 1)
    with pytest.raises(InvalidCircuit) as caught:
        from_openqasm(text)
    assert str(caught.value).startswith(f"line 5, at '{quoted}': this is outside the plain subset of OpenQASM (or wrong)")
    assert f"has {len(text)} characters; the full parser takes {MAX_PARSED} at most" in str(caught.value)


def test_text_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(InvalidCircuit, match=f"the text has {MAX_BYTES + 1} characters; the limit for a circuit is {MAX_BYTES}"):
        from_openqasm("x" * (MAX_BYTES + 1))


@pytest.mark.parametrize("opening", ["if (c[0]) {", "if (c[0]) { } else {", "{", "for int i in [0:0] {", "box {"])
def test_blocks_nested_without_end_are_refused(opening: str) -> None:
    text = "qubit q; bit[2] c; " + opening * 1_000 + "x q;" + "}" * 1_000
    with pytest.raises(NotInSubset):
        qasm_fast.read_subset(text)
    with pytest.raises(InvalidCircuit, match="nested"):
        from_openqasm(text)


def test_megabytes_of_opened_blocks_are_refused_at_once() -> None:
    with pytest.raises(InvalidCircuit, match="the full parser takes 1000000 at most"):
        from_openqasm("qubit q; bit[2] c; " + "if (c[0]) {" * 1_000_000)
    with pytest.raises(InvalidCircuit, match="the full parser takes 1000000 at most"):
        from_openqasm("qubit q; bit[2] c; if (c[0]" + " " * 10_000_000 + "|| c[1]) x q;")


def test_qiskit_definitions_that_hold_themselves_or_each_other_are_refused() -> None:
    first, second = Gate("first", 1, []), Gate("second", 1, [])
    for gate, inner in ((first, second), (second, first)):
        gate.definition = QuantumCircuit(1)
        gate.definition.append(inner, [0], copy=False)
    circuit = QuantumCircuit(1)
    circuit.append(first, [0], copy=False)
    with pytest.raises(InvalidCircuit, match=r"the definition of '(first|second)' is nested more than 50 deep"):
        from_qiskit(circuit)


def test_qiskit_definitions_that_double_at_each_level_are_stopped_even_if_they_hold_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(qiskit_in, "MAX_INSTRUCTIONS", 1_000)
    circuit = QuantumCircuit(1)
    for level in range(40):
        gate = Gate(f"level{level}", 1, [])
        gate.definition = circuit
        circuit = QuantumCircuit(1)
        circuit.append(gate, [0], copy=False)
        circuit.append(gate, [0], copy=False)
    with pytest.raises(InvalidCircuit, match="unrolls into more than the limit of 1000 instructions"):
        from_qiskit(circuit)
