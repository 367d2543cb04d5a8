"""Inverses in a device's own gates: what a fold undoes, it undoes with gates that the device runs as they are."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

from qloom.circuits import Circuit, Instruction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from qloom.specs import DeviceSpec

_HALF_TURN = ("rz", (0,), (pi,))
SPELLINGS: Mapping[str, tuple[tuple[str, tuple[int, ...], tuple[float, ...]], ...]] = {
    "sdg": (("rz", (0,), (-pi / 2,)),),
    "tdg": (("rz", (0,), (-pi / 4,)),),
    "sxdg": (_HALF_TURN, ("sx", (0,), ()), _HALF_TURN),
    "iswapdg": (_HALF_TURN, ("iswap", (0, 1), ()), _HALF_TURN),
}
"""Inverse -> gates that make it up to a phase, first to last: name, which of its qubits, angles (rad). The rule behind the longer
ones is Z G Z = G†, up to a phase; rz costs no time and makes no error on devices that have it."""


def spelled_natively(circuit: Circuit, spec: DeviceSpec) -> Circuit:
    """Return the circuit with inverses that the device does not run as they are written in gates that it does.

    Args:
        circuit: what a stage made.
        spec: the device's; its `native_gates`, or `gates` where it has no others.

    What has no such spelling stays, and the device refuses it by name.

    >>> from qloom.specs import DeviceSpec
    >>> line = DeviceSpec(name="line", num_qubits=1, gates=frozenset({"rz", "sx"}))
    >>> [step.name for step in spelled_natively(Circuit(1).sx(0).gate("sxdg", 0), line).instructions]
    ['sx', 'rz', 'sx', 'rz']
    """
    native = spec.gates if spec.native_gates is None else spec.native_gates
    lacking = {name for name, parts in SPELLINGS.items() if name not in native and all(gate in native for gate, _, _ in parts)}
    if lacking.isdisjoint(circuit.instruction_names):
        return circuit
    steps = tuple(_spelled(circuit.instructions, lacking))
    return Circuit.trusted(circuit.num_qubits, steps, circuit.num_clbits, circuit.parameters, circuit.name)


def _spelled(steps: Iterable[Instruction], lacking: set[str]) -> Iterator[Instruction]:
    for step in steps:
        if step.body:
            yield step._replace(body=tuple(_spelled(step.body, lacking)))
        elif step.name in lacking and not step.controls:
            for name, places, angles in SPELLINGS[step.name]:
                yield Instruction(name, tuple(step.qubits[place] for place in places), angles)
        else:
            yield step
