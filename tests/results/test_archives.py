"""Results as files: exact both ways, replaced in one step, without pickles, damage named."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from qloom.errors import CorruptRecord, InvalidSetting, InvalidTask, StorageFailed
from qloom.results import Result
from tests.results.helpers import ENGINE, random_bits, results, rows, wide, words

BELL = Result(engine=ENGINE, shots=10, key_lengths=(2,), samples=words([{0: 4, 3: 6}]), metadata={"host": "a"})


def content(result: Result) -> bytes:
    with TemporaryDirectory() as folder:
        result.save(Path(folder, "r.npz"))
        return Path(folder, "r.npz").read_bytes()


def loaded(written: bytes) -> Result:
    with TemporaryDirectory() as folder:
        Path(folder, "r.npz").write_bytes(written)
        return Result.load(Path(folder, "r.npz"))


@settings(deadline=None, max_examples=40)
@given(results())
def test_a_file_is_read_as_it_was_written(result: Result) -> None:
    assert loaded(content(result)) == result


def test_equal_results_make_equal_files() -> None:
    assert content(wide(random_bits(9, 100))) == content(wide(random_bits(9, 100)))


def test_numpy_reads_the_file_by_itself(tmp_path: Path) -> None:
    wide(random_bits(9, 100)).save(tmp_path / "r.npz")
    BELL.save(str(tmp_path / "bell"))
    with np.load(tmp_path / "r.npz", allow_pickle=False) as arrays:
        assert np.array_equal(np.unpackbits(arrays["keys"], axis=1, count=100), random_bits(9, 100))
    with np.load(tmp_path / "bell", allow_pickle=False) as arrays:
        assert json.loads(arrays["header"].tobytes())["metadata"] == {"host": "a"}
        assert arrays["counts"].tolist() == [4, 6]


def test_numpy_s_own_compressed_form_is_read(tmp_path: Path) -> None:
    with np.load(io.BytesIO(content(BELL))) as arrays:
        np.savez_compressed(tmp_path / "small.npz", **arrays)
    assert Result.load(tmp_path / "small.npz") == BELL


def test_saving_replaces_in_one_step_and_leaves_nothing_beside(tmp_path: Path) -> None:
    wide(random_bits(9, 100)).save(tmp_path / "r.npz")
    BELL.save(tmp_path / "r.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]
    assert Result.load(tmp_path / "r.npz") == BELL


def test_a_disk_that_does_not_take_it_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BELL.save(tmp_path / "r.npz")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFailed, match=r"r\.npz: No space left on device; free space"):
        wide(random_bits(9, 100)).save(tmp_path / "r.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]
    assert Result.load(tmp_path / "r.npz") == BELL


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_without_a_files_name_is_refused(path: str) -> None:
    with pytest.raises(StorageFailed, match="names no file; give the file's name"):
        BELL.save(path)


def test_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"nowhere/r\.npz: No such file or directory"):
        BELL.save(tmp_path / "nowhere" / "r.npz")
    with pytest.raises(InvalidSetting, match=r"cannot read .*none\.npz: No such file"):
        Result.load(tmp_path / "none.npz")
    with pytest.raises(InvalidSetting, match="Is a directory"):
        Result.load(tmp_path)


def test_every_truncation_is_damage() -> None:
    whole = content(BELL)
    for length in range(0, len(whole), 7):
        with pytest.raises(CorruptRecord, match=r"r\.npz is no result as Result\.save writes it, or not all of it"):
            loaded(whole[:length])


def test_every_changed_byte_is_damage_or_changes_nothing(tmp_path: Path) -> None:
    whole, file, damaged = content(BELL), tmp_path / "r.npz", 0
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8 if place % 3 else 0x82
        file.write_bytes(broken)
        try:
            assert Result.load(file) == BELL  # in a date, a version or a comment of the zip
        except CorruptRecord:
            damaged += 1
    assert damaged > len(whole) / 2


def with_members(**members: bytes) -> bytes:
    """The file of BELL with other members."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content(BELL))) as old, zipfile.ZipFile(file, "w") as new:
        kept = {name: old.read(name) for name in old.namelist()} | {f"{name}.npy": text for name, text in members.items()}
        for name, text in kept.items():
            new.writestr(name, text)
    return file.getvalue()


def without(name: str) -> bytes:
    """The file of BELL without one member."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content(BELL))) as old, zipfile.ZipFile(file, "w") as new:
        for kept in set(old.namelist()) - {f"{name}.npy"}:
            new.writestr(kept, old.read(kept))
    return file.getvalue()


def npy(array: Any, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


class Trap:
    """Says so when a pickle of it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("opened",))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"PK\x03\x04 no zip", "not a zip file"),
        (pickle.dumps([1]), "not a zip file"),
        (npy(np.zeros(3)), "not a zip file"),
        (with_members(surplus=npy(np.zeros(3))), "'surplus.npy'"),
        (with_members(keys=npy(np.array([Trap(), 1]), allow_pickle=True)), r"keys is an array of \|O"),
        (with_members(keys=npy(np.array([0, 3]))), "keys is an array of <i8"),
        (with_members(keys=npy(np.array([3, 0], np.uint64))), "not ascending"),
        (with_members(keys=npy(np.array([0, 4], np.uint64))), "longer than 2 bits"),
        (with_members(keys=npy(np.array([[0], [1]], np.uint8))), "longer than 2 bits"),
        (with_members(counts=npy(np.array([4]))), "2 keys with 1 counts"),
        (without("counts"), "should hold counts, keys, splits"),
        (with_members(splits=npy(np.array([0, 3]))), "slices that end at 3"),
        (with_members(splits=npy(np.array(2))), r"splits of shape \(\)"),
        (with_members(values=npy(np.zeros(3))), "and should hold"),
        (with_members(values=npy(np.zeros((3, 2)).T)), "values is an array of <f8"),
        (with_members(values=npy(np.zeros((1, 2)))[:-1]), "buffer"),
        (with_members(header=npy(np.frombuffer(b"{}", np.uint8))), "'format' is missing"),
        (with_members(header=npy(np.frombuffer(b"[" * 9000, np.uint8))), "no result"),
        (with_members(header=b"\x93NUMPY\x01\x00\x00\x40" + b"(" * 16384), "no result"),
    ],
)
def test_what_is_no_result_is_refused_and_never_run(written: bytes, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CorruptRecord, match=said):
        loaded(written)
    assert "opened" not in capsys.readouterr().out


@pytest.mark.parametrize(("row", "place"), [(8, 0x1), (9, 0x80)])
def test_bits_behind_a_key_are_damage(row: int, place: int) -> None:
    mixed = Result(engine=ENGINE, shots=2, key_lengths=(70, 67), samples=rows([random_bits(2, 70), random_bits(2, 67)]))
    keys = np.pad(mixed.samples.keys, ((0, 0), (0, 1)))
    keys[3, row] |= place
    broken = Result(engine=ENGINE, shots=2, key_lengths=(70, 67), samples=mixed.samples._replace(keys=keys))
    with pytest.raises(CorruptRecord, match="item 1 has keys that are longer than 67 bits"):
        loaded(content(broken))


def test_a_member_that_is_there_twice_is_damage() -> None:
    file = io.BytesIO(content(BELL))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("keys.npy", npy(np.array([0, 1], np.uint64)))
    with pytest.raises(CorruptRecord, match=r"'keys\.npy' in it, or more than once"):
        loaded(file.getvalue())


def test_a_file_that_claims_more_than_there_is_memory_for_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qloom.results.archives.FREE_BYTES", 0)
    monkeypatch.setattr("qloom.results.archives.memory_limit", lambda: 100)
    with pytest.raises(InvalidTask, match=r"r\.npz holds \d+ bytes, the limit is 100"):
        loaded(content(BELL))


def test_an_array_that_claims_more_than_the_file_has_is_damage() -> None:
    claims = npy(np.zeros(2, np.uint64)).replace(b"'shape': (2,), }" + b" " * 10, b"'shape': (2" + b"0" * 10 + b",), }")
    with pytest.raises(CorruptRecord, match="cannot reshape"):
        loaded(with_members(keys=claims))
