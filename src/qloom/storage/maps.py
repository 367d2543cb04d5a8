"""Maps on the disk: `$QLOOM_HOME/maps/<name>/map.json` says which jobs a map consists of, before any of them is there."""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from qloom.errors import CorruptRecord, InvalidSetting, WrongState
from qloom.kit.files import raise_storage, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRecord:
    """One map, as it was asked for.

    Attributes:
        name: its name.
        program: the program's name.
        source_digest: digest of its source.
        decides: what besides decides the results: devices, pipeline, the seed that was asked for.
        seed: what the seeds of its jobs come from.
        parameters: arguments of each job, in order.
        jobs: ids of the jobs, in the same order; chosen before they exist.
        created_at: seconds since 1970, UTC.
    """

    name: str
    program: str
    source_digest: str
    decides: dict[str, Any]
    seed: int
    parameters: list[dict[str, Any]]
    jobs: list[str]
    created_at: float

    def difference(self, other: MapRecord) -> str:
        """Return what makes another map of that name another map; empty where it is the same.

        >>> fixed = {"name": "m", "program": "p", "source_digest": "1", "decides": {}, "seed": 1, "jobs": ["a"], "created_at": 0}
        >>> one = MapRecord(**fixed, parameters=[{"x": 1}])
        >>> one.difference(MapRecord(**fixed, parameters=[{"x": 2}]))
        "parameter set 0 is {'x': 1} there and {'x': 2} now"
        """
        for what in ("program", "source_digest"):
            if getattr(self, what) != getattr(other, what):
                return f"its {what.replace('_', ' ')} is {getattr(self, what)} there and {getattr(other, what)} now"
        for name in sorted(self.decides.keys() | other.decides.keys()):
            if self.decides.get(name) != other.decides.get(name):
                return f"its {name} is {self.decides.get(name)!r} there and {other.decides.get(name)!r} now"
        if len(self.parameters) != len(other.parameters):
            return f"it has {len(self.parameters)} parameter sets there and {len(other.parameters)} now"
        for index, (mine, theirs) in enumerate(zip(self.parameters, other.parameters, strict=True)):
            if mine != theirs:
                return f"parameter set {index} is {mine} there and {theirs} now"
        return ""


class MapStore:
    """The maps kept below a folder.

    >>> import pathlib
    >>> MapStore(pathlib.Path("/nowhere")).find("scan") is None
    True
    """

    def __init__(self, home: Path) -> None:
        self._maps = home / "maps"

    def find(self, name: str) -> MapRecord | None:
        """Return a map, or None where there is none of that name.

        Raises:
            CorruptRecord: it cannot be read.
        """
        try:
            document = read_json(self._maps / name / "map.json")
            return MapRecord(**{key: value for key, value in document.items() if key != "format"})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (TypeError, AttributeError) as error:
            raise CorruptRecord(f"map {name} cannot be read ({error}); remove {self._maps / name}, its jobs stay") from error

    def write(self, record: MapRecord) -> None:
        """Write a map down, durably; its name is held."""
        write_json(self._maps / record.name / "map.json", asdict(record) | {"format": 1})

    def hold(self, name: str) -> int:
        """Return a descriptor that holds the map for this process until it is closed, or the process ends.

        Raises:
            InvalidSetting: that is no name.
            WrongState: another process runs it.
        """
        if not _NAME.fullmatch(name):
            raise InvalidSetting(
                f"map name {name!r} is none; it takes 1 to 64 letters, digits, '.', '_' or '-', not a sign first"
            )
        path = self._maps / name / "lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise_storage(error, path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise WrongState(f"map {name} is being run by another process; wait for it, or take another name") from error
        return descriptor
