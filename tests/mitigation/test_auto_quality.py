"""How good what `auto` picks is: on twenty cases, against eight fixed pipelines at equal shots.

Errors of fixed pipelines were measured by `python -m benchmarks.choices` and are kept; what is picked is measured here anew.
"""

from statistics import median

import pytest

from tests.mitigation.auto_cases import CASES, KEPT, Case, kept, of_auto, ratio, squared_errors

REPEATS = 10
LIMIT = 1.5
AS_NONE = 1.1
"""A pipeline whose error is at most so many times the least is as good as the best."""


@pytest.fixture(scope="module")
def ratios() -> dict[str, float]:
    return {case.name: ratio(of_auto(case, REPEATS), min(kept()[case.name]["fixed"])) for case in CASES}


def test_there_are_twenty_cases_and_eight_fixed_pipelines() -> None:
    assert len({case.name for case in CASES}) == len(CASES) == len(kept()) == 20
    assert {len(case.fixed) for case in CASES if case.shots} == {8}


def test_the_median_error_is_within_half_more_than_the_best_fixed_pipelines(ratios: dict[str, float]) -> None:
    assert median(ratios.values()) <= LIMIT
    assert median(ratio(found["auto"], min(found["fixed"])) for found in kept().values()) <= LIMIT


def none_is_best(case: Case) -> bool:
    """Whether running the circuit as it is was as good as all that differs from it by more than chance."""
    errors = [
        error
        for fixed, error in zip(case.fixed, kept()[case.name]["fixed"], strict=True)
        if fixed.pipeline != ["readout"] or case.noise.readout(0)  # without misread bits it changes nothing
    ]
    return bool(errors[0] <= AS_NONE * min(errors))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_none_is_picked_where_none_is_best_and_there_alone(case: Case) -> None:
    assert (case.chosen().pipeline == []) is none_is_best(case)


def test_what_is_picked_is_what_was_measured() -> None:
    assert {case.name: case.chosen().pipeline for case in CASES} == {name: found["picked"] for name, found in kept().items()}, (
        f"`auto` picks otherwise than when {KEPT.name} was written; run python -m benchmarks.choices --keep"
    )


@pytest.mark.parametrize("case", [CASES[0], CASES[3], CASES[10]], ids=lambda case: case.name)
def test_the_kept_errors_of_fixed_pipelines_are_true(case: Case) -> None:
    for fixed, error in list(zip(case.fixed, kept()[case.name]["fixed"], strict=True))[:4]:
        assert squared_errors(case, fixed, 20, seed=100) == pytest.approx(error, rel=0.7)
