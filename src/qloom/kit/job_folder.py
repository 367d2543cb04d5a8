"""The folder of one job: where each file stands, the status record, and the lease that tells whether a process lives.

```
jobs/<job_id>/
  job.json               the specification; written once
  hyperparameters.json   AMZN_BRAKET_HP_FILE: all values are strings
  source/                the shipped source
  environment.lock       packages of the job's environment with versions and hashes, where one was built for it
  input/<channel>/       AMZN_BRAKET_INPUT_DIR
  checkpoints/           AMZN_BRAKET_CHECKPOINT_DIR; the journal is in checkpoints/journal/
  results/results.json   AMZN_BRAKET_JOB_RESULTS_DIR
  results/figures/       pictures that the program saved for its report
  attempts/<n>/          output.log (once the program prints something), outcome.json (how the program ended), progress.json;
                         while it runs also `space`, room on the disk for these last words
  attempts/<n>/work/     where the program starts: what it writes by relative names lands here
  attempts/<n>/          of a script: earlier-results/ and earlier-checkpoints/, moved aside when this attempt began, and
                         hyperparameters.json, those of the hybrid job that it ran last
  attempts/<n>/          ended.json: the status in which an attempt ended that another one followed
  attempts/<n>/          supervisor.log, processes.json: the supervisor's own words, and what it runs, where that took a while
  sealed/                journal and log of the device server of a job with sealed stages; never seen in a sandbox
  status.json            where the job stands; replaced in one step
  cancel, suspend        somebody asks for that; holds the number of the attempt that is meant
  lease                  locked (flock) by the supervisor for as long as it lives
```
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from qloom.errors import CorruptRecord, InvalidSetting, StorageFailed, UnknownName, WrongState
from qloom.jobspecs import JobSpec, JobState, JobStatus
from qloom.kit.files import raise_storage, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

LEASE_PATIENCE_S = 0.3
"""How long `Lease.take` goes on trying: whoever asks where a job stands holds a dead job's lease for a moment."""


_SPECS: dict[tuple[str, int, int, int], JobSpec] = {}
"""The specification that was read last: a process of a job asks for its own again and again."""

SPACE_ASIDE_BYTES = 64 * 1024
"""Enough for an outcome and a status."""
PLENTY_BYTES = 4 << 30
"""A disk with so much free space is not about to be full: nothing is set aside yet."""


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
    def sealed(self) -> Path:
        """What the program of a job with sealed stages must not see: journal and log of its device server."""
        return self.path / "sealed"

    def sealed_log(self, attempt: int) -> Path:
        """What the device server of one attempt says."""
        return self.sealed / f"{attempt}.log"

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
        """Folder of one attempt; its existence says that the attempt was submitted."""
        return self.path / "attempts" / str(number)

    def output_file(self, attempt: int) -> Path:
        """Captured output of one attempt."""
        return self.attempt(attempt) / "output.log"

    def ended_file(self, attempt: int) -> Path:
        """The status in which one attempt ended, kept when the next one begins."""
        return self.attempt(attempt) / "ended.json"

    @property
    def figures(self) -> Path:
        """Pictures that the program saved for its report."""
        return self.results / "figures"

    def outcome_file(self, attempt: int) -> Path:
        """How the program of one attempt ended, in its own words."""
        return self.attempt(attempt) / "outcome.json"

    def progress_file(self, attempt: int) -> Path:
        """How far the program of one attempt says it is."""
        return self.attempt(attempt) / "progress.json"

    def work(self, attempt: int) -> Path:
        """Folder in which the program of one attempt starts."""
        return self.attempt(attempt) / "work"

    def supervisor_log(self, attempt: int) -> Path:
        """What the supervisor of one attempt says itself; not there where it had nothing to say."""
        return self.attempt(attempt) / "supervisor.log"

    def processes_file(self, attempt: int) -> Path:
        """Which processes one attempt has, and how its limits are watched."""
        return self.attempt(attempt) / "processes.json"

    def set_space_aside(self, attempt: int) -> bool:
        """Keep some space for saying how the attempt ended, should the disk be full by then; without it where there is none.

        Call it again and again while the attempt runs: as long as the disk has plenty, nothing is done, and it returns False.
        """
        try:
            disk = os.statvfs(self.path)
            if disk.f_bavail * disk.f_frsize > PLENTY_BYTES:
                return False
            descriptor = os.open(self._space_file(attempt), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return False
        try:
            os.posix_fallocate(descriptor, 0, SPACE_ASIDE_BYTES)
        except OSError:
            return not self.free_space(attempt)
        finally:
            os.close(descriptor)
        return True

    def free_space(self, attempt: int) -> bool:
        """Give back the space that was set aside; False where there is none (any more)."""
        try:
            self._space_file(attempt).unlink()
        except OSError:
            return False
        return True

    def _space_file(self, attempt: int) -> Path:
        return self.attempt(attempt) / "space"

    def request_file(self, wish: str) -> Path:
        """Where somebody asks for `cancel` or `suspend`; holds the number of the attempt that is meant."""
        return self.path / wish

    def spec(self) -> JobSpec:
        """Return the job's specification.

        Raises:
            CorruptRecord: it cannot be read.
        """
        try:
            seen = os.stat(self.spec_file)  # noqa: PTH116  asked many times by each process of a job
            key = (str(self.path), seen.st_ino, seen.st_mtime_ns, seen.st_size)
            if key not in _SPECS:
                _SPECS.clear()
                _SPECS[key] = JobSpec.from_json(read_json(self.spec_file))
            return _SPECS[key]
        except (OSError, LookupError, TypeError, ValueError, AttributeError, InvalidSetting, UnknownName) as error:
            raise _unreadable(self.spec_file, error) from error

    def recorded_status(self) -> JobStatus:
        """Return the status as last written; whether its processes live is the lease's to say.

        Raises:
            CorruptRecord: it cannot be read.
        """
        try:
            content = self.status_file.read_bytes()
            status = JobStatus.from_json(json.loads(content)) if content else None
            if status is None or (status.state is JobState.COMPLETED and self._result_is_unwritten()):
                return self._unwritten_status()
            return status
        except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable(self.status_file, error) from error

    def _result_is_unwritten(self) -> bool:
        """Whether the result is there by name only: a power loss came before its content was on the disk."""
        try:
            return os.stat(f"{self.path}/results/results.json").st_size == 0  # noqa: PTH116  for every look at an ended job
        except OSError:
            return False

    def _unwritten_status(self) -> JobStatus:
        """Return the status of a job whose end, or whose status, did not reach the disk before a power loss."""
        numbers = [int(path.name) for path in (self.path / "attempts").glob("*") if path.name.isdecimal()]
        return JobStatus(state=JobState.QUEUED if numbers else JobState.CREATED, attempt=max(numbers, default=0))

    def write_status(self, status: JobStatus, *, durable: bool = True) -> None:
        """Replace the status in one step; with `durable`, it survives a power loss after return."""
        write_json(self.status_file, status.to_json(), durable=durable)

    def keep_status(self, status: JobStatus) -> None:
        """Keep how an attempt ended, before the next one replaces the status."""
        if self.attempt(status.attempt).is_dir():
            write_json(self.ended_file(status.attempt), status.to_json(), durable=False)

    def ended_status(self, attempt: int) -> JobStatus | None:
        """Return the status in which an earlier attempt ended; None where nobody kept it.

        Raises:
            CorruptRecord: it cannot be read.
        """
        try:
            return JobStatus.from_json(read_json(self.ended_file(attempt)))
        except FileNotFoundError:
            return None
        except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable(self.ended_file(attempt), error) from error

    def status(self) -> JobStatus:
        """Return where the job stands now; a job whose processes are gone is INTERRUPTED, and that is written down.

        Whoever sees the lease dead enters the state: no daemon is needed.
        """
        return self.look()[0]

    def look(self) -> tuple[JobStatus, bool]:
        """Return where a job stands now, and whether it was found dead by this look, so that processes of it may be left."""
        status = self.recorded_status()
        if not status.state.alive:
            return status, False
        lease = Lease.try_take(self)
        if lease is None:
            return status, False
        with lease:
            status = self.recorded_status()  # the supervisor may have ended the job before its lease was free
            if not status.state.alive:
                return status, False
            status = self._completed(status) or _interrupted(status)
            self._try_write(status)
        return status, True

    def _completed(self, status: JobStatus) -> JobStatus | None:
        """Return the status of a job whose program has left its result and said so, though nobody lived to record it."""
        try:
            outcome = read_json(self.outcome_file(status.attempt))
        except (OSError, CorruptRecord):
            return None
        if not isinstance(outcome, dict) or outcome.get("ended") != "returned" or not self.results_file.exists():
            return None
        if self._result_is_unwritten():
            return None
        from dataclasses import replace

        return replace(status, state=JobState.COMPLETED, ended_at=self.outcome_file(status.attempt).stat().st_mtime)

    def _try_write(self, status: JobStatus) -> None:
        try:
            self.write_status(status)
        except StorageFailed:
            return  # seen from a read-only place: the answer is right all the same, the next writer records it


def _unreadable(path: Path, error: Exception) -> CorruptRecord:
    return CorruptRecord(
        f"{path} cannot be read ({type(error).__name__}: {error}); restore it from a copy, or remove the job's folder"
    )


def _interrupted(status: JobStatus) -> JobStatus:
    from dataclasses import replace

    if status.state is JobState.CANCELLING:
        return replace(status, state=JobState.CANCELLED, error="cancelled; its processes are gone")
    what = "is gone without a word (its processes were killed, or the machine stopped)"
    if status.state is JobState.QUEUED:
        what = f"never ran: its supervisor ended first, attempts/{status.attempt}/supervisor.log says why where it could"
    return replace(status, state=JobState.INTERRUPTED, reason="lost", error=f"attempt {status.attempt} {what}; resume it")


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
        """Return the lease; one that is held only for a look is waited for.

        Raises:
            WrongState: somebody holds it.
        """
        deadline = time.monotonic() + LEASE_PATIENCE_S
        while (lease := cls.try_take(folder)) is None:
            if time.monotonic() > deadline:
                raise WrongState(f"job {folder.path.name} is running (its lease is held); wait for it, or cancel it first")
            time.sleep(0.01)
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
