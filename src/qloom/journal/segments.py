"""Segments: append-only files of framed records, of which every prefix is valid.

```
file     magic "qloomseg" | format u32 | CRC-32 of these 12 bytes u32        16 bytes, then records
record   length u32 | kind u8 | check u16 | CRC-32 u32 | payload             11 bytes, then `length` bytes
```

All numbers are little-endian. `check` is the lower half of the CRC-32 of length and kind, so that a flipped length is seen
before it is believed; the record's CRC-32 covers length, kind and payload.

What a reader makes of bytes that are no record:

- **A torn tail** is what a kill or a power loss leaves: the file ends inside the header, inside a record's 11 bytes, or before
  the payload is complete; or a record fails its checksum and nothing but zero bytes (or nothing at all) follows it. It is
  dropped, and said. At most the last record is lost, whose append had not returned (or, for records that were not made
  durable, had not reached the disk).
- **Everything else is damage**: a failing check with more bytes behind it. Nothing is guessed: `CorruptRecord` names the
  file and the offset.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from typing import TYPE_CHECKING, BinaryIO, NoReturn, TypeAlias
from zlib import crc32

from qloom.errors import CorruptRecord, InvalidSetting, StorageFailed, WrongState
from qloom.kit.files import raise_storage, sync_folder, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
MAGIC = b"qloomseg"
SUFFIX = ".seg"

Record: TypeAlias = tuple[int, bytes, int]
"""Kind, payload, offset of the record in its file."""

_HEADER = struct.Struct("<8sII")
_START = struct.Struct("<IB")
_CHECKS = struct.Struct("<HI")
_FRAME = struct.Struct("<IBHI")
HEADER_SIZE = _HEADER.size
FRAME_SIZE = _FRAME.size

# macOS has no fdatasync; fsync does more, never less.
_sync_data = getattr(os, "fdatasync", os.fsync)


class SegmentWriter:
    """The one writer of a segment file. Safe to use from several threads.

    Nothing is buffered here: after `append` returned, the record survives a kill of this process; after `append_durable`
    also a power loss.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "1-program.seg"
    >>> writer = SegmentWriter.create(path)
    >>> writer.append(3, b"first")
    >>> writer.close()
    >>> [(kind, payload) for kind, payload, _ in read_segment(path)]
    [(3, b'first')]
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._folder_is_durable = False
        self._why_closed = "it is closed"

    @classmethod
    def create(cls, path: Path) -> SegmentWriter:
        """Start a new segment; its folder is made where it is missing.

        Raises:
            WrongState: the file is there already: one attempt never appends to another one's segment.
            StorageFailed: the disk is full, read-only or gone; nothing is left behind.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileExistsError as error:
            raise WrongState(
                f"{path} was written by another process of this attempt; resuming the job starts a new one"
            ) from error
        except OSError as error:
            raise_storage(error, path)
        try:
            write_all(descriptor, segment_header())
        except OSError as error:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise_storage(error, path)
        return cls(path, descriptor)

    def append(self, kind: int, payload: bytes) -> None:
        """Add one record, by one system call.

        Args:
            kind: 0 to 255.
            payload: below 4 GiB.

        Raises:
            StorageFailed: the disk is full or gone; nothing of the record is left, and appending works again later.
            WrongState: the segment is closed, or this is a fork of the process that opened it.
        """
        start = _START.pack(len(payload), kind)
        check = crc32(start)
        frame = start + _CHECKS.pack(check & 0xFFFF, crc32(payload, check)) + payload
        with self._lock:
            try:
                written = os.write(self._descriptor, frame)
                if written != len(frame):
                    self._write_rest(frame, written)
            except OSError as error:
                self._refuse(error)

    def append_durable(self, kind: int, payload: bytes) -> None:
        """Add one record that survives a power loss after return.

        Raises:
            StorageFailed, WrongState: as for `append`; the record may be there all the same when only syncing failed.
        """
        self.append(kind, payload)
        try:
            _sync_data(self._descriptor)
            if not self._folder_is_durable:
                sync_folder(self.path.parent)
                sync_folder(self.path.parent.parent)
                self._folder_is_durable = True
        except OSError as error:
            self._refuse(error)

    def close(self, why: str = "it is closed") -> None:
        """Close the file; later appends are refused with this reason. Idempotent."""
        self._why_closed = why
        self._lock = threading.Lock()  # after a fork, the old one may be held by a thread that does not exist here
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _write_rest(self, frame: bytes, written: int) -> None:
        """Finish a record that the system took only a part of (a nearly full disk), or take that part back."""
        try:
            while written < len(frame):
                written += os.write(self._descriptor, memoryview(frame)[written:])
        except OSError as error:
            # This is the only writer, so the torn part is the file's last `written` bytes.
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise_storage(error, self.path)

    def _refuse(self, error: OSError) -> NoReturn:
        if self._descriptor < 0 and error.errno == errno.EBADF:
            raise WrongState(f"cannot append to {self.path}: {self._why_closed}") from error
        raise_storage(error, self.path)


def segment_header(version: int = FORMAT) -> bytes:
    """Return the 16 bytes a segment starts with."""
    start = _HEADER.pack(MAGIC, version, 0)[:-4]
    return start + struct.pack("<I", crc32(start))


def read_segment(path: Path, problems: list[str] | None = None, *, start: int = 0) -> Iterator[Record]:
    """Yield a segment's records in order.

    Args:
        path: the segment.
        problems: gets a sentence for a torn tail that was dropped.
        start: offset of a record to start at, instead of the first one.

    Raises:
        CorruptRecord: damage in the middle of the file.
        InvalidSetting: written in a format of the future.
        StorageFailed: the file cannot be read.
    """
    said = [] if problems is None else problems
    try:
        # 256 KiB at a time: reading all of a long journal first is 2 to 12 times slower.
        with path.open("rb", buffering=1 << 18) as file:
            size = os.fstat(file.fileno()).st_size
            if not _header_is_whole(file, path, size, said):
                return
            if start > HEADER_SIZE:
                file.seek(start)
            yield from _records(file, path, size, said)
    except OSError as error:
        raise_unreadable(error, path)


def read_record(path: Path, offset: int) -> tuple[int, bytes]:
    """Return kind and payload of the record at that offset.

    Raises:
        CorruptRecord: there is none.
    """
    for kind, payload, _ in read_segment(path, start=offset):
        return kind, payload
    raise CorruptRecord(_lost(path, offset, "there is no record"))


def raise_unreadable(error: OSError, path: Path) -> NoReturn:
    """Raise StorageFailed for a file that cannot be read.

    Raises:
        StorageFailed: always.
    """
    raise StorageFailed(f"cannot read {path}: {os.strerror(error.errno or 0)}; make it readable, then resume") from error


def _header_is_whole(file: BinaryIO, path: Path, size: int, said: list[str]) -> bool:
    header = file.read(HEADER_SIZE)
    if len(header) < HEADER_SIZE or (not any(header) and _only_zeros_follow(file)):
        if size:
            said.append(_dropped(path, 0, size))
        return False
    magic, version, check = _HEADER.unpack(header)
    if magic != MAGIC or check != crc32(header[:-4]):
        raise CorruptRecord(_lost(path, 0, "the header fails its checksum"))
    if version != FORMAT:
        raise InvalidSetting(
            f"{path} has journal format {version}, this qloom reads format {FORMAT}; use the qloom that wrote it"
        )
    return True


def _records(file: BinaryIO, path: Path, size: int, said: list[str]) -> Iterator[Record]:
    read, unpack = file.read, _FRAME.unpack
    offset = file.tell()
    while len(frame := read(FRAME_SIZE)) == FRAME_SIZE:
        length, kind, check, crc = unpack(frame)
        start_crc = crc32(frame[:5])
        end = offset + FRAME_SIZE + length
        if start_crc & 0xFFFF != check:
            if any(frame) or not _only_zeros_follow(file):
                raise CorruptRecord(_lost(path, offset, "a record's length or kind fails its checksum"))
            break
        if end > size:
            break
        payload = read(length)
        if crc32(payload, start_crc) != crc:
            if not _only_zeros_follow(file):
                raise CorruptRecord(_lost(path, offset, "a record fails its checksum"))
            break
        yield kind, payload, offset
        offset = end
    if offset < size:
        said.append(_dropped(path, offset, size - offset))


def _only_zeros_follow(file: BinaryIO) -> bool:
    while block := file.read(1 << 16):
        if any(block):
            return False
    return True


def _dropped(path: Path, offset: int, count: int) -> str:
    return f"{path}: the last {count} bytes, from byte {offset} on, are an unfinished record (its writer died); they are dropped"


def _lost(path: Path, offset: int, what: str) -> str:
    return (
        f"{path}: {what} at byte {offset}; this record and everything behind it in the file are lost. Restore the file from a "
        "copy, or compute everything anew with `qloom job resume ID --from-scratch`"
    )
