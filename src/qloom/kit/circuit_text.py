"""A circuit as JSON that is read back bit for bit: numbers in hexadecimal, formulas as trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.circuits import Circuit, Expression, Instruction
from qloom.circuits.expressions import FLOAT_OPERATIONS, Parameter, number
from qloom.errors import CorruptRecord, QloomError

if TYPE_CHECKING:
    from qloom.circuits import Angle
    from qloom.circuits.expressions import Node

_DEFAULTS = tuple(Instruction._field_defaults[name] for name in Instruction._fields[2:])
_OPERANDS = {name: 2 if name in ("add", "sub", "mul", "div", "pow") else 1 for name in FLOAT_OPERATIONS}


def circuit_to_json(circuit: Circuit) -> dict[str, Any]:
    """Return the circuit as a JSON document; `circuit_from_json` makes the same circuit of it, every bit of every number.

    >>> document = circuit_to_json(Circuit(1).rx(0.1, 0).measure(0))
    >>> document["steps"]
    [['rx', [0], ['0x1.999999999999ap-4']], ['measure', [0], [], [0]]]
    >>> circuit_from_json(document) == Circuit(1).rx(0.1, 0).measure(0)
    True
    """
    return {
        "qubits": circuit.num_qubits,
        "clbits": circuit.num_clbits,
        "parameters": list(circuit.parameters),
        "name": circuit.name,
        "steps": [_step_to_json(step) for step in circuit.instructions],
    }


def circuit_from_json(document: Any) -> Circuit:
    """Return the circuit that a document holds; everything is checked.

    Raises:
        CorruptRecord: the document is not one that `circuit_to_json` writes.
    """
    try:
        return Circuit(
            document["qubits"],
            [_step_from_json(step) for step in document["steps"]],
            num_clbits=document["clbits"],
            parameters=[str(name) for name in document["parameters"]],
            name=str(document["name"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError, QloomError) as error:
        raise CorruptRecord(
            f"this is no circuit as qloom keeps it: {type(error).__name__}: {error}; let it be made anew"
        ) from error


def _step_to_json(step: Instruction) -> list[Any]:
    found: list[Any] = [
        step.name,
        list(step.qubits),
        [_angle_to_json(angle) for angle in step.parameters],
        list(step.clbits),
        step.controls,
        step.unit,
        [_step_to_json(inner) for inner in step.body],
        step.value,
        [_step_to_json(inner) for inner in step.orelse],
    ]
    while len(found) > 2 and not found[-1]:  # what is left out at the end is empty, nought or ""
        found.pop()
    return found


def _step_from_json(written: list[Any]) -> Instruction:
    name, qubits, *rest = written
    if len(rest) <= 1:  # nearly all: a gate, with angles or without
        return Instruction(str(name), _whole(qubits), tuple(map(_angle_from_json, *rest)) if rest else ())
    angles, clbits, controls, unit, body, value, orelse = (*rest, *_DEFAULTS[len(rest) :])
    return Instruction(
        str(name),
        _whole(qubits),
        tuple(_angle_from_json(angle) for angle in angles),
        _whole(clbits),
        _int(controls),
        str(unit),
        tuple(_step_from_json(inner) for inner in body),
        _int(value),
        tuple(_step_from_json(inner) for inner in orelse),
    )


def _whole(values: Any) -> tuple[int, ...]:
    if not {*map(type, values)} <= {int}:
        raise TypeError(f"{values!r} are no whole numbers")
    return tuple(values)


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def _angle_to_json(angle: Angle) -> Any:
    return _node_to_json(angle.node) if isinstance(angle, Expression) else float(angle).hex()


def _angle_from_json(written: Any) -> Angle:
    return number(float.fromhex(written)) if isinstance(written, str) else Expression(_node_from_json(written))


def _node_to_json(node: Node) -> list[Any]:
    if node[0] == "number":
        return ["number", float(node[1]).hex()]
    return list(node) if node[0] == "parameter" else [node[0], *map(_node_to_json, node[1:])]


def _node_from_json(written: Any) -> Node:
    kind, *parts = written
    if kind == "number":
        return ("number", *(number(float.fromhex(part)) for part in parts))
    if kind == "parameter":
        return Parameter(*parts).node
    if len(parts) != _OPERANDS[kind]:
        raise ValueError(f"{kind} of {len(parts)} values")
    return (kind, *map(_node_from_json, parts))
