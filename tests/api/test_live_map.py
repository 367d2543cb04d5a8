"""A map in a notebook: of a program in a cell, it follows itself, and the stop button of the tool bar suspends it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qloom.api.live import show_live_map
from tests.kernels import Kernel, kernel

CELL = """
import pathlib
import time
import qloom

STEP_S = 0.01

@qloom.program
def gated(ctx: qloom.Context, x: int, gate: str) -> int:
    pathlib.Path(f"{gate}.{x}").touch()
    until = time.monotonic() + 100
    while x > 1 and not pathlib.Path(gate).exists() and time.monotonic() < until:
        time.sleep(STEP_S)
    return x * x
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Kernel]:
    with kernel(tmp_path, {**os.environ, "QLOOM_HOME": str(tmp_path / "home")}) as running:
        running.run(CELL)
        yield running


def mapping(gate: Path) -> str:
    sets = f"[{{'x': x, 'gate': {str(gate)!r}}} for x in range(4)]"
    return f"sweep = qloom.map(gated, {sets}, name='squares', max_parallel=1)"


def pages(notebook: Kernel) -> list[str]:
    shown = [content.get("data", {}).get("text/html", "") for _, content in notebook.shown]
    return [page for page in shown if "qloom-map" in page]


def printed(notebook: Kernel, code: str) -> str:
    return "".join(content["text"] for kind, content in notebook.run(code) if kind == "stream")


def test_a_map_of_a_program_in_a_cell_follows_itself_until_all_have_ended(notebook: Kernel, gate: Path) -> None:
    notebook.run(f"{mapping(gate)}\nsweep")
    notebook.wait_for(lambda: "2 completed, 2 left (1 running)" in pages(notebook)[-1], "two of four are done")
    gate.touch()
    notebook.wait_for(lambda: "4 completed" in pages(notebook)[-1], "all are done")
    assert printed(notebook, "print(sweep.results())") == "[0, 1, 4, 9]\n"
    kinds = [kind for kind, content in notebook.shown if "qloom-map" in content.get("data", {}).get("text/html", "")]
    assert (kinds[0], set(kinds[1:])) == ("display_data", {"update_display_data"})
    notebook.run("import threading\nfor one in threading.enumerate():\n    'shows map' in one.name and one.join(30)\nsweep")
    last = [(kind, content["data"]["text/plain"]) for kind, content in notebook.shown if "data" in content][-1]
    assert last == ("execute_result", "<Map squares gated: 4 completed>")


def test_the_stop_button_suspends_a_map_that_is_waited_for_and_its_name_goes_on(notebook: Kernel, gate: Path) -> None:
    begun = notebook.begin(f"{mapping(gate)}\nsweep.results()")
    notebook.wait_for(lambda: Path(f"{gate}.2").exists(), "the third job runs")
    assert notebook.interrupt(begun) == "KeyboardInterrupt"
    states = printed(notebook, "print(*(str(job.state()) for job in sweep.jobs))")
    assert states == "COMPLETED COMPLETED INTERRUPTED\n"
    notebook.run("sweep")
    assert "qloom.map(..., name=&#x27;squares&#x27;)" in pages(notebook)[-1]
    gate.touch()
    assert printed(notebook, f"{mapping(gate)}\nprint(sweep.results())") == "[0, 1, 4, 9]\n"


def test_outside_a_kernel_nothing_is_followed() -> None:
    assert show_live_map(None) is False  # type: ignore[arg-type]
