"""Mismatches, said before anything is queued: another Python than asked for, a package that is missing or of another version."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.environments.asked import is_version
from qloom.environments.requirements import canonical, parse_all, parse_versions
from qloom.errors import InvalidSetting, Misuse, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from qloom.environments.asked import Wanted
    from qloom.environments.looking import Look

OLDEST_FOR_SCRIPTS = "3.9"
DISTRIBUTIONS = {
    "braket": "amazon-braket-sdk",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "cv2": "opencv-python",
}
"""Top-level modules whose package is called otherwise."""


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


# ---- plain scripts -----------------------------------------------------------------------------------------------------


def find_interpreter(python: str | None, environment: str | None, home: Path) -> Path:
    """Return the path of the interpreter that was asked for; this one where none was.

    Args:
        python: path of an interpreter.
        environment: name of a folder with a virtual environment in `home/environments/` or in `.environments/` here.
        home: qloom's home.

    Raises:
        Misuse: both were given.
        UnknownName: no environment of that name, with the nearest.

    >>> find_interpreter("/usr/bin/python3", None, Path("/q"))
    PosixPath('/usr/bin/python3')
    """
    if python is not None and environment is not None:
        raise Misuse("--python and --environment both name an interpreter; give one of them")
    if environment is None:
        return Path(os.path.abspath(python or sys.executable))  # noqa: PTH100  links are kept as they are
    known: dict[str, Path] = {}
    for folder in (Path.cwd() / ".environments", home / "environments"):
        known |= {path.parents[1].name: path for path in folder.glob("*/bin/python")}
    if environment not in known:
        raise UnknownName.among("environment", environment, known)
    return known[environment]


def check_for_script(look: Look, python: Path, script: str) -> None:
    """Refuse to start a script with a Python that is too old for any, or that lacks what the script imports.

    Raises:
        InvalidSetting: with the modules, and how to get them.
    """
    if not parse_versions(f">={OLDEST_FOR_SCRIPTS}", "a script").contains(look.version):
        raise InvalidSetting(f"{python} is Python {look.version}, scripts need {OLDEST_FOR_SCRIPTS} or newer")
    if not look.missing:
        return
    tops = dict.fromkeys(name.partition(".")[0] for name in look.missing)
    packages = " ".join(DISTRIBUTIONS.get(name, name) for name in tops)
    raise InvalidSetting(
        f"{script} imports {', '.join(look.missing)}, which {python} (Python {look.version}) does not have; name another "
        "interpreter (--python PATH, --environment NAME), list its packages (--requirements FILE), or install what is missing: "
        f"uv pip install --python {shlex.quote(str(python))} {packages}"
    )
