"""PennyLane's QNode with shots on lightning.qubit: `python -m benchmarks.workers.pennylane_qnode`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pennylane as qml

from benchmarks.workers.serving import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.workers.serving import Once, Parameters
    from benchmarks.workload import Gate

OPTIONS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "diff_method=None": {"diff_method": None},
    "diff_method=None, interface=None": {"diff_method": None, "interface": None},
}


def apply(gates: Sequence[Gate], parameters: Any) -> None:
    """Queue the gates for one parameter set."""
    turning = {"ry": qml.RY, "rz": qml.RZ}
    for gate in gates:
        if gate.name == "cx":
            qml.CNOT(wires=gate.qubits)
        else:
            turning[gate.name](gate.scale * parameters[gate.parameter] + gate.offset, wires=gate.qubits[0])


def prepare(gates: Sequence[Gate], num_qubits: int, shots: int) -> dict[str, Once]:
    """Return the ways in which PennyLane's users run a circuit again and again: the function is traced at each call."""
    device = qml.device("lightning.qubit", wires=num_qubits)

    def circuit(parameters: Any) -> Any:
        apply(gates, parameters)
        return qml.counts(wires=range(num_qubits))

    ways: dict[str, Once] = {}
    for label, options in OPTIONS.items():
        node = qml.set_shots(qml.QNode(circuit, device, **options), shots)
        ways[f"{label}, a list"] = node
        ways[f"{label}, an array"] = from_array(node)
    return ways


def from_array(node: Callable[[Any], dict[str, int]]) -> Once:
    """Return a way that hands the parameters over as an array."""

    def once(parameters: Parameters) -> dict[str, int]:
        return node(np.array(parameters))

    return once


if __name__ == "__main__":
    serve(prepare)
