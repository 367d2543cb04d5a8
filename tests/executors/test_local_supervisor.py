"""The supervisor where its own ground gives way: a full disk, no lease, no record."""

import subprocess
import sys
from pathlib import Path

from qloom.executors.local import LocalExecutor
from qloom.jobspecs import JobSpec, JobState
from qloom.kit.job_folder import JobFolder, Lease
from qloom.testing.executor_contract import MakeJob, once_ended, once_told, run, submit

SUPERVISOR = Path(__file__).with_name("script_supervisor.py")

# Writing to any file fails from the start, as on a full disk: the kernel allows files of 0 bytes. It is told to ignore the
# signal that would kill the process, as Python does by itself.
ON_A_FULL_DISK = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_a_job_whose_end_cannot_be_recorded_is_interrupted(make_job: MakeJob) -> None:
    def command(job: JobSpec, folder: Path, attempt: int) -> list[str]:
        return [sys.executable, "-c", ON_A_FULL_DISK, str(SUPERVISOR), "exec", str(folder), str(attempt)]

    folder = make_job("tell('ran'); finish(1)")
    status = run(LocalExecutor(command), folder)
    assert (status.state, status.reason) == (JobState.INTERRUPTED, "lost")
    assert not (folder / "checkpoints" / "ran").exists()


# The same, but with room for the records and little else.
ON_A_SMALL_DISK = ON_A_FULL_DISK.replace("(0, 0)", "(700, 700)")


def test_a_log_that_cannot_grow_does_not_stop_the_job(make_job: MakeJob) -> None:
    def command(job: JobSpec, folder: Path, attempt: int) -> list[str]:
        return [sys.executable, "-c", ON_A_SMALL_DISK, str(SUPERVISOR), "exec", str(folder), str(attempt)]

    folder = make_job("for n in range(1000): print(n)\nfinish(1)")
    assert run(LocalExecutor(command), folder).state is JobState.COMPLETED
    assert JobFolder(folder).output_file(1).stat().st_size <= 700


def test_a_supervisor_without_a_lease_takes_it_or_leaves(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("tell('here'); time.sleep(60)")
    submit(executor, folder)
    once_told(folder, "here")
    second = subprocess.run(
        [sys.executable, str(SUPERVISOR), "exec", str(folder), "2"], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode != 0
    assert "its lease is held" in second.stderr
    assert executor.watch(folder).attempt == 1


def test_a_supervisor_started_by_hand_runs_the_job(make_job: MakeJob) -> None:
    folder = make_job("finish(1)")
    subprocess.run([sys.executable, str(SUPERVISOR), "exec", str(folder), "1"], timeout=60, check=True)
    assert JobFolder(folder).recorded_status().state is JobState.COMPLETED
    Lease.take(JobFolder(folder)).release()


def test_a_job_without_a_readable_specification_is_interrupted(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("finish(1)")
    job = JobFolder(folder).spec()
    JobFolder(folder).spec_file.write_text("{")
    executor.submit(job, folder, 1)
    assert once_ended(executor, folder).state is JobState.INTERRUPTED
    assert "CorruptRecord" in JobFolder(folder).supervisor_log(1).read_text()
