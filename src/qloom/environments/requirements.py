"""Requirements as users write them, checked one by one: a misspelt line is named before anything is resolved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qloom.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTIONS = {
    "-r": "another file: copy its lines here",
    "--requirement": "another file: copy its lines here",
    "-c": "constraints: write the bounds beside the names",
    "--constraint": "constraints: write the bounds beside the names",
    "-e": "a folder: build it and name the package, or put its modules beside the program",
    "--editable": "a folder: build it and name the package, or put its modules beside the program",
    "-i": "an index: set UV_DEFAULT_INDEX, or index-url in pip's configuration",
    "--index-url": "an index: set UV_DEFAULT_INDEX, or index-url in pip's configuration",
    "--extra-index-url": "an index: set UV_INDEX",
    "--find-links": "a place to look: set UV_FIND_LINKS",
    "--hash": "hashes: leave them out, qloom locks every package with its own",
}
_MOST_BYTES = 1_000_000


def parse_requirement(text: str, where: str) -> Requirement:
    """Return one requirement, checked.

    Args:
        text: PEP 508: a name, with extras, versions, markers, or `name @ https://...`.
        where: the place it stands in, for the error.

    Raises:
        InvalidSetting: it is none, or it names a place that another machine does not have, or it holds a password.

    >>> parse_requirement("scipy>=1.11", "--requirements").name
    'scipy'
    """
    from packaging.requirements import InvalidRequirement, Requirement  # late: only who asks for packages needs it

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        what = str(error).partition("\n")[0]
        raise InvalidSetting(f'{where}: {_hidden(text)!r} is no requirement: {what}; write it as "scipy>=1.11"') from error
    if requirement.url:
        _check_address(requirement.name, requirement.url, where)
    return requirement


def parse_versions(text: str, where: str) -> SpecifierSet:
    """Return bounds on versions, such as those of `requires-python`.

    Raises:
        InvalidSetting: they cannot be read.

    >>> "3.12.1" in parse_versions(">=3.11", "the header of vqe.py")
    True
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise InvalidSetting(f'{where}: requires-python {text!r} is no bound on versions; write it as ">=3.11"') from error


def read_requirements_file(path: Path) -> tuple[str, ...]:
    r"""Return the requirements in a requirements.txt: one to a line, comments left out.

    Raises:
        InvalidSetting: it cannot be read, or a line is no requirement; the line is named.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "requirements.txt"
    >>> _ = file.write_text("# numbers\nscipy>=1.11  # roots\n")
    >>> read_requirements_file(file)
    ('scipy>=1.11',)
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSetting(f"requirements file {path} cannot be read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise InvalidSetting(f"requirements file {path} has {len(content)} bytes, at most {_MOST_BYTES}; is it the right file?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidSetting(f"requirements file {path} is no UTF-8 text; save it as such") from error
    return tuple(_checked_line(line, f"{path.name}, line {number}") for number, line in _lines(text))


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it.

    >>> canonical("Flask_Login.x")
    'flask-login-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_all(texts: Iterable[str], where: str) -> list[Requirement]:
    """Return requirements, each checked."""
    return [parse_requirement(text, where) for text in texts]


def locked_packages(lock: str) -> dict[str, str]:
    r"""Return package -> version from a lock; for one from an address, the address.

    >>> locked_packages("six==1.17.0 \\\n    --hash=sha256:00\n")
    {'six': '1.17.0'}
    """
    found = {}
    for line in lock.splitlines():
        if not line or line[0] in " #":
            continue
        pin = line.partition(" ;")[0].removesuffix("\\").strip()
        name, _, version = pin.partition(" @ " if " @ " in pin else "==")
        found[canonical(name.partition("[")[0].strip())] = version.strip()
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield what is left of each line that holds something, with its number; a backslash joins a line with the next."""
    start, joined = 0, ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start or number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        if whole := _COMMENT.sub("", joined + line).strip():
            yield start, whole
        start, joined = 0, ""


def _checked_line(line: str, where: str) -> str:
    options = [word.partition("=")[0] for word in line.split() if word.startswith("-")]
    if options:
        says = _OPTIONS.get(options[0]) or _OPTIONS.get(options[0][:2]) or "not a package; leave it out"
        raise InvalidSetting(f"{where}: the option {options[0]} names {says}")
    parse_requirement(line, where)
    return line


def _check_address(name: str, url: str, where: str) -> None:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.username or parts.password:
        raise InvalidSetting(
            f"{where}: the address of {name} holds a user or a password, and job records keep requirements; leave it out"
        )
    if parts.scheme not in ("http", "https"):
        raise InvalidSetting(
            f"{where}: {name} comes from {parts.scheme or 'a folder'}; an environment takes packages from an index or from "
            "https:// archives, which have hashes"
        )


def _hidden(text: str) -> str:
    """A text as it may be shown: what might be a password in an address is not."""
    return re.sub(r"//[^/@\s]+@", "//...@", text)
