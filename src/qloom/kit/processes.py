"""Trees of processes on Linux, read from /proc: who descends from whom, what they use together, and how to end them all.

Three ways lead to the processes of a job, because programs fork, fork twice, and start sessions of their own:
its supervisor is a subreaper, so whoever loses a parent becomes its child and `descendants` finds everyone; a control
group, where there is one, lists its members; and after the death of a supervisor, the variable `QLOOM_JOB_ID` in the
environment of what is left.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from qloom.limits import Resources

MARKER = "QLOOM_JOB_ID"
"""The variable that every process of a job inherits."""

_DEFAULT_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGCHLD,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)
"""Signals that a process we start finds as they are made: a caller under nohup, or a shell's background job, ignores some."""

_ADOPTED: set[int] = set()
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SET_PDEATHSIG = 1  # linux/prctl.h
_SET_CHILD_SUBREAPER = 36
_ROUNDS = 50  # of looking for processes that were forked during the last look


# ---- what is there -----------------------------------------------------------------------------------------------------


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None where there is none. With the pid it is unique.

    >>> start_time(os.getpid()) is not None
    True
    """
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 else None


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that waits to be reaped has ended.

    >>> is_running(os.getpid())
    True
    """
    fields = _stat(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def is_same(pid: int, started: int) -> bool:
    """Whether the process that started at that time is there and has not ended.

    >>> is_same(os.getpid(), start_time(os.getpid()) or 0)
    True
    """
    fields = _stat(pid)
    return len(fields) > 19 and int(fields[19]) == started and fields[0] not in (b"Z", b"X")


def descendants(pid: int) -> set[int]:
    """Return the children of a process, their children and so on, those included that wait to be reaped.

    What a subreaper started is complete: a child that loses its parent becomes the subreaper's own.

    >>> os.getpid() in descendants(os.getppid())
    True
    """
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = set(children(waiting.pop())) - found
        found |= new
        waiting += new
    return found


def children(pid: int) -> list[int]:
    """Return the children of a process, those included that wait to be reaped.

    >>> os.getpid() in children(os.getppid())
    True
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  40 times a second
    except OSError:
        return []
    if not threads or not os.access(f"/proc/{pid}/task/{threads[0]}/children", os.R_OK):
        return _children_by_parent(pid)
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def marker(pid: int) -> str:
    """Return the job that a process carries the marker of; empty where it carries none, or has ended.

    >>> marker(os.getpid()) == os.environ.get(MARKER, "")
    True
    """
    for row in _read(f"/proc/{pid}/environ").split(b"\0"):
        name, _, value = row.partition(b"=")
        if name == MARKER.encode():
            return value.decode(errors="replace")
    return ""


class MarkerPlace:
    """The memory of this process that /proc shows as its marker, so that a fork can carry another one.

    `setenv` does not reach it, and what a fork forks in turn inherits it. The process has to be started with a marker of
    the length of those to come. Source: proc(5), /proc/pid/environ.

    Raises:
        LookupError: this process was started without a marker.
    """

    def __init__(self) -> None:
        import ctypes

        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_void_p
        self._address = getenv(MARKER.encode())
        if self._address is None:
            raise LookupError(f"this process was started without {MARKER}")
        self._length = len(ctypes.string_at(self._address))
        self._move = ctypes.memmove

    def fits(self, job_id: str) -> bool:
        """Whether a job's id has the length that there is room for."""
        return len(job_id.encode()) == self._length

    def clear(self) -> None:
        """Carry no job's marker from now on."""
        self.write("-" * self._length)

    def write(self, job_id: str) -> None:
        """Carry the marker of this job from now on.

        Raises:
            ValueError: it has another length.
        """
        if not self.fits(job_id):
            raise ValueError(f"{MARKER} has room for {self._length} bytes, {job_id!r} has another length")
        self._move(self._address, job_id.encode(), self._length)


def marked(job_id: str) -> set[int]:
    """Return the processes that carry a job's marker in their environment.

    >>> marked("no such job")
    set()
    """
    marker = f"{MARKER}={job_id}".encode()
    return {pid for pid in _all_pids() if marker in _read(f"/proc/{pid}/environ").split(b"\0")}


def strays(job_id: str) -> set[int]:
    """Return what is left of a job whose supervisor is gone: marked processes, their descendants, their sessions.

    The caller, its parents and their session are never among them, even where they carry the marker.

    >>> strays("no such job")
    set()
    """
    found = marked(job_id)
    if not found:
        return found
    sessions = {_session(pid) for pid in found} - {_session(os.getpid()), 0}
    found |= {pid for pid in _all_pids() if _session(pid) in sessions}
    for pid in tuple(found):
        found |= descendants(pid)
    return {pid for pid in found - _own_line() if is_running(pid)}


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes, summed; what they share counts once for each.

    >>> resident_bytes([os.getpid()]) > 1_000_000
    True
    """
    rows = (_read(f"/proc/{pid}/statm").split() for pid in pids)
    return _PAGE_BYTES * sum(int(row[1]) for row in rows if row)


def proportional_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes together; what they share is counted once. Slow: it walks every page.

    >>> 0 < proportional_bytes([os.getpid()]) <= resident_bytes([os.getpid()]) * 1.1
    True
    """
    return sum(_proportional(pid) for pid in pids)


# ---- what a process sets for itself ------------------------------------------------------------------------------------


def apply_limits(resources: Resources) -> None:
    """Set the limits that the kernel keeps for this process and what it starts: open files; no core dumps.

    Memory and the number of processes are the supervisor's to watch: RLIMIT_AS counts address space, which numerical
    libraries reserve without using it, and RLIMIT_NPROC counts all of a user's processes and does not bind root.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if resources.open_files is not None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = resources.open_files if hard == resource.RLIM_INFINITY else min(resources.open_files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def close_all_but(kept: Collection[int]) -> None:
    """Close every descriptor of this process except some."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  names are what is wanted
        if int(name) not in kept:
            with suppress(OSError):  # the listing's own is closed by now
                os.close(int(name))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however that dies; at once where it is already gone.

    Outlives `exec`; does not pass to children. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def become_subreaper() -> None:
    """Make descendants that lose their parent children of this process. Source: prctl(2), PR_SET_CHILD_SUBREAPER."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


# ---- starting ----------------------------------------------------------------------------------------------------------


def start_apart(command: list[str], environment: Mapping[str, str], *, log: int, handed: int, number: int) -> int:
    """Start a process in a session of its own, so that the terminal's signals do not reach it, and return its process id.

    It is adopted: `reap_adopted` collects it.

    Args:
        command: its command line.
        environment: all its variables.
        log: descriptor that its output goes to; it has no input.
        handed: a descriptor that it gets.
        number: what that is called there, 3 or above.

    Raises:
        OSError: it cannot be started.
    """
    pid = os.posix_spawnp(
        command[0],
        command,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
            (os.POSIX_SPAWN_DUP2, handed, number),  # last: it may overwrite `log`
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=_DEFAULT_SIGNALS,
    )
    _ADOPTED.add(pid)
    return pid


# ---- children that nobody waits for --------------------------------------------------------------------------------------


def reap_adopted() -> None:
    """Collect the adopted children that have ended, so that no zombie of ours stays.

    >>> reap_adopted()
    """
    for pid in tuple(_ADOPTED):
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            ended = True  # somebody else collected it, or we are a fork of who started it
        if ended:
            _ADOPTED.discard(pid)


# ---- ending ------------------------------------------------------------------------------------------------------------


def send(pid: int, number: int) -> bool:
    """Send a signal; False where the process is gone or is not ours to signal."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send_where(pid: int, variable: str, number: int) -> bool:
    """Send a signal to a process only if its environment holds `NAME=value`: a number may belong to another by now.

    >>> send_where(os.getpid(), "QLOOM_SUPERVISES=no such job", signal.SIGTERM)
    False
    """
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:  # the descriptor holds on to the process, so that the look and the signal meet the same one
        if variable.encode() not in _read(f"/proc/{pid}/environ").split(b"\0"):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True


def freeze(members: Callable[[], Collection[int]]) -> set[int]:
    """Stop processes until a look finds nobody new, and return them: who is stopped cannot fork."""
    stopped: set[int] = set()
    for _ in range(_ROUNDS):
        new = set(members()) - stopped
        if not new:
            break
        for pid in new:
            send(pid, signal.SIGSTOP)
        stopped |= new
    return stopped


def ask_to_end(members: Callable[[], Collection[int]]) -> None:
    """Send TERM to processes and to all that they forked until now."""
    stopped = freeze(members)
    for number in (signal.SIGTERM, signal.SIGCONT):
        for pid in stopped:
            send(pid, number)


def kill(members: Callable[[], Collection[int]]) -> None:
    """Send KILL to processes and to all that they forked until now."""
    for pid in freeze(members):
        send(pid, signal.SIGKILL)


def end_tree(members: Callable[[], Collection[int]], *, grace_s: float = 1.0, limit_s: float = 10.0) -> set[int]:
    """End processes, TERM first, then KILL until none is left, and return those that are there all the same.

    Args:
        members: looks who is there now; called again and again, since processes fork. Ended ones do not count.
        grace_s: time between TERM and KILL; 0 kills at once.
        limit_s: time after which those that cannot be killed (they hang in the kernel) are returned.
    """
    begun = time.monotonic()
    seen: dict[int, int | None] = {}

    def there() -> set[int]:
        # Who is dying has lost its environment already, by which `members` may know it: whoever was seen is waited for.
        for pid in members():
            seen.setdefault(pid, start_time(pid))
        return {pid for pid, started in seen.items() if is_running(pid) and start_time(pid) == started}

    if grace_s > 0:
        ask_to_end(there)
        _wait(there, begun + grace_s)
    while (left := there()) and time.monotonic() < begun + limit_s:
        kill(there)
        _wait(there, min(time.monotonic() + 0.1, begun + limit_s))
    return left


def end_strays(job_id: str, *, grace_s: float = 0.0, limit_s: float = 10.0) -> int:
    """End what is left of a job whose supervisor is gone, and return how many processes that were.

    Call it only when the job's lease is free, or held by the caller: it does not spare a job that runs.

    >>> end_strays("no such job")
    0
    """
    found: set[int] = set()

    def look() -> set[int]:
        now = strays(job_id)
        found.update(now)
        return now

    if look():
        end_tree(look, grace_s=grace_s, limit_s=limit_s)
    return len(found)


# ---- /proc -------------------------------------------------------------------------------------------------------------


def _read(path: str) -> bytes:
    """Return a file of /proc; empty where the process is gone or belongs to somebody else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _stat(pid: int) -> list[bytes]:
    """Return /proc/PID/stat from the state on: the name before it may hold spaces and brackets."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def _children_by_parent(pid: int) -> list[int]:
    """Return the children on a kernel without CONFIG_PROC_CHILDREN: everybody is asked for the parent."""
    wanted = str(pid).encode()
    return [other for other in _all_pids() if _stat(other)[1:2] == [wanted]]


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208  names are what is wanted


def _own_line() -> set[int]:
    """Return this process and its parents."""
    line, pid = set(), os.getpid()
    while pid and pid not in line:
        line.add(pid)
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0
    return line


def _proportional(pid: int) -> int:
    for row in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if row.startswith(b"Pss:"):
            return int(row.split()[1]) * 1024
    return resident_bytes([pid])  # an old kernel, or a process that ends at this moment


def _wait(there: Callable[[], Collection[int]], until: float) -> None:
    pause = 0.002
    while there() and time.monotonic() < until:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def _prctl(option: int, value: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
