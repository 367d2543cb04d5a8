"""A real notebook, executed by a real kernel: programs from cells become jobs, and jobs and results show themselves."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SETUP = """
import numpy as np
import qloom

SCALE = {"factor": 2.0, "weights": np.array([1.0, 0.5])}

def scaled(value):
    return SCALE["factor"] * value * float(SCALE["weights"].sum())
"""
PROGRAM = """
@qloom.program(seed=4)
def from_a_cell(ctx: qloom.Context, shots: int = 100) -> dict:
    counts = ctx.device.run(qloom.Circuit(2).h(0).cx(0, 1), shots=shots).counts
    for step in ctx.progress(range(3)):
        ctx.log_metric("value", scaled(step), step=step)
    return {"counts": counts, "scaled": scaled(2.0)}
"""


def execute(cells: list[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Run cells in a kernel of their own and return their outputs."""
    monkeypatch.setenv("QLOOM_HOME", str(home))
    form: Any = nbformat.v4  # untyped
    notebook = form.new_notebook()
    notebook.cells = [form.new_code_cell(cell) for cell in cells]
    NotebookClient(notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": str(home.parent)}}).execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_program_from_a_cell_becomes_a_job_and_both_show_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        SETUP,
        PROGRAM,
        "job = from_a_cell.submit(shots=50)\nprint(job.result(timeout_s=60))",
        "job",
        'qloom.device("sim").run(qloom.Circuit(1).h(0), shots=100, seed=1)',
    ]
    *_, printed, shown_job, shown_result = execute(cells, tmp_path / "home", monkeypatch)
    assert "'scaled': 6.0" in printed[0].text
    assert "from_a_cell" in shown_job[0].data["text/html"]
    assert "COMPLETED" in shown_job[0].data["text/html"]
    assert "<svg" in shown_result[0].data["text/html"] or "<table" in shown_result[0].data["text/html"]


def test_a_live_object_in_another_cell_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        "import sqlite3\nimport qloom\nsession = sqlite3.connect(':memory:')",
        "@qloom.program\ndef leaky(ctx: qloom.Context) -> int:\n    return session.execute('select 1').fetchone()[0]",
        "leaky.submit()",
    ]
    with pytest.raises(CellExecutionError, match="variable 'session' is a live"):
        execute(cells, tmp_path / "home", monkeypatch)


def test_a_name_that_was_deleted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [SETUP, PROGRAM, "del scaled", "from_a_cell.submit()"]
    with pytest.raises(CellExecutionError, match="scaled"):
        execute(cells, tmp_path / "home", monkeypatch)
