"""Lanes that are left again: forgotten in memory, found again by the next attempt."""

from pathlib import Path

from qloom.journal import Journal


def open_journal(folder: Path, attempt: int) -> Journal:
    return Journal.open(folder, job_id="job", attempt=attempt, seed=1)


def test_what_was_recorded_in_lanes_that_were_left_is_found_again(tmp_path: Path) -> None:
    first = open_journal(tmp_path, 1)
    for number in range(20):
        assert first.lane(f"call {number}").now(lambda: float(number)) == number  # noqa: B023  called at once
        first.leave(f"call {number}")
    assert first.lane("other").now(lambda: 99.0) == 99.0
    first.close()
    second = open_journal(tmp_path, 2)
    assert [second.lane(f"call {number}").now(lambda: -1.0) for number in reversed(range(20))] == list(
        map(float, range(19, -1, -1))
    )
    assert second.lane("other").now(lambda: -1.0) == 99.0


def test_a_lane_that_was_never_there_can_be_left(tmp_path: Path) -> None:
    open_journal(tmp_path, 1).leave("nobody's")
