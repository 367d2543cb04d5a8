"""Whole programs of 2 to 27 qubits in OpenQASM 2, read by both readers and by Qiskit."""

from pathlib import Path

import numpy as np
import pytest
import qiskit.qasm2
from qiskit import transpile
from qiskit_aer import AerSimulator

from qloom.circuits import Circuit
from qloom.convert import from_openqasm, from_qiskit, read_circuit, to_openqasm
from qloom.convert.qasm_reference import read_reference
from qloom.errors import InvalidCircuit
from tests.circuits.classical import outcome
from tests.circuits.oracle import matrix_of, same_up_to_phase, unitary
from tests.convert.small_circuits import ripple_adder, small_circuits

SMALL = Path(__file__).parent / "corpus" / "small"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SMALL.glob("*.qasm"))} | dict(small_circuits())
REFUSED = "opaque_used_n2"
READ = {name: text for name, text in TEXTS.items() if name != REFUSED}
LEGACY = qiskit.qasm2.LEGACY_CUSTOM_INSTRUCTIONS


def shape(circuit: Circuit) -> list[tuple[object, ...]]:
    """Everything but the angles, which two readers may round in another order; measurements one by one, as Qiskit has them."""
    found: list[tuple[object, ...]] = [(step.clbits, step.value) for step in circuit.instructions if step.name == "if"]
    for step in circuit.every():
        if step.name == "measure":
            found += [("measure", qubit, bit) for qubit, bit in zip(step.qubits, step.clbits, strict=True)]
        else:
            found.append((step.name, step.qubits, step.controls))
    return found


def angles(circuit: Circuit) -> list[float]:
    return [float(angle) for step in circuit.every() for angle in step.parameters]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", READ)
def test_both_readers_and_qiskit_see_the_same_circuit(name: str) -> None:
    ours, theirs = from_openqasm(READ[name]), from_qiskit(qiskit.qasm2.loads(READ[name], custom_instructions=LEGACY))
    assert ours == read_reference(READ[name])
    assert ours.num_qubits == int(name.rpartition("_n")[2])
    assert (ours.num_qubits, ours.num_clbits) == (theirs.num_qubits, theirs.num_clbits)
    assert shape(ours) == shape(theirs)
    assert np.allclose(angles(ours), angles(theirs), atol=1e-12)
    assert from_openqasm(to_openqasm(ours)) == ours


@pytest.mark.parametrize("name", ["qft_n5", "ising_n6", "variational_n6", "swap_test_n5", "opaque_unused_n2"])
def test_gates_of_their_own_have_qiskits_unitary(name: str) -> None:
    assert same_up_to_phase(
        unitary(from_openqasm(READ[name])), matrix_of(qiskit.qasm2.loads(READ[name], custom_instructions=LEGACY))
    )


def test_an_opaque_gate_is_refused_by_name_where_it_is_called() -> None:
    with pytest.raises(
        InvalidCircuit, match=r"opaque_used_n2\.qasm: line 5, column 28: gate 'crosstalk' is opaque \(declared in line 4\)"
    ):
        read_circuit(SMALL / f"{REFUSED}.qasm")


@pytest.mark.parametrize("bits", [2, 4, 11])
def test_the_adder_adds(bits: int) -> None:
    key = outcome(from_openqasm(ripple_adder(bits)))
    assert int(key[::-1], 2) == 1 + (2**bits - 1)


def test_the_repetition_code_puts_the_fault_right() -> None:
    assert outcome(from_openqasm(TEXTS["correction_n5"])) == "11111"


@pytest.mark.parametrize(("name", "position", "expected"), [("teleport_n3", slice(2, 3), "0"), ("phase_n2", slice(3), "101")])
def test_feed_forward_ends_as_the_algorithm_says(name: str, position: slice, expected: str) -> None:
    circuit = qiskit.qasm2.loads(TEXTS[name], custom_instructions=LEGACY)
    counts = (
        AerSimulator()
        .run(transpile(circuit, AerSimulator(), optimization_level=0), shots=50, seed_simulator=3)
        .result()
        .get_counts()
    )
    assert {key.replace(" ", "")[::-1][position] for key in counts} == {expected}
