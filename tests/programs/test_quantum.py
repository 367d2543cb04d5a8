import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit, Observable, Parameter
from qloom.contracts import Device, Lane, Prepared, Recorder
from qloom.errors import InvalidObservable, InvalidTask, Misuse, UnknownName
from qloom.programs.direct import DirectRecorder
from qloom.programs.quantum import DirectLane, QuantumDevice
from qloom.results import Engine, Result
from qloom.tasks import Question
from tests.programs.fakes import ENGINE, TossDevice, TossPrepared

ANSATZ = Circuit(2).rx(Parameter("a"), 0).rx(Parameter("b"), 1)


class AskedLane(DirectLane):
    """A lane that remembers the questions."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[Question] = []
        self.billed = 0

    def ask(self, question: Question, compute: Any) -> Result:
        self.asked.append(question)
        return super().ask(question, compute)

    def ask_billed(self, question: Question, device: Device, prepared: Prepared) -> Result:
        self.billed += 1
        return super().ask_billed(question, device, prepared)


def read(circuit: Any) -> Circuit:
    return Circuit(1).h(0) if circuit == "h" else circuit


@pytest.fixture
def lane() -> AskedLane:
    return AskedLane()


@pytest.fixture
def device(lane: AskedLane) -> QuantumDevice:
    return QuantumDevice(TossDevice(), lanes=lambda: lane, intake=read)


def inner(device: QuantumDevice) -> TossDevice:
    assert isinstance(device._device, TossDevice)
    return device._device


def test_the_fakes_and_the_lanes_keep_their_contracts() -> None:
    assert isinstance(TossDevice(), Device)
    assert isinstance(TossPrepared(TossDevice(), [ANSATZ], None), Prepared)
    assert isinstance(DirectLane(), Lane)
    assert isinstance(DirectRecorder(), Recorder)


# ---- questions


def test_every_way_to_give_parameters_asks_the_same_question(device: QuantumDevice, lane: AskedLane) -> None:
    task = device.prepare(ANSATZ)
    for values in (np.array([0.5, 1.0]), [0.5, 1.0], {"b": 1.0, "a": 0.5}, [[0.5, 1.0]], np.array([0.5, 9.0, 1.0])[::2]):
        task.run(values, shots=10)
    assert len(set(lane.asked)) == 1
    assert lane.asked[0] == Question("sample", task.digest, np.array([0.5, 1.0]).tobytes(), 1, 10, None)


@given(st.lists(st.lists(st.floats(-10, 10), min_size=2, max_size=2), min_size=1, max_size=4))
def test_several_sets_are_one_question(sets: list[list[float]]) -> None:
    lane = AskedLane()
    task = QuantumDevice(TossDevice(), lanes=lambda: lane, intake=read).prepare(ANSATZ, {"ZZ": 1.0})
    assert task.estimate(sets).values[:, 0] == pytest.approx(np.sum(sets, axis=1))
    assert np.frombuffer(lane.asked[0].parameters).reshape(lane.asked[0].sets, 2).tolist() == sets


def test_kinds_shots_and_seeds_stand_in_the_question(device: QuantumDevice, lane: AskedLane) -> None:
    task = device.prepare(ANSATZ, Observable({"ZZ": 1.0}))
    task.run([0, 0], seed=np.int64(7))  # type: ignore[arg-type]
    task.estimate([0, 0])
    task.estimate([0, 0], shots=5)
    assert task.gradient([0, 0]).gradients.shape == (1, 1, 2)
    assert [(item.kind, item.shots, item.seed) for item in lane.asked] == [
        *(("sample", 1000, 7), ("estimate", None, None), ("estimate", 5, None), ("gradient", None, None)),
    ]
    assert inner(device).calls[0][3] == 7


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"parameters": [np.nan, 0]}, "parameter a of set 0 must be finite"),
        ({"parameters": np.array([0, np.inf])}, "parameter b of set 0 must be finite"),
        ({"parameters": [0]}, "2 parameters"),
        ({"parameters": np.zeros((0, 2))}, "hold no set"),
        ({"shots": 0}, "shots must be an integer from 1 up, got 0"),
        ({"shots": True}, "shots"),
        ({"shots": 1.5}, "shots"),
        ({"seed": -1}, "a seed must be"),
        ({"seed": 2**64}, "a seed must be"),
        ({"seed": True}, "a seed must be"),
    ],
)
def test_a_call_that_cannot_be_asked_is_refused_before_anything_runs(
    device: QuantumDevice, call: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidTask, match=said):
        device.prepare(ANSATZ).run(**{"parameters": [0.1, 0.2]} | call)
    assert inner(device).calls == []


def test_huge_but_finite_parameters_pass(device: QuantumDevice) -> None:
    device.prepare(ANSATZ).run(np.array([1e200, -1e200]), shots=1)
    assert inner(device).calls[0][1].ravel().tolist() == [1e200, -1e200]


def test_an_unknown_parameter_is_refused(device: QuantumDevice) -> None:
    with pytest.raises(UnknownName, match="'c'"):
        device.prepare(ANSATZ).run({"a": 1, "b": 2, "c": 3})


# ---- devices


def test_circuits_come_in_through_the_intake(device: QuantumDevice) -> None:
    assert device.prepare("h").parameters == ()
    assert device.prepare(["h", Circuit(1).x(0)]).digest == f"{Circuit(1).h(0).digest}+{Circuit(1).x(0).digest}"
    assert device.check("h") == []
    assert (device.name, device.spec().num_qubits) == ("toss", 4)


def test_observables_may_be_dicts_and_lists(device: QuantumDevice) -> None:
    digests = {
        device.prepare(ANSATZ, asked).digest
        for asked in ({"ZZ": 1.0}, Observable({"ZZ": 1.0}), [{"ZZ": 1.0}], (Observable({"ZZ": 1.0}),))
    }
    assert len(digests) == 1


def test_a_gradient_from_shots_is_one_question_for_each_set(device: QuantumDevice, lane: AskedLane) -> None:
    task = device.prepare(ANSATZ, Observable({"ZZ": 1.0}))
    task.gradient([[0, 0], [1, 1]], shots=7, seed=3)
    assert [(item.kind, item.shots, item.seed, item.sets) for item in lane.asked] == [
        ("estimate", 7, 3, 5),
        ("estimate", 7, 4, 5),
    ]


@pytest.mark.parametrize(("asked", "said"), [("ZZ", "'ZZ' is no observable"), ([], "is empty"), ([3], "3 is no observable")])
def test_what_is_no_observable_is_refused(device: QuantumDevice, asked: Any, said: str) -> None:
    with pytest.raises(InvalidObservable, match=said):
        device.prepare(ANSATZ, asked)


def test_circuits_given_to_run_stay_prepared(device: QuantumDevice) -> None:
    for _ in range(3):
        assert sum(device.run("h", shots=5).counts.values()) == 5
        assert device.estimate(ANSATZ, {"ZZ": 1.0}, [1, 2]).value == 3
        assert device.gradient(ANSATZ, {"ZZ": 1.0}, [1, 2]).gradients.tolist() == [[[1, 1]]]
    assert inner(device).prepared == 2


def test_only_the_last_circuits_stay_prepared(device: QuantumDevice) -> None:
    for angle in [*range(17), 0]:
        device.run(Circuit(1).rx(float(angle), 0), shots=1)
    assert inner(device).prepared == 18


def test_a_device_that_bills_is_asked_through_the_lanes_other_door(lane: AskedLane) -> None:
    task = QuantumDevice(TossDevice(bills=True), lanes=lambda: lane, intake=read).prepare(ANSATZ, {"ZZ": 1.0})
    assert task.estimate([1, 2]).value == 3
    assert task.run([1, 2], shots=3).shots == 3
    assert (lane.billed, lane.asked) == (2, [])


def test_a_change_of_engine_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    class Changed(DirectRecorder):
        def engine_used(self, prepared: str, engine: Engine) -> Engine | None:
            return Engine("other", "0.9", 2)

    device = QuantumDevice(TossDevice(), intake=read, recorder=Changed())
    with caplog.at_level(logging.WARNING):
        device.prepare("h")
        device.prepare("h")
    assert device.engine == ENGINE
    assert [record.getMessage() for record in caplog.records] == device.problems
    assert "began on other 0.9 with 2 threads and goes on with toss 1.0 and 1" in device.problems[0]


# ---- lanes without a journal


def test_seeds_are_those_of_a_job_with_the_same_seed() -> None:
    from qloom.journal.lanes import derive_seed

    question = Question("sample", "", b"", 1, 1, None)
    seeds: list[int] = []
    lane = DirectLane(7, "a")
    for _ in range(2):
        lane.ask(question, seeds.append)  # type: ignore[arg-type]
        lane.now(float)
    assert seeds == [derive_seed(7, "a", 0), derive_seed(7, "a", 2)]


def test_without_a_seed_every_call_differs() -> None:
    device = TossDevice()
    facade = QuantumDevice(device, intake=read)
    facade.run("h", shots=1)
    facade.run("h", shots=1)
    assert device.calls[0][3] != device.calls[1][3]


def test_a_call_inside_a_step_is_refused_as_in_a_job() -> None:
    lane = DirectLane(1)
    with pytest.raises(Misuse, match="inside a step"):
        lane.step("outer", b"", lambda: lane.now(float))
    assert lane.step("outer", b"", lambda: (1, 2)) == [1, 2]
