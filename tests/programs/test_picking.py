"""Tasks whose stages are picked: when they are asked for, what becomes of shots, and that a resumed job takes the same ones."""

from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from qloom.circuits import Circuit, Observable, Parameter
from qloom.contracts import Answer, Chosen, Expansion, Stage, Wish
from qloom.convert import read_circuit
from qloom.devices.sim import create
from qloom.errors import InvalidSetting, InvalidTask, UnknownName
from qloom.pipelines import read_pipeline
from qloom.pipelines.opening import check_chain
from qloom.programs.direct import DirectLane
from qloom.programs.picking import PICKED, PickingTask
from qloom.programs.pipelined import Pipeline
from qloom.programs.quantum import QuantumDevice

TURN = Circuit(1).rx(Parameter("theta"), 0)
Z = Observable({"Z": 1.0})


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    copies: int = 3


class Copies(Stage):
    """Runs the circuit so many times and takes the mean."""

    name: ClassVar[str] = "copies"
    options_type: ClassVar[type[Any]] = Options

    def expand(self, circuit: Circuit, options: Any, context: Any) -> Expansion:
        return Expansion((circuit,) * options.copies)

    def combine(self, recipe: Any, answers: Any, options: Any, context: Any) -> Answer:
        context.notes["copies"] = len(answers)
        values = np.mean([answer.values for answer in answers], axis=0)
        return Answer(values, np.sqrt(np.sum([answer.standard_errors**2 for answer in answers], axis=0)) / len(answers))


class Picks(Copies):
    """Picks the stage above where there are many shots."""

    name: ClassVar[str] = "picks"
    beside: ClassVar[frozenset[str]] = frozenset({"copies"})
    wishes: ClassVar[list[Wish]] = []

    def choose(self, options: Any, wish: Wish) -> Chosen:
        self.wishes.append(wish)
        many = (wish.shots or 0) >= 100
        stages: list[Any] = [{"stage": "copies", "copies": options.copies}] if many else []
        return Chosen(stages, options.copies if many else 1, {"message": "as told"})


STAGES = {stage.name: stage for stage in (Copies, Picks)}


def open_stage(name: str) -> Stage:
    return STAGES[name]()


class Telling(DirectLane):
    """A lane that keeps its steps, and answers with kept ones as a replay does."""

    def __init__(self, kept: list[Any] | None = None) -> None:
        super().__init__(1)
        self.steps: list[tuple[str, bytes, Any]] = []
        self._kept = kept or []

    def step(self, name: str, arguments: bytes, compute: Any) -> Any:
        found = self._kept.pop(0) if self._kept else super().step(name, arguments, compute)
        self.steps.append((name, arguments, found))
        return found


def task_of(pipeline: object, lane: Any = None) -> PickingTask:
    Picks.wishes.clear()
    lane = lane or DirectLane(1)
    around = Pipeline(read_pipeline(pipeline), open_stage)
    device = QuantumDevice(create(""), lanes=lambda: lane, intake=read_circuit, pipeline=around)
    task = device.prepare(TURN, Z)
    assert isinstance(task, PickingTask)
    return task


def test_it_is_asked_once_for_each_number_of_shots() -> None:
    task = task_of("picks")
    for number in range(5):
        assert task.estimate([number / 5]).value == pytest.approx(np.cos(number / 5), abs=1e-12)
        task.estimate([number / 5], shots=300)
    assert [wish.shots for wish in Picks.wishes] == [None, 300]
    assert (Picks.wishes[0].circuits, Picks.wishes[0].observables, Picks.wishes[0].measured) == ((TURN,), (Z,), ((0,),))


def test_what_is_picked_stands_in_its_place_and_says_why() -> None:
    task = task_of([{"stage": "copies", "copies": 2}, "picks"])
    stages = task.estimate([0.3], shots=400, seed=1).stages
    assert [(stage["name"], stage.get("copies"), stage["places"]) for stage in stages] == [
        ("picks", None, 1),
        ("copies", 2, 4),
    ]
    assert stages["picks"].message == "as told"
    assert task.engine.name
    assert task.digest


def test_shots_are_split_among_the_circuits() -> None:
    task = task_of({"picks": {"copies": 4}})
    assert task.estimate([1.2], shots=4000, seed=1).shots == 1000
    assert task.estimate([1.2], shots=4001, seed=1).shots == 1001
    error = task.estimate([1.2], shots=40_000, seed=1).standard_errors.item()
    assert error == pytest.approx(np.sin(1.2) / 200, rel=0.05)
    assert task.estimate([1.2], shots=60, seed=1).shots == 60


def test_a_precision_is_kept_and_counts_and_gradients_go_through_it() -> None:
    task = task_of("picks")
    assert task.estimate([1.2], precision=0.02, seed=1).standard_errors.item() <= 0.02
    assert task.gradient([0.3]).gradients.ravel().tolist() == pytest.approx([-np.sin(0.3)], abs=1e-9)
    assert sum(task.run([0.3], shots=50, seed=1).counts.values()) == 50
    assert [wish.wanted for wish in Picks.wishes] == ["values", "values", "counts"]


def test_options_of_one_call_are_asked_anew() -> None:
    task = task_of("picks")
    assert task.estimate([0.3], shots=300, stage_options={"picks": {"copies": 2}}).stages["copies"].copies == 2
    assert task.estimate([0.3], shots=300).stages["copies"].copies == 3
    with pytest.raises(UnknownName, match="no stage in this pipeline called 'copies'"):
        task.estimate([0.3], shots=300, stage_options={"copies": {"copies": 2}})


def test_a_replay_takes_what_was_picked_before() -> None:
    lane = Telling()
    task_of("picks", lane).estimate([0.3], shots=300)
    ((name, arguments, found),) = lane.steps
    assert name == PICKED
    assert found["pipeline"] == [{"stage": "copies", "copies": 3}]
    again = Telling([{**found, "pipeline": [{"stage": "copies", "copies": 7}], "circuits": 7}])
    task = task_of("picks", again)
    assert task.estimate([0.3], shots=300).stages["copies"].copies == 7
    assert again.steps[0][1] == arguments
    assert not Picks.wishes


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        (["picks", "picks"], "cannot weigh picks beside it"),
        ([{"parallel": [["picks"], []], "combine": "copies"}], "stage picks .* cannot stand in branches"),
    ],
)
def test_it_stands_once_and_in_no_branch(pipeline: list[Any], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        check_chain(read_pipeline(pipeline), open_stage)


def test_there_is_nothing_to_estimate_without_observables() -> None:
    lane = DirectLane(1)
    around = Pipeline(read_pipeline("picks"), open_stage)
    task = QuantumDevice(create(""), lanes=lambda: lane, intake=read_circuit, pipeline=around).prepare(TURN)
    with pytest.raises(InvalidTask, match="nothing to estimate"):
        task.estimate([0.3])
