"""Building environments and finding them again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qloom.environments import LOCK, MARKER, own
from qloom.environments.environment import Environment, Interpreter
from qloom.environments.keeping import Environments
from qloom.errors import CorruptRecord, InvalidSetting, MissingExtra, StorageFailed, Unavailable
from tests.environments.conftest import Prepare, left_aside, wanted

OTHER_PYTHON = "3.12" if sys.version_info[:2] == (3, 11) else "3.11"


def imports_there(python: Path, code: str) -> str:
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def without_uv(monkeypatch: pytest.MonkeyPatch, empty: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(empty / "python"))
    monkeypatch.setenv("PATH", str(empty))


def test_an_environment_holds_what_was_asked_for_and_nothing_else(prepare: Prepare) -> None:
    built = prepare("six==1.16.0")
    assert built.packages == {"six": "1.16.0"}
    assert imports_there(built.python, "import six; print(six.__version__)") == "1.16.0"
    assert subprocess.run([str(built.python), "-c", "import numpy"], check=False, capture_output=True).returncode == 1


def test_its_lock_has_hashes_and_no_address(prepare: Prepare) -> None:
    lock = prepare("six==1.16.0").lock
    assert "six==1.16.0" in lock
    assert "--hash=sha256:" in lock
    assert "http" not in lock


def test_it_is_used_again_without_asking_uv(prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = prepare("six", "iniconfig")
    without_uv(monkeypatch, tmp_path)
    assert prepare("iniconfig", "six ") == built
    with pytest.raises(MissingExtra, match=r"pip install 'qloom\[environments\]'"):
        prepare("six<1.17")


def test_the_same_packages_have_the_same_digest_elsewhere(prepare: Prepare, tmp_path: Path) -> None:
    here = prepare("six==1.16.0")
    there = Environments(tmp_path / "elsewhere").prepare(wanted("six>=1.16,<1.17"), with_qloom=False)
    other = prepare("six==1.17.0")
    assert there is not None
    assert (there.lock_digest, there.digest) == (here.lock_digest, here.digest)
    assert other.lock_digest != here.lock_digest


def break_python(built: Environment) -> None:
    built.python.unlink()
    built.python.symlink_to("/nowhere/python")


def break_marker(built: Environment) -> None:
    (built.site_packages.parents[2] / MARKER).write_text("{")


def remove_package(built: Environment) -> None:
    for found in built.site_packages.glob("six-*"):
        shutil.rmtree(found)


def remove_folder(built: Environment) -> None:
    shutil.rmtree(str(built.folder))


def test_what_was_removed_or_damaged_is_built_again(prepare: Prepare, environments: Environments) -> None:
    built = prepare("six==1.16.0")
    for damage in (break_python, break_marker, remove_package, remove_folder):
        damage(built)
        again = prepare("six==1.16.0")
        assert again == built
        assert list(again.site_packages.glob("six-*"))
        assert imports_there(again.python, "import six; print(six.__version__)") == "1.16.0"
    assert left_aside(environments) == []


def test_what_is_not_asked_for_is_the_running_python(environments: Environments) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    assert environments.prepare(wanted()) is None
    assert environments.prepare(wanted(python=version, requires_python=">=3.11")) is None
    assert environments.prepare(wanted(f"qloom>={own.version()}")) is None
    assert not environments.root.exists() or environments.built() == []


def test_another_python_is_found_where_there_is_one(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    try:
        found = environments.prepare(wanted("six", python=OTHER_PYTHON), with_qloom=False)
    except InvalidSetting as error:
        pytest.skip(str(error))
    assert found is not None
    assert found.version.startswith(f"{OTHER_PYTHON}.")
    assert imports_there(found.python, "import sys, six; print('%d.%d' % sys.version_info[:2])") == OTHER_PYTHON


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (wanted("six>=99"), "Because only six<=.* is available and you require six>=99.*; change the names or bounds in --req"),
        (wanted("qloom-no-such-package"), "qloom-no-such-package was not found in the package registry"),
        (wanted("six ~> 1"), "--requirements: 'six ~> 1' is no requirement"),
        (wanted(f"qloom>{own.version()}"), f"and qloom {own.version()} runs here"),
        (wanted("qloom[nothing]"), "qloom has no extra 'nothing'; it has .*qiskit"),
        (wanted("six", python="3.10"), "--python asks for Python 3.10, and qloom runs on .*3.11"),
        (wanted("six", python="3.11", requires_python=">=3.12"), "the header of vqe.py requires Python >=3.12"),
        (wanted("six", requires_python=">3.99"), r"the header of vqe.py requires Python >3\.99, and qloom runs on .*: allow one"),
        (wanted("six", requires_python="new"), "the header of vqe.py: requires-python 'new' is no bound"),
        (wanted("six", python="/bin/true"), "the interpreter /bin/true does not start"),
        (wanted("six", python="/nowhere/python"), "the interpreter /nowhere/python does not start"),
    ],
)
def test_what_cannot_be_had_is_said(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, asked: object, said: str
) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(InvalidSetting, match=said):
        environments.prepare(asked)  # type: ignore[arg-type]
    assert environments.built() == []


def test_an_index_that_does_not_answer_is_no_fault_of_the_requirement(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(Unavailable, match="no package index answers") as refused:
        environments.prepare(wanted("six"), with_qloom=False)
    assert "secret" not in str(refused.value)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageFailed, match="cannot write"):
        Environments(tmp_path / "file" / "environments").prepare(wanted("six"), with_qloom=False)


# --- building again for a job that goes on


def test_an_environment_is_built_again_from_its_lock(prepare: Prepare, environments: Environments, tmp_path: Path) -> None:
    built = prepare("six==1.16.0")
    record, lock = json.loads(json.dumps(built.record())), tmp_path / LOCK
    lock.write_text(built.lock)
    shutil.rmtree(environments.root)
    assert environments.rebuild(record, lock) == built


def test_another_lock_than_the_recorded_one_is_refused(prepare: Prepare, environments: Environments, tmp_path: Path) -> None:
    built = prepare("six==1.16.0")
    (tmp_path / LOCK).write_text(built.lock.replace("six", "sax"))
    shutil.rmtree(environments.root)
    with pytest.raises(CorruptRecord, match="the file was changed"):
        environments.rebuild(built.record(), tmp_path / LOCK)
    with pytest.raises(CorruptRecord, match="from which it could be built again, cannot be read"):
        environments.rebuild(built.record(), tmp_path / "gone")


def test_a_python_that_is_gone_is_asked_for_by_its_full_version(
    prepare: Prepare, environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    built = prepare("six==1.16.0")
    (tmp_path / LOCK).write_text(built.lock)
    record = built.record() | {"python": "3.11.99", "digest": "0" * 32}
    with pytest.raises(InvalidSetting, match=r"asks for Python 3\.11\.99.*uv python install '3\.11\.99'"):
        environments.rebuild(record, tmp_path / LOCK)


def test_the_running_interpreter_is_the_one_behind_its_environment() -> None:
    running = Interpreter.running()
    assert imports_there(Path(running.path), "import sys; print('.'.join(map(str, sys.version_info[:3])))") == running.version
