"""`qloom job report`: of one job in any state, and of two side by side."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Qloom
from tests.cli.test_job import started, wait_for_state


def report_of(qloom: Qloom, *job_ids: str) -> str:
    answer = qloom("job", "report", *job_ids, "-o", "out.html")
    assert (answer.code, answer.out.strip()) == (0, "wrote out.html")
    return Path("out.html").read_text(encoding="utf-8")


def test_two_jobs_are_compared_in_one_file(qloom: Qloom, programs: str) -> None:
    first, second = (qloom("run", f"{programs}:double", "-p", f"number={n}", "--json").json["job_id"] for n in (3, 8))
    answer = qloom("job", "report", first, second, "-o", "both.html", "--json")
    assert answer.json == {"job_id": first, "report": "both.html", "compared_with": second}
    page = Path("both.html").read_text(encoding="utf-8")
    assert "<td>3</td><td>8</td>" in page
    assert "<td>6</td><td>16</td><td>10</td>" in page


def test_a_report_of_one_job_names_no_other(qloom: Qloom, programs: str) -> None:
    job_id = qloom("run", f"{programs}:bell", "--json").json["job_id"]
    assert set(qloom("job", "report", job_id, "--json").json) == {"job_id", "report"}


def test_counts_in_a_result_are_drawn(qloom: Qloom, programs: str) -> None:
    job_id = qloom("run", f"{programs}:bell", "-p", "shots=50", "--json").json["job_id"]
    page = report_of(qloom, job_id)
    assert 'class="bar"' in page
    assert "50 shots, 2 different keys." in page


def test_an_unknown_second_job_is_refused_and_nothing_is_written(qloom: Qloom, programs: str) -> None:
    job_id = qloom("run", f"{programs}:double", "--json").json["job_id"]
    refused = qloom("job", "report", job_id, "nosuchjob", "-o", "both.html")
    assert refused.code == 2
    assert "nosuchjob" in refused.err
    assert not Path("both.html").exists()


def test_running_killed_and_resumed_jobs_have_reports(qloom: Qloom, programs: str, home: Path) -> None:
    job_id = started(qloom, programs)
    running = report_of(qloom, job_id)
    assert "RUNNING" in running
    assert "None yet." in running
    assert "out| waiting" in running
    os.kill(json.loads((home / "jobs" / job_id / "status.json").read_text())["pid"], signal.SIGKILL)
    wait_for_state(qloom, job_id, "INTERRUPTED")
    assert f"qloom job resume {job_id}" in report_of(qloom, job_id)
    assert qloom("job", "resume", job_id, "--json").json["state"] == "COMPLETED"
    assert "first: 10 shots" in report_of(qloom, job_id)


@pytest.mark.parametrize("content", ["{", "", "7"], ids=["torn", "empty", "something else"])
@pytest.mark.parametrize("name", ["job.json", "status.json", "attempts/1/outcome.json"])
def test_a_job_with_a_corrupt_file_is_refused_with_the_file_and_the_way_on(
    qloom: Qloom, programs: str, home: Path, name: str, content: str
) -> None:
    job_id = qloom("run", f"{programs}:double", "--json").json["job_id"]
    (home / "jobs" / job_id / name).write_text(content)
    refused = qloom("job", "report", job_id)
    said = "".join(refused.err.split())
    assert refused.code == 1
    assert f"{job_id}/{name}" in said
    assert "restoreitfromacopy" in said
    assert not Path("report.html").exists()


def test_a_completed_job_whose_result_is_torn_or_gone_is_refused(qloom: Qloom, programs: str, home: Path) -> None:
    good, bad = (qloom("run", f"{programs}:double", "--json").json["job_id"] for _ in range(2))
    results = home / "jobs" / bad / "results" / "results.json"
    results.write_text('{"twi')
    torn = qloom("job", "report", good, bad)
    results.unlink()
    gone = qloom("job", "report", bad)
    for refused in (torn, gone):
        assert refused.code == 1
        assert f"{bad}/results/results.json" in "".join(refused.err.split())
    assert not Path("report.html").exists()


def test_a_damaged_journal_is_told_in_the_report(qloom: Qloom, programs: str, home: Path) -> None:
    job_id = qloom("run", f"{programs}:bell", "--json").json["job_id"]
    (segment,) = (home / "jobs" / job_id / "checkpoints" / "journal").glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[40] ^= 1
    segment.write_bytes(content)
    assert "Noted while running" in report_of(qloom, job_id)
