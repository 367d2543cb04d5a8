"""Expectation values from distributions, by both ways that there are: they must agree."""

from collections.abc import Sequence

import pytest

from qloom.circuits import Observable
from qloom.contracts import Distribution
from qloom.mitigation.distributions import basis_of, plain_estimator
from qloom.pipelines.distributions import expectations


def expectation(
    observable: Observable, distributions: Sequence[Distribution], measured: Sequence[int] | None = None
) -> tuple[float, float]:
    """Return the value and its standard error, from one distribution for each setting; bits are the qubits if not said."""
    qubits = tuple(range(observable.num_qubits) if measured is None else measured)
    bases = tuple(basis_of(one) for one in distributions)
    values, variances = plain_estimator((observable,), bases, qubits).estimate(distributions)
    found = float(values[0]), float(variances[0]) ** 0.5
    assert expectations(distributions, observable, qubits) == pytest.approx(found, rel=1e-9, abs=1e-9)
    return found
