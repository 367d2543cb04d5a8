"""The supervisor of one attempt: it starts the program, keeps its output, enforces its limits, and records how it ended.

One loop without threads. What it promises: whatever happens to the program, status.json says how it ended and no process
of it is left; whatever happens to the supervisor, the kernel kills the program and frees the lease, so that everybody sees
the job INTERRUPTED. A job that asks for a sandbox runs in one or not at all (`kit/sandbox.py`); any other program starts
in its own folder, but may write wherever its user may.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.errors import CorruptRecord, StorageFailed
from qloom.executors.handover import CANCEL, LEASE, SUBMITTER, SUSPEND
from qloom.executors.outcomes import Outcome, failed, interrupted, judge, over_limit, read_outcome
from qloom.executors.output_log import MIB, OutputLog
from qloom.executors.program_process import Program, program_environment, start_program
from qloom.jobspecs import JobState, JobStatus
from qloom.kit import processes
from qloom.kit.control_groups import ControlGroup
from qloom.kit.files import read_json, write_json
from qloom.kit.job_folder import Lease
from qloom.kit.sandbox import PROCESSES, exit_code_inside, python_paths, sandbox_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.kit.job_folder import JobFolder

WATCH_S = 0.025
"""Time between two looks at memory and processes."""
WATCH_SHARE = 0.05
"""Looks take at most this share of a core: with thousands of threads they come less often."""
LOOK_S = 0.25
"""Time between two looks for a request that came without its signal."""
LEFT_S = 0.5
"""Time for what a program leaves behind to end by itself, as Python's own helper processes do."""
GRACE_S = 1.0
"""Time between TERM and KILL."""
KILL_S = 10.0
"""After this time of KILL, processes are given up: they hang in the kernel."""
DRAIN_S = 1.0
"""Time for the output that is left in the pipes, should somebody outside the job hold them open and go on writing."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_READ_BYTES = 256 * 1024


def supervise(folder: JobFolder, attempt: int, lease: Lease, command: Sequence[str] | Callable[[], int]) -> int:
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
        return _Supervisor(folder, attempt, command, _Submitter.inherited()).run()


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


class _Submitter:
    """The process that submitted the job and that the job must not outlive; none where the job is detached."""

    def __init__(self, pid: int | None, started: int | None) -> None:
        self.pid = pid
        self._started = started
        self.descriptor = -1
        if pid is not None:
            with suppress(OSError, AttributeError):  # no pidfd here: `gone` is asked from time to time all the same
                self.descriptor = os.pidfd_open(pid)

    @classmethod
    def inherited(cls) -> _Submitter:
        pid, _, started = os.environ.pop(SUBMITTER, "").partition(":")
        return cls(int(pid), int(started)) if pid and started else cls(None, None)

    def gone(self) -> bool:
        if self.pid is None:
            return False
        return processes.start_time(self.pid) != self._started or not processes.is_running(self.pid)


class _Supervisor:
    def __init__(
        self, folder: JobFolder, attempt: int, command: Sequence[str] | Callable[[], int], submitter: _Submitter
    ) -> None:
        self._folder = folder
        self._attempt = attempt
        self._command = command
        self._submitter = submitter
        self._job = folder.spec()
        self._resources = self._job.resources
        self._wrappers = PROCESSES if self._job.sandbox else 0
        self._begun = time.monotonic()
        self._status = JobStatus(
            state=JobState.RUNNING, attempt=attempt, started_at=time.time(), pid=os.getpid(), host=os.uname().nodename
        )
        self._log: OutputLog | None = None
        self._program: Program | None = None
        self._group: ControlGroup | None = None
        self._poll = select.poll()
        self._exit_code: int | None = None
        self._ended_by_us: JobStatus | None = None
        self._some_left = False  # whether any process of the job is there, ended ones that wait for us included
        self._leave_at = float("inf")
        self._kill_at = float("inf")
        self._give_up_at = float("inf")
        self._next_watch = self._next_look = 0.0

    def run(self) -> int:
        self._listen()
        try:
            self._folder.work(self._attempt).mkdir(parents=True, exist_ok=True)
            self._log = OutputLog(self._folder.output_file(self._attempt), limit_mb=self._resources.output_mb)
            self._folder.set_space_aside(self._attempt)
            self._folder.write_status(self._status, durable=False)
            self._look()
            if self._ended_by_us is None:
                self._start()
        except (OSError, StorageFailed) as error:
            self._end(failed(f"the attempt cannot start: {error}", type(error).__name__), at_once=True)
        while self._some_left and time.monotonic() < self._give_up_at:
            self._turn()
        return self._finish()

    # ---- beginning ---------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._wake, write = os.pipe()
        for descriptor in (self._wake, write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        self._poll.register(self._wake, select.POLLIN)
        if self._submitter.descriptor >= 0:
            self._poll.register(self._submitter.descriptor, select.POLLIN)

    def _start(self) -> None:
        processes.become_subreaper()
        environment = program_environment(self._job, self._folder, self._attempt, os.environ)
        command = self._boxed() if self._job.sandbox else self._command
        self._program = start_program(command, environment, self._folder.work(self._attempt), self._resources)
        self._some_left = True
        for descriptor in self._program.pipes:
            self._poll.register(descriptor, select.POLLIN)
        self._fence(self._program.pid)

    def _boxed(self) -> list[str]:
        if callable(self._command):
            raise TypeError("a fork of the supervisor cannot be in a sandbox; give a command line")
        shown = python_paths([Path.home(), self._folder.path])
        return sandbox_command(self._command, self._folder, self._attempt, memory_mb=self._resources.memory_mb, python=shown)

    def _fence(self, pid: int) -> None:
        """Put the program into a control group where that is possible. Not before it starts: that would hold it up."""
        most = self._resources.processes
        bound = None if most is None else most + 64 * (os.cpu_count() or 1)  # the kernel counts threads, the limit does not
        group = ControlGroup.create(f"{self._job.job_id}-{self._attempt}", most_tasks=bound)
        if group is not None and not group.add(pid):
            group.remove()
            group = None
        if group is not None:
            for child in processes.descendants(pid):  # a sandbox's first process may be there already
                group.add(child)
        self._group = group
        document = {
            "supervisor": os.getpid(),
            "program": pid,
            "control_group": str(group.path) if group else None,
            "watched_through": ["/proc", *(["control group"] if group else [])],
        }
        with suppress(StorageFailed):  # a full disk; the program may need none
            write_json(self._folder.processes_file(self._attempt), document, durable=False)

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        for descriptor, _ in self._poll.poll(self._pause_ms()):
            if descriptor == self._wake:
                self._hear()
            elif descriptor == self._submitter.descriptor:
                self._submitter_is_gone()
            else:
                self._read(descriptor)
        self._reap()
        now = time.monotonic()
        if self._ended_by_us is None and self._exit_code is None:
            self._watch(now)
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._look()
        if now >= self._leave_at:
            self._end_what_is_left()
        if now >= self._kill_at:
            self._kill(now)

    def _pause_ms(self) -> float:
        due = [self._next_look, self._leave_at, self._kill_at, self._give_up_at]
        if self._ended_by_us is None and self._exit_code is None:
            due += [self._next_watch, self._begun + (self._resources.wall_time_s or float("inf"))]
        return max(0.0, min(due) - time.monotonic()) * 1000 + 0.5

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            heard = os.read(self._wake, 4096)
            if any(number in heard for number in _ENDING):
                self._look()  # a suspension comes with a file that says so
                self._end(interrupted("killed", "the job's supervisor was told to end (SIGTERM)"))
            elif signal.SIGUSR1 in heard:
                self._look()

    def _look(self) -> None:
        """Do what somebody asks for by a file, and end with the submitter."""
        if self._asked_for(CANCEL):
            self._end(JobStatus(state=JobState.CANCELLED, error="cancelled"))
        elif self._asked_for(SUSPEND):
            self._end(interrupted("suspended", "suspended"))
        elif self._submitter.gone():
            self._submitter_is_gone()

    def _asked_for(self, wish: str) -> bool:
        try:
            return self._folder.request_file(wish).read_bytes().strip() == str(self._attempt).encode()
        except OSError:
            return False

    def _submitter_is_gone(self) -> None:
        if self._submitter.descriptor >= 0:
            self._poll.unregister(self._submitter.descriptor)
            os.close(self._submitter.descriptor)
            self._submitter.descriptor = -1
        text = f"the process that submitted the job (pid {self._submitter.pid}) is gone, and the job is not detached"
        self._end(interrupted("killed", text))
        self._submitter.pid = None

    def _read(self, descriptor: int) -> bool:
        """Take what one pipe holds; False at its end, or where nothing is in it now."""
        if self._program is None or descriptor not in self._program.pipes:
            return False
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if data and self._log is not None:
            self._log.feed(self._program.pipes[descriptor], data)
        if not data:
            self._poll.unregister(descriptor)
            os.close(descriptor)
            del self._program.pipes[descriptor]
        return bool(data)

    def _reap(self) -> None:
        """Collect what has ended. Lost children come to us, so `no children` means that nothing of the job is left."""
        while self._some_left:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._some_left = False
                return
            if pid == 0:
                break
            if self._program is not None and pid == self._program.pid:
                code = os.waitstatus_to_exitcode(wait_status)
                self._exit_code = exit_code_inside(code) if self._job.sandbox else code
                self._leave_at = time.monotonic() + LEFT_S

    def _end_what_is_left(self) -> None:
        self._leave_at = float("inf")
        if self._some_left and self._kill_at == float("inf"):
            self._note(f"the program ended and left {len(self._members())} processes behind; they are ended")
            self._begin_ending(at_once=False)

    # ---- limits ------------------------------------------------------------------------------------------------------

    def _watch(self, now: float) -> None:
        limits = self._resources
        if limits.wall_time_s is not None and now - self._begun >= limits.wall_time_s:
            text = f"over resources.wall_time_s: it ran for {now - self._begun:.1f} s, the limit is {limits.wall_time_s:g} s"
            self._end(interrupted("walltime", text))
        if limits.memory_mb is None and limits.processes is None:
            self._next_watch = float("inf")
        if now < self._next_watch:
            return
        members = self._members()
        count = len(members) - self._wrappers
        if limits.processes is not None and count > limits.processes:
            self._end(
                over_limit("processes", str(limits.processes), f"{count} processes", "start fewer or allow more"), at_once=True
            )
        elif limits.memory_mb is not None and (used := _memory(members, limits.memory_mb)) > limits.memory_mb * MIB:
            seen = f"{used / MIB:.0f} MiB in {count} processes"
            self._end(over_limit("memory_mb", f"{limits.memory_mb} MiB", seen, "use less or allow more"), at_once=True)
        took = time.monotonic() - now
        self._next_watch = now + max(WATCH_S, took / WATCH_SHARE)

    def _members(self) -> set[int]:
        """Return the job's processes, ended ones that were not reaped included."""
        return processes.descendants(os.getpid()) | (self._group.pids() if self._group else set())

    # ---- ending ------------------------------------------------------------------------------------------------------

    def _end(self, status: JobStatus, *, at_once: bool = False) -> None:
        """End the job, because of the first reason that comes; only a cancellation replaces another one."""
        cancels = status.state is JobState.CANCELLED
        if self._ended_by_us is not None and (not cancels or self._ended_by_us.state is JobState.CANCELLED):
            return
        self._ended_by_us = status
        if cancels:
            with suppress(StorageFailed):
                self._folder.write_status(replace(self._status, state=JobState.CANCELLING), durable=False)
        if self._kill_at == float("inf"):
            self._begin_ending(at_once=at_once)

    def _begin_ending(self, *, at_once: bool) -> None:
        now = time.monotonic()
        self._kill_at = now if at_once else now + GRACE_S
        self._give_up_at = self._kill_at + KILL_S
        if self._some_left and not at_once:
            processes.ask_to_end(self._who_is_asked)

    def _who_is_asked(self) -> set[int]:
        """Return who gets TERM: not the process that waits outside a sandbox, since all inside would be killed with it."""
        outside = {self._program.pid} if self._program is not None and self._job.sandbox else set()
        return self._members() - outside

    def _kill(self, now: float) -> None:
        if self._group is None or not self._group.kill():
            processes.kill(self._members)
        elif left := self._members():  # who was forked before the group was there
            processes.kill(lambda: left)
        self._kill_at = now + 0.01

    def _finish(self) -> int:
        self._drain()
        if self._some_left:
            self._note(f"{len(self._members())} processes do not end, even killed (they hang in the kernel)")
        if self._log is not None:
            self._log.close()
        if self._group is not None:
            self._group.remove()
        return self._record(self._verdict())

    def _drain(self) -> None:
        """Take what the ended processes left in the pipes; it is all there already, so nothing is waited for."""
        until = time.monotonic() + DRAIN_S
        for descriptor in list(self._program.pipes) if self._program else []:
            while self._read(descriptor) and time.monotonic() < until:
                pass

    def _verdict(self) -> JobStatus:
        ended = judge(
            self._exit_code,
            self._outcome(),
            has_result=self._folder.results_file.exists(),
            ended_by_us=self._ended_by_us,
            last_error_line=self._log.last_error_line if self._log else "",
        )
        begun = self._status
        return replace(
            ended, attempt=self._attempt, started_at=begun.started_at, ended_at=time.time(), pid=begun.pid, host=begun.host
        )

    def _outcome(self) -> Outcome | None:
        try:
            return read_outcome(read_json(self._folder.outcome_file(self._attempt)))
        except (OSError, CorruptRecord):
            return None

    def _record(self, status: JobStatus) -> int:
        for pause_s in (0.2, 0.0):
            try:
                self._folder.write_status(status)
            except StorageFailed as error:
                if not self._folder.free_space(self._attempt):
                    print(f"cannot record {status.state}: {error}", file=sys.stderr)  # noqa: T201  supervisor.log
                    time.sleep(pause_s)
            else:
                self._folder.free_space(self._attempt)
                return 0
        return 1

    def _note(self, text: str) -> None:
        if self._log is not None:
            self._log.note(text)


def _memory(members: set[int], limit_mb: int) -> int:
    """Return the memory of processes; what they share is told apart only when it decides, since that is slow."""
    used = processes.resident_bytes(members)
    return processes.proportional_bytes(members) if used > limit_mb * MIB and len(members) > 1 else used
