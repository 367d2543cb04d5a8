"""Which engine of `sim` runs what, and that all of them keep what `sim` promises."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

import qloom
from qloom.circuits import Circuit, Observable, Parameter
from qloom.devices import choosing
from qloom.devices.costs import KINDS, Costs
from qloom.devices.sim import check_options, create
from qloom.errors import InvalidSetting, InvalidTask, MissingExtra, UnknownName, Unsupported
from qloom.noise import NoiseModel
from qloom.results import Engine

if TYPE_CHECKING:
    from pathlib import Path

SIGMAS = 5.0
A = Parameter("a")


def teleported(angle: float) -> Circuit:
    """A qubit turned by an angle, teleported from qubit 0 to qubit 2 and measured there into bit 2."""
    sent = Circuit(3).ry(angle, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure([0, 1])
    return sent.if_test(1, 1, Circuit(3).x(2)).if_test(0, 1, Circuit(3).z(2)).measure(2)


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
    assert check_options("noise=noise.json,threads=1") == f"noise={tmp_path / 'noise.json'},threads=1"


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

    job = noisy_program.noisy.with_options(device="sim:noise=noise.json").submit()
    assert 0 < job.result(timeout_s=60)["0"] < 300


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
    ],
)
def test_options_that_make_no_sense_are_refused(options: str, error: type[Exception], message: str) -> None:
    if "aer_gpu" in options and choosing.drawing_library("aer").devices != ("CPU",):  # type: ignore[attr-defined]  # Aer's own
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
    assert {"conditionals", "mid_circuit_measurement", "channels", "reset"} <= spec.features
    assert spec.noise == {}
    assert create(noise=NoiseModel.depolarizing(0.1, 0.2)).spec().noise is None
    assert np.isfinite(spec.num_qubits)
