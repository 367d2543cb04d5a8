"""Circuits as Qiskit holds them: the same gates, formulas, bits and conditions."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Operator
from qiskit_aer import AerSimulator

from qloom.circuits import Angle, Circuit, Instruction, Parameter
from qloom.circuits.expressions import FUNCTIONS
from qloom.circuits.gates import GATES
from qloom.convert import from_qiskit
from qloom.errors import InvalidCircuit, Unsupported
from qloom.kit.qiskit_out import qiskit_gates, to_qiskit
from tests.circuits.oracle import unitary
from tests.circuits.strategies import turns, unitary_circuits

A, B = Parameter("a"), Parameter("theta[0]")


def matrix(circuit: Circuit, values: Mapping[str, float] | None = None) -> npt.NDArray[np.complex128]:
    """What Qiskit says that the written circuit does, qubit 0 most significant."""
    written = to_qiskit(circuit)
    bound = written.assign_parameters({one: (values or {})[one.name] for one in written.parameters})
    found: npt.NDArray[np.complex128] = Operator(bound.reverse_bits()).data
    return found


def shots(circuit: Circuit, number: int = 200) -> dict[str, int]:
    """What Aer counts, keys turned to our order."""
    counts = AerSimulator(seed_simulator=3).run(to_qiskit(circuit), shots=number).result().get_counts()
    return {key[::-1]: count for key, count in counts.items()}


def test_every_gate_of_the_circuit_form_is_written() -> None:
    assert set(qiskit_gates()) == set(GATES)


@given(circuit=unitary_circuits())
@settings(max_examples=60, deadline=None)
def test_gates_and_their_controls_keep_their_matrices(circuit: Circuit) -> None:
    assert np.allclose(matrix(circuit), unitary(circuit), atol=1e-9)


@given(scale=turns, offset=turns, value=st.floats(0.1, 0.9), name=st.sampled_from(FUNCTIONS))
@settings(max_examples=40, deadline=None)
def test_formulas_stay_symbolic_and_keep_their_values(scale: float, offset: float, value: float, name: str) -> None:
    angles: list[Angle] = [A.apply(name), scale * A + offset, (A * B - A / 2) ** 2, -(2**A), A.apply("sqrt").sin()]
    circuit = Circuit(1, [Instruction("rx" if index % 2 else "rz", (0,), (angle,)) for index, angle in enumerate(angles)])
    assert {one.name for one in to_qiskit(circuit).parameters} == {"a", "theta[0]"}
    values = {"a": value, "theta[0]": 0.7}
    assert np.allclose(matrix(circuit, values), unitary(circuit, values), atol=1e-9)


def test_a_function_of_plain_numbers_is_a_number() -> None:
    (step,) = Circuit(1).rx(A.sin(), 0).instructions
    one = step.parameters[0].substitute({"a": 0.5})  # type: ignore[union-attr]
    assert matrix(Circuit(1).rx(one, 0)) == pytest.approx(unitary(Circuit(1).rx(float(np.sin(0.5)), 0)))


def test_measurements_keep_their_bits() -> None:
    circuit = Circuit(3, num_clbits=4).x(1).measure([2, 1], [0, 3])
    assert shots(circuit) == {"0001": 200}


@pytest.mark.parametrize("value", range(8))
def test_conditions_look_at_the_bits_that_they_name(value: int) -> None:
    prepared = Circuit(7, num_clbits=5).x(0).x(1).measure([0, 1, 2], [4, 0, 2])
    asked = prepared.if_test([4, 0, 2], value, Circuit(7).x(5), Circuit(7).x(6)).measure([5, 6], [1, 3])
    assert shots(asked) == {"11001" if value == 3 else "10011": 200}


@pytest.mark.parametrize(("value", "key"), [(1, "11"), (0, "10"), (3, "10")])
def test_a_condition_on_the_whole_register_is_one_on_its_value(value: int, key: str) -> None:
    circuit = Circuit(2, num_clbits=2).x(0).measure(0, 0).if_test([0, 1], value, Circuit(2).x(1)).measure(1, 1)
    assert shots(circuit) == {key: 200}


def test_conditions_may_stand_inside_of_conditions() -> None:
    inner = Circuit(3).if_test(1, 0, Circuit(3).x(2), Circuit(3).x(1))
    circuit = Circuit(3, num_clbits=3).x(0).measure([0, 1], [0, 1]).if_test(0, 1, inner).measure(2, 2)
    assert shots(circuit) == {"101": 200}


def test_teleportation_moves_the_state() -> None:
    circuit = Circuit(3).ry(0.8, 0).h(1).cx(1, 2).cx(0, 1).h(0).measure([0, 1])
    circuit = circuit.if_test(1, 1, Circuit(3).x(2)).if_test(0, 1, Circuit(3).z(2)).ry(-0.8, 2).measure(2, 2)
    assert {key[2] for key in shots(circuit)} == {"0"}


def test_delays_resets_barriers_and_blocks_stand_in_their_places() -> None:
    body = Circuit(2).x(0).h(0)
    written = to_qiskit(Circuit(2).delay(100, 0, 1, unit="ns").delay(7, 1, unit="dt").reset(0).barrier(1).verbatim(body))
    assert [step.operation.name for step in written.data] == ["delay"] * 3 + ["reset"] + ["barrier"] * 2 + ["x", "h", "barrier"]
    assert [(step.operation.duration, step.operation.unit) for step in written.data[:3]] == [(100, "ns")] * 2 + [(7, "dt")]
    assert [step.operation.label for step in written.data if step.operation.name == "barrier"] == [
        None,
        "verbatim",
        "end verbatim",
    ]


@given(circuit=unitary_circuits())
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_back(circuit: Circuit) -> None:
    back = from_qiskit(to_qiskit(circuit.measure_all()))
    assert np.allclose(unitary(back), unitary(circuit), atol=1e-9)
    assert back.measured() == circuit.measure_all().measured()


@pytest.mark.parametrize(
    ("circuit", "error", "words"),
    [
        (Circuit(1).channel("bit_flip", 0, probabilities=[0.1]), Unsupported, r"the noise channel bit_flip on qubits \[0\]"),
        (Circuit(1).delay(1.5, 0, unit="dt"), InvalidCircuit, "a delay of 1.5 dt"),
    ],
)
def test_what_qiskit_has_no_form_for_is_refused_by_name(circuit: Circuit, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        to_qiskit(circuit)


def test_an_empty_circuit_is_an_empty_circuit() -> None:
    assert to_qiskit(Circuit(0)).num_qubits == 0
