"""Inverses in a device's own gates."""

from math import isclose

import numpy as np
import pytest
from qiskit.providers.fake_provider import GenericBackendV2

import qloom
from qloom.circuits import Circuit
from qloom.circuits.gates import GATES, matrix
from qloom.mitigation.native import SPELLINGS, spelled_natively
from qloom.specs import DeviceSpec


def backend() -> GenericBackendV2:
    return GenericBackendV2(3, basis_gates=["rz", "sx", "cx", "x", "id"], coupling_map=[[0, 1], [1, 0], [1, 2], [2, 1]], seed=3)


@pytest.mark.parametrize("name", SPELLINGS)
def test_each_spelling_is_the_gate_up_to_a_phase(name: str) -> None:
    qubits = GATES[name].num_qubits
    made = np.eye(2**qubits, dtype=complex)
    for gate, places, angles in SPELLINGS[name]:
        one = matrix(gate, angles)
        made = (np.kron(one, np.eye(2 ** (qubits - 1))) if len(places) < qubits else one) @ made
    overlap = abs(np.trace(matrix(name).conj().T @ made)) / 2**qubits
    assert isclose(overlap, 1.0, abs_tol=1e-12)


def test_only_what_the_device_lacks_is_spelled_inside_of_blocks_too() -> None:
    spec = DeviceSpec(name="line", num_qubits=1, gates=frozenset({"rz", "sx", "sdg"}))
    circuit = Circuit(1).gate("sdg", 0).verbatim(Circuit(1).gate("sxdg", 0)).gate("tdg", 0)
    names = [step.name for step in spelled_natively(circuit, spec).every()]
    assert names == ["sdg", "rz", "sx", "rz", "rz"]


def test_what_cannot_be_spelled_stays() -> None:
    spec = DeviceSpec(name="poor", num_qubits=1, gates=frozenset({"sx"}))
    circuit = Circuit(1).gate("sxdg", 0)
    assert spelled_natively(circuit, spec) is circuit


def test_a_circuit_is_extrapolated_on_a_device_with_few_gates_once_it_is_transpiled_for_it() -> None:
    device = qloom.device(f"qiskit:{__name__}:backend", pipeline=["zne", "transpile"])
    circuit = Circuit(3).h(0).cx(0, 2).ry(0.4, 1)
    exact = qloom.device("sim").estimate(circuit, {"ZIZ": 1.0, "IZI": 1.0}).value
    found = device.estimate(circuit, {"ZIZ": 1.0, "IZI": 1.0}, shots=20_000, seed=5)
    assert found.value == pytest.approx(exact, abs=6 * found.standard_error)
    counts = found.stages["transpile"]
    assert counts is not None
