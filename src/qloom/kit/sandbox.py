"""The sandbox of a program: bubblewrap's command line, and a trial that says whether this machine allows it.

In it a program has a process table, a network (without any interface but its own loopback) and a /tmp to itself. It sees
the system, the Python environment and its job's folder, and can write three folders of that: checkpoints, results, and
its attempt's. The rest is read-only because the next attempt believes it: a program that could write job.json could ask
for a next attempt outside.
Source: bwrap(1), https://github.com/containers/bubblewrap
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qloom.kit.job_folder import JobFolder

PROCESSES = 2
"""Processes of bubblewrap's own beside a program: the one that waits outside, and the first one inside."""
TRIAL_S = 10.0
"""Time for the trial."""

_went_well: dict[str, float] = {}
"""Path of a bubblewrap -> when its last trial went well."""

_INSTALL = "install it: apt install bubblewrap"
_ALLOW = (
    "allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container, start that with more rights"
)
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_SETTINGS = ("alternatives", "group", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd")
"""What of /etc is there: enough to load libraries, tell the time and name the user; no keys, no hosts."""


def sandbox_command(
    command: Sequence[str], folder: JobFolder, attempt: int, *, memory_mb: int | None, python: Iterable[Path]
) -> list[str]:
    """Return the command line that runs another one in the sandbox of a job.

    Args:
        command: what to run.
        folder: the job; its folder and those of the attempt are there already.
        attempt: number of the attempt; the program starts in its `work/`.
        memory_mb: bound of each file system that is kept in memory; None for the kernel's, half of what the machine has.
        python: files and folders that are readable besides the system; see `python_paths`.

    >>> from qloom.kit.job_folder import JobFolder
    >>> sandbox_command(["true"], JobFolder(Path("/jobs/x")), 1, memory_mb=None, python=[])[-3:]
    ['/jobs/x/attempts/1/work', '--', 'true']
    """
    jobs, job = str(folder.path.parent), str(folder.path)
    rows = [_walls(memory_mb)]
    rows += [["--ro-bind", str(path), str(path)] for path in python]
    rows += [["--tmpfs", jobs], ["--ro-bind", job, job]]  # over what is there: no other job is seen
    rows += [["--bind", str(path), str(path)] for path in (folder.checkpoints, folder.results, folder.attempt(attempt))]
    if folder.sealed.is_dir():
        rows += [["--tmpfs", str(folder.sealed)], ["--remount-ro", str(folder.sealed)]]
    rows += [["--remount-ro", jobs], ["--remount-ro", "/"]]
    rows += [["--setenv", "HOME", "/tmp"], ["--setenv", "TMPDIR", "/tmp"]]  # noqa: S108  the sandbox's own
    rows += [["--chdir", str(folder.work(attempt)), "--", *command]]
    return [word for row in rows for word in row]


def box_walls(jobs: Path, places: tuple[str, str], info: int, *, memory_mb: int | None, python: Iterable[Path]) -> list[str]:
    """Return the command line that builds the same walls for many jobs and holds them (`kit/boxes.py`).

    Args:
        jobs: the folder of all jobs.
        places: where it is inside, and an empty folder to mount at.
        info: descriptor that bubblewrap says its processes to.
        memory_mb: as for `sandbox_command`.
        python: the same.

    >>> box_walls(Path("/jobs"), ("/run/jobs", "/run/empty"), 5, memory_mb=None, python=[])[-2:]
    ['--', 'cat']
    """
    rows = [_walls(memory_mb), ["--info-fd", str(info)]]
    rows += [["--ro-bind", str(path), str(path)] for path in python]
    rows += [["--bind", str(jobs), places[0]], ["--dir", places[1]], ["--tmpfs", str(jobs)]]
    rows += [["--remount-ro", "/"], ["--", "cat"]]
    return [word for row in rows for word in row]


def python_paths(hidden: Iterable[Path], loads: Iterable[str] | None = None) -> list[Path]:
    """Return what an interpreter loads from outside the system's folders: its environment, its path, qloom.

    Args:
        hidden: places that must not be seen; a path above one of them is left out, even when modules are found there.
        loads: where the interpreter loads from; None for the one that runs this.

    >>> any(Path(__file__).is_relative_to(path) for path in python_paths([]))
    True
    """
    own = {sys.prefix, sys.base_prefix, *sys.path} if loads is None else set(loads)
    named = {*own, str(Path(__file__).parents[1])} - {""}
    found = {Path(name).absolute() for name in named}
    found |= {path.resolve() for path in found}
    if loads is None:
        found |= {Path(sys.executable).resolve().parents[1]}
    kept = [Path(name) for name in _SYSTEM]
    known = len(kept)
    secret = {place for path in hidden for place in (path.absolute(), path.resolve())} | {Path("/")}
    for path in sorted(found):
        covered = any(path.is_relative_to(other) for other in kept)
        if not covered and path.exists() and not any(place.is_relative_to(path) for place in secret):
            kept.append(path)
    return kept[known:]


def seen_in_sandbox(path: Path, shown: Iterable[Path]) -> Path | None:
    """Return the folder that a sandbox shows a path with; None where it does not show it.

    Args:
        path: what is to be hidden, or a folder above it.
        shown: what is shown besides the system; see `python_paths`.

    >>> seen_in_sandbox(Path("/usr/lib/secret"), []), seen_in_sandbox(Path("/srv/secret"), [Path("/srv/python")])
    (PosixPath('/usr'), None)
    """
    places = [*map(Path, _SYSTEM), *shown]
    for place in places:
        for one in (path.absolute(), path.resolve()):
            if one.is_relative_to(place) or one.is_relative_to(place.resolve()) or place.is_relative_to(one):
                return place
    return None


def sandbox_problem(*, known_for_s: float = 0.0) -> str:
    """Return why a program cannot run in a sandbox here, with the way to mend it; empty where a trial went well.

    Args:
        known_for_s: a trial of this bubblewrap that went well no longer ago is believed.
    """
    found = shutil.which("bwrap")
    if found is None:
        return f"bubblewrap is not there (no `bwrap` on PATH); {_INSTALL}"
    if time.monotonic() - _went_well.get(found, float("-inf")) < known_for_s:
        return ""
    import subprocess  # late: no process of a job needs it

    try:
        done = subprocess.run(
            [*_walls(1), "--", "true"], check=False, capture_output=True, text=True, errors="replace", timeout=TRIAL_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not run: {error}; {_INSTALL}"
    if done.returncode != 0:
        return problem_in_words(done.stderr)
    _went_well[found] = time.monotonic()
    return ""


def problem_in_words(said: str) -> str:
    """Return what the trial's failure means.

    >>> problem_in_words("bwrap: Unknown option --size")
    'this bubblewrap is too old (bwrap: Unknown option --size); take 0.7 or newer'
    """
    words = " ".join(said.split()) or "no word why"
    if "Unknown option" in words:
        return f"this bubblewrap is too old ({words}); take 0.7 or newer"
    return f"the kernel lets bubblewrap make no sandbox ({words}); {_ALLOW}"


def exit_code_inside(code: int) -> int:
    """Return a program's exit code from bubblewrap's, which says 128 + n where signal n killed the program.

    >>> exit_code_inside(137), exit_code_inside(3), exit_code_inside(255)
    (-9, 3, 255)
    """
    return 128 - code if 128 < code <= 128 + 64 else code


def _walls(memory_mb: int | None) -> list[str]:
    """Return everything that does not depend on the job. A later row lies over an earlier one."""
    size = [] if memory_mb is None else ["--size", str(memory_mb * 2**20)]
    rows = [
        ["bwrap", "--unshare-all", "--die-with-parent"],
        ["--cap-drop", "ALL"],  # started by root it would keep root's, and could undo all that follows
        *(_system(Path(name)) for name in _SYSTEM if os.path.lexists(name)),
        *(["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"] for name in _SETTINGS),
        ["--proc", "/proc", "--dev", "/dev"],
        [*size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],  # noqa: S108  the sandbox's own
        [*size, "--tmpfs", "/tmp"],  # noqa: S108  the same
    ]
    return [word for row in rows for word in row]


def _system(path: Path) -> list[str]:
    if path.is_symlink():  # /lib is usr/lib in most systems
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)]
