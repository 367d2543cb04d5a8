"""`Connectivity`: which qubits one gate can act on together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

from qloom.errors import InvalidSetting, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Pair = tuple[int, int]

SHAPES = ("all", "linear", "ring", "grid", "edges")
GRID = re.compile(r"grid\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)", re.ASCII)
COUPLING = re.compile(r"(\d{1,9})([->])(\d{1,9})", re.ASCII)
FORMS = "all, linear, ring, grid(rows, columns), none, or couplings such as `0-1 1-2` and, in one direction only, `2>3`"
SHOWN_COUPLINGS = 8
SMALLEST_RING = 3


@dataclass(frozen=True, slots=True)
class Connectivity:
    """Which qubits a device couples, or which a circuit needs to be coupled.

    Make one by `all_to_all`, `linear`, `ring`, `grid` or `of`. The named shapes are about as many qubits as there are where they
    are asked about, numbered along the line, round the ring, or along the rows of the grid.

    Attributes:
        shape: one of `SHAPES`.
        rows, columns: of a grid.
        edges: couplings of shape `edges` that work in both directions; smaller qubit first.
        arrows: couplings that work in one direction only, such as a `cx` with its control first. Of a device: (a, b) runs no
            `cx` from b to a. Of a circuit: an edge asks for any direction, an arrow for this one.

    >>> str(Connectivity.grid(2, 3)), str(Connectivity.of([(1, 0)], directed=[(1, 2)]))
    ('grid(2, 3)', '0-1 1>2')
    >>> Connectivity.linear().couples(1, 2, 5), Connectivity.ring().couples(4, 0, 5), Connectivity.grid(2, 3).couples(2, 3, 6)
    (True, True, False)
    """

    shape: str = "all"
    rows: int = 0
    columns: int = 0
    edges: frozenset[Pair] = frozenset()
    arrows: frozenset[Pair] = frozenset()

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise UnknownName.among("shape of a connectivity", self.shape, SHAPES)
        if (self.edges or self.arrows) and self.shape != "edges":
            raise InvalidSetting(f"connectivity {self.shape} has couplings of its own; take Connectivity.of for others")
        if self.shape == "grid" and (self.rows < 1 or self.columns < 1):
            raise InvalidSetting(f"a grid has rows and columns from 1 up, got grid({self.rows}, {self.columns})")

    @classmethod
    def all_to_all(cls) -> Connectivity:
        """Return that of a device on which every two qubits are coupled."""
        return cls()

    @classmethod
    def linear(cls) -> Connectivity:
        """Return that of a line: qubit i and i + 1."""
        return cls("linear")

    @classmethod
    def ring(cls) -> Connectivity:
        """Return that of a line whose ends are coupled."""
        return cls("ring")

    @classmethod
    def grid(cls, rows: int, columns: int) -> Connectivity:
        """Return that of a grid: qubit `row * columns + column` with those beside, above and below it.

        Raises:
            InvalidSetting: rows or columns below 1.
        """
        return cls("grid", rows, columns)

    @classmethod
    def of(cls, edges: Iterable[Iterable[int]] = (), *, directed: Iterable[Iterable[int]] = ()) -> Connectivity:
        """Return that of couplings, in both directions and in one.

        Args:
            edges: pairs of qubits, in any order.
            directed: pairs (from, to).

        Raises:
            InvalidSetting: what is no pair of two different qubits from 0 up.
        """
        both = frozenset((min(pair), max(pair)) for pair in map(_pair, edges))
        return cls("edges", edges=both, arrows=frozenset(map(_pair, directed)))

    @classmethod
    def read(cls, what: str, value: Any) -> Connectivity:
        """Return the connectivity in a word, a line of couplings, or `{"edges": [[0, 1]], "arrows": [[1, 2]]}`.

        Args:
            what: what it is called in errors.
            value: text, JSON, or a `Connectivity`.

        Raises:
            InvalidSetting, UnknownName: none of these.

        >>> Connectivity.read("connectivity", "grid(2,2)"), str(Connectivity.read("connectivity", "1>0 2-1"))
        (Connectivity(shape='grid', rows=2, columns=2, edges=frozenset(), arrows=frozenset()), '1-2 1>0')
        """
        if isinstance(value, Connectivity):
            return value
        try:
            if isinstance(value, str):
                return _of_text(value)
            if isinstance(value, dict):
                for name in sorted(set(map(str, value)) - {"edges", "arrows"}):
                    raise UnknownName.among(f"field of {what}", name, ("edges", "arrows"))
                return cls.of(_pairs(value.get("edges", [])), directed=_pairs(value.get("arrows", [])))
        except InvalidSetting as error:
            raise InvalidSetting(f"{what}: {error}") from error
        raise InvalidSetting(f"{what} is {FORMS}, got {value!r}")

    def to_json(self) -> str | dict[str, list[list[int]]]:
        """Return the shape's name, or the couplings."""
        if self.shape != "edges":
            return str(self)
        return {"edges": [list(pair) for pair in sorted(self.edges)], "arrows": [list(pair) for pair in sorted(self.arrows)]}

    def __str__(self) -> str:
        if self.shape == "grid":
            return f"grid({self.rows}, {self.columns})"
        return self.shape if self.shape != "edges" else " ".join(_couplings(self)) or "none"

    def brief(self) -> str:
        """Return it for an error: its name or its couplings, or how many where there are many.

        >>> Connectivity.of((i, i + 1) for i in range(20)).brief()
        '20 couplings'
        """
        count = len(self.edges) + len(self.arrows)
        return str(self) if count <= SHOWN_COUPLINGS else f"{count} couplings"

    @property
    def needed_qubits(self) -> int:
        """How many qubits there have to be for the couplings that it names."""
        if self.shape == "grid":
            return self.rows * self.columns
        return 1 + max((qubit for pair in (*self.edges, *self.arrows) for qubit in pair), default=-1)

    def couples(self, first: int, second: int, num_qubits: int, *, either: bool = True) -> bool:
        """Return whether two qubits are coupled.

        Args:
            first, second: the qubits.
            num_qubits: how many there are.
            either: whether a coupling from `second` to `first` will do.
        """
        low, high = min(first, second), max(first, second)
        match self.shape:
            case "all":
                return True
            case "linear" | "ring":
                return high - low == 1 or (self.shape == "ring" and low == 0 and high == num_qubits - 1)
            case "grid":
                beside = (high - low == 1 and high % self.columns != 0) or high - low == self.columns
                return beside and high < self.rows * self.columns
        return (low, high) in self.edges or (first, second) in self.arrows or (either and (second, first) in self.arrows)

    def pairs(self, num_qubits: int) -> Iterator[tuple[Pair, bool]]:
        """Yield the couplings among that many qubits, in order, and whether either direction will do."""
        match self.shape:
            case "all":
                yield from (((low, high), True) for high in range(num_qubits) for low in range(high))
            case "linear" | "ring":
                yield from ((pair, True) for pair in pairwise(range(num_qubits)))
                if self.shape == "ring" and num_qubits >= SMALLEST_RING:
                    yield (0, num_qubits - 1), True
            case "grid":
                steps = ((low, low + step) for low in range(num_qubits) for step in sorted({1, self.columns}))
                yield from ((pair, True) for pair in steps if pair[1] < num_qubits and self.couples(*pair, num_qubits))
            case _:
                yield from ((pair, True) for pair in sorted(self.edges))
                yield from ((pair, False) for pair in sorted(self.arrows))

    def is_complete(self, num_qubits: int) -> bool:
        """Return whether every two of that many qubits are coupled, in one direction at least.

        >>> Connectivity.linear().is_complete(2), Connectivity.linear().is_complete(3), Connectivity.ring().is_complete(3)
        (True, False, True)
        """
        if self.shape == "all":
            return True
        if self.shape != "edges":  # a line, a ring or a grid of more qubits never is
            return num_qubits <= SMALLEST_RING and all(
                self.couples(*pair, num_qubits) for pair in combinations(range(num_qubits), 2)
            )
        found = {(min(pair), max(pair)) for pair in self.edges | self.arrows if max(pair) < num_qubits}
        return len(found) == num_qubits * (num_qubits - 1) // 2

    def largest_part(self, num_qubits: int) -> int:
        """Return how many qubits the largest part has in which every qubit can be reached from every other.

        >>> Connectivity.of([(0, 1), (3, 4), (4, 5)]).largest_part(6)
        3
        """
        if self.shape != "edges":
            return num_qubits if self.shape != "grid" else min(num_qubits, self.rows * self.columns)
        parent = list(range(num_qubits))

        def root(qubit: int) -> int:
            while parent[qubit] != qubit:
                parent[qubit] = parent[parent[qubit]]
                qubit = parent[qubit]
            return qubit

        for first, second in self.edges | self.arrows:
            if max(first, second) < num_qubits:
                parent[root(first)] = root(second)
        sizes: dict[int, int] = {}
        for qubit in range(num_qubits):
            sizes[root(qubit)] = sizes.get(root(qubit), 0) + 1
        return max(sizes.values(), default=0)


ALL_TO_ALL = Connectivity()


def coupling(pair: Pair, *, either: bool) -> str:
    """Return a coupling as text: `0-1`, or `0>1` where only that direction will do."""
    return f"{pair[0]}{'-' if either else '>'}{pair[1]}"


def _couplings(connectivity: Connectivity) -> list[str]:
    edges = [coupling(pair, either=True) for pair in sorted(connectivity.edges)]
    return edges + [coupling(pair, either=False) for pair in sorted(connectivity.arrows)]


def _of_text(text: str) -> Connectivity:
    word = text.strip()
    if word in ("all", "linear", "ring"):
        return Connectivity(word)
    if grid := GRID.fullmatch(word):
        return Connectivity.grid(int(grid[1]), int(grid[2]))
    found = [COUPLING.fullmatch(part) for part in word.split()] if word != "none" else []
    if (not found and word != "none") or None in found:
        raise InvalidSetting(f"takes {FORMS}, got {text!r}")
    pairs = [(one[2], (int(one[1]), int(one[3]))) for one in found if one is not None]
    return Connectivity.of([pair for mark, pair in pairs if mark == "-"], directed=[pair for mark, pair in pairs if mark == ">"])


def _pairs(value: object) -> list[list[int]]:
    if not isinstance(value, list) or not all(isinstance(pair, list) for pair in value):
        raise InvalidSetting(f"couplings are a list of pairs such as [[0, 1]], got {value!r}")
    return value


def _pair(given: Iterable[int]) -> Pair:
    pair = tuple(given)
    right = len(pair) == 2 and all(isinstance(qubit, int) and not isinstance(qubit, bool) and qubit >= 0 for qubit in pair)
    if not right or pair[0] == pair[1]:
        raise InvalidSetting(f"a coupling is a pair of two different qubits from 0 up, got {list(pair)}")
    return (pair[0], pair[1])
