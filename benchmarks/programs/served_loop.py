"""A variational loop inside a job, run in timed batches whenever the harness asks over a socket.

The iteration is what a user writes; the socket only says how many, and takes the seconds back. The program is in one file with
nothing but qloom around it, as a job ships it.
"""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

import qloom

if TYPE_CHECKING:
    from collections.abc import Callable

    Once = Callable[[Any], dict[str, int]]


@qloom.program
def served_loop(ctx: qloom.Context, circuit: str, sets: list[list[float]], shots: int, address: str) -> dict[str, int]:
    """Run the circuit (OpenQASM 3, inputs t0, t1, ...) as often as asked, over the parameter sets in turn."""
    prepared = ctx.device.prepare(circuit)
    given = [np.array(values) for values in sets]

    def once(parameters: Any) -> dict[str, int]:
        return prepared.run(parameters, shots=shots).counts

    done = 0
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        with line.makefile("rw", encoding="utf-8") as requests:
            for text in requests:
                request = json.loads(text)
                if "loops" in request:
                    answer: dict[str, Any] = {"seconds": seconds(once, given, done, request["loops"])}
                    done += request["loops"]
                else:
                    answer = {"counts": sampled(once, given[0], request["sample"])}
                requests.write(json.dumps(answer) + "\n")
                requests.flush()
    return {"iterations": done}


def seconds(once: Once, given: list[Any], first: int, loops: int) -> float:
    """Return the seconds that so many iterations take."""
    chosen = [given[(first + step) % len(given)] for step in range(loops)]
    start = time.perf_counter()
    for parameters in chosen:
        once(parameters)
    return time.perf_counter() - start


def sampled(once: Once, parameters: Any, samples: int) -> dict[str, int]:
    """Return so many samples of one parameter set, added up."""
    total: Counter[str] = Counter()
    for _ in range(samples):
        total.update(once(parameters))
    return dict(total)
