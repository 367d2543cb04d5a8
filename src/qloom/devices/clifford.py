"""Which gates are Clifford gates, and which noise channels are mixtures of Paulis.

A gate is recognised by its matrix: up to a phase, a Clifford gate's entries are all 0 or, times a power of the square root
of 2, one of 1, -1, i, -i, and it turns Paulis into Paulis. So `rz(pi/2)`, `u`, `cp(pi)` and gates under controls count
as well as those that have a name in stim.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qloom.circuits.expressions import Expression
from qloom.circuits.gates import CHANNELS, GATES, controlled, kraus_operators, matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import stim

    from qloom.circuits import Instruction

EXACT = 1e-8
"""How far a matrix entry may be off a Clifford gate's: angles written with ten digits are meant exactly."""

MOST_QUBITS = 4
"""Gates on more qubits are not looked at: none that does anything is a Clifford gate."""

IDLE = frozenset({"barrier", "delay"})

NAMED = {
    "x": "X",
    "y": "Y",
    "z": "Z",
    "h": "H",
    "s": "S",
    "sdg": "S_DAG",
    "sx": "SQRT_X",
    "sxdg": "SQRT_X_DAG",
    "cx": "CX",
    "cy": "CY",
    "cz": "CZ",
    "swap": "SWAP",
    "iswap": "ISWAP",
    "iswapdg": "ISWAP_DAG",
}
"""Gates with a name of their own in stim, https://github.com/quantumlib/Stim/blob/main/doc/gates.md."""

MOST_DEPOLARIZING = {1: 3 / 4, 2: 15 / 16}
"""Up to so much stim's own depolarizing channels go; above, the same channel is written as a list of Paulis."""

DEPHASING = (2, 11, 14)
"""Where IZ, ZI and ZZ stand among the fifteen probabilities of `PAULI_CHANNEL_2`: IX IY IZ XI XX ... ZZ."""


class Move(NamedTuple):
    """One of stim's gates; `targets` are positions among the qubits of the step."""

    name: str
    targets: tuple[int, ...]


@lru_cache(maxsize=4096)
def clifford(name: str, controls: int, angles: tuple[float, ...]) -> tuple[Move, ...] | None:
    """Return a gate as stim's gates, in time order, up to a phase; None where it is no Clifford gate.

    >>> clifford("rz", 0, (math.pi / 2,))
    (Move(name='S', targets=(0,)),)
    >>> clifford("t", 0, ()) is None
    True
    """
    if name in NAMED and not controls:
        return (Move(NAMED[name], tuple(range(GATES[name].num_qubits))),)
    if GATES[name].num_qubits + controls > MOST_QUBITS:
        return None
    tableau = _tableau(name, controls, angles)
    if tableau is None:
        return None
    if len(tableau) == 1:
        known = _one_qubit_names()[str(tableau)]
        return () if known == "I" else (Move(known, (0,)),)
    parts = tableau.to_circuit(method="elimination")
    return tuple(Move(part.name, tuple(place.value for place in group)) for part in parts for group in part.target_groups())


@lru_cache(maxsize=4096)
def pauli(name: str, controls: int, angles: tuple[float, ...]) -> str | None:
    """Return a gate as a letter for each of its qubits, up to a phase; None where it is no product of Paulis.

    >>> pauli("rzz", 0, (math.pi,)), pauli("h", 0, ())
    ('ZZ', None)
    """
    if GATES[name].num_qubits + controls > MOST_QUBITS:
        return None
    tableau = _tableau(name, controls, angles)
    if tableau is None:
        return None
    try:
        found = tableau.to_pauli_string()
    except ValueError:
        return None
    return "".join("IXYZ"[letter] for letter in found)


def _tableau(name: str, controls: int, angles: tuple[float, ...]) -> stim.Tableau | None:
    """Return what a gate does to Paulis, or None where that is not to Paulis.

    Stim itself takes matrices that are off by as much as 0.01; here they are set to what they have to be first.
    """
    import stim

    unitary = matrix(name, angles)
    unitary = controlled(unitary, controls) if controls else unitary
    if len(unitary) == 1:
        return stim.Tableau(0)
    first = unitary[:, 0]
    weight = np.count_nonzero(np.abs(first) > EXACT)
    largest = first[np.abs(first).argmax()]
    scaled = unitary * (math.sqrt(weight) * abs(largest) / largest)
    exact = np.round(scaled.real) + 1j * np.round(scaled.imag)
    if np.abs(scaled - exact).max() > EXACT or np.abs(exact).max() > 1:
        return None
    try:
        return stim.Tableau.from_unitary_matrix(exact / math.sqrt(weight), endian="big")
    except ValueError:
        return None


@lru_cache(maxsize=1)
def _one_qubit_names() -> dict[str, str]:
    """Return the names of the 24 one-qubit Clifford gates, by what they do."""
    import stim

    gates = stim.gate_data().items()
    return {str(data.tableau): name for name, data in gates if data.is_unitary and data.is_single_qubit_gate}


def channel(name: str, values: tuple[float, ...], qubits: int) -> tuple[str, tuple[float, ...]] | None:
    """Return a noise channel as stim's, with its probabilities; None where it is no mixture of Paulis.

    Phase damping by gamma is a phase flip with probability (1 - sqrt(1 - gamma)) / 2 (Nielsen and Chuang, 8.3.6).

    >>> channel("depolarizing", (0.3,), 1), channel("amplitude_damping", (0.1,), 1)
    (('DEPOLARIZE1', (0.3,)), None)
    """
    if name == "kraus":
        return _kraus(values, qubits)
    rule = _CHANNELS.get(name)
    return None if rule is None else rule(*values)


def _kraus(values: tuple[float, ...], qubits: int) -> tuple[str, tuple[float, ...]] | None:
    """A channel given by operators is a mixture of Paulis where its chi matrix is diagonal; the diagonal are the probabilities.

    Source: Nielsen and Chuang, 8.4.2.
    """
    single = [matrix(letter) for letter in ("id", "x", "y", "z")]
    basis = np.array(single if qubits == 1 else [np.kron(first, second) for first in single for second in single])
    parts = np.einsum("pij,kij->kp", basis.conj(), kraus_operators(values, qubits)) / (1 << qubits)
    chi = parts.conj().T @ parts
    weights = chi.diagonal().real
    if np.abs(chi - np.diag(weights)).max() > EXACT:
        return None
    over = max(1.0, math.fsum(weights))
    return f"PAULI_CHANNEL_{qubits}", tuple((weights[1:] / over).tolist())


def _pauli_channel(*values: float) -> tuple[str, tuple[float, ...]]:
    over = max(1.0, math.fsum(values))  # by rounding only: a circuit checks its sums
    return "PAULI_CHANNEL_1", tuple(value / over for value in values)


def _depolarizing(qubits: int, probability: float) -> tuple[str, tuple[float, ...]]:
    if probability <= MOST_DEPOLARIZING[qubits]:
        return f"DEPOLARIZE{qubits}", (probability,)
    count = 4**qubits - 1
    return f"PAULI_CHANNEL_{qubits}", (math.nextafter(probability / count, 0),) * count


def _two_qubit_dephasing(probability: float) -> tuple[str, tuple[float, ...]]:
    share = math.nextafter(probability / 3, 0)
    return "PAULI_CHANNEL_2", tuple(share if place in DEPHASING else 0.0 for place in range(15))


_CHANNELS: dict[str, Callable[..., tuple[str, tuple[float, ...]]]] = {
    "bit_flip": lambda probability: ("X_ERROR", (probability,)),
    "phase_flip": lambda probability: ("Z_ERROR", (probability,)),
    "phase_damping": lambda gamma: ("Z_ERROR", ((1 - math.sqrt(1 - gamma)) / 2,)),
    "pauli_channel": _pauli_channel,
    "depolarizing": lambda probability: _depolarizing(1, probability),
    "two_qubit_depolarizing": lambda probability: _depolarizing(2, probability),
    "two_qubit_dephasing": _two_qubit_dephasing,
}


def probabilities(name: str, arguments: Sequence[float]) -> tuple[float, ...]:
    """Return how probable each Pauli but the identity is in one of stim's channels, in the order X, Y, Z or IX, IY ... ZZ.

    >>> probabilities("Z_ERROR", [0.25]), probabilities("DEPOLARIZE1", [0.75])
    ((0.0, 0.0, 0.25), (0.25, 0.25, 0.25))
    """
    if name.endswith("_ERROR"):
        return tuple(arguments[0] if name.startswith(letter) else 0.0 for letter in "XYZ")
    if name.startswith("DEPOLARIZE"):
        count = 4 ** int(name[-1]) - 1
        return tuple([arguments[0] / count] * count)
    return tuple(arguments)


# ---- steps of a circuit ----------------------------------------------------------------------------------------------


def step_problem(step: Instruction, number: int) -> str | None:
    """Return why a step is no gate, channel, measurement or reset of stabilizer states, without a look into an `if`.

    Args:
        step: of a circuit.
        number: which one it is there.

    >>> from qloom.circuits import Circuit
    >>> step_problem(Circuit(1).t(0).instructions[0], 0)
    'gate t on qubit 0 (step 0) is no Clifford gate'
    """
    place = where(step, number)
    if step.name in GATES:
        if step.parameters and any(isinstance(angle, Expression) for angle in step.parameters):
            return f"gate {called(step)} {place} has a free parameter; bind it first"
        return f"gate {called(step)} {place} is no Clifford gate" if moves(step) is None else None
    if step.name in CHANNELS and mixture(step) is None:
        return f"channel {step.name} {place} is no mixture of Paulis"
    return None


def moves(step: Instruction) -> tuple[Move, ...] | None:
    """Return a gate whose angles are numbers as `clifford` does."""
    return clifford(step.name, step.controls, _numbers(step))


def mixture(step: Instruction) -> tuple[str, tuple[float, ...]] | None:
    """Return a channel of a circuit as `channel` does; None also where a probability is a parameter."""
    if any(isinstance(value, Expression) for value in step.parameters):
        return None
    return channel(step.name, _numbers(step), len(step.qubits))


def letters(step: Instruction) -> str | None:
    """Return a step as `pauli` does; None also where it is no gate, or has a free parameter."""
    if step.name not in GATES or any(isinstance(angle, Expression) for angle in step.parameters):
        return None
    return pauli(step.name, step.controls, _numbers(step))


def opened(steps: Iterable[Instruction]) -> Iterator[Instruction]:
    """Yield steps, verbatim blocks opened."""
    for step in steps:
        yield from step.body if step.name == "verbatim" else (step,)


def called(step: Instruction) -> str:
    """Return a step's name with its angles and controls, for messages."""
    angles = f"({', '.join(f'{angle:.6g}' if isinstance(angle, float) else str(angle) for angle in step.parameters)})"
    controls = f" under {step.controls} more control{'s' * (step.controls != 1)}" if step.controls else ""
    return f"{step.name}{angles if step.parameters else ''}{controls}"


def where(step: Instruction, number: int) -> str:
    """Return where a step stands, for messages."""
    if not step.qubits:  # a global phase
        return f"(step {number})"
    return f"on qubit{'s' * (len(step.qubits) != 1)} {', '.join(map(str, step.qubits))} (step {number})"


def _numbers(step: Instruction) -> tuple[float, ...]:
    """Return a step's angles or probabilities, which were looked at: there is no formula among them."""
    return step.parameters and tuple(float(angle) for angle in step.parameters)  # type: ignore[arg-type, return-value]
