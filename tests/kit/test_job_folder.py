"""The folder of a job: records, and the lease that says whether a process lives."""

import threading
from pathlib import Path

import pytest

from qloom.errors import CorruptRecord, WrongState
from qloom.jobspecs import JobState, JobStatus
from qloom.kit.job_folder import JobFolder, Lease
from qloom.testing.executor_contract import make_script_job


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(make_script_job(tmp_path, ""))


def test_a_status_is_read_as_it_was_written(folder: JobFolder) -> None:
    status = JobStatus(
        state=JobState.FAILED, attempt=3, error="no", frames=("a", "b"), started_at=1.5, ended_at=2.5, pid=7, host="h"
    )
    folder.write_status(status)
    assert folder.recorded_status() == folder.status() == status


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"state": "ASLEEP", "frames": []}', '{"state": "FAILED", "frames": [], "x": 1}']
)
def test_a_record_that_cannot_be_read_is_named(folder: JobFolder, text: str) -> None:
    folder.status_file.write_text(text)
    folder.spec_file.write_text(text)
    with pytest.raises(CorruptRecord, match=r"status\.json"):
        folder.recorded_status()
    with pytest.raises(CorruptRecord, match=r"job\.json"):
        folder.spec()


@pytest.mark.parametrize(
    ("state", "seen", "said"),
    [
        (JobState.RUNNING, JobState.INTERRUPTED, "is gone without a word"),
        (JobState.QUEUED, JobState.INTERRUPTED, "never ran"),
        (JobState.CANCELLING, JobState.CANCELLED, "its processes are gone"),
    ],
)
def test_a_job_whose_lease_is_free_has_no_process_and_that_is_written_down(
    folder: JobFolder, state: JobState, seen: JobState, said: str
) -> None:
    folder.write_status(JobStatus(state=state, attempt=1))
    status = folder.status()
    assert status.state is seen
    assert said in status.error
    assert folder.recorded_status() == status


def test_a_job_whose_lease_is_held_is_what_it_says(folder: JobFolder) -> None:
    folder.write_status(JobStatus(state=JobState.RUNNING, attempt=1))
    with Lease.take(folder):
        assert folder.status().state is JobState.RUNNING
    assert folder.status().state is JobState.INTERRUPTED


def test_a_lease_is_held_once(folder: JobFolder) -> None:
    with Lease.take(folder):
        assert Lease.try_take(folder) is None
        with pytest.raises(WrongState, match=f"job {folder.path.name} is running"):
            Lease.take(folder)
    Lease.take(folder).release()


def test_a_lease_held_only_for_a_look_is_waited_for(folder: JobFolder) -> None:
    held = Lease.take(folder)
    threading.Timer(0.05, held.release).start()
    Lease.take(folder).release()
