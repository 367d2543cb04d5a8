"""A circuit as operations of Amazon Braket's default simulator, without its text form and its parser.

Braket's own way is OpenQASM text, which the package parses anew for every set of inputs (about 30 ms for 100 gates). Its classes
of operations (`gate_operations`, `noise_operations`) have public constructors, so the operations are made here once; only those
with a parameter in them are made again for each set. Controls are written into the matrix: the package's own control modifiers
fail above 10 qubits (release 1.41.2: its compiled kernels refuse the slice of the state).
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.circuits.circuit import Instruction
from qloom.circuits.expressions import Expression
from qloom.circuits.gates import CHANNELS, GATES, controlled, kraus_operators, matrix, standard_controls
from qloom.devices.lowering import active_steps
from qloom.errors import InvalidTask, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.circuits import Angle, Circuit

PACKAGE = "amazon-braket-default-simulator"
MOST_GATE_QUBITS = 8
"""A gate on more qubits, its controls counted, would be a matrix of more than 256 rows."""

_SLACK = 1e-12

_GATE_CLASSES = {
    "x": "PauliX",
    "y": "PauliY",
    "z": "PauliZ",
    "h": "Hadamard",
    "s": "S",
    "sdg": "Si",
    "t": "T",
    "tdg": "Ti",
    "sx": "V",
    "sxdg": "Vi",
    "rx": "RotX",
    "ry": "RotY",
    "rz": "RotZ",
    "p": "PhaseShift",
    "u": "U",
    "r": "PRx",
    "cx": "CX",
    "cy": "CY",
    "cz": "CZ",
    "csx": "CV",
    "cp": "CPhaseShift",
    "swap": "Swap",
    "iswap": "ISwap",
    "ecr": "ECR",
    "rxx": "XX",
    "ryy": "YY",
    "rzz": "ZZ",
    "ccx": "CCNot",
    "cswap": "CSwap",
}
"""Our gates that the package has as classes of the same matrix; the others are handed over as matrices."""

_CHANNEL_CLASSES = {
    "bit_flip": "BitFlip",
    "phase_flip": "PhaseFlip",
    "depolarizing": "Depolarizing",
    "amplitude_damping": "AmplitudeDamping",
    "generalized_amplitude_damping": "GeneralizedAmplitudeDamping",
    "phase_damping": "PhaseDamping",
    "pauli_channel": "PauliChannel",
    "two_qubit_depolarizing": "TwoQubitDepolarizing",
    "two_qubit_dephasing": "TwoQubitDephasing",
}


def require_braket() -> str:
    """Return the version of Braket's default simulator that is installed; it is not loaded, which takes seconds.

    Raises:
        MissingExtra: none is.

    >>> int(require_braket().split(".")[0]) >= 1
    True
    """
    try:
        return version(PACKAGE)
    except PackageNotFoundError as error:
        raise MissingExtra(
            f"braket-local needs {PACKAGE}, which is not installed; `pip install 'qloom[braket-local]'`"
        ) from error


class Template(NamedTuple):
    """One operation to be: how it is made, and where its angles stand among the circuit's open ones.

    Attributes:
        make: from angles (or probabilities) to the operation.
        angles: numbers as they are; an `Open` is a place among the open angles.
        ready: the operation itself, where nothing is open.
    """

    make: Callable[[Sequence[float]], Any]
    angles: tuple[float | Open, ...]
    ready: Any = None


class Open(NamedTuple):
    """An angle that depends on parameters: its place in the table of such angles."""

    slot: int


class Operations:
    """A circuit's operations; those without parameters are made once.

    Args:
        circuit: gates, channels and resets; measurements only at the end.

    Attributes:
        open_angles: the formulas whose values `bound` takes, in order.

    >>> from qloom.circuits import Circuit, Parameter
    >>> operations = Operations(Circuit(2).h(0).rx(2 * Parameter("a"), 1).cx(0, 1))
    >>> [type(operation).__name__ for operation in operations.bound([0.5])], len(operations.open_angles)
    (['Hadamard', 'RotX', 'CX'], 1)
    """

    def __init__(self, circuit: Circuit) -> None:
        self.open_angles: list[Angle] = []
        self._templates = [self._template(step) for step in active_steps(circuit) if not _does_nothing(step)]

    def bound(self, values: Sequence[float]) -> list[Any]:
        """Return the operations for one set of values of the open angles.

        Raises:
            InvalidTask: a probability outside of what its channel takes.
        """
        return [
            ready if ready is not None else make([values[angle.slot] if isinstance(angle, Open) else angle for angle in angles])
            for make, angles, ready in self._templates
        ]

    def _template(self, step: Instruction) -> Template:
        make = _maker(step)
        angles = tuple(self._angle(angle) for angle in step.parameters)
        plain = [angle for angle in angles if not isinstance(angle, Open)]
        return Template(make, angles, make(plain) if len(plain) == len(angles) else None)

    def _angle(self, angle: Angle) -> float | Open:
        if not isinstance(angle, Expression):
            return float(angle)
        self.open_angles.append(angle)
        return Open(len(self.open_angles) - 1)


def width_reasons(circuit: Circuit) -> list[str]:
    """Return which gates act on too many qubits to be written as a matrix.

    >>> from qloom.circuits import Circuit
    >>> width_reasons(Circuit(10).gate("x", *range(10), controls=9))
    ['gate x on 10 qubits, its controls counted; braket-local takes gates on at most 8']
    """
    widest = {
        step.name: len(step.qubits) for step in circuit.every() if step.kind == "gate" and len(step.qubits) > MOST_GATE_QUBITS
    }
    return [
        f"gate {name} on {count} qubits, its controls counted; braket-local takes gates on at most {MOST_GATE_QUBITS}"
        for name, count in sorted(widest.items())
    ]


def turns(basis: str) -> list[Any]:
    """Return the operations that turn the eigenstates of Pauli letters to 0 and 1, one letter for each qubit.

    >>> [type(operation).__name__ for operation in turns("IXYZ")]
    ['Hadamard', 'Si', 'Hadamard']
    """
    from braket.default_simulator import gate_operations

    found: list[Any] = []
    for qubit, letter in enumerate(basis):
        found += [gate_operations.Si([qubit])] if letter == "Y" else []
        found += [gate_operations.Hadamard([qubit])] if letter in "XY" else []
    return found


def pauli(string: str) -> Any:
    """Return a Pauli string, not the identity, as an observable of the package.

    >>> pauli("IZ").measured_qubits, pauli("XIZ").measured_qubits
    ((1,), (0, 2))
    """
    from braket.default_simulator import observables

    classes = {"X": observables.PauliX, "Y": observables.PauliY, "Z": observables.PauliZ}
    factors = [classes[letter]([qubit]) for qubit, letter in enumerate(string) if letter != "I"]
    return factors[0] if len(factors) == 1 else observables.TensorProduct(factors)


def _does_nothing(step: Instruction) -> bool:
    """A phase that nothing controls changes no probability; under controls it is called `p`."""
    name, _ = standard_controls(step.name, step.controls)
    return name in ("id", "gphase")


def _maker(step: Instruction) -> Callable[[Sequence[float]], Any]:
    """Return what makes the operation from its angles."""
    from braket.default_simulator import gate_operations, noise_operations

    targets = step.qubits
    if step.name == "reset":
        return lambda _angles: gate_operations.Reset(targets)
    if step.name == "kraus":
        return lambda entries: noise_operations.Kraus(targets, list(kraus_operators(entries, len(targets))))
    if step.name in CHANNELS:
        channel = getattr(noise_operations, _CHANNEL_CLASSES[step.name])
        return lambda rates: channel(targets, *_checked_rates(step, rates))
    name, controls = standard_controls(step.name, step.controls)
    if not controls and name in _GATE_CLASSES:
        gate = _gate_classes()[name]
        return lambda angles: gate(targets, *angles)
    return lambda angles: gate_operations.Unitary(targets, controlled(matrix(name, angles), controls))


@cache
def _gate_classes() -> Mapping[str, Any]:
    from braket.default_simulator import gate_operations

    return {name: getattr(gate_operations, text) for name, text in _GATE_CLASSES.items() if name in GATES}


def _checked_rates(step: Instruction, rates: Sequence[float]) -> Sequence[float]:
    """Return a channel's probabilities, which may have come from parameters."""
    total = sum(rates) if step.name == "pauli_channel" else 0.0
    if not all(0 <= rate <= 1 for rate in rates) or total > 1 + _SLACK:
        raise InvalidTask(
            f"{step.name} on qubits {list(step.qubits)} takes probabilities from 0 to 1 (a Pauli channel's sum to at most 1), "
            f"got {list(rates)}; give other parameters"
        )
    return rates
