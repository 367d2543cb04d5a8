"""Formulas of Qiskit's parameters as text, operators behind what they act on: `p0 2 * 0.5 +`. Read back, it is the same tree.

The text that Qiskit itself shows leaves out in which order a sum is added up, and so the last bits of what it comes to.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EXACT = 1 << 53
"""Whole numbers up to this one are floats too."""
_SIGNS = {"ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/", "POW": "**"}
_FUNCTIONS = {
    "SIN": "sin",
    "COS": "cos",
    "TAN": "tan",
    "ASIN": "arcsin",
    "ACOS": "arccos",
    "ATAN": "arctan",
    "EXP": "exp",
    "LOG": "log",
    "ABS": "abs",
    "SIGN": "sign",
    "CONJ": "conjugate",
}
"""Qiskit's codes -> methods of its expressions, which are the words in the text too."""
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
_WORDS = frozenset(_FUNCTIONS.values())


def can_name(parameter: str) -> bool:
    """Return whether a parameter of that name can stand in a formula's text.

    >>> [can_name(name) for name in ("p0", "theta[0]", "sin", "inf")]
    [True, False, False, False]
    """
    return parameter.isidentifier() and parameter not in _WORDS and parameter.lower() not in ("inf", "infinity", "nan")


def write_formula(value: Any) -> str:
    """Return a Qiskit expression as text.

    Raises:
        ValueError: it has something that no text has, such as a complex number.

    >>> from qiskit.circuit import Parameter
    >>> angle = Parameter("p0")
    >>> write_formula(angle), write_formula(1 - 2 * angle.sin())
    ('p0', '1 2 p0 sin * -')
    """
    if type(value).__name__ == "Parameter":
        return str(value.name)
    stack: list[str] = []
    for step in value._qpy_replay:  # noqa: SLF001  what QPY writes; Qiskit shows the tree nowhere else
        code = str(step.op).rpartition(".")[2]
        if code in _FUNCTIONS:
            stack.append(f"{_operand(step.lhs, stack)} {_FUNCTIONS[code]}")
            continue
        sign = _SIGNS.get(code) or _SIGNS.get(code[1:])
        if sign is None:
            raise ValueError(f"the operation {code} of a formula has no form")
        right = _operand(step.rhs, stack)
        left = _operand(step.lhs, stack)
        stack.append(f"{left} {right} {sign}" if code in _SIGNS else f"{right} {left} {sign}")
    (text,) = stack
    return text


def _operand(value: Any, stack: list[str]) -> str:
    if value is None:
        return stack.pop()
    if type(value).__name__ == "Parameter":
        return str(value.name)
    if type(value) not in (int, float):
        raise ValueError(f"a {type(value).__name__} in a formula has no form")
    return repr(value)


def read_formula(text: str, parameters: Mapping[str, Any]) -> Any:
    """Return the Qiskit expression of which `write_formula` made a text.

    Args:
        text: names of parameters, numbers, `+ - * / **`, and functions of one value, each behind what it acts on.
        parameters: name -> Qiskit's parameter.

    Raises:
        ValueError: anything else, and a power of numbers, which could take for ever.

    >>> from qiskit.circuit import Parameter
    >>> angle = Parameter("p0")
    >>> read_formula("p0 2 * 0.5 +", {"p0": angle}) == 2 * angle + 0.5
    True
    >>> read_formula("9 9 **", {})
    Traceback (most recent call last):
    ValueError: '9 9 **' is no formula of Qiskit's parameters
    """
    stack: list[Any] = []
    try:
        for word in text.split():
            if word in parameters:
                stack.append(parameters[word])
            elif word in _OPERATORS:
                right, left = stack.pop(), stack.pop()
                if word == "**" and not (hasattr(left, "parameters") or hasattr(right, "parameters")):
                    raise TypeError("a power of numbers")
                stack.append(_OPERATORS[word](left, right))
            elif word in _WORDS:
                stack.append(getattr(stack.pop(), word)())
            else:
                stack.append(_number(word))
        (found,) = stack
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"{text[:80]!r} is no formula of Qiskit's parameters") from error
    return found


def _number(word: str) -> int | float:
    if "." in word or "e" in word:
        return float(word)
    whole = int(word)
    return float(whole) if abs(whole) > _EXACT else whole
