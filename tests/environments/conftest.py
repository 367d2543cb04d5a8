"""Environments in a folder of their own, built by the real uv from the real index: small packages, which uv keeps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qloom.environments.asked import Wanted
from qloom.environments.environment import Environment
from qloom.environments.keeping import Environments

ONLY_THERE = "peppercorn"
"""A tiny package that nothing of ours needs: only an environment that asks for it has it."""

Prepare = Callable[..., Environment]


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "environments")


@pytest.fixture
def prepare(environments: Environments) -> Prepare:
    """Builds environments without qloom inside: a third of a second each."""

    def prepared(*requirements: str, python: str = "", progress: Callable[[str], None] | None = None) -> Environment:
        found = environments.prepare(wanted(*requirements, python=python), with_qloom=False, progress=progress)
        assert found is not None
        return found

    return prepared


def wanted(*requirements: str, python: str = "", requires_python: str = "") -> Wanted:
    return Wanted(
        requirements=requirements,
        requirements_from="--requirements",
        python=python,
        python_from="--python",
        requires_python=requires_python,
        requires_python_from="the header of vqe.py",
    )


def left_aside(environments: Environments) -> list[str]:
    """What stands beside finished environments: half-built folders."""
    return [path.name for path in (environments.root / "by-digest").glob(".*") if path.is_dir()]
