"""`TextCache`: texts by key in a folder, bounded in bytes. Whatever happens to the folder costs the cache, never an answer.

One file for each entry. Its first line says what it is, of which key, and the digest of what follows:

```
qloom cache 1 <key> <blake2b of key and text, 32 hex characters>
<text, UTF-8>
```

A file is written aside and gets its name when it is complete, so a reader meets the whole of it or nothing; what a crash, a full
disk or somebody else leaves there has no such first line, counts as missing, and is replaced. Entries are not forced to the disk:
after a power loss an entry may be empty, and counts as missing then.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from qloom.errors import InvalidSetting
from qloom.kit.files import write_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

FORMAT = "qloom cache 1"
SUFFIX, ASIDE = ".entry", ".aside"
ABANDONED_S = 3600.0
"""How old a file that was being written must be before it counts as left behind by a process that died."""
_SHRINK = 0.9
"""What is thrown away leaves this part of the bound, so that not every write has to throw something away."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_numbers = count()
_said: set[tuple[str, int | None]] = set()
"""Folders that this process has warned of, with the kind of the error: each device that is made has a cache of its own."""


class _Seen(NamedTuple):
    used_ns: int
    size: int
    path: str


class TextCache:
    """Texts by key, in a folder that many processes may use at once.

    Args:
        folder: where entries are; made when the first one is kept.
        limit_bytes: how much the folder may hold, from 1 up. The entries that were not used for longest go first; one that alone
            is larger is not kept.

    Raises:
        InvalidSetting: the bound is no integer from 1 up.

    >>> import pathlib, tempfile
    >>> cache = TextCache(pathlib.Path(tempfile.mkdtemp()) / "new", limit_bytes=10_000)
    >>> cache.read("a" * 32), cache.keep("a" * 32, "text"), cache.read("a" * 32)
    (None, 'text', 'text')
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        if isinstance(limit_bytes, bool) or not isinstance(limit_bytes, int) or limit_bytes < 1:
            raise InvalidSetting(f"the bound of a cache is a number of bytes from 1 up, got {limit_bytes!r}")
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._is_broken = False
        self._lock = threading.Lock()

    def read(self, key: str) -> str | None:
        """Return the text that was kept under a key; None where there is none that is whole, which is said in the log.

        Args:
            key: hexadecimal characters, such as a digest's.
        """
        path = self._path(key)
        try:
            content = _read(path, self.limit_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("the cache entry %s cannot be read (%s) and counts as missing", path, os.strerror(error.errno or 0))
            return None
        text = _opened(key, content)
        if text is None:
            log.warning("the cache entry %s is cut short, damaged or not ours; it counts as missing and is replaced", path)
            return None
        with suppress(OSError):  # a folder that is read-only has no order of use
            _mark_used(path)
        return text

    def keep(self, key: str, text: str) -> str:
        """Keep a text under a key, and return what stands there now: the earlier text where another process was first.

        A folder that cannot be written leaves everything as it was. That is said once in a process, in a warning, and this cache
        does not try again.
        """
        content = f"{FORMAT} {key} {_digest(key, text.encode())}\n".encode() + text.encode()
        if self._is_broken or len(content) > self.limit_bytes:
            return text
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = self._place(key, text, content)
            self._shrink(spared=self._path(key))
        except OSError as error:
            self._give_up(error)
            return text
        return kept

    def forget(self, key: str) -> None:
        """Remove an entry, where there is one and it can be removed."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def size_bytes(self) -> int:
        """Return what the entries take now."""
        return sum(entry.size for entry in self._entries())

    def _path(self, key: str) -> Path:
        if not key or not set(key) <= set("0123456789abcdef"):
            raise InvalidSetting(f"a key of the cache is hexadecimal, got {key!r}")
        return self.folder / f"{key}{SUFFIX}"

    def _place(self, key: str, text: str, content: bytes) -> str:
        """Give the entry its name in one step. Of several processes that do it at once the first one wins."""
        path = self._path(key)
        aside = str(self.folder / f"{key}.{os.getpid()}.{threading.get_ident()}.{next(_numbers)}{ASIDE}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            try:
                write_all(descriptor, content)
                _mark_used(descriptor)
            finally:
                os.close(descriptor)
            return self._name(aside, path, key, text)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(aside)  # noqa: PTH108  one system call, no Path needed

    def _name(self, aside: str, path: Path, key: str, text: str) -> str:
        try:
            os.link(aside, path)
        except FileExistsError:
            first = self.read(key)
            if first is not None:
                return first
        except OSError:  # a file system without hard links
            pass
        else:
            return text
        os.replace(aside, path)  # noqa: PTH105  one system call, no Path needed
        return text

    def _shrink(self, spared: Path) -> None:
        """Throw away what was not used for longest, and what dead processes left, until the folder is within its bound."""
        with self._lock:
            entries = sorted(self._entries(remove_abandoned=True))
            surplus = sum(entry.size for entry in entries) - self.limit_bytes
            if surplus <= 0:
                return
            surplus += int(self.limit_bytes * (1 - _SHRINK))
            for entry in entries:
                if surplus <= 0:
                    return
                if entry.path == str(spared):  # what was just kept fits alone
                    continue
                with suppress(FileNotFoundError):  # another process threw it away
                    os.unlink(entry.path)  # noqa: PTH108  one system call, no Path needed
                surplus -= entry.size

    def _entries(self, *, remove_abandoned: bool = False) -> Iterator[_Seen]:
        oldest = time.time() - ABANDONED_S
        try:
            with os.scandir(self.folder) as found:
                for item in found:
                    with suppress(FileNotFoundError):
                        facts = item.stat(follow_symlinks=False)
                        if not stat.S_ISREG(facts.st_mode):
                            continue
                        if item.name.endswith(SUFFIX):
                            yield _Seen(facts.st_mtime_ns, facts.st_size, item.path)
                        elif remove_abandoned and item.name.endswith(ASIDE) and facts.st_mtime < oldest:
                            os.unlink(item.path)  # noqa: PTH108  one system call, no Path needed
        except FileNotFoundError:
            return

    def _give_up(self, error: OSError) -> None:
        with self._lock:
            if self._is_broken:
                return
            self._is_broken = True
        trouble = (os.path.abspath(self.folder), error.errno)  # noqa: PTH100  without a look at the disk
        if trouble in _said:
            return
        _said.add(trouble)
        log.warning(
            "the cache %s cannot be written (%s), so what it would hold is worked out anew each time; make room, make the folder "
            "writable, or choose another one (QLOOM_HOME)",
            self.folder,
            os.strerror(error.errno or 0),
        )


def _mark_used(file: Path | int) -> None:
    """Set when a file was used last. The kernel's own clock for files is too coarse to tell the order of two uses."""
    now = time.time_ns()
    os.utime(file, ns=(now, now))


def _read(path: Path, limit_bytes: int) -> bytes:
    descriptor = os.open(path, _OPEN)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > limit_bytes:
            return b""
        pieces = []
        while piece := os.read(descriptor, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def _opened(key: str, content: bytes) -> str | None:
    """Return the text of an entry; None where it is not whole, not of this key, or no text."""
    head, _, body = content.partition(b"\n")
    if head != f"{FORMAT} {key} {_digest(key, body)}".encode():
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:  # a first line that fits can be written around any bytes
        return None


def _digest(key: str, body: bytes) -> str:
    return blake2b(key.encode() + b"\n" + body, digest_size=16).hexdigest()
