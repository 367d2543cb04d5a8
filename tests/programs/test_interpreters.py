"""Which interpreter a script runs in, and what it says of itself."""

import sys
from pathlib import Path

import pytest

from qloom.errors import InvalidSetting, Misuse, UnknownName
from qloom.programs.interpreters import Interpreter, ask_interpreter, find_interpreter, refuse_missing


def environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


def fake(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_word_it_is_the_one_that_runs_qloom(tmp_path: Path) -> None:
    assert find_interpreter(None, None, tmp_path) == sys.executable


def test_a_path_is_made_absolute_but_its_links_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = environment(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_interpreter("mine/bin/python", None, tmp_path) == str(python)


def test_an_environment_is_found_in_the_project_and_first_in_qlooms_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = environment(tmp_path / ".environments" / "sdk")
    assert find_interpreter(None, "sdk", tmp_path / "home") == str(here)
    first = environment(tmp_path / "home" / "environments" / "sdk")
    assert find_interpreter(None, "sdk", tmp_path / "home") == str(first)


def test_an_unknown_environment_is_refused_with_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment(tmp_path / ".environments" / "braket-sdk")
    with pytest.raises(UnknownName, match="no environment called 'braket'; did you mean 'braket-sdk'"):
        find_interpreter(None, "braket", tmp_path)


def test_two_names_for_an_interpreter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="give one of them"):
        find_interpreter("/usr/bin/python3", "sdk", tmp_path)


def test_an_interpreter_says_its_version_its_places_and_what_is_missing() -> None:
    found = ask_interpreter(sys.executable, ["numpy.linalg", "json", "nowhere.at.all", "numpy_"])
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert {sys.prefix, sys.base_prefix} <= set(found.paths)
    assert found.missing == ("nowhere.at.all", "numpy_")


def test_of_a_namespace_package_the_part_that_is_imported_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "braket" / "analog").mkdir(parents=True)
    (tmp_path / "braket" / "analog" / "__init__.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask_interpreter(sys.executable, ["braket.analog.hamiltonians", "braket.no_such_part"]).missing == (
        "braket.no_such_part",
    )


def test_a_path_that_cannot_be_executed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for path in (tmp_path / "text", tmp_path / "absent", tmp_path):
        with pytest.raises(InvalidSetting, match="is no interpreter"):
            ask_interpreter(str(path))


def test_a_program_that_is_no_python_is_refused(tmp_path: Path) -> None:
    for text in ("echo hello", "exit 3", "echo '{}'"):
        with pytest.raises(InvalidSetting, match="does not answer as Python does"):
            ask_interpreter(fake(tmp_path / "other", text))


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = fake(tmp_path / "old", """echo '{"version": [3, 8, 18], "paths": [], "missing": []}'""")
    with pytest.raises(InvalidSetting, match=r"is Python 3\.8\.18, scripts need 3\.9 or newer"):
        ask_interpreter(old)


def test_what_is_missing_is_said_with_the_package_that_brings_it() -> None:
    with pytest.raises(InvalidSetting, match=r"algo imports braket\.jobs, scipy, .*/p -m pip install amazon-braket-sdk scipy$"):
        refuse_missing(Interpreter("/p", "3.12.1", (), ("braket.jobs", "scipy")), "algo")
    refuse_missing(Interpreter("/p", "3.12.1", ()), "algo")
