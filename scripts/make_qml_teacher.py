"""Make the circuit that examples/qml_loss.py learns, as OpenQASM 2 text.

Qiskit prepares the wave sin(4t) + sin(8t), at 32 points of one turn, on five qubits, transforms it with the quantum Fourier
transform, and compiles both to rx, ry, rz and cx. Bit i of a point's number is qubit i.

Run from the repository's root: `.venv/bin/python scripts/make_qml_teacher.py`
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

TARGET = Path(__file__).resolve().parents[1] / "examples" / "qml_teacher.qasm"
QUBITS = 5
DECIMALS = 12
"""What is kept of an angle: 1e-12 rad, so that every machine writes the same file."""


def main() -> None:
    """Write the file that the options ask for."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--output", type=Path, default=TARGET, help="the OpenQASM file to write (default: %(default)s)")
    chosen = options.parse_args()
    steps = compiled_steps()
    chosen.output.write_text(render(steps), encoding="utf-8")
    print(f"wrote {chosen.output}: {len(steps)} gates")


def wave() -> npt.NDArray[np.float64]:
    """Return sin(4t) + sin(8t) at 32 points from 0 to 2 pi, both included, with norm 1."""
    t = np.linspace(0, 2 * np.pi, 2**QUBITS)
    values = np.sin(4 * t) + np.sin(8 * t)
    return np.asarray(values / np.linalg.norm(values))


def compiled_steps() -> list[tuple[str, tuple[float, ...], tuple[int, ...]]]:
    """Return the compiled circuit: name, angles in rad and qubits of each gate."""
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit.library import QFTGate, StatePreparation

    circuit = QuantumCircuit(QUBITS)
    circuit.append(StatePreparation(wave()), range(QUBITS))
    circuit.append(QFTGate(QUBITS), range(QUBITS))
    compiled: Any = transpile(circuit, basis_gates=["rx", "ry", "rz", "cx"], optimization_level=1, seed_transpiler=1)
    return [
        (
            step.operation.name,
            tuple(map(float, step.operation.params)),
            tuple(compiled.find_bit(bit).index for bit in step.qubits),
        )
        for step in compiled.data
    ]


def render(steps: list[tuple[str, tuple[float, ...], tuple[int, ...]]]) -> str:
    """Return the file's text.

    >>> print(render([("rz", (0.25,), (1,)), ("cx", (), (0, 1))]).splitlines()[-2:])
    ['rz(0.25) q[1];', 'cx q[0],q[1];']
    """
    lines = [
        f"// sin(4t) + sin(8t) at {2**QUBITS} points, then the quantum Fourier transform; made by scripts/make_qml_teacher.py",
        "OPENQASM 2.0;",
        'include "qelib1.inc";',
        f"qreg q[{QUBITS}];",
    ]
    for name, angles, qubits in steps:
        # Adding 0.0 turns -0.0 into 0.0.
        told = f"({','.join(repr(round(angle, DECIMALS) + 0.0) for angle in angles)})" if angles else ""
        lines.append(f"{name}{told} {','.join(f'q[{qubit}]' for qubit in qubits)};")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
