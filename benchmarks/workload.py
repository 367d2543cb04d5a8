"""The circuit that everybody runs, as plain data, and the check that they ran the same. Standard library only."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAYERS = 4
SHOTS = 1000
SETS = 64
"""Different parameter sets that a loop cycles through, so that nobody answers from a cache."""


class Gate(NamedTuple):
    """One gate: `ry` and `rz` turn by `scale * parameter + offset` rad, `cx` has no parameter (-1)."""

    name: str
    qubits: tuple[int, ...]
    parameter: int = -1
    scale: float = 0.0
    offset: float = 0.0


def ansatz(num_qubits: int, layers: int = LAYERS) -> list[Gate]:
    """Return layers of RY(2t + 0.1) and RZ(t) on every qubit, each with its own t, then a chain of CX.

    >>> len(ansatz(4)), len(ansatz(10)), count_parameters(ansatz(4))
    (44, 116, 32)
    """
    gates: list[Gate] = []
    for _ in range(layers):
        for qubit in range(num_qubits):
            used = count_parameters(gates)
            gates += [Gate("ry", (qubit,), used, 2.0, 0.1), Gate("rz", (qubit,), used + 1, 1.0, 0.0)]
        gates += [Gate("cx", (qubit, qubit + 1)) for qubit in range(num_qubits - 1)]
    return gates


def energy_ansatz(num_qubits: int, parameters: int) -> list[Gate]:
    """Return the ansatz with RY(2t + 0.1) after it, one on each of the first qubits, until it has so many parameters.

    >>> gates = energy_ansatz(12, 100)
    >>> count_parameters(gates), len(gates)
    (100, 144)
    """
    gates = ansatz(num_qubits)
    first = count_parameters(gates)
    return [*gates, *(Gate("ry", (index - first,), index, 2.0, 0.1) for index in range(first, parameters))]


def count_parameters(gates: Iterable[Gate]) -> int:
    """Return how many parameters the gates have."""
    return 1 + max((gate.parameter for gate in gates), default=-1)


def parameter_sets(num_parameters: int, sets: int = SETS, seed: int = 1) -> list[list[float]]:
    """Return random parameter sets, angles in rad from -pi to pi."""
    draw = random.Random(seed)
    return [[draw.uniform(-math.pi, math.pi) for _ in range(num_parameters)] for _ in range(sets)]


def qasm(gates: Iterable[Gate], num_qubits: int) -> str:
    """Return the circuit as OpenQASM 3 with one `input` for each parameter."""
    gates = list(gates)
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    lines += [f"input float[64] t{index};" for index in range(count_parameters(gates))]
    lines += [f"qubit[{num_qubits}] q;", f"bit[{num_qubits}] c;"]
    for gate in gates:
        wires = ", ".join(f"q[{qubit}]" for qubit in gate.qubits)
        angle = "" if gate.parameter < 0 else f"({gate.scale} * t{gate.parameter} + {gate.offset})"
        lines.append(f"{gate.name}{angle} {wires};")
    return "\n".join([*lines, "c = measure q;", ""])


def pauli_terms(num_qubits: int, terms: int = 15, seed: int = 2) -> dict[str, float]:
    """Return a random observable: Pauli string, letter i on qubit i -> coefficient."""
    draw = random.Random(seed)
    found: dict[str, float] = {}
    while len(found) < terms:
        string = "".join(draw.choice("IXYZ") for _ in range(num_qubits))
        if set(string) != {"I"}:
            found[string] = draw.uniform(-1, 1)
    return found


def ones(counts: Mapping[str, int]) -> list[float]:
    """Return how often each bit was 1, as a fraction of all shots.

    >>> ones({"10": 3, "11": 1})
    [1.0, 0.25]
    """
    shots = sum(counts.values())
    width = len(next(iter(counts)))
    return [sum(count for key, count in counts.items() if key[bit] == "1") / shots for bit in range(width)]


def difference(first: Mapping[str, int], second: Mapping[str, int]) -> str:
    """Return in what two samples of one circuit differ beyond chance, or an empty string.

    Each bit's frequency may differ by five standard deviations: chance does that once in two million bits. Bits in another
    order, angles of another sign and a wrong number of shots are all seen.
    """
    if sum(first.values()) != sum(second.values()):
        return f"{sum(first.values())} shots on one side, {sum(second.values())} on the other"
    allowed = 5 * math.sqrt(0.5 / sum(first.values()))
    for bit, (one, other) in enumerate(zip(ones(first), ones(second), strict=True)):
        if abs(one - other) > allowed:
            return f"bit {bit} is 1 in {one:.3f} of the shots on one side, in {other:.3f} on the other"
    return ""
