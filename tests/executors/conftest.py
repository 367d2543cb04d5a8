"""The local executor with scripts as programs, and folders of jobs that are scripts."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from qloom.executors.local import LocalExecutor, LocalHandle
from qloom.jobspecs import JobSpec
from qloom.testing.executor_contract import MakeJob, make_script_job

SUPERVISOR = Path(__file__).with_name("script_supervisor.py")
WAYS = ["exec", "fork", "warm", "again"]
"""How programs start: a command, a fork of their supervisor, a fork of a fork server, a process that may have run another."""


def supervised(way: str) -> Callable[[JobSpec, Path, int], list[str]]:
    """The command line of a supervisor that runs the job's script in this way; see script_supervisor.py."""
    return lambda job, folder, attempt: [sys.executable, str(SUPERVISOR), way, str(folder), str(attempt)]


class WarmExecutor(LocalExecutor):
    """A local executor whose every job runs in a fork of a fork server."""

    def __init__(self, *, fresh: bool) -> None:
        super().__init__(supervised("absent"), lambda job: [sys.executable, str(SUPERVISOR), "serve"])
        self._fresh = fresh

    def submit(self, job: JobSpec, folder: Path, attempt: int) -> LocalHandle:
        assert self.warm_up(job, wait_s=30)
        return super().submit(replace(job, fresh_process=self._fresh), folder, attempt)


@contextmanager
def starting(way: str, home: Path) -> Iterator[LocalExecutor]:
    """A local executor whose programs start in this way; what runs in `home` is ended afterwards."""
    executor = WarmExecutor(fresh=way == "warm") if way in ("warm", "again") else LocalExecutor(supervised(way), None)
    yield executor
    for status_file in home.glob("*/status.json"):
        executor.cancel(status_file.parent)  # what a failed test left running
    executor.close()


@pytest.fixture(params=["exec"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalExecutor]:
    with starting(request.param, tmp_path) as executor:
        yield executor


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    return partial(make_script_job, tmp_path)
