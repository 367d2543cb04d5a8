"""Transpiled Qiskit circuits as JSON: what comes back is what was transpiled, and what has no form is not kept."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit import transpile as by_qiskit
from qiskit.circuit import Gate, IfElseOp, Measure, Parameter, ParameterVector
from qiskit.circuit.classical import expr
from qiskit.circuit.library import CXGate, RZGate, SXGate, UnitaryGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator

from qloom.circuits import Circuit, Instruction
from qloom.circuits import Parameter as OurParameter
from qloom.circuits.gates import GATES
from qloom.devices.qiskit_cache import KeptCircuits, from_text, to_text
from qloom.devices.qiskit_formulas import read_formula, write_formula
from qloom.devices.qiskit_text import from_document, to_document
from qloom.kit.compile_cache import CompileCache
from qloom.kit.qiskit_back import final_layout, initial_layout
from qloom.kit.qiskit_out import to_qiskit

LINE = GenericBackendV2(5, seed=1, control_flow=True, noise_info=False, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]])
A, B = Parameter("p0"), Parameter("p1")


class Sway(Gate):
    """A vendor's own gate."""

    def __init__(self, angle: Any) -> None:
        super().__init__("sway", 1, [angle])


def own_target() -> Target:
    target = Target(num_qubits=2)
    target.add_instruction(Sway(Parameter("x")), {(0,): None, (1,): None})
    return target


def back(circuit: Any, target: Any = None) -> Any:
    named = {parameter.name: parameter for parameter in circuit.parameters}
    return from_text(to_text(circuit), Target() if target is None else target, named)


def kept(circuit: Any, target: Any, folder: Any) -> bool:
    """Whether the cache gives the circuit back without making it again."""
    cache = KeptCircuits(CompileCache.below(folder))
    cache.get("ab" * 16, target, lambda: circuit)
    other = QuantumCircuit(7)
    return cache.get("ab" * 16, target, lambda: other) is not other


# ---- what comes back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(GATES) - {"gphase"}))
@pytest.mark.parametrize("backend", [LINE, AerSimulator()], ids=["line", "aer"])
def test_every_gate_with_controls_is_kept_as_it_was_transpiled(name: str, backend: Any, tmp_path: Any) -> None:
    row = GATES[name]
    angles = (0.37, 2 * OurParameter("p0"), OurParameter("p1"), 0.8)[: row.num_parameters]
    for controls in {0, min(2, 5 - row.num_qubits)}:
        step = Instruction(name, tuple(range(row.num_qubits + controls)), angles, (), controls)
        made = by_qiskit(to_qiskit(Circuit(5).append(step)), backend, seed_transpiler=1)
        found = back(made, backend.target)
        assert found == made
        assert (initial_layout(found, 5), final_layout(found)) == (initial_layout(made, 5), final_layout(made))
        assert kept(made, backend.target, tmp_path / str(controls))


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_circuit_that_was_routed_has_its_layouts(level: int, tmp_path: Any) -> None:
    star = to_qiskit(Circuit(4).ry(OurParameter("p0"), 0).cx(0, 2).cx(0, 3).cx(3, 1).cx(2, 0).measure_all())
    made = by_qiskit(star, LINE, optimization_level=level, seed_transpiler=3)
    found = back(made, LINE.target)
    assert found == made
    for whole in (True, False):
        for read in ("initial_index_layout", "final_index_layout"):
            assert getattr(found.layout, read)(filter_ancillas=whole) == getattr(made.layout, read)(filter_ancillas=whole)
    assert kept(made, LINE.target, tmp_path)


def branching(condition: Callable[[Any], Any]) -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "c"), ClassicalRegister(1, "d"))
    circuit.measure([0, 1, 2], [0, 1, 2])
    with circuit.if_test(condition(circuit)) as otherwise:
        circuit.rx(A, 2)
        with circuit.if_test((circuit.clbits[2], 1)):
            circuit.cx(0, 2)
            circuit.delay(20, 1)
    with otherwise:
        circuit.rz(A * B, 0)
        circuit.measure(0, 1)
    return circuit


@pytest.mark.parametrize(
    "condition",
    [
        lambda circuit: (circuit.clbits[1], 0),
        lambda circuit: (circuit.cregs[0], 2),
        lambda circuit: expr.logic_and(circuit.clbits[0], expr.logic_not(circuit.clbits[2])),
    ],
)
def test_branches_inside_of_branches_come_back(condition: Callable[[Any], Any], tmp_path: Any) -> None:
    plain = branching(condition)
    assert back(plain) == plain
    made = by_qiskit(plain, LINE, seed_transpiler=1)
    found = back(made, LINE.target)
    assert to_document(found) == to_document(made)
    assert kept(made, LINE.target, tmp_path)


def test_delays_labels_matrices_and_phases_come_back() -> None:
    circuit = QuantumCircuit(3, global_phase=A - 0.5)
    for duration, unit in ((100, "dt"), (1.5, "us"), (20.0, "ns"), (A, "s")):
        circuit.delay(duration, 0, unit)
    circuit.barrier([0, 2], label="verbatim")
    circuit.append(SXGate(label="mine"), [1])
    circuit.append(UnitaryGate(Operator(CXGate()).data * 1j), [2, 0])
    found = back(circuit)
    assert found == circuit
    assert [step.label for step in found.data] == [step.label for step in circuit.data]
    assert [step.operation.unit for step in found.data[:4]] == ["dt", "us", "ns", "s"]


def test_a_targets_own_gate_comes_back_as_that_gate() -> None:
    circuit = QuantumCircuit(2)
    circuit.append(Sway(2 * A), [1])
    found = back(circuit, own_target())
    assert found == circuit
    assert type(found.data[0].operation) is Sway
    with pytest.raises(ValueError, match="'sway' is no gate of the target, and no standard gate"):
        back(circuit)


def test_an_entry_is_text_that_people_can_read() -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.rz(np.pi + A, 0)
    circuit.cx(0, 1)
    circuit.measure(1, 0)
    steps = json.loads(to_text(circuit))["steps"]
    assert steps == [["rz", [0], ["3.141592653589793 p0 +"]], ["cx", [0, 1]], ["measure", [1], [], [0]]]


# ---- what is not kept ------------------------------------------------------------------------------------------------------


def looping() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.x(0)
    return circuit


def in_a_vector() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.rx(ParameterVector("v", 2)[1], 0)
    return circuit


def ored() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 2)
    with circuit.if_test(expr.logic_or(*circuit.clbits)):
        circuit.x(0)
    return circuit


def told() -> QuantumCircuit:
    return QuantumCircuit(1, metadata={"run": 7})


def endless() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.rx(float("inf"), 0)
    return circuit


def pretended() -> QuantumCircuit:
    """A gate that has a standard gate's name, and is none."""
    circuit = QuantumCircuit(1)
    circuit.append(Gate("sx", 1, []), [0])
    return circuit


@pytest.mark.parametrize("make", [looping, in_a_vector, ored, told, endless, pretended])
def test_what_would_not_come_back_is_made_each_time(make: Callable[[], QuantumCircuit], tmp_path: Any) -> None:
    assert not kept(make(), Target(), tmp_path / "own")
    assert kept(QuantumCircuit(1), Target(), tmp_path / "plain")


WHOLE: dict[str, Any] = {
    "name": "a",
    "qubits": [["q", 2]],
    "clbits": [["c", 1]],
    "parameters": ["p0"],
    "phase": 0,
    "steps": [["rz", [0], ["p0"]]],
}


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [["os.system", [0]]]},
        {"steps": [["cx", [0, 0]]]},
        {"steps": [["cx", [0]]]},
        {"steps": [["cx", [0, 2]]]},
        {"steps": [["cx", [0, -1]]]},
        {"steps": [["rz", [0], [True]]]},
        {"steps": [["rz", [0], []]]},
        {"steps": [["rz", [0], ["p0 9 9 ** **"]]]},
        {"steps": [["rz", [0], ["p0.__class__"]]]},
        {"steps": [["measure", [0], [], [1]]]},
        {"steps": [["if_else", [0], [], [0], {"if": ["or", 0, 1], "blocks": []}]]},
        {"steps": {"0": 1}},
        {"qubits": [["q", -1]]},
        {"qubits": 3},
        {"parameters": [[]]},
        {"layout": {"initial": [0, 0], "final": [0, 1], "inputs": 2}},
        {"layout": {"initial": [0, 1], "final": [0, 1], "inputs": 3}},
    ],
)
def test_a_document_that_is_no_circuit_is_refused(change: dict[str, Any]) -> None:
    assert from_document(WHOLE, Target()).num_parameters == 1
    with pytest.raises(ValueError):  # noqa: PT011  the message is Qiskit's or Python's
        from_document(WHOLE | change, Target())


# ---- formulas --------------------------------------------------------------------------------------------------------------


def larger(smaller: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    numbers = st.floats(-9, 9).filter(lambda value: abs(value) > 1e-3)
    either = st.one_of(smaller, numbers)
    return st.one_of(
        st.tuples(smaller, either).map(lambda pair: pair[0] + pair[1]),
        st.tuples(either, smaller).map(lambda pair: pair[0] - pair[1]),
        st.tuples(smaller, either).map(lambda pair: pair[0] * pair[1]),
        st.tuples(smaller, numbers).map(lambda pair: pair[0] / pair[1]),
        smaller.map(lambda one: one.sin()),
        smaller.map(lambda one: -one),
    )


@given(st.recursive(st.sampled_from([A, B]), larger, max_leaves=6), st.floats(-2, 2), st.floats(-2, 2))
def test_formulas_come_back_to_the_last_bit(formula: Any, first: float, second: float) -> None:
    found = read_formula(write_formula(formula), {"p0": A, "p1": B})
    for one in {A, B} & set(formula.parameters):
        found, formula = (each.bind({one: first if one is A else second}) for each in (found, formula))
    assert float(found) == float(formula)


@pytest.mark.parametrize("text", ["", "p0 p1", "+", "p0 +", "p9", "9 9 **", "p0 bind", "1 0 /", "p0 sin 2"])
def test_a_text_that_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no formula of Qiskit's parameters"):
        read_formula(text, {"p0": A, "p1": B})


def test_what_the_transpiler_makes_has_operations_of_the_target_alone() -> None:
    made = by_qiskit(branching(lambda circuit: (circuit.clbits[1], 0)), LINE, seed_transpiler=1)
    known = {Measure, IfElseOp, CXGate, SXGate, RZGate, *(type(LINE.target.operation_from_name(name)) for name in ("x", "delay"))}
    assert {step.operation.base_class for step in back(made, LINE.target).data} <= known
