"""The standard gates: names, arities, matrices, inverses.

A gate is known by the name OpenQASM 3's `stdgates.inc` gives it; what that file lacks has the name that Qiskit's
`qelib1.inc` gives it. `ALIASES` maps other vendors' names (Braket's `cnot`, Cirq's and PennyLane's) to ours where the
matrices are equal.

Matrices are written in the order of the gate's qubits, first qubit most significant, as in the OpenQASM 3
specification, `stdgates.inc` (https://openqasm.com/language/standard_library.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from math import pi
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class GateDefinition:
    """One standard gate.

    Attributes:
        name: the gate's name in the circuit form.
        num_qubits: how many qubits it acts on, its built-in controls included.
        num_parameters: how many angles (rad) it takes.
        inverse: name of the gate that undoes it; with parameters, the same angles negated unless `u`-like.
        base: the gate that remains when the built-in controls are taken off.
        num_controls: how many leading qubits are built-in controls of `base`.
    """

    name: str
    num_qubits: int
    num_parameters: int
    inverse: str
    base: str
    num_controls: int = 0


def _row(name: str, qubits: int, parameters: int = 0, inverse: str = "", base: str = "", controls: int = 0) -> GateDefinition:
    return GateDefinition(name, qubits, parameters, inverse or name, base or name, controls)


_ROWS = [
    _row("gphase", 0, 1),
    _row("id", 1),
    _row("x", 1),
    _row("y", 1),
    _row("z", 1),
    _row("h", 1),
    _row("s", 1, inverse="sdg"),
    _row("sdg", 1, inverse="s"),
    _row("t", 1, inverse="tdg"),
    _row("tdg", 1, inverse="t"),
    _row("sx", 1, inverse="sxdg"),
    _row("sxdg", 1, inverse="sx"),
    _row("rx", 1, 1),
    _row("ry", 1, 1),
    _row("rz", 1, 1),
    _row("p", 1, 1),
    _row("u", 1, 3),
    _row("r", 1, 2),
    _row("cx", 2, base="x", controls=1),
    _row("cy", 2, base="y", controls=1),
    _row("cz", 2, base="z", controls=1),
    _row("ch", 2, base="h", controls=1),
    _row("cs", 2, inverse="csdg", base="s", controls=1),
    _row("csdg", 2, inverse="cs", base="sdg", controls=1),
    _row("csx", 2, inverse="csxdg", base="sx", controls=1),
    _row("csxdg", 2, inverse="csx", base="sxdg", controls=1),
    _row("cp", 2, 1, base="p", controls=1),
    _row("crx", 2, 1, base="rx", controls=1),
    _row("cry", 2, 1, base="ry", controls=1),
    _row("crz", 2, 1, base="rz", controls=1),
    _row("cu", 2, 4),
    _row("swap", 2),
    _row("iswap", 2, inverse="iswapdg"),
    _row("iswapdg", 2, inverse="iswap"),
    _row("ecr", 2),
    _row("rxx", 2, 1),
    _row("ryy", 2, 1),
    _row("rzz", 2, 1),
    _row("rzx", 2, 1),
    _row("ccx", 3, base="x", controls=2),
    _row("ccz", 3, base="z", controls=2),
    _row("cswap", 3, base="swap", controls=1),
]

GATES: dict[str, GateDefinition] = {row.name: row for row in _ROWS}
"""Every standard gate by its name."""

ALIASES: dict[str, str] = {
    "cnot": "cx",
    "CX": "cx",
    "ccnot": "ccx",
    "toffoli": "ccx",
    "fredkin": "cswap",
    "i": "id",
    "u0": "id",
    "phase": "p",
    "phaseshift": "p",
    "u1": "p",
    "cphase": "cp",
    "cphaseshift": "cp",
    "cu1": "cp",
    "si": "sdg",
    "ti": "tdg",
    "v": "sx",
    "vi": "sxdg",
    "cv": "csx",
    "U": "u",
    "u3": "u",
    "prx": "r",
    "xx": "rxx",
    "yy": "ryy",
    "zz": "rzz",
}
"""Names of other dialects for the same matrices (up to a global phase for `u3`, which OpenQASM 2 leaves open)."""


def controlled_name(base: str, controls: int) -> str | None:
    """Return the standard name of `base` under that many controls, or None where the table has none.

    >>> controlled_name("x", 2), controlled_name("t", 1)
    ('ccx', None)
    """
    return _CONTROLLED.get((base, controls))


def standard_controls(name: str, controls: int) -> tuple[str, int]:
    """Return the same gate with its controls folded into its name as far as the table goes: (name, extra controls).

    >>> standard_controls("x", 1), standard_controls("cx", 1), standard_controls("cx", 2), standard_controls("gphase", 1)
    (('cx', 0), ('ccx', 0), ('x', 3), ('p', 0))
    """
    if not controls or name not in GATES:
        return name, controls
    base, total = GATES[name].base, GATES[name].num_controls + controls
    if base == "gphase":
        base, total = "p", total - 1
    known = controlled_name(base, total)
    return (known, 0) if known else (base, total)


_CONTROLLED = {(row.base, row.num_controls): row.name for row in _ROWS if row.num_controls}


def matrix(name: str, parameters: Sequence[float] = ()) -> ComplexArray:
    """Return the unitary of a standard gate.

    Args:
        name: a name in `GATES`.
        parameters: angles in rad, as many as the gate takes.

    Returns:
        Complex array of shape (2**k, 2**k) for k qubits, first qubit most significant.

    Raises:
        KeyError: the name is not in `GATES`.

    >>> matrix("cx").real.astype(int).tolist()
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    """
    definition = GATES[name]
    if definition.num_controls:
        return controlled(matrix(definition.base, parameters), definition.num_controls)
    built: ComplexArray = _builders()[name](*parameters)
    return built


def controlled(unitary: ComplexArray, controls: int) -> ComplexArray:
    """Return the unitary under that many leading controls, shape (2**controls * d, same)."""
    import numpy as np

    size = unitary.shape[0] << controls
    full = np.eye(size, dtype=np.complex128)
    full[size - unitary.shape[0] :, size - unitary.shape[0] :] = unitary
    return full


@cache
def _builders() -> dict[str, Callable[..., Any]]:
    """Matrices of the gates that are not controlled forms of others; built late, since numpy is loaded late."""
    import numpy as np

    def array(rows: Any) -> ComplexArray:
        return np.array(rows, dtype=np.complex128)

    def exp(x: float) -> complex:
        return complex(np.exp(1j * x))

    def u(theta: float, phi: float, lam: float) -> ComplexArray:
        c, s = np.cos(theta / 2), np.sin(theta / 2)
        return array([[c, -exp(lam) * s], [exp(phi) * s, exp(phi + lam) * c]])

    def rotation(*factors: ComplexArray) -> Callable[[float], ComplexArray]:
        generator = reduce(lambda left, right: array(np.kron(left, right)), factors)
        eye = np.eye(generator.shape[0])
        return lambda angle: array(np.cos(angle / 2) * eye - 1j * np.sin(angle / 2) * generator)

    x, y, z = array([[0, 1], [1, 0]]), array([[0, -1j], [1j, 0]]), array([[1, 0], [0, -1]])
    half = 1 / np.sqrt(2)
    sx = array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
    iswap = array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]])
    # ECR as Qiskit defines it, (IX - XY)/sqrt(2), first qubit most significant here.
    ecr = half * (np.kron(x, np.eye(2)) - np.kron(y, x))
    return {
        "gphase": lambda a: array([[exp(a)]]),
        "id": lambda: array(np.eye(2)),
        "x": lambda: x,
        "y": lambda: y,
        "z": lambda: z,
        "h": lambda: half * array([[1, 1], [1, -1]]),
        "s": lambda: array(np.diag([1, 1j])),
        "sdg": lambda: array(np.diag([1, -1j])),
        "t": lambda: array(np.diag([1, exp(pi / 4)])),
        "tdg": lambda: array(np.diag([1, exp(-pi / 4)])),
        "sx": lambda: sx,
        "sxdg": lambda: sx.conj().T,
        "rx": rotation(x),
        "ry": rotation(y),
        "rz": rotation(z),
        "p": lambda a: array(np.diag([1, exp(a)])),
        "u": u,
        "r": lambda theta, phi: u(theta, phi - pi / 2, pi / 2 - phi),
        "cu": lambda theta, phi, lam, gamma: controlled(exp(gamma) * u(theta, phi, lam), 1),
        "swap": lambda: array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
        "iswap": lambda: iswap,
        "iswapdg": lambda: iswap.conj().T,
        "ecr": lambda: ecr,
        "rxx": rotation(x, x),
        "ryy": rotation(y, y),
        "rzz": rotation(z, z),
        "rzx": rotation(z, x),
    }


CHANNELS: dict[str, tuple[int, int]] = {
    "bit_flip": (1, 1),
    "phase_flip": (1, 1),
    "depolarizing": (1, 1),
    "amplitude_damping": (1, 1),
    "generalized_amplitude_damping": (1, 2),
    "phase_damping": (1, 1),
    "pauli_channel": (1, 3),
    "two_qubit_depolarizing": (2, 1),
    "two_qubit_dephasing": (2, 1),
    "kraus": (0, 0),
}
"""Noise channels: name -> (qubits, probabilities). Names and meanings are Amazon Braket's `#pragma braket noise`
(https://docs.aws.amazon.com/braket/latest/developerguide/braket-openqasm-noise-simulation.html). A `kraus` channel acts on one or
two qubits, and takes instead of probabilities the entries of its operators; see `kraus_operators`."""

KRAUS_TOLERANCE = 1e-8
"""How far the sum of K'K over a channel's Kraus operators may be from the identity, in any entry."""


def kraus_operators(parameters: Sequence[float], num_qubits: int) -> ComplexArray:
    """Return the operators of a `kraus` channel from its parameters.

    Args:
        parameters: operator by operator, row by row, the real part of each entry and then its imaginary part.
        num_qubits: how many qubits the channel acts on, k.

    Returns:
        Complex array of shape (operators, 2**k, 2**k), first qubit most significant.

    Raises:
        ValueError: the parameters do not make up whole operators.

    >>> kraus_operators([1, 0, 0, 0, 0, 0, 0, -1], 1).tolist()
    [[[(1+0j), 0j], [0j, -1j]]]
    """
    import numpy as np

    size = 1 << num_qubits
    parts = np.asarray(parameters, dtype=np.float64).reshape(-1, size, size, 2)
    operators: ComplexArray = np.ascontiguousarray(parts).view(np.complex128)[..., 0]
    return operators


def kraus_parameters(operators: Sequence[Any] | ComplexArray) -> tuple[float, ...]:
    """Return operators as the parameters of a `kraus` channel.

    >>> kraus_parameters([[[1, 0], [0, -1j]]])
    (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
    """
    import numpy as np

    return tuple((np.ascontiguousarray(operators, dtype=np.complex128).view(np.float64).ravel() + 0.0).tolist())
