"""`qloom run` of plain Braket scripts, as a user meets it; with Braket's own SDK they run in tests/scripts."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from qloom.api.jobs import Job, job
from qloom.app import application
from qloom.errors import NoResult
from qloom.jobspecs import JobState
from qloom.kit.files import read_json
from qloom.kit.sandbox import sandbox_problem
from qloom.kit.waiting import pauses
from qloom.programs.definition import RunOptions
from qloom.programs.scripts import read_script
from tests.cli.conftest import Qloom
from tests.environments.conftest import ONLY_THERE

PRELUDE = """\
import json, os, pathlib, sys, time

def variable(name):
    return pathlib.Path(os.environ["AMZN_BRAKET_" + name])

def save(value):
    (variable("JOB_RESULTS_DIR") / "results.json").write_text(json.dumps(value))

hyperparameters = json.loads(variable("HP_FILE").read_text())
"""

LIMIT_S = 30.0


@pytest.fixture
def script(tmp_path: Path) -> Any:
    """Writes a script of that text behind the prelude and returns its name."""

    def write(text: str, name: str = "algo.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PRELUDE + text)
        return name

    return write


def only_job(home: Path) -> Job:
    (path,) = [path for path in (home / "jobs").iterdir() if not path.name.startswith(".")]
    return job(path.name)


def until(condition: Any) -> None:
    for pause in pauses("the test", LIMIT_S, longest_s=0.05):
        if condition():
            return
        import time

        time.sleep(pause)


# ---- a script that runs --------------------------------------------------------------------------------------------------


def test_a_script_that_knows_nothing_of_qloom_is_a_job_with_a_result(qloom: Qloom, script: Any) -> None:
    answer = qloom("run", script('save({"twice": 2 * int(hyperparameters["n"])})\n'), "-p", "n=21", "--json")
    assert (answer.code, answer.json["state"], answer.json["result"]) == (0, "COMPLETED", {"twice": 42})
    details = qloom("job", "show", answer.json["job_id"], "--json").json
    assert (details["program"], details["kind"], details["entry_point"], details["seed"]) == ("algo", "script", "algo", None)
    assert details["parameters"] == {"n": "21"}


def test_output_is_shown_and_the_result_printed(qloom: Qloom, script: Any) -> None:
    answer = qloom("run", script('print("working")\nsave(3)\n'))
    assert (answer.code, answer.out) == (0, "3\n")
    assert "working" in answer.err


def test_a_result_that_is_saved_as_plain_json_keeps_what_json_has_no_word_for(qloom: Qloom, script: Any) -> None:
    answer = qloom("run", script('save({"x": float("nan"), "y": {"__array__": 1}})\n'), "--json")
    assert answer.json["result"] == {"x": {"__number__": "nan"}, "y": {"__dict__": {"__array__": 1}}}
    result = job(answer.json["job_id"]).result()
    assert result["x"] != result["x"]
    assert result["y"] == {"__array__": 1}


def test_a_function_gets_hyperparameters_by_name_as_in_brakets_container(qloom: Qloom, script: Any) -> None:
    text = 'def start(n: int, angle: "float" = 0.5, word="x", *, more: str = "m"):\n    save([n, angle, word, more])\n'
    answer = qloom("run", script(text), "--entry", "algo:start", "-p", "n=3", "-p", "word=7", "--json")
    assert answer.json["result"] == [3, 0.5, "7", "m"]
    jobs = qloom("job", "list", "--json").json
    answer = qloom("run", f"{script(text)}:start", "-p", "n=three", "--json")
    assert (answer.code, answer.json["job_id"], qloom("job", "list", "--json").json) == (2, None, jobs)  # nothing was queued
    assert answer.json["error"]["type"] == "InvalidParameters"
    assert answer.json["error"]["message"] == "hyperparameter n must be int, as its parameter says, got 'three'"


def test_a_function_that_takes_none_of_them_is_called_plainly(qloom: Qloom, script: Any) -> None:
    answer = qloom("run", script("def start():\n    save(hyperparameters)\n"), "--entry", "algo:start", "-p", "n=3", "--json")
    assert answer.json["result"] == {"n": "3"}


def test_it_starts_in_a_copy_of_its_folder_which_it_cannot_spoil(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "algo" / "data").mkdir(parents=True)
    (tmp_path / "algo" / "data" / "graph.json").write_text("[1, 2]")
    text = """
def start():
    path = pathlib.Path("algo/data/graph.json")
    save(json.loads(path.read_text()))
    path.write_text("")
"""
    (tmp_path / "algo" / "train.py").write_text(PRELUDE + text)
    answer = qloom("run", "algo", "--entry", "algo.train:start", "--json")
    assert answer.json["result"] == [1, 2]
    assert (job(answer.json["job_id"]).folder.source / "algo" / "data" / "graph.json").read_text() == "[1, 2]"


def test_input_data_stands_below_the_input_folder_by_channel(qloom: Qloom, script: Any, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.txt").write_text("A")
    (tmp_path / "graph.json").write_text("G")
    text = (
        'root = variable("INPUT_DIR")\nsave({str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()})\n'
    )
    given = ["--input-data", "plain", "--input-data", "graph=graph.json"]
    assert qloom("run", script(text), *given, "--json").json["result"] == {"input/a.txt": "A", "graph/graph.json": "G"}


@pytest.mark.parametrize("device", ["local:pennylane/lightning.qubit", "arn:aws:braket:::device/quantum-simulator/amazon/sv1"])
def test_a_device_is_handed_through(qloom: Qloom, script: Any, device: str) -> None:
    text = 'save(os.environ["AMZN_BRAKET_DEVICE_ARN"])\n'
    assert qloom("run", script(text), "--device", device, "--json").json["result"] == device
    assert qloom("run", script(text), "--json").json["result"] == "local:none/none"


def test_metrics_that_are_printed_are_the_jobs_metrics(qloom: Qloom, script: Any) -> None:
    text = 'for i in range(3):\n    print(f"Metrics - timestamp={i}.5; energy={-i}; iteration_number={i};")\nsave(1)\n'
    answer = qloom("run", script(text), "--json")
    found = qloom("job", "metrics", answer.json["job_id"], "--json").json
    assert [(item["name"], item["value"], item["step"], item["timestamp"]) for item in found] == [
        ("energy", 0.0, 0, 0.5),
        ("energy", -1.0, 1, 1.5),
        ("energy", -2.0, 2, 2.5),
    ]


def test_metrics_behind_the_outputs_limit_and_without_a_line_end_are_kept(qloom: Qloom, script: Any) -> None:
    text = 'print("x" * 11_000_000)\nprint("Metrics - late=1;")\nprint("Metrics - last=2;", end="")\nsave(1)\n'
    answer = qloom("run", script(text), "--json")
    found = qloom("job", "metrics", answer.json["job_id"], "--json").json
    assert [(item["name"], item["value"]) for item in found] == [("late", 1.0), ("last", 2.0)]


def test_a_dry_run_says_what_would_travel_and_starts_nothing(qloom: Qloom, script: Any, home: Path) -> None:
    answer = qloom("run", script("import numpy\nsave(1)\n"), "-p", "n=1", "--dry-run", "--json")
    said = answer.json
    assert (said["kind"], said["entry_point"], list(said["files"]), said["packages"]) == (
        "script",
        "algo",
        ["algo.py"],
        ["numpy"],
    )
    assert (said["python"], said["parameters"], said["device"]) == (sys.executable, {"n": "1"}, "local:none/none")
    assert not home.exists()


def test_a_detached_script_goes_on_and_a_report_is_written(qloom: Qloom, script: Any, tmp_path: Path) -> None:
    name = script('print("Metrics - energy=1; iteration_number=0;")\nsave({"energy": 1})\n')
    started = qloom("run", name, "--detach", "--json")
    assert job(started.json["job_id"]).result(timeout_s=LIMIT_S) == {"energy": 1}
    assert qloom("run", name, "--report", "report.html").code == 0
    assert "energy" in (tmp_path / "report.html").read_text()


def test_a_script_runs_in_the_interpreter_that_is_named(qloom: Qloom, script: Any, tmp_path: Path) -> None:
    python = tmp_path / ".environments" / "mine" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / ".environments" / "mine" / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
    name = script("save([sys.executable, sys.prefix, sys.path[0]])\n")
    for given in (["--environment", "mine"], ["--python", ".environments/mine/bin/python"]):
        answer = qloom("run", name, *given, "--json")
        folder = job(answer.json["job_id"]).folder
        assert answer.json["result"] == [str(python), str(python.parents[1]), str(folder.source)]
        assert folder.spec().python == str(python)


def pythons() -> list[str]:
    """Pythons of other versions that are here, the oldest and the newest; else this one."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"), key=lambda path: int(path.parts[-3].split(".")[1]))
    others = [str(path) for path in kept if int(path.parts[-3].split(".")[1]) >= 9]
    return list(dict.fromkeys([*others[:1], *others[-1:]])) or [sys.executable]


@pytest.mark.parametrize("python", pythons())
def test_any_python_from_3_9_on_can_run_scripts(qloom: Qloom, script: Any, python: str) -> None:
    text = "import threading\nthreading.Thread(target=lambda: 1 / 0, name='t').start()\nsave(list(sys.version_info[:2]))\n"
    answer = qloom("run", script(text), "--python", python, "--json")
    assert answer.json["state"] == "COMPLETED"
    assert qloom("job", "show", answer.json["job_id"], "--json").json["problems"] == [
        "thread 't' failed: ZeroDivisionError: division by zero"
    ]


@pytest.mark.skipif(bool(sandbox_problem()), reason="this machine lets nobody make a sandbox")
def test_a_script_in_a_sandbox_sees_its_interpreter_and_saves_its_result(qloom: Qloom, script: Any, home: Path) -> None:
    seen = f'[os.getpid() < 10, pathlib.Path("{home.parent}", "algo.py").exists(), numpy.ones(2).sum()]'
    text = f'import numpy\nsave({seen})\nprint("Metrics - a=1;")\n'
    answer = qloom("run", script(text), "--sandbox", "--python", sys.executable, "--json")
    assert answer.json["result"] == [True, False, 2.0]
    assert len(qloom("job", "metrics", answer.json["job_id"], "--json").json) == 1


def test_processes_of_a_script_may_be_spawned(qloom: Qloom, script: Any) -> None:
    text = """
def double(n):
    return 2 * n

if __name__ == "__main__":
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        save(pool.map(double, [1, 2]))
"""
    assert qloom("run", script(text), "--json").json["result"] == [2, 4]


def test_packages_that_are_asked_for_are_built_into_an_environment_without_qloom(
    qloom: Qloom, script: Any, tmp_path: Path
) -> None:
    (tmp_path / "packages.txt").write_text(f"{ONLY_THERE}\n")
    asks = "import importlib.util\nsave([importlib.util.find_spec(name) is not None for name in ('peppercorn', 'qloom')])\n"
    name = script(f"import {ONLY_THERE}\n{asks}")
    answer = qloom("run", name, "--requirements", "packages.txt", "--json")
    assert answer.json["result"] == [True, False]
    assert job(answer.json["job_id"]).details()["environment"]["requirements"] == [ONLY_THERE]
    (tmp_path / name).write_text(f'# /// script\n# dependencies = ["{ONLY_THERE}"]\n# ///\n' + (tmp_path / name).read_text())
    assert qloom("run", name, "--json").json["result"] == [True, False]


def test_scripts_that_follow_each_other_may_share_a_supervisor(qloom: Qloom, script: Any) -> None:
    text = 'print(f"Metrics - n={hyperparameters[\'n\']};")\nsave(int(hyperparameters["n"]))\n'
    read, app = read_script(Path(script(text))), application()
    started = [
        Job(app.launch_script(read, given, RunOptions()).start(given)) for given in ({"n": str(number)} for number in range(5))
    ]
    assert [one.result(timeout_s=LIMIT_S) for one in started] == list(range(5))
    assert [[metric["value"] for metric in one.metrics()] for one in started] == [[number] for number in range(5)]


def test_a_script_waits_for_its_threads_but_not_for_an_idle_pool(qloom: Qloom, script: Any) -> None:
    text = """
import concurrent.futures, threading
pool = concurrent.futures.ThreadPoolExecutor(1)
pool.submit(print, "in a pool").result()
threading.Thread(target=lambda: (time.sleep(0.3), save("late"))).start()
"""
    assert qloom("run", script(text), "--json").json["result"] == "late"


# ---- how a script ends -----------------------------------------------------------------------------------------------------


def ended(qloom: Qloom, name: str, *arguments: str) -> tuple[str, dict[str, Any]]:
    answer = qloom("run", name, *arguments, "--json")
    assert answer.code == (0 if answer.json["state"] == "COMPLETED" else 1)
    return answer.json["state"], answer.json["error"] or {}


def test_a_failure_is_told_with_the_scripts_own_traceback(qloom: Qloom, script: Any) -> None:
    text = "def deep(values):\n    return values['nowhere']\n\n\ndeep({})\n"
    answer = qloom("run", script(text), "--json")
    error = answer.json["error"]
    assert (error["type"], error["message"]) == ("KeyError", "KeyError: 'nowhere'")
    assert [frame.partition(":")[0] for frame in error["frames"]] == ["algo.py", "algo.py"]
    assert error["frames"][-1].endswith("in deep: return values['nowhere']")
    log = "\n".join(job(answer.json["job_id"]).logs())
    assert "Traceback (most recent call last)" in log
    assert "runpy" not in log
    assert "script_start" not in log


def test_arithmetic_on_a_hyperparameter_is_told_that_they_are_strings(qloom: Qloom, script: Any) -> None:
    state, error = ended(qloom, script('angle = hyperparameters["angle"] / 2\n'), "-p", "angle=0.5")
    assert (state, error["type"]) == ("FAILED", "TypeError")
    assert error["message"].endswith("(hyperparameters are strings, as on Braket; convert with int() or float())")


def test_another_type_error_is_told_as_it_is(qloom: Qloom, script: Any) -> None:
    _, error = ended(qloom, script("len(3)\n"), "-p", "angle=0.5")
    assert error["message"] == "TypeError: object of type 'int' has no len()"


@pytest.mark.parametrize("end", ["", "sys.exit(0)\n", "def main():\n    return {'energy': 1}\n"])
def test_a_script_that_saved_nothing_is_never_a_success(qloom: Qloom, script: Any, end: str) -> None:
    arguments = ["--entry", "algo:main"] if "main" in end else []
    state, error = ended(qloom, script(end or "print('done')\n"), *arguments)
    assert (state, error["type"]) == ("FAILED", "NoResult")
    assert "exited 0 without having saved a result; call braket.jobs.save_job_result(...)" in error["message"]
    assert ("its function returned a dict, which Braket drops" in error["message"]) == bool(arguments)


def test_a_result_in_the_wrong_folder_is_named(qloom: Qloom, script: Any) -> None:
    _, error = ended(qloom, script('pathlib.Path("results.json").write_text("{}")\n'))
    assert error["message"].endswith("it left results.json in the folder where it started, where no result is looked for")


def test_other_files_in_the_place_of_a_result_complete_the_job_without_one(qloom: Qloom, script: Any) -> None:
    answer = qloom("run", script('(variable("JOB_RESULTS_DIR") / "plot.svg").write_text("<svg/>")\n'))
    assert (answer.code, answer.out) == (0, "null\n")
    assert "no result was saved; the script left these files in its results folder: plot.svg" in answer.err.replace("\n", " ")
    done = job(qloom("job", "list", "--json").json[0]["job_id"])
    assert done.state() is JobState.COMPLETED
    with pytest.raises(NoResult, match=r"COMPLETED without a result; in .*results: plot\.svg"):
        done.result()


def test_a_result_that_is_half_written_does_not_count(qloom: Qloom, script: Any) -> None:
    state, error = ended(qloom, script('(variable("JOB_RESULTS_DIR") / "results.json").write_text(\'{"x": \')\n'))
    assert (state, error["type"]) == ("FAILED", "NoResult")
    assert error["message"].startswith("results/results.json is no JSON")


def test_a_script_that_leaves_by_the_back_door_is_told_so(qloom: Qloom, script: Any) -> None:
    state, error = ended(qloom, script("save(1)\nos._exit(0)\n"))
    assert (state, error["type"], "os._exit" in error["message"]) == ("FAILED", "NoResult", True)


@pytest.mark.parametrize(
    ("end", "message"),
    [("sys.exit(3)", "the script exited with code 3"), ("sys.exit('no convergence')", "the script exited: no convergence")],
)
def test_an_exit_code_is_a_failure_even_with_a_result(qloom: Qloom, script: Any, end: str, message: str) -> None:
    state, error = ended(qloom, script(f"save(1)\n{end}\n"))
    assert (state, error["type"], error["message"]) == ("FAILED", "SystemExit", message)


def test_a_name_that_turns_out_not_to_be_callable_is_told_without_a_traceback(qloom: Qloom, script: Any) -> None:
    answer = qloom("run", script("start = dict(a=1)\n"), "--entry", "algo:start", "--json")
    assert answer.json["error"]["message"] == "entry point algo:start is not callable, it is of type dict; name a function"
    assert "Traceback" not in "\n".join(job(answer.json["job_id"]).logs())


def test_a_pickled_result_is_described_and_never_opened(qloom: Qloom, script: Any) -> None:
    document = {"braketSchemaHeader": {}, "dataDictionary": {"energy": "gASVCgAAAA=="}, "dataFormat": "pickled_v4"}
    answer = qloom("run", script(f"save({document!r})\n"), "--json")
    assert answer.json["state"] == "COMPLETED"
    assert answer.json["result"].startswith("pickled by the script (energy, 12 bytes)")
    with pytest.raises(NoResult, match=r"qloom opens no pickle; read it with braket\.jobs\.load_job_result"):
        job(answer.json["job_id"]).result()


# ---- kills, checkpoints, resumes --------------------------------------------------------------------------------------------

LOOP = """
saved = variable("CHECKPOINT_DIR") / (os.environ["AMZN_BRAKET_JOB_NAME"] + ".json")
first = json.loads(saved.read_text())["step"] + 1 if saved.exists() else 0
(variable("JOB_RESULTS_DIR") / f"from-{first}").touch()
for step in range(first, 6):
    print(f"Metrics - timestamp={step}; cost={step}; iteration_number={step};", flush=True)
    if step == 3 and os.environ["QLOOM_ATTEMPT"] == hyperparameters["dies_in"]:
        print(f"Metrics - timestamp=0; cost=-1; iteration_number={step};", flush=True)
        (variable("CHECKPOINT_DIR") / "waits").touch()
        time.sleep(60)
    saved.write_text(json.dumps({"step": step}))
save({"first": first, "attempt": os.environ["QLOOM_ATTEMPT"]})
"""


def waiting_job(qloom: Qloom, script: Any) -> Job:
    started = job(qloom("run", script(LOOP), "-p", "dies_in=1", "--detach", "--json").json["job_id"])
    until((started.folder.checkpoints / "waits").exists)
    return started


@pytest.mark.parametrize("victim", ["program", "supervisor"])
def test_a_killed_loop_goes_on_from_its_checkpoint_and_counts_each_step_once(qloom: Qloom, script: Any, victim: str) -> None:
    killed = waiting_job(qloom, script)
    until(lambda: len(killed.metrics()) == 5)  # what was read is recorded, whoever dies now
    os.kill(read_json(killed.folder.processes_file(1))[victim], signal.SIGKILL)
    until(lambda: killed.state() is JobState.INTERRUPTED)
    answer = qloom("job", "resume", killed.id, "--json")
    assert answer.json["result"] == {"first": 3, "attempt": "2"}
    assert [(item["step"], item["value"]) for item in killed.metrics()] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
        (3, -1),
        (4, 4),
        (5, 5),
    ]
    assert {path.name for path in killed.folder.results.iterdir()} == {"from-3", "results.json"}
    assert [path.name for path in (killed.folder.attempt(2) / "earlier-results").iterdir()] == ["from-0"]


def test_a_resume_from_scratch_sets_checkpoints_and_metrics_aside(qloom: Qloom, script: Any) -> None:
    killed = waiting_job(qloom, script)
    assert qloom("job", "suspend", killed.id).code == 0
    answer = qloom("job", "resume", killed.id, "--from-scratch", "--json")
    assert answer.json["result"] == {"first": 0, "attempt": "2"}
    assert [item["step"] for item in killed.metrics()] == [0, 1, 2, 3, 4, 5]
    assert f"{killed.id}.json" in {path.name for path in (killed.folder.attempt(2) / "earlier-checkpoints").iterdir()}


def test_a_script_replays_nothing_so_no_divergence_can_be_accepted(qloom: Qloom, script: Any) -> None:
    killed = waiting_job(qloom, script)
    qloom("job", "suspend", killed.id)
    answer = qloom("job", "resume", killed.id, "--accept-divergence")
    assert answer.code == 2
    assert "resumes from its own checkpoints" in answer.err.replace("\n", " ")


def test_a_result_of_an_earlier_attempt_is_not_taken_for_this_ones(qloom: Qloom, script: Any) -> None:
    text = 'if os.environ["QLOOM_ATTEMPT"] == "1":\n    save(1)\n    sys.exit(5)\n'
    failed = qloom("run", script(text), "--json")
    answer = qloom("job", "resume", failed.json["job_id"], "--json")
    assert (answer.json["state"], answer.json["error"]["type"]) == ("FAILED", "NoResult")


# ---- refused before anything is queued ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--entry", "algo:begin"], "no function in algo.py called 'begin'"),
        (["--entry", "algo:LIMIT"], "is not callable: line 10 of algo.py assigns it 3"),
        (["--entry", "algo:a:b"], "neither `module` nor `module:function`"),
        (["--entry", "other:start"], "the script is 'algo'"),
        (["--device", "sim"], "local:PROVIDER/SIMULATOR or an ARN"),
        (["--device", "local:a/b", "--device", "local:c/d"], "a Braket job has one device"),
        (["--input-data", "absent"], "there is no file or folder absent"),
        (["--input-data", "out"], "links out of its folder"),
        (["--input-data", "algo.py", "--input-data", "input=algo.py"], "gives channel 'input' twice"),
        (["--input-data", "my channel=algo.py"], "input channel 'my channel' is no name"),
        (["-p", "n="], "hyperparameter n is empty"),
        (["-p", "n"], "-p takes KEY=VALUE"),
        (["-p", "n=" + "x" * 2501], "Braket takes 2500"),
        (["--entry", "algo:needs"], "algo:needs needs value; give -p value=..."),
        (["--pipeline", "zne"], "--pipeline means nothing to a plain Braket script"),
        (["--seed", "1"], "--seed means nothing to a plain Braket script"),
        (["--budget-usd", "5"], "--budget-usd means nothing to a plain Braket script"),
        (["--python", "absent"], "the path of a Python that starts"),
        (["--python", "algo.py"], "the path of a Python that starts"),
        (["--environment", "absent"], "no environment called 'absent'"),
        (["--environment", "a", "--python", "b"], "give one of them"),
        (["--environment", "a", "--requirements", "algo.txt"], "give one of them"),
        (["--executor", "locla"], "did you mean 'local'"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    qloom: Qloom, script: Any, home: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").symlink_to("/etc/passwd")
    name = script("LIMIT = 3\ndef needs(value): ...\ndef start(): ...\nstart()\n")
    answer = qloom("run", name, *arguments)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())
    assert not home.exists()


def test_a_missing_package_is_said_with_the_fix_before_anything_is_queued(qloom: Qloom, script: Any, home: Path) -> None:
    answer = qloom("run", script("import no_such_package.part\nsave(1)\n"), "--json")
    assert answer.code == 2
    assert answer.json["error"]["message"].endswith(f"uv pip install --python {sys.executable} no_such_package")
    assert not home.exists()


def test_a_script_without_an_entry_point_is_refused(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "algo.py").write_text("def main(): ...\n")
    answer = qloom("run", "algo.py")
    assert answer.code == 2
    assert "--entry algo:main" in " ".join(answer.err.split())


def test_a_folder_without_an_entry_point_is_refused(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo" / "train.py").write_text("def main(): ...\n")
    answer = qloom("run", "algo")
    assert answer.code == 2
    assert "algo.train:main" in " ".join(answer.err.split())


# ---- beside programs ---------------------------------------------------------------------------------------------------------


def test_a_file_with_programs_stays_a_program_and_an_entry_makes_it_a_script(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:double", "-p", "number=4", "--json")
    assert answer.json["result"] == {"twice": 8}
    assert qloom("job", "show", answer.json["job_id"], "--json").json["kind"] == "program"
    refused = qloom("run", programs, "--entry", "programs:nothing")
    assert "no function in programs.py called 'nothing'" in " ".join(refused.err.split())


def test_a_function_without_its_decorator_in_a_file_of_qlooms_is_told_so(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "vqe.py").write_text("import qloom\n\n\ndef vqe(ctx): ...\n")
    for target in ("vqe.py", "vqe.py:vqe"):
        answer = qloom("run", target)
        assert answer.code == 2
        assert "@qloom.program" in answer.err


def test_an_environment_by_name_is_for_scripts(qloom: Qloom, programs: str) -> None:
    answer = qloom("run", f"{programs}:double", "--environment", "braket-sdk")
    assert (answer.code, "is for plain Braket scripts" in " ".join(answer.err.split())) == (2, True)


def test_input_data_without_a_name_is_the_channel_input_of_a_program_too(qloom: Qloom, tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text(
        "import qloom\n\n@qloom.program\ndef reads(ctx: qloom.Context) -> list:\n    return [ctx.input_dir().name]\n"
    )
    (tmp_path / "data.txt").write_text("x")
    assert qloom("run", "reads.py", "--input-data", "data.txt", "--json").json["result"] == ["input"]


def test_jobs_that_a_host_keeps_are_listed_with_programs(qloom: Qloom, script: Any, home: Path) -> None:
    qloom("run", script("save(1)\n"))
    assert only_job(home).program == "algo"
    assert application().journal(only_job(home).folder).problems == []
    assert json.loads(only_job(home).folder.hyperparameters_file.read_text()) == {}
