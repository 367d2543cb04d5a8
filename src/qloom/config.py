"""Settings: read once, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from qloom.errors import InvalidSetting
from qloom.kit.state_folder import state_folder

__version__ = "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where qloom keeps its state and what it does when nothing else is said.

    Attributes:
        home: folder of all state; jobs are in `home/jobs`. `QLOOM_HOME`, else the platform's data folder.
        default_device: `QLOOM_DEVICE`, else `sim`.
        default_executor: `QLOOM_EXECUTOR`, else `local`.
        fork_server: whether repeated jobs start from a process that has loaded what programs need. `QLOOM_FORK_SERVER`: `on`,
            which is what nothing means, or `off`.
        sealed_stages: folder of the stages whose code stays with the host; `QLOOM_SEALED_STAGES`, None for none.

    >>> Settings.read({"QLOOM_HOME": "/tmp/q"}).home
    PosixPath('/tmp/q')
    """

    home: Path
    default_device: str = "sim"
    default_executor: str = "local"
    fork_server: bool = True
    sealed_stages: Path | None = None

    @classmethod
    def read(cls, environment: dict[str, str] | None = None) -> Settings:
        """Return the settings that the environment names.

        Raises:
            InvalidSetting: QLOOM_HOME or QLOOM_SEALED_STAGES is set but is no absolute path, or QLOOM_FORK_SERVER is neither `on`
                nor `off`.
        """
        values = dict(os.environ) if environment is None else environment
        return cls(
            home=state_folder(values),
            default_device=values.get("QLOOM_DEVICE") or "sim",
            default_executor=values.get("QLOOM_EXECUTOR") or "local",
            fork_server=_switch("QLOOM_FORK_SERVER", values),
            sealed_stages=_folder("QLOOM_SEALED_STAGES", values),
        )


def _folder(name: str, values: dict[str, str]) -> Path | None:
    said = values.get(name, "")
    if said and not Path(said).is_absolute():
        raise InvalidSetting(f"{name} must be an absolute path, got {said!r}")
    return Path(said) if said else None


def _switch(name: str, values: dict[str, str]) -> bool:
    """Return whether something is on: it is unless somebody says `off`."""
    said = values.get(name) or "on"
    if said.lower() not in ("on", "off"):
        raise InvalidSetting(f"{name} is on or off, got {said!r}")
    return said.lower() == "on"
