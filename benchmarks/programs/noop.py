"""A program that does nothing."""

from __future__ import annotations

from typing import Any

import qloom


@qloom.program
def noop(ctx: qloom.Context) -> dict[str, Any]:  # noqa: ARG001  a program takes its context, needed or not
    """Return at once."""
    return {}
