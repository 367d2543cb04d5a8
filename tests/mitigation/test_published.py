"""What mitigation must gain, on the cases others have published, end to end through a device with noise.

The circuits are small enough for a density matrix, so values are exact and the gain is no matter of luck; where shots are what
the case is about, seeds are fixed and the bounds are standard errors.
"""

from math import pi
from pathlib import Path
from typing import Any

import pytest

import qloom
from qloom.circuits import Circuit, Observable
from qloom.noise import NoiseModel

ALL_ZERO = Observable({"II": 0.25, "ZI": 0.25, "IZ": 0.25, "ZZ": 0.25})
TWO_QUBITS = Circuit(2).h(0).h(1).rz(1.75, 0).rz(2.31, 1).cx(0, 1).rz(-1.17, 1).rz(3.23, 0).rx(pi / 2, 0).rx(pi / 2, 1)
TEN_X = Circuit(1)
for _ in range(10):
    TEN_X = TEN_X.x(0)
BELL = Circuit(2).h(0).cx(0, 1)
UNIT_TIMES = {"durations_s": {"default": 1.0}}


@pytest.fixture
def noisy(tmp_path: Path) -> Any:
    def device(noise: NoiseModel, pipeline: object = ()) -> Any:
        noise.save(tmp_path / "noise.json")
        return qloom.device(f"sim:noise={tmp_path / 'noise.json'}", pipeline=pipeline)

    return device


def test_ten_gates_with_one_per_cent_of_noise_come_back(noisy: Any) -> None:
    # One per cent as Qiskit counts it, I among the four Paulis; here it is the probability that one of the other three happens.
    noise, zero = NoiseModel.depolarizing(0.0075, 0.0), Observable({"I": 0.5, "Z": 0.5})
    raw = noisy(noise).estimate(TEN_X, zero).value
    mitigated = noisy(noise, ["zne"]).estimate(TEN_X, zero).value
    assert raw == pytest.approx(0.952, abs=0.003)  # published: 0.955
    assert abs(mitigated - 1.0) < 0.006  # published: 1.006


def test_two_qubits_through_decoupling_and_extrapolation_lose_four_fifths_of_their_error(noisy: Any) -> None:
    noise = NoiseModel.depolarizing(0.005, 0.02)
    exact = qloom.device("sim").estimate(TWO_QUBITS, ALL_ZERO).value
    errors = [
        abs(noisy(noise, pipeline).estimate(TWO_QUBITS, ALL_ZERO).value - exact)
        for pipeline in ([], [{"stage": "ddd", **UNIT_TIMES}, "zne"])
    ]
    assert errors[0] > 0.02  # published: 0.02271
    assert errors[1] < errors[0] * 0.00471 / 0.02271


@pytest.mark.parametrize("model", ["tensored", "full", "correlated"])
def test_a_bell_state_read_with_a_tenth_of_flips_comes_back(noisy: Any, model: str, own_home: Path) -> None:
    noise, correlation = NoiseModel.depolarizing(0.0, 0.0, readout=0.1), Observable({"ZZ": 1.0})
    raw = noisy(noise).estimate(BELL, correlation, shots=20_000, seed=1)
    found = noisy(noise, [{"stage": "readout", "model": model, "shots": 50_000}]).estimate(
        BELL, correlation, shots=20_000, seed=1
    )
    assert raw.value == pytest.approx(0.64, abs=6 * raw.standard_error)
    assert found.value == pytest.approx(1.0, abs=5 * found.standard_error + 0.01)  # 0.01: the calibration's own shots
    assert own_home.exists()


def test_the_whole_chain_brings_back_what_gates_and_readout_lost(noisy: Any, own_home: Path) -> None:
    noise, energy = NoiseModel.depolarizing(0.002, 0.02, readout=(0.05, 0.1)), Observable({"ZZ": 1.0, "XI": 0.5})
    circuit = Circuit(2).rx(0.7, 0).cx(0, 1).rx(0.3, 1).cx(0, 1)
    exact = qloom.device("sim").estimate(circuit, energy).value
    raw = noisy(noise).estimate(circuit, energy, shots=20_000, seed=3)
    found = noisy(noise, ["readout", "twirling", "zne"]).estimate(circuit, energy, shots=20_000, seed=3)
    assert abs(raw.value - exact) > 0.1
    assert abs(found.value - exact) < 0.03
    assert [stage["name"] for stage in found.stages] == ["readout", "twirling", "zne"]
    assert own_home.exists()
