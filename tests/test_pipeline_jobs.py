"""Pipelines in jobs: given by code or command line, recorded, replayed, seen."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import qloom
from qloom.cli import main
from qloom.jobspecs import JobState

LIMIT_S = 60

SOURCE = """
import os
import qloom
from qloom.circuits import Parameter

@qloom.program(seed=5, pipeline=[{"stage": "twirling", "instances": 2}, {"stage": "zne", "scales": [1, 3], "fit": "linear"}])
def turns(ctx: qloom.Context, die: bool = False) -> dict:
    task = ctx.device.prepare(qloom.Circuit(2).rx(Parameter("a"), 0).cx(0, 1), {"ZZ": 1.0, "IZ": 0.5})
    values = []
    for step in range(5):
        result = task.estimate([0.3 * step], shots=100)
        values.append([*result.values.ravel().tolist(), result.stages["zne"].scales])
        if die and step == 2 and ctx.attempt == 1:
            os.kill(os.getpid(), 9)
    return {"values": values}

@qloom.program
def plain(ctx: qloom.Context) -> dict:
    result = ctx.device.estimate(qloom.Circuit(1).x(0), {"Z": 1.0})
    return {"value": result.value, "stages": [stage["name"] for stage in result.stages]}
"""

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    import importlib
    import sys

    (tmp_path / "mitigated_programs.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("mitigated_programs")
    sys.modules.pop("mitigated_programs", None)


def test_a_plain_call_and_a_job_draw_and_answer_alike(programs: ModuleType) -> None:
    assert programs.turns.submit().result(timeout_s=LIMIT_S) == programs.turns()


def test_a_killed_job_ends_as_if_nothing_had_happened(programs: ModuleType) -> None:
    job = programs.turns.submit(die=True)
    with pytest.raises(qloom.errors.JobInterrupted):
        job.result(timeout_s=LIMIT_S)
    assert job.resume().result(timeout_s=LIMIT_S) == programs.turns()
    assert job.details()["quantum_tasks"]["executed"] == 5


def test_a_job_tells_what_its_stages_did(programs: ModuleType) -> None:
    job = programs.turns.submit()
    job.result(timeout_s=LIMIT_S)
    stages = job.details()["stages"]
    assert [stage["name"] for stage in stages] == ["twirling", "zne"]
    assert stages[1]["scales"] == [1.0, 3.0]


@pytest.mark.parametrize("written", ["zne", '["zne"]', '[{"stage": "zne", "fit": "linear"}]', '{"stage": "zne"}'])
def test_a_pipeline_is_given_on_the_command_line(programs: ModuleType, capsys: pytest.CaptureFixture[str], written: str) -> None:
    assert main(["run", "mitigated_programs.py:plain", "--pipeline", written, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["result"]["stages"]) == (JobState.COMPLETED, ["zne"])
    assert found["result"]["value"] == pytest.approx(-1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("zn", "did you mean 'zne'"),
        ('[{"stage": "zne", "scale": [1]}]', "did you mean 'scales'"),
        ('[{"stage": "zne", "scales": [0.5, 1]}]', "scales"),
        ('[{"stage": "zne", "scales": [1], "fit": "linear"}]', "scales"),
        ('["average"]', "joins branches"),
        ('[{"parallel": [["zne"]], "combine": "zne"}]', "cannot join branches"),
        ('["zne"', "no JSON"),
    ],
)
def test_a_pipeline_that_cannot_work_is_refused_before_anything_starts(
    programs: ModuleType, capsys: pytest.CaptureFixture[str], own_home: Path, written: str, said: str
) -> None:
    assert main(["run", "mitigated_programs.py:plain", "--pipeline", written]) == 2
    assert said in capsys.readouterr().err
    assert not list((own_home / "jobs").glob("*"))


def test_another_pipeline_on_resume_diverges_and_names_the_options(programs: ModuleType) -> None:
    job = programs.turns.submit(die=True)
    with pytest.raises(qloom.errors.JobInterrupted):
        job.result(timeout_s=LIMIT_S)
    document = json.loads(job.folder.spec_file.read_text())
    document["pipeline"][1]["fit"] = "richardson"
    job.folder.spec_file.write_text(json.dumps(document))
    with pytest.raises(qloom.errors.QloomError, match="options"):
        job.resume().result(timeout_s=LIMIT_S)
