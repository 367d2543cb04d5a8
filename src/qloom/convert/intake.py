"""Any circuit that a user may bring, to a `Circuit`, and a `Circuit` to text.

The readers and the writer are loaded by their first use: importing qloom must cost next to nothing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.circuits import Circuit
from qloom.convert.limits import MAX_BYTES, MAX_PARSED
from qloom.errors import InvalidCircuit, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable


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
        text = _file_text(Path(source))
        try:
            return from_openqasm(text)
        except InvalidCircuit as error:
            raise InvalidCircuit(f"{source}: {error}") from error
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
    An `if` may ask whether a bit, or a register read as a number with its bit 0 least significant, has a value
    (`c[0]`, `!c[0]`, `c[0] == 1`, `c == 3`, `c != 3`), and join equalities by `&&`.

    Raises:
        InvalidCircuit: wrong text, or what the circuit form cannot hold, with line and column; text of more than
            `limits.MAX_BYTES` characters, or of more than `limits.MAX_PARSED` that the fast reader does not take.
        MissingExtra: text beyond the fast reader's subset, and `openqasm3` is not installed.

    >>> circuit = from_openqasm('OPENQASM 3.0; input float[64] theta; qubit[2] q; h q; ry(2*theta + 0.3) q[1];')
    >>> circuit.parameters, [step.name for step in circuit.instructions]
    (('theta',), ['h', 'h', 'ry'])
    """
    if not isinstance(text, str):
        raise InvalidCircuit(f"OpenQASM is text, got {type(text).__name__}")
    if len(text) > MAX_BYTES:
        raise InvalidCircuit(f"the text has {len(text)} characters; the limit for a circuit is {MAX_BYTES}")
    if not text.strip():
        raise InvalidCircuit("the text is empty; OpenQASM starts with a line such as `OPENQASM 3.0;`")
    from qloom.convert.calls import NotInSubset
    from qloom.convert.qasm_fast import read_subset

    try:
        return read_subset(text)
    except NotInSubset as reason:
        stopped_at = reason.statement or str(reason)
    if len(text) > MAX_PARSED:
        raise InvalidCircuit(_too_long(text, stopped_at))
    return _reference_reader(text, stopped_at)(text)


def from_qiskit(circuit: object) -> Circuit:
    """Return a Qiskit `QuantumCircuit` as a `Circuit`, by a walk of the live object.

    Qubit i is `circuit.qubits[i]`, classical bit i is `circuit.clbits[i]`, and parameters stand in the order of
    `circuit.parameters`. Gates that the circuit form lacks are opened by their definitions; a global phase becomes a `gphase`.
    An `if_test` on a bit or a register stays an `if`; a `for_loop` over known numbers is unrolled.

    Raises:
        InvalidCircuit: not a Qiskit circuit, or an instruction, an angle or a name that the circuit form cannot hold.

    >>> from_qiskit("h 0")
    Traceback (most recent call last):
    qloom.errors.InvalidCircuit: a str is no Qiskit QuantumCircuit
    """
    if not is_qiskit(circuit):
        raise InvalidCircuit(f"a {type(circuit).__name__} is no Qiskit QuantumCircuit")
    from qloom.convert.qiskit_in import read_qiskit

    return read_qiskit(circuit)


def is_qiskit(source: object) -> bool:
    """Return whether the object is a Qiskit circuit; Qiskit is not imported to find out.

    >>> is_qiskit("OPENQASM 3.0;")
    False
    """
    kind: Any = type(source)
    return _is_qiskit_class(kind)


@cache
def _is_qiskit_class(kind: Any) -> bool:
    bases = kind.__mro__
    return any(base.__name__ == "QuantumCircuit" and (base.__module__ or "").partition(".")[0] == "qiskit" for base in bases)


def to_openqasm(circuit: Circuit) -> str:
    """Return the circuit as OpenQASM 3.0; `from_openqasm` reads it back equal.

    Qubits are the register `q`, classical bits the register `c`. Gates that `stdgates.inc` lacks are defined at the top.
    A parameter that OpenQASM cannot spell (`theta[0]`) becomes an input of a close name, said in a comment line in front.
    Noise and verbatim blocks are written as Amazon Braket's pragmas. Controls for which a gate has a standard name of its
    own are read back under that name.

    >>> from qloom.circuits import Parameter
    >>> print(to_openqasm(Circuit(2).h(0).ry(2 * Parameter("theta"), 1).measure([1], [0])), end="")
    OPENQASM 3.0;
    include "stdgates.inc";
    input float[64] theta;
    bit[1] c;
    qubit[2] q;
    h q[0];
    ry(2.0*theta) q[1];
    c[0] = measure q[1];
    """
    from qloom.convert.qasm_write import write_openqasm

    return write_openqasm(circuit)


def _reference_reader(text: str, stopped_at: str) -> Callable[[str], Circuit]:
    try:
        from qloom.convert.qasm_reference import read_reference
    except ImportError as error:
        # The package says so with an ImportError of its own where only its parser's runtime is missing.
        if (error.name or "openqasm3").partition(".")[0] not in {"openqasm3", "antlr4"}:
            raise
        raise MissingExtra(_without_parser(text, stopped_at)) from error
    return read_reference


def _too_long(text: str, stopped_at: str) -> str:
    return (
        f"{_place(text, stopped_at)}: this is outside the plain subset of OpenQASM (or wrong), and the text has {len(text)}"
        f" characters; the full parser takes {MAX_PARSED} at most. Write out loops, modifiers and constants, or split the circuit"
    )


def _place(text: str, stopped_at: str) -> str:
    quoted = " ".join(stopped_at.split())[:60]
    position = text.find(stopped_at.strip()) if stopped_at.strip() else -1
    where = f"line {1 + text.count(chr(10), 0, position)}, " if position >= 0 else ""
    return f"{where}at {quoted!r}"


def _without_parser(text: str, stopped_at: str) -> str:
    return (
        f"{_place(text, stopped_at)}: this is outside the plain subset of OpenQASM that qloom reads by itself (or wrong);"
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
