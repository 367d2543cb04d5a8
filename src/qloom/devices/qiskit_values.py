"""Exact expectation values on Aer, by its own estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.errors import Rejected, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Observable
    from qloom.devices.qiskit_circuits import QiskitCircuit
    from qloom.tasks import FloatArray

EXACT_METHODS = ("automatic", "statevector", "density_matrix")
"""Methods of Aer that hold the whole state where there is no noise; with noise it is the last one alone."""


def gives_exact_values(backend: Any) -> bool:
    """Return whether a backend is Aer, and set up so that expectation values are worked out without sampling.

    >>> from qiskit_aer import AerSimulator
    >>> [gives_exact_values(AerSimulator(method=method)) for method in ("statevector", "matrix_product_state")]
    [True, False]
    """
    if type(backend).__module__.partition(".")[0] != "qiskit_aer" or type(backend).__name__ != "AerSimulator":
        return False
    options = backend.options
    return options.method == "density_matrix" or (options.noise_model is None and options.method in EXACT_METHODS)


class ExactValues:
    """Aer's estimator, asked for no error at all.

    Args:
        backend: an `AerSimulator` with exact values.
        threads: for each run.

    Raises:
        Unsupported: the backend has none.
    """

    def __init__(self, backend: Any, threads: int) -> None:
        if not gives_exact_values(backend):
            raise Unsupported(f"{backend.name} has no exact values, and so no gradients; ask for values with shots")
        from qiskit_aer.primitives import EstimatorV2

        self._backend = backend
        run_options = {"max_parallel_threads": threads}
        self._estimator = EstimatorV2.from_backend(backend, options={"run_options": run_options})

    def values(self, item: QiskitCircuit, rows: FloatArray, observables: Sequence[Observable]) -> FloatArray:
        """Return values, shape (rows, observables).

        Args:
            item: a circuit, ready for the backend.
            rows: values of its formulas, shape (rows, formulas).
            observables: on the circuit's qubits.

        Raises:
            Unsupported: the circuit measures, resets or branches in between, so that its end is not one state.
            Rejected: Aer failed; what it says is in the message.
        """
        from qiskit.exceptions import QiskitError

        circuit = item.unmeasured()
        self._refuse_dynamic(circuit)
        asked = [_placed(observable, circuit) for observable in observables]
        values = np.array(item.arranged(circuit, rows.tolist())).reshape(len(rows), circuit.num_parameters)
        try:
            # Observables stand in the rows, sets in the columns.
            found = self._estimator.run([(circuit, [[one] for one in asked], values, 0.0)]).result()[0].data.evs
        except QiskitError as error:
            raise Rejected(f"{self._backend.name} failed: {error}") from error
        by_set: FloatArray = np.asarray(found, dtype=np.float64).reshape(len(asked), len(rows)).T
        return by_set

    def _refuse_dynamic(self, circuit: Any) -> None:
        sampled = {"measure", "if_else"} | (set() if self._backend.options.method == "density_matrix" else {"reset"})
        if found := sorted(sampled & set(circuit.count_ops())):
            raise Unsupported(
                f"{self._backend.name} has no exact values of a circuit with {' and '.join(found)} in between; "
                "ask for values with shots"
            )


def _placed(observable: Observable, circuit: Any) -> Any:
    """Return an observable as Qiskit writes it, qubit 0 last, on a transpiled circuit's qubits."""
    from qiskit.quantum_info import SparsePauliOp

    terms = [(string[::-1], value) for string, value in observable.terms.items()]
    found = SparsePauliOp.from_list(terms)
    return found if circuit.layout is None else found.apply_layout(circuit.layout, circuit.num_qubits)
