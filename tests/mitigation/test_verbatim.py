"""What stages make is what engines run: gate counts of the circuits that reached a backend, after every compiler on the way."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2

import qloom
from qloom.circuits import Circuit
from qloom.errors import Unsupported
from qloom.programs.pipelined import PipelinedTask

SEEN: list[QuantumCircuit] = []
OBSERVABLE = {"ZZI": 1.0}
CIRCUIT = Circuit(3).sx(0).cx(0, 1).rz(0.3, 1).cx(1, 2)
UNIT_TIMES = {"durations_s": {"default": 1.0}}


class Watched(GenericBackendV2):
    """A backend that keeps what it was given to run."""

    def run(self, run_input: Any, **options: Any) -> Any:
        SEEN.extend(run_input if isinstance(run_input, list) else [run_input])
        return super().run(run_input, **options)


def backend() -> Watched:
    return Watched(3, basis_gates=["rz", "sx", "x", "cx", "id", "delay"], coupling_map=[[0, 1], [1, 0], [1, 2], [2, 1]], seed=3)


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[QuantumCircuit]]:
    SEEN.clear()
    yield SEEN
    SEEN.clear()


def gates(circuit: QuantumCircuit) -> Counter[str]:
    return Counter({name: count for name, count in circuit.count_ops().items() if name in ("cx", "sx", "x")})


def expanded(task: PipelinedTask) -> list[Counter[str]]:
    return [Counter(step.name for step in circuit.every() if step.name in ("cx", "sx", "x")) for circuit in task.circuits]


@pytest.mark.parametrize(
    "pipeline",
    [["zne"], [{"stage": "ddd", "sequence": "XX", **UNIT_TIMES}, "zne"], ["zne", {"stage": "transpile", "level": 3}]],
    ids=["folds", "pulses in folds", "folds of a transpiled circuit"],
)
def test_a_backend_runs_every_folded_gate_and_every_pulse(pipeline: list[Any], seen: list[QuantumCircuit]) -> None:
    task = qloom.device(f"qiskit:{__name__}:backend", pipeline=pipeline).prepare(CIRCUIT, OBSERVABLE)
    assert isinstance(task, PipelinedTask)
    task.estimate(shots=10, seed=1)
    # A basis turn behind the block would add gates: this observable needs none.
    assert [gates(circuit) for circuit in seen] == expanded(task)
    assert [count["cx"] for count in expanded(task)] == [2, 6, 10]
    assert sum(count["x"] for count in expanded(task)) >= (6 if len(pipeline) == 2 and pipeline[1] == "zne" else 0)


def test_a_device_that_would_have_to_translate_what_was_folded_is_refused(seen: list[QuantumCircuit]) -> None:
    device = qloom.device(f"qiskit:{__name__}:backend", pipeline=["zne"])
    with pytest.raises(Unsupported, match="put the stage transpile at the end of the pipeline"):
        device.prepare(Circuit(3).h(0).cx(0, 2), OBSERVABLE)
    assert not seen
