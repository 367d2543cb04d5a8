"""`Observable`: a real sum of Pauli strings."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from qloom.errors import InvalidObservable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

FORM_VERSION = 1
SPARSE_FACTOR = re.compile(r"([IXYZ])(\d+)")
MATRIX_QUBITS = 14


@dataclass(frozen=True, slots=True)
class MeasurementGroup:
    """Terms that one measurement setting gives: on each qubit they ask for the same letter or for none.

    Attributes:
        basis: the letter measured on each qubit, `I` where none is; position i is qubit i.
        terms: positions, in the observable's terms, of the group's members.
    """

    basis: str
    terms: tuple[int, ...]


class Observable:
    """A sum of Pauli strings with real coefficients.

    Args:
        terms: Pauli string -> coefficient. Letter i of a string acts on qubit i, `q[0]` first (as in Braket, Cirq and
            PennyLane; Qiskit's labels run the other way). All strings have one length.

    Raises:
        InvalidObservable: no terms, unequal lengths, a letter other than I, X, Y, Z, a coefficient that is not a finite real.

    >>> energy = Observable({"ZI": 0.5, "XX": -0.25})
    >>> energy.num_qubits, 2 * energy - Observable({"ZI": 1.0})
    (2, Observable({'ZI': 0.0, 'XX': -0.5}))
    >>> Observable.sparse({"Z0 X2": 1.0}, num_qubits=3)
    Observable({'ZIX': 1.0})
    """

    __slots__ = ("__dict__", "coefficients", "num_qubits", "strings")

    def __init__(self, terms: Mapping[str, float]) -> None:
        if not terms:
            raise InvalidObservable("an observable needs at least one term, such as {'ZZ': 1.0}")
        self.strings = tuple(terms)
        self.coefficients = tuple(_coefficient(string, value) for string, value in terms.items())
        self.num_qubits = len(self.strings[0])
        for string in self.strings:
            _check_string(string, self.num_qubits)

    @classmethod
    def sparse(cls, terms: Mapping[str, float], num_qubits: int) -> Observable:
        """Build from terms that name their qubits, such as `"Z0 X2"`; the empty string is the identity."""
        dense: dict[str, float] = {}
        for text, value in terms.items():
            letters = ["I"] * num_qubits
            for factor in text.split():
                found = SPARSE_FACTOR.fullmatch(factor)
                if not found or int(found[2]) >= num_qubits:
                    raise InvalidObservable(
                        f"{factor!r} in {text!r} is no Pauli on one of {num_qubits} qubits; write 'Z0' or 'X2'"
                    )
                letters[int(found[2])] = found[1]
            string = "".join(letters)
            dense[string] = dense.get(string, 0.0) + _coefficient(text, value)
        return cls(dense)

    @property
    def terms(self) -> dict[str, float]:
        """Pauli string -> coefficient, in the order given."""
        return dict(zip(self.strings, self.coefficients, strict=True))

    def __add__(self, other: Observable) -> Observable:
        if self.num_qubits != other.num_qubits:
            raise InvalidObservable(f"cannot add observables on {self.num_qubits} and {other.num_qubits} qubits")
        total = self.terms
        for string, value in other.terms.items():
            total[string] = total.get(string, 0.0) + value
        return Observable(total)

    def __mul__(self, factor: float) -> Observable:
        return Observable({string: factor * value for string, value in self.terms.items()})

    __rmul__ = __mul__

    def __neg__(self) -> Observable:
        return self * -1.0

    def __sub__(self, other: Observable) -> Observable:
        return self + (-other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Observable) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Observable({self.terms!r})"

    @cached_property
    def digest(self) -> str:
        """Content digest, equal on every machine for equal terms in equal order (hex, 32 characters)."""
        lines = [f"{string} {value.hex()}" for string, value in zip(self.strings, self.coefficients, strict=True)]
        return hashlib.blake2b("\n".join([f"qloom observable {FORM_VERSION}", *lines]).encode(), digest_size=16).hexdigest()

    @cached_property
    def groups(self) -> tuple[MeasurementGroup, ...]:
        """The terms in groups that commute qubit by qubit, so that one measurement setting serves a group.

        Greedy first fit in order of falling weight |coefficient|; the identity belongs to no group.
        Source: Verteletskyi, Yen, Izmaylov, arXiv:1907.03358 (qubit-wise commutativity).

        >>> [group.basis for group in Observable({"ZZ": 1.0, "ZI": 0.5, "XX": 0.3, "II": 2.0}).groups]
        ['ZZ', 'XX']
        """
        found: list[tuple[list[str], list[int]]] = []
        order = sorted(range(len(self.strings)), key=lambda index: -abs(self.coefficients[index]))
        for index in order:
            string = self.strings[index]
            if set(string) == {"I"}:
                continue
            home = next((group for group in found if _fits(group[0], string)), None)
            if home is None:
                found.append((list(string), [index]))
            else:
                home[0][:] = [new if old == "I" else old for old, new in zip(home[0], string, strict=True)]
                home[1].append(index)
        return tuple(MeasurementGroup("".join(basis), tuple(sorted(members))) for basis, members in found)

    def matrix(self) -> npt.NDArray[np.complex128]:
        """Return the matrix, shape (2**n, 2**n), qubit 0 most significant; for checks on few qubits.

        Raises:
            InvalidObservable: more than 14 qubits (4 GiB).
        """
        import numpy as np

        if self.num_qubits > MATRIX_QUBITS:
            raise InvalidObservable(f"a matrix on {self.num_qubits} qubits is too large; the limit is {MATRIX_QUBITS}")
        paulis = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}
        total = np.zeros((2**self.num_qubits,) * 2, dtype=np.complex128)
        for string, value in self.terms.items():
            product = np.eye(1)
            for letter in string:
                product = np.kron(product, paulis[letter])
            total += value * product
        return total


def _fits(basis: Iterable[str], string: str) -> bool:
    return all("I" in (old, new) or old == new for old, new in zip(basis, string, strict=True))


def _coefficient(string: str, value: object) -> float:
    if isinstance(value, complex) or not hasattr(value, "__float__"):
        raise InvalidObservable(f"the coefficient of {string!r} must be a real number, got {value!r}")
    result = float(value)
    if not math.isfinite(result):
        raise InvalidObservable(f"the coefficient of {string!r} must be finite, got {result}")
    return result


def _check_string(string: str, length: int) -> None:
    if not isinstance(string, str) or not string or set(string) - set("IXYZ"):
        raise InvalidObservable(f"{string!r} is no Pauli string; use the letters I, X, Y, Z, one for each qubit, qubit 0 first")
    if len(string) != length:
        raise InvalidObservable(
            f"{string!r} acts on {len(string)} qubits, the first term on {length}; all strings need one length"
        )
