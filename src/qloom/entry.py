"""The one file that runs on the far side: `python -P -m qloom.entry supervise|program|devices FOLDER ATTEMPT`, or `serve`.

`supervise` is the job's supervisor; the program runs in a fork of it, which saves the start of a second interpreter.
`program` is the program alone, for a job in a sandbox, which a fork cannot enter. `serve` is a fork server: the supervisor
of many jobs, with everything loaded that their programs need. `devices` is the device server of a job with sealed stages, and
`sealed` answers what those are. Started by executors, never by hand.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.app import attempt_options, job_context
from qloom.catalogue import names
from qloom.executors.local_supervisor import inherited_lease, supervise
from qloom.executors.output_lines import Listened
from qloom.jobspecs import JobSpec, new_job_id
from qloom.journal import Journal, OutputMetrics
from qloom.kit.job_folder import JobFolder
from qloom.programs.loaded import remember_loaded
from qloom.programs.runner import run_program
from qloom.programs.script_process import begin_attempt, script_command
from qloom.storage import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from qloom.executors.output_lines import TakeLine
    from qloom.programs.context import Context

USAGE = (
    "usage: python -P -m qloom.entry supervise|program|devices FOLDER ATTEMPT | serve | sealed "
    "(started by qloom's executors, not by hand)"
)
ROLES = ("supervise", "program", "devices")
EXIT_MISUSE = 2
PRELOADED = (
    "ctypes",
    "resource",
    "qloom.api.programs",
    "qloom.api.jobs",
    "numpy",
    "numpy.random",
    "qulacs",
    "pennylane_lightning.lightning_qubit_ops",
    "qloom.devices.sim",
    "qloom.devices.qulacs_engine",
    "qloom.devices.lightning_engine",
)
"""What a program on a simulator loads. Loading starts no thread as long as OpenBLAS is told to use one; running may."""


def main(arguments: list[str]) -> int:
    """Supervise one attempt of a job, or run its program, and return the exit code."""
    if arguments == ["serve"]:
        # By name, since loading it takes a single job longer than half of its start.
        code: int = importlib.import_module("qloom.executors.fork_server").serve(_preload, _program, _run_here, _rehearsal)
        return code
    if arguments == ["sealed"]:  # by name, as what follows: few jobs need it
        return int(importlib.import_module("qloom.sealing.folder").answer())
    if len(arguments) != 3 or arguments[0] not in ROLES or not arguments[2].isdecimal():
        print(USAGE, file=sys.stderr)  # noqa: T201  the caller's console is all there is
        return EXIT_MISUSE
    folder, attempt = JobFolder(Path(arguments[1])), int(arguments[2])
    if arguments[0] == "program":
        return _run_program(folder, attempt)
    if arguments[0] == "devices":
        serve_devices = importlib.import_module("qloom.sealing.serving").serve_devices
        return int(serve_devices(folder, attempt, attempt_options(folder, attempt)))
    return supervise(folder, attempt, inherited_lease(folder), _program(folder, attempt))


def _program(folder: JobFolder, attempt: int) -> list[str] | Listened | Callable[[], int]:
    job = folder.spec()
    if job.kind == "script":
        return _script(job, folder, attempt)
    if job.sandbox:
        return [sys.executable, "-P", "-m", "qloom.entry", "program", str(folder.path), str(attempt)]
    return partial(_run_program, folder, attempt)


def _script(job: JobSpec, folder: JobFolder, attempt: int) -> Listened:
    loads = None
    if job.sandbox:
        from qloom.environments.looking import look_at  # starts a process, which no other job needs

        loads = look_at(Path(job.python)).loads
    return Listened(script_command(job, folder, attempt), partial(_listen, folder, attempt), loads)


def _listen(folder: JobFolder, attempt: int) -> TakeLine:
    """Put a script's folders in order and return who takes the metrics out of its output."""
    job = folder.spec()
    anew = begin_attempt(folder, attempt, from_scratch=attempt_options(folder, attempt).get("from_scratch", False))
    metrics = OutputMetrics(folder.checkpoints, job_id=job.job_id, attempt=attempt, seed=job.seed, anew=anew)
    metrics.begin()
    return metrics.take


def _run_here(folder: JobFolder, attempt: int) -> Callable[[], int]:
    return partial(_run_program, folder, attempt)


def _preload() -> None:
    for name in PRELOADED:
        if _is_there(name):
            importlib.import_module(name)
    names("device")  # what is installed is known to every fork
    remember_loaded()


def _rehearsal(home: Path) -> Path:
    """Make a job that does nothing; it goes through everything that each program goes through."""
    source = b"import qloom\n\n\n@qloom.program\ndef rehearsal(ctx: qloom.Context) -> dict:\n    return {}\n"
    job = JobSpec(job_id=new_job_id(), program="rehearsal", entry_point="rehearsal:rehearsal", source_digest="")
    folder = JobFolder(FolderStore(home).create(job, {"rehearsal.py": source}, {}))
    folder.work(1).mkdir(parents=True)
    return folder.path


def _is_there(name: str) -> bool:
    """Whether a module can be found; an optional package may be missing, but one that is broken should say so."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the package it is in
        return False


def _run_program(folder: JobFolder, attempt: int) -> int:
    return run_program(folder, attempt, partial(_context, folder, attempt))


def _context(folder: JobFolder, attempt: int) -> Context:
    job = folder.spec()
    options = attempt_options(folder, attempt)
    journal = Journal.open(
        folder.checkpoints,
        job_id=job.job_id,
        attempt=attempt,
        seed=job.seed,
        from_scratch=options.get("from_scratch", False),
        accept_divergence=options.get("accept_divergence", False),
    )
    return job_context(folder, attempt, journal)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if sys.argv[1:2] == ["program"]:
        sys.exit(code)  # its threads and its exit functions are its user's
    # The end is recorded: who waits for this process need not wait for the interpreter to take itself apart.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
