"""The loop that an attempt is supervised in, in a process of its own; one for many is in `executors/shared_loop.py`.

One thread, one poll. It takes over signals, children and descriptors of its process.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.executors.device_server import ServerProcess, start_device_server
from qloom.executors.handover import LEASE, LINK, LINK_DESCRIPTOR, SUBMITTER
from qloom.executors.output_lines import Listened
from qloom.executors.program_process import Program, program_environment, start_program
from qloom.executors.supervision import Attempt, Submitter, Supervision
from qloom.kit import processes
from qloom.kit.control_groups import ControlGroup
from qloom.kit.job_folder import Lease
from qloom.kit.sandbox import python_paths, sandbox_command, seen_in_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SEALED_STAGES = "QLOOM_SEALED_STAGES"
"""Variable of the host: the folder of its sealed stages, which no program in a sandbox may see."""
_BURY_S = 0.05
"""Time between two tries to remove a control group that the kernel still holds."""


def supervise(folder: JobFolder, attempt: int, lease: Lease, command: Sequence[str] | Listened | Callable[[], int]) -> int:
    """Run one attempt of a job to its end, and record that end.

    Args:
        folder: the job.
        attempt: number of the attempt.
        lease: the job's; freed when the end is recorded.
        command: the program's command line, or a function that is run in a fork of this process, which saves the start of
            a second interpreter; for a job in a sandbox always a command line, which is run in there.

    Returns:
        0 when the end is recorded, 1 when it could not be (the disk is full): the job is then INTERRUPTED, since the
        lease is free.

    Takes over signals, children and descriptors of its process: call it in one that does nothing else.
    """
    with lease:
        os.set_inheritable(lease.descriptor, False)
        submitter = _inherited_submitter()
        loop = Loop()
        if submitter is not None:
            loop.end_with(submitter.pid)
        only = loop.add(Attempt(folder, attempt, lease, command, os.environ, submitter))
        while loop.attempts:
            loop.turn()
        loop.close()
        return 0 if only.recorded else 1


def inherited_lease(folder: JobFolder) -> Lease:
    """Return the lease that the executor handed over with the process, and close every other descriptor it let through.

    Raises:
        WrongState: none was handed over, and somebody holds it.
    """
    descriptor = int(os.environ.pop(LEASE, "-1"))
    if descriptor < 0:
        return Lease.take(folder)
    processes.close_all_but({0, 1, 2, descriptor})
    os.set_inheritable(descriptor, False)
    return Lease(descriptor)


def _inherited_submitter() -> Submitter | None:
    pid, _, started = os.environ.pop(SUBMITTER, "").partition(":")
    return Submitter(int(pid), int(started)) if pid and started else None


def _boxed(attempt: Attempt, job: JobSpec, command: Sequence[str] | Callable[[], int]) -> list[str]:
    """Return the command line that runs another one in a sandbox."""
    if callable(command):
        raise TypeError("a fork of the supervisor cannot be in a sandbox; give a command line")
    loads = attempt.command.loads if isinstance(attempt.command, Listened) else None
    shown = python_paths([Path.home(), attempt.folder.path], loads)
    sealed = attempt.environment.get(SEALED_STAGES, "") if job.sealed else ""
    if sealed and (place := seen_in_sandbox(Path(sealed), shown)):
        raise OSError(f"the sealed stages in {sealed} are below {place}, which every sandbox shows; put them elsewhere")
    return sandbox_command(command, attempt.folder, attempt.number, memory_mb=job.resources.memory_mb, python=shown)


class Loop:
    """A loop of supervisions; fills `Host`. Every process below its own is that of its attempt.

    Attributes:
        attempts: those that have not ended.
    """

    records_after_s = 0.0

    def __init__(self) -> None:
        self.attempts: list[Supervision] = []
        self._ready: dict[int, Callable[[], object]] = {}
        self._graves: list[ControlGroup] = []
        self._servers: dict[int, ServerProcess] = {}  # program -> its device server
        self._poll = select.poll()
        self._wake, write = os.pipe()
        for descriptor in (self._wake, write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        processes.become_subreaper()
        self.watch(self._wake, self._hear)

    def add(self, attempt: Attempt) -> Supervision:
        """Begin to supervise an attempt."""
        one = Supervision(attempt, self)
        self.attempts.append(one)
        one.begin()
        if one.over:
            self._finish(one)
        return one

    def turn(self, longest_s: float = float("inf")) -> bool:
        """Wait until something happens, no longer than `longest_s`, see to it, and return whether something has."""
        due = min((one.due() for one in self.attempts), default=float("inf"))
        due = min([due, *(server.kill_at for server in self._servers.values())])
        if self._graves:
            longest_s = min(longest_s, _BURY_S)
        pause_s = min(max(0.0, due - time.monotonic()), longest_s)
        heard = self._poll.poll(None if pause_s == float("inf") else pause_s * 1000 + 0.5)
        for descriptor, _ in heard:
            if (ready := self._ready.get(descriptor)) is not None:
                ready()
        self._reap()
        now = time.monotonic()
        for server in self._servers.values():
            if now >= server.kill_at:
                server.kill()
                server.kill_at = float("inf")
        for one in self.attempts:
            one.tick(now)
        for one in [one for one in self.attempts if one.over]:
            self._finish(one)
        self._graves = [group for group in self._graves if not group.remove(limit_s=0)]
        return bool(heard)

    def end_with(self, pid: int) -> None:
        """Have every attempt look whether its submitter is gone as soon as this process ends."""
        try:
            descriptor = os.pidfd_open(pid)
        except (OSError, AttributeError):  # no pidfd here: they look from time to time all the same
            return

        def gone() -> None:
            self.forget(descriptor)
            os.close(descriptor)
            self.look()

        self.watch(descriptor, gone)

    def look(self) -> None:
        """Have every attempt look for requests."""
        for one in self.attempts:
            one.look()

    def close(self) -> None:
        """Wait for what the kernel still holds."""
        for group in self._graves:
            group.remove()
        self._graves = []

    # ---- the host ----------------------------------------------------------------------------------------------------

    def watch(self, descriptor: int, ready: Callable[[], object]) -> None:
        self._ready[descriptor] = ready
        self._poll.register(descriptor, select.POLLIN)

    def forget(self, descriptor: int) -> None:
        if self._ready.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def members(self, supervision: Supervision) -> set[int]:
        return processes.descendants(os.getpid())

    def share(self) -> int:
        return len(self.attempts)

    def start(self, attempt: Attempt, job: JobSpec, command: Sequence[str] | Callable[[], int]) -> Program:
        environment = program_environment(job, attempt.folder, attempt.number, attempt.environment)
        if job.sealed:
            return self._start_linked(attempt, job, command, environment)
        if job.sandbox:
            command = _boxed(attempt, job, command)
        return start_program(command, environment, attempt.folder.work(attempt.number), job.resources)

    def fell_silent(self, program: Program) -> None:
        """Nothing follows from that here: its end is for `waitpid` to tell."""

    def release(self, program: Program) -> None:
        program.close()

    def fence(self, name: str, pid: int, most_tasks: int | None) -> ControlGroup | None:
        group = ControlGroup.create(name, most_tasks=most_tasks)
        if group is None or not group.add(pid):
            if group is not None:
                group.remove()
            return None
        for child in processes.descendants(pid):  # a sandbox's first process may be there already
            group.add(child)
        return group

    def facts(self) -> dict[str, object]:
        return {}

    def remove(self, group: ControlGroup) -> None:
        if not group.remove(limit_s=0):
            self._graves.append(group)

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _start_linked(
        self, attempt: Attempt, job: JobSpec, command: Sequence[str] | Callable[[], int], environment: dict[str, str]
    ) -> Program:
        """Start a device server and a program that has the other end of its link."""
        server = start_device_server(attempt.folder, attempt.number, job, attempt.environment)
        try:
            if job.sandbox:
                command = _boxed(attempt, job, command)
            environment |= {LINK: str(LINK_DESCRIPTOR)}
            where = attempt.folder.work(attempt.number)
            program = start_program(command, environment, where, job.resources, server.link.fileno())
        except OSError:
            server.kill()
            raise
        finally:
            server.link.close()
        self._servers[program.pid] = server
        return program

    def _finish(self, one: Supervision) -> None:
        self.attempts.remove(one)
        one.finish()

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            heard = os.read(self._wake, 4096)
            if any(number in heard for number in _ENDING):
                for one in self.attempts:
                    one.told_to_end()
            elif signal.SIGUSR1 in heard:
                self.look()

    def _reap(self) -> None:
        """Collect what has ended. Lost children come to us, so without children nothing of any attempt is left."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                for one in self.attempts:
                    one.nothing_left()
                return
            if pid == 0:
                return
            self._ended(pid, os.waitstatus_to_exitcode(wait_status))

    def _ended(self, pid: int, exit_code: int) -> None:
        if pid in self._servers:
            self._servers[pid].leave()
        self._servers = {program: server for program, server in self._servers.items() if server.pid != pid}
        for one in self.attempts:
            if one.program == pid:
                one.ended(exit_code)
