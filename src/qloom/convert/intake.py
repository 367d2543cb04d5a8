"""Any circuit that a user may bring, to a `Circuit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qloom.circuits import Circuit
from qloom.convert.calls import NotInSubset
from qloom.convert.qasm_fast import read_subset
from qloom.convert.qiskit_in import from_qiskit, is_qiskit
from qloom.errors import InvalidCircuit, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 64 * 1024 * 1024
"""The largest file that is read; a million gates take about half of it."""


def read_circuit(source: object) -> Circuit:
    """Return the circuit that `source` holds.

    Args:
        source: a `Circuit`; OpenQASM 2 or 3 text; a `pathlib.Path` of such text, or a str that ends in `.qasm`; a Qiskit
            `QuantumCircuit`.

    Raises:
        InvalidCircuit: something else, a file that cannot be read, wrong text, or what the circuit form cannot hold.
        MissingExtra: text that only the reference parser reads, and it is not installed.

    >>> read_circuit("OPENQASM 2.0; qreg q[2]; h q[0]; cx q[0],q[1];").num_qubits
    2
    """
    if isinstance(source, Circuit):
        return source
    if isinstance(source, Path) or (isinstance(source, str) and source.endswith(".qasm") and "\n" not in source):
        return from_openqasm(_file_text(Path(source)))
    if isinstance(source, str):
        return from_openqasm(source)
    if is_qiskit(source):
        return from_qiskit(source)
    kind = f"{type(source).__module__}.{type(source).__qualname__}"
    raise InvalidCircuit(
        f"an object of type {kind} is no circuit; give a qloom.Circuit, OpenQASM text, a path to a .qasm file,"
        " or a Qiskit QuantumCircuit"
    )


def from_openqasm(text: str) -> Circuit:
    """Return the circuit of OpenQASM 2 or 3 text; `input` parameters stay symbolic, in the order of their declaration.

    Gate definitions, `ctrl`/`negctrl`/`inv`/`pow` modifiers, constant loops, aliases and broadcast are unrolled. Classical
    bit i is the i-th bit declared. A definition of a standard gate that has that gate's matrix is read as the gate itself.

    Raises:
        InvalidCircuit: wrong text, or what the circuit form cannot hold, with line and column.
        MissingExtra: text beyond the fast reader's subset, and `openqasm3` is not installed.

    >>> circuit = from_openqasm('OPENQASM 3.0; input float[64] theta; qubit[2] q; h q; ry(2*theta + 0.3) q[1];')
    >>> circuit.parameters, [step.name for step in circuit.instructions]
    (('theta',), ['h', 'h', 'ry'])
    """
    if not isinstance(text, str):
        raise InvalidCircuit(f"OpenQASM is text, got {type(text).__name__}")
    if not text.strip():
        raise InvalidCircuit("the text is empty; OpenQASM starts with a line such as `OPENQASM 3.0;`")
    try:
        return read_subset(text)
    except NotInSubset as reason:
        stopped_at = str(reason)
    return _reference_reader(text, stopped_at)(text)


def _reference_reader(text: str, stopped_at: str) -> Callable[[str], Circuit]:
    try:
        from qloom.convert.qasm_reference import read_reference
    except ImportError as error:
        # The package says so with an ImportError of its own where only its parser's runtime is missing.
        if (error.name or "openqasm3").partition(".")[0] not in {"openqasm3", "antlr4"}:
            raise
        raise MissingExtra(_without_parser(text, stopped_at)) from error
    return read_reference


def _without_parser(text: str, stopped_at: str) -> str:
    quoted = " ".join(stopped_at.split())[:60]
    position = text.find(stopped_at.strip()) if stopped_at.strip() else -1
    where = f"line {1 + text.count(chr(10), 0, position)}, " if position >= 0 else ""
    return (
        f"{where}at {quoted!r}: this is outside the plain subset of OpenQASM that qloom reads by itself (or wrong);"
        " the full parser reads it, or says what is wrong: pip install 'qloom[qasm]'"
    )


def _file_text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidCircuit(f"{path} has {size} bytes; the limit for a circuit file is {MAX_BYTES}")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidCircuit(f"there is no file {path} (in {Path.cwd()})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidCircuit(f"the file {path} cannot be read as text: {error}") from error
