"""One JSON document per line, there and back, with a limit on every wait. Standard library only."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

CHUNK = 65_536


class ChannelClosed(Exception):
    """The other side is gone."""


class NoAnswer(Exception):
    """The other side did not answer in time."""


class Channel:
    """A pair of descriptors to another process: a pipe each way, or a socket twice."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._pending = b""

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            ChannelClosed: the other side is gone.
            NoAnswer: it did not answer within `timeout_s`.
        """
        self.send(request)
        return self.receive(timeout_s)

    def send(self, document: dict[str, Any]) -> None:
        """Write one document."""
        content = memoryview(json.dumps(document).encode() + b"\n")
        try:
            while content:
                content = content[os.write(self._writing, content) :]
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosed("the other side no longer reads") from error

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Read one document."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise NoAnswer(f"no answer in {timeout_s:g} s")
            self._pending += self._read()
        line, _, self._pending = self._pending.partition(b"\n")
        document: dict[str, Any] = json.loads(line)
        return document

    def _read(self) -> bytes:
        try:
            content = os.read(self._reading, CHUNK)
        except ConnectionResetError as error:
            raise ChannelClosed("the other side is gone") from error
        if not content:
            raise ChannelClosed("the other side is gone")
        return content
