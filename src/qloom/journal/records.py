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
| `DROPPED` | lane, ordinal | metric number: what was recorded from here on is no longer part of the job |

What stands at a place starts with it, 8 bytes: number of the lane u32, ordinal u32. A kind with `LARGE` added has the digest
of a blob as its content.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

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

CALLS = frozenset({ANSWER, INTENT, FAILED, STEP, NOW})
"""Kinds that a replay meets in place of a call."""
KNOWN = frozenset(range(OPENED, DROPPED + 1))

LARGE_FLAG = 0x80

PLACE = struct.Struct("<II")
PLACE_SIZE = PLACE.size


class Opened(NamedTuple):
    """First record of a segment."""

    job_id: str
    attempt: int
    seed: str
    from_scratch: bool


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
