"""Tasks in parts: more circuits than a device takes in one quantum task are sent in several, and answered as one."""

from __future__ import annotations

from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Protocol

from qloom.results import Result, SampleTable
from qloom.tasks import LARGEST_SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.results import Engine
    from qloom.tasks import ParameterValues

APART = 1 << 40
"""How far apart the seeds of parts are, so that no two circuits share one."""


class Asking(Protocol):
    """A prepared task that takes questions with pipeline options in them."""

    @property
    def engine(self) -> Engine:
        """What computes the answers."""
        ...

    @property
    def digest(self) -> str:
        """Of what was prepared."""
        ...

    def ask(self, kind: str, parameters: ParameterValues, shots: int | None, seed: int | None, options: str) -> Result:
        """Ask, and return the answer."""
        ...


def in_parts(
    prepare: Callable[[list[Circuit], list[Observable] | None], Asking],
    circuits: list[Circuit],
    observables: list[Observable] | None,
    most: int | None,
) -> Asking:
    """Return circuits prepared, in as many tasks as it takes.

    Args:
        prepare: makes circuits ready as one task.
        circuits: what to prepare.
        observables: what all of them are asked for.
        most: the most circuits in one task; None for no limit.

    Raises:
        As `prepare`.
    """
    if most is None or len(circuits) <= most:
        return prepare(circuits, observables)
    return Parts([prepare(circuits[first : first + most], observables) for first in range(0, len(circuits), most)])


class Parts:
    """Several prepared tasks that answer as one: exact values are those of a single task, samples as good.

    Args:
        tasks: in the order of their circuits.
    """

    def __init__(self, tasks: Sequence[Asking]) -> None:
        self._tasks = list(tasks)

    @property
    def engine(self) -> Engine:
        """What computes the answers of the first part."""
        return self._tasks[0].engine

    @property
    def digest(self) -> str:
        """Of all parts."""
        return blake2b("|".join(task.digest for task in self._tasks).encode(), digest_size=16).hexdigest()

    def ask(self, kind: str, parameters: ParameterValues, shots: int | None, seed: int | None, options: str) -> Result:
        """Ask each part, one after the other, each a question of its own in the journal."""
        seeds = [None if seed is None else (seed + number * APART) & LARGEST_SEED for number in range(len(self._tasks))]
        return side_by_side(
            [task.ask(kind, parameters, shots, one, options) for task, one in zip(self._tasks, seeds, strict=True)]
        )


def side_by_side(results: Sequence[Result]) -> Result:
    """Return the results of different circuits, asked with the same parameter sets, as one result.

    >>> import qloom
    >>> device = qloom.device("sim")
    >>> both = side_by_side([device.run(circuit, shots=5) for circuit in (qloom.Circuit(1), qloom.Circuit(1).x(0))])
    >>> [item.counts for item in both]
    [{'0': 5}, {'1': 5}]
    """
    import numpy as np

    first = results[0]
    lengths = tuple(length for result in results for length in result.key_lengths)
    if first.holds_samples:
        tables = [result.samples for result in results]
        sizes = [end - start for table in tables for start, end in pairwise(table.splits)]
        joined = SampleTable(
            np.concatenate([table.keys for table in tables]),
            np.concatenate([table.counts for table in tables]),
            (0, *accumulate(sizes)),
            first.samples.order_seed,
        )
        return Result(engine=first.engine, shots=first.shots, sets=first.sets, key_lengths=lengths, samples=joined)
    return Result(
        engine=first.engine,
        shots=first.shots,
        sets=first.sets,
        key_lengths=lengths,
        values=np.concatenate([result.values for result in results]),
        standard_errors=None if first.shots is None else np.concatenate([result.standard_errors for result in results]),
    )
