"""The one file that runs on the far side: `python -P -m qloom.entry supervise|program FOLDER ATTEMPT`.

`supervise` is the job's supervisor; the program runs in a fork of it, which saves the start of a second interpreter.
`program` is the program alone, for a job in a sandbox, which a fork cannot enter. Started by executors, never by hand.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.app import attempt_options, job_context
from qloom.executors.local_supervisor import inherited_lease, supervise
from qloom.journal import Journal
from qloom.kit.job_folder import JobFolder
from qloom.programs.runner import run_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from qloom.programs.context import Context

USAGE = "usage: python -P -m qloom.entry supervise|program FOLDER ATTEMPT (started by qloom's executors, not by hand)"
ROLES = ("supervise", "program")
EXIT_MISUSE = 2


def main(arguments: list[str]) -> int:
    """Supervise one attempt of a job, or run its program, and return the exit code."""
    if len(arguments) != 3 or arguments[0] not in ROLES or not arguments[2].isdecimal():
        print(USAGE, file=sys.stderr)  # noqa: T201  the caller's console is all there is
        return EXIT_MISUSE
    folder, attempt = JobFolder(Path(arguments[1])), int(arguments[2])
    if arguments[0] == "program":
        return _run_program(folder, attempt)
    return supervise(folder, attempt, inherited_lease(folder), _program(folder, attempt))


def _program(folder: JobFolder, attempt: int) -> list[str] | Callable[[], int]:
    if folder.spec().sandbox:
        return [sys.executable, "-P", "-m", "qloom.entry", "program", str(folder.path), str(attempt)]
    return partial(_run_program, folder, attempt)


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
