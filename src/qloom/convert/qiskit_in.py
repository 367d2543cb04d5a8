"""Qiskit circuits, by a walk of the live object; Qiskit itself is never imported here."""

from __future__ import annotations

from functools import cache
from itertools import repeat
from math import isfinite
from typing import TYPE_CHECKING, Any

from qloom.circuits import Circuit, Expression, Instruction
from qloom.circuits.algebra import controlled, inverse_sequence, power
from qloom.circuits.circuit import DELAY_UNITS, MAX_NESTING
from qloom.circuits.expressions import NAME, number
from qloom.circuits.gates import GATES
from qloom.convert.calls import Meaning
from qloom.convert.conditions import instructions
from qloom.convert.dialects import meanings
from qloom.convert.formulas import FUNCTIONS_QISKIT, Formulas, NotAFormula, leaf
from qloom.convert.limits import MAX_INSTRUCTIONS
from qloom.convert.qiskit_conditions import read_condition
from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.circuits import Angle

_MAX_NESTING = 50
_CONTROL_FLOW = frozenset({"while_loop", "switch_case", "break_loop", "continue_loop", "box", "store"})
_STANDARD_MODULE = "qiskit.circuit.library.standard_gates"
_PROBES = (0.7310585, 0.3183098, 0.8414709, 0.2360679, 0.9287421)
_TOLERANCE = 1e-9


def read_qiskit(circuit: Any) -> Circuit:
    """Return a Qiskit `QuantumCircuit` as a `Circuit`; see `qloom.convert.from_qiskit`."""
    names = tuple(parameter.name for parameter in circuit.parameters)
    for name in names:
        if not NAME.fullmatch(name):
            raise InvalidCircuit(
                f"the Qiskit parameter {name!r} needs a name of letters, digits and _, such as 'theta' or 'theta[0]';"
                " rename it, for example with circuit.assign_parameters({old: Parameter('new')})"
            )
    walk = _Walk(names)
    walk.circuit(circuit, range(circuit.num_qubits), range(circuit.num_clbits))
    return Circuit.trusted(circuit.num_qubits, tuple(walk.steps), circuit.num_clbits, names, circuit.name or "")


@cache
def _standard_gates() -> Mapping[str, Meaning]:
    """Return the meaning of Qiskit's standard gates by their names there, as far as the circuit form has them."""
    known = meanings()
    found = {name: known[name] for name in GATES if name != "gphase"}
    found |= {name: known[name] for name in ("u1", "u2", "u3", "cu1", "cu3", "dcx", "rccx")}
    return found | {"global_phase": known["gphase"], "mcx": known["c3x"], "c3sx": known["c3sqrtx"], "rcccx": known["rc3x"]}


@cache
def _plain_gates() -> Mapping[str, tuple[str, int, bool]]:
    """Return name, controls and whether there is an angle, of the standard gates that are one gate with at most one angle."""
    return {
        name: (meaning.name, meaning.controls, bool(meaning.num_parameters))
        for name, meaning in _standard_gates().items()
        if meaning.name and meaning.num_parameters <= 1
    }


class _Walk:
    """One circuit, its definitions opened, on its way to a list of instructions."""

    def __init__(self, names: Sequence[str]) -> None:
        self.steps: list[Instruction] = []
        self.formulas = Formulas({name: ("parameter", name) for name in names}, FUNCTIONS_QISKIT, whole_numbers=False)
        self.symbols: dict[str | None, Expression] = {name: Expression(("parameter", name)) for name in names}
        self.seen: dict[str, Expression] = {}
        self.compared: set[str] = set()
        self.nesting = 0
        self.ifs = 0
        self.held = 0
        self.opened = 0

    def circuit(self, circuit: Any, qubits: Sequence[int], clbits: Sequence[int]) -> None:
        """Add a circuit's instructions, its qubits and bits placed on these."""
        place = dict(zip(circuit.qubits, qubits, strict=True))
        bits = dict(zip(circuit.clbits, clbits, strict=True))
        phase = circuit.global_phase
        if not isinstance(phase, float | int) or phase:
            self.steps.append(Instruction("gphase", (), (self.angle(phase),)))
        plain_gate = _plain_gates().get
        rows: list[tuple[Any, ...]] = []  # plain gates since the last one that is none: made into instructions at one go
        append = rows.append
        for instruction in circuit.data:
            # One and two qubits, and one angle, are nearly all there is: for them no list is made, and what is not there is
            # not asked for.
            given = instruction.qubits
            if len(given) == 2:
                first, second = given
                on: tuple[int, ...] = (place[first], place[second])
            elif len(given) == 1:
                on = (place[given[0]],)
            else:
                on = tuple([place[qubit] for qubit in given])
            plain = plain_gate(instruction.name)
            if plain is None or not instruction.is_standard_gate():
                self._add(rows)
                self._rarer(instruction, on, bits)
                continue
            name, controls, has_angle = plain
            if has_angle:
                (value,) = instruction.params
                angles: tuple[Angle, ...] = (value if type(value) is float and isfinite(value) else self.angle(value),)
            else:
                angles = ()
            append((name, on, angles, (), controls, "", (), 0, ()))
        self._add(rows)
        self.opened += 1
        if max(len(self.steps) + self.held, self.opened) > MAX_INSTRUCTIONS:
            raise InvalidCircuit(f"the circuit unrolls into more than the limit of {MAX_INSTRUCTIONS} instructions")

    def _add(self, rows: list[tuple[Any, ...]]) -> None:
        self.steps.extend(map(tuple.__new__, repeat(Instruction), rows))
        rows.clear()

    def _rarer(self, instruction: Any, on: tuple[int, ...], bits: Mapping[Any, int]) -> None:
        meaning = _standard_gates().get(instruction.name)
        if meaning is not None and instruction.is_standard_gate():
            self.steps += meaning.apply(tuple(self.angle(value) for value in instruction.params), on)
        else:
            self.other(instruction.operation, on, tuple(bits[bit] for bit in instruction.clbits), bits)

    # ---- angles --------------------------------------------------------------------------------------------------

    def angle(self, value: Any) -> Angle:
        """Return a number or formula; the text that Qiskit writes for an expression is read, each once."""
        if type(value) is float and isfinite(value):
            return value
        symbol = self.symbols.get(getattr(value, "name", None))
        if symbol is not None:
            return symbol
        parameters = getattr(value, "parameters", None)
        if not parameters:
            return number(value)
        text = str(value)
        found = self.seen.get(text)
        if found is None:
            found = self.seen[text] = self._formula(value, text, list(parameters))
        return found

    def _formula(self, value: Any, text: str, parameters: list[Any]) -> Expression:
        try:
            read = self.formulas.value(text)
        except NotAFormula as error:
            raise InvalidCircuit(f"the angle {text!r} of the Qiskit circuit is no formula that the circuit form holds") from error
        expression = Expression(leaf(read))
        form = text.replace(parameters[0].name, "\0") if len(parameters) == 1 else text
        if form not in self.compared:
            self._compare(value, text, expression, parameters)
            self.compared.add(form)
        return expression

    @staticmethod
    def _compare(value: Any, text: str, expression: Expression, parameters: list[Any]) -> None:
        """Hold the formula that was read against the expression itself: Qiskit writes it for people, not for readers."""
        probes = {
            parameter: _PROBES[index % len(_PROBES)] / (1 + index // len(_PROBES)) for index, parameter in enumerate(parameters)
        }
        ours = expression.evaluate({parameter.name: probe for parameter, probe in probes.items()})
        theirs = float(value.bind(probes))
        if abs(ours - theirs) > _TOLERANCE * max(1.0, abs(theirs)):
            raise InvalidCircuit(
                f"the angle {text!r} of the Qiskit circuit reads otherwise than it is worked out ({ours} for {theirs})"
            )

    # ---- everything but standard gates ---------------------------------------------------------------------------

    def other(self, operation: Any, qubits: tuple[int, ...], clbits: tuple[int, ...], bits: Mapping[Any, int]) -> None:
        """Add what an operation does that is no plain standard gate; conditions look up Qiskit's bits in `bits`."""
        name = operation.name
        kind = type(operation).__name__
        if name in _CONTROL_FLOW:
            raise InvalidCircuit(f"classical control flow ({name!r}) is not held by the circuit form yet")
        if name == "measure":
            self.steps.append(Instruction("measure", qubits, (), clbits))
        elif name == "barrier":
            self.steps += [Instruction("barrier", qubits)] if qubits else []
        elif name == "reset":
            self.steps.append(Instruction("reset", qubits))
        elif name == "delay":
            self._delay(operation, qubits)
        elif name == "if_else" and kind == "IfElseOp":
            self._if(operation, qubits, clbits, bits)
        elif name == "for_loop" and kind == "ForLoopOp":
            self._loop(operation, qubits, clbits)
        elif kind == "AnnotatedOperation":
            self._annotated(operation, qubits)
        elif self._is_controlled(operation):
            self._controlled(operation, qubits)
        else:
            self._opened(operation, qubits, clbits)

    def _delay(self, operation: Any, qubits: tuple[int, ...]) -> None:
        duration, unit = operation.params[0], operation.unit
        if unit == "ps":
            duration, unit = duration * 1e-3, "ns"
        if unit not in DELAY_UNITS:
            raise InvalidCircuit(f"a delay of unit {unit!r} is not held by the circuit form; {', '.join(DELAY_UNITS)} are")
        self.steps.append(Instruction("delay", qubits, (self.angle(duration),), unit=unit))

    def _if(self, operation: Any, qubits: tuple[int, ...], clbits: tuple[int, ...], bits: Mapping[Any, int]) -> None:
        condition = read_condition(operation.condition, bits)
        self.ifs += 1
        if self.ifs > MAX_NESTING:
            raise InvalidCircuit(f"ifs are nested more than {MAX_NESTING} deep, which is the limit")
        branches: list[tuple[Instruction, ...]] = [(), ()]
        for index, block in enumerate(operation.blocks):
            outer, self.steps = self.steps, []
            self.held += len(outer)
            self.circuit(block, qubits, clbits)
            branches[index], self.steps = tuple(self.steps), outer
            self.held += len(branches[index]) - len(outer)
        self.ifs -= 1
        self.steps += instructions(condition, *branches)

    def _loop(self, operation: Any, qubits: tuple[int, ...], clbits: tuple[int, ...]) -> None:
        numbers, variable, body = operation.params
        if not isinstance(numbers, range | tuple | list) or type(variable).__name__ not in {"NoneType", "Parameter"}:
            raise InvalidCircuit(
                "a Qiskit for_loop over numbers that are known only when the circuit runs is not held by the circuit form;"
                " one over a range or list of numbers is unrolled"
            )
        # Before a turn is taken. A range that a machine word cannot count never gets here: Qiskit fills the memory with it.
        if len(numbers) > MAX_INSTRUCTIONS:
            raise InvalidCircuit(f"a loop of {len(numbers)} turns is too long; the limit is {MAX_INSTRUCTIONS}")
        used = variable is not None and variable in body.parameters
        self._nest("for_loop")
        for turn in numbers:
            self.circuit(body.assign_parameters({variable: turn}) if used else body, qubits, clbits)
        self.nesting -= 1

    def _nest(self, name: str) -> None:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise InvalidCircuit(f"the definition of {name!r} is nested more than {_MAX_NESTING} deep")

    def _opened(self, operation: Any, qubits: tuple[int, ...], clbits: tuple[int, ...]) -> None:
        if type(operation).__name__ == "PermutationGate":  # the one library gate whose definition only the transpiler knows
            self.steps += _swaps(operation.pattern, qubits)
            return
        definition = getattr(operation, "definition", None)
        if definition is None:
            raise InvalidCircuit(
                f"the Qiskit instruction {operation.name!r} is not held by the circuit form, and has no definition to open"
            )
        self._nest(operation.name)
        self.circuit(definition, qubits, clbits)
        self.nesting -= 1

    def _alone(self, operation: Any) -> tuple[Instruction, ...]:
        """Return what an operation does on qubits 0, 1, ... of its own."""
        outer, self.steps = self.steps, []
        qubits = tuple(range(operation.num_qubits))
        meaning = _standard_gates().get(operation.name)
        if meaning is not None and _is_standard(operation):
            self.steps += meaning.apply(tuple(self.angle(value) for value in operation.params), qubits)
        else:
            self.other(operation, qubits, (), {})
        alone, self.steps = tuple(self.steps), outer
        return alone

    @staticmethod
    def _is_controlled(operation: Any) -> bool:
        base = getattr(operation, "base_gate", None)
        controls = getattr(operation, "num_ctrl_qubits", None)
        # Some multi-controlled gates bring helper qubits: those are opened by their definition.
        return base is not None and controls is not None and operation.num_qubits == controls + base.num_qubits

    def _controlled(self, operation: Any, qubits: tuple[int, ...]) -> None:
        count = operation.num_ctrl_qubits
        self._add_controlled(self._alone(operation.base_gate), count, operation.ctrl_state, qubits)

    def _add_controlled(self, steps: Sequence[Instruction], count: int, state: int | None, qubits: tuple[int, ...]) -> None:
        controls, targets = qubits[:count], qubits[count:]
        wanted = (1 << count) - 1 if state is None else state
        # Bit i of Qiskit's ctrl_state belongs to control i.
        flips = [Instruction("x", (qubit,)) for index, qubit in enumerate(controls) if not wanted >> index & 1]
        placed = [step._replace(qubits=tuple(targets[qubit] for qubit in step.qubits)) for step in steps]
        self.steps += [*flips, *(controlled(step, controls) for step in placed), *flips]

    def _annotated(self, operation: Any, qubits: tuple[int, ...]) -> None:
        steps, size = self._alone(operation.base_op), operation.base_op.num_qubits
        for modifier in operation.modifiers:
            kind = type(modifier).__name__
            if kind == "InverseModifier":
                steps = inverse_sequence(steps)
            elif kind == "PowerModifier":
                steps = power(steps, modifier.power)
            else:
                outer, self.steps = self.steps, []
                self._add_controlled(
                    steps, modifier.num_ctrl_qubits, modifier.ctrl_state, tuple(range(size + modifier.num_ctrl_qubits))
                )
                steps, self.steps = tuple(self.steps), outer
                size += modifier.num_ctrl_qubits
        self.steps += [step._replace(qubits=tuple(qubits[qubit] for qubit in step.qubits)) for step in steps]


def _swaps(pattern: Sequence[int], qubits: tuple[int, ...]) -> list[Instruction]:
    """Return the swaps after which place k holds what place `pattern[k]` held, as in Qiskit's permutation gate.

    >>> [step.qubits for step in _swaps([1, 2, 0], (5, 6, 7))]
    [(5, 6), (6, 7)]
    """
    held, swaps = list(range(len(qubits))), []
    for place, wanted in enumerate(pattern):
        source = held.index(int(wanted))
        if source != place:
            swaps.append(Instruction("swap", (qubits[place], qubits[source])))
            held[place], held[source] = held[source], held[place]
    return swaps


def _is_standard(operation: Any) -> bool:
    """Return whether a gate that stands alone is Qiskit's own, its controls (if it has some) waiting for all ones."""
    # Some of Qiskit's classes, such as those of gates that exist once, have no module themselves.
    own = any((base.__module__ or "").startswith(_STANDARD_MODULE) for base in type(operation).__mro__)
    controls = getattr(operation, "num_ctrl_qubits", 0)
    return own and (not controls or operation.ctrl_state == (1 << controls) - 1)
