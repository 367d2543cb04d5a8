"""`braket-local` keeps the device contract, and answers as Braket's own simulator does when it is given text."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Observable, Parameter
from qloom.circuits.gates import CHANNELS, GATES, matrix
from qloom.contracts import Device
from qloom.convert import to_openqasm
from qloom.devices.braket_local import STATED_QUBITS, create
from qloom.errors import InvalidSetting, InvalidTask, UnknownName, Unsupported
from qloom.testing.device_contract import DeviceContract, values_of
from tests.devices.helpers import PARAMETERS, circuits

simulators = pytest.importorskip("braket.default_simulator", reason="amazon-braket-default-simulator is not installed")


class TestStateVectors(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        return create()


class TestDensityMatrices(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        return create("method=density_matrix")


def asked_with_text(circuit: Circuit, values: dict[str, float], noise: str = "") -> Any:
    """The density matrix that Braket's simulator computes for OpenQASM text, with its own parser."""
    from braket.ir.openqasm import Program

    text = to_openqasm(circuit).replace('include "stdgates.inc";\n', "")
    for ours, theirs in SPELLED.items():
        text = text.replace(f"\n{ours} ", f"\n{theirs} ").replace(f"\n{ours}(", f"\n{theirs}(")
    program = Program(source=f"{text}{noise}#pragma braket result density_matrix\n", inputs=values)
    kind = simulators.DensityMatrixSimulator if noise else simulators.StateVectorSimulator
    answer = kind().run(program, shots=0).resultTypes[0].value
    return np.array(answer)


SPELLED = {"cx": "cnot", "p": "phaseshift", "cp": "cphaseshift", "sdg": "si", "tdg": "ti", "sx": "v", "ccx": "ccnot", "id": "i"}


def test_it_answers_as_brakets_simulator_does_when_given_text() -> None:
    a = Parameter("a")
    circuit = Circuit(3).h(0).ry(2 * a + 0.3, 1).cx(0, 1).p(a, 2).sx(2).cp(0.7, 2, 0).ccx(0, 1, 2).tdg(1).sdg(0).swap(1, 2)
    state = asked_with_text(circuit, {"a": 0.8})
    observable = Observable({"XYZ": 0.5, "ZIX": -1.5, "IIY": 0.25})
    expected = float(np.trace(observable.matrix() @ state).real)
    assert create().prepare(circuit, observable).estimate([0.8]).value == pytest.approx(expected, abs=1e-12)


NOISE = [
    ("bit_flip", [0.2]),
    ("phase_flip", [0.2]),
    ("depolarizing", [0.2]),
    ("amplitude_damping", [0.3]),
    ("generalized_amplitude_damping", [0.3, 0.8]),
    ("phase_damping", [0.4]),
    ("pauli_channel", [0.1, 0.05, 0.2]),
    ("two_qubit_depolarizing", [0.2]),
    ("two_qubit_dephasing", [0.2]),
]


@pytest.mark.parametrize(("name", "rates"), NOISE, ids=[name for name, _ in NOISE])
def test_noise_channels_are_those_of_brakets_pragmas(name: str, rates: list[float]) -> None:
    bare = Circuit(2).ry(0.7, 0).rx(0.4, 1).cx(0, 1)
    qubits = [1, 0][: CHANNELS[name][0]]
    places = ", ".join(f"q[{qubit}]" for qubit in qubits)
    pragma = f"#pragma braket noise {name}({', '.join(map(str, rates))}) {places}\n"
    state = asked_with_text(bare, {}, pragma)
    observables = [Observable({text: 1.0}) for text in ("ZZ", "XX", "YX", "ZI", "IZ", "XI", "IY")]
    noisy = create().prepare(bare.channel(name, *qubits, probabilities=rates), observables).estimate()
    expected = [float(np.trace(observable.matrix() @ state).real) for observable in observables]
    np.testing.assert_allclose(noisy.values[0], expected, atol=1e-12)
    assert noisy.engine.name == "braket_dm"
    assert noisy.engine.reason == "the circuit has channels"


def test_every_channel_is_compared_with_a_pragma() -> None:
    assert {name for name, _ in NOISE} == set(CHANNELS) - {"kraus"}


def test_kraus_operators_are_taken_on_one_and_two_qubits() -> None:
    rate = 0.36
    flip = [np.sqrt(1 - rate) * np.eye(2), np.sqrt(rate) * np.array([[0, 1], [1, 0]])]
    one_of_two = [np.kron(operator, np.eye(2)) for operator in flip]
    for circuit in (Circuit(2).x(1).kraus(flip, 1), Circuit(2).x(1).kraus(one_of_two, 1, 0)):
        found = create().prepare(circuit, [Observable({"IZ": 1.0}), Observable({"ZI": 1.0})]).estimate()
        np.testing.assert_allclose(found.values, [[2 * rate - 1, 1.0]], atol=1e-12)


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_is_the_matrix_that_the_circuit_form_says(name: str) -> None:
    from qloom.devices.braket_operations import Operations

    definition = GATES[name]
    angles = [0.37, -1.2, 2.1, 0.8][: definition.num_parameters]
    circuit = Circuit(definition.num_qubits or 1).gate(name, *range(definition.num_qubits), angles=angles)
    made = Operations(circuit).bound([])
    for operation in made:
        np.testing.assert_allclose(operation.matrix, matrix(name, angles), atol=1e-12)
    assert len(made) == (name not in ("id", "gphase"))


@settings(max_examples=60, deadline=None)
@given(circuits(longest=8), st.lists(st.floats(-3, 3), min_size=2, max_size=2))
def test_any_circuit_has_the_values_of_its_matrices(circuit: Circuit, point: list[float]) -> None:
    values = np.array(point)
    observable = Observable({"XYZX"[: circuit.num_qubits]: 0.5, "ZZXY"[: circuit.num_qubits]: -1.5})
    for method in ("statevector", "density_matrix"):
        found = create(method=method).prepare(circuit, observable).estimate(values).value
        assert found == pytest.approx(values_of(circuit, observable, values), abs=1e-10)
    assert circuit.parameters == PARAMETERS


def test_above_ten_qubits_where_other_kernels_run_the_answers_are_the_same() -> None:
    wide = Circuit(11)
    for qubit in range(11):
        wide = wide.ry(0.3 + 0.1 * qubit, qubit)
    wide = wide.cx(0, 10).cz(3, 4).swap(2, 9).gate("ry", 1, 7, 5, angles=[0.9], controls=2).gate("crz", 8, 6, angles=[1.1])
    wide = wide.rx(Parameter("a"), 4).t(5).cp(0.4, 10, 1).gate("ecr", 6, 0).gate("rxx", 3, 8, angles=[0.6])
    observable = Observable({"ZXYIIZXIIYZ": 1.0, "IIIIIXIIIIZ": 0.5})
    found = create(threads=1).prepare(wide, observable).estimate([0.2]).value
    assert found == pytest.approx(values_of(wide, observable, np.array([0.2])), abs=1e-10)


def test_a_reset_in_between_is_exact_with_the_density_matrix() -> None:
    circuit = Circuit(2).h(0).cx(0, 1).reset(0)
    prepared = create().prepare(circuit, [Observable({"ZI": 1.0}), Observable({"IZ": 1.0}), Observable({"IX": 1.0})])
    assert prepared.engine.name == "braket_dm"
    np.testing.assert_allclose(prepared.estimate().values, [[1.0, 0.0, 0.0]], atol=1e-12)


def test_values_with_noise_come_from_shots_too() -> None:
    noisy = Circuit(2).h(0).cx(0, 1).channel("depolarizing", 0, probabilities=[0.3])
    observable = Observable({"ZZ": 1.0, "XX": 0.5, "YY": -0.25})
    prepared = create().prepare(noisy, observable)
    exact, drawn = prepared.estimate().value, prepared.estimate(shots=20_000, seed=4)
    assert 0 < drawn.standard_error < 0.02
    assert abs(drawn.value - exact) < 5 * drawn.standard_error
    assert exact == pytest.approx((1 + 0.5 + 0.25) * (1 - 4 * 0.3 / 3))


def test_values_from_shots_of_each_set_are_of_that_set() -> None:
    prepared = create().prepare(Circuit(1).rx(Parameter("a"), 0), Observable({"Z": 1.0}))
    assert prepared.estimate([[0.0], [math.pi], [0.0]], shots=20, seed=1).values.tolist() == [[1.0], [-1.0], [1.0]]


def test_a_rate_that_is_a_parameter_is_taken_and_looked_at() -> None:
    noisy = Circuit(1).x(0).append(Circuit(1).channel("bit_flip", 0, probabilities=[0.0]).instructions[0])
    step = noisy.instructions[1]._replace(parameters=(Parameter("rate"),))
    prepared = create().prepare(Circuit(1, [noisy.instructions[0], step]), Observable({"Z": 1.0}))
    assert prepared.estimate([0.25]).value == pytest.approx(-0.5)
    with pytest.raises(InvalidTask, match=r"bit_flip on qubits \[0\].*\[1\.5\]"):
        prepared.estimate([1.5])


def test_the_state_vector_refuses_noise_and_resets_by_name() -> None:
    noisy = Circuit(1).h(0).channel("bit_flip", 0, probabilities=[0.1]).reset(0)
    with pytest.raises(Unsupported, match=r"channels, which braket_sv does not run.*reset, which braket_sv does not run"):
        create("method=statevector").prepare(noisy)


def test_feed_forward_is_refused_by_name() -> None:
    circuit = Circuit(2).h(0).measure(0).if_test(0, 1, Circuit(2).x(1))
    assert "conditionals, which braket_sv does not run" in create().check(circuit)


def test_a_density_matrix_is_refused_where_a_state_vector_would_fit() -> None:
    wide = Circuit(14).h(0)
    assert not create(memory_limit_bytes=1 << 30).check(wide)
    assert create("method=density_matrix", memory_limit_bytes=1 << 40).check(wide) == ["14 qubits, braket_dm has 13"]
    tight = create("method=density_matrix", memory_limit_bytes=1 << 20).check(Circuit(8).h(0))
    assert tight[0].startswith("one sample of 8 qubits needs")
    assert tight[0].endswith("the limit is 1048576 bytes (memory_limit_bytes); use fewer qubits")


def test_sizes_are_those_that_brakets_simulators_state() -> None:
    for name, simulator in (
        ("statevector", simulators.StateVectorSimulator),
        ("density_matrix", simulators.DensityMatrixSimulator),
    ):
        assert simulator().properties.paradigm.qubitCount == STATED_QUBITS[name]


def test_options_in_the_name_are_read_and_refused_by_name() -> None:
    assert create("method=density_matrix,threads=1").spec().num_qubits <= 13
    with pytest.raises(UnknownName, match="did you mean 'density_matrix'"):
        create("method=densitymatrix")
    with pytest.raises(UnknownName, match="no option of braket-local called 'shots'"):
        create("shots=3")
    with pytest.raises(InvalidSetting, match="threads is given twice"):
        create("threads=1", threads=2)


def test_noise_and_plain_circuits_prepared_together_share_the_density_matrix() -> None:
    plain, noisy = Circuit(1).x(0), Circuit(1).x(0).channel("bit_flip", 0, probabilities=[0.5])
    result = create().prepare([plain, noisy], Observable({"Z": 1.0})).estimate()
    np.testing.assert_allclose(result.values[:, 0], [-1.0, 0.0], atol=1e-12)
    assert result.engine.name == "braket_dm"


def test_gradients_come_by_parameter_shifts() -> None:
    circuit = Circuit(1).ry(2 * Parameter("a"), 0)
    found = create().prepare(circuit, Observable({"Z": 1.0})).gradient([0.3])
    assert found.gradients[0, 0, 0] == pytest.approx(-2 * math.sin(0.6))
