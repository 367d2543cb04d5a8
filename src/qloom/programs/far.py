"""Devices behind a link: the program asks, a device server outside of its process answers (`programs/served.py`).

Each question goes through the program's lane as any, so that a replay needs no server. What the server computes it records in a
journal of its own, under the place of the question in the program's journal: a question that was cut off is asked again at the
same place, and found again.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, cast

from qloom.errors import (
    CorruptRecord,
    Divergence,
    InvalidCircuit,
    InvalidObservable,
    InvalidSetting,
    InvalidTask,
    MissingExtra,
    Misuse,
    QloomError,
    Rejected,
    StageFailed,
    StorageFailed,
    TimedOut,
    Unavailable,
    UnknownName,
    Unsupported,
    WrongState,
)
from qloom.kit.circuit_text import circuit_to_json
from qloom.kit.frames import Frames
from qloom.kit.precision import largest_variances, read_precision, to_precision
from qloom.programs.quantum import QuantumDevice
from qloom.results import Engine, Result
from qloom.specs import DeviceSpec
from qloom.tasks import LARGEST_SEED, Question, read_parameters, read_seed, read_shots

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import Lane, PlacedLane, Prepared, Recorder, TaskHandle
    from qloom.programs.pipelined import StageOptions
    from qloom.results.stages import Stages
    from qloom.tasks import FloatArray, ParameterValues

_KNOWN: dict[str, type[QloomError]] = {
    kind.__name__: kind
    for kind in (
        *(CorruptRecord, InvalidCircuit, InvalidObservable, InvalidSetting, InvalidTask, MissingExtra, Misuse, Rejected),
        *(StorageFailed, TimedOut, Unavailable, UnknownName, Unsupported, WrongState),
    )
}
"""Errors that a server may tell by name; any other is a `QloomError`."""
_SPENT = (
    "the link to the device server is out of step, since an earlier call was broken off in the middle; end the program and "
    "resume the job, which asks again what was not answered"
)
_GONE = "the device server of this job has ended; resume the job, which asks again what was not answered"


class Link:
    """The program's end of the link. One request at a time: calls of several threads wait for each other.

    Args:
        channel: the connected socket.
    """

    def __init__(self, channel: socket.socket) -> None:
        import qloom.programs.link_messages as messages  # loads msgspec

        channel.set_inheritable(False)
        self._messages = messages
        self._frames = Frames(channel)
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._number = 0
        self._broken = ""
        self._dropped: list[str] = []

    def ask(self, what: str, **fields: Any) -> Any:
        """Send a request and return its answer.

        Args:
            what: name of a request in `link_messages`.
            fields: its fields.

        Raises:
            Unavailable: the server is gone, or the link is out of step.
            QloomError: what the server says, as the error that it was there.
        """
        if os.getpid() != self._owner:
            raise WrongState(
                "this is a fork of the job's process, which has no link to the device server; ask devices from the parent"
            )
        with self._lock:
            if self._broken:
                raise Unavailable(self._broken)
            self._number += 1
            dropped, self._dropped = self._dropped, []
            request = getattr(self._messages, what)(number=self._number, dropped=dropped, **fields)
            content = self._messages.encode(request)
            if len(content) > self._messages.LARGEST_REQUEST:
                raise InvalidTask(
                    f"this request is {len(content)} bytes long, a device server takes {self._messages.LARGEST_REQUEST}; "
                    "send fewer circuits or parameter sets at a time"
                )
            reply = self._exchange(content)
        if reply.error is not None:
            raise _error(*reply.error)
        return reply.answer

    def drop(self, task: str) -> None:
        """Tell the server, with the next request, that a task is no longer held."""
        self._dropped.append(task)

    def _exchange(self, content: bytes) -> Any:
        self._broken = _SPENT  # until the whole reply is here
        try:
            self._frames.send(content)
            found = self._frames.receive()
        except (OSError, CorruptRecord) as error:
            self._broken = _GONE
            raise Unavailable(_GONE) from error
        if found is None:
            self._broken = _GONE
            raise Unavailable(_GONE)
        reply = self._messages.decode_reply(found)
        if reply.number not in (self._number, -1):
            raise Unavailable(self._broken)
        self._broken = ""
        return reply


def _error(kind: str, text: str, stage: str) -> QloomError:
    if kind == StageFailed.__name__:
        return StageFailed(text, stage=stage)
    if kind == Divergence.__name__:
        return Divergence(text, field="pipeline")
    return _KNOWN.get(kind, QloomError)(text)


class FarTask:
    """Circuits that were made ready on the far side of a link. Its face is that of `PreparedTask`."""

    def __init__(self, device: FarDevice, circuits: Sequence[Circuit], observables: Sequence[Observable]) -> None:
        self._device = device
        self._observables = tuple(observables)
        self._names = circuits[0].parameters
        made = device.link.ask(
            "Prepare",
            device=device.name,
            circuits=[circuit_to_json(circuit) for circuit in circuits],
            observables=[dict(one.terms) for one in observables],
        )
        self._task: str = made["task"]
        self._digest: str = made["digest"]
        self._engine = Engine(*made["engine"])
        device.engine = self._engine
        device.problems += [problem for problem in made["problems"] if problem not in device.problems]
        weakref.finalize(self, device.link.drop, self._task)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters, in the order of an array's columns."""
        return self._names

    @property
    def engine(self) -> Engine:
        """What computes the answers."""
        return self._engine

    @property
    def digest(self) -> str:
        """Equal for equal circuits, observables, device and pipeline; it says nothing of what sealed stages made of them."""
        return self._digest

    def run(
        self,
        parameters: ParameterValues = None,
        shots: int = 1000,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Sample each circuit for each parameter set; as `PipelinedTask.run`.

        Raises:
            StageFailed: a stage failed; of a sealed one only its own message is told.
            Unavailable: the device server is gone; resuming the job goes on where it was.
            InvalidTask, Unsupported, Divergence, Misuse: as for `PipelinedTask.run`.
        """
        return self._ask("sample", parameters, read_shots(shots), seed, stage_options)

    def estimate(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        precision: float | None = None,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return expectation values with standard errors, shape (circuits x sets, observables); as `PipelinedTask.estimate`.

        Raises:
            As `run`.
        """
        self._require_observables()
        if precision is None:
            return self._ask("estimate", parameters, None if shots is None else read_shots(shots), seed, stage_options)
        if shots is not None:
            raise InvalidTask(f"shots={shots} and precision={precision} were both given; only one of them can decide")
        first = None if seed is None else read_seed(seed)

        def measure(shots: int, look: int) -> Result:
            later = None if first is None else (first + (look << 16)) & LARGEST_SEED
            return self._ask("estimate", parameters, shots, later, stage_options)

        return to_precision(measure, read_precision(precision), largest_variances(self._observables))

    def gradient(
        self,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        stage_options: StageOptions = None,
    ) -> Result:
        """Return values and their derivatives; as `PipelinedTask.gradient`, in one question.

        Raises:
            As `run`.
        """
        self._require_observables()
        return self._ask("gradient", parameters, None if shots is None else read_shots(shots), seed, stage_options)

    def _ask(
        self, kind: str, parameters: ParameterValues, shots: int | None, seed: int | None, stage_options: StageOptions
    ) -> Result:
        array = self._read(parameters)
        content = array.astype("<f8", copy=False).tobytes()
        text = "" if stage_options is None else _text(stage_options)
        asked = Question(kind, self._digest, content, len(array), shots, None if seed is None else read_seed(seed), text)
        lane = self._device.placed_lane()

        def compute(seed: int) -> Result:
            answer = self._device.link.ask(
                "Ask",
                task=self._task,
                kind=kind,
                lane=lane.name,
                ordinal=lane.place[0],
                parameters=content,
                sets=len(array),
                shots=shots,
                seed=seed,
                stage_options=stage_options,
            )
            return Result.unpack(answer)

        result = lane.ask(asked, compute)
        self._device.engine, self._device.noted = result.engine, result.stages
        return result

    def _read(self, values: ParameterValues) -> FloatArray:
        array = read_parameters(self._names, values)
        if not len(array):
            raise InvalidTask("the parameters hold no set; give values of shape (parameters,) or (sets, parameters)")
        return array

    def _require_observables(self) -> None:
        if not self._observables:
            raise InvalidTask("prepared without observables, so there is nothing to estimate; prepare(circuit, observables=...)")

    def __repr__(self) -> str:
        return f"<FarTask on {self._device.name}, through a device server: {len(self._names)} parameters>"


def _text(stage_options: StageOptions) -> str:
    try:
        return json.dumps(stage_options, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidTask(f"stage_options are JSON values, since they are recorded and sent ({error})") from error


class FarDevice(QuantumDevice):
    """A device behind a link, as programs see it: its pipeline, and what that makes of circuits, are on the far side.

    Args:
        link: the program's end.
        name: the device's name.
        lanes, intake, recorder: as for `QuantumDevice`.
    """

    def __init__(
        self, link: Link, name: str, *, lanes: Callable[[], Lane], intake: Callable[[Any], Circuit], recorder: Recorder
    ) -> None:
        super().__init__(_Far(link, name), lanes=lanes, intake=intake)
        self.link = link
        self.noted: Stages | None = None
        self._lanes = lanes
        self._journal = recorder

    def placed_lane(self) -> PlacedLane:
        """Return the caller's lane.

        Raises:
            Misuse: it is no job's, so that the far side could not find a question again.
        """
        lane = self._lanes()
        if not hasattr(lane, "place"):  # isinstance would look at every member, for each question
            raise Misuse("a pipeline with a sealed stage works in jobs only; submit the program")
        return cast("PlacedLane", lane)

    def finish(self) -> None:
        """Record what the stages said of the latest answer."""
        if self.noted:
            self._journal.note_stages(self.noted)
            self.noted = None

    def _made(self, circuits: Circuit | list[Circuit], observables: Observable | list[Observable] | None) -> FarTask:
        given = circuits if isinstance(circuits, list) else [circuits]
        asked = observables if isinstance(observables, list) else [] if observables is None else [observables]
        if not given:
            raise InvalidTask("no circuits were given; give at least one")
        return FarTask(self, given, asked)


class _Far:
    """What a far device is asked without a question: its facts. Implements `qloom.contracts.Device` as far as a program needs."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name
        self._spec: DeviceSpec | None = None

    @property
    def name(self) -> str:
        return self._name

    def spec(self) -> DeviceSpec:
        if self._spec is None:
            self._spec = DeviceSpec.from_json(self._link.ask("Spec", device=self._name))
        return self._spec

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        given = list(circuits) if isinstance(circuits, list | tuple) else [circuits]
        documents = [circuit_to_json(circuit) for circuit in given]  # type: ignore[arg-type]
        return [str(one) for one in self._link.ask("Check", device=self._name, circuits=documents, shots=shots)]

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> Prepared:
        raise _not_here(self._name)

    def attach(self, task_id: str) -> TaskHandle:
        raise _not_here(self._name)

    def find(self, token: str) -> TaskHandle | None:
        raise _not_here(self._name)


def _not_here(name: str) -> Unsupported:
    return Unsupported(f"device {name} is behind a link; its tasks are the device server's, ask through `ctx.device`")
