"""Which lane a call belongs to.

A lane is one ordered sequence of questions, so that a replay can answer them in order. Two threads that share a lane would ask in
whatever order the machine happens to run them, hence: the main lane belongs to the thread that made the context, and, while
that thread runs an event loop, to the first asyncio task that uses it (until that task is done); every other thread and task
takes a lane of its own with `ctx.lane("name")`.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qloom.contracts import Lane

MAIN = "main"
LIMIT_CHARACTERS = 100

_modules = sys.modules


class _Entry(NamedTuple):
    """One lane that was entered: by which thread and task, and what was entered before it."""

    register: Lanes
    lane: Lane
    thread: int
    task: Any
    outer: _Entry | None


class _Callback:
    """Stands for a callback of an event loop, which belongs to no task, and to no lane either."""


_CALLBACK = _Callback()

# Contexts are copied into new tasks and `asyncio.to_thread`, so an entry also says whose it is: a lane is never inherited.
_ENTERED: ContextVar[_Entry | None] = ContextVar("qloom_lane", default=None)


class Lanes:
    """Gives the lane of the thread or task that asks.

    Args:
        open_lane: returns the lane of a name, always the same one.

    >>> lanes = Lanes(lambda name: f"lane {name}")
    >>> with lanes.enter("a"):
    ...     inside = lanes.current()
    >>> inside, lanes.current()
    ('lane a', 'lane main')
    """

    def __init__(self, open_lane: Callable[[str], Lane]) -> None:
        self._open = open_lane
        self._main = open_lane(MAIN)
        self._thread = get_ident()
        self._task: Any = None
        self._held: dict[str, str] = {}
        self._guard = threading.Lock()

    def current(self) -> Lane:
        """Return the lane that a call made here belongs to. About 0.2 us.

        Raises:
            Misuse: the calling thread or task has no lane.
        """
        asyncio = _modules.get("asyncio")
        loop = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001  exported for loops; the public one raises
        task = None if asyncio is None or loop is None else asyncio.current_task(loop) or _CALLBACK
        entry = _ENTERED.get()
        if entry is None and get_ident() == self._thread and (task is None or task is self._task):
            return self._main
        return self._search(entry, task)

    def _search(self, entry: _Entry | None, task: Any) -> Lane:
        thread = get_ident()
        while entry is not None:
            if entry.register is self and entry.thread == thread and entry.task is task:
                return entry.lane
            entry = entry.outer
        if thread != self._thread or task is _CALLBACK:
            raise _no_lane(task)
        if task is None or task is self._task:
            return self._main
        if self._task is not None and not self._task.done():
            raise _no_lane(task)
        self._task = task
        return self._main

    @contextmanager
    def enter(self, name: str) -> Iterator[Lane]:
        """Take a lane for the calling thread or task, for the length of a `with` block.

        Raises:
            Misuse: a name that cannot be one, or a lane that somebody holds at this moment.
        """
        lane = self._take(name)
        token = _ENTERED.set(_Entry(self, lane, get_ident(), _running_task(), _ENTERED.get()))
        try:
            yield lane
        finally:
            _ENTERED.reset(token)
            with self._guard:
                del self._held[name]

    def _take(self, name: str) -> Lane:
        if not isinstance(name, str) or not name.strip() or len(name) > LIMIT_CHARACTERS or not name.isprintable():
            raise Misuse(f"a lane's name is printable text of at most {LIMIT_CHARACTERS} characters, got {name!r}")
        if name == MAIN:
            raise Misuse(f"lane {MAIN!r} belongs to the program's main thread; give this one another name")
        with self._guard:
            if name in self._held:
                raise Misuse(f"lane {name!r} is held by {self._held[name]}; give each thread and task a lane of its own")
            lane = self._open(name)
            self._held[name] = _caller(_running_task())
        return lane


def _running_task() -> Any:
    asyncio = _modules.get("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001  as above
    return None if asyncio is None or loop is None else asyncio.current_task(loop) or _CALLBACK


def _caller(task: Any) -> str:
    if task is None:
        return f"thread {threading.current_thread().name!r}"
    return "a callback of the event loop" if task is _CALLBACK else f"asyncio task {task.get_name()!r}"


def _no_lane(task: Any) -> Misuse:
    return Misuse(
        f"this call comes from {_caller(task)} outside any lane; "
        'wrap it in `with ctx.lane("name"):` so that a resumed job can replay it'
    )
