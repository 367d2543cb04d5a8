"""A noise model in a few numbers: what a device spec tells of it, and what a choice of error mitigation rests on."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

from qloom.circuits.gates import kraus_operators

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qloom.noise.entries import ErrorChannel, GateNoise, QubitNoise
    from qloom.noise.model import NoiseModel


def error_rates(model: NoiseModel) -> dict[str, Any]:
    """Return the mean error rates of a model, JSON, as `DeviceSpec.notes["error_rates"]` has them.

    Returns:
        `gates`: gate name (or `default:1`, `default:2`, `default:3`, `measure`, `reset`) -> `random`, the probability that a
        Pauli other than the identity comes with the gate, were the rest of its errors twirled, and `coherent_rad`, the angle of
        the rotation that comes with it each time (rad); means over all places. `readout`: [p(1|0), p(0|1)], means over the
        qubits. `t1_s`, `t2_s`: the times that belong to the mean rates of relaxation (s), None for none.

    The random part of a channel with Kraus operators K is 1 - sum |tr K|^2 / d^2, less what a rotation brings to that; the
    rotation is the unitary next to the largest Kraus operator (its polar factor).

    >>> from qloom.noise import NoiseModel
    >>> error_rates(NoiseModel.depolarizing(0.001, 0.01, readout=(0.02, 0.04)))["readout"]
    [0.02, 0.04]
    >>> error_rates(NoiseModel.depolarizing(0.001, 0.01))["gates"]["default:2"]
    {'random': 0.01, 'coherent_rad': 0.0}
    """
    qubits = [model.qubit(number) for number in model.qubits] or [model.qubit(0)]
    reads = [qubit.readout or (0.0, 0.0) for qubit in qubits]
    return {
        "gates": {
            name: _mean(table.values()) for name, table in model.gates.items() if any(one.errors for one in table.values())
        },
        "readout": [_rounded(fmean(read[side] for read in reads)) for side in (0, 1)],
        "t1_s": _time(qubit.t1_s for qubit in qubits),
        "t2_s": _time(_t2_s(qubit) for qubit in qubits),
    }


def _mean(entries: Iterable[GateNoise]) -> dict[str, float]:
    found = [_gate(entry) for entry in entries]
    return {
        "random": _rounded(fmean(random for random, _ in found)),
        "coherent_rad": _rounded(fmean(angle for _, angle in found)),
    }


def _gate(entry: GateNoise) -> tuple[float, float]:
    parts = [_channel(error) for error in entry.errors if not error.is_nothing]
    return min(1.0, sum(random for random, _ in parts)), sum(angle for _, angle in parts)


def _channel(error: ErrorChannel) -> tuple[float, float]:
    """Return the random part of a channel and the angle of its rotation (rad)."""
    if error.channel == "kraus":
        return _operators(error)
    if "damping" not in error.channel:
        return sum(error.parameters), 0.0
    kept = math.sqrt(1 - error.parameters[0])
    return (1 - (1 + kept) / 2 if error.channel == "phase_damping" else 1 - (1 + kept) ** 2 / 4), 0.0


def _operators(error: ErrorChannel) -> tuple[float, float]:
    import numpy as np

    operators = kraus_operators(error.parameters, len(error.on))
    size = operators.shape[-1]
    kept = float((abs(operators.trace(axis1=1, axis2=2)) ** 2).sum()) / size**2
    # Of all sets of Kraus operators the one in which none overlaps with another has the largest first one.
    flat = operators.reshape(len(operators), -1)
    largest = np.linalg.svd(flat.T @ flat.conj())[0][:, 0].reshape(size, size)
    left, _, right = np.linalg.svd(largest)
    overlap = abs(np.trace(left @ right)) / size
    turned = max(0.0, 1 - float(overlap) ** 2)
    return max(0.0, 1 - kept - turned), 2 * math.asin(math.sqrt(turned))


def _t2_s(qubit: QubitNoise) -> float | None:
    return qubit.t2_s if qubit.t2_s is not None or qubit.t1_s is None else 2 * qubit.t1_s


def _time(times_s: Iterable[float | None]) -> float | None:
    rate = fmean(0.0 if time is None else 1 / time for time in times_s)
    return _rounded(1 / rate) if rate else None


def _rounded(value: float) -> float:
    """Return a figure with 6 digits: more would differ from one machine's linear algebra to another's."""
    return float(f"{value:.6g}") if abs(value) > 1e-9 else 0.0
