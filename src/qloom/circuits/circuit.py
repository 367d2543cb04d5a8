"""`Circuit`: a normalised gate program with parameters, the one form every device prepares."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits.expressions import Angle, Expression, Parameter, number
from qloom.circuits.gates import ALIASES, CHANNELS, GATES, KRAUS_TOLERANCE, kraus_operators, kraus_parameters, standard_controls
from qloom.errors import InvalidCircuit, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DELAY_UNITS = ("s", "ms", "us", "ns", "dt")
BLOCKS = ("verbatim", "if")
"""Instructions that hold others."""
MAX_NESTING = 32
"""How deep instructions may hold others: some readers, writers and engines go down by recursion."""
_SPELLED_BITS = 64
FORM_VERSION = 1
"""Goes into both digests; raised whenever the canonical text of a circuit changes."""


class Instruction(NamedTuple):
    """One step of a circuit.

    Attributes:
        name: a name in `GATES` or `CHANNELS`, or `measure`, `reset`, `barrier`, `delay`, `verbatim`, `if`.
        qubits: the qubits it acts on; extra controls first, then the gate's own qubits in their order.
        parameters: angles (rad) of a gate, probabilities of a channel, the duration of a delay.
        clbits: for `measure`, the classical bit that each qubit is read into; for `if`, the bits that are looked at.
        controls: how many leading qubits are controls on top of the gate's own (`ctrl(2) @ ry` has 2).
        unit: for `delay`, one of `DELAY_UNITS`.
        body: for `verbatim`, the instructions of the block; for `if`, those that run where the bits are as asked.
        value: for `if`, what the bits are to be: bit j of this number is `clbits[j]`, as in OpenQASM's `if (c == 5)`.
        orelse: for `if`, the instructions that run where they are not.
    """

    name: str
    qubits: tuple[int, ...]
    parameters: tuple[Angle, ...] = ()
    clbits: tuple[int, ...] = ()
    controls: int = 0
    unit: str = ""
    body: tuple[Instruction, ...] = ()
    value: int = 0
    orelse: tuple[Instruction, ...] = ()

    @property
    def kind(self) -> str:
        """`gate`, `channel`, or the name itself for measure, reset, barrier, delay, verbatim and if."""
        if self.name in GATES:
            return "gate"
        return "channel" if self.name in CHANNELS else self.name


class Circuit:
    """An immutable circuit; each method that adds an instruction returns a new one.

    Args:
        num_qubits: how many qubits, numbered from 0.
        instructions: the steps, in order; checked here.
        num_clbits: how many classical bits; the ones that `measure` needs if not given.
        parameters: names in the order in which plain arrays of values are read; the order of first use if not given.
        name: a name for people; not part of any digest.

    Raises:
        InvalidCircuit: a qubit or bit out of range, a wrong number of angles, a duplicate qubit in one gate.
        UnknownName: a gate that the circuit form does not have.

    Bit order: position i of a measured key is classical bit i, `c[0]` first. A circuit without any measurement measures
    all qubits in order when it is sampled.

    >>> theta = Parameter("theta")
    >>> bell = Circuit(2).h(0).cx(0, 1)
    >>> ansatz = Circuit(2).ry(theta, 0).cx(0, 1).rz(2 * theta + 0.3, 1)
    >>> ansatz.parameters, len(ansatz.instructions), bell.num_qubits
    (('theta',), 3, 2)
    >>> ansatz.structure_digest == Circuit(2).ry(Parameter("phi"), 0).cx(0, 1).rz(Parameter("phi"), 1).structure_digest
    True
    """

    def __init__(
        self,
        num_qubits: int,
        instructions: Iterable[Instruction] = (),
        *,
        num_clbits: int | None = None,
        parameters: Sequence[str] | None = None,
        name: str = "",
    ) -> None:
        steps = _read_steps(instructions)
        if not isinstance(num_qubits, int) or num_qubits < 0:
            raise InvalidCircuit(f"num_qubits must be an integer from 0 up, got {num_qubits!r}")
        needed = 1 + max((bit for step in steps for bit in _all_clbits(step)), default=-1)
        for step in steps:
            _check(step, num_qubits, needed if num_clbits is None else num_clbits)
        used = tuple(dict.fromkeys(_used_parameters(steps)))
        names = used if parameters is None else tuple(parameters)
        _check_parameters(used, names)
        self._fill(num_qubits, steps, needed if num_clbits is None else num_clbits, names, name)

    @classmethod
    def trusted(
        cls,
        num_qubits: int,
        instructions: tuple[Instruction, ...],
        num_clbits: int,
        parameters: Sequence[str] | None,
        name: str = "",
    ) -> Circuit:
        """Build without checks, for a converter that has checked each instruction and the names of the parameters already."""
        circuit = cls.__new__(cls)
        names = dict.fromkeys(_used_parameters(instructions)) if parameters is None else parameters
        circuit._fill(num_qubits, instructions, num_clbits, tuple(names), name)  # noqa: SLF001  our own instance
        return circuit

    def _fill(self, num_qubits: int, steps: tuple[Instruction, ...], num_clbits: int, names: tuple[str, ...], name: str) -> None:
        self.num_qubits = num_qubits
        self.num_clbits = num_clbits
        self.instructions = steps
        self.parameters = names
        self.name = name

    # ---- building ------------------------------------------------------------------------------------------------

    def append(self, instruction: Instruction) -> Circuit:
        """Return this circuit with one more instruction at its end."""
        return self.extend((instruction,))

    def extend(self, instructions: Iterable[Instruction]) -> Circuit:
        """Return this circuit with more instructions at its end; classical bits and parameters grow as needed."""
        steps = _read_steps(instructions)
        clbits = max(self.num_clbits, 1 + max((bit for step in steps for bit in _all_clbits(step)), default=-1))
        for step in steps:
            _check(step, self.num_qubits, clbits)
        names = tuple(dict.fromkeys((*self.parameters, *_used_parameters(steps))))
        return Circuit.trusted(self.num_qubits, self.instructions + steps, clbits, names, self.name)

    def gate(self, name: str, *qubits: int, angles: Sequence[Angle] = (), controls: int = 0) -> Circuit:
        """Return this circuit with a gate of that name (or an alias of it) at its end, under that many more controls.

        >>> Circuit(3).gate("ry", 0, 1, 2, angles=[0.5], controls=2).instructions[0].controls
        2
        >>> Circuit(2).gate("x", 0, 1, controls=1) == Circuit(2).cx(0, 1)
        True
        """
        angles = tuple(angle if isinstance(angle, Expression) else number(angle) for angle in angles)
        known, controls = standard_controls(ALIASES.get(name, name), controls)
        return self.append(Instruction(known, tuple(qubits), angles, (), controls))

    def id(self, qubit: int) -> Circuit:
        """Add an identity."""
        return self.gate("id", qubit)

    def x(self, qubit: int) -> Circuit:
        """Add a Pauli X."""
        return self.gate("x", qubit)

    def y(self, qubit: int) -> Circuit:
        """Add a Pauli Y."""
        return self.gate("y", qubit)

    def z(self, qubit: int) -> Circuit:
        """Add a Pauli Z."""
        return self.gate("z", qubit)

    def h(self, qubit: int) -> Circuit:
        """Add a Hadamard."""
        return self.gate("h", qubit)

    def s(self, qubit: int) -> Circuit:
        """Add an S gate, the square root of Z."""
        return self.gate("s", qubit)

    def sdg(self, qubit: int) -> Circuit:
        """Add the inverse of S."""
        return self.gate("sdg", qubit)

    def t(self, qubit: int) -> Circuit:
        """Add a T gate, the square root of S."""
        return self.gate("t", qubit)

    def tdg(self, qubit: int) -> Circuit:
        """Add the inverse of T."""
        return self.gate("tdg", qubit)

    def sx(self, qubit: int) -> Circuit:
        """Add the square root of X."""
        return self.gate("sx", qubit)

    def rx(self, angle: Angle, qubit: int) -> Circuit:
        """Add a rotation about X by an angle in rad."""
        return self.gate("rx", qubit, angles=(angle,))

    def ry(self, angle: Angle, qubit: int) -> Circuit:
        """Add a rotation about Y by an angle in rad."""
        return self.gate("ry", qubit, angles=(angle,))

    def rz(self, angle: Angle, qubit: int) -> Circuit:
        """Add a rotation about Z by an angle in rad."""
        return self.gate("rz", qubit, angles=(angle,))

    def p(self, angle: Angle, qubit: int) -> Circuit:
        """Add a phase of an angle in rad on |1>."""
        return self.gate("p", qubit, angles=(angle,))

    def u(self, theta: Angle, phi: Angle, lam: Angle, qubit: int) -> Circuit:
        """Add OpenQASM 3's `U(theta, phi, lambda)`."""
        return self.gate("u", qubit, angles=(theta, phi, lam))

    def cx(self, control: int, target: int) -> Circuit:
        """Add a controlled X."""
        return self.gate("cx", control, target)

    def cy(self, control: int, target: int) -> Circuit:
        """Add a controlled Y."""
        return self.gate("cy", control, target)

    def cz(self, control: int, target: int) -> Circuit:
        """Add a controlled Z."""
        return self.gate("cz", control, target)

    def cp(self, angle: Angle, control: int, target: int) -> Circuit:
        """Add a controlled phase."""
        return self.gate("cp", control, target, angles=(angle,))

    def rzz(self, angle: Angle, first: int, second: int) -> Circuit:
        """Add exp(-i angle/2 ZZ)."""
        return self.gate("rzz", first, second, angles=(angle,))

    def swap(self, first: int, second: int) -> Circuit:
        """Add a swap."""
        return self.gate("swap", first, second)

    def ccx(self, first: int, second: int, target: int) -> Circuit:
        """Add a Toffoli gate."""
        return self.gate("ccx", first, second, target)

    def barrier(self, *qubits: int) -> Circuit:
        """Add a barrier on these qubits, on all of them when none is named."""
        return self.append(Instruction("barrier", qubits or tuple(range(self.num_qubits))))

    def reset(self, qubit: int) -> Circuit:
        """Add a reset to |0>."""
        return self.append(Instruction("reset", (qubit,)))

    def delay(self, duration: Angle, *qubits: int, unit: str = "s") -> Circuit:
        """Add an idle time on these qubits, on all of them when none is named; a number or a formula of parameters.

        >>> waited = Circuit(1).delay(2 * Parameter("t"), 0, unit="us")
        >>> waited.parameters, waited.bind({"t": 1.5}).instructions[0].parameters
        (('t',), (3.0,))
        """
        time = duration if isinstance(duration, Expression) else number(duration, "duration")
        return self.append(Instruction("delay", qubits or tuple(range(self.num_qubits)), (time,), unit=unit))

    def channel(self, name: str, *qubits: int, probabilities: Sequence[float]) -> Circuit:
        """Add a noise channel, by Braket's name for it (`CHANNELS`)."""
        try:
            given = tuple(probabilities)
        except TypeError as error:
            raise InvalidCircuit(
                f"the probabilities of {name} are a list, got {probabilities!r}; [{probabilities!r}]?"
            ) from error
        return self.append(Instruction(name, tuple(qubits), tuple(number(value, "probability") for value in given)))

    def kraus(self, operators: Sequence[object], *qubits: int) -> Circuit:
        """Add a noise channel on one or two qubits by its Kraus operators, first qubit most significant.

        Raises:
            InvalidCircuit: no matrices of numbers of that size, or operators K whose K'K do not sum to the identity.

        >>> reset = Circuit(1).kraus([[[1, 0], [0, 0]], [[0, 1], [0, 0]]], 0)
        >>> reset.instructions[0].name, len(reset.instructions[0].parameters)
        ('kraus', 16)
        """
        try:
            numbers = kraus_parameters(operators)
        except (TypeError, ValueError) as error:
            raise InvalidCircuit(f"the operators of a kraus channel are matrices of one size, 2 or 4: {error}") from error
        return self.append(Instruction("kraus", tuple(qubits), numbers))

    def measure(self, qubits: int | Sequence[int], clbits: int | Sequence[int] | None = None) -> Circuit:
        """Measure qubits into classical bits; into the bits of the same numbers when none are named.

        >>> Circuit(2).h(0).measure([1, 0], [0, 1]).measured()
        {0: 1, 1: 0}
        """
        sources = _one_or_more(qubits)
        targets = sources if clbits is None else _one_or_more(clbits)
        return self.append(Instruction("measure", sources, (), targets))

    def measure_all(self) -> Circuit:
        """Measure every qubit i into classical bit i."""
        return self.measure(range(self.num_qubits))

    def verbatim(self, body: Circuit | Iterable[Instruction]) -> Circuit:
        """Add a block that no compiler may change."""
        steps = body.instructions if isinstance(body, Circuit) else _read_steps(body)
        return self.append(Instruction("verbatim", _qubits_of(steps), body=steps))

    def if_test(
        self,
        clbits: int | Sequence[int],
        value: int,
        body: Circuit | Iterable[Instruction],
        orelse: Circuit | Iterable[Instruction] = (),
    ) -> Circuit:
        """Add steps that run only where classical bits have a value, and others that run where they have not.

        Args:
            clbits: the bits, the least significant first; or one bit.
            value: what they are to be, read as one number.
            body, orelse: instructions, or a circuit on as many qubits; one of the two may be empty.

        Raises:
            InvalidCircuit: no bit or one named twice, a value that these bits cannot have, nothing to run, too deep a nesting.

        >>> teleported = Circuit(3).h(1).cx(1, 2).cx(0, 1).h(0).measure([0, 1])
        >>> teleported.if_test(1, 1, Circuit(3).x(2)).if_test(0, 1, Circuit(3).z(2)).instructions[-1].clbits
        (0,)
        """
        bits = _one_or_more(clbits)
        then, other = (part.instructions if isinstance(part, Circuit) else _read_steps(part) for part in (body, orelse))
        return self.append(conditional(bits, value, then, other))

    # ---- asking --------------------------------------------------------------------------------------------------

    @cached_property
    def instruction_names(self) -> frozenset[str]:
        """The names of all instructions, of verbatim blocks and `if` as well as of what they hold.

        >>> sorted(Circuit(1).verbatim(Circuit(1).x(0)).measure(0).instruction_names)
        ['measure', 'verbatim', 'x']
        """
        names = frozenset(map(itemgetter(0), self.instructions))
        return names if names.isdisjoint(BLOCKS) else names.union(step.name for step in _every(self.instructions))

    def flat(self) -> Iterator[Instruction]:
        """Yield the instructions with verbatim blocks opened; an `if` is one instruction."""
        if "verbatim" not in self.instruction_names:
            return iter(self.instructions)
        return (inner for step in self.instructions for inner in (step.body if step.name == "verbatim" else (step,)))

    def every(self) -> Iterator[Instruction]:
        """Yield every instruction, those inside of verbatim blocks and of `if` included, and these themselves not."""
        return iter(self.instructions) if self.instruction_names.isdisjoint(BLOCKS) else _every(self.instructions)

    def measured(self) -> dict[int, int]:
        """Return classical bit -> qubit read into it last; every bit i from qubit i where nothing is measured.

        What is measured inside of an `if` counts as if it were measured in any case.
        """
        if "measure" not in self.instruction_names:
            return {qubit: qubit for qubit in range(self.num_qubits)}
        return {
            bit: qubit
            for step in self.every()
            if step.name == "measure"
            for qubit, bit in zip(step.qubits, step.clbits, strict=True)
        }

    @property
    def key_length(self) -> int:
        """How many characters a measured key has: the classical bits, or the qubits where nothing is measured."""
        return self.num_clbits if "measure" in self.instruction_names else self.num_qubits

    def bind(self, values: Mapping[str, Angle]) -> Circuit:
        """Return the circuit with parameters replaced by numbers or other formulas.

        Raises:
            UnknownName: a parameter that there is not.
            InvalidCircuit: no number, or one that a duration or a probability cannot be.

        >>> Circuit(1).rx(Parameter("a") / 2, 0).bind({"a": 1.0}).instructions[0].parameters
        (0.5,)
        """
        if unknown := set(values) - set(self.parameters):
            raise UnknownName.among("parameter of this circuit", min(unknown), self.parameters)
        given = {
            name: value if isinstance(value, Expression) else number(value, "value of a parameter")
            for name, value in values.items()
        }
        steps = tuple(_bind(step, given) for step in self.instructions)
        kept = [name for name in self.parameters if name not in given]
        names = tuple(dict.fromkeys([*kept, *_used_parameters(steps)]))
        return Circuit.trusted(self.num_qubits, steps, self.num_clbits, names, self.name)

    # ---- identity ------------------------------------------------------------------------------------------------

    @cached_property
    def digest(self) -> str:
        """Content digest: equal for equal circuits on every machine and Python version (hex, 32 characters)."""
        return _digest("content", self._header() + [_line(step, _exact) for step in self.instructions])

    @cached_property
    def structure_digest(self) -> str:
        """Digest with the numbers and parameter names lifted out: equal for circuits that differ in angles only."""
        index = {name: position for position, name in enumerate(self.parameters)}

        def lifted(angle: Angle) -> str:
            return angle.shape(index) if isinstance(angle, Expression) else "#"

        return _digest(
            "structure", [*self._header()[:2], str(len(self.parameters)), *(_line(step, lifted) for step in self.instructions)]
        )

    def _header(self) -> list[str]:
        return [str(self.num_qubits), str(self.num_clbits), ",".join(self.parameters)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return (
            self.num_qubits == other.num_qubits
            and self.num_clbits == other.num_clbits
            and self.parameters == other.parameters
            and self.instructions == other.instructions
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        sizes = f"{self.num_qubits} qubits, {len(self.instructions)} instructions, {len(self.parameters)} parameters"
        return f"<Circuit{label}: {sizes}>"


def conditional(
    clbits: tuple[int, ...], value: int, body: tuple[Instruction, ...], orelse: tuple[Instruction, ...] = ()
) -> Instruction:
    """Return an `if` on these bits, the least significant first, not checked; its qubits are those of its instructions.

    >>> conditional((0, 1), 3, (Instruction("x", (2,)), Instruction("cx", (2, 0)))).qubits
    (0, 2)
    """
    return Instruction("if", _qubits_of((*body, *orelse)), (), clbits, body=body, value=value, orelse=orelse)


def out_of_range(num_bits: int, value: int) -> str:
    """Say that so many bits cannot hold a value.

    >>> out_of_range(3, 9), out_of_range(100, -1)
    ('3 bits hold 0 to 7, never 9', '100 bits hold 0 to 2**100 - 1, never -1')
    """
    bits = "1 bit holds" if num_bits == 1 else f"{num_bits} bits hold"
    most = str((1 << num_bits) - 1) if num_bits <= _SPELLED_BITS else f"2**{num_bits} - 1"
    # Python refuses to spell numbers of thousands of digits.
    shown = str(value) if value.bit_length() <= _SPELLED_BITS else f"a number of {value.bit_length()} binary digits"
    return f"{bits} 0 to {most}, never {shown}"


def _qubits_of(steps: Iterable[Instruction]) -> tuple[int, ...]:
    return tuple(sorted({qubit for step in steps for qubit in step.qubits}))


def _every(steps: Iterable[Instruction]) -> Iterator[Instruction]:
    for step in steps:
        if step.name in BLOCKS:
            yield from _every(step.body)
            yield from _every(step.orelse)
        else:
            yield step


def _all_clbits(step: Instruction, depth: int = 0) -> Iterator[int]:
    if depth > MAX_NESTING:
        raise InvalidCircuit(f"instructions that hold others are nested more than {MAX_NESTING} deep, which is the limit")
    yield from step.clbits
    for inner in (*step.body, *step.orelse):
        yield from _all_clbits(inner, depth + 1)


def _used_parameters(steps: Iterable[Instruction]) -> Iterator[str]:
    for step in steps:
        for angle in step.parameters:
            if isinstance(angle, Expression):
                yield from angle.parameters()
        if step.body or step.orelse:
            yield from _used_parameters(step.body)
            yield from _used_parameters(step.orelse)


def _check_parameters(used: tuple[str, ...], names: tuple[str, ...]) -> None:
    if unknown := set(used) - set(names):
        raise InvalidCircuit(f"parameters {sorted(unknown)} are used but not among the names given: {list(names)}")
    if len(set(names)) != len(names):
        raise InvalidCircuit(f"a parameter is named twice in {list(names)}")


def _bind(step: Instruction, values: Mapping[str, Angle]) -> Instruction:
    if not step.body and not step.orelse and not any(isinstance(angle, Expression) for angle in step.parameters):
        return step
    angles = tuple(angle.substitute(values) if isinstance(angle, Expression) else angle for angle in step.parameters)
    body, orelse = (tuple(_bind(inner, values) for inner in part) for part in (step.body, step.orelse))
    bound = step._replace(parameters=angles, body=body, orelse=orelse)
    if angles and step.name not in GATES:  # any number is an angle, but no duration and no probability
        _CHECKS.get(step.name, _check_operation)(bound)
    return bound


def _exact(angle: Angle) -> str:
    # Adding 0.0 turns -0.0, which is equal to it, into 0.0.
    if not isinstance(angle, Expression):
        return (float(angle) + 0.0).hex()
    affine = angle.affine()
    if affine is None:
        return repr(angle.node)
    return f"{affine.parameter}*{(affine.scale + 0.0).hex()}+{(affine.offset + 0.0).hex()}"


def _line(step: Instruction, text: Callable[[Angle], str]) -> str:
    name, qubits, angles, clbits, controls, unit, body, value, orelse = step
    # Nearly all have one angle or none, and no bits.
    shown = text(angles[0]) if len(angles) == 1 else ",".join(map(text, angles)) if angles else ""
    bits = ",".join(map(str, clbits)) if clbits else ""
    line = f"{name}|{controls!r}|{','.join(map(str, qubits))}|{shown}|{bits}|{unit}"
    if name == "if":
        return f"{line}|{int(value):x}{{{_inside(body, text)}}}{{{_inside(orelse, text)}}}"
    return f"{line}{{{_inside(body, text)}}}" if body else line


def _inside(steps: tuple[Instruction, ...], text: Callable[[Angle], str]) -> str:
    return ";".join([_line(step, text) for step in steps])


def _digest(kind: str, lines: list[str]) -> str:
    text = "\n".join([f"qloom circuit {kind} {FORM_VERSION}", *lines])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _read_steps(given: Iterable[Instruction]) -> tuple[Instruction, ...]:
    """Return instructions whose qubits and bits are numbers at least; what they may be is checked where they are added."""
    try:
        steps = tuple(given)
    except TypeError as error:
        raise InvalidCircuit(
            f"instructions are a list, or a circuit where one is held by another, got {given!r}; "
            "the number of classical bits is given as num_clbits="
        ) from error
    for step in steps:
        if not isinstance(step, Instruction):
            raise InvalidCircuit(f"a circuit holds instructions, got {step!r}; use its methods, such as Circuit(1).x(0)")
        for place in (*step.qubits, *step.clbits):
            if type(place) is not int and not hasattr(place, "__index__"):  # numpy's integers have one
                raise InvalidCircuit(f"{step.name} names {place!r}; qubits and classical bits are whole numbers from 0 up")
    return steps


def _one_or_more(given: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(given) if isinstance(given, Iterable) else (given,)


def _check(step: Instruction, num_qubits: int, num_clbits: int) -> None:
    for qubit in step.qubits:
        if not 0 <= qubit < num_qubits:
            raise InvalidCircuit(f"{step.name} uses qubit {qubit}, but the circuit has {num_qubits} (0 to {num_qubits - 1})")
    if len(set(step.qubits)) != len(step.qubits):
        raise InvalidCircuit(f"{step.name} names a qubit twice: {list(step.qubits)}")
    _CHECKS.get(step.name, _check_operation)(step)
    _check_fields(step)
    if step.controls and step.name not in GATES:
        raise InvalidCircuit(f"{step.name} is no gate and cannot have controls, got {step.controls}")
    for bit in step.clbits:
        if not 0 <= bit < num_clbits:
            does = "reads" if step.name == "if" else "writes"
            raise InvalidCircuit(f"{step.name} {does} classical bit {bit}, but the circuit has {num_clbits}")
    for inner in (*step.body, *step.orelse):
        _check(inner, num_qubits, num_clbits)


def _check_fields(step: Instruction) -> None:
    if (step.value or step.orelse) and step.name != "if":
        raise InvalidCircuit(f"{step.name} looks at no classical bits; `value` and `orelse` are those of an if")
    if step.body and step.name not in BLOCKS:
        raise InvalidCircuit(f"{step.name} holds no other instructions; {' and '.join(BLOCKS)} do")


def _check_operation(step: Instruction) -> None:
    if step.name in GATES:
        qubits, angles = GATES[step.name].num_qubits + step.controls, GATES[step.name].num_parameters
        if step.controls < 0:
            raise InvalidCircuit(f"{step.name} cannot have {step.controls} controls")
    elif step.name in CHANNELS:
        qubits, angles = CHANNELS[step.name]
        _check_probabilities(step)
    else:
        raise UnknownName.among("gate", step.name, {*GATES, *ALIASES, *CHANNELS})
    if len(step.qubits) != qubits:
        raise InvalidCircuit(f"{step.name} acts on {qubits} qubit{'s' * (qubits != 1)}, got {list(step.qubits)}")
    if len(step.parameters) != angles:
        raise InvalidCircuit(f"{step.name} takes {angles} parameter{'s' * (angles != 1)}, got {len(step.parameters)}")


def _check_probabilities(step: Instruction) -> None:
    values = [value for value in step.parameters if not isinstance(value, Expression)]
    if any(not 0 <= value <= 1 for value in values) or (step.name == "pauli_channel" and sum(values) > 1 + 1e-12):
        raise InvalidCircuit(f"{step.name} takes probabilities from 0 to 1 (a Pauli channel's sum to at most 1), got {values}")


def _check_kraus(step: Instruction) -> None:
    size, count = 1 << len(step.qubits), len(step.parameters)
    if len(step.qubits) not in (1, 2):
        raise InvalidCircuit(f"a kraus channel acts on one or two qubits, got {list(step.qubits)}")
    if any(isinstance(value, Expression) for value in step.parameters):
        raise InvalidCircuit("a kraus channel takes numbers, not formulas of parameters")
    if not count or count % (2 * size * size):
        each = f"{2 * size * size} numbers for each operator on {len(step.qubits)} qubit{'s' * (size > 2)}"
        raise InvalidCircuit(f"a kraus channel takes {each}, got {count}")
    operators = kraus_operators([number(value, "number") for value in step.parameters], len(step.qubits))
    total = (operators.conj().swapaxes(1, 2) @ operators).sum(axis=0)
    off = max(abs(total[row, column] - (row == column)) for row in range(size) for column in range(size))
    if off > KRAUS_TOLERANCE:
        raise InvalidCircuit(
            f"the operators K of a kraus channel sum K'K to the identity, to {KRAUS_TOLERANCE}; these are off by {off:.2g}"
        )


def _check_measure(step: Instruction) -> None:
    _check_named(step)
    if len(step.qubits) != len(step.clbits):
        raise InvalidCircuit(f"measure reads {len(step.qubits)} qubits into {len(step.clbits)} bits; give one bit for each qubit")
    if len(set(step.clbits)) != len(step.clbits):
        raise InvalidCircuit(f"measure writes a classical bit twice: {list(step.clbits)}")


def _check_delay(step: Instruction) -> None:
    _check_named(step)
    if step.unit not in DELAY_UNITS:
        raise InvalidCircuit(f"a delay's unit is one of {', '.join(DELAY_UNITS)}, got {step.unit!r}")
    if len(step.parameters) != 1 or (not isinstance(step.parameters[0], Expression) and not 0 <= step.parameters[0] < math.inf):
        raise InvalidCircuit(f"a delay takes one duration from 0 up, got {list(step.parameters)}")


def _check_named(step: Instruction) -> None:
    if not step.qubits:
        raise InvalidCircuit(f"{step.name} names no qubit")


def _check_plain(step: Instruction) -> None:
    if step.parameters:
        raise InvalidCircuit(f"{step.name} takes no parameters, got {list(step.parameters)}")


def _check_barrier(step: Instruction) -> None:
    _check_plain(step)
    _check_named(step)


def _check_reset(step: Instruction) -> None:
    _check_plain(step)
    if len(step.qubits) != 1:
        raise InvalidCircuit(f"reset acts on one qubit, got {list(step.qubits)}; add one reset for each")


def _check_verbatim(step: Instruction) -> None:
    _check_plain(step)
    if any(inner.name == "verbatim" for inner in step.body):
        raise InvalidCircuit("a verbatim block inside a verbatim block has no meaning of its own; open the inner one")
    if any(inner.name == "if" for inner in step.body):
        raise InvalidCircuit("an if inside a verbatim block cannot be run as it stands; put the block inside of the if")


def _check_if(step: Instruction) -> None:
    _check_plain(step)
    if not step.clbits or len(set(step.clbits)) != len(step.clbits):
        raise InvalidCircuit(f"an if looks at different classical bits, at least one, got {list(step.clbits)}")
    if not isinstance(step.value, int):
        raise InvalidCircuit(f"an if compares bits with a whole number, got {step.value!r}")
    if not 0 <= step.value < 1 << len(step.clbits):
        raise InvalidCircuit(f"an if compares bits with what they can hold: {out_of_range(len(step.clbits), step.value)}")
    if not step.body and not step.orelse:
        raise InvalidCircuit("an if without any instruction has no meaning; leave it out")
    if set(step.qubits) != set(inner := _qubits_of((*step.body, *step.orelse))):
        raise InvalidCircuit(f"an if acts on the qubits of its instructions, {list(inner)}, but names {list(step.qubits)}")


_CHECKS = {
    "kraus": _check_kraus,
    "measure": _check_measure,
    "delay": _check_delay,
    "barrier": _check_barrier,
    "reset": _check_reset,
    "verbatim": _check_verbatim,
    "if": _check_if,
}

__all__ = ["Circuit", "Instruction", "Parameter"]
