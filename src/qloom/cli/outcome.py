"""How `run` and `job resume` tell what became of a job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from qloom.cli.output import emit, notes, people
from qloom.errors import QloomError
from qloom.jobspecs import JobState, JobStatus
from qloom.report import write_report
from qloom.report.readable import readable

if TYPE_CHECKING:
    from pathlib import Path

    from qloom.api.jobs import Job

EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job's state with its result or error, as `run --json` and `job resume --json` print it.

    `picked` tells what stages that pick others have picked, and why; for people.
    """

    job_id: str
    state: JobState
    result: Any
    error: dict[str, Any] | None
    problems: tuple[str, ...] = ()
    picked: tuple[str, ...] = ()

    @classmethod
    def of(cls, job: Job, status: JobStatus) -> Outcome:
        """Return the outcome as far as it is known."""
        details = job.details()
        picked = tuple(f"{notes['name']}: {notes['message']}" for notes in details["stages"] if "considered" in notes)
        return cls(job.id, status.state, details["result"], details["error"], tuple(details["problems"]), picked)

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        return {"job_id": self.job_id, "state": str(self.state), "result": self.result, "error": self.error}


def finish(job: Job, status: JobStatus, *, as_json: bool, report: Path | None = None) -> None:
    """Print what became of a job and write its report if asked; exit 1 unless it is COMPLETED and reported."""
    outcome = Outcome.of(job, status)
    done = status.state is JobState.COMPLETED
    if as_json:
        emit(outcome.document())
    elif done:
        people().print(json.dumps(readable(outcome.result), indent=2), markup=False)
    for line in outcome.picked:
        notes().print(line, style="dim", markup=False)
    for problem in outcome.problems:
        notes().print(f"note: {problem}", style="yellow", markup=False)
    if not done:
        _say_why(job, status)
    reported = report is None or _reported(job, report)
    if not (done and reported):
        raise typer.Exit(EXIT_FAILED)


def _reported(job: Job, path: Path) -> bool:
    """Write the report; where it cannot be written the job has still run, and what became of it has been told."""
    try:
        write_report(job, path)
    except QloomError as error:
        again = f"write it with: qloom job report {job.id} --output FILE"
        notes().print(f"error: no report: {error}\n{again}", style="red", markup=False)
        return False
    return True


def _say_why(job: Job, status: JobStatus) -> None:
    console = notes()
    reason = f" ({status.reason})" if status.reason else ""
    console.print(f"job {job.id} is {status.state}{reason}: {status.error}", style="red", markup=False)
    if status.state in (JobState.INTERRUPTED, JobState.FAILED) and "qloom job resume" not in status.error:
        console.print(f"go on with: qloom job resume {job.id}", markup=False)
