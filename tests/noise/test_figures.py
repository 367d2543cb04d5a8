"""A noise model in a few numbers, against the process fidelity of its channels."""

import math

import numpy as np
import pytest

from qloom.circuits.gates import kraus_parameters
from qloom.devices.aer_channels import operators
from qloom.devices.sim import create
from qloom.noise import ErrorChannel, GateNoise, NoiseModel, QubitNoise
from qloom.noise.figures import error_rates

CHANNELS = [
    ErrorChannel("bit_flip", (0.1,)),
    ErrorChannel("phase_flip", (0.2,)),
    ErrorChannel("depolarizing", (0.03,)),
    ErrorChannel("amplitude_damping", (0.3,)),
    ErrorChannel("generalized_amplitude_damping", (0.3, 0.8)),
    ErrorChannel("phase_damping", (0.4,)),
    ErrorChannel("pauli_channel", (0.01, 0.02, 0.03)),
    ErrorChannel("two_qubit_depolarizing", (0.05,)),
    ErrorChannel("two_qubit_dephasing", (0.05,)),
]


def rates(*errors: ErrorChannel) -> dict[str, float]:
    found: dict[str, float] = error_rates(NoiseModel(gates={"cx": GateNoise(errors=errors)}))["gates"]["cx"]
    return found


@pytest.mark.parametrize("error", CHANNELS, ids=lambda error: error.channel)
def test_the_random_part_is_what_the_process_fidelity_lacks(error: ErrorChannel) -> None:
    kraus = operators(error.channel, error.parameters, len(error.on))
    fidelity = sum(abs(np.trace(one)) ** 2 for one in kraus) / kraus.shape[-1] ** 2
    assert rates(error)["random"] == pytest.approx(1 - fidelity, rel=1e-5)
    again = ErrorChannel("kraus", kraus_parameters(kraus), error.on)
    assert rates(again)["random"] == pytest.approx(1 - fidelity, rel=1e-5)
    assert rates(again)["coherent_rad"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("angle", [0.01, 0.3, 2.0])
def test_a_rotation_is_told_by_its_angle(angle: float) -> None:
    turn = np.diag(np.exp([-0.5j * angle, 0.5j * angle]))
    found = rates(ErrorChannel("kraus", kraus_parameters([turn])))
    assert found == {"random": 0.0, "coherent_rad": pytest.approx(angle, rel=1e-5)}


def test_errors_of_a_gate_add_up_and_places_are_averaged() -> None:
    two = {(0, 1): GateNoise(errors=(CHANNELS[0], CHANNELS[1])), "default": GateNoise(errors=(CHANNELS[0],))}
    assert error_rates(NoiseModel(gates={"cx": two}))["gates"]["cx"]["random"] == pytest.approx(0.2)


def test_readout_and_relaxation_are_means_of_rates() -> None:
    qubits = {0: QubitNoise(t1_s=1e-4, readout=(0.02, 0.04)), 1: QubitNoise(t2_s=1e-4)}
    found = error_rates(NoiseModel(qubits=qubits))
    assert (found["readout"], found["t1_s"]) == ([0.01, 0.02], pytest.approx(2e-4))
    assert found["t2_s"] == pytest.approx(2 / (1 / 2e-4 + 1 / 1e-4), rel=1e-5)


def test_the_simulator_states_them() -> None:
    model = NoiseModel.depolarizing(0.001, 0.01)
    assert create("", noise=model).spec().notes["error_rates"] == error_rates(model)
    assert create("").spec().notes["error_rates"] is None
    assert math.isclose(error_rates(model)["gates"]["default:2"]["random"], 0.01)
