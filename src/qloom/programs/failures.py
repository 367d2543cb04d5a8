"""What is told of an exception that a user's program raised: its type, its message, and the user's own frames."""

from __future__ import annotations

import linecache
import os
from typing import TYPE_CHECKING

from qloom.errors import QloomError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

SHOWN_FRAMES = 20
"""Frames kept at each end: a recursion that ran away has a thousand alike."""
SHOWN_CHARACTERS = 10_000
"""Of a message; and 200 of a line of code: some put a whole array into an error."""
SHOWN_CODE = 200
SHOWN_INSIDE = 5
"""How many exceptions of a group are named."""


def error_text(error: BaseException) -> str:
    """Return `TypeName: message`; of a group, the exceptions inside it too.

    >>> error_text(ValueError("no such bond")), error_text(KeyError("a")), error_text(ZeroDivisionError())
    ('ValueError: no such bond', "KeyError: 'a'", 'ZeroDivisionError')
    """
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001  a user's own __str__ may raise anything; the job's end must be told all the same
        message = f"(its message cannot be read: {type(broken).__name__})"
    if len(message) > SHOWN_CHARACTERS:
        message = f"{message[:SHOWN_CHARACTERS]}... ({len(message) - SHOWN_CHARACTERS} more characters)"
    text = type(error).__name__ + (f": {message}" if message else "")
    inside = list(_leaves(error)) if isinstance(error, BaseExceptionGroup) else []
    return "; ".join([text, *(error_text(leaf) for leaf in inside[:SHOWN_INSIDE])])


def deciding_error(error: BaseException) -> BaseException:
    """Return the exception that says why: of a group, a qloom error inside it where there is one."""
    inside = list(_leaves(error))
    return next((leaf for leaf in inside if isinstance(leaf, QloomError)), error)


def user_frames(error: BaseException, source: Path) -> tuple[str, ...]:
    """Return the frames in files under `source`, outermost first, as `file:line in function: code`, paths relative to it.

    A syntax error in a file of the user's is its own last frame; of a group, the frames of its first exception follow.
    """
    root = os.path.join(os.path.realpath(source), "")  # noqa: PTH118  a prefix, ending in a separator
    found = list(_frames(error, root))
    if len(found) > 2 * SHOWN_FRAMES:
        left_out = len(found) - 2 * SHOWN_FRAMES
        found[SHOWN_FRAMES:-SHOWN_FRAMES] = [f"... {left_out} frames left out ..."]
    return tuple(found)


def user_traceback(error: BaseException, source: Path) -> TracebackType | None:
    """Return the traceback from the user's first frame on; the whole of it where no frame is the user's."""
    root = os.path.join(os.path.realpath(source), "")  # noqa: PTH118  a prefix, ending in a separator
    trace = error.__traceback__
    while trace is not None and not _own(trace.tb_frame.f_code.co_filename, root):
        trace = trace.tb_next
    return trace or error.__traceback__


def _frames(error: BaseException, root: str) -> Iterator[str]:
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if _own(code.co_filename, root):
            yield _line(code.co_filename, trace.tb_lineno, code.co_name, root)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename and _own(error.filename, root):
        yield _line(error.filename, error.lineno or 0, "<module>", root)
    if isinstance(error, BaseExceptionGroup):
        yield from _frames(next(_leaves(error)), root)


def _own(filename: str, root: str) -> bool:
    # "<frozen importlib._bootstrap>" is no file, and would be found in the folder we are in.
    return not filename.startswith("<") and os.path.realpath(filename).startswith(root)


def _line(filename: str, line: int, function: str, root: str) -> str:
    name = os.path.relpath(os.path.realpath(filename), root)
    return f"{name}:{line} in {function}: {linecache.getline(filename, line).strip()[:SHOWN_CODE]}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
