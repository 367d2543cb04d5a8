"""Reading a journal from outside, while another process may be writing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import qloom.journal.records as records
from qloom.errors import CorruptRecord
from qloom.journal.segments import FRAME_SIZE, HEADER_SIZE, raise_unreadable, read_segment
from qloom.kit.values import loads
from qloom.results import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from qloom.journal.records import SegmentFile


class Metric(NamedTuple):
    """One metric that a program logged: `timestamp` in seconds since 1970, UTC."""

    name: str
    value: float
    step: int | None
    timestamp: float
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalView:
    """What a journal holds, for people and reports.

    Attributes:
        metrics: in the order of recording, each once however often it was replayed.
        executed: quantum tasks whose answers are recorded, in all attempts since the last start from scratch.
        engines: what computed, each once, in order of first use.
        checkpoints: how many were saved.
        quantum_s: seconds that computing the answers took, in all lanes together; of a lane that was killed, and of one that is
            computing, the last 0.2 s may be missing.
        stages: what each stage of the pipeline did for a late answer; empty without a pipeline.
        attempts: numbers of the attempts that recorded something.
        problems: unfinished tails and damage, as sentences. A process that is writing leaves an unfinished tail for moments.
    """

    metrics: list[Metric] = field(default_factory=list)
    executed: int = 0
    engines: list[Engine] = field(default_factory=list)
    checkpoints: int = 0
    quantum_s: float = 0.0
    stages: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_journal(checkpoint_dir: Path) -> JournalView:
    """Return what a journal holds; damage is named in `problems` and ends the reading of its file, not of the others.

    Raises:
        InvalidSetting: written by a newer qloom.
        StorageFailed: it cannot be read.

    >>> import pathlib
    >>> read_journal(pathlib.Path("no such folder")).executed
    0
    """
    from qloom.journal.history import since_restart  # loads msgspec

    view = _Gathering()
    files = since_restart(records.segment_files(checkpoint_dir))
    for file in files:
        view.read(file, records.blob_folder(checkpoint_dir))
    return JournalView(
        metrics=list(view.metrics.values()),
        executed=view.executed,
        engines=list(dict.fromkeys(view.engines)),
        checkpoints=view.checkpoints,
        quantum_s=sum(view.took.values()),
        stages=view.stages,
        attempts=sorted({file.attempt for file in files}),
        problems=view.problems,
    )


class _Gathering:
    """The state of one reading; metrics by (lane, number), so that a later record replaces an earlier one."""

    def __init__(self) -> None:
        self.metrics: dict[tuple[str, int], Metric] = {}
        self.engines: list[Engine] = []
        self.executed = 0
        self.checkpoints = 0
        self.took: dict[tuple[Path, int], float] = {}
        self.problems: list[str] = []
        self.stages: list[dict[str, Any]] = []

    def read(self, file: SegmentFile, blobs: Path) -> None:
        lanes: dict[int, str] = {}
        try:
            for kind, payload, _ in read_segment(file.path, self.problems):
                self._take(kind, payload, lanes, file.path, blobs)
        except CorruptRecord as error:
            self.problems.append(str(error))

    def _take(self, kind: int, payload: bytes, lanes: dict[int, str], path: Path, blobs: Path) -> None:
        plain = kind & ~records.LARGE_FLAG
        if plain == records.ANSWER:
            self.executed += 1
            return
        import qloom.journal.codec as codec  # loads msgspec

        if plain == records.METRIC:
            lane, number, metric = _metric(kind, payload, lanes, blobs)
            self.metrics[lane, number] = metric
        elif plain == records.LANE:
            number, name = codec.decode(payload)
            lanes[number] = name
        elif plain == records.CHECKPOINT:
            self.checkpoints += 1
        elif plain == records.ENGINE:
            self.engines.append(Engine(*codec.decode(payload)[1]))
        elif plain == records.STAGES:
            import qloom.journal.history as history

            self.stages = loads(history.content_of(kind, payload, blobs))
        elif plain == records.TOOK:
            self.took[path, records.PLACE.unpack_from(payload)[0]] = codec.decode(payload[records.PLACE_SIZE :])[0]
        elif plain == records.DROPPED:
            lane = lanes[records.PLACE.unpack_from(payload)[0]]
            first = codec.decode(payload[records.PLACE_SIZE :])[0]
            self.metrics = {place: kept for place, kept in self.metrics.items() if place[0] != lane or place[1] < first}


class JournalTail:
    """Follows a journal that another process writes, from its beginning on.

    >>> import pathlib
    >>> JournalTail(pathlib.Path("no such folder")).new_metrics()
    []

    Attributes:
        executed: answers seen so far.
        restarts: how many attempts forgot what was recorded before them: metrics of before the last one count no more.
        problems: damage, as sentences; a damaged file is not followed any further.
    """

    def __init__(self, checkpoint_dir: Path) -> None:
        self.executed = 0
        self.restarts = 0
        self.problems: list[str] = []
        self._checkpoints = checkpoint_dir
        self._ends: dict[Path, int] = {}
        self._lanes: dict[Path, dict[int, str]] = {}
        self._damaged: set[Path] = set()

    def new_metrics(self) -> list[Metric]:
        """Return the metrics recorded since the last call; a record that is only half there comes next time.

        Where `restarts` has grown since, they are all there are.

        Raises:
            InvalidSetting: written by a newer qloom.
            StorageFailed: it cannot be read.
        """
        found: list[Metric] = []
        for file in records.segment_files(self._checkpoints):
            if file.path not in self._damaged and _size(file.path) > self._ends.get(file.path, 0):
                self._follow(file.path, found)
        return found

    def _follow(self, path: Path, found: list[Metric]) -> None:
        import qloom.journal.codec as codec  # loads msgspec

        lanes = self._lanes.setdefault(path, {})
        blobs = records.blob_folder(self._checkpoints)
        try:
            for kind, payload, offset in read_segment(path, start=self._ends.get(path, HEADER_SIZE)):
                if kind & ~records.LARGE_FLAG == records.METRIC:
                    found.append(_metric(kind, payload, lanes, blobs)[2])
                elif kind & ~records.LARGE_FLAG == records.ANSWER:
                    self.executed += 1
                elif kind == records.LANE:
                    number, name = codec.decode(payload)
                    lanes[number] = name
                elif kind == records.OPENED and records.Opened(*codec.decode(payload)).from_scratch:
                    self.restarts += 1
                    self.executed = 0
                    found.clear()  # segments come by attempt
                self._ends[path] = offset + FRAME_SIZE + len(payload)
        except CorruptRecord as error:
            self._damaged.add(path)
            self.problems.append(str(error))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise_unreadable(error, path)


def _metric(kind: int, payload: bytes, lanes: dict[int, str], blobs: Path) -> tuple[str, int, Metric]:
    import qloom.journal.codec as codec  # loads msgspec
    import qloom.journal.history as history

    number, ordinal = records.PLACE.unpack_from(payload)
    name, value, step, timestamp = codec.decode(history.content_of(kind, payload, blobs, records.PLACE_SIZE))
    return lanes[number], ordinal, Metric(name, value, step, timestamp, lanes[number])
