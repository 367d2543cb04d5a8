"""What every device promises, as tests: subclass `DeviceContract` and give it a `device` fixture.

```python
class TestMyDevice(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        return MyDevice()
```

What the spec does not promise (exact values, gradients, a gate) is skipped, with the reason. Checks of values compare with
matrices made by numpy from `circuits.gates.matrix`; checks of samples draw enough shots that a right device fails about once
in ten million runs. A device with noise sets `exact = False`, and answers for itself there.
"""

# ruff: noqa: S101  asserts are what tests are made of

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from qloom.circuits import Circuit, Observable, Parameter
from qloom.circuits.gates import matrix
from qloom.errors import InvalidCircuit, InvalidTask, Misuse, UnknownName, Unsupported
from qloom.results import Result
from qloom.specs import needs, reasons_against
from qloom.tasks import TaskState

if TYPE_CHECKING:
    import numpy.typing as npt

    from qloom.contracts import Device, Prepared

    ComplexArray = npt.NDArray[np.complex128]
    FloatArray = npt.NDArray[np.float64]

SIGMAS = 5.5
"""A right estimate is farther off than so many standard errors about four times in a hundred million."""

TIMEOUT_S = 60.0


def bell() -> Circuit:
    """Two qubits that always agree."""
    return Circuit(2, name="bell").h(0).cx(0, 1)


def ansatz() -> Circuit:
    """Three qubits, parameters in an order that is not the alphabet's, angles with factors and offsets."""
    z, a, m = Parameter("z"), Parameter("a"), Parameter("m")
    return Circuit(3, name="ansatz").ry(2 * z + 0.1, 0).rx(a, 1).cx(0, 1).rz(a / 2 - m, 1).ry(m, 2).cx(1, 2).rx(0.3 - z, 2)


ENERGY = Observable({"ZII": 0.5, "IZZ": -0.7, "XXI": 0.4, "IYX": 0.3, "XYZ": -0.2, "III": 1.5})
POINT = np.array([0.4, -1.1, 0.7])


def state_of(circuit: Circuit, parameters: FloatArray | None = None) -> ComplexArray:
    """Return the state of a small circuit of gates by multiplying matrices, shape (2**n,), qubit 0 most significant.

    >>> np.round(state_of(bell()), 3).real.tolist()
    [0.707, 0.0, 0.0, 0.707]
    """
    values = dict(zip(circuit.parameters, [] if parameters is None else parameters.tolist(), strict=True))
    bound = circuit.bind(values)
    state: ComplexArray = np.zeros((2,) * circuit.num_qubits, dtype=np.complex128)
    state[(0,) * circuit.num_qubits] = 1
    for step in bound.flat():
        if step.kind != "gate":
            continue
        unitary = matrix(step.name, [float(angle) for angle in step.parameters])  # type: ignore[arg-type]  # all are bound
        size = 2 ** len(step.qubits)
        full = np.eye(size, dtype=np.complex128)
        full[size - len(unitary) :, size - len(unitary) :] = unitary
        tensor = full.reshape((2,) * (2 * len(step.qubits)))
        axes = list(step.qubits)
        product: ComplexArray = np.tensordot(tensor, state, (range(len(axes), 2 * len(axes)), axes))  # type: ignore[assignment]  # complex128 stays
        state = np.moveaxis(product, range(len(axes)), axes)
    return state.ravel()


def values_of(circuit: Circuit, observable: Observable, parameters: FloatArray) -> float:
    """Return an expectation value by multiplying matrices."""
    state = state_of(circuit, parameters)
    return float(np.vdot(state, observable.matrix() @ state).real)


class DeviceContract:
    """The tests. Their names say what is promised; `contracts.device` says it in full.

    Attributes:
        exact: False for a device whose answers carry noise of their own.
        shots: for checks of samples.
    """

    exact = True
    shots = 4000

    @pytest.fixture
    def device(self) -> Device:
        """The device under test."""
        raise NotImplementedError("give your subclass a fixture called device")

    def prepared(self, device: Device, circuit: Circuit, observables: Observable | list[Observable] | None = None) -> Prepared:
        """Prepare a circuit, or skip the test where the device's spec says that it cannot run it."""
        if reasons := reasons_against(device.spec(), circuit):
            pytest.skip("; ".join(reasons))
        return device.prepare(circuit, observables)

    def noiseless(self) -> None:
        """Skip where answers carry noise."""
        if not self.exact:
            pytest.skip("the device has noise of its own")

    def exact_values(self, device: Device) -> None:
        """Skip where there are no exact values."""
        self.noiseless()
        if not device.spec().exact_values:
            pytest.skip("the device has no exact values")

    # ---- samples -------------------------------------------------------------------------------------------------

    def test_a_bell_pair_gives_only_equal_bits(self, device: Device) -> None:
        self.noiseless()
        result = self.prepared(device, bell()).run(shots=self.shots, seed=1)
        assert set(result.counts) == {"00", "11"}
        assert sum(result.counts.values()) == result.shots == self.shots
        assert abs(result.counts["00"] / self.shots - 0.5) < SIGMAS * 0.5 / math.sqrt(self.shots)

    def test_the_first_character_of_a_key_is_qubit_0(self, device: Device) -> None:
        self.noiseless()
        result = self.prepared(device, Circuit(3).x(0)).run(shots=10, seed=1)
        assert result.counts == {"100": 10}
        assert result.bits.tolist() == [[1, 0, 0]] * 10

    def test_measured_bits_stand_where_they_were_read_to(self, device: Device) -> None:
        self.noiseless()
        permuted = Circuit(3).x(0).measure([0, 1, 2], [2, 0, 1])
        assert self.prepared(device, permuted).run(shots=5, seed=1).counts == {"001": 5}

    def test_only_the_measured_bits_stand_in_a_key(self, device: Device) -> None:
        self.noiseless()
        one_of_two = Circuit(2).h(0).x(1).measure(1, 0)
        assert self.prepared(device, one_of_two).run(shots=20, seed=1).counts == {"1": 20}

    def test_declared_bits_that_nothing_is_read_into_are_0(self, device: Device) -> None:
        self.noiseless()
        wide = Circuit(1, Circuit(1).x(0).measure(0, 1).instructions, num_clbits=4)
        assert self.prepared(device, wide).run(shots=3, seed=1).counts == {"0100": 3}

    def test_frequencies_follow_the_state(self, device: Device) -> None:
        self.noiseless()
        result = self.prepared(device, ansatz()).run(POINT, self.shots, seed=3)
        probabilities = np.abs(state_of(ansatz(), POINT)) ** 2
        for key, probability in enumerate(probabilities):
            bound = SIGMAS * math.sqrt(probability * (1 - probability) / self.shots) + 1 / self.shots
            assert abs(result.probabilities.get(f"{key:03b}", 0.0) - probability) < bound

    def test_the_same_seed_draws_the_same_samples(self, device: Device) -> None:
        if device.spec().bills:
            pytest.skip("a device that bills need not take seeds")
        prepared = self.prepared(device, ansatz())
        first, again = (prepared.run(POINT, self.shots, seed=11) for _ in range(2))
        assert first.counts == again.counts
        assert first.bits.tolist() == again.bits.tolist()

    def test_other_seeds_draw_other_samples(self, device: Device) -> None:
        prepared = self.prepared(device, ansatz())
        drawn = [prepared.run(POINT, self.shots, seed=seed).counts for seed in (1, 2, None, None)]
        assert all(drawn[one] != drawn[two] for one in range(4) for two in range(one))

    # ---- parameters ----------------------------------------------------------------------------------------------

    def test_parameters_come_in_the_order_of_first_use_or_by_name(self, device: Device) -> None:
        prepared = self.prepared(device, ansatz(), ENERGY)
        assert prepared.parameters == ("z", "a", "m")
        self.exact_values(device)
        by_name = {"a": POINT[1], "m": POINT[2], "z": POINT[0]}
        expected = values_of(ansatz(), ENERGY, POINT)
        for given in (POINT, POINT.tolist(), by_name, POINT.reshape(1, 3), POINT.astype(np.float32).astype(np.float64)):
            assert prepared.estimate(given).value == pytest.approx(expected, abs=1e-6)

    def test_many_sets_are_many_single_sets(self, device: Device) -> None:
        self.exact_values(device)
        sets: FloatArray = np.linspace(-2, 2, 15, dtype=np.float64).reshape(5, 3)
        prepared = self.prepared(device, ansatz(), [ENERGY, Observable({"ZZZ": 1.0})])
        together = prepared.estimate(sets)
        assert len(together) == 5
        assert together.values.shape == (5, 2)
        single = np.array([prepared.estimate(row).values[0] for row in sets.tolist()])
        np.testing.assert_allclose(together.values, single, atol=1e-12)

    def test_each_set_has_its_own_samples(self, device: Device) -> None:
        self.noiseless()
        turned = Circuit(2).rx(Parameter("angle"), 1)
        result = self.prepared(device, turned).run([[0.0], [math.pi], [0.0]], shots=50, seed=1)
        assert [item.counts for item in result] == [{"00": 50}, {"01": 50}, {"00": 50}]

    def test_several_circuits_answer_in_order(self, device: Device) -> None:
        self.noiseless()
        angle = Parameter("angle")
        circuits = [Circuit(2).rx(angle, 0), Circuit(2).rx(angle, 1), Circuit(2).rx(angle, 0).rx(angle, 1).measure([1], [0])]
        result = device.prepare(circuits).run([[math.pi], [0.0]], shots=20, seed=1)
        keys = [set(item.counts) for item in result]
        assert keys == [{"10"}, {"00"}, {"01"}, {"00"}, {"1"}, {"0"}]

    # ---- values --------------------------------------------------------------------------------------------------

    def test_exact_values_are_those_of_the_matrices(self, device: Device) -> None:
        self.exact_values(device)
        result = self.prepared(device, ansatz(), ENERGY).estimate(POINT)
        assert result.value == pytest.approx(values_of(ansatz(), ENERGY, POINT), abs=1e-10)
        assert result.standard_error == 0
        assert result.shots is None

    def test_values_from_shots_are_within_their_standard_errors(self, device: Device) -> None:
        self.noiseless()
        result = self.prepared(device, ansatz(), ENERGY).estimate(POINT, self.shots, seed=5)
        assert result.shots == self.shots
        assert 0 < result.standard_error < 10 / math.sqrt(self.shots)
        assert abs(result.value - values_of(ansatz(), ENERGY, POINT)) < SIGMAS * result.standard_error

    def test_the_identity_has_no_error(self, device: Device) -> None:
        self.noiseless()
        result = self.prepared(device, bell(), Observable({"II": 2.5})).estimate(shots=10, seed=1)
        assert (result.value, result.standard_error) == (2.5, 0.0)

    def test_an_unmeasured_key_order_does_not_matter_to_values(self, device: Device) -> None:
        self.exact_values(device)
        read = bell().x(1).measure([0, 1], [1, 0])
        assert self.prepared(device, read, Observable({"ZZ": 1.0})).estimate().value == pytest.approx(-1.0)

    def test_gradients_are_those_of_finite_differences(self, device: Device) -> None:
        self.exact_values(device)
        if not device.spec().gradients:
            pytest.skip("the device has no gradients")
        result = self.prepared(device, ansatz(), ENERGY).gradient(POINT)
        assert result.gradients.shape == (1, 1, 3)
        assert result.value == pytest.approx(values_of(ansatz(), ENERGY, POINT), abs=1e-10)
        for column in range(3):
            step = np.zeros(3)
            step[column] = 1e-4
            slope = (values_of(ansatz(), ENERGY, POINT + step) - values_of(ansatz(), ENERGY, POINT - step)) / 2e-4
            assert result.gradients[0, 0, column] == pytest.approx(slope, abs=1e-6)

    # ---- refusals ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("shots", [0, -1, 1.5, "many", True])
    def test_shots_that_are_no_positive_integer_are_refused(self, device: Device, shots: object) -> None:
        prepared = self.prepared(device, bell())
        with pytest.raises(InvalidTask, match="shots"):
            prepared.run(shots=shots)  # type: ignore[arg-type]  # that is the test

    @pytest.mark.parametrize(
        "given",
        [None, [0.1, 0.2], [0.1] * 4, [[0.1, 0.2]], [0.1, 0.2, math.nan], [0.1, 0.2, math.inf], {"z": 1.0, "a": 2.0}, "abc"],
    )
    def test_parameters_that_do_not_fit_are_refused(self, device: Device, given: object) -> None:
        prepared = self.prepared(device, ansatz())
        with pytest.raises(InvalidTask):
            prepared.run(given, shots=10)  # type: ignore[arg-type]  # that is the test

    def test_a_parameter_that_there_is_not_is_refused_by_name(self, device: Device) -> None:
        prepared = self.prepared(device, ansatz())
        with pytest.raises(Misuse, match="zz"):
            prepared.run({"zz": 0.0, "a": 0.0, "m": 0.0}, shots=10)

    def test_a_circuit_that_is_too_large_is_refused_before_it_is_prepared(self, device: Device) -> None:
        large = Circuit(device.spec().num_qubits + 1).ry(0.3, 0)
        assert device.check(large)
        with pytest.raises(Unsupported, match=str(large.num_qubits)):
            device.prepare(large)

    def test_what_the_spec_does_not_name_is_refused_with_every_reason(self, device: Device) -> None:
        odd = Circuit(1).channel("bit_flip", 0, probabilities=[0.1]).measure(0).reset(0)
        missing = [need for need in needs(odd) if need not in device.spec().features]
        if not missing:
            pytest.skip("the device runs channels, resets and measurements in between")
        reasons = "; ".join(device.check(odd))
        with pytest.raises(Unsupported) as refused:
            device.prepare(odd)
        assert all(need in reasons and need in str(refused.value) for need in missing)

    def test_an_observable_of_another_size_is_refused(self, device: Device) -> None:
        with pytest.raises(InvalidTask, match="3"):
            device.prepare(bell(), Observable({"ZZZ": 1.0}))

    def test_values_without_observables_are_refused(self, device: Device) -> None:
        with pytest.raises(InvalidTask, match="observables"):
            self.prepared(device, bell()).estimate()

    def test_no_circuits_are_refused(self, device: Device) -> None:
        with pytest.raises(InvalidTask):
            device.prepare([])

    def test_circuits_with_other_parameters_are_refused(self, device: Device) -> None:
        with pytest.raises((InvalidTask, InvalidCircuit), match="param"):
            device.prepare([Circuit(1).rx(Parameter("a"), 0), Circuit(1).rx(Parameter("b"), 0)])

    # ---- tasks ---------------------------------------------------------------------------------------------------

    def test_a_submitted_task_ends_with_a_result_that_stays(self, device: Device) -> None:
        task = self.prepared(device, bell()).submit("sample", shots=100, seed=1)
        result = task.result(timeout_s=TIMEOUT_S)
        assert sum(result.counts.values()) == 100
        assert task.result(timeout_s=TIMEOUT_S) == result
        assert task.state() is TaskState.COMPLETED

    def test_a_task_is_found_again_by_its_id(self, device: Device) -> None:
        task = self.prepared(device, bell()).submit("sample", shots=100, seed=1)
        again = device.attach(task.id)
        assert again.id == task.id
        assert again.result(timeout_s=TIMEOUT_S) == task.result(timeout_s=TIMEOUT_S)

    def test_a_task_that_there_is_not_is_refused(self, device: Device) -> None:
        with pytest.raises(UnknownName):
            device.attach("no-such-task")

    def test_a_token_is_one_task_however_often_it_is_sent(self, device: Device) -> None:
        prepared = self.prepared(device, bell())
        tokens = ["contract-main-0", "contract-main-0", "contract-main-1"]
        first, second, other = (prepared.submit("sample", shots=100, token=token) for token in tokens)
        assert first.id == second.id != other.id
        found = device.find(tokens[0])
        assert found is not None
        assert found.id == first.id
        assert device.find("contract-main-2") is None

    def test_a_kind_of_task_that_there_is_not_is_refused(self, device: Device) -> None:
        with pytest.raises(Misuse):
            self.prepared(device, bell()).submit("dance")

    # ---- preparing -----------------------------------------------------------------------------------------------

    def test_equal_work_has_an_equal_digest_and_other_work_another(self, device: Device) -> None:
        first = self.prepared(device, ansatz(), ENERGY).digest
        assert first == self.prepared(device, ansatz(), ENERGY).digest
        others = [(ansatz(), None), (ansatz(), 2 * ENERGY), (ansatz().x(0), ENERGY)]
        assert len({first, *(device.prepare(*work).digest for work in others)}) == 4

    def test_the_engine_is_named_with_its_version_and_threads(self, device: Device) -> None:
        prepared = self.prepared(device, bell())
        assert prepared.engine.name
        assert prepared.engine.threads >= 1
        assert prepared.run(shots=1, seed=1).engine == prepared.engine

    def test_a_result_survives_being_packed(self, device: Device) -> None:
        result = self.prepared(device, ansatz(), ENERGY).run(np.stack([POINT, -POINT]), shots=100, seed=1)
        assert Result.unpack(result.pack()) == result

    def test_it_works_inside_a_running_event_loop(self, device: Device) -> None:
        async def inside() -> Result:
            return self.prepared(device, bell()).run(shots=10, seed=1)

        assert sum(asyncio.run(inside()).counts.values()) == 10
