"""Files written so that a kill at any line leaves the old content or the new one, never half of it."""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from qloom.errors import CorruptRecord, StorageFailed

if TYPE_CHECKING:
    from pathlib import Path


_HERE, _EXCHANGE = -100, 2  # fcntl.h, linux/fs.h


def write_atomically(path: Path, content: bytes, *, durable: bool = True, named: bool = True) -> None:
    """Replace a file's content in one step; with `durable`, it survives a power loss after return.

    Args:
        path: the file.
        content: its new content.
        durable: whether it is forced to the disk.
        named: whether its name is too; otherwise, after a power loss, the old content may be there again.

    Raises:
        StorageFailed: the disk is full, read-only or gone; the old content is intact.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(descriptor, content)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if durable or not _exchange(aside, path):
            os.replace(aside, path)  # noqa: PTH105  one system call, no Path needed
        if durable and named:
            sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise_storage(error, path)


def _exchange(aside: Path, path: Path) -> bool:
    """Let two files change places and remove the old one; False where that is not possible, or there is no old one.

    Whoever renames over a file makes ext4 write the new one out at once (`auto_da_alloc`), which for a small file takes longer
    than all the rest. After a power loss the new file may be empty. Source: renameat2(2), mount option in ext4(5).
    """
    ctypes = sys.modules.get("ctypes")  # loaded where it pays: in a fork server
    if ctypes is None or not hasattr(ctypes.pythonapi, "renameat2"):
        return False
    if ctypes.pythonapi.renameat2(_HERE, os.fsencode(aside), _HERE, os.fsencode(path), _EXCHANGE) != 0:
        return False
    os.unlink(aside)  # noqa: PTH108  one system call, no Path needed
    return True


def write_new(path: str, content: bytes) -> None:
    """Write a file that nobody looks at yet.

    Raises:
        OSError: it is there already, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write everything, or raise OSError: `os.write` may write a part when the disk is nearly full."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in this folder survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, document: Any, *, durable: bool = True, named: bool = True) -> None:
    """Replace a JSON file in one step; see `write_atomically`."""
    write_atomically(path, json_text(document).encode(), durable=durable, named=named)


def json_text(document: Any) -> str:
    """Return JSON for files that people look into now and then: a line for each item. Indenting takes six times as long.

    >>> print(json_text({"a": 1, "b": {"c": [2]}}), end="")
    {"a": 1,
     "b": {"c": [2]}}
    """
    return json.dumps(document, separators=(",\n ", ": ")) + "\n"


def read_json(path: Path) -> Any:
    """Return a JSON file's content.

    Raises:
        FileNotFoundError: there is no such file.
        CorruptRecord: the file is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptRecord(f"{path} is no JSON: {error}; restore it from a copy or remove the job") from error


def raise_storage(error: OSError, path: Path) -> NoReturn:
    """Raise StorageFailed with the next step for this kind of failure.

    Raises:
        StorageFailed: always.
    """
    steps = {
        errno.ENOSPC: "the disk is full; free space, then resume",
        errno.EDQUOT: "the quota is used up; free space, then resume",
        errno.EROFS: "the file system is read-only; mount it writable or choose another folder (QLOOM_HOME)",
        errno.EACCES: "no permission to write; change the folder's owner or choose another folder (QLOOM_HOME)",
    }
    step = steps.get(error.errno or 0, os.strerror(error.errno or 0))
    raise StorageFailed(f"cannot write {path}: {step}") from error
