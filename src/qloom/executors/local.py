"""Jobs as child processes of this machine.

The first of a process has a supervisor to itself (`executors/local_supervisor.py`); later ones are supervised by a fork
server (`executors/warm.py`), where there is one.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.errors import CorruptRecord, Rejected, StorageFailed, TimedOut, UnknownName, WrongState
from qloom.executors.handover import CANCEL, LEASE, MANY, SUBMITTER, SUPERVISES, SUSPEND, without_internals
from qloom.executors.warm import ForkServers, server_command, supervising_python
from qloom.jobspecs import JobState, JobStatus
from qloom.kit import processes
from qloom.kit.control_groups import ControlGroup
from qloom.kit.files import read_json, write_atomically
from qloom.kit.job_folder import JobFolder, Lease
from qloom.kit.sandbox import sandbox_problem
from qloom.kit.waiting import open_pid, pauses, sleep_or_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qloom.executors.warm import ForkServer
    from qloom.jobspecs import JobSpec

FORCE_AFTER_S = 3.0
"""A supervisor that has not ended its job by then does not work: it is killed, and with it the program."""
SANDBOX_KNOWN_S = 60.0
"""A sandbox that could be made so long ago is taken to be possible; should it not be, the job is FAILED and never runs open."""
START_S = 2.0
"""How long `find` waits for a supervisor that is starting to say its number."""
_LEASE_DESCRIPTOR = 3


@dataclass(frozen=True, slots=True)
class LocalHandle:
    """One attempt: `id` is the process id of its supervisor.

    >>> LocalHandle("4711").id
    '4711'
    """

    id: str


def supervisor_command(job: JobSpec, folder: Path, attempt: int) -> list[str]:
    """Return the command line that starts the supervisor of one attempt: a program's own interpreter supervises it too.

    >>> from pathlib import Path
    >>> from qloom.jobspecs import JobSpec
    >>> supervisor_command(JobSpec(job_id="x", program="p", entry_point="p:p", source_digest=""), Path("/jobs/x"), 2)[1:]
    ['-P', '-m', 'qloom.entry', 'supervise', '/jobs/x', '2']
    """
    return [supervising_python(job), "-P", "-m", "qloom.entry", "supervise", str(folder), str(attempt)]


def create(*, fork_server: bool = True, **options: object) -> LocalExecutor:
    """Jobs run as child processes of this machine.

    Args:
        fork_server: whether repeated jobs start from a process that has loaded what programs need.
        options: none; they are refused by name.

    Raises:
        UnknownName: another option.

    >>> create().name
    'local'
    """
    for name in options:
        raise UnknownName.among("option of the local executor", name, ["fork_server"])
    return LocalExecutor() if fork_server else LocalExecutor(server_command=None)


class LocalExecutor:
    """Runs attempts as child processes; fills `contracts.Executor`.

    Args:
        supervisor_command: (job, folder, attempt) -> the command line that starts a supervisor.
        server_command: job -> the command line of a fork server for jobs like it; None where every job starts by itself.

    >>> LocalExecutor().name
    'local'
    """

    name = "local"

    def __init__(
        self,
        supervisor_command: Callable[[JobSpec, Path, int], list[str]] = supervisor_command,
        server_command: Callable[[JobSpec], list[str]] | None = server_command,
    ) -> None:
        self._supervisor_command = supervisor_command
        self._servers = None if server_command is None else ForkServers(server_command)
        self._ends: dict[Path, int] = {}

    # ---- the contract ------------------------------------------------------------------------------------------------

    def submit(self, job: JobSpec, folder: Path, attempt: int) -> LocalHandle:
        processes.reap_adopted()
        place = JobFolder(folder)
        if known := self.find(folder, attempt):
            return known
        with Lease.take(place) as lease:
            before = place.recorded_status()
            if before.attempt > attempt:
                raise WrongState(f"job {folder.name} is at attempt {before.attempt} already; attempt {attempt} comes too late")
            if before.state is JobState.COMPLETED:  # by somebody who was faster, between the caller's look and this lease
                raise WrongState(f"job {folder.name} is COMPLETED, by attempt {before.attempt}; its result is there")
            if attempt > 1:
                _end_strays(place, before)
                place.keep_status(before)
            queued = JobStatus(state=JobState.QUEUED, attempt=attempt)
            if before == queued:
                before = JobStatus(state=JobState.CREATED)
            else:
                place.write_status(queued, durable=False)
            try:
                place.attempt(attempt).mkdir(parents=True, exist_ok=True)
                pid = self._hand_over(job, place, attempt, lease, before) or self._spawn(job, place, attempt, lease)
            except (OSError, StorageFailed) as error:
                _forget_attempt(place, attempt)
                place.write_status(before)
                raise Rejected(f"job {folder.name}: its supervisor cannot start: {error}; nothing was submitted") from error
        return LocalHandle(str(pid))

    def warm_up(self, job: JobSpec, *, wait_s: float = 10.0) -> bool:
        """Start the fork server that jobs like this one use, and wait for it; False where they start without one."""
        return self._servers is not None and self._servers.ready(job, start_now=True, wait_s=wait_s) is not None

    def close(self) -> None:
        """Let go of the fork servers; they end when their jobs have ended."""
        if self._servers is not None:
            self._servers.close()

    def wait(self, folders: Sequence[Path], timeout_s: float) -> list[Path]:
        poll, opened = select.poll(), []
        waited: dict[int, Path] = {}
        ended: list[Path] = []
        for folder in folders:
            end = self._ends.get(folder)
            if end is None:  # somebody else's, or its end was noticed in between
                status = JobFolder(folder).recorded_status()
                ended += [folder] if status.state.ended else []
                opened += [end] if (end := open_pid(status.pid)) is not None else []
            if end is not None:
                poll.register(end, select.POLLIN)
                waited[end] = folder
        try:
            ended += [waited[end] for end, _ in poll.poll(0 if ended else timeout_s * 1000)]
        finally:
            for end in opened:
                os.close(end)
        self._forget_ended()
        return ended

    def watch(self, folder: Path) -> JobStatus:
        processes.reap_adopted()
        place = JobFolder(folder)
        status = place.recorded_status()
        if not status.state.alive:
            return status
        status, found_dead = place.look()
        if found_dead:
            _end_strays(place, status)
        return status

    def cancel(self, folder: Path, *, timeout_s: float = 10.0) -> JobStatus:
        status = self._end(JobFolder(folder), CANCEL, timeout_s)
        while status.state in (JobState.CREATED, JobState.INTERRUPTED):  # no process: whoever has the lease writes
            status = self._cancel_dead(JobFolder(folder)) or self._end(JobFolder(folder), CANCEL, timeout_s)
        return status

    def suspend(self, folder: Path, *, timeout_s: float = 10.0) -> JobStatus:
        return self._end(JobFolder(folder), SUSPEND, timeout_s)

    def find(self, folder: Path, attempt: int) -> LocalHandle | None:
        place = JobFolder(folder)
        if not place.attempt(attempt).is_dir():
            return None
        status = place.recorded_status()
        if status.attempt < attempt:
            return None
        if status.attempt == attempt and status.pid is None:
            status = self._once_started(place, attempt)
        if status.attempt == attempt:
            return LocalHandle(str(status.pid)) if status.pid is not None else None
        return LocalHandle(str(_noted_processes(place, attempt).get("supervisor", "")))

    def check_sandbox(self) -> None:
        if problem := sandbox_problem(known_for_s=SANDBOX_KNOWN_S):
            raise Rejected(f"no sandbox on this machine, and without one the job is not run: {problem}")

    def check_sealed(self) -> None:
        """Return: each attempt here may have a device server, which its supervisor starts."""

    def _hand_over(self, job: JobSpec, place: JobFolder, attempt: int, lease: Lease, before: JobStatus) -> int | None:
        """Give the attempt to a fork server and return its process id; None where there is none that takes it."""
        if job.sealed:  # its program must be no fork of a process that others use, and has a link besides
            return None
        server = self._servers.ready(job) if self._servers is not None else None
        if server is not None and _was_lost_under(server, place, before):
            server.give_up("a job was lost under it")  # it was killed, even if its socket is still being closed
            server = None
        if server is None:
            return None
        self._forget_ended()
        ends, told = os.pipe()
        taken = False
        try:
            taken = server.hand_over(job, place.path, attempt, lease.descriptor, told)
        finally:
            os.close(told)
            if not taken:
                os.close(ends)
        if not taken:
            return None
        self._ends[place.path] = ends
        return server.pid

    def _forget_ended(self) -> None:
        """Close the pipes of attempts that have ended."""
        if not self._ends:
            return
        poll = select.poll()
        for end in self._ends.values():
            poll.register(end, select.POLLIN)
        ended = {end for end, _ in poll.poll(0)}
        for folder, end in tuple(self._ends.items()):
            if end in ended and self._ends.pop(folder, None) == end:  # and no other thread closes it
                os.close(end)

    # ---- starting ----------------------------------------------------------------------------------------------------

    def _spawn(self, job: JobSpec, place: JobFolder, attempt: int, lease: Lease) -> int:
        """Start a supervisor for this attempt alone."""
        command = self._supervisor_command(job, place.path, attempt)
        environment = without_internals(os.environ) | {
            processes.MARKER: job.job_id,
            SUPERVISES: job.job_id,
            LEASE: str(_LEASE_DESCRIPTOR),
        }
        if not job.detach:
            environment[SUBMITTER] = f"{os.getpid()}:{processes.start_time(os.getpid())}"
        log = os.open(place.supervisor_log(attempt), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            pid = processes.start_apart(command, environment, log=log, handed=lease.descriptor, number=_LEASE_DESCRIPTOR)
        except OSError:
            place.supervisor_log(attempt).unlink(missing_ok=True)
            raise
        finally:
            os.close(log)
        self._forget_ended()
        if (end := open_pid(pid)) is not None:
            self._ends[place.path] = end
        return pid

    def _once_started(self, place: JobFolder, attempt: int) -> JobStatus:
        """Return the status once the supervisor wrote its number, or when it is clear that it will not."""
        status = place.recorded_status()
        with suppress(TimedOut):
            for pause_s in pauses("the supervisor's start", START_S):
                status = place.status()
                if status.pid is not None or status.attempt != attempt or status.state is not JobState.QUEUED:
                    break
                time.sleep(pause_s)
        return status

    # ---- ending ------------------------------------------------------------------------------------------------------

    def _end(self, place: JobFolder, wish: str, timeout_s: float) -> JobStatus:
        """Ask the supervisor to end the job, and wait until it has; kill one that does not work."""
        status = self.watch(place.path)
        if not status.state.alive:
            return status
        write_atomically(place.request_file(wish), str(status.attempt).encode(), durable=False)
        asked, forced = False, False
        begun = time.monotonic()
        for pause_s in pauses(f"job {place.path.name}", timeout_s):
            status = self.watch(place.path)
            if not status.state.alive:
                break
            if status.pid is not None and not asked:
                asked = _signal_supervisor(place, status, signal.SIGUSR1)
            if not forced and time.monotonic() - begun > FORCE_AFTER_S:
                forced = status.pid is not None and _signal_supervisor(place, status, signal.SIGKILL)
            sleep_or_exit(status.pid, pause_s)
        return status

    def _cancel_dead(self, place: JobFolder) -> JobStatus | None:
        """Cancel a job that has no process; None where somebody has just resumed it."""
        try:
            lease = Lease.take(place)
        except WrongState:
            return None
        with lease:
            status = place.recorded_status()
            if status.state in (JobState.CREATED, JobState.INTERRUPTED):
                _end_strays(place, status)
                status = replace(status, state=JobState.CANCELLED, reason="", error="cancelled; it had no process")
                place.write_status(status)
        return status


def _was_lost_under(server: ForkServer, place: JobFolder, before: JobStatus) -> bool:
    """Whether an attempt that was lost may have been this server's; one that was quickly lost has no process noted."""
    if before.reason != "lost" or before.pid is not None:
        return before.reason == "lost" and before.pid == server.pid
    try:
        return server.started_at <= place.work(before.attempt).stat().st_mtime
    except OSError:  # that attempt came no farther than its number
        return False


def _forget_attempt(place: JobFolder, attempt: int) -> None:
    """Remove the folder of an attempt that was not submitted after all."""
    with suppress(OSError):  # it is not there, or somebody has used it
        place.attempt(attempt).rmdir()


def _signal_supervisor(place: JobFolder, status: JobStatus, number: int) -> bool:
    if status.pid is None or status.host != os.uname().nodename:
        return False
    return any(processes.send_where(status.pid, f"{SUPERVISES}={one}", number) for one in (place.path.name, MANY))


def _end_strays(place: JobFolder, status: JobStatus) -> None:
    """End what an attempt left behind when its supervisor was killed: the kernel ends the program itself, not its forks."""
    if status.host and status.host != os.uname().nodename:
        return
    job_id, attempt = place.path.name, status.attempt
    for group in ControlGroup.existing(f"{job_id}-{attempt}", _noted_group(place, attempt)):
        processes.end_tree(group.pids, grace_s=0)
        group.remove()
    processes.end_strays(job_id)
    _end_server_group(_noted_processes(place, attempt))


def _end_server_group(noted: dict[str, object]) -> None:
    """End everything in the control group of a fork server that was killed: none of its jobs has a supervisor any more."""
    server, pid = noted.get("fork_server"), noted.get("supervisor")
    if not isinstance(server, dict) or not isinstance(pid, int) or not server.get("control_group"):
        return
    if processes.start_time(pid) == server.get("started"):
        return
    for group in ControlGroup.existing(f"server-{pid}", Path(str(server["control_group"]))):
        processes.end_tree(group.pids, grace_s=0)
        group.remove()


def _noted_group(place: JobFolder, attempt: int) -> Path | None:
    """Return where an attempt's group is noted to be; a folder of the job itself is none: its program made that up."""
    noted = _noted_processes(place, attempt).get("control_group")
    path = Path(str(noted)).resolve() if noted else None
    return None if path is None or path.is_relative_to(place.path.resolve()) else path


def _noted_processes(place: JobFolder, attempt: int) -> dict[str, object]:
    try:
        document = read_json(place.processes_file(attempt))
    except (OSError, CorruptRecord):
        return {}
    return document if isinstance(document, dict) else {}
