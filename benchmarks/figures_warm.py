"""Warm starts: jobs that a fork server runs, against a bare child process, a bare fork server, and other people's systems."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING

from benchmarks.figures_processes import TIMEOUT_S, python
from benchmarks.harness import ROOT, Figure, Sides
from benchmarks.pairs import Sense, Target
from benchmarks.peers import NotRunError
from qloom.kit.sandbox import sandbox_problem
from qloom.programs.shipping import load_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Bench
    from benchmarks.pairs import Timed
    from qloom.api.programs import Program

WARM_S = 60.0
IN_A_ROW = 20
NOOP = ROOT / "benchmarks" / "programs" / "noop.py"


@cache
def single_file(bench: Bench) -> Program:
    """Return the program that does nothing, in a file by itself as a user's first one is; a process loads it once."""
    path = bench.new_folder("program") / NOOP.name
    path.write_text(NOOP.read_text())
    program: Program = load_program(path)
    return program


def warm(program: Program) -> Timed:
    """Return a side that submits a job that a fork server runs, and waits for its result.

    Raises:
        NotRunError: no fork server came to run it.
    """
    before = None
    deadline = time.monotonic() + WARM_S
    while (supervisor := supervisor_of_one(program)) != before:  # two jobs in a row under one process: that is the server
        before = supervisor
        if time.monotonic() > deadline:
            raise NotRunError(f"no fork server took a job within {WARM_S:g} s")

    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            assert program.submit().result(timeout_s=TIMEOUT_S) == {}
        return time.perf_counter() - start

    return side


def supervisor_of_one(program: Program) -> int | None:
    """Run a job and return the process that supervised it."""
    job = program.submit()
    job.result(timeout_s=TIMEOUT_S)
    return job.status().pid


@contextmanager
def against_bare_child(bench: Bench) -> Iterator[Sides]:
    """Run a job in a warm fork; the peer starts an interpreter that does nothing."""
    yield Sides(warm(single_file(bench)), python(["-c", "pass"], bench))


@contextmanager
def in_a_row(bench: Bench) -> Iterator[Sides]:
    """Run jobs one after the other without a pause: the spare forks are used up, and each job waits for the next one."""
    ours, theirs = warm(single_file(bench)), python(["-c", "pass"], bench)
    yield Sides(lambda loops: ours(loops * IN_A_ROW), lambda loops: theirs(loops * IN_A_ROW))


@contextmanager
def sandboxed(bench: Bench) -> Iterator[Sides]:
    """Run a job in the sandbox; the peer is the same job without."""
    if problem := sandbox_problem():
        raise NotRunError(f"no sandbox here: {problem}")
    program = single_file(bench)
    yield Sides(warm(program.with_options(sandbox=True)), warm(program))


@contextmanager
def against_system(bench: Bench, module: str, environment: str | None, ways: str, peer: str) -> Iterator[Sides]:
    """Run a job in a warm fork; the peer, beside its own server, runs the same function in its fastest way."""
    worker = bench.workers.get(module, environment)
    try:
        way = worker.open({"ways": ways})
        yield Sides(warm(single_file(bench)), worker.seconds, f"{peer}: {way}")
    finally:
        worker.close()  # its server does things of its own all the time, which would be in the figures that follow


@contextmanager
def mapped(bench: Bench) -> Iterator[Sides]:
    """Run a thousand jobs, so many at a time as is fastest for each side; both are kept to two cores."""
    ours, theirs = bench.workers.get("noop_map"), bench.workers.get("fork_supervisor")
    ours.open({"ways": ""})
    way = theirs.open({"ways": ""})
    yield Sides(ours.seconds, theirs.seconds, f"asyncio and two bare fork servers, {way}")


def system(peer: str, module: str, *, environment: str | None = None, ways: str = "", target: Target) -> Figure:
    """Return the figure against somebody's system."""
    opened = partial(against_system, module=module, environment=environment, ways=ways, peer=peer)
    return Figure(name="warm no-op job", peer=peer, open=opened, target=target)


FIGURES = [
    Figure(
        name="warm no-op job",
        peer="python -c pass",
        open=against_bare_child,
        target=Target(0.5),
        quick=True,
        single=True,
    ),
    Figure(
        name=f"{IN_A_ROW} warm no-op jobs, each submitted when the last one has ended",
        peer="python -c pass, as often",
        open=in_a_row,
    ),
    Figure(
        name="warm no-op job in the sandbox",
        peer="the same without",
        open=sandboxed,
        target=Target(1.3),
        quick=True,
        single=True,
    ),
    Figure(
        name="map of 1,000 no-op jobs on two cores",
        peer="asyncio and two bare fork servers",
        open=mapped,
        target=Target(2.0),
    ),
    system("Covalent, one electron", "covalent_dispatch", environment="covalent", target=Target(50, Sense.AT_LEAST)),
    system("Prefect, the same function", "prefect_flow", ways="a flow", target=Target(50, Sense.AT_LEAST)),
    system("Prefect, a coroutine", "prefect_flow", ways="an async flow", target=Target(sense=Sense.AT_LEAST)),
]
