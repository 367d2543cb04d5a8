"""stim behind `sim`: Clifford gates by their matrices, Pauli noise, feed-forward, readout errors, and very many qubits."""

import math
import tracemalloc
from functools import reduce
from itertools import combinations, product
from operator import xor

import numpy as np
import pytest
import stim
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.circuits.gates import CHANNELS, GATES, standard_controls
from qloom.devices import stim_engine
from qloom.devices.clifford import clifford, pauli
from qloom.devices.shot_engines import Settings
from qloom.devices.sim import create
from qloom.devices.stim_engine import Stim, StimCircuit, shot_major
from qloom.devices.stim_support import Support
from qloom.errors import Unsupported
from qloom.noise import NoiseModel, QubitNoise
from tests.circuits.oracle import gate_matrix, same_up_to_phase
from tests.devices.dense import ComplexArray, distribution, expectation

IDEAL = Settings()
SIGMAS = 5.5
PAULI_NOISE = tuple(name for name in CHANNELS if not name.endswith("amplitude_damping") and name != "kraus")
FIXED = tuple(name for name, row in GATES.items() if row.num_parameters == 0 and name not in {"t", "tdg", "id", "gphase"})


def misreading(ups: float, downs: float) -> NoiseModel:
    """No noise but what is read: the same errors on every qubit."""
    return NoiseModel(qubits={"default": QubitNoise(readout=(ups, downs))})


def made(circuit: Circuit, *observables: Observable, noise: NoiseModel | None = None, limit: int | None = None) -> StimCircuit:
    given_settings = Settings(noise=noise, memory_limit_bytes=limit)
    assert Stim().reasons(circuit, "sample", given_settings) == []
    return Stim().compile(circuit, observables, given_settings, None)[1]


def counts_of(circuit: Circuit, shots: int, seed: int = 1, noise: NoiseModel | None = None) -> dict[str, int]:
    keys, counts = made(circuit, noise=noise).sample([], shots, seed)
    return {format(key, f"0{circuit.key_length}b"): count for key, count in zip(keys.tolist(), counts.tolist(), strict=True)}


def assert_drawn_from(probabilities: dict[str, float], counts: dict[str, int]) -> None:
    shots = sum(counts.values())
    assert set(counts) <= {key for key, value in probabilities.items() if value > 1e-12}
    for key, value in probabilities.items():
        spread = SIGMAS * math.sqrt(shots * value * (1 - min(value, 1))) + SIGMAS
        assert abs(counts.get(key, 0) - shots * value) < spread, key


# ---- random circuits -------------------------------------------------------------------------------------------------

quarter_turns = st.integers(-4, 4).map(lambda quarters: quarters * math.pi / 2 + 1e-10)


@st.composite
def clifford_gates(draw: st.DrawFn, num_qubits: int) -> Instruction:
    """A gate that `clifford` takes, whatever its name; numpy says elsewhere that it takes the right ones."""
    name = draw(st.sampled_from([name for name, row in GATES.items() if row.num_qubits <= num_qubits]))
    controls = draw(st.integers(0, min(1, num_qubits - GATES[name].num_qubits)))
    name, controls = standard_controls(name, controls)
    qubits = tuple(draw(st.permutations(range(num_qubits)))[: GATES[name].num_qubits + controls])
    angles = tuple(draw(quarter_turns) for _ in range(GATES[name].num_parameters))
    if clifford(name, controls, angles) is None:
        return Instruction(draw(st.sampled_from(["h", "s", "sx", "y"])), qubits[:1])
    return Instruction(name, qubits, angles, (), controls)


@st.composite
def channels(draw: st.DrawFn, num_qubits: int) -> Instruction:
    name = draw(st.sampled_from([name for name in PAULI_NOISE if CHANNELS[name][0] <= num_qubits]))
    qubits, count = CHANNELS[name]
    most = 1 / 3 if name == "pauli_channel" else 1.0
    values = tuple(draw(st.floats(0, most)) for _ in range(count))
    return Instruction(name, tuple(draw(st.permutations(range(num_qubits)))[:qubits]), values)


@st.composite
def conditionals(draw: st.DrawFn, num_qubits: int, num_clbits: int, depth: int, *, bits: int) -> Instruction:
    paulis = st.builds(lambda name, qubit: Instruction(name, (qubit,)), st.sampled_from("xyz"), st.integers(0, num_qubits - 1))
    steps = st.one_of(paulis, conditionals(num_qubits, num_clbits, depth - 1, bits=bits)) if depth else paulis
    body, orelse = tuple(draw(st.lists(steps, min_size=1, max_size=2))), tuple(draw(st.lists(steps, max_size=2)))
    qubits = tuple(sorted({qubit for step in body + orelse for qubit in step.qubits}))
    clbits = tuple(draw(st.permutations(range(num_clbits)))[: draw(st.integers(1, bits))])
    return Instruction("if", qubits, (), clbits, body=body, value=draw(st.integers(0, (1 << len(clbits)) - 1)), orelse=orelse)


@st.composite
def stabilizer_circuits(draw: st.DrawFn, *, depth: int = 0, bits: int = 1) -> Circuit:
    """All that stim runs: gates, noise, measurements anywhere, resets, Paulis that depend on so many bits, ifs within ifs."""
    num_qubits, num_clbits = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    qubit, bit = st.integers(0, num_qubits - 1), st.integers(0, num_clbits - 1)
    measures = st.builds(lambda at, to: Instruction("measure", (at,), (), (to,)), qubit, bit)
    resets = st.builds(lambda at: Instruction("reset", (at,)), qubit)
    gates = clifford_gates(num_qubits)
    step = st.one_of(
        gates, gates, channels(num_qubits), measures, measures, resets, conditionals(num_qubits, num_clbits, depth, bits=bits)
    )
    return Circuit(num_qubits, draw(st.lists(step, max_size=10)), num_clbits=num_clbits)


# ---- gates -----------------------------------------------------------------------------------------------------------


def unitary_of(name: str, angles: tuple[float, ...] = (), controls: int = 0) -> ComplexArray:
    """What stim makes of a gate, as a matrix."""
    moves = clifford(name, controls, angles)
    assert moves is not None, name
    size = GATES[name].num_qubits + controls
    circuit = stim.Circuit("I " + " ".join(map(str, range(size))))
    for move in moves:
        circuit.append(move.name, move.targets)
    return np.asarray(circuit.to_tableau().to_unitary_matrix(endian="big"), dtype=np.complex128)


@pytest.mark.parametrize("name", [name for name in FIXED if clifford(name, 0, ()) is not None])
def test_a_gate_without_angles_is_stims(name: str) -> None:
    assert same_up_to_phase(unitary_of(name), gate_matrix(name))


def test_gates_that_are_no_clifford_gates_are_known() -> None:
    others = {name for name in FIXED if clifford(name, 0, ()) is None} | {"t", "tdg"}
    assert others == {"t", "tdg", "ch", "cs", "csdg", "csx", "csxdg", "ccx", "ccz", "cswap"}


def test_rotations_by_quarter_turns_are_recognised() -> None:
    for name in ("rx", "ry", "rz", "p", "rxx", "ryy", "rzz", "rzx"):
        for quarters in range(-4, 5):
            turn = (quarters * math.pi / 2,)
            assert same_up_to_phase(unitary_of(name, turn), gate_matrix(name, turn)), (name, quarters)
    for turns in product(range(4), repeat=3):
        angles = tuple(turn * math.pi / 2 for turn in turns)
        assert same_up_to_phase(unitary_of("u", angles), gate_matrix("u", angles)), turns


def test_gates_under_controls_are_recognised_where_they_are_clifford_gates() -> None:
    for name, angle, controls in [("cp", math.pi, 0), ("crz", 2 * math.pi, 0), ("cry", math.pi, 0), ("rz", 4 * math.pi, 2)]:
        assert same_up_to_phase(unitary_of(name, (angle,), controls), gate_matrix(name, (angle,), controls)), name
    assert clifford("cp", 0, (math.pi / 2,)) is None
    assert clifford("rz", 2, (math.pi,)) is None
    assert clifford("gphase", 0, (0.3,)) == ()


def test_an_angle_has_to_be_a_quarter_turn_to_eight_digits() -> None:
    assert clifford("rz", 0, (math.pi / 2 + 1e-9,)) == clifford("s", 0, ())
    assert [clifford("rz", 0, (math.pi / 2 + off,)) for off in (1e-7, 1e-4, 0.005)] == [None] * 3


def test_products_of_paulis_are_recognised() -> None:
    found = [pauli(*asked) for asked in [("x", 0, ()), ("rzz", 0, (math.pi,)), ("u", 0, (math.pi, 0.0, math.pi)), ("cx", 0, ())]]
    assert found == ["X", "ZZ", "X", None]


# ---- whole circuits --------------------------------------------------------------------------------------------------


@given(circuit=st.one_of(stabilizer_circuits(), stabilizer_circuits(depth=1, bits=3)))
@settings(max_examples=300, deadline=None)
def test_samples_are_those_of_density_matrices(circuit: Circuit) -> None:
    assert_drawn_from(distribution(circuit), counts_of(circuit, 3000))


@given(circuit=stabilizer_circuits(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_exact_values_are_those_of_density_matrices(circuit: Circuit, data: st.DataObject) -> None:
    strings = st.text("IXYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits)
    observable = Observable(data.draw(st.dictionaries(strings, st.floats(-2, 2), min_size=1, max_size=4)))
    for qubit in range(circuit.num_qubits):
        circuit = circuit.id(qubit)  # so that no measurement is the last thing that happens to a qubit
    assert made(circuit, observable).expectations([])[0] == pytest.approx(expectation(circuit, observable), abs=1e-9)


@given(circuit=stabilizer_circuits(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_samples_in_a_basis_have_the_exact_values_as_their_means(circuit: Circuit, data: st.DataObject) -> None:
    basis = data.draw(st.text("IXYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits))
    compiled = made(circuit, Observable({basis: 1.0}))
    keys, counts = compiled.sample_in([], basis, 4000, 5)
    mask = int("".join("01"[letter != "I"] for letter in basis), 2)
    mean = sum(count * (-1) ** (key & mask).bit_count() for key, count in zip(keys.tolist(), counts.tolist(), strict=True)) / 4000
    exact = compiled.expectations([])[0]
    assert abs(mean - exact) <= SIGMAS * (math.sqrt((1 - min(1.0, exact**2)) / 4000) + (abs(exact) < 1) * 2 / 4000)


def test_a_final_measurement_leaves_the_state_to_estimates() -> None:
    plus = Circuit(1).h(0)
    assert made(plus.measure(0), Observable({"X": 1.0})).expectations([]) == [1.0]
    assert made(plus.measure(0).delay(1.0, 0), Observable({"X": 1.0})).expectations([]) == [1.0]
    assert made(plus.measure(0).id(0), Observable({"X": 1.0})).expectations([]) == [0.0]
    looked_at = Circuit(2).h(0).measure(0).if_test(0, 1, Circuit(2).x(1))
    assert made(looked_at, Observable({"XI": 1.0}), Observable({"ZZ": 1.0})).expectations([]) == [0.0, 1.0]


def test_a_teleported_state_arrives() -> None:
    sent = Circuit(3).sx(0).h(1).cx(1, 2).cx(0, 1).h(0).measure([0, 1])
    arrived = sent.if_test(1, 1, Circuit(3).x(2)).if_test(0, 0, [], Circuit(3).z(2))
    values = made(arrived, *(Observable({f"II{letter}": 1.0}) for letter in "XYZ")).expectations([])
    assert values == [0.0, -1.0, 0.0]  # SX|0> is the state with <Y> = -1
    assert set(counts_of(arrived.gate("sxdg", 2).measure(2), 500)) == {"000", "010", "100", "110"}


def test_exact_values_behind_a_condition_on_several_bits_are_refused() -> None:
    circuit = Circuit(3).h(0).h(1).measure([0, 1]).if_test([0, 1], 3, Circuit(3).x(2))
    reason = "an if (step 3) that looks at several classical bits together; behind it stim has no exact values, ask with shots"
    assert Stim().reasons(circuit, "estimate", IDEAL) == [reason]
    with pytest.raises(Unsupported, match="ask with shots"):
        made(circuit, Observable({"IIZ": 1.0})).expectations([])


def test_a_bit_at_which_only_an_if_within_an_if_looks_is_read_before_it() -> None:
    inner = Circuit(3, num_clbits=3).if_test(0, 1, Circuit(3).x(2))
    circuit = Circuit(3, num_clbits=3).h(0).measure([0, 1], [0, 1]).if_test(1, 0, inner).measure(2, 2)
    assert_drawn_from({"000": 0.5, "101": 0.5}, counts_of(circuit, 1000))


def test_conditions_see_what_was_read_not_what_was_there() -> None:
    circuit = Circuit(3).x(0).measure([0, 1]).if_test([0, 1], 1, Circuit(3).x(2)).measure(2)
    noise = misreading(0.25, 0.25)
    read = {(a, b): (0.75 if a else 0.25) * (0.25 if b else 0.75) for a, b in product((0, 1), repeat=2)}
    expected = {f"{a}{b}{c}": weight * (0.75 if c == (a and not b) else 0.25) for (a, b), weight in read.items() for c in (0, 1)}
    assert_drawn_from(expected, counts_of(circuit, 20_000, noise=noise))


# ---- many shots ------------------------------------------------------------------------------------------------------


@given(flips=st.lists(st.integers(0, 255), max_size=10), outcome=st.integers(0, 255))
def test_an_even_distribution_has_every_sum_of_its_flips_once(flips: list[int], outcome: int) -> None:
    found = Support(outcome, flips)
    sums = {reduce(xor, chosen, outcome) for size in range(len(flips) + 1) for chosen in combinations(flips, size)}
    keys, counts = found.draw(60_000, 1)
    assert keys.tolist() == sorted(sums)
    assert len(sums) == 1 << found.flips
    assert (np.abs(counts - 60_000 / len(sums)) < SIGMAS * np.sqrt(60_000 / len(sums)) + 1).all()


@pytest.mark.parametrize("shots", [1000, 200_000])
def test_circuits_without_noise_are_drawn_as_their_states_say(shots: int) -> None:
    circuit, _ = wide_circuit(12)
    turned = circuit.measure([11, 3, 0, 7, 5, 2, 9, 1, 10], [0, 2, 1, 3, 4, 6, 5, 7, 8])
    exact = create("engine=lightning").prepare(turned).run(shots=20_000_000, seed=2)[0]
    assert_drawn_from({key: count / 20_000_000 for key, count in exact.counts.items()}, counts_of(turned, shots))


def test_most_of_many_outcomes_are_seen_once() -> None:
    keys, counts = made(Circuit(60, [Instruction("h", (qubit,)) for qubit in range(50)])).sample([], 5000, 1)
    assert len(keys) == 5000 == counts.sum()
    bits = keys[:, None] >> np.arange(60, dtype=np.uint64) & np.uint64(1)
    means = bits.mean(axis=0)[::-1]
    assert (means[50:] == 0).all()
    assert (np.abs(means[:50] - 0.5) < SIGMAS * 0.5 / math.sqrt(5000)).all()
    assert (keys[1:] > keys[:-1]).all()


def test_a_hundred_million_million_shots_of_few_outcomes_are_drawn() -> None:
    keys, counts = made(Circuit(20).h(0).cx(0, 19)).sample([], 10**14, 1)
    assert keys.tolist() == [0, 1 + (1 << 19)]
    assert abs(counts[0] - 5e13) < SIGMAS * math.sqrt(10**14) / 2


def test_bits_have_their_places_and_those_never_written_are_0() -> None:
    circuit = Circuit(3, num_clbits=5).x(2).measure([2, 0], [3, 1]).x(0).measure(0, 4)
    assert counts_of(circuit, 10) == {"00011": 10}
    assert counts_of(Circuit(3).x(1), 10) == {"010": 10}
    assert counts_of(Circuit(2, num_clbits=2).x(0).measure(0, 1).measure(1, 1), 10) == {"00": 10}


def test_equal_seeds_give_equal_samples_and_others_do_not() -> None:
    spread = made(Circuit(40, [Instruction("h", (qubit,)) for qubit in range(40)]))
    first, again, other = (spread.sample([], 50, seed)[0].tolist() for seed in (2**64 - 1, 2**64 - 1, 7))
    assert first == again
    assert len(set(first) | set(other)) == 100


def test_many_shots_are_drawn_in_parts_that_are_not_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stim_engine, "CHUNK_BITS", 1)
    noisy = Circuit(2).h(0).cx(0, 1).channel("bit_flip", 1, probabilities=[0.25])
    assert_drawn_from({"00": 0.375, "11": 0.375, "01": 0.125, "10": 0.125}, counts_of(noisy, 50_001))
    rows, _ = made(Circuit(70, [Instruction("h", (qubit,)) for qubit in range(70)])).sample([], 2500, 1)
    assert len(np.unique(rows, axis=0)) == 2500


# ---- wide circuits ---------------------------------------------------------------------------------------------------


@given(rows=st.integers(1, 20), columns=st.integers(1, 5), seed=st.integers(0, 100))
def test_turning_bits_over_is_numpys_transpose(rows: int, columns: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    expected = np.packbits(np.unpackbits(bits, axis=1, bitorder="little").T, axis=1)
    np.testing.assert_array_equal(shot_major(bits), expected)


def wide_circuit(num_qubits: int) -> tuple[Circuit, stim.Circuit]:
    """Random gates, and the same in stim's own hands."""
    generator = np.random.default_rng(3)
    steps, raw = [], stim.Circuit()
    for layer in range(4):
        for qubit in range(num_qubits):
            name = ("h", "s", "sx", "x")[generator.integers(4)]
            steps.append(Instruction(name, (qubit,)))
            raw.append({"h": "H", "s": "S", "sx": "SQRT_X", "x": "X"}[name], [qubit])
        for qubit in range(layer % 2, num_qubits - 1, 2):
            steps.append(Instruction("cx", (qubit, qubit + 1)))
            raw.append("CX", [qubit, qubit + 1])
    return Circuit(num_qubits, steps), raw


def test_500_qubits_have_the_stabilizers_that_stim_says() -> None:
    circuit, raw = wide_circuit(500)
    keys, counts = made(circuit).sample([], 200, 9)
    assert keys.shape == (200, 63)
    assert counts.tolist() == [1] * 200
    bits = np.unpackbits(keys.view(np.uint8), axis=1, count=500)
    simulator = stim.TableauSimulator()
    simulator.do(raw)
    fixed = [simulator.peek_z(qubit) for qubit in range(500)]
    assert 10 < sum(map(abs, fixed)) < 490
    for qubit, value in enumerate(fixed):
        mean = float(1 - 2.0 * bits[:, qubit].mean())
        assert mean == value if value else abs(mean) < SIGMAS / math.sqrt(200)


def test_500_qubits_have_exact_values() -> None:
    circuit, raw = wide_circuit(500)
    simulator = stim.TableauSimulator()
    simulator.do(raw)
    stabilizers = simulator.canonical_stabilizers()[:40]
    strings = ["".join("IXYZ"[letter] for letter in string) for string in stabilizers]
    observables = [Observable({string: 2.0}) for string in strings]
    assert made(circuit, *observables).expectations([]) == [2 * string.sign.real for string in stabilizers]


def test_shots_that_do_not_fit_into_memory_are_refused_with_both_numbers() -> None:
    wide = made(Circuit(1000).x(0), limit=1_000_000)
    assert wide.sample([], 100, 1)[0].shape == (100, 125)
    with pytest.raises(
        Unsupported, match=r"100000000 shots of 1000 bits need \d+ bytes, the limit is 1000000 .* at most \d+ shots"
    ):
        wide.sample([], 100_000_000, 1)


# ---- readout errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("errors", [(0.2, 0.2), (0.1, 0.3), (0.0, 0.3), (0.1, 0.0)])
def test_bits_are_misread_at_the_end_and_before(errors: tuple[float, float]) -> None:
    noise = misreading(*errors)
    circuit = Circuit(2, num_clbits=3).x(1).measure(0, 0).x(0).measure(1, 1).measure(0, 2)
    ups, downs = errors
    expected = {
        f"{a}{b}{c}": (ups if a else 1 - ups) * (1 - downs if b else downs) * (1 - downs if c else downs)
        for a, b, c in product((0, 1), repeat=3)
    }
    assert_drawn_from(expected, counts_of(circuit, 20_000, noise=noise))


def test_what_is_fed_forward_is_what_was_read() -> None:
    circuit = Circuit(2, num_clbits=2).measure(0).if_test(0, 1, Circuit(2).x(1)).measure(1)
    noise = misreading(0.25, 0.25)
    assert_drawn_from({"00": 0.5625, "01": 0.1875, "10": 0.0625, "11": 0.1875}, counts_of(circuit, 20_000, noise=noise))
    assert made(circuit, Observable({"IZ": 1.0}), noise=noise).expectations([]) == [0.5]


def test_misread_bits_are_in_samples_of_a_basis_and_not_in_exact_values() -> None:
    compiled = made(Circuit(2).h(0).x(1), Observable({"XI": 1.0}), noise=misreading(0.1, 0.3))
    keys, counts = compiled.sample_in([], "XZ", 20_000, 3)
    expected = {"00": 0.9 * 0.3, "01": 0.9 * 0.7, "10": 0.1 * 0.3, "11": 0.1 * 0.7}
    assert_drawn_from(expected, {format(key, "02b"): int(count) for key, count in zip(keys.tolist(), counts, strict=True)})
    assert compiled.expectations([]) == [1.0]


def test_noise_of_gates_is_drawn() -> None:
    noisy = NoiseModel.depolarizing(0.3, 0.15)
    assert_drawn_from({"0": 0.2, "1": 0.8}, counts_of(Circuit(1).x(0), 20_000, noise=noisy))
    value = made(Circuit(2).x(0).cx(0, 1), Observable({"ZI": 1.0}), noise=noisy).expectations([])[0]
    assert value == pytest.approx(-(1 - 4 * 0.3 / 3) * (1 - 16 * 0.15 / 15), abs=1e-12)


def test_operators_of_a_mixture_of_paulis_are_recognised() -> None:
    flips = Circuit(1).kraus([np.sqrt(0.7) * np.eye(2), np.sqrt(0.3) * np.array([[0, 1], [1, 0]])], 0)
    assert_drawn_from(distribution(flips), counts_of(flips, 20_000))
    both = Circuit(2).kraus([np.sqrt(0.6) * np.eye(4), np.sqrt(0.4) * np.eye(4)[::-1]], 0, 1)
    assert_drawn_from({"00": 0.6, "11": 0.4}, counts_of(both, 20_000))
    damped = Circuit(1).kraus([[[1, 0], [0, 0.6]], [[0, 0.8], [0, 0]]], 0)
    assert Stim().reasons(damped, "sample", IDEAL) == ["channel kraus on qubit 0 (step 0) is no mixture of Paulis"]


# ---- reasons ---------------------------------------------------------------------------------------------------------


def test_the_first_steps_that_are_no_clifford_gates_are_named() -> None:
    circuit = Circuit(2).h(0).t(1).rz(0.1, 0).verbatim(Circuit(2).cp(0.2, 0, 1)).t(0).t(0)
    assert Stim().reasons(circuit, "sample", IDEAL) == [
        "gate t on qubit 1 (step 1) is no Clifford gate",
        "gate rz(0.1) on qubit 0 (step 2) is no Clifford gate",
        "gate cp(0.2) on qubits 0, 1 (step 3) is no Clifford gate",
        "and more of these",
    ]


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (Circuit(1).rz(Parameter("a"), 0), "gate rz(a) on qubit 0 (step 0) has a free parameter; bind it first"),
        (Circuit(0), "a circuit without qubits"),
        (Circuit(1).gate("gphase", angles=[Parameter("a")]), "gate gphase(a) (step 0) has a free parameter; bind it first"),
        (Circuit(3).gate("x", 0, 1, 2, controls=2), "gate ccx on qubits 0, 1, 2 (step 0) is no Clifford gate"),
        (Circuit(5).gate("x", 0, 1, 2, 3, 4, controls=4), "gate x under 4 more controls on qubits"),
        (Circuit(1).channel("amplitude_damping", 0, probabilities=[0.1]), "channel amplitude_damping on qubit 0 (step 0)"),
        (Circuit(1).measure(0).if_test(0, 1, Circuit(1).h(0)), "an if (step 1) around h; stim makes only Pauli gates depend"),
        (
            Circuit(2).measure([0, 1]).if_test([0, 1], 3, Circuit(2, num_clbits=2).if_test(0, 1, Circuit(2).h(0))),
            "an if (step 1) around h",
        ),
        (Circuit(1).measure(0).if_test(0, 1, Circuit(1).reset(0)), "an if (step 1) around reset"),
    ],
)
def test_what_stim_cannot_do_is_refused_by_name(circuit: Circuit, reason: str) -> None:
    assert Stim().reasons(circuit, "sample", IDEAL)[0].startswith(reason)


def test_unequal_readout_errors_are_not_fed_forward() -> None:
    circuit = Circuit(1).measure(0).if_test(0, 1, Circuit(1).x(0))
    noise = Settings(noise=misreading(0.1, 0.2))
    assert (
        Stim().reasons(circuit, "sample", noise)[0].startswith("with its noise: an if (step 1) on classical bit 0, which is read")
    )
    assert Stim().reasons(circuit, "sample", Settings(noise=misreading(0.1, 0.1))) == []


def test_noise_that_is_no_mixture_of_paulis_is_named() -> None:
    relaxing = NoiseModel.thermal(t1_s=1e-4, t2_s=1e-4, durations_s={"default:1": 1e-6})
    found = Stim().reasons(Circuit(1).h(0), "sample", Settings(noise=relaxing))
    assert found[0] == "with its noise: channel amplitude_damping on qubit 0 (step 1) is no mixture of Paulis"
    strict = NoiseModel.depolarizing(0.1, 0.1)
    assert "ccx" in Stim().reasons(Circuit(3).gate("x", 0, 1, 2, controls=2).h(0), "sample", Settings(noise=strict))[0]


def test_other_kinds_and_methods_are_refused() -> None:
    assert Stim().reasons(Circuit(1), "gradient", IDEAL) == ["kind gradient, stim has sample and estimate"]
    assert Stim().reasons(Circuit(1), "sample", Settings(method="mps")) == ["method mps, stim has stabilizer"]
    assert Stim().reasons(Circuit(1), "sample", Settings(method="stabilizer")) == []


def test_many_parts_of_noisy_shots_take_memory_for_their_keys_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stim_engine, "CHUNK_BITS", 1 << 14)
    even = Circuit(10)
    for qubit in range(10):
        even = even.h(qubit)
    compiled = made(even.channel("bit_flip", 1, probabilities=[0.5]))
    compiled.sample([], 1000, 1)
    tracemalloc.start()
    try:
        keys, counts = compiled.sample([], 3_000_000, 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(keys), counts.sum()) == (1024, 3_000_000)
    assert peak < 10 << 20  # 3,000 parts with most keys in each
