"""What a program prints, kept with time stamps and within a limit, so that it never fills a disk and never blocks."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from qloom.kit.files import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TAIL_BYTES = 64 * 1024
LINE_BYTES = 8 * 1024
"""Longer lines are split, so that a program which prints no line end is seen all the same."""

MIB = 1024 * 1024


class _Piece(NamedTuple):
    """A line or a part of a long one; `raw_bytes` is what it took in the program's output, its line end included."""

    text: bytes
    raw_bytes: int

    @property
    def raw(self) -> bytes:
        """The output this was: the text, and the line end that was taken off."""
        return self.text + b"\r\n"[2 - (self.raw_bytes - len(self.text)) :]


class _Chunk(NamedTuple):
    stamp: bytes
    stream: str
    data: bytes


class OutputLog:
    r"""The log of one attempt: lines `2026-11-21T14:38:52.123Z out| text`, or `err|`; qloom's own are `[qloom] text`.

    Over its limit it keeps the beginning and the last 64 KiB, and one line states exactly how many bytes of the program's
    output were dropped. A disk that is full counts as such a limit: the program goes on.

    Attributes:
        dropped_bytes: bytes of the program's output that are not in the log; final after `close`.
        last_error_line: the last line on standard error that holds something.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "output.log"
    >>> log = OutputLog(path, limit_mb=1, clock=lambda: 0.0)
    >>> log.feed("out", b"hello"), log.close()
    (None, None)
    >>> path.read_text()
    '1970-01-01T00:00:00.000Z out| hello\n'
    """

    def __init__(self, path: Path, *, limit_mb: float, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._limit = int(limit_mb * MIB)
        self._tail_bytes = min(TAIL_BYTES, self._limit // 2)
        self._why = f"limit {limit_mb:g} MiB, resources.output_mb"
        self._written = 0
        self._open_lines = {"out": b"", "err": b""}
        self._tail: deque[_Chunk] | None = None  # None while the beginning is being kept
        self._tail_raw = 0
        self._second = (-1, "")
        self.dropped_bytes = 0
        self.last_error_line = ""
        self._path = path
        self._descriptor = -1

    def feed(self, stream: str, data: bytes) -> None:
        """Take what the program printed on `out` or `err`; any cut is fine."""
        chunk = _Chunk(self._stamp(), stream, data)
        if self._tail is not None:
            self._keep_in_tail(chunk)
            return
        pieces, self._open_lines[stream] = split_lines(self._open_lines[stream] + data)
        self._write_head(chunk, pieces)

    def note(self, text: str) -> None:
        """Write a line of qloom's own; those are few, so no limit holds for them."""
        self._append(self._stamp() + b" [qloom] " + text.encode() + b"\n")

    def close(self) -> None:
        """Write what is left: lines without an end, how much was dropped, the tail."""
        for stream in ("out", "err"):
            if self._tail is None and (rest := self._open_lines[stream]):
                self._open_lines[stream] = b""
                self._write_head(_Chunk(self._stamp(), stream, rest), [_Piece(rest, len(rest))])
        if self._tail is not None:
            self._write_tail()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # ---- the beginning -----------------------------------------------------------------------------------------------

    def _write_head(self, chunk: _Chunk, pieces: list[_Piece]) -> None:
        room = self._limit - self._tail_bytes - self._written
        lines, used, fitting = [], 0, 0
        for piece in pieces:
            line = self._line(chunk, piece)
            if used + len(line) > room:
                break
            lines.append(line)
            used += len(line)
            fitting += 1
        if self._append(b"".join(lines)) and fitting == len(pieces):
            return
        if self._tail is None:
            self._start_tail(self._why)
            self.note(f"the output reached its limit ({self._why}); of what follows, the end is kept")
            left = pieces[fitting:]
        else:  # the disk is full: nothing of this batch is there
            left = pieces
        self._move_to_tail(chunk, left)

    def _move_to_tail(self, chunk: _Chunk, pieces: list[_Piece]) -> None:
        self._keep_in_tail(chunk._replace(data=b"".join(piece.raw for piece in pieces)))
        for stream, rest in self._open_lines.items():
            if rest:
                self._keep_in_tail(_Chunk(chunk.stamp, stream, rest))
                self._open_lines[stream] = b""

    def _append(self, text: bytes) -> bool:
        """Write to the end of the file, all of it or nothing; it is made when there is something to write."""
        if not text:
            return True
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            write_all(self._descriptor, text)
        except OSError as error:
            with suppress(OSError):  # also where it could not be opened
                os.ftruncate(self._descriptor, self._written)
                os.lseek(self._descriptor, self._written, os.SEEK_SET)
            self._start_tail(str(error.strerror))
            return False
        self._written += len(text)
        return True

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _start_tail(self, why: str) -> None:
        self._why = why
        if self._tail is None:
            self._tail = deque()

    def _keep_in_tail(self, chunk: _Chunk) -> None:
        tail = self._tail
        if tail is None:
            raise AssertionError("the tail begins when the head is full")
        tail.append(chunk)
        self._tail_raw += len(chunk.data)
        if chunk.stream == "err":
            self._remember_error(chunk.data[-1024:].splitlines())
        while self._tail_raw - len(tail[0].data) >= self._tail_bytes:
            gone = tail.popleft()
            self._tail_raw -= len(gone.data)
            self.dropped_bytes += len(gone.data)

    def _write_tail(self) -> None:
        lines, used = [], 0
        kept = 0
        for line, raw_bytes in reversed(list(self._tail_lines())):
            if used + len(line) > self._tail_bytes:
                break
            lines.append(line)
            used += len(line)
            kept += raw_bytes
        self.dropped_bytes += self._tail_raw - kept
        if self.dropped_bytes:
            self.note(f"{self.dropped_bytes} bytes of output dropped ({self._why})")
        if not self._append(b"".join(reversed(lines))):
            self.dropped_bytes += kept

    def _tail_lines(self) -> Iterator[tuple[bytes, int]]:
        for chunk in self._joined():
            pieces, rest = split_lines(chunk.data)
            for piece in [*pieces, _Piece(rest, len(rest))] if rest else pieces:
                yield self._line(chunk, piece), piece.raw_bytes

    def _joined(self) -> Iterator[_Chunk]:
        """Yield the tail's chunks cut at line ends: what a chunk leaves open goes in front of the stream's next one."""
        open_lines = {"out": b"", "err": b""}
        stamp = self._stamp()
        for chunk in self._tail or ():
            stamp = chunk.stamp
            whole, end, rest = (open_lines[chunk.stream] + chunk.data).rpartition(b"\n")
            open_lines[chunk.stream] = rest
            if end:
                yield chunk._replace(data=whole + end)
        for stream, rest in open_lines.items():
            if rest:
                yield _Chunk(stamp, stream, rest)

    # ---- lines -------------------------------------------------------------------------------------------------------

    def _line(self, chunk: _Chunk, piece: _Piece) -> bytes:
        if chunk.stream == "err":
            self._remember_error([piece.text])
        text = piece.text if piece.text.isascii() else piece.text.decode("utf-8", "replace").encode()
        return b"%s %s| %s\n" % (chunk.stamp, chunk.stream.encode(), text)

    def _remember_error(self, lines: list[bytes]) -> None:
        for line in reversed(lines):
            if line.strip():
                self.last_error_line = line.decode("utf-8", "replace").strip()[:500]
                return

    def _stamp(self) -> bytes:
        now = self._clock()
        second = int(now)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return f"{self._second[1]}.{int(now * 1000) % 1000:03d}Z".encode()


def split_lines(data: bytes) -> tuple[list[_Piece], bytes]:
    r"""Return the lines of some output, long ones in parts, and what has no line end yet (shorter than a part).

    >>> split_lines(b"one\r\ntwo\nthr")
    ([_Piece(text=b'one', raw_bytes=5), _Piece(text=b'two', raw_bytes=4)], b'thr')
    """
    *lines, rest = data.split(b"\n")
    pieces: list[_Piece] = []
    for line in lines:
        parts, last = _cut(line)
        pieces += parts
        pieces.append(_Piece(last.removesuffix(b"\r"), len(last) + 1))
    parts, rest = _cut(rest)
    return pieces + parts, rest


def _cut(line: bytes) -> tuple[list[_Piece], bytes]:
    """Cut parts off a long line, between characters."""
    parts = []
    while len(line) > LINE_BYTES:
        end = LINE_BYTES
        while end > LINE_BYTES - 3 and line[end] & 0xC0 == 0x80:  # inside a character of UTF-8
            end -= 1
        parts.append(_Piece(line[:end], end))
        line = line[end:]
    return parts, line
