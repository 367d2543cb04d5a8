"""Where qloom keeps its state: `$QLOOM_HOME`, else the platform's data folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping


def state_folder(values: Mapping[str, str]) -> Path:
    """Return the folder of all state.

    Args:
        values: the environment.

    Raises:
        InvalidSetting: QLOOM_HOME is set but is no absolute path.

    >>> state_folder({"QLOOM_HOME": "/tmp/q"})
    PosixPath('/tmp/q')
    """
    text = values.get("QLOOM_HOME", "")
    if text:
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise InvalidSetting(f"QLOOM_HOME must be an absolute path, got {text!r}")
        return path
    # The platform's data folder, as platformdirs would say; spelled out on Linux, where loading it costs more than the answer.
    if sys.platform == "linux":
        base = values.get("XDG_DATA_HOME", "")
        return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "qloom"
    import platformdirs

    return Path(platformdirs.user_data_dir("qloom", appauthor=False))
