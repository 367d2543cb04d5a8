"""Files that are replaced in one step, or not at all."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import CorruptRecord, StorageFailed
from qloom.kit.files import raise_storage, read_json, write_atomically, write_json, write_new

TOO_LARGE = """
import resource, sys
from pathlib import Path
from qloom.kit.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
write_atomically(Path(sys.argv[1]), b"x" * 1000)
"""


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "one"
    for content in (b"old", b"new"):
        write_atomically(path, content, durable=durable)
        assert path.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_write_that_fails_half_way_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", TOO_LARGE, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert f"StorageFailed: cannot write {path}" in done.stderr
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"cannot write .*gone/one"):
        write_atomically(tmp_path / "gone" / "one", b"")


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EROFS, "QLOOM_HOME"),
        (errno.EACCES, "owner"),
        (errno.EIO, "Input/output"),
    ],
)
def test_a_failure_of_the_disk_says_what_to_do(number: int, step: str) -> None:
    with pytest.raises(StorageFailed, match=step) as caught:
        raise_storage(OSError(number, "x"), Path("/jobs/x"))
    assert caught.value.retryable


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_json_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]) -> None:
    path = tmp_path_factory.mktemp("json") / "one.json"
    write_json(path, document, durable=False)
    assert read_json(path) == document


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one").write_bytes(content)
    with pytest.raises(CorruptRecord, match="one is no JSON"):
        read_json(tmp_path / "one")


def test_an_exchange_of_names_leaves_the_new_content_and_nothing_else(tmp_path: Path) -> None:
    script = "import ctypes, pathlib, sys; from qloom.kit.files import write_atomically as w; p = pathlib.Path(sys.argv[1]); "
    script += "w(p, b'old', durable=False); w(p, b'new', durable=False)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")], check=True, timeout=60)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_a_new_file_is_never_written_over_another(tmp_path: Path) -> None:
    write_new(str(tmp_path / "file"), b"one")
    with pytest.raises(FileExistsError):
        write_new(str(tmp_path / "file"), b"two")
    assert (tmp_path / "file").read_bytes() == b"one"
