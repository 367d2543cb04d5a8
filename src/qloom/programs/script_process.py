"""What the supervisor of a script needs: its command line, and its folders as a new attempt should find them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qloom.jobspecs import JobSpec
    from qloom.kit.job_folder import JobFolder

START = Path(__file__).with_name("script_start.py")
JOURNAL = "journal"
"""What is qloom's own in the folder of checkpoints."""


def script_command(job: JobSpec, folder: JobFolder, attempt: int) -> list[str]:
    """Return the command line that runs a script; the interpreter needs nothing but itself.

    >>> from qloom.jobspecs import JobSpec
    >>> from qloom.kit.job_folder import JobFolder
    >>> job = JobSpec(job_id="01j0", program="algo", entry_point="algo", source_digest="", python="/usr/bin/python3")
    >>> command = script_command(job, JobFolder(Path("/jobs/01j0")), 2)
    >>> command[0], command[2:]
    ('/usr/bin/python3', ['/jobs/01j0', '2'])
    """
    return [job.python or sys.executable, str(START), str(folder.path), str(attempt)]


def begin_attempt(folder: JobFolder, attempt: int, *, from_scratch: bool) -> bool:
    """Set aside what an earlier attempt left and this one must not take for its own; return whether it begins anew.

    Results are moved to `attempts/<n>/earlier-results/`: this attempt has its own. With `from_scratch` the script's checkpoints
    are moved to `attempts/<n>/earlier-checkpoints/`. A script without a checkpoint begins anew in any case.
    """
    own = folder.attempt(attempt)
    _move(folder.results, own / "earlier-results")
    if from_scratch:
        _move(folder.checkpoints, own / "earlier-checkpoints")
    return not _saved(folder.checkpoints)


def _saved(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.name != JOURNAL]


def _move(place: Path, target: Path) -> None:
    for path in _saved(place):
        target.mkdir(parents=True, exist_ok=True)
        path.rename(target / path.name)
