"""Tasks with a pipeline round the device: what is sent, when, and what becomes of the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from qloom.circuits import Circuit, Observable, Parameter
from qloom.contracts import Answer, Calibration, Expansion, More, Stage, StageContext
from qloom.convert import read_circuit
from qloom.devices.sim import create
from qloom.errors import InvalidSetting, InvalidTask, StageFailed, UnknownName, Unsupported
from qloom.kit.text_cache import TextCache
from qloom.pipelines import read_pipeline
from qloom.programs.pipelined import Pipeline, PipelinedTask
from qloom.programs.quantum import QuantumDevice
from qloom.results import Result
from qloom.testing.counting_device import CountingDevice

THETA = Parameter("theta")
TURN = Circuit(1).rx(THETA, 0)
Z = Observable({"Z": 1.0})
Made = Answer | More


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    copies: int = 2
    wrong: str = ""


class Plain(Stage):
    """Runs the circuit so many times and takes the mean."""

    name: ClassVar[str] = "plain"
    options_type: ClassVar[type[Any]] = Options
    expanded = 0

    def expand(self, circuit: Circuit, options: Options, context: StageContext) -> Expansion:
        type(self).expanded += 1
        if options.wrong == "expand":
            raise ZeroDivisionError("no way to expand")
        return Expansion((circuit,) * options.copies, {"copies": options.copies})

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Options, context: StageContext) -> Made:
        values = [answer.values for answer in answers if answer.values is not None]
        errors = [answer.standard_errors for answer in answers if answer.standard_errors is not None]
        if options.wrong == "combine":
            raise ZeroDivisionError("no way to combine")
        context.notes["seen"] = [float(value.flat[0]) for value in values]
        context.notes["inner"] = sorted(context.inner)
        factor = float("nan") if options.wrong == "nan" else 1.0
        return Answer(sum(values) * factor / recipe["copies"], np.sqrt(sum(error**2 for error in errors)) / recipe["copies"])


class Weighs(Plain):
    """Says that it only weighs."""

    name: ClassVar[str] = "weighs"

    def weights(self, recipe: Mapping[str, Any], options: Options, context: StageContext) -> Sequence[float]:
        copies = int(recipe["copies"])
        return (float("nan") if options.wrong == "nan" else 1 / copies,) * copies


class Twice(Plain):
    """Adds its name twice as many circuits; used to see the nesting."""

    name: ClassVar[str] = "twice"


class Rounds(Plain):
    """Asks for one more circuit in each round, until it has as many as `copies`."""

    name: ClassVar[str] = "rounds"
    max_rounds: ClassVar[int] = 3

    def expand(self, circuit: Circuit, options: Options, context: StageContext) -> Expansion:
        return Expansion((circuit,), {"copies": 1, "gates": circuit.instructions[0].name})

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Options, context: StageContext) -> Made:
        context.notes["rounds"] = len(answers)
        if len(answers) < options.copies:
            return More((TURN.z(0) if len(answers) % 2 else TURN.z(0).z(0),), {"copies": len(answers) + 1})
        return super().combine(recipe, answers, options, context)


class Random(Plain):
    """Turns by a random angle, and back."""

    name: ClassVar[str] = "random"

    def expand(self, circuit: Circuit, options: Options, context: StageContext) -> Expansion:
        (name,) = context.fresh(1)
        turned = circuit.rx(Parameter(name), 0)
        return Expansion((turned,), {"copies": 1}, drawn=(name,))

    def draw(self, recipe: Mapping[str, Any], options: Options, generator: np.random.Generator) -> Any:
        return generator.uniform(0, 1, 1)


class Calibrated(Plain):
    """Divides by what was measured of an excited qubit."""

    name: ClassVar[str] = "calibrated"

    def calibration(self, circuit: Circuit, options: Options, context: StageContext) -> Calibration:
        return Calibration((Circuit(1).x(0).measure(0),), 100, {"qubit": 0}, 60.0)

    def calibrated(self, recipe: Mapping[str, Any], results: Sequence[Result]) -> dict[str, Any]:
        return {"ones": results[0].counts["1"], **recipe}

    def expand(self, circuit: Circuit, options: Options, context: StageContext) -> Expansion:
        assert context.calibration is not None
        context.notes["ones"] = context.calibration["ones"]
        return Expansion((circuit,), {"copies": 1})


class Moves(Plain):
    """Puts the qubit elsewhere."""

    name: ClassVar[str] = "moves"

    def expand(self, circuit: Circuit, options: Options, context: StageContext) -> Expansion:
        steps = [step._replace(qubits=(2,)) for step in circuit.instructions]
        moved = Circuit(3, steps, parameters=circuit.parameters)
        return Expansion((moved,), {"copies": 1}, layout=(2,))


class Joins(Plain):
    """Takes the mean of branches."""

    name: ClassVar[str] = "joins"
    joins_branches: ClassVar[bool] = True

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Options, context: StageContext) -> Made:
        return super().combine({"copies": len(answers)}, answers, options, context)


STAGES = {stage.name: stage for stage in (Plain, Weighs, Twice, Rounds, Random, Calibrated, Moves, Joins)}


def open_stage(name: str) -> Stage:
    return STAGES[name]()


class Rig:
    """A counting device with a pipeline round it."""

    def __init__(self, folder: Path, pipeline: object, store: TextCache | None = None) -> None:
        self.counting = CountingDevice(folder / "calls.log", create(""))
        self.device = QuantumDevice(
            self.counting, intake=read_circuit, pipeline=Pipeline(read_pipeline(pipeline), open_stage, store)
        )

    def task(self) -> PipelinedTask:
        task = self.device.prepare(TURN, Z)
        assert isinstance(task, PipelinedTask)
        return task


def test_all_circuits_of_an_evaluation_go_in_one_submission_and_are_expanded_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, [{"stage": "plain", "copies": 3}, {"stage": "twice", "copies": 2}])
    Plain.expanded = Twice.expanded = 0
    task = rig.task()
    for number in range(100):
        assert task.estimate([number / 10]).value == pytest.approx(np.cos(number / 10), abs=1e-12)
    assert rig.counting.calls() == 100
    assert (Plain.expanded, Twice.expanded) == (2, 1)
    assert len(task.estimate([0.0]).stages["plain"].seen) == 3


def test_the_first_stage_stands_next_to_the_device_and_the_last_sees_its_notes(tmp_path: Path) -> None:
    result = Rig(tmp_path, "plain,twice").task().estimate([0.0])
    assert [stage["name"] for stage in result.stages] == ["plain", "twice"]
    assert (result.stages["twice"].inner, result.stages["plain"].inner) == (["plain"], [])
    assert result.stages["plain"].places == 2


def test_a_stage_may_ask_for_more_rounds_each_of_them_one_submission(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ["plain", {"stage": "rounds", "copies": 3}])
    result = rig.task().estimate([0.4])
    assert (result.stages["rounds"].rounds, rig.counting.calls()) == (3, 3)
    assert result.value == pytest.approx(np.cos(0.4), abs=1e-12)


def test_a_stage_that_asks_for_rounds_for_ever_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"stage rounds in pipeline rounds, circuit 0: it asks for round 4, its limit is 3"):
        Rig(tmp_path, [{"stage": "rounds", "copies": 9}]).task().estimate([0.4])


def test_what_is_random_is_drawn_anew_for_each_set_and_call_and_the_same_from_a_seed(tmp_path: Path) -> None:
    task = Rig(tmp_path, "random").task()
    values = [*task.estimate([[0.0], [0.0]]).values.ravel().tolist(), task.estimate([0.0]).value]
    assert len(set(values)) == 3
    assert task.estimate([0.0], seed=5).value == task.estimate([0.0], seed=5).value != task.estimate([0.0], seed=6).value


def test_branches_run_in_one_batch_and_are_joined(tmp_path: Path) -> None:
    pipeline = ["plain", {"parallel": [["twice"], [], ["random"]], "combine": "joins"}]
    rig = Rig(tmp_path, pipeline)
    result = rig.task().estimate([0.3], seed=1)
    assert rig.counting.calls() == 1
    assert len(result.stages["joins"].seen) == 3
    assert result.stages["joins"].seen[:2] == pytest.approx([np.cos(0.3)] * 2, abs=1e-12)


def test_gradients_go_through_the_pipeline(tmp_path: Path) -> None:
    found = Rig(tmp_path, "plain").task().gradient([0.3])
    assert found.gradients.ravel().tolist() == pytest.approx([-np.sin(0.3)], abs=1e-9)


def test_many_sets_and_circuits_keep_their_order(tmp_path: Path) -> None:
    task = Rig(tmp_path, "plain").device.prepare([TURN, TURN.x(0)], [Z, Observable({"Y": 1.0})])
    found = task.estimate([[0.1], [0.2], [0.3]])
    angles = np.array([0.1, 0.2, 0.3])
    first = np.stack([np.cos(angles), -np.sin(angles)], axis=1)
    assert found.values == pytest.approx(np.concatenate([first, -first]), abs=1e-12)


def test_a_precision_is_reached_through_the_pipeline(tmp_path: Path) -> None:
    found = Rig(tmp_path, "plain").task().estimate([1.0], precision=0.02, seed=3)
    assert found.standard_errors.max() <= 0.02
    assert abs(found.value - np.cos(1.0)) < 0.1


def test_a_plan_that_only_weighs_gives_the_same_and_notes_when_somebody_looks(tmp_path: Path) -> None:
    found = Rig(tmp_path, ["weighs", {"stage": "weighs", "copies": 3}]).task().estimate([[0.1], [0.2]], shots=500, seed=4)
    other = Rig(tmp_path, ["plain", {"stage": "plain", "copies": 3}]).task().estimate([[0.1], [0.2]], shots=500, seed=4)
    assert found.values == pytest.approx(other.values, abs=1e-12)
    assert found.standard_errors == pytest.approx(other.standard_errors, abs=1e-12)
    assert found.stages["weighs"].seen == other.stages["plain"].seen


def test_a_plan_that_only_weighs_asks_once_even_where_it_fails(tmp_path: Path) -> None:
    rig = Rig(tmp_path, [{"stage": "weighs", "wrong": "nan"}])
    with pytest.raises(StageFailed, match="stage weighs in pipeline weighs, circuit 0: the value is not finite"):
        rig.task().estimate([0.0])
    assert rig.counting.calls() == 1


@pytest.mark.parametrize("policy", ["skip", "retry"])
def test_a_stage_whose_failure_may_pass_is_never_only_weighed(tmp_path: Path, policy: str) -> None:
    rig = Rig(tmp_path, [{"stage": "weighs", "wrong": "combine", "on_error": policy}])
    if policy == "skip":
        assert rig.task().estimate([0.5]).value == pytest.approx(np.cos(0.5), abs=1e-12)
    else:
        with pytest.raises(StageFailed, match="no way to combine"):
            rig.task().estimate([0.5])
    assert rig.counting.calls() == (1 if policy == "skip" else 3)


# ---- options of a call -----------------------------------------------------------------------------------------------


def test_options_of_a_call_hold_for_that_call(tmp_path: Path) -> None:
    task = Rig(tmp_path, "plain").task()
    assert len(task.estimate([0.0], stage_options={"plain": {"copies": 5}}).stages["plain"].seen) == 5
    assert len(task.estimate([0.0]).stages["plain"].seen) == 2


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"plan": {}}, UnknownName, "did you mean 'plain'"),
        ({"plain": {"copis": 1}}, UnknownName, "no option of stage plain called 'copis'; did you mean 'copies'"),
        ({"plain": {"copies": "many"}}, InvalidSetting, "stage plain: option copies: input should be a valid integer"),
        ({"plain": 3}, InvalidSetting, "must be a mapping"),
    ],
)
def test_wrong_options_of_a_call_are_refused(tmp_path: Path, options: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        Rig(tmp_path, "plain").task().estimate([0.0], stage_options=options)


def test_options_for_stages_are_refused_where_there_is_no_pipeline() -> None:
    with pytest.raises(InvalidTask, match="has no pipeline"):
        QuantumDevice(create(""), intake=read_circuit).estimate(Circuit(1), Z, stage_options={"zne": {}})


# ---- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("expand", "ZeroDivisionError: no way to expand"),
        ("combine", "ZeroDivisionError: no way to combine"),
        ("nan", "the value is not finite"),
    ],
)
def test_a_failing_stage_names_itself_the_chain_the_circuit_and_the_cause(tmp_path: Path, wrong: str, said: str) -> None:
    with pytest.raises(StageFailed, match=f"stage plain in pipeline twice > plain, circuit 0: {said}") as caught:
        Rig(tmp_path, ["twice", {"stage": "plain", "wrong": wrong}]).task().estimate([0.0])
    assert caught.value.stage == "plain"


@pytest.mark.parametrize("wrong", ["expand", "combine", "nan"])
def test_a_stage_that_may_be_skipped_leaves_the_value_without_it_and_its_error(
    tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = [{"stage": "plain", "wrong": wrong, "on_error": "skip"}, "twice"]
    result = Rig(tmp_path, pipeline).task().estimate([0.5])
    assert result.value == pytest.approx(np.cos(0.5), abs=1e-12)
    assert "stage plain" in result.stages["plain"].error
    assert "stage plain" in caplog.text


def test_a_round_is_asked_again_where_the_policy_is_retry(tmp_path: Path) -> None:
    rig = Rig(tmp_path, [{"stage": "plain", "wrong": "combine", "on_error": "retry"}])
    with pytest.raises(StageFailed, match="no way to combine"):
        rig.task().estimate([0.5])
    assert rig.counting.calls() == 3


@pytest.mark.parametrize(
    ("expansion", "said"),
    [
        (Expansion(()), "at least one is needed"),
        (None, "not an Expansion"),
        (Expansion((Circuit(1).rx(Parameter("phi"), 0),)), "parameters that nobody binds: phi"),
        (Expansion((TURN.measure(0),)), "what is measured is put behind it"),
        (Expansion((Circuit(3),)), "has 3 qubits, not 1, and no layout"),
    ],
)
def test_an_expansion_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expansion: Any, said: str
) -> None:
    monkeypatch.setattr(Plain, "expand", lambda *_: expansion)
    with pytest.raises(StageFailed, match=said):
        Rig(tmp_path, "plain").task()


def test_a_circuit_that_measures_in_its_middle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="comes after a measurement"):
        Rig(tmp_path, "plain").device.prepare(Circuit(1).measure(0).x(0))


def test_circuits_with_different_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTask, match="prepare them apart"):
        Rig(tmp_path, "plain").device.prepare([TURN, Circuit(1).rx(Parameter("phi"), 0)], Z)


# ---- calibration -----------------------------------------------------------------------------------------------------


def test_a_calibration_is_measured_once_and_kept_for_other_tasks_and_processes(tmp_path: Path) -> None:
    store = TextCache(tmp_path / "kept", limit_bytes=100_000)
    for calls in (2, 3):
        rig = Rig(tmp_path, "calibrated", store)
        assert rig.task().estimate([0.0]).stages["calibrated"].ones == 100
        assert rig.counting.calls() == calls


def test_a_kept_calibration_that_is_too_old_or_damaged_is_measured_anew(tmp_path: Path) -> None:
    class Kept(dict[str, str]):
        def read(self, key: str) -> str | None:
            return self.get(key)

        def keep(self, key: str, text: str) -> str:
            return self.setdefault(key, text)

    store = Kept()
    rig = Rig(tmp_path, "calibrated", store)  # type: ignore[arg-type]
    rig.task()
    (key,) = store
    for text in ('{"measured_at": 0, "found": {"ones": 1}}', "{", "[]", '{"measured_at": 1e99, "found": {"ones": 1}}'):
        store[key] = text
        before = rig.counting.calls()
        assert rig.task().estimate([0.0]).stages["calibrated"].ones == 100
        assert rig.counting.calls() == before + 2


# ---- limits of the device --------------------------------------------------------------------------------------------


def test_more_circuits_than_a_task_takes_go_in_several_and_change_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Rig(tmp_path / "whole", [{"stage": "plain", "copies": 5}])
    parted = Rig(tmp_path / "parted", [{"stage": "plain", "copies": 5}])
    spec = replace(parted.counting.spec(), max_circuits=2)
    monkeypatch.setattr(parted.counting, "spec", lambda: spec)
    angles = [[0.1], [0.2]]
    assert parted.task().estimate(angles).values.tolist() == whole.task().estimate(angles).values.tolist()
    assert (whole.counting.calls(), parted.counting.calls()) == (1, 3)
    sampled = parted.task().estimate(angles, shots=4000, seed=2)
    assert np.abs(sampled.values.ravel() - np.cos([0.1, 0.2])).max() < 6 * sampled.standard_errors.max()


def test_an_observable_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTask, match="acts on 2 qubits, circuit 0 has 1"):
        Rig(tmp_path, "plain").device.prepare(TURN, {"ZZ": 1.0})


# ---- qubits that move ------------------------------------------------------------------------------------------------


def test_observables_and_measured_bits_follow_qubits_that_a_stage_moves(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ["plain", "moves"])
    assert rig.task().estimate([0.4]).value == pytest.approx(np.cos(0.4), abs=1e-12)
    assert rig.task().circuits[0].num_qubits == 3


def test_a_stage_that_calibrates_qubits_refuses_one_nearer_the_device_that_moves_them(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="stage moves, nearer the device, moves them; write calibrated before moves"):
        Rig(tmp_path, ["moves", "calibrated"]).task()
    assert Rig(tmp_path, ["calibrated", "moves"]).task().estimate([0.0]).value == pytest.approx(1.0)
