"""The Python surface: programs, jobs and devices as a user meets them."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import qloom
from qloom.jobspecs import JobState

LIMIT_S = 30

SOURCE = """
import time
import qloom

@qloom.program(seed=5)
def bell(ctx: qloom.Context, shots: int = 100) -> dict[str, int]:
    return ctx.device.run(qloom.Circuit(2).h(0).cx(0, 1), shots=shots).counts

@qloom.program
def arrays(ctx: qloom.Context) -> dict:
    import numpy as np
    return {"matrix": np.eye(2), "number": np.float64(1.5), "complex": 1 + 2j}

@qloom.program
def broken(ctx: qloom.Context) -> None:
    raise ValueError("no such luck")

@qloom.program
def patient(ctx: qloom.Context) -> str:
    time.sleep(30)
    return "never"

@qloom.program
def two_devices(ctx: qloom.Context) -> list:
    circuit = qloom.Circuit(1).x(0)
    return [ctx.device.run(circuit, shots=3).counts, ctx.devices["other"].run(circuit, shots=4).counts]
"""


pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "user_programs.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    yield importlib.import_module("user_programs")
    sys.modules.pop("user_programs", None)


def test_a_plain_call_and_a_job_give_the_same_answer(programs: ModuleType) -> None:
    assert programs.bell.submit(shots=50).result(timeout_s=LIMIT_S) == programs.bell(shots=50)


def test_a_seed_decides_and_another_one_decides_otherwise(programs: ModuleType) -> None:
    results = [programs.bell.with_options(seed=seed)(shots=1000) for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]


def test_arrays_and_complex_numbers_come_back_as_such(programs: ModuleType) -> None:
    result = programs.arrays.submit().result(timeout_s=LIMIT_S)
    assert result["matrix"].tolist() == [[1, 0], [0, 1]]
    assert result["number"] == 1.5
    assert result["complex"] == 1 + 2j


def test_a_program_that_raised_is_an_error_with_its_own_frames(programs: ModuleType) -> None:
    with pytest.raises(qloom.errors.ProgramFailed, match="ValueError: no such luck") as caught:
        programs.broken.submit().result(timeout_s=LIMIT_S)
    assert caught.value.error_type == "ValueError"
    assert any("in broken" in frame for frame in caught.value.frames)


def test_waiting_has_a_limit_and_the_job_goes_on(programs: ModuleType) -> None:
    job = programs.patient.submit()
    with pytest.raises(qloom.errors.TimedOut, match=r"within 0.3 s"):
        job.result(timeout_s=0.3)
    assert not job.state().ended
    assert job.cancel() is JobState.CANCELLED
    with pytest.raises(qloom.errors.JobCancelled):
        job.result(timeout_s=LIMIT_S)


def test_a_job_can_be_awaited_beside_other_work(programs: ModuleType) -> None:
    async def both() -> list[JobState]:
        return list(await asyncio.gather(*(programs.bell.submit().wait(LIMIT_S) for _ in range(2))))

    assert asyncio.run(both()) == [JobState.COMPLETED] * 2


def test_a_program_may_have_several_devices(programs: ModuleType) -> None:
    program = programs.two_devices.with_options(devices={"other": "sim:engine=qulacs"})
    assert program() == [{"1": 3}, {"1": 4}]
    assert program.submit().result(timeout_s=LIMIT_S) == [{"1": 3}, {"1": 4}]


def test_a_notebook_shows_where_a_job_stands(programs: ModuleType) -> None:
    job = programs.bell.submit(shots=10)
    job.result(timeout_s=LIMIT_S)
    shown = job._repr_mimebundle_(include=None, exclude=None)
    assert set(shown) == {"text/plain", "text/html"}
    assert shown["text/plain"].startswith(f"<Job {job.id} bell COMPLETED>")
    assert "COMPLETED" in shown["text/html"]


def test_a_notebook_shows_what_is_wrong_with_a_job_instead_of_failing(programs: ModuleType) -> None:
    job = programs.bell.submit(shots=10)
    job.result(timeout_s=LIMIT_S)
    job.folder.progress_file(1).write_text("{")
    assert "text/html" in job._repr_mimebundle_()
    job.folder.results_file.write_text("{")
    shown = job._repr_mimebundle_()
    assert set(shown) == {"text/plain"}
    assert "results.json is no JSON" in shown["text/plain"]


def test_a_job_is_found_again_by_the_beginning_of_its_id(programs: ModuleType) -> None:
    job = programs.bell.submit()
    job.result(timeout_s=LIMIT_S)
    assert qloom.job(job.id[:12]).id == job.id
    assert [each.id for each in qloom.jobs()] == [job.id]


def test_a_device_runs_a_circuit_file_without_any_job(tmp_path: Path) -> None:
    file = tmp_path / "flip.qasm"
    file.write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nx q[0];\nmeasure q -> c;\n')
    assert qloom.device("sim").run(file, shots=7).counts == {"10": 7}


def test_public_names_are_those_that_are_promised() -> None:
    promised = {"program", "Program", "Job", "Context", "Circuit", "Observable", "Result", "Budget", "Resources"}
    assert set(qloom.__all__) >= promised
    for name in qloom.__all__:
        assert getattr(qloom, name) is not None
    with pytest.raises(AttributeError, match="public names"):
        _ = qloom.programme
