"""Noise models of Qiskit and of Braket, against what Aer and formulas make of them."""

import inspect
import json
import re
from importlib import import_module
from math import exp
from typing import Any

import numpy as np
import pytest
import qiskit_aer.noise as aer
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Reset
from qiskit.circuit.library import CCXGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Kraus, random_quantum_channel
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator

from qloom.convert import from_qiskit
from qloom.convert.noise_in import read_noise
from qloom.errors import InvalidSetting, UnknownName
from qloom.noise import GateNoise, NoiseModel
from tests.noise.oracle import aer_density, branches, density, operators

ONE = {
    "pauli": aer.pauli_error([("X", 0.1), ("Y", 0.05), ("Z", 0.2), ("I", 0.65)]),
    "bit flip": aer.pauli_error([("X", 0.1), ("I", 0.9)]),
    "phase flip": aer.pauli_error([("Z", 0.1), ("I", 0.9)]),
    "depolarising": aer.depolarizing_error(0.1, 1),
    "thermal": aer.thermal_relaxation_error(1e-4, 8e-5, 1e-5, 0.2),
    "thermal, T2 over T1": aer.thermal_relaxation_error(1e-4, 1.7e-4, 1e-5),
    "amplitude damping": aer.amplitude_damping_error(0.2),
    "phase damping": aer.phase_damping_error(0.3),
    "reset": aer.reset_error(0.1, 0.05),
    "unitary": aer.coherent_unitary_error(np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])),
    "kraus": aer.kraus_error(Kraus(random_quantum_channel(2, 2, seed=5)).data),
}
TWO = {
    "depolarising": aer.depolarizing_error(0.1, 2),
    "apart": ONE["thermal"].tensor(ONE["pauli"]),
    "in order": aer.depolarizing_error(0.1, 2).compose(ONE["thermal"].tensor(ONE["reset"])),
    "paulis": aer.pauli_error([("XY", 0.1), ("IZ", 0.05), ("II", 0.85)]),
    "dephasing": aer.pauli_error([("ZI", 0.1), ("IZ", 0.1), ("ZZ", 0.1), ("II", 0.7)]),
    "kraus": aer.kraus_error(Kraus(random_quantum_channel(4, 4, seed=6)).data),
}
NAMES = {
    ("bit flip", 1): ["bit_flip"],
    ("phase flip", 1): ["phase_flip"],
    ("depolarising", 1): ["depolarizing"],
    ("pauli", 1): ["pauli_channel"],
    ("thermal", 1): ["generalized_amplitude_damping", "phase_damping"],
    ("amplitude damping", 1): ["amplitude_damping"],
    ("phase damping", 1): ["phase_flip"],
    ("depolarising", 2): ["two_qubit_depolarizing"],
    ("apart", 2): ["pauli_channel", "generalized_amplitude_damping", "phase_damping"],
    ("dephasing", 2): ["two_qubit_dephasing"],
}


def some_circuit() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.ry(0.7, 2)
    circuit.cx(1, 2)
    circuit.cx(2, 0)
    circuit.h(1)
    circuit.rz(0.3, 1)
    circuit.ry(0.4, 0)
    return circuit


def agrees(circuit: QuantumCircuit, noise: aer.NoiseModel) -> bool:
    ours = density(read_noise(noise).apply(from_qiskit(circuit)))
    return bool(np.allclose(ours, aer_density(circuit, noise), atol=1e-9))


# ---- Aer ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ONE)
def test_an_error_of_one_qubit_is_the_same_in_aer_everywhere_and_on_one_qubit(kind: str) -> None:
    noise = aer.NoiseModel()
    noise.add_all_qubit_quantum_error(ONE[kind], ["h", "ry"])
    noise.add_quantum_error(ONE["reset"], "ry", [0])
    assert agrees(some_circuit(), noise)
    names = [error.channel for error in read_noise(noise).gate("h", (0,)).errors]
    assert names == NAMES.get((kind, 1), names)


@pytest.mark.parametrize("kind", TWO)
def test_an_error_of_two_qubits_is_the_same_in_aer_in_both_directions(kind: str) -> None:
    noise = aer.NoiseModel()
    noise.add_all_qubit_quantum_error(TWO[kind], ["cx"])
    noise.add_quantum_error(TWO["paulis"], "cx", [2, 0])
    assert agrees(some_circuit(), noise)
    names = [error.channel for error in read_noise(noise).gate("cx", (0, 1)).errors]
    assert names == NAMES.get((kind, 2), names)


def test_errors_at_resets_are_the_same_in_aer() -> None:
    noise = aer.NoiseModel()
    noise.add_all_qubit_quantum_error(ONE["pauli"], ["reset"])
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.reset(0)
    assert agrees(circuit, noise)


def test_errors_of_a_measurement_come_before_it_as_in_aer() -> None:
    noise = aer.NoiseModel()
    noise.add_quantum_error(aer.pauli_error([("X", 1.0)]), "measure", [1])
    circuit = QuantumCircuit(2, 2)
    circuit.measure([0, 1], [0, 1])
    counts = AerSimulator(noise_model=noise).run(circuit, shots=20).result().get_counts()
    ours = branches(read_noise(noise).apply(from_qiskit(circuit)))
    assert counts == {"10": 20}
    assert np.isclose(np.trace(ours[0, 1]), 1)


def test_readout_errors_of_aer_are_those_of_each_qubit() -> None:
    noise = aer.NoiseModel()
    noise.add_all_qubit_readout_error([[0.9, 0.1], [0.2, 0.8]])
    noise.add_readout_error([[0.99, 0.01], [0.02, 0.98]], [1])
    ours = read_noise(noise)
    assert (ours.readout(1), ours.readout(5)) == ((0.01, 0.02), (0.1, 0.2))


@pytest.mark.filterwarnings("ignore:RelaxationNoisePass")
def test_aers_model_of_a_backend_is_the_same_in_gates_and_delays() -> None:
    backend = GenericBackendV2(3, basis_gates=["h", "ry", "rz", "cx"], seed=11)
    circuit = some_circuit()
    circuit.delay(40, 0, unit="us")
    circuit.delay(1000, 1, unit="dt")
    circuit.h(0)
    assert agrees(circuit, aer.NoiseModel.from_backend(backend))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda n: n.add_all_qubit_quantum_error(aer.depolarizing_error(0.1, 3), ["ccx"]),
            "on ccx: it acts on more",
        ),
        (lambda n: n.add_all_qubit_quantum_error(ONE["pauli"], ["mine"]), "an error on mine: the circuit form has no such gate"),
        (lambda n: n.add_all_qubit_quantum_error(ONE["pauli"], ["u2"]), "an error on u2 .* without one on u3"),
        (lambda n: n.add_quantum_error(ONE["pauli"], "delay", [1]), r"an error on delay on qubits \[1\]"),
        (lambda n: n.add_readout_error(np.eye(4)[[0, 2, 1, 3]], [0, 1]), r"a readout error of qubits \[0, 1\] together"),
        (lambda n: n._custom_noise_passes.append(aer.RelaxationNoisePass([1.0], [1.0])), "RelaxationNoisePass on all"),
        (
            lambda n: [n.add_all_qubit_quantum_error(ONE["pauli"], ["u1"]), n.add_all_qubit_quantum_error(ONE["reset"], ["p"])],
            "p is another name for the gate and has another error",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_an_aer_model_has_beyond_ours_is_refused_by_name(change: Any, said: str) -> None:
    noise = aer.NoiseModel()
    change(noise)
    with pytest.raises(InvalidSetting, match=said):
        read_noise(noise)


def test_the_same_error_on_u1_u2_and_u3_is_one_on_p_and_u() -> None:
    noise = aer.NoiseModel()
    noise.add_all_qubit_quantum_error(ONE["bit flip"], ["u1", "u2", "u3"])
    assert sorted(read_noise(noise).gates) == ["p", "u"]


# ---- Qiskit backends -----------------------------------------------------------------------------------------------------


def test_gates_of_a_backend_have_the_noise_that_aer_makes_of_them() -> None:
    backend = GenericBackendV2(3, basis_gates=["h", "ry", "rz", "cx"], seed=11)
    ours = read_noise(backend).replace(schedule="none")
    state = density(ours.apply(from_qiskit(some_circuit())))
    assert np.allclose(state, aer_density(some_circuit(), aer.NoiseModel.from_backend(backend)), atol=1e-9)
    theirs = backend.target["measure"][(1,)].error
    assert ours.readout(1) == (theirs, theirs)
    assert ours.native_gates == frozenset({"h", "ry", "rz", "cx"})
    assert not ours.has(3)


def test_a_target_is_read_as_its_backend_and_survives_the_text() -> None:
    backend = GenericBackendV2(2, seed=3)
    ours = read_noise(backend.target)
    assert (ours.gates, ours.qubits) == (read_noise(backend).gates, read_noise(backend).qubits)
    assert NoiseModel.from_text(ours.to_text()) == ours


def test_a_t2_over_twice_t1_is_taken_down_and_said() -> None:
    ours = read_noise(Target(num_qubits=2, qubit_properties=[QubitProperties(), QubitProperties(t1=1e-4, t2=3e-4)]))
    assert ours.qubit(1).t2_s == 2e-4
    assert "qubit 1: T2" in ours.notes[0]


class Calibrated(GenericBackendV2):
    """A backend that tells readout errors of each state, as IBM's do."""

    def properties(self) -> Any:
        rows = [{"name": "prob_meas1_prep0", "unit": "", "value": 0.01}, {"name": "prob_meas0_prep1", "unit": "", "value": 0.04}]
        document = {"last_update_date": "2025-11-03T12:00:00Z", "qubits": [rows, []]}
        return type("Properties", (), {"to_dict": lambda _: document})()


def test_readout_errors_of_each_state_are_taken_where_a_backend_has_them() -> None:
    ours = read_noise(Calibrated(2, seed=3))
    assert ours.readout(0) == (0.01, 0.04)
    assert ours.calibration_id == "2025-11-03T12:00:00Z"


def test_noise_of_what_no_circuit_can_use_is_left_out_and_said() -> None:
    backend = GenericBackendV2(2, seed=3)
    before = read_noise(backend)
    backend.target.add_instruction(Delay(1), name="mine", properties={(0,): backend.target["x"][(0,)]})
    found = read_noise(backend)
    assert found.notes == (
        *before.notes,
        "the noise of mine is left out: no circuit can use operations that the circuit form lacks",
    )
    assert found.gate("cx", (0, 1)) == before.gate("cx", (0, 1))


@pytest.mark.parametrize(("times", "said"), [((0.0, None), "qubit 1: t1_s"), ((1e-4, -1e-5), "qubit 1: t2_s")])
def test_a_time_that_no_qubit_has_is_refused_with_the_qubit(times: tuple[float, float | None], said: str) -> None:
    target = Target(num_qubits=2, qubit_properties=[QubitProperties(t1=1e-4, t2=1e-4), QubitProperties(*times)])
    with pytest.raises(InvalidSetting, match=said):
        read_noise(target)


def test_an_error_of_a_gate_on_three_qubits_is_refused_by_name() -> None:
    target = Target(num_qubits=3)
    target.add_instruction(CCXGate(), {(2, 0, 1): InstructionProperties(duration=1e-7, error=0.05)})
    with pytest.raises(InvalidSetting, match=r"an error of ccx on \[2, 0, 1\]; errors are held for gates on one or two qubits"):
        read_noise(target)


def test_an_error_of_a_reset_is_said_to_be_left_out() -> None:
    target = Target(num_qubits=1)
    target.add_instruction(Reset(), {(0,): InstructionProperties(duration=1e-6, error=0.02)})
    assert read_noise(target).notes == ("reset on [0]: its error of 0.02 is not used",)


# ---- Braket --------------------------------------------------------------------------------------------------------------


def example(version: int) -> dict[str, Any]:
    """Return the example in the documentation of the schema itself."""
    module = import_module(f"braket.device_schema.standardized_gate_model_qpu_device_properties_v{version}")
    text = inspect.getdoc(module.StandardizedGateModelQpuDeviceProperties) or ""
    shown = text[text.index(">>> valid_input") : text.index(">>> Standardized")]
    code = re.sub(r"(>>>|\.\.\.)\s", "", shown).strip()
    scope: dict[str, Any] = {}
    exec(code, scope)
    found: dict[str, Any] = scope["valid_input"]
    # The example of version 2 still has the units of version 1, which its own schema refuses.
    return in_seconds(found) if version == 2 else found


def in_seconds(told: Any) -> Any:
    if not isinstance(told, dict):
        return [in_seconds(row) for row in told] if isinstance(told, list) else told
    if told.get("unit") == "us":
        return {**told, "value": told["value"] * 1e-6, "unit": "s"}
    return {key: in_seconds(row) for key, row in told.items()} | ({"unit": "fraction"} if "fidelity" in told else {})


def fidelity(noise: GateNoise, qubits: int) -> float:
    """Return the average fidelity of a gate's errors."""
    size = 2**qubits
    kept = 1.0
    for error in noise.errors:
        kept = sum(abs(np.trace(m)) ** 2 for m in operators(error.channel, error.parameters)) / size**2
    return float((size * kept + 1) / (size + 1))


@pytest.mark.parametrize("version", [1, 2])
def test_qubits_and_pairs_of_braket_have_their_times_and_fidelities(version: int) -> None:
    document = example(version)
    ours = read_noise(json.dumps(document))
    qubit = document["oneQubitProperties"]["1"]
    unit = {"us": 1e-6, "s": 1.0}[qubit["T1"]["unit"]]
    assert (ours.qubit(1).t1_s, ours.qubit(1).t2_s) == (qubit["T1"]["value"] * unit, qubit["T2"]["value"] * unit)
    told = {row["fidelityType"]["name"]: row["fidelity"] for row in qubit["oneQubitFidelity"]}
    assert ours.readout(1) == (1 - told["READOUT"], 1 - told["READOUT"])
    assert np.isclose(fidelity(ours.gate("ry", (1,)), 1), told["RANDOMIZED_BENCHMARKING"], atol=1e-12)
    pair = document["twoQubitProperties"]["0-1"]["twoQubitGateFidelity"][0]["fidelity"]
    for name, place in [("cx", (0, 1)), ("cx", (1, 0)), ("cz", (0, 1)), ("cz", (5, 6))]:
        assert np.isclose(fidelity(ours.gate(name, place), 2), pair, atol=1e-12)
    assert any("median" in note for note in ours.notes)


def test_units_of_braket_may_be_written_large() -> None:
    document = example(1)
    expected = read_noise(document)
    for row in document["oneQubitProperties"].values():
        for name in ("T1", "T2"):
            row[name]["unit"] = row[name]["unit"].upper()
    assert read_noise(document).qubits == expected.qubits
    document["oneQubitProperties"]["0"]["T1"]["unit"] = "Weeks"
    with pytest.raises(InvalidSetting, match="a time of Braket's properties is in 'Weeks'"):
        read_noise(document)


def test_a_device_of_braket_with_one_value_for_all_has_it_everywhere() -> None:
    document = example(3)
    ours = read_noise(document)
    assert (ours.qubit(0).t1_s, ours.qubit(1).t2_s, ours.calibration_id) == (50.0, 30.0, "2025-02-22T12:29:03+00:00")
    readout = ours.readout(0)
    assert readout is not None
    assert np.allclose(readout, 0.005)
    entry = ours.gate("cx", (0, 1))
    assert entry.duration_s == 2e-4
    relaxed = ((1 + exp(-2e-4 / 50) + 2 * exp(-2e-4 / 30)) / 4) ** 2
    scale = 1 - entry.errors[0].parameters[0] * 16 / 15
    assert np.isclose((4 * (1 + scale * (16 * relaxed - 1)) / 16 + 1) / 5, 0.995, atol=1e-12)
    assert ours.gate("reset", (0,)).duration_s == 1e-4
    assert NoiseModel.from_text(ours.to_text()) == ours


def capabilities() -> Any:
    module = import_module("braket.device_schema.iqm.iqm_device_capabilities_v1")
    action = {"actionType": "braket.ir.openqasm.program", "version": ["1"], "supportedOperations": ["cz", "prx"]}
    return module.IqmDeviceCapabilities.parse_obj(
        {
            "service": {
                "executionWindows": [],
                "shotsRange": [1, 10],
                "deviceLocation": "lab",
                "updatedAt": "2025-11-03T10:00:00",
            },
            "action": {"braket.ir.openqasm.program": action},
            "paradigm": {
                "qubitCount": 2,
                "nativeGateSet": ["cz", "prx", "ms"],
                "connectivity": {"fullyConnected": True, "connectivityGraph": {}},
            },
            "deviceParameters": {},
            "standardized": example(1),
        }
    )


def test_capabilities_of_a_device_give_its_native_gates_and_when_they_were_measured() -> None:
    ours = read_noise(capabilities())
    assert ours.native_gates == frozenset({"cz", "r"})
    assert ours.calibration_id == "2025-11-03T10:00:00"
    assert any("native gate ms" in note for note in ours.notes)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"braketSchemaHeader": {"name": "braket.device_schema.nothing", "version": "1"}}, "no properties of a Braket device"),
        ({"braketSchemaHeader": {}}, "no properties of a Braket device"),
        ({**example(2), "oneQubitProperties": {"0": {}}}, "oneQubitProperties"),
        ({**example(1), "oneQubitProperties": {"q": example(1)["oneQubitProperties"]["0"]}}, "named 'q'"),
        (
            {"braketSchemaHeader": {"name": "braket.ir.openqasm.program", "version": "1"}, "source": ""},
            "no standardized properties",
        ),
    ],
)
def test_what_braket_would_not_say_of_noise_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        read_noise(document)


# ---- any ---------------------------------------------------------------------------------------------------------------


def test_every_form_of_a_model_is_read(tmp_path: Any) -> None:
    model, path = NoiseModel.depolarizing(0.1, 0.2), tmp_path / "noise.json"
    model.save(path)
    assert all(read_noise(form) == model for form in (model, model.to_json(), model.to_text(), path, str(path)))


def test_errors_of_a_file_name_it(tmp_path: Any) -> None:
    path = tmp_path / "noise.json"
    with pytest.raises(InvalidSetting, match=r"there is no noise model file .*noise\.json"):
        read_noise(path)
    path.write_text("{")
    with pytest.raises(InvalidSetting, match=r"noise\.json: a noise model is JSON, and this is not"):
        read_noise(str(path))
    with pytest.raises(InvalidSetting, match="cannot be read"):
        read_noise("\0.json")


@pytest.mark.parametrize("source", [3, None, object(), QuantumCircuit(1)])
def test_an_object_that_holds_no_noise_is_refused(source: object) -> None:
    with pytest.raises(InvalidSetting, match="holds no noise"):
        read_noise(source)


def test_an_unknown_field_of_a_dict_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="gates"):
        read_noise({"format": "qloom-noise", "version": 1, "gate": {}})
