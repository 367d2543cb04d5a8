"""`qloom.map`: one program over many parameter sets, as jobs that go on where they were when something dies."""

from __future__ import annotations

import atexit
import hashlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from qloom.api.jobs import Job
from qloom.app import RESUMABLE, Launch, MapRecord, application
from qloom.contracts import WarmingExecutor
from qloom.errors import CorruptRecord, InvalidParameters, InvalidSetting, MapFailed, Misuse, QloomError, Rejected, WrongState
from qloom.jobspecs import JobState, JobStatus, new_job_id
from qloom.kit.job_folder import JobFolder
from qloom.programs.definition import ProgramDefinition, inside_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

MOST_ATTEMPTS = 3
"""A job of a map whose processes are killed is resumed until it has had so many attempts in this run of the map."""
_LOOK_S = 0.25
"""Time between two looks at jobs that end without a word, and at whether the map was told to end."""
_SHOWN_ERRORS = 3


@dataclass(frozen=True, slots=True)
class MapItem:
    """One job of a map, ended.

    Attributes:
        index: its place among the parameter sets, from 0.
        parameters: its arguments.
        folder: the job's; None where it could not even be created.
        error: why it has no result; None where it has one.
    """

    index: int
    parameters: dict[str, Any]
    folder: JobFolder | None
    error: QloomError | None

    @property
    def job(self) -> Job | None:
        """The job; None where it could not even be created."""
        return None if self.folder is None else Job(self.folder)

    @property
    def result(self) -> Any:
        """What the program returned.

        Raises:
            QloomError: it has none; the same error as `Job.result`.
        """
        if self.error is not None or self.folder is None:
            raise self.error or Misuse(f"job {self.index} of the map has not been created")
        return Job(self.folder).result()


def map(  # noqa: A001  the word for it, as in Python and in every pool
    program: ProgramDefinition,
    parameter_sets: Iterable[Mapping[str, Any]],
    *,
    max_parallel: int | None = None,
    name: str | None = None,
    fresh_processes: bool = False,
    progress: bool | None = None,
) -> Map:
    """Run a program once for each parameter set, several at a time, and return at once.

    Each set is a job of its own, with a journal and a seed that comes from the map's seed and its index. Results come in
    order, as soon as they are there. A map with a name goes on where it was: call it again, after a kill or an error, and only
    what has no result runs.

    Args:
        program: the program; its options hold for every job. `seed` is the map's.
        parameter_sets: the arguments of each job.
        max_parallel: jobs at one time; None for as many as there are cores for, by `resources.cpus`.
        name: of the map, 1 to 64 letters, digits, '.', '_' or '-'; None makes one up.
        fresh_processes: whether each job gets a process of its own. Otherwise jobs follow each other in the same few
            processes, each with its modules loaded anew; what a program changes in a library then lasts until the process
            ends.
        progress: whether a bar is shown on standard error; None shows it on a terminal.

    Raises:
        InvalidParameters: a set that does not fit the program, with its index; nothing was started.
        InvalidSetting: `max_parallel` or `name`; or there is another map of that name.
        WrongState: the map is being run by another process.

    >>> import qloom
    >>> @qloom.program
    ... def double(ctx: qloom.Context, x: int) -> int:
    ...     return 2 * x
    >>> qloom.map(double, [{"x": 1}, {"x": "two"}])
    Traceback (most recent call last):
    qloom.errors.InvalidParameters: parameter set 1: double: x must be an integer, got 'two'
    """
    if inside_job():
        raise Misuse("qloom.map() was called inside a job; put what starts jobs under `if __name__ == '__main__':`")
    if not isinstance(program, ProgramDefinition):
        raise Misuse(f"qloom.map() takes a program first, a function under @qloom.program; got {program!r}")
    if name is not None and not isinstance(name, str):
        raise InvalidSetting(f"a map's name is text, got {name!r}")
    arguments = _checked(program, parameter_sets)
    parallel = _parallel(max_parallel, program.options.resources.cpus)
    launch, maps = application().launch(program), application().maps
    name = new_job_id() if name is None else name
    held = maps.hold(name)  # before anybody looks whether there is one: two that begin at once must not both think so
    try:
        record = launch.map_record(maps, name, arguments)
        return Map(record, launch, held, max_parallel=parallel, fresh_processes=fresh_processes, progress=progress)
    except BaseException:
        os.close(held)
        raise


class Map:
    """The jobs of one map. Its jobs are started by a thread of this process, and end with the process.

    Attributes:
        name: its name.
    """

    def __init__(
        self, record: MapRecord, launch: Launch, held: int, *, max_parallel: int, fresh_processes: bool, progress: bool | None
    ) -> None:
        self.name = record.name
        self._record = record
        self._held = held
        self._items: dict[int, MapItem] = {}
        self._changed = threading.Condition()
        self._driver = _Driver(record, launch, max_parallel, fresh_processes=fresh_processes, tell=self._take)
        self._shown = _bar(record, wanted=progress)
        self._driver.start()

    def __len__(self) -> int:
        return len(self._record.jobs)

    @property
    def jobs(self) -> list[Job]:
        """The jobs that exist so far, in the order of the parameter sets."""
        app = application()
        folders = [app.store.path(job_id) for job_id in self._record.jobs]
        return [Job(JobFolder(folder)) for folder in folders if folder.exists()]

    def __iter__(self) -> Iterator[MapItem]:
        """Yield the jobs in the order of the parameter sets, each as soon as it and those before it have ended."""
        for index in range(len(self)):
            yield self._await(index)
        self._driver.join()  # the bar stands still, and the name is free

    def as_completed(self) -> Iterator[MapItem]:
        """Yield the jobs in the order in which they end."""
        seen: set[int] = set()
        while len(seen) < len(self):
            new = self._await_new(seen)
            seen.update(item.index for item in new)
            yield from new
        self._driver.join()

    def results(self) -> list[Any]:
        """Wait for all and return the results in the order of the parameter sets.

        Raises:
            MapFailed: some have none; it carries their errors and the results of the others.
        """
        items = list(self)
        failures = {item.index: item.error for item in items if item.error is not None}
        results = {item.index: item.result for item in items if item.error is None}
        if failures:
            raise MapFailed(_why(self._record, failures), failures=failures, results=results)
        return [results[index] for index in range(len(self))]

    def wait(self) -> Map:
        """Wait until every job has ended."""
        for _ in self:
            pass
        return self

    def counts(self) -> dict[str, int]:
        """Return how many jobs are `completed`, `failed` and `left`."""
        with self._changed:
            failed = sum(item.error is not None for item in self._items.values())
            ended = len(self._items)
        return {"completed": ended - failed, "failed": failed, "left": len(self) - ended}

    def suspend(self) -> None:
        """Start no more jobs and end those that run; call `qloom.map` with the same name to go on."""
        self._driver.stop(application().suspend)

    def cancel(self) -> None:
        """Start no more jobs and end those that run for good."""
        self._driver.stop(application().cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.counts()["left"]:
            self.suspend()

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts().items())
        return f"<Map {self.name} {self._record.program}: {counts}>"

    # ---- notebooks ---------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether no more jobs are started or waited for: all have ended, or the map was."""
        return self._driver.over

    def snapshot(self) -> dict[str, str]:
        """Return what a notebook shows: how far the map is at this moment, as text and as HTML without scripts."""
        # Here, as a map without a notebook does not wait for it.
        from qloom.report.map_snapshot import MapSnapshot, html_map, text_map

        with self._changed:
            failures = sorted((item for item in self._items.values() if item.error is not None), key=lambda item: item.index)
        shown = MapSnapshot(
            name=self.name,
            program=self._record.program,
            counts=self.counts(),
            running=0 if self.over else self._driver.running,
            over=self.over,
            problem=str(self._driver.problem or ""),
            failures=tuple((item.index, item.parameters, str(item.error)) for item in failures),
        )
        return {"text/plain": text_map(shown), "text/html": html_map(shown)}

    def _repr_mimebundle_(self, **_wanted: Any) -> dict[str, str]:
        return self.snapshot()

    def _ipython_display_(self) -> None:
        """Follow the map in a kernel, where a cell's output can change; anywhere else leave it to `_repr_mimebundle_`."""
        from qloom.api.live import show_live_map

        if not show_live_map(self):
            raise NotImplementedError("nothing to follow; IPython takes _repr_mimebundle_ instead")

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _take(self, item: MapItem | None) -> None:
        """Take a job that has ended; None when no more comes."""
        if item is None:
            os.close(self._held)
        if self._shown is not None:
            self._shown(item)
        with self._changed:
            if item is not None:
                self._items[item.index] = item
            self._changed.notify_all()

    def _await(self, index: int) -> MapItem:
        with self._suspended_by_interrupt(), self._changed:
            self._changed.wait_for(lambda: index in self._items or self._driver.over)
            return self._found(index)

    def _await_new(self, seen: set[int]) -> list[MapItem]:
        with self._suspended_by_interrupt(), self._changed:
            self._changed.wait_for(lambda: len(self._items) > len(seen) or self._driver.over)
            new = [item for index, item in self._items.items() if index not in seen]
            return new or [self._found(next(index for index in range(len(self)) if index not in seen))]

    def _found(self, index: int) -> MapItem:
        if index not in self._items:
            if self._driver.problem is not None:
                raise self._driver.problem
            raise WrongState(f"map {self.name} was ended before job {index}; call qloom.map with name={self.name!r} to go on")
        return self._items[index]

    @contextmanager
    def _suspended_by_interrupt(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self.suspend()
            raise


class _Driver(threading.Thread):
    """Starts the jobs of a map, so many at a time, and tells how each ended."""

    def __init__(
        self,
        record: MapRecord,
        launch: Launch,
        max_parallel: int,
        *,
        fresh_processes: bool,
        tell: Callable[[MapItem | None], None],
    ) -> None:
        super().__init__(name=f"qloom map {record.name}", daemon=True)
        self.problem: QloomError | None = None
        self.over = False
        self._record = record
        self._launch = launch
        self._most = max_parallel
        self._fresh = fresh_processes
        self._tell = tell
        self._next_look = 0.0
        self._waiting = deque(range(len(record.jobs)))
        self._running: dict[int, JobFolder] = {}
        self._resumed: dict[int, int] = {}
        self._end: Callable[[JobFolder], JobStatus] | None = None

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._running)

    def run(self) -> None:
        try:
            if self._waiting and isinstance(self._launch.executor, WarmingExecutor):
                self._launch.executor.warm_up(self._launch.template)
            while (self._waiting or self._running) and self._end is None:
                self._turn()
            for index, folder in self._running.items():
                self._take(index, folder, (self._end or application().suspend)(folder))
        except QloomError as error:
            self.problem = error
        finally:
            self.over = True
            self._tell(None)

    def stop(self, end: Callable[[JobFolder], JobStatus]) -> None:
        """Start no more jobs, end those that run, and wait until that is done."""
        self._end = end
        self.join()

    def _turn(self) -> None:
        while self._waiting and len(self._running) < self._most:
            self._begin(self._waiting.popleft())
        ended = set(self._launch.executor.wait([folder.path for folder in self._running.values()], _LOOK_S))
        look_at_all = time.monotonic() > self._next_look
        if look_at_all:
            self._next_look = time.monotonic() + _LOOK_S
        for index, folder in tuple(self._running.items()):
            if not look_at_all and folder.path not in ended:
                continue
            status = self._launch.executor.watch(folder.path)
            if status.state.ended and not self._resume_killed(index, folder, status):
                del self._running[index]
                self._take(index, folder, status)

    def _begin(self, index: int) -> None:
        job_id = self._record.jobs[index]
        folder = JobFolder(application().store.path(job_id))
        try:
            status = self._launch.executor.watch(folder.path) if folder.path.exists() else None
            if status is None:
                changes = {"map": self._record.name, "fresh_process": self._fresh}
                self._launch.start(self._record.parameters[index], job_id=job_id, seed=_seed(self._record.seed, index), **changes)
            elif status.state is JobState.CREATED:
                self._launch.executor.submit(folder.spec(), folder.path, 1)
            elif status.state in RESUMABLE:
                self._resume(folder)
            elif status.state.ended:
                self._take(index, folder, status)
                return
        except (Rejected, CorruptRecord) as error:
            self._tell(MapItem(index, self._record.parameters[index], None, error))
            return
        self._running[index] = folder

    def _resume_killed(self, index: int, folder: JobFolder, status: JobStatus) -> bool:
        """Resume a job whose processes were killed by somebody else; False where that has been done often enough."""
        if status.state is not JobState.INTERRUPTED or status.reason not in ("killed", "lost"):
            return False
        self._resumed[index] = self._resumed.get(index, 1) + 1
        if self._resumed[index] > MOST_ATTEMPTS:
            return False
        self._resume(folder)
        return True

    def _resume(self, folder: JobFolder) -> None:
        # Whoever else has just resumed it does what is wanted.
        with suppress(WrongState):
            application().resume(folder, detach=False)

    def _take(self, index: int, folder: JobFolder, status: JobStatus) -> None:
        error = None if status.state is JobState.COMPLETED else Job(folder).error(status)
        self._tell(MapItem(index, self._record.parameters[index], folder, error))


def _checked(program: ProgramDefinition, parameter_sets: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not isinstance(parameter_sets, Iterable) or isinstance(parameter_sets, Mapping | str | bytes):
        step = f'[{{"x": 1}}, {{"x": 2}}] runs {program.name} twice'
        raise InvalidParameters(f"parameter sets are several dicts, one for each job: {step}; got {parameter_sets!r}")
    checked = []
    for index, one in enumerate(parameter_sets):
        if not isinstance(one, Mapping):
            raise InvalidParameters(f"parameter set {index} must be a dict of the program's arguments, got {one!r}")
        try:
            checked.append(program.check_arguments((), one))
        except InvalidParameters as error:
            raise InvalidParameters(f"parameter set {index}: {error}") from error
    return checked


def _parallel(asked: int | None, cpus: int) -> int:
    if asked is None:
        return max(1, (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) // cpus)
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        raise InvalidSetting(f"max_parallel must be an integer from 1 up, got {asked!r}")
    return asked


def _seed(seed: int, index: int) -> int:
    """Return the seed of one job of a map: jobs of equal seeds would have equal noise."""
    return int.from_bytes(hashlib.blake2b(f"{seed}|map|{index}".encode(), digest_size=4).digest(), "big")


def _why(record: MapRecord, failures: Mapping[int, QloomError]) -> str:
    shown = [f"#{index} {record.parameters[index]}: {error}" for index, error in list(failures.items())[:_SHOWN_ERRORS]]
    more = len(failures) - len(shown)
    rows = "".join(f"\n  {row}" for row in [*shown, *([f"and {more} more, in `.failures`"] if more else [])])
    again = f"qloom.map(..., name={record.name!r}) runs them again, and only them"
    return f"{len(failures)} of {len(record.jobs)} jobs of map {record.name} have no result; {again}:{rows}"


def _bar(record: MapRecord, *, wanted: bool | None) -> Callable[[MapItem | None], None] | None:
    """Return what shows a bar and is told of each job that has ended, and of the end; None for no bar."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"))
    # What the caller prints goes above the bar where both are on a terminal, and where it was sent to otherwise.
    console, same = Console(stderr=True), sys.stdout.isatty()
    progress = Progress(*columns, TimeRemainingColumn(), console=console, redirect_stdout=same)
    task = progress.add_task(record.program, total=len(record.jobs), failed="")
    failed = 0
    progress.start()
    atexit.register(progress.stop)  # whoever leaves early: a bar that is killed leaves a terminal without its cursor

    def show(item: MapItem | None) -> None:
        nonlocal failed
        if item is None:
            atexit.unregister(progress.stop)
            progress.stop()
            return
        failed += item.error is not None
        progress.update(task, advance=1, failed=f"{failed} failed" if failed else "")

    return show
