"""Lanes without a journal, for plain calls: seeds as a job has them, everything else computed and forgotten."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import Misuse
from qloom.kit.values import dumps, loads

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Mapping, Sequence

    from qloom.contracts import Device, Prepared
    from qloom.results import Engine, Result
    from qloom.tasks import Compiled, Question


class Metric(NamedTuple):
    """One metric that a program logged: its name, value, step (None where it has none), and seconds since 1970, UTC."""

    name: str
    value: float
    step: int | None
    timestamp: float


class DirectLane:
    """One lane of a plain call; implements `qloom.contracts.Lane`.

    Args:
        seed: the job's seed; None draws a fresh seed for every question.
        name: the lane's name.
        metrics: where metrics are collected; nowhere when None.

    Seeds are those of a job with the same seed: from (seed, lane, ordinal), where `ask`, `step` and `now` each count one.
    A lane without a seed may be shared by threads.

    >>> from qloom.tasks import Question
    >>> DirectLane(1).ask(question=Question("sample", "", b"", 1, 1, 7), compute=lambda seed: seed)
    7
    """

    def __init__(self, seed: int | None = None, name: str = "main", metrics: list[Metric] | None = None) -> None:
        self.executed = 0
        self._seed = seed
        self._name = name
        self._metrics = metrics
        self._ordinals = count()
        self._calls = 0  # as far as they got, for a look ahead
        self._in_step = False
        self._seed_start: hashlib.blake2b | None = None

    @property
    def name(self) -> str:
        return self._name

    def ask(self, question: Question, compute: Callable[[int], Result]) -> Result:
        seed = self._next_seed(question.seed)
        result = compute(seed)
        self.executed += 1
        return result

    def ask_billed(self, question: Question, device: Device, prepared: Prepared) -> Result:
        import numpy as np

        seed = self._next_seed(question.seed)
        values = np.frombuffer(question.parameters, dtype="<f8").reshape(question.sets, len(prepared.parameters))
        handle = prepared.submit(question.kind, values, question.shots, seed=seed)
        result = handle.result()
        self.executed += 1
        return result

    def next_seed(self) -> int:
        if self._seed is None:
            return int.from_bytes(os.urandom(8), "big")
        state = self._start().copy()
        state.update(b"%d|drawn" % self._calls)
        return int.from_bytes(state.digest(), "big")

    def step(self, name: str, arguments: bytes, compute: Callable[[], Any]) -> Any:
        self._next()
        self._in_step = True
        try:
            # Through JSON and back, so that a plain call refuses and returns what a job does: tuples come back as lists.
            return loads(dumps(compute(), f"the result of step {name!r}"))
        finally:
            self._in_step = False

    def now(self, read: Callable[[], float]) -> float:
        self._next()
        return read()

    def metric(self, name: str, value: float, step: int | None, timestamp: float) -> None:
        if self._metrics is not None:
            self._metrics.append(Metric(name, value, step, timestamp))

    def _next(self) -> int:
        if self._in_step:
            raise Misuse(
                f"a call on lane {self._name!r} inside a step: a replay does not run steps again, so it would not meet "
                "this call. Ask the device before or after the step; inside one only metrics can be logged"
            )
        ordinal = self._calls = next(self._ordinals)
        self._calls += 1
        return ordinal

    def _next_seed(self, given: int | None) -> int:
        ordinal = self._next()
        if given is not None:
            return given
        if self._seed is None:
            return int.from_bytes(os.urandom(8), "big")
        state = self._start().copy()
        state.update(b"%d" % ordinal)
        return int.from_bytes(state.digest(), "big")

    def _start(self) -> hashlib.blake2b:
        if self._seed_start is None:
            import hashlib  # late: it loads OpenSSL

            self._seed_start = hashlib.blake2b(f"{self._seed}|{self._name}|".encode(), digest_size=8)
        return self._seed_start


class DirectRecorder:
    """The recorder of a plain call; implements `qloom.contracts.Recorder`. Checkpoints and metrics are kept in memory.

    >>> recorder = DirectRecorder(seed=1)
    >>> recorder.save_checkpoint({"step": 3})
    >>> recorder.load_checkpoint()
    {'step': 3}
    """

    def __init__(self, seed: int | None = None) -> None:
        self.metrics: list[Metric] = []
        self.problems: list[str] = []
        self._seed = seed
        self._lanes: dict[str, DirectLane] = {}
        self._checkpoint: bytes | None = None

    @property
    def executed(self) -> int:
        """Quantum tasks computed."""
        return sum(lane.executed for lane in list(self._lanes.values()))

    @property
    def replayed(self) -> int:
        """None: there is nothing to replay from."""
        return 0

    def lane(self, name: str) -> DirectLane:
        return self._lanes.setdefault(name, DirectLane(self._seed, name, self.metrics))

    def save_checkpoint(self, data: dict[str, Any]) -> None:
        self._checkpoint = dumps(data, "the checkpoint")

    def load_checkpoint(self) -> dict[str, Any] | None:
        return None if self._checkpoint is None else dict(loads(self._checkpoint))

    def engine_used(self, prepared: str, engine: Engine) -> Engine | None:
        return None

    def compiled_as(self, prepared: str, compiled: Compiled) -> Compiled | None:
        return None

    def note_stages(self, notes: Sequence[Mapping[str, Any]]) -> None:
        """Nothing is recorded: the result itself has them."""

    def close(self) -> None:
        """There is nothing to close."""
