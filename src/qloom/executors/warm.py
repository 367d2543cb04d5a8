"""The submitter's side of fork servers: which one suits a job, starting it in the background, handing an attempt over.

Jobs in a sandbox have a server of their own: what a server was started with, and was told since, is in the memory of its
forks, so that one must never hear of the submitter's keys.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qloom.executors.handover import CHANNEL, LARGEST_MESSAGE, MANY, READY, SUPERVISES
from qloom.executors.program_process import handed_down, thread_settings
from qloom.kit import processes
from qloom.kit.installed import packages_state

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from qloom.jobspecs import JobSpec

_LOG = logging.getLogger("qloom")

SECOND = 2
"""A server is started at the second job that could use it: a single job is quicker without."""
MOST = 4
"""Servers of one process at a time; the one that was not used for the longest time goes first."""
SEND_S = 5.0
"""After this time of not taking a message, a server is given up."""

_READ_AT_START = ("PYTHON", "LD_", "OMP_", "OPENBLAS_", "MKL_", "KMP_", "GOMP_", "NUMEXPR_", "VECLIB_", "MALLOC_", "QULACS_")
"""Variables that Python and numerical libraries read when they are loaded: a server with others is another server."""
_NO_JOB = "-" * 26
"""In place of a job's id, as long as one."""

Key = tuple[object, ...]


def server_command(job: JobSpec) -> list[str]:
    """Return the command line of the fork server that suits a job.

    >>> from qloom.jobspecs import JobSpec
    >>> server_command(JobSpec(job_id="x", program="p", entry_point="p:p", source_digest=""))[1:]
    ['-P', '-m', 'qloom.entry', 'serve']
    """
    return [supervising_python(job), "-P", "-m", "qloom.entry", "serve"]


def supervising_python(job: JobSpec) -> str:
    """Return the interpreter that supervises a job: a program's own; a script's knows nothing of qloom.

    >>> from qloom.jobspecs import JobSpec
    >>> job = JobSpec(job_id="x", program="p", entry_point="p:p", source_digest="", python="/opt/python")
    >>> supervising_python(job)
    '/opt/python'
    """
    return job.python if job.python and job.kind == "program" else sys.executable


class ForkServers:
    """The fork servers of this process, one for each environment.

    Args:
        command: the command line of the server that suits a job.

    >>> from qloom.jobspecs import JobSpec
    >>> ForkServers(server_command).ready(JobSpec(job_id="x", program="p", entry_point="p:p", source_digest="")) is None
    True
    """

    def __init__(self, command: Callable[[JobSpec], list[str]]) -> None:
        self._command = command
        self._servers: dict[Key, ForkServer] = {}
        self._asked: dict[Key, int] = {}
        self._useless: set[Key] = set()  # their server ended before it took anything
        self._map: tuple[str, ForkServer] | None = None
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def ready(self, job: JobSpec, *, start_now: bool = False, wait_s: float = 0.0) -> ForkServer | None:
        """Return the server that suits a job, or None where there is none yet; asking often enough starts one.

        Args:
            job: the job.
            start_now: start one at the first time.
            wait_s: how long to wait for one that starts.
        """
        with self._lock:
            self._forget_others()
            if job.map and self._map is not None and self._map[0] == job.map and not self._map[1].has_ended():
                return self._map[1]  # the jobs of a map are alike, and have the variables of the first one
            environment = handed_down(job, os.environ)
            server = self._server(job, environment, start_now=start_now)
        if server is None or not server.ready(wait_s):
            return None
        self._map = (job.map, server)
        server.environment = environment
        return server

    def _server(self, job: JobSpec, environment: dict[str, str], *, start_now: bool) -> ForkServer | None:
        key = _key(job, self._command(job), environment)
        server = self._servers.pop(key, None)
        if server is not None and server.has_ended():
            if not server.worked:
                self._useless.add(key)
            server = None
        if key in self._useless or len(job.job_id) not in (0, len(_NO_JOB)):
            return None
        asked = self._asked[key] = self._asked.get(key, 0) + 1
        if server is None and (start_now or asked >= SECOND):
            server = ForkServer.start(self._command(job), thread_settings(job.resources.cpus) | environment)
        if server is not None:
            self._servers[key] = server  # at the end: the first one is the one that was not used for the longest time
        while len(self._servers) > MOST:
            self._servers.pop(next(iter(self._servers))).close()
        return server

    def close(self) -> None:
        """Let go of all servers: each ends when its attempts have ended."""
        with self._lock:
            for server in self._servers.values():
                server.close()
            self._servers.clear()

    def __del__(self) -> None:
        if self._owner == os.getpid():
            self.close()

    def _forget_others(self) -> None:
        """In a fork, the servers are the parent's: two processes must not talk through one socket."""
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._servers.clear()
            self._asked.clear()
            self._map = None


class ForkServer:
    """One fork server.

    Attributes:
        pid: its process.
        started_at: seconds since 1970.
        gone: whether it has ended, or is given up.
        worked: whether it took attempts.
        environment: what its next attempt has.
    """

    def __init__(self, pid: int, channel: socket.socket, log: Any) -> None:
        self.pid = pid
        self.started_at = time.time()
        self.gone = False
        self._channel = channel
        self._log = log
        self.worked = False
        self.environment: dict[str, str] = {}
        self._told_environment: dict[str, str] | None = None
        self._owner_started = processes.start_time(os.getpid()) or 0
        self._lock = threading.Lock()

    @classmethod
    def start(cls, command: list[str], environment: dict[str, str]) -> ForkServer | None:
        """Start a server with these variables and return at once; None where no process could be made."""
        import socket  # late, with all that follows: a single job starts without
        import tempfile

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_MESSAGE)
        log = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the server
        own = {processes.MARKER: _NO_JOB, SUPERVISES: MANY}
        with theirs:
            try:
                pid = processes.start_apart(command, environment | own, log=log.fileno(), handed=theirs.fileno(), number=CHANNEL)
            except OSError as error:
                _LOG.warning("no fork server (%s); jobs start without", error)
                ours.close()
                log.close()
                return None
        return cls(pid, ours, log)

    def has_ended(self) -> bool:
        """Whether it is gone; one that ended by itself is given up."""
        with self._lock:
            if not self.gone and self.worked:
                poll = select.poll()
                poll.register(self._channel, 0)  # only the end of the other side
                if poll.poll(0):
                    self.give_up("it was killed")
            return self.gone

    def ready(self, wait_s: float = 0.0) -> bool:
        """Whether it takes attempts, waiting up to `wait_s` for it to start."""
        with self._lock:
            if self.worked or self.gone:
                return not self.gone
            self._channel.settimeout(wait_s)
            try:
                said = self._channel.recv(4096)
            except (BlockingIOError, TimeoutError):
                return False
            except OSError as error:
                said = str(error).encode()
            self._channel.settimeout(SEND_S)
            self.worked = said == READY
            if not self.worked:
                self.give_up(said.decode(errors="replace"))
            return self.worked

    def hand_over(self, job: JobSpec, folder: Path, attempt: int, lease: int, told: int) -> bool:
        """Give it an attempt; False where it takes none any more.

        Args:
            job: its specification.
            folder: its folder.
            attempt: number of the attempt.
            lease: descriptor of the job's lease.
            told: descriptor of a pipe that is closed when the attempt has ended.
        """
        submitter = None if job.detach else (os.getpid(), self._owner_started)
        message: dict[str, object] = {"folder": str(folder), "attempt": attempt, "submitter": submitter}
        message["again"] = not job.fresh_process
        with self._lock:
            if self.gone:
                return False
            if self.environment != self._told_environment:
                message["environment"] = self._told_environment = self.environment
            try:
                import socket

                socket.send_fds(self._channel, [json.dumps(message).encode()], [lease, told])
            except OSError as error:
                self.give_up(str(error))
                return False
        return True

    def close(self) -> None:
        """Let go of it: it ends when its attempts have ended."""
        self.gone = True
        self._channel.close()
        self._log.close()

    def give_up(self, why: str) -> None:
        """Use it no more, and say so."""
        with suppress(OSError, ValueError):
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            why = " ".join(filter(None, [why, lines[-1] if lines else ""]))
        _LOG.warning("the fork server ended (%s); jobs start without it", why or "no word why")
        self.close()


def _key(job: JobSpec, command: list[str], environment: dict[str, str]) -> Key:
    read = tuple(sorted((name, value) for name, value in environment.items() if name.startswith(_READ_AT_START)))
    return (tuple(command), job.resources.cpus, job.sandbox, read, packages_state())
