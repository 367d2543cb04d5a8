"""`progress.json`: how far a program says it is, for whoever watches."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from qloom.errors import StorageFailed
from qloom.kit.files import write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

T = TypeVar("T")

INTERVAL_S = 0.2
"""The file is replaced at most this often, and once more at the end of a loop."""


class Standing(NamedTuple):
    """How far a loop is."""

    done: int = 0
    total: int | None = None
    description: str = ""
    started: float = 0.0


class ProgressFile:
    """Writes `progress.json`: `done`, `total`, `description`, `rate_per_s`, `updated_at`, and each metric's latest value.

    Replaced in one step, never synced: it is for people, and a lost one is written again.

    Args:
        path: the file; nothing is written when None.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._metrics: dict[str, float] = {}
        self._standing = Standing()
        self._due = 0.0
        self._guard = threading.Lock()

    def follow(self, items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
        """Yield the items and keep the file up to date; the last state is written however the loop ends."""
        started = time.monotonic()
        done = 0
        self._standing = Standing(0, total, description, started)
        self._write()
        try:
            for item in items:
                yield item
                done += 1
                self._standing = Standing(done, total, description, started)
                self._write_if_due()
        finally:
            self._standing = Standing(done, total, description, started)
            self._write()

    def note_metric(self, name: str, value: float) -> None:
        """Take note of a metric's latest value."""
        self._metrics[name] = value
        self._write_if_due()

    def _write_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self._write()

    def _write(self) -> None:
        if self._path is None or not self._guard.acquire(blocking=False):
            return  # another thread is writing: it has a state that is as good
        try:
            self._due = time.monotonic() + INTERVAL_S
            write_json(self._path, self._document(), durable=False)
        except StorageFailed as error:
            log.warning("progress is not shown any more: %s", error)
            self._path = None
        finally:
            self._guard.release()

    def _document(self) -> dict[str, Any]:
        done, total, description, started = self._standing
        elapsed_s = time.monotonic() - started
        return {
            "done": done,
            "total": total,
            "description": description,
            "rate_per_s": done / elapsed_s if done and elapsed_s > 0 else None,
            "updated_at": time.time(),
            "metrics": {name: value if math.isfinite(value) else None for name, value in self._metrics.copy().items()},
        }
