"""Environments: the interpreter and packages a program asks for, built once by uv, addressed by what is in them, used again.

Light to import, since every process of a job does: `asked` (what is wanted), `keeping` (building, finding again), `checks`
(what does not fit) are loaded when something is asked for.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache

HEADER_BEGINS = "# /// script"
MARKER = "qloom-environment.json"
"""Inside an environment that qloom built: what it is. Written last, so one without it is half built."""
LOCK = "environment.lock"
"""Beside it, and in the folder of every job that runs there: the packages with versions and hashes."""
INSIDE = "QLOOM_ENVIRONMENT"
"""Variable of a command that was started again in the environment it needs: that environment's digest, or its interpreter."""


def may_have_header(file: str) -> bool:
    """Whether a file may have a header that asks for packages (PEP 723); read again only when it has changed.

    >>> may_have_header("no such file")
    False
    """
    try:
        found = os.stat(file)  # noqa: PTH116  one system call, no Path needed
    except OSError:
        return False
    return _holds_header(file, (found.st_mtime_ns, found.st_size))


def in_environment() -> bool:
    """Whether this process runs in an environment that qloom built.

    >>> in_environment() == os.path.exists(os.path.join(sys.prefix, MARKER))
    True
    """
    return os.access(os.path.join(sys.prefix, MARKER), os.R_OK)  # noqa: PTH118  the same


@lru_cache(maxsize=256)
def _holds_header(file: str, _as_of: tuple[int, int]) -> bool:
    try:
        with open(file, "rb") as content:  # noqa: PTH123  the same
            return HEADER_BEGINS.encode() in content.read()
    except OSError:
        return False
