"""What a circuit of classical gates does to bits: an oracle for `if` that needs no state vector and no sampling."""

from collections.abc import Iterable

from qloom.circuits import Circuit, Instruction


def outcome(circuit: Circuit) -> str:
    """The classical bits at the end, bit 0 first, of a circuit of x, cx, ccx, swap, measure, reset, barrier and if."""
    qubits, bits = [0] * circuit.num_qubits, [0] * circuit.num_clbits
    _run(circuit.instructions, qubits, bits)
    return "".join(map(str, bits))


def _run(steps: Iterable[Instruction], qubits: list[int], bits: list[int]) -> None:
    for step in steps:
        match step.name:
            case "x" | "cx" | "ccx":
                *controls, target = step.qubits
                qubits[target] ^= all(qubits[control] for control in controls)
            case "swap":
                first, second = step.qubits
                qubits[first], qubits[second] = qubits[second], qubits[first]
            case "reset":
                qubits[step.qubits[0]] = 0
            case "measure":
                for qubit, bit in zip(step.qubits, step.clbits, strict=True):
                    bits[bit] = qubits[qubit]
            case "if":
                holds = all(bits[bit] == step.value >> place & 1 for place, bit in enumerate(step.clbits))
                _run(step.body if holds else step.orelse, qubits, bits)
            case "barrier":
                pass
            case other:
                raise AssertionError(f"{other} is not classical")
