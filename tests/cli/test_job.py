"""`qloom job`: what ran, what became of it, and how it goes on."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.cli.conftest import Qloom

LIMIT_S = 30


def wait_for_state(qloom: Qloom, job_id: str, *states: str) -> str:
    deadline = time.monotonic() + LIMIT_S
    state = ""
    while time.monotonic() < deadline:
        state = str(qloom("job", "show", job_id, "--json").json["state"])
        if state in states:
            return state
    raise AssertionError(f"{job_id} is {state}, expected one of {states}")


def wait_for_output(qloom: Qloom, job_id: str, text: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if text in qloom("job", "logs", job_id).out:
            return
    raise AssertionError(f"{job_id} never printed {text!r}")


def started(qloom: Qloom, programs: str) -> str:
    job_id = str(qloom("run", f"{programs}:slow", "--detach", "--json").json["job_id"])
    wait_for_output(qloom, job_id, "waiting")
    return job_id


def test_jobs_are_listed_newest_first(qloom: Qloom, programs: str) -> None:
    first, second = (qloom("run", f"{programs}:double", "--json").json["job_id"] for _ in range(2))
    listed = qloom("job", "list", "--json").json
    assert [row["job_id"] for row in listed] == [second, first]
    assert set(listed[0]) == {"job_id", "program", "state", "created_at"}


def test_a_job_tells_how_many_quantum_tasks_ran_and_on_which_engine(qloom: Qloom, programs: str) -> None:
    job_id = qloom("run", f"{programs}:bell", "--json").json["job_id"]
    shown = qloom("job", "show", job_id[:20], "--json").json
    assert shown["quantum_tasks"] == {"executed": 1, "replayed": 0}
    assert shown["engine"] in {"lightning", "qulacs"}
    assert shown["seconds"] > 0
    assert shown["cost_usd"] == 0


def test_metrics_and_logs_are_kept(qloom: Qloom, programs: str) -> None:
    job_id = qloom("run", f"{programs}:double", "-p", "number=4", "--json").json["job_id"]
    (metric,) = qloom("job", "metrics", job_id, "--json").json
    assert (metric["name"], metric["value"]) == ("number", 4)
    assert "out| doubling 4" in qloom("job", "logs", job_id).out


def test_a_cancelled_job_is_gone_and_only_force_resumes_it(qloom: Qloom, programs: str) -> None:
    job_id = started(qloom, programs)
    assert qloom("job", "cancel", job_id, "--json").json["state"] == "CANCELLED"
    refused = qloom("job", "resume", job_id)
    assert refused.code == 2
    assert "--force" in refused.err
    assert qloom("job", "resume", job_id, "--force", "--json").json["state"] == "COMPLETED"


def test_a_killed_job_is_seen_as_interrupted_and_resumes_without_computing_again(qloom: Qloom, programs: str, home: Path) -> None:
    job_id = started(qloom, programs)
    status = json.loads((home / "jobs" / job_id / "status.json").read_text())
    os.kill(status["pid"], signal.SIGKILL)
    wait_for_state(qloom, job_id, "INTERRUPTED")
    answer = qloom("job", "resume", job_id, "--json")
    assert answer.json["state"] == "COMPLETED"
    assert answer.json["result"]["attempt"] == 2
    assert qloom("job", "show", job_id, "--json").json["quantum_tasks"] == {"executed": 1, "replayed": 1}


def test_a_suspended_job_goes_on_when_resumed(qloom: Qloom, programs: str) -> None:
    job_id = started(qloom, programs)
    assert qloom("job", "suspend", job_id, "--json").json["state"] == "INTERRUPTED"
    assert qloom("job", "show", job_id, "--json").json["error"]["reason"] == "suspended"
    assert qloom("job", "resume", job_id, "--json").json["state"] == "COMPLETED"


def test_two_resumes_at_once_give_one_attempt(
    qloom: Qloom, programs: str, command: list[str], environment: dict[str, str]
) -> None:
    job_id = started(qloom, programs)
    qloom("job", "suspend", job_id)
    resumes = [
        subprocess.Popen(
            [*command, "job", "resume", job_id, "--json"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    codes = sorted(resume.wait(LIMIT_S) for resume in resumes)
    errors = "".join(resume.stderr.read().decode() for resume in resumes if resume.stderr)
    assert codes == [0, 2]
    assert any(why in errors for why in ("is held", "is alive", "COMPLETED", "comes too late"))


def test_a_job_that_is_done_is_not_resumed(qloom: Qloom, programs: str) -> None:
    job_id = qloom("run", f"{programs}:double", "--json").json["job_id"]
    refused = qloom("job", "resume", job_id, "--json")
    assert refused.code == 2
    assert "COMPLETED" in refused.json["error"]["message"]


def test_an_unknown_job_is_refused_by_name(qloom: Qloom) -> None:
    refused = qloom("job", "show", "nosuchjob")
    assert refused.code == 2
    assert "nosuchjob" in refused.err
    assert "Traceback" not in refused.err


def test_a_torn_record_is_dropped_and_resuming_says_so(qloom: Qloom, programs: str, home: Path) -> None:
    job_id = started(qloom, programs)
    qloom("job", "suspend", job_id)
    (segment,) = (home / "jobs" / job_id / "checkpoints" / "journal").glob("*.seg")
    os.truncate(segment, segment.stat().st_size - 5)
    answer = qloom("job", "resume", job_id)
    assert answer.code == 0, answer.err
    assert "are an unfinished record (its writer died); they are dropped" in " ".join(answer.err.split())
    assert qloom("job", "show", job_id, "--json").json["quantum_tasks"] == {"executed": 1, "replayed": 0}


def test_a_damaged_record_stops_the_resume_and_names_the_way_on(qloom: Qloom, programs: str, home: Path) -> None:
    job_id = started(qloom, programs)
    qloom("job", "suspend", job_id)
    (segment,) = (home / "jobs" / job_id / "checkpoints" / "journal").glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[40] ^= 1
    segment.write_bytes(content)
    answer = qloom("job", "resume", job_id)
    assert answer.code == 1
    assert "CorruptRecord" in answer.err
    assert "--from-scratch" in answer.err
    assert qloom("job", "resume", job_id, "--from-scratch", "--json").json["state"] == "COMPLETED"
