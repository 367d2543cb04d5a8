"""What calibrations give, fidelities and times, as entries of a noise model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qloom.circuits.gates import ALIASES, GATES
from qloom.errors import InvalidSetting
from qloom.noise import ErrorChannel, QubitNoise

if TYPE_CHECKING:
    from collections.abc import Sequence


def gate_name(name: str) -> str | None:
    """Return the circuit form's name of a gate that noise can be on; None where it has none."""
    known = ALIASES.get(name, name)
    return known if known in GATES and known != "gphase" else None


def possible_qubit(
    qubit: int | str, t1: float | None, t2: float | None, readout: tuple[float, float] | None, notes: list[str]
) -> QubitNoise:
    """Return a qubit with T2 taken down to 2 T1 where a measurement gave more, which is noted.

    Raises:
        InvalidSetting: a time that is not above zero, or a probability outside [0, 1]; with the qubit's name.
    """
    if t1 is not None and t2 is not None and t2 > 2 * t1:
        notes.append(f"qubit {qubit}: T2 is given as {t2} s, over twice T1 ({t1} s); it is taken as {2 * t1} s")
        t2 = 2 * t1
    try:
        return QubitNoise(t1, t2, readout=readout)
    except InvalidSetting as error:
        raise InvalidSetting(f"qubit {qubit}: {error}") from error


def depolarising(
    what: str, fidelity: float, qubits: Sequence[QubitNoise], duration_s: float, notes: list[str]
) -> tuple[ErrorChannel, ...]:
    """Return the depolarising error that brings a gate's average fidelity to the given one, relaxation included.

    Args:
        what: the gate, for notes.
        fidelity: average over all pure states, from 0 to 1.
        qubits: one or two, which relax for `duration_s` after it.
        duration_s: seconds.
        notes: gets a line where no such error exists.

    With entanglement fidelity `f = ((d + 1) F - 1) / d` (Horodecki, Phys. Rev. A 60, 1888): relaxation has f = product of
    `(1 + exp(-t/T1) + 2 exp(-t/T2)) / 4`, and depolarising scales all of f but the identity's part, 1 / d**2.

    >>> depolarising("x", 0.99, [QubitNoise()], 0.0, [])
    (ErrorChannel(channel='depolarizing', parameters=(0.015...,), on=(0,)),)
    """
    size = 2 ** len(qubits)
    relaxed = math.prod(_kept(qubit, duration_s) for qubit in qubits)
    wanted = ((size + 1) * fidelity - 1) / size
    scale = (size**2 * wanted - 1) / (size**2 * relaxed - 1) if size**2 * relaxed > 1 else 1.0
    probability = (1 - scale) * (1 - 1 / size**2)
    if probability < 0:
        notes.append(f"{what}: relaxation alone makes its error larger than the {1 - fidelity:.3g} given")
    if probability > 1:
        notes.append(f"{what}: no channel has an average fidelity of {fidelity:.3g}; it depolarises as much as it can")
    name = "depolarizing" if size == 2 else "two_qubit_depolarizing"
    return (ErrorChannel(name, (min(probability, 1.0),)),) if probability > 0 else ()


def _kept(qubit: QubitNoise, time_s: float) -> float:
    """Return the entanglement fidelity of relaxation."""
    decay = 0.0 if qubit.t1_s is None else time_s / qubit.t1_s
    loss = decay / 2 if qubit.t2_s is None else time_s / qubit.t2_s
    return (1 + math.exp(-decay) + 2 * math.exp(-loss)) / 4
