"""Jobs in a sandbox: the contract of every executor, and what a program cannot reach from in there."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import qloom
from qloom.app import Application
from qloom.cli.doctor import examine
from qloom.config import Settings
from qloom.contracts import Executor
from qloom.errors import Misuse, Rejected, Unsupported
from qloom.executors.local import LocalExecutor
from qloom.jobspecs import JobSpec, JobState
from qloom.kit.files import read_json, write_json
from qloom.kit.job_folder import JobFolder
from qloom.kit.processes import is_running, marked
from qloom.kit.sandbox import python_paths, sandbox_problem
from qloom.kit.values import read_result
from qloom.limits import Resources
from qloom.testing.executor_contract import (
    ExecutorContract,
    MakeJob,
    make_script_job,
    once,
    once_ended,
    once_told,
    run,
    submit,
)
from tests.executors.conftest import starting, supervised

PROBLEM = sandbox_problem()
needs_sandbox = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)


def make_sandboxed_job(
    home: Path, script: str, *, resources: Resources | None = None, detach: bool = False, inputs: dict[str, str] | None = None
) -> Path:
    folder = JobFolder(make_script_job(home, script, resources=resources, detach=detach))
    write_json(folder.spec_file, replace(folder.spec(), sandbox=True).to_json())
    for name, text in (inputs or {}).items():
        (folder.input / name).write_text(text)
    return folder.path


@pytest.fixture(params=["exec", "warm"])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalExecutor]:
    """A program in a bubblewrap of its own, and one that steps into walls that are there already."""
    with starting(request.param, tmp_path) as executor:
        yield executor


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    return partial(make_sandboxed_job, tmp_path)


def answer(executor: Executor, folder: Path) -> object:
    """What a script finished with."""
    status = run(executor, folder)
    assert status.state is JobState.COMPLETED, (status.error, JobFolder(folder).output_file(1).read_text())
    return read_json(JobFolder(folder).results_file)


TRIES = """
def fails(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "it works"
"""
DAEMON = "fork_twice(lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN), tell('daemon'), time.sleep(60)))\n"


@needs_sandbox
class TestContract(ExecutorContract):
    """Numbers of processes that a script tells are those inside; outside, the job's marker finds them."""

    def test_cancel_ends_daemons_that_ignore_term(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job(DAEMON + "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
        submit(executor, folder)
        once_told(folder, "daemon")
        assert len(marked(folder.name)) >= 2  # program and daemon; where they started for this job, supervisor and bubblewrap too
        assert executor.cancel(folder).state is JobState.CANCELLED
        assert once("the end of all", lambda: not any(map(is_running, marked(folder.name))))

    def test_nothing_is_left_of_a_killed_attempt_and_another_can_follow(self, executor: Executor, make_job: MakeJob) -> None:
        folder = make_job("if os.environ['QLOOM_ATTEMPT'] == '1':\n    " + DAEMON + "    time.sleep(60)\nfinish(2)")
        handle = submit(executor, folder)
        once_told(folder, "daemon")
        there = marked(folder.name)
        self.kill_attempt(handle)
        assert once("the end of all", lambda: not any(map(is_running, there)))  # by the kernel: nobody has looked yet
        status = once_ended(executor, folder)
        assert (status.state, status.reason) == (JobState.INTERRUPTED, "lost")
        assert run(executor, folder, attempt=2).state is JobState.COMPLETED


# ---- what it cannot reach ----------------------------------------------------------------------------------------------


@needs_sandbox
def test_nothing_outside_is_written(executor: LocalExecutor, make_job: MakeJob, tmp_path: Path) -> None:
    outside = [
        tmp_path / "elsewhere",
        Path("/usr/qloom-test"),
        Path("/qloom-test"),
        Path("/etc/qloom-test"),
        Path("/dev/qloom-test"),
    ]
    script = f"finish([fails(lambda: open(path, 'w').write('x')) for path in {list(map(str, outside))}])"
    assert set(answer(executor, make_job(TRIES + script))) <= {"OSError", "PermissionError"}  # type: ignore[call-overload]
    assert not any(path.exists() for path in outside)


@needs_sandbox
def test_tmp_is_its_own(executor: LocalExecutor, make_job: MakeJob) -> None:
    name = f"/tmp/qloom-test-{os.getpid()}"
    assert answer(executor, make_job(f"open('{name}', 'w').write('x'); finish(os.environ['HOME'])")) == "/tmp"
    assert not Path(name).exists()


@needs_sandbox
def test_variables_of_the_caller_that_may_hold_keys_are_not_there(
    executor: LocalExecutor, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    names = "['AWS_SECRET_ACCESS_KEY', 'LC_ALL', 'HOME', 'QLOOM_ATTEMPT']"
    assert answer(executor, make_job(f"finish([os.environ.get(name) for name in {names}])")) == [None, "C.UTF-8", "/tmp", "1"]


SEARCHES = """
import hashlib
def is_there(memory):  # the key is known by its beginning and a digest: a search for all of it would find itself
    parts = memory.split(b"the-cats-")[1:]
    return any(hashlib.sha256(part[:8]).hexdigest() == DIGEST for part in parts)

def held():
    for number in ("self", "1"):
        if is_there(open(f"/proc/{number}/environ", "rb").read()):
            return f"/proc/{number}/environ"
    for row in open("/proc/self/maps").read().splitlines():
        where, rights = row.split()[:2]
        if rights.startswith("rw"):
            begin, end = (int(number, 16) for number in where.split("-"))
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(begin)
                if is_there(memory.read(end - begin)):
                    return row
    return "nowhere"

finish(held())
"""


@needs_sandbox
def test_keys_of_the_caller_are_nowhere_in_its_memory_either(
    executor: LocalExecutor, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-cats-whiskers")
    digest = hashlib.sha256(b"whiskers").hexdigest()
    assert answer(executor, make_job(f"DIGEST = {digest!r}\n{SEARCHES}")) == "nowhere"


@needs_sandbox
def test_what_the_next_attempt_believes_is_read_only(executor: LocalExecutor, tmp_path: Path) -> None:
    names = ["job.json", "status.json", "source/script.py", "input/data", "lease", "attempts/2", "new"]
    script = f"""
job = results.parent
finish([fails(lambda: (job / name).open("a")) for name in {names}] + [(job / "input/data").read_text()])
"""
    folder = make_sandboxed_job(tmp_path, TRIES + script, inputs={"data": "seven"})
    assert answer(executor, folder) == ["OSError"] * len(names) + ["seven"]


@needs_sandbox
def test_a_server_of_this_machine_cannot_be_reached(executor: LocalExecutor, make_job: MakeJob) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        socket.create_connection(address).close()
        script = f"import socket\nfinish(fails(lambda: socket.create_connection({address!r}, timeout=5)))"
        assert answer(executor, make_job(TRIES + script)) == "ConnectionRefusedError"


@needs_sandbox
def test_other_processes_are_not_seen(executor: LocalExecutor, make_job: MakeJob) -> None:
    seen = answer(executor, make_job("finish([name for name in os.listdir('/proc') if name.isdecimal()])"))
    assert seen == ["1", "2"]


@needs_sandbox
def test_the_home_folder_and_other_jobs_are_not_seen(
    executor: LocalExecutor, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_job("finish(1)")
    secret = tmp_path / "home" / "secret"
    secret.parent.mkdir()
    secret.write_text("x")
    monkeypatch.setenv("HOME", str(secret.parent))
    monkeypatch.setenv("PYTHONPATH", str(secret.parent))
    paths = [str(other / "job.json"), str(secret), "/root/.bashrc", "/etc/shadow", "/sys/fs/cgroup"]
    folder = make_job(f"finish([[path.exists() for path in map(pathlib.Path, {paths})], os.listdir(results.parent.parent)])")
    assert answer(executor, folder) == [[False] * len(paths), [folder.name]]


@needs_sandbox
def test_root_is_nobody_special_in_there(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = "finish([row.split()[1] for row in open('/proc/self/status') if row.startswith(('CapEff', 'CapBnd'))])"
    assert set(map(partial(int, base=16), answer(executor, make_job(script)))) == {0}  # type: ignore[call-overload]


# ---- limits, ends --------------------------------------------------------------------------------------------------------


@needs_sandbox
def test_the_processes_of_bubblewrap_do_not_count(executor: LocalExecutor, make_job: MakeJob) -> None:
    script = "if os.fork() == 0: time.sleep(60)\n{}"
    limits = Resources(processes=2)
    assert answer(executor, make_job(script.format("time.sleep(0.3); finish(1)"), resources=limits)) == 1
    folder = make_job(script.format("os.fork(); time.sleep(60)"), resources=limits)
    assert "3 processes at one time, the limit is 2" in run(executor, folder).error
    assert once("the end of all", lambda: not any(map(is_running, marked(folder.name))))


@needs_sandbox
def test_memory_is_bounded_and_so_are_files_in_memory(executor: LocalExecutor, make_job: MakeJob) -> None:
    limits = Resources(memory_mb=100)
    hoards = "hoard = []\nfor _ in range(60): hoard.append(b'x' * 10_000_000); time.sleep(0.01)\ntime.sleep(20)"
    assert run(executor, make_job(hoards, resources=limits)).error_type == "LimitExceeded"
    sizes = "finish([os.statvfs(path).f_blocks * os.statvfs(path).f_frsize for path in ('/tmp', '/dev/shm')])"
    assert answer(executor, make_job(sizes, resources=limits)) == [100 * 2**20] * 2


@needs_sandbox
def test_a_program_that_tidies_up_on_term_has_the_time_to(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job("signal.signal(signal.SIGTERM, lambda *_: (print('tidy'), sys.exit(3)))\ntell('here'); time.sleep(60)")
    submit(executor, folder)
    once_told(folder, "here")
    assert executor.cancel(folder).state is JobState.CANCELLED
    assert "out| tidy" in JobFolder(folder).output_file(1).read_text()


@needs_sandbox
def test_nothing_is_left_when_bubblewrap_itself_is_killed(executor: LocalExecutor, make_job: MakeJob) -> None:
    folder = make_job(DAEMON + "time.sleep(60)")
    submit(executor, folder)
    once_told(folder, "daemon")
    os.kill(read_json(JobFolder(folder).processes_file(1))["program"], signal.SIGKILL)
    status = once_ended(executor, folder)
    assert (status.state, status.reason) == (JobState.INTERRUPTED, "killed")
    assert once("the end of all", lambda: not any(map(is_running, marked(folder.name))))


@needs_sandbox
def test_a_group_that_the_program_made_up_is_not_ended(executor: LocalExecutor, make_job: MakeJob) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    script = f"""
    attempt = results.parent / "attempts" / "1"
    group = attempt / ("qloom-" + results.parent.name + "-1")
    group.mkdir()
    (group / "cgroup.procs").write_text("{bystander.pid}")
    (attempt / "processes.json").write_text(json.dumps({{"control_group": str(group)}}))
    tell("here")
    time.sleep(60)
    """
    folder = make_job(script)
    handle = submit(executor, folder)
    once_told(folder, "here")
    os.kill(int(handle.id), signal.SIGKILL)
    assert once_ended(executor, folder).reason == "lost"
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_fork_of_the_supervisor_is_never_a_sandboxed_program(make_job: MakeJob) -> None:
    folder = JobFolder(make_job("finish(1)"))
    code = f"""
from pathlib import Path
from qloom.executors.local_supervisor import supervise
from qloom.kit.job_folder import JobFolder, Lease
folder = JobFolder(Path({str(folder.path)!r}))
supervise(folder, 1, Lease.take(folder), lambda: print("it ran") or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "a fork of the supervisor cannot be in a sandbox" in done.stderr
    assert not folder.output_file(1).exists()


# ---- qloom's own programs ------------------------------------------------------------------------------------------------

PROGRAM = """
import os, time
import qloom

@qloom.program(seed=1, sandbox=True)
def coin(ctx: qloom.Context, shots: int = 10) -> dict:
    circuit = ctx.device.prepare(qloom.Circuit(1).h(0))
    first = circuit.run(shots=shots).counts
    if ctx.attempt == 1 and shots == 7:
        print("waiting")
        time.sleep(60)
    return {"counts": first, "pid": os.getpid(), "second": circuit.run(shots=shots).counts}
"""


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path / "home"))
    return Application(Settings.read())


@pytest.fixture
def coin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[qloom.Program]:
    (tmp_path / "coins.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    import coins  # type: ignore[import-not-found]

    yield coins.coin
    sys.modules.pop("coins")


@needs_sandbox
def test_a_program_completes_and_its_quantum_calls_are_journalled(application: Application, coin: qloom.Program) -> None:
    folder = application.submit(coin, {"shots": 10})
    status = once_ended(LocalExecutor(), folder.path)
    assert status.state is JobState.COMPLETED, folder.output_file(1).read_text()
    assert read_result(read_json(folder.results_file))["pid"] == 2
    assert read_json(folder.outcome_file(1))["quantum_tasks"] == {"executed": 2, "replayed": 0}


@needs_sandbox
def test_a_resumed_program_goes_on_from_its_journal_in_a_sandbox(application: Application, coin: qloom.Program) -> None:
    folder = application.submit(coin, {"shots": 7})
    once("the first answer", lambda: folder.output_file(1).exists() and "waiting" in folder.output_file(1).read_text())
    assert application.suspend(folder).state is JobState.INTERRUPTED
    application.resume(folder)
    assert once_ended(LocalExecutor(), folder.path).state is JobState.COMPLETED
    assert read_result(read_json(folder.results_file))["pid"] == 2
    assert read_json(folder.outcome_file(2))["quantum_tasks"] == {"executed": 1, "replayed": 1}


def test_a_plain_call_does_not_run_open_what_asks_for_a_sandbox(coin: qloom.Program) -> None:
    with pytest.raises(Misuse, match="asks for a sandbox, and a plain call runs in this process"):
        coin()
    assert sum(coin.with_options(sandbox=False)(shots=3)["counts"].values()) == 3


# ---- where there is none -------------------------------------------------------------------------------------------------


def test_it_is_refused_before_anything_is_written_where_bubblewrap_is_missing(
    application: Application, coin: qloom.Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Rejected, match=r"without one the job is not run: .*apt install bubblewrap"):
        application.submit(coin, {})
    assert list(application.store.jobs()) == []
    found = {finding.what: finding for finding in examine()}["sandbox"]
    assert (found.level, "apt install bubblewrap" in found.text) == ("note", True)


def test_it_is_refused_where_the_kernel_allows_no_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Rejected, match=r"No permissions .*kernel\.unprivileged_userns_clone=1"):
        LocalExecutor().check_sandbox()


def test_a_job_is_not_resumed_where_bubblewrap_is_missing(
    application: Application, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = JobFolder(make_sandboxed_job(tmp_path / "home" / "jobs", "finish(1)"))
    folder.write_status(replace(folder.recorded_status(), state=JobState.FAILED, attempt=1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Rejected, match="apt install bubblewrap"):
        application.resume(folder)
    assert not folder.attempt(2).exists()


def test_bubblewrap_that_vanished_since_the_check_fails_the_job(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    status = run(LocalExecutor(supervised("exec")), make_job("finish(1)"))
    assert (status.state, "cannot start" in status.error) == (JobState.FAILED, True)


def test_an_executor_without_a_sandbox_is_refused(
    application: Application, coin: qloom.Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Open:
        name = "open"

    monkeypatch.setattr(application, "executor", lambda name: Open())
    with pytest.raises(Unsupported, match="executor open has no sandbox"):
        application.submit(coin, {})


def test_records_of_jobs_from_before_are_read() -> None:
    document = JobSpec(job_id="x", program="p", entry_point="m:p", source_digest="").to_json()
    del document["sandbox"]
    assert JobSpec.from_json(document).sandbox is False


def test_a_path_of_python_above_the_home_folder_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "modules")])
    shown = python_paths([tmp_path / "home"])
    assert tmp_path / "modules" in shown
    assert tmp_path not in shown
