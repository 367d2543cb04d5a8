"""Other people's circuits in, and ours out as OpenQASM 3."""

from qloom.convert.intake import from_openqasm, from_qiskit, read_circuit, to_openqasm

__all__ = ["from_openqasm", "from_qiskit", "read_circuit", "to_openqasm"]
