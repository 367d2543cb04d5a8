"""A real notebook, executed by a real kernel: programs from cells become jobs, and jobs and results show themselves."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.chromium import Browser, colors, needs_chromium

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
    assert "<table" in shown_result[0].data["text/html"]
    assert shown_result[0].data["text/plain"].startswith("<Result: 1 item of samples")


@needs_chromium
def test_what_a_notebook_keeps_can_be_read_on_a_phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        SETUP,
        PROGRAM,
        "job = from_a_cell.submit(shots=50)\njob.result(timeout_s=60)",
        "job",
        'qloom.device("sim").run(qloom.Circuit(12).h(0).cx(0, 11), shots=100, seed=1)',
    ]
    outputs = execute(cells, tmp_path / "home", monkeypatch)
    parts = [output.data["text/html"] for shown in outputs[3:] for output in shown]
    assert len(parts) == 2
    page = f"<!doctype html><html><body style='margin:0;background:#ffffff'>{''.join(parts)}</body></html>"
    browser = Browser(tmp_path)
    script = "return [...view.images].every(image => image.complete && image.naturalWidth > 0) && view.images.length"
    seen = browser.measure(page, width=390, script=script)
    assert (seen["scroll_width"], seen["found"]) == (390, 2)  # the curve and the histogram of the job
    seen_colors = colors(browser.screenshot(page, width=390, height=1200))
    assert seen_colors.get((0x33, 0x46, 0xC8), 0) > 1000  # curve and bars of the job
    assert seen_colors.get((0x54, 0x68, 0xE0), 0) > 1000  # bars of the result


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
