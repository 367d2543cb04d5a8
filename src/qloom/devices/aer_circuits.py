"""From the circuit form to Aer's own circuits, assembled directly: no Qiskit circuit, no transpiler, no noise model in between.

Aer keeps classical bits in slots, slot 0 the least significant of a result; so bit i goes to slot `bits - 1 - i`, and what Aer
returns is our key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.circuits import Circuit
from qloom.circuits.expressions import Expression
from qloom.circuits.gates import CHANNELS, GATES
from qloom.devices.aer_channels import operators, superoperator
from qloom.devices.aer_lowering import natively
from qloom.devices.aer_stabilizers import COINS, clifford_gates, coin_table
from qloom.devices.lowering import without_idle_resets
from qloom.devices.shot_engines import perfect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qloom.circuits import Instruction, Observable
    from qloom.circuits.gates import ComplexArray
    from qloom.devices.shot_engines import Readout

CONDITION_BITS = 32
"""So many bits of an `if` are compared at once."""

TURNS = {"X": (("h", ()),), "Y": (("sdg", ()), ("h", ()))}
"""Letter -> gates that turn its eigenstates into 0 and 1."""


class Facts(NamedTuple):
    """What decides how a circuit can be run.

    Attributes:
        read_steps: the instructions, verbatim blocks opened, without resets of fresh qubits and noise that no measurement sees.
        end_steps: the same with all noise, but without measurements that nothing follows, for what is asked about the end of
            the circuit.
        channels: names of its noise channels.
        open_channels: names of those whose probability is a parameter.
        adaptive: there is an `if`.
        resets: a qubit is reset that was used.
        reads: (bit, qubit), bits ascending, where all measurements could as well stand at the end; None where not.
    """

    read_steps: tuple[Instruction, ...]
    end_steps: tuple[Instruction, ...]
    channels: frozenset[str]
    open_channels: frozenset[str]
    adaptive: bool
    resets: bool
    reads: tuple[tuple[int, int], ...] | None

    @property
    def pure(self) -> bool:
        """True where one state vector stands at the end of every run."""
        return not (self.channels or self.adaptive or self.resets or self.reads is None)


def facts_of(circuit: Circuit) -> Facts:
    """Return what decides how a circuit can be run.

    >>> facts_of(Circuit(2).h(0).measure(0, 1).x(1)).reads, facts_of(Circuit(1).measure(0).x(0)).reads
    (((1, 0),), None)
    """
    steps = tuple(without_idle_resets(circuit))
    read_steps = _without_idle_noise(steps)
    every = [*Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, circuit.parameters).every()]
    channels = [step for step in every if step.name in CHANNELS]
    adaptive = any(step.name == "if" for step in steps)
    return Facts(
        read_steps,
        _without_last_reads(steps),
        frozenset(step.name for step in channels),
        frozenset(step.name for step in channels if any(isinstance(value, Expression) for value in step.parameters)),
        adaptive,
        any(step.name == "reset" for step in every),
        None if adaptive else _final_reads(read_steps, circuit.num_qubits),
    )


def _without_idle_noise(steps: Sequence[Instruction]) -> tuple[Instruction, ...]:
    """Leave out noise after which nothing uses or reads its qubits; it would make a measurement look like one in the middle.

    Where nothing is measured, everything is read at the end.
    """
    if not any(step.name in {"measure", "if"} for step in steps):
        return tuple(steps)
    used: set[int] = set()
    kept: list[Instruction] = []
    for step in reversed(steps):
        if step.name in CHANNELS and not used.intersection(step.qubits):
            continue
        if step.name not in {"barrier", "delay"}:
            used.update(step.qubits)
        kept.append(step)
    return tuple(reversed(kept))


def _without_last_reads(steps: Sequence[Instruction]) -> tuple[Instruction, ...]:
    """Leave out measurements of qubits to which nothing happens later, and of bits at which no `if` looks."""
    changed: set[int] = set()
    looked: set[int] = set()
    kept: list[Instruction] = []
    for step in reversed(steps):
        if step.name == "measure":
            pairs = zip(step.qubits, step.clbits, strict=True)
            needed = [(qubit, bit) for qubit, bit in pairs if qubit in changed or bit in looked]
            if needed:
                kept.append(step._replace(qubits=tuple(qubit for qubit, _ in needed), clbits=tuple(bit for _, bit in needed)))
            continue
        kept.append(step)
        if step.name not in {"barrier", "delay"}:
            changed.update(step.qubits)
        if step.name == "if":
            looked.update(_bits_of(step))
    return tuple(reversed(kept))


def _bits_of(step: Instruction) -> set[int]:
    return {*step.clbits, *(bit for inner in (*step.body, *step.orelse) for bit in _bits_of(inner))}


def _final_reads(steps: Sequence[Instruction], num_qubits: int) -> tuple[tuple[int, int], ...] | None:
    """Return (bit, qubit) of what is read, or None where something happens to a qubit that was measured."""
    if not any(step.name == "measure" for step in steps):
        return tuple((qubit, qubit) for qubit in range(num_qubits))
    changed: set[int] = set()
    reads: dict[int, int] = {}
    for step in reversed(steps):
        if step.name == "measure":
            if changed.intersection(step.qubits):
                return None
            for qubit, bit in zip(step.qubits, step.clbits, strict=True):
                reads.setdefault(bit, qubit)
        elif step.name not in {"barrier", "delay"}:
            changed.update(step.qubits)
    return tuple(sorted(reads.items()))


class Ready(NamedTuple):
    """A circuit of Aer's.

    Attributes:
        circuit: Aer's object; a call copies it, so several threads may use it.
        slots: (operation, position) of each angle, in the order of `angles`.
        angles: the formulas that come with each run.
        num_bits: how many slots of classical bits it has; the circuit's are the first.
    """

    circuit: Any
    slots: tuple[tuple[int, int], ...]
    angles: tuple[Expression, ...]
    num_bits: int


class Recorder:
    """An Aer circuit in the making.

    Args:
        bindings: the module with Aer's classes.
        method: Aer's name of it.
        num_qubits, num_bits: of the circuit.
        readout: qubit -> (p(1|0), p(0|1)), or None.
    """

    def __init__(self, bindings: Any, method: str, num_qubits: int, num_bits: int, readout: Readout = perfect) -> None:
        self._bindings = bindings
        self._method = method
        self._bits = num_bits
        self._qubits = num_qubits
        self._readout = readout
        self._circuit: Any = bindings.AerCircuit()
        self._circuit.set_header({})
        self._circuit.circ_id = 0
        self._circuit.num_qubits = num_qubits
        self._circuit.num_memory = num_bits + COINS * (method == "stabilizer")
        self._circuit.global_phase_angle = 0.0
        self._count = 0
        self._labels = 0
        self._open = False
        self._slots: list[tuple[int, int]] = []
        self._angles: list[Expression] = []
        self._matrices: dict[tuple[object, ...], Any] = {}

    def ready(self) -> Ready:
        """Return what was recorded.

        Aer cuts a circuit off behind its last measurement, also where that stands in an `if` whose end is then not found; so
        another one follows, into a slot of its own.
        """
        if self._open:
            self._circuit.num_memory += 1
            self._circuit.measure([0], [self._circuit.num_memory - 1], [])
            self._open = False
        return Ready(self._circuit, tuple(self._slots), tuple(self._angles), self._circuit.num_memory)

    def play(self, steps: Iterable[Instruction], *, measure: bool = True) -> None:
        """Record instructions.

        Args:
            steps: in time order.
            measure: False for what measurements do to a density matrix, without their bits.
        """
        for step in steps:
            if step.name in GATES:
                self._gate(step)
            elif step.name in CHANNELS:
                self._channel(step)
            elif step.name == "measure":
                self.measure(step.qubits, step.clbits) if measure else self._dephase(step.qubits)
            elif step.name == "reset":
                self._circuit.reset(list(step.qubits), -1)
                self._count += 1
            elif step.name == "if":
                self._if(step)
            else:  # barriers and ideal delays leave nothing, verbatim blocks their instructions
                self.play(step.body, measure=measure)

    def turn(self, basis: str) -> None:
        """Turn each qubit so that its letter's eigenstates are 0 and 1."""
        for qubit, letter in enumerate(basis):
            for name, _ in TURNS.get(letter, ()):
                self._native(name, [qubit], ())

    def measure(self, qubits: Sequence[int], bits: Sequence[int]) -> None:
        """Measure qubits into bits, with errors where the readout has them."""
        slots = [self._bits - 1 - bit for bit in bits]
        self._circuit.measure(list(qubits), slots, [])
        self._open = False
        self._count += 1
        for qubit, slot in zip(qubits, slots, strict=True):
            errors = self._readout(qubit)
            if errors is not None:
                up, down = errors
                self._circuit.roerror([slot], [[1 - up, up], [down, 1 - down]])
                self._count += 1

    def save_probabilities(self, qubits: Sequence[int], label: str) -> None:
        """Keep the probabilities of these qubits' basis states, first qubit most significant."""
        self._circuit.save_state(list(reversed(qubits)), "save_probabilities", "average", label)
        self._count += 1

    def save_values(self, observables: Sequence[Observable]) -> None:
        """Keep the expectation value of each observable, labelled by its number."""
        everything = list(range(self._qubits))
        for number, observable in enumerate(observables):
            strings = [text[::-1] for text in observable.strings]
            weights = [float(value) for value in observable.coefficients]
            nothing = [0.0] * len(weights)
            self._circuit.save_expval(everything, "save_expval", strings, weights, nothing, "average", str(number))
            self._count += 1

    # ---- inside --------------------------------------------------------------------------------------------------

    def _gate(self, step: Instruction) -> None:
        if self._method == "stabilizer":
            for name, qubits in clifford_gates(step):
                self._native(name, qubits, ())
            return
        for name, operation in natively(self._method, step):
            self._native(name, [*operation.controls, *operation.targets], operation.angles)

    def _native(self, name: str, qubits: list[int], angles: Sequence[Any]) -> None:
        numbers: list[float] = []
        for position, angle in enumerate(angles):
            if isinstance(angle, Expression):
                self._slots.append((self._count, position))
                self._angles.append(angle)
            numbers.append(0.0 if isinstance(angle, Expression) else float(angle))
        self._circuit.gate(name, qubits, numbers, [], -1, None, name)
        self._count += 1

    def _channel(self, step: Instruction) -> None:
        """A density matrix takes the whole channel at once; a state takes one of its operators for each shot."""
        if self._method == "stabilizer":
            self._toss(step)
            return
        key = (step.name, step.parameters, len(step.qubits))
        whole = self._method == "density_matrix"
        if key not in self._matrices:
            kraus = operators(step.name, [float(value) for value in step.parameters], len(step.qubits))  # type: ignore[arg-type]
            self._matrices[key] = superoperator(kraus) if whole else list(kraus)
        qubits = list(reversed(step.qubits))  # Aer's matrices have the first qubit least significant
        if whole:
            self._circuit.superop(qubits, self._matrices[key], -1, None)
        else:
            self._circuit.kraus(qubits, self._matrices[key], -1, None)
        self._count += 1

    def _toss(self, step: Instruction) -> None:
        """Apply a Pauli that is drawn: Aer's stabilizers have no channels, but bits that are misread, whatever they were."""
        coins = list(range(self._bits, self._bits + 2 * len(step.qubits)))
        self._circuit.roerror(coins, coin_table(step))
        self._count += 1
        for place, coin in enumerate(coins):
            self._labels += 1
            tossed, end = f"tossed {self._labels}", f"end {self._labels}"
            self._jump(tossed, self._equal([coin], 1))
            self._jump(end, None)
            self._mark(tossed)
            self._native("xz"[place % 2], [step.qubits[place // 2]], ())
            self._mark(end)

    def _dephase(self, qubits: Sequence[int]) -> None:
        kept: ComplexArray = superoperator(operators("phase_flip", [0.5], 1))
        for qubit in qubits:
            self._circuit.superop([qubit], kept, -1, None)
            self._count += 1

    def _if(self, step: Instruction) -> None:
        """Jump over what does not run: Aer has marks and jumps, and a jump may have a condition."""
        self._labels += 1
        then, end = f"then {self._labels}", f"end {self._labels}"
        self._jump(then, self._condition(step.clbits, step.value))
        self.play(step.orelse)
        self._jump(end, None)
        self._mark(then)
        self.play(step.body)
        self._mark(end)
        self._open = any(inner.name in {"measure", "if"} for inner in (*step.body, *step.orelse))

    def _jump(self, label: str, condition: Any) -> None:
        self._circuit.jump(list(range(self._qubits)), [label], -1, condition)
        self._count += 1

    def _mark(self, label: str) -> None:
        self._circuit.mark(list(range(self._qubits)), [label])
        self._count += 1

    def _condition(self, bits: Sequence[int], value: int) -> Any:
        """Return Aer's expression for bits that have a value, part by part where there are many."""
        made = self._bindings
        found = None
        for start in range(0, len(bits), CONDITION_BITS):
            part = [self._bits - 1 - bit for bit in bits[start : start + CONDITION_BITS]]
            equal = self._equal(part, (value >> start) & ((1 << len(part)) - 1))
            found = equal if found is None else made.AerBinaryExpr(made.AerBinaryOp.LogicAnd, found, equal)
        return found

    def _equal(self, slots: list[int], value: int) -> Any:
        """Return Aer's expression for slots that have a value, least significant first."""
        made = self._bindings
        seen, wanted = made.AerVar(made.AerUint(len(slots)), slots), made.AerUintValue(len(slots), value)
        return made.AerBinaryExpr(made.AerBinaryOp.Equal, seen, wanted)
