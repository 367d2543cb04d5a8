"""The worker's half of the protocol: which way is chosen, and what a worker of calls answers."""

import time
from collections.abc import Callable, Sequence

import pytest

from benchmarks.workers.serving import Calls, Values, timed
from benchmarks.workload import Gate

Timed = Callable[[int], float]
Compute = Callable[[list[float]], Sequence[float]]


def steady(seconds: float) -> Timed:
    return lambda loops: loops * seconds


def test_the_fastest_way_of_a_call_is_measured() -> None:
    calls = Calls({"slow": steady(2.0), "quick": steady(1.0)})
    assert (calls.way, calls.answer({"loops": 3})) == ("quick", {"seconds": 3.0})


def test_only_the_ways_that_a_figure_is_about_are_tried() -> None:
    ways = {"a flow, called": steady(2.0), "a flow, submitted": steady(3.0), "an async flow": steady(1.0)}
    assert Calls(ways, "a flow").way == "a flow, called"


def test_a_single_way_is_taken_without_a_trial() -> None:
    def never(loops: int) -> float:
        raise AssertionError(loops)

    assert Calls({"the only one": never}).way == "the only one"


def test_no_such_way_is_a_fault() -> None:
    with pytest.raises(StopIteration):
        Calls({"a flow": steady(1.0)}, "a lattice")


def test_a_timed_call_is_made_as_often_as_asked() -> None:
    made: list[int] = []
    assert timed(lambda: made.append(1))(5) > 0
    assert len(made) == 5


def test_a_worker_of_values_takes_the_fastest_way_and_answers_with_the_first_sets_numbers() -> None:
    def quick(parameters: list[float]) -> list[float]:
        return [2 * value for value in parameters]

    def slow(parameters: list[float]) -> list[float]:
        time.sleep(0.002)
        return quick(parameters)

    case = {
        "gates": [["ry", [0], 0, 1.0, 0.0]],
        "num_qubits": 1,
        "terms": {"Z": 1.0},
        "sets": [[float(each)] for each in range(5)],
    }
    values = Values(lambda *_: {"slow": slow, "quick": quick}, case)
    assert values.way == "quick"
    assert values.answer({"values": True}) == {"values": [0.0]}
    assert 0 < values.answer({"loops": 7})["seconds"] < 1


def test_a_worker_of_values_is_given_gates_and_terms() -> None:
    case = {"gates": [["ry", [1], 0, 2.0, 0.1]], "num_qubits": 2, "terms": {"XY": 0.5}, "sets": [[0.0]] * 5}
    seen: list[object] = []

    def prepare(*given: object) -> dict[str, Compute]:
        seen.extend(given)
        return {"the only one": list}

    Values(prepare, case)
    assert seen == [[Gate("ry", (1,), 0, 2.0, 0.1)], 2, {"XY": 0.5}]
