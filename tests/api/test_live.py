"""A job in a notebook: it follows itself, its buttons work, and what is left in the notebook needs no kernel."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qloom.api.jobs import Job
from qloom.api.live import show_live
from tests.kernels import Kernel, kernel

GATED = """
import pathlib
import time
import qloom


@qloom.program
def gated(ctx: qloom.Context, gate: str = "") -> dict:
    for step in ctx.progress(range(20), description="turning"):
        ctx.log_metric("energy_hartree", -step / 10, step=step)
        if step == 10:
            until = time.monotonic() + 100
            while not pathlib.Path(gate).exists() and time.monotonic() < until:
                time.sleep(0.02)
    ctx.save_figure("dot", '<svg xmlns="http://www.w3.org/2000/svg"><circle cx="9" cy="9" r="9"/></svg>')
    return {"counts": ctx.device.run(qloom.Circuit(1).h(0), shots=10).counts}
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel that knows the program `gated`."""
    (tmp_path / "programs.py").write_text(GATED)
    with kernel(tmp_path, {**os.environ, "QLOOM_HOME": str(tmp_path / "home")}) as running:
        running.run("from programs import gated")
        yield running


def submitted(notebook: Kernel, gate: Path) -> None:
    """Start a job that shows itself, and wait until its cell shows how far it is."""
    notebook.run(f"job = gated.submit(gate={str(gate)!r})\njob")
    shows(notebook, "energy (hartree)")


def shows(notebook: Kernel, text: str) -> None:
    notebook.wait_for(lambda: any(text in page for page in notebook.pictures()[-1:]), f"the cell shows {text!r}")


def test_a_job_follows_itself_in_its_cell_and_takes_its_buttons_away_when_it_is_done(notebook: Kernel, gate: Path) -> None:
    submitted(notebook, gate)
    kinds = [kind for kind, content in notebook.shown if "qloom-job" in content.get("data", {}).get("text/html", "")]
    assert (kinds[0], set(kinds[1:])) == ("display_data", {"update_display_data"})
    gate.touch()
    shows(notebook, "COMPLETED")
    notebook.wait_for(lambda: any(kind == "comm_close" for kind, _ in notebook.shown), "the buttons are closed")
    last = notebook.pictures()[-1]
    assert "10 shots" in last  # the histogram
    assert 'alt="dot"' in last  # the figure that the program drew
    assert "<script" not in last
    emptied = [content["data"] for kind, content in notebook.shown if kind == "update_display_data"][-1]
    assert emptied == {"text/plain": "", "text/html": ""}
    threads = notebook.run("import threading, time\ntime.sleep(0.2)\nprint([thread.name for thread in threading.enumerate()])")
    assert not any("qloom shows job" in content.get("text", "") for _, content in threads)


def test_a_stopped_job_is_resumed_and_cancelled_by_its_buttons(notebook: Kernel, gate: Path) -> None:
    submitted(notebook, gate)
    notebook.run("from qloom.app import application\n_ = application().suspend(job.folder)")
    shows(notebook, "INTERRUPTED (suspended)")
    notebook.press(notebook.buttons()["Resume"])
    shows(notebook, "RUNNING")
    notebook.press(notebook.buttons()["Cancel"])
    shows(notebook, "CANCELLED")
    printed = notebook.run("print(job.state(), job.status().attempt)")
    assert ("stream", {"name": "stdout", "text": "CANCELLED 2\n"}) in printed


def test_a_button_that_comes_too_late_says_why_below_the_job(notebook: Kernel, gate: Path) -> None:
    submitted(notebook, gate)
    notebook.press(notebook.buttons()["Resume"])  # which the front end would not let one press now
    shows(notebook, "is RUNNING, attempt 1 is alive")


def test_a_job_that_is_shown_again_stands_still_where_it_was(notebook: Kernel, gate: Path) -> None:
    submitted(notebook, gate)
    notebook.run("job")
    assert any("shown again further on" in page for page in notebook.pictures())
    printed = notebook.run("import threading\nprint(sum('qloom shows job' in one.name for one in threading.enumerate()))")
    assert ("stream", {"name": "stdout", "text": "1\n"}) in printed


def test_without_widgets_the_cell_has_the_command_lines_instead(notebook: Kernel, gate: Path) -> None:
    notebook.run("import sys\nsys.modules['ipywidgets'] = None")
    submitted(notebook, gate)
    assert notebook.buttons() == {}
    assert "qloom job cancel" in notebook.pictures()[-1]
    gate.touch()
    shows(notebook, "COMPLETED")


def test_outside_a_kernel_nothing_is_followed() -> None:
    assert show_live(None) is False  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="_repr_mimebundle_"):
        Job._ipython_display_(None)  # type: ignore[arg-type]
