"""Steps that run only where classical bits have a value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Expression, Instruction, Parameter
from qloom.circuits.algebra import controlled, inverse, inverse_sequence, power
from qloom.circuits.circuit import MAX_NESTING, conditional
from qloom.errors import InvalidCircuit
from tests.circuits.classical import outcome
from tests.circuits.strategies import circuits

theta, phi = Parameter("theta"), Parameter("phi")
X = Instruction("x", (0,))


def feed_forward() -> Circuit:
    """No two branches, bits or angles of this circuit are alike."""
    inner = Circuit(3).ry(2 * theta, 2).measure(2, 3)
    return (
        Circuit(3, num_clbits=5)
        .h(0)
        .measure([0, 1], [0, 2])
        .if_test([2, 0], 1, Circuit(3).x(1).if_test(3, 0, inner), Circuit(3).rx(phi, 0))
        .if_test(4, 1, Circuit(3).verbatim(Circuit(3).z(1)))
    )


def nested(depth: int) -> Instruction:
    step = X
    for _ in range(depth):
        step = conditional((0,), 1, (step,))
    return step


# --- building


def test_an_if_acts_on_the_qubits_of_both_branches() -> None:
    step = Circuit(4).if_test([1, 0], 2, Circuit(4).cx(3, 1), [Instruction("h", (0,))]).instructions[0]
    assert (step.name, step.kind, step.qubits, step.clbits, step.value) == ("if", "if", (0, 1, 3), (1, 0), 2)
    assert ([inner.name for inner in step.body], [inner.name for inner in step.orelse]) == (["cx"], ["h"])


def test_classical_bits_and_parameters_grow_with_what_an_if_holds() -> None:
    assert feed_forward().parameters == ("theta", "phi")
    assert Circuit(1).if_test(6, 1, [X]).num_clbits == 7
    assert Circuit(1).if_test(0, 1, Circuit(1).measure(0, 8)).num_clbits == 9
    assert Circuit(1).if_test(0, 1, [X], [Instruction("rx", (0,), (phi,))]).parameters == ("phi",)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (conditional((), 0, (X,)), r"looks at different classical bits, at least one, got \[\]"),
        (conditional((1, 1), 0, (X,)), r"looks at different classical bits, at least one, got \[1, 1\]"),
        (conditional((0, 1), 4, (X,)), "compares bits with what they can hold: 2 bits hold 0 to 3, never 4"),
        (conditional((0,), -1, (X,)), "1 bit holds 0 to 1, never -1"),
        (conditional(tuple(range(100)), 1 << 20_000, (X,)), r"100 bits hold 0 to 2\*\*100 - 1, never a number of 20001 binary"),
        (conditional((0,), 0.0, (X,)), "compares bits with a whole number, got 0.0"),  # type: ignore[arg-type]
        (conditional((0,), 1, ()), "an if without any instruction has no meaning; leave it out"),
        (
            conditional((0,), 1, (X,))._replace(qubits=(0, 1)),
            r"acts on the qubits of its instructions, \[0\], but names \[0, 1\]",
        ),
        (conditional((0,), 1, (X,))._replace(parameters=(0.5,)), "if takes no parameters"),
        (conditional((0,), 1, (X,))._replace(controls=1), "if is no gate and cannot have controls"),
        (conditional((0,), 1, (Instruction("x", (5,)),)), "uses qubit 5, but the circuit has 2"),
        (conditional((0,), 1, (), (Instruction("cx", (0,)),)), "cx acts on 2 qubits"),
        (Instruction("verbatim", (0,), body=(conditional((0,), 1, (X,)),)), "an if inside a verbatim block cannot be run"),
        (nested(MAX_NESTING + 1), "nested more than 32 deep"),
        (nested(5_000), "nested more than 32 deep"),
        (X._replace(value=1), "x looks at no classical bits"),
        (X._replace(orelse=(X,)), "x looks at no classical bits"),
        (X._replace(body=(X,)), "x holds no other instructions; verbatim and if do"),
    ],
)
def test_an_if_that_makes_no_sense_is_refused(step: Instruction, said: str) -> None:
    with pytest.raises(InvalidCircuit, match=said):
        Circuit(2, [step])


def test_bits_beyond_the_given_ones_are_refused() -> None:
    with pytest.raises(InvalidCircuit, match="if reads classical bit 2, but the circuit has 2"):
        Circuit(1, [conditional((2,), 1, (X,))], num_clbits=2)
    with pytest.raises(InvalidCircuit, match="measure writes classical bit 2, but the circuit has 2"):
        Circuit(1, [conditional((0,), 1, (Instruction("measure", (0,), (), (2,)),))], num_clbits=2)


def test_ifs_may_be_nested_to_the_limit_and_no_deeper() -> None:
    assert Circuit(1, [nested(MAX_NESTING)]).digest != Circuit(1, [nested(MAX_NESTING - 1)]).digest
    with pytest.raises(InvalidCircuit, match="nested more than 32 deep"):
        Circuit(1).if_test(0, 1, [nested(MAX_NESTING)])


# --- asking


def test_every_opens_the_branches_and_flat_does_not() -> None:
    assert [step.name for step in feed_forward().every()] == ["h", "measure", "x", "ry", "measure", "rx", "z"]
    assert [step.name for step in feed_forward().flat()] == ["h", "measure", "if", "if"]


def test_what_a_branch_measures_counts_as_measured() -> None:
    assert feed_forward().measured() == {0: 0, 2: 1, 3: 2}
    assert feed_forward().key_length == 5
    assert Circuit(2, num_clbits=3).if_test(0, 1, [X]).key_length == 2
    assert Circuit(2, num_clbits=3).if_test(0, 1, [X], [Instruction("measure", (1,), (), (0,))]).measured() == {0: 1}


def test_values_reach_every_branch() -> None:
    bound = feed_forward().bind({"theta": 0.25, "phi": 1})
    assert [step.parameters for step in bound.every() if step.parameters] == [(0.5,), (1.0,)]
    half = feed_forward().bind({"phi": theta + 1})
    assert half.parameters == ("theta",)
    assert not any(isinstance(angle, Expression) for step in half.bind({"theta": 0}).every() for angle in step.parameters)


# --- identity


def test_digests_of_conditionals_are_these_on_every_machine() -> None:
    assert feed_forward().digest == "9c39ec4845a7606b0007feb715729807"
    assert feed_forward().structure_digest == "20686bfe982902be43e7b71ed1102352"


def test_the_structure_forgets_the_numbers_inside_of_branches_only() -> None:
    structure = feed_forward().bind({"theta": 0.1}).structure_digest
    assert feed_forward().bind({"theta": 0.7}).structure_digest == structure
    assert feed_forward().bind({"theta": 0.1, "phi": 0.3}).structure_digest != structure


@pytest.mark.parametrize(
    "other",
    [
        Circuit(2, num_clbits=3).if_test([0, 1], 1, [X]),
        Circuit(2, num_clbits=3).if_test([1, 0], 2, [X]),
        Circuit(2, num_clbits=3).if_test([0, 1, 2], 2, [X]),
        Circuit(2, num_clbits=3).if_test([0, 1], 2, [], [X]),
        Circuit(2, num_clbits=3).if_test([0, 1], 2, [X], [X]),
        Circuit(2, num_clbits=3).if_test([0, 1], 2, [X, X]),
        Circuit(2, num_clbits=3).if_test([0, 1], 2, [X]).x(0),
        Circuit(2, num_clbits=3).if_test([0, 1], 2, Circuit(2).verbatim([X])),
        Circuit(2, num_clbits=3).if_test([0, 1], 2, Circuit(2).if_test([0, 1], 2, [X])),
        Circuit(2, num_clbits=3).x(0),
    ],
)
def test_whatever_differs_in_an_if_changes_both_digests(other: Circuit) -> None:
    circuit = Circuit(2, num_clbits=3).if_test([0, 1], 2, [X])
    assert circuit != other
    assert circuit.digest != other.digest
    assert circuit.structure_digest != other.structure_digest


def test_equal_circuits_have_equal_digests_whatever_kind_of_number_the_value_is() -> None:
    assert Circuit(1).if_test(0, True, [X]) == Circuit(1).if_test(0, 1, [X])
    assert Circuit(1).if_test(0, True, [X]).digest == Circuit(1).if_test(0, 1, [X]).digest
    assert len(Circuit(1).if_test(range(20_000), (1 << 20_000) - 1, [X]).digest) == 32


# --- inverse, control, power


def test_an_if_has_no_inverse_and_no_controls() -> None:
    step = conditional((3, 1), 2, (X,))
    for backwards in (lambda: inverse(step), lambda: inverse_sequence([X, step]), lambda: power([X, step], -1)):
        with pytest.raises(InvalidCircuit, match="an if on the classical bits 3, 1 has no inverse: what they held is not known"):
            backwards()
    with pytest.raises(InvalidCircuit, match="an if cannot be controlled; only gates can"):
        controlled(step, [4])


# --- meaning


@given(st.integers(0, 7), st.integers(0, 7), st.permutations(range(3)))
def test_bit_j_of_the_value_is_the_jth_bit_named(held: int, value: int, bits: list[int]) -> None:
    prepared = Circuit(4, num_clbits=4)
    for place, bit in enumerate(bits):
        prepared = prepared.x(bit) if held >> place & 1 else prepared
    asked = prepared.measure([0, 1, 2]).if_test(bits, value, Circuit(4).x(3)).measure(3)
    assert outcome(asked)[3] == str(int(held == value))


@settings(max_examples=30)
@given(circuits())
def test_binding_nothing_changes_nothing(circuit: Circuit) -> None:
    assert circuit.bind({}) == circuit
    assert circuit.bind({}).structure_digest == circuit.structure_digest
