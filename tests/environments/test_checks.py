"""Mismatches with an interpreter that is taken as it is: each is said, with the way to mend it."""

import sys
from pathlib import Path

import pytest

from qloom.environments.checks import check_interpreter, check_this_process
from qloom.environments.keeping import Environments
from qloom.environments.looking import look_at
from qloom.errors import InvalidSetting, WrongState
from tests.environments.conftest import Prepare, wanted


def test_a_missing_package_a_wrong_version_and_a_missing_import_are_all_said(prepare: Prepare) -> None:
    python = prepare("six==1.16.0").python
    asked = wanted("six>=1.17", "iniconfig", "pywin32; sys_platform == 'win32'", requires_python=">3.99")
    misfits = check_interpreter(look_at(python, ["six", "networkx"]), python, asked, qloom="1.0")
    assert [text.partition(":")[0] for text in misfits] == [
        f"the header of vqe.py requires Python >3.99, and {python} is Python {'.'.join(map(str, sys.version_info[:3]))}",
        f"--requirements asks for six>=1.17, and in {python} 1.16.0 is installed",
        f"--requirements asks for iniconfig, and in {python} it is not installed",
        f"{python} has no qloom, and its jobs need 1.0, which runs here",
        f"the program imports networkx, which {python} does not find",
    ]
    assert f"uv pip install --python {python} 'six>=1.17'" in misfits[1]


def test_what_fits_is_not_complained_about(prepare: Prepare) -> None:
    python = prepare("six==1.16.0").python
    assert check_interpreter(look_at(python, ["six", "json"]), python, wanted("six<2", requires_python=">=3.11")) == []


def test_this_process_is_checked_without_starting_anything() -> None:
    assert check_this_process(wanted("numpy", "packaging>=24", requires_python=">=3.11")) == []
    misfits = check_this_process(wanted("numpy>=99", "qloom-no-such-package", python="3.99"))
    assert len(misfits) == 3
    assert "--python asks for Python 3.99" in misfits[0]
    assert "--requirements asks for numpy>=99" in misfits[1]
    assert "it is not installed" in misfits[2]


def test_an_interpreter_is_looked_at_again_when_a_package_was_added(prepare: Prepare, environments: Environments) -> None:
    built = prepare("six==1.16.0")
    assert environments.look(built.python, ["added_later"]).missing == ("added_later",)
    (built.site_packages / "added_later.py").write_text("")
    assert environments.look(built.python, ["added_later"]).missing == ()


def test_an_interpreter_without_qloom_runs_no_program(prepare: Prepare, environments: Environments) -> None:
    python = str(prepare("six==1.16.0").python)
    with pytest.raises(InvalidSetting, match="no qloom, and its jobs need"):
        environments.prepare(wanted(python=python))
    taken = environments.prepare(wanted(python=python), with_qloom=False, imports=["six"])
    assert taken is not None
    assert (str(taken.python), taken.digest, taken.record()) == (python, "", {})


def test_this_interpreter_may_be_asked_for_by_its_path(environments: Environments) -> None:
    taken = environments.prepare(wanted(python=sys.executable))
    assert taken is not None
    assert (taken.python, environments.built()) == (Path(sys.executable), [])


def test_a_job_does_not_go_on_with_another_python_at_the_same_place(environments: Environments) -> None:
    environments.check_again(Path(sys.executable), {}, with_qloom=True)
    with pytest.raises(WrongState, match=r"ran with Python 3\.9\.1, and .* now; put it back"):
        environments.check_again(Path(sys.executable), {"python": "3.9.1"}, with_qloom=True)
    with pytest.raises(WrongState, match="this job ran with /nowhere/python"):
        environments.check_again(Path("/nowhere/python"), {}, with_qloom=True)
