"""Noise given by its operators, in and out of Braket's pragma."""

import numpy as np
import pytest
from braket.default_simulator.openqasm.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction
from qloom.circuits.gates import kraus_operators, kraus_parameters
from qloom.convert import from_openqasm, to_openqasm
from qloom.convert.kraus import read_kraus, write_kraus
from qloom.convert.qasm_reference import read_reference
from qloom.errors import InvalidCircuit

numbers = st.floats(-1, 1, allow_subnormal=False)
DAMPING = [[[1, 0], [0, 0.8]], [[0, 0.6j], [0, 0]]]


@given(st.integers(1, 2).flatmap(lambda n: st.tuples(st.just(n), st.lists(numbers, min_size=2 * 4**n, max_size=2 * 4**n))))
def test_operators_are_read_back_as_they_were_written(case: tuple[int, list[float]]) -> None:
    qubits, values = case
    assert read_kraus(write_kraus(values, qubits)) == tuple(values)


@pytest.mark.parametrize("read", [from_openqasm, read_reference])
def test_a_circuit_with_a_kraus_channel_is_read_back_equal_by_both_readers(read: object) -> None:
    circuit = Circuit(3).h(1).kraus(DAMPING, 1).kraus([np.kron(a, np.eye(2)) for a in np.array(DAMPING)], 2, 0).measure_all()
    assert callable(read)
    assert read(to_openqasm(circuit)) == circuit


def test_braket_reads_the_same_operators() -> None:
    circuit = Circuit(1).h(0).kraus(DAMPING, 0)
    steps = Interpreter().build_circuit(to_openqasm(circuit).replace('include "stdgates.inc";', "")).instructions
    assert np.allclose(steps[-1].matrices, kraus_operators(kraus_parameters(DAMPING), 1))


@pytest.mark.parametrize(
    "text", ["[[1, 0], [0, 1]", "[[1, 0]]", "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]", "[[1, nan], [0, 1]]", "0.1"]
)
def test_operators_that_are_no_square_matrices_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(InvalidCircuit, match=r"line 3.*(cannot be read as noise)"):
        from_openqasm(f"OPENQASM 3.0;\nqubit[1] q;\n#pragma braket noise kraus({text}) q[0]\n")


@pytest.mark.parametrize("operators", [[[[1, 0], [0]]], [[["a", 0], [0, 1]]]])
def test_operators_that_are_no_matrices_of_numbers_are_refused(operators: list[object]) -> None:
    with pytest.raises(InvalidCircuit, match="the operators of a kraus channel are matrices of one size"):
        Circuit(1).kraus(operators, 0)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Instruction("kraus", (0, 1, 2), (1.0,)), "one or two qubits"),
        (Instruction("kraus", (0,), (1.0, 0.0)), "8 numbers for each operator on 1 qubit, got 2"),
        (Instruction("kraus", (0,), kraus_parameters([[[1, 0], [0, 0.9]]])), "off by 0.19"),
        (Instruction("kraus", (0,), ()), "got 0"),
    ],
)
def test_a_channel_that_is_none_is_refused(step: Instruction, said: str) -> None:
    with pytest.raises(InvalidCircuit, match=said):
        Circuit(3, [step])
