"""PennyLane's gradient of a QNode on lightning.qubit: `python -m benchmarks.workers.pennylane_gradient`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pennylane as qml

from benchmarks.workers.pennylane_qnode import apply
from benchmarks.workers.serving import serve_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.workers.serving import Compute, Parameters
    from benchmarks.workload import Gate


def prepare(gates: Sequence[Gate], num_qubits: int, terms: Mapping[str, float]) -> dict[str, Compute]:
    """Return the ways in which PennyLane's users differentiate an energy."""
    device = qml.device("lightning.qubit", wires=num_qubits)
    energy = qml.Hamiltonian(list(terms.values()), [qml.pauli.string_to_pauli_word(string) for string in terms])

    def circuit(parameters: Any) -> Any:
        apply(gates, parameters)
        return qml.expval(energy)

    ways: dict[str, Compute] = {}
    for method in ("best", "adjoint"):
        node = qml.QNode(circuit, device, diff_method=method)
        ways[f"qml.grad, diff_method={method}"] = partial(differentiated, qml.grad(node))
        ways[f"qml.jacobian, diff_method={method}"] = partial(differentiated, qml.jacobian(node))
    return ways


def differentiated(derivative: Callable[[Any], Any], parameters: Parameters) -> Any:
    """Return the derivatives by every parameter."""
    return derivative(qml.numpy.array(parameters, requires_grad=True))


if __name__ == "__main__":
    serve_values(prepare)
