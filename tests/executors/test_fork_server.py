"""Fork servers: when they are used, what they leave behind, and what becomes of their jobs when they die."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qloom.executors.local import LocalExecutor
from qloom.executors.warm import MOST, ForkServers
from qloom.jobspecs import JobSpec, JobState, new_job_id
from qloom.kit.control_groups import own_groups
from qloom.kit.files import read_json
from qloom.kit.job_folder import JobFolder
from qloom.kit.processes import children, is_running
from qloom.limits import Resources
from qloom.testing.executor_contract import MakeJob, once, once_ended, once_gone, once_told, run, submit
from tests.executors.conftest import SUPERVISOR, WarmExecutor, supervised


def server_command(job: JobSpec) -> list[str]:
    return [sys.executable, str(SUPERVISOR), "serve"]


def a_job(**changes: object) -> JobSpec:
    return JobSpec(**{"job_id": new_job_id(), "program": "p", "entry_point": "p:p", "source_digest": "", **changes})  # type: ignore[arg-type]


@pytest.fixture
def servers() -> Iterator[ForkServers]:
    servers = ForkServers(server_command)
    yield servers
    servers.close()


@pytest.fixture
def warm() -> Iterator[WarmExecutor]:
    executor = WarmExecutor(fresh=True)
    yield executor
    executor.close()


# ---- when they are used ------------------------------------------------------------------------------------------------


def test_a_server_is_started_at_the_second_job_and_used_once_it_is_ready(servers: ForkServers) -> None:
    assert servers.ready(a_job()) is None
    assert servers.ready(a_job()) is None  # it is being started, and nobody waits for it
    assert once("the server", lambda: servers.ready(a_job()) is not None)


def test_the_first_jobs_do_not_wait_for_a_server(make_job: MakeJob) -> None:
    executor = LocalExecutor(supervised("exec"), server_command)
    handles = {int(submit(executor, make_job("finish(1)")).id) for _ in range(2)}
    assert len(handles) == 2
    executor.close()


def test_jobs_with_other_numbers_of_threads_have_another_server(servers: ForkServers) -> None:
    one, two = (servers.ready(a_job(resources=Resources(cpus=cpus)), start_now=True, wait_s=30) for cpus in (1, 2))
    assert one is not None
    assert two is not None
    assert one.pid != two.pid
    assert servers.ready(a_job()) is one


def test_what_libraries_read_when_they_are_loaded_makes_another_server(
    servers: ForkServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = servers.ready(a_job(), start_now=True, wait_s=30)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    other = servers.ready(a_job(), start_now=True, wait_s=30)
    assert one is not None
    assert other is not None
    assert one.pid != other.pid


def test_the_server_that_was_not_used_for_the_longest_time_goes(servers: ForkServers) -> None:
    jobs = [a_job(resources=Resources(cpus=1 + number)) for number in range(MOST + 1)]
    first, *_ = (servers.ready(job, start_now=True, wait_s=30) for job in jobs[:MOST])
    servers.ready(jobs[MOST], start_now=True, wait_s=30)
    assert first is not None
    assert once_gone(first.pid)


def test_a_server_that_cannot_start_is_not_tried_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    tried = []
    servers = ForkServers(lambda job: tried.append(job) or [sys.executable, "-c", "raise SystemExit('no room')"])  # type: ignore[func-returns-value]
    for _ in range(4):
        assert servers.ready(a_job(), start_now=True, wait_s=30) is None
    assert [record.getMessage() for record in caplog.records] == ["the fork server ended (no room); jobs start without it"]


def test_a_fork_of_the_submitter_leaves_its_servers_alone(servers: ForkServers) -> None:
    server = servers.ready(a_job(), start_now=True, wait_s=30)
    if (child := os.fork()) == 0:
        os._exit(0 if servers.ready(a_job()) is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert servers.ready(a_job()) is server


def test_it_ends_with_its_owner_and_leaves_no_process_no_group_and_no_file(warm: WarmExecutor, make_job: MakeJob) -> None:
    handle = submit(warm, folder := make_job("finish(1)"))
    once_ended(warm, folder)
    server = int(handle.id)
    left = [server, *children(server)]
    warm.close()
    assert all(once_gone(pid) for pid in left)
    assert not [group for parent in own_groups() for group in parent.glob(f"*server-{server}")]
    assert not list(Path("/tmp").glob(f"qloom-rehearsal-{server}-*"))


# ---- what it promises --------------------------------------------------------------------------------------------------


def test_jobs_run_at_the_same_time_under_one_server(warm: WarmExecutor, make_job: MakeJob) -> None:
    folders = [
        make_job("tell('here'); [time.sleep(0.01) for _ in range(9999) if not (checkpoints / 'go').exists()]; finish(1)")
        for _ in range(4)
    ]
    servers = {submit(warm, folder).id for folder in folders}
    assert len(servers) == 1
    for folder in folders:
        once_told(folder, "here")
    for folder in folders:
        (folder / "checkpoints" / "go").touch()
    assert {once_ended(warm, folder).state for folder in folders} == {JobState.COMPLETED}


def test_one_job_is_cancelled_and_the_others_go_on(warm: WarmExecutor, make_job: MakeJob) -> None:
    slow = "tell('program', os.getpid()); [time.sleep(0.01) for _ in range(9999) if not (checkpoints / 'go').exists()]; finish(1)"
    one, other = make_job(slow), make_job(slow)
    for folder in (one, other):
        submit(warm, folder)
        once_told(folder, "program")
    assert warm.cancel(one).state is JobState.CANCELLED
    assert once_gone(int(once_told(one, "program")))
    assert once("its record", lambda: warm.watch(other).state is JobState.RUNNING)
    (other / "checkpoints" / "go").touch()
    assert once_ended(warm, other).state is JobState.COMPLETED


def test_a_daemon_is_told_from_those_of_other_jobs(warm: WarmExecutor, make_job: MakeJob) -> None:
    daemon = "fork_twice(lambda: (tell('daemon', os.getpid()), time.sleep(60)))\n"
    daemon += "while not (checkpoints / 'daemon').exists(): time.sleep(0.01)\n"
    wait = "[time.sleep(0.01) for _ in range(9999) if not (checkpoints / 'go').exists()]; finish(1)"
    ends, goes_on = make_job(daemon + "finish(1)"), make_job(daemon + wait)
    submit(warm, goes_on)
    spared = int(once_told(goes_on, "daemon"))
    assert run(warm, ends).state is JobState.COMPLETED
    assert once_gone(int(once_told(ends, "daemon")))
    assert is_running(spared)
    (goes_on / "checkpoints" / "go").touch()
    assert once_ended(warm, goes_on).state is JobState.COMPLETED
    assert once_gone(spared)


def test_a_daemon_without_an_environment_does_not_outlive_the_jobs_it_may_belong_to(
    warm: WarmExecutor, make_job: MakeJob
) -> None:
    script = """
        fork_twice(lambda: os.execve(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(60)"], {}))
        time.sleep(0.3)
        finish(1)
    """
    folder = make_job("import sys\n" + "\n".join(line.strip() for line in script.splitlines()))
    server = int(submit(warm, folder).id)
    once_ended(warm, folder)
    assert once(
        "the end of what nobody knows",
        lambda: not [pid for pid in children(server) if b"time.sleep(60)" in Path(f"/proc/{pid}/cmdline").read_bytes()],
    )


def test_the_death_of_a_server_interrupts_its_jobs_and_leaves_nothing(warm: WarmExecutor, make_job: MakeJob) -> None:
    daemon = "fork_twice(lambda: (tell('daemon', os.getpid()), time.sleep(60)))\n"
    folders = [make_job(daemon + "tell('program', os.getpid()); time.sleep(60)") for _ in range(2)]
    servers = [int(submit(warm, folder).id) for folder in folders]
    left = [int(once_told(folder, name)) for folder in folders for name in ("daemon", "program")]
    os.kill(servers[0], signal.SIGKILL)
    for folder in folders:
        status = once_ended(warm, folder)
        assert (status.state, status.reason) == (JobState.INTERRUPTED, "lost")
    assert all(once_gone(pid) for pid in left)


def test_a_resume_after_that_runs_under_a_new_server(warm: WarmExecutor, make_job: MakeJob) -> None:
    folder = make_job(
        "tell('here' + os.environ['QLOOM_ATTEMPT']); time.sleep(60 if os.environ['QLOOM_ATTEMPT'] == '1' else 0); finish(1)"
    )
    server = int(submit(warm, folder).id)
    once_told(folder, "here1")
    os.kill(server, signal.SIGKILL)
    once_ended(warm, folder)
    again = run(warm, folder, attempt=2)
    assert (again.state, again.pid == server) == (JobState.COMPLETED, False)


def test_a_program_in_a_fork_gets_no_descriptor_but_its_three(warm: WarmExecutor, make_job: MakeJob) -> None:
    folder = make_job("finish(sorted(os.listdir('/proc/self/fd')))")
    run(warm, folder)
    assert set(map(int, read_json(JobFolder(folder).results_file))) == {0, 1, 2, 3}  # 3 is the listing's own


def test_variables_that_were_set_since_the_server_started_are_there(
    warm: WarmExecutor, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLOUR", "red")
    first = make_job("finish(os.environ.get('COLOUR'))")
    run(warm, first)
    monkeypatch.setenv("COLOUR", "blue")
    second = make_job("finish(os.environ.get('COLOUR'))")
    run(warm, second)
    monkeypatch.delenv("COLOUR")
    third = make_job("finish(os.environ.get('COLOUR'))")
    run(warm, third)
    assert [read_json(JobFolder(folder).results_file) for folder in (first, second, third)] == ["red", "blue", None]


def test_forks_differ_in_their_random_numbers(warm: WarmExecutor, make_job: MakeJob) -> None:
    folders = [make_job("import numpy, random; finish([float(numpy.random.random()), random.random()])") for _ in range(2)]
    for folder in folders:
        run(warm, folder)
    first, second = (read_json(JobFolder(folder).results_file) for folder in folders)
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_a_process_is_used_again_but_for_one_whose_program_failed(make_job: MakeJob) -> None:
    executor = WarmExecutor(fresh=False)
    pids = []
    for script in (
        "finish(os.getpid())",
        "finish(os.getpid())",
        "tell('pid', os.getpid()); raise SystemExit(3)",
        "finish(os.getpid())",
    ):
        folder = make_job(script)
        status = run(executor, folder)
        failed = status.state is JobState.FAILED
        pids.append(int(once_told(folder, "pid")) if failed else read_json(JobFolder(folder).results_file))
    executor.close()
    assert pids[0] == pids[1] == pids[2] != pids[3]


def test_what_a_program_made_of_its_output_does_not_last(make_job: MakeJob) -> None:
    executor = WarmExecutor(fresh=False)
    turned = "import sys; print('one', flush=True); sys.stdout = open(os.devnull, 'w'); finish(os.getpid())"
    away = "print('two', flush=True); os.dup2(os.open(os.devnull, os.O_WRONLY), 1); finish(os.getpid())"
    pids = []
    for number, script in enumerate((turned, away, "print('three', flush=True); finish(os.getpid())")):
        folder = make_job(script)
        assert run(executor, folder).state is JobState.COMPLETED
        assert ("one", "two", "three")[number] in JobFolder(folder).output_file(1).read_text()
        pids.append(read_json(JobFolder(folder).results_file))
    executor.close()
    assert pids[0] == pids[1] != pids[2]  # Python's stream is put back; of a descriptor nobody knows what it was


def test_forks_that_die_while_they_wait_are_not_made_for_ever(make_job: MakeJob) -> None:
    executor = LocalExecutor(supervised("absent"), lambda job: [sys.executable, str(SUPERVISOR), "serve", "mortal"])
    folder = make_job("finish(1)")
    assert executor.warm_up(JobFolder(folder).spec(), wait_s=30)
    server = int(submit(executor, folder).id)
    assert once_ended(executor, folder).state is JobState.COMPLETED
    faults = once("a time without forks", lambda: faults_of_children(server) if still(server) else None)
    assert faults_of_children(server) == faults
    executor.close()


def still(server: int) -> bool:
    before = faults_of_children(server)
    time.sleep(0.2)
    return faults_of_children(server) == before


def faults_of_children(server: int) -> int:
    """Minor faults of the children that a process has reaped: it grows with each, see proc(5)."""
    return int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[8])
