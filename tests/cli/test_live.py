"""What a person sees while a job runs: a bar with rate, time and metric values on a terminal, only output elsewhere."""

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

from tests.cli.conftest import Qloom

LOOP = """
import time
import qloom

@qloom.program
def loop(ctx: qloom.Context) -> str:
    for step in ctx.progress(range(30), description="turning"):
        ctx.log_metric("energy_hartree", -step / 10, step=step)
        if step == 5:
            print("at five")
        time.sleep(0.03)
    return "done"
"""
LIMIT_S = 60


def on_a_terminal(command: list[str], environment: dict[str, str], where: Path) -> str:
    """Run a command on a pseudo-terminal and return everything it drew."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=where, env=environment, close_fds=True)
    os.close(slave)
    drawn = b""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                drawn += os.read(master, 65536)
            except OSError:  # the other end is closed: the command has ended
                break
    assert process.wait(10) == 0, drawn
    os.close(master)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode())


def test_a_terminal_shows_rate_time_metrics_and_output(command: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(LOOP)
    drawn = on_a_terminal([*command, "run", "loop.py"], {**environment, "COLUMNS": "160", "TERM": "xterm"}, tmp_path)
    assert "loop RUNNING" in drawn
    assert "loop COMPLETED" in drawn
    assert "30/30" in drawn
    assert re.search(r"\d+/s", drawn)
    assert re.search(r"energy_hartree=-2\.9", drawn)
    assert "at five" in drawn
    assert '"done"' in drawn


def test_steps_and_time_left_are_whole_on_80_columns_and_the_metrics_give_way(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "loop.py").write_text(LOOP.replace("range(30)", "range(1000, 1030)").replace("energy_hartree", "energy_" * 8))
    drawn = on_a_terminal([*command, "run", "loop.py"], {**environment, "COLUMNS": "80", "TERM": "xterm"}, tmp_path)
    rows = [line for line in re.split(r"[\r\n]+", drawn) if "loop RUNNING" in line and "/s " in line]
    assert rows
    for row in rows:
        assert re.search(r" \d+/30 +\d+/s +\d:\d\d:\d\d +([-\d]:[-\d]{2}:[-\d]{2} +)?energy_\w*…", row), row
        assert len(row.rstrip()) <= 80


def test_a_pipe_gets_the_output_and_no_bar(qloom_process: Qloom, tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(LOOP)
    answer = qloom_process("run", "loop.py")
    assert answer.out == '"done"\n'
    assert "at five" in answer.err
    assert "\x1b" not in answer.out + answer.err
    assert "RUNNING" not in answer.err
