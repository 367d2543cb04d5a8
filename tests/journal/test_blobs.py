"""Blobs: content by digest, verified when it is read."""

import os
from pathlib import Path

import pytest

from qloom.errors import CorruptRecord, StorageFailed
from qloom.journal.blobs import read_blob, write_blob


def test_equal_content_is_one_file(tmp_path: Path) -> None:
    digests = {write_blob(tmp_path / "blobs", b"x" * 100) for _ in range(3)}
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [digest.hex() for digest in digests]
    assert read_blob(tmp_path / "blobs", digests.pop()) == b"x" * 100


def test_a_missing_or_changed_blob_is_named(tmp_path: Path) -> None:
    digest = write_blob(tmp_path, b"content")
    path = tmp_path / digest.hex()
    path.write_bytes(b"Content")
    with pytest.raises(CorruptRecord, match=rf"{path} is damaged.*--from-scratch"):
        read_blob(tmp_path, digest)
    path.unlink()
    with pytest.raises(CorruptRecord, match=rf"{path} is missing.*--from-scratch"):
        read_blob(tmp_path, digest)


def test_a_full_disk_leaves_no_half_blob(small_disk: Path) -> None:
    with pytest.raises(StorageFailed, match="the disk is full"):
        write_blob(small_disk / "blobs", os.urandom(70 * 1024))
    assert list((small_disk / "blobs").iterdir()) == []
