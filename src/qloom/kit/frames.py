"""Frames over a stream socket: a length, and so many bytes behind it.

A frame is a 32-bit little-endian length and its content. Whoever receives says how much it is ready to take, and refuses a longer
frame by its length alone, before any of it is kept.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from qloom.errors import CorruptRecord, InvalidTask

if TYPE_CHECKING:
    import socket

MOST_BYTES = (1 << 32) - 1
"""The longest frame that the length can say."""
_HEAD = struct.Struct("<I")
_CHUNK = 1 << 16


class Frames:
    """The frames of one end of a socket. For one thread at a time.

    Args:
        channel: a connected, blocking stream socket.
        limit_bytes: of a frame that is received.

    >>> import socket
    >>> one, two = map(Frames, socket.socketpair())
    >>> one.send(b"hello")
    >>> two.receive()
    b'hello'
    """

    def __init__(self, channel: socket.socket, *, limit_bytes: int = MOST_BYTES) -> None:
        self._channel = channel
        self._limit = limit_bytes
        self._held = bytearray()

    def send(self, content: bytes) -> None:
        """Send a frame.

        Raises:
            InvalidTask: it is too long.
            OSError: the other end is gone.
        """
        if len(content) > MOST_BYTES:
            raise InvalidTask(f"a message of {len(content)} bytes is too long for a link, which takes {MOST_BYTES}; ask for less")
        self._channel.sendall(_HEAD.pack(len(content)) + content)

    def receive(self) -> bytes | None:
        """Wait for a frame and return it; None where the other end was closed between two frames.

        Raises:
            CorruptRecord: it is longer than the limit, or the other end was closed in the middle of it; what follows makes no
                sense.
            OSError: the other end is gone.
        """
        if not self._fill(_HEAD.size):
            if self._held:
                raise CorruptRecord("the other end of the link was closed in the middle of a message")
            return None
        (length,) = _HEAD.unpack_from(self._held)
        if length > self._limit:
            raise CorruptRecord(f"a message of {length} bytes is longer than the {self._limit} that this end of the link takes")
        end = _HEAD.size + length
        if not self._fill(end):
            raise CorruptRecord("the other end of the link was closed in the middle of a message")
        content = bytes(memoryview(self._held)[_HEAD.size : end])
        del self._held[:end]
        return content

    def _fill(self, size: int) -> bool:
        """Hold at least so many bytes; False where the other end was closed first."""
        while len(self._held) < size:
            found = self._channel.recv(max(_CHUNK, size - len(self._held)))
            if not found:
                return False
            self._held += found
        return True
