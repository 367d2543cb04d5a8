"""Which engine of `sim` runs what, and that all of them keep what `sim` promises."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import qloom
from qloom.circuits import Circuit, Observable, Parameter
from qloom.devices import choosing
from qloom.devices.costs import KINDS, Costs
from qloom.devices.shot_engines import Settings
from qloom.devices.sim import SimDevice, check_options, create
from qloom.errors import InvalidSetting, InvalidTask, MissingExtra, UnknownName, Unsupported
from qloom.kit.sandbox import sandbox_problem
from qloom.noise import NoiseModel
from qloom.results import Engine
from qloom.specs import DeviceSpec, Requirements, reasons_against

SIGMAS = 5.0
A = Parameter("a")


def teleported(angle: float) -> Circuit:
    """A qubit turned by an angle, teleported from qubit 0 to qubit 2 and measured there into bit 2."""
    sent = Circuit(3).ry(angle, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure([0, 1])
    return sent.if_test(1, 1, Circuit(3).x(2)).if_test(0, 1, Circuit(3).z(2)).measure(2)


BLOCKS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))


def shors_code(before: Circuit, error: Circuit, after: Circuit) -> Circuit:
    """A qubit in nine, an error, and its correction by ifs that look at several bits together; read into the last bit.

    Bits 0 to 5 are parities of neighbours in a block, 6 and 7 of the signs of neighbouring blocks.
    """
    code = Circuit(17, num_clbits=9).extend(before.instructions).cx(0, 3).cx(0, 6)
    for first, second, third in BLOCKS:
        code = code.h(first).cx(first, second).cx(first, third)
    code = code.extend(error.instructions)
    for place, (first, second) in enumerate([(0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8)]):
        code = code.cx(first, 9 + place).cx(second, 9 + place)
    for place, blocks in enumerate([BLOCKS[:2], BLOCKS[1:]]):
        code = code.h(15 + place)
        for qubit in (qubit for block in blocks for qubit in block):
            code = code.cx(15 + place, qubit)
        code = code.h(15 + place)
    code = code.measure(list(range(9, 17)), list(range(8)))
    for block, (first, second, third) in enumerate(BLOCKS):
        for qubit, value in ((first, 1), (second, 3), (third, 2)):
            code = code.if_test([2 * block, 2 * block + 1], value, Circuit(17).x(qubit))
    for first, value in ((0, 1), (3, 3), (6, 2)):
        code = code.if_test([6, 7], value, Circuit(17).z(first))
    for first, second, third in BLOCKS:
        code = code.cx(first, third).cx(first, second).h(first)
    return code.cx(0, 6).cx(0, 3).extend(after.instructions).measure(0, 8)


def ghz(qubits: int) -> Circuit:
    circuit = Circuit(qubits).h(0)
    for qubit in range(qubits - 1):
        circuit = circuit.cx(qubit, qubit + 1)
    return circuit


@pytest.mark.parametrize("angle", [0.0, 0.8, 2.0])
def test_teleportation_with_feed_forward_arrives(angle: float) -> None:
    result = create().prepare(teleported(angle)).run(shots=4000, seed=1)
    arrived = sum(count for key, count in result.counts.items() if key[2] == "1") / 4000
    expected = math.sin(angle / 2) ** 2
    assert abs(arrived - expected) <= SIGMAS * math.sqrt(expected * (1 - expected) / 4000)
    sent = sum(count for key, count in result.counts.items() if key[0] == "1") / 4000
    assert abs(sent - 0.5) < SIGMAS * 0.5 / math.sqrt(4000)
    assert result.engine.reason.endswith("conditionals")


@pytest.mark.parametrize("letter", ["id", "x", "y", "z"])
@pytest.mark.parametrize("engine", [None, "aer"])
def test_every_error_of_one_qubit_is_corrected_by_shors_code(letter: str, engine: str | None) -> None:
    """Each of the states |0>, |+> and |+i> comes back, which fixes all of a qubit."""
    turns = [Circuit(17).x(0), Circuit(17).h(0), Circuit(17).gate("sx", 0)]
    backs = [Circuit(17), Circuit(17).h(0), Circuit(17).gate("sxdg", 0)]
    for qubit in range(9) if engine is None else (4,):
        for turn, back, bit in zip(turns, backs, "100", strict=True):
            circuit = shors_code(turn, Circuit(17).gate(letter, qubit), back)
            found = create(engine=engine).prepare(circuit).run(shots=100, seed=qubit)
            assert {key[8] for key in found.counts} == {bit}, (letter, qubit)
            assert (found.engine.name, found.metadata["method"]) == (engine or "stim", "stabilizer")


def test_clifford_gates_behind_an_if_go_to_aers_stabilizers() -> None:
    circuit = Circuit(20).h(0).measure(0).if_test(0, 1, Circuit(20).h(1).cx(1, 19)).measure([1, 19], [1, 2])
    found = create().prepare(circuit).run(shots=4000, seed=1)
    assert (found.engine.name, found.engine.reason, found.metadata["method"]) == ("aer", "conditionals", "stabilizer")
    shares = {"000": 0.5, "100": 0.25, "111": 0.25}
    assert set(found.counts) == set(shares)
    assert all(abs(found.counts[key] / 4000 - share) < SIGMAS * 0.5 / math.sqrt(4000) for key, share in shares.items())


def test_an_engine_that_cannot_feed_forward_says_so_by_name() -> None:
    with pytest.raises(Unsupported, match="conditionals, which sim:engine=qulacs does not run"):
        create("engine=qulacs").prepare(teleported(0.3))


@pytest.mark.parametrize(
    ("circuit", "engine"),
    [
        (ghz(4), "lightning"),
        (ghz(60), "stim"),
        (ghz(4).reset(0), "stim"),
        (ghz(4).channel("bit_flip", 0, probabilities=[0.1]), "stim"),
        (ghz(4).ry(0.1, 0).reset(0), "aer"),
        (ghz(4).channel("amplitude_damping", 0, probabilities=[0.1]), "aer"),
        (Circuit(1, num_clbits=70).ry(0.1, 0).measure(0), "aer"),
    ],
    ids=["small", "wide clifford", "reset", "pauli noise", "reset of any state", "damping", "many bits"],
)
def test_the_engine_suits_the_circuit(circuit: Circuit, engine: str) -> None:
    prepared = create().prepare(circuit)
    assert prepared.engine.name == engine
    assert sum(prepared.run(shots=50, seed=1).counts.values()) == 50


def test_with_observables_the_engine_has_exact_values_where_one_can() -> None:
    noisy = Circuit(2).h(0).cx(0, 1).channel("amplitude_damping", 1, probabilities=[0.2])
    found = create().prepare(noisy, Observable({"ZZ": 1.0})).estimate()
    assert found.value == pytest.approx(0.8)  # 00 keeps its worth of 1, half of 11 loses 2 of it in a fifth of all cases
    assert found.engine.name == "aer"


@pytest.mark.parametrize(("seconds", "engine"), [(1e-3, "stim"), (1e-9, "lightning")])
def test_clifford_circuits_go_to_stim_where_operations_cost_more(
    seconds: float, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = (seconds, seconds)
    table = Costs((2, 30), {"lightning/1": dict.fromkeys(KINDS, row)}, {"lightning/1": row})
    monkeypatch.setattr("qloom.devices.sim.current", lambda: table)
    assert create().prepare(ghz(12)).engine.name == engine
    assert create().prepare(ghz(12), Observable({"Z" * 12: 1.0})).engine.name == "lightning"
    assert create().prepare(ghz(12).ry(A, 0)).engine.name == "lightning"


def test_the_digest_does_not_depend_on_the_engine_and_a_resumed_job_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = create().prepare(ghz(12))
    row = (1.0, 1.0)
    table = Costs((2, 30), {"lightning/1": dict.fromkeys(KINDS, row)}, {"lightning/1": row})
    monkeypatch.setattr("qloom.devices.sim.current", lambda: table)
    other = create().prepare(ghz(12))
    assert (plain.engine.name, other.engine.name) == ("lightning", "stim")
    assert plain.digest == other.digest
    assert create().prepare(ghz(12), engine=plain.engine).engine.name == "lightning"
    monkeypatch.undo()
    assert create().prepare(ghz(12), engine=other.engine).engine.name == "stim"
    assert create().prepare(ghz(12), engine=Engine("stim", "0.1")).engine.name == "lightning"


def test_circuits_of_different_widths_are_sampled_together() -> None:
    found = create("engine=stim").prepare([ghz(3), ghz(70)]).run(shots=20, seed=3)
    assert set(found[0].counts) <= {"000", "111"}
    assert set(found[1].counts) <= {"0" * 70, "1" * 70}


def test_gradients_of_noisy_circuits_come_from_shifts() -> None:
    noisy = Circuit(1).ry(A, 0).channel("depolarizing", 0, probabilities=[0.3])
    found = create().prepare(noisy, Observable({"Z": 1.0})).gradient([[0.4], [1.0]])
    assert found.gradients[:, 0, 0] == pytest.approx([-0.6 * math.sin(0.4), -0.6 * math.sin(1.0)])
    assert found.values[:, 0] == pytest.approx([0.6 * math.cos(0.4), 0.6 * math.cos(1.0)])


def test_values_from_shots_and_to_a_precision_also_with_noise() -> None:
    noisy = Circuit(2).ry(0.4, 0).cx(0, 1).channel("depolarizing", 0, probabilities=[0.3])
    task = qloom.device("sim").prepare(noisy, {"ZZ": 1.0, "XX": 0.5, "II": 2.0})
    exact = task.estimate().value
    for drawn in (task.estimate(shots=4000, seed=1), task.estimate(precision=0.01, seed=2)):
        assert abs(drawn.value - exact) < SIGMAS * drawn.standard_error
        assert 0 < drawn.standard_error < 0.03


@pytest.mark.parametrize("circuit", [teleported(0.7), ghz(3).channel("phase_damping", 0, probabilities=[0.2]), ghz(80)])
def test_equal_seeds_draw_equal_samples_and_others_do_not(circuit: Circuit) -> None:
    prepared = create().prepare(circuit)
    one, again, other = (prepared.run(shots=300, seed=seed) for seed in (5, 5, 6))
    assert one == again
    assert one.counts != other.counts


# ---- options -------------------------------------------------------------------------------------------------------------


def test_noise_is_a_model_or_the_path_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = NoiseModel.depolarizing(0.1, 0.2, readout=0.05)
    model.save(tmp_path / "noise.json")
    by_path = create(f"noise={tmp_path / 'noise.json'}").prepare(ghz(2)).run(shots=500, seed=1)
    assert by_path.counts == create(noise=model).prepare(ghz(2)).run(shots=500, seed=1).counts
    assert set(by_path.counts) == {"00", "01", "10", "11"}
    assert create(noise=model).prepare(ghz(2)).digest != create().prepare(ghz(2)).digest
    monkeypatch.chdir(tmp_path)
    by_text = check_options("noise=noise.json,threads=1")
    assert check_options(by_text) == by_text
    model.replace(name="100 %, of it").save(tmp_path / "noise.json")
    by_other = create(check_options("noise=noise.json,threads=1"))
    assert by_other.prepare(ghz(2)).digest == create(noise=model.replace(name="100 %, of it")).prepare(ghz(2)).digest
    assert create(by_text).prepare(ghz(2)).digest == create(noise=model).prepare(ghz(2)).digest
    assert create(by_text).name == f"sim:noise=digest-{model.digest},threads=1"


def test_a_job_finds_the_noise_file_that_was_named_from_where_it_was_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    NoiseModel.depolarizing(0.1, 0.2, readout=0.05).save(tmp_path / "noise.json")
    (tmp_path / "noisy_program.py").write_text(
        "import qloom\n\n\n@qloom.program\ndef noisy(ctx):\n"
        "    return ctx.device.run(qloom.Circuit(1).x(0), shots=1000, seed=1).counts\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import noisy_program  # type: ignore[import-not-found]

    job = noisy_program.noisy.with_options(device="sim:noise=noise.json", seed=1).submit()
    Path("noise.json").rename("renamed.json")
    assert 0 < job.result(timeout_s=60)["0"] < 300
    same = noisy_program.noisy.with_options(device="sim:noise=renamed.json", seed=1).submit()
    NoiseModel.depolarizing(0.1, 0.3, readout=0.05).save("renamed.json")
    other = noisy_program.noisy.with_options(device="sim:noise=renamed.json", seed=1).submit()
    assert [one.details()["digest"] == job.details()["digest"] for one in (same, other)] == [True, False]
    assert same.result(timeout_s=60) == job.result()
    assert other.result(timeout_s=60)["0"] < 300


@pytest.mark.skipif(bool(sandbox_problem()), reason=sandbox_problem())
def test_a_job_in_a_sandbox_has_the_noise_of_a_file_that_it_cannot_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    aside = tmp_path / "not in the box"
    aside.mkdir()
    NoiseModel.depolarizing(0.1, 0.2, readout=0.05).save(aside / "noise.json")
    program = tmp_path / "program"
    program.mkdir()
    (program / "boxed_noise.py").write_text(
        "import pathlib\n\nimport qloom\n\n\n@qloom.program\ndef boxed(ctx, path):\n"
        "    counts = ctx.device.run(qloom.Circuit(1).x(0), shots=1000, seed=1).counts\n"
        "    return {'zeros': counts['0'], 'seen': pathlib.Path(path).exists()}\n"
    )
    monkeypatch.syspath_prepend(program)
    import boxed_noise  # type: ignore[import-not-found]

    path = aside / "noise.json"
    job = boxed_noise.boxed.with_options(device=f"sim:noise={path}", sandbox=True).submit(str(path))
    found = job.result(timeout_s=60)
    assert (0 < found["zeros"] < 300, found["seen"]) == (True, False)


def test_an_mps_says_what_it_cut() -> None:
    found = create("method=mps,max_bond=2").prepare(Circuit(6).h(0).cx(0, 5).ry(0.3, 2)).run(shots=20, seed=1)
    assert found.metadata["max_bond"] == 2
    assert "discarded_weight" in found.metadata


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("method=mpss", UnknownName, "no method of sim called 'mpss'; did you mean 'mps'"),
        ("method=mps,engine=qulacs", InvalidSetting, "qulacs is a state-vector engine and has no method mps"),
        ("noise=/no/such.json", InvalidSetting, "there is no noise model file /no/such.json"),
        ("max_bond=0", InvalidSetting, "max_bond must be an integer from 1 up, got '0'"),
        ("engine=aer_gpu", MissingExtra, "no GPU here"),
        ("engine=lightning_gpu", MissingExtra, "lightning_gpu (is not installed .*pip install penny|has no GPU here)"),
        ("engine=lightning_gpu,method=mps", InvalidSetting, "lightning_gpu is a state-vector engine and has no method mps"),
        ("noise={", InvalidSetting, "noise"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: str, error: type[Exception], message: str) -> None:
    if error is MissingExtra and choosing.drawing_library("aer").devices != ("CPU",):  # type: ignore[attr-defined]  # Aer's own
        pytest.skip("there is a GPU here")
    with pytest.raises(error, match=message):
        create(options)


def test_every_engine_says_why_it_cannot() -> None:
    with pytest.raises(Unsupported, match=r"60 qubits need \d+ bytes.*stim: gate ry\(0\.2\).*aer: 60 qubits.*method mps"):
        create().prepare(Circuit(60).ry(0.2, 0))


def test_a_noise_model_for_fewer_qubits_than_the_circuit_is_refused_with_the_number() -> None:
    model = NoiseModel.from_json(
        {"format": "qloom-noise", "version": 1, "qubits": {"0": {"t1_s": 1e-4, "t2_s": 1e-4}}, "gates": {}}
    )
    with pytest.raises(Unsupported, match="qubit"):
        create(noise=model).prepare(ghz(3))


def test_more_bits_than_memory_are_refused_before_they_are_drawn() -> None:
    with pytest.raises(InvalidTask, match=r"samples of \d+ shots x 500 classical bits need \d+ bytes, the limit is"):
        create().prepare(ghz(500)).run(shots=10**12)


def test_values_from_shots_are_refused_beyond_64_qubits_with_the_next_step() -> None:
    prepared = create().prepare(ghz(70), Observable({"Z" * 70: 1.0}))
    assert prepared.estimate().value == pytest.approx(1.0)
    with pytest.raises(Unsupported, match="at most 64 qubits, the circuit has 70"):
        prepared.estimate(shots=10)


def test_exact_values_after_feed_forward_are_refused_or_right() -> None:
    prepared = create().prepare(teleported(0.8), Observable({"IIZ": 1.0}))
    drawn = prepared.estimate(shots=4000, seed=1)
    assert abs(drawn.value - math.cos(0.8)) < SIGMAS * drawn.standard_error
    with pytest.raises(Unsupported, match="shots"):
        prepared.estimate()


def test_the_spec_names_what_every_engine_together_can_do() -> None:
    spec = create().spec()
    assert DeviceSpec.from_json(spec.to_json()) == spec
    loaded = [choosing.library(name) for name in ("lightning", "qulacs")] + [
        choosing.drawing_library(name) for name in ("stim", "aer")
    ]
    assert [(one.name, one.version) for one in spec.engines] == [(one.name, one.version) for one in loaded]
    assert [one.name for one in create("method=stabilizer").spec().engines] == ["stim", "aer"]
    assert [one.name for one in create(noise=NoiseModel.depolarizing(0.1, 0.2)).spec().engines] == ["stim", "aer"]
    assert [one.name for one in create("engine=qulacs").spec().engines] == ["qulacs"]
    assert {"conditionals", "mid_circuit_measurement", "channels", "reset"} <= spec.features
    assert spec.noise == {}
    assert create(noise=NoiseModel.depolarizing(0.1, 0.2)).spec().noise is None
    assert np.isfinite(spec.num_qubits)


# ---- what was asked for, and why an engine was picked ------------------------------------------------------------------


@pytest.mark.parametrize("engine", choosing.GIVING_STATES)
def test_an_engine_without_noise_is_refused_where_it_is_asked_for_with_noise(engine: str) -> None:
    text = f"noise=%s,engine={engine}" % check_options_text(NoiseModel.depolarizing(0.1, 0.2))
    said = f"noise, which {engine} does not run; leave the engine out"
    with pytest.raises(InvalidSetting, match=said):
        check_options(text)
    with pytest.raises(InvalidSetting, match=said):
        create(text)


def check_options_text(noise: NoiseModel) -> str:
    """A noise model as it stands among the options."""
    return json.dumps(noise.to_json()).replace("%", "%25").replace(",", "%2C")


def test_a_device_made_by_hand_says_the_same_in_its_check() -> None:
    made = SimDevice(engine="lightning", settings=Settings(noise=NoiseModel.depolarizing(0.1, 0.2)))
    (reason,) = made.check(Circuit(1).x(0))
    assert reason.startswith("noise, which lightning does not run")
    with pytest.raises(Unsupported, match="noise, which lightning does not run"):
        made.prepare(Circuit(1).x(0))


def test_only_engines_that_draw_are_given_as_such() -> None:
    with pytest.raises(UnknownName, match="draws its own samples called 'lightning'"):
        choosing.drawing_library("lightning")


@pytest.mark.parametrize(
    ("options", "circuit", "reason"),
    [
        ("", Circuit(2).h(0).cx(0, 1), "gates with measurements at the end; the fastest up to 16 qubits"),
        ("threads=1", Circuit(17).ry(0.3, 0), "by what operations cost here a run takes"),
        ("threads=77", Circuit(17).ry(0.3, 0), "gates with measurements at the end; what operations cost with 77 threads"),
        ("engine=lightning", Circuit(2).h(0), "asked for"),
        ("engine=qulacs", Circuit(2).h(0), "asked for"),
        ("engine=stim", Circuit(2).h(0), "asked for"),
        ("", ghz(40), "Clifford"),
        ("", ghz(100), "every gate is a Clifford gate"),
        ("", teleported(0.3), "conditionals"),
        ("noise", Circuit(1).ry(0.3, 0), "noise"),
        ("method=mps", Circuit(1).ry(0.3, 0), "method mps"),
    ],
)
def test_every_engine_says_why_it_was_picked(options: str, circuit: Circuit, reason: str) -> None:
    noise = NoiseModel.depolarizing(0.1, 0.2) if options == "noise" else None
    engine = create("" if noise else options, noise=noise).prepare(circuit).engine
    assert reason in engine.reason


@pytest.mark.parametrize("name", ["lightning", "qulacs", "stim", "aer"])
def test_an_engine_that_is_used_again_keeps_its_reason_or_says_that_it_was_used_before(name: str) -> None:
    used = create(engine=name).prepare(Circuit(2).h(0)).engine
    assert create().prepare(Circuit(2).h(0), engine=used._replace(reason="so")).engine == used._replace(reason="so")
    assert create().prepare(Circuit(2).h(0), engine=used._replace(reason="")).engine.reason == "computed earlier answers"


# ---- how many qubits ---------------------------------------------------------------------------------------------------


def test_the_spec_refuses_nothing_that_runs() -> None:
    wide = Requirements(num_qubits=100)
    for device in (create(), create("engine=stim"), create("method=mps"), create("method=stabilizer")):
        assert reasons_against(device.spec(), wide) == []
        assert reasons_against(device.spec(), ghz(100)) == []
        assert device.check(ghz(100)) == []


def test_the_spec_says_how_many_qubits_each_method_takes() -> None:
    spec = create(memory_limit_bytes=1 << 20).spec()
    most = spec.notes["num_qubits_by_method"]
    assert most == {"statevector": 15, "density_matrix": 7, "mps": 11, "stabilizer": 1024, "trajectories": 15}
    assert spec.num_qubits == 1024
    for method, count in most.items():
        device = create(method=method, memory_limit_bytes=1 << 20)
        assert device.spec().num_qubits == count
        assert device.check(ghz(count)) == []
        assert "bytes" in "; ".join(device.check(ghz(count + 1)))


def test_forty_qubits_that_are_no_stabilizers_are_refused_by_check_with_their_bytes() -> None:
    circuit = Circuit(40).ry(0.3, 0).cx(0, 39)
    device = create(memory_limit_bytes=1 << 34)
    assert reasons_against(device.spec(), circuit) == []
    assert "40 qubits need 17592186044416 bytes for the state" in device.check(circuit)[0]


def test_more_stabilizers_than_memory_are_refused_before_they_are_made() -> None:
    (reason,) = create("engine=stim", memory_limit_bytes=1 << 20).check(Circuit(5000).h(0))
    assert reason.startswith("stim: 5000 qubits need 25000000 bytes for its stabilizers, the limit is 1048576 bytes (memory")
