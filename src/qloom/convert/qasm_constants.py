"""The values of expressions in a syntax tree: numbers, symbolic angles, registers, durations. Loaded for the reference reader."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from openqasm3 import ast

import qloom.convert.formulas as formulas
from qloom.circuits import Expression
from qloom.convert.limits import MAX_INSTRUCTIONS, MAX_QUBITS
from qloom.errors import InvalidCircuit, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.circuits import Angle


@dataclass(frozen=True, slots=True)
class Register:
    """Qubits or bits that have a name.

    Attributes:
        quantum: True for qubits.
        members: their numbers in the circuit.
        single: True for one qubit or bit that is no register of size one.
    """

    quantum: bool
    members: tuple[int, ...]
    single: bool = False


@dataclass(frozen=True, slots=True)
class Duration:
    """A time: a number or formula, and its unit."""

    value: formulas.Value
    unit: str


Entry = formulas.Value | Register | Duration


def wrong(node: Any, message: str) -> NoReturn:
    """Raise InvalidCircuit at a node's place."""
    raise InvalidCircuit(message, line=node.span.start_line, column=node.span.start_column + 1)


def words(node: Any) -> str:
    """Return what a kind of node is called in messages.

    >>> words(ast.BooleanLiteral(True))
    'boolean literal'
    """
    name = type(node).__name__
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


class Values:
    """Names in nested scopes, and the values of expressions over them.

    Args:
        version: 2 or 3 of the language; in 2, literals in angles are real numbers.
    """

    def __init__(self, version: int) -> None:
        self.scopes: list[dict[str, Entry]] = [{}]
        self.old = version == 2
        self.constants: dict[str, float] = formulas.CONSTANTS_2 if self.old else formulas.CONSTANTS_3
        self.functions = formulas.FUNCTIONS_2 if self.old else formulas.FUNCTIONS_3
        self.readers: dict[type, Callable[[Any], formulas.Value]] = {
            ast.IntegerLiteral: self._literal,
            ast.FloatLiteral: self._literal,
            ast.Identifier: self._identifier,
            ast.UnaryExpression: self._unary,
            ast.BinaryExpression: self._binary,
            ast.FunctionCall: self._call,
            ast.Cast: self._cast,
            ast.SizeOf: self._sizeof,
        }

    # ---- names ---------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Entry | None:
        """Return what the name stands for in the innermost scope that has it."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return self.constants.get(name)

    def register(self, node: Any) -> Register:
        """Return the qubits or bits of an identifier, an indexed one, or an alias expression."""
        if isinstance(node, ast.Concatenation):
            return self._joined(node)
        if isinstance(node, ast.IndexExpression):
            return self._indexed(node, self.register(node.collection), [node.index])
        name = node.name.name if isinstance(node, ast.IndexedIdentifier) else getattr(node, "name", None)
        if not isinstance(name, str):
            wrong(node, f"a {words(node)} is no qubit and no bit")
        found = self.find(name)
        if not isinstance(found, Register):
            wrong(node, f"{name!r} is {'a number' if found is not None else 'not declared'}, where a qubit or bit is needed")
        return self._indexed(node, found, node.indices) if isinstance(node, ast.IndexedIdentifier) else found

    def _joined(self, node: Any) -> Register:
        left, right = self.register(node.lhs), self.register(node.rhs)
        if left.quantum != right.quantum:
            wrong(node, "qubits and bits cannot be joined")
        if len(set(left.members + right.members)) != len(left.members + right.members):
            wrong(node, "the joined registers share a member")
        return Register(left.quantum, left.members + right.members)

    def _indexed(self, node: Any, register: Register, indices: Sequence[Any]) -> Register:
        for index in indices:
            if register.single:
                wrong(node, "one qubit or bit has no index")
            if isinstance(index, ast.DiscreteSet):
                positions = [self.whole(value) for value in index.values]
            elif len(index) != 1:
                wrong(node, f"an index of {len(index)} dimensions is not held by the circuit form; registers have one")
            elif isinstance(index[0], ast.RangeDefinition):
                positions = self._range(index[0], len(register.members))
            else:
                register = Register(register.quantum, (self._member(node, register, self.whole(index[0])),), single=True)
                continue
            members = tuple(self._member(node, register, position) for position in positions)
            if len(set(members)) != len(members):
                wrong(node, "an index names a member twice")
            register = Register(register.quantum, members)
        return register

    def _member(self, node: Any, register: Register, position: int) -> int:
        size = len(register.members)
        if not -size <= position < size:
            wrong(node, f"index {position} is outside the register of size {size} (0 to {size - 1})")
        return register.members[position]

    def _range(self, node: Any, size: int) -> list[int]:
        step = 1 if node.step is None else self.whole(node.step)
        start = (0 if step > 0 else size - 1) if node.start is None else self.whole(node.start)
        end = (size - 1 if step > 0 else 0) if node.end is None else self.whole(node.end)
        return list(
            self.count(node, start % size if -size <= start < 0 else start, step, end % size if -size <= end < 0 else end)
        )

    def count(self, node: Any, start: int, step: int, end: int) -> range:
        """Return the numbers from `start` to `end`, both included."""
        if step == 0:
            wrong(node, "a range needs a step other than 0")
        numbers = range(start, end + (1 if step > 0 else -1), step)
        size = max(0, (end - start) // step + 1)  # `len` of a range takes no more than a machine word
        if size > MAX_INSTRUCTIONS:
            wrong(node, f"a range of {size} numbers is too long; the limit is {MAX_INSTRUCTIONS}")
        return numbers

    # ---- numbers -------------------------------------------------------------------------------------------------

    def angle(self, node: Any) -> Angle:
        """Return a finite number or a formula of the inputs."""
        angle: Angle = self.within(node, lambda: formulas.finish(self.value(node)))
        return angle

    def whole(self, node: Any) -> int:
        """Return a constant whole number."""
        if isinstance(node, ast.IntegerLiteral):
            return int(node.value)
        value = self.within(node, lambda: self.value(node))
        if isinstance(value, tuple):
            wrong(node, f"a whole number is needed here, known before the program runs; {Expression(value)} is not")
        if not isinstance(value, int):
            wrong(node, f"a whole number is needed here, got {value!r}")
        return value

    def size(self, node: Any) -> int:
        """Return the size of a register."""
        size = self.whole(node)
        if not 0 < size <= MAX_QUBITS:
            wrong(node, f"a register has from 1 to {MAX_QUBITS} members, got {size}")
        return size

    def within(self, node: Any, work: Callable[[], Any]) -> Any:
        """Do the work; an error in it that has no place gets the node's."""
        try:
            return work()
        except InvalidCircuit as error:
            if error.line is None:
                raise InvalidCircuit(str(error), line=node.span.start_line, column=node.span.start_column + 1) from error
            raise
        except RecursionError as error:
            raise InvalidCircuit(
                "the expression is nested too deeply", line=node.span.start_line, column=node.span.start_column + 1
            ) from error

    def value(self, node: Any) -> formulas.Value:
        """Return the value of an expression; in version 2, all literals are real numbers."""
        reader = self.readers.get(type(node))
        if reader is None:
            wrong(node, f"a {words(node)} is no number that an angle or index could hold")
        value = reader(node)
        if formulas.depth(value) > formulas.MAX_DEPTH:
            wrong(node, f"the expression is nested more than {formulas.MAX_DEPTH} deep")
        return value

    def _literal(self, node: Any) -> formulas.Value:
        if isinstance(node, ast.IntegerLiteral) and self.old:
            return float(node.value)
        number: float = node.value
        return number

    def _identifier(self, node: Any) -> formulas.Value:
        found = self.find(node.name)
        if found is None:
            near = UnknownName.among(
                "constant or input", node.name, {name for scope in self.scopes for name in scope} | {*self.constants}
            )
            wrong(node, str(near))
        if isinstance(found, Register | Duration):
            wrong(
                node, f"{node.name!r} is a {'duration' if isinstance(found, Duration) else 'register'}, where a number is needed"
            )
        return found

    def _unary(self, node: Any) -> formulas.Value:
        if node.op.name != "-":
            wrong(node, f"the operator {node.op.name!r} is not held by the circuit form")
        return formulas.negate(self.value(node.expression))

    def _binary(self, node: Any) -> formulas.Value:
        sign = node.op.name
        left, right = self.value(node.lhs), self.value(node.rhs)
        if sign in _ARITHMETIC:
            return formulas.combine(_ARITHMETIC[sign], left, right)
        if sign not in _WHOLE_ONLY:
            wrong(node, f"the operator {sign!r} is not held by the circuit form")
        if not (isinstance(left, int) and isinstance(right, int)) or left < 0 or right < 0:
            wrong(node, f"{sign!r} is worked out for constant whole numbers from 0 up only")
        if (sign == "%" and right == 0) or (sign == "<<" and right > 1024):
            wrong(node, f"cannot work out {left} {sign} {right}")
        return _WHOLE_ONLY[sign](left, right)

    def _call(self, node: Any) -> formulas.Value:
        name = node.name.name
        arguments = [self.value(argument) for argument in node.arguments]
        if name in self.functions and len(arguments) == 1:
            return formulas.call(self.functions[name], arguments[0])
        if not self.old and name in _ROUNDING and len(arguments) == _ROUNDING[name][0]:
            return self._rounding(node, name, arguments)
        known = {*self.functions, *(() if self.old else _ROUNDING)}
        if name in known:
            wrong(node, f"{name} does not take {len(arguments)} arguments")
        wrong(node, str(UnknownName.among("function", name, known)))

    def _rounding(self, node: Any, name: str, arguments: list[formulas.Value]) -> formulas.Value:
        if any(isinstance(argument, tuple) for argument in arguments):
            wrong(node, f"{name!r} of an input is not held by the circuit form; only of constants")
        try:
            return _ROUNDING[name][1](*arguments)
        except (ArithmeticError, ValueError) as error:
            wrong(node, f"cannot work out {name}({', '.join(map(repr, arguments))}): {error}")

    def _cast(self, node: Any) -> formulas.Value:
        value = self.value(node.argument)
        return self.converted(node, node.type, value)

    def _sizeof(self, node: Any) -> formulas.Value:
        if node.index is not None:
            wrong(node, "'sizeof' of a dimension is not held by the circuit form; registers have one")
        return len(self.register(node.target).members)

    def check_type(self, node: Any, kind: Any) -> None:
        """Refuse a type whose values the circuit form cannot hold."""
        if not isinstance(kind, ast.FloatType | ast.AngleType | ast.IntType | ast.UintType):
            wrong(node, f"a value of type {words(kind).removesuffix(' type')!r} is not held by the circuit form")

    def converted(self, node: Any, kind: Any, value: formulas.Value) -> formulas.Value:
        """Return the value as a classical type holds it, or refuse."""
        if isinstance(kind, ast.FloatType | ast.AngleType):
            return float(value) if isinstance(value, int) else value
        self.check_type(node, kind)
        if isinstance(value, tuple) or not math.isfinite(value) or value != int(value):
            shown = Expression(value) if isinstance(value, tuple) else value
            wrong(node, f"an integer is needed here, got {shown}")
        bits = 64 if kind.size is None else self.whole(kind.size)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if isinstance(kind, ast.IntType) else (0, (1 << bits) - 1)
        if not low <= value <= high:
            wrong(node, f"{int(value)} does not fit {words(kind).removesuffix(' type')}[{bits}] ({low} to {high})")
        return int(value)

    # ---- durations -----------------------------------------------------------------------------------------------

    def duration(self, node: Any) -> Duration:
        """Return a time: a literal such as `100ns`, a constant, or a multiple of one."""
        if isinstance(node, ast.DurationLiteral):
            return Duration(float(node.value), node.unit.name)
        if isinstance(node, ast.Identifier) and isinstance(found := self.find(node.name), Duration):
            return found
        if isinstance(node, ast.BinaryExpression) and node.op.name in {"*", "/"}:
            return self._multiple(node)
        wrong(node, f"a {words(node)} is no duration; write one such as 100ns, or a multiple of one")

    def _multiple(self, node: Any) -> Duration:
        left_is_time = node.op.name == "/" or self._is_duration(node.lhs)
        time = self.duration(node.lhs if left_is_time else node.rhs)
        factor = self.value(node.rhs if left_is_time else node.lhs)
        factor = float(factor) if isinstance(factor, int) else factor
        pair = (time.value, factor) if left_is_time else (factor, time.value)
        if time.value == 1.0 and node.op.name == "*":
            return Duration(factor, time.unit)  # 1 is no factor to keep: `(2*t) * 1.0ns` is 2*t nanoseconds
        return Duration(formulas.combine(_ARITHMETIC[node.op.name], *pair), time.unit)

    def _is_duration(self, node: Any) -> bool:
        if isinstance(node, ast.BinaryExpression):
            return self._is_duration(node.lhs) or self._is_duration(node.rhs)
        return isinstance(node, ast.DurationLiteral) or (
            isinstance(node, ast.Identifier) and isinstance(self.find(node.name), Duration)
        )


_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow"}
_WHOLE_ONLY: dict[str, Callable[[int, int], int]] = {
    "%": operator.mod,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_ROUNDING: dict[str, tuple[int, Callable[..., float]]] = {
    "floor": (1, lambda x: float(math.floor(x))),
    "ceiling": (1, lambda x: float(math.ceil(x))),
    "mod": (2, lambda x, y: x % y if isinstance(x, int) and isinstance(y, int) else math.fmod(x, y)),
    "popcount": (1, lambda x: int(x).bit_count()),
}
