"""How an attempt ended, from what is left of it."""

import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.executors.outcomes import Outcome, interrupted, judge, read_outcome
from qloom.jobspecs import JobState, JobStatus

RETURNED = Outcome("returned")
RAISED = Outcome("raised", "no such bond", "KeyError", ("vqe.py:3 in main: x",))
CANCELLED = JobStatus(state=JobState.CANCELLED, error="cancelled")


@pytest.mark.parametrize(
    ("exit_code", "outcome", "has_result", "ended_by_us", "state", "said"),
    [
        (0, RETURNED, True, None, JobState.COMPLETED, ""),
        (0, RETURNED, False, None, JobState.FAILED, "says that it returned, but left no results/results.json"),
        (0, None, True, None, JobState.FAILED, "exited 0 without a result"),
        (1, RAISED, False, None, JobState.FAILED, "no such bond"),
        (1, Outcome("refused", "the disk is full", "StorageFailed"), False, None, JobState.FAILED, "the disk is full"),
        (3, None, False, None, JobState.FAILED, "exited with code 3 and no word why; the last it said: oops"),
        (-9, None, False, None, JobState.INTERRUPTED, "killed by SIGKILL (by a person, or by a machine that ran out of memory)"),
        (-11, None, False, None, JobState.INTERRUPTED, "killed by SIGSEGV (it crashed), not by qloom; resume the job to go on"),
        (-63, None, False, None, JobState.INTERRUPTED, "killed by signal 63"),
        (-15, None, False, CANCELLED, JobState.CANCELLED, "cancelled"),
        (1, RAISED, False, CANCELLED, JobState.CANCELLED, "cancelled"),
        (None, None, False, CANCELLED, JobState.CANCELLED, "cancelled"),
        (-11, RETURNED, True, None, JobState.COMPLETED, ""),
        (-9, RETURNED, True, CANCELLED, JobState.COMPLETED, ""),
    ],
)
def test_an_end_is_judged(
    exit_code: int | None,
    outcome: Outcome | None,
    has_result: bool,
    ended_by_us: JobStatus | None,
    state: JobState,
    said: str,
) -> None:
    status = judge(exit_code, outcome, has_result=has_result, ended_by_us=ended_by_us, last_error_line="oops")
    assert status.state is state
    assert said in status.error
    assert bool(said) == bool(status.error)


def test_a_raised_error_keeps_its_type_and_frames() -> None:
    status = judge(1, RAISED, has_result=False, ended_by_us=None)
    assert (status.error_type, status.frames) == ("KeyError", ("vqe.py:3 in main: x",))


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner), max_leaves=8))
def test_any_json_is_read_as_an_outcome_or_as_none(document: Any) -> None:
    assert read_outcome(document) is None
    outcome = read_outcome({"ended": "raised", "error": document, "error_type": document, "frames": document})
    assert outcome is not None
    assert all(isinstance(text, str) for text in (outcome.error, outcome.error_type, *outcome.frames))


@given(st.integers(-64, 255), st.booleans())
def test_without_a_word_from_the_program_only_signals_are_interruptions(exit_code: int, has_result: bool) -> None:
    state = judge(exit_code, None, has_result=has_result, ended_by_us=None).state
    assert state is (JobState.INTERRUPTED if exit_code < 0 else JobState.FAILED)


def test_every_interruption_says_how_to_go_on() -> None:
    assert judge(-signal.SIGTERM, None, has_result=False, ended_by_us=None).error.endswith("resume the job to go on")
    assert interrupted("walltime", "over").reason == "walltime"


def test_a_script_without_a_result_completes_by_the_other_files_it_left() -> None:
    outcome = read_outcome({"ended": "returned", "files": ["plot.svg"]})
    assert outcome is not None
    assert judge(0, outcome, has_result=False, ended_by_us=None).state is JobState.COMPLETED
