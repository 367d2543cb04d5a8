"""What a program can do wrong, as a real job from `@qloom.program` to the error its submitter gets."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import qloom
from qloom.errors import JobInterrupted, LimitExceeded, NoResult, ProgramFailed
from qloom.jobspecs import JobState
from qloom.kit import processes

LIMIT_S = 60

SOURCE = """
import os, signal, sys, threading, time
import qloom

@qloom.program
def prints_100_mb(ctx: qloom.Context) -> str:
    for _ in range(100):
        print("x" * 1_000_000)
    return "done"

@qloom.program(resources={"processes": 20})
def forks_without_end(ctx: qloom.Context) -> None:
    while True:
        try:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
        except BlockingIOError:
            time.sleep(0.01)

@qloom.program(resources={"memory_mb": 200})
def eats_memory(ctx: qloom.Context) -> None:
    kept = []
    while True:
        kept.append(bytearray(10_000_000))
        time.sleep(0.01)

@qloom.program
def ignores_term(ctx: qloom.Context) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(60)

@qloom.program(resources={"wall_time_s": 1})
def spins_past_its_wall_time(ctx: qloom.Context) -> None:
    while True:
        pass

@qloom.program
def writes_outside_its_folder(ctx: qloom.Context, elsewhere: str) -> str:
    open("beside.txt", "w").write("inside")
    open(elsewhere, "w").write("outside")
    return os.getcwd()

@qloom.program
def returns_an_object(ctx: qloom.Context) -> object:
    return {"device": ctx}

@qloom.program
def exits_0_without_a_result(ctx: qloom.Context) -> None:
    os._exit(0)

@qloom.program
def raises_in_a_thread(ctx: qloom.Context) -> str:
    thread = threading.Thread(target=lambda: 1 / 0, name="worker-7")
    thread.start()
    thread.join()
    return "as if nothing had happened"

@qloom.program
def asks_outside_a_lane(ctx: qloom.Context) -> None:
    def ask():
        ctx.device.run(qloom.Circuit(1).h(0))
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
"""


pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "bad_programs.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("bad_programs")
    sys.modules.pop("bad_programs", None)


def nothing_left_of(job: qloom.Job) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not processes.marked(job.id):
            return True
        time.sleep(0.05)
    return False


def test_printing_100_mb_is_no_failure_and_the_dropped_bytes_are_stated(bad: ModuleType) -> None:
    job = bad.prints_100_mb.submit()
    assert job.result(timeout_s=LIMIT_S) == "done"
    assert any("bytes of output dropped" in line for line in job.logs())
    assert job.folder.output_file(1).stat().st_size < 12_000_000


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("forks_without_end", LimitExceeded, r"resources.processes.*20"),
        ("eats_memory", LimitExceeded, r"resources.memory_mb.*200 MiB"),
        ("spins_past_its_wall_time", JobInterrupted, r"walltime.*resources.wall_time_s.*1 s"),
        ("returns_an_object", NoResult, r"result\['device'\] is a qloom.*Context, which is neither JSON nor an array"),
        ("exits_0_without_a_result", NoResult, r"without a result"),
        ("raises_in_a_thread", ProgramFailed, r"ZeroDivisionError.*worker-7|worker-7.*ZeroDivisionError"),
        ("asks_outside_a_lane", qloom.errors.Misuse, r"with ctx.lane"),
    ],
)
def test_a_bad_program_ends_with_an_error_that_says_what_and_why(
    bad: ModuleType, name: str, error: type[Exception], said: str
) -> None:
    job = getattr(bad, name).submit()
    with pytest.raises(error, match=f"(?s){said}"):
        job.result(timeout_s=LIMIT_S)
    assert nothing_left_of(job)


def test_a_program_that_ignores_term_is_cancelled_all_the_same(bad: ModuleType) -> None:
    job = bad.ignores_term.submit()
    wait_for(lambda: any("deaf" in line for line in job.logs()))
    assert job.cancel() is JobState.CANCELLED
    assert nothing_left_of(job)


def test_relative_paths_stay_in_the_jobs_folder_and_absolute_ones_are_the_programs_own_affair(
    bad: ModuleType, tmp_path: Path
) -> None:
    job = bad.writes_outside_its_folder.submit(elsewhere=str(tmp_path / "elsewhere.txt"))
    where = Path(job.result(timeout_s=LIMIT_S))
    assert where.is_relative_to(job.folder.path)
    assert (where / "beside.txt").read_text() == "inside"
    assert (tmp_path / "elsewhere.txt").read_text() == "outside"


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
