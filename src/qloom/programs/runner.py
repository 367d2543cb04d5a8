"""What a job's child process does: import the program, call it, and write down how it ended."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import NoResult, QloomError, StorageFailed, UnknownName
from qloom.kit.files import json_text, raise_storage, write_json
from qloom.kit.values import result_document
from qloom.programs.context import LOGGER
from qloom.programs.definition import ProgramDefinition
from qloom.programs.failures import deciding_error, error_text, user_frames, user_traceback
from qloom.programs.loaded import loaded_packages, platform_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder
    from qloom.programs.context import Context

RETURNED, FAILED, UNSAID = 0, 1, 3
"""Exit codes; with `UNSAID` the program's end could not be written down."""
SHORT_S = 0.05
"""A program that took no longer is run again, should a power loss take the record of its end."""
SMALL_BYTES = 4096
"""A result that is no larger is on the disk whole or not at all."""


class ThreadError(NamedTuple):
    """An exception that ended a thread which the program had started."""

    error: BaseException
    thread: str


class Ending(NamedTuple):
    """How a program ended.

    Attributes:
        ended: `returned`, `raised` (the user's code) or `refused` (qloom).
        error: what happened, for people; empty for `returned`.
        error_type: the exception's name.
        frames: the user's own frames, outermost first.
    """

    ended: str
    error: str = ""
    error_type: str = ""
    frames: tuple[str, ...] = ()


def run_program(folder: JobFolder, attempt: int, make_context: Callable[[], Context]) -> int:
    """Run a job's program and return the exit code of its process.

    The result is in `results/results.json`, complete, before `attempts/<n>/outcome.json` says how it ended. Both are forced
    to the disk, but for a small result of a program that took less than `SHORT_S`: after a power loss that may have to run
    again, which takes less time than many such syncs do. What was paid for is on the disk in any case.
    KeyboardInterrupt goes through: what it means is for the supervisor to say.

    Args:
        folder: the job's folder.
        attempt: number of this attempt.
        make_context: makes the program's context; called once its source was imported and its arguments were read.

    Returns:
        0 where it returned, 1 where it failed, 3 where not even that could be written down.
    """
    made: list[Context] = []

    def keep() -> Context:
        made.append(make_context())
        return made[0]

    begun = time.monotonic()
    with _surroundings(folder) as thread_errors:
        ending = _end(folder, keep, thread_errors, begun)
    document = ending._asdict() | _facts(folder, made[0] if made else None, ending, thread_errors)
    durable = ending.ended != "returned" or time.monotonic() - begun > SHORT_S
    try:
        try:
            _write(folder.outcome_file(attempt), document, durable=durable)
        except StorageFailed:
            folder.free_space(attempt)
            _write(folder.outcome_file(attempt), document)
    except StorageFailed as error:
        print(f"qloom: the program {ending.ended} ({ending.error or 'no error'}), but {error}", file=sys.stderr)  # noqa: T201  all that is left to say it with
        return UNSAID
    return RETURNED if ending.ended == "returned" else FAILED


def _end(folder: JobFolder, make_context: Callable[[], Context], thread_errors: list[ThreadError], begun: float) -> Ending:
    try:
        value = _run(folder, make_context)
        if thread_errors:
            return _failure(*thread_errors[0], folder)
        result = _document(value)
        durable = time.monotonic() - begun > SHORT_S or len(json_text(result)) > SMALL_BYTES
        _write(folder.results_file, result, durable=durable, named=False)  # its name is there if the outcome's is
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  whatever the user's program raises is how the job ended, and is told
        return _failure(error, "", folder)
    return Ending("returned")


def _run(folder: JobFolder, make_context: Callable[[], Context]) -> Any:
    before = set(threading.enumerate())
    job = folder.spec()
    program = _load(job)
    arguments = program.decode_arguments(job.parameters)
    context = make_context()
    try:
        value = _call(program, context, arguments)
        _wait_for_threads(before)
    finally:
        context.close()
    return value


def _load(job: JobSpec) -> ProgramDefinition:
    module_name, _, name = job.entry_point.partition(":")
    module = importlib.import_module(module_name)
    found = getattr(module, name, None)
    if isinstance(found, ProgramDefinition):
        return found
    if not callable(found):
        raise UnknownName.among(f"program in {module_name}", name, [key for key in vars(module) if not key.startswith("_")])
    return ProgramDefinition(found)


def _call(program: ProgramDefinition, context: Context, arguments: dict[str, Any]) -> Any:
    value = program.function(context, **arguments)
    if inspect.iscoroutine(value):
        import asyncio

        return asyncio.run(value)
    return value


def _wait_for_threads(before: set[threading.Thread]) -> None:
    """Wait for the threads that the program left running: one of them may still fail. The job's wall time is the limit.

    Idle workers of a pool wait for Python's own exit, so they are not waited for; their exceptions are in their futures.
    """
    pools = sys.modules.get("concurrent.futures.thread")
    while left := [
        thread
        for thread in threading.enumerate()
        if thread not in before and not thread.daemon and thread not in getattr(pools, "_threads_queues", ())
    ]:
        left[0].join()


def _document(value: Any) -> dict[str, Any]:
    try:
        return result_document(value)
    except RecursionError as error:
        raise NoResult("result contains itself or is nested too deeply to be kept as JSON") from error


def _write(path: Path, document: dict[str, Any], *, durable: bool = True, named: bool = True) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise_storage(error, path.parent)
    write_json(path, document, durable=durable, named=named)


# ---- how it ended ----------------------------------------------------------------------------------------------------


def _failure(error: BaseException, thread: str, folder: JobFolder) -> Ending:
    why = deciding_error(error)
    frames = user_frames(why, folder.source) or user_frames(error, folder.source)
    where = f" (raised in thread {thread!r})" if thread else ""
    if isinstance(why, SystemExit) and why.code in (None, 0):
        last = f"; it called exit at {frames[-1]}" if frames else ""
        return Ending("refused", f"exited without a result{last}; return the result instead", NoResult.__name__, frames)
    if isinstance(why, QloomError):
        print(f"{type(why).__name__}: {why}", *frames, sep="\n  ", file=sys.stderr)  # noqa: T201  the job's log
        return Ending("refused", f"{why}{where}", type(why).__name__, frames)
    if not thread:  # a thread's traceback was shown when it died
        traceback.print_exception(type(error), error, user_traceback(error, folder.source))
    return Ending("raised", error_text(error) + where, type(error).__name__, frames)


def _facts(folder: JobFolder, context: Context | None, ending: Ending, thread_errors: list[ThreadError]) -> dict[str, Any]:
    engine = context.engine if context else None
    told = thread_errors[1:] if "raised in thread" in ending.error else thread_errors
    return {
        "frames": list(ending.frames),
        "quantum_tasks": context.quantum_tasks if context else {"executed": 0, "replayed": 0},
        "engine": engine.name if engine else None,
        "packages": loaded_packages(folder.source),
        "platform": platform_name(),
        "problems": [
            *(context.problems if context else []),
            *(f"thread {item.thread!r} also failed: {error_text(item.error)}" for item in told),
        ],
    }


# ---- surroundings ----------------------------------------------------------------------------------------------------


@contextmanager
def _surroundings(folder: JobFolder) -> Iterator[list[ThreadError]]:
    """The process as a program should find it: its source first on the path, its log lines shown, its threads watched."""
    errors: list[ThreadError] = []
    shown = threading.excepthook

    def note(args: Any) -> None:
        if args.exc_type is not SystemExit:
            errors.append(ThreadError(args.exc_value or args.exc_type(), args.thread.name if args.thread else "unknown"))
        shown(args)

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    ours, program = logging.getLogger("qloom"), logging.getLogger(LOGGER)
    before = sys.path[:], sys.argv[:], threading.excepthook, ours.propagate, program.level, os.environ.get("QLOOM_JOB_ID")
    sys.path.insert(0, str(folder.source))
    sys.argv[1:] = []
    threading.excepthook = note
    os.environ.setdefault("QLOOM_JOB_ID", folder.path.name)
    ours.addHandler(handler)
    ours.propagate = False
    program.setLevel(logging.INFO)
    sys.path_importer_cache.pop(str(folder.source), None)  # a look there, before the source was, is out of date
    try:
        yield errors
    finally:
        sys.path[:], sys.argv[:], threading.excepthook, ours.propagate, program.level, job_id = before
        ours.removeHandler(handler)
        if job_id is None:
            os.environ.pop("QLOOM_JOB_ID", None)
