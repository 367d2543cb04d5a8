"""`write_report`, `write_comparison`: a job's report, or that of two, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qloom.errors import StorageFailed
from qloom.kit.files import write_atomically
from qloom.report.compare import job_comparison
from qloom.report.html import job_report
from qloom.report.pictures import read_pictures
from qloom.report.values import read_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from qloom.kit.job_folder import JobFolder


class ReportedJob(Protocol):
    """What a report asks of a job; `qloom.Job` answers it."""

    @property
    def folder(self) -> JobFolder:
        """Where its files are."""
        ...

    def record(self) -> tuple[Mapping[str, Any], Iterable[tuple[Any, ...]]]:
        """Return the job as `qloom job show --json` gives it, and name, value and step of each metric logged so far."""
        ...

    def logs(self) -> Iterable[str]:
        """Return the captured output, line by line."""
        ...


def write_report(job: ReportedJob, path: Path) -> None:
    """Write the job's report as one HTML file; folders on the way are made, an older report is replaced in one step.

    Raises:
        StorageFailed: the file cannot be written; an older report is intact.
    """
    details, metrics = job.record()
    document = read_job(details, metrics, list(job.logs()), read_pictures(job.folder.results))
    _write(path, job_report(document))


def write_comparison(first: ReportedJob, second: ReportedJob, path: Path) -> None:
    """Write two jobs side by side as one HTML file, as `write_report` writes one.

    Raises:
        StorageFailed: the file cannot be written; an older one is intact.
    """
    here, there = (read_job(*job.record(), pictures=read_pictures(job.folder.results)) for job in (first, second))
    _write(path, job_comparison(here, there))


def _write(path: Path, page: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"cannot make the folder {path.parent} for the report: {error.strerror}; name another file"
        ) from error
    write_atomically(path, page.encode(), durable=False)
