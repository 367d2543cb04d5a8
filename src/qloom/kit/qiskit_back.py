"""What Qiskit's transpiler wrote, read back. Qiskit itself is imported only where there is something to read."""

from __future__ import annotations

from functools import cache, reduce
from operator import add
from typing import TYPE_CHECKING, Any

from qloom.circuits import Expression, Instruction
from qloom.circuits.circuit import conditional
from qloom.circuits.gates import GATES
from qloom.errors import Unsupported
from qloom.kit.qiskit_out import qiskit_gates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qloom.circuits import Angle


def instructions_of(circuit: Any, *, phase: bool = False) -> tuple[Instruction, ...]:
    """Return the instructions of a Qiskit circuit that was transpiled to gates of the circuit form.

    What else Qiskit's circuits can hold is read by `qloom.convert.from_qiskit`.

    Args:
        circuit: a `QuantumCircuit`, written by `to_qiskit` and transpiled; qubit i is its i-th one, and so are classical bits.
            Angles are sums of multiples of its parameters.
        phase: whether its global phase, where it is not 0, stands first, as `gphase`; else it is left out.

    Raises:
        Unsupported: another gate, instruction or condition, or another formula; it is named.

    >>> from qiskit import QuantumCircuit
    >>> from qiskit.circuit import Parameter
    >>> circuit = QuantumCircuit(2)
    >>> _ = circuit.rz(0.5 - 2 * Parameter("p0"), 1), circuit.cx(1, 0)
    >>> [(step.name, step.qubits, *map(str, step.parameters)) for step in instructions_of(circuit)]
    [('rz', (1,), '0.5 + (-2.0)*p0'), ('cx', (1, 0))]
    """
    return tuple(_steps(circuit, range(circuit.num_qubits), range(circuit.num_clbits), phase=phase))


def initial_layout(circuit: Any, num_qubits: int) -> list[int]:
    """Return the machine's qubit on which each qubit of a transpiled circuit begins; the same one where it was not placed."""
    if circuit.layout is None:
        return list(range(num_qubits))
    return [int(qubit) for qubit in circuit.layout.initial_index_layout(filter_ancillas=True)]


def final_layout(circuit: Any) -> list[int] | None:
    """Return the machine's qubit on which each qubit of a transpiled circuit ends; None where it was not placed."""
    if circuit.layout is None:
        return None
    return [int(qubit) for qubit in circuit.layout.final_index_layout(filter_ancillas=True)]


@cache
def _names() -> Mapping[str, str]:
    """Return Qiskit's name of each gate -> ours; they differ in a few."""
    return {make(*[0.0] * GATES[name].num_parameters).name: name for name, make in qiskit_gates().items()}


def _steps(circuit: Any, qubits: Sequence[int], clbits: Sequence[int], *, phase: bool) -> Iterator[Instruction]:
    """Yield the instructions of a circuit, or of a branch, whose qubits and bits are these."""
    places = dict(zip(circuit.qubits, qubits, strict=True))
    bits = dict(zip(circuit.clbits, clbits, strict=True))
    if phase and (turned := _angle(circuit.global_phase)) != 0.0:
        yield Instruction("gphase", (), (turned,))
    for item in circuit.data:
        operation, on = item.operation, tuple(places[qubit] for qubit in item.qubits)
        name, into = operation.name, tuple(bits[bit] for bit in item.clbits)
        if name in _names():
            if phase or name != "global_phase":
                yield Instruction(_names()[name], on, tuple(_angle(value) for value in operation.params))
        elif name == "if_else":
            body, *orelse = (tuple(_steps(block, on, into, phase=phase)) for block in operation.blocks)
            if body or any(orelse):
                yield conditional(*_condition(operation.condition, bits), body, *orelse)
        elif name == "delay":
            yield Instruction(name, on, (_angle(operation.duration),), unit=operation.unit)
        elif name in ("measure", "reset", "barrier"):
            yield Instruction(name, on, (), into)
        else:
            raise Unsupported(
                f"Qiskit's transpiler wrote {name} on qubits {list(on)}, which the circuit form does not hold; set the level to"
                " 0, or let it use more gates"
            )


def _angle(value: Any) -> Angle:
    return _sum(value) if getattr(value, "parameters", None) else float(value)


def _sum(value: Any) -> Angle:
    """Return a formula: multiples of parameters and a number. Qiskit 2 writes no other in any of its levels."""
    parameters = sorted(value.parameters, key=lambda one: (len(one.name), one.name))
    factors = [value.gradient(parameter) for parameter in parameters]
    if any(getattr(factor, "parameters", None) for factor in factors):
        raise Unsupported(
            f"Qiskit's transpiler wrote the angle {value}, which is no sum of multiples of the circuit's own angles; set the"
            " level to 0, or bind the parameters first"
        )
    terms = [_times(float(factor), parameter.name) for parameter, factor in zip(parameters, factors, strict=True) if factor]
    rest = float(value.bind(dict.fromkeys(parameters, 0.0)))
    return reduce(add, [rest, *terms] if rest or not terms else terms)


def _times(factor: float, name: str) -> Angle:
    formula = Expression(("parameter", name))
    if factor == 1:
        return formula
    return -formula if factor == -1 else factor * formula


def _condition(condition: Any, bits: Mapping[Any, int]) -> tuple[tuple[int, ...], int]:
    """Return the classical bits that `to_qiskit` let a condition look at, the least significant first, and their value."""
    if isinstance(condition, tuple):
        target, value = condition
        return tuple(bits[bit] for bit in ([target] if target in bits else target)), int(value)
    asked = list(_asked(condition))
    return tuple(bits[bit] for bit, _ in asked), sum(value << index for index, (_, value) in enumerate(asked))


def _asked(node: Any) -> Iterator[tuple[Any, int]]:
    """Yield each bit and what it must be, of bits and their opposites joined by `and`."""
    operation = getattr(getattr(node, "op", None), "name", "")
    if operation == "LOGIC_AND":
        yield from _asked(node.left)
        yield from _asked(node.right)
    elif operation == "LOGIC_NOT" and hasattr(node.operand, "var"):
        yield node.operand.var, 0
    elif hasattr(node, "var"):
        yield node.var, 1
    else:
        raise Unsupported(f"Qiskit's transpiler wrote the condition {node}, which is no bits joined by `and`; set the level to 0")
