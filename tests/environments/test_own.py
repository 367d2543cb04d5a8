"""The running qloom as a package: what it needs, what it is, and its copy in an environment."""

import shutil
from pathlib import Path

import pytest

from qloom.environments import own
from qloom.environments.requirements import parse_all


def names(texts: tuple[str, ...]) -> set[str]:
    return {one.name for one in parse_all(texts, "here")}


def test_an_extra_adds_what_it_needs_to_the_base() -> None:
    assert {"numpy", "qulacs"} <= names(own.base_requirements())
    assert names(own.base_requirements(("qasm",))) - names(own.base_requirements()) == {"openqasm3"}


def test_qloom_among_the_requirements_is_the_one_that_runs() -> None:
    asked = parse_all([f"qloom[sim,qasm]>={own.version()}", "six"], "here")
    others, extras = own.split(asked, "here")
    assert ([one.name for one in others], extras) == (["six"], ("qasm", "sim"))


def test_the_digest_follows_the_files_and_not_what_python_compiled(tmp_path: Path) -> None:
    copy = tmp_path / "qloom"
    shutil.copytree(own.FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = own._digest(copy)
    (copy / "kit" / "__pycache__").mkdir()
    (copy / "kit" / "__pycache__" / "files.cpython-311.pyc").write_bytes(b"compiled")
    assert own._digest(copy) == before
    (copy / "config.py").write_text("home = 1\n")
    assert own._digest(copy) != before


def test_a_copy_that_is_not_what_was_promised_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(own.Changed):
        own.put_in(tmp_path, expected="0" * 32)
