"""What the records of a journal are: their kinds, and which bytes of them can be read without decoding.

| kind | stands at | content (MessagePack, positional) |
| --- | --- | --- |
| `OPENED` | - | job id, attempt, seed as text, whether it starts from scratch; always first |
| `LANE` | - | number of a lane in this segment, its name |
| `ANSWER` | lane, ordinal | seed used, question, packed result |
| `INTENT` | lane, ordinal | seed, question, idempotency token |
| `SUBMITTED` | lane, ordinal | token, task id |
| `SPENT` | lane, ordinal | token of a task that will never have a result |
| `FAILED` | lane, ordinal | call, error, metrics so far: the program caught the error and went on |
| `STEP` | lane, ordinal | call, result as JSON, metrics so far |
| `NOW` | lane, ordinal | call, seconds since 1970 |
| `METRIC` | lane, metric number | name, value, step, timestamp |
| `CHECKPOINT` | - | positions of the lanes, data as JSON |
| `ENGINE` | - | digest of a prepared structure, its engine |
| `COMPILED` | - | digest of a prepared structure; source, digest and compiler of what a compiler made of it |
| `STAGES` | - | what the stages of a pipeline did for a late answer, JSON |
| `DROPPED` | lane, ordinal | metric number: what was recorded from here on is no longer part of the job |
| `TOOK` | lane, ordinal | seconds that the lane's answers took to compute so far in this segment |

What stands at a place starts with it, 8 bytes: number of the lane u32, ordinal u32. A kind with `LARGE` added has the digest
of a blob as its content.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from qloom.errors import CorruptRecord

if TYPE_CHECKING:
    from pathlib import Path

OPENED = 1
LANE = 2
ANSWER = 3
INTENT = 4
SUBMITTED = 5
SPENT = 6
FAILED = 7
STEP = 8
NOW = 9
METRIC = 10
CHECKPOINT = 11
ENGINE = 12
DROPPED = 13
TOOK = 14
COMPILED = 15
STAGES = 16

CALLS = frozenset({ANSWER, INTENT, FAILED, STEP, NOW})
"""Kinds that a replay meets in place of a call."""
KNOWN = frozenset(range(OPENED, STAGES + 1))

LARGE_FLAG = 0x80

NEAR_BYTES = 2048
"""Answers up to this size are kept as they are read; larger ones are read again when they are served, since keeping all of a
long journal costs more time (fresh memory) and far more memory than a second look at the page cache."""

PLACE = struct.Struct("<II")
PLACE_SIZE = PLACE.size


class Opened(NamedTuple):
    """First record of a segment."""

    job_id: str
    attempt: int
    seed: str
    from_scratch: bool


class Far(NamedTuple):
    """An answer whose checksum was right when it was read, left where it stands."""

    descriptor: int
    offset: int
    size: int

    def body(self) -> bytes:
        """Return what stands behind the record's place.

        Raises:
            CorruptRecord: the file was cut or damaged since.
        """
        content = os.pread(self.descriptor, self.size, self.offset)
        if len(content) != self.size:
            raise CorruptRecord(f"an answer at byte {self.offset} was cut off since the journal was read; resume the job again")
        return content


class SegmentFile(NamedTuple):
    """One segment of a journal, as its file name tells."""

    attempt: int
    writer: str
    path: Path


def journal_folder(checkpoints: Path) -> Path:
    """Return the journal's folder inside a job's checkpoint folder."""
    return checkpoints / "journal"


def blob_folder(checkpoints: Path) -> Path:
    """Return the folder of blobs inside a job's checkpoint folder."""
    return checkpoints / "journal" / "blobs"


def segment_files(checkpoints: Path) -> list[SegmentFile]:
    """Return the segments of a journal, by attempt; empty where there is none. Files with other names are not ours."""
    found = []
    for path in journal_folder(checkpoints).glob("*.seg"):
        attempt, dash, writer = path.stem.partition("-")
        if dash and attempt.isascii() and attempt.isdigit():
            found.append(SegmentFile(int(attempt), writer, path))
    return sorted(found)
