"""Metrics that scripts print: read off their output, counted once however often a script begins again."""

from pathlib import Path

import pytest

from qloom.errors import StorageFailed
from qloom.journal import JournalTail, OutputMetrics, read_journal
from qloom.journal.output_metrics import read_metrics
from qloom.journal.segments import SegmentWriter


def line(name: str, value: float, step: int | None = None) -> bytes:
    number = "" if step is None else f" iteration_number={step};"
    return f"Metrics - timestamp=1.5; {name}={value};{number}".encode()


def attempt(folder: Path, number: int, *lines: bytes, anew: bool = False) -> None:
    metrics = OutputMetrics(folder, job_id="job", attempt=number, seed=0, anew=anew)
    metrics.begin()
    assert [metrics.take(text, 2.0) for text in lines] == [""] * len(lines)


def recorded(folder: Path) -> list[tuple[str, float, int | None]]:
    return [(metric.name, metric.value, metric.step) for metric in read_journal(folder).metrics]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Metrics - timestamp=1700000000.25; cost=0.5;", [("cost", 0.5, None, 1700000000.25)]),
        ("Metrics - timestamp=1; cost=0.5; iteration_number=7;", [("cost", 0.5, 7, 1.0)]),
        ("[node-1] Metrics - cost=1e-3; iteration_number=2;", [("cost", 1e-3, 2, 9.0)]),
        ("Metrics - a=1; b=-inf; iteration_number=0;", [("a", 1.0, 0, 9.0), ("b", float("-inf"), 0, 9.0)]),
        ("Metrics - a=1; iteration_number=0.5;", [("a", 1.0, None, 9.0)]),
        ("Metrics - a=1; iteration_number=nan;", [("a", 1.0, None, 9.0)]),
        ("Metrics - a=one; b = 2 ;", [("b", 2.0, None, 9.0)]),
        ("Metrics - a=1", []),
        ("a=1; b=2;", []),
        ("Metrics - ", []),
    ],
)
def test_lines_are_read_as_brakets_sdk_prints_and_reads_them(
    text: str, found: list[tuple[str, float, int | None, float]]
) -> None:
    assert read_metrics(text, now=9.0) == found


def test_metrics_are_recorded_in_the_order_they_were_printed(tmp_path: Path) -> None:
    attempt(tmp_path, 1, line("a", 1, 0), b"hello", line("b", 5), line("a", 2, 1), anew=True)
    assert recorded(tmp_path) == [("a", 1.0, 0), ("b", 5.0, None), ("a", 2.0, 1)]


def test_nothing_is_made_before_a_metric_comes(tmp_path: Path) -> None:
    attempt(tmp_path, 1, b"no metric", anew=True)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_is_printed_again_after_a_resume_counts_once_and_the_latest_wins(tmp_path: Path) -> None:
    attempt(tmp_path, 1, line("a", 1, 0), line("a", 2, 1), line("b", 2, 1), anew=True)
    attempt(tmp_path, 2, line("a", 20, 1), line("a", 30, 2))
    attempt(tmp_path, 3, line("a", 40, 3))
    assert recorded(tmp_path) == [("a", 1.0, 0), ("a", 20.0, 1), ("b", 2.0, 1), ("a", 30.0, 2), ("a", 40.0, 3)]


def test_within_one_attempt_nothing_is_taken_for_a_repetition(tmp_path: Path) -> None:
    attempt(tmp_path, 1, line("a", 1, 0), line("a", 2, 0), anew=True)
    attempt(tmp_path, 2, line("a", 3, 0), line("a", 4, 0), line("a", 5, 0))
    assert recorded(tmp_path) == [("a", 3.0, 0), ("a", 4.0, 0), ("a", 5.0, 0)]


def test_metrics_without_a_step_are_all_kept(tmp_path: Path) -> None:
    attempt(tmp_path, 1, line("a", 1), anew=True)
    attempt(tmp_path, 2, line("a", 2))
    assert recorded(tmp_path) == [("a", 1.0, None), ("a", 2.0, None)]


def test_an_attempt_that_begins_anew_forgets_the_earlier_ones_even_before_its_first_metric(tmp_path: Path) -> None:
    attempt(tmp_path, 1, line("a", 1), anew=True)
    attempt(tmp_path, 2, anew=True)
    assert recorded(tmp_path) == []


def test_a_tail_sees_metrics_as_they_come(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    metrics = OutputMetrics(tmp_path, job_id="job", attempt=1, seed=0, anew=True)
    metrics.take(line("a", 1), 2.0)
    assert [metric.value for metric in tail.new_metrics()] == [1.0]
    metrics.take(line("a", 2), 2.0)
    assert [metric.value for metric in tail.new_metrics()] == [2.0]


def test_a_metric_that_cannot_be_recorded_is_said_once_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = OutputMetrics(tmp_path, job_id="job", attempt=1, seed=0, anew=True)
    metrics.take(line("a", 1), 2.0)

    def full(*_: object) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "append", full)
        assert [metrics.take(line("a", 2), 2.0) for _ in range(2)] == ["a metric is not recorded: the disk is full", ""]
    metrics.take(line("a", 3), 2.0)
    assert [value for _, value, _ in recorded(tmp_path)] == [1.0, 3.0]
