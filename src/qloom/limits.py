"""What a job may use and spend. Apart from `jobspecs`, since every declared program loads it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from qloom.errors import InvalidSetting, UnknownName


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one job may use. None means no limit.

    Attributes:
        cpus: cores that the job's threads may use; also the simulator's thread budget.
        memory_mb: resident memory of the job's processes together, in MiB.
        wall_time_s: seconds from start to end; a job over it is INTERRUPTED (`walltime`) and can be resumed.
        open_files: open files of each process.
        processes: processes and threads' owners at one time, the program itself included.
        output_mb: captured output kept, in MiB; what is over is dropped and the number of dropped bytes is stated.
        python: the interpreter: a version as "3.12", or the path of one; None for the one that runs qloom.

    >>> Resources(cpus=2, memory_mb=512).cpus
    2
    """

    cpus: int = 1
    memory_mb: int | None = None
    wall_time_s: float | None = None
    open_files: int | None = None
    processes: int | None = 256
    output_mb: float = 10
    python: str | None = None

    def __post_init__(self) -> None:
        if self.python is not None and (not isinstance(self.python, str) or not self.python):
            raise InvalidSetting(
                f'resources.python must be a version as "3.12" or the path of an interpreter, got {self.python!r}'
            )
        for item in fields(self):
            if item.name == "python":
                continue
            value = getattr(self, item.name)
            if value is None and item.default is not None and item.name != "processes":
                raise InvalidSetting(f"resources.{item.name} must be a positive number, got None")
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
                raise InvalidSetting(f"resources.{item.name} must be a positive number, got {value!r}")

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Resources:
        """Return the resources that a JSON object names.

        Raises:
            UnknownName: a resource that does not exist, with the nearest ones.
        """
        known = {item.name for item in fields(cls)}
        for name in document:
            if name not in known:
                raise UnknownName.among("resource", name, known)
        return cls(**document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A hard wall on what a job may spend.

    >>> Budget(usd=5).usd
    5
    """

    usd: float

    def __post_init__(self) -> None:
        if isinstance(self.usd, bool) or not isinstance(self.usd, int | float) or not 0 < self.usd < float("inf"):
            raise InvalidSetting(f"a budget is a positive number of US dollars, got {self.usd!r}")
