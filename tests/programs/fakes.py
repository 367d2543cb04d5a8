"""A device small enough to see through, and notebooks without Jupyter."""

from __future__ import annotations

import builtins
import linecache
from itertools import count
from typing import Any

import numpy as np

from qloom.circuits import Circuit, Observable
from qloom.contracts import Prepared, TaskHandle
from qloom.results import Engine, Result, SampleTable
from qloom.specs import DeviceSpec
from qloom.tasks import TaskState, read_parameters

ENGINE = Engine("toss", "1.0")


class TossDevice:
    """Samples uniformly, whatever the circuit; a value is the sum of the parameters. Remembers every call and its seed."""

    def __init__(self, *, bills: bool = False, engine: Engine = ENGINE) -> None:
        self.calls: list[tuple[str, Any, int | None, int | None]] = []
        self.prepared = 0
        self.engine = engine
        self._bills = bills

    @property
    def name(self) -> str:
        return "toss"

    def spec(self) -> DeviceSpec:
        return DeviceSpec(name="toss", num_qubits=4, gates=frozenset({"h", "rx"}), bills=self._bills, gradients=True)

    def check(self, circuits: Any, shots: int | None = None) -> list[str]:
        return [] if circuits.num_qubits <= 4 else ["too many qubits"]

    def prepare(self, circuits: Any, observables: Any = None, *, engine: Engine | None = None) -> Prepared:
        self.prepared += 1
        several = circuits if isinstance(circuits, list) else [circuits]
        return TossPrepared(self, several, observables)

    def attach(self, task_id: str) -> TaskHandle:
        raise NotImplementedError

    def find(self, token: str) -> TaskHandle | None:
        return None


class TossPrepared:
    def __init__(self, device: TossDevice, circuits: list[Circuit], observables: Observable | list[Observable] | None) -> None:
        self._device = device
        self._circuits = circuits
        self.engine = device.engine
        self.parameters = circuits[0].parameters
        asked = observables if isinstance(observables, list) else [observables] if observables else []
        self.digest = "+".join([*(circuit.digest for circuit in circuits), *(item.digest for item in asked)])

    def run(self, parameters: Any = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        read_parameters(self.parameters, parameters)  # as its contract says: refuses what is not finite
        self._device.calls.append(("sample", parameters, shots, seed))
        drawn = np.random.default_rng(seed).integers(0, 2, shots).astype(np.uint64)
        keys, counts = np.unique(drawn, return_counts=True)
        return Result(engine=self.engine, shots=shots, key_lengths=(1,), samples=SampleTable(keys, counts, (0, len(keys))))

    def estimate(self, parameters: Any = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        read_parameters(self.parameters, parameters)
        self._device.calls.append(("estimate", parameters, shots, seed))
        return Result(engine=self.engine, shots=shots, values=np.atleast_2d(parameters).sum(axis=1, keepdims=True))

    def gradient(self, parameters: Any = None) -> Result:
        self._device.calls.append(("gradient", parameters, None, None))
        values = np.atleast_2d(parameters)
        return Result(
            engine=self.engine,
            shots=None,
            values=values.sum(axis=1, keepdims=True),
            gradients=np.ones((len(values), 1, values.shape[1])),
        )

    def submit(
        self, kind: str, parameters: Any = None, shots: int | None = None, *, seed: int | None = None, token: str | None = None
    ) -> TaskHandle:
        result = self.run(parameters, shots or 1, seed=seed) if kind == "sample" else self.estimate(parameters, shots, seed=seed)
        return DoneTask(result)


class DoneTask:
    id = "toss/1"

    def __init__(self, result: Result) -> None:
        self._result = result

    def state(self) -> TaskState:
        return TaskState.COMPLETED

    def result(self, timeout_s: float | None = None) -> Result:
        return self._result

    def cancel(self) -> None: ...


class Notebook:
    """Runs cells as a notebook does: one namespace, no file, and the text of each cell remembered as source."""

    numbers = count(1)

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}

    def run(self, text: str) -> dict[str, Any]:
        name = f"/nowhere/ipykernel_1/{next(self.numbers)}.py"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec", dont_inherit=True), self.names)
        return self.names
