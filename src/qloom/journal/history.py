"""What earlier attempts recorded, ordered by lane and position; contents stay encoded until they are served."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import qloom.journal.codec as codec
import qloom.journal.records as records
from qloom.errors import CorruptRecord, InvalidSetting, QloomError
from qloom.journal.blobs import read_blob
from qloom.journal.segments import FRAME_SIZE, raise_unreadable, read_record, read_segment
from qloom.results import Engine
from qloom.tasks import Compiled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qloom.journal.records import SegmentFile


RecordedCall: TypeAlias = bytes | records.Far | tuple[int, bytes]


@dataclass(slots=True)
class LaneHistory:
    """What was recorded in one lane.

    Attributes:
        calls: ordinal -> the payload of an answer, or kind and payload of any other record; of several at one ordinal the last.
        tasks: idempotency token -> id of the task that was submitted with it.
        metrics: how many metrics are recorded.
    """

    calls: dict[int, RecordedCall] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    metrics: int = 0

    def open_tasks(self, position: int) -> list[str]:
        """Return the ids of tasks that were submitted from this position on and not answered."""
        later = [
            call for ordinal, call in self.calls.items() if ordinal >= position and not isinstance(call, bytes | records.Far)
        ]
        tokens = [codec.decode(payload[records.PLACE_SIZE :])[2] for kind, payload in later if kind == records.INTENT]
        return [self.tasks[token] for token in tokens if token in self.tasks]

    def drop(self, position: int, metric: int) -> None:
        """Forget what was recorded from this position on."""
        for ordinal in [ordinal for ordinal in self.calls if ordinal >= position]:
            del self.calls[ordinal]
        self.metrics = min(self.metrics, metric)


@dataclass(slots=True)
class History:
    """What earlier attempts recorded.

    Attributes:
        lanes: name -> its records.
        engines: digest of a prepared structure -> the engine it got.
        compiled: digest of a prepared structure -> what a compiler made of it.
        opened: first record of each segment.
        problems: torn tails that were dropped, as sentences.
    """

    lanes: dict[str, LaneHistory] = field(default_factory=dict)
    engines: dict[str, Engine] = field(default_factory=dict)
    compiled: dict[str, Compiled] = field(default_factory=dict)
    opened: list[records.Opened] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _checkpoints: list[tuple[Path, int, int]] = field(default_factory=list)
    _drops: list[tuple[str, int]] = field(default_factory=list)
    _files: list[BinaryIO] = field(default_factory=list)

    @classmethod
    def read(cls, checkpoints: Path, *, before_attempt: int) -> History:
        """Read the segments of earlier attempts, from the last one that started from scratch.

        Raises:
            CorruptRecord: damage in a segment.
            InvalidSetting: written by a newer qloom.
            StorageFailed: a segment cannot be read.
        """
        history = cls()
        earlier = [file for file in records.segment_files(checkpoints) if file.attempt < before_attempt]
        try:
            for file in since_restart(earlier):
                history._read_segment(file)
        except QloomError:
            history.close()
            raise
        return history

    def latest_checkpoint(self, blobs: Path) -> tuple[dict[str, tuple[int, int]], bytes] | None:
        """Return positions (lane -> ordinal, metric) and data of the latest checkpoint that still holds; None without one.

        Raises:
            CorruptRecord: it cannot be read.
        """
        for path, offset, drops_before in reversed(self._checkpoints):
            kind, payload = read_record(path, offset)
            positions, data = codec.decode(content_of(kind, payload, blobs))
            places = {name: (ordinal, metric) for name, ordinal, metric in positions}
            if all(places.get(lane, (0, 0))[0] <= ordinal for lane, ordinal in self._drops[drops_before:]):
                return places, data
        return None

    def close(self) -> None:
        """Close the segments. Idempotent."""
        while self._files:
            self._files.pop().close()

    def _open(self, path: Path) -> int:
        try:
            self._files.append(path.open("rb", buffering=0))
        except OSError as error:
            raise_unreadable(error, path)
        return self._files[-1].fileno()

    def _read_segment(self, file: SegmentFile) -> None:
        place, place_size, answer = records.PLACE.unpack_from, records.PLACE_SIZE, records.ANSWER
        near, skipped, descriptor = records.NEAR_BYTES, FRAME_SIZE + place_size, -1
        names: dict[int, str] = {}
        lanes: dict[int, LaneHistory] = {}
        calls: dict[int, dict[int, RecordedCall]] = {}
        for kind, payload, offset in read_segment(file.path, self.problems):
            if kind == answer:  # nearly all records; every test and tuple here is paid for each of them
                number, ordinal = place(payload)
                size = len(payload)
                if size <= near:
                    calls[number][ordinal] = payload
                    continue
                if descriptor < 0:
                    descriptor = self._open(file.path)
                calls[number][ordinal] = records.Far(descriptor, offset + skipped, size - place_size)
                continue
            plain = kind & ~records.LARGE_FLAG
            if plain in records.CALLS:
                number, ordinal = place(payload)
                calls[number][ordinal] = (kind, payload)
            elif plain == records.METRIC:
                number, ordinal = place(payload)
                lanes[number].metrics = max(lanes[number].metrics, ordinal + 1)
            elif plain == records.LANE:
                number, name = codec.decode(payload)
                names[number] = name
                lanes[number] = self.lanes.setdefault(name, LaneHistory())
                calls[number] = lanes[number].calls
            elif plain == records.CHECKPOINT:
                self._checkpoints.append((file.path, offset, len(self._drops)))
            elif plain in (records.SUBMITTED, records.DROPPED):
                number, ordinal = place(payload)
                self._read_note(plain, names[number], lanes[number], ordinal, codec.decode(payload[place_size:]))
            else:
                self._read_head(kind, payload, file)

    def _read_note(self, kind: int, name: str, lane: LaneHistory, ordinal: int, content: list[Any]) -> None:
        if kind == records.SUBMITTED:
            token, task_id = content
            lane.tasks[token] = task_id
        else:
            self._drops.append((name, ordinal))
            lane.drop(ordinal, content[0])

    def _read_head(self, kind: int, payload: bytes, file: SegmentFile) -> None:
        if kind == records.OPENED:
            self.opened.append(records.Opened(*codec.decode(payload)))
        elif kind == records.ENGINE:
            prepared, engine = codec.decode(payload)
            self.engines.setdefault(prepared, Engine(*engine))
        elif kind == records.COMPILED:
            prepared, *facts = codec.decode(payload)
            self.compiled.setdefault(prepared, Compiled(*facts))
        elif kind not in records.KNOWN:
            raise InvalidSetting(
                f"{file.path} has a record of kind {kind}, which this qloom does not know; use the qloom that wrote it"
            )


def content_of(kind: int, payload: bytes, blobs: Path, skip: int = 0) -> bytes:
    """Return a record's content behind its first `skip` bytes, out of its blob where it is large.

    Raises:
        CorruptRecord: the blob is missing or damaged.
    """
    content = payload[skip:]
    return read_blob(blobs, content) if kind & records.LARGE_FLAG else content


def since_restart(files: list[SegmentFile]) -> list[SegmentFile]:
    """Return the segments from the last attempt on that started from scratch; what was before it is not even opened."""
    for file in reversed(files):
        if _starts_from_scratch(file):
            return [other for other in files if other.attempt >= file.attempt]
    return files


def _starts_from_scratch(file: SegmentFile) -> bool:
    try:
        kind, payload, _ = next(read_segment(file.path), (0, b"", 0))
    except CorruptRecord:
        return False  # who reads this segment in full says so
    return kind == records.OPENED and records.Opened(*codec.decode(payload)).from_scratch


def spent_tokens(files: list[SegmentFile]) -> Iterator[str]:
    """Yield the idempotency tokens of tasks that will never have a result, those before a restart included.

    A damaged segment ends where the damage is: the reader that must know about it has refused it by now.
    """
    for file in files:
        try:
            for kind, payload, _ in read_segment(file.path):
                if kind == records.SPENT:
                    token: Any = codec.decode(payload[records.PLACE_SIZE :])[0]
                    yield token
        except CorruptRecord:
            continue
