"""Processes: a job that does nothing, and declaring a program, against the interpreter's own start."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Target
from benchmarks.programs.noop import noop
from qloom.app import application

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.harness import Bench
    from benchmarks.pairs import Timed

TIMEOUT_S = 60.0
STANDARD_MODULES = "import dataclasses, json, logging, pathlib, inspect"


def python(arguments: Sequence[str], bench: Bench) -> Timed:
    """Return a side that starts this interpreter in the bench's folder and waits for its end."""
    command = [sys.executable, *arguments]

    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            process = subprocess.Popen(command, cwd=bench.folder, stdin=subprocess.DEVNULL)
            code = ended(process)
            assert code == 0, f"{command} exited {code}"
        return time.perf_counter() - start

    return side


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process, woken by its end, and return its exit code; kill one that takes longer than `TIMEOUT_S`.

    `subprocess.run(timeout=...)` looks every now and then instead, up to 50 ms apart: a third more for `python -c pass`.
    """
    descriptor = os.pidfd_open(process.pid)
    try:
        if not select.select([descriptor], [], [], TIMEOUT_S)[0]:
            process.kill()
    finally:
        os.close(descriptor)
    return process.wait()


@contextmanager
def noop_job(bench: Bench) -> Iterator[Sides]:
    """Submit the first job of a process, which returns at once, and wait for its result."""

    def side(loops: int) -> float:
        seconds = 0.0
        for _ in range(loops):
            application.cache_clear()  # forgets that there were jobs: from the second on, a fork server would run them
            application()
            start = time.perf_counter()
            assert noop.submit().result(timeout_s=TIMEOUT_S) == {}
            seconds += time.perf_counter() - start
        return seconds

    yield Sides(side, python(["-c", "import numpy"], bench))


@contextmanager
def declared(bench: Bench) -> Iterator[Sides]:
    """Import qloom and declare a program."""
    script = bench.root / "benchmarks" / "programs" / "declared.py"
    yield Sides(python([str(script)], bench), python(["-c", STANDARD_MODULES], bench))


FIGURES = [
    Figure(
        name="no-op job, submit to result",
        peer='python -c "import numpy"',
        open=noop_job,
        target=Target(1.6),
        quick=True,
    ),
    Figure(
        name="import qloom and declare a program",
        peer=f'python -c "{STANDARD_MODULES}"',
        open=declared,
        target=Target(1.3),
        quick=True,
    ),
]
