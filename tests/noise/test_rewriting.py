"""Circuits with their noise: where channels come, and how long they last."""

from math import exp, log1p
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.transpiler import InstructionDurations, PassManager
from qiskit.transpiler.basepasses import AnalysisPass
from qiskit.transpiler.passes import ALAPScheduleAnalysis, ASAPScheduleAnalysis

from qloom.circuits import Circuit, Instruction, Parameter
from qloom.circuits.gates import GATES
from qloom.errors import InvalidSetting, UnknownName, Unsupported
from qloom.noise import ErrorChannel, GateNoise, NoiseModel, QubitNoise
from tests.circuits import strategies
from tests.noise.oracle import branches, density

T1, T2 = 80e-6, 60e-6
US = 1e-6


def waiting(**durations_s: float) -> NoiseModel:
    return NoiseModel.thermal(t1_s=T1, t2_s=T2, durations_s=durations_s, schedule="asap")


def inserted(before: tuple[Instruction, ...], after: tuple[Instruction, ...]) -> list[Instruction]:
    """Return what was inserted; fails where something else happened."""
    rest, found = list(before), []
    for step in after:
        if rest and step.name == rest[0].name and step._replace(body=(), orelse=()) == rest[0]._replace(body=(), orelse=()):
            first = rest.pop(0)
            found += inserted(first.body, step.body) + inserted(first.orelse, step.orelse)
        else:
            assert step.kind == "channel"
            found.append(step)
    assert not rest
    return found


def symbolic(name: str) -> Instruction:
    return Instruction("delay", (0,), (Parameter(name),), unit="s")


def named(circuit: Circuit) -> list[str]:
    return [step.name for step in circuit.instructions]


# ---- time --------------------------------------------------------------------------------------------------------------


@given(st.floats(0, 300), st.floats(0, 1))
def test_an_excited_qubit_decays_with_t1_to_what_is_excited_at_rest(us: float, excited: float) -> None:
    noise = NoiseModel.thermal(t1_s=T1, t2_s=T2, durations_s={}, excited_population=excited)
    state = density(noise.apply(Circuit(1).x(0).delay(us, 0, unit="us")))
    assert np.isclose(state[1, 1].real, excited + (1 - excited) * exp(-us * US / T1), atol=1e-12)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("dt", 2e-9)])
def test_the_coherence_of_ramsey_and_hahn_decays_with_t2(unit: str, factor: float, *, echo: bool) -> None:
    half, noise = 20e-6, waiting().replace(dt_s=2e-9)
    wait = Circuit(1).h(0).delay(half / factor, 0, unit=unit)
    state = density(noise.apply((wait.x(0) if echo else wait).delay(half / factor, 0, unit=unit)))
    assert np.isclose(2 * abs(state[0, 1]), exp(-2 * half / T2), atol=1e-12)


def test_a_qubit_that_waits_for_another_one_loses_coherence() -> None:
    circuit = Circuit(2).h(0).barrier().x(1).x(1).x(1).barrier().h(0)
    state = density(waiting(x=10e-6).apply(circuit))
    assert np.isclose(np.trace(state[:2, :2]).real, (1 + exp(-30e-6 / T2)) / 2, atol=1e-12)


@pytest.mark.parametrize(("schedule", "waits_s"), [("asap", 30e-6), ("alap", 0.0), ("none", 0.0)])
def test_a_schedule_says_where_idle_windows_lie(schedule: str, waits_s: float) -> None:
    noise = waiting(z=10e-6).replace(schedule=schedule)
    state = density(noise.apply(Circuit(2).h(0).z(1).z(1).z(1).cz(0, 1).h(0)))
    assert np.isclose(np.trace(state[:2, :2]).real, (1 + exp(-waits_s / T2)) / 2, atol=1e-12)


@pytest.mark.parametrize("schedule", [ALAPScheduleAnalysis, ASAPScheduleAnalysis])
@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["x", "h", "cx", "delay", "barrier"]), st.permutations(range(3))), max_size=12))
def test_a_qubit_relaxes_from_its_first_step_in_the_schedule_of_qiskit_to_the_end(
    schedule: type[AnalysisPass], rows: list[tuple[str, list[int]]]
) -> None:
    durations = {"x": 35, "h": 20, "cx": 300, "delay": 50, "barrier": 0}
    theirs, ours = QuantumCircuit(3), Circuit(3)
    for name, order in rows:
        qubits = order[: {"cx": 2, "barrier": 3}.get(name, 1)]
        getattr(theirs, name)(*([50] if name == "delay" else []), *qubits, **({"unit": "dt"} if name == "delay" else {}))
        step = Instruction(name, tuple(qubits), (50.0,) if name == "delay" else (), unit="dt" if name == "delay" else "")
        ours = ours.append(step)
    known = InstructionDurations([(name, None, value) for name, value in durations.items()], dt=1e-9)
    passes = PassManager([schedule(known)])
    passes.run(theirs)
    starts = passes.property_set["node_start_time"] or {}
    end = max((start + durations[node.op.name] for node, start in starts.items()), default=0)
    noise = NoiseModel.thermal(
        t1_s=1e-4, t2_s=2e-4, durations_s={n: v * 1e-9 for n, v in durations.items() if n in GATES}, dt_s=1e-9
    )
    noisy = noise.replace(schedule=schedule.__name__[:4].lower()).apply(ours)
    for index, qubit in enumerate(theirs.qubits):
        first = min((start for node, start in starts.items() if qubit in node.qargs and node.op.name != "barrier"), default=end)
        gammas = [float(step.parameters[0]) for step in noisy.instructions if step.kind == "channel" and step.qubits == (index,)]  # type: ignore[arg-type]
        assert np.isclose(sum(-log1p(-gamma) * 1e-4 for gamma in gammas), (end - first) * 1e-9, atol=1e-15)


def test_a_qubit_that_was_not_used_yet_has_no_noise_while_it_waits() -> None:
    noisy = waiting(x=10e-6).apply(Circuit(2).x(0).x(0).cx(0, 1))
    assert [step.qubits for step in noisy.instructions if step.kind == "channel"] == [(0,), (0,)] * 2


def test_a_qubit_relaxes_in_its_own_gates_for_their_duration() -> None:
    state = density(waiting(x=10e-6).apply(Circuit(1).x(0).x(0).x(0)))
    down = exp(-10e-6 / T1)
    one = down
    for _ in range(2):
        one = (1 - one) * down
    assert np.isclose(state[1, 1].real, one, atol=1e-12)


def test_a_gate_whose_errors_hold_its_relaxation_gets_none_of_it_twice() -> None:
    noise = waiting().replace(gates={"x": GateNoise(10e-6, (ErrorChannel("bit_flip", (0.1,)),), relaxation=False)})
    assert named(noise.apply(Circuit(1).x(0).x(0))) == ["x", "bit_flip"] * 2


def test_nothing_comes_behind_a_last_measurement_and_relaxation_comes_behind_one_that_is_not() -> None:
    noise = waiting(measure=1e-6, x=1e-6)
    assert named(noise.apply(Circuit(2).x(0).measure([0, 1]).delay(5, 0, unit="us")))[-2:] == ["measure", "delay"]
    again = noise.apply(Circuit(1).x(0).measure(0, 0).measure(0, 1))
    assert named(again) == ["x", "amplitude_damping", "phase_damping", "measure", "amplitude_damping", "phase_damping", "measure"]


def test_a_measurement_in_the_middle_lets_the_others_wait_for_an_if_on_its_bit() -> None:
    circuit = Circuit(2).h(1).measure(0).if_test(0, 0, [Instruction("h", (1,))])
    state = density(waiting(measure=12e-6).apply(circuit))
    assert np.isclose(np.trace(state[1::2, 1::2]).real, (1 - exp(-12e-6 / T2)) / 2, atol=1e-12)


def test_both_branches_of_an_if_take_the_time_of_the_longer_one() -> None:
    circuit = Circuit(2).x(1).x(0).measure(0).if_test(0, 0, [Instruction("x", (1,))] * 2)
    noisy = waiting(x=10e-6).apply(circuit)
    (branch,) = (step for step in noisy.instructions if step.name == "if")
    assert [step.name for step in branch.orelse] == ["amplitude_damping", "phase_damping"]
    taken = branches(noisy)[1,]
    assert np.isclose(np.trace(taken[1::2, 1::2]) / np.trace(taken), exp(-30e-6 / T1), atol=1e-12)


def test_a_qubit_first_used_in_the_shorter_branch_of_an_if_is_used_late_or_soon_in_it() -> None:
    circuit = Circuit(2).measure(0).if_test(0, 1, [Instruction("z", (0,))] * 3, [Instruction("x", (1,))])
    for schedule, time in [("alap", 0.0), ("asap", 30e-6)]:
        state = density(waiting(z=10e-6).replace(schedule=schedule).apply(circuit))
        assert np.isclose(np.trace(state[1::2, 1::2]).real, exp(-time / T1), atol=1e-12)


def test_a_qubit_that_is_used_again_after_its_measurement_relaxes_to_the_end() -> None:
    noisy = waiting(x=10e-6).apply(Circuit(1).x(0).measure(0).x(0))
    assert named(noisy)[-3:] == ["x", "amplitude_damping", "phase_damping"]


def test_noise_of_a_verbatim_block_is_inside_of_it() -> None:
    noisy = NoiseModel.depolarizing(0.1, 0.2).apply(Circuit(2).verbatim(Circuit(2).h(0).cx(0, 1)).h(1))
    assert [step.name for step in noisy.instructions[0].body] == ["h", "depolarizing", "cx", "two_qubit_depolarizing"]
    assert named(noisy) == ["verbatim", "h", "depolarizing"]


# ---- gates -------------------------------------------------------------------------------------------------------------


def test_the_nearest_entry_of_a_gate_holds() -> None:
    def flip(p: float) -> GateNoise:
        return GateNoise(errors=(ErrorChannel("bit_flip", (p,), (1,)),))

    noise = NoiseModel(
        gates={"cx": {(0, 1): flip(0.1), "default": flip(0.2)}, "default:2": {(2, 1): flip(0.3), "default": flip(0.4)}}
    )
    steps = Circuit(3).cx(0, 1).cx(1, 0).cz(2, 1).cz(1, 2).x(0).gate("x", 0, 1, 2, controls=2)
    found = [(step.qubits, step.parameters[0]) for step in noise.apply(steps).instructions if step.kind == "channel"]
    assert found == [((1,), 0.1), ((0,), 0.2), ((1,), 0.3), ((2,), 0.4)]


def test_errors_of_a_measurement_come_before_it_and_those_of_a_reset_behind_it() -> None:
    flip = GateNoise(errors=(ErrorChannel("bit_flip", (0.25,)),))
    noise = NoiseModel(gates={"measure": {1: flip}, "reset": flip})
    noisy = noise.apply(Circuit(2).reset(0).measure_all())
    assert named(noisy) == ["reset", "bit_flip", "bit_flip", "measure"]
    assert noisy.instructions[2].qubits == (1,)


def timed(step: Instruction) -> Instruction:
    """Return a step with a duration where it is a delay of a formula or of years."""
    known = step._replace(parameters=(1.5,), unit="dt") if step.name == "delay" else step
    return known._replace(body=tuple(map(timed, step.body)), orelse=tuple(map(timed, step.orelse)))


@settings(max_examples=60)
@given(strategies.circuits())
def test_noise_is_only_ever_inserted_and_is_what_the_model_needs(circuit: Circuit) -> None:
    noise = NoiseModel(
        gates={f"default:{n}": GateNoise(1e-3, (ErrorChannel("bit_flip", (0.1,)),)) for n in (1, 2, 3)},
        qubits={"default": QubitNoise(10.0, 15.0)},
        dt_s=1e-2,
    )
    before = Circuit(circuit.num_qubits, map(timed, circuit.instructions), num_clbits=circuit.num_clbits)
    after = noise.apply(before)
    assert {step.name for step in inserted(before.instructions, after.instructions)} <= noise.needs()
    assert Circuit(after.num_qubits, after.instructions, num_clbits=after.num_clbits) == after


@settings(max_examples=40)
@given(strategies.circuits())
def test_a_model_of_nothing_changes_nothing(circuit: Circuit) -> None:
    nothing = NoiseModel(gates={"default:1": GateNoise(1e-6, (ErrorChannel("depolarizing", (0.0,)),))})
    assert nothing.apply(circuit) == circuit
    assert nothing.needs() == frozenset()


def test_parameters_and_names_are_kept() -> None:
    circuit = Circuit(1, name="mine").rx(Parameter("a"), 0).append(symbolic("b"))
    noisy = NoiseModel.depolarizing(0.1, 0.1).apply(circuit)
    assert (noisy.parameters, noisy.name) == (("a", "b"), "mine")


# ---- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "circuit", "said"),
    [
        (waiting(), Circuit(1).h(0).delay(4, 0, unit="dt"), r"delay in dt on qubits \[0\], and it has no dt_s"),
        (waiting(), Circuit(1, [symbolic("tau")]), r"delay of tau on qubits \[0\].*bind"),
        (waiting(), Circuit(1).delay(1e300, 0), "not from 0 to 1e\\+09 s"),
        (NoiseModel.depolarizing(0.1, 0.1), Circuit(3).ccx(0, 1, 2), "gate ccx, which is not native"),
        (
            NoiseModel.depolarizing(0.1, 0.1),
            Circuit(3).gate("h", 0, 1, controls=1).gate("ry", 0, 1, 2, angles=[1], controls=2),
            "ctrl",
        ),
        (NoiseModel(qubits={0: QubitNoise(), 4: QubitNoise()}), Circuit(3).h(2).measure(2), r"qubits \[2\], and it has 0, 4"),
        (NoiseModel(qubits={0: QubitNoise()}), Circuit(2).h(0), r"qubits \[1\], and it has 0"),
    ],
)
def test_a_circuit_that_the_model_does_not_fit_is_refused_by_name(noise: NoiseModel, circuit: Circuit, said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        noise.apply(circuit)


def test_a_circuit_may_leave_qubits_unused_that_the_model_does_not_have() -> None:
    noise = NoiseModel(qubits={0: QubitNoise(), 4: QubitNoise()})
    assert noise.apply(Circuit(5).h(4).measure(4)).num_qubits == 5


@pytest.mark.parametrize(
    ("build", "error", "said"),
    [
        (lambda: NoiseModel(gates={"hh": GateNoise()}), UnknownName, "did you mean"),
        (lambda: NoiseModel(gates={"cx": {(0,): GateNoise()}}), InvalidSetting, "cx acts on 2 different qubits"),
        (lambda: NoiseModel(gates={"cx": GateNoise(), "cnot": GateNoise()}), InvalidSetting, "given twice"),
        (lambda: NoiseModel(gates={"x": GateNoise(errors=(ErrorChannel("bit_flip", (0.1,), (1,)),))}), InvalidSetting, "0 to 0"),
        (lambda: NoiseModel(gates={"x": 0.1}), InvalidSetting, "the noise of gate x is a GateNoise, got 0.1"),  # type: ignore[dict-item]
        (lambda: NoiseModel(gates={"x": {0: None}}), InvalidSetting, "the noise of gate x is a GateNoise, got None"),  # type: ignore[dict-item]
        (lambda: NoiseModel(qubits={3: 0.1}), InvalidSetting, "the noise of qubit 3 is a QubitNoise, got 0.1"),  # type: ignore[dict-item]
        (lambda: NoiseModel(schedule="late"), UnknownName, "alap"),
        (lambda: NoiseModel(strict=True), InvalidSetting, "native_gates"),
        (lambda: ErrorChannel("bit_flop", (0.1,)), UnknownName, "bit_flip"),
        (lambda: ErrorChannel("bit_flip", (1.1,)), InvalidSetting, "0 to 1"),
        (lambda: ErrorChannel("pauli_channel", (0.5, 0.4, 0.2)), InvalidSetting, "sum"),
        (lambda: ErrorChannel("kraus", (1.0,) * 8), InvalidSetting, "identity"),
        (lambda: QubitNoise(t1_s=-1.0), InvalidSetting, "t1_s"),
        (lambda: QubitNoise(t1_s=1.0, t2_s=2.1), InvalidSetting, "twice"),
        (lambda: QubitNoise(excited_population=0.1), InvalidSetting, "t1_s"),
        (lambda: GateNoise(duration_s=float("nan")), InvalidSetting, "finite"),
        (lambda: NoiseModel().replace(schedul="asap"), UnknownName, "schedule"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(build: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        build()
