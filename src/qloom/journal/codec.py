"""MessagePack for records. Loads msgspec: imported when the first record is written or read, not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from qloom.errors import CorruptRecord

QuestionFields: TypeAlias = tuple[str, str, bytes, int, int | None, int | None, str]
Answer: TypeAlias = tuple[int, QuestionFields, list[Any]]

encode = msgspec.msgpack.Encoder().encode
"""Any tuples, lists, dicts, strings, numbers and bytes -> bytes. TypeError for anything else, OverflowError beyond 64 bits."""

_decode = msgspec.msgpack.Decoder().decode
_decode_answer: Callable[[bytes], Answer] = msgspec.msgpack.Decoder(Answer).decode


def decode(content: bytes) -> Any:
    """Return what was encoded; tuples come back as lists.

    Raises:
        CorruptRecord: no MessagePack, though its checksum was right.

    >>> decode(encode((1, b"x")))
    [1, b'x']
    """
    try:
        return _decode(content)
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def decode_answer(content: bytes) -> Answer:
    """Return the content of an `ANSWER`; the question as a tuple, so that it compares with one.

    Raises:
        CorruptRecord: it has another form.
    """
    try:
        return _decode_answer(content)
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> CorruptRecord:
    return CorruptRecord(
        f"a record of the journal has an unknown form ({error}), though its checksum is right; resume with the qloom that wrote "
        "it, or compute everything anew with `qloom job resume ID --from-scratch`"
    )
