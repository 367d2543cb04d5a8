"""The worker's half of the protocol: which way is chosen, and what a worker of calls answers."""

from collections.abc import Callable

import pytest

from benchmarks.workers.serving import Calls, timed

Timed = Callable[[int], float]


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
