import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qloom.errors import CorruptRecord
from qloom.jobspecs import JobSpec
from qloom.journal import Journal
from qloom.kit.files import write_json
from qloom.kit.job_folder import JobFolder
from qloom.kit.values import read_result
from qloom.programs.context import Context
from qloom.programs.quantum import QuantumDevice
from qloom.programs.runner import run_program
from tests.programs.fakes import TossDevice

Outcome = dict[str, Any]
REPOSITORY = Path(__file__).resolve().parents[2]

# What the composition does, for a child process of its own: the same pieces, with the device of these tests.
# SIGINT is put back first: who starts the tests in the background of a shell hands it down ignored.
CHILD = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.programs.test_runner import run
sys.exit(run(pathlib.Path(sys.argv[1])))
"""


def make_context(folder: JobFolder, attempt: int = 1) -> Context:
    job = folder.spec()
    return Context.of_job(
        folder=folder,
        job=job,
        attempt=attempt,
        recorder=Journal.open(folder.checkpoints, job_id=job.job_id, attempt=attempt, seed=job.seed),
        open_device=lambda lanes, name: QuantumDevice(TossDevice(), lanes=lanes, intake=lambda circuit: circuit),
    )


def run(path: Path, attempt: int = 1) -> int:
    folder = JobFolder(path)
    return run_program(folder, attempt, lambda: make_context(folder, attempt))


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("job_"):
            del sys.modules[name]


class Job:
    """A job's folder with a program in it."""

    def __init__(self, path: Path) -> None:
        self.folder = JobFolder(path)

    def write(self, text: str, parameters: dict[str, Any] | None = None, entry: str = "job_vqe:vqe") -> None:
        name = entry.partition(":")[0].replace(".", "/") + ".py"
        (self.folder.source / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder.source / name).write_text(text)
        spec = JobSpec(job_id="job", program="vqe", entry_point=entry, source_digest="", parameters=parameters or {}, seed=3)
        write_json(self.folder.spec_file, spec.to_json())

    def run(self, text: str, parameters: dict[str, Any] | None = None, entry: str = "job_vqe:vqe") -> int:
        """Run the program in this process."""
        self.write(text, parameters, entry)
        return run(self.folder.path)

    def start(self, text: str) -> subprocess.Popen[str]:
        """Start the program in a process of its own."""
        self.write(text)
        command = [sys.executable, "-c", CHILD, str(self.folder.path)]
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def child(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run the program in a process of its own."""
        process = self.start(text)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def outcome(self) -> Outcome:
        document: Outcome = json.loads(self.folder.outcome_file(1).read_text())
        return document

    @property
    def result(self) -> Any:
        return read_result(json.loads(self.folder.results_file.read_text()))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "job")


# ---- returned


def test_a_result_is_written_before_the_outcome(job: Job) -> None:
    assert job.run("def vqe(ctx, n: int, bond: float = 0.5):\n    return {'n': n, 'bond': bond}", {"n": 3}) == 0
    assert job.result == {"n": 3, "bond": 0.5}
    assert {name: value for name, value in job.outcome.items() if name not in ("packages", "platform")} == {
        "ended": "returned",
        "error": "",
        "error_type": "",
        "frames": [],
        "engine": None,
        "problems": [],
        "quantum_tasks": {"executed": 0, "replayed": 0},
    }
    assert job.folder.results_file.stat().st_mtime_ns <= job.folder.outcome_file(1).stat().st_mtime_ns


def test_quantum_tasks_and_the_engine_are_told(job: Job) -> None:
    text = (
        "from qloom.circuits import Circuit\ndef vqe(ctx):\n    return sum(ctx.device.run(Circuit(1), shots=5).counts.values())"
    )
    assert job.run(text) == 0
    assert (job.result, job.outcome["engine"], job.outcome["quantum_tasks"]) == (5, "toss", {"executed": 1, "replayed": 0})


@pytest.mark.parametrize("value", ["None", "[1, 2.5, 'a']", "'text'", "float('nan')", "{'__array__': 3}"])
def test_any_json_value_is_a_result(job: Job, value: str) -> None:
    assert job.run(f"def vqe(ctx):\n    return {value}") == 0
    assert repr(job.result) == repr(eval(value))


def test_arrays_are_results(job: Job) -> None:
    assert job.run("import numpy as np\ndef vqe(ctx):\n    return {'theta': np.eye(2)}") == 0
    assert np.array_equal(job.result["theta"], np.eye(2))


def test_programs_and_rich_arguments_are_rebuilt(job: Job) -> None:
    text = """
from dataclasses import dataclass
from qloom.programs.definition import ProgramDefinition

@dataclass
class Layer:
    depth: int

@ProgramDefinition
def vqe(ctx, layers: list[Layer], name: str = "x"):
    return [type(layer).__name__ for layer in layers] + [name]
"""
    assert job.run(text, {"layers": [{"depth": 1}]}) == 0
    assert job.result == ["Layer", "x"]


def test_an_async_program_is_run_to_its_end(job: Job) -> None:
    text = """
import asyncio
from qloom.circuits import Circuit

async def ask(ctx, name):
    with ctx.lane(name):
        await asyncio.sleep(0)
        return sum(ctx.device.run(Circuit(1), shots=3).counts.values())

async def vqe(ctx):
    first = ctx.device.run(Circuit(1), shots=3).shots
    return [first, *await asyncio.gather(ask(ctx, "a"), ask(ctx, "b"))]
"""
    assert job.run(text) == 0
    assert job.result == [3, 3, 3]


def test_a_package_with_relative_imports_runs(job: Job) -> None:
    job.write("", entry="job_pack.__init__:x")
    (job.folder.source / "job_pack" / "tools.py").write_text("N = 4")
    assert job.run("from .tools import N\ndef vqe(ctx):\n    return N", entry="job_pack.main:vqe") == 0
    assert job.result == 4


def test_the_process_is_as_a_program_expects_it(job: Job) -> None:
    before = sys.path[:], sys.argv[:]
    text = "import os, sys\ndef vqe(ctx):\n    return [sys.path[0], sys.argv[1:], os.environ['QLOOM_JOB_ID']]"
    assert job.run(text) == 0
    assert job.result == [str(job.folder.source), [], job.folder.path.name]
    assert (sys.path, sys.argv, "QLOOM_JOB_ID" in os.environ) == (*before, False)


def test_lines_of_the_programs_logger_are_shown(job: Job) -> None:
    done = job.child("def vqe(ctx):\n    ctx.logger.info('converged after %d steps', 3)\n    print('printed')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "printed\n", "INFO converged after 3 steps\n")


# ---- raised


def test_an_exception_is_told_with_the_users_own_frames(job: Job) -> None:
    text = "import json\ndef load(text):\n    return json.loads(text)\ndef vqe(ctx):\n    return load('{')\n"
    done = job.child(text)
    assert done.returncode == 1
    assert (job.outcome["ended"], job.outcome["error_type"]) == ("raised", "JSONDecodeError")
    assert job.outcome["error"].startswith("JSONDecodeError: Expecting property name")
    assert job.outcome["frames"] == ["job_vqe.py:5 in vqe: return load('{')", "job_vqe.py:3 in load: return json.loads(text)"]
    assert "Traceback" in done.stderr
    assert "runner.py" not in done.stderr
    assert not job.folder.results_file.exists()


@pytest.mark.parametrize(
    ("text", "error_type", "frame"),
    [
        ("import nothing_like_it\n", "ModuleNotFoundError", "job_vqe.py:1 in <module>: import nothing_like_it"),
        ("x = 1\ndef vqe(ctx:\n", "SyntaxError", "job_vqe.py:2 in <module>: def vqe(ctx:"),
        ("def vqe(ctx):\n    import sys; sys.exit(3)\n", "SystemExit", "job_vqe.py:2 in vqe: import sys; sys.exit(3)"),
        ("def vqe(ctx):\n    raise MemoryError\n", "MemoryError", "job_vqe.py:2 in vqe: raise MemoryError"),
        ("async def vqe(ctx):\n    1 / 0\n", "ZeroDivisionError", "job_vqe.py:2 in vqe: 1 / 0"),
        ("def vqe(ctx):\n    raise GeneratorExit\n", "GeneratorExit", "job_vqe.py:2 in vqe: raise GeneratorExit"),
    ],
)
def test_whatever_a_program_raises_is_how_it_ended(job: Job, text: str, error_type: str, frame: str) -> None:
    assert job.run(text) == 1
    assert (job.outcome["ended"], job.outcome["error_type"], job.outcome["frames"]) == ("raised", error_type, [frame])


THREADS = """
import threading, time
def work():
    time.sleep(0.05)
    raise ValueError("boom")
def vqe(ctx):
    thread = threading.Thread(target=work, name="optimiser")
    thread.start()
    {then}
    return 1
"""


@pytest.mark.parametrize("then", ["thread.join()", "pass"], ids=["joined", "left running"])
def test_an_exception_in_a_thread_fails_the_job(job: Job, then: str) -> None:
    done = job.child(THREADS.format(then=then))
    assert done.returncode == 1
    assert (job.outcome["ended"], job.outcome["error"]) == ("raised", "ValueError: boom (raised in thread 'optimiser')")
    assert job.outcome["frames"] == ['job_vqe.py:5 in work: raise ValueError("boom")']
    assert done.stderr.count("Traceback") == 1
    assert not job.folder.results_file.exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_programs_own_exception_comes_before_a_threads(job: Job) -> None:
    assert job.run(THREADS.format(then="thread.join(); 1 / 0")) == 1
    assert job.outcome["error_type"] == "ZeroDivisionError"
    assert job.outcome["problems"] == ["thread 'optimiser' also failed: ValueError: boom"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_call_outside_any_lane_fails_with_the_advice(job: Job) -> None:
    text = """
import threading
from qloom.circuits import Circuit
def vqe(ctx):
    thread = threading.Thread(target=ctx.device.run, args=(Circuit(1),), name="stray")
    thread.start()
    thread.join()
    return 1
"""
    assert job.run(text) == 1
    assert (job.outcome["ended"], job.outcome["error_type"]) == ("refused", "Misuse")
    assert "this call comes from thread 'stray' outside any lane" in job.outcome["error"]


def test_idle_workers_of_a_pool_do_not_hold_the_job_up(job: Job) -> None:
    text = """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
def vqe(ctx):
    return pool.submit(int, "3").result()
"""
    assert job.child(text).returncode == 0
    assert job.result == 3


# ---- refused


@pytest.mark.parametrize(
    ("text", "parameters", "error_type", "said"),
    [
        ("def vqe(ctx):\n    return object()", {}, "NoResult", "result is a builtins.object"),
        ("def vqe(ctx):\n    x = []\n    x.append(x)\n    return x", {}, "NoResult", "contains itself"),
        ("def vqe(ctx):\n    raise SystemExit", {}, "NoResult", "exited without a result; it called exit at job_vqe.py:2 in vqe"),
        ("import sys\nsys.exit(0)", {}, "NoResult", "exited without a result; it called exit at job_vqe.py:2 in <module>"),
        ("def vqe(ctx, n: int): ...", {"n": "x"}, "InvalidParameters", "n must be an integer, got 'x'"),
        ("def vqe(ctx, n: int): ...", {}, "InvalidParameters", "n is missing"),
        ("def other(ctx): ...", {}, "UnknownName", "no program in job_vqe called 'vqe'"),
        ("def vqe(n): ...", {}, "InvalidProgram", "no context parameter"),
        ("def vqe(ctx):\n    ctx.device.run(3, shots=0)", {}, "AttributeError", ""),
        ("def vqe(ctx):\n    ctx.log_metric('a', 'b')", {}, "Misuse", "metric a must be a real number, got 'b'"),
    ],
)  # fmt: skip
def test_what_qloom_refuses_is_told_by_its_name(job: Job, text: str, parameters: Any, error_type: str, said: str) -> None:
    assert job.run(text, parameters) == 1
    assert (job.outcome["ended"], job.outcome["error_type"]) == (
        "raised" if error_type == "AttributeError" else "refused",
        error_type,
    )
    assert said in job.outcome["error"]


def test_an_error_before_the_context_is_there_is_told_too(job: Job) -> None:
    job.write("def vqe(ctx): ...")

    def broken() -> Context:
        raise CorruptRecord("journal/1-program.seg: 3 bytes are missing")

    assert run_program(job.folder, 1, broken) == 1
    assert (job.outcome["ended"], job.outcome["error_type"]) == ("refused", "CorruptRecord")


def test_a_divergence_inside_tasks_is_told_as_such(job: Job) -> None:
    text = """
import asyncio, os
from qloom.circuits import Circuit
async def one(ctx, shots):
    with ctx.lane("a"):
        ctx.device.run(Circuit(1), shots=shots)
async def vqe(ctx):
    async with asyncio.TaskGroup() as group:
        group.create_task(one(ctx, 3 if ctx.attempt == 1 else 4))
"""
    assert job.run(text) == 0
    assert run(job.folder.path, 2) == 1
    outcome = json.loads(job.folder.outcome_file(2).read_text())
    assert (outcome["ended"], outcome["error_type"]) == ("refused", "Divergence")
    assert "shots" in outcome["error"]


# ---- when even that cannot be said


def test_an_outcome_that_cannot_be_written_is_said_on_standard_error(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.write("def vqe(ctx):\n    return 1")
    job.folder.attempt(1).parent.write_text("a file where the folder should be")
    assert run(job.folder.path) == 3
    assert "qloom: the program returned (no error), but cannot write" in capsys.readouterr().err


def test_a_result_that_cannot_be_written_fails_the_job(job: Job) -> None:
    job.write("def vqe(ctx):\n    return 1")
    job.folder.results.write_text("a file where the folder should be")
    assert run(job.folder.path) == 1
    assert (job.outcome["ended"], job.outcome["error_type"]) == ("refused", "StorageFailed")


def test_an_interrupt_is_left_to_the_supervisor(job: Job) -> None:
    process = job.start("import time\ndef vqe(ctx):\n    print('ready', flush=True)\n    time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert not job.folder.outcome_file(1).exists()


def wait_until(true: Callable[[], bool], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_program_is_replayed_by_the_next_attempt(job: Job) -> None:
    text = """
import time
from qloom.circuits import Circuit
def vqe(ctx):
    seen = []
    for step in ctx.progress(range(5)):
        seen.append(ctx.device.run(Circuit(1), shots=100).counts)
        if step == 3 and ctx.attempt == 1:
            print("ready", flush=True)
            time.sleep(60)
    return seen
"""
    process = job.start(text)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=60)
    wait_until(lambda: not job.folder.outcome_file(1).exists())
    assert run(job.folder.path, 2) == 0
    outcome = json.loads(job.folder.outcome_file(2).read_text())
    assert outcome["quantum_tasks"] == {"executed": 1, "replayed": 4}
    assert len(job.result) == 5
