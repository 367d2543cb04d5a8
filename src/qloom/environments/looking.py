"""What an interpreter says about itself: which Python it is, what is installed, where it loads from, which imports it lacks."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qloom.errors import CorruptRecord, InvalidSetting
from qloom.kit.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

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
    # A namespace package such as `braket` says nothing by itself: several packages have parts of it.
    try:
        top = importlib.util.find_spec(name.partition(".")[0])
        if top is None or top.origin is not None or "." not in name:
            return top is not None
        return importlib.util.find_spec(".".join(name.split(".")[:2])) is not None
    except (ImportError, ValueError, AttributeError):
        return False
packages = {}
for one in distributions():
    packages.setdefault(str(one.metadata["Name"]), one.version)
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])), "implementation": sys.implementation.name,
    "platform": sysconfig.get_platform(), "behind": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "loads": sorted({sys.prefix, sys.base_prefix, *sys.path}),
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
        loads: what it loads from, which a sandbox has to show.
        places: folder it imports from -> when that last changed, nanoseconds since 1970.
    """

    version: str
    implementation: str
    platform: str
    behind: str
    packages: dict[str, str]
    missing: tuple[str, ...]
    loads: tuple[str, ...]
    places: dict[str, int]


def look_at(python: Path, imports: Iterable[str] = (), *, kept_in: Path | None = None) -> Look:
    """Return what an interpreter says about itself; asked again only when one of its folders has changed.

    Args:
        python: its executable.
        imports: modules that it should find, dotted names; none of them is imported.
        kept_in: folder where answers are kept; None asks each time.

    Raises:
        InvalidSetting: it does not start.

    >>> import sys
    >>> from pathlib import Path
    >>> look_at(Path(sys.executable), ["json", "no_such_module"]).missing
    ('no_such_module',)
    """
    names = sorted(set(imports))
    kept = (
        None
        if kept_in is None
        else kept_in / f"{_digest([str(python), _changed(python), os.environ.get('PYTHONPATH', ''), *names])}.json"
    )
    known = None if kept is None else _kept(kept)
    if known is not None:
        return known
    look = _ask(python, names)
    if kept is not None:
        write_json(kept, {name: getattr(look, name) for name in Look.__slots__}, durable=False)
    return look


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
    try:
        return _read(document)
    except (LookupError, TypeError) as error:
        raise InvalidSetting(f"{python} does not answer as Python does; {fix}") from error


def _read(document: Any) -> Look:
    return Look(**(document | {name: tuple(document[name]) for name in ("missing", "loads")}))


def _kept(path: Path) -> Look | None:
    try:
        look = _read(read_json(path))
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
