"""Angles as formulas of named parameters, kept symbolic until numbers are put in.

An `Expression` is a small immutable tree. Nearly all angles in practice are affine in one parameter (`2*theta + 0.3`);
`affine` recognises those, so that a whole circuit's angles are worked out in one vectorised step.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

NAME = re.compile(r"[^\W\d]\w*(\[\d+\])?", re.UNICODE)

BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}
FUNCTIONS = ("sin", "cos", "tan", "arcsin", "arccos", "arctan", "exp", "log", "sqrt")

WITHOUT_FORMULAS = ("probability", "number")
"""What is given as a number only."""

Node = tuple[Any, ...]
"""("number", x) | ("parameter", name) | ("neg", node) | (binary, node, node) | (function, node)."""


class Affine(NamedTuple):
    """`scale * parameter + offset`; `parameter` is None for a plain number, which is then the offset."""

    parameter: str | None
    scale: float
    offset: float

    def angle(self) -> Angle:
        """Return it as a formula; a plain number as itself.

        >>> print(Affine("theta", 2.0, 0.3).angle(), Affine(None, 0.0, 0.3).angle())
        2.0*theta + 0.3 0.3
        """
        if self.parameter is None:
            return self.offset
        product = ("mul", ("number", self.scale), ("parameter", self.parameter))
        return Expression(("add", product, ("number", self.offset)))


class Expression:
    """A real formula of named parameters; supports `+ - * / **`, negation and the functions in `FUNCTIONS`.

    >>> theta = Parameter("theta")
    >>> str(2 * theta + 0.3), (2 * theta + 0.3).affine()
    ('2.0*theta + 0.3', Affine(parameter='theta', scale=2.0, offset=0.3))
    >>> (theta.sin() ** 2).evaluate({"theta": 1.0}) == math.sin(1.0) ** 2
    True
    """

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    def __add__(self, other: Angle) -> Expression:
        return _binary("add", self, other)

    def __radd__(self, other: Angle) -> Expression:
        return _binary("add", other, self)

    def __sub__(self, other: Angle) -> Expression:
        return _binary("sub", self, other)

    def __rsub__(self, other: Angle) -> Expression:
        return _binary("sub", other, self)

    def __mul__(self, other: Angle) -> Expression:
        return _binary("mul", self, other)

    def __rmul__(self, other: Angle) -> Expression:
        return _binary("mul", other, self)

    def __truediv__(self, other: Angle) -> Expression:
        return _binary("div", self, other)

    def __rtruediv__(self, other: Angle) -> Expression:
        return _binary("div", other, self)

    def __pow__(self, other: Angle) -> Expression:
        return _binary("pow", self, other)

    def __rpow__(self, other: Angle) -> Expression:
        return _binary("pow", other, self)

    def __neg__(self) -> Expression:
        return Expression(("neg", self.node))

    def apply(self, function: str) -> Expression:
        """Return `function` of this expression; the name is one of `FUNCTIONS`."""
        if function not in FUNCTIONS:
            raise InvalidCircuit(f"no function called {function!r} in angles; known: {', '.join(FUNCTIONS)}")
        return Expression((function, self.node))

    def sin(self) -> Expression:
        """Return the sine of this expression."""
        return self.apply("sin")

    def cos(self) -> Expression:
        """Return the cosine of this expression."""
        return self.apply("cos")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def __repr__(self) -> str:
        return f"Expression({self!s})"

    def __str__(self) -> str:
        return _text(self.node, 0)

    def affine(self) -> Affine | None:
        """Return the affine form in at most one parameter, or None where there is none."""
        node = self.node
        return Affine(node[1], 1.0, 0.0) if node[0] == "parameter" else _affine(node)

    def parameters(self) -> tuple[str, ...]:
        """Return the names used, each once, in the order they are first met."""
        return tuple(dict.fromkeys(_names(self.node)))

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Return the value; an array where `values` holds arrays (shapes broadcast).

        Raises:
            KeyError: a parameter is missing from `values`.
        """
        return _evaluate(self.node, values)

    def substitute(self, values: Mapping[str, Angle]) -> Angle:
        """Return the expression with parameters replaced; a float where none is left."""
        replaced = _substitute(self.node, values)
        return _evaluate(replaced, {}) if not any(_names(replaced)) else Expression(replaced)

    def shape(self, index: Mapping[str, int]) -> str:
        """Return the form with numbers lifted out, for structure digests; parameters by their position."""
        affine = self.affine()
        if affine is not None:
            return "#" if affine.parameter is None else f"@{index[affine.parameter]}"
        return _shape(self.node, index)


class Parameter(Expression):
    """A named real parameter, such as the `theta` of `rx(theta)`.

    >>> Parameter("theta").name
    'theta'
    """

    __slots__ = ()

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InvalidCircuit(f"{name!r} is no parameter name; use letters, digits and _, as in 'theta' or 'theta[0]'")
        super().__init__(("parameter", name))

    @property
    def name(self) -> str:
        """The parameter's name."""
        return str(self.node[1])


Angle = float | Expression
"""A number (rad) or a formula."""


def number(value: object, what: str = "angle") -> float:
    """Return a finite float, or refuse.

    Args:
        value: what was given.
        what: it is meant to be, for the message.

    Raises:
        InvalidCircuit: not a real number, or not finite.

    >>> number("0.1")
    0.1
    >>> number(float("nan"), "probability")
    Traceback (most recent call last):
    qloom.errors.InvalidCircuit: a probability must be finite, got nan
    """
    article = "an" if what[0] in "aeiou" else "a"
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        advice = "give a number" if what in WITHOUT_FORMULAS else "give a number or a formula of parameters"
        raise InvalidCircuit(f"{value!r} is no {what}; {advice}") from error
    if not math.isfinite(result):
        raise InvalidCircuit(f"{article} {what} must be finite, got {result}")
    return result


def _node(value: Angle) -> Node:
    return value.node if isinstance(value, Expression) else ("number", number(value))


def _binary(operation: str, left: Angle, right: Angle) -> Expression:
    return Expression((operation, _node(left), _node(right)))


def _names(node: Node) -> Iterator[str]:
    if node[0] == "parameter":
        yield node[1]
    elif node[0] != "number":
        for child in node[1:]:
            yield from _names(child)


def _affine(node: Node) -> Affine | None:
    kind = node[0]
    if kind == "number":
        return Affine(None, 0.0, node[1])
    if kind == "parameter":
        return Affine(node[1], 1.0, 0.0)
    parts = [_affine(child) for child in node[1:]]
    if any(part is None for part in parts):
        return None
    rule = _AFFINE_RULES.get(kind)
    known = [part for part in parts if part is not None]
    if all(part.parameter is None for part in known):
        return Affine(None, 0.0, _evaluate(node, {}))
    return rule(*known) if rule else None


def _affine_sum(left: Affine, right: Affine) -> Affine | None:
    if left.parameter is not None and right.parameter not in (None, left.parameter):
        return None
    name = left.parameter if left.parameter is not None else right.parameter
    return Affine(name, left.scale + right.scale, left.offset + right.offset)


def _affine_times(left: Affine, right: Affine) -> Affine | None:
    if left.parameter is not None:
        left, right = right, left
    if left.parameter is not None:
        return None
    return Affine(right.parameter, right.scale * left.offset, right.offset * left.offset)


def _affine_negative(part: Affine) -> Affine:
    return Affine(part.parameter, -part.scale, -part.offset)


_AFFINE_RULES: dict[str, Callable[..., Affine | None]] = {
    "neg": _affine_negative,
    "add": _affine_sum,
    "sub": lambda left, right: _affine_sum(left, _affine_negative(right)),
    "mul": _affine_times,
    "div": lambda left, right: (
        None
        if right.parameter is not None or right.offset == 0
        else Affine(left.parameter, left.scale / right.offset, left.offset / right.offset)
    ),
}


def _evaluate(node: Node, values: Mapping[str, Any]) -> Any:
    kind = node[0]
    if kind == "number":
        return node[1]
    if kind == "parameter":
        return values[node[1]]
    parts = [_evaluate(child, values) for child in node[1:]]
    try:
        return (
            FLOAT_OPERATIONS[kind](*parts)
            if all(isinstance(part, float | int) for part in parts)
            else _array_function(kind)(*parts)
        )
    except (ArithmeticError, ValueError) as error:
        raise InvalidCircuit(f"cannot work out the angle {_text(node, 0)}: {error}") from error


def _array_function(kind: str) -> Callable[..., Any]:
    import numpy as np

    ufunc: Callable[..., Any] = getattr(np, _NUMPY_NAMES.get(kind, kind))
    return ufunc


_NUMPY_NAMES = {"neg": "negative", "sub": "subtract", "mul": "multiply", "div": "divide", "pow": "power"}

FLOAT_OPERATIONS: dict[str, Callable[..., float]] = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": math.pow,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
}


def _substitute(node: Node, values: Mapping[str, Angle]) -> Node:
    if node[0] == "number":
        return node
    if node[0] == "parameter":
        return _node(values[node[1]]) if node[1] in values else node
    children = tuple(_substitute(child, values) for child in node[1:])
    replaced = (node[0], *children)
    return ("number", _evaluate(replaced, {})) if all(child[0] == "number" for child in children) else replaced


def _shape(node: Node, index: Mapping[str, int]) -> str:
    if node[0] == "number":
        return "#"
    if node[0] == "parameter":
        return f"@{index[node[1]]}"
    return f"{node[0]}({','.join(_shape(child, index) for child in node[1:])})"


_STRENGTH = {"add": 1, "sub": 1, "mul": 2, "div": 2, "neg": 3, "pow": 4}


def _text(node: Node, around: int) -> str:
    kind = node[0]
    if kind == "number":
        return f"({node[1]!r})" if around and math.copysign(1.0, node[1]) < 0 else repr(node[1])
    if kind == "parameter":
        return str(node[1])
    strength = _STRENGTH.get(kind)
    if strength is None:
        return f"{kind}({_text(node[1], 0)})"
    if kind == "neg":
        text = "-" + _text(node[1], strength)
    else:
        gap = " " if strength == 1 else ""
        # The right side one notch tighter, for + and * too: read again, the text gives the same tree and the same rounding.
        left = _text(node[1], strength + (kind == "pow"))
        right = _text(node[2], strength + 1)
        text = f"{left}{gap}{BINARY[kind]}{gap}{right}"
    return f"({text})" if strength < around else text
