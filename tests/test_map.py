"""`qloom.map` as a user meets it: order, partial results, failures, going on after a kill."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import qloom
from qloom.app import application
from qloom.errors import CorruptRecord, InvalidParameters, InvalidSetting, MapFailed, Misuse, ProgramFailed, WrongState
from qloom.jobspecs import JobState
from qloom.kit.files import read_json
from qloom.kit.processes import is_running

SOURCE = """
import os
import time
from pathlib import Path
import qloom

SEEN = []

@qloom.program
def square(ctx: qloom.Context, x: int) -> int:
    return x * x

@qloom.program
def odd_ones_fail(ctx: qloom.Context, x: int, mended: str = "") -> int:
    if x % 2 and not Path(mended).is_file():
        raise ValueError(f"{x} is odd")
    return x

@qloom.program
def slow_first(ctx: qloom.Context, x: int) -> int:
    time.sleep(0.5 if x == 0 else 0)
    return x

@qloom.program
def toss(ctx: qloom.Context) -> str:
    return next(iter(ctx.device.run(qloom.Circuit(16).h(0), shots=1).counts)) + str(ctx.rng.random())

@qloom.program
def process(ctx: qloom.Context, x: int) -> list:
    import numpy, random, signal
    SEEN.append(x)
    os.environ["LEFT"] = os.environ.get("LEFT", "") + str(x)
    found = [os.umask(0o077), signal.signal(signal.SIGTERM, signal.SIG_IGN) == signal.SIG_DFL]
    numbers = [float(numpy.random.random()), random.random()]
    numpy.random.seed(0)
    random.seed(0)
    return [os.getpid(), SEEN, os.environ["LEFT"], numbers, found]

@qloom.program
def wait_for(ctx: qloom.Context, x: int, go: str) -> int:
    Path(f"{go}.{x}").touch()
    while not Path(go).exists():
        time.sleep(0.01)
    return x
"""


pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "mapped_programs.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("mapped_programs")
    del sys.modules["mapped_programs"]


def test_results_come_in_the_order_of_the_sets(programs: ModuleType) -> None:
    assert qloom.map(programs.square, [{"x": x} for x in range(7)], max_parallel=3).results() == [x * x for x in range(7)]


def test_each_set_is_a_job_of_its_own_with_its_parameters(programs: ModuleType) -> None:
    jobs = qloom.map(programs.square, [{"x": 2}, {"x": 3}]).wait().jobs
    assert [job.parameters for job in jobs] == [{"x": 2}, {"x": 3}]
    assert [job.state() for job in jobs] == [JobState.COMPLETED] * 2
    assert len({job.id for job in qloom.jobs()}) == 2


def test_a_map_of_nothing_is_empty(programs: ModuleType) -> None:
    assert qloom.map(programs.square, []).results() == []


def test_those_that_end_first_can_be_had_first(programs: ModuleType) -> None:
    items = list(qloom.map(programs.slow_first, [{"x": 0}, {"x": 1}, {"x": 2}], max_parallel=2).as_completed())
    assert [item.index for item in items][-1] == 0
    assert sorted(item.result for item in items) == [0, 1, 2]


def test_a_result_is_there_before_the_next_one_has_ended(programs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    sets = [{"x": 0, "go": str(tmp_path / "ready")}, {"x": 1, "go": str(tmp_path / "later")}]
    sweep = qloom.map(programs.wait_for, sets, max_parallel=1)
    assert next(iter(sweep)).result == 0
    assert sweep.counts()["left"] == 1
    (tmp_path / "later").touch()
    assert sweep.results() == [0, 1]


def test_failures_are_collected_and_the_others_have_results(programs: ModuleType) -> None:
    sweep = qloom.map(programs.odd_ones_fail, [{"x": x} for x in range(5)])
    with pytest.raises(MapFailed, match=r"2 of 5 jobs of map .* have no result; .*runs them again") as caught:
        sweep.results()
    assert sorted(caught.value.failures) == [1, 3]
    assert caught.value.results == {0: 0, 2: 2, 4: 4}
    assert isinstance(caught.value.failures[1], ProgramFailed)
    assert "ValueError: 1 is odd" in str(caught.value) or "1 is odd" in str(caught.value)
    assert sweep.counts() == {"completed": 3, "failed": 2, "left": 0}


def test_only_what_failed_runs_again_under_the_same_name(programs: ModuleType, tmp_path: Path) -> None:
    sets = [{"x": x, "mended": str(tmp_path / "mended")} for x in range(4)]
    with pytest.raises(MapFailed):
        qloom.map(programs.odd_ones_fail, sets, name="scan").results()
    (tmp_path / "mended").touch()
    again = qloom.map(programs.odd_ones_fail, sets, name="scan")
    assert again.results() == [0, 1, 2, 3]
    assert [job.status().attempt for job in again.jobs] == [1, 2, 1, 2]


def test_jobs_differ_in_their_seeds_and_a_map_with_a_seed_gives_the_same_again(programs: ModuleType) -> None:
    toss = programs.toss.with_options(seed=3)
    first, second = (qloom.map(toss, [{}] * 4).results() for _ in range(2))
    assert first == second
    assert len(set(first)) == 4


def test_a_job_of_a_map_gives_what_it_gives_alone(programs: ModuleType) -> None:
    sweep = qloom.map(programs.toss, [{}] * 3).wait()
    job = sweep.jobs[2]
    seed = job.folder.spec().seed
    assert programs.toss.with_options(seed=seed).submit().result(timeout_s=60) == job.result()


def test_jobs_that_share_a_process_find_nothing_that_another_one_left(programs: ModuleType) -> None:
    rows = qloom.map(programs.process, [{"x": x} for x in range(4)], max_parallel=1).results()
    assert len({pid for pid, *_ in rows}) == 1
    assert [(seen, left) for _, seen, left, *_ in rows] == [([x], str(x)) for x in range(4)]
    assert len({number for *_, numbers, _ in rows for number in numbers}) == 8
    assert len({tuple(found) for *_, found in rows}) == 1  # the umask, and whether TERM ends it
    assert rows[3][-1][1]


def test_each_job_has_a_process_of_its_own_where_that_is_asked_for(programs: ModuleType) -> None:
    rows = qloom.map(programs.process, [{"x": x} for x in range(4)], max_parallel=2, fresh_processes=True).results()
    assert len({pid for pid, *_ in rows}) == 4


def test_no_more_than_so_many_run_at_one_time(programs: ModuleType, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with qloom.map(programs.wait_for, [{"x": x, "go": str(go)} for x in range(4)], max_parallel=2) as sweep:
        once_there(tmp_path / "go.0", tmp_path / "go.1")
        time.sleep(0.3)
        assert not (tmp_path / "go.2").exists()
        go.touch()
        assert sweep.results() == [0, 1, 2, 3]


def test_leaving_a_map_suspends_it_and_its_name_goes_on(programs: ModuleType, tmp_path: Path) -> None:
    sets = [{"x": x, "go": str(tmp_path / "go")} for x in range(3)]
    with qloom.map(programs.wait_for, sets, max_parallel=1, name="left") as sweep:
        once_there(tmp_path / "go.0")
    assert [job.state() for job in sweep.jobs] == [JobState.INTERRUPTED]
    (tmp_path / "go").touch()
    assert qloom.map(programs.wait_for, sets, name="left").results() == [0, 1, 2]


def test_a_map_that_runs_elsewhere_cannot_be_run_here(programs: ModuleType, tmp_path: Path) -> None:
    sets = [{"x": 0, "go": str(tmp_path / "go")}]
    with qloom.map(programs.wait_for, sets, name="held"), pytest.raises(WrongState, match="map held is being run by another"):
        qloom.map(programs.wait_for, sets, name="held")


def test_nothing_is_written_of_a_map_whose_name_is_held(programs: ModuleType) -> None:
    maps = application().maps
    held = maps.hold("first")  # by a process that has begun a map of this name, and has not written it down yet
    with pytest.raises(WrongState, match="map first is being run by another"):
        qloom.map(programs.square, [{"x": 1}], name="first")
    assert maps.find("first") is None
    os.close(held)
    assert qloom.map(programs.square, [{"x": 1}], name="first").results() == [1]


def test_a_refused_map_lets_go_of_its_name(programs: ModuleType) -> None:
    qloom.map(programs.square, [{"x": 1}], name="one").results()
    with pytest.raises(InvalidSetting):
        qloom.map(programs.square, [{"x": 2}], name="one")
    assert qloom.map(programs.square, [{"x": 1}], name="one").results() == [1]


def test_a_result_that_is_gone_is_an_error_of_that_job(programs: ModuleType) -> None:
    (item,) = qloom.map(programs.square, [{"x": 1}])
    assert item.job is not None
    item.job.folder.results_file.unlink()
    with pytest.raises(CorruptRecord, match=r"is COMPLETED but .*results\.json is gone; restore it from a copy"):
        _ = item.result


def test_a_name_stands_for_one_program_and_its_sets(programs: ModuleType) -> None:
    qloom.map(programs.square, [{"x": 1}], name="one").results()
    with pytest.raises(InvalidSetting, match=r"another map 'one': parameter set 0 is \{'x': 1\} there and \{'x': 2\} now"):
        qloom.map(programs.square, [{"x": 2}], name="one")
    with pytest.raises(InvalidSetting, match="its program is square there and slow_first now"):
        qloom.map(programs.slow_first, [{"x": 1}], name="one")


def test_a_set_that_does_not_fit_is_named_and_nothing_is_started(programs: ModuleType) -> None:
    with pytest.raises(InvalidParameters, match="parameter set 1: square: x must be an integer, got 'two'"):
        qloom.map(programs.square, [{"x": 1}, {"x": "two"}])
    with pytest.raises(InvalidParameters, match="parameter set 0 must be a dict of the program's arguments, got 3"):
        qloom.map(programs.square, [3])  # type: ignore[list-item]
    assert qloom.jobs() == []


def test_a_set_with_an_argument_that_the_program_does_not_have_is_named(programs: ModuleType) -> None:
    with pytest.raises(InvalidParameters, match=r"parameter set 1: square: y is no parameter; square has x"):
        qloom.map(programs.square, [{"x": 1}, {"x": 2, "y": 3}])


@pytest.mark.parametrize("sets", [{"x": 1}, "x", 3, None])
def test_what_are_no_parameter_sets_is_refused_with_what_they_look_like(programs: ModuleType, sets: object) -> None:
    with pytest.raises(InvalidParameters, match=r'several dicts, one for each job: \[\{"x": 1\}, .* runs square twice'):
        qloom.map(programs.square, sets)  # type: ignore[arg-type]


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(Misuse, match=r"takes a program first, a function under @qloom\.program; got <built-in function abs>"):
        qloom.map(abs, [{"x": 1}])  # type: ignore[arg-type]


def test_jobs_are_listed_in_the_order_of_the_sets(programs: ModuleType) -> None:
    qloom.map(programs.square, [{"x": x} for x in range(20)]).results()
    assert [job.parameters["x"] for job in reversed(qloom.jobs())] == list(range(20))
    assert len({job.map for job in qloom.jobs()}) == 1


def test_outside_a_notebook_a_map_shows_how_far_it_is_and_what_failed(programs: ModuleType) -> None:
    sweep = qloom.map(programs.odd_ones_fail, [{"x": x} for x in range(4)], name="shown").wait()
    shown = sweep._repr_mimebundle_()
    assert shown["text/plain"].startswith("<Map shown odd_ones_fail: 2 completed, 2 failed>\n#1 x=1, mended='': job 0")
    assert shown["text/plain"].endswith("qloom.map(..., name='shown')")
    assert "3 is odd" in shown["text/html"]
    with pytest.raises(NotImplementedError, match="_repr_mimebundle_"):
        sweep._ipython_display_()


@pytest.mark.parametrize("number", [0, -1, True, 1.5])
def test_a_number_of_jobs_at_one_time_is_an_integer_from_1_up(programs: ModuleType, number: int) -> None:
    with pytest.raises(InvalidSetting, match="max_parallel must be an integer from 1 up"):
        qloom.map(programs.square, [{"x": 1}], max_parallel=number)


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "x" * 65, 3])
def test_a_name_is_a_plain_one(programs: ModuleType, name: str) -> None:
    with pytest.raises(InvalidSetting, match=r"it takes 1 to 64 letters|a map's name is text, got 3"):
        qloom.map(programs.square, [{"x": 1}], name=name)


def test_a_job_does_not_start_a_map(programs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLOOM_JOB_ID", "x")
    with pytest.raises(Misuse, match="called inside a job"):
        qloom.map(programs.square, [{"x": 1}])


def test_a_job_that_was_killed_is_resumed(programs: ModuleType, tmp_path: Path) -> None:
    sweep = qloom.map(programs.wait_for, [{"x": 0, "go": str(tmp_path / "go")}])
    once_there(tmp_path / "go.0")
    noted = sweep.jobs[0].folder.processes_file(1)
    once_there(noted)
    os.kill(read_json(noted)["program"], signal.SIGKILL)
    (tmp_path / "go").touch()
    assert sweep.results() == [0]
    assert sweep.jobs[0].status().attempt == 2


def test_when_the_server_is_killed_the_map_goes_on_with_another(programs: ModuleType, tmp_path: Path) -> None:
    sweep = qloom.map(programs.wait_for, [{"x": x, "go": str(tmp_path / "go")} for x in range(3)], max_parallel=2)
    once_there(tmp_path / "go.0", tmp_path / "go.1")
    while None in (pids := {job.status().pid for job in sweep.jobs}):  # a program need not wait for its records
        time.sleep(0.01)
    (server,) = pids
    assert server is not None
    os.kill(server, signal.SIGKILL)
    while is_running(server):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert sweep.results() == [0, 1, 2]
    assert [job.status().attempt for job in sweep.jobs] == [2, 2, 1]


SCAN = """
import sys
import qloom
from mapped_programs import square

if __name__ == "__main__":
    sweep = qloom.map(square, [{"x": x} for x in range(1000)], name="thousand", max_parallel=4, progress=False)
    for item in sweep.as_completed():
        print(item.index, flush=True)
"""


def test_the_bar_is_on_the_terminal_and_what_is_printed_goes_where_it_was_sent(programs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "scan.py").write_text(SCAN.replace("progress=False", "progress=None").replace("1000", "3"))
    screen, terminal = os.openpty()
    done = subprocess.run(
        [sys.executable, "scan.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, text=True, check=True
    )
    os.close(terminal)
    assert sorted(done.stdout.split()) == ["0", "1", "2"]
    drawn = os.read(screen, 65536)
    os.close(screen)
    assert b"3/3" in drawn
    assert drawn.rfind(b"\x1b[?25h") > drawn.rfind(b"\x1b[?25l") > -1  # the cursor is back


def test_a_thousand_jobs_survive_a_kill_in_the_middle(programs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "scan.py").write_text(SCAN)
    with subprocess.Popen([sys.executable, "scan.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as scan:
        assert scan.stdout is not None
        for _ in range(300):
            scan.stdout.readline()
        scan.kill()
    done = [job for job in qloom.jobs() if job.state() is JobState.COMPLETED]
    assert 300 <= len(done) < 1000
    finished = {job.id: job.status().ended_at for job in done}
    sweep = qloom.map(programs.square, [{"x": x} for x in range(1000)], name="thousand", max_parallel=4)
    assert sweep.results() == [x * x for x in range(1000)]
    assert {job.id: job.status().ended_at for job in sweep.jobs if job.id in finished} == finished
    assert len(qloom.jobs()) == 1000


def once_there(*paths: Path) -> None:
    until = time.monotonic() + 30
    while not all(path.exists() for path in paths):
        assert time.monotonic() < until, f"waited 30 s for {paths}"
        time.sleep(0.01)
