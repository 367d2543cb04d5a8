"""Executors: where the classical part of jobs runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qloom.jobspecs import JobSpec, JobStatus


@runtime_checkable
class ExecutorHandle(Protocol):
    """One attempt of a job on its executor."""

    @property
    def id(self) -> str:
        """What the far side calls it (a process id, a Slurm job id, an ARN)."""
        ...


@runtime_checkable
class Executor(Protocol):
    """Runs attempts of jobs. An attempt is one life of a job's process; its number is the fencing number."""

    @property
    def name(self) -> str:
        """The name it was asked for by."""
        ...

    def submit(self, job: JobSpec, folder: Path, attempt: int) -> ExecutorHandle:
        """Hand one attempt of the job over.

        Args:
            job: the specification, as written in the folder.
            folder: the job's folder, complete and readable where the executor starts.
            attempt: number of the attempt, from 1.

        After return the attempt owns the job's lease, and every later change, failure included, is seen through
        `watch`. After `Rejected`, nothing was submitted. After `Unavailable` nobody knows: submitting the same (job,
        attempt) again is idempotent, and `find` answers.

        Raises:
            Rejected: nothing was submitted.
            WrongState: another attempt holds the lease, or has completed the job.
            Unavailable: nobody knows.
        """
        ...

    def watch(self, folder: Path) -> JobStatus:
        """Return where the job stands now. A job whose processes are gone is INTERRUPTED, whoever asks."""
        ...

    def wait(self, folders: Sequence[Path], timeout_s: float) -> list[Path]:
        """Return those of these jobs that may have ended, as soon as there are some; none after the time.

        Whether one has is what `watch` says, and one may have that is not among them: look at all now and then.

        Args:
            folders: jobs that this executor was given.
            timeout_s: the longest wait.
        """
        ...

    def cancel(self, folder: Path, *, timeout_s: float = 10.0) -> JobStatus:
        """End the job's whole process group: TERM, then KILL. Idempotent; returns the state it left the job in.

        Raises:
            TimedOut: processes are still there after `timeout_s`.
        """
        ...

    def suspend(self, folder: Path, *, timeout_s: float = 10.0) -> JobStatus:
        """End the job's processes but keep it resumable: INTERRUPTED (`suspended`). Idempotent.

        Raises:
            TimedOut: processes are still there after `timeout_s`.
        """
        ...

    def find(self, folder: Path, attempt: int) -> ExecutorHandle | None:
        """Return the attempt's handle, or None where it was certainly never submitted."""
        ...


@runtime_checkable
class SandboxingExecutor(Protocol):
    """An executor that can keep a program in a sandbox. One without this method is never given a job that asks for one."""

    def check_sandbox(self) -> None:
        """Return where a sandbox can be made now.

        After return, an attempt of a job with `sandbox` runs in one, or is FAILED should that have become impossible.

        Raises:
            Rejected: no sandbox can be made, why, and how to mend it; nothing was submitted.
        """
        ...


@runtime_checkable
class SealingExecutor(Protocol):
    """An executor that keeps sealed stages out of the program's process. One without this is never given a job that has some."""

    def check_sealed(self) -> None:
        """Return where a device server can be started beside a program.

        After return, each attempt of a job with `sealed` stages gets a device server of its own, outside of its program's process
        and of its sandbox, which ends with the attempt.

        Raises:
            Rejected: none can be started here, and why; nothing was submitted.
        """
        ...


@runtime_checkable
class WarmingExecutor(Protocol):
    """An executor that starts jobs faster once it is warm."""

    def warm_up(self, job: JobSpec, *, wait_s: float = 10.0) -> bool:
        """Get ready for many jobs that are like this one, within `wait_s`; False where they start as ever."""
        ...
