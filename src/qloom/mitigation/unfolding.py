"""Confusion matrices of readout, and their undoing: by the inverse, or by iterative Bayesian unfolding.

A confusion matrix A has A[m, t] = the probability to read m where t was the case; its columns sum to 1. Sources: the inverse on
local and on correlated matrices, Bravyi, Sheldon, Kandala, McKay, Gambetta, arXiv:2006.14044; the restriction to the keys that
were seen, Nation, Kang, Sundaresan, Gambetta, arXiv:2108.12518 (M3); iterative unfolding, D'Agostini, Nucl. Instrum. Meth. A 362
(1995) 487, for readout of qubits Nachman, Urbanek, de Jong, Bauer, arXiv:1910.01969.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qloom.errors import InvalidSetting, Unsupported
from qloom.mitigation.distributions import SIGNS, bit_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from qloom.contracts import Distribution

    FloatArray = npt.NDArray[np.float64]
    KeyArray = npt.NDArray[np.uint64]

DENSE_BITS = 12
"""Up to so many bits, distributions are unfolded over all keys; above, over those that were seen."""
MOST_KEYS = 4096
"""A matrix over so many seen keys takes 128 MiB and seconds."""
WORST_CONDITION = 1e6
"""Of a confusion matrix: beyond it, what is read says nothing about what was the case."""
COLUMN_TOLERANCE = 1e-6


class Cluster(NamedTuple):
    """Bits whose errors depend on each other.

    Attributes:
        bits: classical bits; the first is the most significant of an index into the matrices.
        confusion: shape (2**k, 2**k), [measured, prepared].
        inverse: of it.
    """

    bits: tuple[int, ...]
    confusion: FloatArray
    inverse: FloatArray


def cluster(bits: Sequence[int], confusion: Sequence[Sequence[float]] | FloatArray) -> Cluster:
    """Return a cluster of bits with its inverse.

    Args:
        bits: classical bits.
        confusion: shape (2**k, 2**k), [measured, prepared], columns sum to 1.

    Raises:
        InvalidSetting: no such matrix.
        Unsupported: nothing can be told from what is read, since the matrix is singular or nearly so.

    >>> cluster([0], [[0.9, 0.2], [0.1, 0.8]]).inverse.round(12).tolist()
    [[1.142857142857, -0.285714285714], [-0.142857142857, 1.285714285714]]
    """
    names = f"classical bit{'s' * (len(bits) > 1)} {', '.join(map(str, bits))}"
    matrix = np.array(confusion, dtype=np.float64)
    if matrix.shape != (1 << len(bits),) * 2:
        raise InvalidSetting(f"the confusion matrix of {names} has the shape {matrix.shape}, not {(1 << len(bits),) * 2}")
    if not ((matrix >= 0) & (matrix <= 1)).all() or abs(matrix.sum(axis=0) - 1).max() > COLUMN_TOLERANCE:
        raise InvalidSetting(
            f"the confusion matrix of {names} has entries that are no probabilities, or columns that do not sum to 1 to"
            f" {COLUMN_TOLERANCE:g}; column t holds the probabilities of what is read where t was prepared"
        )
    condition = float(np.linalg.cond(matrix, 1))
    if not condition < WORST_CONDITION:
        raise Unsupported(
            f"the confusion matrix of {names} cannot be inverted: its condition is {condition:.2g}, the limit"
            f" {WORST_CONDITION:g}; what is read says nothing about the qubit, so measure others or calibrate the device"
        )
    inverse: FloatArray = np.linalg.inv(matrix).astype(np.float64, copy=False)
    return Cluster(tuple(bits), matrix, inverse)


class Confusion:
    """How a whole register is misread: a product of the confusion matrices of clusters of bits.

    Args:
        clusters: every bit in one of them.

    Attributes:
        bits: how many.
        clusters: those given.
        overhead: the squared 1-norm of the inverse, which bounds by how much it multiplies the variance of a mean of values
            between -1 and 1.
        drawn: `bits` and `matrix` of each cluster, for notes.

    >>> flip = [[0.9, 0.1], [0.1, 0.9]]
    >>> both = Confusion([cluster([0], flip), cluster([1], flip)])
    >>> both.bits, round(both.overhead, 6)
    (2, 2.441406)
    """

    def __init__(self, clusters: Sequence[Cluster]) -> None:
        named = sorted(bit for found in clusters for bit in found.bits)
        if named != list(range(len(named))):
            raise InvalidSetting(f"confusion matrices cover every classical bit from 0 up once, these cover {named}")
        self.bits = len(named)
        self.clusters = tuple(clusters)
        self._home = {bit: number for number, found in enumerate(clusters) for bit in found.bits}
        norms = [float(abs(found.inverse).sum(axis=0).max()) for found in clusters]
        self.overhead = float(np.prod(norms)) ** 2
        self.drawn = [{"bits": list(found.bits), "matrix": found.confusion} for found in clusters]

    def reading(self, support: tuple[int, ...]) -> list[tuple[tuple[int, ...], FloatArray]]:
        """Return functions of a cluster's bits whose product has the Pauli string's expectation value as its mean.

        With z the sign of the true bits of the string, and z' A^-1 on the measured ones: the mean of z' A^-1 over what is read is
        the mean of z over what is the case. Clusters that the string does not touch drop out, as columns sum to 1; so the cost
        grows with the string, not with the register.
        """
        touched = dict.fromkeys(self._home[bit] for bit in support)
        found = []
        for number in touched:
            bits, _, inverse = self.clusters[number]
            signs = np.ones(1)
            for bit in bits:
                signs = np.kron(signs, SIGNS if bit in support else np.ones(2))
            found.append((bits, signs @ inverse))
        return found

    def inverted(self, distribution: Distribution) -> Distribution:
        """Return the quasi-distribution of what was the case, by the inverse; weights may be negative.

        Up to 12 bits exactly, over all keys; above, over the keys that were seen, with columns made to sum to 1 (M3).

        Raises:
            Unsupported: more than 4096 keys on more than 12 bits.
        """
        if self.bits <= DENSE_BITS:
            weights = self._applied([found.inverse for found in self.clusters], _dense(distribution))
            keys = _all_keys(self.bits)
        else:
            keys = distribution.keys
            weights = np.linalg.solve(self._among(keys), distribution.weights).astype(np.float64, copy=False)
        return distribution._replace(keys=keys, weights=weights, spread=distribution.spread * self.overhead)

    def iterated(self, distribution: Distribution, iterations: int) -> Distribution:
        """Return the distribution of what was the case, by iterative Bayesian unfolding from a uniform one; none is negative.

        Over all keys up to 12 bits, above over those that were seen.

        Raises:
            Unsupported: more than 4096 keys on more than 12 bits.
        """
        if self.bits <= DENSE_BITS:
            keys, read = _all_keys(self.bits), np.maximum(_dense(distribution), 0.0)
            matrices = [found.confusion for found in self.clusters]
            turned = [found.confusion.T for found in self.clusters]
            weights = _unfold(lambda t: self._applied(matrices, t), lambda m: self._applied(turned, m), read, iterations)
        else:
            keys, read = distribution.keys, np.maximum(distribution.weights, 0.0)
            matrix = self._among(keys)
            weights = _unfold(lambda t: matrix @ t, lambda m: matrix.T @ m, read, iterations)
        return distribution._replace(keys=keys, weights=weights, spread=distribution.spread * self.overhead)

    def _applied(self, matrices: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
        """Return the product of the clusters' matrices, applied to weights of all keys, shape (2**bits,)."""
        state: Any = weights.reshape((2,) * self.bits)
        for found, matrix in zip(self.clusters, matrices, strict=True):
            size = len(found.bits)
            product = np.tensordot(matrix.reshape((2,) * (2 * size)), state, (range(size, 2 * size), found.bits))
            state = np.moveaxis(product, range(size), found.bits)
        flat: FloatArray = state.reshape(-1)
        return flat

    def _among(self, keys: KeyArray) -> FloatArray:
        """Return the confusion matrix between the keys given, columns made to sum to 1."""
        if len(keys) > MOST_KEYS:
            raise Unsupported(
                f"{len(keys)} different keys on {self.bits} bits are too many to unfold, the limit is {MOST_KEYS}; take fewer"
                " shots or measure fewer qubits, or ask for expectation values, which have no such limit"
            )
        columns = bit_columns(keys, self.bits)
        matrix = np.ones((len(keys), len(keys)))
        for found in self.clusters:
            index = np.zeros(len(keys), dtype=np.int64)
            for bit in found.bits:
                index = 2 * index + columns[bit]
            matrix *= found.confusion[np.ix_(index, index)]
        scaled: FloatArray = matrix / matrix.sum(axis=0)
        return scaled


def _unfold(
    forward: Callable[[FloatArray], FloatArray], backward: Callable[[FloatArray], FloatArray], read: FloatArray, iterations: int
) -> FloatArray:
    """Return t after so many steps t <- t * A'(m / A t), each of which raises the likelihood of what was read."""
    weights: FloatArray = np.full(len(read), 1.0 / len(read))
    read = read / read.sum()
    for _ in range(iterations):
        expected = forward(weights)
        ratio = np.divide(read, expected, out=np.zeros_like(read), where=expected > 0)
        weights = weights * backward(ratio)
    total: FloatArray = weights / weights.sum()
    return total


def _dense(distribution: Distribution) -> FloatArray:
    weights = np.zeros(1 << distribution.bits)
    weights[distribution.keys.astype(np.int64)] = distribution.weights
    return weights


def _all_keys(bits: int) -> KeyArray:
    return np.arange(1 << bits, dtype=np.uint64)
