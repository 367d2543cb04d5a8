"""A circuit as a Qiskit `QuantumCircuit`: parameters stay symbolic, bits keep their numbers."""

from __future__ import annotations

from functools import cache, reduce
from typing import TYPE_CHECKING, Any

from qloom.circuits import Expression
from qloom.circuits.expressions import FUNCTIONS
from qloom.circuits.gates import GATES, standard_controls
from qloom.errors import InvalidCircuit, MissingExtra, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from qiskit import QuantumCircuit

    from qloom.circuits import Angle, Circuit, Instruction
    from qloom.circuits.expressions import Node

VERBATIM, VERBATIM_END = "verbatim", "end verbatim"
"""Labels of the barriers around what no compiler may change."""

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda left, right: left + right,
    "sub": lambda left, right: left - right,
    "mul": lambda left, right: left * right,
    "div": lambda left, right: left / right,
    "pow": lambda left, right: left**right,
}


def to_qiskit(circuit: Circuit) -> QuantumCircuit:
    """Return the circuit as Qiskit holds it: one quantum register `q`, one classical register `c`, parameters by their names.

    Args:
        circuit: any circuit without noise channels.

    Returns:
        A `QuantumCircuit` in which qubit i is `q[i]` and classical bit i is `c[i]`. Qiskit writes keys the other way round:
        its last character is classical bit 0. The contents of a verbatim block stand between two barriers, labelled `verbatim`
        and `end verbatim`, on the block's qubits; Qiskit's transpiler moves nothing across them, and only from level 1 on does it
        change what is between them. Parameters that no instruction uses are not in it, as Qiskit holds none such.

    Raises:
        MissingExtra: Qiskit is not installed.
        Unsupported: a noise channel, which Qiskit's circuits do not have; it is named.
        InvalidCircuit: a delay of a fraction of `dt`.

    >>> from qloom.circuits import Circuit, Parameter
    >>> out = to_qiskit(Circuit(2).ry(2 * Parameter("a") + 0.5, 0).cx(0, 1).measure_all())
    >>> out.count_ops()["measure"], [parameter.name for parameter in out.parameters]
    (2, ['a'])
    """
    writer = _Writer(circuit)
    writer.write(circuit.instructions)
    return writer.circuit


def require_qiskit() -> str:
    """Return the version of Qiskit that is installed.

    Raises:
        MissingExtra: none is.

    >>> require_qiskit().split(".")[0] >= "2"
    True
    """
    try:
        import qiskit
    except ModuleNotFoundError as error:
        raise MissingExtra(f"this needs Qiskit, which is not installed ({error}); `pip install 'qloom[qiskit]'`") from error
    return str(qiskit.__version__)


@cache
def qiskit_gates() -> Mapping[str, Callable[..., Any]]:
    """Return what makes each gate of the circuit form in Qiskit: name -> function of its angles.

    >>> qiskit_gates()["rzz"](0.5).num_qubits
    2
    """
    require_qiskit()
    from qiskit.circuit import library
    from qiskit.circuit.library import get_standard_gate_name_mapping

    standard = get_standard_gate_name_mapping()
    found: dict[str, Callable[..., Any]] = {name: standard[name].base_class for name in GATES if name in standard}
    found["gphase"] = library.GlobalPhaseGate
    found["csxdg"] = lambda: library.SXdgGate().control(1, annotated=False)
    found["iswapdg"] = lambda: library.iSwapGate().inverse()
    return found


class _Writer:
    """One Qiskit circuit in the making."""

    def __init__(self, circuit: Circuit) -> None:
        self._gates = qiskit_gates()
        from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
        from qiskit.circuit import Parameter

        registers: list[Any] = [QuantumRegister(circuit.num_qubits, "q")] if circuit.num_qubits else []
        registers += [ClassicalRegister(circuit.num_clbits, "c")] if circuit.num_clbits else []
        self.circuit = QuantumCircuit(*registers, name=circuit.name or None)
        self._register = registers[-1] if circuit.num_clbits else None
        self._parameters = {name: Parameter(name) for name in circuit.parameters}
        self._angles: dict[Node, Any] = {}
        self._depth = 0

    def write(self, steps: Iterable[Instruction]) -> None:
        """Add instructions at the end."""
        for step in steps:
            if step.name in GATES:
                self._gate(step)
            else:
                self._other(step)

    def _gate(self, step: Instruction) -> None:
        name, controls = standard_controls(step.name, step.controls)
        if name == "gphase" and not controls:
            if not self._depth:  # under an `if` it is the phase of a whole branch, which nothing can tell
                self.circuit.global_phase += self._angle(step.parameters[0])
            return
        gate = self._gates[name](*map(self._angle, step.parameters))
        if controls:
            gate = gate.control(controls, annotated=True)
        self.circuit.append(gate, step.qubits, copy=False)

    def _other(self, step: Instruction) -> None:
        match step.name:
            case "measure":
                self.circuit.measure(step.qubits, step.clbits)
            case "barrier":
                self.circuit.barrier(step.qubits)
            case "reset":
                self.circuit.reset(step.qubits)
            case "delay":
                self.circuit.delay(self._duration(step), step.qubits, step.unit)
            case "verbatim":
                self._verbatim(step)
            case "if":
                self._if(step)
            case channel:
                raise Unsupported(
                    f"the noise channel {channel} on qubits {list(step.qubits)}: Qiskit's circuits hold no noise; run the circuit"
                    " on a device that does (`qloom device list`), or give the noise to the device as its noise model"
                )

    def _verbatim(self, step: Instruction) -> None:
        if step.qubits:
            self.circuit.barrier(step.qubits, label=VERBATIM)
        self.write(step.body)
        if step.qubits:
            self.circuit.barrier(step.qubits, label=VERBATIM_END)

    def _if(self, step: Instruction) -> None:
        self._depth += 1
        with self.circuit.if_test(self._condition(step)) as otherwise:
            self.write(step.body)
        if step.orelse:
            with otherwise:
                self.write(step.orelse)
        self._depth -= 1

    def _condition(self, step: Instruction) -> Any:
        """Return a bit and its value; the register and its value where all bits are looked at; else all bits joined by `and`."""
        bits = [self.circuit.clbits[bit] for bit in step.clbits]
        if len(bits) == 1:
            return bits[0], step.value
        if list(step.clbits) == list(range(self.circuit.num_clbits)):
            return self._register, step.value
        from qiskit.circuit.classical import expr

        asked = [bit if step.value >> index & 1 else expr.logic_not(bit) for index, bit in enumerate(bits)]
        return reduce(expr.logic_and, asked)

    # ---- numbers -------------------------------------------------------------------------------------------------

    def _angle(self, angle: Angle) -> Any:
        if not isinstance(angle, Expression):
            return angle
        found = self._angles.get(angle.node)
        if found is None:
            found = self._angles[angle.node] = self._formula(angle.node)
        return found

    def _formula(self, node: Node) -> Any:
        kind, *parts = node
        if kind == "number":
            return parts[0]
        if kind == "parameter":
            return self._parameters[parts[0]]
        values = [self._formula(part) for part in parts]
        if kind in _OPERATORS:
            return _OPERATORS[kind](*values)
        return -values[0] if kind == "neg" else _function(kind, values[0])

    def _duration(self, step: Instruction) -> Any:
        duration = self._angle(step.parameters[0])
        if step.unit != "dt" or not isinstance(duration, float):
            return duration
        if not duration.is_integer():
            raise InvalidCircuit(
                f"a delay of {duration} dt: Qiskit counts whole dt; give a whole number, or a time in s, ms, us or ns"
            )
        return int(duration)


def _function(name: str, value: Any) -> Any:
    """Return a function of a number or of one of Qiskit's formulas."""
    if not hasattr(value, "parameters"):
        return Expression((name, ("number", float(value)))).evaluate({})
    if name == "sqrt":  # the one function of ours that Qiskit has no name for
        return value**0.5
    if name not in FUNCTIONS:
        raise InvalidCircuit(f"the function {name!r} of {value} is not one that Qiskit's parameters know")
    return getattr(value, name)()
