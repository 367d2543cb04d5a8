"""Checkpoints are positions in the journal: a replay starts behind the latest one, in every lane."""

import struct
from pathlib import Path

import numpy as np
import pytest

from qloom.contracts import Lane
from qloom.errors import CorruptRecord, NoResult
from tests.journal.helpers import journal, never, pure, question, segment


def ask(lane: Lane, angle: float) -> dict[str, int]:
    return lane.ask(question(angle), pure(question(angle))).counts


def recall(lane: Lane, angle: float) -> dict[str, int]:
    return lane.ask(question(angle), never).counts


def test_there_is_none_at_first(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as opened:
        assert opened.load_checkpoint() is None
        opened.save_checkpoint({"step": 1})
        assert opened.load_checkpoint() is None, "a checkpoint of this very attempt is no earlier one"


def test_the_latest_comes_back_with_its_arrays(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        first.save_checkpoint({"step": 1})
        first.save_checkpoint({"step": 2, "theta": np.array([0.1, 0.2])})
    with journal(tmp_path, 2) as second:
        data = second.load_checkpoint()
    assert data is not None
    assert data["step"] == 2
    assert np.array_equal(data["theta"], [0.1, 0.2])


def test_a_replay_starts_behind_it_in_every_lane(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        for angle in (0.1, 0.2):
            ask(first.lane("main"), angle)
            first.lane("main").metric("angle", angle, None, 0.0)
        for angle in (0.3, 0.4, 0.5):
            ask(first.lane("early"), angle)
        ask(first.lane("late"), 0.6)
        first.save_checkpoint({})
        expected = [ask(first.lane(name), 0.7) for name in ("main", "early", "late", "new")]
    with journal(tmp_path, 2) as second:
        early = second.lane("early")  # made before the checkpoint is loaded; the others after
        assert second.load_checkpoint() == {}
        lanes = [second.lane("main"), early, second.lane("late"), second.lane("new")]
        assert [recall(lane, 0.7) for lane in lanes] == expected
        second.lane("main").metric("angle", 0.9, None, 0.0)
    with journal(tmp_path, 3) as third:  # what came after the checkpoint is in its place
        third.load_checkpoint()
        third.lane("main").metric("angle", 0.9, None, 0.0)
    assert not segment(tmp_path, 3).exists()


def test_a_program_that_never_loads_one_replays_from_the_start(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        ask(first.lane("main"), 0.1)
        first.save_checkpoint({"step": 1})
        ask(first.lane("main"), 0.2)
    with journal(tmp_path, 2) as second:
        for angle in (0.1, 0.2):
            recall(second.lane("main"), angle)


def test_seeds_go_on_behind_a_checkpoint(tmp_path: Path) -> None:
    with journal(tmp_path / "whole", 1) as whole:
        expected = [ask(whole.lane("main"), 0.1) for _ in range(4)][2:]
    with journal(tmp_path / "cut", 1) as first:
        [ask(first.lane("main"), 0.1) for _ in range(2)]
        first.save_checkpoint({})
    for attempt in (2, 3):
        with journal(tmp_path / "cut", attempt) as later:
            later.load_checkpoint()
            assert [ask(later.lane("main"), 0.1) for _ in range(2)] == expected
            assert later.executed == (2 if attempt == 2 else 0)


def test_a_lane_that_has_not_moved_since_keeps_its_place_in_the_next_checkpoint(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        ask(first.lane("other"), 0.1)
        first.save_checkpoint({"n": 1})
    with journal(tmp_path, 2) as second:
        second.load_checkpoint()
        second.save_checkpoint({"n": 2})
        expected = ask(second.lane("other"), 0.2)
    with journal(tmp_path, 3) as third:
        assert third.load_checkpoint() == {"n": 2}
        assert recall(third.lane("other"), 0.2) == expected


def test_an_error_caught_before_a_checkpoint_lies_before_it(tmp_path: Path) -> None:
    for attempt in (1, 2):
        with journal(tmp_path, attempt) as opened:
            lane = opened.lane("main")
            if opened.load_checkpoint() is None:
                with pytest.raises(ZeroDivisionError):
                    lane.step("divide", b"", lambda: 1 / 0)
                opened.save_checkpoint({})
            ask(lane, 0.2)
            assert opened.executed == (attempt == 1)


def test_a_checkpoint_on_a_dropped_path_is_not_loaded(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        ask(first.lane("main"), 0.1)
        first.save_checkpoint({"step": 1})
        ask(first.lane("main"), 0.2)
        ask(first.lane("main"), 0.3)
        first.save_checkpoint({"step": 3})
    with journal(tmp_path, 2, accept_divergence=True) as second:
        for angle in (0.1, 0.8):
            ask(second.lane("main"), angle)
    with journal(tmp_path, 3) as third:
        assert third.load_checkpoint() == {"step": 1}
        recall(third.lane("main"), 0.8)


def test_a_large_checkpoint_is_a_blob_whose_loss_is_named(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        first.save_checkpoint({"theta": np.ones(20_000)})
    (blob,) = (tmp_path / "journal" / "blobs").iterdir()
    with journal(tmp_path, 2) as second:
        data = second.load_checkpoint()
        assert data is not None
        assert data["theta"].sum() == 20_000
    blob.write_bytes(blob.read_bytes()[:-1])
    with journal(tmp_path, 3) as third, pytest.raises(CorruptRecord, match=f"{blob} is damaged"):
        third.load_checkpoint()
    blob.unlink()
    with journal(tmp_path, 4) as fourth, pytest.raises(CorruptRecord, match=f"{blob} is missing"):
        fourth.load_checkpoint()


def test_a_checkpoint_of_other_things_is_refused_and_leaves_none(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first, pytest.raises(NoResult, match=r"the checkpoint\['x'\] is a builtins.object"):
        first.save_checkpoint({"x": object()})
    assert not segment(tmp_path).exists()


def test_a_checkpoint_torn_while_it_was_written_is_not_there(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as first:
        first.save_checkpoint({"step": 1})
        size = segment(tmp_path).stat().st_size
        first.save_checkpoint({"step": 2})
    content = segment(tmp_path).read_bytes()
    for length in range(size, len(content)):
        segment(tmp_path).write_bytes(content[:length])
        with journal(tmp_path, 2) as second:
            assert second.load_checkpoint() == {"step": 1}
            assert len(second.problems) == (length > size)
    assert struct.unpack_from("<I", content, size)[0] == len(content) - size - 11
