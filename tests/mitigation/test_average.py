from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.circuits import Circuit
from qloom.contracts import Answer, Distribution, StageContext
from qloom.errors import Unsupported
from qloom.mitigation.average import Average, AverageOptions
from qloom.specs import DeviceSpec

STAGE = Average()
SPEC = DeviceSpec(name="lab", num_qubits=2, gates=frozenset({"h"}))


def average(answers: list[Answer], where: StageContext | None = None) -> Answer:
    found = STAGE.combine({}, answers, AverageOptions(), where or StageContext(spec=SPEC))
    assert isinstance(found, Answer)
    return found


def of_one(value: float, error: float) -> Answer:
    return Answer(np.array([[value]]), np.array([[error]]))


def both(answer: Answer) -> tuple[float, float]:
    assert answer.values is not None
    assert answer.standard_errors is not None
    return answer.values.item(), answer.standard_errors.item()


def read(weights: list[float], shots: float, basis: str = "Z") -> Distribution:
    return Distribution(np.arange(len(weights), dtype=np.uint64), np.array(weights), len(basis), shots, basis=basis)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(1e-6, 10)), min_size=1, max_size=6))
def test_weights_are_the_inverse_variances(branches: list[tuple[float, float]]) -> None:
    precisions = [error**-2 for _, error in branches]
    value = sum(value * weight for (value, _), weight in zip(branches, precisions, strict=True)) / sum(precisions)
    found = both(average([of_one(*branch) for branch in branches]))
    assert found == pytest.approx((value, sum(precisions) ** -0.5), rel=1e-9, abs=1e-12)


def test_exact_branches_weigh_the_same() -> None:
    assert both(average([of_one(0.25, 0.0), of_one(0.75, 0.0), of_one(0.5, 0.0)])) == (0.5, 0.0)


def test_beside_exact_branches_others_do_not_count() -> None:
    assert both(average([of_one(0.25, 0.0), of_one(0.9, 1e-9), of_one(0.75, 0.0)])) == (0.5, 0.0)


def test_errors_so_small_that_their_squares_vanish_are_weighed() -> None:
    value, error = both(average([of_one(0.0, 1e-200), of_one(1.0, 2e-200)]))
    assert value == pytest.approx(0.2)
    assert error == pytest.approx(1e-200 / 1.25**0.5)


def test_every_set_and_observable_has_its_own_weights() -> None:
    one = Answer(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[0.1, 0.3], [0.0, 0.2]]))
    two = Answer(np.zeros((2, 2)), np.array([[0.1, 0.1], [0.1, 0.0]]))
    where = StageContext(spec=SPEC)
    found = average([one, two], where)
    assert found.values is not None
    np.testing.assert_allclose(found.values, [[0.5, 0.1], [1.0, 0.0]])
    np.testing.assert_allclose(where.notes["weights"].sum(axis=0), np.ones((2, 2)))
    assert where.notes["values"].shape == where.notes["standard_errors"].shape == (2, 2, 2)


def test_no_other_weights_have_a_smaller_variance() -> None:
    generator = np.random.default_rng(1)
    drawn = 0.3 + generator.normal(size=(5000, 2)) * [0.1, 0.2]
    errors = np.broadcast_to(np.array([0.1, 0.2])[:, None, None], (2, 5000, 1))
    found = average([Answer(drawn[:, number, None], errors[number]) for number in range(2)])
    assert found.values is not None
    assert found.standard_errors is not None
    assert found.values.std() == pytest.approx(found.standard_errors[0, 0], rel=0.05)
    assert found.values.std() < min(drawn[:, 0].std(), drawn.mean(axis=1).std())


def test_counts_are_pooled_setting_by_setting() -> None:
    one, two = read([1.0, 0.0], 100), read([0.0, 1.0], 300)
    found = average([Answer(distributions=((one,), (two,))), Answer(distributions=((two,), (two,)))])
    assert [row[0].weights.tolist() for row in found.distributions] == [[0.25, 0.75], [0.0, 1.0]]
    assert [row[0].shots for row in found.distributions] == [400, 600]


def test_counts_that_do_not_fit_are_refused() -> None:
    one, two = Answer(distributions=((read([1.0, 0.0], 10),),)), Answer(distributions=((read([1.0, 0.0], 10, "X"),),))
    with pytest.raises(Unsupported, match=r"stage average: .*ask for"):
        average([one, two])
    with pytest.raises(Unsupported, match="different sets and settings"):
        average([one, Answer(distributions=((*one.distributions[0], *one.distributions[0]),))])


def test_branches_of_other_shapes_and_none_at_all_are_refused() -> None:
    with pytest.raises(Unsupported, match=r"shape \(1, 1\), another of \(2, 1\)"):
        average([of_one(0.5, 0.1), Answer(np.zeros((2, 1)), np.zeros((2, 1)))])
    with pytest.raises(Unsupported, match="no branch"):
        average([])


@pytest.mark.parametrize("bad", [(math.nan, 0.1), (0.5, math.nan), (math.inf, 0.1)])
def test_a_branch_without_a_number_is_named(bad: tuple[float, float]) -> None:
    with pytest.raises(Unsupported, match="stage average: branch 1"):
        average([of_one(0.5, 0.1), of_one(*bad)])


def test_it_joins_branches_and_changes_no_circuit() -> None:
    circuit = Circuit(1).h(0)
    assert STAGE.joins_branches
    assert STAGE.expand(circuit, AverageOptions(), StageContext(spec=SPEC)).circuits == (circuit,)
