"""The far side of a link: devices with a pipeline, for a program that must not see what its stages do (`programs/far.py`).

The server believes nothing that it is told: every field is checked, circuits and observables are built anew, and what a program
could ask for otherwise, it may ask for here. It keeps a journal of its own. A question is answered in a lane that is named after
its place in the program's journal, and a calibration in one that is named after what is calibrated, so that whatever was cut off
is found again at the next attempt, in whichever order that asks. What goes back is the answer: no expanded circuit, no raw
result, no traceback, and of a sealed stage no note.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import qloom.programs.link_messages as messages
from qloom.circuits import Observable
from qloom.errors import (
    CorruptRecord,
    Divergence,
    InvalidCircuit,
    InvalidObservable,
    InvalidSetting,
    InvalidTask,
    QloomError,
    StageFailed,
    Unavailable,
    UnknownName,
    Unsupported,
)
from qloom.kit.circuit_text import circuit_from_json
from qloom.kit.frames import Frames
from qloom.pipelines.reading import Branches, chain_to_json
from qloom.programs.calibrations import calibration_key
from qloom.programs.pipelined import Bench, PipelinedTask
from qloom.programs.quantum import QuantumDevice

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Mapping, Sequence

    from qloom.circuits import Circuit
    from qloom.contracts import Device, Lane, Recorder
    from qloom.contracts.stage import Calibration, Stage
    from qloom.pipelines.reading import Chain, StageCall
    from qloom.programs.pipelined import Pipeline
    from qloom.programs.quantum import PreparedTask
    from qloom.results import Result

log = logging.getLogger(__name__)

_TELLABLE = (InvalidTask, InvalidSetting, InvalidCircuit, InvalidObservable, UnknownName, Unsupported, Unavailable)
"""Errors about what the program asked, or about the device as such: nothing in their messages comes from expanded circuits."""


class ShortLanes(Protocol):
    """A journal whose lanes can be left."""

    def lane(self, name: str) -> Lane:
        """Return the lane of that name."""
        ...

    def leave(self, name: str) -> None:
        """Forget a lane in which nothing more is asked."""
        ...


class Offer(NamedTuple):
    """What a server offers.

    Attributes:
        devices: the names that may be asked for.
        open_device: name -> device.
        pipeline: round each of them.
        sealed: stages of which nothing is told.
        version: of what is sealed; part of every digest.
    """

    devices: Collection[str]
    open_device: Callable[[str], Device]
    pipeline: Pipeline
    sealed: frozenset[str]
    version: str = ""


class HiddenFailure(Unsupported):
    """What went wrong is in the server's log only."""


class DeviceServer:
    """Answers the requests of one program, one after the other, until the program closes the link.

    Args:
        channel: the connected socket.
        offer: what it offers.
        recorder: its journal.
        lanes: the same, as what has lanes.
    """

    def __init__(self, channel: socket.socket, offer: Offer, recorder: Recorder, lanes: ShortLanes) -> None:
        self._frames = Frames(channel, limit_bytes=messages.LARGEST_REQUEST)
        self._offer = offer
        self._recorder = recorder
        self._lanes = lanes
        self._lane: Lane | None = None
        self._devices: dict[str, _ServedDevice] = {}
        self._tasks: dict[str, _ServedTask] = {}
        self._held: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._inside = inside(offer.pipeline.chain, offer.sealed)

    def serve(self) -> None:
        """Answer until the link is closed; what cannot be a message at all ends it, after a word why."""
        try:
            while (content := self._frames.receive()) is not None:
                self._frames.send(self._reply(content))
        except CorruptRecord as error:
            log.warning("%s; the link is closed", error)
            self._say(messages.Reply(-1, error=(InvalidTask.__name__, f"{error}; the link is closed", "")))
        except OSError as error:
            log.warning("the program is gone: %s", error)
        for device in self._devices.values():
            device.finish()

    def _say(self, reply: messages.Reply) -> None:
        try:
            self._frames.send(messages.encode(reply))
        except OSError as error:
            log.warning("nobody hears it: %s", error)

    def _reply(self, content: bytes) -> bytes:
        number = -1
        try:
            request = _read(content)
            number = request.number
            for task in request.dropped:
                self._drop(task)
            return messages.encode(messages.Reply(number, self._answer(request)))
        except Exception as error:  # stages and devices are others' code: whatever they raise is told without its details
            log.warning("request %d failed", number, exc_info=True)
            return messages.encode(messages.Reply(number, error=self._told(error)))

    def _answer(self, request: messages.Request) -> Any:
        if isinstance(request, messages.Ask):
            return self._ask(request)
        if isinstance(request, messages.Prepare):
            return self._prepare(request)
        if isinstance(request, messages.Check):
            return self._device(request.device).check(_circuits(request.circuits), request.shots)
        if isinstance(request, messages.Spec):
            return self._device(request.device).spec().to_json()
        raise InvalidTask(f"a device server does not offer {type(request).__name__}")

    # ---- requests ------------------------------------------------------------------------------------------------

    def _device(self, name: str) -> _ServedDevice:
        if name not in self._offer.devices:
            raise UnknownName.among("device of this job", name, list(self._offer.devices))
        if name not in self._devices:
            self._devices[name] = _ServedDevice(self._offer.open_device(name), self._offer.pipeline, self._recorder, self)
        return self._devices[name]

    def _prepare(self, request: messages.Prepare) -> messages.Made:
        device = self._device(request.device)
        circuits = _circuits(request.circuits)
        observables = [Observable(terms) for terms in request.observables]
        # The same for equal requests: a program that prepares again gets the task that is there.
        digest = self._digest(request.device, circuits, observables)
        task = self._tasks.get(digest)
        if task is None:
            task = self._tasks[digest] = device.served(circuits, observables)
        self._held[digest] = self._held.get(digest, 0) + 1
        engine = task.engine._replace(reason="")
        return messages.Made(digest, digest, list(engine), device.problems)

    def _drop(self, task: str) -> None:
        left = self._held.pop(task, 0) - 1
        if left > 0:
            self._held[task] = left
        else:
            self._tasks.pop(task, None)

    def _digest(self, device: str, circuits: Sequence[Circuit], observables: Sequence[Observable]) -> str:
        chain = json.dumps(chain_to_json(self._offer.pipeline.chain), sort_keys=True)
        parts = [device, chain, self._offer.version, *(one.digest for one in circuits), *(one.digest for one in observables)]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()

    def _ask(self, request: messages.Ask) -> Any:
        task = self._tasks.get(request.task)
        if task is None:
            raise UnknownName(f"no prepared task called {request.task!r} on this link; prepare the circuits first")
        if request.ordinal <= self._asked.get(request.lane, -1):
            raise InvalidTask(f"lane {request.lane!r}: call {request.ordinal} was asked already, each place is asked once")
        array = _array(request, len(task.parameters))
        self._asked[request.lane] = request.ordinal
        name = f"{request.lane}#{request.ordinal}"
        self._lane = self._lanes.lane(name)
        try:
            result = self._evaluate(task, request, array)
        finally:
            self._lane = None
            self._lanes.leave(name)
        shown = [self._shown(notes) for notes in result.stages]
        return result.told_as(result.engine._replace(reason=""), shown).pack()

    @staticmethod
    def _evaluate(task: _ServedTask, request: messages.Ask, array: Any) -> Result:
        options, seed = request.stage_options, request.seed
        if request.kind == "sample":
            return task.run(array, request.shots or 0, seed=seed, stage_options=options)
        if request.kind == "estimate":
            return task.estimate(array, request.shots, seed=seed, stage_options=options)
        return task.gradient(array, request.shots, seed=seed, stage_options=options)

    # ---- lanes ---------------------------------------------------------------------------------------------------

    def current(self) -> Lane:
        """Return the lane of the question that is being answered, or of the calibration."""
        if self._lane is None:
            raise HiddenFailure("the device was asked outside of any question")
        return self._lane

    def calibrating(self, key: str, measure: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Measure in a lane that is named after what is measured."""
        before, self._lane = self._lane, self._lanes.lane(f"calibration/{key}")
        try:
            return measure()
        finally:
            self._lane = before

    # ---- what is told --------------------------------------------------------------------------------------------

    def _shown(self, notes: Mapping[str, Any]) -> dict[str, Any]:
        name = notes["name"]
        sealed = name in self._offer.sealed
        if not sealed and name not in self._inside:
            return dict(notes)
        shown = {"name": name, "sealed": True} if sealed else {"name": name, "withheld": True}
        return shown | ({"error": self._stage_failed(name, str(notes["error"]))} if "error" in notes else {})

    def _stage_failed(self, name: str, text: str) -> str:
        if name in self._offer.sealed:
            return f"sealed stage {name} failed: {_cause(text)}"
        if name in self._inside:
            return f"stage {name} failed on what a sealed stage made; the host's log says why"
        return text

    def _told(self, error: Exception) -> tuple[str, str, str]:
        if isinstance(error, StageFailed):
            return StageFailed.__name__, self._stage_failed(error.stage, str(error)), error.stage
        if isinstance(error, Divergence):
            return Divergence.__name__, "this call asks something else than it did before; the host's log says what differs", ""
        if isinstance(error, HiddenFailure):
            return Unsupported.__name__, str(error), ""
        if isinstance(error, _TELLABLE):
            return type(error).__name__, str(error), ""
        kind = type(error).__name__ if isinstance(error, QloomError) else QloomError.__name__
        names = ", ".join(sorted(self._offer.sealed))
        return kind, f"the pipeline with the sealed stage {names} failed ({type(error).__name__}); the host's log says why", ""


class _ServedDevice(QuantumDevice):
    """A device whose tasks are the server's."""

    def __init__(self, device: Device, pipeline: Pipeline, recorder: Recorder, server: DeviceServer) -> None:
        super().__init__(device, lanes=server.current, intake=lambda circuit: circuit, recorder=recorder, pipeline=pipeline)
        self._server = server
        self._stages = pipeline

    def served(self, circuits: Sequence[Circuit], observables: Sequence[Observable]) -> _ServedTask:
        bench = Bench(self._device, self._server.current, self._behind, self._recorder)
        task = _ServedTask(bench, self._stages, circuits, observables, self._server)
        self._last = task
        return task

    def finish(self) -> None:
        if (task := getattr(self, "_last", None)) is not None:
            task.note()

    def _behind(self, circuits: list[Circuit], observables: list[Observable] | None) -> PreparedTask:
        try:
            return self._prepare(circuits, observables)
        except QloomError as error:
            log.warning("the device does not take the expanded circuits: %s", error)
            raise HiddenFailure("it does not take what the stages made of the circuit, for reasons in the host's log") from error


class _ServedTask(PipelinedTask):
    """A task with a pipeline that measures each calibration in a lane of its own."""

    def __init__(
        self,
        bench: Bench,
        pipeline: Pipeline,
        circuits: Sequence[Circuit],
        observables: Sequence[Observable],
        server: DeviceServer,
    ) -> None:
        self._server = server
        super().__init__(bench, pipeline, circuits, observables)

    def _calibrate(self, call: StageCall, wish: Calibration, stage: Stage) -> Mapping[str, Any]:
        key = calibration_key(call.stage, self._bench.device.spec(), wish)
        return self._server.calibrating(key, lambda: super(_ServedTask, self)._calibrate(call, wish, stage))

    def _with(self, circuits: Sequence[Circuit]) -> PipelinedTask:
        return _ServedTask(self._bench, self._pipeline, circuits, self._observables, self._server)


def inside(chain: Chain, sealed: Collection[str]) -> frozenset[str]:
    """Return the stages that work on what a sealed stage made: those nearer the device. What they note tells of it.

    >>> from qloom.pipelines import read_pipeline
    >>> sorted(inside(read_pipeline(["ddd", {"parallel": [["readout", "secret"], ["zne"]]}, "symmetry"]), {"secret"}))
    ['ddd', 'readout']
    """
    found: set[str] = set()

    def walk(steps: Chain, *, covered: bool) -> bool:
        """Return whether any of these steps is sealed; `covered`: one further out is."""
        for step in reversed(steps):
            if isinstance(step, Branches):
                if covered:
                    found.add(step.combine.stage)
                covered = covered or step.combine.stage in sealed
                within = [walk(branch, covered=covered) for branch in step.parallel]
                covered = covered or any(within)
            else:
                if covered:
                    found.add(step.stage)
                covered = covered or step.stage in sealed
        return covered

    walk(chain, covered=False)
    return frozenset(found - set(sealed))


# ---- reading what a program sent -------------------------------------------------------------------------------------


def _read(content: bytes) -> messages.Request:
    try:
        request: messages.Request = messages.decode_request(content)
    except (*messages.WRONG_FORM, RecursionError) as error:
        raise InvalidTask(f"a device server cannot read this request: {error}") from error
    return request


def _circuits(documents: Sequence[Any]) -> list[Circuit]:
    found = []
    for number, document in enumerate(documents):
        sizes = [document.get(name) for name in ("qubits", "clbits")] if isinstance(document, dict) else []
        if any(type(size) is int and size > messages.MOST_QUBITS for size in sizes):
            raise InvalidTask(f"circuit {number} has more than {messages.MOST_QUBITS} qubits or classical bits")
        try:
            found.append(circuit_from_json(document))
        except CorruptRecord as error:
            raise InvalidCircuit(f"circuit {number}: {error}") from error
    if not found:
        raise InvalidTask("no circuits were given; give at least one")
    return found


def _array(request: messages.Ask, columns: int) -> Any:
    import numpy as np

    if len(request.parameters) != request.sets * columns * 8:
        shape = f"{request.sets} sets of {columns} parameters"
        raise InvalidTask(f"{len(request.parameters)} bytes are no {shape}, which are {request.sets * columns * 8}")
    return np.frombuffer(request.parameters, "<f8").astype(np.float64).reshape(request.sets, columns)


def _cause(text: str) -> str:
    """Return what a stage said itself, of an error of the plan's."""
    return text.partition(", circuit ")[2].partition(": ")[2] or text
