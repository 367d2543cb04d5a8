"""`qloom job watch`: jobs while they run, from any terminal; looking changes nothing about them."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from qloom.api import jobs
from qloom.app import application
from qloom.cli.live import Lines, read_progress
from qloom.cli.outcome import Outcome
from qloom.cli.output import STATE_STYLES, Json, emit, notes, people
from qloom.jobspecs import JobState, JobStatus
from qloom.kit.waiting import pauses, sleep_or_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from qloom.api.jobs import Job

    Show = Callable[[Sequence[JobStatus]], None]

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
LOOK_EVERY_S = 0.2
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40
BAR_WIDTH = 28
NAME_WIDTH = 20
VALUE_WIDTH = 14
SHOWN_METRICS = 6
SHOWN_LINES = 8

JobIds = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs, or the beginnings of them.")]


def register(app: typer.Typer) -> None:
    """Add `watch` to the commands about jobs."""
    app.command()(watch)


def watch(job_ids: JobIds, as_json: Json = False) -> None:
    """Watch jobs until all have ended; Ctrl-C stops the watching, not the jobs. Exit 0 when all are COMPLETED."""
    watched = list({job.id: job for job in map(jobs.job, job_ids)}.values())
    left = False
    try:
        with _screen(watched, quiet=as_json) as show:
            statuses = _until_all_ended(watched, show)
    except KeyboardInterrupt:
        left, statuses = True, [job.status() for job in watched]
    if as_json:
        emit([Outcome.of(job, status).document() for job, status in zip(watched, statuses, strict=True)])
    if left:
        notes().print(left_text(watched, statuses), markup=False)
        raise typer.Exit(EXIT_INTERRUPTED)
    if any(status.state is not JobState.COMPLETED for status in statuses):
        raise typer.Exit(EXIT_FAILED)


def left_text(watched: Sequence[Job], statuses: Sequence[JobStatus]) -> str:
    """Return what to say to somebody who stops watching."""
    alive = [job.id for job, status in zip(watched, statuses, strict=True) if not status.state.ended]
    if not alive:
        return "stopped watching; every job has ended"
    return f"stopped watching; the jobs go on (to end one: qloom job cancel ID): {' '.join(alive)}"


def _until_all_ended(watched: Sequence[Job], show: Show) -> list[JobStatus]:
    """Ended jobs are looked at as well: somebody may resume one while another one runs."""
    for pause in pauses("the watched jobs", None, longest_s=LOOK_EVERY_S):
        statuses = [job.status() for job in watched]
        show(statuses)
        alive = [status for status in statuses if not status.state.ended]
        if not alive:
            return statuses
        sleep_or_exit(alive[0].pid, pause)
    raise AssertionError("pauses() without a limit does not end")  # pragma: no cover


@contextmanager
def _screen(watched: Sequence[Job], *, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield lambda _: None
    elif sys.stdout.isatty():
        with Live(console=people(), auto_refresh=False) as live:
            yield _Stack(watched, live).show
    else:
        yield _Changes(watched).show


class _Changes:
    """Prints one tab-separated line for each change of a job's state."""

    def __init__(self, watched: Sequence[Job]) -> None:
        self._watched = watched
        self._seen: dict[str, tuple[int, JobState]] = {}

    def show(self, statuses: Sequence[JobStatus]) -> None:
        for job, status in zip(self._watched, statuses, strict=True):
            now = (status.attempt, status.state)
            if self._seen.get(job.id) != now:
                self._seen[job.id] = now
                print("\t".join(change(job.id, job.program, status)), flush=True)


def change(job_id: str, program: str, status: JobStatus) -> list[str]:
    r"""Return the columns of one change of state: id, program, state and, where it has one, the error in one line.

    >>> change("01a", "vqe", JobStatus(state=JobState.FAILED, error="KeyError:\n'x'"))
    ['01a', 'vqe', 'FAILED', "KeyError: 'x'"]
    """
    why = why_ended(status)
    return [job_id, program, str(status.state), *([why] if why else [])]


def why_ended(status: JobStatus) -> str:
    """Return why a job ended without a result, in one line.

    >>> why_ended(JobStatus(state=JobState.INTERRUPTED, reason="suspended", error="by hand"))
    '(suspended) by hand'
    """
    if not status.state.ended or not status.error:
        return ""
    return " ".join([*([f"({status.reason})"] if status.reason else []), *status.error.split()])


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is drawn of one job.

    Attributes:
        job_id, program: which job it is.
        status: where it stands.
        progress: `done`, `total`, `rate_per_s`, `description`, as the program wrote them; empty where it did not.
        metrics: the latest values by name, oldest first.
        lines: the latest lines of its output.
        now: seconds since 1970, for how long it runs.
    """

    job_id: str
    program: str
    status: JobStatus
    progress: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)
    lines: Sequence[str] = ()
    now: float = 0.0


class _Stack:
    """Draws the jobs below one another, again at every look."""

    def __init__(self, watched: Sequence[Job], live: Live) -> None:
        self._windows = [_Window(job) for job in watched]
        self._live = live

    def show(self, statuses: Sequence[JobStatus]) -> None:
        views = [window.look(status) for window, status in zip(self._windows, statuses, strict=True)]
        self._live.update(Group(*draw(views, *self._live.console.size)), refresh=True)


class _Window:
    """What is known of one job so far: it reads only what is new."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._output = Lines(job)
        self._lines: deque[str] = deque(maxlen=SHOWN_LINES)
        self._tail = application().journal_tail(job.folder)
        self._restarts = 0
        self._metrics: dict[str, deque[float]] = {}

    def look(self, status: JobStatus) -> View:
        self._lines.extend(self._output.new(status))
        fresh = self._tail.new_metrics()
        if self._tail.restarts != self._restarts:  # what an attempt forgot that began from scratch
            self._restarts = self._tail.restarts
            self._metrics.clear()
        for metric in fresh:
            self._metrics.setdefault(metric.name, deque(maxlen=SPARK_WIDTH)).append(metric.value)
        return View(
            job_id=self._job.id,
            program=self._job.program,
            status=status,
            progress=read_progress(self._job, status),
            metrics=self._metrics,
            lines=tuple(self._lines),
            now=time.time(),
        )


def draw(views: Sequence[View], width: int, height: int) -> list[Text]:
    """Return the lines for all jobs; the output of each gives way so that they fit the terminal, one line of it stays."""
    heads = [_head(view, width) for view in views]
    room = height - 1 - sum(map(len, heads))
    each = max(1, min(SHOWN_LINES, room // max(1, len(views))))
    return [line for view, head in zip(views, heads, strict=True) for line in (*head, *_output(view.lines[-each:]))]


def _head(view: View, width: int) -> list[Text]:
    lines = [_title(view)]
    if text := progress_text(view.progress, view.status.state):
        lines.append(_plain(f"  {text}", "cyan"))
    shown = list(view.metrics.items())
    lines += [_metric(name, values, width) for name, values in shown[:SHOWN_METRICS]]
    if len(shown) > SHOWN_METRICS:
        lines.append(_plain(f"  and {len(shown) - SHOWN_METRICS} more metrics (qloom job metrics ID)", "dim"))
    if why := why_ended(view.status):
        lines.append(_plain(f"  {why}", "red"))
    return lines


def _title(view: View) -> Text:
    status = view.status
    title = _plain("", "")
    title.append(view.job_id, "dim").append(f" {view.program} ", "bold")
    title.append(str(status.state), STATE_STYLES.get(status.state, ""))
    if status.attempt > 1:
        title.append(f" attempt {status.attempt}")
    if status.started_at is not None:
        until = status.ended_at if status.state.ended and status.ended_at is not None else view.now
        title.append(f" {clock(until - status.started_at)}", "dim")
    return title


def _metric(name: str, values: Sequence[float], width: int) -> Text:
    label = name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"
    line = _plain(f"  {label:<{NAME_WIDTH}} ", "").append(f"{values[-1]:>{VALUE_WIDTH}.8g} ", "bold")
    return line.append(sparkline(values, min(SPARK_WIDTH, max(1, width - len(line)))), "green")


def _output(lines: Iterable[str]) -> Iterator[Text]:
    for text in lines:
        line = _plain("  │ ", "dim")
        # What a program prints may move the cursor: its colours are kept, everything else of that kind is dropped.
        yield line.append_text(Text.from_ansi(text))


def _plain(text: str, style: str) -> Text:
    """Return a line that is cut, never wrapped."""
    line = Text(no_wrap=True, overflow="ellipsis")
    return line.append(text, style)


def progress_text(seen: Mapping[str, Any], state: JobState = JobState.RUNNING) -> str:
    """Return a bar with what is done, the rate and, until the job ends, the time left; nothing where it tells no progress.

    >>> progress_text({"done": 7, "total": 28, "rate_per_s": 3.5})
    '━━━━━━━───────────────────── 7/28 3.5/s 0:00:06 left'
    >>> progress_text({"done": 7, "total": None, "rate_per_s": None})
    '7 done'
    """
    done, total, rate = seen.get("done", 0), seen.get("total"), seen.get("rate_per_s")
    if not seen or not (done or total):
        return ""
    if state is JobState.COMPLETED:  # a loop that ended early, having converged, is done all the same
        total = max(done, 1)
    parts = [bar(done, total), f"{done}/{total}"] if total else [f"{done} done"]
    if rate:
        parts.append(f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.2g}/s")
        if total and done < total and not state.ended:
            parts.append(f"{clock((total - done) / rate)} left")
    return " ".join([*parts, *([description] if (description := seen.get("description")) else [])])


def bar(done: int, total: int) -> str:
    """Return how much of `total` is done as a bar.

    >>> bar(3, 4).count("━") / len(bar(3, 4))
    0.75
    """
    filled = min(BAR_WIDTH, BAR_WIDTH * done // total)
    return "━" * filled + "─" * (BAR_WIDTH - filled)


def clock(seconds: float) -> str:
    """Return a time span for people.

    >>> clock(3725.4)
    '1:02:05'
    """
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """Return the latest values as blocks, lowest to highest; what is no finite number leaves a gap.

    >>> sparkline([0, 1, 2, float("nan"), 7])
    '▁▂▃ █'
    >>> sparkline([5, 5])
    '▄▄'
    """
    latest = list(values)[-width:]
    finite = [value for value in latest if math.isfinite(value)]
    if not finite:
        return " " * len(latest)
    largest = max(map(abs, finite)) or 1.0  # divided by it, no difference overflows
    low, high = min(finite) / largest, max(finite) / largest
    return "".join(_spark(value / largest, low, high) if math.isfinite(value) else " " for value in latest)


def _spark(value: float, low: float, high: float) -> str:
    if high <= low:
        return SPARKS[3]
    return SPARKS[round((value - low) / (high - low) * (len(SPARKS) - 1))]
