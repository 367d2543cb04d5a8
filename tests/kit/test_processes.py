"""Trees of processes: found whole, counted, and ended to the last one. Every process here is started by its test."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qloom.jobspecs import new_job_id
from qloom.kit import processes
from qloom.limits import Resources
from qloom.testing.executor_contract import PRELUDE, once, once_gone

Start = Callable[..., int]
CHILDREN = "for _ in range(2):\n    if os.fork() == 0:\n        os.fork(); time.sleep(60); os._exit(0)\n"


@pytest.fixture
def marker() -> str:
    return new_job_id()


@pytest.fixture
def start(tmp_path: Path, marker: str) -> Iterator[Start]:
    """Starts a script that carries the marker and returns its pid; what is left of it is ended by the test's end."""
    begun: list[subprocess.Popen[bytes]] = []
    places = {"AMZN_BRAKET_JOB_RESULTS_DIR": str(tmp_path), "AMZN_BRAKET_CHECKPOINT_DIR": str(tmp_path)}

    def start_script(script: str, **environment: str) -> int:
        command = [sys.executable, "-c", PRELUDE + textwrap.dedent(script)]
        variables = {**os.environ, **places, processes.MARKER: marker, **environment}
        begun.append(subprocess.Popen(command, env=variables, start_new_session=True))
        return begun[-1].pid

    yield start_script
    processes.end_strays(marker)
    for process in begun:
        process.kill()
        process.wait()


def told(tmp_path: Path, name: str) -> int:
    path = tmp_path / name
    return int(once(name, lambda: path.read_text() if path.exists() else None))


def test_descendants_are_children_and_theirs(start: Start) -> None:
    pid = start(CHILDREN + "time.sleep(60)")
    assert once("four of them", lambda: len(processes.descendants(pid)) == 4)
    assert processes.descendants(pid) < processes.descendants(os.getpid())


def test_a_kernel_that_keeps_no_list_of_children_is_asked_for_parents(start: Start) -> None:
    pid = start(CHILDREN + "time.sleep(60)")
    once("four of them", lambda: len(processes.descendants(pid)) == 4)
    assert set(processes._children_by_parent(pid)) == set(processes.children(pid))


def test_a_subreaper_keeps_those_that_fork_twice(start: Start, tmp_path: Path) -> None:
    pid = start(
        """
        from qloom.kit import processes
        processes.become_subreaper()
        fork_twice(lambda: (tell("daemon", os.getpid()), time.sleep(60)))
        time.sleep(60)
        """
    )
    assert told(tmp_path, "daemon") in processes.descendants(pid)


def test_who_dies_with_its_parent_does_so_though_the_parent_is_killed(start: Start, tmp_path: Path) -> None:
    parent = start(
        """
        from qloom.kit import processes
        parent = os.getpid()
        if os.fork() == 0:
            processes.die_with_parent(parent)
            tell("child", os.getpid())
        time.sleep(60)
        """
    )
    child = told(tmp_path, "child")
    os.kill(parent, signal.SIGKILL)
    assert once_gone(child)


def test_who_should_die_with_a_parent_that_is_gone_dies_at_once(start: Start) -> None:
    assert once_gone(start("from qloom.kit import processes; processes.die_with_parent(1); time.sleep(60)"))


def test_a_tree_that_ignores_term_and_left_its_parent_is_ended(start: Start, tmp_path: Path, marker: str) -> None:
    start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nfork_twice(lambda: (tell('daemon', os.getpid()), time.sleep(60)))")
    daemon = told(tmp_path, "daemon")
    assert processes.end_tree(lambda: processes.strays(marker), grace_s=0.05) == set()
    assert not processes.is_running(daemon)


def test_term_comes_first(start: Start, tmp_path: Path, marker: str) -> None:
    start("signal.signal(signal.SIGTERM, lambda *_: (tell('tidy', 1), os._exit(0)))\ntell('ready', 1)\ntime.sleep(60)")
    told(tmp_path, "ready")
    assert processes.end_tree(lambda: processes.marked(marker), grace_s=20) == set()
    assert told(tmp_path, "tidy") == 1


def test_strays_that_dropped_the_marker_are_found_by_their_session(start: Start, tmp_path: Path, marker: str) -> None:
    start(
        """
        if os.fork() == 0:
            code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
            os.execve(sys.executable, [sys.executable, "-c", code, str(checkpoints / "bare")], {})
        time.sleep(60)
        """
    )
    bare = told(tmp_path, "bare")
    assert bare not in processes.marked(marker)
    assert processes.end_strays(marker) >= 2
    assert once_gone(bare)


def test_whoever_looks_for_strays_is_never_one_of_them(start: Start, tmp_path: Path, marker: str) -> None:
    start("from qloom.kit import processes; tell('found', len(processes.strays(os.environ['QLOOM_JOB_ID'])))")
    assert told(tmp_path, "found") == 0


def test_a_signal_meets_only_the_process_that_is_meant(start: Start, tmp_path: Path) -> None:
    pid = start("tell('ready', 1); time.sleep(60)", WHO="me")
    told(tmp_path, "ready")
    assert not processes.send_where(pid, "WHO=you", signal.SIGKILL)
    assert processes.is_running(pid)
    assert processes.send_where(pid, "WHO=me", signal.SIGKILL)
    assert once_gone(pid)


def test_shared_memory_is_resident_in_each_but_proportional_in_all(start: Start, tmp_path: Path) -> None:
    pid = start(
        "hoard = b'x' * 50_000_000\nfor _ in range(3):\n    if os.fork() == 0: time.sleep(60)\ntell('ready', 1); time.sleep(60)"
    )
    told(tmp_path, "ready")
    tree = processes.descendants(pid) | {pid}
    assert processes.resident_bytes(tree) > 200_000_000
    assert 50_000_000 < processes.proportional_bytes(tree) < 150_000_000


def test_a_process_that_is_gone_has_no_memory_and_no_children() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert processes.resident_bytes([gone.pid]) == processes.proportional_bytes([gone.pid]) == 0
    assert processes.start_time(gone.pid) is None
    assert processes.descendants(gone.pid) == set()


def test_a_process_waiting_to_be_reaped_has_ended(start: Start) -> None:
    pid = start("pass")
    assert once_gone(pid)
    assert processes.start_time(pid) is not None


@pytest.mark.parametrize("asked", [50, 10**9])
def test_limits_are_set_for_the_process_and_never_above_what_it_may(start: Start, tmp_path: Path, asked: int) -> None:
    start(
        f"""
        import resource
        from qloom.limits import Resources
        from qloom.kit.processes import apply_limits
        apply_limits(Resources(open_files={asked}))
        tell("files", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        tell("core", resource.getrlimit(resource.RLIMIT_CORE)[0])
        """
    )
    assert told(tmp_path, "files") == min(asked, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert told(tmp_path, "core") == 0
    assert Resources().open_files is None
