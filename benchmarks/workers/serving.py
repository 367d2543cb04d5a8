"""The worker's half of the protocol: requests in, answers out, one JSON document per line.

| request | answer |
| --- | --- |
| `{"open": {"gates", "num_qubits", "shots", "sets"}}` | `{"way": which way of calling the peer is used}` |
| `{"loops": n}` | `{"seconds": what n iterations took, measured here}` |
| `{"sample": n}` | `{"counts": n samples of the first parameter set, added up}` |

A worker of values (`serve_values`) is opened with `terms` (Pauli string -> coefficient) in place of `shots`, and answers
`{"values": true}` with `{"values": what it computes for the first parameter set}`. A worker without circuits (`serve_calls`) is
opened with `{"ways": how their labels begin}` and takes no samples.

The worker ends when its input does. An exception ends it too, with its traceback on standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.workload import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Parameters = list[float]
    Once = Callable[[Parameters], dict[str, int]]
    """One iteration: a parameter set in, counts out, bit 0 first or last as the peer gives them."""
    Prepare = Callable[[Sequence[Gate], int, int], dict[str, Once]]
    """(gates, num_qubits, shots) -> every way of doing one iteration with this peer."""
    Compute = Callable[[Parameters], Sequence[float]]
    """One iteration: a parameter set in, numbers out."""
    PrepareValues = Callable[[Sequence[Gate], int, Mapping[str, float]], dict[str, Compute]]
    """(gates, num_qubits, Pauli terms) -> every way of doing one iteration with this peer."""
    Timed = Callable[[int], float]
    """Does its work that many times and returns the seconds all of it took."""

TRIALS = 2
SLOW_S = 1.0
"""What takes longer is tried once, after its first time."""


class Opened(Protocol):
    """What a worker does once it is opened."""

    way: str

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to any later request."""


class Case:
    """The peer's fastest way of doing one case."""

    def __init__(self, prepare: Prepare, case: dict[str, Any], *, reverse_keys: bool = False) -> None:
        self.reverse_keys = reverse_keys
        self.sets: list[Parameters] = case["sets"]
        ways = prepare(_gates(case), case["num_qubits"], case["shots"])
        self.way = _quickest(ways, self.sets)
        self.once = ways[self.way]
        self.position = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "loops" in request:
            return {"seconds": self.seconds(request["loops"])}
        counts = self.counts(request["sample"])
        return {"counts": {key[::-1]: count for key, count in counts.items()} if self.reverse_keys else counts}

    def seconds(self, loops: int) -> float:
        """Run that many iterations, going on through the parameter sets; return the seconds they took."""
        self.position += loops
        return _seconds(self.once, _in_turn(self.sets, self.position - loops, loops))

    def counts(self, samples: int) -> dict[str, int]:
        """Return samples of the first parameter set, added up."""
        total: Counter[str] = Counter()
        for _ in range(samples):
            total.update(self.once(self.sets[0]))
        return {str(key): int(count) for key, count in total.items()}


class Values:
    """The peer's fastest way of computing numbers for one case."""

    def __init__(self, prepare: PrepareValues, case: dict[str, Any]) -> None:
        self.sets: list[Parameters] = case["sets"]
        ways = prepare(_gates(case), case["num_qubits"], case["terms"])
        self.way = _quickest(ways, self.sets)
        self.compute = ways[self.way]
        self.position = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the seconds that so many iterations take, or the numbers for the first parameter set."""
        if "values" in request:
            return {"values": [float(value) for value in self.compute(self.sets[0])]}
        loops = request["loops"]
        self.position += loops
        return {"seconds": _seconds(self.compute, _in_turn(self.sets, self.position - loops, loops))}


def _gates(case: dict[str, Any]) -> list[Gate]:
    return [Gate(name, tuple(qubits), *rest) for name, qubits, *rest in case["gates"]]


def _in_turn(sets: Sequence[Parameters], first: int, count: int) -> list[Parameters]:
    return [sets[(first + step) % len(sets)] for step in range(count)]


def _quickest(ways: Mapping[str, Callable[[Parameters], object]], sets: Sequence[Parameters]) -> str:
    """Return the label of the way that takes the least time, each tried on three sets after two to warm up."""

    def trial(label: str) -> float:
        for parameters in sets[:2]:
            ways[label](parameters)
        return min(_seconds(ways[label], [parameters]) for parameters in sets[2:5])

    return min(ways, key=trial)


def _seconds(once: Callable[[Parameters], object], chosen: Sequence[Parameters]) -> float:
    start = time.perf_counter()
    for parameters in chosen:
        once(parameters)
    return time.perf_counter() - start


class Calls:
    """The fastest of several ways of doing one thing, each of which times itself."""

    def __init__(self, ways: Mapping[str, Timed], beginning: str = "") -> None:
        chosen = {label: way for label, way in ways.items() if label.startswith(beginning)}
        self.way = min(chosen, key=lambda label: _trial(chosen[label])) if len(chosen) > 1 else next(iter(chosen))
        self._timed = chosen[self.way]

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the seconds that so many calls take."""
        return {"seconds": self._timed(request["loops"])}


def _trial(timed: Timed) -> float:
    first = timed(1)
    return min(timed(1) for _ in range(1 if first > SLOW_S else TRIALS))


def timed(call: Callable[[], object]) -> Timed:
    """Return a way whose unit of work is one call."""

    def side(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            call()
        return time.perf_counter() - start

    return side


def keep_to_cores(count: int) -> None:
    """Keep this process, and all it starts from now on, to the first cores of those it may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def serve(prepare: Prepare, *, reverse_keys: bool = False) -> None:
    """Answer requests about circuits until the input ends.

    Args:
        prepare: makes the peer's loops.
        reverse_keys: whether the peer's keys start with the last bit; turned round for the check, outside of timings.
    """
    _answer_all(lambda case: Case(prepare, case, reverse_keys=reverse_keys))


def serve_values(prepare: PrepareValues) -> None:
    """Answer requests about numbers that are computed from circuits until the input ends.

    Args:
        prepare: makes the peer's loops.
    """
    _answer_all(lambda case: Values(prepare, case))


def serve_calls(start: Callable[[], Mapping[str, Timed]]) -> None:
    """Answer requests about calls until the input ends.

    Args:
        start: makes ready and returns every way of doing one unit of work with this peer; called once.
    """
    ways: dict[str, Timed] = {}

    def opened(case: dict[str, Any]) -> Calls:
        if not ways:
            ways.update(start())
        return Calls(ways, case["ways"])

    _answer_all(opened)


def _answer_all(opened: Callable[[dict[str, Any]], Opened]) -> None:
    # Libraries may print: what they print goes to standard error, and only answers go where the harness reads.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    case: Opened | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if "open" in request:
            case = opened(request["open"])
            answer: dict[str, Any] = {"way": case.way}
        elif case is None:
            raise RuntimeError(f"open a case before asking for {sorted(request)}")
        else:
            answer = case.answer(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
