"""Reading from outside: metrics once each, while the writer is at work."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qloom.errors import InvalidSetting
from qloom.journal import JournalTail, Metric, read_journal
from qloom.journal.segments import SegmentWriter, segment_header
from qloom.results import Engine, Result
from qloom.tasks import Question
from tests.journal.helpers import ENGINE, journal, never, open_journal, pure, question, segment


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    view = read_journal(tmp_path)
    assert (view.metrics, view.executed, view.engines, view.checkpoints, view.problems) == ([], 0, [], 0, [])


def test_a_view_counts_all_attempts_and_each_metric_once(tmp_path: Path) -> None:
    for attempt in (1, 2, 3):
        with journal(tmp_path, attempt) as opened:
            opened.engine_used("abc", ENGINE)
            for step in range(attempt):
                opened.lane("main").ask(question(float(step)), pure(question()))
                opened.lane("main").metric("energy", step / 2, step, 100.0 + attempt)
            opened.save_checkpoint({})
    view = read_journal(tmp_path)
    assert view.metrics == [Metric("energy", step / 2, step, 101.0 + step, "main") for step in range(3)]
    assert (view.executed, view.checkpoints, view.attempts) == (3, 3, [1, 2, 3])
    assert view.engines == [ENGINE]


def test_metrics_and_counts_begin_at_the_last_start_from_scratch(tmp_path: Path) -> None:
    for attempt, engine in ((1, ENGINE), (2, Engine("pure", "2.0"))):
        with journal(tmp_path, attempt, from_scratch=attempt == 2) as opened:
            opened.engine_used("abc", engine)
            opened.lane("main").ask(question(), pure(question()))
            opened.lane("main").metric("n", attempt, None, 0.0)
    view = read_journal(tmp_path)
    assert [metric.value for metric in view.metrics] == [2]
    assert (view.executed, view.engines, view.attempts) == (1, [Engine("pure", "2.0")], [2])


def test_dropped_metrics_are_gone(tmp_path: Path) -> None:
    for attempt, angles in ((1, (0.1, 0.2, 0.3)), (2, (0.1, 0.9))):
        with journal(tmp_path, attempt, accept_divergence=True) as opened:
            for angle in angles:
                opened.lane("main").ask(question(angle), pure(question(angle)))
                opened.lane("main").metric("angle", angle, None, 0.0)
            opened.lane("b").metric("other", 1.0, None, 0.0)
    found = [(metric.name, metric.value) for metric in read_journal(tmp_path).metrics]
    assert sorted(found) == [("angle", 0.1), ("angle", 0.9), ("other", 1.0)]


def test_damage_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    for attempt in (1, 2):
        with journal(tmp_path, attempt) as opened:
            for number in range(attempt):
                opened.lane("main").metric("n", number, None, 0.0)
    content = bytearray(segment(tmp_path).read_bytes())
    content[20] ^= 1
    segment(tmp_path).write_bytes(content)
    view = read_journal(tmp_path)
    assert [metric.value for metric in view.metrics] == [1]
    assert str(segment(tmp_path)) in view.problems[0]


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as opened:
        opened.save_checkpoint({})
    segment(tmp_path, 2).write_bytes(segment_header(version=9))
    with pytest.raises(InvalidSetting, match="format 9"):
        read_journal(tmp_path)
    segment(tmp_path, 2).unlink()
    writer = SegmentWriter.create(segment(tmp_path, 2))
    writer.append(99, b"")
    with (
        journal(tmp_path, 3) as later,
        pytest.raises(InvalidSetting, match=r"record of kind 99.*use the qloom that wrote it"),
    ):
        later.load_checkpoint()


def test_other_files_in_the_folder_are_not_ours(tmp_path: Path) -> None:
    with journal(tmp_path, 1) as opened:
        opened.lane("main").metric("n", 1.0, None, 0.0)
    for name in ("notes.txt", "x-program.seg", ".1-program.seg.swp", "1.seg"):
        (tmp_path / "journal" / name).write_text("hello")
    assert len(read_journal(tmp_path).metrics) == 1


def test_a_tail_gives_each_metric_once_as_it_comes(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    assert tail.new_metrics() == []
    with journal(tmp_path, 1) as first:
        lane = first.lane("main")
        lane.metric("a", 1.0, 0, 5.0)
        assert tail.new_metrics() == [Metric("a", 1.0, 0, 5.0, "main")]
        assert tail.new_metrics() == []
        lane.ask(question(), pure(question()))
        first.lane("b").metric("b", 2.0, None, 6.0)
        lane.metric("a", 3.0, 1, 7.0)
        assert [(metric.lane, metric.value) for metric in tail.new_metrics()] == [("b", 2.0), ("main", 3.0)]
    with journal(tmp_path, 2) as second:
        for number in range(3):
            second.lane("main").metric("a", float(number), number, 8.0)
    assert [metric.value for metric in tail.new_metrics()] == [2.0]
    assert tail.executed == 1


def test_a_tail_waits_for_the_rest_of_a_record(tmp_path: Path) -> None:
    with journal(tmp_path / "real", 1) as opened:
        for number in range(3):
            opened.lane("main").metric("n", float(number), None, 0.0)
    content = segment(tmp_path / "real").read_bytes()
    growing = segment(tmp_path / "growing")
    growing.parent.mkdir(parents=True)
    tail, seen = JournalTail(tmp_path / "growing"), []
    for length in range(len(content) + 1):
        growing.write_bytes(content[:length])
        seen += [metric.value for metric in tail.new_metrics()]
    assert (seen, tail.problems) == ([0.0, 1.0, 2.0], [])


def test_a_tail_says_damage_once_and_follows_the_other_files(tmp_path: Path) -> None:
    opened = open_journal(tmp_path, 1)
    opened.lane("main").metric("n", 1.0, None, 0.0)
    tail = JournalTail(tmp_path)
    assert len(tail.new_metrics()) == 1
    with segment(tmp_path).open("ab") as file:
        file.write(b"no record at all, but long enough")
    other = open_journal(tmp_path, 1, writer="supervisor")
    other.lane("main").metric("n", 2.0, None, 0.0)
    assert [metric.value for metric in tail.new_metrics()] == [2.0]
    assert tail.new_metrics() == []
    assert len(tail.problems) == 1


WRITER = """
import sys
from pathlib import Path
from qloom.journal import Journal
opened = Journal.open(Path(sys.argv[1]), job_id="job", attempt=1, seed=1)
for number in range(3000):
    opened.lane("main").metric("n", float(number), number, 0.0)
"""


def test_a_tail_keeps_up_with_a_process_that_writes(tmp_path: Path) -> None:
    tail, seen = JournalTail(tmp_path), []
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) as process:
        while process.poll() is None:
            seen += tail.new_metrics()
    seen += tail.new_metrics()
    assert process.returncode == 0
    assert [metric.step for metric in seen] == list(range(3000))
    assert tail.problems == []


def slow(asked: Question, seconds: float) -> Callable[[int], Result]:
    def compute(seed: int) -> Result:
        time.sleep(seconds)
        return pure(asked)(seed)

    return compute


def test_the_time_that_answers_took_is_added_up_over_lanes_and_attempts(tmp_path: Path) -> None:
    for attempt in (1, 2):
        with journal(tmp_path, attempt) as opened:
            for lane in ("main", "other"):
                for angle in range(attempt):
                    opened.lane(lane).ask(question(float(angle)), slow(question(float(angle)), 0.02))
    view = read_journal(tmp_path)
    assert view.executed == 4
    assert 0.08 <= view.quantum_s < 8


def test_a_killed_writer_leaves_the_time_of_all_but_its_last_moments(tmp_path: Path) -> None:
    opened = open_journal(tmp_path, 1)  # never closed
    for angle in range(3):
        opened.lane("main").ask(question(float(angle)), slow(question(float(angle)), 0.15))
    assert read_journal(tmp_path).quantum_s >= 0.3
    opened.close()
    assert read_journal(tmp_path).quantum_s >= 0.45


def test_answers_that_are_served_again_took_no_time(tmp_path: Path) -> None:
    for attempt in (1, 2):
        with journal(tmp_path, attempt) as opened:
            opened.lane("main").ask(question(), slow(question(), 0.05) if attempt == 1 else never)
    assert 0.05 <= read_journal(tmp_path).quantum_s < 5
    assert b"seg" in segment(tmp_path, 1).read_bytes()
    assert not segment(tmp_path, 2).exists()


@pytest.mark.parametrize("padding", [0, 100_000], ids=["small", "in a blob"])
def test_what_the_stages_did_for_the_last_answer_is_told(tmp_path: Path, padding: int) -> None:
    with journal(tmp_path, 1) as opened:
        for slope in (-0.1, -0.2):
            opened.note_stages([{"name": "zne", "slope": np.array([slope]), "note": "x" * padding}])
    (stage,) = read_journal(tmp_path).stages
    assert (stage["name"], stage["slope"]) == ("zne", [-0.2])


def test_a_follower_is_told_when_an_attempt_begins_from_scratch(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    for attempt, scratch, expected in ((1, False, [1.0]), (2, False, [2.0]), (3, True, [3.0, 3.0, 3.0])):
        with journal(tmp_path, attempt, from_scratch=scratch) as opened:
            for number in range(attempt):
                opened.lane("main").metric("n", float(attempt), number, 0.0)
        found = [metric.value for metric in tail.new_metrics()]
        assert (found, tail.restarts) == (expected, int(scratch))
    late = JournalTail(tmp_path)
    assert ([metric.value for metric in late.new_metrics()], late.restarts) == ([3.0] * 3, 1)
