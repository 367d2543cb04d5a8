"""Scripts in the form of Braket's documentation, run with Braket's own SDK from its locked environment.

Loading the SDK takes some five seconds, so each test starts it once and asks for much.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import qloom.programs.script_start as script_start
from qloom.api.jobs import job
from qloom.errors import NoResult
from qloom.jobspecs import JobSpec
from qloom.journal.output_metrics import read_metrics
from qloom.kit.braket_environment import BUCKET, braket_environment
from qloom.kit.files import read_json
from qloom.kit.job_folder import JobFolder
from qloom.kit.values import plain_result, read_result
from tests.scripts.conftest import REPOSITORY, Run

pytestmark = pytest.mark.timeout(900)  # the first one may build the environment


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# ---- every helper ------------------------------------------------------------------------------------------------------

SOURCE_MODULE = {
    "algorithm_source/__init__.py": "",
    "algorithm_source/circuits/__init__.py": "",
    "algorithm_source/circuits/bell.py": """
from braket.circuits import Circuit

def bell():
    return Circuit().h(0).cnot(0, 1)
""",
    "algorithm_source/algorithm.py": """
import json
import os

from braket.devices import LocalSimulator
from braket.jobs import (
    get_checkpoint_dir, get_hyperparameters, get_input_data_dir, get_job_device_arn, get_job_name, get_results_dir,
    load_job_checkpoint, load_job_result, save_job_checkpoint, save_job_result,
)
from braket.jobs.metrics import log_metric

from .circuits.bell import bell


def start_here():
    print("Test job started!!!!!")
    hyperparameters = get_hyperparameters()
    device = LocalSimulator("braket_sv")
    counts = []
    for repetition in range(int(hyperparameters["repetitions"])):
        task = device.run(bell(), shots=100)
        counts.append(dict(task.result().measurement_counts))
        log_metric("half", counts[-1]["00"] / 100, iteration_number=repetition)
    log_metric("without_a_step", 1.5, timestamp=1700000000.25)
    with open(f"{get_input_data_dir()}/graph.json") as graph, open(f"{get_input_data_dir('start')}/angles.txt") as angles:
        inputs = [json.load(graph), angles.read()]
    save_job_checkpoint({"data": "ready"})
    save_job_checkpoint({"data": "more"}, checkpoint_file_suffix="second")
    save_job_result({"counts": counts, "inputs": inputs})
    save_job_result({"environment": {
        "hyperparameters": hyperparameters, "device": get_job_device_arn(), "name": get_job_name(),
        "results": get_results_dir(), "checkpoints": sorted(set(os.listdir(get_checkpoint_dir())) - {"journal"}),
        "loaded": [load_job_checkpoint(), load_job_checkpoint(checkpoint_file_suffix="second")],
        "so_far": sorted(load_job_result()),
    }})
    print("Test job completed!!!!!")
""",
    "algorithm_source/requirements.txt": "amazon-braket-sdk\n",
}


def test_a_source_module_with_every_helper_of_the_sdk(qloom: Run, sdk: Path, tmp_path: Path) -> None:
    write(tmp_path, {**SOURCE_MODULE, "graph.json": "[[0, 1]]", "start/angles.txt": "0.5"})
    given = ["--input-data", "graph.json", "--input-data", "start=start", "-p", "repetitions=3", "-p", "note=a b"]
    given += ["--device", "local:braket/default", "--python", str(sdk)]
    answer = qloom("run", "algorithm_source", "--entry", "algorithm_source.algorithm:start_here", *given)
    assert answer["state"] == "COMPLETED", answer
    done, result = job(answer["job_id"]), answer["result"]
    assert done.result() == result
    assert [sum(counts.values()) for counts in result["counts"]] == [100] * 3
    assert set().union(*result["counts"]) == {"00", "11"}
    assert result["inputs"] == [[[0, 1]], "0.5"]
    assert result["environment"] == {
        "hyperparameters": {"repetitions": "3", "note": "a b"},
        "device": "local:braket/default",
        "name": done.id,
        "results": str(done.folder.results),
        "checkpoints": [f"{done.id}.json", f"{done.id}_second.json"],
        "loaded": [{"data": "ready"}, {"data": "more"}],
        "so_far": ["counts", "inputs"],
    }
    assert (done.folder.source / "algorithm_source" / "requirements.txt").exists()
    halves = [counts["00"] / 100 for counts in result["counts"]]
    metrics = [(item["name"], item["value"], item["step"]) for item in done.metrics()]
    assert metrics == [("half", value, step) for step, value in enumerate(halves)] + [("without_a_step", 1.5, None)]
    assert done.metrics()[-1]["timestamp"] == 1700000000.25
    assert "amazon-braket-sdk" in done.details()["packages"]
    assert next(line.partition("| ")[2] for line in done.logs()) == "Test job started!!!!!"


# ---- checkpoints ---------------------------------------------------------------------------------------------------------


def documented_script() -> str:
    text = (REPOSITORY / "docs" / "howto" / "braket-scripts.md").read_text()
    found = re.search(r"```python[^\n]*\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_documented_loop_is_killed_and_goes_on_from_its_checkpoint(qloom: Run, sdk: Path, tmp_path: Path) -> None:
    mine = (
        "        import os\n        if step == 6 and os.environ['QLOOM_ATTEMPT'] == '1':\n            os.kill(os.getpid(), 9)\n"
    )
    saved = "        save_job_checkpoint(state)\n"
    text = documented_script()
    assert saved in text
    (tmp_path / "algorithm.py").write_text(text.replace(saved, saved + mine))
    killed = qloom("run", "algorithm.py", "-p", "steps=12", "--python", str(sdk))
    assert (killed["state"], killed["error"]["reason"]) == ("INTERRUPTED", "killed")
    assert [item["step"] for item in job(killed["job_id"]).metrics()] == list(range(7))
    answer = qloom("job", "resume", killed["job_id"])
    assert answer["state"] == "COMPLETED", answer
    assert answer["result"]["energy"] < -0.999
    log = [line for line in job(killed["job_id"]).logs() if "iteration_number=" in line]
    assert ["iteration_number=7;" in line for line in log].index(True) == 7  # the second attempt began behind the checkpoint
    metrics = job(killed["job_id"]).metrics()
    assert [item["step"] for item in metrics] == list(range(12))
    assert metrics[-1]["value"] == answer["result"]["energy"]


# ---- hybrid jobs -----------------------------------------------------------------------------------------------------------

TRAINING = """
import json
import os
from pathlib import Path

from braket.circuits import Circuit
from braket.devices import LocalSimulator
from braket.jobs import get_hyperparameters, get_job_device_arn, hybrid_job, save_job_result
from braket.jobs.metrics import log_metric


@hybrid_job(device="local:braket/default", input_data="data/graph.json", dependencies="requirements.txt", local=True)
def train(steps: int, rate="0.1", *, depth: float = 2):
    for step in range(steps):
        counts = LocalSimulator().run(Circuit().x(0), shots=10).result().measurement_counts
        log_metric("ones", counts["1"], iteration_number=step)
    Path("notes.txt").write_text("kept")
    with open("data/graph.json") as graph:
        edges = json.load(graph)
    return {
        "arguments": [steps, rate, depth], "edges": edges, "folder": os.getcwd(), "device": get_job_device_arn(),
        "hyperparameters": get_hyperparameters(), "there": sorted(os.listdir()),
    }


@hybrid_job(device=None)
def area(side, **more):
    log_metric("side", side, iteration_number=0)
    return side * side


@hybrid_job(device=None)
def unkeepable():
    import numpy
    return {"rows": [1, numpy.arange(3)]}


if __name__ == "__main__":
    before = os.getcwd()
    job = area(3, unit="(m)")
    try:
        unkeepable()
    except Exception as error:
        refusal = str(error)
    again = area(side=4)
    save_job_result({"seen": [
        job.result(), again.result(), job.state(), repr(job), job.metrics()["side"], os.getcwd() == before, refusal,
        get_hyperparameters(),
    ]})
"""


def test_a_hybrid_job_as_entry_point_runs_in_place(qloom: Run, sdk: Path, tmp_path: Path) -> None:
    write(tmp_path, {"training.py": TRAINING, "graph.json": "[[0, 1]]"})
    given = ["--entry", "training:train", "-p", "steps=2", "-p", "rate=0.3", "--input-data", "graph.json"]
    answer = qloom("run", "training.py", *given, "--python", str(sdk))
    assert answer["state"] == "COMPLETED", answer
    done, result = job(answer["job_id"]), answer["result"]
    assert result["arguments"] == [2, "0.3", 2]
    assert result["hyperparameters"] == {"steps": "2", "rate": "0.3", "depth": "2"}
    assert (result["folder"], result["device"]) == (str(done.folder.results), "local:braket/default")
    assert (result["edges"], result["there"]) == ([[0, 1]], ["data", "notes.txt"])
    assert sorted(path.name for path in done.folder.results.rglob("*.*")) == ["notes.txt", "results.json"]
    assert [(item["name"], item["value"], item["step"]) for item in done.metrics()] == [("ones", 10, 0), ("ones", 10, 1)]


def test_hybrid_jobs_that_a_script_calls_itself_run_in_place(qloom: Run, sdk: Path, tmp_path: Path) -> None:
    write(tmp_path, {"training.py": TRAINING})
    answer = qloom("run", "training.py", "--python", str(sdk))
    assert answer["state"] == "COMPLETED", answer
    result, again, state, text, sides, same_folder, refusal, hyperparameters = answer["result"]["seen"]
    assert (result, again, state, text) == ({"result": 9}, {"result": 16}, "COMPLETED", "LocalJob('area', COMPLETED)")
    assert (sides, same_folder, hyperparameters) == ([3.0], True, {})
    assert "but unkeepable()['rows'][1] is a numpy.ndarray" in refusal
    assert answer["result"]["result"] == 16
    assert [problem for problem in job(answer["job_id"]).details()["problems"] if "several hybrid jobs in place" in problem]


# ---- the SDK as an oracle ----------------------------------------------------------------------------------------------------

LINES = [
    "Metrics - timestamp=1700000000.25; cost=-0.5; iteration_number=7;",
    "Metrics - timestamp=1.5; a=1e-3; b=inf;",
    "Metrics - timestamp=1.5; my-name=2; iteration_number=0;",
    "Metrics - timestamp=1.5; x = 3 ; y=no number; z=4",
    "prefix Metrics - timestamp=2; x=1; x=2;",
    "Metrics - timestamp=3;",
]

LOGGED = """
def logged(one, two="a\\nb", *rest, three="$(x) & `y`", **more):
    pass

CALLS = [((1,), {}), (("x" * 3000, 2), {"extra": [1, 2]}), ((1, 2, 3), {"three": None})]
"""

ORACLE = """
import json, os, sys
from types import SimpleNamespace
from braket.jobs import hybrid_job, save_job_result
import braket.jobs.hybrid_job
from braket.jobs.local import local_job_container_setup as setup
from braket.jobs.metrics_data.log_metrics_parser import LogMetricsParser
from braket.jobs_data import PersistedJobDataFormat
asked = json.loads(sys.stdin.read())
exec(asked["logged"])
log = sys.modules["braket.jobs.hybrid_job"]._log_hyperparameters
def parsed(line):
    parser = LogMetricsParser()
    parser.parse_log_message("", line)
    return parser.all_metrics
session = SimpleNamespace(region="us-east-1")
kwargs = asked["job"]
save_job_result({"energy": -1.5, "angles": [1, 2]}, PersistedJobDataFormat.PICKLED_V4)
print(json.dumps({
    "environment": {**setup._get_env_script_mode_config(kwargs["algorithmSpecification"]["scriptModeConfig"]),
        **setup._get_env_default_vars(session, **kwargs), **setup._get_env_hyperparameters(), **setup._get_env_input_data()},
    "metrics": [parsed(line) for line in asked["lines"]],
    "logged": [log(logged, args, kwargs) for args, kwargs in CALLS],
}))
"""


def ask_sdk(sdk: Path, folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run([sdk, "-c", ORACLE], input=json.dumps(asked), capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_variables_metrics_hyperparameters_and_results_are_those_of_the_sdk(sdk: Path, tmp_path: Path) -> None:
    spec = JobSpec(job_id="01j0", program="a", entry_point="a:b", source_digest="", devices={"default": "local:braket/default"})
    ours = braket_environment(spec, JobFolder(Path("/jobs/01j0")), 1)
    script = {"s3Uri": ours["AMZN_BRAKET_SCRIPT_S3_URI"], "entryPoint": "a:b", "compressionType": "GZIP"}
    described = {
        "jobName": "01j0",
        "algorithmSpecification": {"scriptModeConfig": script},
        "outputDataConfig": {"s3Path": f"s3://{BUCKET}/jobs/01j0/data"},
        "deviceConfig": {"device": "local:braket/default"},
        "checkpointConfig": {"localPath": ours["AMZN_BRAKET_CHECKPOINT_DIR"]},
    }
    theirs = ask_sdk(sdk, tmp_path, {"job": described, "lines": LINES, "logged": LOGGED})

    paths = {"AMZN_BRAKET_JOB_RESULTS_DIR", "AMZN_BRAKET_HP_FILE", "AMZN_BRAKET_INPUT_DIR"}  # inside a container, or here
    expected = {name: value for name, value in theirs["environment"].items() if name.startswith("AMZN_BRAKET_")}
    assert {name: ours[name] for name in expected if name not in paths} == {
        name: value for name, value in expected.items() if name not in paths
    }
    assert paths <= set(expected) <= set(ours)

    assert [metrics_as_theirs(line) for line in LINES] == [metrics for (metrics,) in theirs["metrics"]]

    names: dict[str, Any] = {}
    exec(LOGGED, names)
    logged = [script_start.logged_hyperparameters(names["logged"], args, kwargs) for args, kwargs in names["CALLS"]]
    assert logged == theirs["logged"]

    pickled = read_json(tmp_path / "results.json")
    assert plain_result(pickled).startswith("pickled by the script (energy, angles, ")
    with pytest.raises(NoResult, match="opens no pickle"):
        read_result(pickled)


def metrics_as_theirs(line: str) -> dict[str, float]:
    """What the SDK's parser makes of a line, from what ours makes of it."""
    found = read_metrics(line, now=-1.0)
    step = {"iteration_number": float(found[0][2])} if found and found[0][2] is not None else {}
    stamp = {"timestamp": found[0][3] if found else 3.0}
    return {name: value for name, value, _, _ in found} | step | stamp
