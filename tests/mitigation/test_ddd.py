"""`ddd`: where pulses go, against Mitiq; what they do, against exact matrices; what is refused."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.circuits.expressions import number
from qloom.circuits.gates import GATES, matrix
from qloom.contracts import Answer, StageContext
from qloom.devices.qiskit import create as create_qiskit
from qloom.devices.sim import create as create_sim
from qloom.errors import InvalidSetting, UnknownName, Unsupported
from qloom.mitigation.ddd import Ddd, DddOptions
from qloom.mitigation.timeline import GateTimes, Timeline
from qloom.noise import NoiseModel
from qloom.noise.schedule import ATTOSECONDS, attoseconds
from qloom.specs import DeviceSpec
from tests.circuits.strategies import unitary_circuits

LAYERS: dict[str, Any] = {"durations_s": {"default": 1.0}, "schedule": "asap", "fresh": True}
NANO = {"default:1": 35e-9, "default:2": 300e-9}
TOY = DeviceSpec(name="toy", num_qubits=9, gates=frozenset(GATES), features=frozenset({"delay", "verbatim"}))


def decoupled(circuit: Circuit, spec: DeviceSpec = TOY, **options: Any) -> tuple[Circuit, dict[str, Any]]:
    context = StageContext(spec=spec)
    found = Ddd().expand(circuit, DddOptions(**options), context)
    assert len(found.circuits) == 1
    return found.circuits[0], context.notes


def timed(circuit: Circuit, schedule: str = "asap", **durations: float) -> set[tuple[float, str, tuple[int, ...]]]:
    """When each gate starts, delays and barriers left out."""
    line = Timeline("test", circuit, GateTimes(durations or {"default": 1.0}), schedule)
    return {
        (start / ATTOSECONDS, step.name, step.qubits)
        for step, start, _, _ in line.steps
        if step.name not in ("delay", "barrier", "id")
    }


def steps_of(circuit: Circuit, qubit: int) -> list[tuple[Any, ...]]:
    return [(step.name, *step.parameters) for step in circuit.flat() if step.qubits == (qubit,)]


# ---- where pulses go ---------------------------------------------------------------------------------------------------


def with_mitiq(circuit: Circuit, rule: Any) -> set[tuple[float, str, tuple[int, ...]]]:
    """When each gate of Mitiq's circuit starts, in layers."""
    import cirq
    from mitiq.ddd import insert_ddd_sequences

    gates = {"h": cirq.H, "x": cirq.X, "y": cirq.Y, "t": cirq.T, "id": cirq.I, "cx": cirq.CNOT, "cz": cirq.CZ}
    names = {gate: name for name, gate in gates.items()}
    qubits = cirq.LineQubit.range(circuit.num_qubits)
    given = cirq.Circuit(gates[step.name](*(qubits[place] for place in step.qubits)) for step in circuit.instructions)
    made = insert_ddd_sequences(given, rule)
    return {
        (float(layer), names[operation.gate], tuple(qubit.x for qubit in operation.qubits))
        for layer, moment in enumerate(made)
        for operation in moment
        if names[operation.gate] != "id"
    }


@st.composite
def layered(draw: st.DrawFn) -> Circuit:
    circuit = Circuit(3)
    for qubit in range(3):
        circuit = circuit.h(qubit)
    for _ in range(draw(st.integers(0, 24))):
        name = draw(st.sampled_from(["h", "t", "x", "cx", "cz", "id"]))
        places = draw(st.permutations(range(3)))[: GATES[name].num_qubits]
        for _ in range(draw(st.integers(1, 3)) if name != "id" else 1):
            circuit = circuit.gate(name, *places)
    return circuit


@pytest.mark.parametrize("name", ["xx", "yy", "xyxy"])
@settings(max_examples=40, deadline=None)
@given(circuit=layered())
def test_in_layers_the_circuit_is_the_one_mitiq_makes(name: str, circuit: Circuit) -> None:
    rules = pytest.importorskip("mitiq.ddd").rules
    found, _ = decoupled(circuit, sequence=name, **LAYERS)
    assert timed(found) == with_mitiq(circuit, getattr(rules, name))


@pytest.mark.parametrize("length", range(1, 14))
@pytest.mark.parametrize("spacing", [0, 1, 2])
def test_a_given_spacing_and_repeats_go_where_mitiq_puts_them(length: int, spacing: int) -> None:
    rules = pytest.importorskip("mitiq.ddd").rules
    circuit = Circuit(2).h(0).h(1)
    for _ in range(length):
        circuit = circuit.t(1)
    circuit = circuit.cx(0, 1)
    found, _ = decoupled(circuit, sequence="XYXY", spacing_s=spacing, **LAYERS)
    assert timed(found) == with_mitiq(circuit, lambda slack: rules.xyxy(slack, spacing))
    import cirq

    found, _ = decoupled(circuit, sequence="XX", spacing_s=0, repeats=100, **LAYERS)
    assert timed(found) == with_mitiq(circuit, lambda slack: rules.repeated_rule(slack, [cirq.X, cirq.X]))


@pytest.mark.parametrize(
    ("sequence", "waits"),
    [("XX", [1, 1, 1]), ("YY", [1, 1, 1]), ("XYXY", [0.5] * 5), ("CPMG", [0.75, 1.5, 0.75])],
)
def test_real_times_are_spread_as_the_sequence_wants_and_kept_in_all(sequence: str, waits: list[float]) -> None:
    pulses = len(waits) - 1
    idle = 3.0 + 0.25 * pulses if sequence != "XYXY" else 2.5 + 0.25 * pulses
    circuit = Circuit(1).h(0).delay(idle, 0, unit="us").h(0)
    found, notes = decoupled(circuit, sequence=sequence, durations_s={"default": 0.5e-6, "x": 0.25e-6, "y": 0.25e-6})
    inside = steps_of(found, 0)[1:-1]
    assert [step[1] for step in inside[::2]] == pytest.approx([wait * 1e-6 for wait in waits], rel=1e-12)
    assert sum(attoseconds(step[1]) for step in inside[::2]) + pulses * attoseconds(0.25e-6) == attoseconds(idle * 1e-6)
    assert "".join(step[0] for step in inside[1::2]) == sequence.replace("CPMG", "XX").lower()
    assert (notes["windows"], notes["decoupled"], notes["pulses"], notes["idle_s"]) == (1, 1, pulses, pytest.approx(idle * 1e-6))


def test_layers_of_cpmg_are_rounded_to_the_nearest() -> None:
    def waits(length: int) -> list[float]:
        found, _ = decoupled(Circuit(1).h(0).delay(length, 0).h(0), sequence="CPMG", **LAYERS)
        times = sorted(start - 1 for start, name, _ in timed(found) if name == "x")
        return [times[0], times[1] - times[0] - 1, length - times[1] - 1]

    assert [waits(length) for length in (2, 3, 5, 6, 10)] == [[0, 0, 0], [0, 1, 0], [1, 1, 1], [1, 2, 1], [2, 4, 2]]


def test_waits_are_whole_multiples_of_the_grain() -> None:
    circuit = Circuit(1).h(0).delay(1000, 0, unit="dt").h(0)
    times = {"default:1": 160 * 2e-10, "dt": 2e-10}
    found, _ = decoupled(circuit, durations_s={**times, "h": 0.0})
    waits = [attoseconds(step[1]) for step in steps_of(found, 0) if step[0] == "delay"]
    assert [wait % attoseconds(2e-10) for wait in waits] == [0, 0, 0]
    assert sum(waits) == attoseconds(680 * 2e-10)
    found, _ = decoupled(circuit, durations_s={**times, "h": 0.0}, grain_s=16 * 2e-10)
    assert [round(step[1] / 2e-10) for step in steps_of(found, 0) if step[0] == "delay"] == [224, 224, 232]


@settings(max_examples=60, deadline=None)
@given(unitary_circuits(max_qubits=4), st.sampled_from(["XX", "YY", "XYXY", "CPMG"]), st.sampled_from(["alap", "asap"]))
def test_every_gate_keeps_its_time_under_any_schedule(circuit: Circuit, sequence: str, schedule: str) -> None:
    times = {"default:1": 35e-9, "default": 310e-9}
    before = Timeline("test", circuit, GateTimes(times), schedule)
    found, notes = decoupled(circuit, sequence=sequence, schedule=schedule, durations_s=times)
    if not notes["pulses"]:
        assert found is circuit
        return
    kept = sorted(
        (start, step.name, step.qubits) for step, start, *_ in before.steps if step.name not in ("id", "delay", "barrier")
    )
    for other in ("alap", "asap"):
        after = Timeline("test", found, GateTimes(times), other)
        assert after.total == before.total
        placed = [
            (start, step.name, step.qubits) for step, start, *_ in after.steps if step.name not in ("id", "delay", "barrier")
        ]
        for one in kept:
            placed.remove(one)
        assert len(placed) == notes["pulses"]
        assert {name for _, name, _ in placed} <= {"x", "y"}


# ---- what they do ------------------------------------------------------------------------------------------------------


def unitary(circuit: Circuit) -> np.ndarray[Any, Any]:
    """The matrix of gates on few qubits, qubit 0 most significant."""
    size = circuit.num_qubits
    whole = np.eye(1 << size, dtype=complex)
    for step in circuit.flat():
        if step.name in ("delay", "barrier"):
            continue
        gate = matrix(step.name, [number(angle) for angle in step.parameters]).reshape([2] * (2 * len(step.qubits)))
        state = whole.reshape([2] * size + [1 << size])
        state = np.tensordot(gate, state, (range(len(step.qubits), 2 * len(step.qubits)), step.qubits))
        whole = np.moveaxis(state, range(len(step.qubits)), step.qubits).reshape(1 << size, -1)
    return whole


def is_same(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> bool:
    """Whether two unitaries are equal up to a phase."""
    return bool(abs(abs(np.trace(first.conj().T @ second)) - len(first)) < 1e-9)


SCATTERED = (
    Circuit(3).h(0).h(1).h(2).cx(0, 1).t(1).cx(0, 1).cx(0, 1).rx(0.3, 0).cx(0, 1).cx(1, 2).delay(900, 0, unit="ns").cx(0, 1)
)


@pytest.mark.parametrize("sequence", ["XX", "YY", "XYXY", "CPMG"])
def test_pulses_leave_the_unitary_as_it_is(sequence: str) -> None:
    found, notes = decoupled(SCATTERED, sequence=sequence, durations_s=NANO)
    assert notes["pulses"] > 0
    assert is_same(unitary(found), unitary(SCATTERED))


def detuned(circuit: Circuit, detunings: list[float]) -> Circuit:
    """The circuit in which every qubit turns about Z, at its own rate (rad/s), whenever it waits."""
    line = Timeline("test", circuit, GateTimes(NANO), "alap")

    def steps() -> Iterator[Instruction]:
        waited: dict[int, int] = {}
        until = dict.fromkeys(range(circuit.num_qubits), 0)
        for step, start, end, _ in line.steps:
            for qubit in step.qubits:
                waited[qubit] = waited.get(qubit, 0) + start - until[qubit] + (end - start if step.name == "delay" else 0)
                until[qubit] = end
                if step.name != "delay" and (time := waited.pop(qubit)):
                    yield Instruction("rz", (qubit,), (detunings[qubit] * time / ATTOSECONDS,))
            if step.name != "delay":
                yield step

    return Circuit(circuit.num_qubits, steps())


def infidelity(circuit: Circuit, seed: int) -> float:
    """1 - fidelity of the final state, averaged over slow detunings of some 0.2 MHz."""
    generator = np.random.default_rng(seed)
    ideal = unitary(SCATTERED)[:, 0]
    states = [unitary(detuned(circuit, (generator.normal(size=3) * 2 * math.pi * 2e5).tolist()))[:, 0] for _ in range(60)]
    return float(np.mean([1 - abs(ideal.conj() @ state) ** 2 for state in states]))


@pytest.mark.parametrize("sequence", ["XX", "YY", "XYXY", "CPMG"])
def test_under_quasi_static_dephasing_the_error_falls_at_least_to_half(sequence: str) -> None:
    found, _ = decoupled(SCATTERED, sequence=sequence, durations_s=NANO)
    plain = infidelity(SCATTERED, 5)
    assert plain > 0.05
    assert infidelity(found, 5) < plain / 2


def test_cpmg_undoes_a_constant_detuning_wholly() -> None:
    circuit = Circuit(1).h(0).delay(3, 0, unit="us").h(0)
    found, _ = decoupled(circuit, sequence="CPMG", durations_s=NANO)
    assert abs(unitary(detuned(found, [2e6]))[0, 0]) == pytest.approx(1, abs=1e-9)
    assert abs(unitary(detuned(circuit, [2e6]))[0, 0]) < 0.999


def test_the_simulator_with_relaxation_sees_the_time_that_the_circuit_had() -> None:
    noise = NoiseModel.thermal(t1_s=2e-6, t2_s=3e-6, durations_s={"default:1": 35e-9, "default:2": 3e-7})
    sim = create_sim(noise=noise)
    assert sim.spec().durations_s == {"default:1": 35e-9, "default:2": 3e-7, "default": 0.0}
    found, notes = decoupled(SCATTERED, sim.spec())
    assert notes["pulses"] > 0
    times = [[_relaxed(noise.apply(circuit), qubit) for qubit in range(3)] for circuit in (SCATTERED, found)]
    assert times[0] == pytest.approx(times[1], rel=1e-9)


def _relaxed(circuit: Circuit, qubit: int) -> float:
    """Time over T1 of all relaxation of a qubit from its first gate on; before that it is in |0>."""
    steps = [step for step in circuit.flat() if qubit in step.qubits]
    first = next(place for place, step in enumerate(steps) if step.name in GATES)
    return sum(-math.log1p(-number(step.parameters[0])) for step in steps[first:] if step.name == "amplitude_damping")


# ---- what stays, what is refused ---------------------------------------------------------------------------------------


def test_symbols_blocks_and_barriers_stay() -> None:
    theta = Parameter("theta")
    block = Circuit(2).cx(0, 1).rz(theta, 1).rz(theta, 1).cx(0, 1)
    found, notes = decoupled(Circuit(2).h(0).h(1).verbatim(block).barrier(0, 1).h(0), durations_s={"default": 1.0})
    assert found.parameters == ("theta",)
    assert [step.name for step in found.instructions] == ["h", "h", "verbatim", "barrier", "h", "delay"]
    assert [step.name for step in found.instructions[2].body] == ["cx", "rz", "rz", "x", "x", "cx"]
    assert notes["pulses"] == 2


def test_a_window_spans_barriers() -> None:
    circuit = Circuit(2).h(0).h(1).t(1).barrier(0, 1).t(1).t(1).barrier(0, 1).cx(0, 1)
    found, _ = decoupled(circuit, durations_s={"default": 1.0})
    assert [step.qubits for step in found.instructions if step.name == "barrier"] == [(1,), (1,)]
    assert {start for start, name, _ in timed(found) if name == "x"} == {2.0, 3.0}


def test_a_fresh_qubit_gets_no_pulses_unless_it_is_asked_for() -> None:
    circuit = Circuit(2).h(0).t(0).t(0).t(0).cx(0, 1)
    same, notes = decoupled(circuit, durations_s={"default": 1.0})
    assert same is circuit
    assert notes["message"].startswith("no idle window: ")
    assert decoupled(circuit, durations_s={"default": 1.0}, fresh=True)[1]["pulses"] == 2
    again = Circuit(2).h(1).reset(1).h(0).t(0).t(0).t(0).t(0).t(0).cx(0, 1)
    assert decoupled(again, durations_s={"default": 1.0}, schedule="asap")[1]["windows"] == 0


def test_too_short_windows_stay_and_are_told() -> None:
    circuit = Circuit(1).h(0).delay(60, 0, unit="ns").h(0)
    same, notes = decoupled(circuit, durations_s=NANO)
    assert same is circuit
    assert notes["message"] == "no idle window is long enough for XX: the longest of 1 is 6e-08 s"
    assert decoupled(circuit, durations_s={"default:1": 30e-9})[1]["pulses"] == 2
    assert decoupled(circuit, durations_s={"default:1": 30e-9}, min_window_s=61e-9)[1]["pulses"] == 0
    assert decoupled(circuit, durations_s={"default:1": 10e-9}, spacing_s=2e-9, repeats=9)[1]["pulses"] == 4


def test_a_device_without_y_gets_z_and_x() -> None:
    spec = DeviceSpec(
        name="qpu",
        num_qubits=1,
        gates=frozenset(GATES),
        native_gates=frozenset({"rz", "sx", "x", "cx"}),
        features=frozenset({"delay"}),
        durations_s={"sx": 35e-9, "x": 35e-9, "rz": 0.0},
    )
    circuit = Circuit(1).sx(0).delay(1, 0, unit="us").sx(0)
    found, _ = decoupled(circuit, spec, sequence="YY")
    assert [step.name for step in found.instructions] == ["sx", "delay", "rz", "x", "delay", "rz", "x", "delay", "sx"]
    assert is_same(unitary(found), unitary(circuit))


def test_a_qiskit_backend_states_its_times() -> None:
    spec = create_qiskit("qiskit.providers.fake_provider:GenericBackendV2:num_qubits=3,seed=1").spec()
    assert spec.durations_s.keys() == {"cx", "dt", "id", "measure", "reset", "rz", "sx", "x"}
    assert 1e-7 < spec.durations_s["cx"] < 2e-6
    found, notes = decoupled(Circuit(3).sx(0).sx(1).cx(0, 1).cx(1, 2).cx(1, 2).cx(0, 1), spec)
    assert (notes["windows"], notes["pulses"]) == (2, 4)
    assert {round(step[1] / spec.durations_s["dt"], 6) % 1 for step in steps_of(found, 0) if step[0] == "delay"} == {0.0}
    assert create_qiskit("qiskit_aer:AerSimulator").spec().durations_s == {}


def test_a_noiseless_simulator_runs_what_is_inserted() -> None:
    sim = create_sim()
    assert sim.spec().durations_s == {}
    with pytest.raises(Unsupported, match="no gate times for cx, h, rx, t"):
        decoupled(SCATTERED, sim.spec())
    found, _ = decoupled(SCATTERED, sim.spec(), durations_s=NANO)
    parity = [Observable({"ZZZ": 1.0, "XIY": 0.5})]
    before, after = (sim.prepare(Circuit(3).verbatim(circuit), parity).estimate().values for circuit in (SCATTERED, found))
    np.testing.assert_allclose(before, after, atol=1e-12)


def test_the_answer_is_passed_on_with_the_notes() -> None:
    context = StageContext(spec=TOY)
    found = Ddd().expand(SCATTERED, DddOptions(durations_s=NANO), context)
    answer, later = Answer(np.array([[0.5]]), np.array([[0.0]])), StageContext(spec=TOY)
    assert Ddd().combine(found.recipe, [answer], DddOptions(), later) is answer
    assert later.notes == context.notes == found.recipe


@pytest.mark.parametrize(
    ("circuit", "options", "said"),
    [
        (SCATTERED, {}, 'ddd: no gate times for cx, h, rx, t; give them in seconds, as .* durations_s, such as {"default:1"'),
        (SCATTERED, {"durations_s": {"default:1": 1.0}}, "no gate times for cx;"),
        (Circuit(3).gate("ry", 0, 1, 2, angles=[0.1], controls=2), {"durations_s": {"ry": 1.0}}, r"ctrl\(2\) @ ry"),
        (
            Circuit(1).h(0).delay(9, 0).h(0),
            {"durations_s": {"h": 1.0}},
            "no gate times for x, of which the pulses of sequence=XX",
        ),
        (Circuit(1).h(0).delay(9, 0, unit="dt").h(0), {"durations_s": NANO}, r"delay in dt on qubits \[0\]; say what dt is"),
        (
            Circuit(1).measure(0).if_test(0, 1, Circuit(1).x(0)),
            {"durations_s": {"default": 1.0}},
            "an `if` on the classical bits 0",
        ),
    ],
)
def test_what_has_no_known_times_is_refused_by_name(circuit: Circuit, options: dict[str, Any], said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        decoupled(circuit, **options)


def test_a_device_without_delays_is_refused() -> None:
    bare = DeviceSpec(name="bare", num_qubits=9, gates=frozenset(GATES))
    with pytest.raises(Unsupported, match="ddd: bare runs no delays, which keep the pulses"):
        decoupled(SCATTERED, bare, durations_s=NANO)
    assert decoupled(Circuit(1).h(0), bare, durations_s=NANO)[0] == Circuit(1).h(0)


def test_options_are_checked_by_name() -> None:
    assert DddOptions(sequence="xyxy").sequence == "XYXY"
    with pytest.raises(ValueError, match="XYXY"):
        DddOptions(sequence="XYX")
    with pytest.raises(UnknownName, match="'czz'; did you mean 'cz'"):
        DddOptions(durations_s={"czz": 1.0})
    with pytest.raises(InvalidSetting, match="ddd: durations_s: x must be a finite number from 0 up"):
        DddOptions(durations_s={"x": -1.0})
    with pytest.raises(InvalidSetting, match="the time of cx is given twice, once as cnot"):
        DddOptions(durations_s={"cx": 1.0, "cnot": 1.0})
    with pytest.raises(ValueError, match="spacing"):
        DddOptions(spacings_s=1.0)  # type: ignore[call-arg]  # not an option
