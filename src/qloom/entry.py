"""The one file that runs on the far side: `python -P -m qloom.entry supervise FOLDER ATTEMPT`.

It is the job's supervisor; the program runs in a fork of it, which saves the start of a second interpreter. Started by
executors, never by hand.
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
    from qloom.programs.context import Context

USAGE = "usage: python -P -m qloom.entry supervise FOLDER ATTEMPT (started by qloom's executors, not by hand)"
EXIT_MISUSE = 2


def main(arguments: list[str]) -> int:
    """Supervise one attempt of a job and return the exit code."""
    if len(arguments) != 3 or arguments[0] != "supervise" or not arguments[2].isdecimal():
        print(USAGE, file=sys.stderr)  # noqa: T201  the caller's console is all there is
        return EXIT_MISUSE
    folder, attempt = JobFolder(Path(arguments[1])), int(arguments[2])
    return supervise(folder, attempt, inherited_lease(folder), partial(_run_program, folder, attempt))


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
    # The end is recorded: who waits for this process need not wait for the interpreter to take itself apart.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
