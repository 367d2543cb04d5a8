"""Folded circuits: gate for gate those of Mitiq, and the same unitary."""

import warnings
from collections import Counter
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.errors import InvalidSetting, Unsupported
from qloom.kit.qiskit_out import to_qiskit
from qloom.mitigation.folding import FOLDS, Folded, fold

NAMES = {"h": 1, "x": 1, "y": 1, "z": 1, "s": 1, "sdg": 1, "t": 1, "tdg": 1, "sx": 1, "cx": 2, "cz": 2, "swap": 2, "ccx": 3}
ROTATIONS = ("rx", "ry", "rz")
SIGMAS = 5.0
A = Parameter("a")


@st.composite
def circuits(draw: st.DrawFn, names: tuple[str, ...] = (*NAMES, *ROTATIONS), most: int = 14) -> Circuit:
    """Circuits on three qubits of gates that Cirq, and with it Mitiq, keeps as they are.

    All qubits are used: Mitiq counts an identity on each idle one among the gates to fold.
    """
    circuit = Circuit(3)
    for qubit in draw(st.permutations(range(3))):
        circuit = circuit.h(qubit)
    for _ in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from(names))
        qubits = draw(st.permutations(range(3)))[: NAMES.get(name, 1)]
        # Cirq writes angles with ten digits.
        angles = [draw(st.integers(100, 3000)) / 1000] if name in ROTATIONS else []
        circuit = circuit.gate(name, *qubits, angles=angles)
    return circuit


scales = st.one_of(st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, 7.0]), st.floats(1, 6))


def folded(circuit: Circuit, scale: float, way: str, seed: int = 0) -> Folded:
    return fold(circuit, scale, way, np.random.default_rng(seed))


def mitiq(name: str, circuit: Circuit, scale: float, **options: Any) -> QuantumCircuit:
    scaling = pytest.importorskip("mitiq.zne.scaling")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(scaling, name)(to_qiskit(circuit), scale, **options)


def by_qubit(circuit: QuantumCircuit) -> dict[int, list[Any]]:
    """What each qubit sees, in order: equal for circuits that differ in how they write side by side gates only."""
    seen: dict[int, list[Any]] = {}
    for step in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in step.qubits)
        own = (step.operation.name, qubits, tuple(round(float(angle), 6) for angle in step.operation.params))
        for qubit in qubits:
            seen.setdefault(qubit, []).append(own)
    return seen


def same_unitary(one: Circuit, two: Circuit) -> bool:
    return np.allclose(Operator(to_qiskit(one)).data, Operator(to_qiskit(two)).data)


def gate_count(circuit: Circuit) -> int:
    return sum(step.kind == "gate" for step in circuit.every())


# ---- Mitiq ------------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(circuits(), scales)
def test_global_folding_is_that_of_mitiq_at_any_scale(circuit: Circuit, scale: float) -> None:
    assert by_qubit(to_qiskit(folded(circuit, scale, "global").circuit)) == by_qubit(mitiq("fold_global", circuit, scale))


@settings(max_examples=20, deadline=None)
@given(circuits(), scales)
def test_folding_of_every_gate_is_that_of_mitiq(circuit: Circuit, scale: float) -> None:
    assert by_qubit(to_qiskit(folded(circuit, scale, "gates").circuit)) == by_qubit(mitiq("fold_all", circuit, scale))


@settings(max_examples=20, deadline=None)
@given(circuits(), st.integers(1, 5))
def test_layers_of_identities_are_those_of_mitiq(circuit: Circuit, scale: int) -> None:
    ours = to_qiskit(folded(circuit, scale, "identity").circuit)
    assert by_qubit(ours) == by_qubit(mitiq("insert_id_layers", circuit, float(scale)))


@settings(max_examples=20, deadline=None)
@given(circuits(), st.floats(1, 5))
def test_drawn_layers_of_identities_are_as_many_as_those_of_mitiq(circuit: Circuit, scale: float) -> None:
    ours = to_qiskit(folded(circuit, scale, "identity").circuit)
    assert dict(ours.count_ops()) == dict(mitiq("insert_id_layers", circuit, scale).count_ops())


@settings(max_examples=20, deadline=None)
@given(circuits(("h", "x", "t", "rx")), scales, st.integers(0, 5))
def test_random_folding_folds_as_many_gates_as_mitiq(circuit: Circuit, scale: float, seed: int) -> None:
    # Half a gate is rounded down here, and by the rounding errors of a sum of weights there.
    assume((scale - 1) * len(circuit.instructions) % 2 != 1)
    ours = folded(circuit, scale, "random", seed).circuit
    assert len(ours.instructions) == len(mitiq("fold_gates_at_random", circuit, scale, seed=seed).data)


def test_random_folding_draws_every_gate_equally_often_as_mitiq_does() -> None:
    circuit = Circuit(1)
    for number in range(6):
        circuit = circuit.rx(0.1 * (number + 1), 0)
    draws = 400
    seen: Counter[float] = Counter()
    for seed in range(draws):
        angles = Counter(step.parameters[0] for step in folded(circuit, 1.7, "random", seed).circuit.instructions)
        seen.update(angle for angle, count in angles.items() if count == 2 and isinstance(angle, float) and angle > 0)
    expected = draws * 2 / 6
    assert len(seen) == 6
    assert all(abs(count - expected) < SIGMAS * sqrt(expected * 4 / 6) for count in seen.values())


# ---- what holds for every way ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(circuits(), scales, st.sampled_from(FOLDS), st.integers(0, 3))
def test_every_way_keeps_the_unitary_and_says_what_scale_it_reached(circuit: Circuit, scale: float, way: str, seed: int) -> None:
    result = folded(circuit, scale, way, seed)
    assert same_unitary(result.circuit, circuit)
    if way != "identity":
        assert gate_count(result.circuit) == pytest.approx(result.scale * gate_count(circuit))
    widest = {"gates": 1.0, "identity": 1.0}.get(way, 1 / gate_count(circuit))
    assert abs(result.scale - scale) <= widest + 1e-9


@pytest.mark.parametrize("way", FOLDS)
def test_the_same_seed_draws_the_same_circuit(way: str) -> None:
    circuit = Circuit(2).h(0).cx(0, 1).rx(0.3, 0).ry(0.2, 1).cx(1, 0)
    assert folded(circuit, 2.2, way, 7) == folded(circuit, 2.2, way, 7)


def test_partial_folds_from_the_left_and_from_the_right_take_the_first_and_the_last_layers() -> None:
    circuit = Circuit(1).h(0).s(0).t(0).x(0)
    left, right = (folded(circuit, 2, way).circuit for way in ("gates_left", "gates_right"))
    assert [step.name for step in left.instructions] == ["h", "h", "h", "s", "sdg", "s", "t", "x"]
    assert [step.name for step in right.instructions] == ["h", "s", "t", "tdg", "t", "x", "x", "x"]


def test_which_gates_are_the_last_does_not_depend_on_how_gates_side_by_side_are_written() -> None:
    one, two = Circuit(3).h(2).h(1).h(0).z(0), Circuit(3).h(0).z(0).h(1).h(2)
    for way in ("global", "gates_left", "gates_right"):
        assert by_qubit(to_qiskit(folded(one, 2, way).circuit)) == by_qubit(to_qiskit(folded(two, 2, way).circuit))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FOLDS), st.floats(1, 5), st.floats(-3, 3))
def test_angles_stay_symbolic_and_binding_before_or_after_is_the_same(way: str, scale: float, value: float) -> None:
    circuit = Circuit(2).ry(A, 0).cx(0, 1).u(A * 2, 0.3, -A, 1).rz(A.sin() + 0.1, 0)
    result = folded(circuit, scale, way).circuit
    assert result.parameters == ("a",)
    before, after = folded(circuit.bind({"a": value}), scale, way).circuit, result.bind({"a": value})
    assert [step._replace(parameters=()) for step in before.instructions] == [
        step._replace(parameters=()) for step in after.instructions
    ]
    for one, two in zip(before.instructions, after.instructions, strict=True):
        assert np.allclose(one.parameters, two.parameters)  # type: ignore[arg-type]


# ---- what is no gate -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", FOLDS)
def test_barriers_delays_channels_and_phases_stand_once_and_measurements_at_the_end(way: str) -> None:
    circuit = Circuit(2).h(0).channel("bit_flip", 0, probabilities=[0.1]).barrier().cx(0, 1).delay(1e-6, 1)
    circuit = circuit.gate("gphase", angles=[0.3]).x(1).measure([1, 0])
    names = Counter(step.name for step in folded(circuit, 3, way).circuit.instructions)
    assert [names[name] for name in ("bit_flip", "barrier", "delay", "gphase", "measure")] == [1] * 5
    assert folded(circuit, 3, way).circuit.instructions[-1] == Instruction("measure", (1, 0), (), (1, 0))
    assert folded(circuit, 3, way).scale == 3


def test_identities_come_behind_the_noise_of_their_layer_and_barriers_keep_their_place() -> None:
    circuit = Circuit(2).h(0).channel("bit_flip", 0, probabilities=[0.1]).barrier().x(1)
    names = [step.name for step in folded(circuit, 2, "identity").circuit.instructions]
    assert names == ["h", "bit_flip", "barrier", "id", "id", "x", "id", "id"]


def test_a_verbatim_block_is_folded_from_within_and_its_parts_stay_blocks() -> None:
    circuit = Circuit(2).h(0).verbatim(Circuit(2).s(0).cx(0, 1)).x(1)
    each = folded(circuit, 3, "gates").circuit.instructions[3]
    assert (each.name, [step.name for step in each.body]) == ("verbatim", ["s", "sdg", "s", "cx", "cx", "cx"])
    whole = [step.name for step in folded(circuit, 3, "global").circuit.instructions]
    assert whole == ["h", "verbatim", "x", "x", "verbatim", "h", "h", "verbatim", "x"]
    partial = folded(circuit, 2, "global").circuit.instructions[4]
    assert (partial.name, [step.name for step in partial.body]) == ("verbatim", ["cx", "cx"])


@pytest.mark.parametrize(
    ("circuit", "said"),
    [
        (Circuit(2).h(0).reset(1), "a reset on the qubits \\[1\\]"),
        (Circuit(2).h(0).measure(0).if_test(0, 1, Circuit(2).x(1)), "an if on the qubits \\[1\\]"),
        (Circuit(2).h(0).measure(0).cx(0, 1), "qubit 0 is measured before the circuit's end \\(cx follows\\)"),
        (Circuit(2).barrier(), "no gates"),
    ],
)
def test_what_cannot_be_folded_is_refused_by_name(circuit: Circuit, said: str) -> None:
    for way in FOLDS:
        with pytest.raises(Unsupported, match=f"stage zne: .*{said}"):
            folded(circuit, 3, way)


@pytest.mark.parametrize("scale", [0.99, -1, float("nan"), float("inf")])
def test_a_scale_below_one_is_refused(scale: float) -> None:
    with pytest.raises(InvalidSetting, match=r"stage zne, option scales: .* 1 or more"):
        folded(Circuit(1).x(0), scale, "global")


def test_a_way_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="option fold: 'half' is none of global"):
        folded(Circuit(1).x(0), 3, "half")


# ---- circuits in recipes -----------------------------------------------------------------------------------------------
