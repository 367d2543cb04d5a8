"""Exact expectation values of a stabilizer circuit with Pauli noise, by taking each Pauli string back to the beginning.

In the Heisenberg picture a string of Paulis stays one: a Clifford gate turns it into another, a mixture of Paulis scales it
by how much more often it commutes than not, a measurement or a reset of a qubit where it has X or Y makes it 0. What a
later gate makes of a measured bit is the parity of that bit, and, further back, a Z on the qubit it was read from.
Source: Gottesman, arXiv:quant-ph/9807006; Aaronson and Gottesman, arXiv:quant-ph/0406196.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from qloom.devices.clifford import probabilities
from qloom.devices.stim_program import FEED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import stim

    from qloom.circuits import Observable
    from qloom.tasks import FloatArray

NONE, X, Y, Z = range(4)
"""Letters as stim numbers them."""

ANTICOMMUTES = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]])
FED = {"CX": X, "CY": Y, "CZ": Z}


class _Unitary(NamedTuple):
    gates: stim.Circuit


class _Channel(NamedTuple):
    """`targets` of shape (times, qubits); `factors` by the letters on one of these rows."""

    targets: npt.NDArray[np.intp]
    factors: FloatArray


class _Reset(NamedTuple):
    targets: list[int]


class _Measure(NamedTuple):
    """What is read from each qubit, in places of the record from `first` up, wrong with probability `flip`."""

    qubits: list[int]
    first: int
    flip: float


class _Feed(NamedTuple):
    """A Pauli on each target where a place of the record holds 1: pairs (place, target)."""

    letter: int
    pairs: list[tuple[int, int]]


_Part = _Unitary | _Channel | _Reset | _Measure | _Feed


class Backwards:
    """A circuit, read from its end.

    Args:
        circuit: as `stim_program` writes it.
        num_qubits: how many letters a string has.

    >>> import stim
    >>> noisy = Backwards(stim.Circuit("H 0" + chr(10) + "DEPOLARIZE1(0.3) 0" + chr(10) + "CX 0 1"), 2)
    >>> [round(noisy.value(string), 12) for string in ("XX", "ZZ", "ZI")]
    [0.6, 1.0, 0.0]
    """

    def __init__(self, circuit: stim.Circuit, num_qubits: int) -> None:
        self._qubits = num_qubits
        self._parts = list(_parts(circuit))[::-1]

    def expectation(self, observable: Observable) -> float:
        """Return the exact expectation value of a sum of Pauli strings."""
        return float(sum(weight * self.value(text) for text, weight in observable.terms.items()))

    def value(self, letters: str) -> float:
        """Return the exact expectation value of one Pauli string, letter i on qubit i."""
        import stim

        string = stim.PauliString(letters)
        bits: set[int] = set()
        factor = 1.0
        for part in self._parts:
            if isinstance(part, _Unitary):
                string = string.before(part.gates)
            elif isinstance(part, _Feed):
                for record, target in part.pairs:
                    if ANTICOMMUTES[string[target], part.letter]:
                        bits ^= {record}
            else:
                factor *= _scale(part, string, bits)
                if factor == 0:
                    return 0.0
        return 0.0 if string.to_numpy()[0].any() else factor * string.sign.real


def _scale(part: _Channel | _Reset | _Measure, string: stim.PauliString, bits: set[int]) -> float:
    """Change the string, and the parity of bits that goes with it, in place; return the factor that it gets."""
    if isinstance(part, _Channel):
        xs, zs = string.to_numpy()
        codes = np.where(xs, np.where(zs, Y, X), np.where(zs, Z, NONE))[part.targets]
        return float(part.factors[tuple(codes.T)].prod())
    targets = part.targets if isinstance(part, _Reset) else part.qubits
    if any(string[target] in (X, Y) for target in targets):
        return 0.0
    if isinstance(part, _Reset):
        for target in targets:
            string[target] = NONE
        return 1.0
    factor = 1.0
    for record, qubit in enumerate(part.qubits, part.first):
        if record in bits:
            bits.remove(record)
            string[qubit] = Z - string[qubit]
            factor *= 1 - 2 * part.flip
    return factor


def _parts(circuit: stim.Circuit) -> Iterator[_Part]:
    """Yield the parts in their order; runs of gates as one."""
    import stim

    count = 0
    waiting = stim.Circuit()
    for step in circuit:
        part = _part(step, count)
        if part is None:
            waiting.append(step)
            continue
        if len(waiting):
            yield _Unitary(waiting)
            waiting = stim.Circuit()
        yield part
        count += step.num_measurements
    if len(waiting):
        yield _Unitary(waiting)


def _part(step: stim.CircuitInstruction, count: int) -> _Part | None:
    """Return one instruction as a part, after so many measurements; None where it is a gate."""
    arguments = step.gate_args_copy()
    targets = [target.value for target in step.targets_copy()]
    if step.name == "M":
        return _Measure(targets, count, sum(arguments))
    if step.name == "R":
        return _Reset(targets)
    if step.tag == FEED:
        pairs = zip(targets[::2], targets[1::2], strict=True)
        return _Feed(FED[step.name], [(count + place, target) for place, target in pairs])
    if not arguments:
        return None
    scale = factors(step.name, arguments)
    return _Channel(np.array(targets, dtype=np.intp).reshape(-1, scale.ndim), scale)


def factors(name: str, arguments: Sequence[float]) -> FloatArray:
    """Return by what one of stim's channels scales each Pauli, or each pair, in the order I, X, Y, Z.

    >>> factors("X_ERROR", [0.1]).tolist()
    [1.0, 1.0, 0.8, 0.8]
    """
    each = probabilities(name, arguments)
    signs = -2.0 * ANTICOMMUTES
    if len(each) == 3:
        single: FloatArray = 1.0 + signs[:, 1:] @ np.array(each)
        return single
    anticommutes = (ANTICOMMUTES[:, None, :, None] + ANTICOMMUTES[None, :, None, :]) % 2
    double: FloatArray = 1.0 - 2.0 * anticommutes.reshape(4, 4, 16)[:, :, 1:] @ np.array(each)
    return double
