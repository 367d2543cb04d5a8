"""Starting the device server of a job with sealed stages, beside its program."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from qloom.executors.handover import LINK_DESCRIPTOR, without_internals
from qloom.executors.program_process import thread_settings
from qloom.kit import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder

LEAVE_S = 0.4
"""Time for a server to end by itself after its program."""


class ServerProcess:
    """A started device server.

    Attributes:
        pid: its process, a child of this one.
        link: the program's end of the link; closed here once the program has it.
        kill_at: when it is killed, on the monotonic clock; infinite while its program runs.
    """

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link
        self.kill_at = float("inf")

    def leave(self) -> None:
        """Its program has ended: it has a little time to end by itself."""
        self.kill_at = time.monotonic() + LEAVE_S

    def kill(self) -> None:
        """End it now; call it only while it was not reaped."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def start_device_server(folder: JobFolder, attempt: int, job: JobSpec, inherited: Mapping[str, str]) -> ServerProcess:
    """Start the device server of one attempt, with everything that its host has and the program in a sandbox has not.

    Raises:
        OSError: no process, socket or file could be made.
    """
    folder.sealed.mkdir(mode=0o700, exist_ok=True)
    environment = thread_settings(job.resources.cpus) | without_internals(inherited) | {processes.MARKER: job.job_id}
    command = [sys.executable, "-P", "-m", "qloom.entry", "devices", str(folder.path), str(attempt)]
    link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    log = os.open(folder.sealed_log(attempt), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        pid = processes.start_apart(command, environment, log=log, handed=theirs.fileno(), number=LINK_DESCRIPTOR)
    except OSError:
        link.close()
        raise
    finally:
        theirs.close()
        os.close(log)
    return ServerProcess(pid, link)
