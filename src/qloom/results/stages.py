"""What the stages of a pipeline did for one answer, as a result shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qloom.errors import UnknownName


class StageNotes:
    """What one stage noted; each note is an attribute and an item.

    >>> notes = StageNotes({"name": "zne", "scales": [1, 3]})
    >>> notes.scales, notes["name"]
    ([1, 3], 'zne')
    """

    __slots__ = ("_notes",)

    def __init__(self, notes: Mapping[str, Any]) -> None:
        self._notes = notes

    def __getitem__(self, name: str) -> Any:
        if name not in self._notes:
            raise UnknownName.among(f"note of stage {self._notes.get('name', '')}", name, self._notes)
        return self._notes[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except UnknownName as error:
            raise AttributeError(str(error)) from error

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._notes]

    def __repr__(self) -> str:
        return f"StageNotes({dict(self._notes)!r})"


class Stages(tuple[dict[str, Any], ...]):
    """What each place of a pipeline noted, from the device outward: dicts with `name` and the notes.

    A name instead of a number gives the first of that name.

    >>> stages = Stages([{"name": "ddd"}, {"name": "zne", "scales": [1, 3]}])
    >>> stages["zne"].scales, stages[0]["name"], len(stages)
    ([1, 3], 'ddd', 2)
    """

    __slots__ = ()

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, str):
            return super().__getitem__(place)
        for notes in self:
            if notes.get("name") == place:
                return StageNotes(notes)
        raise UnknownName.among("stage in this result", place, [str(notes.get("name")) for notes in self])


NO_STAGES = Stages()


def plain(value: Any) -> Any:
    """Return notes as JSON: arrays as lists, numpy's numbers as Python's.

    >>> import numpy as np
    >>> plain({"values": np.array([1.0, 2.0]), "n": np.int64(3), "pair": (1, 2)})
    {'values': [1.0, 2.0], 'n': 3, 'pair': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value
