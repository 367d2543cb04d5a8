"""Building one environment: aside, then moved into place in one step, so it is there whole or not at all.

A builder that is killed leaves a folder aside, which the next one removes: the lock on it is free only when the builder and
the uv that worked for it are gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qloom.environments import LOCK, own
from qloom.environments.environment import Environment, Interpreter, read_environment, site_packages, write_marker
from qloom.environments.requirements import locked_packages
from qloom.environments.uv import refuse, run_uv
from qloom.errors import InvalidSetting, StorageFailed, TimedOut
from qloom.kit.files import raise_storage, sync_folder
from qloom.kit.waiting import pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Progress = Callable[[str], None]

OTHERS_BUILD_S = 3600.0
"""How long to wait for another process that builds the same environment."""
TRIAL_S = 120.0
"""For a new environment to start for the first time, when Python compiles what it imports."""
_ASIDE = re.compile(r"\.(?P<digest>[0-9a-f]{32})\.\d+(\.old)?")


def digest_of(texts: Sequence[str]) -> str:
    """Return a digest of some texts and their order.

    >>> len(digest_of(["a", "b"]))
    32
    """
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is needed to build one environment.

    Attributes:
        interpreter: the Python behind it.
        lock: packages with versions and hashes.
        requirements: what was asked for, for the record.
        own_digest: of the qloom that goes in; empty for none.
    """

    interpreter: Interpreter
    lock: str
    requirements: tuple[str, ...]
    own_digest: str

    @property
    def lock_digest(self) -> str:
        """Digest of packages and Python."""
        return digest_of([self.lock, *self.interpreter.identity])

    @property
    def digest(self) -> str:
        """The name of its folder: the lock digest, and the qloom inside."""
        return digest_of([self.lock_digest, self.own_digest])


class Builder:
    """Builds environments below one folder.

    Args:
        root: the folder; made when it is needed.

    >>> from pathlib import Path
    >>> Builder(Path("/q/environments")).place("d1")
    PosixPath('/q/environments/by-digest/d1')
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def build(self, plan: Plan, progress: Progress) -> Environment:
        """Return the environment of a plan, built where it is not there yet; two builders at once build it once.

        Raises:
            InvalidSetting: a package cannot be installed, or the environment does not start.
            Unavailable: no package index answers.
            StorageFailed: the disk is full or read-only; nothing half built is left in place.
            own.Changed: the files of qloom changed while they were copied.
        """
        place = self.place(plan.digest)
        with self._building(plan.digest, progress) as held:
            known = read_environment(place)
            if known is not None and known.is_whole():
                return known
            self._sweep(plan.digest)
            aside = place.with_name(f".{plan.digest}.{os.getpid()}")
            try:
                self._fill(aside, plan, held, progress)
                _put_in_place(aside, place)
            except OSError as error:
                raise_storage(error, place)
            finally:
                _remove(aside)
        built = read_environment(place)
        if built is None:
            raise StorageFailed(f"the environment {place} was built and is gone again; is somebody clearing {self.root}?")
        return built

    def _fill(self, aside: Path, plan: Plan, held: int, progress: Progress) -> None:
        packages = locked_packages(plan.lock)
        progress(f"building environment {plan.digest[:8]} ({len(packages)} packages, Python {plan.interpreter.version})")
        python = aside / "bin" / "python"
        fix = "look at the message, free space where the disk is full, and run again"
        done = run_uv(
            ["--quiet", "venv", "--relocatable", "--no-project", "--python", plan.interpreter.path, str(aside)],
            folder=self.root,
            held=held,
        )
        refuse(done, f"no environment of Python {plan.interpreter.version} can be made", fix)
        (aside / LOCK).write_text(plan.lock, encoding="utf-8")
        progress(f"installing {len(packages)} packages")
        if packages:
            done = run_uv(
                ["--quiet", "pip", "sync", "--require-hashes", "--python", str(python), str(aside / LOCK)],
                folder=self.root,
                held=held,
            )
            refuse(done, f"the packages of environment {plan.digest[:8]} cannot be installed", fix)
        if plan.own_digest:
            progress(f"adding qloom {own.version()}")
            own.put_in(site_packages(aside, plan.interpreter.version), plan.own_digest)
        progress("trying it")
        _try(python, with_qloom=bool(plan.own_digest))
        write_marker(
            aside,
            Environment(
                python=python,
                version=plan.interpreter.version,
                digest=plan.digest,
                lock_digest=plan.lock_digest,
                requirements=plan.requirements,
                packages=packages,
                folder=aside,
                interpreter=replace(plan.interpreter, path=str(python.resolve())),
            ),
        )
        progress("done")

    def place(self, digest: str) -> Path:
        """Return where the environment of that digest is, or would be."""
        return self.root / "by-digest" / digest

    def folder(self, *parts: str) -> Path:
        """Return a folder below the root, made where it is not there yet."""
        folder = self.root.joinpath(*parts)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise_storage(error, folder)
        return folder

    @contextmanager
    def _building(self, digest: str, progress: Progress) -> Iterator[int]:
        """Hold the lock on one digest; yields its descriptor, which a uv that works for us keeps open too."""
        descriptor = self._lock_file(digest)
        try:
            if not _locked(descriptor):
                progress("another process builds this environment; waiting for it")
                _wait_for_lock(descriptor, digest)
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock_file(self, digest: str) -> int:
        path = self.folder("by-digest") / f".{digest}.building"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise_storage(error, path)

    def _sweep(self, mine: str) -> None:
        """Remove what killed builders left aside, of this digest and of every other that nobody builds now."""
        for path in list((self.root / "by-digest").iterdir()):
            match = _ASIDE.fullmatch(path.name)
            if match is None:
                continue
            if match["digest"] == mine:
                _remove(path)
                continue
            descriptor = self._lock_file(match["digest"])
            try:
                if _locked(descriptor):
                    _remove(path)
            finally:
                os.close(descriptor)


def silent(_text: str) -> None:
    """Nobody listens."""


def _put_in_place(aside: Path, place: Path) -> None:
    """Move a finished environment to where it belongs; a damaged one there makes way."""
    if place.exists():
        place.rename(aside.with_name(aside.name + ".old"))
    aside.rename(place)
    sync_folder(place.parent)
    _remove(aside.with_name(aside.name + ".old"))


def _try(python: Path, *, with_qloom: bool) -> None:
    """Start a new environment once, which also compiles what every start in it imports."""
    command = ["-P", "-m", "qloom", "--version"] if with_qloom else ["-c", "pass"]
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            [str(python), *command], check=False, capture_output=True, text=True, errors="replace", env=clean, timeout=TRIAL_S
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"the new environment did not start within {TRIAL_S:g} s; is the disk slow? Run it again") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise InvalidSetting(f"the new environment does not start: {last}; loosen or change the requirements")


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for_lock(descriptor: int, digest: str) -> None:

    for pause_s in pauses(f"the build of environment {digest[:8]} by another process", OTHERS_BUILD_S):
        if _locked(descriptor):
            return
        time.sleep(pause_s)
