"""The figures themselves: every target is there, both sides can be opened, and the command runs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from benchmarks.__main__ import all_figures
from benchmarks.figures_jobs import served_job
from benchmarks.figures_warm import warm
from benchmarks.harness import ROOT, Bench, Effort, Figure
from benchmarks.pairs import Sense
from benchmarks.peers import NotRunError
from qloom.app import application
from qloom.jobspecs import JobState, JobStatus

if TYPE_CHECKING:
    from qloom.api.programs import Program


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("QLOOM_HOME", "")  # a Bench sets it; put back afterwards
    with Bench(Effort(), tmp_path) as made:
        application.cache_clear()
        yield made
    application.cache_clear()


def command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        timeout=100,
        check=True,
    )
    return done.stdout.decode()


def test_names_tell_figures_apart_and_every_group_has_a_quick_one() -> None:
    figures = all_figures()
    named = {(figure.name, figure.peer) for figure in figures}
    assert len(named) == len(figures)
    assert {figure.name.split()[0] for figure in figures if figure.quick} >= {
        "run",
        "loop",
        "journal",
        "serve",
        "no-op",
        "import",
        "report",
        "intake",
        "gradient,",
        "estimate",
        "Clifford",
        "engine",
        "growth",
    }


def test_other_peoples_systems_are_to_be_many_times_slower_and_the_rest_is_to_cost_little() -> None:
    for figure in all_figures():
        least = figure.target.sense is Sense.AT_LEAST
        others = figure.peer.startswith(("Covalent", "Mitiq", "Prefect", "PennyLane", "openqasm3"))
        assert least == (figure.name.startswith("loop in a job") or others)
        assert figure.target.value is None or (figure.target.value >= 2 if least else 0.5 <= figure.target.value <= 3)


@pytest.mark.parametrize(
    "name",
    [
        "run 1000 shots, bound parameters, 4 qubits",
        "run 1000 shots, 100 parameter sets in one call, 4 qubits",
        "estimate 15 Pauli terms, 4 qubits",
        "loop of 1000 iterations in a job, journal on, 4 qubits",
        "estimate 100 Pauli terms, 10 qubits",
        "Clifford circuit, 100 qubits, 1000 shots as an array of bits",
        "journal append, an answer of 4 qubits",
        "journal, durable class: a billed question",
        "journal, durable class: a checkpoint of 32 angles",
        "serve 10,000 recorded answers of 4 qubits",
        "intake of 100 gates from OpenQASM 3 text",
        "intake of 100 gates from a live Qiskit circuit, angles are numbers",
        "intake of 100 gates from a live Qiskit circuit, angles are formulas",
        "report of a job with 10,000 iterations",
        "no-op job, submit to result",
        "import qloom and declare a program",
        "warm no-op job in the sandbox",
    ],
)
def test_both_sides_of_a_figure_open_and_do_their_work(bench: Bench, name: str) -> None:
    (figure,) = [figure for figure in all_figures() if figure.name == name]
    assert isinstance(figure, Figure)
    with figure.open(bench) as sides:
        assert sides.ours(1) > 0
        assert sides.theirs(1) > 0


class Supervised:
    """In place of a program, and of its jobs: each runs under the next of some processes."""

    def __init__(self, *pids: int) -> None:
        self._pids = iter(pids)
        self.submitted = 0

    def submit(self) -> "Supervised":
        self.submitted += 1
        return self

    def result(self, timeout_s: float) -> dict[str, object]:
        return {}

    def status(self) -> JobStatus:
        return JobStatus(state=JobState.COMPLETED, attempt=1, pid=next(self._pids))


def test_a_program_is_warm_once_two_jobs_in_a_row_ran_under_one_process() -> None:
    program = Supervised(1, 2, 3, 3)
    side = warm(cast("Program", program))
    assert program.submitted == 4
    assert side(5) > 0
    assert program.submitted == 9


def test_a_warm_job_is_not_measured_where_no_fork_server_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.figures_warm.WARM_S", 0.0)
    with pytest.raises(NotRunError, match="no fork server"):
        warm(cast("Program", Supervised(1, 2)))


@pytest.mark.usefixtures("bench")
def test_the_loop_in_a_job_is_a_real_job_with_every_answer_in_its_journal() -> None:
    with served_job(2) as served:
        assert sum(served.counts(3).values()) == 3000
        assert served.seconds(5) > 0
        assert served.job.state() is JobState.RUNNING
    assert served.job.result() == {"iterations": 5}
    assert served.job.details()["quantum_tasks"] == {"executed": 8, "replayed": 0}


def test_the_command_names_the_figures() -> None:
    assert "loop in a job, journal on, 20 qubits | Braket LocalSimulator" in command("--list")
    assert "20 qubits" not in command("--list", "--quick")


def test_the_command_measures_what_it_is_asked_for(tmp_path: Path) -> None:
    shown = command("--only", "append*4 qubits", "--pairs", "2", "--output", str(tmp_path))
    (row,) = json.loads((tmp_path / "bench.json").read_text())
    assert (row["n"], row["target"], row["peer"]) == (2, 3.0, "encode, CRC-32, write")
    assert row["met"] is (row["ratio"] <= 3.0)
    assert "journal append" in shown


def test_a_pattern_that_matches_nothing_is_misuse() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        command("--only", "no such figure")
    assert refused.value.returncode == 2
    assert b"--list" in refused.value.stderr
