"""A sandbox that forks can step into: bubblewrap builds the walls once, and every program then gets a place of its own in there.

`sandbox_command` (`kit/sandbox.py`) starts a new interpreter for each program, which takes longer than most of what else a
start takes. Here bubblewrap holds the namespaces open with a process that does nothing; a fork joins them (setns(2)), makes
itself a mount and a process table of its own, and, once it knows its job, mounts that job's folder, hides all others, and
gives up every capability before anything of the user's is loaded. What a program sees is the same as in `sandbox_command`,
but for one thing: the programs of one box share its network, which has nothing but a loopback.
Sources: bwrap(1), setns(2), pid_namespaces(7), mount(2), capabilities(7).
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from qloom.kit.sandbox import box_walls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from qloom.kit.job_folder import JobFolder

START_S = 10.0
"""Time for bubblewrap to build the walls."""
HIDDEN = "/run/qloom-jobs"
"""Where all jobs are inside the walls, until a program knows which one is its own."""
_OLD_TMP = "/run/qloom-tmp"

_NEW_MOUNTS, _NEW_CGROUP, _NEW_UTS = 0x0002_0000, 0x0200_0000, 0x0400_0000  # linux/sched.h
_NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NET = 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000
_JOINED = _NEW_USER | _NEW_MOUNTS | _NEW_NET | _NEW_IPC | _NEW_UTS | _NEW_CGROUP
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC, _REMOUNT, _BIND, _RECURSIVE = 1, 2, 4, 8, 32, 4096, 16384  # linux/mount.h
_DETACH = 2
_SET_PDEATHSIG, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT, _AMBIENT_CLEAR = 1, 24, 38, 47, 4  # linux/prctl.h
_CAPABILITIES = 64
_CAPABILITY_VERSION_3 = 0x2008_0522
_PROC_COVERED = ("sys", "sysrq-trigger", "irq", "bus")
"""What of /proc root may write without any capability; read-only, as bubblewrap makes it."""


class Box:
    """The walls, held open.

    Args:
        jobs: the folder of all jobs.
        memory_mb: bound of each file system that is kept in memory; None for the kernel's.
        python: files and folders that are readable besides the system; see `python_paths`.

    Raises:
        OSError: bubblewrap builds none, or a fork cannot step inside: it may be allowed what we are not. The message says why.
    """

    def __init__(self, jobs: Path, *, memory_mb: int | None, python: Iterable[Path]) -> None:
        self._jobs = jobs
        self._memory_mb = memory_mb
        shown = list(python)
        self._below_tmp = [path for path in shown if path.is_relative_to("/tmp")]  # noqa: S108  what is to be hidden
        read, write = os.pipe()
        command = box_walls(jobs, (HIDDEN, _OLD_TMP), write, memory_mb=memory_mb, python=shown)
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(write,)
        )
        os.close(write)
        try:
            self._pidfd = os.pidfd_open(self._init_pid(read))
        except (OSError, ValueError, LookupError) as error:
            self._holder.kill()
            said = b"" if self._holder.stderr is None else self._holder.stderr.read()
            self._holder.wait()
            raise OSError(f"bubblewrap builds no walls: {said.decode(errors='replace').strip() or error}") from error
        finally:
            os.close(read)
        if problem := self._trial():
            self.close()
            raise OSError(f"nobody can step inside: {problem}")

    def _init_pid(self, info: int) -> int:
        """Return the first process inside, once the walls stand: `cat` in there then gives back what it is given."""
        if self._holder.stdin is None or self._holder.stdout is None:
            raise LookupError("no pipes")
        self._holder.stdin.write(b"\n")
        self._holder.stdin.flush()
        if not select.select([self._holder.stdout], [], [], START_S)[0] or self._holder.stdout.read(1) != b"\n":
            raise LookupError("it ended, or took too long")
        return int(json.loads(os.read(info, 4096))["child-pid"])

    @property
    def pid(self) -> int:
        """The process that holds the walls, outside."""
        return self._holder.pid

    @property
    def descriptor(self) -> int:
        """What a fork enters by; to be kept open until then."""
        return self._pidfd

    @property
    def stands(self) -> bool:
        """Whether the walls are still held."""
        return self._holder.poll() is None

    def close(self) -> None:
        """Let go of the walls; who is inside stays there."""
        os.close(self._pidfd)
        self._holder.kill()
        self._holder.wait()
        for pipe in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _trial(self) -> str:
        """Return why a fork cannot step inside; empty where one could."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._try_entering(write)
        os.close(write)
        with open(read, "rb") as said:  # noqa: PTH123  a descriptor
            why = said.read().decode(errors="replace")
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return "" if code == 0 else why or f"the trial ended with {code}"

    def _try_entering(self, say: int) -> NoReturn:
        code = 1
        try:
            self.enter()
            code = 0
        except OSError as error:
            os.write(say, str(error).encode())
        finally:
            os._exit(code)

    # ---- in a fork ---------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Step inside, in a fork: return in a process of its own process table, the only one there but for its first.

        Two processes stay behind, as with bubblewrap: one outside, which ends as the one that returned ends, and the first
        inside, whose end ends all others.

        Raises:
            OSError: the kernel does not let us in.
        """
        _call("setns", self._pidfd, _JOINED)
        _call("unshare", _NEW_MOUNTS | _NEW_PIDS)
        _die_with_parent()
        _stay_behind()
        _die_with_parent()
        _mount_proc()
        _stay_behind(capable=False)
        _die_with_parent()

    def settle(self, folder: JobFolder, attempt: int) -> None:
        """See one job and no other, and be able to do nothing more than that; call it once, before anything is loaded.

        Raises:
            OSError: a mount failed.
        """
        jobs, job = str(self._jobs), str(folder.path)
        hidden = f"{HIDDEN}/{folder.path.name}"
        self._renew_memory()
        os.makedirs(jobs, exist_ok=True)  # noqa: PTH103  few words for few system calls
        _mount_memory(jobs, None)
        os.mkdir(job, 0o755)  # noqa: PTH102  the same
        _bind(hidden, job, _READ_ONLY)
        for path in (folder.checkpoints, folder.results, folder.attempt(attempt)):
            _bind(f"{hidden}/{path.relative_to(folder.path)}", str(path), 0)
        _mount_memory(HIDDEN, None)  # over it: to take a mount away has the kernel wait for all processors
        _mount(None, HIDDEN, None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)
        _mount(None, jobs, None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)
        drop_capabilities()

    def _renew_memory(self) -> None:
        """Mount empty file systems in place of those that the programs of the box share; what Python loads from stays."""
        _mount_memory("/dev/shm", self._memory_mb)  # noqa: S108  the sandbox's own
        if self._below_tmp:
            _mount("/tmp", _OLD_TMP, None, _BIND | _RECURSIVE)  # noqa: S108  the same
        _mount_memory("/tmp", self._memory_mb)  # noqa: S108  the same
        for path in self._below_tmp:
            kept = _OLD_TMP + str(path).removeprefix("/tmp")  # noqa: S108  the same
            if os.path.isdir(kept):  # noqa: PTH112  text is at hand
                os.makedirs(path, exist_ok=True)  # noqa: PTH103  the same
                _bind(kept, str(path), _READ_ONLY)
        if self._below_tmp:
            _call("umount2", _OLD_TMP.encode(), _DETACH)


def drop_capabilities() -> None:
    """Give up every capability for good, those that a program file could give included.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(_CAPABILITIES):
        libc.prctl(_CAPBSET_DROP, number, 0, 0, 0)  # fails for those that this kernel does not have
    libc.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    _call("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())


def _stay_behind(*, capable: bool = True) -> None:
    """Go on in a child; this process waits for it and ends as it ends."""
    pid = os.fork()
    if pid == 0:
        return
    _wait_and_end(pid, capable=capable)


def _wait_and_end(pid: int, *, capable: bool) -> NoReturn:
    code = 1
    try:
        if not capable:
            drop_capabilities()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # meant for the program, which gets it too
        os.closerange(0, 3)
        while True:
            ended, status = os.wait()
            if ended == pid:
                code = os.waitstatus_to_exitcode(status)
                code = 128 - code if code < 0 else code
                break
    finally:
        os._exit(code)


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies; a change of credentials has undone what was set before."""
    _call("prctl", _SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _mount_proc() -> None:
    _mount("proc", "/proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)
    for name in _PROC_COVERED:
        if os.path.lexists(f"/proc/{name}"):
            _bind(f"/proc/{name}", f"/proc/{name}", _READ_ONLY | _NO_EXEC)


def _mount_memory(path: str, memory_mb: int | None) -> None:
    size = "" if memory_mb is None else f",size={memory_mb}m"
    _mount("tmpfs", path, "tmpfs", _NO_SUID | _NO_DEVICES, f"mode=0755{size}")


def _bind(source: str, target: str, flags: int) -> None:
    _mount(source, target, None, _BIND)
    _mount(None, target, None, _REMOUNT | _BIND | _NO_SUID | _NO_DEVICES | flags)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _call("mount", *texts[:3], ctypes.c_ulong(flags), texts[3], what=target)


def _call(name: str, *arguments: object, what: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", what or None)
