"""A job's report against the least it needs: reading the job's journal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.harness import Figure, Sides
from benchmarks.pairs import Target
from benchmarks.programs.iterations import iterations
from qloom.journal import read_journal
from qloom.report import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Bench

ITERATIONS = 10_000
TIMEOUT_S = 120.0


@contextmanager
def report(bench: Bench, number: int = ITERATIONS) -> Iterator[Sides]:
    """Write the whole report of a job with so many iterations, an HTML file; the peer reads the job's journal and no more."""
    job = iterations.with_options(device="sim", executor="local", seed=1).submit(number=number)
    job.result(timeout_s=TIMEOUT_S)
    target = bench.new_folder("report") / "report.html"

    def mine(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            write_report(job, target)
        return time.perf_counter() - start

    def theirs(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            view = read_journal(job.folder.checkpoints)
            assert (view.executed, len(view.metrics)) == (number, 2 * number)
        return time.perf_counter() - start

    mine(1)
    assert f"of {number:,} values are drawn" in target.read_text(encoding="utf-8")
    yield Sides(mine, theirs)


FIGURES = [
    Figure(
        name=f"report of a job with {ITERATIONS:,} iterations",
        peer="reading its journal",
        open=report,
        target=Target(2.0),
        quick=True,
    )
]
