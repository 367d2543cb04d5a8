"""What a program ran with: the packages that it had loaded when it ended, and the system."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST_PACKAGES = 200
LONGEST_VERSION = 64

_before: dict[str, str] = {}
_count_before = 0


def remember_loaded() -> None:
    """Look at what is loaded now, so that `loaded_packages` looks at the rest only, in this process and in its forks.

    A fork shares its parent's memory until it looks at it: to see every module, it would have to copy them all.

    >>> remember_loaded()
    """
    global _before, _count_before  # noqa: PLW0603  one process has one list of modules
    _count_before = 0
    _before, _count_before = loaded_packages(), len(sys.modules)


def loaded_packages(source: Path | None = None) -> dict[str, str]:
    """Return name -> version of the packages that this process has loaded and that say their version, by name.

    Read from what is in memory, some 50 µs: looking installed packages up would cost more than a small job.

    Args:
        source: the program's own folder; what was loaded from there is no package.

    >>> import numpy
    >>> loaded_packages()["numpy"] == numpy.__version__
    True
    """
    own = f"{source}{os.sep}" if source else None
    found = dict(_before)
    new = len(sys.modules) - _count_before
    for name in list(islice(reversed(sys.modules), new)) if new >= 0 else list(sys.modules):
        if "." in name or name in sys.stdlib_module_names or name.startswith("_"):
            continue
        known = getattr(sys.modules.get(name), "__dict__", {})  # no getattr of the version: modules may load others for that
        version = known.get("__version__")
        if type(version) is not str or (own and str(known.get("__file__")).startswith(own)):
            continue
        found[name] = version[:LONGEST_VERSION]
    return dict(sorted(found.items())[:MOST_PACKAGES])


def platform_name() -> str:
    """Return the system with its release and its processor's kind.

    >>> len(platform_name().split())
    3
    """
    system = os.uname()
    return f"{system.sysname} {system.release} {system.machine}"
