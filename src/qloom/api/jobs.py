"""`Job`, `qloom.job`, `qloom.jobs`: what ran, what became of it, how it goes on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qloom import errors
from qloom.app import application, interrupted
from qloom.errors import CorruptRecord, JobCancelled, ProgramFailed, QloomError
from qloom.jobspecs import JobState, JobStatus
from qloom.kit.files import read_json
from qloom.kit.values import plain_result, read_result
from qloom.kit.waiting import pauses, sleep_or_exit

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        for pause in pauses(f"job {self.id}", timeout_s):
            status = self.status()
            if status.state.ended:
                return self._outcome(status)
            sleep_or_exit(status.pid, pause)
        raise AssertionError("pauses() ends by raising")  # pragma: no cover

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
        status = self.status()
        journal = application().journal(self._folder)
        outcome = self._outcome_document(status.attempt)
        engines = journal.engines
        return {
            **self.summary(),
            "state": str(status.state),
            "parameters": self._job.parameters,
            "devices": self._job.devices,
            "executor": self._job.executor,
            "seed": self._job.seed,
            "digest": self._job.digest(),
            "resources": asdict(self._job.resources),
            "versions": self._job.versions,
            "attempts": [self._attempt(number, status) for number in range(1, status.attempt + 1)],
            "quantum_tasks": {"executed": journal.executed, "replayed": (outcome.get("quantum_tasks") or {}).get("replayed", 0)},
            "engine": engines[-1].name if engines else None,
            "seconds": _seconds(status),
            "cost_usd": 0.0,
            "result": self._result_or_none(status),
            "error": _error(status),
            "problems": list(dict.fromkeys([*journal.problems, *outcome.get("problems", [])])),
            "folder": str(self._folder.path),
        }

    # ---- inside --------------------------------------------------------------------------------------------------

    def _outcome(self, status: JobStatus) -> Any:
        if status.state is JobState.COMPLETED:
            return read_result(read_json(self._folder.results_file))
        if status.state is JobState.INTERRUPTED:
            raise interrupted(self._folder, status)
        if status.state is JobState.CANCELLED:
            raise JobCancelled(f"job {self.id} was cancelled and has no result; `qloom job resume {self.id} --force` goes on")
        raise _failure(self.id, status)

    def _result_or_none(self, status: JobStatus) -> Any:
        if status.state is not JobState.COMPLETED:
            return None
        try:
            return plain_result(read_json(self._folder.results_file))
        except FileNotFoundError as error:
            raise CorruptRecord(
                f"job {self.id} is COMPLETED but {self._folder.results_file} is gone; restore it from a copy or remove the job"
            ) from error

    def _outcome_document(self, attempt: int) -> dict[str, Any]:
        try:
            document = read_json(self._folder.outcome_file(attempt))
        except FileNotFoundError:
            return {}
        if not isinstance(document, dict):
            raise CorruptRecord(
                f"{self._folder.outcome_file(attempt)} holds no record of an attempt; restore it from a copy or remove the job"
            )
        return document

    def _progress(self, attempt: int) -> dict[str, Any]:
        try:
            document = read_json(self._folder.progress_file(attempt))
        except (FileNotFoundError, CorruptRecord):  # for people only, written again in a moment
            return {}
        return document if isinstance(document, dict) else {}

    def _attempt(self, number: int, status: JobStatus) -> dict[str, Any]:
        outcome = self._outcome_document(number)
        latest = number == status.attempt
        ended = str(status.state) if latest else (outcome.get("ended") or "no word left")
        return {"attempt": number, "ended": ended, "error": status.error if latest else outcome.get("error", "")}

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

    def _repr_mimebundle_(self, **_wanted: Any) -> dict[str, str]:
        """Return what a notebook shows: where the job stands at this moment, as text and as HTML without scripts."""
        # Here, as a submitted job does not wait for what only notebooks need.
        from qloom.report.snapshot import html_snapshot, text_snapshot
        from qloom.report.values import read_job

        try:
            document, progress = read_job(self.details(), self.metrics()), self._progress(self.status().attempt)
        except QloomError as error:
            return {"text/plain": f"<Job {self.id} {self.program}: {error}>"}
        return {"text/plain": text_snapshot(document, progress), "text/html": html_snapshot(document, progress)}


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
