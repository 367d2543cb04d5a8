"""How an attempt ended, worked out from what is left of it. Pure: no process, no file."""

from __future__ import annotations

import signal
from typing import Any, NamedTuple

from qloom.jobspecs import JobState, JobStatus

ENDINGS = ("returned", "raised", "refused")


class Outcome(NamedTuple):
    """How a program says that it ended.

    Attributes:
        ended: `returned`, `raised`, or `refused` by qloom.
        error: the message.
        error_type: the exception's name.
        frames: the user's own frames, outermost first.
        files: what a script that saved no result left in its place.
    """

    ended: str
    error: str = ""
    error_type: str = ""
    frames: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def read_outcome(document: Any) -> Outcome | None:
    """Return the outcome that a program's outcome.json holds; None where it is none: the program could write anything.

    >>> read_outcome({"ended": "returned"}), read_outcome(["x"])
    (Outcome(ended='returned', error='', error_type='', frames=(), files=()), None)
    """
    if not isinstance(document, dict) or document.get("ended") not in ENDINGS:
        return None
    frames, files = document.get("frames"), document.get("files")
    return Outcome(
        ended=document["ended"],
        error=str(document.get("error") or ""),
        error_type=str(document.get("error_type") or ""),
        frames=tuple(map(str, frames)) if isinstance(frames, list) else (),
        files=tuple(map(str, files)) if isinstance(files, list) else (),
    )


def judge(
    exit_code: int | None, outcome: Outcome | None, *, has_result: bool, ended_by_us: JobStatus | None, last_error_line: str = ""
) -> JobStatus:
    """Return the state that an attempt ends in.

    A result that is complete and recorded counts, whatever came after it: a kill that arrives later changes nothing.

    Args:
        exit_code: the program's, minus the signal's number where one killed it; None where it never started.
        outcome: what the program says.
        has_result: whether results.json is there.
        ended_by_us: the state that the job is in because we ended it; None where we did not.
        last_error_line: the last line that the program left on standard error.

    >>> judge(0, Outcome("returned"), has_result=True, ended_by_us=None).state
    <JobState.COMPLETED: 'COMPLETED'>
    >>> judge(0, None, has_result=False, ended_by_us=None).error_type
    'NoResult'
    """
    if outcome is not None and outcome.ended == "returned" and (has_result or outcome.files):
        return JobStatus(state=JobState.COMPLETED)
    if ended_by_us is not None:
        return ended_by_us
    if outcome is not None and outcome.ended != "returned":
        return failed(outcome.error, outcome.error_type, outcome.frames)
    if exit_code is not None and exit_code < 0:
        return _killed(-exit_code)
    if exit_code:
        return _exited(exit_code, last_error_line)
    what = "says that it returned, but left no results/results.json" if outcome else "exited 0 without a result"
    if outcome is None and has_result:
        what += " that is known to be whole (it left by os._exit or exec)"
    step = "return a value, or write results.json to the folder in AMZN_BRAKET_JOB_RESULTS_DIR"
    return failed(f"the program {what}; {step}", "NoResult")


def failed(error: str, error_type: str = "", frames: tuple[str, ...] = ()) -> JobStatus:
    """Return the state FAILED with its reasons.

    >>> failed("no", "ValueError").error
    'no'
    """
    return JobStatus(state=JobState.FAILED, error=error, error_type=error_type, frames=frames)


def interrupted(reason: str, error: str) -> JobStatus:
    """Return the state INTERRUPTED; what is said of it ends with the way on.

    >>> interrupted("killed", "the supervisor was told to end").error
    'the supervisor was told to end; resume the job to go on'
    """
    return JobStatus(state=JobState.INTERRUPTED, reason=reason, error=f"{error}; resume the job to go on")


def over_limit(resource: str, limit: str, seen: str, way_out: str) -> JobStatus:
    """Return the state of a job that went over one of its resources.

    >>> over_limit("processes", "30", "31 processes", "allow more").error
    'over resources.processes: 31 processes at one time, the limit is 30; allow more, then resume the job'
    """
    text = f"over resources.{resource}: {seen} at one time, the limit is {limit}; {way_out}, then resume the job"
    return failed(text, "LimitExceeded")


def _killed(number: int) -> JobStatus:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hints = {"SIGKILL": " (by a person, or by a machine that ran out of memory)", "SIGSEGV": " (it crashed)"}
    return interrupted("killed", f"the program was killed by {name}{hints.get(name, '')}, not by qloom")


def _exited(exit_code: int, last_error_line: str) -> JobStatus:
    said = f"; the last it said: {last_error_line}" if last_error_line else ""
    return failed(f"the program exited with code {exit_code} and no word why{said}; its output says more")
