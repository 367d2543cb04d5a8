"""The worker's half of the protocol: requests in, answers out, one JSON document per line.

| request | answer |
| --- | --- |
| `{"open": {"gates", "num_qubits", "shots", "sets"}}` | `{"way": which way of calling the peer is used}` |
| `{"loops": n}` | `{"seconds": what n iterations took, measured here}` |
| `{"sample": n}` | `{"counts": n samples of the first parameter set, added up}` |

The worker ends when its input does. An exception ends it too, with its traceback on standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.workload import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Parameters = list[float]
    Once = Callable[[Parameters], dict[str, int]]
    """One iteration: a parameter set in, counts out, bit 0 first or last as the peer gives them."""
    Prepare = Callable[[Sequence[Gate], int, int], dict[str, Once]]
    """(gates, num_qubits, shots) -> every way of doing one iteration with this peer."""


class Case:
    """The peer's fastest way of doing one case."""

    def __init__(self, prepare: Prepare, case: dict[str, Any]) -> None:
        gates = [Gate(name, tuple(qubits), *rest) for name, qubits, *rest in case["gates"]]
        self.sets: list[Parameters] = case["sets"]
        ways = prepare(gates, case["num_qubits"], case["shots"])
        self.way = min(ways, key=lambda name: self._trial(ways[name]))
        self.once = ways[self.way]
        self.position = 0

    def _trial(self, once: Once) -> float:
        for parameters in self.sets[:2]:
            once(parameters)
        return min(_seconds(once, [parameters]) for parameters in self.sets[2:5])

    def seconds(self, loops: int) -> float:
        """Run that many iterations, going on through the parameter sets; return the seconds they took."""
        chosen = [self.sets[(self.position + step) % len(self.sets)] for step in range(loops)]
        self.position += loops
        return _seconds(self.once, chosen)

    def counts(self, samples: int) -> dict[str, int]:
        """Return samples of the first parameter set, added up."""
        total: Counter[str] = Counter()
        for _ in range(samples):
            total.update(self.once(self.sets[0]))
        return dict(total)


def _seconds(once: Once, chosen: Sequence[Parameters]) -> float:
    start = time.perf_counter()
    for parameters in chosen:
        once(parameters)
    return time.perf_counter() - start


def serve(prepare: Prepare, *, reverse_keys: bool = False) -> None:
    """Answer requests until the input ends.

    Args:
        prepare: makes the peer's loops.
        reverse_keys: whether the peer's keys start with the last bit; turned round for the check, outside of timings.
    """
    # Libraries may print: what they print goes to standard error, and only answers go where the harness reads.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    case: Case | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if "open" in request:
            case = Case(prepare, request["open"])
            answer: dict[str, Any] = {"way": case.way}
        elif case is None:
            raise RuntimeError(f"open a case before asking for {sorted(request)}")
        elif "loops" in request:
            answer = {"seconds": case.seconds(request["loops"])}
        else:
            counts = case.counts(request["sample"])
            answer = {"counts": {key[::-1]: count for key, count in counts.items()} if reverse_keys else counts}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
