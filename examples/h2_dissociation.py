"""The energy of the hydrogen molecule while its nuclei are drawn apart: one job, one variational search for each bond length.

Run it: `qloom run examples/h2_dissociation.py`, or `python examples/h2_dissociation.py`.

The trial state and its slope are those of h2_vqe.py, the module beside this one, which travels with the job. Each search
starts from the angles of the bond length before, which are nearly right already.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from h2_vqe import FLAT_HARTREE_PER_RAD, RATE, ROTATIONS, FloatArray, energy_and_slope, read_molecule, trial_state

import qloom


@qloom.program(data_files=["h2_sto3g.json"])
def h2_dissociation(ctx: qloom.Context, bonds_angstrom: list[float] | None = None, max_iterations: int = 200) -> dict[str, Any]:
    """Find the ground-state energy of H2 in the STO-3G basis at several bond lengths.

    Args:
        ctx: the job's context.
        bonds_angstrom: distances of the two nuclei, each one of those in h2_sto3g.json; all of them when None.
        max_iterations: the most steps downhill at one bond length.

    Returns:
        `bonds_angstrom`; at each of them `energy_hartree` found and `exact_hartree` by diagonalisation; the largest of their
        differences, `worst_error_mhartree`; `best_bond_angstrom`, where the energy found is lowest.
    """
    bonds = known_bonds() if bonds_angstrom is None else bonds_angstrom
    if not bonds:
        raise ValueError("bonds_angstrom: the list is empty; name at least one bond length, or leave it out for all")
    molecules = [read_molecule(bond) for bond in bonds]
    angles = ctx.rng.normal(0.0, 0.1, size=len(ROTATIONS))
    energies, exact = [], [molecule["exact_hartree"] for molecule in molecules]
    for step, molecule in enumerate(ctx.progress(molecules)):
        task = ctx.device.prepare(trial_state(), observables=qloom.Observable(molecule["terms"]))
        energy, angles = descend(task, angles, max_iterations)
        energies.append(energy)
        ctx.log_metric("bond_angstrom", bonds[step], step=step)
        ctx.log_metric("energy_hartree", energy, step=step)
        ctx.log_metric("exact_hartree", exact[step], step=step)
    return {
        "bonds_angstrom": bonds,
        "energy_hartree": energies,
        "exact_hartree": exact,
        "worst_error_mhartree": 1000 * max(found - best for found, best in zip(energies, exact, strict=True)),
        "best_bond_angstrom": bonds[int(np.argmin(energies))],
    }


def descend(task: Any, angles: FloatArray, max_iterations: int) -> tuple[float, FloatArray]:
    """Walk downhill until the slope is flat; return the energy there in hartree, and the angles."""
    value, slope = energy_and_slope(task, angles)
    for _ in range(max_iterations):
        if np.linalg.norm(slope) < FLAT_HARTREE_PER_RAD:
            break
        angles = angles - RATE * slope
        value, slope = energy_and_slope(task, angles)
    return value, angles


def known_bonds() -> list[float]:
    """Return the bond lengths in the file beside this one, in angstrom, shortest first."""
    bonds = json.loads((Path(__file__).parent / "h2_sto3g.json").read_text(encoding="utf-8"))["bonds"]
    return sorted(map(float, bonds))


if __name__ == "__main__":
    job = h2_dissociation.submit()
    print(job.id, job.result(timeout_s=120))
