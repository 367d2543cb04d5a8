"""Every stage of qloom keeps the contract, as those of others must."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from qloom.circuits import Circuit, Observable, Parameter
from qloom.contracts import Stage
from qloom.testing.stage_contract import StageContract

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
STAGES: dict[str, str] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]["qloom.stages"]
ALONE = {"symmetry", "mitiq"}
"""Stages that have no meaning without options, or need more to run: each has a class of its own below, or tests of its own."""


def made(name: str) -> Stage:
    module, _, attribute = STAGES[name].partition(":")
    found: Stage = getattr(import_module(module), attribute)()
    assert found.name == name
    return found


def test_every_registered_stage_is_looked_at_here() -> None:
    assert set(STAGES) >= ALONE | {"average", "readout"}


@pytest.mark.parametrize("name", sorted(set(STAGES) - ALONE))
class TestWithDefaults(StageContract):
    @pytest.fixture
    def stage(self, name: str) -> Stage:
        return made(name)


class TestReadoutInPairs(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return made("readout")

    @pytest.fixture
    def options(self, stage: Stage) -> Any:
        return stage.options_type(model="correlated")


class TestFullReadout(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return made("readout")

    @pytest.fixture
    def options(self, stage: Stage) -> Any:
        return stage.options_type(model="full", shots=100)


class OfEvenParity(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return made("symmetry")

    @pytest.fixture
    def circuit(self) -> Circuit:
        b, a = Parameter("b"), Parameter("a")
        turned = Circuit(3).gate("rxx", 0, 1, angles=[2 * b]).rz(a, 0).gate("ryy", 1, 2, angles=[0.4 - b])
        return turned.rzz(b, 0, 2).gate("rxx", 0, 2, angles=[0.3])


class TestPostSelection(OfEvenParity):
    @pytest.fixture
    def options(self, stage: Stage) -> Any:
        return stage.options_type(symmetries=["+ZZZ"])

    @pytest.fixture
    def observables(self) -> tuple[Observable, ...]:
        return (Observable({"ZZI": 0.5, "IIZ": 0.3, "III": 1.0}),)


class TestVerification(OfEvenParity):
    @pytest.fixture
    def options(self, stage: Stage) -> Any:
        return stage.options_type(symmetries=["+ZZZ"], mode="verify")

    @pytest.fixture
    def observables(self) -> tuple[Observable, ...]:
        return (Observable({"ZZI": 0.5, "XXI": 0.3, "III": 1.0}), Observable({"IYY": 1.0, "XYZ": -0.4}))

    @pytest.fixture
    def points(self) -> npt.NDArray[np.float64]:
        return np.array([[0.4, -1.1], [2.2, 0.7], [0.0, 0.0]])


class OfMitiq(StageContract):
    @pytest.fixture
    def stage(self) -> Stage:
        pytest.importorskip("mitiq", reason="Mitiq is an extra")
        return made("mitiq")


class TestExtrapolationByMitiq(OfMitiq):
    @pytest.fixture(params=["zne", "lre", "ddd"])
    def options(self, stage: Stage, request: pytest.FixtureRequest) -> Any:
        chosen = {"chunks": 2} if request.param == "lre" else {}
        return stage.options_type.model_validate({"technique": request.param, "options": chosen})


class TestCancellationByMitiq(OfMitiq):
    preserves = False  # it undoes noise that is not there

    @pytest.fixture
    def options(self, stage: Stage) -> Any:
        return stage.options_type.model_validate({"technique": "pec", "options": {"two_qubit_error": 0.01, "samples": 10}})
