"""Blobs: large byte strings kept beside the segments, each in a file named by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qloom.errors import CorruptRecord
from qloom.journal.segments import raise_unreadable
from qloom.kit.files import raise_storage, sync_folder, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 64 * 1024
"""From this many bytes on a record's content is a blob."""


def write_blob(folder: Path, content: bytes) -> bytes:
    """Keep content under its digest, durably, and return the digest (16 bytes).

    Always durable, whatever the record that names it: such content took far longer to compute than a sync takes, and a
    record whose blob is gone after a power loss would stop the whole job from resuming.

    Raises:
        StorageFailed: the disk is full, read-only or gone; nothing is left behind.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "blobs"
    >>> read_blob(folder, write_blob(folder, b"large"))
    b'large'
    """
    digest = _digest(content)
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)
        write_atomically(folder / digest.hex(), content)
    except OSError as error:
        raise_storage(error, folder)
    return digest


def read_blob(folder: Path, digest: bytes) -> bytes:
    """Return the content that was kept under a digest.

    Raises:
        CorruptRecord: it is missing, or is not what was written.
        StorageFailed: it cannot be read.
    """
    path = folder / digest.hex()
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptRecord(_lost(path, "is missing")) from error
    except OSError as error:
        raise_unreadable(error, path)
    if _digest(content) != digest:
        raise CorruptRecord(_lost(path, "is damaged: its content does not have this digest"))
    return content


def _digest(content: bytes) -> bytes:
    import hashlib

    return hashlib.blake2b(content, digest_size=16).digest()


def _lost(path: Path, what: str) -> str:
    return (
        f"{path} {what}; the record that points to it is lost. Restore the file from a copy, or compute everything anew with "
        "`qloom job resume ID --from-scratch`"
    )
