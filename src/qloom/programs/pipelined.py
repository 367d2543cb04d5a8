"""`PipelinedTask`: circuits prepared with a pipeline of stages round the device."""

from __future__ import annotations

import json
import logging
import time
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from qloom.contracts.stage import COUNTS, VALUES
from qloom.errors import InvalidTask, StageFailed, Unsupported
from qloom.kit.precision import largest_variances, read_precision, to_precision
from qloom.pipelines.batches import bare, kept
from qloom.pipelines.distributions import result_table
from qloom.pipelines.opening import Opened, opened
from qloom.pipelines.plan import Asked, Evaluation, Plan, PlanNeeds
from qloom.pipelines.reading import chain_to_json, with_options
from qloom.programs.parts import in_parts
from qloom.programs.shifts import Shifts
from qloom.results import Result
from qloom.tasks import LARGEST_SEED, read_parameters, read_seed, read_shots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import Device, Lane, Recorder
    from qloom.contracts.stage import Answer, Calibration, Stage
    from qloom.pipelines.batches import Batch
    from qloom.pipelines.reading import Chain, StageCall
    from qloom.programs.parts import Asking
    from qloom.results import Engine
    from qloom.tasks import FloatArray, ParameterValues

    StageOptions = Mapping[str, Mapping[str, Any]] | None

log = logging.getLogger(__name__)

TRIES = 3
"""How often a round is asked whose stage fails, where its policy is `retry`."""
STILL_VALID = "qloom: is a kept calibration valid"


class TextStore(Protocol):
    """Keeps texts by key; `qloom.kit.text_cache.TextCache` is one."""

    def read(self, key: str) -> str | None:
        """Return the text of a key, or None."""
        ...

    def keep(self, key: str, text: str) -> str:
        """Keep a text, and return what stands there now."""
        ...


class Pipeline(NamedTuple):
    """A pipeline and what it needs.

    Attributes:
        chain: the stages.
        open_stage: name -> stage.
        calibrations: where what was calibrated is kept; None keeps nothing.
    """

    chain: Chain
    open_stage: Callable[[str], Stage]
    calibrations: TextStore | None = None


class Bench(NamedTuple):
    """What a pipelined task works with.

    Attributes:
        device: the device itself.
        lane: returns the lane of whoever calls.
        prepare: makes circuits ready on the device, without the pipeline.
        recorder: the journal, where there is one.
    """

    device: Device
    lane: Callable[[], Lane]
    prepare: Callable[[list[Circuit], list[Observable] | None], Asking]
    recorder: Recorder | None


class Laid(NamedTuple):
    """A plan and the text that stands for it in a question."""

    plan: Plan
    text: str


class PipelinedTask:
    """Circuits that were made ready with a pipeline round the device. Its face is that of `PreparedTask`.

    Circuits are expanded once for each structure; an evaluation sends all expanded circuits in one quantum task for each round.
    Shots are for each expanded circuit and measurement setting.

    >>> import qloom
    >>> device = qloom.device("sim", pipeline=["zne"])
    >>> task = device.prepare(qloom.Circuit(1).x(0), {"Z": 1.0})
    >>> round(task.estimate().value, 9), task.estimate().stages["zne"].scales
    (-1.0, [1.0, 3.0, 5.0])
    """

    def __init__(self, bench: Bench, pipeline: Pipeline, circuits: Sequence[Circuit], observables: Sequence[Observable]) -> None:
        self._bench = bench
        self._pipeline = pipeline
        self._circuits = tuple(circuits)
        self._observables = tuple(observables)
        self._names = _common_parameters(circuits)
        _check_fit(circuits, observables)
        self._key_lengths = tuple(circuit.key_length for circuit in circuits)
        self._bare = [bare(circuit) for circuit in circuits]
        self._plans: dict[tuple[str, str], Laid] = {}
        self._prepared: dict[Batch, Asking] = {}
        self._shifts: Shifts | None = None
        self._evaluations = 0
        self._unnoted: Callable[[], list[dict[str, Any]]] | None = None
        self._engine: Engine | None = None
        self._first = self._laid(VALUES if self._observables else COUNTS, None)
        self._task(self._first.plan.batch)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters, in the order of an array's columns."""
        return self._names

    @property
    def engine(self) -> Engine:
        """What computes the answers."""
        return self._task(self._first.plan.batch).engine

    @property
    def digest(self) -> str:
        """Equal for equal expanded circuits, observables and device options, on every machine."""
        return self._task(self._first.plan.batch).digest

    @property
    def circuits(self) -> list[Circuit]:
        """The circuits that an evaluation sends first, as they go to the device."""
        return list(self._first.plan.batch.circuits)

    @property
    def observables(self) -> list[Observable] | None:
        """What these circuits are asked for; None where samples are."""
        return self._first.plan.batch.observables

    def run(
        self,
        parameters: ParameterValues = None,
        shots: int = 1000,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Sample each circuit for each parameter set, through the pipeline.

        Args:
            parameters, seed: as for `PreparedTask.run`.
            shots: for each expanded circuit and set.
            stage_options: stage -> options for this call.

        Returns:
            A result whose `probabilities` are those that the pipeline made: where a stage inverts errors, quasi-probabilities,
            some of them below 0, and then without `counts`.

        Raises:
            Unsupported: a stage gives no counts.
            StageFailed: a stage failed; its name, the pipeline and the cause are in the message.
            InvalidTask, Divergence, Misuse: as for `PreparedTask.run`.
        """
        asked, first = read_shots(shots), None if seed is None else read_seed(seed)
        laid = self._laid(COUNTS, stage_options)
        array = self._read(parameters)
        answers = self._evaluate(laid, array, asked, first)
        tables = [answer.distributions[one][0] for answer in answers for one in range(len(array))]
        lengths, bits = self._key_lengths, [tuple(bit for bit, _ in read) for _, read in self._bare]
        found = result_table(tables, [(bits[item // len(array)], lengths[item // len(array)]) for item in range(len(tables))])
        # Stages drop shots and pool those of many circuits: where items differ, what was asked stands for all.
        totals = {round(table.shots) for table in tables}
        return self._result(laid.plan, totals.pop() if len(totals) == 1 else asked, len(array), **found)

    def estimate(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        precision: float | None = None,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return expectation values with standard errors, through the pipeline, shape (circuits x sets, observables).

        Args:
            parameters, shots, precision, seed: as for `PreparedTask.estimate`; shots are for each expanded circuit.
            stage_options: stage -> options for this call.

        Raises:
            StageFailed: a stage failed; its name, the pipeline and the cause are in the message.
            InvalidTask, Unsupported, Divergence, Misuse: as for `PreparedTask.estimate`.
        """
        self._require_observables()
        if precision is not None:
            return self._estimate_to(parameters, shots, precision, seed, stage_options)
        asked, first = None if shots is None else read_shots(shots), None if seed is None else read_seed(seed)
        laid = self._first if stage_options is None else self._laid(VALUES, stage_options)
        if laid.plan.weights is not None:
            return self._weighed(laid, laid.plan.weights, parameters, asked, first)
        array = self._read(parameters)
        answers = self._evaluate(laid, array, asked, first)
        values, errors = _stacked(answers)
        # Exact values have none, unless a stage tells how far its random circuits lie apart.
        told = errors if asked is not None or errors.any() else None
        return self._result(laid.plan, asked, len(array), values=values, standard_errors=told)

    def gradient(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return values and their derivatives, from values at shifted angles that all go through the pipeline.

        Args:
            parameters, shots, seed: as for `PreparedTask.gradient`.
            stage_options: stage -> options for this call.

        Raises:
            As `estimate`; Unsupported: the circuit has a parameter that cannot be differentiated.
        """
        self._require_observables()
        if self._shifts is None:
            self._shifts = Shifts(self._circuits, lambda circuit: self._with([circuit]))
        return self._shifts.gradient(self._read(parameters), shots, seed, stage_options)

    def note(self) -> None:
        """Record what the stages did at the latest evaluation, where there is a journal and it is not recorded yet."""
        late, recorder = self._unnoted, self._bench.recorder
        self._unnoted = None
        if late is not None and recorder is not None:
            recorder.note_stages(late())

    def _count(self, late: Callable[[], list[dict[str, Any]]]) -> None:
        """Count an evaluation; `late` gives what its stages noted."""
        self._unnoted = late
        self._evaluations += 1
        if not self._evaluations & (self._evaluations - 1):  # 1, 2, 4, ...: a long job notes little, and is never far behind
            self.note()

    # ---- one evaluation ------------------------------------------------------------------------------------------

    def _weighed(
        self, laid: Laid, weights: FloatArray, parameters: ParameterValues, shots: int | None, seed: int | None
    ) -> Result:
        """Evaluate a plan that only weighs."""
        import numpy as np

        plan = laid.plan
        asked = self._task(plan.batch).ask("estimate", parameters, shots, seed, laid.text)
        raw = asked.values
        shape = (-1, raw.shape[1])
        values: FloatArray = (weights @ raw.reshape(weights.shape[1], -1)).reshape(shape)
        late = partial(_late_notes, plan, asked)
        if not isfinite(values.sum()):
            late()  # goes through the stages one by one, so that the one that made it is named
            raise InvalidTask("the values of this circuit, or their weighted sum, are not finite; look at the device's values")
        errors = None
        if shots is not None:
            errors = np.sqrt(weights**2 @ asked.standard_errors.reshape(weights.shape[1], -1) ** 2).reshape(shape)
        self._count(late)
        return Result(
            engine=asked.engine,
            shots=shots,
            sets=asked.sets,
            key_lengths=self._key_lengths,
            values=values,
            standard_errors=errors,
            stages=late,
        )

    def _evaluate(self, laid: Laid, array: FloatArray, shots: int | None, seed: int | None) -> list[Answer]:
        for number in range(1, TRIES + 1):
            try:
                return self._ask(laid, array, shots, seed)
            except StageFailed as failure:
                if not failure.retryable or number == TRIES:
                    raise
                log.warning("%s; asked again, %d of %d", failure, number + 1, TRIES)
                seed = None if seed is None else (seed + (1 << 32)) & LARGEST_SEED
        raise AssertionError("unreachable")  # the last try returns or raises

    def _ask(self, laid: Laid, array: FloatArray, shots: int | None, seed: int | None) -> list[Answer]:
        plan = laid.plan
        evaluation = Evaluation(plan, self._send(plan, plan.batch, laid.text, array, shots, seed))
        sent = 1
        while evaluation.waiting:
            leaves = tuple(evaluation.waiting)
            later = None if seed is None else (seed + sent) & LARGEST_SEED
            evaluation.take(leaves, self._send(plan, plan.batch_of(leaves), laid.text, array, shots, later))
            sent += 1
        self._count(partial(_notes, plan))
        return evaluation.roots

    def _send(
        self, plan: Plan, batch: Batch, text: str, array: FloatArray, shots: int | None, seed: int | None
    ) -> Sequence[Answer]:
        if batch.samples and shots is None:
            raise InvalidTask("a stage of this pipeline works on counts, of which exact values have none; give shots=")
        task = self._task(batch)
        values = array if not batch.drawn else self._with_drawn(plan, batch, array, seed)
        # One set in one dimension takes the path that converts nothing.
        asked = values[0] if len(values) == 1 else values
        result = task.ask("sample" if batch.samples else "estimate", asked, shots, seed, text)
        self._engine = result.engine
        return batch.answers(result, values)

    def _with_drawn(self, plan: Plan, batch: Batch, array: FloatArray, seed: int | None) -> FloatArray:
        import numpy as np

        generator = np.random.Generator(np.random.PCG64(self._bench.lane().next_seed() if seed is None else seed))
        drawn = np.stack([plan.draw(batch, generator) for _ in range(len(array))])
        return np.concatenate([array, drawn], axis=1)

    def _estimate_to(
        self, parameters: ParameterValues, shots: int | None, precision: float, seed: int | None, stage_options: StageOptions
    ) -> Result:
        if shots is not None:
            raise InvalidTask(f"shots={shots} and precision={precision} were both given; only one of them can decide")
        first = None if seed is None else read_seed(seed)

        def measure(shots: int, look: int) -> Result:
            later = None if first is None else (first + (look << 16)) & LARGEST_SEED
            return self.estimate(parameters, shots, seed=later, stage_options=stage_options)

        return to_precision(measure, read_precision(precision), largest_variances(self._observables))

    def _result(self, plan: Plan, shots: int | None, sets: int, **answer: Any) -> Result:
        engine = self._engine or self.engine
        lengths = answer.pop("key_lengths", self._key_lengths)
        return Result(engine=engine, shots=shots, sets=sets, key_lengths=lengths, stages=_notes(plan), **answer)

    # ---- plans ---------------------------------------------------------------------------------------------------

    def _laid(self, wanted: str, changes: StageOptions) -> Laid:
        """Return the plan for what is asked; made once for equal options."""
        chain = self._pipeline.chain if changes is None else with_options(self._pipeline.chain, changes)
        text = json.dumps(chain_to_json(chain), sort_keys=True, separators=(",", ":"))
        if (wanted, text) not in self._plans:
            needs = PlanNeeds(self._bench.device.spec(), self._open, self._calibrate, self._names)
            self._plans[wanted, text] = Laid(Plan(chain, self._asked(wanted), needs), text)
        return self._plans[wanted, text]

    def _asked(self, wanted: str) -> list[Asked]:
        if wanted == VALUES:
            return [Asked(body, self._observables, tuple(range(body.num_qubits)), wanted) for body, _ in self._bare]
        return [Asked(body, (), tuple(qubit for _, qubit in read), wanted) for body, read in self._bare]

    def _open(self, call: StageCall) -> Opened:
        return opened(call, self._pipeline.open_stage(call.stage))

    def _prepare(self, circuits: list[Circuit], observables: list[Observable] | None) -> Asking:
        return in_parts(self._bench.prepare, circuits, observables, self._bench.device.spec().max_circuits)

    def _task(self, batch: Batch) -> Asking:
        task = self._prepared.get(batch)
        if task is None:
            try:
                task = self._prepare(batch.circuits, batch.observables)
            except Unsupported as error:
                raise Unsupported(
                    f"a pipeline sends its circuits as they are (verbatim), and {self._bench.device.name} cannot run them so: "
                    f"{error}; where gates or connections are missing, put the stage transpile at the end of the pipeline"
                ) from error
            self._prepared[batch] = task
        return task

    def _with(self, circuits: Sequence[Circuit]) -> PipelinedTask:
        return PipelinedTask(self._bench, self._pipeline, circuits, self._observables)

    # ---- calibration ---------------------------------------------------------------------------------------------

    def _calibrate(self, call: StageCall, wish: Calibration, stage: Stage) -> Mapping[str, Any]:
        """Return a kept calibration that is young enough, else measure one: in a job either is recorded, once."""
        from qloom.programs.calibrations import calibration_key, fresh

        spec, store = self._bench.device.spec(), self._pipeline.calibrations
        key = calibration_key(call.stage, spec, wish)
        known = self._bench.lane().step(
            STILL_VALID, key.encode(), lambda: None if store is None else fresh(store.read(key), wish.max_age_s)
        )
        if known is not None:
            return dict(known)
        task = self._prepare([kept(circuit) for circuit in wish.circuits], None)
        result = task.ask("sample", None, wish.shots, None, call.stage)
        found = stage.calibrated(wish.recipe, list(result))
        if store is not None:
            store.keep(key, json.dumps({"measured_at": time.time(), "found": found}))
        return found

    # ---- what was given ------------------------------------------------------------------------------------------

    def _require_observables(self) -> None:
        if not self._observables:
            raise InvalidTask("prepared without observables, so there is nothing to estimate; prepare(circuit, observables=...)")

    def _read(self, values: ParameterValues) -> FloatArray:
        array = read_parameters(self._names, values)
        if not len(array):
            raise InvalidTask("the parameters hold no set; give values of shape (parameters,) or (sets, parameters)")
        return array

    def __repr__(self) -> str:
        stages = json.dumps(chain_to_json(self._pipeline.chain))
        return f"<PipelinedTask on {self._bench.device.name} through {stages}: {len(self._names)} parameters>"


def _common_parameters(circuits: Sequence[Circuit]) -> tuple[str, ...]:
    names = circuits[0].parameters
    for number, circuit in enumerate(circuits):
        if circuit.parameters != names:
            raise InvalidTask(
                f"circuits of one task have the same parameters in the same order: circuit 0 has {list(names)}, "
                f"circuit {number} has {list(circuit.parameters)}; prepare them apart"
            )
    return names


def _check_fit(circuits: Sequence[Circuit], observables: Sequence[Observable]) -> None:
    for number, circuit in enumerate(circuits):
        for observable in observables:
            if observable.num_qubits != circuit.num_qubits:
                raise InvalidTask(
                    f"an observable acts on {observable.num_qubits} qubits, circuit {number} has {circuit.num_qubits}; "
                    "give observables on as many qubits as the circuits"
                )


def _stacked(answers: Sequence[Answer]) -> tuple[FloatArray, FloatArray]:
    import numpy as np

    values = [answer.values for answer in answers if answer.values is not None]
    errors = [answer.standard_errors for answer in answers if answer.standard_errors is not None]
    if len(values) == 1:
        return values[0], errors[0]
    return np.concatenate(values), np.concatenate(errors)


def _late_notes(plan: Plan, result: Result) -> list[dict[str, Any]]:
    """Return what the stages note of answers that were only weighed so far."""
    import numpy as np

    Evaluation(plan, plan.batch.answers(result, np.zeros((result.sets, 0))))
    return _notes(plan)


def _notes(plan: Plan) -> list[dict[str, Any]]:
    return [{"name": name, **places[0], "places": len(places), **_failed(places)} for name, places in plan.notes().items()]


def _failed(places: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the first error that a policy let pass, and in how many of the places there was one."""
    errors = [notes["error"] for notes in places if "error" in notes]
    return {"error": errors[0], "failed_places": len(errors)} if errors else {}
