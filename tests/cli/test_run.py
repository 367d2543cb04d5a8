"""`qloom run`: from a file to a result, and everything that can be wrong with what was typed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Qloom


def test_a_program_runs_and_its_result_is_the_only_thing_on_stdout(qloom_process: Qloom, programs: str) -> None:
    answer = qloom_process("run", f"{programs}:double", "-p", "number=21")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == {"twice": 42}
    assert "doubling 21" in answer.err


def test_json_is_one_document_with_the_four_promised_fields(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:double", "--json")
    assert answer.code == 0
    assert set(answer.json) == {"job_id", "state", "result", "error"}
    assert answer.json["state"] == "COMPLETED"
    assert answer.json["error"] is None


def test_the_same_seed_gives_the_same_counts(qloom: Qloom, programs: str) -> None:
    first, second = (qloom("run", f"{programs}:bell", "--seed", "3", "--json").json["result"] for _ in range(2))
    assert first == second
    assert set(first) == {"00", "11"}


def test_a_failing_program_shows_its_own_frames_and_exits_1(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:broken")
    assert answer.code == 1
    assert "KeyError: 'nowhere'" in answer.err
    assert 'return values["nowhere"]' in answer.err
    assert "/qloom/" not in answer.err  # only the program's own frames


def test_a_failing_program_is_described_in_json(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:broken", "--json")
    assert answer.code == 1
    assert answer.json["state"] == "FAILED"
    assert answer.json["error"]["type"] == "KeyError"


def test_a_dry_run_lists_what_would_be_shipped_and_starts_nothing(qloom: Qloom, programs: str, home: Path) -> None:
    answer = qloom("run", f"{programs}:double", "--dry-run", "--json")
    assert answer.code == 0, answer.err
    assert list(answer.json["files"]) == ["programs.py"]
    assert not list(home.glob("jobs/*"))


def test_a_report_is_written_when_asked_for(qloom: Qloom, programs: str, tmp_path: Path) -> None:
    answer = qloom("run", f"{programs}:double", "--report", "report.html", "--json")
    assert answer.code == 0, answer.err
    assert "<svg" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py"], "is no file"),
        (["programs.py"], "double"),
        (["programs.py:dubble"], "did you mean 'double'"),
        (["programs.py:double", "-p", "numbr=1"], "did you mean 'number'"),
        (["programs.py:double", "-p", "number=many"], "number"),
        (["programs.py:double", "-p", "number"], "KEY=VALUE"),
        (["programs.py:double", "--device", "simm"], "did you mean 'sim'"),
        (["programs.py:double", "--executor", "locl"], "did you mean 'local'"),
        (["programs.py:double", "--pipeline", "zn"], "no stage called 'zn'"),
        (["programs.py:double", "--budget-usd", "5"], "no priced device"),
        (["programs.py:double", "--budget-usd", "-5"], "positive number of US dollars"),
        (["programs.py:double", "--memory-mb", "0"], "memory_mb must be a positive number"),
        (["programs.py:slow", "-p", "seconds=nan"], "finite"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    qloom: Qloom, programs: str, home: Path, arguments: list[str], said: str
) -> None:
    answer = qloom("run", *arguments)
    assert answer.code == 2, answer.err
    assert said in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert not list(home.glob("jobs/*"))


def test_a_refusal_is_one_json_document_too(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:double", "--device", "simm", "--json")
    assert answer.code == 2
    assert answer.json["job_id"] is None
    assert answer.json["error"]["type"] == "UnknownName"


def test_an_unknown_option_is_misuse(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", programs, "--sed", "3")
    assert answer.code == 2
    assert "--seed" in answer.err
    assert "Traceback" not in answer.err


def test_a_sandbox_that_cannot_be_made_is_refused_and_no_job_is_there(
    qloom: Qloom, programs: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = qloom("run", f"{programs}:double", "--sandbox", "--json")
    assert answer.code == 1
    assert answer.json["error"]["type"] == "Rejected"
    assert "apt install bubblewrap" in answer.json["error"]["message"]
    assert not list(home.glob("jobs/*"))


RESULTS = """
import numpy as np
import qloom

@qloom.program
def results(ctx: qloom.Context) -> dict:
    return {"small": np.arange(4.0).reshape(2, 2), "large": np.zeros((300, 40)), "lost": [float("nan"), 1 + 2j], "lines": "a\\nb"}
"""


def test_arrays_and_other_numbers_are_shown_so_that_people_can_read_them(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "results.py").write_text(RESULTS)
    shown = json.loads(qloom("run", "results.py").out)
    assert shown["small"] == [[0.0, 1.0], [2.0, 3.0]]
    assert shown["large"] == "array of float64, shape 300 x 40"
    assert shown["lost"] == ["nan", "1+2j"]
    (job,) = qloom("job", "list", "--json").json
    assert "large=array of float64, shape 300 x 40" in qloom("job", "show", job["job_id"]).out
    assert set(qloom("job", "show", job["job_id"], "--json").json["result"]["large"]) == {"__array__"}


def test_every_line_of_a_job_that_is_shown_in_a_pipe_says_what_it_is(qloom: Qloom, programs: str, home: Path) -> None:
    job_id = qloom("run", f"{programs}:broken", "--json").json["job_id"]
    qloom("job", "resume", job_id, "--json")
    rows = [line.split("\t") for line in qloom("job", "show", job_id).out.splitlines()]
    assert {len(row) for row in rows} == {2}
    assert [row[0] for row in rows].count("attempts") == 2


def test_a_report_that_cannot_be_written_takes_nothing_from_the_result(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:double", "--report", "/proc/nowhere/report.html", "--json")
    assert answer.code == 1
    assert (answer.json["state"], answer.json["result"]) == ("COMPLETED", {"twice": 2})
    assert f"qloom job report {answer.json['job_id']} --output" in answer.err


@pytest.mark.parametrize(
    "typed",
    [
        ("run", "--bogus"),
        ("run",),
        ("job", "list", "--limit", "-1"),
        ("job", "show"),
        ("nothing",),
        ("device", "run", "sim", "no"),
    ],
    ids=" ".join,
)
def test_a_misused_command_answers_json_with_one_document_too(qloom: Qloom, typed: tuple[str, ...]) -> None:
    answer = qloom(*typed, "--json")
    assert answer.code == 2
    assert answer.json["error"]["type"] == "Misuse"
    assert answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("sim:engine=qualcs", "no engine of sim called 'qualcs'; did you mean 'qulacs'"),
        ("sim:engin=qulacs", "no option of sim called 'engin'; did you mean 'engine'"),
        ("sim:threads=0", "sim: threads must be an integer from 1 up, got '0'"),
        ("sim:threads", "sim: option threads needs a value"),
    ],
)
def test_what_a_device_would_refuse_is_refused_before_a_job_is_made(
    qloom: Qloom, programs: str, home: Path, device: str, said: str
) -> None:
    answer = qloom("run", f"{programs}:bell", "--device", device)
    assert answer.code == 2
    assert said in answer.err
    assert not list(home.glob("jobs/*"))


def test_an_argument_that_is_given_twice_is_refused(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:double", "-p", "number=1", "-p", "number=2")
    assert answer.code == 2
    assert "number twice, '1' and '2'" in answer.err


def test_an_empty_name_does_not_mean_the_folder_we_are_in(qloom: Qloom, programs: str, home: Path) -> None:
    answer = qloom("run", "", "--entry", "programs:double")
    assert answer.code == 2
    assert "an empty name is no file" in answer.err
    assert not home.exists()


def test_no_line_of_an_error_is_broken_in_a_pipe(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:double", "-p", f"number={'9' * 200}x")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
