"""`write_report`, `write_comparison`: a job's report, or that of two, as a file."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, Protocol

from qloom.errors import StorageFailed
from qloom.kit.files import write_atomically
from qloom.report.compare import job_comparison
from qloom.report.html import job_report
from qloom.report.values import installed_packages, read_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class ReportedJob(Protocol):
    """What a report asks of a job; `qloom.Job` answers it."""

    def details(self) -> Mapping[str, Any]:
        """Return the job as `qloom job show --json` gives it."""
        ...

    def metrics(self) -> Iterable[Mapping[str, Any]]:
        """Return the metrics logged so far."""
        ...

    def logs(self) -> Iterable[str]:
        """Return the captured output, line by line."""
        ...


def write_report(job: ReportedJob, path: Path) -> None:
    """Write the job's report as one HTML file; folders on the way are made, an older report is replaced in one step.

    Raises:
        StorageFailed: the file cannot be written; an older report is intact.
    """
    environment = {"platform": platform.platform(), **installed_packages()}
    _write(path, job_report(read_job(job.details(), job.metrics(), list(job.logs()), environment)))


def write_comparison(first: ReportedJob, second: ReportedJob, path: Path) -> None:
    """Write two jobs side by side as one HTML file, as `write_report` writes one.

    Raises:
        StorageFailed: the file cannot be written; an older one is intact.
    """
    # Only what the jobs recorded: this machine's packages would look the same on both sides.
    here, there = (read_job(job.details(), job.metrics()) for job in (first, second))
    _write(path, job_comparison(here, there))


def _write(path: Path, page: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"cannot make the folder {path.parent} for the report: {error.strerror}; name another file"
        ) from error
    write_atomically(path, page.encode(), durable=False)
