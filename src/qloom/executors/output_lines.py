"""A program's output cut into lines, for somebody who listens to it while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

LONGEST_LINE = 64 * 1024
"""Of a line that is longer, only the end is told."""

TakeLine: TypeAlias = Callable[[bytes, float], str]
"""Called with a line, without its end, and the time in seconds since 1970; what it returns, if anything, is noted in the log."""


@dataclass(frozen=True, slots=True)
class Listened:
    """A program whose output somebody listens to.

    Attributes:
        command: its command line.
        begin: called as the attempt begins; returns who takes the lines. OSError or StorageFailed ends the attempt.
        loads: where its interpreter loads from, for a sandbox; None for the supervisor's own.
    """

    command: Sequence[str]
    begin: Callable[[], TakeLine]
    loads: Sequence[str] | None = None


class OutputLines:
    r"""Tells whole lines of `out` and `err` as they come.

    >>> heard = []
    >>> lines = OutputLines(lambda line, now: heard.append(line) or "")
    >>> lines.feed("out", b"one\ntw"), lines.feed("out", b"o\n"), lines.close()
    ([], [], [])
    >>> heard
    [b'one', b'two']
    """

    def __init__(self, take: TakeLine) -> None:
        self._take = take
        self._open: dict[str, bytes] = {}

    def feed(self, stream: str, data: bytes) -> list[str]:
        """Take output; return what is to be noted."""
        *lines, rest = (self._open.get(stream, b"") + data).split(b"\n")
        self._open[stream] = rest[-LONGEST_LINE:]
        now = time.time()
        return [note for line in lines if (note := self._take(line.removesuffix(b"\r"), now))]

    def close(self) -> list[str]:
        """Tell the lines that have no end; return what is to be noted."""
        now = time.time()
        notes = [note for line in self._open.values() if line and (note := self._take(line, now))]
        self._open.clear()
        return notes
