"""Sums of Pauli terms: on a diagonal, and from shots."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Observable
from qloom.devices import pauli_sums
from qloom.devices.pauli_sums import GroupEstimator, diagonal, split
from qloom.devices.sampler import draw, seeded

STRINGS = st.text("IZ", min_size=5, max_size=5)


@given(terms=st.dictionaries(STRINGS, st.floats(-3, 3, allow_nan=False), min_size=1, max_size=6))
def test_a_diagonal_is_that_of_the_matrix(terms: dict[str, float]) -> None:
    observable = Observable(terms)
    found = diagonal(observable, range(len(terms)))
    np.testing.assert_allclose(found, np.diag(observable.matrix()).real, atol=1e-12)


@given(terms=st.dictionaries(st.text("IXYZ", min_size=4, max_size=4), st.floats(-3, 3), min_size=1, max_size=8))
def test_every_term_is_summed_exactly_once(terms: dict[str, float]) -> None:
    observable = Observable(terms)
    for most in (0, 1, 9):
        constant, groups, rest = split(observable, most)
        members = [index for group in groups for index in group.terms] + list(rest)
        identity = [index for index, text in enumerate(observable.strings) if text == "IIII"]
        assert sorted(members + identity) == list(range(len(terms)))
        assert constant == sum(observable.coefficients[index] for index in identity)
        assert len(groups) <= most


@pytest.mark.parametrize("table_qubits", [0, 12])
def test_a_groups_mean_is_the_weighted_sum_of_its_parities(monkeypatch: pytest.MonkeyPatch, table_qubits: int) -> None:
    monkeypatch.setattr(pauli_sums, "TABLE_QUBITS", table_qubits)  # looked up, or worked out for each key
    observable = Observable({"ZZI": 0.5, "IIZ": -2.0, "ZIZ": 1.5})
    states, counts = np.array([0b000, 0b011, 0b110], dtype=np.uint64), np.array([2, 3, 5])
    mean, variance = GroupEstimator(observable, observable.groups[0]).estimate(states, counts)
    worth = np.repeat([0.5 - 2.0 + 1.5, -0.5 + 2.0 - 1.5, 0.5 - 2.0 - 1.5], counts)
    assert mean == pytest.approx(worth.mean())
    assert variance == pytest.approx(worth.var(ddof=1) / 10)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_estimates_scatter_as_their_standard_errors_say(seed: int) -> None:
    # ZZ and ZI are measured by the same shots and correlate; without their covariance the error would be 30 % too small.
    observable = Observable({"ZZ": 1.0, "ZI": 1.0})
    estimator = GroupEstimator(observable, observable.groups[0])
    probabilities, shots, rounds = np.array([0.5, 0.1, 0.1, 0.3]), 200, 400
    found = [estimator.estimate(*draw(seeded(1000 * seed + number), probabilities, shots)) for number in range(rounds)]
    worth = diagonal(observable, [0, 1])
    mean = float(probabilities @ worth)
    variance = float(probabilities @ worth**2 - mean**2) / shots
    means, variances = np.array(found).T
    # Means of 400: within 5.5 of their standard errors; a variance of 400 is known to about 7 %.
    assert abs(means.mean() - mean) < 5.5 * math.sqrt(variance / rounds)
    assert means.var() == pytest.approx(variance, rel=0.4)
    assert variances.mean() == pytest.approx(variance, rel=0.05)


def test_a_single_shot_gives_the_largest_error_there_can_be() -> None:
    observable = Observable({"ZZ": 1.0, "ZI": -0.5})
    mean, variance = GroupEstimator(observable, observable.groups[0]).estimate(np.array([1], dtype=np.uint64), np.array([1]))
    assert (mean, variance) == (-1.5, 1.5**2)
