"""`auto` in jobs: given on the command line, recorded, replayed, told in one line."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import qloom
from qloom.cli import main
from qloom.noise import NoiseModel

LIMIT_S = 60

SOURCE = """
import os
import qloom
from qloom.circuits import Parameter

@qloom.program(seed=5, pipeline="auto", device="sim:noise=machine.json")
def turns(ctx: qloom.Context, die: bool = False) -> dict:
    task = ctx.device.prepare(qloom.Circuit(2).ry(Parameter("a"), 0).cx(0, 1), {"ZZ": 1.0, "XX": 0.5})
    values = []
    for step in range(5):
        result = task.estimate([0.3 * step], shots=4000)
        values.append([*result.values.ravel().tolist(), [stage["name"] for stage in result.stages]])
        if die and step == 2 and ctx.attempt == 1:
            os.kill(os.getpid(), 9)
    return {"values": values}
"""

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    import importlib
    import sys

    (tmp_path / "picking_programs.py").write_text(SOURCE)
    NoiseModel.depolarizing(0.001, 0.02, readout=0.05).save(tmp_path / "machine.json")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("picking_programs")
    sys.modules.pop("picking_programs", None)


def test_a_killed_job_goes_on_with_the_stages_that_were_picked(programs: ModuleType) -> None:
    programs.turns()  # calibrates, which is kept
    job = programs.turns.submit(die=True)
    with pytest.raises(qloom.errors.JobInterrupted):
        job.result(timeout_s=LIMIT_S)
    found = job.resume().result(timeout_s=LIMIT_S)
    assert found == programs.turns()
    assert found["values"][0][-1][:2] == ["auto", "readout"]
    assert job.details()["stages"][0]["pipeline"][0] == "readout"


def test_the_command_line_says_in_one_line_what_was_picked(programs: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "picking_programs.py:turns", "--pipeline", '{"auto": {"circuits": 1}}']) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "auto: readout (1 circuit): the best of 2 pipelines; expected error" in said
    assert main(["run", "picking_programs.py:turns", "--pipeline", "auto", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "COMPLETED"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"auto": {"circuits": 0}}', "circuits"),
        ('{"auto": {"circuit": 6}}', "did you mean 'circuits'"),
        ('["auto", "zne"]', "cannot weigh zne beside it"),
        ('[{"parallel": [["auto"]]}]', "cannot stand in branches"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    programs: ModuleType, capsys: pytest.CaptureFixture[str], own_home: Path, written: str, said: str
) -> None:
    assert main(["run", "picking_programs.py:turns", "--pipeline", written]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list((own_home / "jobs").glob("*"))
