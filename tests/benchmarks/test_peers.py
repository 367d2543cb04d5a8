"""Workers: real processes, with a toy for a peer."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import ROOT
from benchmarks.peers import NotRunError, Worker, Workers, interpreter
from benchmarks.workload import ansatz, parameter_sets
from qloom.kit.processes import is_running

CASE: dict[str, Any] = {"gates": ansatz(2), "num_qubits": 2, "shots": 10, "sets": parameter_sets(16, sets=6)}


Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Worker] = []

    def start(*command: str, **variables: str) -> Worker:
        arguments = command or ("-m", "tests.benchmarks.toy_worker")
        worker = Worker(
            "toy",
            [sys.executable, *arguments],
            folder=ROOT,
            log=tmp_path / "toy.log",
            environment={**os.environ, **variables},
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.close()
        assert not worker.alive


def test_a_worker_takes_its_peers_fastest_way_and_times_it_itself(start: Start) -> None:
    worker = start()
    assert worker.open(CASE) == "quick"
    assert 0 < worker.seconds(3) < 1


def test_a_peers_chatter_does_not_get_among_the_answers(start: Start, tmp_path: Path) -> None:
    worker = start()
    worker.open(CASE)
    assert worker.counts(3) == {"01": 30}
    assert "chatter" in (tmp_path / "toy.log").read_text()


def test_keys_of_a_peer_that_writes_the_last_bit_first_are_turned_round_for_the_check(start: Start) -> None:
    worker = start("-m", "tests.benchmarks.toy_worker", "backwards")
    worker.open(CASE)
    assert worker.counts(1) == {"10": 10}


def test_a_worker_that_dies_gives_its_last_words(start: Start) -> None:
    worker = start()
    with pytest.raises(NotRunError, match="toy ended: ValueError: a circuit without gates"):
        worker.open({**CASE, "gates": []})


def test_a_peer_that_is_not_installed_is_named(start: Start) -> None:
    worker = start("-c", "import no_such_peer")
    with pytest.raises(NotRunError, match="No module named 'no_such_peer'"):
        worker.open(CASE)


def test_a_silent_worker_is_given_up_and_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.START_TIMEOUT_S", 0.2)
    monkeypatch.setattr("benchmarks.peers.CLOSE_TIMEOUT_S", 0.2)
    worker = start("-c", "import time; time.sleep(60)")
    with pytest.raises(NotRunError, match=r"no answer in 0\.2 s"):
        worker.open(CASE)
    assert not worker.alive


def test_what_a_silent_worker_started_ends_with_it(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.START_TIMEOUT_S", 5.0)
    monkeypatch.setattr("benchmarks.peers.CLOSE_TIMEOUT_S", 0.2)
    started = (
        "import json, subprocess, time; print(json.dumps({'way': str(subprocess.Popen(['sleep', '60']).pid)}), flush=True); "
    )
    worker = start("-c", f"{started} time.sleep(60)")
    server = int(worker.open(CASE))
    assert is_running(server)
    worker.close()
    assert not is_running(server)


def test_every_worker_has_one_thread_whatever_the_user_has_set(start: Start) -> None:
    worker = start("-c", "import os; raise SystemExit(os.environ['OMP_NUM_THREADS'] + ' thread')", OMP_NUM_THREADS="8")
    with pytest.raises(NotRunError, match="1 thread"):
        worker.open(CASE)


def test_a_missing_environment_is_answered_with_the_line_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(NotRunError, match="build it with `make envs`"):
        interpreter(tmp_path, "braket-sdk")


def test_an_environment_of_the_repository_is_found(tmp_path: Path) -> None:
    python = tmp_path / ".environments" / "peer" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert interpreter(tmp_path, "peer") == python
    assert interpreter(tmp_path, None) == Path(sys.executable)


def test_a_worker_stays_warm_for_the_next_figure_and_is_started_anew_when_it_died(tmp_path: Path) -> None:
    workers = Workers(ROOT, tmp_path)
    try:
        first = workers.get("no_such_module")
        with pytest.raises(NotRunError):
            first.open(CASE)
        assert workers.get("no_such_module") is not first
    finally:
        workers.close()
