"""`qloom job watch`: what is seen of jobs from another terminal, and that looking changes nothing about them."""

import json
import math
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from qloom.cli.watch import SHOWN_LINES, SPARKS, View, draw, progress_text, sparkline
from qloom.jobspecs import JobState, JobStatus
from tests.cli.conftest import Qloom
from tests.cli.terminals import LIMIT_S, Terminal
from tests.cli.test_job import wait_for_output

GATED = """
import pathlib
import time
import qloom


@qloom.program
def gated(ctx: qloom.Context, gate: str = "", steps: int = 20) -> int:
    for step in ctx.progress(range(steps), description="turning"):
        ctx.log_metric("energy_hartree", -step / 10, step=step)
        if step == 10:
            print("half way", flush=True)
            until = time.monotonic() + 100
            while not pathlib.Path(gate).exists() and time.monotonic() < until:
                time.sleep(0.02)
    return steps


@qloom.program
def broken(ctx: qloom.Context) -> None:
    raise ValueError("no such molecule")
"""

Start = Callable[..., str]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def start(qloom: Qloom, tmp_path: Path, gate: Path) -> Iterator[Start]:
    """Starts a job and returns once it is half way, where it stays until the gate is there; no test leaves one behind."""
    (tmp_path / "programs.py").write_text(GATED)

    def one() -> str:
        answer = qloom("run", "programs.py:gated", "-p", f"gate={gate}", "--detach")
        assert answer.code == 0, answer.err
        job_id = answer.out.strip()
        wait_for_output(qloom, job_id, "half way")
        return job_id

    yield one
    gate.touch()


@pytest.fixture
def terminal(command: list[str], environment: dict[str, str], tmp_path: Path, home: Path) -> Callable[..., Terminal]:
    def watch(*job_ids: str, **variables: str) -> Terminal:
        return Terminal([*command, "job", "watch", *job_ids], {**environment, "LINES": "30", **variables}, tmp_path)

    return watch


def failed(qloom: Qloom) -> str:
    return str(qloom("run", "programs.py:broken", "--json").json["job_id"])


def test_a_terminal_shows_state_progress_metrics_and_output_until_the_job_ends(
    start: Start, gate: Path, terminal: Callable[..., Terminal]
) -> None:
    job_id = start()
    screen = terminal(job_id, COLUMNS="80")
    screen.wait_for("half way")
    assert f"{job_id} gated RUNNING" in screen.drawn
    screen.wait_for("▁")
    gate.touch()
    assert screen.exit_code() == 0
    last = screen.drawn[screen.drawn.rindex(job_id) :]
    assert "gated COMPLETED" in last
    assert "20/20" in last
    assert "-1.9 ██▇▇▇" in last
    assert "turning" in last
    assert "│ half way" in last


def test_several_jobs_are_stacked_in_the_order_given(start: Start, gate: Path, terminal: Callable[..., Terminal]) -> None:
    first, second = start(), start()
    screen = terminal(second, first)
    screen.wait_for(f"{first} gated RUNNING")
    gate.touch()
    assert screen.exit_code() == 0
    last = screen.drawn[screen.drawn.rindex(second) :]
    assert last.index(f"{second} gated COMPLETED") < last.index(f"{first} gated COMPLETED")


def test_the_watching_of_several_jobs_fails_where_one_of_them_did(
    qloom: Qloom, start: Start, gate: Path, terminal: Callable[..., Terminal]
) -> None:
    good = start()
    gate.touch()
    screen = terminal(failed(qloom), good)
    assert screen.exit_code() == 1
    assert "broken FAILED" in screen.drawn
    assert "no such molecule" in screen.drawn
    assert f"{good} gated COMPLETED" in screen.drawn


def test_ctrl_c_ends_the_watching_and_leaves_the_jobs_running(
    qloom: Qloom, start: Start, gate: Path, terminal: Callable[..., Terminal]
) -> None:
    job_id = start()
    screen = terminal(job_id)
    screen.wait_for("half way")
    screen.interrupt()
    assert screen.exit_code() == 130
    assert "the jobs go on" in screen.drawn
    assert "Traceback" not in screen.drawn
    assert qloom("job", "show", job_id, "--json").json["state"] == "RUNNING"
    gate.touch()
    assert qloom("job", "watch", job_id).code == 0


def test_a_pipe_gets_a_line_for_each_change_of_state_as_it_happens(
    start: Start, gate: Path, command: list[str], environment: dict[str, str]
) -> None:
    job_id = start()
    words = [*command, "job", "watch", job_id]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        states = [process.stdout.readline().split("\t")[2].strip()]
        gate.touch()
        rest, errors = process.communicate(timeout=LIMIT_S)
    lines = rest.splitlines()
    assert lines[-1] == f"{job_id}\tgated\tCOMPLETED"
    states += [line.split("\t")[2] for line in lines]
    assert states[-2:] == ["RUNNING", "COMPLETED"]
    assert len(states) == len(set(states))
    assert (process.returncode, errors) == (0, "")
    assert "\x1b" not in rest


def test_a_job_that_is_resumed_while_another_one_runs_is_watched_on(
    qloom: Qloom, start: Start, gate: Path, command: list[str], environment: dict[str, str]
) -> None:
    running, stopped = start(), start()
    qloom("job", "suspend", stopped)
    words = [*command, "job", "watch", running, stopped]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "RUNNING" in process.stdout.readline()
        assert "INTERRUPTED\t(suspended)" in process.stdout.readline()
        assert qloom("job", "resume", stopped, "--detach").code == 0
        assert process.stdout.readline().startswith(stopped)
        gate.touch()
        rest, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert {f"{running}\tgated\tCOMPLETED", f"{stopped}\tgated\tCOMPLETED"} <= set(rest.splitlines())


def test_a_failed_job_says_why_in_its_line(qloom: Qloom, start: Start) -> None:
    job_id = failed(qloom)
    answer = qloom("job", "watch", job_id[:20])
    assert answer.code == 1
    assert answer.out.startswith(f"{job_id}\tbroken\tFAILED\t")
    assert "no such molecule" in answer.out
    assert answer.out.count("\n") == 1


def test_json_is_one_document_with_every_job_once(qloom: Qloom, start: Start, gate: Path) -> None:
    gate.touch()
    good, bad = start(), failed(qloom)
    answer = qloom("job", "watch", good, bad, good, "--json")
    assert answer.code == 1
    assert answer.err == ""
    assert [(one["job_id"], one["state"], one["result"]) for one in answer.json] == [
        (good, "COMPLETED", 20),
        (bad, "FAILED", None),
    ]
    assert "no such molecule" in answer.json[1]["error"]["message"]


def test_json_draws_nothing_on_a_terminal(start: Start, gate: Path, terminal: Callable[..., Terminal]) -> None:
    gate.touch()
    job_id = start()
    screen = terminal(job_id, "--json")
    assert screen.exit_code() == 0
    assert "\x1b" not in screen.raw
    assert json.loads(screen.raw)[0]["job_id"] == job_id


def test_ctrl_c_with_json_still_gives_the_document(qloom: Qloom, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    job_id = start()
    monkeypatch.setattr("qloom.cli.watch.sleep_or_exit", ctrl_c)
    answer = qloom("job", "watch", job_id, "--json")
    assert answer.code == 130
    assert answer.json[0]["state"] in {"QUEUED", "RUNNING"}
    assert job_id in answer.err


def test_an_unknown_job_is_refused_before_anything_is_shown(qloom: Qloom, start: Start, gate: Path) -> None:
    gate.touch()
    answer = qloom("job", "watch", start(), "nosuchjob")
    assert answer.code == 2
    assert answer.out == ""
    assert "nosuchjob" in answer.err


# ---- what is drawn, without any job --------------------------------------------------------------------------------


def view(**changes: object) -> View:
    values = {"job_id": "01a", "program": "vqe", "status": JobStatus(state=JobState.RUNNING, attempt=1)}
    return View(**{**values, **changes})  # type: ignore[arg-type]


def drawn(*views: View, width: int = 80, height: int = 24) -> list[str]:
    return [line.plain for line in draw(views, width, height)]


def test_output_gives_way_so_that_all_jobs_fit_the_terminal() -> None:
    talkative = view(lines=[f"line {number}" for number in range(20)])
    assert len(drawn(talkative)) == 1 + SHOWN_LINES
    assert len(drawn(*[talkative] * 4, height=15)) <= 15
    assert drawn(*[talkative] * 9, height=5)[1::2] == ["  │ line 19"] * 9


def test_what_a_program_prints_cannot_move_the_cursor() -> None:
    text = draw([view(lines=["\x1b[31mred\x1b[0m \x1b[2J\x1b[1;1Hgone\x07 [bold]"])], 80, 24)[-1]
    assert text.plain == "  │ red gone [bold]"
    assert isinstance(text, Text)
    assert any("red" in str(span.style) or "color" in str(span.style) for span in text.spans)


def test_a_job_that_tells_nothing_shows_its_state_alone() -> None:
    assert drawn(view(status=JobStatus(state=JobState.CREATED))) == ["01a vqe CREATED"]


def test_a_narrow_terminal_gets_shorter_sparklines_and_the_last_value_in_full() -> None:
    line = drawn(view(metrics={"energy_hartree": [float(value) for value in range(40)]}), width=60)[1]
    assert len(line) == 60
    assert " 39 " in line
    assert line.endswith("█")


def test_many_metrics_are_cut_and_counted() -> None:
    lines = drawn(view(metrics={f"m{number}": [1.0] for number in range(9)}))
    assert lines[-1] == "  and 3 more metrics (qloom job metrics ID)"


def test_a_resumed_job_shows_its_attempt_and_how_long_it_ran() -> None:
    status = JobStatus(state=JobState.INTERRUPTED, attempt=2, reason="killed", error="by\nyou", started_at=10.0, ended_at=75.0)
    assert drawn(view(status=status, now=1000.0)) == ["01a vqe INTERRUPTED attempt 2 0:01:05", "  (killed) by you"]


def test_a_loop_that_converged_early_is_done_all_the_same() -> None:
    assert "━ 7/7" in progress_text({"done": 7, "total": 100, "rate_per_s": None}, JobState.COMPLETED)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.INTERRUPTED, JobState.CANCELLED])
def test_a_job_that_has_ended_has_no_time_left(state: JobState) -> None:
    seen = {"done": 7, "total": 28, "rate_per_s": 3.5}
    assert "left" in progress_text(seen)
    assert progress_text(seen, state).endswith("7/28 3.5/s")


@given(st.lists(st.floats(), max_size=60), st.integers(1, 40))
def test_a_sparkline_has_one_mark_for_each_of_the_latest_values(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(len(values), width)
    latest = values[-width:]
    assert [mark in SPARKS for mark in line] == [math.isfinite(value) for value in latest]


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=40))
def test_a_sparkline_rises_and_falls_as_the_values_do(values: list[int]) -> None:
    marks = [SPARKS.index(mark) for mark in sparkline(values)]
    pairs = list(zip(values, marks, strict=True))
    assert all(low_mark <= high_mark for low, low_mark in pairs for high, high_mark in pairs if low <= high)


def test_sparklines_forget_what_an_attempt_from_scratch_forgot(
    qloom: Qloom, start: Start, gate: Path, terminal: Callable[..., Terminal]
) -> None:
    job_id = start()
    qloom("job", "suspend", job_id)
    gate.touch()
    assert qloom("job", "resume", job_id, "--from-scratch", "--json").json["state"] == "COMPLETED"
    screen = terminal(job_id, COLUMNS="80")
    assert screen.exit_code() == 0
    line = next(line for line in screen.drawn.splitlines() if "energy_hartree" in line)
    assert sum(mark in SPARKS for mark in line) == 20  # not 31, as the first attempt logged 11
