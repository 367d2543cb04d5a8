"""What Qiskit's transpiler wrote, read back: names, places, conditions, and angles as sums of multiples of parameters."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter as QiskitParameter
from qiskit.circuit import ParameterExpression
from qiskit.circuit.classical import expr
from qiskit.circuit.library import GlobalPhaseGate
from qiskit.transpiler import CouplingMap, generate_preset_pass_manager

from qloom.circuits import Circuit, Expression, Instruction, Parameter
from qloom.circuits.gates import GATES
from qloom.errors import Unsupported
from qloom.kit.qiskit_back import final_layout, initial_layout, instructions_of
from qloom.kit.qiskit_out import to_qiskit

NUMBERS = st.floats(-5, 5)
FEW = [QiskitParameter(f"p{index}") for index in range(12)]


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_comes_back_under_its_own_name(name: str) -> None:
    row = GATES[name]
    qubits = tuple(reversed(range(row.num_qubits)))
    step = Instruction(name, qubits, tuple(0.25 * (index + 1) for index in range(row.num_parameters)))
    assert instructions_of(to_qiskit(Circuit(3, [step])), phase=True) == (step,)


def test_the_global_phase_stands_first_where_it_is_wanted() -> None:
    phase = Instruction("gphase", (), (0.4,))
    circuit = to_qiskit(Circuit(1, [Instruction("h", (0,)), phase]))
    assert instructions_of(circuit, phase=True) == (phase, Instruction("h", (0,)))
    assert instructions_of(circuit) == (Instruction("h", (0,)),)
    circuit.append(GlobalPhaseGate(0.3))
    assert instructions_of(circuit) == (Instruction("h", (0,)),)
    assert instructions_of(circuit, phase=True)[2] == Instruction("gphase", (), (0.3,))


def test_measurements_delays_resets_and_barriers_stay_in_their_places() -> None:
    circuit = Circuit(3, num_clbits=4).delay(7.0, 2, unit="dt").delay(Parameter("p0"), 0).reset(1).barrier(2, 0).measure(1, 3)
    assert instructions_of(to_qiskit(circuit)) == circuit.instructions


@pytest.mark.parametrize("clbits", [[1], [2, 0], [0, 1, 2], [3, 1, 0]])
@pytest.mark.parametrize("value", [0, 1])
def test_conditions_look_at_the_same_bits(clbits: list[int], value: int) -> None:
    inner = Circuit(3).if_test(2, 1, Circuit(3).cx(1, 2))
    for wide in (3, 4):
        if max(clbits) < wide:
            circuit = Circuit(3, num_clbits=wide).if_test(clbits, value, inner.x(1), Circuit(3).rz(Parameter("p1"), 0))
            assert instructions_of(to_qiskit(circuit)) == circuit.instructions


def test_a_condition_without_anything_under_it_is_left_out() -> None:
    circuit = QuantumCircuit(1, 1)
    branch = QuantumCircuit(1, 1, global_phase=0.4)
    circuit.if_else((0, 1), branch, None, [0], [0])
    assert instructions_of(circuit) == ()
    assert instructions_of(circuit, phase=True)[0].body == (Instruction("gphase", (), (0.4,)),)


# ---- angles


def read(value: Any) -> Any:
    circuit = QuantumCircuit(1)
    circuit.rz(value, 0)
    return instructions_of(circuit)[0].parameters[0]


@given(factors=st.lists(NUMBERS, min_size=1, max_size=12), rest=NUMBERS, values=st.lists(NUMBERS, min_size=12, max_size=12))
@settings(max_examples=50, deadline=None)
def test_sums_of_multiples_have_the_values_that_qiskit_gives_them(factors: list[float], rest: float, values: list[float]) -> None:
    formula: Any = rest
    for factor, parameter in zip(factors, FEW, strict=False):
        formula = factor * parameter + formula
    given_values = dict(zip(FEW, values, strict=True))
    expected = formula.bind({parameter: given_values[parameter] for parameter in formula.parameters})
    found = read(formula)
    ours = found.evaluate({parameter.name: value for parameter, value in given_values.items()}) if found != rest else rest
    assert ours == pytest.approx(float(expected), abs=1e-9)


def test_a_lone_parameter_is_itself_and_the_order_is_that_of_their_numbers() -> None:
    assert read(FEW[3]) == Parameter("p3")
    assert read(-FEW[3]) == -Parameter("p3")
    assert str(read(FEW[10] + FEW[2] + 1.5 - FEW[9] / 2)) == "1.5 + p2 + (-0.5)*p9 + p10"


def test_what_cancels_is_a_number() -> None:
    gone = FEW[1] * 0 + 1.5
    assert isinstance(gone, ParameterExpression)
    assert read(gone) == 1.5
    assert read(FEW[1] - FEW[1]) == 0.0
    assert not isinstance(read(FEW[1] - FEW[1]), Expression)


# ---- refusals


@pytest.mark.parametrize("formula", [(FEW[0] * FEW[1]).sin(), FEW[0] * FEW[1], 1 / FEW[0], FEW[0] ** 2])
def test_other_formulas_are_refused_by_name(formula: ParameterExpression) -> None:
    with pytest.raises(Unsupported, match=r"no sum of multiples.*level to 0"):
        read(formula)


def test_other_instructions_and_conditions_are_refused_by_name() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.initialize("01")
    with pytest.raises(Unsupported, match=r"wrote initialize on qubits \[0, 1\]"):
        instructions_of(circuit)
    asked = QuantumCircuit(1, 2)
    with asked.if_test(expr.logic_or(*asked.clbits)):
        asked.x(0)
    with pytest.raises(Unsupported, match="wrote the condition"):
        instructions_of(asked)


def test_layouts_are_those_of_the_start_and_of_the_end() -> None:
    circuit = to_qiskit(Circuit(3).cx(0, 1).cx(1, 2).cx(0, 2))
    assert (initial_layout(circuit, 3), final_layout(circuit)) == ([0, 1, 2], None)
    manager = generate_preset_pass_manager(
        0, coupling_map=CouplingMap.from_line(4), basis_gates=["cx", "swap"], seed_transpiler=1
    )
    made = manager.run(circuit)
    assert initial_layout(made, 3) == [0, 1, 2]
    places = list(range(4))
    for step in instructions_of(made):
        if step.name == "swap":
            first, second = (places.index(qubit) for qubit in step.qubits)
            places[first], places[second] = places[second], places[first]
    assert final_layout(made) == places[:3] != [0, 1, 2]
