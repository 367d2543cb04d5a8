"""Ours, in a process of its own as the peer is: a thousand jobs by `qloom.map`: `python -m benchmarks.workers.noop_map`."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import qloom
from benchmarks.workers.fork_supervisor import CORES, JOBS
from benchmarks.workers.serving import keep_to_cores, serve_calls
from qloom.programs.shipping import load_program

if TYPE_CHECKING:
    from benchmarks.workers.serving import Timed
    from qloom.api.programs import Program

MAX_PARALLEL = (8, 16)
NOOP = Path(__file__).resolve().parent.parent / "programs" / "noop.py"


def start() -> dict[str, Timed]:
    """Return the ways of running a thousand jobs."""
    keep_to_cores(CORES)
    home = Path(os.environ["QLOOM_HOME"]).with_name("home-of-map")
    os.environ["QLOOM_HOME"] = str(home)
    home.mkdir()
    path = home / NOOP.name  # in a file by itself, as a user's first one is
    path.write_text(NOOP.read_text())
    noop: Program = load_program(path)
    return {f"max_parallel={number}": partial(mapped, noop, number) for number in MAX_PARALLEL}


def mapped(noop: Program, max_parallel: int, loops: int) -> float:
    """Run that many maps and return their seconds.

    What they leave stays until the end: ext4 looks at every file that was removed in the last minutes before it makes a new one.
    """
    seconds = 0.0
    for _ in range(loops):
        begun = time.perf_counter()
        results = qloom.map(noop, [{}] * JOBS, max_parallel=max_parallel, progress=False).results()
        seconds += time.perf_counter() - begun
        assert results == [{}] * JOBS
    return seconds


if __name__ == "__main__":
    serve_calls(start)
