"""Devices as programs see them: circuits of any front end go in, and every call goes through the caller's lane."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.contracts import FromCompiler
from qloom.errors import InvalidObservable, InvalidTask
from qloom.kit.precision import largest_variances, read_precision, to_precision
from qloom.programs.direct import DirectLane
from qloom.programs.picking import PickingTask, picks
from qloom.programs.pipelined import Bench, PipelinedTask
from qloom.programs.shifts import Shifts
from qloom.tasks import LARGEST_SEED, Question, compiled_otherwise, read_parameters, read_seed, read_shots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import Device, Lane, Prepared, Recorder
    from qloom.programs.pipelined import Pipeline, StageOptions
    from qloom.programs.task import Task
    from qloom.results import Engine, Result
    from qloom.specs import DeviceSpec
    from qloom.tasks import Compiled, FloatArray, ParameterValues

    ObservableLike = Observable | Mapping[str, float]
    Observables = ObservableLike | Sequence[ObservableLike] | None

log = logging.getLogger(__name__)

RECENT = 16
"""How many circuits given to `run` and its like stay prepared."""

_new_question = tuple.__new__  # a Question in half the time of its own constructor


class Given(NamedTuple):
    """What a task was prepared from.

    Attributes:
        circuits, observables: as they were given.
        gradients: whether the device works out gradients itself.
        prepare: makes another circuit ready, with the same observables.
    """

    circuits: tuple[Circuit, ...]
    observables: tuple[Observable, ...]
    gradients: bool
    prepare: Callable[[Circuit], PreparedTask]


class PreparedTask:
    """Circuits that were made ready on a device: only numbers travel from now on. Every call goes through the caller's lane.

    Made by `QuantumDevice.prepare`. The fast path is a float64 array of shape (parameters,).

    >>> import qloom
    >>> from qloom.circuits import Parameter
    >>> task = qloom.device("sim").prepare(qloom.Circuit(1).ry(Parameter("theta"), 0), {"Z": 1.0})
    >>> task.parameters, round(task.estimate([0.5]).value, 6)
    (('theta',), 0.877583)
    """

    __slots__ = (
        "_array_type",
        "_bills",
        "_device",
        "_digest",
        "_float64",
        "_given",
        "_lane",
        "_names",
        "_prepared",
        "_shape",
        "_shifts",
    )

    def __init__(self, prepared: Prepared, device: Device, lane: Callable[[], Lane], given: Given, *, bills: bool) -> None:
        import numpy as np

        self._given = given
        self._shifts: Shifts | None = None
        self._prepared = prepared
        self._device = device
        self._lane = lane
        self._bills = bills
        self._digest = prepared.digest
        self._names = prepared.parameters
        self._shape = (len(self._names),)
        # Questions hold little-endian numbers; elsewhere everything takes the path that converts.
        self._array_type = np.ndarray if sys.byteorder == "little" else ()
        self._float64 = np.dtype(np.float64)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters, in the order of an array's columns."""
        return self._names

    @property
    def engine(self) -> Engine:
        """What computes the answers."""
        return self._prepared.engine

    @property
    def digest(self) -> str:
        """Equal for equal circuits, observables and device options, on every machine."""
        return self._digest

    def run(
        self,
        parameters: ParameterValues = None,
        shots: int = 1000,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Sample each circuit for each parameter set.

        Args:
            parameters: None for circuits without parameters; a mapping name -> number or array; or an array of shape
                (parameters,) or (sets, parameters), columns in the order of `parameters`.
            shots: for each circuit and set.
            seed: decides every sample, from 0 to 2**64 - 1; the job's seed, the lane and the call's place in it when None.
            stage_options: for a device with a pipeline; refused here.

        Raises:
            InvalidTask: shots below 1, parameters missing, surplus, NaN.
            Divergence: a resumed job asks something else than it did before.
            Misuse: the calling thread or asyncio task has no lane.
        """
        if stage_options is not None:
            raise _no_pipeline(stage_options)
        if type(shots) is not int or shots < 1:
            shots = read_shots(shots)
        if seed is not None and (type(seed) is not int or not 0 <= seed <= LARGEST_SEED):
            seed = read_seed(seed)
        array, content, sets = self._read(parameters)
        question = _new_question(Question, ("sample", self._digest, content, sets, shots, seed, ""))
        if self._bills:
            return self._lane().ask_billed(question, self._device, self._prepared)
        sample = self._prepared.run

        def compute(seed: int) -> Result:
            return sample(array, shots, seed=seed)

        return self._lane().ask(question, compute)

    def estimate(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        precision: float | None = None,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return expectation values with standard errors, shape (circuits x sets, observables).

        Args:
            parameters, seed, stage_options: as for `run`.
            shots: None for exact values, where the device has them; else shots for each measurement group.
            precision: the largest standard error wanted, instead of shots: as many are taken as that needs, in a few quantum
                tasks. The interval of 1.96 standard errors holds the true value at least 93 times in 100.

        Raises:
            InvalidTask: prepared without observables; shots and a precision; and as for `run`.
            Unsupported: exact values asked of a device that has none; a precision that needs more shots than make sense.
            Divergence, Misuse: as for `run`.
        """
        if stage_options is not None:
            raise _no_pipeline(stage_options)
        if precision is not None:
            return self._estimate_to(parameters, shots, precision, seed)
        if shots is not None and (type(shots) is not int or shots < 1):
            shots = read_shots(shots)
        if seed is not None:
            seed = read_seed(seed)
        array, content, sets = self._read(parameters)
        question = _new_question(Question, ("estimate", self._digest, content, sets, shots, seed, ""))
        if self._bills:
            return self._lane().ask_billed(question, self._device, self._prepared)
        estimate = self._prepared.estimate

        def compute(seed: int) -> Result:
            return estimate(array, shots, seed=seed)

        return self._lane().ask(question, compute)

    def _estimate_to(self, parameters: ParameterValues, shots: int | None, precision: float, seed: int | None) -> Result:
        """Ask for values again and again, each time a question of its own in the journal, until they are precise enough."""
        if shots is not None:
            raise InvalidTask(f"shots={shots} and precision={precision} were both given; only one of them can decide")
        if not self._given.observables:
            raise InvalidTask("prepared without observables, so there is nothing to estimate; prepare(circuit, observables=...)")
        first = None if seed is None else read_seed(seed)

        def measure(shots: int, look: int) -> Result:
            return self.estimate(parameters, shots, seed=None if first is None else (first + look) & LARGEST_SEED)

        return to_precision(measure, read_precision(precision), largest_variances(self._given.observables))

    def gradient(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return values and their derivatives, shape (circuits x sets, observables, parameters).

        A device with gradients of its own works them out (adjoint differentiation); on any other, and with shots, they come
        from values at shifted angles, in one quantum task for each circuit and set.

        Args:
            parameters, seed, stage_options: as for `run`.
            shots: None for exact derivatives; else shots for each value that goes in. Standard errors of the derivatives are
                then in the result's `metadata["gradient_standard_errors"]`, in the same shape.

        Raises:
            InvalidTask: as for `estimate`.
            Unsupported: the circuit has a parameter that cannot be differentiated; or no exact values on this device.
            Divergence, Misuse: as for `run`.
        """
        if stage_options is not None:
            raise _no_pipeline(stage_options)
        if shots is not None or not self._given.gradients:
            return self._gradient_by_shifts(parameters, shots, seed)
        array, content, sets = self._read(parameters)
        question = _new_question(Question, ("gradient", self._digest, content, sets, None, None, ""))
        if self._bills:
            return self._lane().ask_billed(question, self._device, self._prepared)
        gradient = self._prepared.gradient

        def compute(_: int) -> Result:
            return gradient(array)

        return self._lane().ask(question, compute)

    def _gradient_by_shifts(self, parameters: ParameterValues, shots: int | None, seed: int | None) -> Result:
        if not self._given.observables:
            raise InvalidTask("prepared without observables, so there is nothing to estimate; prepare(circuit, observables=...)")
        if self._shifts is None:
            self._shifts = Shifts(self._given.circuits, self._given.prepare)
        return self._shifts.gradient(self._read(parameters)[0].reshape(-1, len(self._names)), shots, seed)

    def ask(self, kind: str, parameters: ParameterValues, shots: int | None, seed: int | None, options: str) -> Result:
        """Ask a question with pipeline options in it: what a pipeline round this task does.

        Args:
            kind: `sample` or `estimate`.
            parameters, shots, seed: as `run` and `estimate` take them, checked.
            options: JSON text that is part of the question.
        """
        array, content, sets = self._read(parameters)
        question = _new_question(Question, (kind, self._digest, content, sets, shots, seed, options))
        if self._bills:
            return self._lane().ask_billed(question, self._device, self._prepared)
        prepared = self._prepared

        def compute(seed: int) -> Result:
            if kind == "sample":
                return prepared.run(array, shots or 0, seed=seed)
            return prepared.estimate(array, shots, seed=seed)

        return self._lane().ask(question, compute)

    def _read(self, values: ParameterValues) -> tuple[FloatArray, bytes, int]:
        """Return the numbers as an array, as little-endian bytes, and how many sets they are."""
        if (
            type(values) is self._array_type
            and values.shape == self._shape
            and values.dtype is self._float64
            # Whether they are finite a free device tells, as its contract says; a task that costs money is looked at here,
            # before its intent is recorded: in one pass, and beyond 1e154, where that is not finite, by the path below.
            and (not self._bills or isfinite(values.dot(values)))
        ):
            return values, values.tobytes(), 1
        array = read_parameters(self._names, values)
        if not len(array):
            raise InvalidTask("the parameters hold no set; give values of shape (parameters,) or (sets, parameters)")
        return array, array.astype("<f8", copy=False).tobytes(), len(array)

    def __repr__(self) -> str:
        return f"<PreparedTask on {self._device.name}: {len(self._names)} parameters, engine={self.engine.name}>"


class QuantumDevice:
    """A device as programs see it. `ctx.device` is one, and so is what `qloom.device(name)` returns.

    Args:
        device: the device itself.
        lanes: returns the lane of whoever calls; without it a lane that only draws seeds.
        intake: turns what a program brings (QASM text, other libraries' circuits) into a `Circuit`.
        recorder: records the engine of each prepared structure, where there is a journal.
        pipeline: the stages round the device; None for none.

    Attributes:
        engine: what computed last; None before the first `prepare`.
        problems: what a resumed job should say of this device.

    >>> import qloom
    >>> qloom.device("sim").run(qloom.Circuit(2).x(1), shots=10).counts
    {'01': 10}
    """

    def __init__(
        self,
        device: Device,
        *,
        lanes: Callable[[], Lane] | None = None,
        intake: Callable[[Any], Circuit],
        recorder: Recorder | None = None,
        pipeline: Pipeline | None = None,
    ) -> None:
        self._device = device
        self._pipeline = pipeline
        self._pipelined: list[PipelinedTask | PickingTask] = []
        self._lane = lanes or _always(DirectLane())
        self._intake = intake
        self._recorder = recorder
        self._bills: bool | None = None
        self._gradients = False
        self._recent: dict[tuple[str, ...], Task] = {}
        self._guard = threading.Lock()
        self.engine: Engine | None = None
        self.problems: list[str] = []

    @property
    def name(self) -> str:
        """The name it was asked for by."""
        return self._device.name

    def spec(self) -> DeviceSpec:
        """Return what the device can do."""
        return self._device.spec()

    def check(self, circuits: Any, shots: int | None = None) -> list[str]:
        """Return every reason why these circuits cannot run here; empty where they can. Submits nothing."""
        return self._device.check(self._read_circuits(circuits), None if shots is None else read_shots(shots))

    def prepare(self, circuits: Any, observables: Observables = None) -> Task:
        """Make circuits ready to run many times.

        Args:
            circuits: one or a list, of anything that is a circuit: qloom's, QASM text or file, other libraries'.
            observables: what `estimate` and `gradient` ask for: an `Observable`, a dict such as `{"ZZ": 1.0}`, or a list.

        Raises:
            InvalidCircuit: no circuit.
            InvalidObservable: no observable.
            Unsupported: the device cannot run it; every reason is in the message.
            InvalidTask: no circuits, different parameters, observables on another number of qubits.
        """
        return self._made(self._read_circuits(circuits), read_observables(observables))

    def run(
        self,
        circuit: Any,
        shots: int = 1000,
        seed: int | None = None,
        parameters: ParameterValues = None,
        *,
        stage_options: StageOptions = None,
    ) -> Result:
        """Sample a circuit: `prepare` and `run` in one; the last circuits used so stay prepared.

        Raises:
            As `prepare` and `PreparedTask.run`.
        """
        return self._remembered(circuit, None).run(parameters, shots, seed=seed, stage_options=stage_options)

    def estimate(
        self,
        circuit: Any,
        observables: Observables,
        parameters: ParameterValues = None,
        shots: int | None = None,
        seed: int | None = None,
        precision: float | None = None,
        *,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return expectation values with standard errors: `prepare` and `estimate` in one.

        Raises:
            As `prepare` and `PreparedTask.estimate`.
        """
        task = self._remembered(circuit, observables)
        return task.estimate(parameters, shots, precision=precision, seed=seed, stage_options=stage_options)

    def gradient(
        self,
        circuit: Any,
        observables: Observables,
        parameters: ParameterValues = None,
        shots: int | None = None,
        seed: int | None = None,
        *,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return values and their derivatives: `prepare` and `gradient` in one.

        Raises:
            As `prepare` and `PreparedTask.gradient`.
        """
        return self._remembered(circuit, observables).gradient(parameters, shots, seed=seed, stage_options=stage_options)

    def finish(self) -> None:
        """Record what stages did last, where there is a journal: called when the program ends."""
        for task in self._pipelined:
            task.note()

    def _made(self, circuits: Circuit | list[Circuit], observables: Observable | list[Observable] | None) -> Task:
        if self._pipeline is None or not self._pipeline.chain:
            return self._prepare(circuits, observables)
        given = circuits if isinstance(circuits, list) else [circuits]
        asked = observables if isinstance(observables, list) else [] if observables is None else [observables]
        bench = Bench(self._device, self._lane, self._prepare, self._recorder)
        kind = PickingTask if picks(self._pipeline.chain, self._pipeline.open_stage) else PipelinedTask
        task = kind(bench, self._pipeline, given, asked)
        self._pipelined.append(task)
        return task

    def _prepare(self, circuits: Circuit | list[Circuit], observables: Observable | list[Observable] | None) -> PreparedTask:
        if self._bills is None:
            spec = self._device.spec()
            self._bills, self._gradients = spec.bills, spec.gradients
        prepared = self._device.prepare(circuits, observables)
        if self._recorder is not None:
            before = self._recorder.engine_used(prepared.digest, prepared.engine)
            if before is not None:
                prepared = self._device.prepare(circuits, observables, engine=before)
                self._note_engine(before, prepared.engine)
            if isinstance(prepared, FromCompiler) and prepared.compiled is not None:
                self._note_compiled(prepared.digest, prepared.compiled)
        self.engine = prepared.engine
        given = Given(
            circuits=tuple(circuits) if isinstance(circuits, list) else (circuits,),
            observables=tuple(observables) if isinstance(observables, list) else (observables,) if observables else (),
            gradients=self._gradients,
            prepare=lambda circuit: self._prepare(circuit, observables),
        )
        return PreparedTask(prepared, self._device, self._lane, given, bills=self._bills)

    def _note_compiled(self, digest: str, compiled: Compiled) -> None:
        before = self._recorder.compiled_as(digest, compiled) if self._recorder else None
        if before is None:
            return
        problem = (
            f"device {self.name}: {compiled_otherwise(before, compiled)}; what is recorded was answered by the other circuit, so "
            "a replay stops at the first call of it"
        )
        if problem not in self.problems:
            self.problems.append(problem)
            log.warning(problem)

    def _note_engine(self, before: Engine, engine: Engine) -> None:
        if before[:3] == engine[:3]:
            return
        problem = (
            f"device {self.name}: this job began on {before.name} {before.version} with {before.threads} threads and "
            f"goes on with {engine.name} {engine.version} and {engine.threads}; exact values agree to 1e-10, "
            "samples drawn from now on may differ"
        )
        if problem not in self.problems:
            self.problems.append(problem)
            log.warning(problem)

    def _remembered(self, circuit: Any, observables: Observables) -> Task:
        circuits, asked = self._read_circuits(circuit), read_observables(observables)
        parts = [*(circuits if isinstance(circuits, list) else [circuits]), *(asked if isinstance(asked, list) else [asked])]
        key = tuple("" if part is None else part.digest for part in parts)
        with self._guard:
            task = self._recent.pop(key, None)
        if task is None:
            task = self._made(circuits, asked)
        with self._guard:
            self._recent[key] = task  # at the end: the one used longest ago comes first
            if len(self._recent) > RECENT:
                del self._recent[next(iter(self._recent))]
        return task

    def _read_circuits(self, circuits: Any) -> Circuit | list[Circuit]:
        if type(circuits) in (list, tuple):
            return [self._intake(circuit) for circuit in circuits]
        return self._intake(circuits)

    def __repr__(self) -> str:
        return f"<QuantumDevice {self.name}>"


def read_observables(observables: Observables) -> Observable | list[Observable] | None:
    """Return observables as `Device.prepare` takes them.

    Raises:
        InvalidObservable: neither an `Observable`, a dict of Pauli strings, nor a list of them.

    >>> from qloom.circuits import Observable
    >>> read_observables([{"ZZ": 1.0}, Observable({"XX": 0.5})])
    [Observable({'ZZ': 1.0}), Observable({'XX': 0.5})]
    """
    if observables is None:
        return None
    if isinstance(observables, list | tuple):
        if not observables:
            raise InvalidObservable("the list of observables is empty; leave it out to sample only")
        return [_observable(item) for item in observables]
    return _observable(observables)


def _observable(value: object) -> Observable:
    from qloom.circuits import Observable

    if isinstance(value, Observable):
        return value
    if isinstance(value, Mapping):
        return Observable(value)
    shown = repr(value)[:60]
    raise InvalidObservable(f"{shown} is no observable; give a qloom.Observable or a dict such as {{'ZZ': 1.0}}")


def _no_pipeline(options: object) -> InvalidTask:
    return InvalidTask(
        f"stage_options={options!r} was given, but this device has no pipeline; give one, such as pipeline=['zne']"
    )


def _always(lane: Lane) -> Callable[[], Lane]:
    return lambda: lane


__all__ = ["DirectLane", "PreparedTask", "QuantumDevice", "read_observables", "read_seed"]
