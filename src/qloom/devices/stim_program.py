"""From the circuit form to stim's: which gates are Clifford gates, which channels are mixtures of Paulis, what feeds forward.

A gate is recognised by its matrix: up to a phase, a Clifford gate's entries are all 0 or, times a power of the square root
of 2, one of 1, -1, i, -i, and it turns Paulis into Paulis. So `rz(pi/2)`, `u`, `cp(pi)` and gates under controls count
as well as those that have a name in stim.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qloom.circuits.expressions import Expression
from qloom.circuits.gates import GATES, controlled, kraus_operators, matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import stim

    from qloom.circuits import Circuit, Instruction
    from qloom.devices.shot_engines import Readout

EXACT = 1e-8
"""How far a matrix entry may be off a Clifford gate's: angles written with ten digits are meant exactly."""

MOST_QUBITS = 4
"""Gates on more qubits are not looked at: none that does anything is a Clifford gate."""

IDLE = frozenset({"barrier", "delay"})
SILENT = frozenset({"barrier", "delay", "measure"})

NAMED = {
    "x": "X",
    "y": "Y",
    "z": "Z",
    "h": "H",
    "s": "S",
    "sdg": "S_DAG",
    "sx": "SQRT_X",
    "sxdg": "SQRT_X_DAG",
    "cx": "CX",
    "cy": "CY",
    "cz": "CZ",
    "swap": "SWAP",
    "iswap": "ISWAP",
    "iswapdg": "ISWAP_DAG",
}
"""Gates with a name of their own in stim, https://github.com/quantumlib/Stim/blob/main/doc/gates.md."""

MOST_DEPOLARIZING = {1: 3 / 4, 2: 15 / 16}
"""Up to so much stim's own depolarizing channels go; above, the same channel is written as a list of Paulis."""

DEPHASING = (2, 11, 14)
"""Where IZ, ZI and ZZ stand among the fifteen probabilities of `PAULI_CHANNEL_2`: IX IY IZ XI XX ... ZZ."""

FEED = "if"
"""The tag of what a measured bit decides, so that stim does not join it with gates of the same name."""


class Move(NamedTuple):
    """One of stim's gates; `targets` are positions among the qubits of the step."""

    name: str
    targets: tuple[int, ...]


class Program(NamedTuple):
    """A circuit in stim's form, without the measurements at its end.

    Attributes:
        circuit: everything before them.
        records: clbit -> its place in the measurement record, of bits that are read before the end.
        final: clbit -> qubit, of bits that are read at the end.
        skewed: places in the record whose readout errs unequally -> (p(1|0), p(0|1)).
    """

    circuit: stim.Circuit
    records: dict[int, int]
    final: dict[int, int]
    skewed: dict[int, tuple[float, float]]


# ---- gates and channels ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def clifford(name: str, controls: int, angles: tuple[float, ...]) -> tuple[Move, ...] | None:
    """Return a gate as stim's gates, in time order, up to a phase; None where it is no Clifford gate.

    >>> clifford("rz", 0, (math.pi / 2,))
    (Move(name='S', targets=(0,)),)
    >>> clifford("t", 0, ()) is None
    True
    """
    if name in NAMED and not controls:
        return (Move(NAMED[name], tuple(range(GATES[name].num_qubits))),)
    if GATES[name].num_qubits + controls > MOST_QUBITS:
        return None
    tableau = _tableau(name, controls, angles)
    if tableau is None:
        return None
    if len(tableau) == 1:
        known = _one_qubit_names()[str(tableau)]
        return () if known == "I" else (Move(known, (0,)),)
    parts = tableau.to_circuit(method="elimination")
    return tuple(Move(part.name, tuple(place.value for place in group)) for part in parts for group in part.target_groups())


@lru_cache(maxsize=4096)
def pauli(name: str, controls: int, angles: tuple[float, ...]) -> str | None:
    """Return a gate as a letter for each of its qubits, up to a phase; None where it is no product of Paulis.

    >>> pauli("rzz", 0, (math.pi,)), pauli("h", 0, ())
    ('ZZ', None)
    """
    if GATES[name].num_qubits + controls > MOST_QUBITS:
        return None
    tableau = _tableau(name, controls, angles)
    if tableau is None:
        return None
    try:
        found = tableau.to_pauli_string()
    except ValueError:
        return None
    return "".join("IXYZ"[letter] for letter in found)


def _tableau(name: str, controls: int, angles: tuple[float, ...]) -> stim.Tableau | None:
    """Return what a gate does to Paulis, or None where that is not to Paulis.

    Stim itself takes matrices that are off by as much as 0.01; here they are set to what they have to be first.
    """
    import stim

    unitary = matrix(name, angles)
    unitary = controlled(unitary, controls) if controls else unitary
    if len(unitary) == 1:
        return stim.Tableau(0)
    first = unitary[:, 0]
    weight = np.count_nonzero(np.abs(first) > EXACT)
    largest = first[np.abs(first).argmax()]
    scaled = unitary * (math.sqrt(weight) * abs(largest) / largest)
    exact = np.round(scaled.real) + 1j * np.round(scaled.imag)
    if np.abs(scaled - exact).max() > EXACT or np.abs(exact).max() > 1:
        return None
    try:
        return stim.Tableau.from_unitary_matrix(exact / math.sqrt(weight), endian="big")
    except ValueError:
        return None


@lru_cache(maxsize=1)
def _one_qubit_names() -> dict[str, str]:
    """Return the names of the 24 one-qubit Clifford gates, by what they do."""
    import stim

    gates = stim.gate_data().items()
    return {str(data.tableau): name for name, data in gates if data.is_unitary and data.is_single_qubit_gate}


def channel(name: str, values: tuple[float, ...], qubits: int) -> tuple[str, tuple[float, ...]] | None:
    """Return a noise channel as stim's, with its probabilities; None where it is no mixture of Paulis.

    Phase damping by gamma is a phase flip with probability (1 - sqrt(1 - gamma)) / 2 (Nielsen and Chuang, 8.3.6).

    >>> channel("depolarizing", (0.3,), 1), channel("amplitude_damping", (0.1,), 1)
    (('DEPOLARIZE1', (0.3,)), None)
    """
    if name == "kraus":
        return _kraus(values, qubits)
    rule = _CHANNELS.get(name)
    return None if rule is None else rule(*values)


def _kraus(values: tuple[float, ...], qubits: int) -> tuple[str, tuple[float, ...]] | None:
    """A channel given by operators is a mixture of Paulis where its chi matrix is diagonal; the diagonal are the probabilities.

    Source: Nielsen and Chuang, 8.4.2.
    """
    letters = [matrix(letter) for letter in ("id", "x", "y", "z")]
    basis = np.array(letters if qubits == 1 else [np.kron(first, second) for first in letters for second in letters])
    parts = np.einsum("pij,kij->kp", basis.conj(), kraus_operators(values, qubits)) / (1 << qubits)
    chi = parts.conj().T @ parts
    probabilities = chi.diagonal().real
    if np.abs(chi - np.diag(probabilities)).max() > EXACT:
        return None
    over = max(1.0, math.fsum(probabilities))
    return f"PAULI_CHANNEL_{qubits}", tuple((probabilities[1:] / over).tolist())


def _pauli_channel(*values: float) -> tuple[str, tuple[float, ...]]:
    over = max(1.0, math.fsum(values))  # by rounding only: a circuit checks its sums
    return "PAULI_CHANNEL_1", tuple(value / over for value in values)


def _depolarizing(qubits: int, probability: float) -> tuple[str, tuple[float, ...]]:
    if probability <= MOST_DEPOLARIZING[qubits]:
        return f"DEPOLARIZE{qubits}", (probability,)
    count = 4**qubits - 1
    return f"PAULI_CHANNEL_{qubits}", (math.nextafter(probability / count, 0),) * count


def _two_qubit_dephasing(probability: float) -> tuple[str, tuple[float, ...]]:
    share = math.nextafter(probability / 3, 0)
    return "PAULI_CHANNEL_2", tuple(share if place in DEPHASING else 0.0 for place in range(15))


_CHANNELS: dict[str, Callable[..., tuple[str, tuple[float, ...]]]] = {
    "bit_flip": lambda probability: ("X_ERROR", (probability,)),
    "phase_flip": lambda probability: ("Z_ERROR", (probability,)),
    "phase_damping": lambda gamma: ("Z_ERROR", ((1 - math.sqrt(1 - gamma)) / 2,)),
    "pauli_channel": _pauli_channel,
    "depolarizing": lambda probability: _depolarizing(1, probability),
    "two_qubit_depolarizing": lambda probability: _depolarizing(2, probability),
    "two_qubit_dephasing": _two_qubit_dephasing,
}


# ---- reasons ---------------------------------------------------------------------------------------------------------


def problems(circuit: Circuit, readout: Readout) -> Iterator[str]:
    """Yield what stim cannot run of a circuit, each with the number of its step, counted from 0.

    Args:
        circuit: noise is in it as channels.
        readout: qubit -> (p(1|0), p(0|1)), or None.

    >>> from qloom.circuits import Circuit
    >>> list(problems(Circuit(2).h(0).t(0).channel("amplitude_damping", 1, probabilities=[0.1]), lambda qubit: None))
    ['gate t on qubit 0 (step 1) is no Clifford gate', 'channel amplitude_damping on qubit 1 (step 2) is no mixture of Paulis']
    """
    read_from: dict[int, int] = {}
    for number, step in enumerate(circuit.flat()):
        if step.name in GATES:
            if (text := _gate_problem(step)) is not None:
                yield text.format(step=_called(step), where=_where(step, number))
        elif step.name == "measure":
            read_from.update(zip(step.clbits, step.qubits, strict=True))
        elif step.name == "if":
            yield from _if_problems(step, number, {bit: read_from[bit] for bit in step.clbits if bit in read_from}, readout)
        elif step.name not in IDLE and step.name != "reset" and _channel(step) is None:
            yield f"channel {step.name} {_where(step, number)} is no mixture of Paulis"


def _gate_problem(step: Instruction) -> str | None:
    if step.parameters and any(isinstance(angle, Expression) for angle in step.parameters):
        return "gate {step} {where} has a free parameter; bind it first"
    if clifford(step.name, step.controls, _numbers(step)) is None:
        return "gate {step} {where} is no Clifford gate"
    return None


def _where(step: Instruction, number: int) -> str:
    if not step.qubits:  # a global phase
        return f"(step {number})"
    return f"on qubit{'s' * (len(step.qubits) != 1)} {', '.join(map(str, step.qubits))} (step {number})"


def _if_problems(step: Instruction, number: int, read_from: Mapping[int, int], readout: Readout) -> Iterator[str]:
    where = f"an if (step {number})"
    if len(step.clbits) != 1:
        yield f"{where} on {len(step.clbits)} classical bits together; stim looks at one"
    for bit, qubit in read_from.items():
        errors = readout(qubit)
        if errors is not None and errors[0] != errors[1]:
            yield (
                f"{where} on classical bit {bit}, which is read from qubit {qubit} with unequal errors "
                f"(p(1|0) = {errors[0]:g}, p(0|1) = {errors[1]:g}); stim feeds forward equal ones"
            )
    for inner in _opened((*step.body, *step.orelse)):
        if inner.name not in IDLE and _letters(inner) is None:
            yield f"{where} around {_called(inner)}; stim makes only Pauli gates depend on a bit"


def _called(step: Instruction) -> str:
    """Return a step's name with its angles and controls."""
    angles = f"({', '.join(f'{angle:.6g}' if isinstance(angle, float) else str(angle) for angle in step.parameters)})"
    controls = f" under {step.controls} more control{'s' * (step.controls != 1)}" if step.controls else ""
    return f"{step.name}{angles if step.parameters else ''}{controls}"


def _numbers(step: Instruction) -> tuple[float, ...]:
    """Return a step's angles or probabilities, which were looked at: there is no formula among them."""
    return step.parameters and tuple(float(angle) for angle in step.parameters)  # type: ignore[arg-type, return-value]


def _channel(step: Instruction) -> tuple[str, tuple[float, ...]] | None:
    if any(isinstance(value, Expression) for value in step.parameters):
        return None
    return channel(step.name, _numbers(step), len(step.qubits))


def _letters(step: Instruction) -> str | None:
    if step.name not in GATES or any(isinstance(angle, Expression) for angle in step.parameters):
        return None
    return pauli(step.name, step.controls, _numbers(step))


def _opened(steps: Iterable[Instruction]) -> Iterator[Instruction]:
    for step in steps:
        yield from step.body if step.name == "verbatim" else (step,)


# ---- building --------------------------------------------------------------------------------------------------------


def program(circuit: Circuit, readout: Readout) -> Program:
    """Return a circuit that `problems` has nothing against in stim's form.

    >>> from qloom.circuits import Circuit
    >>> found = program(Circuit(2).h(0).h(1).measure(0).if_test(0, 1, Circuit(2).x(1)).measure(1), lambda qubit: None)
    >>> print(found.circuit, found.records, found.final)
    H 0 1
    M 0
    CX[if] rec[-1] 1 {0: 0} {1: 1}
    """
    import stim

    steps = tuple(circuit.flat())
    final, at_end = _at_end(steps)
    builder = _Builder(circuit.num_qubits, readout)
    for number, step in enumerate(steps):
        if step.name == "measure":
            for place, (qubit, bit) in enumerate(zip(step.qubits, step.clbits, strict=True)):
                if (number, place) not in at_end:
                    builder.measure(qubit, bit)
        else:
            builder.add(step)
    if not any(step.name == "measure" for step in steps):
        final = {qubit: qubit for qubit in range(circuit.num_qubits)}
    builder.flush()
    records = {bit: place for bit, place in builder.records.items() if bit not in final}
    return Program(stim.Circuit("\n".join(builder.lines)), records, final, builder.skewed)


def _at_end(steps: Sequence[Instruction]) -> tuple[dict[int, int], set[tuple[int, int]]]:
    """Return clbit -> qubit of what can as well be measured at the end, and where in the circuit that is (step, place).

    Nothing happens to such a qubit later, and no `if` looks at such a bit. One that is written again later is never seen:
    its measurement is left out.
    """
    touched: set[int] = set()
    looked_at: set[int] = set()
    written: set[int] = set()
    final: dict[int, int] = {}
    places: set[tuple[int, int]] = set()
    for number in reversed(range(len(steps))):
        step = steps[number]
        if step.name == "measure":
            for place, (qubit, bit) in enumerate(zip(step.qubits, step.clbits, strict=True)):
                if qubit not in touched and bit not in looked_at:
                    places.add((number, place))
                    if bit not in written:
                        final[bit] = qubit
                written.add(bit)
        elif step.name not in SILENT:
            touched.update(step.qubits)
            looked_at.update(step.clbits)
    return final, places


def line(name: str, targets: Iterable[int], arguments: Sequence[float] = ()) -> str:
    """Return one line of stim's text.

    >>> line("X_ERROR", [0, 2], [0.1])
    'X_ERROR(0.1) 0 2'
    """
    given = f"({', '.join(map(repr, arguments))})" if arguments else ""
    return f"{name}{given} {' '.join(map(str, targets))}"


class _Builder:
    """Writes a circuit as stim's text, which it reads in a hundredth of the time of being handed targets one by one.

    Steps go into layers, and the same gates of a layer into one line: fewer, longer ones run faster.
    """

    def __init__(self, num_qubits: int, readout: Readout) -> None:
        self.lines: list[str] = []
        self.records: dict[int, int] = {}
        self.skewed: dict[int, tuple[float, float]] = {}
        self._readout = readout
        self._count = 0
        self._depths = [0] * num_qubits
        self._layers: list[dict[tuple[str, tuple[float, ...]], list[int]]] = []

    def add(self, step: Instruction) -> None:
        if step.name in GATES:
            self._gate(step)
        elif step.name == "reset":
            self._put("R", step.qubits)
        elif step.name == "if":
            self._if(step)
        elif step.name not in IDLE:
            name, arguments = _channel(step) or (step.name, ())
            self._put(name, step.qubits, arguments)

    def measure(self, qubit: int, bit: int) -> None:
        """Measure now; equal readout errors are stim's, unequal ones are noted."""
        self.flush()
        errors = self._readout(qubit) or (0.0, 0.0)
        if errors[0] != errors[1]:
            self.skewed[self._count] = errors
        flip = errors[0] if errors[0] == errors[1] else 0.0
        self.lines.append(line("M", (qubit,), (flip,) if flip else ()))
        self.records[bit] = self._count
        self._count += 1

    def flush(self) -> None:
        """Write what waits."""
        if self._layers:
            self.lines += [
                line(name, targets, arguments) for layer in self._layers for (name, arguments), targets in layer.items()
            ]
            self._layers = []
            self._depths = [0] * len(self._depths)

    def _gate(self, step: Instruction) -> None:
        qubits = step.qubits
        for name, targets in clifford(step.name, step.controls, _numbers(step)) or ():
            self._put(name, [qubits[place] for place in targets])

    def _put(self, name: str, qubits: Sequence[int], arguments: tuple[float, ...] = ()) -> None:
        depths = self._depths
        depth = max(depths[qubit] for qubit in qubits)
        if depth == len(self._layers):
            self._layers.append({})
        self._layers[depth].setdefault((name, arguments), []).extend(qubits)
        for qubit in qubits:
            depths[qubit] = depth + 1

    def _if(self, step: Instruction) -> None:
        """What runs where the bit is 0 runs always, and once more, which undoes it, where the bit is 1."""
        record = self.records.get(step.clbits[0])
        bodies = (step.orelse, step.body) if step.value else (step.body, step.orelse)
        for always, body in ((True, bodies[0]), (False, bodies[1])):
            for qubit, letter in _letters_on_qubits(body):
                if always:
                    self._put(letter, (qubit,))
                if record is not None:
                    self.flush()
                    self.lines.append(f"C{letter}[{FEED}] rec[{record - self._count}] {qubit}")


def _letters_on_qubits(body: Iterable[Instruction]) -> Iterator[tuple[int, str]]:
    for step in _opened(body):
        if step.name not in IDLE:
            yield from ((qubit, letter) for qubit, letter in zip(step.qubits, _letters(step) or "", strict=True) if letter != "I")
