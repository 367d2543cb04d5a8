"""`qloom job report`: of one job in any state, and of two side by side."""

import json
import os
import re
import signal
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Qloom
from tests.cli.test_job import started, wait_for_output, wait_for_state


def report_of(qloom: Qloom, *job_ids: str) -> str:
    answer = qloom("job", "report", *job_ids, "-o", "out.html")
    assert (answer.code, answer.out.strip()) == (0, "wrote out.html")
    return Path("out.html").read_text(encoding="utf-8")


def test_two_jobs_are_compared_in_one_file(qloom: Qloom, programs: str) -> None:
    first, second = (qloom("run", f"{programs}:double", "-p", f"number={n}", "--json").json["job_id"] for n in (3, 8))
    answer = qloom("job", "report", first, second, "-o", "both.html", "--json")
    assert answer.json == {"job_id": first, "report": "both.html", "compared_with": second}
    page = Path("both.html").read_text(encoding="utf-8")
    assert "<td><mark>3</mark></td><td><mark>8</mark></td>" in page
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


@pytest.mark.parametrize("content", ["{", " ", "7"], ids=["torn", "blank", "something else"])
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


DRAWS = """
import time
import qloom


@qloom.program
def draws(ctx: qloom.Context) -> int:
    ctx.device.run(qloom.Circuit(1).h(0), shots=10)
    colour = {1: "red", 2: "green"}[ctx.attempt]
    ctx.save_figure("dot", f'<svg xmlns="http://www.w3.org/2000/svg"><circle r="9" fill="{colour}"/></svg>')
    if ctx.attempt == 1:
        print("waiting", flush=True)
        time.sleep(60)
    return len(ctx.device.run(qloom.Circuit(1).h(0), shots=20).counts)
"""


def test_the_report_of_a_resumed_job_tells_each_attempt_its_time_its_packages_and_its_latest_figure(
    qloom: Qloom, tmp_path: Path
) -> None:
    (tmp_path / "programs.py").write_text(DRAWS)
    job_id = str(qloom("run", "programs.py:draws", "--detach", "--json").json["job_id"])
    wait_for_output(qloom, job_id, "waiting")
    assert qloom("job", "suspend", job_id).code == 0
    assert qloom("job", "resume", job_id, "--json").json["state"] == "COMPLETED"
    shown = qloom("job", "show", job_id, "--json").json
    assert [(one["ended"], one["reason"]) for one in shown["attempts"]] == [("INTERRUPTED", "suspended"), ("COMPLETED", "")]
    assert all(one["seconds"] > 0 for one in shown["attempts"])
    timings = shown["timings"]
    assert timings["running_s"] == pytest.approx(sum(one["seconds"] for one in shown["attempts"]))
    assert 0 < timings["quantum_s"] < timings["running_s"]
    assert timings["classical_s"] == pytest.approx(timings["running_s"] - timings["quantum_s"])
    assert shown["packages"]["numpy"] == np.__version__
    page = report_of(qloom, job_id)
    (picture,) = re.findall(r'data:image/svg\+xml;base64,([^"]+)"', page)
    assert b'fill="green"' in b64decode(picture)
    assert "INTERRUPTED (suspended)" in page


def test_a_picture_that_a_program_left_among_its_results_is_shown(qloom: Qloom, programs: str, home: Path) -> None:
    job_id = qloom("run", f"{programs}:double", "--json").json["job_id"]
    (home / "jobs" / job_id / "results" / "plot.png").write_bytes(b"\x89PNG\r\n\x1a\n...")
    assert "data:image/png;base64," in report_of(qloom, job_id)
