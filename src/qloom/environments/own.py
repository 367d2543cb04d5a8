"""The qloom that runs, as a package: what it needs, what it is (a digest of its files), and a copy of it for an environment."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.environments.requirements import canonical, parse_requirement
from qloom.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement

NAME = "qloom"
FOLDER = Path(__file__).resolve().parents[1]
"""The running package."""
_LEFT_OUT = ("__pycache__",)


def version() -> str:
    """Return the version of the running qloom.

    >>> version().count(".")
    2
    """
    return importlib.metadata.version(NAME)


def requires_python() -> str:
    """Return which versions of Python this qloom runs on."""
    return str((importlib.metadata.metadata(NAME).get_all("Requires-Python") or [""])[0])


@cache
def declared() -> tuple[str, ...]:
    """Return everything that the running qloom declares to need, extras included, as it stands in its metadata."""
    return tuple(importlib.metadata.requires(NAME) or ())


@cache
def digest() -> str:
    """Return a digest of the running package's files: another one after an upgrade, or an edit in a checkout.

    >>> len(digest())
    32
    """
    return _digest(FOLDER)


@cache
def base_requirements(extras: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return what this qloom needs, with some of its extras.

    Raises:
        InvalidSetting: there is no such extra.

    >>> any(text.startswith("numpy") for text in base_requirements())
    True
    """
    data = importlib.metadata.metadata(NAME)
    known = {canonical(name) for name in data.get_all("Provides-Extra") or []}
    for extra in extras:
        if extra not in known:
            raise InvalidSetting(f"qloom has no extra {extra!r}; it has {', '.join(sorted(known))}")
    found = (_needed(text, extras) for text in declared())
    return tuple(dict.fromkeys(text for text in found if text))


def split(requirements: Iterable[Requirement], where: str) -> tuple[list[Requirement], tuple[str, ...]]:
    """Return the requirements besides qloom, and the extras of qloom that are asked for.

    An environment gets the qloom that runs here, so one that asks for another version cannot have it.

    Raises:
        InvalidSetting: another version of qloom is asked for.
    """
    others, extras, running = [], set(), version()
    for one in requirements:
        if canonical(one.name) != NAME:
            others.append(one)
        elif one.url or not one.specifier.contains(running, prereleases=True):
            raise InvalidSetting(
                f"{where} asks for {one}, and qloom {running} runs here; an environment gets the qloom that submits the job: "
                "install the other one here, or leave the bound out"
            )
        else:
            extras |= {canonical(extra) for extra in one.extras}
    return others, tuple(sorted(extras))


class Changed(Exception):
    """The files of qloom changed between the look at them and their copy."""


def put_in(site_packages: Path, expected: str) -> None:
    """Copy the running qloom into a folder of packages, with what tells its version and entry points.

    Args:
        site_packages: the folder.
        expected: the digest that the copy must have.

    Raises:
        Changed: it has another one: somebody edits the checkout, or upgrades the package.
    """
    target = site_packages / NAME
    shutil.copytree(FOLDER, target)
    if _digest(target) != expected:
        digest.cache_clear()
        raise Changed
    _write_metadata(site_packages)


def _write_metadata(site_packages: Path) -> None:
    installed = importlib.metadata.distribution(NAME)
    folder = site_packages / f"{NAME}-{installed.version}.dist-info"
    folder.mkdir(exist_ok=True)
    for name in ("METADATA", "entry_points.txt"):
        (folder / name).write_text(installed.read_text(name) or "", encoding="utf-8")
    (folder / "INSTALLER").write_text("qloom\n", encoding="utf-8")


def _digest(folder: Path) -> str:
    total = hashlib.blake2b(version().encode(), digest_size=16)
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if _counts(path)):
        content = path.read_bytes()
        total.update(f"|{len(name)}|{name}|{len(content)}|".encode())
        total.update(content)
    return total.hexdigest()


def _counts(path: Path) -> bool:
    return path.suffix != ".pyc" and not any(part in _LEFT_OUT for part in path.parts) and path.is_file()


def _needed(text: str, extras: tuple[str, ...]) -> str:
    """Return one line of what qloom needs as a resolver for another interpreter reads it; empty where it does not count."""
    requirement = parse_requirement(text, "qloom's own metadata")
    if requirement.marker is None or "extra" not in str(requirement.marker):
        return str(requirement)
    if not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
        return ""
    requirement.marker = None
    return str(requirement)
