"""A peer's own server: on a free port of this machine's loopback, with a folder of its own, ended with its worker."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.workers.serving import Timed

HOST = "127.0.0.1"
START_S = 90.0
PAUSE_S = 0.1
REST_S = 3.0
LOOK_S = 0.05
BUSY_SHARE = 0.3
"""A server, and the worker's own threads, are at rest when they take less of one core than this. A tick is 0.2 of a look."""


@contextmanager
def new_folder(name: str) -> Iterator[Path]:
    """Give an empty folder, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])


@contextmanager
def server(command: Sequence[str], *, folder: Path, where: Path, ready: Callable[[], bool]) -> Iterator[int]:
    """Run a server until the block ends, then end it and all it started; gives the number of its process group.

    Args:
        command: its command line.
        folder: its output goes into `server.log` in here.
        where: its working directory.
        ready: whether it answers; False or an `OSError` as long as it does not.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=where, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, process_group=0
        )
    try:
        wait_until(ready, process, log)
        yield process.pid
    finally:
        # Nothing of it is kept, so it need not tidy up. Not waited for yet, so the number is still its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: it ended, or did not answer within `START_S`; with its last words.
    """
    deadline = time.monotonic() + START_S
    while not answers(ready):
        gone = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if gone or time.monotonic() > deadline:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            problem = "ended" if gone else f"did not answer within {START_S:g} s"
            raise RuntimeError(f"the server {problem}: {lines[-1] if lines else 'without a word'}")
        time.sleep(PAUSE_S)


def answers(ready: Callable[[], bool]) -> bool:
    """Return whether a server answers."""
    try:
        return ready()
    except OSError:
        return False


def settled(timed: Timed, group: int) -> Timed:
    """Return the same way, coming back when its server is at rest: what that does afterwards must not slow the other side."""

    def side(loops: int) -> float:
        seconds = timed(loops)
        rest(group)
        return seconds

    return side


def rest(group: int) -> bool:
    """Wait until this process and a group take next to no processor time, `REST_S` at most; return whether they came to that."""
    deadline = time.monotonic() + REST_S
    before = processor_s(group)
    while time.monotonic() < deadline:
        time.sleep(LOOK_S)
        now = processor_s(group)
        if now - before < BUSY_SHARE * LOOK_S:
            return True
        before = now
    return False


def processor_s(group: int) -> float:
    """Return the processor time of this process and of those that live in a process group, in seconds."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()
