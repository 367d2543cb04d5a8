"""Circuits as JSON, for the recipes of stages that build further circuits out of answers."""

from __future__ import annotations

from typing import Any

from qloom.circuits import Angle, Circuit, Expression, Instruction

_SEQUENCES = ("qubits", "clbits", "parameters", "body", "orelse")


def circuit_to_json(circuit: Circuit) -> dict[str, Any]:
    """Return a circuit as JSON, formulas and blocks included.

    >>> from qloom.circuits import Parameter
    >>> circuit = Circuit(2).ry(2 * Parameter("a"), 0).verbatim(Circuit(2).cx(0, 1))
    >>> circuit_from_json(circuit_to_json(circuit)) == circuit
    True
    """
    return {
        "num_qubits": circuit.num_qubits,
        "num_clbits": circuit.num_clbits,
        "parameters": list(circuit.parameters),
        "name": circuit.name,
        "instructions": [_step_to_json(step) for step in circuit.instructions],
    }


def circuit_from_json(record: dict[str, Any]) -> Circuit:
    """Return the circuit of a record that `circuit_to_json` made."""
    steps = tuple(map(_step_from_json, record["instructions"]))
    return Circuit.trusted(record["num_qubits"], steps, record["num_clbits"], record["parameters"], record["name"])


def _step_to_json(step: Instruction) -> list[Any]:
    """Return a step's fields in order, those at the end left out that are as they would be anyway."""
    fields: list[Any] = [
        step.name,
        list(step.qubits),
        [list(_node_to_json(angle.node)) if isinstance(angle, Expression) else float(angle) for angle in step.parameters],
        list(step.clbits),
        step.controls,
        step.unit,
        [_step_to_json(inner) for inner in step.body],
        step.value,
        [_step_to_json(inner) for inner in step.orelse],
    ]
    while not fields[-1] and len(fields) > len(("name", "qubits")):
        fields.pop()
    return fields


def _step_from_json(fields: list[Any]) -> Instruction:
    given = dict(zip(Instruction._fields, fields, strict=False))
    readers = {"parameters": _angle, "body": _step_from_json, "orelse": _step_from_json}
    for name in _SEQUENCES:
        if name in given:
            given[name] = tuple(map(readers[name], given[name])) if name in readers else tuple(given[name])
    return Instruction(**given)


def _node_to_json(node: Any) -> Any:
    return [_node_to_json(part) for part in node] if isinstance(node, tuple) else node


def _angle(record: Any) -> Angle:
    return Expression(_node(record)) if isinstance(record, list) else float(record)


def _node(record: Any) -> Any:
    return tuple(_node(part) for part in record) if isinstance(record, list) else record
