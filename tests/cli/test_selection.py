"""`qloom job list`: which jobs, and a table that fits 80 columns; `qloom job logs --follow` as the lines come."""

import re
import subprocess
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.cli.output import moment
from qloom.cli.selection import read_since, read_states
from qloom.errors import InvalidSetting
from qloom.jobspecs import JobSpec, JobState, JobStatus, new_job_id
from qloom.kit.job_folder import JobFolder
from qloom.storage import FolderStore
from tests.cli.conftest import Qloom
from tests.cli.terminals import Terminal

TALKER = """
import pathlib
import time
import qloom


@qloom.program
def talker(ctx: qloom.Context, gate: str = "") -> str:
    print("before", flush=True)
    until = time.monotonic() + 100
    while not pathlib.Path(gate).exists() and time.monotonic() < until:
        time.sleep(0.02)
    print("after", end="", flush=True)
    return "said"
"""


def a_job(home: Path, program: str = "vqe", state: JobState = JobState.COMPLETED, age_s: float = 0.0, of_map: str = "") -> str:
    """A job's record without its run; ids sort by the order of the calls."""
    time.sleep(0.002)
    created_at = time.time() - age_s
    job = JobSpec(job_id=new_job_id(), program=program, entry_point="m:f", source_digest="0", created_at=created_at)
    job = replace(job, map=of_map)
    folder = JobFolder(FolderStore(home).create(job, {"m.py": b""}, {}))
    folder.write_status(JobStatus(state=state, attempt=1))
    return job.job_id


def listed(qloom: Qloom, *options: str) -> list[str]:
    answer = qloom("job", "list", *options, "--json")
    assert answer.code == 0, answer.err
    return [row["job_id"] for row in answer.json]


def test_jobs_are_listed_by_state_and_one_of_several_will_do(qloom: Qloom, home: Path) -> None:
    done, dead, gone = (a_job(home, state=state) for state in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED))
    assert listed(qloom, "--state", "FAILED") == [dead]
    assert listed(qloom, "--state", "completed", "--state", "CANCELLED") == [gone, done]


def test_an_unknown_state_is_refused_with_the_near_ones(qloom: Qloom) -> None:
    refused = qloom("job", "list", "--state", "complete", "--json")
    assert refused.code == 2
    assert "did you mean 'COMPLETED'" in refused.json["error"]["message"]


def test_jobs_are_listed_by_age(qloom: Qloom, home: Path) -> None:
    old, new = a_job(home, age_s=3 * 3600), a_job(home, age_s=3600)
    assert listed(qloom, "--since", "2h") == [new]
    assert listed(qloom, "--since", "1d") == [new, old]
    assert listed(qloom, "--since", "2000-01-01") == [new, old]
    assert listed(qloom, "--since", "2999-01-01") == []


def test_jobs_are_listed_by_program_and_the_limit_counts_those_that_fit(qloom: Qloom, home: Path) -> None:
    first, _, third, _ = (a_job(home, program=name) for name in ("vqe", "bell", "vqe", "bell"))
    assert listed(qloom, "--program", "vqe") == [third, first]
    assert listed(qloom, "--program", "vqe", "--limit", "1") == [third]
    assert qloom("job", "list", "--program", "vq").code == 2


def test_jobs_are_listed_by_map_and_one_that_is_not_there_is_refused(qloom: Qloom, home: Path) -> None:
    first, _, third, _ = (a_job(home, state=JobState.FAILED, of_map=name) for name in ("scan", "", "scan", "other"))
    assert listed(qloom, "--map", "scan") == [third, first]
    assert listed(qloom, "--map", "scan", "--limit", "1") == [third]
    refused = qloom("job", "list", "--map", "scann")
    assert refused.code == 2
    assert "did you mean 'scan'" in refused.err
    assert qloom("job", "show", first, "--json").json["map"] == "scan"


def test_filters_hold_together(qloom: Qloom, home: Path) -> None:
    a_job(home, state=JobState.FAILED, age_s=7200)
    wanted = a_job(home, state=JobState.FAILED)
    a_job(home, program="bell", state=JobState.FAILED)
    assert listed(qloom, "--program", "vqe", "--state", "failed", "--since", "1h") == [wanted]


@pytest.mark.parametrize("text", ["", "yesterday", "3", "2 h", "-2h", "h", "2y", "2026-13-01", "2026-11-1", "nan"])
def test_a_time_that_is_none_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"2h, 3d.*2026-11-01") as refused:
        read_since(text, now=0.0)
    assert repr(text) in str(refused.value)


def test_a_date_is_midnight_here_and_a_zone_is_heeded() -> None:
    assert read_since("2026-11-01", now=0.0) == datetime(2026, 11, 1).astimezone().timestamp()
    assert read_since("2026-11-01T12:00+02:00", now=0.0) == read_since("2026-11-01T10:00+00:00", now=0.0)


@given(st.integers(0, 10**6), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604800)]))
def test_a_span_counts_back_from_now(number: int, unit: tuple[str, int]) -> None:
    assert read_since(f"{number}{unit[0]}", now=0.0) == -number * unit[1]


@given(st.sets(st.sampled_from(JobState)))
def test_states_are_read_as_they_are_written(states: set[JobState]) -> None:
    assert read_states(map(str, states)) == states


def test_every_row_fits_80_columns_and_a_long_program_name_is_cut(
    home: Path, command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    ids = [a_job(home, name, JobState.INTERRUPTED) for name in ("vqe", "a_program_with_a_rather_long_name_indeed")]
    screen = Terminal([*command, "job", "list"], {**environment, "COLUMNS": "80"}, tmp_path)
    assert screen.exit_code() == 0
    lines = [line.strip() for line in screen.drawn.splitlines() if line.strip()]
    assert len(lines) == 2 + len(ids)
    assert max(map(len, lines)) <= 80
    assert re.search(r"a_program_\w+…", screen.drawn)
    assert all(any(line.startswith(f"{job_id} ") and "INTERRUPTED" in line for line in lines) for job_id in ids)


def test_a_pipe_gets_every_column_in_full(qloom: Qloom, home: Path) -> None:
    name = "a_program_with_a_rather_long_name_indeed"
    job_id = a_job(home, name)
    answer = qloom("job", "list")
    columns = answer.out.rstrip("\n").split("\t")
    assert columns[:3] == [job_id, name, "COMPLETED"]
    assert columns[3] == moment(JobFolder(home / "jobs" / job_id).spec().created_at)
    assert "\x1b" not in answer.out


def test_logs_are_followed_while_the_job_runs_and_end_with_it(
    qloom: Qloom, command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "programs.py").write_text(TALKER)
    gate = tmp_path / "gate"
    job_id = qloom("run", "programs.py", "-p", f"gate={gate}", "--detach").out.strip()
    words = [*command, "job", "logs", job_id, "--follow"]
    try:
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().endswith("out| before\n")
            assert qloom("job", "show", job_id, "--json").json["state"] == "RUNNING"
            gate.touch()
            rest, _ = process.communicate(timeout=60)
    finally:
        gate.touch()
    assert process.returncode == 0
    assert rest.endswith("out| after\n")
    assert rest.count("\n") == 1


def test_following_a_job_that_has_ended_prints_what_there_is(qloom: Qloom, programs: str) -> None:
    job_id = qloom("run", f"{programs}:double", "--json").json["job_id"]
    assert qloom("job", "logs", job_id, "--follow").out == qloom("job", "logs", job_id).out != ""


def test_a_program_that_no_job_is_of_is_refused_with_the_near_names(qloom: Qloom, home: Path) -> None:
    a_job(home, program="h2_vqe")
    refused = qloom("job", "list", "--program", "h2vqe")
    assert refused.code == 2
    assert "h2_vqe" in refused.err
    assert listed(qloom, "--program", "h2_vqe", "--state", "FAILED") == []


def test_where_there_are_no_jobs_every_program_has_none(qloom: Qloom) -> None:
    assert listed(qloom, "--program", "h2_vqe") == []


@pytest.mark.parametrize("name", ["job.json", "status.json"])
def test_a_job_that_cannot_be_read_hides_no_other_one_and_is_named(qloom: Qloom, home: Path, name: str) -> None:
    whole, torn = a_job(home), a_job(home)
    (home / "jobs" / torn / name).write_text("{")
    answer = qloom("job", "list", "--json")
    assert (answer.code, [row["job_id"] for row in answer.json]) == (0, [whole])
    assert f"{torn} is skipped" in answer.err
    assert name in answer.err


def test_a_list_without_jobs_says_so_and_where_it_looked(qloom: Qloom, home: Path) -> None:
    answer = qloom("job", "list")
    assert (answer.code, answer.out) == (0, "")
    assert f"no jobs to list in {home}" in answer.err
