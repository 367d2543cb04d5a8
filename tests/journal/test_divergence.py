"""Divergence: a replay that asks something else is stopped, and told exactly what differs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.contracts import Lane
from qloom.errors import Divergence
from qloom.journal.divergence import first_difference
from qloom.tasks import Question
from tests.journal.helpers import journal, never, pure, question


def bytes_of(*numbers: float) -> bytes:
    return np.array(numbers, dtype="<f8").tobytes()


def ask(lane: Lane, asked: Question) -> dict[str, int]:
    return lane.ask(asked, pure(asked)).counts


@pytest.mark.parametrize(
    ("field", "change", "words"),
    [
        ("kind", {"kind": "estimate"}, "recorded was samples, asked is values"),
        ("prepared", {"prepared": "f" * 32}, "the circuit, observables or device options changed"),
        ("parameters", {"parameters": bytes_of(0.5, 2.0)}, "number 1 of set 0: recorded was 1.0, asked is 2.0"),
        ("parameters", {"parameters": bytes_of(0.5)}, "recorded were 2 numbers, asked are 1"),
        ("parameters", {"parameters": bytes_of(0.5, 1.0, 7.0, 1.0), "sets": 2}, "recorded were 2 numbers, asked are 4"),
        ("sets", {"sets": 2}, "recorded was 1, asked is 2"),
        ("shots", {"shots": 200}, "recorded was 100 shots, asked is 200 shots"),
        ("shots", {"shots": None}, "recorded was 100 shots, asked is exact values"),
        ("seed", {"seed": 3}, "recorded was None, asked is 3"),
        ("options", {"options": '{"zne":1}'}, "recorded was '', asked is '{\"zne\":1}'"),
    ],
)
def test_the_first_field_that_differs_is_named_with_both_values(
    tmp_path: Path, field: str, change: dict[str, Any], words: str
) -> None:
    with journal(tmp_path, 1) as first:
        ask(first.lane("b"), question(0.1))
        ask(first.lane("b"), question())
    with journal(tmp_path, 2) as second:
        ask(second.lane("b"), question(0.1))
        with pytest.raises(Divergence) as caught:
            second.lane("b").ask(question()._replace(**change), never)
    assert caught.value.field == field
    message = str(caught.value)
    assert words in message
    assert f"lane 'b', call 1, field `{field}`" in message
    assert "Recorded: samples of structure 000000000000, 1 set of 2 parameters, 100 shots. Asked: " in message
    assert "`qloom job resume job-1 --from-scratch`" in message
    assert "`--accept-divergence`" in message


CALLS: dict[str, Callable[[Lane], Any]] = {
    "samples": lambda lane: ask(lane, question()),
    "a classical step": lambda lane: lane.step("fit", b"1", lambda: 5),
    "the time": lambda lane: lane.now(lambda: 1.0),
}


@pytest.mark.parametrize("recorded", CALLS)
@pytest.mark.parametrize("asked", CALLS)
def test_another_sort_of_call_is_another_kind(tmp_path: Path, recorded: str, asked: str) -> None:
    with journal(tmp_path, 1) as first:
        CALLS[recorded](first.lane("main"))
    with journal(tmp_path, 2) as second:
        if recorded == asked:
            CALLS[asked](second.lane("main"))
            return
        with pytest.raises(Divergence, match=f"recorded was {recorded}, asked is {asked}") as caught:
            CALLS[asked](second.lane("main"))
    assert caught.value.field == "kind"


@pytest.mark.parametrize(("name", "arguments", "field"), [("plot", b"1", "name"), ("fit", b"2", "arguments")])
def test_another_step_is_a_divergence(tmp_path: Path, name: str, arguments: bytes, field: str) -> None:
    with journal(tmp_path, 1) as first:
        first.lane("main").step("fit", b"1", lambda: 5)
    with journal(tmp_path, 2) as second, pytest.raises(Divergence) as caught:
        second.lane("main").step(name, arguments, never)
    assert caught.value.field == field


def test_a_diverging_replay_stays_stopped_and_changes_nothing(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        answers = [ask(first.lane("main"), question(angle)) for angle in (0.1, 0.2)]
    with journal(tmp_path, 2) as second:
        for _ in range(3):
            with pytest.raises(Divergence):
                second.lane("main").ask(question(0.9), never)
    with journal(tmp_path, 3) as third:
        assert [ask(third.lane("main"), question(angle)) for angle in (0.1, 0.2)] == answers
        assert third.executed == 0


def test_accepting_keeps_what_was_before_and_goes_on_fresh(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        for angle in (0.1, 0.2, 0.3, 0.4):
            ask(first.lane("main"), question(angle))
        ask(first.lane("other"), question(0.1))
    with journal(tmp_path, 2, accept_divergence=True) as second:
        for angle in (0.1, 0.7, 0.3):
            ask(second.lane("main"), question(angle))
        ask(second.lane("other"), question(0.1))
        assert (second.replayed, second.executed) == (2, 2)
        assert "lane 'main'" in second.problems[0]
        assert "call 1" in second.problems[0]
    with journal(tmp_path, 3) as third:
        for angle in (0.1, 0.7, 0.3, 0.4):
            ask(third.lane("main"), question(angle))
        assert (third.replayed, third.executed) == (3, 1)


def test_accepting_drops_the_metrics_of_the_other_path(tmp_path: Path) -> None:
    def run(lane: Lane, angles: tuple[float, ...]) -> None:
        for angle in angles:
            ask(lane, question(angle))
            lane.metric("angle", angle, None, 0.0)

    with journal(tmp_path, 1) as first:
        run(first.lane("main"), (0.1, 0.2, 0.3))
    with journal(tmp_path, 2, accept_divergence=True) as second:
        run(second.lane("main"), (0.1, 0.8, 0.9))
    with journal(tmp_path, 3) as third:
        run(third.lane("main"), (0.1, 0.8, 0.9))
        assert third.executed == 0


@given(before=st.lists(st.floats(allow_nan=True), min_size=1, max_size=6), data=st.data())
def test_the_first_number_that_differs_is_found(before: list[float], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(before) - 1))
    after = list(before)
    after[index] = 0.0 if before[index] != 0.0 else 1.0
    old, new = (Question("sample", "x", bytes_of(*numbers), 1, 1, None) for numbers in (before, after))
    field, words = first_difference(old, new)
    assert field == "parameters"
    assert words.startswith(f"number {index} of set 0: recorded was ")
