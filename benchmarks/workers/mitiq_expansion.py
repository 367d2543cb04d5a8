"""Mitiq's expansion of a circuit for one parameter set, at every evaluation: `python -m benchmarks.workers.mitiq_expansion`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mitiq.ddd import insert_ddd_sequences
from mitiq.ddd.rules import xx
from mitiq.zne.scaling import fold_global
from qiskit import QuantumCircuit

from benchmarks.workers.serving import serve_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.workers.serving import Compute, Parameters
    from benchmarks.workload import Gate

SCALES = (1, 3, 5)


def bound(gates: Sequence[Gate], num_qubits: int, parameters: Parameters) -> QuantumCircuit:
    """Return the circuit with its numbers."""
    circuit = QuantumCircuit(num_qubits)
    for gate in gates:
        if gate.name == "cx":
            circuit.cx(*gate.qubits)
        else:
            turn = circuit.ry if gate.name == "ry" else circuit.rz
            turn(gate.scale * parameters[gate.parameter] + gate.offset, gate.qubits[0])
    return circuit


def prepare(gates: Sequence[Gate], num_qubits: int, terms: Mapping[str, float]) -> dict[str, Compute]:
    """Return the one way: fold, then decouple each folded circuit; the number of gates is what comes of it."""
    del terms

    def expand(parameters: Parameters) -> list[float]:
        circuit = bound(gates, num_qubits, parameters)
        folded: list[Any] = [fold_global(circuit, scale) for scale in SCALES]
        return [float(len(insert_ddd_sequences(one, rule=xx).data)) for one in folded]

    return {"fold_global at 1, 3, 5, then insert_ddd_sequences": expand}


if __name__ == "__main__":
    serve_values(prepare)
