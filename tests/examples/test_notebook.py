"""The example notebook, executed by a real kernel from its first cell to its last."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import qloom
from qloom.app import application
from qloom.jobspecs import JobState

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook.ipynb"


def code_cells() -> dict[str, Any]:
    read: Any = nbformat.read  # untyped
    return {cell["id"]: cell for cell in read(NOTEBOOK, as_version=4).cells if cell["cell_type"] == "code"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def executed(folder: Path) -> dict[str, Any]:
    """Cell's id -> its outputs."""
    read: Any = nbformat.read
    notebook = read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QLOOM_HOME", str(folder / "home"))
        NotebookClient(notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return {cell["id"]: cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"}


@pytest.fixture(autouse=True)
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLOOM_HOME", str(folder / "home"))
    application.cache_clear()


def test_it_is_kept_without_outputs_and_is_a_valid_notebook() -> None:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    validate: Any = nbformat.validate
    validate(document)
    cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 10
    assert [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []


def test_its_job_shows_itself_and_finds_the_exact_energy(executed: dict[str, Any]) -> None:
    shown = executed["submit"][0]["data"]["text/html"]
    assert "spins" in shown
    assert "qloom-job" in shown
    steps, _, _, first, _, last, _, exact = executed["result"][0]["text"].replace(";", "").split()
    assert (steps, last, exact) == ("40", "-2.2361", "-2.2361")
    assert float(first) > -2


def test_a_plain_call_gives_the_result_of_the_program(executed: dict[str, Any]) -> None:
    assert "'exact_energy': -2.23606797749979" in executed["call"][0]["data"]["text/plain"]


def test_its_result_shows_a_histogram(executed: dict[str, Any]) -> None:
    assert "<table" in executed["device"][0]["data"]["text/html"]


def test_its_map_shows_itself_and_is_drawn(executed: dict[str, Any]) -> None:
    assert "qloom-map" in executed["map"][0]["data"]["text/html"]
    assert "image/png" in executed["plot"][0]["data"]
    assert executed["again"][0]["text"] == "True {'completed': 9, 'failed': 0, 'left': 0}\n"


def test_what_it_did_is_there_for_everybody_else(executed: dict[str, Any], folder: Path) -> None:
    jobs = qloom.jobs()
    assert {job.state() for job in jobs} == {JobState.COMPLETED}
    mapped = [job for job in reversed(jobs) if job.map == "spins-in-a-field"]
    assert [job.parameters["field"] for job in mapped] == [0.25 * index for index in range(9)]
    assert all(abs(job.result()["energy"] - job.result()["exact_energy"]) < 5e-3 for job in mapped)
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert mapped[1].id in page
    assert mapped[-1].id in page


def test_the_job_that_it_suspends_goes_on_and_computes_no_step_twice(executed: dict[str, Any]) -> None:
    assert "INTERRUPTED" in executed["suspend"][0]["data"]["text/plain"]
    assert executed["resume"][0]["text"] == "COMPLETED in attempt 2, with 30 steps, each computed once\n"
    resumed = qloom.jobs()[0]
    details = resumed.details()
    assert details["quantum_tasks"]["replayed"] >= 1
    assert details["quantum_tasks"]["executed"] == 31  # a gradient for each step, and the counts


def test_every_cell_with_code_is_looked_at(executed: dict[str, Any]) -> None:
    silent = {name for name, outputs in executed.items() if not outputs}
    assert silent == {"setup", "program"}
    assert set(executed) == set(code_cells())
