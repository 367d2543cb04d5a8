"""The ground-state energy of the hydrogen molecule, by a variational search that you can watch, kill and resume.

Run it: `qloom run examples/h2_vqe.py -p bond_angstrom=0.735`, or `python examples/h2_vqe.py`.

The trial state is the Hartree-Fock state, in which both electrons sit in the bonding orbital, followed by one rotation for
each way to lift electrons out of it. Plain gradient descent turns the three angles until the energy's slope is flat.
"""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import qloom
from qloom.circuits import Parameter

FloatArray = npt.NDArray[np.float64]

ROTATIONS = {"lift_up": "YZXI", "lift_down": "IYZX", "lift_both": "YXXX"}
"""Angle -> the Pauli string that it turns the state about; qubits as in the data file."""
RATE = 0.3
"""Length of a step: rad for each hartree/rad of slope."""
FLAT_HARTREE_PER_RAD = 5e-4
"""A slope below this ends the search."""


@qloom.program(data_files=["h2_sto3g.json"])
def h2_vqe(ctx: qloom.Context, bond_angstrom: float = 0.735, max_iterations: int = 200, pause_s: float = 0.0) -> dict[str, float]:
    """Find the ground-state energy of H2 in the STO-3G basis.

    Args:
        ctx: the job's context.
        bond_angstrom: distance of the two nuclei; one of those in h2_sto3g.json, 0.3 to 2.5.
        max_iterations: the most steps downhill.
        pause_s: seconds to rest after each step, so that people can watch; they are not spent again on resume.

    Returns:
        `energy_hartree` found, `exact_hartree` by diagonalisation, their difference `error_mhartree`, `iterations`.
    """
    molecule = read_molecule(bond_angstrom)
    energy = ctx.device.prepare(trial_state(), observables=qloom.Observable(molecule["terms"]))
    # A little beside the Hartree-Fock state: exactly there, the slope along the single lifts is zero by symmetry.
    angles = ctx.rng.normal(0.0, 0.1, size=len(ROTATIONS))
    value, slope = energy_and_slope(energy, angles)
    ctx.log_metric("energy_hartree", value, step=0)
    iteration = 0
    for iteration in ctx.progress(range(1, max_iterations + 1)):
        angles = angles - RATE * slope
        value, slope = energy_and_slope(energy, angles)
        ctx.log_metric("energy_hartree", value, step=iteration)
        ctx.log_metric("slope_hartree_per_rad", float(np.linalg.norm(slope)), step=iteration)
        if np.linalg.norm(slope) < FLAT_HARTREE_PER_RAD:
            break
        if pause_s > 0:
            ctx.step(time.sleep, pause_s)
    exact = molecule["exact_hartree"]
    return {
        "energy_hartree": value,
        "exact_hartree": exact,
        "error_mhartree": 1000 * (value - exact),
        "iterations": iteration,
    }


def energy_and_slope(energy: Any, angles: FloatArray) -> tuple[float, FloatArray]:
    """Return the energy in hartree and its derivative along each angle in hartree/rad, from one quantum task.

    Each angle turns the state about one Pauli string, so that the energy is a sine of it, and the difference a quarter turn
    ahead and behind gives the slope exactly, on a simulator and on a QPU. Source: Mitarai et al., arXiv:1803.00745.
    """
    quarter_turns = np.pi / 2 * np.eye(len(angles))
    values = energy.estimate(np.vstack([angles, angles + quarter_turns, angles - quarter_turns])).values[:, 0]
    ahead, behind = values[1:].reshape(2, -1)
    return float(values[0]), (ahead - behind) / 2


def trial_state() -> qloom.Circuit:
    """Return the circuit: both electrons in the bonding orbital (qubits 0 and 1), then the three rotations."""
    circuit = qloom.Circuit(4, name="h2 trial state").x(0).x(1)
    for name, string in ROTATIONS.items():
        circuit = turn(circuit, string, Parameter(name))
    return circuit


def turn(circuit: qloom.Circuit, string: str, angle: Parameter) -> qloom.Circuit:
    """Add exp(-i angle/2 P) for a Pauli string P: its letters become Z, their parity is turned, then all is undone."""
    qubits = [qubit for qubit, letter in enumerate(string) if letter != "I"]
    pairs = list(pairwise(qubits))
    circuit = change_letters(circuit, string, np.pi / 2)
    for control, target in pairs:
        circuit = circuit.cx(control, target)
    circuit = circuit.rz(angle, qubits[-1])
    for control, target in reversed(pairs):
        circuit = circuit.cx(control, target)
    return change_letters(circuit, string, -np.pi / 2)


def change_letters(circuit: qloom.Circuit, string: str, angle: float) -> qloom.Circuit:
    """Add what turns each X and Y of the string into Z (a quarter turn), or back (a quarter turn the other way)."""
    for qubit, letter in enumerate(string):
        if letter == "X":
            circuit = circuit.h(qubit)
        elif letter == "Y":
            circuit = circuit.rx(angle, qubit)
    return circuit


def read_molecule(bond_angstrom: float) -> dict[str, Any]:
    """Return the molecule's Hamiltonian and exact energy at a bond length from the file beside this one."""
    bonds = json.loads((Path(__file__).parent / "h2_sto3g.json").read_text(encoding="utf-8"))["bonds"]
    if f"{bond_angstrom:g}" not in bonds:
        near = sorted(bonds, key=lambda bond: abs(float(bond) - bond_angstrom))[:2]
        raise ValueError(
            f"bond_angstrom: h2_sto3g.json holds no bond of {bond_angstrom:g} angstrom; the nearest are {' and '.join(near)}, "
            "and scripts/make_h2_hamiltonian.py makes others"
        )
    found: dict[str, Any] = bonds[f"{bond_angstrom:g}"]
    return found


if __name__ == "__main__":
    job = h2_vqe.submit(bond_angstrom=0.735)
    print(job.id, job.result(timeout_s=60))
