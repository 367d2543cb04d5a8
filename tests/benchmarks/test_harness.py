"""Measuring figures: repeated when noisy, never dropped, never fatal."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import harness
from benchmarks.__main__ import chosen, run, write
from benchmarks.harness import Bench, Effort, Figure, Finding, Sides, Survey, measure
from benchmarks.output import as_markdown, as_table, cells
from benchmarks.pairs import Sense, Target, Timed
from benchmarks.peers import ONE_THREAD, NotRunError


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLOOM_HOME", "")  # a Bench sets it; put back afterwards


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(Effort(pairs=8, minimum_s=0.001), tmp_path) as made:
        yield made


def figure_of(sides: Sides | None = None, error: Exception | None = None, **options: Any) -> Figure:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Sides]:
        if error is not None:
            raise error
        assert sides is not None
        yield sides

    facts: dict[str, Any] = {"name": "a figure", "peer": "a peer", "open": opened, "target": Target(1.2)}
    return Figure(**facts | options)


def steady(seconds: float) -> Timed:
    return lambda loops: loops * seconds


class Counting:
    """A side that takes a second, and counts how often it was asked."""

    asked = 0

    def __call__(self, loops: int) -> float:
        self.asked += 1
        return float(loops)


def wild() -> Timed:
    swings = itertools.cycle([1.0, 1.0, 1.0, 9.0, 5.0, 3.0, 7.0])
    return lambda loops: loops * next(swings)


def test_a_figure_becomes_a_row_with_its_ratio(bench: Bench) -> None:
    row = measure(figure_of(Sides(steady(0.0011), steady(0.001), "the peer it turned out to be")), bench)
    assert row.ratio == pytest.approx(1.1)
    assert (row.n, row.met) == (8, True)
    assert row.peer == "the peer it turned out to be"


def test_a_noisy_row_is_measured_three_times_then_marked(bench: Bench) -> None:
    ours = Counting()
    row = measure(figure_of(Sides(ours, wild())), bench)
    assert row.noisy
    assert ours.asked == 3 * (8 + 2)


def test_a_calm_row_is_measured_once(bench: Bench) -> None:
    ours = Counting()
    measure(figure_of(Sides(ours, steady(1.0))), bench)
    assert ours.asked == 8 + 2


def test_a_figure_whose_peer_is_missing_stays_as_a_row_that_says_how_to_get_it(bench: Bench) -> None:
    row = measure(figure_of(error=NotRunError("build it with `make envs`")), bench)
    assert (row.figure, row.peer, row.met, row.n) == ("a figure", "a peer", False, 0)
    assert row.note == "not run: build it with `make envs`"


def test_a_worker_in_a_missing_environment_gives_that_row(tmp_path: Path) -> None:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Sides]:
        bench.workers.get("braket_local", "braket-sdk").open({})
        yield Sides(steady(1.0), steady(1.0))

    with Bench(Effort(), tmp_path / "build", root=tmp_path) as elsewhere:
        row = measure(figure_of(open=opened), elsewhere)
    assert row.to_json()["note"] == "not run: build it with `make envs`"
    assert row.to_json()["met"] is False


def test_a_fault_in_one_figure_is_shown_and_does_not_end_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = [figure_of(error=ZeroDivisionError("oh")), figure_of(Sides(steady(1.0), steady(1.0)), name="another")]
    rows = run(figures, Effort(pairs=2), tmp_path)
    assert [(row.figure, row.met) for row in rows] == [("a figure", False), ("another", True)]
    shown = capsys.readouterr()
    assert "ZeroDivisionError: oh" in rows[0].note
    assert "Traceback" in shown.err
    assert "1 of 2 targets met; not met:\n\n- a figure, against a peer\n" in shown.out


def test_no_figure_is_begun_after_the_time_limit(tmp_path: Path) -> None:
    with Bench(Effort(limit_s=-1.0), tmp_path) as late:
        row = measure(figure_of(Sides(steady(1.0), steady(1.0))), late)
    assert row.note.startswith("not run: the time limit")


def test_a_run_leaves_the_list_as_json_and_the_table_as_markdown(tmp_path: Path) -> None:
    run([figure_of(Sides(steady(1.0), steady(3.0)), target=Target(2.5, Sense.AT_LEAST))], Effort(pairs=6), tmp_path)
    (row,) = json.loads((tmp_path / "bench.json").read_text())
    assert (row["figure"], row["ratio"], row["target"], row["met"], row["n"]) == ("a figure", 3.0, 2.5, True, 6)
    assert (
        "| a figure | 1 s | a peer | 3 s | 3x | 3 to 3 | 6 | at least 2.5x faster | yes |" in (tmp_path / "bench.md").read_text()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.md"]


def test_a_table_has_a_line_for_what_did_not_run(bench: Bench) -> None:
    row = measure(figure_of(error=NotRunError("no | peer")), bench)
    assert cells(row)[-1] == "not run: no | peer"
    assert "not run: no \\| peer" in as_markdown([row], [])
    assert as_table([row]).row_count == 1


def test_a_build_folder_may_be_given_relative_to_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Bench(Effort(), Path("build")) as made:
        assert made.folder.is_absolute()
        assert Path(os.environ["QLOOM_HOME"]).parent == made.folder


def test_patterns_look_into_name_and_peer_and_quick_takes_the_small_sizes() -> None:
    figures = [figure_of(name="run, 4 qubits", quick=True), figure_of(name="run, 20 qubits", peer="Aer")]
    assert chosen(figures, only="*", quick=False) == figures
    assert chosen(figures, only="aer", quick=False) == figures[1:]
    assert chosen(figures, only="run*qubits", quick=True) == figures[:1]


def test_the_harness_pins_threads_and_forgets_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("QLOOM_DEVICE", "mine")
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "8")
    harness.pin()
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert "QLOOM_DEVICE" not in os.environ


def test_rows_written_so_far_survive_a_run_that_is_stopped(tmp_path: Path, bench: Bench) -> None:
    rows = [measure(figure_of(Sides(steady(1.0), steady(1.0))), bench)]
    write(rows, ["facts"], tmp_path)
    assert len(json.loads((tmp_path / "bench.json").read_text())) == 1


def test_a_survey_becomes_a_row_with_its_note_below_the_table(bench: Bench) -> None:
    found = Finding(ours=1.2, theirs=1.0, ratio=1.2, low=1.0, high=1.2, n=7, note="worst of seven")
    row = measure(Survey(name="a survey", peer="the best", target=Target(1.4), take=lambda _: found), bench)
    assert (row.ratio, row.n, row.met, row.noisy) == (1.2, 7, True, False)
    assert "- a survey: worst of seven" in as_markdown([row], [])


def test_a_survey_that_cannot_be_taken_keeps_its_row(bench: Bench) -> None:
    def take(_: Bench) -> Finding:
        raise NotRunError("mqt-bench is not installed")

    row = measure(Survey(name="a survey", peer="the best", target=Target(1.4), take=take), bench)
    assert (row.note, row.met) == ("not run: mqt-bench is not installed", False)
