"""The folder of a job: records, and the lease that says whether a process lives."""

import json
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
    "text", [" ", "{", "[]", "{}", '{"state": "ASLEEP", "frames": []}', '{"state": "FAILED", "frames": [], "x": 1}']
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


def left_by_a_program(folder: JobFolder, outcome: object, *, result: bool) -> None:
    folder.write_status(JobStatus(state=JobState.RUNNING, attempt=1, started_at=1.0))
    folder.attempt(1).mkdir(parents=True)
    folder.outcome_file(1).write_text(json.dumps(outcome))
    if result:
        folder.results_file.write_text("{}")


def test_a_job_that_left_its_result_and_said_so_is_completed_though_nobody_lived_to_record_it(folder: JobFolder) -> None:
    left_by_a_program(folder, {"ended": "returned"}, result=True)
    assert folder.look()[0].state is JobState.COMPLETED
    assert folder.look() == (folder.recorded_status(), False)  # it is written down now, and is not found dead again


@pytest.mark.parametrize(
    ("outcome", "result"), [({"ended": "returned"}, False), ({"ended": "raised"}, True), ([], True), ("returned", True)]
)
def test_any_other_job_without_a_process_is_interrupted(folder: JobFolder, outcome: object, result: bool) -> None:
    left_by_a_program(folder, outcome, result=result)
    status, found_dead = folder.look()
    assert (status.state, status.reason, found_dead) == (JobState.INTERRUPTED, "lost", True)


def test_a_status_that_a_power_loss_emptied_is_that_of_a_job_without_a_process(folder: JobFolder) -> None:
    for number in (1, 2):
        folder.attempt(number).mkdir(parents=True)
    folder.status_file.write_bytes(b"")
    assert folder.recorded_status() == JobStatus(state=JobState.QUEUED, attempt=2)
    assert folder.status().state is JobState.INTERRUPTED


def test_an_empty_status_without_an_attempt_is_that_of_a_new_job(folder: JobFolder) -> None:
    folder.status_file.write_bytes(b"")
    assert folder.recorded_status() == JobStatus(state=JobState.CREATED)


def test_a_specification_that_was_replaced_is_read_anew(folder: JobFolder) -> None:
    first = folder.spec()
    folder.spec_file.write_text(folder.spec_file.read_text().replace('"seed": 0', '"seed": 12'))
    assert (first.seed, folder.spec().seed) == (0, 12)


def test_a_result_that_is_there_by_name_only_is_none(folder: JobFolder) -> None:
    left_by_a_program(folder, {"ended": "returned"}, result=True)
    folder.write_status(JobStatus(state=JobState.COMPLETED, attempt=1))
    folder.results_file.write_bytes(b"")  # as a power loss may leave it
    assert folder.status().state is JobState.INTERRUPTED
