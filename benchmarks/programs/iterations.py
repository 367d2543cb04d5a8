"""A variational loop that logs what such loops log, for the figure about reports."""

from __future__ import annotations

import math
from typing import Any

import qloom


@qloom.program
def iterations(ctx: qloom.Context, number: int = 10_000) -> dict[str, Any]:
    """Ask a small circuit so many times and log two metrics each time."""
    task = ctx.device.prepare(qloom.Circuit(4).h(0).cx(0, 1).cx(1, 2).cx(2, 3))
    counts: dict[str, int] = {}
    for step in range(number):
        counts = task.run(shots=1000).counts
        ctx.log_metric("energy_hartree", math.exp(-step / 500) - 1 + 0.01 * math.sin(step), step=step)
        ctx.log_metric("slope_hartree_per_rad", math.exp(-step / 500), step=step)
    return {"counts": counts, "energy_hartree": -1.0, "exact_hartree": -1.01}
