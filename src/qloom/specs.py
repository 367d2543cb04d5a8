"""`DeviceSpec`: what a device can do, and every reason why a circuit does not fit it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qloom.circuits import Circuit
    from qloom.results import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """What a device can do.

    Attributes:
        name: the name it is asked for by.
        num_qubits: the most qubits a circuit may have.
        gates: the gate names it runs.
        features: what else it runs, of `controls`, `reset`, `mid_circuit_measurement`, `conditionals`, `channels`, `delay`,
            `verbatim`.
        max_shots: the most shots in one call; None where there is no limit.
        exact_values, gradients: whether it gives exact expectation values, and derivatives.
        bills: True where a task costs money, so that its intent is made durable before it is sent.
        engines: the libraries inside, for a simulator.
        notes: facts for people.
    """

    name: str
    num_qubits: int
    gates: frozenset[str]
    features: frozenset[str] = frozenset()
    max_shots: int | None = None
    exact_values: bool = False
    gradients: bool = False
    bills: bool = False
    engines: tuple[Engine, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON."""
        return {
            "name": self.name,
            "num_qubits": self.num_qubits,
            "gates": sorted(self.gates),
            "features": sorted(self.features),
            "max_shots": self.max_shots,
            "exact_values": self.exact_values,
            "gradients": self.gradients,
            "bills": self.bills,
            "engines": [engine._asdict() for engine in self.engines],
            "notes": self.notes,
        }


def reasons_against(spec: DeviceSpec, circuit: Circuit, shots: int | None = None) -> list[str]:
    """Return every reason why this circuit cannot run on a device of that spec; empty where it can.

    >>> from qloom.circuits import Circuit
    >>> small = DeviceSpec(name="small", num_qubits=1, gates=frozenset({"h"}), max_shots=10)
    >>> reasons_against(small, Circuit(2).h(0).cx(0, 1), shots=100)
    ['2 qubits, small has 1', 'gate cx, small runs h', '100 shots, small allows 10']
    """
    reasons = []
    if circuit.num_qubits > spec.num_qubits:
        reasons.append(f"{circuit.num_qubits} qubits, {spec.name} has {spec.num_qubits}")
    unknown = {step.name for step in circuit.every() if step.kind == "gate" and step.name not in spec.gates}
    reasons += [f"gate {name}, {spec.name} runs {', '.join(sorted(spec.gates))}" for name in sorted(unknown)]
    reasons += [f"{need}, which {spec.name} does not run" for need in needs(circuit) if need not in spec.features]
    if shots is not None and spec.max_shots is not None and shots > spec.max_shots:
        reasons.append(f"{shots} shots, {spec.name} allows {spec.max_shots}")
    return reasons


def needs(circuit: Circuit) -> list[str]:
    """Return the features beyond plain gates and final measurements that a circuit uses, in alphabetical order.

    >>> from qloom.circuits import Circuit
    >>> needs(Circuit(1).measure(0).x(0).measure(0, 1))
    ['mid_circuit_measurement']
    """
    found: set[str] = {"verbatim"} if any(step.name == "verbatim" for step in circuit.instructions) else set()
    found |= {"conditionals"} if any(step.name == "if" for step in circuit.instructions) else set()
    measured: set[int] = set()
    for step in circuit.every():
        if step.kind in ("gate", "channel", "reset", "measure") and measured & set(step.qubits):
            found.add("mid_circuit_measurement")
        if step.name == "measure":
            measured |= set(step.qubits)
        found |= {"channel": {"channels"}, "reset": {"reset"}, "delay": {"delay"}}.get(step.kind, set())
        found |= {"controls"} if step.controls else set()
    return sorted(found)
