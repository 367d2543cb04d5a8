"""Jobs as folders: whole or not at all, found by the beginning of their id, inputs copied and nothing else."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.contracts import Store
from qloom.errors import CorruptRecord, InvalidProgram, InvalidSetting, StorageFailed, UnknownName, WrongState
from qloom.jobspecs import JobSpec, JobState
from qloom.kit.job_folder import JobFolder
from qloom.storage import FolderStore
from qloom.storage.folder import hyperparameters

JOB = JobSpec(
    job_id="01j00000000000000000000001",
    program="vqe",
    entry_point="vqe:main",
    source_digest="d",
    parameters={"bond": 0.7, "name": "h2", "flags": [1, None]},
)
SOURCE = {"vqe.py": b"x = 1\n", "lib/helper.py": b"y = 2\n"}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "home")


def numbered(number: int) -> JobSpec:
    return replace(JOB, job_id=f"01j{number:023d}")


def leftovers(store: FolderStore) -> list[str]:
    return sorted(path.name for path in store._jobs.rglob("*") if path.is_file()) if store._jobs.exists() else []


def test_it_is_a_store(store: FolderStore) -> None:
    assert isinstance(store, Store)


def test_what_a_killed_process_left_of_a_job_is_not_in_the_way_of_another_try(store: FolderStore) -> None:
    creating = f"""
import os
from pathlib import Path
from qloom.storage import FolderStore, folder
from qloom.jobspecs import JobSpec
folder._copy_inputs = lambda *_: os._exit(9)
FolderStore(Path({str(store._jobs.parent)!r})).create(JobSpec.from_json({JOB.to_json()!r}), {SOURCE!r}, {{}})
"""
    assert subprocess.run([sys.executable, "-c", creating], check=False).returncode == 9
    assert leftovers(store)
    assert store.create(JOB, SOURCE, {}).name == JOB.job_id


def test_a_job_is_there_as_it_was_created(store: FolderStore) -> None:
    folder = JobFolder(store.create(JOB, SOURCE, {}))
    assert store.load(JOB.job_id) == folder.spec() == JOB
    assert store.status(folder.path).state is JobState.CREATED
    assert {name: (folder.source / name).read_bytes() for name in SOURCE} == SOURCE
    assert json.loads(folder.hyperparameters_file.read_text()) == {"bond": "0.7", "name": "h2", "flags": "[1, null]"}
    assert all(path.is_dir() for path in (folder.input, folder.checkpoints, folder.results))


def test_jobs_come_newest_first(store: FolderStore) -> None:
    for number in (2, 3, 1):
        store.create(numbered(number), SOURCE, {})
    assert [job.job_id for job in store.jobs()] == [numbered(number).job_id for number in (3, 2, 1)]


def test_a_broken_record_is_skipped_and_named(store: FolderStore) -> None:
    for number in (1, 2):
        store.create(numbered(number), SOURCE, {})
    JobFolder(store.folder(numbered(1).job_id)).spec_file.write_text("{")
    assert [job.job_id for job in store.jobs()] == [numbered(2).job_id]
    assert len(store.problems) == 1
    assert numbered(1).job_id in store.problems[0]
    with pytest.raises(CorruptRecord, match=r"job\.json"):
        store.load(numbered(1).job_id)


def test_a_record_of_a_newer_qloom_is_skipped_and_named(store: FolderStore) -> None:
    spec_file = JobFolder(store.create(JOB, SOURCE, {})).spec_file
    spec_file.write_text(json.dumps(JOB.to_json() | {"format": 2}))
    assert list(store.jobs()) == []
    assert "format 2" in store.problems[0]


def test_the_beginning_of_an_id_is_enough(store: FolderStore) -> None:
    folder = store.create(replace(JOB, job_id="01abcd"), SOURCE, {})
    store.create(replace(JOB, job_id="01abce"), SOURCE, {})
    assert store.folder("01abcd") == folder
    with pytest.raises(UnknownName, match="2 jobs begin with '01abc': 01abce, 01abcd; give more characters"):
        store.folder("01abc")
    with pytest.raises(UnknownName, match="at least 4 characters"):
        store.folder("01a")
    with pytest.raises(UnknownName, match="no job called '01abdd'; did you mean '01abcd'"):
        store.folder("01abdd")


@pytest.mark.parametrize("name", ["", "..", "../etc", "/etc", ".new"])
def test_what_is_no_id_is_no_job(store: FolderStore, name: str) -> None:
    store.create(JOB, SOURCE, {})
    with pytest.raises(UnknownName):
        store.folder(name)


def test_a_second_job_of_the_same_id_is_refused(store: FolderStore) -> None:
    store.create(JOB, SOURCE, {})
    with pytest.raises(WrongState, match=f"there is a job {JOB.job_id}"):
        store.create(JOB, {}, {})
    assert (JobFolder(store.folder(JOB.job_id)).source / "vqe.py").exists()


@pytest.mark.parametrize("name", ["../vqe.py", "/etc/vqe.py", "a//b.py", "./a.py", "", "a/../../b", "a\0b"])
def test_source_that_would_leave_its_folder_is_refused(store: FolderStore, name: str) -> None:
    with pytest.raises(InvalidProgram, match="is no path inside the program's folder"):
        store.create(JOB, {name: b""}, {})
    assert leftovers(store) == []


def test_inputs_are_copied_files_by_name_and_folders_as_they_are(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "one.csv").write_text("1")
    (tmp_path / "data" / "same.csv").symlink_to("deep/one.csv")
    (tmp_path / "two.csv").write_text("2")
    folder = JobFolder(store.create(JOB, SOURCE, {"many": tmp_path / "data", "single": tmp_path / "two.csv"}))
    files = {str(path.relative_to(folder.input)): path.read_text() for path in folder.input.rglob("*") if path.is_file()}
    assert files == {"many/deep/one.csv": "1", "many/same.csv": "1", "single/two.csv": "2"}
    assert not (folder.input / "many" / "same.csv").is_symlink()


def make_bad_input(tmp_path: Path, kind: str) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    targets = {"out": "/etc/hostname", "dangling": "nowhere", "loop": ".", "above": ".."}
    if kind in targets:
        (data / "link").symlink_to(targets[kind])
    elif kind == "pipe":
        os.mkfifo(data / "pipe")
    return tmp_path / "absent" if kind == "absent" else data


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("out", "links out of its folder, to /etc/hostname; copy that file in instead"),
        ("above", "links out of its folder"),
        ("dangling", "leads to no file"),
        ("loop", "leads to no file"),
        ("pipe", "is neither a file nor a folder"),
        ("absent", "there is no file or folder"),
    ],
)
def test_input_that_cannot_be_copied_is_refused_and_nothing_is_left(
    store: FolderStore, tmp_path: Path, kind: str, said: str
) -> None:
    with pytest.raises(InvalidSetting, match=said):
        store.create(JOB, SOURCE, {"data": make_bad_input(tmp_path, kind)})
    assert leftovers(store) == []


@pytest.mark.parametrize("channel", ["", ".", "..", "a/b", ".hidden", "x" * 65, "a b"])
def test_a_channel_that_is_no_name_is_refused(store: FolderStore, tmp_path: Path, channel: str) -> None:
    with pytest.raises(InvalidSetting, match="is no name"):
        store.create(JOB, SOURCE, {channel: tmp_path})


def test_input_larger_than_the_disk_is_refused_before_it_is_copied(store: FolderStore, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).free * 2)  # a hole: it takes no room itself
    with pytest.raises(StorageFailed, match="bytes free; free space or choose another folder"):
        store.create(JOB, SOURCE, {"data": tmp_path / "huge"})
    assert leftovers(store) == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from qloom.errors import StorageFailed
from qloom.jobspecs import JobSpec
from qloom.storage import FolderStore
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
job = JobSpec(job_id="01jx", program="p", entry_point="p:p", source_digest="")
try:
    FolderStore(Path(sys.argv[1])).create(job, {"p.py": b"x" * 1000}, {})
except StorageFailed as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_nothing_behind(store: FolderStore, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("cannot write ")
    assert os.strerror(errno.EFBIG) in done.stdout
    assert leftovers(store) == []
    assert list(store.jobs()) == []


def test_what_a_killed_create_left_is_removed_after_a_day(store: FolderStore) -> None:
    old, young = store._jobs / ".new" / "old", store._jobs / ".new" / "young"
    for path in (old, young):
        path.mkdir(parents=True)
        (path / "job.json").touch()
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    store.create(JOB, SOURCE, {})
    assert (old.exists(), young.exists()) == (False, True)
    assert [job.job_id for job in store.jobs()] == [JOB.job_id]


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers())


@given(st.dictionaries(st.text(), VALUES))
def test_hyperparameters_are_strings_that_hold_the_values(parameters: dict[str, Any]) -> None:
    strings = hyperparameters(parameters)
    assert all(isinstance(value, str) for value in strings.values())
    assert parameters == {name: text if isinstance(parameters[name], str) else json.loads(text) for name, text in strings.items()}
