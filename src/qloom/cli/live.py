"""What a running job shows: a bar with rate, time left and metric values on a terminal; only its output elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from qloom.app import application
from qloom.cli.output import notes
from qloom.errors import CorruptRecord
from qloom.jobspecs import JobState, JobStatus
from qloom.kit.files import read_json
from qloom.kit.waiting import pauses, sleep_or_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qloom.api.jobs import Job

SHOWN_METRICS = 3
LOOK_EVERY_S = 0.1


def follow(job: Job, *, quiet: bool = False) -> JobStatus:
    """Show a job until it ends and return its last status. Program output goes to stderr, as it comes.

    Args:
        job: the job.
        quiet: show nothing at all.
    """
    with _screen(quiet=quiet) as show:
        lines = Lines(job)
        for pause in pauses(f"job {job.id}", None, longest_s=LOOK_EVERY_S):
            status = job.status()
            show(job, status, lines.new(status))
            if status.state.ended:
                return status
            sleep_or_exit(status.pid, pause)
    raise AssertionError("pauses() without a limit does not end")  # pragma: no cover


class Lines:
    """The program's output since last asked, without time stamps and stream names."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._offset = 0
        self._attempt = 0

    def new(self, status: JobStatus) -> list[str]:
        """Return the whole lines that came since the last call; of an ended job also an unfinished last one."""
        if status.attempt != self._attempt:
            self._attempt, self._offset = status.attempt, 0
        path = self._job.folder.output_file(status.attempt)
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text if status.state.ended else text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [line.partition("| ")[2] for line in whole.decode(errors="replace").splitlines()]


@contextmanager
def _screen(*, quiet: bool) -> Iterator[Callable[[Job, JobStatus, list[str]], None]]:
    if quiet:
        yield lambda *_: None
    elif sys.stderr.isatty():
        with _Bar() as bar:
            yield bar.show
    else:
        yield lambda _job, _status, lines: sys.stderr.writelines(line + "\n" for line in lines)


class _Metrics(ProgressColumn):
    """The column that gives way on a narrow terminal, so that steps and time left can be read."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["metrics"], style="green", no_wrap=True, overflow="ellipsis")


class _Bar:
    """A rich progress bar fed from the job's progress file and journal."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="cyan"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            _Metrics(),
            console=notes(),
        )
        self._task = self._progress.add_task("starting", total=None, rate="", metrics="")
        self._values: dict[str, float] = {}
        self._tail: Any = None
        self._restarts = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: Job, status: JobStatus, lines: list[str]) -> None:
        for line in lines:
            self._progress.console.print(line, markup=False, highlight=False)
        if self._tail is None:
            self._tail = application().journal_tail(job.folder)
        fresh = {metric.name: metric.value for metric in self._tail.new_metrics()}
        self._values = fresh if self._tail.restarts != self._restarts else self._values | fresh
        self._restarts = self._tail.restarts
        self._draw(job, status, read_progress(job, status))

    def _draw(self, job: Job, status: JobStatus, seen: dict[str, Any]) -> None:
        rate = seen.get("rate_per_s")
        shown = list(self._values.items())[-SHOWN_METRICS:]
        done = seen.get("done", 0)
        self._progress.update(
            self._task,
            description=f"{job.program} {status.state}",
            # A loop that ended early, having converged, is done all the same.
            total=max(done, 1) if status.state is JobState.COMPLETED else seen.get("total"),
            completed=done,
            rate=f"{rate:,.0f}/s" if rate else "",
            metrics="  ".join(f"{name}={value:.8g}" for name, value in shown),
        )


def read_progress(job: Job, status: JobStatus) -> dict[str, Any]:
    """Return how far the latest attempt says it is; nothing where it says nothing."""
    try:
        document: dict[str, Any] = read_json(job.folder.progress_file(status.attempt))
    except (FileNotFoundError, CorruptRecord):
        return {}
    return document
