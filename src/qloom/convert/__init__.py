"""Other people's circuits in, and ours out as OpenQASM 3."""

from qloom.convert.intake import from_openqasm, read_circuit
from qloom.convert.qasm_write import to_openqasm
from qloom.convert.qiskit_in import from_qiskit

__all__ = ["from_openqasm", "from_qiskit", "read_circuit", "to_openqasm"]
