"""What is done with distributions: take means, post-select, estimate observables.

Pure functions over `contracts.Distribution`. Position i of a key is classical bit i, the most significant of its `bits` bits, and
`measured` says for each bit which qubit it was read from.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qloom.contracts import Distribution
from qloom.errors import InvalidTask, Unsupported
from qloom.pipelines.distributions import WORD_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from qloom.circuits import Observable

    FloatArray = npt.NDArray[np.float64]
    KeyArray = npt.NDArray[np.uint64]
    IndexArray = npt.NDArray[np.int64]
    BoolArray = npt.NDArray[np.bool_]
    Factor = tuple[tuple[int, ...], FloatArray]
    Check = tuple[tuple[int, ...], bool]
    """Bits, and whether an odd number of them has to be 1."""
    Reading = Callable[[tuple[int, ...]], Iterable[Factor]]
    """From the bits that a Pauli string acts on to functions of few bits whose product, averaged over shots, estimates it."""

MOST_BITS = WORD_BITS
TABLE_BITS = 12
"""Up to so many bits, what an observable is worth on each key is looked up."""
TABLE_BYTES = 1 << 25
"""In at most so many bytes for each measurement setting."""
SIGNS = np.array([1.0, -1.0])


def basis_of(distribution: Distribution) -> str:
    """Return the letter that was measured on each bit.

    >>> basis_of(Distribution(np.array([0], np.uint64), np.ones(1), 2, 10))
    'ZZ'
    """
    return distribution.basis or "Z" * distribution.bits


def bit_columns(keys: KeyArray, bits: int) -> IndexArray:
    """Return keys bit by bit, shape (bits, keys), int64.

    >>> bit_columns(np.array([1, 2], np.uint64), 2).tolist()
    [[0, 1], [1, 0]]
    """
    places = np.arange(bits - 1, -1, -1, dtype=np.uint64)
    found: IndexArray = ((keys[None, :] >> places[:, None]) & np.uint64(1)).astype(np.int64)
    return found


def odd(keys: KeyArray, bits: int, chosen: Sequence[int]) -> BoolArray:
    """Return for each key whether an odd number of the chosen bits is 1.

    >>> odd(np.array([0, 1, 2, 3], np.uint64), 2, [0, 1]).tolist()
    [False, True, True, False]
    """
    mask = sum(1 << (bits - 1 - bit) for bit in set(chosen))
    word = keys & np.uint64(mask)
    for shift in (32, 16, 8, 4, 2, 1):
        word = word ^ (word >> np.uint64(shift))
    found: BoolArray = (word & np.uint64(1)).astype(np.bool_)
    return found


def mean(distributions: Sequence[Distribution], shares: Sequence[float] | None = None) -> Distribution:
    """Return the mean of several distributions of one setting.

    Args:
        distributions: over as many bits and in one basis.
        shares: of each, with sum 1; by their shots over their spread if not given, which is the weighting by inverse variance.

    Raises:
        InvalidTask: there are none, or they differ in bits or basis.

    >>> one, two = (Distribution(np.array([key], np.uint64), np.ones(1), 1, 50) for key in (0, 1))
    >>> both = mean([one, two])
    >>> both.weights.tolist(), both.shots
    ([0.5, 0.5], 100)
    """
    forms = {(found.bits, basis_of(found)) for found in distributions}
    if len(forms) != 1:
        shown = ", ".join(f"{bits} bits in {basis or 'no basis'}" for bits, basis in sorted(forms)) or "none"
        raise InvalidTask(f"a mean takes distributions of one setting, got {shown}")
    if len(distributions) == 1:
        return distributions[0]
    parts = _shares(distributions) if shares is None else list(shares)
    keys, back = np.unique(np.concatenate([found.keys for found in distributions]), return_inverse=True)
    weights = np.concatenate([part * found.weights for part, found in zip(parts, distributions, strict=True)])
    shots = sum(found.shots for found in distributions)
    each = zip(parts, distributions, strict=True)
    spread = sum(part * part * found.spread * (shots / found.shots) for part, found in each) if np.isfinite(shots) else 1.0
    return distributions[0]._replace(keys=keys, weights=_summed(back, weights, len(keys)), shots=shots, spread=float(spread))


def _summed(back: Any, weights: FloatArray, size: int) -> FloatArray:
    total: Any = np.bincount(back.ravel(), weights=weights, minlength=size)
    return np.asarray(total, dtype=np.float64)


def _shares(distributions: Sequence[Distribution]) -> list[float]:
    worth = np.array([found.shots / found.spread for found in distributions], dtype=np.float64)
    if np.isinf(worth).any():
        worth = np.isinf(worth).astype(np.float64)
    shares: list[float] = (worth / worth.sum()).tolist()
    return shares


def post_select(distribution: Distribution, checks: tuple[Check, ...]) -> tuple[Distribution, float]:
    """Return what is left of a distribution where parities are as they must be, and the share that is left.

    Args:
        distribution: with weights that sum to 1.
        checks: bits, and whether an odd number of them has to be 1.

    Raises:
        Unsupported: nothing is left.

    >>> bell = Distribution(np.arange(4, dtype=np.uint64), np.array([0.4, 0.1, 0.1, 0.4]), 2, 1000)
    >>> kept, share = post_select(bell, (((0, 1), False),))
    >>> kept.weights.tolist(), round(share, 12), kept.shots
    ([0.5, 0.5], 0.8, 800.0)
    """
    keys, size = distribution.keys, distribution.bits
    keep = _kept(keys, size, checks) if size > TABLE_BITS else _kept_of_all(size, checks)[keys]
    weights = distribution.weights[keep]
    share = float(weights.sum())
    if not share > 0:
        raise Unsupported(f"none of {distribution.shots:g} shots has the parities asked for; check the signs, or take more shots")
    return distribution._replace(keys=keys[keep], weights=weights / share, shots=distribution.shots * share), share


def _kept(keys: KeyArray, bits: int, checks: tuple[Check, ...]) -> BoolArray:
    keep = np.ones(len(keys), dtype=np.bool_)
    for chosen, is_odd in checks:
        keep &= odd(keys, bits, chosen) == is_odd
    return keep


@lru_cache(maxsize=64)
def _kept_of_all(bits: int, checks: tuple[Check, ...]) -> BoolArray:
    return _kept(np.arange(1 << bits, dtype=np.uint64), bits, checks)


# ---- observables -----------------------------------------------------------------------------------------------------


class Estimate(NamedTuple):
    """Expectation values from distributions.

    Attributes:
        values: shape (readings * observables,), reading after reading.
        variances: of those of the first reading, shape (observables,).
    """

    values: FloatArray
    variances: FloatArray


class _Term(NamedTuple):
    row: int
    coefficient: float
    support: tuple[int, ...]


def plain(support: tuple[int, ...]) -> tuple[Factor, ...]:
    """Return the factors that estimate a Pauli string where readout is taken to have no errors: a sign for each bit.

    >>> [(bits, table.tolist()) for bits, table in plain((0, 2))]
    [((0,), [1.0, -1.0]), ((2,), [1.0, -1.0])]
    """
    return tuple(((bit,), SIGNS) for bit in support)


def needed_bits(string: str, measured: Sequence[int]) -> tuple[int, ...]:
    """Return the classical bits that a Pauli string is read from.

    Raises:
        Unsupported: it acts on a qubit that is not measured.

    >>> needed_bits("ZIX", (2, 1, 0))
    (0, 2)
    """
    qubits = [qubit for qubit, letter in enumerate(string) if letter != "I"]
    if missing := [qubit for qubit in qubits if qubit not in measured]:
        raise Unsupported(f"{string} acts on qubit {missing[0]}, which is not measured; measured are {list(measured)}")
    return tuple(sorted(measured.index(qubit) for qubit in qubits))


def is_readable(string: str, basis: str, measured: Sequence[int]) -> bool:
    """Whether the bits measured in a basis tell the eigenvalue of a Pauli string.

    >>> is_readable("ZIX", "ZZX", (0, 1, 2)), is_readable("XIX", "ZZX", (0, 1, 2)), is_readable("ZI", "Z", (1,))
    (True, False, False)
    """
    letters = dict(zip(reversed(measured), reversed(basis), strict=True))
    return all(letter in ("I", letters.get(qubit)) for qubit, letter in enumerate(string))


class Estimator:
    """Expectation values of observables, with standard errors, from the distributions of measurement settings.

    A term that several settings can tell is averaged over them. Covariances of terms read from the same shots are included, since
    the terms are summed shot by shot; settings are independent of each other.

    Args:
        observables: on all qubits.
        bases: of each setting, the letter measured on each bit.
        measured: the qubit of each bit.
        readings: how Pauli strings are estimated; the values of each are given, variances those of the first.

    Raises:
        Unsupported: a term that no setting tells.

    >>> from qloom.circuits import Observable
    >>> energy = Observable({"ZZ": 1.0, "ZI": 0.5, "II": 3.0})
    >>> keys = np.array([0, 3], np.uint64)
    >>> Estimator((energy,), ("ZZ",), (0, 1)).estimate([Distribution(keys, np.array([0.75, 0.25]), 2, 40)]).values.tolist()
    [4.25]
    """

    def __init__(
        self,
        observables: tuple[Observable, ...],
        bases: tuple[str, ...],
        measured: tuple[int, ...],
        readings: tuple[Reading, ...] = (plain,),
    ) -> None:
        if wrong := next((basis for basis in bases if len(basis) != len(measured)), None):
            raise Unsupported(f"a distribution of {len(wrong)} bits does not fit {len(measured)} measured qubits")
        self._rows = len(observables)
        self._readings = readings
        self._terms = _assigned(observables, bases, measured)
        constants = [_identity(observable) for observable in observables]
        self._constants = np.array(constants * len(readings), dtype=np.float64)
        self._most = [_bounds(terms, self._rows, readings[0]) for terms in self._terms]
        self._tables = [self._table(terms, len(measured)) for terms in self._terms]

    def estimate(self, distributions: Sequence[Distribution]) -> Estimate:
        """Return the values, from one distribution for each setting.

        The variance of a mean over N shots is taken from the shots themselves, with N - 1; with a single shot no variance can be
        estimated, and the largest possible one is returned.
        """
        values = self._constants.copy()
        variances = np.zeros(self._rows)
        size = len(values)
        for terms, table, most, found in zip(self._terms, self._tables, self._most, distributions, strict=True):
            if not terms:
                continue
            rows = self._evaluated(terms, found.keys, found.bits) if table is None else table
            if rows.shape[1] != len(found.keys):
                rows = rows[:, found.keys]
            means = rows @ found.weights
            values += means[:size]
            if found.shots <= 1:
                variances += found.spread * most
            else:
                squares = means[size:] - means[: self._rows] * means[: self._rows]
                variances += np.maximum(squares, 0.0) * (found.spread / (found.shots - 1))
        return Estimate(values, variances)

    def _table(self, terms: list[_Term], bits: int) -> FloatArray | None:
        size = 8 * self._rows * (len(self._readings) + 1) << bits
        if not terms or bits > TABLE_BITS or size > TABLE_BYTES:
            return None
        return self._evaluated(terms, np.arange(1 << bits, dtype=np.uint64), bits)

    def _evaluated(self, terms: list[_Term], keys: KeyArray, bits: int) -> FloatArray:
        """Return what each observable is worth on each key in each reading, and the squares of the first."""
        worth = [_worth(terms, self._rows, reading, keys, bits) for reading in self._readings]
        return np.concatenate([*worth, worth[0] * worth[0]])


@lru_cache(maxsize=64)
def plain_estimator(observables: tuple[Observable, ...], bases: tuple[str, ...], measured: tuple[int, ...]) -> Estimator:
    """Return the estimator that takes readout as it is; the same one for the same question."""
    return Estimator(observables, bases, measured)


def _identity(observable: Observable) -> float:
    return sum(value for string, value in observable.terms.items() if set(string) == {"I"})


def _assigned(observables: Iterable[Observable], bases: Sequence[str], measured: Sequence[int]) -> list[list[_Term]]:
    """Return the terms that each setting is asked for."""
    found: list[list[_Term]] = [[] for _ in bases]
    for row, observable in enumerate(observables):
        for string, coefficient in observable.terms.items():
            if set(string) == {"I"} or not coefficient:
                continue
            support = needed_bits(string, measured)
            homes = [number for number, basis in enumerate(bases) if is_readable(string, basis, measured)]
            if not homes:
                shown = ", ".join(bases) or "none"
                raise Unsupported(f"no measurement setting tells {string}; there are {shown}, read from qubits {list(measured)}")
            for home in homes:
                found[home].append(_Term(row, coefficient / len(homes), support))
    return found


def _bounds(terms: Iterable[_Term], rows: int, reading: Reading) -> FloatArray:
    """Return the square of the largest magnitude that each observable can have on a key."""
    most = np.zeros(rows)
    for row, coefficient, support in terms:
        most[row] += abs(coefficient) * float(np.prod([abs(table).max() for _, table in reading(support)]))
    return most * most


def _worth(terms: Iterable[_Term], rows: int, reading: Reading, keys: KeyArray, bits: int) -> FloatArray:
    columns = bit_columns(keys, bits)
    found = np.zeros((rows, len(keys)))
    places: dict[tuple[int, ...], Any] = {}
    for row, coefficient, support in terms:
        product: Any = coefficient
        for chosen, table in reading(support):
            if chosen not in places:
                places[chosen] = _indices(columns, chosen)
            product = product * table[places[chosen]]
        found[row] += product
    return found


def _indices(columns: IndexArray, chosen: Sequence[int]) -> IndexArray:
    index = np.zeros(columns.shape[1], dtype=np.int64)
    for bit in chosen:
        index = 2 * index + columns[bit]
    return index
