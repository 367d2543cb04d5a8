"""What is told of the lives of a job's process, and where its time went."""

import os
from pathlib import Path

import pytest

from qloom.api.attempts import read_attempts, read_timings
from qloom.errors import CorruptRecord
from qloom.jobspecs import JobSpec, JobState, JobStatus
from qloom.kit.files import write_json
from qloom.kit.job_folder import JobFolder


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    for number in (1, 2, 3):
        (tmp_path / "attempts" / str(number)).mkdir(parents=True)
    return JobFolder(tmp_path)


def status(attempt: int, state: JobState = JobState.COMPLETED, **others: object) -> JobStatus:
    return JobStatus(state=state, attempt=attempt, **{"started_at": 100.0, "ended_at": 103.0, **others})  # type: ignore[arg-type]


def spec(created_at: float = 90.0) -> JobSpec:
    return JobSpec(job_id="1", program="p", entry_point="m:f", source_digest="0", created_at=created_at)


def test_an_earlier_attempt_tells_why_it_ended_though_a_later_one_has_the_status(folder: JobFolder) -> None:
    folder.keep_status(status(1, JobState.INTERRUPTED, reason="walltime", error="over its time"))
    first, second = read_attempts(folder, status(2, started_at=110.0, ended_at=111.5))
    assert first == {
        "attempt": 1,
        "ended": "INTERRUPTED",
        "reason": "walltime",
        "error": "over its time",
        "started_at": 100.0,
        "seconds": 3.0,
    }
    assert (second["ended"], second["seconds"]) == ("COMPLETED", 1.5)


def test_an_attempt_that_nobody_kept_tells_what_its_program_said(folder: JobFolder) -> None:
    write_json(folder.outcome_file(1), {"ended": "raised", "error": "no such bond"})
    first, second, _ = read_attempts(folder, status(3))
    assert (first["ended"], first["error"], first["seconds"]) == ("raised", "no such bond", None)
    assert second["ended"] == "no word left"


def test_an_attempt_that_died_without_a_word_lasted_to_its_last_sign_of_life(folder: JobFolder) -> None:
    folder.output_file(1).write_text("hello")
    os.utime(folder.output_file(1), (107.5, 107.5))
    (lost,) = read_attempts(folder, status(1, JobState.INTERRUPTED, reason="lost", ended_at=None))
    assert lost["seconds"] == 7.5


def test_a_damaged_record_of_an_attempt_is_named(folder: JobFolder) -> None:
    folder.ended_file(1).write_text("{}")
    with pytest.raises(CorruptRecord, match=r"attempts/1/ended\.json"):
        read_attempts(folder, status(2))


def attempts(*seconds: float | None) -> list[dict[str, object]]:
    return [{"attempt": number, "started_at": 100.0, "seconds": each} for number, each in enumerate(seconds, 1)]


def test_what_is_not_quantum_is_classical() -> None:
    assert read_timings(spec(), attempts(2.0, 3.0), quantum_s=1.5) == {
        "queue_s": 10.0,
        "running_s": 5.0,
        "quantum_s": 1.5,
        "classical_s": 3.5,
    }


def test_what_came_before_a_start_from_scratch_is_not_counted() -> None:
    assert read_timings(spec(), attempts(2.0, 3.0), quantum_s=1.0, since_attempt=2)["running_s"] == 3.0


def test_lanes_that_ask_at_the_same_time_leave_no_negative_rest() -> None:
    assert read_timings(spec(), attempts(2.0), quantum_s=4.0)["classical_s"] == 0.0


@pytest.mark.parametrize("known", [attempts(), attempts(1.0, None)], ids=["not begun", "one unknown"])
def test_what_nobody_knows_is_not_made_up(known: list[dict[str, object]]) -> None:
    found = read_timings(spec(), known, quantum_s=0.5)
    assert (found["running_s"], found["classical_s"]) == (None, None)
