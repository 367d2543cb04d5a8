"""What a program had loaded, as its outcome tells it."""

import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from qloom.programs.loaded import LONGEST_VERSION, loaded_packages, platform_name


def load(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: object) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def test_packages_tell_their_versions_and_the_standard_library_is_none() -> None:
    found = loaded_packages()
    assert found["numpy"] == np.__version__
    assert not {"json", "re", "argparse", "numpy.linalg"} & set(found)
    assert list(found) == sorted(found)


def test_a_module_of_the_program_itself_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, "mine", __version__="1", __file__=str(tmp_path / "source" / "mine.py"))
    assert "mine" in loaded_packages()
    assert "mine" not in loaded_packages(tmp_path / "source")


def test_a_version_that_is_no_text_or_has_to_be_worked_out_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> str:
        raise AssertionError(f"asked for {name}")

    load(monkeypatch, "numbered", __version__=3)
    load(monkeypatch, "lazy", __getattr__=refuse)
    load(monkeypatch, "wordy", __version__="9" * 1000)
    monkeypatch.setitem(sys.modules, "gone", None)
    found = loaded_packages()
    assert not {"numbered", "lazy", "gone"} & set(found)
    assert len(found["wordy"]) == LONGEST_VERSION


def test_the_system_is_told_without_the_name_of_the_machine() -> None:
    assert platform_name().startswith(os.uname().sysname)
    assert os.uname().nodename not in platform_name().split()
