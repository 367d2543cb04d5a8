"""`Job`, `qloom.job`, `qloom.jobs`: what ran, what became of it, how it goes on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qloom import errors
from qloom.api.attempts import read_attempts, read_outcome, read_timings
from qloom.app import application, attempt_options, interrupted
from qloom.errors import CorruptRecord, JobCancelled, NoResult, ProgramFailed, QloomError
from qloom.jobspecs import JobState, JobStatus
from qloom.kit.files import read_json
from qloom.kit.values import plain_result, read_result
from qloom.kit.waiting import pauses, sleep_or_exit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.journal import JournalView
    from qloom.kit.job_folder import JobFolder


class Job:
    """One run of a program. Everything is read from the job's folder, so any process may ask.

    >>> import qloom
    >>> qloom.jobs(limit=0)
    []
    """

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._job = folder.spec()

    @property
    def id(self) -> str:
        """The job's id; sorts by creation time."""
        return self._job.job_id

    @property
    def program(self) -> str:
        """The program's name."""
        return self._job.program

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments it runs with."""
        return dict(self._job.parameters)

    @property
    def map(self) -> str:
        """Name of the map it belongs to; empty for none."""
        return self._job.map

    @property
    def folder(self) -> JobFolder:
        """Where its files are."""
        return self._folder

    def status(self) -> JobStatus:
        """Return where the job stands, with attempt, reason and error."""
        return application().status(self._folder)

    def state(self) -> JobState:
        """Return the job's state."""
        return self.status().state

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for the end and return what the program returned.

        Raises:
            TimedOut: not ended in time; the job goes on.
            ProgramFailed: the program raised; type, message and its own frames are in the error.
            LimitExceeded, NoResult, StorageFailed, Divergence: as recorded.
            JobInterrupted: its processes are gone; `resume` goes on.
            JobCancelled: it was cancelled.
        """
        for pause in pauses(f"job {self.id}", timeout_s, first_s=0.02):
            status = self.status()
            if status.state.ended:
                return self._outcome(status)
            application().wait(self._folder, pause)
        raise AssertionError("pauses() ends by raising")  # pragma: no cover

    def error(self, status: JobStatus | None = None) -> QloomError | None:
        """Return why the job has no result, as `result` would raise it; None where it has one, or has not ended.

        Args:
            status: where it stands, for those who have just asked.
        """
        status = self.status() if status is None else status
        if not status.state.ended:
            return None
        try:
            self._outcome(status)
        except QloomError as error:
            return error
        return None

    async def wait(self, timeout_s: float | None = None) -> JobState:
        """Wait for the end without blocking the event loop and return the state it ended in.

        Raises:
            TimedOut: not ended in time; the job goes on.
        """
        import asyncio

        for pause in pauses(f"job {self.id}", timeout_s):
            state = self.state()
            if state.ended:
                return state
            await asyncio.sleep(pause)
        raise AssertionError("pauses() ends by raising")  # pragma: no cover

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics logged so far: `name`, `value`, `step`, `timestamp`; each once, however often it was resumed."""
        return [metric._asdict() for metric in application().journal(self._folder).metrics]

    def logs(self, *, follow: bool = False, timeout_s: float | None = None) -> Iterator[str]:
        """Yield the captured output, line by line with time stamps; with `follow`, until the job ends."""
        shown: dict[int, int] = {}
        for pause in pauses(f"job {self.id}", timeout_s):
            status = self.status()
            yield from self._new_lines(shown, status.attempt, last=status.state.ended or not follow)
            if not follow or status.state.ended:
                return
            sleep_or_exit(status.pid, pause)

    def cancel(self) -> JobState:
        """End the job for good, its whole process group; idempotent. Returns the state it is left in."""
        return application().cancel(self._folder).state

    def suspend(self) -> JobState:
        """End the job's processes but keep it resumable; idempotent. Returns the state it is left in."""
        return application().suspend(self._folder).state

    def resume(self, **options: Any) -> Job:
        """Start another attempt: it replays what is recorded and goes on.

        Args:
            options: `force` (also a CANCELLED job), `from_scratch` (forget what is recorded), `accept_divergence`
                (forget it from the first question that differs), `executor`, `detach`.

        Raises:
            WrongState: the job is running, was completed, or is being resumed by somebody else.
        """
        application().resume(self._folder, **options)
        return self

    def summary(self) -> dict[str, Any]:
        """Return the job as `qloom job list --json` shows it."""
        return {"job_id": self.id, "program": self.program, "state": str(self.state()), "created_at": self._job.created_at}

    def details(self) -> dict[str, Any]:
        """Return the job as `qloom job show --json` shows it."""
        return self.record()[0]

    def record(self) -> tuple[dict[str, Any], Sequence[tuple[Any, ...]]]:
        """Return the job's details, and its metrics (name, value, step, timestamp, lane), from one reading of its journal."""
        journal = application().journal(self._folder)
        return self._details(journal), journal.metrics

    def _details(self, journal: JournalView) -> dict[str, Any]:
        status = self.status()
        outcome = read_outcome(self._folder, status.attempt)
        attempts = read_attempts(self._folder, status)
        engines = journal.engines
        return {
            **self.summary(),
            "state": str(status.state),
            "kind": self._job.kind,
            "map": self._job.map or None,
            "entry_point": self._job.entry_point,
            "parameters": self._job.parameters,
            "devices": self._job.devices,
            "executor": self._job.executor,
            "seed": self._job.seed if self._job.kind == "program" else None,
            "python": self._job.python or None,
            "digest": self._job.digest(),
            "resources": asdict(self._job.resources),
            "pipeline": list(self._job.pipeline),
            "versions": self._job.versions,
            "platform": outcome.get("platform"),
            "packages": outcome.get("packages") or {},
            "environment": self._job.environment,
            "attempts": attempts,
            "timings": read_timings(
                self._job, attempts, quantum_s=journal.quantum_s, since_attempt=self._started_from_scratch(status.attempt)
            ),
            "quantum_tasks": {"executed": journal.executed, "replayed": (outcome.get("quantum_tasks") or {}).get("replayed", 0)},
            "engine": engines[-1].name if engines else None,
            "engines": [engine._asdict() for engine in engines],
            "stages": journal.stages,
            "seconds": _seconds(status),
            "cost_usd": 0.0,
            "budget_usd": self._job.budget_usd,
            "result": self._result_or_none(status),
            "error": _error(status),
            "problems": list(dict.fromkeys([*journal.problems, *outcome.get("problems", [])])),
            "folder": str(self._folder.path),
        }

    # ---- inside --------------------------------------------------------------------------------------------------

    def _outcome(self, status: JobStatus) -> Any:
        if status.state is JobState.COMPLETED:
            if files := self._files_without_result(status.attempt):
                raise NoResult(f"job {self.id} COMPLETED without a result; in {self._folder.results}: {', '.join(files)}")
            return read_result(self._results_document())
        if status.state is JobState.INTERRUPTED:
            raise interrupted(self._folder, status)
        if status.state is JobState.CANCELLED:
            raise JobCancelled(f"job {self.id} was cancelled and has no result; `qloom job resume {self.id} --force` goes on")
        raise _failure(self.id, status)

    def _result_or_none(self, status: JobStatus) -> Any:
        if status.state is not JobState.COMPLETED or self._files_without_result(status.attempt):
            return None
        return plain_result(self._results_document())

    def _results_document(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = read_json(self._folder.results_file)
        except FileNotFoundError as error:
            raise CorruptRecord(
                f"job {self.id} is COMPLETED but {self._folder.results_file} is gone; restore it from a copy or remove the job"
            ) from error
        return document

    def _started_from_scratch(self, latest: int) -> int:
        """The attempt that last forgot what was recorded; the first one where none did."""
        forgot = [number for number in range(1, latest + 1) if attempt_options(self._folder, number).get("from_scratch")]
        return max(forgot, default=1)

    def _files_without_result(self, attempt: int) -> list[str]:
        """Return what a script left that saved no result; nothing where there is one."""
        if self._job.kind != "script" or self._folder.results_file.exists():
            return []
        return [str(name) for name in read_outcome(self._folder, attempt).get("files") or ()]

    def _progress(self, attempt: int) -> dict[str, Any]:
        try:
            document = read_json(self._folder.progress_file(attempt))
        except (FileNotFoundError, CorruptRecord):  # for people only, written again in a moment
            return {}
        return document if isinstance(document, dict) else {}

    def _new_lines(self, shown: dict[int, int], attempts: int, *, last: bool) -> Iterator[str]:
        for attempt in range(1, attempts + 1):
            try:
                with self._folder.output_file(attempt).open("rb") as file:
                    file.seek(shown.get(attempt, 0))
                    text = file.read()
            except FileNotFoundError:
                continue
            whole = text if last or attempt < attempts else text[: text.rfind(b"\n") + 1]
            shown[attempt] = shown.get(attempt, 0) + len(whole)
            yield from whole.decode(errors="replace").splitlines()

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.program} {self.state()}>"

    # ---- notebooks -----------------------------------------------------------------------------------------------

    def snapshot(self, said: str = "") -> dict[str, str]:
        """Return what a notebook shows: where the job stands at this moment, as text and as HTML without scripts.

        Args:
            said: a sentence to stand below it.
        """
        # Here, as a submitted job does not wait for what only notebooks need.
        from qloom.report.pictures import read_pictures
        from qloom.report.snapshot import PICTURE_BYTES, PICTURES, html_snapshot, text_snapshot
        from qloom.report.values import read_job

        try:
            pictures = read_pictures(self._folder.results, most=PICTURES, most_bytes=PICTURE_BYTES)
            document, progress = read_job(*self.record(), pictures=pictures), self._progress(self.status().attempt)
        except QloomError as error:
            return {"text/plain": f"<Job {self.id} {self.program}: {error}>"}
        return {"text/plain": text_snapshot(document, progress), "text/html": html_snapshot(document, progress, said)}

    def _repr_mimebundle_(self, **_wanted: Any) -> dict[str, str]:
        return self.snapshot()

    def _ipython_display_(self) -> None:
        """Follow the job in a kernel, where a cell's output can change; anywhere else leave it to `_repr_mimebundle_`."""
        from qloom.api.live import show_live

        try:
            shown = show_live(self)
        except QloomError:  # which the snapshot tells
            shown = False
        if not shown:
            raise NotImplementedError("nothing to follow; IPython takes _repr_mimebundle_ instead")


def _failure(job_id: str, status: JobStatus) -> QloomError:
    kind = getattr(errors, status.error_type, None)
    message = f"job {job_id} FAILED: {status.error}"
    if isinstance(kind, type) and issubclass(kind, QloomError):
        error = kind.__new__(kind)
        Exception.__init__(error, message)
        return error
    where = "".join(f"\n  {frame}" for frame in status.frames)
    return ProgramFailed(message + where, error_type=status.error_type, frames=status.frames)


def _error(status: JobStatus) -> dict[str, Any] | None:
    if not status.error:
        return None
    return {"type": status.error_type, "message": status.error, "frames": list(status.frames), "reason": status.reason}


def _seconds(status: JobStatus) -> float | None:
    if status.started_at is None or status.ended_at is None:
        return None
    return status.ended_at - status.started_at


def job(job_id: str) -> Job:
    """Return a job by its id or the beginning of it.

    Raises:
        UnknownName: no such job, or several begin so.
    """
    return Job(application().folder(job_id))


def jobs(*, limit: int | None = None) -> list[Job]:
    """Return the jobs kept here, newest first."""
    app = application()
    found: list[Job] = []
    for spec in app.store.jobs():
        if limit is not None and len(found) >= limit:
            break
        found.append(Job(app.folder(spec.job_id)))
    return found
