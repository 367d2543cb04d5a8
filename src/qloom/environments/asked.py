"""What a program asks for, and where: the command line, its decorator, the header of its file. The first that says it wins."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.environments import HEADER_BEGINS, may_have_header
from qloom.environments.requirements import read_requirements_file
from qloom.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER_ENDS = "# ///"
_VERSION = re.compile(r"\d+(\.\d+){0,2}")


class Asked(NamedTuple):
    """What one place asks for. None: it says nothing about that.

    Attributes:
        where: the place, for people: `--requirements`, `the options of vqe`, `the header of vqe.py`.
        requirements: PEP 508 texts, or the path of a requirements.txt.
        python: a version as "3.12", or the path of an interpreter.
        requires_python: which versions do, as ">=3.11"; only headers say that.
    """

    where: str
    requirements: tuple[str, ...] | str | None = None
    python: str | None = None
    requires_python: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a program asks for in the end, and where each part was said.

    >>> Wanted(requirements=("six",)).anything, Wanted().anything
    (True, False)
    """

    requirements: tuple[str, ...] = ()
    python: str = ""
    requires_python: str = ""
    requirements_from: str = ""
    python_from: str = ""
    requires_python_from: str = ""

    @property
    def anything(self) -> bool:
        """Whether anything is asked for at all."""
        return bool(self.requirements or self.python or self.requires_python)

    def key(self) -> str:
        """Return a text that is equal for equal wishes, whatever their order and wherever they were said."""
        return json.dumps([sorted(map(str.strip, self.requirements)), self.python, self.requires_python])


def choose(*places: Asked, folder: Path) -> Wanted:
    """Return what holds: for each part the first place that says something about it.

    Args:
        places: strongest first.
        folder: paths are relative to it.

    Raises:
        InvalidSetting: a requirements.txt that cannot be read or asks for what an environment cannot have.

    >>> choose(Asked("--requirements", ("six",)), Asked("the header", ("iniconfig",), requires_python=">=3.11"), folder=Path())
    ... # doctest: +ELLIPSIS
    Wanted(requirements=('six',), python='', requires_python='>=3.11', requirements_from='--requirements', ...)
    """
    packages = next((place for place in places if place.requirements is not None), None)
    python = next((place for place in places if place.python is not None), None)
    versions = next((place for place in places if place.requires_python is not None), None)
    texts, packages_from = _texts(packages, folder)
    return Wanted(
        requirements=texts,
        requirements_from=packages_from,
        python=_absolute(python.python or "", folder) if python else "",
        python_from=python.where if python else "",
        requires_python=(versions.requires_python or "") if versions else "",
        requires_python_from=versions.where if versions else "",
    )


def wanted_by(file: Path | None, *said: Asked) -> Wanted:
    """Return what a program asks for: what was said, strongest first, then the header of its file.

    Args:
        file: the program's file; None in a notebook. Paths are relative to its folder, or to the current one.
        said: what its options and the command line say.

    Raises:
        InvalidSetting: a header or a requirements.txt that cannot be read.
    """
    if file is None:
        return choose(*said, folder=Path.cwd())
    header = script_header(file.read_bytes(), file.name) if may_have_header(str(file)) else None
    return choose(*said, *([header] if header else []), folder=file.resolve().parent)


def is_version(python: str) -> bool:
    """Whether a wish for a Python is a version; else it is the path of an interpreter.

    >>> is_version("3.12"), is_version("/usr/bin/python3")
    (True, False)
    """
    return _VERSION.fullmatch(python) is not None


def _texts(place: Asked | None, folder: Path) -> tuple[tuple[str, ...], str]:
    if place is None or place.requirements is None:
        return (), ""
    if isinstance(place.requirements, str):
        path = folder / place.requirements
        return read_requirements_file(path), f"{place.where} ({path.name})"
    return place.requirements, place.where


def _absolute(python: str, folder: Path) -> str:
    # Not resolved: the `python` of a virtual environment is a link, and what it leads to is not that environment.
    return python if not python or is_version(python) else str((folder / Path(python).expanduser()).absolute())


# ---- PEP 723 -----------------------------------------------------------------------------------------------------------


def script_header(content: bytes, name: str) -> Asked | None:
    r"""Return what the header of a Python file asks for; None where it has none.

    Args:
        content: the file.
        name: what it is called, for errors.

    Raises:
        InvalidSetting: the header is not closed, is there twice, or is no such header; the line is named.
    Source: PEP 723, inline script metadata. A header that is not closed is refused here, not passed over.

    >>> script_header(b"# /// script\n# dependencies = ['six']\n# ///\n", "vqe.py")
    Asked(where='the header of vqe.py', requirements=('six',), python=None, requires_python=None)
    """
    if HEADER_BEGINS.encode() not in content:
        return None
    lines = content.decode(errors="replace").splitlines()
    starts = [number for number, line in enumerate(lines) if line.rstrip() == HEADER_BEGINS]
    if not starts:
        return None
    if len(starts) > 1:
        raise InvalidSetting(
            f"{name}, line {starts[1] + 1}: a second `{HEADER_BEGINS}` header; put everything into the first one"
        )
    return _read_header(_body(lines, starts[0], name), name, starts[0] + 1)


def _body(lines: list[str], start: int, name: str) -> str:
    """Return what stands in the header: up to the last closing line of this run of comments."""
    run = []
    for line in lines[start + 1 :]:
        if line.rstrip() != "#" and not line.startswith("# "):
            break
        run.append(line)
    ends = [number for number, line in enumerate(run) if line.rstrip() == HEADER_ENDS]
    if not ends:
        raise InvalidSetting(f"{name}, line {start + 1}: the header is not closed; end it with a line `{HEADER_ENDS}`")
    return "\n".join(line[2:] for line in run[: ends[-1]])


def _read_header(text: str, name: str, line: int) -> Asked:
    import tomllib  # late: only who has a header needs it

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSetting(f"{name}, header in line {line}: no TOML: {error}; correct it, then run again") from error
    packages, versions = document.get("dependencies"), document.get("requires-python")
    if packages is not None and not (isinstance(packages, list) and all(isinstance(item, str) for item in packages)):
        raise InvalidSetting(f'{name}, header in line {line}: dependencies must be a list of texts, as ["scipy>=1.11"]')
    if versions is not None and not isinstance(versions, str):
        raise InvalidSetting(f'{name}, header in line {line}: requires-python must be a text, as ">=3.11"')
    return Asked(f"the header of {name}", _tuple(packages), None, versions)


def _tuple(values: Iterable[Any] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
