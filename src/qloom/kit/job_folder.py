"""The folder of one job: where each file stands, the status record, and the lease that tells whether a process lives.

```
jobs/<job_id>/
  job.json               the specification; written once
  hyperparameters.json   AMZN_BRAKET_HP_FILE: all values are strings
  source/                the shipped source
  input/<channel>/       AMZN_BRAKET_INPUT_DIR
  checkpoints/           AMZN_BRAKET_CHECKPOINT_DIR; the journal is in checkpoints/journal/
  results/results.json   AMZN_BRAKET_JOB_RESULTS_DIR
  attempts/<n>/          output.log, outcome.json (how the program ended), progress.json
  status.json            where the job stands; replaced in one step
  lease                  locked (flock) by the supervisor for as long as it lives
```
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from qloom.errors import StorageFailed, WrongState
from qloom.jobspecs import JobSpec, JobState, JobStatus
from qloom.kit.files import raise_storage, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Where each file of a job stands.

    >>> from pathlib import Path
    >>> JobFolder(Path("/jobs/x")).attempt(2).name
    '2'
    """

    path: Path

    @property
    def spec_file(self) -> Path:
        """The job's specification."""
        return self.path / "job.json"

    @property
    def hyperparameters_file(self) -> Path:
        """The program's arguments in Braket's form: every value a string."""
        return self.path / "hyperparameters.json"

    @property
    def source(self) -> Path:
        """The shipped source."""
        return self.path / "source"

    @property
    def input(self) -> Path:
        """Input channels."""
        return self.path / "input"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints and the journal."""
        return self.path / "checkpoints"

    @property
    def results(self) -> Path:
        """What the program leaves."""
        return self.path / "results"

    @property
    def results_file(self) -> Path:
        """The program's result."""
        return self.results / "results.json"

    @property
    def status_file(self) -> Path:
        """Where the job stands."""
        return self.path / "status.json"

    @property
    def lease_file(self) -> Path:
        """Locked while a supervisor lives."""
        return self.path / "lease"

    def attempt(self, number: int) -> Path:
        """Folder of one attempt."""
        return self.path / "attempts" / str(number)

    def output_file(self, attempt: int) -> Path:
        """Captured output of one attempt."""
        return self.attempt(attempt) / "output.log"

    def outcome_file(self, attempt: int) -> Path:
        """How the program of one attempt ended, in its own words."""
        return self.attempt(attempt) / "outcome.json"

    def progress_file(self, attempt: int) -> Path:
        """How far the program of one attempt says it is."""
        return self.attempt(attempt) / "progress.json"

    def spec(self) -> JobSpec:
        """Return the job's specification."""
        return JobSpec.from_json(read_json(self.spec_file))

    def recorded_status(self) -> JobStatus:
        """Return the status as last written; whether its processes live is the lease's to say."""
        return JobStatus.from_json(read_json(self.status_file))

    def write_status(self, status: JobStatus) -> None:
        """Replace the status in one step."""
        write_json(self.status_file, status.to_json())

    def status(self) -> JobStatus:
        """Return where the job stands now; a job whose processes are gone is INTERRUPTED, and that is written down.

        Whoever sees the lease dead enters the state: no daemon is needed.
        """
        status = self.recorded_status()
        if not status.state.alive:
            return status
        lease = Lease.try_take(self)
        if lease is None:
            return status
        with lease:
            status = self.recorded_status()  # the supervisor may have ended the job before its lease was free
            if status.state.alive:
                status = _interrupted(status)
                self._try_write(status)
        return status

    def _try_write(self, status: JobStatus) -> None:
        try:
            self.write_status(status)
        except StorageFailed:
            return  # seen from a read-only place: the answer is right all the same, the next writer records it


def _interrupted(status: JobStatus) -> JobStatus:
    from dataclasses import replace

    if status.state is JobState.CANCELLING:
        return replace(status, state=JobState.CANCELLED, error="cancelled; its processes are gone")
    return replace(
        status,
        state=JobState.INTERRUPTED,
        reason="lost",
        error=f"attempt {status.attempt} is gone without a word (its processes were killed, or the machine stopped); resume it",
    )


class Lease:
    """The lock on a job: held by its supervisor, freed by the kernel when the supervisor dies, however it dies.

    The lock belongs to an open file, so it can be taken by one process and handed to the supervisor it starts.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def try_take(cls, folder: JobFolder) -> Lease | None:
        """Return the lease, or None while somebody holds it.

        Raises:
            StorageFailed: the lease file cannot be opened.
        """
        try:
            descriptor = os.open(folder.lease_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if not folder.lease_file.exists():
                raise_storage(error, folder.lease_file)
            descriptor = os.open(folder.lease_file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    @classmethod
    def take(cls, folder: JobFolder) -> Lease:
        """Return the lease.

        Raises:
            WrongState: somebody holds it.
        """
        lease = cls.try_take(folder)
        if lease is None:
            raise WrongState(f"job {folder.path.name} is running (its lease is held); wait for it, or cancel it first")
        return lease

    def release(self) -> None:
        """Free the lease here; a process that it was handed to keeps it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
