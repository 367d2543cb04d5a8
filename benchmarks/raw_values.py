"""Expectation values of sums of Pauli terms with the libraries called directly, in every way worth trying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from benchmarks.workload import Gate

    FloatArray = npt.NDArray[np.float64]
    Estimate = Callable[[FloatArray], float]


def candidates(gates: Sequence[Gate], num_qubits: int, terms: dict[str, float]) -> dict[str, Estimate]:
    """Return every direct way: label -> the exact value for one parameter set."""
    return {
        "lightning, one Hamiltonian": raw.lightning_estimate(gates, num_qubits, terms),
        "lightning, term by term": lightning_terms(gates, num_qubits, terms),
        "qulacs, one observable": qulacs_estimate(gates, num_qubits, terms),
    }


def lightning_terms(gates: Sequence[Gate], num_qubits: int, terms: Mapping[str, float]) -> Estimate:
    """Return a function that asks lightning for each term and adds them up in numpy."""
    state, measurements = raw.lightning_state(num_qubits)
    run, expval, weights = raw.lightning_run(state, gates), measurements.expval, np.array(list(terms.values()))
    products = [raw.lightning_product(string) for string in terms]

    def once(parameters: FloatArray) -> float:
        run(parameters)
        return float(weights @ [expval(product) for product in products])

    return once


def qulacs_estimate(gates: Sequence[Gate], num_qubits: int, terms: Mapping[str, float]) -> Estimate:
    """Return a function that gives the value by qulacs; its qubit 0 is the last of ours."""
    import qulacs

    state, run = raw.qulacs_run(gates, num_qubits)
    observable: Any = qulacs.Observable(num_qubits)
    for string, weight in terms.items():
        letters = [f"{letter} {num_qubits - 1 - qubit}" for qubit, letter in enumerate(string) if letter != "I"]
        observable.add_operator(weight, " ".join(letters))
    value = observable.get_expectation_value

    def once(parameters: FloatArray) -> float:
        run(parameters)
        return float(value(state))

    return once
