"""The lives of a job's process: how each ended, and where the time went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qloom.errors import CorruptRecord
from qloom.jobspecs import JobState
from qloom.kit.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qloom.jobspecs import JobSpec, JobStatus
    from qloom.kit.job_folder import JobFolder


def read_outcome(folder: JobFolder, attempt: int) -> dict[str, Any]:
    """Return what the program of one attempt said when it ended; nothing where it said nothing.

    Raises:
        CorruptRecord: it holds something else.
    """
    try:
        document = read_json(folder.outcome_file(attempt))
    except FileNotFoundError:
        return {}
    if not isinstance(document, dict):
        path = folder.outcome_file(attempt)
        raise CorruptRecord(f"{path} holds no record of an attempt; restore it from a copy or remove the job")
    return document


def read_attempts(folder: JobFolder, latest: JobStatus) -> list[dict[str, Any]]:
    """Return every attempt, the first one first.

    Each has `attempt`, `ended` (the state it ended in), `reason`, `error`, `started_at` (seconds since 1970, UTC) and `seconds`
    (so far, where it runs). Where nobody saw an attempt end, `seconds` lasts to the last sign of life among its files.

    Raises:
        CorruptRecord: the record of one cannot be read.
    """
    return [_attempt(folder, number, latest) for number in range(1, latest.attempt + 1)]


def read_timings(
    job: JobSpec, attempts: Sequence[Mapping[str, Any]], *, quantum_s: float, since_attempt: int = 1
) -> dict[str, float | None]:
    """Return where a job's time went, in seconds.

    Args:
        job: the specification.
        attempts: as `read_attempts` gives them.
        quantum_s: what computing the journal's answers took.
        since_attempt: what came before the last start from scratch counts no more.

    Returns:
        `queue_s` from the job's creation to its first start, `running_s` of all attempts together, `quantum_s`, and
        `classical_s`, the rest of the running time, which is never negative: lanes may ask at the same time. None where unknown.
    """
    counted = [attempt["seconds"] for attempt in attempts if attempt["attempt"] >= since_attempt]
    running = sum(counted) if counted and None not in counted else None
    started = attempts[0]["started_at"] if attempts else None
    return {
        "queue_s": max(0.0, started - job.created_at) if started is not None and job.created_at else None,
        "running_s": running,
        "quantum_s": quantum_s,
        "classical_s": None if running is None else max(0.0, running - quantum_s),
    }


def _attempt(folder: JobFolder, number: int, latest: JobStatus) -> dict[str, Any]:
    status = latest if number == latest.attempt else folder.ended_status(number)
    if status is None:  # of an older qloom, or of an executor that keeps no more
        outcome = read_outcome(folder, number)
        ended, error = outcome.get("ended") or "no word left", outcome.get("error", "")
        return {"attempt": number, "ended": ended, "reason": "", "error": error, "started_at": None, "seconds": None}
    return {
        "attempt": number,
        "ended": str(status.state),
        "reason": status.reason,
        "error": status.error,
        "started_at": status.started_at,
        "seconds": _seconds(folder, number, status),
    }


def _seconds(folder: JobFolder, number: int, status: JobStatus) -> float | None:
    if status.started_at is None:
        return None
    if status.ended_at is not None:
        return status.ended_at - status.started_at
    if not status.state.ended:
        return max(0.0, time.time() - status.started_at)
    seen = _last_sign(folder, number) if status.state in (JobState.INTERRUPTED, JobState.CANCELLED) else None
    return None if seen is None else max(0.0, seen - status.started_at)


def _last_sign(folder: JobFolder, number: int) -> float | None:
    """When an attempt that died without a word last wrote something, as its files' times say."""
    files: list[Path] = [folder.output_file(number), folder.progress_file(number), folder.processes_file(number)]
    files += (folder.checkpoints / "journal").glob(f"{number}-*.seg")
    times = [time_ for file in files if (time_ := _changed_at(file)) is not None]
    return max(times, default=None)


def _changed_at(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None
