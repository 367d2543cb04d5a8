"""Ours, in a process of its own as the peer is: a thousand jobs by `qloom.map`: `python -m benchmarks.workers.noop_map`."""

from __future__ import annotations

import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import qloom
from benchmarks.programs.noop import noop
from benchmarks.workers.fork_supervisor import CORES, JOBS
from benchmarks.workers.serving import keep_to_cores, serve_calls

if TYPE_CHECKING:
    from benchmarks.workers.serving import Timed

MAX_PARALLEL = (8, 16)


def start() -> dict[str, Timed]:
    """Return the ways of running a thousand jobs."""
    keep_to_cores(CORES)
    home = Path(os.environ["QLOOM_HOME"]).with_name("home-of-map")
    os.environ["QLOOM_HOME"] = str(home)
    return {f"max_parallel={number}": partial(mapped, home, number) for number in MAX_PARALLEL}


def mapped(home: Path, max_parallel: int, loops: int) -> float:
    """Run that many maps and return their seconds; their folders are removed in between, or they would fill the disk."""
    seconds = 0.0
    for _ in range(loops):
        begun = time.perf_counter()
        results = qloom.map(noop, [{}] * JOBS, max_parallel=max_parallel, progress=False).results()
        seconds += time.perf_counter() - begun
        assert results == [{}] * JOBS
        for folder in home.iterdir():
            shutil.rmtree(folder)
    return seconds


if __name__ == "__main__":
    serve_calls(start)
