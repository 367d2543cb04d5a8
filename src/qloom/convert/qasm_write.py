"""A circuit as OpenQASM 3.0 text that our readers, Qiskit's and others read alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qloom.circuits import Expression
from qloom.circuits.gates import GATES
from qloom.convert.kraus import write_kraus
from qloom.convert.names import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from qloom.circuits import Angle, Circuit, Instruction
    from qloom.circuits.expressions import Node

DEFINITIONS: dict[str, str] = {
    "sxdg": "q0 { h q0; sdg q0; h q0; }",
    "r": "(p0, p1) q0 { rz(-p1) q0; rx(p0) q0; rz(p1) q0; }",
    "cs": "q0, q1 { cp(pi/2) q0, q1; }",
    "csdg": "q0, q1 { cp(-pi/2) q0, q1; }",
    "csx": "q0, q1 { h q1; cp(pi/2) q0, q1; h q1; }",
    "csxdg": "q0, q1 { h q1; cp(-pi/2) q0, q1; h q1; }",
    "iswap": "q0, q1 { s q0; s q1; h q0; cx q0, q1; cx q1, q0; h q1; }",
    "iswapdg": "q0, q1 { h q1; cx q1, q0; cx q0, q1; h q0; sdg q1; sdg q0; }",
    "ecr": "q0, q1 { h q1; cx q0, q1; rz(pi/4) q1; cx q0, q1; h q1; x q0; h q1; cx q0, q1; rz(-pi/4) q1; cx q0, q1; h q1; }",
    "rxx": "(p0) q0, q1 { h q0; h q1; cx q0, q1; rz(p0) q1; cx q0, q1; h q0; h q1; }",
    "ryy": "(p0) q0, q1 { rx(pi/2) q0; rx(pi/2) q1; cx q0, q1; rz(p0) q1; cx q0, q1; rx(-pi/2) q0; rx(-pi/2) q1; }",
    "rzz": "(p0) q0, q1 { cx q0, q1; rz(p0) q1; cx q0, q1; }",
    "rzx": "(p0) q0, q1 { h q1; cx q0, q1; rz(p0) q1; cx q0, q1; h q1; }",
    "ccz": "q0, q1, q2 { h q2; ccx q0, q1, q2; h q2; }",
}
"""Gates that `stdgates.inc` lacks -> what follows their name in a definition; exact, global phase included."""

_SPELLED = {"u": "U"}
"""Gates that OpenQASM 3 has under another name, without any definition."""
_MAX_WHOLE = 512
"""A number of more bits has too many digits for some readers: its bits are then written one by one."""


def write_openqasm(circuit: Circuit) -> str:
    """Return the circuit as OpenQASM 3.0; see `qloom.convert.to_openqasm`."""
    inputs = written(circuit.parameters)
    writer = _Writer(circuit, inputs)
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    for parameter, name in inputs.items():
        lines += [f"// parameter {name} is {parameter}"] if name != parameter else []
        lines.append(f"input float[64] {name};")
    used = {step.name for step in circuit.every()}
    lines += [f"gate {name}{'' if text[0] == '(' else ' '}{text}" for name, text in DEFINITIONS.items() if name in used]
    lines += [f"bit[{circuit.num_clbits}] c;"] if circuit.num_clbits else []
    lines += [f"qubit[{circuit.num_qubits}] q;"] if circuit.num_qubits else []
    lines += writer.lines(circuit.instructions)
    return "\n".join(lines) + "\n"


class _Writer:
    """Turns instructions into statements."""

    def __init__(self, circuit: Circuit, inputs: Mapping[str, str]) -> None:
        self.inputs = inputs
        self.all_qubits = tuple(range(circuit.num_qubits))
        self.all_bits = tuple(range(circuit.num_clbits))
        self.qubits = [f"q[{index}]" for index in self.all_qubits]

    def lines(self, steps: Iterable[Instruction]) -> Iterator[str]:
        for step in steps:
            if step.name in GATES:
                yield f"{_modifier(step.controls)}{_SPELLED.get(step.name, step.name)}{self._call(step)};"
            elif step.name == "measure":
                yield self._measure(step)
            elif step.name == "delay":
                yield f"delay[{self._duration(step)}]{self._on(step)};"
            elif step.name == "verbatim":
                yield "#pragma braket verbatim"
                yield "box {"
                yield from self.lines(step.body)
                yield "}"
            elif step.name == "kraus":
                numbers = [value for value in step.parameters if not isinstance(value, Expression)]
                yield f"#pragma braket noise kraus({write_kraus(numbers, len(step.qubits))}){self._on(step)}"
            elif step.name == "if":
                yield from self._if(step)
            elif step.kind == "channel":
                yield f"#pragma braket noise {step.name}{self._call(step)}"
            else:
                yield f"{step.name}{self._on(step)};"

    def _if(self, step: Instruction) -> Iterator[str]:
        whole = 1 < len(step.clbits) <= _MAX_WHOLE and step.clbits == self.all_bits
        if whole and not step.body:
            yield f"if (c != {step.value}) {{"
            yield from self.lines(step.orelse)
        else:
            yield f"if ({f'c == {step.value}' if whole else _bit_tests(step)}) {{"
            yield from self.lines(step.body)
            if step.orelse:
                yield "} else {"
                yield from self.lines(step.orelse)
        yield "}"

    def _call(self, step: Instruction) -> str:
        angles = ", ".join(self._angle(angle) for angle in step.parameters)
        return f"{f'({angles})' if angles else ''}{self._on(step)}"

    def _on(self, step: Instruction) -> str:
        return " " + ", ".join([self.qubits[qubit] for qubit in step.qubits]) if step.qubits else ""

    def _angle(self, angle: Angle) -> str:
        return str(Expression(_renamed(angle.node, self.inputs))) if isinstance(angle, Expression) else repr(float(angle))

    def _duration(self, step: Instruction) -> str:
        duration = self._angle(step.parameters[0])
        return f"({duration}) * 1.0{step.unit}" if isinstance(step.parameters[0], Expression) else f"{duration}{step.unit}"

    def _measure(self, step: Instruction) -> str:
        if len(step.qubits) == 1:
            return f"c[{step.clbits[0]}] = measure {self.qubits[step.qubits[0]]};"
        if step.qubits == self.all_qubits and step.clbits == self.all_bits:
            return "c = measure q;"
        return f"c[{_set(step.clbits)}] = measure q[{_set(step.qubits)}];"


def _modifier(controls: int) -> str:
    if not controls:
        return ""
    return "ctrl @ " if controls == 1 else f"ctrl({controls}) @ "


def _bit_tests(step: Instruction) -> str:
    # Qiskit compares a bit with `true` only, Braket knows no `!`; both read this.
    values = ("true" if step.value >> place & 1 else "false" for place in range(len(step.clbits)))
    return " && ".join(f"c[{bit}] == {value}" for bit, value in zip(step.clbits, values, strict=True))


def _set(members: tuple[int, ...]) -> str:
    return "{" + ", ".join(map(str, members)) + "}"


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    if node[0] == "parameter":
        return ("parameter", names[node[1]])
    return node if node[0] == "number" else (node[0], *(_renamed(child, names) for child in node[1:]))
