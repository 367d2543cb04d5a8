"""Mismatches, said before anything is queued: another Python than asked for, a package that is missing or of another version."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.environments.asked import is_version
from qloom.environments.requirements import canonical, parse_all, parse_versions
from qloom.errors import CorruptRecord, InvalidSetting
from qloom.kit.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qloom.environments.asked import Wanted

START_S = 60.0
"""For an interpreter to start and look around."""

# Run by another interpreter, perhaps an old one: nothing of qloom, nothing newer than Python 3.8.
_LOOK = """
import sys
sys.path[:] = [place for place in sys.path if place]
import importlib.util, json, os, sysconfig
try:
    from importlib.metadata import distributions
except ImportError:
    distributions = lambda: ()
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
packages = {}
for one in distributions():
    packages.setdefault(str(one.metadata["Name"]), one.version)
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])), "implementation": sys.implementation.name,
    "platform": sysconfig.get_platform(), "behind": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "packages": packages, "missing": [name for name in sys.argv[1:] if not there(name)],
    "places": {place: os.stat(place).st_mtime_ns for place in sys.path if os.path.isdir(place)},
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one interpreter says about itself.

    Attributes:
        version: as "3.11.7".
        implementation, platform: as `sys` and `sysconfig` name them.
        behind: the Python behind a virtual environment; else the interpreter itself; links followed.
        packages: installed package -> version.
        missing: which of the imports that were asked about it cannot find.
        places: folder it imports from -> when that last changed, nanoseconds since 1970.
    """

    version: str
    implementation: str
    platform: str
    behind: str
    packages: dict[str, str]
    missing: tuple[str, ...]
    places: dict[str, int]


def look_at(python: Path, imports: Iterable[str] = (), *, kept_in: Path | None = None) -> Look:
    """Return what an interpreter says about itself; asked again only when one of its folders has changed.

    Args:
        python: its executable.
        imports: top-level modules that it should find.
        kept_in: folder where answers are kept; None asks each time.

    Raises:
        InvalidSetting: it does not start.

    >>> look_at(Path(sys.executable), ["json", "no_such_module"]).missing
    ('no_such_module',)
    """
    names = sorted(set(imports))
    kept = None if kept_in is None else kept_in / f"{_digest([str(python), _changed(python), *names])}.json"
    known = None if kept is None else _kept(kept)
    if known is not None:
        return known
    look = _ask(python, names)
    if kept is not None:
        write_json(kept, {name: getattr(look, name) for name in Look.__slots__}, durable=False)
    return look


def check_interpreter(look: Look, python: Path, wanted: Wanted, *, qloom: str | None = None) -> list[str]:
    """Return what does not fit in an interpreter that is taken as it is, each with the way to mend it.

    Args:
        look: what it says about itself, asked about the program's imports.
        python: its executable, for the way to mend it.
        wanted: what the program asks for.
        qloom: the version of qloom that it must have; None where it needs none.
    """
    install = f"uv pip install --python {shlex.quote(str(python))}"
    packages = {canonical(name): version for name, version in look.packages.items()}
    found = _python_misfits(look.version, wanted, str(python))
    found += _package_misfits(packages.get, look.version, wanted, str(python), install)
    if qloom is not None and packages.get("qloom") != qloom:
        there = f"qloom {packages['qloom']}" if "qloom" in packages else "no qloom"
        build = f"or give a version, {'.'.join(look.version.split('.')[:2])}, for which an environment is built"
        found.append(f"{python} has {there}, and its jobs need {qloom}, which runs here: {install} 'qloom=={qloom}', {build}")
    found += [
        f"the program imports {name}, which {python} does not find: {install} {name} (or the package that brings it)"
        for name in look.missing
    ]
    return found


def check_this_process(wanted: Wanted) -> list[str]:
    """Return what does not fit in the interpreter that runs this, each with the way to mend it.

    >>> from qloom.environments.asked import Wanted
    >>> check_this_process(Wanted(requirements=("numpy>=1.0",), requirements_from="the header of vqe.py"))
    []
    """
    version = ".".join(map(str, sys.version_info[:3]))
    found = _python_misfits(version, wanted, sys.executable)
    if wanted.python and not _is_this(wanted.python, version):
        found.append(f"{wanted.python_from} asks for Python {wanted.python}, and {version} runs here, at {sys.executable}")
    install = f"uv pip install --python {shlex.quote(sys.executable)}"
    return found + _package_misfits(_installed, version, wanted, sys.executable, install)


def same_version(asked: str, version: str) -> bool:
    """Whether a version is the one asked for, as far as that says.

    >>> same_version("3.11", "3.11.7"), same_version("3.1", "3.11.7")
    (True, False)
    """
    return (version + ".").startswith(asked + ".")


def _is_this(python: str, version: str) -> bool:
    return same_version(python, version) if is_version(python) else same_file(python, sys.executable)


def same_file(one: str, other: str) -> bool:
    """Whether two paths are the interpreter of one environment.

    >>> same_file(sys.executable, sys.executable)
    True
    """
    # The `python` and `python3` of one environment are the same; those of two environments link to the same file and are not.
    first, second = Path(one), Path(other)
    return first.parent.resolve() == second.parent.resolve() and first.resolve() == second.resolve()


def _python_misfits(version: str, wanted: Wanted, python: str) -> list[str]:
    if not wanted.requires_python or parse_versions(wanted.requires_python, wanted.requires_python_from).contains(version):
        return []
    fix = f"choose another one (--python, or Resources(python=...)), or correct {wanted.requires_python_from}"
    return [f"{wanted.requires_python_from} requires Python {wanted.requires_python}, and {python} is Python {version}: {fix}"]


def _package_misfits(
    installed: Callable[[str], str | None], version: str, wanted: Wanted, python: str, install: str
) -> list[str]:
    found = []
    numbers = {"python_version": ".".join(version.split(".")[:2]), "python_full_version": version}
    for one in parse_all(wanted.requirements, wanted.requirements_from) if wanted.requirements else ():
        if one.marker is not None and not one.marker.evaluate(numbers):
            continue
        there = installed(canonical(one.name))
        if there is not None and one.specifier.contains(there, prereleases=True):
            continue
        what = "it is not installed" if there is None else f"{there} is installed"
        found.append(f"{wanted.requirements_from} asks for {one}, and in {python} {what}: {install} {shlex.quote(str(one))}")
    return found


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ask(python: Path, names: Sequence[str]) -> Look:
    fix = 'give a version as "3.12", or the path of a Python that starts'
    try:
        done = subprocess.run(
            [str(python), "-c", _LOOK, *names],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=START_S,
        )
        document = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        raise InvalidSetting(f"the interpreter {python} does not start: {error}; {fix}") from error
    if document is None:
        last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise InvalidSetting(f"the interpreter {python} does not start: {last}; {fix}")
    return Look(**(document | {"missing": tuple(document["missing"])}))


def _kept(path: Path) -> Look | None:
    try:
        document = read_json(path)
        look = Look(**(document | {"missing": tuple(document["missing"])}))
    except (OSError, CorruptRecord, LookupError, TypeError):
        return None
    return look if all(_mtime(place) == changed for place, changed in look.places.items()) else None


def _mtime(place: str) -> int | None:
    try:
        return os.stat(place).st_mtime_ns  # noqa: PTH116  one system call
    except OSError:
        return None


def _changed(python: Path) -> str:
    return str(_mtime(str(python)))


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()
