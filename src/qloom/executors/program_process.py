"""Starting the program of a job: its environment, its own session, its pipes, the limits it starts with."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from qloom.executors.handover import LINK_DESCRIPTOR, without_internals
from qloom.kit.braket_environment import braket_environment
from qloom.kit.processes import apply_limits, close_all_but, die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder
    from qloom.limits import Resources

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
IN_SANDBOX = (
    *("PATH", "LANG", "LC_", "TZ", "TERM", "USER", "LOGNAME", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHON", "COVERAGE_"),
    *("OMP_", "OPENBLAS_", "MKL_", "KMP_", "GOMP_", "NUMEXPR_", "VECLIB_", "MALLOC_", "QULACS_"),
)
"""Beginnings of the names of variables that a program in a sandbox inherits."""
CANNOT_START = 127
"""Exit code of a program that could not be started, as a shell's."""


def program_environment(job: JobSpec, folder: JobFolder, attempt: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a job's program: what the supervisor has, and the variables of Braket's contract.

    Numerical libraries are told to use `resources.cpus` threads, and Python to show what is printed at once, unless the
    caller set their variables himself.
    """
    defaults = {"PYTHONUNBUFFERED": "1"} | thread_settings(job.resources.cpus)
    return defaults | handed_down(job, inherited) | braket_environment(job, folder, attempt, inherited)


def handed_down(job: JobSpec, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a job inherits of its submitter's variables: in a sandbox those that say how to run, as others may hold keys.

    >>> from qloom.jobspecs import JobSpec
    >>> job = JobSpec(job_id="x", program="p", entry_point="p:p", source_digest="", sandbox=True)
    >>> handed_down(job, {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "k", "QLOOM_JOB_ID": "of another"})
    {'PATH': '/bin'}
    """
    known = without_internals(environment)
    return {name: value for name, value in known.items() if name.startswith(IN_SANDBOX)} if job.sandbox else known


def thread_settings(cpus: int) -> dict[str, str]:
    """Return the variables that numerical libraries read for their number of threads.

    >>> thread_settings(2)["OMP_NUM_THREADS"]
    '2'
    """
    return dict.fromkeys(_THREADS, str(cpus))


class Program:
    """A started program.

    Attributes:
        pid: its process, which leads a session and a process group of its own.
        pipes: descriptor -> `out` or `err`, not blocking.
    """

    def __init__(self, pid: int, out: int, err: int) -> None:
        self.pid = pid
        self.pipes = {out: "out", err: "err"}

    def close(self) -> None:
        """Close the pipes: nobody listens to it any more."""
        for descriptor in tuple(self.pipes):
            os.close(descriptor)
            del self.pipes[descriptor]


def start_program(
    command: Sequence[str] | Callable[[], int],
    environment: Mapping[str, str],
    where: Path,
    resources: Resources,
    link: int | None = None,
) -> Program:
    """Start a program in a session of its own, in the folder `where`, with its output in pipes.

    It dies with the caller, whatever kills that. A command that cannot be started says so on its standard error and
    exits 127. The caller must have no threads: what runs between fork and exec is Python.

    Args:
        command: its command line, or a function that is run in a fork of this process.
        environment: all its variables.
        where: the folder it starts in.
        resources: its limits.
        link: descriptor of its end of the link to a device server, which it gets as `LINK_DESCRIPTOR`; None for none.

    Raises:
        OSError: no process or pipe could be made.
    """
    supervisor = os.getpid()

    def become() -> int:
        die_with_parent(supervisor)
        apply_limits(resources)
        os.chdir(where)
        if link is not None:
            os.dup2(link, LINK_DESCRIPTOR)
        kept = {0, 1, 2} if link is None else {0, 1, 2, LINK_DESCRIPTOR}
        return run_here(command, environment, kept) if callable(command) else _execute(command, environment)

    return fork_program(become, str(command))


def fork_program(become: Callable[[], int], name: str) -> Program:
    """Fork a process in a session of its own, with its output in pipes, and return it.

    Args:
        become: what it does; its exit code is what this returns.
        name: what it is, for the message when it cannot start.

    Raises:
        OSError: no process or pipe could be made.
    """
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_program(become, name, (out_write, err_write))
    os.close(out_write)
    os.close(err_write)
    for descriptor in (out_read, err_read):
        os.set_blocking(descriptor, False)
    return Program(pid, out_read, err_read)


def _become_program(become: Callable[[], int], name: str, pipes: tuple[int, int]) -> NoReturn:
    """Turn this fresh fork of the supervisor into the program; never returns to the supervisor's code."""
    code = CANNOT_START
    try:
        signal.set_wakeup_fd(-1)  # the supervisor's pipe: a signal to us must not look like one to it
        os.setsid()
        _connect(pipes)
        _prefer_for_out_of_memory()
        code = become()
    except OSError as error:
        os.write(2, f"qloom cannot start {name}: {error}\n".encode())
    except BaseException:  # noqa: BLE001  it must not reach the supervisor's code, which this is a copy of
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _execute(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and exec passes that on
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], list(command), environment)  # noqa: S606  no shell is what is wanted


def _connect(pipes: tuple[int, int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((nothing, *pipes)):
        os.dup2(descriptor, number)


def _prefer_for_out_of_memory() -> None:
    """When the machine runs out of memory, the kernel takes the program before the supervisor, which can then say so."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(descriptor, b"500")
    except OSError:
        return
    finally:
        os.close(descriptor)


def run_here(run: Callable[[], int], environment: Mapping[str, str], kept: Collection[int] = (0, 1, 2)) -> int:
    """Run a program in this fork, without a second start of the interpreter; of its descriptors these are kept."""
    close_all_but(kept)  # above all the lease: held here, it would outlive the supervisor
    become_an_interpreter()
    set_environment(environment)
    try:
        return exit_code_of(run)
    finally:
        leave()


def become_an_interpreter() -> None:
    """Undo what a supervisor changed of what an interpreter starts with: signals, streams, numpy's random numbers."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    renew_random_state()


def set_environment(environment: Mapping[str, str]) -> None:
    """Have exactly these variables."""
    for name in tuple(os.environ):
        if name not in environment:
            del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def exit_code_of(run: Callable[[], int]) -> int:
    """Return the exit code of a program that is run here, whatever it raises."""
    try:
        return run()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001  whatever it raises must not reach the supervisor's code, which this is a copy of
        sys.excepthook(*sys.exc_info())
        return 1


def renew_random_state() -> None:
    """Seed the global generators of Python and of numpy afresh, as an interpreter's start does."""
    if (python_random := sys.modules.get("random")) is not None:
        python_random.seed()
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        # As many random bits as numpy takes by itself; it takes ten times as long to gather them.
        numpy_random.seed(memoryview(os.urandom(16)).cast("I").tolist())


def leave() -> None:
    """Do what an interpreter does before it ends and `os._exit` leaves out: wait for threads, run exit functions, flush."""
    if (threading := sys.modules.get("threading")) is not None:
        threading._shutdown()  # noqa: SLF001  there is no public name for it
    atexit._run_exitfuncs()  # noqa: SLF001  the same
    sys.stdout.flush()
    sys.stderr.flush()
