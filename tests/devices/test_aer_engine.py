"""Aer behind `sim`: gates, channels, feed-forward, bonds and seeds, against numpy, Qiskit and Braket's simulator."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, Statevector

from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.circuits.gates import CHANNELS, GATES, kraus_parameters, matrix
from qloom.devices import aer_engine
from qloom.devices.aer_channels import operators
from qloom.devices.aer_engine import Aer, AerCircuit
from qloom.devices.shot_engines import ManySets, Settings, ShotCircuit, ShotLibrary
from qloom.devices.stim_engine import Stim
from qloom.errors import InvalidTask, MissingExtra, Unsupported
from qloom.noise import NoiseModel, QubitNoise
from qloom.results import Engine
from qloom.testing.device_contract import state_of
from tests.devices import dense
from tests.devices.dense import distribution, expectation, mixture
from tests.devices.helpers import PARAMETERS, ComplexArray, FloatArray, around, circuits, expected_probabilities

if TYPE_CHECKING:
    from qloom.results import IntArray, KeyArray

SHOTS = 4000
POINT = np.array([0.4, -1.1])
PAULIS = {letter: matrix(letter.lower()) if letter != "I" else np.eye(2) for letter in "IXYZ"}
METHODS = ("statevector", "density_matrix", "mps")


@pytest.fixture(scope="module")
def aer() -> Aer:
    return Aer()


def ready(
    circuit: Circuit, method: str | None = None, *observables: Observable, threads: int | None = 1, **more: object
) -> AerCircuit:
    how = Settings(method, **more)  # type: ignore[arg-type]
    library = Aer()
    kind = "estimate" if observables else "sample"
    assert library.reasons(circuit, kind, how) == []
    return library.compile(circuit, observables, how, threads)[1]


def frequencies(drawn: tuple[KeyArray, IntArray], bits: int) -> FloatArray:
    found: FloatArray = np.zeros(1 << bits)
    found[drawn[0].astype(np.int64)] = drawn[1]
    assert drawn[0].dtype == np.uint64
    assert (np.diff(drawn[0].astype(np.int64)) > 0).all()
    found /= drawn[1].sum()
    return found


def check_close(drawn: tuple[KeyArray, IntArray], expected: FloatArray, shots: int = SHOTS) -> None:
    """Five and a half standard errors, and one shot."""
    found = frequencies(drawn, len(expected).bit_length() - 1)
    assert drawn[1].sum() == shots
    variance = np.clip(expected * (1 - expected), 0, None)
    assert (np.abs(found - expected) <= 5.5 * np.sqrt(variance / shots) + 1 / shots).all()


def noisy() -> Circuit:
    """Every channel once, on a state with amplitudes everywhere."""
    circuit = Circuit(3).ry(0.8, 0).rx(1.1, 1).ry(2.0, 2).cx(0, 1).rz(0.6, 1).cx(1, 2).rx(0.4, 0)
    numbers = {"generalized_amplitude_damping": [0.2, 0.7], "pauli_channel": [0.05, 0.1, 0.15]}
    for place, (name, (qubits, _)) in enumerate(CHANNELS.items()):
        if name != "kraus":
            on = [(place + shift) % 3 for shift in range(qubits)]
            circuit = circuit.channel(name, *on, probabilities=numbers.get(name, [0.3])).ry(0.3, place % 3)
    root = np.sqrt(0.3) * np.kron(PAULIS["X"], PAULIS["Z"])
    pair = kraus_parameters([np.sqrt(0.7) * np.kron(PAULIS["I"], matrix("s")), root])
    return circuit.append(Instruction("kraus", (2, 0), pair)).rx(0.5, 0).ry(0.5, 2)


# ---- gates -----------------------------------------------------------------------------------------------------------


def test_the_engine_fills_its_protocol(aer: Aer) -> None:
    library: ShotLibrary = aer
    engine, circuit = library.compile(Circuit(1).h(0), [], Settings(), 2)
    same: ShotCircuit = circuit
    assert engine == Engine("aer", aer.version, 2, "method statevector")
    assert isinstance(same, ManySets)
    assert same.notes == {"method": "statevector"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("controls", [0, 1, 2])
def test_every_gate_is_its_matrix_under_any_controls(method: str, controls: int) -> None:
    for name, row in GATES.items():
        qubits = row.num_qubits + controls
        if not 1 <= qubits <= 4:
            continue
        angles = (Parameter("a"), 2 * Parameter("b") - 0.3, 0.9, Parameter("a") * Parameter("b"))[: row.num_parameters]
        order = tuple(reversed(range(qubits)))
        circuit = around(Instruction(name, order, angles, (), controls), qubits)
        values = [Observable({"Z" * qubits: 1.0}), Observable({"X" + "I" * (qubits - 1): 0.5, "Y" * qubits: -1.5})]
        compiled = ready(circuit, method, *values)
        state = state_of(circuit, POINT)
        expected = [float(np.vdot(state, one.matrix() @ state).real) for one in values]
        assert compiled.expectations(compiled.table.row(POINT)) == pytest.approx(expected, abs=1e-9), name


@settings(max_examples=30, deadline=None)
@given(circuits(), st.sampled_from(METHODS), st.integers(0, 2**64 - 1))
def test_samples_of_any_circuit_follow_its_state(circuit: Circuit, method: str, seed: int) -> None:
    compiled = ready(circuit, method)
    check_close(compiled.sample(compiled.table.row(POINT), SHOTS, seed), expected_probabilities(circuit, POINT))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["x", "ry", "swap", "p", "sxdg", "rxx"])
def test_many_controls_act_where_all_are_1(method: str, name: str) -> None:
    row = GATES[name]
    total = 4 + row.num_qubits
    prepared = Circuit(total)
    for qubit in range(total):
        prepared = prepared.ry(1.2 + 0.2 * qubit, qubit)
    circuit = prepared.append(Instruction(name, tuple(range(total)), (0.7,) * row.num_parameters, (), 4))
    for qubit in range(total):
        circuit = circuit.rx(0.6, qubit)
    values = [Observable({"Z" * total: 1.0}), Observable({"I" * (total - 1) + "Y": 1.0})]
    state = state_of(circuit, np.zeros(0))
    expected = [float(np.vdot(state, one.matrix() @ state).real) for one in values]
    assert ready(circuit, method, *values).expectations([]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_values_are_those_of_qiskits_own_state(method: str) -> None:
    theirs = QuantumCircuit(3)
    theirs.ry(0.4, 0)
    theirs.cx(0, 1)
    theirs.u(0.3, 0.2, 0.1, 2)
    theirs.rzx(0.8, 1, 2)
    theirs.ecr(2, 0)
    ours = Circuit(3).ry(0.4, 0).cx(0, 1).u(0.3, 0.2, 0.1, 2).gate("rzx", 1, 2, angles=[0.8]).gate("ecr", 2, 0)
    labels = ["XYZ", "ZIY", "IXX", "YYI"]
    values = ready(ours, method, *[Observable({label: 1.0}) for label in labels]).expectations([])
    state = Statevector(theirs)
    assert values == pytest.approx([float(state.expectation_value(Pauli(label[::-1])).real) for label in labels], abs=1e-9)


# ---- noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(CHANNELS) - {"kraus"}))
def test_channels_are_those_of_brakets_simulator(name: str) -> None:
    qubits, count = CHANNELS[name]
    step = Instruction(name, tuple(range(qubits)), (0.2, 0.3, 0.15)[:count])
    ours = operators(name, step.parameters, qubits)  # type: ignore[arg-type]
    theirs = dense.operators(step)

    def choi(kraus: Sequence[ComplexArray]) -> ComplexArray:
        return np.sum([np.outer(one.ravel(), one.ravel().conj()) for one in kraus], axis=0)  # type: ignore[no-any-return]

    np.testing.assert_allclose(choi(list(ours)), choi(theirs), atol=1e-12)


def test_a_density_matrix_has_the_exact_values_of_every_channel() -> None:
    strings = ["ZII", "IXI", "IIY", "XYZ", "ZZX"]
    compiled = ready(noisy(), "density_matrix", *[Observable({text: 1.0}) for text in strings])
    expected = [expectation(noisy(), Observable({text: 1.0})) for text in strings]
    assert compiled.expectations([]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("method", ["density_matrix", "trajectories", "mps", None])
def test_samples_of_a_noisy_circuit_follow_its_density_matrix(method: str | None) -> None:
    check_close(ready(noisy(), method).sample([], SHOTS, 5), mixture(noisy()).diagonal().real)


@pytest.mark.parametrize("method", ["density_matrix", "trajectories", "mps"])
def test_samples_in_a_basis_give_its_values(method: str) -> None:
    drawn = ready(noisy(), method).sample_in([], "XIY", SHOTS, 6)
    signs = np.array([(-1) ** (key & 0b101).bit_count() for key in range(8)])
    expected = expectation(noisy(), Observable({"XIY": 1.0}))
    assert frequencies(drawn, 3) @ signs == pytest.approx(expected, abs=5.5 / np.sqrt(SHOTS))


@pytest.mark.parametrize("method", ["statevector", "density_matrix", "trajectories", "mps"])
def test_readout_errors_are_each_qubits_own(method: str) -> None:
    noise = NoiseModel(qubits={0: QubitNoise(readout=(0.1, 0.3)), 1: QubitNoise(), 2: QubitNoise(readout=(0.0, 0.2))})
    circuit = Circuit(3).x(0).h(1).x(2).measure([0, 1, 2], [2, 0, 1])
    compiled = ready(circuit, method, noise=noise)
    expected = np.kron([0.5, 0.5], np.kron([0.2, 0.8], [0.3, 0.7])).astype(np.float64)  # bits of qubits 1, 2, 0
    check_close(compiled.sample([], SHOTS, 7), expected)
    ones = frequencies(compiled.sample_in([], "IXI", SHOTS, 8), 3)
    assert ones[2:4].sum() + ones[6:].sum() == 0  # qubit 1 is |+> and read well
    assert ones[4:].sum() == pytest.approx(0.7, abs=0.04)


def test_a_noise_model_is_applied_to_the_circuit() -> None:
    noise = NoiseModel.depolarizing(0.05, 0.1, readout=0.02)
    circuit = Circuit(2).h(0).cx(0, 1)
    compiled = ready(circuit, None, Observable({"ZZ": 1.0}), Observable({"XX": 1.0}), noise=noise)
    applied = noise.apply(circuit)
    assert compiled.notes == {"method": "density_matrix"}
    assert compiled.expectations([]) == pytest.approx([expectation(applied, Observable({text: 1.0})) for text in ("ZZ", "XX")])
    flip = np.array([[0.98, 0.02], [0.02, 0.98]])
    check_close(compiled.sample([], SHOTS, 1), np.kron(flip, flip) @ mixture(applied).diagonal().real)


def test_noise_behind_the_measurements_keeps_the_short_way() -> None:
    circuit = Circuit(2).h(0).measure(0).channel("depolarizing", 0, probabilities=[0.7]).x(1).measure(1)
    compiled = ready(circuit)
    assert compiled.notes == {"method": "density_matrix"}
    check_close(compiled.sample([], SHOTS, 1), np.array([0, 0.5, 0, 0.5]))


def test_a_measurement_that_noise_follows_is_part_of_the_state_as_in_stim() -> None:
    circuit, value = Circuit(1).h(0).measure(0).channel("bit_flip", 0, probabilities=[0.1]), Observable({"X": 1.0})
    stims = Stim().compile(circuit, [value], Settings(), 1)[1].expectations([])
    assert ready(circuit, None, value).expectations([]) == pytest.approx(stims, abs=1e-12)
    assert expectation(circuit, value) == pytest.approx(stims[0], abs=1e-12)
    check_close(ready(circuit, "trajectories").sample_in([], "X", SHOTS, 1), np.array([0.5, 0.5]))


def test_a_qubit_read_twice_is_misread_each_time_anew() -> None:
    noise = NoiseModel(qubits={"default": QubitNoise(readout=(0.25, 0.25))})
    circuit = Circuit(1).measure(0, 0).measure(0, 1)
    expected = np.array([9, 3, 3, 1]) / 16
    check_close(ready(circuit, "statevector", noise=noise).sample([], SHOTS, 3), expected)


# ---- dynamic circuits ------------------------------------------------------------------------------------------------


def teleported(angle: float) -> Circuit:
    sent = Circuit(3).ry(angle, 0).rz(0.4, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure([0, 1])
    return sent.if_test(1, 1, Circuit(3).x(2)).if_test(0, 1, Circuit(3).z(2))


@pytest.mark.parametrize("method", ["statevector", "density_matrix", "trajectories", "mps"])
def test_teleportation_brings_the_state_to_the_last_qubit(method: str) -> None:
    compiled = ready(teleported(0.9).measure(2, 2), method)
    found = frequencies(compiled.sample([], SHOTS, 2), 3)
    assert found[1::2].sum() == pytest.approx(np.sin(0.45) ** 2, abs=5.5 * 0.5 / np.sqrt(SHOTS))
    assert found.reshape(4, 2).sum(axis=1) == pytest.approx([0.25] * 4, abs=5.5 * 0.44 / np.sqrt(SHOTS))


@pytest.mark.parametrize("method", ["statevector", "mps"])
def test_a_teleported_phase_shows_in_its_basis(method: str) -> None:
    """The measurement at the end is none of the circuit when its end is asked about."""
    compiled = ready(teleported(np.pi / 2).measure(2, 2), method)
    found = frequencies(compiled.sample_in([], "IIX", SHOTS, 4), 3)
    assert found[::2].sum() - found[1::2].sum() == pytest.approx(np.cos(0.4), abs=5.5 / np.sqrt(SHOTS))


def test_conditions_read_bits_least_significant_first_and_have_an_else() -> None:
    inner = Circuit(3, num_clbits=4).if_test(2, 0, Circuit(3).x(0), Circuit(3).z(0))
    circuit = Circuit(3).x(1).measure([0, 1], [0, 1]).if_test([0, 1], 2, inner, Circuit(3).x(2)).measure([0, 2], [2, 3])
    keys, counts = ready(circuit).sample([], 50, 1)
    assert (keys.tolist(), counts.tolist()) == ([0b0110], [50])
    other = Circuit(3).x(1).measure([0, 1], [0, 1]).if_test([0, 1], 1, inner, Circuit(3).x(2)).measure([0, 2], [2, 3])
    assert ready(other).sample([], 50, 1)[0].tolist() == [0b0101]


def test_conditions_may_look_at_more_bits_than_a_word_has() -> None:
    count = 70
    flipped = Circuit(1).x(0).measure(0, 69).reset(0)
    hit = flipped.if_test(list(range(count)), 1 << 69, Circuit(1).x(0)).measure(0, 0)
    rows, ones = ready(hit).sample([], 3, 1)
    bits = np.unpackbits(rows.astype(np.uint8), axis=1)[:, :count]
    assert bits[:, 0].tolist() == [1, 1, 1]
    assert bits.sum() == 6
    assert ones.tolist() == [1, 1, 1]


def test_feed_forward_sees_readout_errors() -> None:
    noise = NoiseModel(qubits={0: QubitNoise(readout=(0.3, 0.0)), 1: QubitNoise()})
    circuit = Circuit(2).measure(0, 0).if_test(0, 1, Circuit(2).x(1)).measure(1, 1)
    check_close(ready(circuit, "trajectories", noise=noise).sample([], SHOTS, 9), np.array([0.7, 0, 0, 0.3]))


@pytest.mark.parametrize("method", ["statevector", "density_matrix", "mps", None])
def test_a_qubit_is_measured_reset_and_used_again(method: str | None) -> None:
    circuit = Circuit(1).h(0).measure(0, 0).reset(0).ry(2 * np.pi / 3, 0).measure(0, 1)
    check_close(ready(circuit, method).sample([], SHOTS, 3), np.array([1, 3, 1, 3]) / 8)


def test_parameters_inside_of_branches_are_bound() -> None:
    circuit = Circuit(2).rx(Parameter("a"), 0).measure(0, 0).if_test(0, 1, Circuit(2).ry(2 * Parameter("b"), 1)).measure(1, 1)
    compiled = ready(circuit)
    flipped = np.sin(0.8) ** 2
    expected = np.array([1 - flipped, 0, flipped * np.cos(0.5) ** 2, flipped * np.sin(0.5) ** 2])
    check_close(compiled.sample(compiled.table.row(np.array([1.6, 0.5])), SHOTS, 3), expected)


def test_a_density_matrix_has_exact_values_behind_measurements_and_resets() -> None:
    circuit = Circuit(2).ry(0.7, 0).cx(0, 1).measure(0).h(0).reset(1).rx(0.3, 1).cx(1, 0)
    values = [Observable({text: 1.0}) for text in ("XI", "ZZ", "IY")]
    found = ready(circuit, None, *values).expectations([])
    assert found == pytest.approx([expectation(circuit, one) for one in values], abs=1e-9)


@pytest.mark.parametrize("method", ["statevector", "stabilizer", None])
def test_the_only_measurement_may_stand_behind_an_if(method: str | None) -> None:
    inside = Circuit(2, num_clbits=2).measure(0, 1)
    circuit = Circuit(2, num_clbits=2).h(0).if_test(0, 0, inside)
    check_close(ready(circuit, method).sample([], SHOTS, 1), np.array([0.5, 0.5, 0, 0]))
    assert ready(Circuit(2, num_clbits=2).h(0).if_test(0, 1, inside), method).sample([], 9, 1)[0].tolist() == [0]


# ---- stabilizers -----------------------------------------------------------------------------------------------------

CLIFFORD_GATES = ("x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "iswap", "ecr", "rzz")


@st.composite
def clifford_steps(draw: st.DrawFn, qubits: int, *, inside: bool = False) -> Instruction:
    kind = draw(st.sampled_from(["gate", "gate", "measure", "reset", "noise", *([] if inside else ["if", "if"])]))
    order = tuple(draw(st.permutations(range(qubits))))
    if kind == "measure":
        return Instruction("measure", order[:1], (), order[1:2])
    if kind == "reset":
        return Instruction("reset", order[:1])
    if kind == "noise":
        name = draw(st.sampled_from(["pauli_channel", "bit_flip", "two_qubit_depolarizing", "two_qubit_dephasing"]))
        qubits_of_it, count = CHANNELS[name]
        return Instruction(name, order[:qubits_of_it], tuple(draw(st.sampled_from([0.05, 0.2, 0.3])) for _ in range(count)))
    if kind == "if":
        body, orelse = (tuple(draw(st.lists(clifford_steps(qubits, inside=True), min_size=size, max_size=2))) for size in (1, 0))
        used = tuple(sorted({qubit for step in body + orelse for qubit in step.qubits}))
        return Instruction("if", used, (), order[:2], body=body, value=draw(st.integers(0, 3)), orelse=orelse)
    name = draw(st.sampled_from(CLIFFORD_GATES))
    angles = (draw(st.integers(-2, 2)) * np.pi / 2,) if name == "rzz" else ()
    return Instruction(name, order[: GATES[name].num_qubits], angles)


@settings(max_examples=60, deadline=None)
@given(st.lists(clifford_steps(3), min_size=1, max_size=10), st.integers(0, 2**64 - 1))
def test_stabilizers_draw_what_density_matrices_say(steps: list[Instruction], seed: int) -> None:
    circuit = Circuit(3, steps, num_clbits=3)
    exact = distribution(circuit)
    expected = np.array([exact.get(format(key, "03b"), 0.0) for key in range(8)])
    check_close(ready(circuit, "stabilizer").sample([], 2000, seed), expected, 2000)


def test_a_two_qubit_mixture_acts_on_its_qubits_in_their_order() -> None:
    flips = kraus_parameters([np.sqrt(0.7) * np.eye(4), np.sqrt(0.3) * np.kron(PAULIS["X"], PAULIS["Z"])])
    circuit = Circuit(3).h(0).append(Instruction("kraus", (2, 0), flips)).h(0)
    check_close(ready(circuit, "stabilizer").sample([], SHOTS, 1), np.array([0.7, 0, 0, 0, 0, 0.3, 0, 0]))


def test_adaptive_clifford_circuits_run_by_stabilizers_also_when_they_are_misread_unequally() -> None:
    noise = NoiseModel(qubits={0: QubitNoise(readout=(0.3, 0.1)), "default": QubitNoise()})
    circuit = Circuit(2).x(0).measure(0).if_test(0, 1, Circuit(2).h(1)).gate("ry", 1, angles=[np.pi / 2]).measure(1)
    compiled = ready(circuit, noise=noise)
    assert compiled.notes == {"method": "stabilizer"}
    check_close(compiled.sample([], SHOTS, 3), np.array([0.05, 0.05, 0, 0.9]))
    drawn = compiled.sample_in([], "IX", SHOTS, 4)
    assert frequencies(drawn, 2)[[0, 2]].sum() == pytest.approx(0.1 + 0.9 * 0.5, abs=5.5 * 0.5 / np.sqrt(SHOTS))
    assert ready(circuit.t(0).measure(0), noise=noise).notes == {"method": "statevector"}


def test_stabilizers_of_many_qubits_have_a_row_for_each_shot() -> None:
    circuit = Circuit(80).h(0).measure(0).if_test(0, 1, Circuit(80).cx(0, 79).s(3)).measure_all()
    rows, counts = ready(circuit).sample([], 30, 3)
    bits = np.unpackbits(rows.astype(np.uint8), axis=1)[:, :80]
    assert (bits[:, 0] == bits[:, 79]).all()
    assert 0 < bits[:, 0].sum() < 30
    assert (bits[:, 1:79] == 0).all()
    assert counts.tolist() == [1] * 30


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("circuit", "kind", "how", "words"),
    [
        (noisy(), "sample", Settings("statevector"), "trajectories for one state in each shot"),
        (noisy(), "estimate", Settings("mps"), "noise (amplitude_damping"),
        (teleported(1.0), "estimate", Settings("density_matrix"), "behind an `if`"),
        (Circuit(1).h(0).measure(0).h(0), "estimate", Settings("statevector"), "a measurement in the middle"),
        (Circuit(1).h(0).reset(0), "estimate", Settings("mps"), "a reset in the middle"),
        (Circuit(20), "sample", Settings("density_matrix", memory_limit_bytes=1 << 30), f"{16 * 4**20} bytes for the density"),
        (Circuit(30), "sample", Settings("statevector", memory_limit_bytes=1 << 30), "the limit is 1073741824 bytes"),
        (Circuit(200), "sample", Settings("mps", memory_limit_bytes=1 << 30), "use a smaller max_bond"),
        (Circuit(1).h(0), "sample", Settings("tensors"), "method tensors, aer has statevector"),
        (Circuit(1).t(0), "sample", Settings("stabilizer"), "gate t on qubit 0 (step 0) is no Clifford gate"),
        (teleported(1.0), "sample", Settings("stabilizer"), "gate ry(1) on qubit 0 (step 0) is no Clifford gate"),
        (
            Circuit(1).measure(0).if_test(0, 1, Circuit(1).t(0)),
            "sample",
            Settings("stabilizer"),
            "gate t on qubit 0 (step 1) is no Clifford gate",
        ),
        (Circuit(1).h(0).measure(0).h(0), "estimate", Settings("stabilizer"), "a measurement in the middle"),
        (Circuit(0), "sample", Settings(), "without qubits"),
        (Circuit(1).append(Instruction("bit_flip", (0,), (Parameter("p"),))), "sample", Settings(), "(bit_flip)|bind it"),
    ],
)
def test_what_aer_cannot_do_is_refused_by_name(aer: Aer, circuit: Circuit, kind: str, how: Settings, words: str) -> None:
    reasons = aer.reasons(circuit, kind, how)
    assert any(word in reason for reason in reasons for word in words.split("|"))


def test_exact_values_that_would_be_sampled_are_refused_after_compiling_too(aer: Aer) -> None:
    compiled = aer.compile(noisy(), [Observable({"ZZZ": 1.0})], Settings("trajectories"), 1)[1]
    with pytest.raises(Unsupported, match="take method density_matrix, or ask with shots"):
        compiled.expectations([])


def test_angles_too_large_for_floating_point_are_refused() -> None:
    compiled = ready(Circuit(1).ry(Parameter("a"), 0))
    with pytest.raises(InvalidTask, match="too large"):
        compiled.sample([float("inf")], 10, 1)


def test_a_device_that_is_not_there_is_missing(aer: Aer) -> None:
    if "GPU" in aer.devices:
        assert Aer("GPU").name == "aer_gpu"
        pytest.skip("Aer computes on a GPU here")
    with pytest.raises(MissingExtra, match="no GPU here, only CPU"):
        Aer("GPU")


@pytest.mark.parametrize("method", ["statevector", "density_matrix"])
def test_a_gpu_gives_the_values_of_a_cpu(aer: Aer, method: str) -> None:
    if "GPU" not in aer.devices:
        pytest.skip("Aer has no GPU device here")
    circuit, value = around(Instruction("ecr", (0, 1)), 2), Observable({"XZ": 1.0})
    on_gpu = Aer("GPU").compile(circuit, [value], Settings(method), 1)[1].expectations([])
    assert on_gpu == pytest.approx(ready(circuit, method, value).expectations([]), abs=1e-9)


# ---- bonds -----------------------------------------------------------------------------------------------------------


def test_a_bond_over_the_limit_is_cut_and_said() -> None:
    angle = 0.8
    circuit = Circuit(2).ry(angle, 0).cx(0, 1)
    compiled = ready(circuit, "mps", Observable({"ZI": 1.0}), max_bond=1)
    assert compiled.expectations([]) == pytest.approx([1.0])  # the smaller Schmidt weight is gone
    assert compiled.notes["largest_bond"] == 1
    assert compiled.notes["discarded_weight"] == pytest.approx(np.sin(angle / 2) ** 2, rel=1e-5)
    assert compiled.sample([], 10, 1)[0].tolist() == [0]


def test_bonds_that_cannot_reach_the_limit_are_said_to_be_whole() -> None:
    compiled = ready(Circuit(6).h(0).cx(0, 5), "mps")
    compiled.sample([], 10, 1)
    assert compiled.notes == {"method": "mps", "max_bond": 1024, "largest_bond_at_most": 8, "discarded_weight": 0.0}


def test_noisy_shots_of_an_mps_are_looked_at_by_one_of_them() -> None:
    circuit = Circuit(4).h(0).cx(0, 1).channel("bit_flip", 1, probabilities=[0.5]).cx(1, 2).cx(2, 3)
    compiled = ready(circuit, "mps", max_bond=2)
    check_close(compiled.sample([], SHOTS, 1), mixture(circuit).diagonal().real)
    assert compiled.notes["largest_bond"] == 2
    assert compiled.notes["discarded_weight"] == 0


def test_an_mps_has_a_row_for_each_shot_above_64_bits() -> None:
    circuit = Circuit(70).h(0)
    for qubit in range(69):
        circuit = circuit.cx(qubit, qubit + 1)
    circuit = circuit.x(1)
    rows, counts = ready(circuit, "mps").sample([], 40, 3)
    assert rows.shape == (40, 9)
    assert counts.tolist() == [1] * 40
    bits = np.unpackbits(rows.astype(np.uint8), axis=1)
    assert (bits[:, 70:] == 0).all()
    assert {tuple(row) for row in bits[:, :70].tolist()} == {(0, 1, *[0] * 68), (1, 0, *[1] * 68)}
    assert len(set(bits[:10, 0].tolist())) == 2  # not sorted: the order is drawn


# ---- seeds, threads, sets --------------------------------------------------------------------------------------------

SEEDED = [
    (Circuit(3).h(0).cx(0, 1).ry(1.0, 2), "statevector"),
    (noisy(), "density_matrix"),
    (noisy(), "trajectories"),
    (noisy(), "mps"),
    (teleported(1.0).measure(2, 2), "statevector"),
]


@pytest.mark.parametrize(("circuit", "method"), SEEDED)
def test_equal_seeds_draw_equal_samples_whatever_the_threads(circuit: Circuit, method: str) -> None:
    one, two = ready(circuit, method), ready(circuit, method, threads=2)
    first, again, other = one.sample([], 500, 2**64 - 1), two.sample([], 500, 2**64 - 1), one.sample([], 500, 2**64 - 2)
    assert first[0].tolist() == again[0].tolist()
    assert first[1].tolist() == again[1].tolist()
    assert first[1].tolist() != other[1].tolist()


def test_neighbouring_seeds_share_no_shots() -> None:
    compiled = ready(Circuit(1).h(0).measure(0, 0).h(0).measure(0, 1))
    drawn = np.array([frequencies(compiled.sample([], 200, seed), 2) for seed in range(100)])
    # Runs that share all shots but one would differ by 1 in 200 at most.
    assert np.abs(np.diff(drawn[:, 0])).mean() > 0.015


def test_the_same_seed_draws_the_same_in_another_process() -> None:
    program = (
        "from qloom.circuits import Circuit\n"
        "from qloom.devices.aer_engine import Aer\n"
        "from qloom.devices.shot_engines import Settings\n"
        "circuit = Circuit(2).h(0).channel('amplitude_damping', 0, probabilities=[0.3]).cx(0, 1).h(1)\n"
        "for method in ('density_matrix', 'trajectories', 'mps'):\n"
        "    made = Aer().compile(circuit, [], Settings(method), 1)[1]\n"
        "    print([part.tolist() for part in made.sample([], 100, 12345)])\n"
    )
    circuit = Circuit(2).h(0).channel("amplitude_damping", 0, probabilities=[0.3]).cx(0, 1).h(1)
    here = [ready(circuit, method).sample([], 100, 12345) for method in ("density_matrix", "trajectories", "mps")]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [str([part.tolist() for part in drawn]) for drawn in here]


@pytest.mark.parametrize("method", [*METHODS, "trajectories"])
def test_many_sets_are_single_ones(method: str) -> None:
    circuit = Circuit(3, parameters=PARAMETERS).ry(Parameter("a"), 0).cx(0, 1).rx(Parameter("b") * Parameter("a"), 2).cz(1, 2)
    circuit = circuit.channel("bit_flip", 2, probabilities=[0.1]) if method in {"density_matrix", "trajectories"} else circuit
    compiled = ready(circuit, method)
    sets = compiled.table.rows(np.linspace(-2, 2, 140, dtype=np.float64).reshape(70, 2)).tolist()
    together = compiled.sample_sets(sets, 20, range(70))
    for number in (0, 1, 63, 64, 69):
        alone = compiled.sample(sets[number], 20, number)
        assert [part.tolist() for part in together[number]] == [part.tolist() for part in alone]


def test_many_sets_take_no_more_memory_than_a_few() -> None:
    circuit = Circuit(14, parameters=PARAMETERS).ry(Parameter("a"), 0).cx(0, 13).rx(Parameter("b"), 7)
    compiled = ready(circuit, "statevector")
    sets = compiled.table.rows(np.linspace(-2, 2, 160, dtype=np.float64).reshape(80, 2)).tolist()
    compiled.sample(sets[0], 10, 1)
    tracemalloc.start()
    try:
        drawn = compiled.sample_sets(sets, 10, range(80))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(drawn) == 80
    assert peak < 20 * (8 << 14)  # not the probabilities of all 80


@pytest.mark.parametrize("method", METHODS)
def test_values_of_many_sets_are_those_of_single_ones(method: str) -> None:
    circuit = Circuit(3, parameters=PARAMETERS).ry(Parameter("a"), 0).cx(0, 1).rx(Parameter("b"), 2).cz(1, 2)
    compiled = ready(circuit, method, Observable({"ZZI": 1.0, "IIY": 0.5}))
    sets = compiled.table.rows(np.linspace(-2, 2, 140, dtype=np.float64).reshape(70, 2)).tolist()
    alone = [compiled.expectations(angles) for angles in sets]
    np.testing.assert_allclose(compiled.expectation_sets(sets), alone, atol=1e-12)


def test_measured_bits_stand_where_they_were_read_to() -> None:
    for method in (*METHODS, "trajectories"):
        wide = Circuit(3, Circuit(3).x(0).measure([0, 2], [3, 1]).instructions, num_clbits=5)
        assert ready(wide, method).sample([], 5, 1)[0].tolist() == [0b00010]


def test_idle_parts_of_a_circuit_change_nothing() -> None:
    body = Circuit(2).delay(1.0, 0, unit="us").barrier().h(0).cx(0, 1)
    block = Circuit(2).reset(1).verbatim(body).measure([0, 1])
    check_close(ready(block).sample([], SHOTS, 1), np.array([0.5, 0, 0, 0.5]))


# ---- many shots ------------------------------------------------------------------------------------------------------


def test_shots_whose_keys_do_not_fit_into_memory_are_refused_with_the_bytes() -> None:
    circuit = Circuit(60).ry(0.3, 0).cx(0, 59)
    with pytest.raises(Unsupported, match=r"aer cannot draw this: 100000000000 shots of 60 bits need \d{14} bytes, the limit is"):
        ready(circuit, "mps").sample([], 10**11, 1)
    limited = ready(circuit, "mps", max_bond=2, memory_limit_bytes=1_000_000)
    assert limited.sample([], 1000, 1)[1].sum() == 1000
    with pytest.raises(Unsupported, match=r"100000 shots of 60 bits need \d+ bytes, the limit is 1000000 .* at most \d+ shots"):
        limited.sample([], 100_000, 1)


@pytest.mark.parametrize("bits", [50, 70])
def test_shots_one_by_one_are_refused_as_well(bits: int) -> None:
    circuit = Circuit(2, num_clbits=bits)
    for bit in range(bits):
        circuit = circuit.ry(0.3, 0).measure(0, bit)
    with pytest.raises(Unsupported, match=rf"1000000000000 shots of {bits} bits need \d+ bytes, the limit is"):
        ready(circuit).sample([], 10**12, 1)


def test_our_sampler_keeps_to_the_limit_too() -> None:
    compiled = ready(Circuit(12).ry(0.3, 0), "statevector", memory_limit_bytes=100_000)
    assert compiled.sample([], 10, 1)[1].sum() == 10
    for draw in (compiled.sample, lambda *given: compiled.sample_in(given[0], "Z" * 12, *given[1:])):
        with pytest.raises(Unsupported, match=r"4000 shots of 12 qubits need \d+ bytes, the limit is 100000 bytes"):
            draw([], 4000, 1)


MANY = [
    (Circuit(2).ry(1.0, 0).measure(0, 0).ry(1.0, 0).measure(0, 1), None),
    (Circuit(66).ry(1.0, 0).cx(0, 65), "mps"),
    (Circuit(20).ry(1.0, 0).cx(0, 19), "mps"),
]


@pytest.mark.parametrize(("circuit", "method"), MANY)
def test_many_shots_are_drawn_in_parts(circuit: Circuit, method: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = ready(circuit, method)
    whole = compiled.sample([], 1024, 7)
    monkeypatch.setattr(aer_engine, "SHOTS_AT_ONCE", 1024)
    keys, counts = compiled.sample([], 10_240, 7)
    assert (counts.sum(), len(keys) == len(counts)) == (10_240, True)
    assert [part.tolist() for part in compiled.sample([], 1024, 7)] == [part.tolist() for part in whole]
    if circuit.key_length <= 64:
        assert (np.diff(keys.astype(np.int64)) > 0).all()
        assert len(keys) <= 4
    ones = _ones(keys, counts, circuit.key_length)
    chance = np.sin(0.5) ** 2
    assert abs(ones - 10_240 * chance) < 5 * np.sqrt(10_240 * chance * (1 - chance))
    assert ones != 10 * _ones(*whole, circuit.key_length)  # parts differ


def _ones(keys: KeyArray, counts: IntArray, bits: int) -> int:
    """How often the first bit is 1."""
    first = keys[:, 0] >> np.uint8(7) if keys.ndim == 2 else keys >> np.uint64(bits - 1)
    return int((first.astype(np.int64) * counts).sum())


def test_a_run_without_end_takes_little_memory_and_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = ready(Circuit(1).ry(1.0, 0).measure(0, 0).ry(1.0, 0))
    calls: list[dict[str, object]] = []
    real = compiled._library.execute

    def execute(found: object, options: dict[str, object]) -> object:
        calls.append(options)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(found, {**options, "shots": 10})  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(compiled._library, "execute", execute)
    with pytest.raises(KeyboardInterrupt):
        compiled.sample([], 10**12, 1)
    assert [options["shots"] for options in calls] == [1 << 16] * 4
    assert len({options["seed_simulator"] for options in calls}) == 4
