"""A job that goes on computes with what it began with, where that is still installed, and says so where it is not."""

from pathlib import Path

import pytest

from qloom.circuits import Circuit
from qloom.convert import read_circuit
from qloom.devices.sim import create
from qloom.journal import Journal
from qloom.programs.quantum import QuantumDevice
from qloom.results import Engine

CIRCUIT = Circuit(2).h(0).cx(0, 1)


def goes_on_after(began: Engine, folder: Path) -> QuantumDevice:
    """Record that attempt 1 computed with an engine, and return the device of attempt 2 after it prepared the circuit."""
    device = create()
    first = Journal.open(folder, job_id="job", attempt=1, seed=1)
    first.engine_used(device.prepare(CIRCUIT).digest, began)
    first.close()
    second = Journal.open(folder, job_id="job", attempt=2, seed=1)
    facade = QuantumDevice(device, lanes=lambda: second.lane("main"), intake=read_circuit, recorder=second)
    facade.prepare(CIRCUIT).run(shots=10)
    second.close()
    return facade


@pytest.mark.parametrize("name", ["qulacs", "lightning"])
def test_the_engine_it_began_with_is_used_again(name: str, tmp_path: Path) -> None:
    version = create(f"engine={name}").spec().engines[0].version
    device = goes_on_after(Engine(name, version, 1), tmp_path)
    assert device.engine is not None
    assert device.engine.name == name
    assert device.problems == []


def test_an_engine_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    device = goes_on_after(Engine("lightning", "0.1.0", 1), tmp_path)
    assert "began on lightning 0.1.0" in device.problems[0]
