"""The fast reader: the part of OpenQASM that programs write, by string operations, about 3 us for each gate.

It reads declarations, calls of gates on qubits and whole registers, plain gate definitions, measure, barrier, reset, delay,
noise pragmas, verbatim boxes, and `if` on plain tests of bits and registers. Whatever else it meets, wrong text included, it
hands over unread: the reference reader either understands it or says what is wrong with it and where. So it must never take
a text that means something else there; the tests hold both readers against each other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import qloom.convert.formulas as formulas
from qloom.circuits import Circuit, Instruction
from qloom.circuits.circuit import MAX_NESTING
from qloom.circuits.gates import CHANNELS
from qloom.convert.calls import DEFINITION, Calls, NotInSubset, Scope, define, member
from qloom.convert.conditions import Condition, conjunction, equality, instructions
from qloom.convert.dialects import INCLUDES, NOISE, RESERVED_3, meanings, why_not_a_name
from qloom.convert.kraus import read_kraus
from qloom.convert.limits import MAX_INSTRUCTIONS, MAX_QUBITS
from qloom.convert.matching import standard
from qloom.convert.names import spoken
from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_HEADER = re.compile(r"\s*OPENQASM\s+([23])(?:\.([0-9]+))?\s*;")
_VERSIONS = {("2", "0"): 2, ("3", None): 3, ("3", "0"): 3, ("3", "1"): 3}
# Another character might be a space to Python and none to OpenQASM, or the other way round.
_UNKNOWN_LETTER = re.compile(r"[^\t\n\r\x20-\x7e\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9\u03d1\u03d5]")
_BLOCK = re.compile(
    rf"{DEFINITION.pattern}|#?pragma[ \t]+(?P<noise>braket[ \t]+noise[^\r\n]*)(?=[\r\n]|\Z)"
    r"|#?pragma[ \t]+braket[ \t]+verbatim[ \t]*[\r\n]\s*box\s*\{(?P<box>[^{}]*)\}"
    r"|(?<!\w)if\s*\((?P<if>[^(){};]*)\)\s*\{"
)
_BRACE = re.compile(r"[{}]")
_ELSE = re.compile(r"\s*else\s*\{")
_WORD = re.compile(formulas.NAME)
_PHYSICAL = re.compile(r"\$[0-9]+")
_SOME = r"(?:\[[0-9]+\]|\[\{\s*[0-9]+(?:\s*,\s*[0-9]+)*\s*\}\])?"
_QUBITS = rf"(?P<qubit>(?:\$[0-9]+|{formulas.NAME}){_SOME})"
_BITS = rf"(?P<bit>{formulas.NAME}{_SOME})"

_ARROW = re.compile(rf"measure\s+{_QUBITS}\s*->\s*{_BITS}")
_ASSIGNMENT = re.compile(rf"{_BITS}\s*=\s*measure\s+{_QUBITS}")
_BARRIER = re.compile(r"barrier(?:\s+(?P<operands>[^=>]+))?")
_RESET = re.compile(r"reset\s+(?P<operand>[^,]+)")
_DELAY = re.compile(
    r"delay\s*\[\s*(?P<value>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)[ ]?(?P<unit>dt|ns|us|ms|s)\s*\]\s+(?P<operands>.+)",
    re.DOTALL,
)
_REGISTER_2 = re.compile(rf"(?P<kind>[qc]reg)\s+(?P<name>{formulas.NAME})\s*\[\s*(?P<size>[0-9]+)\s*\]")
_REGISTER_3 = re.compile(rf"(?P<kind>qubit|bit)\s*(?:\[\s*(?P<size>[0-9]+)\s*\]\s*|\s)(?P<name>{formulas.NAME})")
_INPUT_TYPE = re.compile(r"input\s+(?:float|angle)\s*(?:\[\s*[1-9][0-9]*\s*\]\s*)?")
_INCLUDE = re.compile(r'include\s*"([^"]*)"')
_IF = re.compile(r"if\s*\(([^(){}]*)\)(.*)", re.DOTALL)
_TEST = re.compile(
    rf"(?P<not>!\s*)?(?P<bits>{formulas.NAME}(?:\[[0-9]+\])?)(?:\s*(?P<sign>[=!]=)\s*(?P<value>[0-9]+|true|false))?"
)
_TRUTH = {"true": 1, "false": 0}
_OPAQUE = re.compile(
    rf"opaque\s+(?P<gate>{formulas.NAME})\s*(?:\((?:\s*{formulas.NAME}\s*(?:,\s*{formulas.NAME}\s*)*)?\)\s*)?"
    rf"(?<=[\s)]){formulas.NAME}\s*(?:,\s*{formulas.NAME}\s*)*"
)


def read_subset(text: str) -> Circuit:
    """Read OpenQASM text of the subset.

    Raises:
        NotInSubset: for anything else, right or wrong; the message quotes where it stopped.

    >>> read_subset('OPENQASM 3.0; input float[64] t; qubit[2] q; h q; ry(2*t + 0.3) q[1];').instructions[-1].parameters
    (Expression(2.0*t + 0.3),)
    """
    try:
        return _Reader(text).circuit()
    except NotInSubset:
        raise
    except (InvalidCircuit, ValueError, RecursionError) as error:  # ValueError: no formula, or a number of too many digits
        raise NotInSubset(str(error)) from error


class _Reader:
    """One text on its way to a circuit."""

    def __init__(self, text: str) -> None:
        self.spoken = spoken(text)
        self.version, self.text = _opened(_without_comments(text))
        self.included: frozenset[str] = frozenset()
        self.parameters: list[str] = []
        self.bits: dict[str, int | tuple[int, ...]] = {}
        self.qubits: dict[str, int | tuple[int, ...]] = {
            name: int(name[1:]) for name in (_PHYSICAL.findall(self.text) if "$" in self.text else ())
        }
        self.physical = bool(self.qubits)
        self.num_qubits = 1 + max((qubit for qubit in self.qubits.values() if isinstance(qubit, int)), default=-1)
        self.num_bits = 0
        self.in_box = False
        self.ifs = 0
        self.closing: dict[int, int] = {}
        self.defined: set[str] = set()
        old = self.version == 2
        self.names: dict[str, formulas.Value] = {**(formulas.CONSTANTS_2 if old else formulas.CONSTANTS_3)}
        self.gates = dict(meanings())
        functions = formulas.FUNCTIONS_2 if old else formulas.FUNCTIONS_3
        self.scope = Scope(self.gates, self.names, functions, self.qubits, whole_numbers=not old)
        self.calls = Calls(self.scope, self._statement, MAX_INSTRUCTIONS)
        self.operations: dict[str, Callable[[str], None]] = {
            "measure": self._measure,
            "barrier": self._barrier,
            "reset": self._reset,
            "delay": self._delay,
            "input": self._input,
            "if": self._if_statement,
            "opaque": self._opaque,
        }
        self.input_types: set[str] = set()

    def circuit(self) -> Circuit:
        if "{" in self.text or "pragma" in self.text:
            self._blocks(0, len(self.text))
        else:
            self.calls.read(self.text)
        if self.num_qubits > MAX_QUBITS:
            raise NotInSubset(f"{self.num_qubits} qubits")
        return Circuit.trusted(self.num_qubits, tuple(self.calls.steps), self.num_bits, self.parameters)

    # ---- blocks --------------------------------------------------------------------------------------------------

    def _blocks(self, position: int, end: int) -> None:
        """Read a part of the text: blocks, and the statements between them."""
        while block := _BLOCK.search(self.text, position, end):
            self.calls.read(self.text[position : block.start()])
            position = block.end()
            if block["if"] is not None:
                position = self._if_block(block["if"], block.end() - 1)
            else:
                self._block(block)
        self.calls.read(self.text[position:end])

    def _block(self, found: re.Match[str]) -> None:
        if self.ifs and (found["gate"] or self.text[found.end() : found.end() + 1] == "}"):
            raise NotInSubset(found[0])  # no definition stands in a block; a pragma goes on to the end of its line
        if found["gate"]:
            self._gate(found)
        elif self.version == 2:
            raise NotInSubset(found[0])
        elif found["noise"]:
            self._noise(found["noise"])
        else:
            self._box(found["box"])

    def _gate(self, found: re.Match[str]) -> None:
        name = found["gate"]
        if name in self.included:
            self.gates.pop(name, None)  # no gate is defined through itself
        else:
            self._new_name(name)
        if name in self.defined:
            raise NotInSubset(found[0])
        self.gates[name] = standard(name, define(found, self.scope))
        self.defined.add(name)

    def _noise(self, text: str) -> None:
        found = NOISE.fullmatch(text)
        if not found or found[1] not in CHANNELS:
            raise NotInSubset(text)
        probabilities = read_kraus(found[2]) if found[1] == "kraus" else self.calls.angles(found[2])
        if probabilities is None:
            raise NotInSubset(text)
        for qubits in self.calls.operands(found[3]):
            step = Instruction(found[1], qubits, probabilities)
            Circuit(self.num_qubits, [step])  # checks the counts and the probabilities
            self.calls.steps.append(step)

    def _box(self, text: str) -> None:
        if "pragma" in text:
            raise NotInSubset(text)
        before, self.calls.steps, self.in_box = self.calls.steps, [], True
        self.calls.held += len(before)
        self.calls.read(text)
        body, self.calls.steps, self.in_box = tuple(self.calls.steps), before, False
        self.calls.held += len(body) - len(before)
        qubits = tuple(sorted({qubit for step in body for qubit in step.qubits}))
        self.calls.steps.append(Instruction("verbatim", qubits, body=body))

    # ---- if ------------------------------------------------------------------------------------------------------

    def _if_block(self, condition_text: str, opened: int) -> int:
        """Read `{ ... } else { ... }` from the first brace on; return the position behind the last."""
        if not self.closing:
            self.closing = _pairs(self.text)
        asked = self._condition(condition_text)
        body, position = self._branch(opened)
        orelse: tuple[Instruction, ...] = ()
        if other := _ELSE.match(self.text, position):
            orelse, position = self._branch(other.end() - 1)
        self.calls.steps.extend(instructions(asked, body, orelse))
        return position

    def _branch(self, opened: int) -> tuple[tuple[Instruction, ...], int]:
        closed = self.closing.get(opened, -1)
        if closed < 0:
            raise NotInSubset("{")
        return self._inside(lambda: self._blocks(opened + 1, closed)), closed + 1

    def _if_statement(self, text: str) -> None:
        found = _IF.fullmatch(text)
        if not found or not found[2].strip():
            raise NotInSubset(text)
        asked = self._condition(found[1])
        body = self._inside(lambda: self.calls.read(found[2] + ";"))
        self.calls.steps.extend(instructions(asked, body, ()))

    def _inside(self, work: Callable[[], None]) -> tuple[Instruction, ...]:
        """Return the instructions that the work adds inside of an if."""
        outer, self.calls.steps = self.calls.steps, []
        self.calls.held += len(outer)
        self.ifs += 1
        if self.ifs > MAX_NESTING or self.in_box:
            raise NotInSubset("if")
        work()
        self.ifs -= 1
        inner, self.calls.steps = tuple(self.calls.steps), outer
        self.calls.held += len(inner) - len(outer)
        return inner

    def _condition(self, text: str) -> Condition:
        return conjunction([self._test(part.strip()) for part in text.split("&&")])

    def _test(self, text: str) -> Condition:
        found = _TEST.fullmatch(text)
        if not found or (found["not"] and found["sign"]):
            raise NotInSubset(text)
        bits, value = _members(found["bits"], self.bits), found["value"]
        if value is None or value in _TRUTH:
            if len(bits) > 1 or (value and self.version == 2):
                raise NotInSubset(text)
            asked = Condition(bits, _TRUTH[value or "true"])
        else:
            asked = equality(bits, int(value))
        return asked.opposite() if found["not"] or found["sign"] == "!=" else asked

    # ---- statements ----------------------------------------------------------------------------------------------

    def _statement(self, text: str) -> None:
        word = _WORD.match(text)
        operation = self.operations.get(word[0]) if word else None
        if operation:
            operation(text)
        elif found := _ASSIGNMENT.fullmatch(text):
            if self.version == 2:
                raise NotInSubset(text)
            self._record(found["qubit"], found["bit"])
        else:
            self._declaration(text)

    def _measure(self, text: str) -> None:
        found = _ARROW.fullmatch(text)
        if not found:
            raise NotInSubset(text)
        self._record(found["qubit"], found["bit"])

    def _record(self, qubit_text: str, bit_text: str) -> None:
        bits, qubits = _members(bit_text, self.bits), _members(qubit_text, self.qubits)
        if len(bits) != len(qubits):
            raise NotInSubset(bit_text)
        self.calls.steps.append(Instruction("measure", qubits, (), bits))

    def _barrier(self, text: str) -> None:
        found = _BARRIER.fullmatch(text)
        if not found or (found["operands"] is None and (self.physical or self.version == 2 or not self.num_qubits)):
            raise NotInSubset(text)
        qubits = tuple(range(self.num_qubits)) if found["operands"] is None else self._several(found["operands"])
        self.calls.steps.append(Instruction("barrier", qubits))

    def _reset(self, text: str) -> None:
        found = _RESET.fullmatch(text)
        if not found:
            raise NotInSubset(text)
        for qubit in _as_tuple(self.calls.resolve(found["operand"])):
            self.calls.steps.append(Instruction("reset", (qubit,)))

    def _delay(self, text: str) -> None:
        found = _DELAY.fullmatch(text)
        if not found or self.version == 2:
            raise NotInSubset(text)
        duration = formulas.finish(float(found["value"]))
        self.calls.steps.append(Instruction("delay", self._several(found["operands"]), (duration,), unit=found["unit"]))

    def _several(self, text: str) -> tuple[int, ...]:
        qubits = tuple(qubit for operand in text.split(",") for qubit in _as_tuple(self.calls.resolve(operand)))
        if len(set(qubits)) != len(qubits):
            raise NotInSubset(text)
        return qubits

    # ---- declarations --------------------------------------------------------------------------------------------

    def _declaration(self, text: str) -> None:
        if self.in_box or self.ifs:
            raise NotInSubset(text)
        if found := _INCLUDE.fullmatch(text):
            self._include(found[1])
        elif found := (_REGISTER_2.fullmatch(text) or (self.version == 3 and _REGISTER_3.fullmatch(text)) or None):
            self._register(found["name"], found["size"], quantum=found["kind"] in {"qubit", "qreg"})
        else:
            raise NotInSubset(text)

    def _include(self, file: str) -> None:
        if file not in INCLUDES:
            raise NotInSubset(file)
        self.included |= INCLUDES[file]
        if not self.included.isdisjoint({*self.qubits, *self.bits, *self.names, *self.defined}):
            raise NotInSubset(file)

    def _register(self, name: str, size: str | None, *, quantum: bool) -> None:
        self._new_name(name)
        start, length = (self.num_qubits if quantum else self.num_bits), 1 if size is None else int(size)
        if not 0 < length <= MAX_QUBITS or (quantum and self.physical):
            raise NotInSubset(name)
        members = start if size is None else tuple(range(start, start + length))
        if quantum:
            self.qubits[name], self.num_qubits = members, start + length
        else:
            self.bits[name], self.num_bits = members, start + length

    def _input(self, text: str) -> None:
        head, _, name = text.rpartition(" ")
        if self.in_box or self.ifs:
            raise NotInSubset(text)
        if head not in self.input_types:
            if self.version == 2 or not _INPUT_TYPE.fullmatch(head):
                raise NotInSubset(text)
            self.input_types.add(head)
        if not _WORD.fullmatch(name):
            raise NotInSubset(text)
        self._new_name(name)
        parameter = self.spoken.get(name, name)
        if parameter in self.parameters:
            raise NotInSubset(name)
        self.names[name] = ("parameter", parameter)
        self.parameters.append(parameter)

    def _opaque(self, text: str) -> None:
        found = _OPAQUE.fullmatch(text)
        if not found or self.version != 2 or self.in_box or self.ifs or RESERVED_3.intersection(_WORD.findall(text)):
            raise NotInSubset(text)  # words of version 3 mean something to the reference's lexer
        self._new_name(found["gate"])  # and no gate by that name is left: the reference refuses a call
        self.defined.add(found["gate"])

    def _new_name(self, name: str) -> None:
        taken = name in self.qubits or name in self.bits or name in self.names or name in self.defined
        if taken or why_not_a_name(name, self.version, self.included):
            raise NotInSubset(name)
        self.gates.pop(name, None)  # without an include, the name of a gate is free, and then means no gate any more


def _without_comments(text: str) -> str:
    if "//" in text or "/*" in text:
        if "pragma" in text and "/*" in text:
            raise NotInSubset("a block comment beside a pragma")
        text = _COMMENT.sub(" ", text)
    if found := _UNKNOWN_LETTER.search(text):
        raise NotInSubset(found[0])
    return text


def _opened(text: str) -> tuple[int, str]:
    """Return the version and what follows the header; the version is 3 where the text does not say."""
    header = _HEADER.match(text)
    if header is None:
        if not text.strip():
            raise NotInSubset("no statement")
        return 3, text
    version = _VERSIONS.get((header[1], header[2]))
    if version is None or (version == 2 and "**" in text):
        raise NotInSubset(header[0])
    rest = text[header.end() :]
    return version, rest.replace("^", "**") if version == 2 else rest


def _pairs(text: str) -> dict[int, int]:
    """Return the position of each opening brace -> that of the brace that closes it."""
    pairs: dict[int, int] = {}
    open_braces: list[int] = []
    for found in _BRACE.finditer(text):
        if found[0] == "{":
            open_braces.append(found.start())
        elif open_braces:
            pairs[open_braces.pop()] = found.start()
    return pairs


def _members(text: str, registers: Mapping[str, int | tuple[int, ...]]) -> tuple[int, ...]:
    """Return the members that `r`, `r[1]` or `r[{1, 0}]` names."""
    name, bracket, index = text.partition("[")
    register = registers.get(name)
    if register is None:
        raise NotInSubset(text)
    if not bracket:
        return _as_tuple(register)
    members = tuple([member(register, int(position)) for position in index.strip("{}]").split(",")])
    if len(set(members)) != len(members):
        raise NotInSubset(text)
    return members


def _as_tuple(members: int | tuple[int, ...]) -> tuple[int, ...]:
    return (members,) if isinstance(members, int) else members
