"""What every stage promises, and what this one is for."""

# ruff: noqa: D101, D103, S101  a test's name is its sentence, and asserts are what tests are made of

from pathlib import Path

import numpy as np
import pytest
from qloom_echo import Echo

import qloom
from qloom.contracts import Stage
from qloom.errors import StageFailed
from qloom.noise import NoiseModel
from qloom.testing.stage_contract import StageContract


class TestEcho(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return Echo()


@pytest.fixture
def noisy(tmp_path: Path) -> str:
    path = tmp_path / "noise.json"
    NoiseModel.depolarizing(0.01, 0.01).save(path)
    return f"sim:noise={path}"


def test_depolarized_values_come_back(noisy: str) -> None:
    circuit = qloom.Circuit(1).ry(0.4, 0).rz(0.3, 0).ry(0.5, 0)
    exact, plain, divided = (
        qloom.device(name, pipeline=pipeline).estimate(circuit, {"Z": 1.0, "I": 0.5}).value
        for name, pipeline in (("sim", ()), (noisy, ()), (noisy, ["echo"]))
    )
    assert abs(plain - exact) > 0.01
    assert divided == pytest.approx(exact, abs=1e-9)


def test_an_echo_that_is_gone_is_refused(noisy: str) -> None:
    device = qloom.device(noisy, pipeline=[{"stage": "echo", "least": 0.99}])
    with pytest.raises(StageFailed, match="echo, option least"):
        device.estimate(qloom.Circuit(1).x(0), {"Z": 1.0})


def test_the_error_that_stands_beside_a_value_is_what_values_scatter_by(noisy: str) -> None:
    task = qloom.device(noisy, pipeline=["echo"]).prepare(qloom.Circuit(1).ry(0.9, 0), {"Z": 1.0})
    results = [task.estimate(shots=1000, seed=seed) for seed in range(300)]
    scatter = np.std([result.value for result in results], ddof=1)
    assert np.mean([result.standard_errors for result in results]) == pytest.approx(scatter, rel=0.15)
