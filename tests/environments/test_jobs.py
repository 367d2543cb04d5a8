"""Jobs in environments of their own: submitted, called, resumed, and run from the command line.

One home for all: the environment is built once, as it is for a user.
"""

import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

import qloom
from qloom.app import Application, application
from qloom.cli import main
from qloom.environments import INSIDE, LOCK
from qloom.errors import CorruptRecord, InvalidProgram, InvalidSetting, Misuse
from qloom.jobspecs import JobState
from qloom.kit.sandbox import sandbox_problem
from tests.cli.conftest import Answer
from tests.environments.conftest import ONLY_THERE

PROGRAM = f"""
import sys
import qloom


@qloom.program
def where(ctx: qloom.Context, fail_first: bool = False) -> dict:
    if fail_first and ctx.attempt == 1:
        raise RuntimeError("the first attempt fails")
    import {ONLY_THERE}
    counts = ctx.device.run(qloom.Circuit(1).x(0), shots=5).counts
    return {{"prefix": sys.prefix, "file": {ONLY_THERE}.__file__, "counts": counts}}
"""
HEADER = f'# /// script\n# dependencies = ["{ONLY_THERE}"]\n# ///\n'
IMPORTS_AT_THE_TOP = f"import {ONLY_THERE}\n"


Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert importlib.util.find_spec(ONLY_THERE) is None, "choose a package that is not installed here"
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def app(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    monkeypatch.setenv("QLOOM_HOME", str(home))
    application.cache_clear()
    yield application()
    application.cache_clear()


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    return load(tmp_path / "where_it_runs.py", PROGRAM)


def load(path: Path, text: str) -> ModuleType:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def command(app: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line inside this process, for what ends before it would start again elsewhere."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(arguments))
        return Answer(code, out.getvalue(), err.getvalue())

    return run


def run_command(home: Path, folder: Path, *arguments: str, **variables: str) -> Answer:
    environment = {**os.environ, "QLOOM_HOME": str(home), "COLUMNS": "200", **variables}
    command = [sys.executable, "-m", "qloom", *arguments]
    done = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_a_submitted_program_runs_in_the_environment_it_asks_for(app: Application, module: ModuleType) -> None:
    job = module.where.with_options(requirements=[ONLY_THERE]).submit()
    result = job.result(timeout_s=60)
    assert result["prefix"].startswith(str(app.settings.home / "environments"))
    assert result["counts"] == {"1": 5}
    recorded = job.details()["environment"]
    assert recorded["requirements"] == [ONLY_THERE]
    assert {ONLY_THERE, "numpy"} <= set(recorded["packages"])
    assert recorded["lock_digest"] in (job.folder.path / "job.json").read_text()
    assert f"{ONLY_THERE}==" in (job.folder.path / LOCK).read_text()


def test_the_header_of_its_file_is_enough(app: Application, tmp_path: Path) -> None:
    loaded = load(tmp_path / "with_header.py", HEADER + PROGRAM)
    first, second = loaded.where.submit(), loaded.where.with_options(requirements=[ONLY_THERE]).submit()
    assert first.result(timeout_s=60)["prefix"] == second.result(timeout_s=60)["prefix"]


def test_a_program_that_asks_for_nothing_runs_here(app: Application, module: ModuleType) -> None:
    job = module.where.submit(fail_first=True)
    assert job.details()["environment"] == {}
    assert not (job.folder.path / LOCK).exists()
    job.cancel()


def test_an_import_that_nobody_asked_for_is_said_before_anything_is_queued(app: Application, module: ModuleType) -> None:
    before = len(qloom.jobs())
    with pytest.raises(InvalidSetting, match=rf"imports {ONLY_THERE}, which its environment .* does not have: add the packages"):
        module.where.with_options(requirements=["iniconfig"]).submit()
    with pytest.raises(InvalidSetting, match="cannot be resolved"):
        module.where.with_options(requirements=["six>=99"]).submit()
    assert len(qloom.jobs()) == before


@pytest.mark.skipif(bool(sandbox_problem()), reason="no sandbox on this machine")
def test_a_sandbox_shows_the_environment(app: Application, module: ModuleType) -> None:
    job = module.where.with_options(requirements=[ONLY_THERE], sandbox=True).submit()
    assert job.result(timeout_s=60)["prefix"].startswith(str(app.settings.home / "environments"))


def test_an_import_that_a_program_can_live_without_is_no_mismatch(app: Application, tmp_path: Path) -> None:
    text = PROGRAM.replace("@qloom", "try:\n    import no_such_module\nexcept ImportError:\n    pass\n\n@qloom", 1)
    loaded = load(tmp_path / "with_guard.py", text)
    assert loaded.where.with_options(requirements=[ONLY_THERE]).submit().result(timeout_s=60)["counts"] == {"1": 5}


def test_a_plain_call_says_what_this_process_lacks(app: Application, module: ModuleType) -> None:
    with pytest.raises(Misuse, match=rf"asks for {ONLY_THERE}, and in .* it is not installed: uv pip install .* Or submit it"):
        module.where.with_options(requirements=[ONLY_THERE])()
    with pytest.raises(Misuse, match=r"asks for Python 3\.99"):
        module.where.with_options(resources=qloom.Resources(python="3.99"))()


@pytest.mark.parametrize("value", ["six", 5, [1], [""], Path("requirements.toml")])
def test_requirements_that_are_no_list_and_no_file_are_refused(module: ModuleType, value: object) -> None:
    with pytest.raises(InvalidSetting, match="option requirements must be a list"):
        module.where.with_options(requirements=value)


def test_a_job_goes_on_after_its_environment_was_removed(app: Application, module: ModuleType) -> None:
    job = module.where.with_options(requirements=[ONLY_THERE]).submit(fail_first=True)
    while not (state := job.state()).ended:
        app.wait(job.folder, 1.0)
    assert state is JobState.FAILED
    shutil.rmtree(app.settings.home / "environments")
    result = job.resume().result(timeout_s=90)
    assert Path(result["file"]).is_relative_to(result["prefix"])
    assert job.status().attempt == 2


def test_a_job_whose_lock_was_changed_too_is_not_resumed(app: Application, module: ModuleType) -> None:
    job = module.where.with_options(requirements=[ONLY_THERE]).submit(fail_first=True)
    while not job.state().ended:
        app.wait(job.folder, 1.0)
    aside = app.settings.home / "aside"
    (app.settings.home / "environments").rename(aside)
    (job.folder.path / LOCK).write_text("six==1.17.0\n")
    with pytest.raises(CorruptRecord, match="the file was changed"):
        job.resume()
    aside.rename(app.settings.home / "environments")
    assert (job.state(), job.status().attempt) == (JobState.FAILED, 1)


# --- the command line


def test_a_file_that_imports_what_only_its_environment_has_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "vqe.py").write_text(HEADER + IMPORTS_AT_THE_TOP + PROGRAM)
    first, second = (run_command(home, tmp_path, "run", "vqe.py", "--json") for _ in range(2))
    assert (first.code, first.json["state"]) == (0, "COMPLETED"), first.err
    assert first.out.count("\n") == 1
    assert re.search(r"^building environment \w{8} \(\d+ packages, Python 3", first.err, re.MULTILINE)
    assert Path(first.json["result"]["prefix"]).is_relative_to(home)
    assert second.json["result"]["prefix"] == first.json["result"]["prefix"]
    assert second.err == ""


def test_a_decorator_and_a_requirements_file_are_read_before_the_program_is_imported(home: Path, tmp_path: Path) -> None:
    decorated = PROGRAM.replace("@qloom.program", '@qloom.program(requirements="requirements.txt")')
    (tmp_path / "vqe.py").write_text(IMPORTS_AT_THE_TOP + decorated)
    (tmp_path / "requirements.txt").write_text(f"{ONLY_THERE}\n")
    answer = run_command(home, tmp_path, "run", "vqe.py", "--dry-run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["environment"]["asked_by"] == {"requirements": "the options of vqe (requirements.txt)"}
    assert answer.json["environment"]["requirements"] == [ONLY_THERE]


def test_the_command_line_wins_and_says_so(home: Path, tmp_path: Path) -> None:
    (tmp_path / "vqe.py").write_text(HEADER.replace(ONLY_THERE, "qloom-no-such-package") + IMPORTS_AT_THE_TOP + PROGRAM)
    (tmp_path / "mine.txt").write_text(f"{ONLY_THERE}\n")
    answer = run_command(home, tmp_path, "run", "vqe.py", "--requirements", "mine.txt", "--dry-run")
    assert answer.code == 0, answer.err
    assert "asked for by --requirements (mine.txt)" in answer.out


@pytest.mark.parametrize(
    ("header", "arguments", "said"),
    [
        ('# dependencies = ["six>=99"]', [], "the requirements of the header of vqe.py cannot be resolved"),
        ('# dependencies = ["six"', [], "vqe.py, header in line 1: no TOML"),
        ('# requires-python = "<3.9"', [], "the header of vqe.py requires Python <3.9, and qloom runs on"),
        ("# dependencies = []", ["--python", "/nowhere/python"], "the interpreter /nowhere/python does not start"),
        ("# dependencies = []", ["--python", "3.99"], "--python asks for Python 3.99, and qloom runs on"),
        ("# dependencies = []", ["--requirements", "gone.txt"], "gone.txt cannot be read"),
    ],
)
def test_what_is_wrong_is_one_json_document_and_exit_code_2(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str, arguments: list[str], said: str
) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    (tmp_path / "vqe.py").write_text(f"# /// script\n{header}\n# ///\n" + PROGRAM)
    answer = command("run", "vqe.py", "--json", *arguments)
    assert answer.code == 2, answer.err
    assert said in answer.json["error"]["message"]
    assert answer.json["job_id"] is None


def test_a_command_that_was_started_again_in_the_wrong_place_does_not_go_round(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vqe.py").write_text(HEADER + PROGRAM)
    monkeypatch.setenv(INSIDE, "0" * 32)
    answer = command("run", "vqe.py")
    assert answer.code == 2
    assert "so that it is built again" in " ".join(answer.err.split())


def test_doctor_tells_about_uv_and_what_was_built(command: Command, home: Path) -> None:
    findings = {one["what"]: one for one in command("doctor", "--json").json}
    assert findings["environments"]["level"] == "ok"
    assert str(home / "environments") in findings["environments"]["text"]


def test_a_file_that_is_no_python_is_still_said_to_be_none(home: Path, tmp_path: Path) -> None:
    (tmp_path / "vqe.py").write_text(HEADER + "def broken(:\n")
    answer = run_command(home, tmp_path, "run", "vqe.py")
    assert answer.code == InvalidProgram.exit_code
    assert "vqe.py, line 4" in answer.err
    assert "Traceback" not in answer.err
