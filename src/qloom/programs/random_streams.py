"""`ctx.rng`: one stream of random numbers for each lane, so that threads neither race for one nor change each other's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class RandomStreams:
    """Generators by lane, each seeded from (job seed, lane).

    >>> first, again = RandomStreams(1).of("main"), RandomStreams(1).of("main")
    >>> first.random() == again.random(), RandomStreams(1).of("a").random() == first.random()
    (True, False)
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, np.random.Generator] = {}

    def of(self, lane: str) -> np.random.Generator:
        """Return a lane's stream, at the place it has reached."""
        stream = self._streams.get(lane)
        if stream is None:
            import hashlib

            import numpy as np

            text = f"{self._seed}|{lane}|rng".encode()
            seed = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")
            stream = self._streams.setdefault(lane, np.random.Generator(np.random.PCG64(seed)))
        return stream

    def states(self) -> dict[str, Any]:
        """Return where every stream stands, as JSON; its 128-bit numbers as text."""
        return {lane: _pack(stream.bit_generator.state) for lane, stream in self._streams.copy().items()}

    def restore(self, states: dict[str, Any]) -> None:
        """Set every stream to where it stood; streams that `states` does not name begin anew."""
        self._streams = {lane: stream for lane, stream in self._streams.items() if lane in states}
        for lane, state in states.items():
            self.of(lane).bit_generator.state = _unpack(state)


def _pack(state: Any) -> dict[str, Any]:
    inner = state["state"]
    return {
        "generator": state["bit_generator"],
        "state": hex(inner["state"]),
        "inc": hex(inner["inc"]),
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }


def _unpack(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "bit_generator": state["generator"],
        "state": {"state": int(state["state"], 16), "inc": int(state["inc"], 16)},
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }
