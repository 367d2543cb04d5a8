"""What an interpreter says about itself, and which one a plain script runs with."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qloom.environments.checks import check_for_script, find_interpreter
from qloom.environments.looking import look_at
from qloom.errors import InvalidSetting, Misuse, UnknownName

HERE = Path(sys.executable)


def environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


def fake(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_without_a_word_it_is_the_one_that_runs_qloom(tmp_path: Path) -> None:
    assert find_interpreter(None, None, tmp_path) == HERE


def test_a_path_is_made_absolute_but_its_links_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = environment(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_interpreter("mine/bin/python", None, tmp_path) == python


def test_an_environment_is_found_in_the_project_and_first_in_qlooms_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = environment(tmp_path / ".environments" / "sdk")
    assert find_interpreter(None, "sdk", tmp_path / "home") == here
    first = environment(tmp_path / "home" / "environments" / "sdk")
    assert find_interpreter(None, "sdk", tmp_path / "home") == first


def test_an_unknown_environment_is_refused_with_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment(tmp_path / ".environments" / "braket-sdk")
    with pytest.raises(UnknownName, match="no environment called 'braket'; did you mean 'braket-sdk'"):
        find_interpreter(None, "braket", tmp_path)


def test_two_names_for_an_interpreter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="give one of them"):
        find_interpreter("/usr/bin/python3", "sdk", tmp_path)


def test_an_interpreter_says_its_version_its_places_and_what_is_missing() -> None:
    found = look_at(HERE, ["numpy.linalg", "json", "nowhere.at.all", "numpy_"])
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert {sys.prefix, sys.base_prefix} <= set(found.loads)
    assert found.missing == ("nowhere.at.all", "numpy_")


def test_of_a_namespace_package_the_part_that_is_imported_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "braket" / "analog").mkdir(parents=True)
    (tmp_path / "braket" / "analog" / "__init__.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert look_at(HERE, ["braket.analog.hamiltonians", "braket.no_such_part"]).missing == ("braket.no_such_part",)


def test_what_is_remembered_of_an_interpreter_does_not_outlive_another_pythonpath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "found_there.py").write_text("")
    assert look_at(HERE, ["found_there"], kept_in=tmp_path).missing == ("found_there",)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "place"))
    assert look_at(HERE, ["found_there"], kept_in=tmp_path).missing == ()


def test_what_is_no_interpreter_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    silent = [
        fake(tmp_path / f"other{number}", text) for number, text in enumerate(["echo hello", "exit 3", "echo '{}'", "echo 7"])
    ]
    for path in (tmp_path / "text", tmp_path / "absent", tmp_path, *silent):
        with pytest.raises(InvalidSetting, match=rf"{path} does not .*the path of a Python that starts"):
            look_at(path)


def test_a_python_that_is_too_old_for_any_script_is_refused() -> None:
    old = replace(look_at(HERE), version="3.8.18")
    with pytest.raises(InvalidSetting, match=r"/p is Python 3\.8\.18, scripts need 3\.9 or newer"):
        check_for_script(old, Path("/p"), "algo")


def test_what_is_missing_is_said_with_the_package_that_brings_it() -> None:
    look = look_at(HERE)
    with pytest.raises(InvalidSetting, match=r"algo imports braket\.jobs, scipy, .*--python /p amazon-braket-sdk scipy$"):
        check_for_script(replace(look, missing=("braket.jobs", "scipy")), Path("/p"), "algo")
    check_for_script(look, Path("/p"), "algo")
