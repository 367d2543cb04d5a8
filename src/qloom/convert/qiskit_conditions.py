"""The condition of a Qiskit `if_test`, as the circuit form holds it, by a walk of the live object; Qiskit is not imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.convert.conditions import Condition, conjunction, equality
from qloom.errors import InvalidCircuit

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_condition(condition: Any, bits: Mapping[Any, int]) -> Condition:
    """Return what a condition asks of classical bits.

    Args:
        condition: `(Clbit, value)`, `(ClassicalRegister, value)`, or an expression: a bit, a bit of a register, `logic_not`,
            `logic_and`, `equal` or `not_equal` of a bit or register and a number.
        bits: Qiskit's bits -> classical bits of the circuit.

    Raises:
        InvalidCircuit: anything else, by name.
    """
    if isinstance(condition, tuple):
        target, value = condition
        return equality(_target(target, bits), int(value))
    kind, operation = _kind(condition)
    if kind in {"Var", "Index"}:
        members = _operand(condition, bits)
        if len(members) == 1:
            return Condition(members, 1)
    if operation == "LOGIC_NOT":
        return read_condition(condition.operand, bits).opposite()
    if operation == "LOGIC_AND":
        return conjunction([read_condition(condition.left, bits), read_condition(condition.right, bits)])
    if operation in {"EQUAL", "NOT_EQUAL"}:
        return _comparison(condition, bits, opposite=operation == "NOT_EQUAL")
    raise _refused(operation or kind)


def _comparison(condition: Any, bits: Mapping[Any, int], *, opposite: bool) -> Condition:
    sides = condition.left, condition.right
    left, right = sides[::-1] if type(sides[0]).__name__ == "Value" else sides
    if type(right).__name__ != "Value":
        raise _refused("a comparison of two variables")
    asked = equality(_operand(left, bits), int(right.value))
    return asked.opposite() if opposite else asked


def _operand(node: Any, bits: Mapping[Any, int]) -> tuple[int, ...]:
    kind, operation = _kind(node)
    if kind == "Var":
        return _target(node.var, bits)
    if kind == "Index" and type(node.index).__name__ == "Value":
        members, position = _operand(node.target, bits), int(node.index.value)
        if position < len(members):
            return (members[position],)
    raise _refused(operation or kind)


def _kind(node: Any) -> tuple[str, str]:
    """Return the class of a node, and the name of its operation where it has one."""
    return type(node).__name__, getattr(getattr(node, "op", None), "name", "")


def _target(target: Any, bits: Mapping[Any, int]) -> tuple[int, ...]:
    kind = type(target).__name__
    members = list(target) if kind == "ClassicalRegister" else [target]
    found = tuple(bits[bit] for bit in members if bit in bits)
    if len(found) < len(members):
        raise _refused("a variable that is no bit and no register" if kind == "UUID" else f"a {kind} from elsewhere")
    return found


def _refused(what: str) -> InvalidCircuit:
    return InvalidCircuit(
        f"a Qiskit condition with {what} is not held by the circuit form; a test of a bit, an equality of a bit or register"
        " with a number, `not_equal`, and such joined by `logic_and` are"
    )
