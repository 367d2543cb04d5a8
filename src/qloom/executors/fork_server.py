"""The fork server: a process that has loaded what programs need, and runs each in a fork of itself, under its supervision.

It belongs to the process that submits jobs and takes attempts from that through a socket (`executors/warm.py`); when the
socket closes it goes on until its attempts have ended. It has one thread and has run no simulation: a fork of a process
with threads, or after an OpenMP region, may hang.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.executors.handover import CHANNEL, LARGEST_MESSAGE, READY
from qloom.executors.shared_loop import SharedLoop
from qloom.executors.supervision import Attempt, Submitter
from qloom.kit import processes
from qloom.kit.job_folder import JobFolder, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.executors.forks import Run
    from qloom.executors.output_lines import Listened

    Command = Sequence[str] | Listened | Callable[[], int]

_DESCRIPTORS = 2
_REHEARSAL = "qloom-rehearsal-"
_BACKLOG = 32
"""Messages taken in one turn: supervision must not wait for a submitter that never stops."""


def serve(
    preload: Callable[[], None], command: Callable[[JobFolder, int], Command], run: Run, make_rehearsal: Callable[[Path], Path]
) -> int:
    """Take attempts from the socket at descriptor 3 and supervise them, until it is closed and they have ended.

    Args:
        preload: loads what programs need.
        command: (folder, attempt) -> the program's command line, or a function to run in a fork.
        run: (folder, attempt) -> that function, also for a program that is to be in a sandbox.
        make_rehearsal: makes, below an empty folder, the folder of a job that does nothing.

    Returns:
        0, or 1 where forks would not be safe; the socket says why.
    """
    place = processes.MarkerPlace()
    channel = socket.socket(fileno=CHANNEL)
    channel.set_inheritable(False)
    preload()
    if (threads := len(os.listdir("/proc/self/task"))) != 1:  # noqa: PTH208  names are what is wanted
        channel.send(f"{threads} threads run after loading, and a process with threads cannot be forked safely".encode())
        return 1
    _remove_left_rehearsals()
    scratch = tempfile.mkdtemp(prefix=f"{_REHEARSAL}{os.getpid()}-")  # no object whose end a fork would see to
    try:
        server = _Server(channel, SharedLoop(run, place, make_rehearsal, Path(scratch)), command)
        gc.collect()
        gc.freeze()  # forks share these pages as long as nobody writes to them
        channel.setblocking(False)
        channel.send(READY)
        while server.open or server.loop.attempts:
            server.loop.turn()
        server.loop.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _remove_left_rehearsals() -> None:
    """Remove the scratch folders of servers that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_REHEARSAL}*"):
        pid = path.name.removeprefix(_REHEARSAL).partition("-")[0]
        if pid.isdecimal() and not processes.is_running(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


class HandedLease(Lease):
    """A lease whose submitter is told by the closing of a pipe that it was freed."""

    def __init__(self, descriptor: int, told: int) -> None:
        super().__init__(descriptor)
        self._told = told

    def release(self) -> None:
        super().release()
        if self._told >= 0:
            os.close(self._told)
            self._told = -1


class _Server:
    def __init__(self, channel: socket.socket, loop: SharedLoop, command: Callable[[JobFolder, int], Command]) -> None:
        self.open = True
        self.loop = loop
        self._channel = channel
        self._command = command
        self.loop.watch(channel.fileno(), self._take)

    def _take(self) -> None:
        for _ in range(_BACKLOG):
            try:
                data, ancillary, _, _ = self._channel.recvmsg(
                    LARGEST_MESSAGE, socket.CMSG_SPACE(_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except ConnectionError:
                data, ancillary = b"", []
            if not data:
                self._close()
                return
            self._begin(json.loads(data), _descriptors(ancillary))

    def _close(self) -> None:
        """The submitter has ended, or lets go of this server."""
        self.open = False
        self.loop.forget(self._channel.fileno())
        self._channel.close()
        self.loop.look()

    def _begin(self, message: dict[str, Any], descriptors: list[int]) -> None:
        self.loop.environment = message.get("environment", self.loop.environment)
        folder, number = JobFolder(Path(message["folder"])), int(message["attempt"])
        lease = HandedLease(*descriptors)
        submitter = Submitter(*message["submitter"]) if message["submitter"] else None
        try:
            command = self._command(folder, number)
            self.loop.add(Attempt(folder, number, lease, command, self.loop.environment, submitter, message["again"]))
        except Exception:  # noqa: BLE001  this loop outlives one job: that one is told in its log, and its lease says INTERRUPTED
            lease.release()
            with suppress(OSError):
                folder.supervisor_log(number).write_text(traceback.format_exc())
            traceback.print_exc(file=sys.stderr)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found += memoryview(data[: len(data) - len(data) % 4]).cast("i").tolist()
    return found
