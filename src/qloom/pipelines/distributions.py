"""Distributions: what was measured of one circuit in one setting, and the values that it gives."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from qloom.contracts.stage import Distribution
from qloom.errors import InvalidTask, Unsupported
from qloom.results import SampleTable
from qloom.results.quasi import QuasiTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Observable
    from qloom.contracts.stage import FloatArray, KeyArray
    from qloom.results import Result

WORD_BITS = 64
WHOLE = 1e-6
"""How far weights times shots may be from whole numbers to count as counts."""


def distribution_of(result: Result, basis: str = "") -> Distribution:
    """Return the distribution of a result with a single item, weights being frequencies.

    Args:
        result: of a `run`.
        basis: the Pauli letter measured on each bit; empty where nothing was turned.

    Raises:
        InvalidTask: it has several items, or holds values.
        Unsupported: its keys have more than 64 bits.

    >>> import qloom
    >>> found = distribution_of(qloom.device("sim").run(qloom.Circuit(2).x(1), shots=10))
    >>> found.keys.tolist(), found.weights.tolist(), found.bits
    ([1], [1.0], 2)
    """
    if len(result) != 1:
        raise InvalidTask(f"a distribution is made of one item, and this result holds {len(result)}; take result[i]")
    bits, table = result.key_lengths[0], result.samples
    if bits > WORD_BITS or table.packed:
        raise Unsupported(f"a stage that works on counts takes up to {WORD_BITS} bits, this circuit has {bits}")
    shots = int(table.counts.sum())
    return Distribution(table.keys, table.counts / shots, bits, shots, 1.0, basis)


def flipped(found: Distribution, bits: Sequence[bool]) -> Distribution:
    """Return the distribution with some bits of its keys flipped.

    Args:
        found: what was measured.
        bits: for each bit whether to flip it.

    >>> import numpy as np
    >>> one = flipped(Distribution(np.array([0, 3], np.uint64), np.array([0.25, 0.75]), 2, 4), [True, False])
    >>> one.keys.tolist(), one.weights.tolist()
    ([1, 2], [0.75, 0.25])
    """
    import numpy as np

    mask = np.uint64(sum(1 << (found.bits - 1 - place) for place, flip in enumerate(bits) if flip))
    keys = found.keys ^ mask
    order = np.argsort(keys)
    return found._replace(keys=keys[order], weights=found.weights[order])


def signs(found: Distribution, places: Sequence[int]) -> FloatArray:
    """Return, for each key, +1 where the bits at these places have even parity, -1 where odd; shape (keys,).

    >>> import numpy as np
    >>> signs(Distribution(np.array([0, 1, 3], np.uint64), np.ones(3) / 3, 2, 3), [0, 1]).tolist()
    [1.0, -1.0, 1.0]
    """
    import numpy as np

    mask = np.uint64(sum(1 << (found.bits - 1 - place) for place in places))
    folded = found.keys & mask
    for shift in (32, 16, 8, 4, 2, 1):  # the parity of all bits gathers in the last one
        folded = folded ^ (folded >> np.uint64(shift))
    return 1.0 - 2.0 * (folded & np.uint64(1)).astype(np.float64)


def expectations(settings: Sequence[Distribution], observable: Observable, measured: Sequence[int]) -> tuple[float, float]:
    """Return an observable's value and its standard error, from what was measured in each setting.

    A term that several settings tell is the mean over them. The variance of a mean over N shots is taken from the shots
    themselves, with N - 1; of a single shot the largest possible one.

    Args:
        settings: independent of each other.
        observable: on the circuit's qubits.
        measured: the qubit that each bit was read from.

    Raises:
        InvalidTask: a term that no setting tells.

    >>> import numpy as np
    >>> from qloom.circuits import Observable
    >>> even = Distribution(np.array([0, 3], np.uint64), np.array([0.5, 0.5]), 2, 101, 1.0, "ZZ")
    >>> expectations([even], Observable({"ZZ": 1.0, "ZI": 2.0, "II": 0.5}), [0, 1])
    (1.5, 0.2)
    """
    place = {qubit: bit for bit, qubit in enumerate(measured)}
    terms: list[list[tuple[float, list[int]]]] = [[] for _ in settings]
    total = variance = 0.0
    for string, factor in zip(observable.strings, observable.coefficients, strict=True):
        letters = {qubit: letter for qubit, letter in enumerate(string) if letter != "I"}
        if not letters:
            total += factor
            continue
        homes = [number for number, found in enumerate(settings) if _tells(found, letters, place)]
        if not homes:
            bases = ", ".join(found.basis or "Z" * found.bits for found in settings)
            raise InvalidTask(f"term {string} can be read from none of the measured bases ({bases})")
        for home in homes:
            terms[home].append((factor / len(homes), [place[qubit] for qubit in letters]))
    for found, told in zip(settings, terms, strict=True):
        mean, square = _moments(found, told)
        total += mean
        variance += found.spread * square
    return total, math.sqrt(variance)


def _tells(found: Distribution, letters: dict[int, str], place: dict[int, int]) -> bool:
    basis = found.basis or "Z" * found.bits
    return all(qubit in place and basis[place[qubit]] == letter for qubit, letter in letters.items())


def _moments(found: Distribution, terms: list[tuple[float, list[int]]]) -> tuple[float, float]:
    """Return the mean of a sum of terms, and the variance of that mean for a spread of 1."""
    if not terms:
        return 0.0, 0.0
    function = sum(factor * signs(found, places) for factor, places in terms)
    mean = float(found.weights @ function)
    if found.shots <= 1:
        return mean, sum(abs(factor) for factor, _ in terms) ** 2
    return mean, max(float(found.weights @ function**2) - mean**2, 0.0) / (found.shots - 1)


def result_table(found: Sequence[Distribution], places: Sequence[tuple[tuple[int, ...], int]]) -> dict[str, Any]:
    """Return what a `Result` is made with: `samples` where every weight is a frequency, else `quasi`.

    Args:
        found: for each item.
        places: for each item, the classical bit that each bit of its keys stands at, and how many bits there are in all.

    >>> import numpy as np
    >>> from qloom.contracts.stage import Distribution
    >>> one = Distribution(np.array([0, 1], np.uint64), np.array([0.25, 0.75]), 1, 4)
    >>> result_table([one], [((1,), 2)])["samples"]
    SampleTable(keys=array([0, 1], dtype=uint64), counts=array([1, 3]), splits=(0, 2), order_seed=0)
    """
    import numpy as np

    keys = [_spread(one, *place) for one, place in zip(found, places, strict=True)]
    splits = (0, *accumulate(len(one) for one in keys))
    counts = [one.weights * one.shots for one in found]
    if all(one.spread == 1.0 and _is_whole(count) for one, count in zip(found, counts, strict=True)):
        whole = np.rint(np.concatenate(counts)).astype(np.int64)
        return {"samples": SampleTable(np.concatenate(keys), whole, splits)}
    return {"quasi": QuasiTable(np.concatenate(keys), np.concatenate([one.weights for one in found]), splits)}


def _is_whole(counts: FloatArray) -> bool:
    import numpy as np

    return bool(counts.min() > WHOLE and np.abs(counts - np.rint(counts)).max() < WHOLE)


def _spread(one: Distribution, bits: tuple[int, ...], length: int) -> KeyArray:
    """Return keys whose bits stand where the circuit's classical bits are; the order of keys stays."""
    import numpy as np

    if bits == tuple(range(length)):
        return one.keys
    keys: KeyArray = np.zeros_like(one.keys)
    for place, bit in enumerate(bits):
        value = (one.keys >> np.uint64(one.bits - 1 - place)) & np.uint64(1)
        keys |= value << np.uint64(length - 1 - bit)
    return keys
