"""Values to an asked precision: what the interval covers, what it costs, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import qloom
from qloom.circuits import Circuit
from qloom.errors import InvalidTask, Unsupported
from qloom.kit.precision import FIRST_SHOTS, largest_variances, to_precision
from qloom.programs.task import Task
from qloom.results import Engine, Result

SEEDS = 500
LEAST_COVERAGE = 0.93


def turned(angle: float) -> Task:
    """A qubit turned from 0 by an angle: near 0 nearly every shot is the same, and single ones decide."""
    return qloom.device("sim").prepare(Circuit(1).ry(angle, 0), {"Z": 1.0})


@pytest.mark.parametrize(("angle", "precision"), [(0.0, 0.01), (0.16, 0.004), (0.3, 0.03), (0.8, 0.02), (np.pi / 2, 0.01)])
def test_the_interval_holds_the_exact_value_in_at_least_93_of_100_runs(angle: float, precision: float) -> None:
    task = turned(angle)
    exact = task.estimate().value
    found = [task.estimate(precision=precision, seed=seed << 8) for seed in range(SEEDS)]
    assert all(result.standard_error <= precision for result in found)
    inside = [abs(result.value - exact) <= 1.96 * result.standard_error for result in found]
    assert np.mean(inside) >= LEAST_COVERAGE


def test_also_for_a_sum_of_several_groups() -> None:
    circuit = Circuit(2).ry(0.7, 0).cx(0, 1).ry(0.4, 1)
    task = qloom.device("sim").prepare(circuit, {"ZZ": 0.5, "XX": 0.7, "YI": -0.3, "IZ": 0.2, "II": 3.0})
    exact = task.estimate().value
    found = [task.estimate(precision=0.02, seed=seed << 8) for seed in range(SEEDS)]
    assert np.mean([abs(result.value - exact) <= 1.96 * result.standard_error for result in found]) >= LEAST_COVERAGE


def test_it_takes_about_as_many_shots_as_the_variance_calls_for() -> None:
    result = turned(np.pi / 2).estimate(precision=0.01, seed=1)
    assert result.shots is not None
    assert 10_000 < result.shots < 13_000  # one shot has variance 1
    assert result.metadata["looks"] >= 2


def test_a_value_without_variance_takes_one_look_where_that_is_precise_enough() -> None:
    result = turned(0.0).estimate(precision=0.05, seed=1)
    assert (result.shots, result.value) == (FIRST_SHOTS, 1.0)
    assert result.standard_error > 0  # what was never seen is not taken for impossible


def test_the_shots_of_all_looks_are_in_the_result() -> None:
    asked: list[int] = []

    def measure(shots: int, _: int) -> Result:
        asked.append(shots)
        return Result(engine=Engine("x", "1"), shots=shots, values=np.array([[0.5]]), standard_errors=np.array([[shots**-0.5]]))

    result = to_precision(measure, 0.01, np.array([1.0]))
    assert len(asked) == result.metadata["looks"] > 1
    assert sum(asked) == result.shots


def test_the_largest_variance_of_a_sum_is_that_of_its_groups_together() -> None:
    observables = [qloom.Observable({"ZZ": 1.0, "ZI": -1.0, "XX": 0.5}), qloom.Observable({"II": 2.0})]
    assert largest_variances(observables).tolist() == [4.25, 0.0]


@pytest.mark.parametrize("precision", [0, -1.0, float("nan"), float("inf"), True, "0.1"])
def test_a_precision_that_is_none_is_refused(precision: float) -> None:
    with pytest.raises(InvalidTask, match="precision must be a number above 0"):
        turned(0.1).estimate(precision=precision)


def test_a_precision_that_nobody_waits_for_is_refused_with_the_shots_it_would_take() -> None:
    with pytest.raises(Unsupported, match=r"needs about 1\.\d+e\+18 shots for each measurement group, the limit is 1e\+12"):
        turned(np.pi / 2).estimate(precision=1e-9)


def test_shots_and_a_precision_are_refused_together() -> None:
    with pytest.raises(InvalidTask, match="only one of them can decide"):
        turned(0.1).estimate(shots=10, precision=0.1)
