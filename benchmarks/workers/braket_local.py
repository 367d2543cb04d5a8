"""Amazon Braket's LocalSimulator, in its own environment: `python -m benchmarks.workers.braket_local`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braket.circuits import Circuit, FreeParameter
from braket.devices import LocalSimulator
from braket.ir.openqasm import Program

from benchmarks.workers.serving import serve
from benchmarks.workload import count_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.workers.serving import Once, Parameters
    from benchmarks.workload import Gate


def prepare(gates: Sequence[Gate], _num_qubits: int, shots: int) -> dict[str, Once]:
    """Return the ways in which Braket's users run a parametrised circuit again and again."""
    device = LocalSimulator()
    names = [f"t{index}" for index in range(count_parameters(gates))]
    circuit = symbolic(gates, names)
    text = circuit.to_ir("OPENQASM").source

    def with_inputs(parameters: Parameters) -> dict[str, int]:
        inputs = dict(zip(names, parameters, strict=True))
        return dict(device.run(circuit, shots=shots, inputs=inputs).result().measurement_counts)

    def bound(parameters: Parameters) -> dict[str, int]:
        ready = circuit.make_bound_circuit(dict(zip(names, parameters, strict=True)))
        return dict(device.run(ready, shots=shots).result().measurement_counts)

    def rebuilt(parameters: Parameters) -> dict[str, int]:
        return dict(device.run(numeric(gates, parameters), shots=shots).result().measurement_counts)

    def program(parameters: Parameters) -> dict[str, int]:
        ready = Program(source=text, inputs=dict(zip(names, parameters, strict=True)))
        return dict(device.run(ready, shots=shots).result().measurement_counts)

    return {
        "run(inputs=...)": with_inputs,
        "make_bound_circuit": bound,
        "circuit built anew": rebuilt,
        "OpenQASM program with inputs": program,
    }


def symbolic(gates: Sequence[Gate], names: Sequence[str]) -> Circuit:
    """Return the circuit with free parameters."""
    free = [FreeParameter(name) for name in names]
    circuit = Circuit()
    for gate in gates:
        if gate.name == "cx":
            circuit.cnot(*gate.qubits)
        else:
            getattr(circuit, gate.name)(gate.qubits[0], gate.scale * free[gate.parameter] + gate.offset)
    return circuit


def numeric(gates: Sequence[Gate], parameters: Parameters) -> Circuit:
    """Return the circuit with numbers."""
    circuit = Circuit()
    for gate in gates:
        if gate.name == "cx":
            circuit.cnot(*gate.qubits)
        else:
            getattr(circuit, gate.name)(gate.qubits[0], gate.scale * parameters[gate.parameter] + gate.offset)
    return circuit


if __name__ == "__main__":
    serve(prepare)
