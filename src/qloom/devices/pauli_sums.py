"""Pauli sums in numbers: the diagonal of a group of terms, and estimates of a group from measured keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Observable
    from qloom.circuits.observable import MeasurementGroup
    from qloom.results import IntArray, KeyArray
    from qloom.tasks import FloatArray

TABLE_QUBITS = 12
"""Up to so many qubits, the values of a group on all basis states are looked up (32 KiB at most)."""


class GroupEstimator:
    """One measurement group of an observable: what its terms are worth on a measured basis state.

    Args:
        observable: the sum.
        group: one of its `groups`.

    >>> from qloom.circuits import Observable
    >>> energy = Observable({"ZZ": 1.0, "ZI": 0.5, "II": 3.0})
    >>> estimator = GroupEstimator(energy, energy.groups[0])
    >>> estimator.basis, estimator.estimate(np.array([0, 3], dtype=np.uint64), np.array([30, 10]))[0]
    ('ZZ', 1.25)
    """

    def __init__(self, observable: Observable, group: MeasurementGroup) -> None:
        self.basis = group.basis
        self._qubits = observable.num_qubits
        self._masks = _masks(observable, group.terms)
        self._weights = np.array([observable.coefficients[index] for index in group.terms])
        self._table = diagonal(observable, group.terms) if self._qubits <= TABLE_QUBITS else None

    def estimate(self, states: KeyArray, counts: IntArray) -> tuple[float, float]:
        """Return the mean of the group's terms together, and the variance of that mean.

        Covariances of terms measured by the same shots are included, since the terms are summed shot by shot. With a single
        shot no variance can be estimated; the largest possible one is returned.

        Args:
            states: measured basis states, qubit 0 most significant.
            counts: how often each was measured.
        """
        values = self._values(states)
        shots = int(counts.sum())
        mean = float(values @ counts) / shots
        if shots == 1:
            return mean, float(np.abs(self._weights).sum()) ** 2
        deviations = values - mean
        return mean, float((deviations * deviations) @ counts) / (shots - 1) / shots

    def _values(self, states: KeyArray) -> FloatArray:
        if self._table is not None:
            looked_up: FloatArray = self._table[states]
            return looked_up
        values = np.zeros(len(states))
        for mask, weight in zip(self._masks, self._weights.tolist(), strict=True):
            values += weight * _signs(states & mask)
        return values


def diagonal(observable: Observable, terms: Sequence[int]) -> FloatArray:
    """Return what the sum of some terms is worth on each basis state of their common basis, shape (2**n,).

    Args:
        observable: the sum.
        terms: positions of terms that commute qubit by qubit.

    >>> from qloom.circuits import Observable
    >>> diagonal(Observable({"ZZ": 1.0, "ZI": 0.5}), [0, 1]).tolist()
    [1.5, -0.5, -1.5, 0.5]
    """
    low = observable.num_qubits // 2
    masks = _masks(observable, terms)
    weights = np.array([observable.coefficients[index] for index in terms])
    # A sign factors into that of the high and that of the low qubits, so all terms together are one product of matrices.
    high_states = np.arange(1 << (observable.num_qubits - low), dtype=np.uint64) << np.uint64(low)
    low_states = np.arange(1 << low, dtype=np.uint64)
    high_signs = _signs(high_states[:, None] & masks[None, :]) * weights
    low_signs = _signs(low_states[:, None] & masks[None, :])
    worth: FloatArray = (high_signs @ low_signs.T).ravel()
    return worth


def _masks(observable: Observable, terms: Sequence[int]) -> KeyArray:
    """Return for each term the bits of a basis state that its sign depends on."""
    texts = ["".join("01"[letter != "I"] for letter in observable.strings[index]) for index in terms]
    return np.array([int(text, 2) for text in texts], dtype=np.uint64)


def _signs(states: KeyArray) -> FloatArray:
    """Return +1 where an even number of bits is set, -1 where an odd number is."""
    folded = states
    for shift in (32, 16, 8, 4, 2, 1):
        folded = folded ^ (folded >> np.uint64(shift))
    return np.where(folded & np.uint64(1), -1.0, 1.0)


class Split(NamedTuple):
    """How an exact expectation value is worked out.

    Attributes:
        constant: the identity's coefficient.
        groups: measurement groups read off the probabilities in their basis.
        terms: positions of the terms summed one by one.
    """

    constant: float
    groups: tuple[MeasurementGroup, ...]
    terms: tuple[int, ...]


def split(observable: Observable, most_groups: int) -> Split:
    """Choose, for each measurement group, the cheaper of two ways: turn the state once, or sum term by term.

    Costs in passes over the state: a group takes two for each qubit turned and four for the probabilities and their sum; a
    term takes one for each letter and two to copy and to sum up.

    Args:
        observable: the sum.
        most_groups: how many diagonals fit into memory; the groups with the most terms get them.

    >>> from qloom.circuits import Observable
    >>> split(Observable({"ZZ": 1.0, "ZI": 0.5, "XX": 0.3, "II": 2.0}), 5)
    Split(constant=2.0, groups=(MeasurementGroup(basis='ZZ', terms=(0, 1)),), terms=(2,))
    """
    texts = observable.strings
    constant = sum(value for text, value in observable.terms.items() if set(text) == {"I"})

    def gain(group: MeasurementGroup) -> int:
        turned = sum(letter in "XY" for letter in group.basis)
        return sum(len(texts[index]) - texts[index].count("I") + 2 for index in group.terms) - 2 * turned - 4

    cheaper = sorted((group for group in observable.groups if gain(group) > 0), key=gain, reverse=True)[:most_groups]
    kept = {index for group in cheaper for index in group.terms}
    rest = tuple(index for index, text in enumerate(texts) if index not in kept and set(text) != {"I"})
    return Split(float(constant), tuple(cheaper), rest)
