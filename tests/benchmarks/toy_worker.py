"""A worker with a peer of two lines: `python -m tests.benchmarks.toy_worker [backwards]`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from benchmarks.workers.serving import serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.workers.serving import Once, Parameters
    from benchmarks.workload import Gate


def prepare(gates: Sequence[Gate], num_qubits: int, shots: int) -> dict[str, Once]:
    if not gates:
        raise ValueError("a circuit without gates")

    def quick(parameters: Parameters) -> dict[str, int]:
        print("a library's chatter")
        return {"0" * (num_qubits - 1) + "1": shots}

    def slow(parameters: Parameters) -> dict[str, int]:
        time.sleep(0.02)
        return quick(parameters)

    return {"slow": slow, "quick": quick}


if __name__ == "__main__":
    serve(prepare, reverse_keys="backwards" in sys.argv)
