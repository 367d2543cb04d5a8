"""Angles written as text: one small parser, and the arithmetic that both readers of OpenQASM share.

A value on the way is a Python `int` or `float`, or the node of an `Expression` once a parameter is in it. Numbers are worked
out as they are met, so that `2*pi/8` is a number, while `2*theta + 0.3` keeps its form.
"""

from __future__ import annotations

import math
import operator
import re
from typing import TYPE_CHECKING

from qloom.circuits import Expression
from qloom.circuits.expressions import FLOAT_OPERATIONS, FUNCTIONS, Node
from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qloom.circuits import Angle

    # What is applied to a hole: (operation, left side, None), (operation, None, right side) or (function, None, None).
    _Layer = tuple[str, Node | None, Node | None]

Value = int | float | Node
"""What a formula is worth on the way."""

MAX_DEPTH = 200
"""How deep a formula may be nested: far beyond any angle, well below Python's own limit."""

CONSTANTS_2 = {"pi": math.pi}
CONSTANTS_3 = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}

FUNCTIONS_2 = {"sin": "sin", "cos": "cos", "tan": "tan", "exp": "exp", "ln": "log", "sqrt": "sqrt"}
# The language's other functions take whole numbers or give them; the reference parser works those out.
FUNCTIONS_3 = {name: name for name in FUNCTIONS}
FUNCTIONS_QISKIT = {**FUNCTIONS_3, "asin": "arcsin", "acos": "arccos", "atan": "arctan"}

LETTER = r"[A-Za-z_\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9\u03d1\u03d5]"
"""Latin and Greek letters and `_`, in a regular expression."""

NAME = rf"{LETTER}(?:{LETTER}|[0-9])*"
"""Names that the fast reader takes. Others are left to the reference parser."""

_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?")
_TOKEN = re.compile(r"[ \t\r\n]*((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[^\W\d]\w*(?:\[[0-9]+\])?|\*\*|[^ \t\r\n])")
_NO_LETTER = r"[^A-Za-z_\u0391-\u03f0]*"
_ONE_NAME = re.compile(rf"({_NO_LETTER})({NAME}(?:\[[0-9]+\])?)({_NO_LETTER})")
_HOLE = ("parameter", "")
_DIGITS = frozenset("0123456789")
_OPERATIONS = {"+": ("add", 1), "-": ("sub", 1), "*": ("mul", 2), "/": ("div", 2), "**": ("pow", 4)}
_UNARY = 3
_MOST_DIGITS = 15  # whole numbers of so many digits are exact as floats too


class NotAFormula(ValueError):
    """Text that this parser does not take; whether it means something is for the reference parser to say."""


def leaf(value: Value) -> Node:
    """Return the value as a node of an expression."""
    return value if isinstance(value, tuple) else ("number", _float(value))


def finish(value: Value) -> Angle:
    """Return the value as an angle: a finite float, or an `Expression`.

    Raises:
        InvalidCircuit: a number that is not finite.
    """
    if isinstance(value, tuple):
        return Expression(value)
    result = _float(value)
    if not math.isfinite(result):
        raise InvalidCircuit(f"an angle must be finite, got {result}")
    return result


def negate(value: Value) -> Value:
    """Return minus the value."""
    return ("neg", value) if isinstance(value, tuple) else -value


def combine(operation: str, left: Value, right: Value) -> Value:
    """Return `left operation right` for one of add, sub, mul, div, pow.

    Raises:
        InvalidCircuit: no finite real result, or a division of whole numbers that leaves a rest.
    """
    if isinstance(left, tuple) or isinstance(right, tuple):
        return (operation, leaf(left), leaf(right))
    if isinstance(left, int) and isinstance(right, int):
        return _WHOLE[operation](left, right)
    try:
        return _REAL[operation](_float(left), _float(right))
    except (ArithmeticError, ValueError) as error:
        raise InvalidCircuit(f"cannot work out {left!r} {operation} {right!r}: {error}") from error


def call(function: str, value: Value) -> Value:
    """Return `function` of the value, by the function's name in `qloom.circuits.expressions.FUNCTIONS`.

    Raises:
        InvalidCircuit: the function has no finite real value there.
    """
    if isinstance(value, tuple):
        return (function, value)
    try:
        return _CALLS[function](_float(value))
    except (ArithmeticError, ValueError) as error:
        raise InvalidCircuit(f"cannot work out {function}({value!r}): {error}") from error


def depth(value: Value) -> int:
    """Return how deep the value's expression is nested; 0 for a number or a parameter."""
    if not isinstance(value, tuple) or value[0] in {"number", "parameter"}:
        return 0
    return 1 + max(depth(child) for child in value[1:])


def parse(text: str, names: Mapping[str, Value], functions: Mapping[str, str], *, whole_numbers: bool) -> Value:
    """Return the value of a formula.

    Args:
        text: the formula.
        names: constants and parameters by their name in the text.
        functions: name in the text -> name in the circuit form.
        whole_numbers: False where `1/2` is a half (OpenQASM 2); True where literals without a point are integers.

    Raises:
        NotAFormula: anything else than numbers, these names and functions, `+ - * / **` and brackets.
        InvalidCircuit: no finite real result.

    >>> parse("2*theta + pi/2", {"theta": ("parameter", "theta"), "pi": 4.0}, {}, whole_numbers=True)
    ('add', ('mul', ('number', 2.0), ('parameter', 'theta')), ('number', 2.0))
    """
    if text in names:
        return names[text]
    if _DECIMAL.fullmatch(text):
        return float(text)
    tokens = _TOKEN.findall(text)
    if len(tokens) > MAX_DEPTH:
        raise NotAFormula("too long")
    parser = _Parser(tokens, names, functions, whole_numbers=whole_numbers)
    value = parser.expression(0)
    if parser.position != len(tokens):
        raise NotAFormula(text)
    return value


class Formulas:
    """Formulas over one set of names; those with one parameter are parsed once for each form: `0.1 + 2*_`, whatever the name.

    Args:
        names: as for `parse`; may gain names later.
        functions: as for `parse`.
        whole_numbers: as for `parse`.

    >>> formulas = Formulas({"a": ("parameter", "a"), "b": ("parameter", "b")}, {}, whole_numbers=True)
    >>> formulas.value("2*a"), formulas.value("2*b")
    (('mul', ('number', 2.0), ('parameter', 'a')), ('mul', ('number', 2.0), ('parameter', 'b')))
    """

    def __init__(self, names: Mapping[str, Value], functions: Mapping[str, str], *, whole_numbers: bool) -> None:
        self._names = names
        self._functions = functions
        self._whole_numbers = whole_numbers
        self._forms: dict[tuple[str, str], list[_Layer]] = {}

    def value(self, text: str) -> Value:
        """Return the value of a formula; raises as `parse`."""
        names = self._names
        if text in names:
            return names[text]
        found = _ONE_NAME.fullmatch(text)
        node = names.get(found[2]) if found else None
        if found is None or not isinstance(node, tuple):
            return parse(text, names, self._functions, whole_numbers=self._whole_numbers)
        form = (found[1], found[3])
        layers = self._forms.get(form)
        if layers is None:
            holed = parse(f"{found[1]}_{found[3]}", {"_": _HOLE}, {}, whole_numbers=self._whole_numbers)
            layers = self._forms[form] = _layers(holed)
        for operation, left, right in layers:
            if right is not None:
                node = (operation, node, right)
            else:
                node = (operation, node) if left is None else (operation, left, node)
        return node


def _layers(value: Value) -> list[_Layer]:
    """Return what stands around the one hole of a formula, innermost first."""
    layers: list[_Layer] = []
    while isinstance(value, tuple) and value != _HOLE:
        operation, *sides = value
        inner = 0 if _has_hole(sides[0]) else 1
        layers.append((operation, sides[0] if inner else None, sides[1] if len(sides) > 1 and not inner else None))
        value = sides[inner]
    return layers[::-1]


def _has_hole(node: Node) -> bool:
    return node == _HOLE or (node[0] != "number" and any(_has_hole(child) for child in node[1:]))


class _Parser:
    """Precedence climbing over a list of tokens; `**` binds tighter than a sign in front, and to the right."""

    __slots__ = ("functions", "names", "position", "tokens", "whole_numbers")

    def __init__(
        self, tokens: list[str], names: Mapping[str, Value], functions: Mapping[str, str], *, whole_numbers: bool
    ) -> None:
        self.tokens = [*tokens, ""]
        self.names = names
        self.functions = functions
        self.whole_numbers = whole_numbers
        self.position = 0

    def expression(self, strength: int) -> Value:
        tokens = self.tokens
        left = self.operand()
        while True:
            operation, its_strength = _OPERATIONS.get(tokens[self.position], ("", -1))
            if its_strength <= strength:
                return left
            self.position += 1
            # A power takes a power on its right; the others group to the left.
            right = self.expression(its_strength - (operation == "pow"))
            left = combine(operation, left, right)

    def operand(self) -> Value:
        word = self.tokens[self.position]
        self.position += 1
        if word in self.names:
            return self.names[word]
        if word[:1] in _DIGITS or (word[:1] == "." and word != "."):
            return self.literal(word)
        if word == "-":
            return negate(self.expression(_UNARY - 1))
        if word == "(":
            return self.closed()
        if word in self.functions and self.tokens[self.position] == "(":
            self.position += 1
            return call(self.functions[word], self.closed())
        raise NotAFormula(word)

    def literal(self, word: str) -> Value:
        if self.whole_numbers and word.isdecimal():
            if len(word) > _MOST_DIGITS:
                raise NotAFormula("an integer too large for a float")
            return int(word)
        return float(word)

    def closed(self) -> Value:
        value = self.expression(0)
        if self.tokens[self.position] != ")":
            raise NotAFormula("a bracket is not closed")
        self.position += 1
        return value


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidCircuit("a whole number is too large for a float") from error


def _divide_whole(left: int, right: int) -> int:
    if right == 0:
        raise InvalidCircuit(f"cannot work out {left} / 0: division by zero")
    if left % right:
        raise InvalidCircuit(
            f"{left}/{right} divides two integers and leaves a rest, which some readers of OpenQASM 3 drop and some keep;"
            f" write {left}.0/{right}"
        )
    return left // right


def _power_whole(left: int, right: int) -> int:
    if right < 0:
        raise InvalidCircuit(f"{left}**{right} raises an integer to a negative power; write {left}.0**{right}")
    if abs(left) > 1 and right * left.bit_length() > 1024:
        raise InvalidCircuit(f"{left}**{right} is too large")
    return int(left**right)


_WHOLE: dict[str, Callable[[int, int], Value]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _divide_whole,
    "pow": _power_whole,
}
_REAL: dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": math.pow,
}
_CALLS: dict[str, Callable[[float], float]] = {name: FLOAT_OPERATIONS[name] for name in FUNCTIONS}
