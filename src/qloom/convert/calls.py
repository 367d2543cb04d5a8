"""Statements that call gates, `ry(2*theta) q[1]`, and definitions made of such calls: the hot part of the fast reader."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import length_hint
from typing import TYPE_CHECKING

import qloom.convert.formulas as formulas
from qloom.circuits import Expression, Instruction
from qloom.convert.limits import MAX_DEFINITION
from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from qloom.circuits import Angle

_SPACE = r"[ \t\r\n]"
DEFINITION = re.compile(
    rf"gate{_SPACE}+(?P<gate>{formulas.NAME}){_SPACE}*(?:\((?P<parameters>[^(){{}};]*)\))?"
    rf"{_SPACE}*(?P<qubits>[^(){{}};]*)\{{(?P<body>[^{{}}]*)\}}"
)
"""A gate definition without blocks inside."""

OPERAND = re.compile(rf"({formulas.NAME}|\$[0-9]+)(?:\[([0-9]+)\])?")
"""A register, one of its members, or a physical qubit."""

_NAME = re.compile(formulas.NAME)


class NotInSubset(ValueError):
    """A statement that the fast reader does not take; whether it means something is for the reference parser to say.

    Attributes:
        statement: the statement, where it is known.
    """

    def __init__(self, reason: str, statement: str = "") -> None:
        self.statement = statement
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a gate's name stands for: a gate of the circuit form with extra controls, or a sequence of such gates.

    Attributes:
        num_parameters: how many angles it takes.
        num_qubits: how many qubits it acts on.
        name: the gate in the circuit form; empty for a sequence.
        controls: extra controls of that gate.
        parameters: for a sequence, the names that stand for the angles in `body`.
        body: for a sequence, its instructions; qubit i is the i-th qubit of the call.
    """

    num_parameters: int
    num_qubits: int
    name: str = ""
    controls: int = 0
    parameters: tuple[str, ...] = ()
    body: tuple[Instruction, ...] = ()

    def apply(self, angles: tuple[Angle, ...], qubits: Sequence[int]) -> tuple[Instruction, ...]:
        """Return the instructions of one call on these qubits; the caller has checked how many there are of each."""
        if self.name:
            return (Instruction(self.name, tuple(qubits), angles, (), self.controls),)
        values = dict(zip(self.parameters, angles, strict=True))
        return tuple(_placed(step, values, qubits) for step in self.body)


def _placed(step: Instruction, values: Mapping[str, Angle], qubits: Sequence[int]) -> Instruction:
    on, angles = tuple([qubits[index] for index in step.qubits]), step.parameters
    if angles and values:
        angles = tuple([angle.substitute(values) if isinstance(angle, Expression) else angle for angle in angles])
    return Instruction(step.name, on, angles, step.clbits, step.controls, step.unit, step.body)


@dataclass(slots=True)
class Scope:
    """The names that a statement may use.

    Attributes:
        gates: gate -> meaning.
        names: constants and parameters in formulas.
        functions: functions in formulas.
        qubits: register -> its qubits; a single qubit is an int.
        whole_numbers: False where `1/2` is a half (OpenQASM 2).
    """

    gates: Mapping[str, Meaning]
    names: Mapping[str, formulas.Value]
    functions: Mapping[str, str]
    qubits: Mapping[str, int | tuple[int, ...]]
    whole_numbers: bool


class Calls:
    """Reads gate calls within a scope; remembers operands and angles it has seen, since circuits repeat them.

    `held` is the number of instructions that count against the limit beside those in `steps`.

    Args:
        scope: the names; it may gain names while reading, never lose or change one.
        other: what to do with a statement that calls no known gate.
        limit: how many instructions the calls may unroll to.
    """

    def __init__(self, scope: Scope, other: Callable[[str], None], limit: int) -> None:
        self._limit = limit
        self.held = 0
        self.scope = scope
        self.other = other
        self.steps: list[Instruction] = []
        self._seen_operands: dict[str, tuple[tuple[int, ...], ...]] = {}
        self._formulas = formulas.Formulas(scope.names, scope.functions, whole_numbers=scope.whole_numbers)
        self._seen_angles: dict[str, tuple[Angle, ...]] = {"": ()}

    def read(self, text: str) -> None:
        """Read statements, each with its semicolon, and add what they call to `steps`.

        Raises:
            NotInSubset: for the reference parser to say what is wrong, if anything is.
        """
        pieces = text.split(";")
        if rest := pieces.pop().strip():
            raise NotInSubset(rest)
        waiting = iter(pieces)
        try:
            self._each(waiting)
        except (InvalidCircuit, ValueError) as error:  # ValueError: no formula, or a number of too many digits
            inner = error.statement if isinstance(error, NotInSubset) else ""
            raise NotInSubset(str(error), inner or pieces[-1 - length_hint(waiting)].strip()) from error

    def _each(self, pieces: Iterator[str]) -> None:
        gates, seen_operands, seen_angles = self.scope.gates, self._seen_operands, self._seen_angles
        append, new = self.steps.append, tuple.__new__
        for piece in pieces:
            # No statement of the subset has a bracket behind its angles, so the last one closes them.
            head, bracket, operands = piece.rpartition(")")
            angle_text = ""
            if bracket:
                name, opened, angle_text = head.partition("(")
                name = name.strip() if opened else ""
            else:
                name, *behind = operands.split(None, 1) or ("",)
                operands = behind[0] if behind else ""
            meaning = gates.get(name)
            if meaning is None:
                self.other(piece.strip())
                continue
            angles = seen_angles.get(angle_text)
            if angles is None:
                angles = self.angles(angle_text)
            groups = seen_operands.get(operands) or self.operands(operands)
            if len(groups[0]) != meaning.num_qubits or len(angles) != meaning.num_parameters:
                raise NotInSubset(piece)
            if len(groups) == 1 and meaning.name:
                append(new(Instruction, (meaning.name, groups[0], angles, (), meaning.controls, "", (), 0, ())))
            else:
                self._extend(meaning, angles, groups)

    def _extend(self, meaning: Meaning, angles: tuple[Angle, ...], groups: tuple[tuple[int, ...], ...]) -> None:
        for qubits in groups:
            self.steps.extend(meaning.apply(angles, qubits))
        if len(self.steps) + self.held > self._limit:
            raise NotInSubset(f"more than {self._limit} instructions")

    def resolve(self, operand: str) -> int | tuple[int, ...]:
        """Return the qubit or the register that an operand names."""
        found = OPERAND.fullmatch(operand.strip())
        register = self.scope.qubits.get(found[1]) if found else None
        if found is None or register is None:
            raise NotInSubset(operand)
        return register if found[2] is None else member(register, int(found[2]))

    def operands(self, text: str) -> tuple[tuple[int, ...], ...]:
        """Return the qubits of each of the calls that a list of operands stands for."""
        named = [self.resolve(operand) for operand in text.split(",")] if text.strip() else []
        groups = self._seen_operands[text] = broadcast(named)
        return groups

    def angles(self, text: str) -> tuple[Angle, ...]:
        """Return the angles that a list of formulas stands for."""
        parts = split_arguments(text) if text.strip() else []
        angles = self._seen_angles[text] = tuple([formulas.finish(self._formulas.value(part.strip())) for part in parts])
        return angles


def member(register: int | tuple[int, ...], index: int) -> int:
    """Return one qubit or bit of a register."""
    if isinstance(register, int) or index >= len(register):
        raise NotInSubset(f"index {index}")
    return register[index]


def broadcast(operands: Sequence[int | tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Return the qubits of each call: registers are walked side by side, single qubits stay.

    >>> broadcast([4, (0, 1)])
    ((4, 0), (4, 1))
    """
    lengths = {len(operand) for operand in operands if not isinstance(operand, int)}
    if len(lengths) > 1:
        raise NotInSubset("registers of different sizes")
    times = lengths.pop() if lengths else 1
    groups = tuple(
        tuple([operand if isinstance(operand, int) else operand[turn] for operand in operands]) for turn in range(times)
    )
    if any(len(set(group)) != len(group) for group in groups):
        raise NotInSubset("a qubit is named twice")
    return groups


def split_arguments(text: str) -> list[str]:
    """Split at the commas that are in no bracket.

    >>> split_arguments("a, f(b, c)")
    ['a', ' f(b, c)']
    """
    if "(" not in text:
        return text.split(",")
    parts, level = [""], 0
    for letter in text:
        level += (letter == "(") - (letter == ")")
        if letter == "," and level == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def define(found: re.Match[str], scope: Scope) -> Meaning:
    """Return the meaning of a gate definition, a match of `DEFINITION`, whose body only calls known gates.

    Raises:
        NotInSubset, NotAFormula, InvalidCircuit: as for calls.
    """
    parameters, qubits = _names(found["parameters"]), _names(found["qubits"])
    formal = {*parameters, *qubits}
    # A body sees constants, not inputs; its own names may hide inputs and nothing else.
    constants = {name: value for name, value in scope.names.items() if not isinstance(value, tuple)}
    taken = scope.gates.keys() | scope.functions.keys() | constants.keys()
    if not qubits or len(formal) != len(parameters) + len(qubits) or formal & taken:
        raise NotInSubset(found[0])
    names = {**constants, **{name: ("parameter", name) for name in parameters}}
    index: dict[str, int | tuple[int, ...]] = {name: position for position, name in enumerate(qubits)}
    calls = Calls(Scope(scope.gates, names, scope.functions, index, scope.whole_numbers), _refuse, MAX_DEFINITION)
    calls.read(found["body"])
    return Meaning(len(parameters), len(qubits), "", 0, parameters, tuple(calls.steps))


def _names(text: str | None) -> tuple[str, ...]:
    if text is None or not text.strip():
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if not all(_NAME.fullmatch(name) for name in names):
        raise NotInSubset(text)
    return names


def _refuse(statement: str) -> None:
    raise NotInSubset(statement)
