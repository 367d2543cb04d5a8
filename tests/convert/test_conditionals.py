"""`if` in OpenQASM and in Qiskit circuits, with Qiskit's Aer and Qiskit's reader as witnesses."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import qiskit.qasm2
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Clbit, Parameter, Qubit
from qiskit.circuit.classical import expr, types
from qiskit_aer import AerSimulator

from qloom.circuits import Circuit, Instruction
from qloom.circuits.circuit import conditional
from qloom.convert import from_openqasm, from_qiskit, to_openqasm
from qloom.convert.qasm_fast import read_subset
from qloom.convert.qasm_reference import read_reference
from qloom.errors import InvalidCircuit
from tests.circuits.classical import outcome

HEADER = "OPENQASM 3.0;\nqubit[3] q;\nbit[3] c;\nbit one;\nbit[1] last;\n"
X0, X1, X2 = (Instruction("x", (qubit,)) for qubit in range(3))
AER = AerSimulator()


def read(text: str) -> tuple[Instruction, ...]:
    """What the reference reader reads, and the fast one if it takes the text."""
    reference = read_reference(HEADER + text)
    assert from_openqasm(HEADER + text) == reference
    return reference.instructions


def ran(circuit: QuantumCircuit) -> str:
    """The classical bits after one shot of Aer, bit 0 first."""
    key: str
    (key,) = AER.run(circuit, shots=1, seed_simulator=7).result().get_counts()
    return key.replace(" ", "")[::-1]


# --- OpenQASM


@pytest.mark.parametrize(
    ("condition", "clbits", "value", "swapped"),
    [
        ("c[0]", (0,), 1, False),
        ("!c[2]", (2,), 0, False),
        ("!!c[2]", (2,), 1, False),
        ("c[1] == 1", (1,), 1, False),
        ("c[1] == 0", (1,), 0, False),
        ("c[1] != 0", (1,), 1, False),
        ("c[1] == true", (1,), 1, False),
        ("c[1] != true", (1,), 0, False),
        ("c[-1]", (2,), 1, False),
        ("one", (3,), 1, False),
        ("last", (4,), 1, False),
        ("last == 0", (4,), 0, False),
        ("c == 3", (0, 1, 2), 3, False),
        ("3 == c", (0, 1, 2), 3, False),
        ("false != c[1]", (1,), 1, False),
        ("c == 0x6", (0, 1, 2), 6, False),
        ('c == "011"', (0, 1, 2), 3, False),
        ("c != 4", (0, 1, 2), 4, True),
        ("!(c == 4)", (0, 1, 2), 4, True),
        ("!(c != 4)", (0, 1, 2), 4, False),
        ("c[1:2] == 1", (1, 2), 1, False),
        ("c[0] && c[2]", (0, 2), 3, False),
        ("c[2] == 1 && !c[0]", (2, 0), 1, False),
        ("c == 6 && one", (0, 1, 2, 3), 14, False),
        ("c[0] && c == 5", (0, 1, 2), 5, False),
        ("!(c[0] && c[1])", (0, 1), 3, True),
        ("one == 1 && c[0] == false && last", (3, 0, 4), 5, False),
    ],
)
def test_a_condition_is_one_equality(condition: str, clbits: tuple[int, ...], value: int, swapped: bool) -> None:
    one, both = ((), (X0,)) if swapped else ((X0,), ()), ((X1,), (X0,)) if swapped else ((X0,), (X1,))
    assert read(f"if ({condition}) x q[0];") == (conditional(clbits, value, *one),)
    assert read(f"if ({condition}) {{ x q[0]; }} else {{ x q[1]; }}") == (conditional(clbits, value, *both),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if (one) { x q[0]; x q[1]; }", (conditional((3,), 1, (X0, X1)),)),
        ("if (one) x q[0]; else x q[1];", (conditional((3,), 1, (X0,), (X1,)),)),
        ("if (one) { } else x q[1];", (conditional((3,), 1, (), (X1,)),)),
        ("if (one) x q[0]; else if (last) x q[1];", (conditional((3,), 1, (X0,), (conditional((4,), 1, (X1,)),)),)),
        ("if (one) { if (last) { x q[1]; } x q[0]; }", (conditional((3,), 1, (conditional((4,), 1, (X1,)), X0)),)),
        ("if (one) if (last) x q[1];", (conditional((3,), 1, (conditional((4,), 1, (X1,)),)),)),
        ("if (one) { } x q[0];", (X0,)),
        ("if (one) { if (last) { } }", ()),
        ("if (one) { for int i in [0:1] { x q[i]; } }", (conditional((3,), 1, (X0, X1)),)),
        ("for int i in [1:2] { if (c[i]) x q[i]; }", (conditional((1,), 1, (X1,)), conditional((2,), 1, (X2,)))),
        ("const int n = 5; if (c == n + 1) x q[0];", (conditional((0, 1, 2), 6, (X0,)),)),
        ("let pair = c[{2, 0}]; if (pair == 1) x q[0];", (conditional((2, 0), 1, (X0,)),)),
        ("if (one) { const int n = 1; x q[n]; } x q[0];", (conditional((3,), 1, (X1,)), X0)),
        ("if (one) { reset q[0:1]; }", (conditional((3,), 1, (Instruction("reset", (0,)), Instruction("reset", (1,)))),)),
        ("gate g a, b { x b; x a; } if (one) g q[2], q[0];", (conditional((3,), 1, (X0, X2)),)),
    ],
)
def test_branches_hold_what_statements_stand_for(text: str, expected: tuple[Instruction, ...]) -> None:
    assert read(text) == expected


def test_most_conditionals_are_read_by_the_fast_reader() -> None:
    text = HEADER + "if (c[0] && !one) { if (c != 3) { x q; } } else { x q[1]; } if (last == 1) x q[0];"
    assert read_subset(text) == read_reference(text)


def test_version_2_compares_registers_with_bit_0_least_significant() -> None:
    text = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; creg a[1]; creg b[2]; if(b==2) x q[1]; if (a == 0) measure q -> c;'
    text = text.replace("measure q -> c", "measure q[0] -> b[1]")
    expected = Circuit(3, num_clbits=3).if_test([1, 2], 2, [X1]).if_test(0, 0, Circuit(3).measure(0, 2))
    assert read_subset(text) == read_reference(text) == from_qiskit(qiskit.qasm2.loads(text)) == expected


def test_what_is_written_is_this() -> None:
    circuit = (
        Circuit(2, num_clbits=3)
        .if_test(1, 1, [X0])
        .if_test([2, 0], 1, [X0], [X1])
        .if_test([0, 1, 2], 6, [X0])
        .if_test([0, 1, 2], 6, [], [X1])
        .if_test(0, 0, [], Circuit(2).gate("sxdg", 1))
    )
    assert to_openqasm(circuit).split("qubit[2] q;\n")[1].replace("\n", " ") == (
        "if (c[1] == true) { x q[0]; } "
        "if (c[2] == true && c[0] == false) { x q[0]; } else { x q[1]; } "
        "if (c == 6) { x q[0]; } "
        "if (c != 6) { x q[1]; } "
        "if (c[0] == false) { } else { sxdg q[1]; } "
    )
    assert "gate sxdg q0 { h q0; sdg q0; h q0; }" in to_openqasm(circuit)
    assert from_openqasm(to_openqasm(circuit)) == circuit


def test_a_register_too_wide_for_a_number_is_compared_bit_by_bit() -> None:
    wide = Circuit(1, num_clbits=1_000).if_test(range(1_000), (1 << 1_000) - 2, [X0])
    assert "if (c[0] == false && c[1] == true &&" in to_openqasm(wide)
    assert read_subset(to_openqasm(wide)) == wide


# --- Qiskit


def with_two_registers() -> QuantumCircuit:
    return QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "a"), ClassicalRegister(3, "b"))


@pytest.mark.parametrize(
    ("condition", "clbits", "value", "swapped"),
    [
        (lambda qc: (qc.clbits[3], 1), (3,), 1, False),
        (lambda qc: (qc.clbits[3], False), (3,), 0, False),
        (lambda qc: (qc.cregs[1], 6), (2, 3, 4), 6, False),
        (lambda qc: expr.lift(qc.clbits[1]), (1,), 1, False),
        (lambda qc: expr.logic_not(qc.clbits[1]), (1,), 0, False),
        (lambda qc: expr.index(qc.cregs[1], 2), (4,), 1, False),
        (lambda qc: expr.equal(qc.cregs[0], 2), (0, 1), 2, False),
        (lambda qc: expr.equal(2, qc.cregs[0]), (0, 1), 2, False),
        (lambda qc: expr.equal(qc.clbits[2], False), (2,), 0, False),
        (lambda qc: expr.not_equal(qc.cregs[1], 5), (2, 3, 4), 5, True),
        (lambda qc: expr.logic_not(expr.equal(qc.cregs[1], 5)), (2, 3, 4), 5, True),
        (lambda qc: expr.logic_and(qc.clbits[4], expr.logic_not(qc.clbits[0])), (4, 0), 1, False),
        (lambda qc: expr.logic_and(expr.equal(qc.cregs[0], 1), qc.clbits[2]), (0, 1, 2), 5, False),
    ],
)
def test_a_qiskit_condition_is_one_equality(
    condition: Callable[[QuantumCircuit], object],
    clbits: tuple[int, ...],
    value: int,
    swapped: bool,
) -> None:
    circuit = with_two_registers()
    with circuit.if_test(condition(circuit)) as otherwise:
        circuit.x(0)
    with otherwise:
        circuit.x(1)
    expected = conditional(clbits, value, *(((X1,), (X0,)) if swapped else ((X0,), (X1,))))
    assert from_qiskit(circuit).instructions == (expected,)
    assert from_openqasm(qasm3.dumps(circuit)).instructions == (expected,)


def test_blocks_are_placed_on_the_qubits_and_bits_that_they_are_given() -> None:
    block = QuantumCircuit([Qubit(), Qubit(), Clbit()])
    block.cx(0, 1)
    block.measure(1, 0)
    inner = QuantumCircuit([Qubit()])
    inner.x(0)
    block.if_else((block.clbits[0], 1), inner, None, [1], [])
    circuit = QuantumCircuit(3, 3)
    circuit.if_else((circuit.clbits[0], 0), block, None, [2, 0], [1])
    body = Circuit(3, num_clbits=3).cx(2, 0).measure(0, 1).if_test(1, 1, [X0])
    assert from_qiskit(circuit) == Circuit(3, num_clbits=3).if_test(0, 0, body)


def test_any_number_of_ifs_may_follow_each_other() -> None:
    circuit = QuantumCircuit(1, 1)
    for _ in range(40):
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(0)
    text = "OPENQASM 3.0; qubit[1] q; bit[1] c; " + "if (c[0]) { x q[0]; }" * 40
    assert from_qiskit(circuit) == read_subset(text) == read_reference(text)


def test_a_loop_over_known_numbers_is_unrolled_with_its_variable_put_in() -> None:
    circuit, k, a = QuantumCircuit(2, 1), Parameter("k"), Parameter("a")
    with circuit.for_loop(range(1, 6, 2), k):
        circuit.rx(k * a, 0)
    with circuit.for_loop((4, 2), Parameter("unused")), circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    read_back = from_qiskit(circuit)
    assert [step.name for step in read_back.instructions] == ["rx", "rx", "rx", "if", "if"]
    assert [step.parameters[0] for step in read_back.bind({"a": 2.0}).instructions[:3]] == [2.0, 6.0, 10.0]


def test_an_if_without_any_instruction_is_left_out() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((circuit.clbits[0], 1)):
        pass
    assert from_qiskit(circuit) == Circuit(1, num_clbits=1)


def looping(circuit: QuantumCircuit) -> None:
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.x(0)


def switching(circuit: QuantumCircuit) -> None:
    with circuit.switch(circuit.cregs[0]) as case, case(0):
        circuit.x(0)


def breaking(circuit: QuantumCircuit) -> None:
    with circuit.for_loop(range(2)), circuit.if_test((circuit.clbits[0], 1)):
        circuit.break_loop()


def asking(condition: Callable[[QuantumCircuit], object]) -> Callable[[QuantumCircuit], None]:
    def add(circuit: QuantumCircuit) -> None:
        with circuit.if_test(condition(circuit)):
            circuit.x(0)

    return add


def ranging(circuit: QuantumCircuit) -> None:
    body = QuantumCircuit(1)
    body.x(0)
    circuit.for_loop(range(2_000_000), None, body, [0], [])


def ranging_far(circuit: QuantumCircuit) -> None:
    """Longer than memory, and no longer than a machine word: Qiskit itself fills the memory with a range beyond that."""
    with circuit.for_loop(range(2**62)) as turn:
        circuit.rx(turn, 0)


def deep(circuit: QuantumCircuit) -> None:
    block = QuantumCircuit(circuit.qubits[:1], circuit.clbits)
    block.x(0)
    for _ in range(33):
        around = QuantumCircuit(circuit.qubits[:1], circuit.clbits)
        around.if_else((circuit.clbits[0], 1), block, None, [0], [0, 1])
        block = around
    circuit.compose(block, [0], inplace=True)


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (looping, r"classical control flow \('while_loop'\) is not held"),
        (switching, r"classical control flow \('switch_case'\) is not held"),
        (breaking, r"classical control flow \('break_loop'\) is not held"),
        (ranging, "a loop of 2000000 turns is too long; the limit is 1000000"),
        (ranging_far, "a loop of 4611686018427387904 turns is too long; the limit is 1000000"),
        (deep, "ifs are nested more than 32 deep, which is the limit"),
        (asking(lambda qc: expr.logic_or(qc.clbits[0], qc.clbits[1])), "a Qiskit condition with LOGIC_OR is not held"),
        (asking(lambda qc: expr.less(qc.cregs[0], 2)), "a Qiskit condition with LESS is not held"),
        (asking(lambda qc: expr.bit_not(qc.clbits[0])), "a Qiskit condition with BIT_NOT is not held"),
        (asking(lambda qc: expr.logic_not(qc.cregs[0])), "a Qiskit condition with Cast is not held"),
        (asking(lambda qc: expr.lift(True)), "a Qiskit condition with Value is not held"),
        (asking(lambda qc: expr.equal(qc.cregs[0], qc.cregs[0])), "a Qiskit condition with a comparison of two variables"),
        (asking(lambda qc: expr.equal(expr.bit_and(qc.cregs[0], 1), 1)), "a Qiskit condition with BIT_AND is not held"),
        (asking(lambda qc: expr.logic_and(expr.not_equal(qc.cregs[0], 1), qc.clbits[0])), "'&&' joins equalities only"),
        (asking(lambda qc: qc.add_input("flag", types.Bool())), "with a variable that is no bit and no register is not held"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_other_control_flow_is_refused_by_name(add: Callable[[QuantumCircuit], None], said: str) -> None:
    circuit = QuantumCircuit(2, 2)
    add(circuit)
    with pytest.raises(InvalidCircuit, match=said):
        from_qiskit(circuit)


# --- the same outcome as in Aer


@st.composite
def classical_steps(draw: st.DrawFn, depth: int = 2) -> list[tuple[Any, ...]]:
    """Steps of a classical circuit on three qubits and a register of three bits, as plain values."""
    step = st.one_of(
        st.tuples(st.just("x"), st.integers(0, 2)),
        st.tuples(st.just("cx"), st.permutations(range(3))),
        st.tuples(st.just("measure"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("reset"), st.integers(0, 2)),
    )
    if depth:
        inner = classical_steps(depth - 1)
        one = st.tuples(st.just("bit"), st.integers(0, 2), st.booleans(), inner, inner)
        whole = st.tuples(st.just("register"), st.just(0), st.integers(0, 7), inner, inner)
        step = st.one_of(step, one, whole)
    return draw(st.lists(step, min_size=1, max_size=5))


def build(circuit: QuantumCircuit, steps: list[tuple[Any, ...]]) -> QuantumCircuit:
    for name, *given_values in steps:
        match name, given_values:
            case "cx", [order]:
                circuit.cx(*order[:2])
            case (("bit" | "register"), [bit, value, then, other]):
                target = circuit.clbits[bit] if name == "bit" else circuit.cregs[0]
                with circuit.if_test((target, int(value))) as otherwise:
                    build(circuit, then)
                with otherwise:
                    build(circuit, other)
            case _:
                getattr(circuit, str(name))(*given_values)
    return circuit


@settings(max_examples=40)
@given(classical_steps())
def test_conditionals_end_as_in_aer_from_qiskit_and_from_text_and_back(steps: list[tuple[Any, ...]]) -> None:
    theirs = build(QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(3, "c")), steps)
    theirs.measure([0, 1, 2], [0, 1, 2])
    ours = from_qiskit(theirs)
    assert outcome(ours) == ran(theirs)
    assert from_openqasm(qasm3.dumps(theirs)) == ours
    assert from_openqasm(to_openqasm(ours)) == ours


@settings(max_examples=15)
@given(classical_steps())
def test_qiskit_reads_our_conditionals_with_the_same_outcome(steps: list[tuple[Any, ...]]) -> None:
    pytest.importorskip("qiskit_qasm3_import", reason="Qiskit reads OpenQASM 3 only with this package")
    ours = from_qiskit(build(QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(3, "c")), steps)).measure_all()
    # Qiskit's reader knows no `!=`: the same with an empty branch.
    text = re.sub(r"if \(c != (\d)\) \{", r"if (c == \1) { } else {", to_openqasm(ours))
    assert ran(qasm3.loads(text)) == outcome(ours)
