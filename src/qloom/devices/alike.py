"""Circuits that differ in the numbers of their angles only: what their structure decides is worked out once for all of them.

A key of plain tuples is made of each circuit's columns (all names, all qubits, ...), which takes some microseconds; a digest of
the structure would take as long as preparing it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from qloom.circuits import Circuit
from qloom.circuits.expressions import Expression
from qloom.kit.angle_table import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from qloom.circuits import Angle
    from qloom.tasks import FloatArray


T = TypeVar("T")


class Alike(NamedTuple):
    """Circuits of one structure.

    Attributes:
        places: where they stand among all, ascending.
        circuits: themselves, in that order.
    """

    places: tuple[int, ...]
    circuits: tuple[Circuit, ...]

    def each(self, what: T) -> list[T]:
        """Return the same for each circuit."""
        return [what] * len(self.places)


def alike(circuits: Sequence[Circuit]) -> list[Alike]:
    """Return circuits by structure, in the order in which each is met first.

    Those of one structure have the same steps on the same qubits and bits, the same parameters and the same formulas; only plain
    numbers may differ, and none inside of verbatim blocks and `if`.

    >>> found = alike([Circuit(1).rx(0.1, 0), Circuit(1).ry(0.1, 0), Circuit(1).rx(0.2, 0)])
    >>> [group.places for group in found]
    [(0, 2), (1,)]
    """
    if len(circuits) == 1:
        return [Alike((0,), tuple(circuits))]
    places: dict[Hashable, list[int]] = {}
    for place, circuit in enumerate(circuits):
        places.setdefault(_structure(circuit), []).append(place)
    return [Alike(tuple(found), tuple(circuits[place] for place in found)) for found in places.values()]


def in_order(groups: Sequence[Alike], found: Callable[[Alike], Sequence[T]]) -> list[T]:
    """Return what is found for each circuit of each group, in the order in which the circuits were given.

    >>> groups = alike([Circuit(1).rx(0.1, 0), Circuit(1).ry(0.2, 0), Circuit(1).rx(0.3, 0)])
    >>> in_order(groups, lambda group: [circuit.instructions[0].parameters[0] for circuit in group.circuits])
    [0.1, 0.2, 0.3]
    """
    by_place = {place: one for group in groups for place, one in zip(group.places, found(group), strict=True)}
    return [by_place[place] for place in range(len(by_place))]


def joined(circuits: Sequence[Circuit]) -> Circuit:
    """Return one circuit in the place of several of one structure: angles that differ are columns.

    >>> joined([Circuit(1).rx(0.1, 0).rz(0.3, 0), Circuit(1).rx(0.2, 0).rz(0.3, 0)]).instructions[0].parameters[0].values.tolist()
    [0.1, 0.2]
    """
    first = circuits[0]
    given = [_angles(circuit) for circuit in circuits]
    numbers = [slot for slot, angle in enumerate(given[0]) if not isinstance(angle, Expression)]
    table: FloatArray = np.array([[angles[slot] for slot in numbers] for angles in given], dtype=np.float64)
    differ = (table != table[0]).any(axis=0)
    angles = given[0]
    for column in differ.nonzero()[0].tolist():
        angles[numbers[column]] = Column(np.ascontiguousarray(table[:, column]))
    rest = iter(angles)
    steps = tuple(
        step._replace(parameters=tuple([next(rest) for _ in step.parameters])) if step.parameters else step
        for step in first.instructions
    )
    return Circuit.trusted(first.num_qubits, steps, first.num_clbits, first.parameters)


def _angles(circuit: Circuit) -> list[Angle]:
    return list(chain.from_iterable([step.parameters for step in circuit.instructions]))


def _structure(circuit: Circuit) -> Hashable:
    """Return what circuits of one structure have in common."""
    sizes = (circuit.num_qubits, circuit.num_clbits, circuit.parameters)
    if not circuit.instructions:
        return sizes
    names, qubits, given, *rest = zip(*circuit.instructions, strict=True)
    angles = list(chain.from_iterable(given))
    if not any(issubclass(kind, Expression) for kind in set(map(type, angles))):
        return (*sizes, names, qubits, *rest, len(angles))
    formulas = tuple([angle.node if isinstance(angle, Expression) else None for angle in angles])
    return (*sizes, names, qubits, *rest, formulas)
