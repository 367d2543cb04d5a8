"""Twenty cases for the stage `auto`: circuit, noise and shots; and eight fixed pipelines to hold it against.

All pipelines get the same shots in all, split among their circuits. An error is that of an estimate against the exact value
without noise, in units of the sum of the observable's coefficients.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qloom import catalogue
from qloom.circuits import Circuit, Instruction, Observable
from qloom.circuits.gates import kraus_parameters, matrix
from qloom.contracts import Chosen, Device, Prepared, Wish
from qloom.contracts.stage import VALUES
from qloom.convert import read_circuit
from qloom.devices.sim import create
from qloom.mitigation.auto import Auto, AutoOptions
from qloom.mitigation.timeline import GateTimes, Timeline
from qloom.noise import ErrorChannel, GateNoise, NoiseModel, QubitNoise
from qloom.noise.schedule import ATTOSECONDS
from qloom.pipelines import read_pipeline
from qloom.programs.direct import DirectLane
from qloom.programs.pipelined import Pipeline
from qloom.programs.quantum import QuantumDevice
from qloom.results import Engine
from qloom.specs import DeviceSpec

KEPT = Path(__file__).with_name("auto_errors.json")
ROUNDING = 1e-12
NANO = {"default:1": 35e-9, "default:2": 300e-9, "default": 0.0}
LINEAR = {"stage": "zne", "scales": [1, 3], "fit": "linear"}
TWIRLING = {"stage": "twirling", "instances": 16}
CALIBRATIONS = 5
"""So many times the stage `readout` calibrates among the repeats of a case."""
CPMG = {"stage": "ddd", "sequence": "CPMG"}


class Fixed(NamedTuple):
    """A fixed pipeline, and how many circuits it makes of one."""

    pipeline: list[Any]
    circuits: int


SINGLE = (
    Fixed([], 1),
    Fixed(["readout"], 1),
    Fixed([LINEAR], 2),
    Fixed([{"stage": "zne", "scales": [1, 3, 5], "fit": "richardson"}], 3),
    Fixed([{"stage": "zne", "scales": [1, 3, 5], "fit": "exponential", "asymptote": 0, "on_error": "skip"}], 3),
    Fixed(["readout", LINEAR], 2),
)
FIXED = (*SINGLE, Fixed([TWIRLING, LINEAR], 32), Fixed(["readout", TWIRLING, LINEAR], 32))
FIXED_IDLE = (*SINGLE, Fixed([CPMG], 1), Fixed([CPMG, LINEAR], 2))


# ---- circuits --------------------------------------------------------------------------------------------------------


def ghz(qubits: int) -> Circuit:
    circuit = Circuit(qubits).h(0)
    for qubit in range(qubits - 1):
        circuit = circuit.cx(qubit, qubit + 1)
    return circuit


def qaoa(qubits: int, layers: int) -> Circuit:
    circuit = Circuit(qubits)
    for qubit in range(qubits):
        circuit = circuit.h(qubit)
    for layer in range(layers):
        for qubit in range(qubits):
            pair = (qubit, (qubit + 1) % qubits)
            circuit = circuit.cx(*pair).rz(0.9 - 0.2 * layer, pair[1]).cx(*pair)
        for qubit in range(qubits):
            circuit = circuit.rx(0.7 + 0.1 * layer, qubit)
    return circuit


def ansatz(qubits: int, layers: int, seed: int) -> Circuit:
    angles = np.random.default_rng(seed).normal(0, 0.6, (layers + 1, qubits, 2)).tolist()
    circuit = Circuit(qubits)
    for layer in range(layers + 1):
        for qubit in range(qubits):
            circuit = circuit.ry(angles[layer][qubit][0], qubit).rz(angles[layer][qubit][1], qubit)
        for qubit in range(qubits - 1 if layer < layers else 0):
            circuit = circuit.cx(qubit, qubit + 1)
    return circuit


def trotter(qubits: int, steps: int) -> Circuit:
    circuit = Circuit(qubits)
    for _ in range(steps):
        for qubit in range(qubits - 1):
            circuit = circuit.cx(qubit, qubit + 1).rz(0.3, qubit + 1).cx(qubit, qubit + 1)
        for qubit in range(qubits):
            circuit = circuit.rx(0.25, qubit)
    return circuit


def waiting(qubits: int, wait_s: float) -> Circuit:
    """A GHZ state that waits, and is undone."""
    circuit = ghz(qubits).delay(wait_s, *range(qubits))
    for qubit in range(qubits - 2, -1, -1):
        circuit = circuit.cx(qubit, qubit + 1)
    return circuit.h(0)


def chain(qubits: int) -> Observable:
    """A transverse-field Ising chain."""
    terms = {f"Z{qubit} Z{qubit + 1}": -1.0 for qubit in range(qubits - 1)} | {f"X{qubit}": -0.7 for qubit in range(qubits)}
    return Observable.sparse(terms, qubits)


def ring(qubits: int) -> Observable:
    return Observable.sparse({f"Z{qubit} Z{(qubit + 1) % qubits}": 1.0 for qubit in range(qubits)}, qubits)


# ---- noise -----------------------------------------------------------------------------------------------------------


def over_rotated(angle: float, p2: float = 0.0) -> NoiseModel:
    """CX that turns too far, and depolarises."""
    generator = np.kron(np.array([[1, 0], [0, -1]]), matrix("x"))
    turn = math.cos(angle / 2) * np.eye(4) - 1j * math.sin(angle / 2) * generator
    errors = (ErrorChannel("kraus", kraus_parameters([turn])), ErrorChannel("two_qubit_depolarizing", (p2,)))
    return NoiseModel(gates={"cx": GateNoise(errors=errors)})


def relaxing(p2: float) -> NoiseModel:
    errors = (ErrorChannel("two_qubit_depolarizing", (p2,)),)
    gates = {"default:1": GateNoise(35e-9), "cx": GateNoise(300e-9, errors)}
    return NoiseModel(gates=gates, qubits={"default": QubitNoise(60e-6, 40e-6, readout=(0.01, 0.03))})


class Detuned:
    """A device whose waiting qubits turn about Z, each at a rate of its own that stays."""

    def __init__(self, inner: Device, spread: float, seed: int) -> None:
        self.inner = inner
        self.spread = spread
        self.rates = np.random.default_rng(seed).normal(0, spread, 32).tolist()
        self.name = inner.name

    def spec(self) -> DeviceSpec:
        spec = self.inner.spec()
        rates = {**(spec.notes["error_rates"] or {}), "slow_dephasing_rad_per_s": self.spread}
        return replace(spec, durations_s=NANO, noise=None, notes={**spec.notes, "error_rates": rates})

    def prepare(self, circuits: Any, observables: Any = None, *, engine: Engine | None = None) -> Prepared:
        given = [circuits] if isinstance(circuits, Circuit) else circuits
        return self.inner.prepare([self._turned(circuit) for circuit in given], observables, engine=engine)

    def _turned(self, circuit: Circuit) -> Circuit:
        return Circuit(circuit.num_qubits, self._steps(circuit), num_clbits=circuit.num_clbits, parameters=circuit.parameters)

    def _steps(self, circuit: Circuit) -> Iterator[Instruction]:
        until: dict[int, int] = {}
        for step, start, end, _ in Timeline("test", circuit, GateTimes(NANO), "alap").steps:
            if step.name in ("delay", "barrier"):
                continue
            for qubit in step.qubits:
                waited = start - until.get(qubit, start)
                until[qubit] = end
                if waited:
                    yield Instruction("rz", (qubit,), (self.rates[qubit] * waited / ATTOSECONDS,))
            yield step


# ---- the cases -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One case; with a `spread` (rad/s) waiting qubits are detuned."""

    name: str
    circuit: Circuit
    observable: Observable
    noise: NoiseModel
    shots: int | None
    spread: float = 0.0

    @property
    def fixed(self) -> tuple[Fixed, ...]:
        usual = FIXED_IDLE if self.spread else FIXED
        return tuple(one for one in usual if self.shots is not None or "readout" not in one.pipeline)

    def device(self, seed: int = 0) -> Any:
        inner = create("", noise=self.noise, threads=1)
        return Detuned(inner, self.spread, seed) if self.spread else inner

    def chosen(self, budget: int = 60) -> Chosen:
        read = tuple(range(self.circuit.num_qubits))
        wish = Wish((self.circuit,), (self.observable,), (read,), VALUES, self.shots, self.device().spec())
        return Auto().choose(AutoOptions(circuits=budget), wish)


def depolarizing(p1: float, p2: float, readout: float = 0.0) -> NoiseModel:
    return NoiseModel.depolarizing(p1, p2, readout=readout or None).replace(strict=False)


def _z(qubits: int) -> Observable:
    return Observable({"Z" * qubits: 1.0})


def _x(qubits: int) -> Observable:
    return Observable({"X" * qubits: 1.0})


CASES = (
    Case("readout, GHZ of 3", ghz(3), Observable({"ZZI": 1.0, "IZZ": 1.0}), depolarizing(0, 1e-4, 0.05), 4000),
    Case("readout, GHZ of 6", ghz(6), _z(6), depolarizing(0, 1e-3, 0.04), 8000),
    Case("readout and gates, GHZ of 4", ghz(4), _x(4), depolarizing(0.001, 0.02, 0.03), 8000),
    Case("gates, GHZ of 5", ghz(5), _x(5), depolarizing(0.001, 0.02), 20000),
    Case("gates, GHZ of 4, exact", ghz(4), _x(4), depolarizing(0.001, 0.03), None),
    Case("gates, QAOA", qaoa(4, 1), ring(4), depolarizing(0.001, 0.01), 10000),
    Case("gates, QAOA of two layers, exact", qaoa(4, 2), ring(4), depolarizing(0.001, 0.01), None),
    Case("readout and gates, VQE", ansatz(4, 2, 1), chain(4), depolarizing(0.001, 0.01, 0.02), 8000),
    Case("relaxation and readout, VQE", ansatz(4, 3, 2), chain(4), relaxing(0.005), 16000),
    Case("gates, Trotter", trotter(4, 4), chain(4), depolarizing(0.0005, 0.005), 20000),
    Case("gates, Trotter, exact", trotter(4, 4), chain(4), depolarizing(0.001, 0.01), None),
    Case("over-rotation, VQE, exact", ansatz(4, 3, 3), chain(4), over_rotated(0.1), None),
    Case("over-rotation and gates, VQE", ansatz(4, 2, 4), chain(4), over_rotated(0.12, 0.005), 16000),
    Case("waiting GHZ of 3", waiting(3, 3e-6), Observable({"ZII": 1.0}), depolarizing(1e-4, 1e-3), 4000, 2e5),
    Case("waiting GHZ of 2, exact", waiting(2, 2e-6), Observable({"ZI": 1.0}), depolarizing(1e-4, 2e-3), None, 2e5),
    Case("hardly any noise, Trotter", trotter(4, 2), chain(4), depolarizing(1e-6, 1e-5), 2000),
    Case("hardly any noise, GHZ of 4", ghz(4), _x(4), depolarizing(1e-5, 1e-4), 1000),
    Case("few shots, VQE", ansatz(4, 2, 5), chain(4), depolarizing(0.001, 0.005), 60),
    Case("few shots and readout, GHZ of 4", ghz(4), _z(4), depolarizing(0.001, 0.005, 0.06), 100),
    Case("deep, Trotter of 10 steps", trotter(3, 10), chain(3), depolarizing(0.01, 0.12), 2000),
)


# ---- measuring -------------------------------------------------------------------------------------------------------


def squared_errors(case: Case, fixed: Fixed, repeats: int, seed: int = 1) -> float:
    """Return the mean squared error of a pipeline's estimates."""
    ideal = create("").prepare(case.circuit, case.observable).estimate().value
    shots = None if case.shots is None else -(-case.shots // fixed.circuits)
    draws = repeats if case.spread else min(repeats, CALIBRATIONS) if "readout" in fixed.pipeline else 1
    found = [_values(case, fixed, shots, -(-repeats // draws), seed + draw) for draw in range(draws)]
    total = sum(abs(factor) for factor in case.observable.coefficients)
    return float(np.mean((np.concatenate(found) - ideal) ** 2)) / total**2


def _values(case: Case, fixed: Fixed, shots: int | None, repeats: int, seed: int) -> Any:
    pipeline = Pipeline(read_pipeline(fixed.pipeline), catalogue.open_stage) if fixed.pipeline else None
    lane = DirectLane(seed)
    device = QuantumDevice(case.device(seed), lanes=lambda: lane, intake=read_circuit, pipeline=pipeline)
    task = device.prepare(case.circuit, case.observable)
    return task.estimate(np.zeros((repeats, 0)), shots, seed=seed).values.ravel()


def of_auto(case: Case, repeats: int) -> float:
    """Return the mean squared error of what `auto` picks."""
    chosen = case.chosen()
    return squared_errors(case, Fixed(chosen.pipeline, chosen.circuits), repeats)


def ratio(mine: float, least: float) -> float:
    """Return how many times the least error it is; errors below 1e-12 are rounding."""
    return max(mine, ROUNDING) / max(least, ROUNDING)


def kept() -> dict[str, dict[str, Any]]:
    """Return what `python -m benchmarks.choices` measured: case -> errors of the fixed pipelines, and of what `auto` picked."""
    found: dict[str, dict[str, Any]] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found
