"""The energy of the hydrogen molecule on a noisy machine, with its errors mitigated and without, from the same shots.

Run it: `qloom run examples/mitigated_vqe.py --seed 1`, or `python examples/mitigated_vqe.py`. Another pipeline, or none:
`qloom run examples/mitigated_vqe.py --pipeline zne`, `--pipeline '[]'`.

The machine is `sim` with the noise of h2_noise.json: half a per cent of error for each gate on two qubits, and one bit in fifty
misread. The search is that of h2_vqe.py, the module beside this one. Its pipeline corrects what is misread, then measures each
energy at one, three and five times the noise, and follows the three down to none. Noise that mixes the state draws the energy to
that of the wholly mixed one, which is known, so an exponential with that asymptote is fitted. Source: Temme, Bravyi, Gambetta,
arXiv:1612.02058.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from h2_vqe import RATE, ROTATIONS, read_molecule, trial_state

import qloom

if TYPE_CHECKING:
    from collections.abc import Sequence

FloatArray = npt.NDArray[np.float64]

NOISE = Path(__file__).with_name("h2_noise.json")
MIXED_HARTREE = -0.09
"""About the energy of the wholly mixed state at 0.735 angstrom: the term IIII of the Hamiltonian."""
PIPELINE = ["readout", {"stage": "zne", "scales": [1, 3, 5], "fit": "exponential", "asymptote": MIXED_HARTREE}]
LAST_SHOTS = 10
"""How many times more shots the last energy gets."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 320, 66, 746, 40, 274


class Measured(NamedTuple):
    """Energies in hartree, and the slope of the mitigated one along each angle in hartree/rad."""

    energy: float
    error: float
    unmitigated: float
    slope: FloatArray


@qloom.program(device=f"sim:noise={NOISE}", pipeline=PIPELINE, data_files=["h2_sto3g.json", "h2_noise.json"])
def mitigated_vqe(ctx: qloom.Context, bond_angstrom: float = 0.735, iterations: int = 25, shots: int = 4000) -> dict[str, float]:
    """Search the ground-state energy of H2 with mitigated energies, and say what it would be without mitigation.

    Args:
        ctx: the job's context.
        bond_angstrom: distance of the two nuclei; one of those in h2_sto3g.json, 0.3 to 2.5.
        iterations: steps downhill.
        shots: for each circuit and measured basis; the last energy gets ten times as many.

    Returns:
        `energy_hartree` mitigated, its `standard_error_hartree`, `unmitigated_hartree` from the same shots, `exact_hartree` by
        diagonalisation, and how far the two are from it: `error_mhartree`, `unmitigated_error_mhartree`.
    """
    molecule = read_molecule(bond_angstrom)
    task = ctx.device.prepare(trial_state(), observables=qloom.Observable(molecule["terms"]))
    angles = ctx.rng.normal(0.0, 0.1, size=len(ROTATIONS))
    found: list[Measured] = []
    for step in ctx.progress(range(iterations + 1)):
        found.append(measure(task, angles, shots))
        ctx.log_metric("energy_hartree", found[-1].energy, step=step)
        ctx.log_metric("unmitigated_hartree", found[-1].unmitigated, step=step)
        if step < iterations:
            angles = angles - RATE * found[-1].slope
    last = measure(task, angles, LAST_SHOTS * shots, slope=False)
    exact = molecule["exact_hartree"]
    ctx.save_figure("energies", draw_energies(found, exact))
    return {
        "energy_hartree": last.energy,
        "standard_error_hartree": last.error,
        "unmitigated_hartree": last.unmitigated,
        "exact_hartree": exact,
        "error_mhartree": 1000 * (last.energy - exact),
        "unmitigated_error_mhartree": 1000 * (last.unmitigated - exact),
    }


def measure(task: Any, angles: FloatArray, shots: int, *, slope: bool = True) -> Measured:
    """Return the energies at some angles, from one quantum task; the slope comes from a quarter turn ahead and behind."""
    turns = np.pi / 2 * np.eye(len(angles)) if slope else np.zeros((0, len(angles)))
    result = task.estimate(np.vstack([angles, angles + turns, angles - turns]), shots=shots)
    ahead, behind = result.values[1:, 0].reshape(2, -1)
    return Measured(float(result.values[0, 0]), float(result.standard_errors[0, 0]), unmitigated(result), (ahead - behind) / 2)


def unmitigated(result: qloom.Result) -> float:
    """Return the first value as it was before the pipeline did anything, in hartree.

    Stages note what they were given. Of a stage that works on several circuits the first one's notes are shown: here that of the
    circuit whose noise is not scaled.
    """
    stages = {stage["name"] for stage in result.stages}
    if "readout" in stages:
        return float(result.stages["readout"].before[0][0])
    return float(result.stages["zne"].values[0][0][0] if "zne" in stages else result.values[0, 0])


def draw_energies(found: Sequence[Measured], exact: float) -> str:
    """Return both energies over the steps as SVG text, with the exact one as a broken line."""
    low, high = min(exact, *(one.energy for one in found)) - 0.02, max(one.unmitigated for one in found) + 0.02
    across = (RIGHT - LEFT) / max(1, len(found) - 1)

    def down(energy: float) -> float:
        return BOTTOM - (energy - low) / (high - low) * (BOTTOM - TOP)

    def line(energies: Sequence[float], colour: str) -> str:
        points = " ".join(f"{LEFT + across * step:.1f},{down(energy):.1f}" for step, energy in enumerate(energies))
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'

    ticks = [
        f'<text x="{LEFT - 8}" y="{down(energy) + 5:.1f}" text-anchor="end">{energy:.1f}</text>'
        f'<line x1="{LEFT}" y1="{down(energy):.1f}" x2="{RIGHT}" y2="{down(energy):.1f}" stroke="#e9ecf0"/>'
        for energy in np.arange(np.ceil(low * 10), np.floor(high * 10) + 1) / 10
    ]
    place = f'x1="{LEFT}" y1="{down(exact):.1f}" x2="{RIGHT}" y2="{down(exact):.1f}"'
    broken = f'<line {place} stroke="#39424e" stroke-dasharray="6 5"/>'
    legend = '<tspan fill="#b4540a">as measured</tspan> · <tspan fill="#3346c8">mitigated</tspan>'
    words = [
        f'<text x="{LEFT}" y="22">energy (hartree)</text>',
        f'<text x="{RIGHT}" y="22" text-anchor="end">{legend} · exact {exact:.4f}, broken</text>',
        f'<text x="{RIGHT}" y="{HEIGHT - 10}" text-anchor="end">step, 0 to {len(found) - 1}</text>',
    ]
    lines = [line([one.unmitigated for one in found], "#b4540a"), line([one.energy for one in found], "#3346c8")]
    said = f"Energies over {len(found)} steps: mitigated {found[-1].energy:.3f}, as measured {found[-1].unmitigated:.3f} hartree"
    top = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="14">'
    return f"{top}<title>{said}</title>{''.join([*ticks, broken, *lines, *words])}</svg>"


if __name__ == "__main__":
    job = mitigated_vqe.submit()
    print(job.id, job.result(timeout_s=120))
