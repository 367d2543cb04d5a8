"""`NoiseModel`: what a machine does beside what it is told."""

from __future__ import annotations


class NoiseModel:
    """Noise of each gate and qubit."""
