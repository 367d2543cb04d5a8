"""The local executor keeps the contract of executors, and what is its own: starting, finding, forcing, reaping."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qloom.contracts import Executor
from qloom.errors import Rejected, UnknownName, WrongState
from qloom.executors.local import LocalExecutor, create, supervisor_command
from qloom.jobspecs import JobSpec, JobState
from qloom.kit.files import read_json
from qloom.kit.job_folder import JobFolder, Lease
from qloom.testing.executor_contract import ExecutorContract, MakeJob, once, once_ended, once_gone, once_told, run, submit
from tests.executors.conftest import WAYS


@pytest.mark.parametrize("executor", WAYS, indirect=True)
class TestContract(ExecutorContract):
    """The contract, however programs start."""


def test_it_is_an_executor() -> None:
    assert isinstance(create(), Executor)


def test_it_knows_no_options() -> None:
    with pytest.raises(UnknownName, match="no option of the local executor called 'cores'"):
        create(cores=2)


def test_its_supervisors_are_started_by_the_entry_module_which_no_file_around_can_replace() -> None:
    command = [sys.executable, "-P", "-m", "qloom.entry", "supervise", "/jobs/x", "3"]
    job = JobSpec(job_id="x", program="p", entry_point="p:p", source_digest="")
    assert supervisor_command(job, Path("/jobs/x"), 3) == command
    elsewhere = replace(job, python="/opt/python")
    assert supervisor_command(elsewhere, Path("/jobs/x"), 3)[0] == "/opt/python"
    assert supervisor_command(replace(elsewhere, kind="script"), Path("/jobs/x"), 3)[0] == sys.executable


def test_a_supervisor_that_cannot_be_started_rejects_the_job_and_changes_nothing(make_job: MakeJob) -> None:
    executor, folder = LocalExecutor(lambda *_: ["/no/such/program"]), make_job("finish(1)")
    with pytest.raises(Rejected, match=r"its supervisor cannot start: .*/no/such/program.*nothing was submitted"):
        submit(executor, folder)
    assert executor.watch(folder).state is JobState.CREATED
    assert executor.find(folder, 1) is None
    Lease.take(JobFolder(folder)).release()  # and the lease is free


def test_a_supervisor_that_dies_at_once_leaves_the_job_interrupted_with_its_words(make_job: MakeJob) -> None:
    executor, folder = LocalExecutor(lambda *_: [sys.executable, "-c", "raise SystemExit('no room')"]), make_job("finish(1)")
    status = run(executor, folder)
    assert (status.state, status.reason) == (JobState.INTERRUPTED, "lost")
    assert "never ran" in status.error
    assert JobFolder(folder).supervisor_log(1).read_text() == "no room\n"


def test_an_attempt_that_was_overtaken_is_refused(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("sys.exit(3)")
    first = submit(executor, folder)
    once_ended(executor, folder)
    run(executor, folder, attempt=3)
    with pytest.raises(WrongState, match="at attempt 3 already; attempt 2 comes too late"):
        submit(executor, folder, attempt=2)
    found = executor.find(folder, 1)
    assert found is not None
    assert found.id == first.id  # a look back works all the same


def test_two_resumes_at_once_give_one_attempt(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("tell('here' + os.environ['QLOOM_ATTEMPT']); time.sleep(60)")
    submit(executor, folder)
    once_told(folder, "here1")
    executor.suspend(folder)
    submit(executor, folder, attempt=2)
    with pytest.raises(WrongState, match="its lease is held"):
        submit(LocalExecutor(), folder, attempt=3)


def test_a_resume_that_comes_after_another_one_completed_the_job_is_refused(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("finish(1)")
    run(executor, folder)
    with pytest.raises(WrongState, match="COMPLETED, by attempt 1; its result is there"):
        submit(executor, folder, attempt=2)
    assert executor.watch(folder).attempt == 1


def test_supervisors_that_ended_leave_no_zombie(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("finish(1)")
    supervisor = int(submit(executor, folder).id)
    once_ended(executor, folder)
    once_gone(supervisor)
    executor.watch(folder)
    assert not Path(f"/proc/{supervisor}").exists()


def test_a_supervisor_that_hangs_is_killed_by_cancel(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("fork_twice(lambda: (tell('daemon', os.getpid()), time.sleep(60))); time.sleep(60)")
    supervisor = int(submit(executor, folder).id)
    daemon = int(once_told(folder, "daemon"))
    os.kill(supervisor, signal.SIGSTOP)
    assert executor.cancel(folder, timeout_s=20).state is JobState.CANCELLED
    assert once_gone(daemon)


def test_a_request_that_came_before_the_start_is_heard(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("tell('ran'); finish(1)")
    JobFolder(folder).request_file("cancel").write_text("1")
    assert run(executor, folder).state is JobState.CANCELLED
    assert not (folder / "checkpoints" / "ran").exists()


def test_a_supervisor_told_to_end_leaves_its_job_interrupted(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("tell('here'); time.sleep(60)")
    supervisor = int(submit(executor, folder).id)
    once_told(folder, "here")
    os.kill(supervisor, signal.SIGTERM)
    status = once_ended(executor, folder)
    assert (status.state, status.reason) == (JobState.INTERRUPTED, "killed")
    assert "SIGTERM" in status.error


SUBMITTER = """
import sys
from pathlib import Path
from qloom.executors.local import LocalExecutor
from qloom.kit.job_folder import JobFolder
supervisor, folder = sys.argv[1], Path(sys.argv[2])
command = lambda job, folder, attempt: [sys.executable, supervisor, "exec", str(folder), str(attempt)]
LocalExecutor(command).submit(JobFolder(folder).spec(), folder, 1)
print("submitted", flush=True)
sys.stdin.read()
"""


def submitted_by_another(folder: Path) -> subprocess.Popen[str]:
    supervisor = str(Path(__file__).with_name("script_supervisor.py"))
    command = [sys.executable, "-c", SUBMITTER, supervisor, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "submitted\n"
    return process


def test_a_job_ends_with_the_process_that_submitted_it(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("tell('program', os.getpid()); time.sleep(60)")
    with submitted_by_another(folder) as submitter:
        program = int(once_told(folder, "program"))
        submitter.kill()
        status = once_ended(executor, folder)
    assert (status.state, status.reason) == (JobState.INTERRUPTED, "killed")
    assert f"(pid {submitter.pid}) is gone, and the job is not detached" in status.error
    assert once_gone(program)


def test_a_detached_job_outlives_the_process_that_submitted_it(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = "tell('here'); [time.sleep(0.02) for _ in range(1000) if not (checkpoints / 'go').exists()]; finish(1)"
    folder = make_job(script, detach=True)
    with submitted_by_another(folder) as submitter:
        once_told(folder, "here")
        submitter.kill()
    (folder / "checkpoints" / "go").touch()
    assert once_ended(executor, folder).state is JobState.COMPLETED


def test_the_program_gets_no_descriptor_but_its_three(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("finish([os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)] + os.listdir('/proc/self/fd'))")
    run(executor, folder)
    stdin, out, err, *numbers = read_json(JobFolder(folder).results_file)
    assert stdin == "/dev/null"
    assert out.startswith("pipe:")
    assert err.startswith("pipe:")
    assert set(map(int, numbers)) == {0, 1, 2, 3}  # 3 is the listing's own


def test_what_watches_a_job_is_written_down(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("tell('here'); time.sleep(60)")
    handle = submit(executor, folder)
    once_told(folder, "here")
    noted = once("the note", lambda: _read_note(JobFolder(folder).processes_file(1)))
    assert noted["supervisor"] == int(handle.id)
    assert noted["watched_through"] == ["/proc", "control group"][: 1 + (noted["control_group"] is not None)]
    executor.cancel(folder)
    assert noted["control_group"] is None or not Path(str(noted["control_group"])).exists()


def _read_note(path: Path) -> dict[str, object] | None:
    return dict(json.loads(path.read_text())) if path.exists() else None
