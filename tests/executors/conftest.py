"""The local executor with scripts as programs, and folders of jobs that are scripts."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from qloom.executors.local import LocalExecutor
from qloom.testing.executor_contract import MakeJob, make_script_job

SUPERVISOR = Path(__file__).with_name("script_supervisor.py")


def supervised(way: str) -> Callable[[Path, int], list[str]]:
    """The command line of a supervisor that runs the job's script in this way; see script_supervisor.py."""
    return lambda folder, attempt: [sys.executable, str(SUPERVISOR), way, str(folder), str(attempt)]


@pytest.fixture(params=["exec"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalExecutor]:
    executor = LocalExecutor(supervised(request.param))
    yield executor
    for status_file in tmp_path.glob("*/status.json"):
        executor.cancel(status_file.parent)  # what a failed test left running


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    return partial(make_script_job, tmp_path)
