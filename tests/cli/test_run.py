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
        (["programs.py:double", "--pipeline", "zne"], "no stage called 'zne'"),
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
