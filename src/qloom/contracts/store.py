"""Stores: where the records of jobs are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from qloom.jobspecs import JobSpec, JobStatus


@runtime_checkable
class Store(Protocol):
    """Keeps jobs. What `create` returned survives a kill of the process; a job is there whole or not at all."""

    def create(self, job: JobSpec, source: Mapping[str, bytes], inputs: Mapping[str, Path], *, queued: bool = False) -> Path:
        """Write a new job's folder and return it.

        Args:
            job: the specification.
            source: path inside the bundle -> content.
            inputs: input channel -> file or folder to copy in.
            queued: whether it begins as QUEUED, attempt 1, for a caller who submits it at once, instead of as CREATED.

        Raises:
            StorageFailed: the disk is full or read-only; nothing is left behind.
        """
        ...

    def folder(self, job_id: str) -> Path:
        """Return a job's folder; a unique beginning of the id (4 characters or more) is enough.

        Raises:
            UnknownName: no such job, or several.
        """
        ...

    def load(self, job_id: str) -> JobSpec:
        """Return a job's specification.

        Raises:
            UnknownName: no such job.
            CorruptRecord: the record cannot be read.
        """
        ...

    def jobs(self) -> Iterator[JobSpec]:
        """Yield all jobs, newest first."""
        ...

    def status(self, folder: Path) -> JobStatus:
        """Return what the latest attempt wrote; says nothing about whether its processes live."""
        ...
