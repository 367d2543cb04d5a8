"""What `qloom job show` and `qloom job report` tell of a pipeline, from a job that ran."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from qloom.cli import main, output
from qloom.cli.job import for_people
from tests.report.test_html import Page

SOURCE = """
import qloom

DDD = {"stage": "ddd", "durations_s": {"default": 1e-7}}

@qloom.program(seed=5, pipeline=[DDD, {"stage": "zne", "scales": [1, 3], "fit": "linear"}])
def flip(ctx: qloom.Context, shots: int = 200) -> float:
    return ctx.device.estimate(qloom.Circuit(2).h(0).cx(0, 1), {"ZZ": 1.0}, shots=shots).value
"""

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def job_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    program = tmp_path / f"{tmp_path.name}.py"  # of another name in each test, since this process imports it
    program.write_text(SOURCE)
    assert main(["run", str(program), "--json"]) == 0
    found: str = json.loads(capsys.readouterr().out)["job_id"]
    return found


def test_show_tells_the_stages_shortly_and_json_has_their_notes(job_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "show", job_id]) == 0
    lines = [line.split("\t", 1)[1] for line in capsys.readouterr().out.splitlines() if line.startswith("stages\t")]
    assert lines[0].startswith("ddd (first of 2 places): ")
    assert lines[1] == "zne: scales 1, 3; fit linear"
    assert lines[2].startswith("  observable 0: 1 -> 1")
    assert main(["job", "show", job_id, "--json"]) == 0
    details = json.loads(capsys.readouterr().out)
    assert [(notes["name"], notes["places"]) for notes in details["stages"]] == [("ddd", 2), ("zne", 1)]
    assert details["stages"][1]["values"] == [[[1.0]], [[1.0]]]


def test_show_fits_a_terminal_of_80_columns(
    job_id: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["job", "show", job_id, "--json"]) == 0
    details = json.loads(capsys.readouterr().out)
    drawn = io.StringIO()
    monkeypatch.setattr(output, "people", lambda: Console(file=drawn, width=80, highlight=False))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.table("Job", ["what", "value"], for_people(details))
    lines = drawn.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (first,) = [number for number, line in enumerate(lines) if "zne: scales 1, 3; fit linear" in line]
    assert lines[first + 1].strip().startswith("observable 0: 1 ")


def test_the_report_draws_the_fit(job_id: str, tmp_path: Path) -> None:
    assert main(["job", "report", job_id, "-o", str(tmp_path / "report.html")]) == 0
    page = Page((tmp_path / "report.html").read_text())
    assert "1. ddd (first of 2 places) " in page.text
    assert "2. zne scales 1, 3; fit linear" in page.text
    assert "fitted to 1 without noise" in page.text
