"""Whether what is installed has changed, at the price of a few system calls."""

from __future__ import annotations

import os
import sys

State = tuple[tuple[str, int], ...]


def path_state() -> State:
    """Return something that changes when a package is installed or removed: when the folders of the path last changed.

    >>> path_state() == path_state()
    True
    """
    return tuple((path, changed) for path in sys.path if (changed := _changed_at(path)) is not None)


def packages_state() -> State:
    """Return the same of the folders that packages are installed in, where programs write nothing.

    >>> all(path.endswith("-packages") for path, _ in packages_state())
    True
    """
    return tuple((path, changed) for path, changed in path_state() if path.endswith("-packages"))


def _changed_at(path: str) -> int | None:
    try:
        return os.stat(path or ".").st_mtime_ns  # noqa: PTH116  for every job
    except OSError:
        return None
