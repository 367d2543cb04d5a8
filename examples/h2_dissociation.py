"""The energy curve of the hydrogen molecule while its nuclei are drawn apart: `qloom.map` over 20 bond lengths.

Run it: `python examples/h2_dissociation.py --name h2-curve`. It prints a table and draws the curve beside the exact one. Kill it
and type the same line again: it goes on with what is missing. A single bond length is a job like any other:
`qloom run examples/h2_dissociation.py -p bond_angstrom=1.5`.

The trial state and its slope are those of h2_vqe.py, the module beside this one, which travels with each job.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from h2_vqe import FLAT_HARTREE_PER_RAD, RATE, ROTATIONS, energy_and_slope, read_molecule, trial_state

import qloom

if TYPE_CHECKING:
    from collections.abc import Sequence

BONDS_ANGSTROM = (0.3, 0.4, 0.5, 0.6, 0.7, 0.735, 0.8, 0.85, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.2, 2.5)
"""Distances of the two nuclei; h2_sto3g.json holds them and two more."""
WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 746, 40, 290
SHOWN_BONDS = (0.5, 1, 1.5, 2, 2.5)
"""Of the drawing: its size, where the curve is, and what stands below it."""

ROW = "{bond_angstrom:15g}  {energy_hartree:16.6f}  {exact_hartree:15.6f}  {error_mhartree:11.4f}"

Points = list[tuple[float, float]]
"""(bond length in angstrom, energy in hartree)."""


@qloom.program(data_files=["h2_sto3g.json"])
def h2_dissociation(ctx: qloom.Context, bond_angstrom: float = 0.735, max_iterations: int = 200) -> dict[str, float]:
    """Find the ground-state energy of H2 in the STO-3G basis at one bond length.

    Args:
        ctx: the job's context.
        bond_angstrom: distance of the two nuclei; one of those in h2_sto3g.json, 0.3 to 2.5.
        max_iterations: the most steps downhill.

    Returns:
        `bond_angstrom`; `energy_hartree` found there, `exact_hartree` by diagonalisation, their difference `error_mhartree`.
    """
    molecule = read_molecule(bond_angstrom)
    energy = ctx.device.prepare(trial_state(), observables=qloom.Observable(molecule["terms"]))
    angles = ctx.rng.normal(0.0, 0.1, size=len(ROTATIONS))
    value, slope = energy_and_slope(energy, angles)
    for step in ctx.progress(range(max_iterations)):
        ctx.log_metric("energy_hartree", value, step=step)
        if np.linalg.norm(slope) < FLAT_HARTREE_PER_RAD:
            break
        angles = angles - RATE * slope
        value, slope = energy_and_slope(energy, angles)
    exact = molecule["exact_hartree"]
    return {
        "bond_angstrom": bond_angstrom,
        "energy_hartree": value,
        "exact_hartree": exact,
        "error_mhartree": 1000 * (value - exact),
    }


def curve(bonds_angstrom: Sequence[float], *, name: str | None = None, seed: int | None = None) -> list[dict[str, float]]:
    """Run one job for each bond length, several at a time; print a line as soon as one has ended and return all they found.

    Args:
        bonds_angstrom: the bond lengths; the results are in their order.
        name: of the map: where there is one of that name, it goes on, and what it has found already is not computed again.
        seed: every random number comes from it; None for a fresh one.

    Raises:
        MapFailed: some bond lengths have no result; a map that has a name runs only these again.
    """
    sets = [{"bond_angstrom": bond} for bond in bonds_angstrom]
    sweep = qloom.map(h2_dissociation.with_options(seed=seed), sets, name=name)
    print("bond (angstrom)  energy (hartree)  exact (hartree)  error (mHa)")
    for item in sweep:
        if item.error is None:
            print(ROW.format(**item.result))
    return sweep.results()


def exact_curve() -> Points:
    """Return the exact energies in the file beside this one, by bond length."""
    bonds = json.loads((Path(__file__).parent / "h2_sto3g.json").read_text(encoding="utf-8"))["bonds"]
    return sorted((float(bond), molecule["exact_hartree"]) for bond, molecule in bonds.items())


def draw(found: Points, exact: Points) -> str:
    """Return SVG text: the energies found as dots, the exact ones as a line, over the bond length."""
    low, high = min(energy for _, energy in exact), max(energy for _, energy in exact)

    def place(bond: float, energy: float) -> tuple[float, float]:
        across, down = bond / 2.6, (high - energy) / (high - low)
        return LEFT + across * (RIGHT - LEFT), TOP + down * (BOTTOM - TOP)

    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*point) for point in exact))
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#3346c8"><title>{bond:g} ångström: {energy:.6f} hartree</title></circle>'
        for (bond, energy), (x, y) in ((point, place(*point)) for point in found)
    ]
    across = [(energy, place(0, energy)[1]) for energy in np.arange(np.ceil(10 * low), np.ceil(10 * high)) / 10]
    body = [
        "<title>Energy of the hydrogen molecule over its bond length: found as dots, exact as a line</title>",
        f'<text x="8" y="20">energy (hartree)</text><text x="{RIGHT}" y="{HEIGHT - 6}" text-anchor="end">',
        "bond length (ångström)</text>",
        f'<text x="{RIGHT}" y="20" text-anchor="end"><tspan fill="#3346c8">● found</tspan>, line: exact</text>',
        *(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#c9ced6"/>' for _, y in across),
        *(f'<text x="{LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{energy:.1f}</text>' for energy, y in across),
        *(f'<text x="{place(at, 0)[0]:.1f}" y="{HEIGHT - 24}" text-anchor="middle">{at:g}</text>' for at in SHOWN_BONDS),
        f'<path d="M{line}" fill="none" stroke="#d03b2f" stroke-width="2"/>',
        *dots,
    ]
    top = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
    return f'{top}font-family="sans-serif" font-size="14" fill="#39424e">{"".join(body)}</svg>'


def main() -> int:
    """Compute the curve, print it and draw it."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--name", help="of the map: the same name goes on where it was")
    options.add_argument("--seed", type=int, help="the same seed gives the same numbers again")
    options.add_argument("-o", "--output", type=Path, default=Path("h2_dissociation.svg"), help="the drawing")
    chosen = options.parse_args()
    rows = curve(BONDS_ANGSTROM, name=chosen.name, seed=chosen.seed)
    found = [(row["bond_angstrom"], row["energy_hartree"]) for row in rows]
    chosen.output.write_text(draw(found, exact_curve()) + "\n", encoding="utf-8")
    worst = max(row["error_mhartree"] for row in rows)
    best, _ = min(found, key=lambda point: point[1])
    print(f"the largest error is {worst:.4f} mHa; lowest at {best:g} angstrom; drawn in {chosen.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
