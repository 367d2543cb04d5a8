"""What a lock promises: exact versions, hashes for each, no address, and everything that pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
LOCKS = sorted((REPOSITORY / "environments").glob("*.lock"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
BASE = PROJECT["project"]["dependencies"]
EXTRAS = [line for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines]
EVERYTHING = [*BASE, *EXTRAS, *PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]]
ADDRESS_OR_PATH = re.compile(r"https?:|file:|--(?:extra-)?index-url|--find-links|(?<![\w.])/\w+/")


def pins(lock: Path) -> dict[str, str]:
    """Package name -> locked version, of the lines that hold for the running interpreter."""
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if re.match(r"[a-z0-9]", line)]
    locked = [Requirement(line.removesuffix("\\").strip()) for line in lines]
    return {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in locked if not pin.marker or pin.marker.evaluate()}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_no_address_and_no_path(lock: Path) -> None:
    assert ADDRESS_OR_PATH.findall(lock.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_locked_package_has_a_version_and_a_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", lock.read_text(encoding="utf-8"))
    assert [entry for entry in entries if not re.match(r"\S+==\S+[^\n]*\\\n +--hash=sha256:[0-9a-f]{64}", entry)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_lock_comes_from_a_list_of_requirements(lock: Path) -> None:
    assert lock.with_suffix(".in").exists()


@pytest.mark.parametrize(("name", "wanted"), [("qloom", EVERYTHING), ("braket-sdk", BASE), ("covalent", BASE)])
def test_a_lock_fulfils_what_the_project_asks_for(name: str, wanted: list[str]) -> None:
    locked = pins(REPOSITORY / "environments" / f"{name}.lock")
    asked = [Requirement(line) for line in wanted]
    assert [str(one) for one in asked if not one.specifier.contains(locked.get(canonicalize_name(one.name), "0"))] == []


def test_every_requirement_has_a_floor() -> None:
    asked = [Requirement(line) for line in EVERYTHING]
    assert [str(one) for one in asked if not any(bound.operator == ">=" for bound in one.specifier)] == []
