"""The supervision of one attempt: its program is started, its output kept, its limits enforced, its end recorded.

It has no loop of its own and never waits: a `Host` (`executors/local_supervisor.py`) tells it what happened. What it
promises: whatever happens to the program, status.json says how it ended and no process of it is left; whatever happens to
the process that supervises, the kernel kills the program and frees the lease, so that everybody sees the job INTERRUPTED.
A job that asks for a sandbox runs in one or not at all (`kit/sandbox.py`); any other program starts in its own folder, but
may write wherever its user may.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from qloom.errors import CorruptRecord, StorageFailed
from qloom.executors.handover import CANCEL, SUSPEND
from qloom.executors.outcomes import Outcome, failed, interrupted, judge, over_limit, read_outcome
from qloom.executors.output_lines import Listened, OutputLines
from qloom.executors.output_log import MIB, OutputLog
from qloom.jobspecs import JobState, JobStatus
from qloom.kit import processes
from qloom.kit.files import read_json, write_json
from qloom.kit.sandbox import PROCESSES, exit_code_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.executors.program_process import Program
    from qloom.jobspecs import JobSpec
    from qloom.kit.control_groups import ControlGroup
    from qloom.kit.job_folder import JobFolder, Lease

WATCH_S = 0.025
"""Time between two looks at memory and processes."""
WATCH_SHARE = 0.05
"""Looks take at most this share of a core, those at other attempts included: with thousands of threads they come less often."""
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

_READ_BYTES = 256 * 1024
_CPUS = os.cpu_count() or 1
_NEVER = float("inf")


class Submitter(NamedTuple):
    """The process that submitted a job and that the job must not outlive.

    Attributes:
        pid: its process id.
        started: when it started, which tells it from a later process of that id.
    """

    pid: int
    started: int

    def gone(self) -> bool:
        """Whether it has ended."""
        return not processes.is_same(self.pid, self.started)


class Attempt(NamedTuple):
    """What is to be supervised.

    Attributes:
        folder: the job.
        number: of the attempt.
        lease: the job's; freed when the end is recorded.
        command: the program's command line, one that is listened to, or a function that is run in a fork of this process.
        environment: of whoever submitted it.
        submitter: None where the job is detached.
        again: whether the process that runs it may have run another attempt, and may run more; with a function only.
    """

    folder: JobFolder
    number: int
    lease: Lease
    command: Sequence[str] | Listened | Callable[[], int]
    environment: Mapping[str, str]
    submitter: Submitter | None = None
    again: bool = False


class Host(Protocol):
    """The loop that supervisions live in.

    Attributes:
        records_after_s: an attempt that has ended by then is recorded once, when it has; 0 to record each as it begins.
    """

    records_after_s: float

    def watch(self, descriptor: int, ready: Callable[[], object]) -> None:
        """Call `ready` whenever the descriptor can be read."""
        ...

    def forget(self, descriptor: int) -> None:
        """Stop that."""
        ...

    def members(self, supervision: Supervision) -> set[int]:
        """Return the processes of an attempt, ended ones that were not reaped included."""
        ...

    def share(self) -> int:
        """Return among how many attempts the time for looks is shared."""
        ...

    def start(self, attempt: Attempt, job: JobSpec, command: Sequence[str] | Callable[[], int]) -> Program:
        """Start a program.

        Raises:
            OSError: no process could be made.
        """
        ...

    def fell_silent(self, program: Program) -> None:
        """Look whether a program that has closed its output has ended."""
        ...

    def release(self, program: Program) -> None:
        """Close a program's pipes, or keep it for the next attempt."""
        ...

    def fence(self, name: str, pid: int, most_tasks: int | None) -> ControlGroup | None:
        """Put a program that was just started into a control group of its own, where that is possible and worth its time."""
        ...

    def remove(self, group: ControlGroup) -> None:
        """Remove a control group whose processes have ended, now or as soon as the kernel lets it go."""
        ...

    def facts(self) -> dict[str, object]:
        """Return what is noted of the host beside each program."""
        ...


class Supervision:
    """One attempt, from its start to its recorded end.

    Attributes:
        job_id: the job.
        program: process id of its program; None before the start and after it was reaped.
        recorded: whether its end is on the disk; where it could not be written, the free lease says INTERRUPTED.
    """

    def __init__(self, attempt: Attempt, host: Host) -> None:
        self._host = host
        self._given = attempt
        self._folder, self._attempt, self._lease, self._command, _, self._submitter, _ = attempt
        self._job = self._folder.spec()
        self._resources = self._job.resources
        self._wrappers = (PROCESSES if self._job.sandbox else 0) + bool(
            self._job.sealed
        )  # the device server is none of the user's
        self._begun = time.monotonic()
        self._status = JobStatus(
            state=JobState.RUNNING, attempt=self._attempt, started_at=time.time(), pid=os.getpid(), host=os.uname().nodename
        )
        self.job_id = self._job.job_id
        self.program: int | None = None
        self.recorded = False
        self._log: OutputLog | None = None
        self._lines: OutputLines | None = None
        self._process: Program | None = None
        self._group: ControlGroup | None = None
        self._exit_code: int | None = None
        self._ended_by_us: JobStatus | None = None
        self._space_aside = False
        self._some_left = False  # whether any process of the job is there, ended ones that wait to be reaped included
        self._leave_at = self._kill_at = self._give_up_at = _NEVER
        self._note_at = _NEVER
        self._next_watch = self._begun + WATCH_S
        self._next_look = self._begun + LOOK_S

    # ---- what the host asks and tells --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the program; a start that fails is how the attempt ends."""
        try:
            self._folder.work(self._attempt).mkdir(parents=True, exist_ok=True)
            self._log = OutputLog(self._folder.output_file(self._attempt), limit_mb=self._resources.output_mb)
            self._space_aside = self._folder.set_space_aside(self._attempt)
            self._lines = OutputLines(self._command.begin()) if isinstance(self._command, Listened) else None
            self.look()
            if self._ended_by_us is None:
                self._start()
            # After the start: the program need not wait for its records.
            if (after_s := self._host.records_after_s) > 0:
                self._note_at = self._begun + after_s
            else:
                self._write_records()
        except (OSError, StorageFailed) as error:
            self._end(failed(f"the attempt cannot start: {error}", type(error).__name__), at_once=True)

    @property
    def over(self) -> bool:
        """Whether nothing of the attempt is left, or what is left was given up."""
        return not self._some_left or time.monotonic() >= self._give_up_at

    @property
    def program_ended(self) -> bool:
        """Whether its program was reaped."""
        return self._exit_code is not None

    def due(self) -> float:
        """Return when `tick` has something to do, on the monotonic clock."""
        due = min(self._next_look, self._note_at, self._leave_at, self._kill_at, self._give_up_at)
        if self._ended_by_us is None and self._exit_code is None:
            due = min(due, self._next_watch, self._begun + (self._resources.wall_time_s or _NEVER))
        return due

    def tick(self, now: float) -> None:
        """Do what the time has come for."""
        if now >= self._note_at:
            self._write_records_later()
        if self._ended_by_us is None and self._exit_code is None:
            self._watch(now)
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._space_aside |= self._folder.set_space_aside(self._attempt)
            self.look()
        if now >= self._leave_at:
            self._end_what_is_left()
        if now >= self._kill_at:
            self._kill(now)

    def look(self) -> None:
        """Do what somebody asks for by a file, and end with the submitter."""
        if self._asked_for(CANCEL):
            self._end(JobStatus(state=JobState.CANCELLED, error="cancelled"))
        elif self._asked_for(SUSPEND):
            self._end(interrupted("suspended", "suspended"))
        elif self._submitter is not None and self._submitter.gone():
            text = f"the process that submitted the job (pid {self._submitter.pid}) is gone, and the job is not detached"
            self._end(interrupted("killed", text))
            self._submitter = None

    def told_to_end(self) -> None:
        """End the attempt, because the process that supervises it is told to end."""
        self.look()  # a suspension comes with a file that says so
        self._end(interrupted("killed", "the job's supervisor was told to end (SIGTERM)"))

    def ended(self, exit_code: int) -> None:
        """Take note that the program has ended; its process may be one that runs another now."""
        self.program = None
        self._exit_code = exit_code_inside(exit_code) if self._job.sandbox else exit_code
        self._leave_at = time.monotonic() + LEFT_S

    def nothing_left(self) -> None:
        """Take note that no process of the attempt is left."""
        self._some_left = False

    def group_pids(self) -> set[int]:
        """Return who is in its control group."""
        return self._group.pids() if self._group else set()

    def finish(self) -> None:
        """Record the end and free the lease; call it once, when it is `over`."""
        with self._lease:
            if self._process is not None:
                self._drain(self._process)
            for note in self._lines.close() if self._lines is not None else ():
                self._note(note)
            if self._some_left:
                self._note(f"{len(self._members())} processes do not end, even killed (they hang in the kernel)")
            if self._log is not None:
                self._log.close()
            if self._group is not None:
                self._host.remove(self._group)
            self.recorded = self._record(self._verdict())

    # ---- beginning ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        command = self._command.command if isinstance(self._command, Listened) else self._command
        process = self._host.start(self._given, self._job, command)
        self._process, self.program, self._some_left = process, process.pid, True
        for descriptor in process.pipes:
            self._host.watch(descriptor, lambda one=descriptor: self._read(one))  # type: ignore[misc]
        self._group = self._host.fence(f"{self.job_id}-{self._attempt}", process.pid, self.most_tasks)

    def _write_records(self) -> None:
        """Write down that the attempt runs, and as which processes."""
        self._note_at = _NEVER
        if self._ended_by_us is None:
            self._folder.write_status(self._status, durable=False)
        self._note_processes()

    def _write_records_later(self) -> None:
        try:
            self._write_records()
        except StorageFailed as error:
            self._end(failed(f"the attempt cannot be recorded: {error}", type(error).__name__), at_once=True)

    def _note_processes(self) -> None:
        document = {
            "supervisor": os.getpid(),
            "program": self.program,
            "control_group": str(self._group.path) if self._group else None,
            "watched_through": ["/proc", *(["control group"] if self._group else [])],
            **self._host.facts(),
        }
        with suppress(StorageFailed):  # a full disk; the program may need none
            write_json(self._folder.processes_file(self._attempt), document, durable=False)

    @property
    def most_tasks(self) -> int | None:
        """The kernel's bound on the job's tasks, above the limit: the kernel counts threads, the limit does not."""
        most = self._resources.processes
        return None if most is None else most + 64 * _CPUS

    def _asked_for(self, wish: str) -> bool:
        try:
            return self._folder.request_file(wish).read_bytes().strip() == str(self._attempt).encode()
        except OSError:
            return False

    # ---- output ------------------------------------------------------------------------------------------------------

    def _read(self, descriptor: int) -> bool:
        """Take what one pipe holds; False at its end, or where nothing is in it now."""
        if self._process is None or descriptor not in self._process.pipes:
            return False
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if data and self._note_at < _NEVER:  # who sees the output is to see that it runs
            self._write_records_later()
        if data and self._log is not None:
            notes = self._lines.feed(self._process.pipes[descriptor], data) if self._lines is not None else []
            self._log.feed(self._process.pipes[descriptor], data)
            for note in notes:
                self._note(note)
        if not data:
            self._host.forget(descriptor)
            os.close(descriptor)
            del self._process.pipes[descriptor]
            if not self._process.pipes and self.program is not None:
                self._host.fell_silent(self._process)
        return bool(data)

    def _drain(self, process: Program) -> None:
        """Take what the ended processes left in the pipes; it is all there already, so nothing is waited for."""
        until = time.monotonic() + DRAIN_S
        for descriptor in list(process.pipes):
            while self._read(descriptor) and time.monotonic() < until:
                pass
        for descriptor in process.pipes:
            self._host.forget(descriptor)
        self._host.release(process)

    def _note(self, text: str) -> None:
        if self._log is not None:
            self._log.note(text)

    # ---- limits ------------------------------------------------------------------------------------------------------

    def _watch(self, now: float) -> None:
        limits = self._resources
        if limits.wall_time_s is not None and now - self._begun >= limits.wall_time_s:
            text = f"over resources.wall_time_s: it ran for {now - self._begun:.1f} s, the limit is {limits.wall_time_s:g} s"
            self._end(interrupted("walltime", text))
        if limits.memory_mb is None and limits.processes is None:
            self._next_watch = _NEVER
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
        after = time.monotonic()
        self._next_watch = after + max(WATCH_S, (after - now) / WATCH_SHARE * self._host.share())

    def _members(self) -> set[int]:
        """Return the job's processes, ended ones that were not reaped included."""
        return self._host.members(self) | self.group_pids()

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
        if self._kill_at == _NEVER:
            self._begin_ending(at_once=at_once)

    def _begin_ending(self, *, at_once: bool) -> None:
        now = time.monotonic()
        self._kill_at = now if at_once else now + GRACE_S
        self._give_up_at = self._kill_at + KILL_S
        if self._some_left and not at_once:
            processes.ask_to_end(self._who_is_asked)

    def _who_is_asked(self) -> set[int]:
        """Return who gets TERM: not the process that waits outside a sandbox, since all inside would be killed with it."""
        outside = {self._process.pid} if self._process is not None and self._job.sandbox else set()
        return self._members() - outside

    def _end_what_is_left(self) -> None:
        self._leave_at = _NEVER
        if self._some_left and self._kill_at == _NEVER:
            self._note(f"the program ended and left {len(self._members())} processes behind; they are ended")
            self._begin_ending(at_once=False)

    def _kill(self, now: float) -> None:
        if self._group is None or not self._group.kill():
            processes.kill(self._members)
        elif left := self._members():  # who was forked before the group was there
            processes.kill(lambda: left)
        self._kill_at = now + 0.01

    # ---- the end -----------------------------------------------------------------------------------------------------

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

    def _record(self, status: JobStatus) -> bool:
        for pause_s in (0.2, 0.0):
            try:
                # Of a job that is COMPLETED, result and outcome are on the disk: whoever finds an older status works it out.
                self._folder.write_status(status, durable=status.state is not JobState.COMPLETED)
            except StorageFailed as error:
                if not self._folder.free_space(self._attempt):
                    print(f"cannot record {status.state}: {error}", file=sys.stderr)  # noqa: T201  supervisor.log
                    time.sleep(pause_s)
            else:
                if self._space_aside:
                    self._folder.free_space(self._attempt)
                return True
        return False


def _memory(members: set[int], limit_mb: int) -> int:
    """Return the memory of processes; what they share is told apart only when it decides, since that is slow."""
    used = processes.resident_bytes(members)
    return processes.proportional_bytes(members) if used > limit_mb * MIB and len(members) > 1 else used
