"""One point of a growth, in a process of its own.

    python -m benchmarks.growing '{"axis": "shots", "side": "ours", "size": 1000}'

prints one JSON object: `seconds` of one call, `prepare_s`, `extra_bytes` that the process needed at its peak beyond what it
had before it made anything ready, and `counts` of the first parameter set for the check.

The peak is the kernel's VmHWM. (`ru_maxrss` would be no less than what the process that started this one held at that moment.)
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.harness import pin
from benchmarks.workload import SHOTS, Gate, ansatz, count_parameters, parameter_sets

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    Call = Callable[[], dict[str, int]]
    """Does the work once and returns the counts of the first parameter set."""

SLOW_S = 1.0
CHUNK_S = 0.05
TRIALS, SLOW_TRIALS = 5, 2
FEW_QUBITS, USUAL_QUBITS = 4, 10


class Point(NamedTuple):
    """What is run at one size: the other three stay as they are."""

    num_qubits: int
    gates: list[Gate]
    sets: int
    shots: int


def point(axis: str, size: int) -> Point:
    """Return the work of one size.

    >>> point("gates", 10).sets, len(point("gates", 1000).gates)
    (1, 1000)
    """
    if axis == "qubits":
        return Point(size, ansatz(size, layers=1), 1, SHOTS)
    if axis == "gates":
        return Point(FEW_QUBITS, long_circuit(size), 1, SHOTS)
    if axis == "sets":
        return Point(FEW_QUBITS, ansatz(FEW_QUBITS), size, SHOTS)
    if axis == "shots":
        return Point(USUAL_QUBITS, ansatz(USUAL_QUBITS), 1, size)
    raise ValueError(f"no axis {axis!r}")


def long_circuit(count: int) -> list[Gate]:
    """Return so many gates on four qubits: one layer of the ansatz again and again, each rotation with a parameter of its own."""
    gates: list[Gate] = []
    used = 0
    for gate in itertools.islice(itertools.cycle(ansatz(FEW_QUBITS, layers=1)), count):
        gates.append(gate if gate.parameter < 0 else gate._replace(parameter=used))
        used += gate.parameter >= 0
    return gates


def ours(work: Point, circuit: Any, sets: FloatArray) -> Call:
    """Return the work in qloom's words: all sets in one call, the counts of each read."""
    import qloom
    from benchmarks.ours import DEVICE

    prepared = qloom.device(DEVICE).prepare(circuit)
    seeds = itertools.count(1)

    def many() -> dict[str, int]:
        first, *_ = [item.counts for item in prepared.run(sets, shots=work.shots, seed=next(seeds))]
        return first

    def single() -> dict[str, int]:
        return prepared.run(sets[0], shots=work.shots, seed=next(seeds)).counts

    return single if len(sets) == 1 else many


def theirs(work: Point, gates: Any, sets: FloatArray) -> Call:
    """Return a loop over the sets on lightning's bindings; sampled in the way that is the fastest at this size."""
    from benchmarks import raw

    sampler = raw.multinomial_sampler if work.num_qubits <= raw.FEW_QUBITS else raw.block_sampler
    once = raw.lightning_loop(gates, work.num_qubits, sampler(work.num_qubits, work.shots))

    def every() -> dict[str, int]:
        first, *_ = [once(each) for each in sets]
        return first

    return every


def given(work: Point, side: str) -> Any:
    """Return the circuit as a user has it, before anything is prepared: an object of ours, a list of gates for the raw loop."""
    from benchmarks.ours import circuit

    return circuit(work.gates, work.num_qubits) if side == "ours" else work.gates


def measured(axis: str, side: str, size: int) -> dict[str, Any]:
    """Make the work ready, do it, and return what that took."""
    import numpy as np

    make = {"ours": ours, "theirs": theirs}[side]
    small = Point(2, ansatz(2), 2, 10)  # what is imported, and made once in a process, is in no number
    make(small, given(small, side), np.array(parameter_sets(count_parameters(small.gates), sets=2)))()
    work = point(axis, size)
    sets = np.array(parameter_sets(count_parameters(work.gates), sets=work.sets))
    circuit = given(work, side)
    before = memory("VmRSS")
    start = time.perf_counter()
    call = make(work, circuit, sets)
    prepare_s = time.perf_counter() - start
    start = time.perf_counter()
    counts = call()
    first = time.perf_counter() - start
    return {
        "seconds": seconds(call, first),
        "prepare_s": prepare_s,
        "extra_bytes": memory("VmHWM") - before,
        "counts": counts,
    }


def seconds(call: Call, first: float) -> float:
    """Return the seconds of one call: the least of five timings, of two where a call is slow."""
    loops = max(1, round(CHUNK_S / max(first, 1e-7)))
    found = []
    for _ in range(SLOW_TRIALS if first > SLOW_S else TRIALS):
        start = time.perf_counter()
        for _ in range(loops):
            call()
        found.append((time.perf_counter() - start) / loops)
    return min(found)


def memory(field: str) -> int:
    """Return a size of this process, in bytes: `VmRSS` now, `VmHWM` at its peak since the interpreter began."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    pin()
    print(json.dumps(measured(**json.loads(sys.argv[1]))))
