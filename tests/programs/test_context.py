import datetime as dt
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qloom.circuits import Circuit
from qloom.contracts import Lane
from qloom.errors import Divergence, InvalidSetting, Misuse, NoResult, UnknownName
from qloom.jobspecs import JobSpec
from qloom.journal import Journal, read_journal
from qloom.kit.job_folder import JobFolder
from qloom.programs.context import Context
from qloom.programs.quantum import QuantumDevice
from tests.programs.fakes import TossDevice

Opener = Callable[[int], Context]


def open_toss(lanes: Callable[[], Lane], name: str = "toss") -> QuantumDevice:
    if name != "toss":
        raise UnknownName.among("device", name, ["toss"])
    return QuantumDevice(TossDevice(), lanes=lanes, intake=lambda circuit: circuit)


@pytest.fixture
def ctx() -> Context:
    return Context.local(devices={"default": open_toss}, seed=1)


@pytest.fixture
def job(tmp_path: Path) -> Opener:
    """Opens the context of an attempt of one and the same job."""
    spec = JobSpec(
        job_id="job",
        program="p",
        entry_point="p:p",
        source_digest="",
        devices={"default": "toss", "qpu": "missing"},
        seed=5,
        parameters={"n": 1},
    )
    folder = JobFolder(tmp_path)

    def opener(attempt: int) -> Context:
        folder.attempt(attempt).mkdir(parents=True)
        journal = Journal.open(folder.checkpoints, job_id="job", attempt=attempt, seed=spec.seed)
        return Context.of_job(folder=folder, job=spec, attempt=attempt, recorder=journal, open_device=open_toss)

    return opener


# ---- devices


def test_devices_are_opened_when_first_used_and_once(ctx: Context) -> None:
    assert ctx.devices.opened == []
    assert ctx.device is ctx.devices["default"]
    assert ctx.engine is None
    ctx.device.run(Circuit(1), shots=1)
    assert (len(ctx.devices.opened), ctx.engine.name if ctx.engine else "") == (1, "toss")


def test_an_unknown_device_is_refused_with_the_nearest(ctx: Context) -> None:
    with pytest.raises(UnknownName, match="no device in this program called 'defalt'; did you mean 'default'"):
        ctx.devices["defalt"]
    assert "qpu" not in ctx.devices
    assert list(ctx.devices) == ["default"]


def test_a_jobs_devices_are_those_of_its_specification(job: Opener) -> None:
    ctx = job(1)
    assert set(ctx.devices) == {"default", "qpu"}
    assert ctx.device.name == "toss"
    with pytest.raises(UnknownName, match="no device called 'missing'"):
        ctx.devices["qpu"]
    assert (ctx.job_id, ctx.attempt, ctx.parameters) == ("job", 1, {"n": 1})


# ---- a plain call and a job give the same


def everything(ctx: Context) -> list[Any]:
    """One call of each kind that could differ between two runs."""
    task = ctx.device.prepare(Circuit(1).h(0))
    drawn = [ctx.rng.random(), ctx.rng.integers(100)]
    counts = [task.run(shots=100).counts, task.run(shots=100, seed=3).counts]
    stepped = ctx.step(lambda: (1, np.arange(2)))
    with ctx.lane("other"):
        return [drawn, counts, stepped[0], stepped[1].tolist(), task.run(shots=100).counts, ctx.rng.random()]


def test_a_plain_call_with_a_seed_gives_what_a_job_with_that_seed_gives(job: Opener) -> None:
    assert everything(Context.local(devices={"default": open_toss}, seed=5)) == everything(job(1))


def test_a_plain_call_without_a_seed_gives_something_else_each_time() -> None:
    first, second = (everything(Context.local(devices={"default": open_toss})) for _ in range(2))
    assert first[0] != second[0]
    assert first[1][1] == second[1][1]


def test_a_resumed_job_replays_everything_and_computes_nothing(job: Opener) -> None:
    first = job(1)
    answers, time = everything(first), first.now()
    first.close()
    second = job(2)
    assert everything(second) == answers
    assert second.now() == time
    assert second.quantum_tasks == {"executed": 0, "replayed": 3}
    assert first.quantum_tasks == {"executed": 3, "replayed": 0}


# ---- progress and metrics


def progress_of(tmp_path: Path, attempt: int = 1) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(JobFolder(tmp_path).progress_file(attempt).read_text())
    return document


def test_progress_says_how_far_a_loop_is(job: Opener, tmp_path: Path) -> None:
    ctx = job(1)
    seen = [(item, progress_of(tmp_path)["total"]) for item in ctx.progress(range(3), description="scan")]
    assert seen == [(0, 3), (1, 3), (2, 3)]
    document = progress_of(tmp_path)
    assert (document["done"], document["total"], document["description"]) == (3, 3, "scan")
    assert document["rate_per_s"] > 0
    assert document["updated_at"] > 1e9


def test_progress_of_a_loop_that_is_left_early_stays_where_it_was(job: Opener, tmp_path: Path) -> None:
    for item in job(1).progress(iter("abc"), total=5):
        if item == "c":
            break
    assert (progress_of(tmp_path)["done"], progress_of(tmp_path)["total"]) == (2, 5)


def test_progress_of_a_plain_call_yields_the_same_items(ctx: Context) -> None:
    assert list(ctx.progress([1, 2])) == [1, 2]
    assert list(ctx.progress(x for x in "ab")) == ["a", "b"]


def test_metrics_are_recorded_once_and_shown(job: Opener, tmp_path: Path) -> None:
    for attempt in (1, 2):
        ctx = job(attempt)
        for step in ctx.progress(range(2)):
            ctx.log_metric("energy_hartree", np.float64(-1.5), step=np.int64(step))  # type: ignore[arg-type]
        ctx.log_metric("gap", float("nan"))
        assert list(ctx.progress([])) == []
        assert progress_of(tmp_path, attempt)["metrics"] == {"energy_hartree": -1.5, "gap": None}
        ctx.close()
    metrics = read_journal(JobFolder(tmp_path).checkpoints).metrics
    assert [(item.name, item.step) for item in metrics] == [("energy_hartree", 0), ("energy_hartree", 1), ("gap", None)]


def test_metrics_of_a_plain_call_are_kept(ctx: Context) -> None:
    ctx.log_metric("a", 1)
    ctx.log_metric("a", np.array(2.5), step=1)  # type: ignore[arg-type]
    assert [item[:3] for item in ctx.metrics] == [("a", 1.0, None), ("a", 2.5, 1)]


@pytest.mark.parametrize(
    "call", [("a", "1"), ("a", 1j), ("a", None), ("a", np.zeros(1)), ("", 1), (3, 1), ("a", 1, 0.5), ("a", 1, True)]
)
def test_what_is_no_metric_is_refused(ctx: Context, call: tuple[Any, ...]) -> None:
    with pytest.raises(Misuse):
        ctx.log_metric(*call)
    assert ctx.metrics == []


def test_a_progress_file_that_cannot_be_written_does_not_stop_the_program(
    job: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ctx = job(1)
    JobFolder(tmp_path).attempt(1).rmdir()
    assert list(ctx.progress(range(2))) == [0, 1]
    assert [record.message.partition(":")[0] for record in caplog.records] == ["progress is not shown any more"]


def test_several_threads_may_report_at_once(job: Opener, tmp_path: Path) -> None:
    ctx = job(1)

    def work(name: str) -> None:
        with ctx.lane(name):
            for step in ctx.progress(range(200)):
                ctx.log_metric(name, step, step)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, "abcd")) == [None] * 4
    assert progress_of(tmp_path)["done"] > 0
    assert not list(JobFolder(tmp_path).attempt(1).glob(".*"))


def test_lines_from_the_logger_belong_to_the_program(ctx: Context) -> None:
    assert ctx.logger.name == "qloom.program"
    assert isinstance(ctx.logger, logging.Logger)


# ---- what a replay needs


def test_a_checkpoint_brings_back_data_and_random_numbers(job: Opener) -> None:
    first = job(1)
    first.rng.random(3)
    with first.lane("other"):
        first.rng.standard_normal()
        other = first.rng
    first.save_checkpoint({"theta": np.arange(3.0), "step": 7})
    expected = first.rng.random(), other.random()
    first.close()
    second = job(2)
    data = second.load_checkpoint()
    assert data is not None
    assert (data["theta"].tolist(), data["step"]) == ([0.0, 1.0, 2.0], 7)
    with second.lane("other"):
        again = second.rng.random()
    assert (second.rng.random(), again) == expected


def test_a_checkpoint_goes_on_behind_what_was_recorded_before_it(job: Opener) -> None:
    def program(ctx: Context) -> list[int]:
        state = ctx.load_checkpoint() or {"seen": []}
        for step in range(len(state["seen"]), 4):
            state["seen"].append(ctx.device.run(Circuit(1).h(0), shots=50).counts.get("0", 0))
            if step == 1:
                ctx.save_checkpoint(state)
        return list(state["seen"])

    first = job(1)
    answers = program(first)
    first.close()
    second = job(2)
    assert program(second) == answers
    assert second.quantum_tasks == {"executed": 0, "replayed": 2}


def test_checkpoints_of_a_plain_call_are_kept_in_memory(ctx: Context) -> None:
    assert ctx.load_checkpoint() is None
    data = {"a": [1]}
    ctx.save_checkpoint(data)
    data["a"].append(2)
    assert ctx.load_checkpoint() == {"a": [1]}


def test_what_is_no_checkpoint_is_refused(ctx: Context) -> None:
    with pytest.raises(Misuse, match="a checkpoint is a dict"):
        ctx.save_checkpoint([1])  # type: ignore[arg-type]
    with pytest.raises(NoResult, match=r"the checkpoint\['data'\]\['a'\] is a builtins.object"):
        ctx.save_checkpoint({"a": object()})


def test_a_step_runs_once_and_its_arguments_are_compared(job: Opener) -> None:
    ran = []

    def costly(x: Any, scale: int = 1) -> list[float]:
        ran.append(scale)
        return [float(np.sum(x)) * scale]

    first = job(1)
    assert first.step(costly, np.ones(3), scale=2) == [6.0]
    first.close()
    second = job(2)
    assert second.step(costly, np.ones(3), scale=2) == [6.0]
    assert ran == [2]
    second.close()
    with pytest.raises(Divergence, match="argument"):
        job(3).step(costly, np.ones(3), scale=3)


def test_steps_that_a_replay_cannot_repeat_are_refused(ctx: Context) -> None:
    async def waits() -> None: ...

    with pytest.raises(Misuse, match="waits is async"):
        ctx.step(waits)  # type: ignore[unused-coroutine]
    with pytest.raises(Misuse, match=r"arguments of step 'len'\[0\]\[0\] is a builtins.object, which a replay cannot compare"):
        ctx.step(len, object())
    with pytest.raises(NoResult, match="the result of step"):
        ctx.step(object)


def test_each_lane_has_random_numbers_of_its_own(ctx: Context) -> None:
    main = ctx.rng.random(3).tolist()
    with ctx.lane("a"):
        assert ctx.rng is ctx.rng
        assert ctx.rng.random(3).tolist() != main
    again = Context.local(devices={}, seed=1)
    with again.lane("a"):
        again.rng.random()
    assert again.rng.random(3).tolist() == main


def test_a_thread_without_a_lane_has_no_random_numbers(ctx: Context) -> None:
    said: list[str] = []

    def work() -> None:
        with pytest.raises(Misuse) as caught:
            _ = ctx.rng
        said.append(str(caught.value))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert "outside any lane" in said[0]


def test_the_time_is_in_utc(ctx: Context) -> None:
    assert abs(ctx.now() - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


# ---- input


def test_input_channels_are_folders(job: Opener, tmp_path: Path) -> None:
    ctx = job(1)
    with pytest.raises(UnknownName, match="There are none"):
        ctx.input_dir()
    (tmp_path / "input" / "molecules").mkdir(parents=True)
    assert ctx.input_dir("molecules") == tmp_path / "input" / "molecules"
    with pytest.raises(UnknownName, match="did you mean 'molecules'"):
        ctx.input_dir("molecule")


def test_a_plain_call_finds_files_where_a_job_does(tmp_path: Path) -> None:
    (tmp_path / "h2.json").write_text("{}")
    ctx = Context.local(devices={}, inputs={"file": tmp_path / "h2.json", "folder": str(tmp_path)})
    assert (ctx.input_dir("file") / "h2.json").exists()
    assert ctx.input_dir("folder") == tmp_path
    with pytest.raises(InvalidSetting, match="there is no file or folder"):
        Context.local(devices={}, inputs={"x": tmp_path / "nothing"}).input_dir("x")


def test_random_numbers_are_refused_inside_a_step() -> None:
    ctx = Context.local(devices={}, seed=1)
    with pytest.raises(Misuse, match="draw before it"):
        ctx.step(lambda: float(ctx.rng.random()))
    assert 0 <= ctx.rng.random() < 1
