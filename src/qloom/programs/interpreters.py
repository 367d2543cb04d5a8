"""The interpreter that a script runs in: which one, what it is, and what of the script's imports it lacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qloom.errors import InvalidSetting, Misuse, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable

OLDEST = (3, 9)
ASK_S = 60.0
"""Time for an interpreter to say what it is: on a network disk a first start is slow."""
DISTRIBUTIONS = {
    "braket": "amazon-braket-sdk",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "cv2": "opencv-python",
}
"""Top-level modules whose package is called otherwise."""

# Run by any Python. A namespace package such as `braket` says nothing by itself: several packages have parts of it.
_QUESTION = """
import importlib.util, json, sys
def there(name):
    try:
        top = importlib.util.find_spec(name.partition(".")[0])
        if top is None or top.origin is not None or "." not in name:
            return top is not None
        return importlib.util.find_spec(".".join(name.split(".")[:2])) is not None
    except (ImportError, ValueError, AttributeError):
        return False
names = json.loads(sys.argv[1])
print(json.dumps({"version": list(sys.version_info[:3]), "paths": sorted({sys.prefix, sys.base_prefix, *sys.path} - {""}),
    "missing": [name for name in names if not there(name)]}))
"""


class Interpreter(NamedTuple):
    """A Python that can run scripts.

    Attributes:
        path: of its executable; links are not followed, since a virtual environment is one.
        version: such as `3.11.7`.
        paths: what it loads from, which a sandbox has to show.
        missing: modules that were asked for and are not there.
    """

    path: str
    version: str
    paths: tuple[str, ...]
    missing: tuple[str, ...] = ()


def find_interpreter(python: str | None, environment: str | None, home: Path) -> str:
    """Return the path of the interpreter that was asked for; this one where none was.

    Args:
        python: path of an interpreter.
        environment: name of a folder with a virtual environment in `home/environments/` or in `.environments/` here.
        home: qloom's home.

    Raises:
        Misuse: both were given.
        UnknownName: no environment of that name, with the nearest.

    >>> find_interpreter("/usr/bin/python3", None, Path("/q"))
    '/usr/bin/python3'
    """
    if python is not None and environment is not None:
        raise Misuse("--python and --environment both name an interpreter; give one of them")
    if environment is None:
        return os.path.abspath(python) if python is not None else sys.executable  # noqa: PTH100  links are kept as they are
    known: dict[str, Path] = {}
    for folder in (Path.cwd() / ".environments", home / "environments"):
        known |= {path.parents[1].name: path for path in folder.glob("*/bin/python")}
    if environment not in known:
        raise UnknownName.among("environment", environment, known)
    return str(known[environment])


def ask_interpreter(path: str, modules: Iterable[str] = ()) -> Interpreter:
    """Start an interpreter and return what it says of itself.

    Args:
        path: of its executable.
        modules: dotted names of modules to look for; none of them is imported.

    Raises:
        InvalidSetting: no Python, or one that is too old.

    >>> ask_interpreter(sys.executable, ["json", "nowhere"]).missing
    ('nowhere',)
    """
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        raise InvalidSetting(f"{path} is no interpreter: there is no file that can be executed; give the path of a Python")
    command = [path, "-c", _QUESTION, json.dumps(list(modules))]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", timeout=ASK_S, cwd="/")
        said = json.loads(done.stdout) if done.returncode == 0 else {}
        version = tuple(said["version"])
    except (OSError, ValueError, LookupError, TypeError, subprocess.TimeoutExpired) as error:
        raise InvalidSetting(f"{path} does not answer as Python does ({error}); give the path of a Python") from error
    shown = ".".join(map(str, version))
    if version < OLDEST:
        raise InvalidSetting(f"{path} is Python {shown}, scripts need {'.'.join(map(str, OLDEST))} or newer")
    return Interpreter(path, shown, tuple(said["paths"]), tuple(said["missing"]))


def refuse_missing(interpreter: Interpreter, script: str) -> None:
    """Refuse to start a script whose imports the interpreter lacks.

    Raises:
        InvalidSetting: with the modules, and how to get them.

    >>> refuse_missing(Interpreter("/p", "3.12.1", (), ("braket.jobs",)), "algo")
    Traceback (most recent call last):
    qloom.errors.InvalidSetting: algo imports braket.jobs, which /p (Python 3.12.1) does not have; name another ...
    """
    if not interpreter.missing:
        return
    tops = dict.fromkeys(name.partition(".")[0] for name in interpreter.missing)
    packages = " ".join(DISTRIBUTIONS.get(name, name) for name in tops)
    raise InvalidSetting(
        f"{script} imports {', '.join(interpreter.missing)}, which {interpreter.path} (Python {interpreter.version}) does not "
        "have; "
        "name another interpreter (--python PATH, --environment NAME), or install what is missing: "
        f"{interpreter.path} -m pip install {packages}"
    )
