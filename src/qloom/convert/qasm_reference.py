"""The reference reader: any OpenQASM 2 or 3 that the circuit form can hold, by a walk of the tree that `openqasm3` parses.

Gate definitions, modifiers, constant loops, aliases and broadcast are unrolled; `input` parameters stay symbolic; an `if` on
classical bits stays one. What the
form cannot hold is refused by name, with line and column. Loaded only for text that the fast reader does not take: it is
some fifty times slower.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from openqasm3 import ast

import qloom.convert.formulas as formulas
from qloom.circuits import Circuit, Expression, Instruction
from qloom.circuits.algebra import controlled, inverse_sequence, power
from qloom.circuits.circuit import MAX_NESTING
from qloom.circuits.gates import CHANNELS
from qloom.convert.calls import Meaning
from qloom.convert.conditions import instructions
from qloom.convert.dialects import INCLUDES, NOISE, NOISE_NAME, VERBATIM, meanings, why_not_a_name
from qloom.convert.kraus import read_kraus
from qloom.convert.limits import MAX_DEFINITION, MAX_INSTRUCTIONS, MAX_QUBITS
from qloom.convert.matching import standard
from qloom.convert.names import spoken
from qloom.convert.qasm_conditions import read_condition
from qloom.convert.qasm_constants import Duration, Entry, Register, Values, words, wrong
from qloom.convert.qasm_syntax import Parsed, parse
from qloom.errors import InvalidCircuit, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qloom.circuits import Angle

_LINE_COMMENT = re.compile(r"//.*")

REFUSED: dict[type, str] = {
    ast.WhileLoop: "classical control flow ('while') is not held by the circuit form yet",
    ast.SwitchStatement: "classical control flow ('switch') is not held by the circuit form yet",
    ast.BreakStatement: "classical control flow ('break') is not held by the circuit form yet",
    ast.ContinueStatement: "classical control flow ('continue') is not held by the circuit form yet",
    ast.EndStatement: "classical control flow ('end') is not held by the circuit form yet",
    ast.ReturnStatement: "classical control flow ('return') is not held by the circuit form yet",
    ast.SubroutineDefinition: "a subroutine ('def') is not held by the circuit form; write it as a gate, or where it is called",
    ast.ExternDeclaration: "a function from outside ('extern') is not held by the circuit form",
    ast.CalibrationGrammarDeclaration: "pulse-level calibration ('defcalgrammar') is not held by the circuit form",
    ast.CalibrationStatement: "pulse-level calibration ('cal') is not held by the circuit form",
    ast.CalibrationDefinition: "pulse-level calibration ('defcal') is not held by the circuit form",
    ast.ClassicalAssignment: "an assignment to a classical variable is not held by the circuit form; a constant is",
    ast.ExpressionStatement: "an expression that stands alone does nothing that the circuit form could hold",
}
"""Statements that the circuit form cannot hold -> what is said of them."""

IN_A_GATE = (ast.QuantumGate, ast.QuantumPhase, ast.ForInLoop, ast.QuantumBarrier)


def read_reference(text: str) -> Circuit:
    """Read any OpenQASM 2 or 3 text.

    Raises:
        InvalidCircuit: wrong text, or something that the circuit form cannot hold; with line and column.

    >>> read_reference("qubit[3] q; ctrl(2) @ inv @ s q[0], q[1], q[2];").instructions[0][:2]
    ('sdg', (0, 1, 2))
    """
    parsed = parse(text)
    return _Walk(text, parsed).circuit(parsed.program)


class _Walk:
    """One program on its way to a circuit."""

    def __init__(self, text: str, parsed: Parsed) -> None:
        self.text = text
        self.version, self.opaque, self.physical = parsed.version, parsed.opaque, parsed.physical
        self.spoken = spoken(text)
        self.values = Values(self.version)
        self.gates: dict[str, Meaning] = {}
        self.later: dict[str, Any] = {}
        self.defining = ""
        self.included: frozenset[str] = frozenset()
        self.parameters: list[str] = []
        self.steps: list[Instruction] = []
        self.turns = 0
        self.held = 0
        self.ifs = 0
        self.num_bits = 0
        self.num_qubits = 1 + max(self.physical.values(), default=-1)
        self.declared = ""
        self.values.scopes[0].update({name: Register(True, (index,), single=True) for name, index in self.physical.items()})
        self.in_box = False
        self.statements: dict[type, Callable[[Any], None]] = {
            ast.Include: self._include,
            ast.QubitDeclaration: self._qubits,
            ast.ClassicalDeclaration: self._classical,
            ast.ConstantDeclaration: self._constant,
            ast.IODeclaration: self._input,
            ast.AliasStatement: self._alias,
            ast.QuantumGateDefinition: self._define,
            ast.QuantumGate: self._gate,
            ast.QuantumPhase: self._phase,
            ast.QuantumMeasurementStatement: self._measure,
            ast.QuantumBarrier: self._barrier,
            ast.QuantumReset: self._reset,
            ast.DelayInstruction: self._delay,
            ast.ForInLoop: self._loop,
            ast.BranchingStatement: self._if,
            ast.CompoundStatement: self._scope,
            ast.Pragma: self._pragma,
            ast.Box: self._plain_box,
        }

    def circuit(self, program: Any) -> Circuit:
        self.later = {
            statement.name.name: statement for statement in program.statements if isinstance(statement, ast.QuantumGateDefinition)
        }
        self._block(program.statements)
        return Circuit(self.num_qubits, self.steps, num_clbits=self.num_bits, parameters=self.parameters)

    # ---- statements in general -----------------------------------------------------------------------------------

    def _block(self, statements: Sequence[Any]) -> None:
        position = 0
        while position < len(statements):
            statement = statements[position]
            if isinstance(statement, ast.Pragma) and VERBATIM.fullmatch(_pragma_text(statement)):
                position += 1
                self._verbatim(statement, statements[position] if position < len(statements) else None)
            else:
                self._statement(statement)
            position += 1

    def _statement(self, statement: Any) -> None:
        kind = type(statement)
        if kind in REFUSED:
            wrong(statement, REFUSED[kind])
        if kind not in self.statements:
            wrong(statement, f"a {words(statement)} is not held by the circuit form")
        if getattr(statement, "annotations", None):
            wrong(statement, f"an annotation ('@{statement.annotations[0].keyword}') is not held by the circuit form")
        if self.defining and kind not in IN_A_GATE:
            wrong(statement, f"a {words(statement)} cannot stand in the definition of gate {self.defining!r}")
        self.values.within(statement, lambda: self.statements[kind](statement))

    def _scope(self, statement: Any) -> None:
        self.values.scopes.append({})
        self._block(statement.statements)
        self.values.scopes.pop()

    def _if(self, statement: Any) -> None:
        if self.in_box:
            wrong(statement, "an if inside a verbatim box cannot be run as it stands; put the box inside of the if")
        self.ifs += 1
        if self.ifs > MAX_NESTING:
            wrong(statement, f"ifs are nested more than {MAX_NESTING} deep, which is the limit")
        condition = read_condition(statement.condition, self.values)
        body, orelse = self._branch(statement.if_block), self._branch(statement.else_block)
        self.ifs -= 1
        self._add(statement, instructions(condition, body, orelse))

    def _branch(self, statements: Sequence[Any]) -> tuple[Instruction, ...]:
        outer, self.steps = self.steps, []
        self.held += len(outer)
        self.values.scopes.append({})
        self._block(statements)
        self.values.scopes.pop()
        branch, self.steps = tuple(self.steps), outer
        self.held += len(branch) - len(outer)
        return branch

    def _loop(self, statement: Any) -> None:
        kind, numbers = statement.type, statement.set_declaration
        if isinstance(numbers, ast.RangeDefinition):
            if numbers.start is None or numbers.end is None:
                wrong(statement, "a loop needs a range with both ends, such as [0:3]")
            step = 1 if numbers.step is None else self.values.whole(numbers.step)
            turns: Iterable[Any] = self.values.count(
                statement, self.values.whole(numbers.start), step, self.values.whole(numbers.end)
            )
        elif isinstance(numbers, ast.DiscreteSet):
            turns = [self.values.value(value) for value in numbers.values]
        else:
            wrong(
                statement, f"a loop over a {words(numbers)} is not held by the circuit form; ranges [0:3] and sets {{0, 2}} are"
            )
        for turn in turns:
            self._count(statement)
            self.values.scopes.append({statement.identifier.name: self.values.converted(statement, kind, turn)})
            self._block(statement.block)
            self.values.scopes.pop()

    def _count(self, node: Any) -> None:
        self.turns += 1
        if self.turns > MAX_INSTRUCTIONS:
            wrong(node, f"the loops of the program take more than {MAX_INSTRUCTIONS} turns, which is the limit")

    def _add(self, node: Any, steps: Iterable[Instruction]) -> None:
        self.steps.extend(steps)
        limit = MAX_DEFINITION if self.defining else MAX_INSTRUCTIONS
        if len(self.steps) + (0 if self.defining else self.held) > limit:
            what = f"gate {self.defining!r}" if self.defining else "the program"
            wrong(node, f"{what} unrolls into more than {limit} instructions, which is the limit")

    # ---- declarations --------------------------------------------------------------------------------------------

    def _new_name(self, node: Any, name: str) -> None:
        if name in self.values.scopes[-1] or name in self.gates or name in self.opaque:
            wrong(node, f"{name!r} is declared already")
        if reason := why_not_a_name(name, self.version, self.included):
            wrong(node, reason)

    def _include(self, statement: Any) -> None:
        if statement.filename not in INCLUDES:
            wrong(statement, f"cannot include {statement.filename!r}; {' and '.join(sorted(INCLUDES))} are known")
        self.included |= INCLUDES[statement.filename]
        for name in self.values.scopes[0]:
            if name in self.included:
                wrong(statement, f"the included file defines the gate {name!r}, and that name is declared already")

    def _qubits(self, statement: Any) -> None:
        name = statement.qubit.name
        self._new_name(statement, name)
        self.declared = name
        size = 1 if statement.size is None else self.values.size(statement.size)
        members = tuple(range(self.num_qubits, self.num_qubits + size))
        self.num_qubits += size
        if self.num_qubits > MAX_QUBITS:
            wrong(statement, f"{self.num_qubits} qubits are more than the limit of {MAX_QUBITS}")
        self.values.scopes[-1][name] = Register(True, members, single=statement.size is None)

    def _classical(self, statement: Any) -> None:
        name, kind, start = statement.identifier.name, statement.type, statement.init_expression
        if not isinstance(kind, ast.BitType):
            self._variable(statement, constant=False)
            return
        self._new_name(statement, name)
        size = 1 if kind.size is None else self.values.size(kind.size)
        members = tuple(range(self.num_bits, self.num_bits + size))
        self.num_bits += size
        if self.num_bits > MAX_QUBITS:
            wrong(statement, f"{self.num_bits} classical bits are more than the limit of {MAX_QUBITS}")
        register = self.values.scopes[-1][name] = Register(False, members, single=kind.size is None)
        if isinstance(start, ast.QuantumMeasurement):
            self._record(statement, start.qubit, register)
        elif start is not None:
            wrong(statement, f"a value for the bits {name!r} is not held by the circuit form; they start at 0")

    def _constant(self, statement: Any) -> None:
        self._variable(statement, constant=True)

    def _variable(self, statement: Any, *, constant: bool) -> None:
        name, kind, start = statement.identifier.name, statement.type, statement.init_expression
        if isinstance(kind, ast.ArrayType):
            wrong(statement, f"an array ({name!r}) is not held by the circuit form")
        self._new_name(statement, name)
        if start is None:
            wrong(statement, f"the variable {name!r} has no value; the circuit form holds constants only")
        if isinstance(kind, ast.DurationType):
            self.values.scopes[-1][name] = self.values.duration(start)
            return
        self.values.check_type(statement, kind)
        value = self.values.converted(statement, kind, self.values.value(start))
        if constant and isinstance(value, tuple):
            wrong(statement, f"the constant {name!r} depends on an input; declare it without 'const'")
        self.values.scopes[-1][name] = value

    def _input(self, statement: Any) -> None:
        name, kind = statement.identifier.name, statement.type
        if statement.io_identifier.name != "input":
            wrong(statement, f"an output variable ({name!r}) is not held by the circuit form; measured bits are the output")
        if not isinstance(kind, ast.FloatType | ast.AngleType):
            shown = words(kind).removesuffix(" type")
            wrong(
                statement, f"input {name!r} is of type {shown!r}; only inputs of type float and angle stay symbolic in a circuit"
            )
        self._new_name(statement, name)
        parameter = self.spoken.get(name, name)
        if parameter in self.parameters:
            wrong(statement, f"two inputs stand for the parameter {parameter!r}")
        self.values.scopes[-1][name] = ("parameter", parameter)
        self.parameters.append(parameter)

    def _alias(self, statement: Any) -> None:
        self._new_name(statement, statement.target.name)
        self.values.scopes[-1][statement.target.name] = self.values.register(statement.value)

    # ---- gates ---------------------------------------------------------------------------------------------------

    def _define(self, statement: Any) -> None:
        name = statement.name.name
        parameters = [argument.name for argument in statement.arguments]
        qubits = [qubit.name for qubit in statement.qubits]
        if name in self.gates or name in self.values.scopes[0] or name in self.opaque:
            wrong(statement, f"{name!r} is declared already")
        if reason := why_not_a_name(name, self.version, frozenset()):
            wrong(statement, reason)
        if len({*parameters, *qubits}) != len(parameters) + len(qubits):
            wrong(statement, f"gate {name!r} gives one name to two of its parameters and qubits")
        self.gates[name] = standard(name, self._body(statement, parameters, qubits))

    def _body(self, statement: Any, parameters: list[str], qubits: list[str]) -> Meaning:
        # A body sees global constants, not inputs and not registers.
        scopes, steps = self.values.scopes, self.steps
        constants: dict[str, Entry] = {name: value for name, value in scopes[0].items() if isinstance(value, int | float)}
        formal: dict[str, Entry] = {name: ("parameter", name) for name in parameters}
        formal |= {name: Register(True, (index,), single=True) for index, name in enumerate(qubits)}
        self.values.scopes, self.steps, self.defining = [constants, formal], [], statement.name.name
        self._block(statement.body)
        body = tuple(self.steps)
        self.values.scopes, self.steps, self.defining = scopes, steps, ""
        return Meaning(len(parameters), len(qubits), "", 0, tuple(parameters), body)

    def _meaning(self, node: Any) -> Meaning:
        name = node.name.name
        found = self.values.find(name)
        known = self.gates.get(name) or meanings().get(name)
        if known is None or found is not None or name == self.defining or name in self.opaque:
            self._wrong_gate(node, self._why_no_gate(name, found))
        return known

    def _why_no_gate(self, name: str, found: object) -> str:
        if found is not None:
            return f"{name!r} is a {'register' if isinstance(found, Register) else 'number'} here, not a gate"
        if name in self.opaque:
            return f"gate {name!r} is opaque (declared in line {self.opaque[name]}): no definition says what a circuit is to hold"
        if name == self.defining:
            return f"gate {name!r} is defined through itself, so it cannot be unrolled"
        if name in self.later:
            cycle = " (gates that are defined through each other cannot be unrolled)" if self.defining else ""
            return f"gate {name!r} is defined only later, in line {self.later[name].span.start_line}; move it up{cycle}"
        return str(UnknownName.among("gate", name, {*meanings(), *self.gates}))

    def _wrong_gate(self, node: Any, message: str) -> NoReturn:
        """Point at the gate's name, which modifiers may stand before."""
        line, column = node.span.start_line, node.span.start_column
        source = self.text.split("\n")[line - 1]
        found = re.compile(rf"(?<!\w){re.escape(node.name.name)}(?!\w)").search(source, column)
        raise InvalidCircuit(message, line=line, column=(found.start() if found else column) + 1)

    def _gate(self, statement: Any) -> None:
        meaning = self._meaning(statement)
        if statement.duration is not None:
            wrong(statement, "a gate with a duration of its own (`gate[100ns] q`) is not held by the circuit form")
        name, given = statement.name.name, len(statement.arguments)
        if given != meaning.num_parameters:
            plural = "s" * (meaning.num_parameters != 1)
            self._wrong_gate(statement, f"{name} takes {meaning.num_parameters} parameter{plural}, got {given}")
        self._call(statement, name, meaning, tuple(self.values.angle(argument) for argument in statement.arguments))

    def _phase(self, statement: Any) -> None:
        self._call(statement, "gphase", meanings()["gphase"], (self.values.angle(statement.argument),))

    def _call(self, statement: Any, name: str, meaning: Meaning, angles: tuple[Angle, ...]) -> None:
        signs, changes = self._modifiers(statement)
        total = len(signs) + meaning.num_qubits
        if len(statement.qubits) != total:
            extra = f" ({len(signs)} of them for its modifiers)" if signs else ""
            wrong(statement, f"{name} acts on {total} qubit{'s' * (total != 1)}{extra}, got {len(statement.qubits)}")
        groups = self._groups(statement)
        if not signs and not changes:
            for group in groups:
                self._add(statement, meaning.apply(angles, group))
            return
        steps = self._modified(statement, meaning.apply(angles, range(len(signs), total)), signs, changes)
        local = Meaning(0, total, "", 0, (), steps)
        for group in groups:
            self._add(statement, local.apply((), group))

    def _modifiers(self, statement: Any) -> tuple[list[bool], list[Any]]:
        """Return the extra controls, in order (True for |1>), and the other modifiers, the one that acts first in front.

        Controls commute with `inv` and `pow`, so they can be put on last.
        """
        signs: list[bool] = []
        changes: list[Any] = []
        for modifier in reversed(statement.modifiers):
            kind = modifier.modifier.name
            if kind in {"ctrl", "negctrl"}:
                count = 1 if modifier.argument is None else self.values.whole(modifier.argument)
                if not 0 < count <= MAX_QUBITS:
                    wrong(modifier, f"{kind} takes a number of controls from 1 to {MAX_QUBITS}, got {count}")
                signs = [kind == "ctrl"] * count + signs
            else:
                changes.append(modifier)
        return signs, changes

    def _modified(
        self, statement: Any, steps: tuple[Instruction, ...], signs: list[bool], changes: list[Any]
    ) -> tuple[Instruction, ...]:
        for modifier in changes:
            if modifier.modifier.name == "inv":
                steps = inverse_sequence(steps)
                continue
            exponent = self._exponent(modifier)
            if abs(exponent) * len(steps) > MAX_INSTRUCTIONS:
                wrong(modifier, f"a power of {exponent} unrolls into more than the limit of {MAX_INSTRUCTIONS} instructions")
            steps = power(steps, exponent)
        if not signs:
            return steps
        controls = range(len(signs))
        flips = tuple(Instruction("x", (control,)) for control, sign in enumerate(signs) if not sign)
        return (*flips, *(controlled(step, controls) for step in steps), *flips)

    def _exponent(self, modifier: Any) -> float:
        exponent = self.values.value(modifier.argument)
        if isinstance(exponent, tuple):
            wrong(modifier, f"the exponent of 'pow' must be a constant, and {Expression(exponent)} is not one")
        return exponent

    def _groups(self, statement: Any) -> list[tuple[int, ...]]:
        """Return the qubits of each of the calls that a statement stands for."""
        operands = [self._quantum(qubit) for qubit in statement.qubits]
        sizes = {len(operand.members) for operand in operands if not operand.single}
        if len(sizes) > 1:
            wrong(
                statement,
                f"the registers differ in size ({', '.join(map(str, sorted(sizes)))}), so they cannot be walked together",
            )
        groups = [
            tuple(operand.members[0 if operand.single else turn] for operand in operands)
            for turn in range(sizes.pop() if sizes else 1)
        ]
        if any(len(set(group)) != len(group) for group in groups):
            wrong(statement, "the call names one qubit twice")
        return groups

    def _quantum(self, node: Any) -> Register:
        register = self.values.register(node)
        if self.declared and isinstance(node, ast.Identifier) and node.name in self.physical:
            wrong(node, f"physical qubits and declared ones ({self.declared!r}) in one program are not held by the circuit form")
        if not register.quantum:
            wrong(node, "a classical bit stands where a qubit is needed")
        return register

    def _several(self, nodes: Sequence[Any]) -> tuple[int, ...]:
        return tuple(member for node in nodes for member in self._quantum(node).members)

    # ---- other operations ----------------------------------------------------------------------------------------

    def _measure(self, statement: Any) -> None:
        if statement.target is None:
            wrong(
                statement, "a measurement whose result goes nowhere is not held by the circuit form; write `c[0] = measure q[0];`"
            )
        self._record(statement, statement.measure.qubit, self.values.register(statement.target))

    def _record(self, statement: Any, qubits: Any, target: Register) -> None:
        source = self._quantum(qubits)
        if target.quantum:
            wrong(statement, "a measurement is read into classical bits, and the target is quantum")
        if len(source.members) != len(target.members):
            wrong(statement, f"{len(source.members)} qubits are measured into {len(target.members)} bits; sizes must agree")
        self._add(statement, [Instruction("measure", source.members, (), target.members)])

    def _barrier(self, statement: Any) -> None:
        qubits = self._several(statement.qubits) if statement.qubits else self._all_qubits()
        self._add_checked(statement, Instruction("barrier", qubits))

    def _all_qubits(self) -> tuple[int, ...]:
        if self.defining:
            formal = self.values.scopes[1].values()
            return tuple(entry.members[0] for entry in formal if isinstance(entry, Register))
        return tuple(range(self.num_qubits))

    def _reset(self, statement: Any) -> None:
        self._add(statement, [Instruction("reset", (qubit,)) for qubit in self._several([statement.qubits])])

    def _delay(self, statement: Any) -> None:
        if not statement.qubits:
            wrong(statement, "a delay without qubits is not held by the circuit form; name them")
        time: Duration = self.values.duration(statement.duration)
        self._add_checked(
            statement, Instruction("delay", self._several(statement.qubits), (formulas.finish(time.value),), unit=time.unit)
        )

    def _add_checked(self, node: Any, step: Instruction) -> None:
        Circuit(max((self.num_qubits, *(1 + qubit for qubit in step.qubits))), [step])  # says what is wrong with it
        self._add(node, [step])

    # ---- pragmas and boxes ---------------------------------------------------------------------------------------

    def _pragma(self, statement: Any) -> None:
        text = _pragma_text(statement)
        named = NOISE_NAME.match(text)
        if len(self.values.scopes) - self.ifs > 1 or self.version == 2:
            wrong(statement, "a pragma cannot stand inside a block other than an if, nor in OpenQASM 2")
        if not named:
            shown = " ".join(text.split()[:2])
            wrong(statement, f"the pragma {shown!r} is not held by the circuit form; 'braket noise' and 'braket verbatim' are")
        if named[1] not in CHANNELS:
            wrong(statement, str(UnknownName.among("noise channel", named[1], CHANNELS)))
        numbers: tuple[float, ...] = ()
        if named[1] == "kraus":
            text, numbers = _kraus(statement, text)
        call = _tree_of_call(statement, text)
        probabilities: tuple[Angle, ...] = numbers or tuple(self.values.angle(argument) for argument in call.arguments)
        for group in self._groups(call):
            self._add_checked(statement, Instruction(named[1], group, probabilities))

    def _plain_box(self, statement: Any) -> None:
        wrong(statement, "a 'box' is held by the circuit form only behind '#pragma braket verbatim'")

    def _verbatim(self, pragma: Any, box: Any) -> None:
        if not isinstance(box, ast.Box):
            wrong(pragma, "'#pragma braket verbatim' stands before a box: `box { ... }`")
        if box.duration is not None:
            wrong(box, "a box with a duration is not held by the circuit form")
        if self.in_box or self.defining or len(self.values.scopes) - self.ifs > 1:
            wrong(pragma, "a verbatim box cannot stand inside another block")
        outer, self.steps, self.in_box = self.steps, [], True
        self.held += len(outer)
        self._block(box.body)
        body, self.steps, self.in_box = tuple(self.steps), outer, False
        self.held += len(body) - len(outer)
        self._add(box, [Instruction("verbatim", tuple(sorted({qubit for step in body for qubit in step.qubits})), body=body)])


def _pragma_text(statement: Any) -> str:
    return _LINE_COMMENT.sub("", statement.command).strip()


def _kraus(statement: Any, text: str) -> tuple[str, tuple[float, ...]]:
    """Return the pragma with a number in place of its operators, which OpenQASM has no words for, and their numbers."""
    found = NOISE.fullmatch(text)
    numbers = read_kraus(found[2]) if found else None
    if found is None or numbers is None:
        wrong(statement, f"{text!r} cannot be read as noise; write `braket noise kraus([[1, 0], [0, 0]], [[0, 1], [0, 0]]) q[0]`")
    return text.replace(found[2], "0"), numbers


def _tree_of_call(statement: Any, text: str) -> Any:
    """Return the tree of a noise pragma's `NAME(probabilities) operands`, with the pragma's place."""
    found = NOISE.fullmatch(text)
    call = None
    if found:
        # Its own errors would name places in this line.
        with suppress(InvalidCircuit):
            call, *others = parse(f"x({found[2]}) {found[3]};").program.statements
            call = None if others else call
    if not isinstance(call, ast.QuantumGate):
        wrong(statement, f"{text!r} cannot be read as noise; write `braket noise bit_flip(0.1) q[0]`")
    pending = [call]
    while pending:
        node = pending.pop()
        node.span = statement.span
        pending += [child for value in vars(node).values() for child in _flat(value) if isinstance(child, ast.QASMNode)]
    return call


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield value
