"""One environment as it stands on the disk: its folder, what it was built from, and whether it is whole."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qloom.environments import LOCK, MARKER
from qloom.environments.requirements import canonical
from qloom.errors import CorruptRecord
from qloom.kit.files import read_json, write_json

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python outside any environment.

    Attributes:
        path: its executable, links followed.
        version: as "3.11.7".
        implementation: as "cpython".
        platform: as "linux-x86_64".
    """

    path: str
    version: str
    implementation: str
    platform: str

    @classmethod
    def running(cls) -> Interpreter:
        """Return the one that runs this process; for a virtual environment the one behind it.

        >>> Interpreter.running().version == ".".join(map(str, sys.version_info[:3]))
        True
        """
        import sysconfig  # late: only who asks for an environment needs it

        behind = getattr(sys, "_base_executable", None) or sys.executable
        return cls(
            path=str(Path(behind).resolve()),
            version=".".join(map(str, sys.version_info[:3])),
            implementation=sys.implementation.name,
            platform=sysconfig.get_platform(),
        )

    @property
    def identity(self) -> list[str]:
        """What decides which packages fit it."""
        return [self.version, self.implementation, self.platform]

    def to_json(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"path": self.path, "version": self.version, "implementation": self.implementation, "platform": self.platform}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An interpreter with its packages.

    Attributes:
        python: what to start. For one that qloom did not build: the path that was asked for.
        version: of Python, as "3.11.7".
        digest: the name of its folder: packages, Python and the qloom inside; empty where qloom did not build it.
        lock_digest: packages and Python alone; empty likewise.
        requirements: what was asked for.
        packages: package -> version, qloom not among them.
        folder: where it is; None where qloom did not build it.
        interpreter: the Python it was made with; None likewise.
    """

    python: Path
    version: str
    digest: str = ""
    lock_digest: str = ""
    requirements: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    interpreter: Interpreter | None = None

    @property
    def lock(self) -> str:
        """The packages with versions and hashes, as uv and pip read them; empty where qloom did not build it."""
        return "" if self.folder is None else (self.folder / LOCK).read_text(encoding="utf-8")

    def record(self) -> dict[str, Any]:
        """Return what a job keeps of it; empty where qloom did not build it."""
        if self.interpreter is None:
            return {}
        said = {"lock_digest": self.lock_digest, "digest": self.digest, "requirements": list(self.requirements)}
        python = {
            "python": self.version,
            "implementation": self.interpreter.implementation,
            "platform": self.interpreter.platform,
        }
        return {**said, **python, "packages": dict(sorted(self.packages.items()))}

    def is_whole(self) -> bool:
        """Whether its interpreter is the one it was made with and all its packages are there; nothing is started."""
        if self.folder is None or self.interpreter is None:
            return self.python.is_file()
        if not os.access(self.python, os.X_OK) or str(self.python.resolve()) != self.interpreter.path:
            return False
        return set(self.packages) <= _there(self.site_packages)

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return site_packages(self.folder or self.python.parents[1], self.version)


def site_packages(folder: Path, version: str) -> Path:
    """Return where the packages of a virtual environment are.

    >>> site_packages(Path("/e"), "3.11.7")
    PosixPath('/e/lib/python3.11/site-packages')
    """
    return folder / "lib" / f"python{'.'.join(version.split('.')[:2])}" / "site-packages"


def write_marker(folder: Path, environment: Environment) -> None:
    """Write into a folder what it is."""
    if environment.interpreter is None:
        raise AssertionError("only what qloom builds is marked")
    document = {
        "format": _FORMAT,
        "digest": environment.digest,
        "lock_digest": environment.lock_digest,
        "interpreter": environment.interpreter.to_json(),
        "requirements": list(environment.requirements),
        "packages": environment.packages,
    }
    write_json(folder / MARKER, document)


def read_environment(folder: Path) -> Environment | None:
    """Return the environment in a folder; None where there is none that is finished and can be read."""
    try:
        document = read_json(folder / MARKER)
        interpreter = Interpreter(**document["interpreter"])
        if document["format"] != _FORMAT:
            return None
        return Environment(
            python=folder / "bin" / "python",
            version=interpreter.version,
            digest=document["digest"],
            lock_digest=document["lock_digest"],
            requirements=tuple(document["requirements"]),
            packages=dict(document["packages"]),
            folder=folder,
            interpreter=interpreter,
        )
    except (OSError, CorruptRecord, LookupError, TypeError, ValueError):
        return None


def current_environment() -> Environment | None:
    """Return the environment that this process runs in, if qloom built it.

    >>> environment = current_environment()
    >>> environment is None or str(environment.folder) == sys.prefix
    True
    """
    return read_environment(Path(sys.prefix))


def _there(folder: Path) -> set[str]:
    """Return the names of the packages in a folder, from their records' names: one look at one folder."""
    try:
        with os.scandir(folder) as entries:
            records = [entry.name for entry in entries if entry.name.endswith(".dist-info")]
    except OSError:
        return set()
    return {canonical(name.partition("-")[0]) for name in records}
