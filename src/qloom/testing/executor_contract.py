"""What every executor promises, as tests: subclass `ExecutorContract` and give it the two fixtures it asks for."""

# ruff: noqa: S101  asserts are what tests are made of

from __future__ import annotations

import os
import re
import signal
import textwrap
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest

from qloom.errors import WrongState
from qloom.jobspecs import JobSpec, JobState, JobStatus, new_job_id
from qloom.kit.files import read_json, write_json
from qloom.kit.job_folder import JobFolder
from qloom.kit.processes import is_running
from qloom.kit.waiting import pauses
from qloom.limits import Resources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qloom.contracts import Executor, ExecutorHandle

Answer = TypeVar("Answer")

LIMIT_S = 30.0
"""No wait in these tests is longer; a failure shows as TimedOut, never as a test that hangs."""

PRELUDE = '''\
import json, os, pathlib, signal, sys, time

results = pathlib.Path(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])
checkpoints = pathlib.Path(os.environ["AMZN_BRAKET_CHECKPOINT_DIR"])

def outcome(**fields):
    """Say how the program ended, as qloom's own runner does."""
    attempt = results.parent / "attempts" / os.environ["QLOOM_ATTEMPT"]
    (attempt / "outcome.json").write_text(json.dumps(fields))

def finish(result):
    (results / "results.json").write_text(json.dumps(result))
    outcome(ended="returned")

def tell(name, value=""):
    """Leave a file that the test waits for; it is there whole or not at all."""
    aside = checkpoints / ("." + name)
    aside.write_text(str(value))
    aside.rename(checkpoints / name)

def fork_twice(then):
    """Run `then` in a grandchild whose parent is gone, in a session of its own: a daemon."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    then()
    os._exit(0)

'''
"""What the scripts of these tests begin with; they need no package."""


class MakeJob(Protocol):
    """Makes the folder of a job whose program is a script: `source/script.py`."""

    def __call__(self, script: str, *, resources: Resources | None = None, detach: bool = False) -> Path:
        """Return the folder, complete, in state CREATED."""
        ...


def make_script_job(home: Path, script: str, *, resources: Resources | None = None, detach: bool = False) -> Path:
    """Make the folder of a job whose program is `source/script.py`: PRELUDE and the script.

    >>> import pathlib, tempfile
    >>> JobFolder(make_script_job(pathlib.Path(tempfile.mkdtemp()), "finish(1)")).recorded_status().state
    <JobState.CREATED: 'CREATED'>
    """
    job = JobSpec(
        job_id=new_job_id(),
        program="script",
        entry_point="script",
        source_digest="",
        resources=resources or Resources(),
        detach=detach,
        created_at=time.time(),
    )
    folder = JobFolder(home / job.job_id)
    for path in (folder.source, folder.input, folder.checkpoints, folder.results):
        path.mkdir(parents=True)
    (folder.source / "script.py").write_text(PRELUDE + textwrap.dedent(script))
    write_json(folder.hyperparameters_file, {})
    write_json(folder.spec_file, job.to_json())
    folder.write_status(JobStatus(state=JobState.CREATED))
    return folder.path


def once(what: str, look: Callable[[], Answer | None]) -> Answer:
    """Return the first answer that is something.

    Raises:
        TimedOut: none came within `LIMIT_S`.

    >>> once("a number", iter([None, 0, 7]).__next__)
    7
    """
    for pause_s in pauses(what, LIMIT_S):
        if answer := look():
            return answer
        time.sleep(pause_s)
    raise AssertionError("pauses ends by raising")


def once_told(folder: Path, name: str) -> str:
    """Return what a script told by `tell(name, value)`, once it has."""
    path = JobFolder(folder).checkpoints / name
    return once(f"the script's word {name!r}", lambda: path.read_text() or " " if path.exists() else None)


def once_ended(executor: Executor, folder: Path) -> JobStatus:
    """Return the state that a job ended in, once it has."""

    def look() -> JobStatus | None:
        status = executor.watch(folder)
        return status if status.state.ended else None

    return once(f"the end of job {folder.name}", look)


def once_gone(pid: int) -> bool:
    """Return True once a process is gone.

    Raises:
        TimedOut: it is there all the same.
    """
    return once(f"the end of process {pid}", lambda: not is_running(pid))


def submit(executor: Executor, folder: Path, attempt: int = 1) -> ExecutorHandle:
    """Submit an attempt of the job in a folder."""
    return executor.submit(JobFolder(folder).spec(), folder, attempt)


def run(executor: Executor, folder: Path, attempt: int = 1) -> JobStatus:
    """Submit an attempt and return the state it ends in."""
    submit(executor, folder, attempt)
    return once_ended(executor, folder)


class ExecutorContract:
    """Tests of one executor. A subclass gives it the fixtures `executor` and `make_job` (a `MakeJob`).

    The jobs' programs are plain scripts, `source/script.py` in the job's folder, and the executor under test has to run
    exactly those, as it would run a script written for Amazon Braket.
    """

    def kill_attempt(self, handle: ExecutorHandle) -> None:
        """Kill what the executor started, as a machine does that stops; here the process whose number is the handle."""
        os.kill(int(handle.id), signal.SIGKILL)

    def test_a_program_that_finishes_is_completed(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("finish({'energy': -1.1})")
        status = run(executor, folder)
        assert (status.state, status.attempt, status.error) == (JobState.COMPLETED, 1, "")
        assert status.started_at is not None
        assert status.ended_at is not None
        assert status.started_at <= status.ended_at
        assert read_json(JobFolder(folder).results_file) == {"energy": -1.1}

    def test_the_program_finds_the_variables_of_braket(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("finish({k: v for k, v in os.environ.items() if k.startswith(('AMZN_BRAKET_', 'QLOOM_'))})")
        run(executor, folder)
        found = read_json(JobFolder(folder).results_file)
        assert found["AMZN_BRAKET_JOB_NAME"] == found["QLOOM_JOB_ID"] == folder.name
        assert found["QLOOM_ATTEMPT"] == "1"

    def test_a_program_that_raises_is_failed_in_its_own_words(self, executor: Executor, make_job: MakeJob) -> None:
        script = "outcome(ended='raised', error='no such bond', error_type='KeyError', frames=['script.py:3 in main'])"
        status = run(executor, make_job(script + "; sys.exit(1)"))
        assert (status.state, status.error, status.error_type) == (JobState.FAILED, "no such bond", "KeyError")
        assert status.frames == ("script.py:3 in main",)

    def test_a_program_that_leaves_no_result_is_failed(self, executor: Executor, make_job: MakeJob) -> None:
        status = run(executor, make_job("print('done')"))
        assert (status.state, status.error_type) == (JobState.FAILED, "NoResult")
        assert "exited 0 without a result" in status.error

    def test_a_program_that_somebody_kills_is_interrupted(self, executor: Executor, make_job: MakeJob) -> None:
        status = run(executor, make_job("os.kill(os.getpid(), signal.SIGKILL)"))
        assert (status.state, status.reason) == (JobState.INTERRUPTED, "killed")
        assert "SIGKILL" in status.error

    def test_output_is_kept_with_time_stamps(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("print('to you'); print('to me', file=sys.stderr); finish(1)")
        run(executor, folder)
        text = JobFolder(folder).output_file(1).read_text()
        lines = re.findall(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)$", text, re.MULTILINE)
        assert sorted(lines) == ["err| to me", "out| to you"]

    def test_output_is_seen_while_the_program_runs(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("print('so far so good'); time.sleep(60)")
        submit(executor, folder)
        path = JobFolder(folder).output_file(1)
        assert once("the line", lambda: path.exists() and "out| so far so good" in path.read_text())
        assert executor.watch(folder).state is JobState.RUNNING
        executor.cancel(folder)

    def test_cancel_ends_daemons_that_ignore_term(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job(
            """
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            fork_twice(lambda: (tell("daemon", os.getpid()), time.sleep(60)))
            time.sleep(60)
            """
        )
        submit(executor, folder)
        daemon = int(once_told(folder, "daemon"))
        assert executor.cancel(folder).state is JobState.CANCELLED
        assert once_gone(daemon)
        assert executor.cancel(folder) == executor.watch(folder)  # once more changes nothing

    def test_what_has_ended_stays_as_it_is_when_cancelled(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("finish(1)")
        done = run(executor, folder)
        assert executor.cancel(folder) == executor.suspend(folder) == done

    def test_a_second_attempt_is_refused_while_the_first_runs(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("tell('here'); time.sleep(60)")
        submit(executor, folder)
        once_told(folder, "here")
        with pytest.raises(WrongState):
            submit(executor, folder, attempt=2)
        assert executor.watch(folder).attempt == 1
        executor.cancel(folder)

    def test_submitting_an_attempt_again_gives_the_same_one(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("tell('here'); time.sleep(60)")
        assert executor.find(folder, 1) is None
        handle = submit(executor, folder)
        assert submit(executor, folder).id == handle.id
        found = executor.find(folder, 1)
        assert found is not None
        assert found.id == handle.id
        assert executor.find(folder, 2) is None
        executor.cancel(folder)

    def test_a_suspended_job_goes_on_in_another_attempt(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("if os.environ['QLOOM_ATTEMPT'] == '1': tell('here'); time.sleep(60)\nfinish(2)")
        submit(executor, folder)
        once_told(folder, "here")
        status = executor.suspend(folder)
        assert (status.state, status.reason) == (JobState.INTERRUPTED, "suspended")
        status = run(executor, folder, attempt=2)
        assert (status.state, status.attempt) == (JobState.COMPLETED, 2)

    def test_nothing_is_left_of_a_killed_attempt_and_another_can_follow(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job(
            """
            if os.environ["QLOOM_ATTEMPT"] == "1":
                fork_twice(lambda: (tell("daemon", os.getpid()), time.sleep(60)))
                tell("program", os.getpid())
                time.sleep(60)
            finish(2)
            """
        )
        handle = submit(executor, folder)
        left = [int(once_told(folder, name)) for name in ("daemon", "program")]
        self.kill_attempt(handle)
        status = once_ended(executor, folder)
        assert (status.state, status.reason) == (JobState.INTERRUPTED, "lost")
        assert all(once_gone(pid) for pid in left)
        assert run(executor, folder, attempt=2).state is JobState.COMPLETED

    def test_a_job_that_was_never_started_can_be_cancelled(self, executor: Executor, make_job: MakeJob) -> None:
        assert executor.cancel(make_job("finish(1)")).state is JobState.CANCELLED
