"""From the circuit form to stim's: gates and channels by what they do to Paulis, and what measured bits decide.

Stim itself makes a Pauli depend on one bit. A Pauli that depends on several together, which no sequence of such steps gives
(they make it depend on a parity), is applied from outside, to the frames of the shots where the condition holds: a `Fork`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits.gates import GATES
from qloom.devices.clifford import IDLE, called, letters, mixture, moves, opened, step_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import stim

    from qloom.circuits import Circuit, Instruction
    from qloom.devices.shot_engines import Readout

SILENT = frozenset({"barrier", "delay", "measure"})

FEED = "if"
"""The tag of what a measured bit decides, so that stim does not join it with gates of the same name."""


class Condition(NamedTuple):
    """What bits are asked for.

    Attributes:
        places: in the record, least significant first; None for a bit that was never written, which is 0.
        value: that they are compared with.
        holds: whether they are to have it, or another one.
    """

    places: tuple[int | None, ...]
    value: int
    holds: bool


class Fork(NamedTuple):
    """Paulis for the shots in which every condition is fulfilled: (letter, qubit)."""

    conditions: tuple[Condition, ...]
    paulis: tuple[tuple[str, int], ...]


class Stage(NamedTuple):
    """A part of a circuit, and the forks behind it."""

    circuit: stim.Circuit
    forks: tuple[Fork, ...]


class Program(NamedTuple):
    """A circuit in stim's form, without the measurements at its end.

    Attributes:
        circuit: everything before them, but for the forks.
        stages: the same in parts, with the forks.
        records: clbit -> its place in the measurement record, of bits that are read before the end.
        final: clbit -> qubit, of bits that are read at the end.
        skewed: places in the record whose readout errs unequally -> (p(1|0), p(0|1)).
    """

    circuit: stim.Circuit
    stages: tuple[Stage, ...]
    records: dict[int, int]
    final: dict[int, int]
    skewed: dict[int, tuple[float, float]]

    @property
    def forks(self) -> bool:
        """Whether there is any."""
        return any(stage.forks for stage in self.stages)


# ---- reasons ---------------------------------------------------------------------------------------------------------


def problems(circuit: Circuit, readout: Readout, *, values: bool = False) -> Iterator[str]:
    """Yield what stim cannot run of a circuit, each with the number of its step, counted from 0.

    Args:
        circuit: noise is in it as channels.
        readout: qubit -> (p(1|0), p(0|1)), or None.
        values: whether exact values are asked for.

    >>> from qloom.circuits import Circuit
    >>> list(problems(Circuit(2).h(0).t(0).channel("amplitude_damping", 1, probabilities=[0.1]), lambda qubit: None))
    ['gate t on qubit 0 (step 1) is no Clifford gate', 'channel amplitude_damping on qubit 1 (step 2) is no mixture of Paulis']
    """
    read_from: dict[int, int] = {}
    for number, step in enumerate(circuit.flat()):
        if (text := step_problem(step, number)) is not None:
            yield text
        elif step.name == "measure":
            read_from.update(zip(step.clbits, step.qubits, strict=True))
        elif step.name == "if":
            yield from _if_problems(step, f"an if (step {number})", read_from, readout)
            if values and not _feeds(step):
                yield (
                    f"an if (step {number}) that looks at several classical bits together; behind it stim has no exact values, "
                    "ask with shots"
                )


def _feeds(step: Instruction) -> bool:
    """Whether stim itself runs an `if`: on one bit, without another inside."""
    return len(step.clbits) == 1 and all(inner.name != "if" for inner in (*step.body, *step.orelse))


def _if_problems(step: Instruction, place: str, read_from: Mapping[int, int], readout: Readout) -> Iterator[str]:
    for bit, qubit in ((bit, read_from[bit]) for bit in step.clbits if bit in read_from):
        errors = readout(qubit)
        if errors is not None and errors[0] != errors[1]:
            yield (
                f"{place} on classical bit {bit}, which is read from qubit {qubit} with unequal errors "
                f"(p(1|0) = {errors[0]:g}, p(0|1) = {errors[1]:g}); stim feeds forward equal ones"
            )
    for inner in opened((*step.body, *step.orelse)):
        if inner.name == "if":
            yield from _if_problems(inner, place, read_from, readout)
        elif inner.name not in IDLE and letters(inner) is None:
            yield f"{place} around {called(inner)}; stim makes only Pauli gates depend on a bit"


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
    stages = builder.stages()
    whole = stim.Circuit()
    for stage in stages:
        whole += stage.circuit
    records = {bit: place for bit, place in builder.records.items() if bit not in final}
    return Program(whole, stages, records, final, builder.skewed)


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
            looked_at.update(_looks_at(step))
    return final, places


def _looks_at(step: Instruction) -> set[int]:
    return {*step.clbits, *(bit for inner in (*step.body, *step.orelse) for bit in _looks_at(inner))}


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
        self._lines: list[str] = []
        self.records: dict[int, int] = {}
        self.skewed: dict[int, tuple[float, float]] = {}
        self._readout = readout
        self._count = 0
        self._depths = [0] * num_qubits
        self._layers: list[dict[tuple[str, tuple[float, ...]], list[int]]] = []
        self._stages: list[Stage] = []
        self._forks: list[Fork] = []

    def stages(self) -> tuple[Stage, ...]:
        """Return what was written."""
        self.flush()
        self._close()
        return tuple(self._stages)

    def add(self, step: Instruction) -> None:
        if step.name in GATES:
            self._gate(step)
        elif step.name == "reset":
            self._put("R", step.qubits)
        elif step.name == "if":
            self._if(step)
        elif step.name not in IDLE:
            name, arguments = mixture(step) or (step.name, ())
            self._put(name, step.qubits, arguments)

    def measure(self, qubit: int, bit: int) -> None:
        """Measure now; equal readout errors are stim's, unequal ones are noted."""
        self._behind_forks()
        self.flush()
        errors = self._readout(qubit) or (0.0, 0.0)
        if errors[0] != errors[1]:
            self.skewed[self._count] = errors
        flip = errors[0] if errors[0] == errors[1] else 0.0
        self._lines.append(line("M", (qubit,), (flip,) if flip else ()))
        self.records[bit] = self._count
        self._count += 1

    def flush(self) -> None:
        """Write what waits."""
        if self._layers:
            self._lines += [
                line(name, targets, arguments) for layer in self._layers for (name, arguments), targets in layer.items()
            ]
            self._layers = []
            self._depths = [0] * len(self._depths)

    def _gate(self, step: Instruction) -> None:
        qubits = step.qubits
        for name, targets in moves(step) or ():
            self._put(name, [qubits[place] for place in targets])

    def _put(self, name: str, qubits: Sequence[int], arguments: tuple[float, ...] = ()) -> None:
        self._behind_forks()
        depths = self._depths
        depth = max(depths[qubit] for qubit in qubits)
        if depth == len(self._layers):
            self._layers.append({})
        self._layers[depth].setdefault((name, arguments), []).extend(qubits)
        for qubit in qubits:
            depths[qubit] = depth + 1

    def _if(self, step: Instruction) -> None:
        """What runs where the bit is 0 runs always, and once more, which undoes it, where the bit is 1."""
        if not _feeds(step):
            self.flush()
            self._fork(step, ())
            return
        self._behind_forks()
        record = self.records.get(step.clbits[0])
        bodies = (step.orelse, step.body) if step.value else (step.body, step.orelse)
        for always, body in ((True, bodies[0]), (False, bodies[1])):
            for qubit, letter in _letters_on_qubits(body):
                if always:
                    self._put(letter, (qubit,))
                if record is not None:
                    self.flush()
                    self._lines.append(f"C{letter}[{FEED}] rec[{record - self._count}] {qubit}")

    def _fork(self, step: Instruction, before: tuple[Condition, ...]) -> None:
        """Note what runs where the bits have their value, and where not; Paulis commute, up to a phase, so in any order."""
        places = tuple(self.records.get(bit) for bit in step.clbits)
        for holds, body in ((True, step.body), (False, step.orelse)):
            conditions = (*before, Condition(places, step.value, holds))
            inside = [inner for inner in opened(body) if inner.name == "if"]
            paulis = tuple((letter, qubit) for qubit, letter in _letters_on_qubits(body))
            if paulis:
                self._forks.append(Fork(conditions, paulis))
            for inner in inside:
                self._fork(inner, conditions)

    def _behind_forks(self) -> None:
        """End the stage where forks wait: what comes now comes after them."""
        if self._forks:
            self._close()

    def _close(self) -> None:
        import stim

        self._stages.append(Stage(stim.Circuit("\n".join(self._lines)), tuple(self._forks)))
        self._lines, self._forks = [], []


def _letters_on_qubits(body: Iterable[Instruction]) -> Iterator[tuple[int, str]]:
    for step in opened(body):
        if step.name not in IDLE and step.name != "if":
            yield from ((qubit, letter) for qubit, letter in zip(step.qubits, letters(step) or "", strict=True) if letter != "I")
