"""`NoiseModel`: what a machine does beside what it is told, as one immutable value."""

from qloom.noise.entries import ErrorChannel, GateNoise, QubitNoise
from qloom.noise.model import NoiseModel

__all__ = ["ErrorChannel", "GateNoise", "NoiseModel", "QubitNoise"]
