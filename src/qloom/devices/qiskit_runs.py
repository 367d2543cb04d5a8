"""Running circuits on a Qiskit backend: by its own `run`, or by a V2 sampler; counts come back as texts of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from qloom.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.results import IntArray, KeyArray, RowArray

AT_ONCE = 300
"""Circuits in one job at most, so that many parameter sets do not all lie in memory as circuits."""
SEED_BITS = 31
"""What every simulator takes as its seed."""
WORD_BITS = 64

Counts = dict[str, int]
"""Bits, the first one first, without spaces -> how often they were seen."""


class Runs(Protocol):
    """Runs circuits.

    Attributes:
        seeded: whether seeds decide the samples.
    """

    seeded: bool

    def counts(self, circuits: Sequence[Any], register: str, shots: int, seeds: Iterator[int]) -> list[Counts]:
        """Return what was measured into a register, for each circuit.

        Raises:
            Rejected: the backend failed, or answered something else than was asked.
        """
        ...


class BackendRuns:
    """A backend's own `run`.

    Args:
        backend: a `BackendV2`.
        options: for each run.

    A seed goes to backends whose options have `seed_simulator`. Aer gives each circuit of a job a seed of its own. Others may
    give all the same, which would make the errors of the circuits alike, so they are sent one by one.
    """

    def __init__(self, backend: Any, options: dict[str, Any]) -> None:
        self._backend = backend
        self._options = options
        self.seeded = hasattr(backend.options, "seed_simulator")
        one_by_one = self.seeded and not type(backend).__module__.startswith("qiskit_aer")
        self._most = 1 if one_by_one else min(AT_ONCE, backend.max_circuits or AT_ONCE)

    def counts(self, circuits: Sequence[Any], register: str, shots: int, seeds: Iterator[int]) -> list[Counts]:
        found: list[Counts] = []
        for start in range(0, len(circuits), self._most):
            part = list(circuits[start : start + self._most])
            seed = {"seed_simulator": next(seeds) >> (64 - SEED_BITS)} if self.seeded else {}
            found += self._job(part, register, shots, seed)
        return found

    def _job(self, circuits: list[Any], register: str, shots: int, seed: dict[str, int]) -> list[Counts]:
        from qiskit.exceptions import QiskitError

        try:
            answer = self._backend.run(circuits, shots=shots, **self._options, **seed).result()
            if not answer.success:
                raise Rejected(f"{self._backend.name} failed: {answer.status}")
            return [
                _checked(_of_register(answer.get_counts(index), circuit, register), shots, self._backend.name)
                for index, circuit in enumerate(circuits)
            ]
        except (QiskitError, NotImplementedError) as error:
            raise Rejected(
                f"{self._backend.name} failed: {error}; where it runs by a sampler only, say run.sampler=..."
            ) from error


class SamplerRuns:
    """A V2 sampler, which brings its own way to a backend. Its samples do not follow our seeds.

    Args:
        sampler: a `BaseSamplerV2`.
        name: for messages.
    """

    seeded = False

    def __init__(self, sampler: Any, name: str) -> None:
        self._sampler = sampler
        self._name = name

    def counts(self, circuits: Sequence[Any], register: str, shots: int, seeds: Iterator[int]) -> list[Counts]:
        del seeds
        from qiskit.exceptions import QiskitError

        found: list[Counts] = []
        try:
            for start in range(0, len(circuits), AT_ONCE):
                answer = self._sampler.run(list(circuits[start : start + AT_ONCE]), shots=shots).result()
                texts = (getattr(one.data, register).get_counts() for one in answer)
                found += [_checked({text[::-1]: count for text, count in each.items()}, shots, self._name) for each in texts]
        except QiskitError as error:
            raise Rejected(f"{self._name} failed: {error}") from error
        return found


def _of_register(counts: Any, circuit: Any, register: str) -> Counts:
    """Return what one register holds, from counts of all, whose texts have the last bit of the last register first."""
    place = 0
    for each in circuit.cregs:
        if each.name == register:
            break
        place += each.size
    found: Counts = {}
    for text, count in counts.items():
        bits = text.replace(" ", "").zfill(circuit.num_clbits)[::-1][place : place + each.size]
        found[bits] = found.get(bits, 0) + int(count)
    return found


def _checked(counts: Counts, shots: int, name: str) -> Counts:
    if (total := sum(counts.values())) != shots:
        raise Rejected(f"{name} answered {total} of {shots} shots")
    return counts


def keys_of(counts: Counts, width: int) -> tuple[KeyArray | RowArray, IntArray]:
    """Return the first `width` bits of each text as a sample table holds them.

    >>> keys, numbers = keys_of({"110": 3, "111": 4, "000": 1}, 2)
    >>> keys.tolist(), numbers.tolist()
    ([0, 3], [1, 7])
    """
    joined: Counts = {}
    for text, count in counts.items():
        joined[text[:width]] = joined.get(text[:width], 0) + count
    ascending = sorted(joined)
    numbers: IntArray = np.array([joined[text] for text in ascending], dtype=np.int64)
    if width <= WORD_BITS:
        return np.array([int(text, 2) for text in ascending], dtype=np.uint64), numbers
    bits = np.array([list(text.encode("ascii")) for text in ascending], dtype=np.uint8) - np.uint8(ord("0"))
    return np.packbits(bits, axis=1), numbers
