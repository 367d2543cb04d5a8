"""Other people's circuits and noise models in, and our circuits out as OpenQASM 3."""

from qloom.convert.intake import from_openqasm, from_qiskit, read_circuit, to_openqasm
from qloom.convert.noise_in import read_noise

__all__ = ["from_openqasm", "from_qiskit", "read_circuit", "read_noise", "to_openqasm"]
