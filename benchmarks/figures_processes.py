"""Processes: a job that does nothing, and declaring a program, against the interpreter's own start."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Target
from benchmarks.programs import noop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.harness import Bench
    from benchmarks.pairs import Timed

TIMEOUT_S = 60.0
STANDARD_MODULES = "import dataclasses, json, logging, pathlib, inspect"


def python(arguments: Sequence[str], bench: Bench) -> Timed:
    """Return a side that starts this interpreter and waits for its end."""
    command = [sys.executable, *arguments]

    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            subprocess.run(command, check=True, timeout=TIMEOUT_S, cwd=bench.folder, stdin=subprocess.DEVNULL)
        return time.perf_counter() - start

    return side


@contextmanager
def noop_job(bench: Bench) -> Iterator[Sides]:
    """Submit a job that returns at once, and wait for its result."""

    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            assert noop.noop.submit().result(timeout_s=TIMEOUT_S) == {}
        return time.perf_counter() - start

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
