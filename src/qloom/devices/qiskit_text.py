"""A transpiled Qiskit circuit, with its layout, as a JSON document that people can read, and back.

```
{"qubits": [["q", 3]], "clbits": [["c", 2]], "parameters": ["p0"], "phase": 0.5,
 "steps": [["rz", [0], ["3.141592653589793 p0 +"]], ["cx", [0, 1]], ["measure", [1], [], [0]],
           ["if_else", [2], [], [0], {"if": ["bit", 0, 1], "blocks": [{"registers": [], "phase": 0, "steps": [["x", [0]]]}]}]],
 "layout": {"initial": [0, 1, 2], "final": [1, 0, 2], "inputs": 2}}
```

A step is a name, qubits, angles, classical bits and what else there is; empty ends are left out. Inside of a block, numbers of
qubits and bits are places in those of its step. An operation is made by its name from the backend's own target or from Qiskit's
standard gates, and from nowhere else, so no entry can name a class or a function. What has no form here is refused when it is
written: loops and switches, expressions of classical bits other than `and` and `not`, gates under a name that neither the target
nor Qiskit's standard gates have, elements of a parameter vector, schedules, metadata, variables.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qloom.devices.qiskit_formulas import can_name, read_formula, write_formula

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BRANCH = "if_else"
_ENDS: tuple[Any, ...] = ([], [], {})
"""What is left out at the end of a step."""
_MALFORMED = (LookupError, TypeError, AttributeError, OverflowError, RecursionError)


def to_document(circuit: Any) -> dict[str, Any]:
    """Return a Qiskit circuit as a JSON document.

    Args:
        circuit: a `QuantumCircuit`, transpiled or not.

    Raises:
        ValueError: something in it has no form; it is named.

    >>> from qiskit import QuantumCircuit
    >>> circuit = QuantumCircuit(2)
    >>> _ = circuit.rx(0.1, 0), circuit.cx(0, 1)
    >>> to_document(circuit)["steps"]
    [['rx', [0], [0.1]], ['cx', [0, 1]]]
    """
    if circuit.metadata or circuit.num_vars or circuit.num_stretches or hasattr(circuit, "op_start_times"):
        raise ValueError("metadata, variables or times of a schedule have no form")
    for parameter in circuit.parameters:
        if type(parameter).__name__ != "Parameter" or not can_name(parameter.name):
            raise ValueError(f"the parameter {parameter.name} has no form")
    found = {
        "name": str(circuit.name),
        "qubits": _registers(circuit.qregs, circuit.qubits, "QuantumRegister"),
        "clbits": _registers(circuit.cregs, circuit.clbits, "ClassicalRegister"),
        "parameters": [parameter.name for parameter in circuit.parameters],
        "phase": _angle_out(circuit.global_phase),
        "steps": _steps_out(circuit),
    }
    return found if circuit.layout is None else found | {"layout": _layout_out(circuit.layout)}


def from_document(document: Any, target: Any, parameters: Mapping[str, Any] | None = None) -> Any:
    """Return the Qiskit circuit that a document holds.

    Args:
        document: what `to_document` returned.
        target: the backend's `Target`, whose own gates it may name.
        parameters: Qiskit's parameters by name, to be taken where there are such already.

    Raises:
        ValueError: it holds none.

    >>> from qiskit import QuantumCircuit
    >>> from qiskit.transpiler import Target
    >>> from_document(to_document(QuantumCircuit(1)), Target()) == QuantumCircuit(1)
    True
    >>> from_document({"steps": []}, Target())
    Traceback (most recent call last):
    ValueError: no circuit: KeyError: 'qubits'
    """
    from qiskit.exceptions import QiskitError

    try:
        return _circuit_in(document, parameters or {}, _Operations(target))
    except (*_MALFORMED, QiskitError) as error:
        raise ValueError(f"no circuit: {type(error).__name__}: {error}") from error


# ---- out --------------------------------------------------------------------------------------------------------------


def _registers(registers: Sequence[Any], bits: Sequence[Any], kind: str) -> list[list[Any]]:
    if [bit for register in registers for bit in register] != list(bits) or {type(each).__name__ for each in registers} - {kind}:
        raise ValueError("registers that overlap, and bits without one, have no form")
    return [[register.name, register.size] for register in registers]


def _steps_out(circuit: Any) -> list[list[Any]]:
    qubits = {bit: index for index, bit in enumerate(circuit.qubits)}
    clbits = {bit: index for index, bit in enumerate(circuit.clbits)}
    return [_step_out(step, [qubits[bit] for bit in step.qubits], [clbits[bit] for bit in step.clbits]) for step in circuit.data]


def _step_out(step: Any, on: list[int], into: list[int]) -> list[Any]:
    name = step.name
    more: dict[str, Any] = {} if step.label is None else {"label": step.label}
    angles: list[Any] = []
    if name == _BRANCH:
        operation = step.operation
        inner = {bit: place for place, bit in enumerate(step.clbits)}
        more |= {"if": _condition_out(operation.condition, inner), "blocks": [_block_out(block) for block in operation.blocks]}
    elif name == "delay":
        angles, more = [_angle_out(step.operation.duration)], more | {"unit": step.operation.unit}
    elif step.is_control_flow():
        raise ValueError(f"the operation {name} has no form")
    elif name != "barrier":
        # A step by itself does not tell the matrix of a unitary.
        angles = [_angle_out(value) for value in (step.params if step.is_standard_gate() else step.operation.params)]
    found = [name, on, angles, into, more]
    while len(found) > 2 and not found[-1]:  # a name and qubits always stand there
        found.pop()
    return found


def _block_out(block: Any) -> dict[str, Any]:
    names = [register.name for register in block.cregs]
    return {"registers": names, "phase": _angle_out(block.global_phase), "steps": _steps_out(block)}


def _angle_out(value: Any) -> Any:
    """Return a number as it is, a formula as its text, a matrix as two of real numbers."""
    if isinstance(value, float | np.floating):
        return float(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, np.ndarray) and value.dtype == np.complex128:
        return {"real": value.real.tolist(), "imaginary": value.imag.tolist()}
    if getattr(value, "parameters", None):
        return write_formula(value)
    raise ValueError(f"a {type(value).__name__} among the angles has no form")


def _condition_out(condition: Any, clbits: Mapping[Any, int]) -> list[Any]:
    if isinstance(condition, tuple):
        target, value = condition
        place = ["bit", clbits[target]] if target in clbits else ["register", target.name]
        return [*place, int(value)]
    operation = getattr(getattr(condition, "op", None), "name", "")
    if type(condition).__name__ == "Var" and condition.var in clbits:
        return ["bit", clbits[condition.var]]
    if operation == "LOGIC_NOT":
        return ["not", _condition_out(condition.operand, clbits)]
    if operation == "LOGIC_AND":
        return ["and", _condition_out(condition.left, clbits), _condition_out(condition.right, clbits)]
    raise ValueError(f"a condition with {operation or type(condition).__name__} has no form")


def _layout_out(layout: Any) -> dict[str, Any]:
    initial, final = layout.initial_index_layout(), layout.final_index_layout(filter_ancillas=False)
    inputs = len(layout.initial_index_layout(filter_ancillas=True))
    return {"initial": list(map(int, initial)), "final": list(map(int, final)), "inputs": inputs}


# ---- back -------------------------------------------------------------------------------------------------------------


class _Operations:
    """Makes operations by their names: the target's own, and Qiskit's standard ones."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._makers: dict[str, Callable[[list[Any], int], Any]] = {}

    def make(self, name: str, angles: list[Any], num_qubits: int) -> Any:
        maker = self._makers.get(name)
        if maker is None:
            maker = self._makers[name] = self._maker(name)
        return maker(angles, num_qubits)

    def _maker(self, name: str) -> Callable[[list[Any], int], Any]:
        if name in _of_any_width():
            return _of_any_width()[name]
        own = self._target.operation_from_name(name) if name in self._target.operation_names else None
        standard = _standard_gates().get(name)
        model = standard if own is None else own
        if model is None or isinstance(model, type):
            raise ValueError(f"{name!r} is no gate of the target, and no standard gate")
        if standard is not None and model.base_class is standard.base_class:
            kind = standard.base_class
            return lambda angles, _: kind(*angles)
        return lambda angles, _: _alike(model, angles)


@cache
def _standard_gates() -> Mapping[str, Any]:
    from qiskit.circuit.library import get_standard_gate_name_mapping

    found: dict[str, Any] = get_standard_gate_name_mapping()
    return found


@cache
def _of_any_width() -> Mapping[str, Callable[[list[Any], int], Any]]:
    from qiskit.circuit import Barrier
    from qiskit.circuit.library import MCPhaseGate, MCXGate, UnitaryGate

    return {
        "barrier": lambda angles, size: Barrier(size, *angles),
        "mcphase": lambda angles, size: MCPhaseGate(*angles, size - 1),
        "mcx": lambda angles, size: MCXGate(size - 1, *angles),
        "unitary": lambda angles, _: UnitaryGate(*angles, check_input=False),
    }


def _alike(model: Any, angles: list[Any]) -> Any:
    """Return a gate like the target's own, with other angles."""
    made = model.to_mutable()
    if len(made.params) != len(angles):
        raise ValueError(f"{model.name} has {len(made.params)} angles, not {len(angles)}")
    made.params = angles
    return made


class _Names(NamedTuple):
    """What a step may name.

    Attributes:
        parameters, registers: of the whole circuit, by name.
    """

    operations: _Operations
    parameters: dict[str, Any]
    registers: dict[str, Any]


def _circuit_in(document: Any, given: Mapping[str, Any], operations: _Operations) -> Any:
    from qiskit import ClassicalRegister, QuantumRegister
    from qiskit.circuit import Parameter

    quantum = [QuantumRegister(_whole(size), name) for name, size in document["qubits"]]
    classical = [ClassicalRegister(_whole(size), name) for name, size in document["clbits"]]
    parameters = {str(name): given[name] if name in given else Parameter(name) for name in document["parameters"]}
    names = _Names(operations, parameters, {register.name: register for register in classical})
    qubits, clbits = ([bit for register in registers for bit in register] for registers in (quantum, classical))
    circuit = _body_in(document, qubits, clbits, names)
    circuit.name = str(document["name"])
    for register in (*quantum, *classical):
        circuit.add_register(register)
    if "layout" in document:
        # Qiskit offers no other way to say where a circuit's qubits are; its own reader of QPY does it so too.
        circuit._layout = _layout_in(document["layout"], circuit)  # noqa: SLF001
    return circuit


def _body_in(document: dict[str, Any], qubits: list[Any], clbits: list[Any], names: _Names) -> Any:
    """Return a circuit on these bits, without registers."""
    from qiskit import QuantumCircuit

    phase = _angle_in(document["phase"], names.parameters)
    steps = [_step_in(step, qubits, clbits, names) for step in document["steps"]]
    return QuantumCircuit.from_instructions(steps, qubits=qubits, clbits=clbits, global_phase=phase)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r} is no number of bits")
    return value


def _step_in(step: list[Any], qubits: list[Any], clbits: list[Any], names: _Names) -> tuple[Any, list[Any], list[Any]]:
    name, on, *rest = step
    angles, into, more = (*rest, *_ENDS[len(rest) :])
    if len({*on}) != len(on) or len({*into}) != len(into):
        raise ValueError(f"{name} on {on} and {into}, one of them twice")
    own_qubits = [qubits[_whole(place)] for place in on]
    own_clbits = [clbits[_whole(place)] for place in into]
    values = [_angle_in(value, names.parameters) for value in angles]
    if name == _BRANCH:
        operation = _branch_in(more, own_qubits, own_clbits, names)
    elif name == "delay":
        operation = _delay_in(values, more["unit"])
    else:
        operation = names.operations.make(name, values, len(on))
    if (operation.num_qubits, operation.num_clbits) != (len(on), len(into)):
        raise ValueError(f"{name} is on {operation.num_qubits} qubits and {operation.num_clbits} bits, not on {on} and {into}")
    if "label" in more:
        operation = operation.to_mutable()
        operation.label = str(more["label"])
    return operation, own_qubits, own_clbits


def _delay_in(values: list[Any], unit: Any) -> Any:
    from qiskit.circuit import Delay

    return Delay(*values, unit)


def _branch_in(more: dict[str, Any], qubits: list[Any], clbits: list[Any], names: _Names) -> Any:
    from qiskit.circuit import IfElseOp

    blocks = [_body_in(block, qubits, clbits, names) for block in more["blocks"]]
    for block, made in zip(more["blocks"], blocks, strict=True):
        for name in block["registers"]:
            made.add_register(names.registers[name])
    return IfElseOp(_condition_in(more["if"], clbits, names.registers), *blocks)


def _angle_in(written: Any, parameters: dict[str, Any]) -> Any:
    if isinstance(written, str):
        return parameters[written] if written in parameters else read_formula(written, parameters)
    if isinstance(written, dict):
        matrix = np.array(written["real"], dtype=np.float64) + 1j * np.array(written["imaginary"], dtype=np.float64)
        return matrix.astype(np.complex128)
    if type(written) not in (int, float):
        raise TypeError(f"{written!r} is no angle")
    return written


def _condition_in(written: list[Any], clbits: list[Any], registers: dict[str, Any]) -> Any:
    from qiskit.circuit.classical import expr

    match written:
        case ["bit", place, value]:
            return clbits[_whole(place)], _whole(value)
        case ["register", name, value]:
            return registers[name], _whole(value)
        case ["bit", place]:
            return expr.lift(clbits[_whole(place)])
        case ["not", inner]:
            return expr.logic_not(_condition_in(inner, clbits, registers))
        case ["and", left, right]:
            return expr.logic_and(*(_condition_in(side, clbits, registers) for side in (left, right)))
    raise ValueError(f"{written!r} is no condition")


def _layout_in(written: dict[str, Any], circuit: Any) -> Any:
    from qiskit import QuantumRegister
    from qiskit.transpiler import Layout
    from qiskit.transpiler.layout import TranspileLayout

    initial, final, inputs = written["initial"], written["final"], _whole(written["inputs"])
    size = circuit.num_qubits
    if inputs > size or any(sorted(map(_whole, places)) != list(range(size)) for places in (initial, final)):
        raise ValueError(f"{written!r} is no layout on {size} qubits")
    virtual = [*QuantumRegister(inputs, "q"), *QuantumRegister(size - inputs, "ancilla")]
    moved = Layout({circuit.qubits[start]: end for start, end in zip(initial, final, strict=True)})
    return TranspileLayout(
        initial_layout=Layout(dict(zip(virtual, initial, strict=True))),
        input_qubit_mapping={qubit: index for index, qubit in enumerate(virtual)},
        final_layout=None if initial == final else moved,
        _input_qubit_count=inputs,
        _output_qubit_list=circuit.qubits,
    )
