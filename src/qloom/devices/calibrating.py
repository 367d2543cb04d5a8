"""Measuring what operations cost on this machine, each number of threads in a process of its own: libraries read it once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qloom.devices.choosing import STATE_VECTOR, library
from qloom.devices.costs import SIZES, Costs, Work, keep, layer, measure, together
from qloom.devices.engines import most_qubits, usable_cores
from qloom.errors import MissingExtra, QloomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.devices.engines import EngineLibrary

LIMIT_S = 300.0
EXAMPLE_QUBITS = 20
_MEASURE = "import sys; from qloom.devices.calibrating import tell; tell(*map(int, sys.argv[1:]))"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def calibrate(sizes: Sequence[int] = SIZES) -> Iterator[dict[str, Any]]:
    """Measure what engines cost with one thread and with as many as this process may use, and keep the table.

    Args:
        sizes: qubits that are measured, ascending.

    Yields:
        `note` for people before each measurement; at the end `file`, `calibration` (the table) and `examples` for people.

    Raises:
        QloomError: a measuring process failed; the table is as it was.
        StorageFailed: the table cannot be written.
    """
    found: list[Costs] = []
    for threads in dict.fromkeys((1, usable_cores())):
        yield {"note": f"measuring with {threads} thread{'s' * (threads != 1)}"}
        found.append(_measured(threads, sizes))
    costs = together(found)
    work = Work.of(layer("turn", EXAMPLE_QUBITS))
    examples: dict[str, str] = {}
    for key in costs.seconds:
        engine, _, threads_of_it = key.partition("/")
        seconds = costs.of(work, engine, int(threads_of_it))
        what = f"{sum(work.plain.values())} rotations of {EXAMPLE_QUBITS} qubits"
        examples[f"{engine}, {threads_of_it} threads"] = f"{seconds * 1e3:.2g} ms for {what}"
    yield {"note": "kept", "file": str(keep(costs)), "calibration": costs.to_json(), "examples": examples}


def _measured(threads: int, sizes: Sequence[int]) -> Costs:
    environment = os.environ | dict.fromkeys(_THREADS, str(threads))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _MEASURE, str(threads), *map(str, sizes)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise QloomError(f"measuring with {threads} threads took over {LIMIT_S:g} s; try again on a calmer machine") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise QloomError(f"measuring with {threads} threads failed ({last}); the table is as it was")
    return Costs.from_json(json.loads(done.stdout), "what was measured")


def tell(threads: int, *sizes: int) -> None:
    """Measure every state-vector engine that is installed, in this process, and print the table as JSON."""
    fitting = [size for size in sizes if size <= most_qubits(None)]
    tables = [measure(engine, threads, fitting) for engine in _installed()]
    print(json.dumps(together(tables).to_json()))  # noqa: T201  that is what this process is for


def _installed() -> Iterator[EngineLibrary]:
    for name in STATE_VECTOR:
        with suppress(MissingExtra):  # what is not installed costs nothing
            yield library(name)
