"""`PickingTask`: circuits prepared with a pipeline that a stage picks, for each number of shots and kind of answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.contracts.stage import COUNTS, VALUES, Chooser, Wish
from qloom.errors import InvalidTask
from qloom.kit.precision import largest_variances, read_precision
from qloom.pipelines.batches import bare
from qloom.pipelines.opening import check_chain, check_choosers, opened
from qloom.pipelines.reading import StageCall, chain_to_json, read_pipeline, with_options
from qloom.programs.pipelined import Pipeline, PipelinedTask
from qloom.tasks import read_shots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import Lane
    from qloom.contracts.stage import Stage
    from qloom.pipelines.reading import Chain
    from qloom.programs.pipelined import Bench, Laid, StageOptions
    from qloom.results import Engine, Result
    from qloom.tasks import ParameterValues

PICKED = "qloom: which stages stand round the device"


def picks(chain: Chain, open_stage: Callable[[str], Stage]) -> bool:
    """Whether a pipeline holds a stage that picks others.

    Raises:
        InvalidSetting: it stands where it cannot.
    """
    return check_choosers(chain, open_stage) is not None


class _Picked(NamedTuple):
    """What was picked: the task that runs it, and what shots are divided by."""

    task: PipelinedTask
    parts: int


class PickingTask:
    """Circuits that were made ready with a pipeline in which a stage picks others. Its face is that of `PreparedTask`.

    What is picked is asked once for each number of shots and kind of answer, and is a step of the job's journal, once in each
    lane: a resumed job takes the same stages. The shots that are asked for are those of all circuits of the pipeline together,
    for each measurement setting, rounded up to whole shots of each circuit.

    >>> import qloom
    >>> task = qloom.device("sim", pipeline="auto").prepare(qloom.Circuit(1).x(0), {"Z": 1.0})
    >>> task.estimate().value, task.estimate().stages["auto"].message
    (-1.0, 'none: sim has no errors')
    """

    def __init__(self, bench: Bench, pipeline: Pipeline, circuits: Sequence[Circuit], observables: Sequence[Observable]) -> None:
        self._bench = bench
        self._pipeline = pipeline
        self._circuits = tuple(circuits)
        self._observables = tuple(observables)
        self._tasks: dict[str, PipelinedTask] = {}
        self._known: dict[tuple[int, str], tuple[Lane, _Picked]] = {}
        # As it would be without the stage: what cannot run at all is refused now.
        plain = tuple(step for step in pipeline.chain if not self._is_chooser(step))
        self._last = PipelinedTask(bench, pipeline._replace(chain=plain), circuits, observables)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters, in the order of an array's columns."""
        return self._last.parameters

    @property
    def engine(self) -> Engine:
        """What computes the answers."""
        return self._last.engine

    @property
    def digest(self) -> str:
        """Equal for equal circuits as they were expanded last, observables and device options, on every machine."""
        return self._last.digest

    def run(
        self,
        parameters: ParameterValues = None,
        shots: int = 1000,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Sample each circuit, as `PipelinedTask.run`; shots are for each given circuit and set.

        Raises:
            As `PipelinedTask.run`, and InvalidSetting: what the device states of its errors is not what it should be.
        """
        asked = read_shots(shots)
        picked = self._picked(COUNTS, asked, stage_options)
        return picked.task.run(parameters, self._each(asked, picked), seed=seed)

    def estimate(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        precision: float | None = None,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return expectation values with standard errors, as `PipelinedTask.estimate`; shots are for each given circuit.

        With a precision the stages are picked for the shots that it takes without any, where variances are largest.

        Raises:
            As `PipelinedTask.estimate`, and InvalidSetting: what the device states of its errors is not what it should be.
        """
        if precision is None:
            asked = None if shots is None else read_shots(shots)
            picked = self._picked(VALUES, asked, stage_options)
            return picked.task.estimate(parameters, None if asked is None else self._each(asked, picked), seed=seed)
        if shots is not None:
            raise InvalidTask(f"shots={shots} and precision={precision} were both given; only one of them can decide")
        variance = max(largest_variances(self._observables), default=0.0)
        likely = 1 + int(variance / read_precision(precision) ** 2)
        return self._picked(VALUES, likely, stage_options).task.estimate(parameters, precision=precision, seed=seed)

    def gradient(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return values and their derivatives, from values at shifted angles, as `PipelinedTask.gradient`.

        Raises:
            As `estimate`; Unsupported: the circuit has a parameter that cannot be differentiated.
        """
        asked = None if shots is None else read_shots(shots)
        picked = self._picked(VALUES, asked, stage_options)
        return picked.task.gradient(parameters, None if asked is None else self._each(asked, picked), seed=seed)

    def note(self) -> None:
        """Record what the stages did at the latest evaluation, where there is a journal and it is not recorded yet."""
        self._last.note()

    # ---- picking -------------------------------------------------------------------------------------------------

    def _picked(self, wanted: str, shots: int | None, changes: StageOptions) -> _Picked:
        if wanted == VALUES and not self._observables:
            raise InvalidTask("prepared without observables, so there is nothing to estimate; prepare(circuit, observables=...)")
        chain = self._pipeline.chain if changes is None else with_options(self._pipeline.chain, changes)
        lane = self._bench.lane()
        text = json.dumps([chain_to_json(chain), wanted, shots], sort_keys=True, separators=(",", ":"))
        key = (id(lane), text)
        if key not in self._known:
            digests = "|".join([*(one.digest for one in self._circuits), *(one.digest for one in self._observables)])
            found = lane.step(PICKED, f"{text}|{digests}".encode(), lambda: self._asked(chain, wanted, shots))
            # The lane is kept, so that its number stays its own.
            self._known[key] = (lane, _Picked(self._task(chain, found), int(found["circuits"])))
        picked = self._known[key][1]
        if picked.task is not self._last:
            self._last.note()
            self._last = picked.task
        return picked

    def _asked(self, chain: Chain, wanted: str, shots: int | None) -> dict[str, Any]:
        """Ask the stage; the answer is JSON."""
        call = next(step for step in chain if isinstance(step, StageCall) and self._is_chooser(step))
        stage, options = opened(call, self._pipeline.open_stage(call.stage))
        if not isinstance(stage, Chooser):
            raise TypeError(f"stage {call.stage} was one that picks, and is none now")
        found = [bare(circuit) for circuit in self._circuits]
        read = tuple(
            tuple(range(body.num_qubits)) if wanted == VALUES else tuple(qubit for _, qubit in bits) for body, bits in found
        )
        bodies = tuple(body for body, _ in found)
        wish = Wish(bodies, self._observables if wanted == VALUES else (), read, wanted, shots, self._bench.device.spec())
        return {"name": call.stage, **stage.choose(options, wish)._asdict()}

    def _task(self, chain: Chain, found: Mapping[str, Any]) -> PipelinedTask:
        """Return the task with what was picked in its place; made once for equal stages and reasons."""
        text = json.dumps([found, chain_to_json(chain)], sort_keys=True)
        if text not in self._tasks:
            inside = read_pipeline(found["pipeline"])
            check_chain(inside, self._pipeline.open_stage)
            parts = [inside if self._is_chooser(step) else (step,) for step in chain]
            whole = self._pipeline._replace(chain=tuple(step for part in parts for step in part))
            given = (self._circuits, self._observables)
            self._tasks[text] = _Remarked(self._bench, whole, given, (found["name"], dict(found["notes"])))
        return self._tasks[text]

    def _is_chooser(self, step: object) -> bool:
        return isinstance(step, StageCall) and isinstance(self._pipeline.open_stage(step.stage), Chooser)

    def _each(self, shots: int, picked: _Picked) -> int:
        """Return the shots of each expanded circuit."""
        return max(self._bench.device.spec().min_shots, -(-shots // picked.parts))

    def __repr__(self) -> str:
        stages = json.dumps(chain_to_json(self._pipeline.chain))
        return f"<PickingTask on {self._bench.device.name} through {stages}: {len(self.parameters)} parameters>"


class _Remarked(PipelinedTask):
    """A task whose notes begin with those of the stage that picked the others."""

    def __init__(
        self,
        bench: Bench,
        pipeline: Pipeline,
        given: tuple[Sequence[Circuit], Sequence[Observable]],
        remark: tuple[str, dict[str, Any]],
    ) -> None:
        self._remark = remark
        super().__init__(bench, pipeline, *given)

    def _laid(self, wanted: str, changes: StageOptions) -> Laid:
        laid = super()._laid(wanted, changes)
        laid.plan.remark(*self._remark)
        return laid
