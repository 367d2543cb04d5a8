"""A script that declares a program, and no more."""

from __future__ import annotations

from typing import Any

import qloom


@qloom.program
def declared(ctx: qloom.Context, bond_angstrom: float = 0.735, max_iterations: int = 200) -> dict[str, Any]:  # noqa: ARG001  a program takes its context, needed or not
    """Never run."""
    return {"bond_angstrom": bond_angstrom, "max_iterations": max_iterations}
