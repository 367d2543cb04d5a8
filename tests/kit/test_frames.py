"""Frames over a socket: whole or not at all, and never more than the receiver takes."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qloom.errors import CorruptRecord
from qloom.kit.frames import Frames


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, two = socket.socketpair()
    with one, two:
        yield one, two


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_what_is_sent_comes_in_its_order(contents: list[bytes]) -> None:
    one, two = socket.socketpair()
    with one, two:
        sender, receiver = Frames(one), Frames(two)
        for content in contents:
            sender.send(content)
        assert [receiver.receive() for _ in contents] == contents


def test_a_frame_longer_than_the_sockets_buffer_comes_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    content = bytes(range(256)) * 20_000
    sending = threading.Thread(target=Frames(ends[0]).send, args=(content,))
    sending.start()
    assert Frames(ends[1]).receive() == content
    sending.join()


def test_an_end_between_two_frames_is_an_end(ends: tuple[socket.socket, socket.socket]) -> None:
    receiver = Frames(ends[1])
    Frames(ends[0]).send(b"last")
    ends[0].close()
    assert (receiver.receive(), receiver.receive()) == (b"last", None)


@pytest.mark.parametrize("sent", [b"\x05", struct.pack("<I", 5), struct.pack("<I", 5) + b"abc"])
def test_an_end_inside_a_frame_is_told(ends: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    ends[0].sendall(sent)
    ends[0].close()
    with pytest.raises(CorruptRecord, match="in the middle of a message"):
        Frames(ends[1]).receive()


def test_a_frame_over_the_limit_is_refused_by_its_length_alone(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[0].sendall(struct.pack("<I", 1001))
    with pytest.raises(CorruptRecord, match="1001 bytes is longer than the 1000"):
        Frames(ends[1], limit_bytes=1000).receive()
