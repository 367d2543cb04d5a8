"""What goes over the link between a program and its device server. Loads msgspec: imported by jobs with a link only.

Every message is MessagePack of one of these, and what does not fit its form is refused as a whole. Nothing of it is ever run:
circuits are their instructions as lists (`qloom.kit.circuit_text`), observables their terms, parameters plain numbers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

LARGEST_REQUEST = 256 * 1024 * 1024
"""Bytes of the largest request that a server takes; what a program can ask for is bounded by its job's memory besides."""
MOST_QUBITS = 100_000
"""The most qubits, and classical bits, of a circuit on the link: each costs the server memory before any device looks at it."""
MOST_SETS = 10_000_000
MOST_NAME = 200

Seed = Annotated[int, msgspec.Meta(ge=0)]  # MessagePack has none beyond 64 bits
Shots = Annotated[int, msgspec.Meta(ge=1, le=1 << 48)]
Name = Annotated[str, msgspec.Meta(max_length=MOST_NAME)]


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="what"):
    """What all requests have.

    Attributes:
        number: of the request, counted by the program; its reply has the same.
        dropped: tasks that the program no longer holds.
    """

    number: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
    dropped: list[Name] = []


class Spec(Request, tag="spec"):
    """What can the device do? Answered with `DeviceSpec.to_json()`."""

    device: str


class Check(Request, tag="check"):
    """Why can these circuits not run? Answered with sentences."""

    device: str
    circuits: list[Any]
    shots: Shots | None = None


class Prepare(Request, tag="prepare"):
    """Make circuits ready. Answered with `Made`, as a dict."""

    device: str
    circuits: list[Any]
    observables: list[dict[str, float]]


class Ask(Request, tag="ask"):
    """One question to a prepared task. Answered with `Result.pack()`.

    Attributes:
        task: as `Made` named it.
        kind: as in `qloom.tasks.Question`.
        lane, ordinal: where the program asks; each place is asked once in an attempt.
        parameters: float64, little-endian, sets x parameters.
        sets, shots, seed: as in `qloom.tasks.Question`.
        stage_options: stage -> options for this question.
    """

    task: Name
    kind: Literal["sample", "estimate", "gradient"]
    lane: Name
    ordinal: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    parameters: bytes
    sets: Annotated[int, msgspec.Meta(ge=1, le=MOST_SETS)]
    shots: Shots | None
    seed: Seed
    stage_options: dict[str, dict[str, Any]] | None = None


class Made(msgspec.Struct):
    """A prepared task.

    Attributes:
        task: its name on the link.
        digest: equal for equal circuits, observables, device and pipeline; says nothing of what the stages made.
        engine: of the device.
        problems: what a resumed job should say of the device.
    """

    task: str
    digest: str
    engine: list[Any]
    problems: list[str]


class Reply(msgspec.Struct, array_like=True):
    """The answer to a request.

    Attributes:
        number: of the request; -1 where it could not be read.
        answer: what the request asks for.
        error: for a failure the error's type, its message, and the stage it is about.
    """

    number: int
    answer: Any = None
    error: tuple[str, str, str] | None = None


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Spec | Check | Prepare | Ask).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
WRONG_FORM = (msgspec.DecodeError, UnicodeDecodeError)
"""What reading raises: `msgspec.ValidationError` is one of the first kind."""
