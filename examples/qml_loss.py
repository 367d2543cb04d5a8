"""A short circuit that learns what a long one does: its angles are turned until it undoes the long one, slice by slice.

Run it: `qloom run examples/qml_loss.py -p shots=8192`, or `python examples/qml_loss.py`.

The teacher in qml_teacher.qasm prepares a wave and takes its Fourier transform. It is cut into slices. Each time, what was
learnt so far runs, then the next slice, then the learner backwards: where all qubits end in 0, the learner does what those two
did, and takes their place. The loss is how often they do not. Along each of the learner's 50 angles it is a sine, so that three
values of it tell where it is lowest.
Source: Ostaszewski, Grant, Benedetti, arXiv:1905.09692; Nakanishi, Fujii, Todo, arXiv:1903.12166.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import qloom
from qloom.circuits import Angle, Instruction, Parameter
from qloom.convert import from_openqasm

FloatArray = npt.NDArray[np.float64]

QUBITS = 5
REPETITIONS = 4
NAMES = tuple(f"angle_{index}" for index in range(2 * QUBITS * (REPETITIONS + 1)))
"""The learner's parameters, in the order in which it takes them."""
BETTER = 0.001
"""A loss that fell by less has not fallen."""


class Trained(NamedTuple):
    """What training on one slice ended with: the best angles in rad, the loss measured there, how many angles were turned."""

    angles: FloatArray
    loss: float
    updates: int


@qloom.program(data_files=["qml_teacher.qasm"])
def qml_loss(
    ctx: qloom.Context,
    shots: int | None = None,
    gates: int | None = None,
    slice_gates: int = 100,
    patience: int = 400,
    max_updates: int = 5000,
) -> dict[str, Any]:
    """Train the short circuit on the teacher, slice by slice.

    Args:
        ctx: the job's context.
        shots: for each value of the loss; exact values when None.
        gates: how many of the teacher's gates are learnt; all of them when None.
        slice_gates: how many gates are learnt at a time.
        patience: training on a slice ends after so many values of the loss without one that is 0.001 better.
        max_updates: the most turns of an angle for one slice.

    Returns:
        `losses`, the one that each slice ended with; `angles` of the learner in rad; `evaluations` of the loss; `fidelity` of
        the learner's state with that of all the gates learnt, exact.
    """
    if min(slice_gates, patience, max_updates) < 1:
        raise ValueError(f"slice_gates, patience and max_updates start at 1, got {slice_gates}, {patience}, {max_updates}")
    teacher = from_openqasm((Path(__file__).parent / "qml_teacher.qasm").read_text(encoding="utf-8")).instructions[:gates]
    learnt: tuple[Instruction, ...] = ()
    angles, losses, updates = ctx.rng.uniform(-np.pi, np.pi, size=len(NAMES)), [], 0
    for start in ctx.progress(range(0, len(teacher), slice_gates), description="slices"):
        task = ctx.device.prepare(comparison(learnt + teacher[start : start + slice_gates]), observables=all_zero())
        found = train(ctx, task, angles, shots=shots, patience=patience, max_updates=max_updates, first_step=updates)
        angles, learnt, updates = found.angles, learner(found.angles.tolist()), updates + found.updates
        losses.append(found.loss)
    fidelity = ctx.device.estimate(comparison(teacher), all_zero(), angles).value
    return {"losses": losses, "angles": angles.tolist(), "evaluations": 3 * updates, "fidelity": fidelity}


def train(
    ctx: qloom.Context,
    task: Any,
    angles: FloatArray,
    *,
    shots: int | None,
    patience: int,
    max_updates: int,
    first_step: int = 0,
) -> Trained:
    """Turn one angle after the other to where the loss is lowest along it, round and round, until it falls no more."""
    best, since_best, update = Trained(angles, np.inf, 0), 0, 0
    for update in range(max_updates):
        index = update % len(angles)
        here, ahead, behind = losses_around(task, angles, index, shots)
        ctx.log_metric("loss", here, step=first_step + update)
        since_best += 3
        if here < best.loss - BETTER:
            best, since_best = Trained(angles, here, 0), 0
        if since_best >= patience:
            break
        angles = angles.copy()
        angles[index] += way_to_lowest(here, ahead, behind)
    return best._replace(updates=update + 1)


def losses_around(task: Any, angles: FloatArray, index: int, shots: int | None) -> tuple[float, float, float]:
    """Return the loss here, a quarter turn of one angle ahead and one behind, from one quantum task."""
    turn = np.zeros(len(angles))
    turn[index] = np.pi / 2
    here, ahead, behind = 1 - task.estimate(np.stack([angles, angles + turn, angles - turn]), shots=shots).values[:, 0]
    return float(here), float(ahead), float(behind)


def way_to_lowest(here: float, ahead: float, behind: float) -> float:
    """Return how far, in rad, a sine is from its lowest point, from its value here and a quarter turn ahead and behind.

    >>> round(way_to_lowest(0.5, 1.0, 0.0), 6) == round(-np.pi / 2, 6)
    True
    """
    mean = (ahead + behind) / 2
    highest = np.arctan2((ahead - behind) / 2, here - mean)
    return float(highest - np.copysign(np.pi, highest))


def learner(angles: Sequence[Angle]) -> tuple[Instruction, ...]:
    """Return the short circuit: layers of ry and rz on every qubit, and a chain of cx between them."""
    layers = np.array(angles, dtype=object).reshape(REPETITIONS + 1, 2, QUBITS)
    circuit = qloom.Circuit(QUBITS)
    for number, (tilts, phases) in enumerate(layers):
        for qubit in range(QUBITS - 1 if number else 0):
            circuit = circuit.cx(qubit, qubit + 1)
        for qubit in range(QUBITS):
            circuit = circuit.ry(tilts[qubit], qubit).rz(phases[qubit], qubit)
    return circuit.instructions


def comparison(steps: Sequence[Instruction]) -> qloom.Circuit:
    """Return the circuit of these steps and then the learner backwards; it ends in all zeros where both do the same."""
    backwards = [undone(step) for step in reversed(learner([Parameter(name) for name in NAMES]))]
    return qloom.Circuit(QUBITS, [*steps, *backwards], parameters=NAMES, name="teacher against learner")


def undone(step: Instruction) -> Instruction:
    """Return the inverse of a rotation or a cx."""
    return step._replace(parameters=tuple(-angle for angle in step.parameters))


def all_zero() -> qloom.Observable:
    """Return the probability that every qubit is 0: the product of (1 + Z)/2 over the qubits, multiplied out."""
    return qloom.Observable({"".join(letters): 2.0**-QUBITS for letters in product("IZ", repeat=QUBITS)})


if __name__ == "__main__":
    job = qml_loss.submit()
    print(job.id, job.result(timeout_s=300))
