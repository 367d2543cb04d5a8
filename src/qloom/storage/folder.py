"""Jobs as folders below `<home>/jobs/`, made aside and moved into place: a job is there whole or not at all."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

from qloom.errors import CorruptRecord, InvalidProgram, InvalidSetting, StorageFailed, UnknownName, WrongState
from qloom.jobspecs import JobState, JobStatus
from qloom.kit.files import json_text, raise_storage, write_atomically, write_new
from qloom.kit.job_folder import JobFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from qloom.jobspecs import JobSpec

SHORTEST_PREFIX = 4
"""Fewer characters of a job's id are not looked up."""
TIDYING_S = 10.0
"""Time between two looks for what killed processes left."""
LEFTOVER_AGE_S = 24 * 3600
"""What a killed `create` left aside is removed after this time."""
_ASIDE = ".new"
_SHOWN = 200  # ids that a wrong one is compared with, the newest
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class FolderStore:
    """Keeps each job in a folder of its own; fills `contracts.Store`.

    Args:
        home: everything is below `home/jobs/`; made when the first job is.

    Attributes:
        problems: what the last `jobs()` skipped, and why.

    >>> import tempfile, pathlib
    >>> store = FolderStore(pathlib.Path(tempfile.mkdtemp()))
    >>> list(store.jobs())
    []
    """

    def __init__(self, home: Path) -> None:
        self._jobs = home / "jobs"
        self.problems: list[str] = []
        self._queued = self._jobs / _ASIDE / "queued.json"
        self._next_tidying = 0.0

    # ---- writing -----------------------------------------------------------------------------------------------------

    def create(
        self,
        job: JobSpec,
        source: Mapping[str, bytes],
        inputs: Mapping[str, Path],
        *,
        queued: bool = False,
        alike: Path | None = None,
    ) -> Path:
        """Write a new job's folder and return it; see `contracts.Store`.

        Inputs are copied: a file to `input/<channel>/<its name>`, what a folder holds to `input/<channel>/`. What was
        returned survives a kill of the process at any line; only jobs whose end is recorded are forced to the disk.

        Args:
            job: its specification.
            source: files of its source.
            inputs: files and folders to copy.
            queued: whether it begins as QUEUED, at its first attempt.
            alike: the folder of a job with the same source, which may share its files: a new file takes ext4 twenty times as
                long as another name for one.

        Raises:
            InvalidSetting: an input that cannot be copied: it is not there, is no file, or links out of its folder.
            InvalidProgram: a name in the source that would leave the source's folder.
            WrongState: there is a job with this id.
            StorageFailed: the disk is full or read-only; nothing is left behind.
        """
        for name in source:
            _check_source_name(name)
        copies = {channel: input_files(channel, path) for channel, path in inputs.items()}
        final = self._jobs / job.job_id
        # A map that goes on creates a job of the same id again: what a killed process left of the first one is not in the way.
        aside = self._jobs / _ASIDE / f"{job.job_id}-{os.urandom(4).hex()}"
        if final.exists():
            raise WrongState(f"there is a job {job.job_id} in {self._jobs}; a new job has a new id")
        try:
            self._remove_leftovers()
            aside.mkdir(parents=True)
            self._check_room(copies)
            begun = JobStatus(state=JobState.QUEUED, attempt=1) if queued else JobStatus(state=JobState.CREATED)
            _write_job(str(aside), job, source if alike is None else {})
            if alike is not None:
                _link_source(alike, str(aside), source)
            self._write_begun(aside, begun, alone=job.sandbox)
            _copy_inputs(JobFolder(aside), copies)
            aside.rename(final)
        except BaseException as error:
            _remove(aside)
            if isinstance(error, OSError):
                raise_storage(error, final)
            raise
        return final

    def _write_begun(self, folder: Path, status: JobStatus, *, alone: bool) -> None:
        """Write a new job's status: those that are queued share one file, which is replaced, never changed.

        One in a sandbox has a file for itself: it could change it.
        """
        content = json_text(status.to_json()).encode()
        if not alone and status.state is JobState.QUEUED and _link(self._queued, f"{folder}/status.json"):
            return
        write_new(f"{folder}/status.json", content)
        if not alone and status.state is JobState.QUEUED and not self._queued.exists():
            write_atomically(self._queued, content)

    def _check_room(self, copies: Mapping[str, Mapping[str, Path]]) -> None:
        needed = sum(path.stat().st_size for files in copies.values() for path in files.values())
        if not needed:
            return
        disk = os.statvfs(self._jobs)
        free = disk.f_bavail * disk.f_frsize
        if needed > free:
            raise StorageFailed(
                f"the input data has {needed} bytes, the disk of {self._jobs} has {free} bytes free; "
                "free space or choose another folder (QLOOM_HOME)"
            )

    def _remove_leftovers(self) -> None:
        if time.monotonic() < self._next_tidying:
            return
        self._next_tidying = time.monotonic() + TIDYING_S
        aside = self._jobs / _ASIDE
        oldest = time.time() - LEFTOVER_AGE_S
        for path in aside.iterdir() if aside.is_dir() else ():
            if path.is_dir() and path.stat().st_mtime < oldest:
                _remove(path)

    # ---- reading -----------------------------------------------------------------------------------------------------

    def folder(self, job_id: str) -> Path:
        ids = self._ids()
        if job_id in ids:
            return self._jobs / job_id
        if len(job_id) < SHORTEST_PREFIX:
            raise UnknownName(f"{job_id!r} is too short for a job; give at least {SHORTEST_PREFIX} characters of its id")
        found = [known for known in ids if known.startswith(job_id)]
        if not found:
            raise UnknownName.among("job", job_id, ids[:_SHOWN])
        if len(found) > 1:
            raise UnknownName(f"{len(found)} jobs begin with {job_id!r}: {', '.join(found[:5])}; give more characters")
        return self._jobs / found[0]

    def path(self, job_id: str) -> Path:
        """Return where a job's folder is, or will be; `job_id` is the whole id."""
        return self._jobs / job_id

    def load(self, job_id: str) -> JobSpec:
        return JobFolder(self.folder(job_id)).spec()

    def jobs(self) -> Iterator[JobSpec]:
        """Yield all jobs, newest first; those that cannot be read are skipped and named in `problems`."""
        self.problems = []
        for job_id in self._ids():
            try:
                yield JobFolder(self._jobs / job_id).spec()
            except CorruptRecord as error:
                self.problems.append(f"job {job_id} is skipped: {error}")

    def status(self, folder: Path) -> JobStatus:
        return JobFolder(folder).recorded_status()

    def _ids(self) -> list[str]:
        """Return the ids of all jobs, newest first: ids sort by the time they were made."""
        try:
            names = os.listdir(self._jobs)  # noqa: PTH208  names are what is wanted
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageFailed(f"cannot read {self._jobs}: {error.strerror}") from error
        return sorted((name for name in names if not name.startswith(".")), reverse=True)


def hyperparameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return a program's arguments in Braket's form: every value a string, JSON where it is none.

    >>> hyperparameters({"name": "h2", "steps": 3, "flags": [True]})
    {'name': 'h2', 'steps': '3', 'flags': '[true]'}
    """
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}


def input_files(channel: str, path: Path) -> dict[str, Path]:
    """Return what one input channel consists of: name below the channel -> file to copy.

    Links are followed as long as they lead to a file inside the same folder.

    Raises:
        InvalidSetting: something that cannot be copied, named.
    """
    if not _CHANNEL.fullmatch(channel):
        rule = "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
        raise InvalidSetting(f"input channel {channel!r} is no name; it takes {rule}")
    if not path.exists():
        raise InvalidSetting(f"input data {channel!r}: there is no file or folder {path}")
    if not path.is_dir():
        return {path.name: _checked_file(channel, path, path)}
    top = path.resolve()
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            one = top / folder / name
            if name in files or one.is_symlink():
                found[str(one.relative_to(top))] = _checked_file(channel, one, top)
    return found


def _checked_file(channel: str, path: Path, top: Path) -> Path:
    target = path.resolve()
    if path.is_symlink() and path != top and not target.is_relative_to(top):
        raise InvalidSetting(f"input data {channel!r}: {path} links out of its folder, to {target}; copy that file in instead")
    if not target.is_file():
        kind = "leads to no file" if path.is_symlink() else "is neither a file nor a folder"
        raise InvalidSetting(f"input data {channel!r}: {path} {kind}; leave it out")
    if not os.access(target, os.R_OK):
        raise InvalidSetting(f"input data {channel!r}: {path} cannot be read (no permission)")
    return target


def _check_source_name(name: str) -> None:
    parts = name.split("/")
    if not name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise InvalidProgram(f"source file {name!r} is no path inside the program's folder")


def _write_job(folder: str, job: JobSpec, source: Mapping[str, bytes]) -> None:
    """Write a job into a folder that nobody looks at yet; `JobFolder` says where each file stands."""
    for name in ("source", "input", "checkpoints", "results", "attempts"):
        os.mkdir(f"{folder}/{name}")  # noqa: PTH102  for every job: a Path takes longer than the system call
    for name, content in source.items():
        _make_folder_of(f"{folder}/source/{name}", name)
        write_new(f"{folder}/source/{name}", content)
    write_new(f"{folder}/hyperparameters.json", json_text(hyperparameters(job.parameters)).encode())
    write_new(f"{folder}/job.json", json_text(job.to_json()).encode())


def _link_source(alike: Path, folder: str, source: Mapping[str, bytes]) -> None:
    """Give a job the source of another one; where a file cannot be shared, it has its own."""
    for name, content in source.items():
        _make_folder_of(f"{folder}/source/{name}", name)
        if not _link(alike / "source" / name, f"{folder}/source/{name}"):
            write_new(f"{folder}/source/{name}", content)


def _make_folder_of(path: str, name: str) -> None:
    if "/" in name:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120  as above


def _link(known: Path, path: str) -> bool:
    """Give a file another name; False where it is not there, has too many, or the file system knows no such thing."""
    try:
        os.link(known, path)
    except OSError:
        return False
    return True


def _copy_inputs(folder: JobFolder, copies: Mapping[str, Mapping[str, Path]]) -> None:
    if not copies:
        return
    import shutil  # late: most jobs have no input

    for channel, files in copies.items():
        (folder.input / channel).mkdir()
        for name, source in files.items():
            target = folder.input / channel / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
