"""How `run` and `job resume` tell what became of a job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from qloom.cli.output import emit, notes, people
from qloom.jobspecs import JobState, JobStatus
from qloom.report import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from qloom.api.jobs import Job

EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job's state with its result or error, as `run --json` and `job resume --json` print it."""

    job_id: str
    state: JobState
    result: Any
    error: dict[str, Any] | None
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, job: Job, status: JobStatus) -> Outcome:
        """Return the outcome as far as it is known."""
        details = job.details()
        return cls(job.id, status.state, details["result"], details["error"], tuple(details["problems"]))

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        return {"job_id": self.job_id, "state": str(self.state), "result": self.result, "error": self.error}


def finish(job: Job, status: JobStatus, *, as_json: bool, report: Path | None = None) -> None:
    """Print what became of a job and write its report if asked; exit 1 unless it is COMPLETED."""
    if report is not None:
        write_report(job, report)
    outcome = Outcome.of(job, status)
    done = status.state is JobState.COMPLETED
    if as_json:
        emit(outcome.document())
    elif done:
        people().print(json.dumps(outcome.result, indent=2), markup=False)
    for problem in outcome.problems:
        notes().print(f"note: {problem}", style="yellow", markup=False)
    if not done:
        _say_why(job, status)
        raise typer.Exit(EXIT_FAILED)


def _say_why(job: Job, status: JobStatus) -> None:
    console = notes()
    reason = f" ({status.reason})" if status.reason else ""
    console.print(f"job {job.id} is {status.state}{reason}: {status.error}", style="red", markup=False)
    if status.state in (JobState.INTERRUPTED, JobState.FAILED):
        console.print(f"go on with: qloom job resume {job.id}", markup=False)
