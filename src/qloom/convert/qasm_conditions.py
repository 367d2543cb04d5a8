"""The condition of an `if` in a syntax tree, as the circuit form holds it. Loaded for the reference reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openqasm3 import ast

from qloom.convert.conditions import Condition, conjunction, equality
from qloom.convert.qasm_constants import Register, words, wrong

if TYPE_CHECKING:
    from qloom.convert.qasm_constants import Values

HELD = "a condition is a test such as c[0], !c[0], c[0] == 1, c == 3 or c != 3, or several of them joined by &&"

_LITERALS = ast.IntegerLiteral | ast.BooleanLiteral | ast.BitstringLiteral


def read_condition(node: Any, values: Values) -> Condition:
    """Return what a condition asks of classical bits.

    Args:
        node: the tree of the expression.
        values: the names in force there.

    Raises:
        InvalidCircuit: a condition that is no equality on bits, with its place.
    """
    if isinstance(node, ast.UnaryExpression) and node.op.name == "!":
        return read_condition(node.expression, values).opposite()
    if isinstance(node, ast.BinaryExpression):
        if node.op.name == "&&":
            left, right = read_condition(node.lhs, values), read_condition(node.rhs, values)
            joined: Condition = values.within(node, lambda: conjunction([left, right]))
            return joined
        if node.op.name in {"==", "!="}:
            return _comparison(node, values)
    if isinstance(node, ast.UnaryExpression | ast.BinaryExpression):
        wrong(node, f"the operator {node.op.name!r} in a condition is not held by the circuit form; {HELD}")
    bits = _bits(node, values)
    if len(bits.members) > 1:
        wrong(node, f"a register of {len(bits.members)} bits is not true or false by itself; compare it, as in `c == 3`")
    return Condition(bits.members, 1)


def _comparison(node: Any, values: Values) -> Condition:
    left, right = node.lhs, node.rhs
    if isinstance(left, _LITERALS) and not isinstance(right, _LITERALS):
        left, right = right, left
    bits = _bits(left, values)
    value = _value(right, bits, values)
    condition: Condition = values.within(right, lambda: equality(bits.members, value))
    return condition if node.op.name == "==" else condition.opposite()


def _bits(node: Any, values: Values) -> Register:
    if not isinstance(node, ast.Identifier | ast.IndexExpression):
        wrong(node, f"a {words(node)} in a condition is not held by the circuit form; {HELD}")
    register = values.register(node)
    if register.quantum:
        wrong(node, "a condition looks at classical bits, and this is a qubit; measure it into a bit first")
    return register


def _value(node: Any, bits: Register, values: Values) -> int:
    if isinstance(node, ast.BooleanLiteral) and len(bits.members) == 1:
        return int(node.value)
    if isinstance(node, ast.BitstringLiteral):
        if node.width != len(bits.members):
            wrong(node, f"{len(bits.members)} bits are compared with a text of {node.width}; sizes must agree")
        return int(node.value)
    if isinstance(node, ast.Identifier | ast.IndexExpression) and _is_register(node, values):
        wrong(node, f"two registers cannot be compared with each other in the circuit form; {HELD}")
    return values.whole(node)


def _is_register(node: Any, values: Values) -> bool:
    return isinstance(node, ast.IndexExpression) or isinstance(values.find(node.name), Register)
