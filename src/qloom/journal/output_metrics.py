"""Metrics that a script prints, in the form of `braket.jobs.metrics.log_metric`, read off its output and recorded.

A line `Metrics - timestamp=1700000000.5; energy=-1.1; iteration_number=3;` holds one metric; several may stand in a line.
The expression is that of Braket's SDK, `metrics_data/log_metrics_parser.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import qloom.journal.records as records
from qloom.errors import CorruptRecord, QloomError
from qloom.journal.segments import SUFFIX, SegmentWriter, read_segment

if TYPE_CHECKING:
    from pathlib import Path

WRITER = LANE = "output"
MARK = b"Metrics - "

_PAIR = re.compile(r"(\w+)\s*=\s*([^;]+)\s*;")
_TIMESTAMP, _STEP = "timestamp", "iteration_number"


def read_metrics(line: str, now: float) -> list[tuple[str, float, int | None, float]]:
    """Return the metrics in a line of output: name, value, step, seconds since 1970; what is no number is left out.

    >>> read_metrics("Metrics - timestamp=12.5; energy=-1.1; iteration_number=3;", now=0.0)
    [('energy', -1.1, 3, 12.5)]
    >>> read_metrics("energy=-1.1;", now=0.0), read_metrics("Metrics - energy=low;", now=0.0)
    ([], [])
    """
    if MARK.decode() not in line:
        return []
    values = {}
    for name, text in _PAIR.findall(line):
        try:
            values[name] = float(text)
        except ValueError:
            continue
    timestamp, number = values.pop(_TIMESTAMP, now), values.pop(_STEP, None)
    step = int(number) if number is not None and number.is_integer() else None
    return [(name, value, step, timestamp) for name, value in values.items()]


class OutputMetrics:
    """Records the metrics in a script's output; a writer of its own in the journal.

    A script that goes on from a checkpoint prints some steps again: a metric of the same name and step as one of an earlier
    attempt replaces that. One that begins anew starts a new record. Nothing is made before the first metric comes.

    Args:
        checkpoints: the job's folder of checkpoints.
        job_id, attempt, seed: of the job and of this attempt.
        anew: whether earlier attempts count no more.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> metrics = OutputMetrics(folder, job_id="job", attempt=1, seed=0, anew=True)
    >>> metrics.take(b"Metrics - timestamp=1.0; energy=-1.1; iteration_number=0;", now=2.0)
    ''
    >>> from qloom.journal import read_journal
    >>> [tuple(metric) for metric in read_journal(folder).metrics]
    [('energy', -1.1, 0, 1.0, 'output')]
    """

    def __init__(self, checkpoints: Path, *, job_id: str, attempt: int, seed: int, anew: bool) -> None:
        self._checkpoints = checkpoints
        self._opened = records.Opened(job_id, attempt, str(seed), anew)
        self._writer: SegmentWriter | None = None
        self._next = 0
        self._earlier: dict[tuple[str, int], list[int]] = {}
        self._failed = False

    def begin(self) -> None:
        """Record at once that earlier attempts count no more, where that is so and where there are some.

        Raises:
            StorageFailed: it cannot be recorded.
        """
        if self._opened.from_scratch and records.segment_files(self._checkpoints):
            self._open()

    def take(self, line: bytes, now: float) -> str:
        """Record the metrics in a line; return what is to be said of a metric that cannot be recorded, once, else nothing."""
        if MARK not in line:
            return ""
        try:
            for name, value, step, timestamp in read_metrics(line.decode("utf-8", "replace"), now):
                self._record(name, value, step, timestamp)
        except QloomError as error:
            said = "" if self._failed else f"a metric is not recorded: {error}"
            self._failed = True
            return said
        return ""

    def _record(self, name: str, value: float, step: int | None, timestamp: float) -> None:
        from qloom.journal.codec import encode  # loads msgspec

        writer = self._writer or self._open()
        earlier = self._earlier.get((name, step)) if step is not None else None
        number = earlier.pop(0) if earlier else self._next
        writer.append(records.METRIC, records.PLACE.pack(0, number) + encode((name, value, step, timestamp)))
        self._next = max(self._next, number + 1)

    def _open(self) -> SegmentWriter:
        from qloom.journal.codec import encode

        if not self._opened.from_scratch:
            self._read_earlier()
        path = records.journal_folder(self._checkpoints) / f"{self._opened.attempt}-{WRITER}{SUFFIX}"
        writer = SegmentWriter.create(path)
        append = writer.append_durable if self._opened.from_scratch else writer.append
        append(records.OPENED, encode(self._opened))
        writer.append(records.LANE, encode((0, LANE)))
        self._writer = writer
        return writer

    def _read_earlier(self) -> None:
        """Note the numbers of the metrics that earlier attempts left, by name and step."""
        from qloom.journal.codec import decode
        from qloom.journal.history import since_restart

        found: dict[int, tuple[str, int | None]] = {}
        for file in since_restart(records.segment_files(self._checkpoints)):
            try:
                for kind, payload, _ in read_segment(file.path):
                    if kind == records.METRIC and file.writer == WRITER:
                        number = records.PLACE.unpack_from(payload)[1]
                        name, _, step, _ = decode(payload[records.PLACE_SIZE :])
                        found[number] = name, step
            except CorruptRecord:
                continue  # who reads the journal for people says so
        self._next = max(found, default=-1) + 1
        for number, (name, step) in sorted(found.items()):
            if step is not None:
                self._earlier.setdefault((name, step), []).append(number)
