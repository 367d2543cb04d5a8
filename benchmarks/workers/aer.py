"""Qiskit Aer on a circuit transpiled once, one thread: `python -m benchmarks.workers.aer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector
from qiskit_aer import AerSimulator

from benchmarks.workers.serving import serve
from benchmarks.workload import count_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.workers.serving import Once, Parameters
    from benchmarks.workload import Gate


def prepare(gates: Sequence[Gate], num_qubits: int, shots: int) -> dict[str, Once]:
    """Return the ways in which Aer's users run a transpiled circuit again and again."""
    device = AerSimulator(method="statevector", max_parallel_threads=1)
    free = ParameterVector("t", count_parameters(gates))
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for gate in gates:
        if gate.name == "cx":
            circuit.cx(*gate.qubits)
        else:
            getattr(circuit, gate.name)(gate.scale * free[gate.parameter] + gate.offset, gate.qubits[0])
    circuit.measure(range(num_qubits), range(num_qubits))
    ready = transpile(circuit, device)

    def assigned(parameters: Parameters) -> dict[str, int]:
        bound = ready.assign_parameters({free: parameters})
        return dict(device.run(bound, shots=shots).result().get_counts())

    def binds(parameters: Parameters) -> dict[str, int]:
        values = {parameter: [value] for parameter, value in zip(free, parameters, strict=True)}
        return dict(device.run(ready, shots=shots, parameter_binds=[values]).result().get_counts())

    return {"assign_parameters": assigned, "parameter_binds": binds}


if __name__ == "__main__":
    serve(prepare, reverse_keys=True)
