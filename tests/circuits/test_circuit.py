import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Expression, Instruction, Parameter
from qloom.errors import InvalidCircuit, UnknownName
from tests.circuits.oracle import unitary
from tests.circuits.strategies import circuits, turns, unitary_circuits

theta, phi = Parameter("theta"), Parameter("phi")


def asymmetric() -> Circuit:
    """No two qubits, bits or parameters of this circuit are alike."""
    steps = Circuit(3, num_clbits=4).x(0).ry(2 * theta + 0.3, 1).cp(phi / 2, 2, 0).gate("u", 1, angles=[0.1, phi, -0.5])
    noisy = steps.channel("bit_flip", 2, probabilities=[0.125]).delay(100, 0, unit="ns").barrier(2, 0).reset(1)
    return noisy.gate("ry", 2, 1, 0, angles=[theta.sin()], controls=2).verbatim(Circuit(3).h(1).cx(1, 2)).measure([2, 0], [3, 1])


# --- building


def test_each_addition_gives_a_new_circuit_and_leaves_the_old_one() -> None:
    one = Circuit(2).h(0)
    two = one.cx(0, 1)
    assert (len(one.instructions), len(two.instructions)) == (1, 2)


def test_every_method_adds_the_gate_of_its_name() -> None:
    built = Circuit(3).id(0).x(0).y(1).z(2).h(0).s(1).sdg(2).t(0).tdg(1).sx(2)
    built = built.rx(0.1, 0).ry(0.2, 1).rz(0.3, 2).p(0.4, 0).u(0.5, 0.6, 0.7, 1)
    built = built.cx(0, 1).cy(1, 2).cz(2, 0).cp(0.8, 0, 2).rzz(0.9, 1, 0).swap(2, 1).ccx(2, 0, 1)
    named = [
        "id",
        "x",
        "y",
        "z",
        "h",
        "s",
        "sdg",
        "t",
        "tdg",
        "sx",
        "rx",
        "ry",
        "rz",
        "p",
        "u",
        "cx",
        "cy",
        "cz",
        "cp",
        "rzz",
        "swap",
        "ccx",
    ]
    assert [step.name for step in built.instructions] == named
    assert built.instructions[-1].qubits == (2, 0, 1)
    assert built.instructions[14].parameters == (0.5, 0.6, 0.7)


@given(circuits())
def test_adding_one_by_one_gives_what_giving_all_at_once_gives(circuit: Circuit) -> None:
    grown = Circuit(circuit.num_qubits, num_clbits=circuit.num_clbits, parameters=circuit.parameters)
    for step in circuit.instructions:
        grown = grown.append(step)
    assert grown == circuit
    assert grown.digest == circuit.digest
    assert grown.structure_digest == circuit.structure_digest


def test_a_gate_under_controls_gets_the_standard_name_that_it_has() -> None:
    assert Circuit(3).gate("x", 0, 1, 2, controls=2) == Circuit(3).ccx(0, 1, 2)
    assert Circuit(2).gate("cnot", 0, 1) == Circuit(2).cx(0, 1)
    assert Circuit(3).gate("t", 2, 0, controls=1).instructions[0].controls == 1


def test_parameters_stand_in_the_order_of_first_use_or_as_given() -> None:
    assert Circuit(1).rx(phi, 0).rx(theta + phi, 0).parameters == ("phi", "theta")
    given_order = Circuit(1, [Instruction("rx", (0,), (phi,))], parameters=["unused", "phi"])
    assert given_order.rx(theta, 0).parameters == ("unused", "phi", "theta")


def test_barriers_and_delays_mean_all_qubits_when_none_is_named() -> None:
    assert Circuit(3).barrier().instructions[0].qubits == (0, 1, 2)
    assert Circuit(2).delay(5, unit="dt").instructions[0].qubits == (0, 1)


# --- what is refused


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([Instruction("h", (2,))], r"h uses qubit 2, but the circuit has 2 \(0 to 1\)"),
        ([Instruction("h", (-1,))], "h uses qubit -1"),
        ([Instruction("cx", (1, 1))], r"cx names a qubit twice: \[1, 1\]"),
        ([Instruction("cx", (1,))], r"cx acts on 2 qubits, got \[1\]"),
        ([Instruction("rx", (1,))], "rx takes 1 parameter, got 0"),
        ([Instruction("u", (1,), (0.1,))], "u takes 3 parameters, got 1"),
        ([Instruction("x", (0, 1), (), (), 2)], r"x acts on 3 qubits, got \[0, 1\]"),
        ([Instruction("x", (), (), (), -1)], "x cannot have -1 controls"),
        ([Instruction("bit_flip", (0, 1), (0.1,), (), 1)], "bit_flip"),
        ([Instruction("bit_flip", (0,), (1.5,))], r"bit_flip takes probabilities from 0 to 1 .*got \[1\.5\]"),
        ([Instruction("pauli_channel", (0,), (0.5, 0.4, 0.3))], "sum to at most 1"),
        ([Instruction("measure", (0, 1), (), (0,))], "measure reads 2 qubits into 1 bits"),
        ([Instruction("measure", (0, 1), (), (0, 0))], r"measure writes a classical bit twice: \[0, 0\]"),
        ([Instruction("measure", ())], "measure names no qubit"),
        ([Instruction("barrier", ())], "barrier names no qubit"),
        ([Instruction("delay", (0,), (1.0,), unit="h")], "a delay's unit is one of s, ms, us, ns, dt, got 'h'"),
        ([Instruction("delay", (0,), (-1.0,), unit="s")], "a delay takes one duration from 0 up"),
        ([Instruction("reset", (0, 1))], r"reset acts on one qubit, got \[0, 1\]; add one reset for each"),
        ([Instruction("reset", (0,), (0.1,))], r"reset takes no parameters, got \[0\.1\]"),
        ([Instruction("verbatim", (0,), body=(Instruction("verbatim", ()),))], "a verbatim block inside a verbatim block"),
        ([Instruction("verbatim", (0,), body=(Instruction("h", (9,)),))], "h uses qubit 9"),
        ([Instruction("reset", (0,), (), (), 1)], "reset is no gate and cannot have controls, got 1"),
    ],
)
def test_an_instruction_that_makes_no_sense_is_refused(steps: list[Instruction], said: str) -> None:
    with pytest.raises(InvalidCircuit, match=said):
        Circuit(2, steps)


def test_an_unknown_gate_is_answered_with_near_names() -> None:
    with pytest.raises(UnknownName, match=r"no gate called 'cxx'; did you mean .*'cx'"):
        Circuit(2).gate("cxx", 0, 1)


def test_a_classical_bit_beyond_the_given_ones_is_refused_and_grows_otherwise() -> None:
    with pytest.raises(InvalidCircuit, match="measure writes classical bit 5, but the circuit has 2"):
        Circuit(2, [Instruction("measure", (0,), (), (5,))], num_clbits=2)
    assert Circuit(2).measure(0, 5).num_clbits == 6


@pytest.mark.parametrize("names", [["theta"], ["theta", "phi", "phi"]])
def test_names_that_do_not_fit_the_parameters_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidCircuit, match=r"parameters \['phi'\] are used but not among|a parameter is named twice"):
        Circuit(1, [Instruction("rx", (0,), (theta * phi,))], parameters=names)


@pytest.mark.parametrize("size", [-1, 1.5, "2"])
def test_a_number_of_qubits_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(InvalidCircuit, match="num_qubits must be an integer from 0 up"):
        Circuit(size)  # type: ignore[arg-type]


# --- asking


def test_without_measurement_every_qubit_is_measured_in_order() -> None:
    assert Circuit(3).h(2).measured() == {0: 0, 1: 1, 2: 2}
    assert Circuit(3, num_clbits=5).key_length == 3


def test_measured_says_which_qubit_ends_in_which_bit() -> None:
    twice = Circuit(3).measure([2, 0], [0, 3]).measure(1, 3)
    assert twice.measured() == {0: 2, 3: 1}
    assert twice.key_length == 4


def test_verbatim_blocks_are_opened_by_flat_and_keep_their_measurements() -> None:
    block = Circuit(2).verbatim(Circuit(2).x(1).measure(1, 0)).verbatim([])
    assert [step.name for step in block.flat()] == ["x", "measure"]
    assert block.instructions[0].qubits == (1,)
    assert block.measured() == {0: 1}


def test_kinds_are_gate_channel_or_the_name_itself() -> None:
    kinds = [step.kind for step in asymmetric().instructions]
    assert kinds == [*["gate"] * 4, "channel", "delay", "barrier", "reset", "gate", "verbatim", "measure"]


# --- binding


@given(unitary_circuits(), st.dictionaries(st.sampled_from(["theta", "phi"]), turns, min_size=2, max_size=2))
def test_binding_puts_the_values_into_the_formulas(circuit: Circuit, values: dict[str, float]) -> None:
    symbolic = circuit.rx(2 * theta - phi, 0).gate("p", 0, angles=[theta * phi])
    numeric = circuit.rx(2 * values["theta"] - values["phi"], 0).gate("p", 0, angles=[values["theta"] * values["phi"]])
    assert np.allclose(unitary(symbolic, values), unitary(numeric), atol=1e-9)


def test_binding_some_parameters_keeps_the_others_in_order() -> None:
    bound = asymmetric().bind({"theta": phi + 1})
    assert bound.parameters == ("phi",)
    assert bound.instructions[1].parameters == (2 * (phi + 1) + 0.3,)
    assert not any(isinstance(angle, Expression) for step in bound.bind({"phi": 1}).flat() for angle in step.parameters)


def test_a_name_that_the_circuit_does_not_have_cannot_be_bound() -> None:
    with pytest.raises(UnknownName, match="no parameter of this circuit called 'thetta'; did you mean 'theta'"):
        Circuit(1).rx(theta, 0).bind({"thetta": 1.0})


# --- identity


def test_digests_are_these_on_every_machine() -> None:
    # Journals and caches hold these: whoever changes them raises FORM_VERSION.
    assert asymmetric().digest == "f0540d7ee500fb9eb405c9c924fc8e60"
    assert asymmetric().structure_digest == "1c45deaf85b155d4d75ea5d7291938ff"
    assert Circuit(2).h(0).cx(0, 1).digest == "a4ba4ef592620fedf0af7a3a9ae77fbe"


def test_digests_do_not_depend_on_the_hash_seed() -> None:
    code = "from qloom.circuits import *; t = Parameter('t'); print(Circuit(2).rx(t * 2 + 1, 1).ry(t.sin(), 0).digest)"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


@pytest.mark.parametrize(
    "other",
    [
        Circuit(3, num_clbits=1).rx(2 * theta + 0.3, 0).measure(1, 0),
        Circuit(2, num_clbits=2).rx(2 * theta + 0.3, 0).measure(1, 0),
        Circuit(2).ry(2 * theta + 0.3, 0).measure(1, 0),
        Circuit(2).rx(2 * theta + 0.3, 1).measure(1, 0),
        Circuit(2).rx(2 * phi + 0.3, 0).measure(1, 0),
        Circuit(2).rx(2 * theta + 0.30000000000000004, 0).measure(1, 0),
        Circuit(2).rx(theta * theta + 0.3, 0).measure(1, 0),
        Circuit(2).rx(0.3, 0).measure(1, 0),
        Circuit(2).rx(2 * theta + 0.3, 0).measure(0, 0),
        Circuit(2).measure(1, 0).rx(2 * theta + 0.3, 0),
        Circuit(2).verbatim(Circuit(2).rx(2 * theta + 0.3, 0)).measure(1, 0),
        Circuit(2, parameters=["phi"]).rx(2 * theta + 0.3, 0).measure(1, 0),
    ],
)
def test_whatever_differs_changes_the_digest(other: Circuit) -> None:
    circuit = Circuit(2).rx(2 * theta + 0.3, 0).measure(1, 0)
    assert other != circuit
    assert other.digest != circuit.digest


def test_equal_circuits_have_equal_digests_however_they_were_written() -> None:
    assert Circuit(1).rx(2 * theta + 0.3, 0).digest == Circuit(1).rx(0.3 + theta * 2, 0).digest
    assert Circuit(1).rx(-0.0, 0) == Circuit(1).rx(0.0, 0)
    assert hash(Circuit(1).rx(-0.0, 0)) == hash(Circuit(1).rx(0.0, 0))


def test_the_structure_forgets_numbers_and_names_and_nothing_else() -> None:
    structure = Circuit(2).ry(2 * theta + 0.3, 0).rz(0.5, 1).structure_digest
    assert Circuit(2).ry(-phi, 0).rz(0.7, 1).structure_digest == structure
    assert Circuit(2).ry(theta, 1).rz(0.5, 1).structure_digest != structure
    assert Circuit(2).ry(theta.sin(), 0).rz(0.5, 1).structure_digest != structure
    assert Circuit(2).ry(0.1, 0).rz(0.5, 1).structure_digest != structure


def test_the_name_is_for_people_only() -> None:
    assert Circuit(1, name="a") == Circuit(1, name="b")
    assert hash(Circuit(1, name="a")) == hash(Circuit(1, name="b"))
    assert repr(Circuit(1, name="a")) == "<Circuit 'a': 1 qubits, 0 instructions, 0 parameters>"
    assert Circuit(1) != "a circuit"
