"""Which jobs `qloom job list` lists: by state, age, program and map."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from qloom.errors import InvalidSetting, QloomError, UnknownName
from qloom.jobspecs import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qloom.api.jobs import Job

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which jobs are wanted; what is empty or None lets every job through.

    Attributes:
        states: any of these.
        since: created at this time or later, seconds since 1970, UTC.
        program: of exactly this name.
        map: of the map of exactly this name.
        limit: at most so many.
    """

    states: frozenset[JobState] = frozenset()
    since: float | None = None
    program: str | None = None
    map: str | None = None
    limit: int | None = None

    def summaries(self, found: Iterable[Job], tell: Callable[[str], None]) -> list[dict[str, Any]]:
        """Return the summaries of the jobs that fit, in the order given.

        Args:
            found: the jobs.
            tell: told of each that cannot be read: one torn record does not hide the other jobs.

        Raises:
            UnknownName: none of these jobs is of that program, or of that map; the near names are given.
        """
        programs: set[str] = set()
        maps: set[str] = set()
        fitting = list(islice(self._fitting(found, programs, maps, tell), self.limit))
        for what, wanted, seen in (("program", self.program, programs), ("map", self.map, maps)):
            if wanted is not None and programs and wanted not in seen and self.limit != 0:
                raise UnknownName.among(f"{what} with a job here", wanted, seen)
        return fitting

    def _fitting(
        self, found: Iterable[Job], programs: set[str], maps: set[str], tell: Callable[[str], None]
    ) -> Iterator[dict[str, Any]]:
        for job in found:
            programs.add(job.program)
            maps.update(filter(None, [job.map]))
            if self.program not in (None, job.program) or self.map not in (None, job.map):
                continue  # before its state is looked at, which reads two more files
            try:
                summary = job.summary()
            except QloomError as error:
                tell(f"job {job.id} is skipped: {error}")
                continue
            if self._fits(summary):
                yield summary

    def _fits(self, summary: dict[str, Any]) -> bool:
        in_time = self.since is None or summary["created_at"] >= self.since
        return in_time and (not self.states or summary["state"] in self.states)


def read_states(names: Iterable[str]) -> frozenset[JobState]:
    """Return the states of these names, in any case.

    Raises:
        UnknownName: there is no such state; the near ones are named.

    >>> sorted(read_states(["running", "FAILED"]))
    [<JobState.FAILED: 'FAILED'>, <JobState.RUNNING: 'RUNNING'>]
    """
    known = {str(state): state for state in JobState}
    wanted = [name.strip().upper() for name in names]
    for name in wanted:
        if name not in known:
            raise UnknownName.among("state", name, known)
    return frozenset(known[name] for name in wanted)


def read_since(text: str, now: float) -> float:
    """Return a moment, seconds since 1970: so long before `now`, or a date or date and time, local unless it says otherwise.

    Raises:
        InvalidSetting: neither of the two.

    >>> read_since("2h", now=10_000.0)
    2800.0
    >>> read_since("1970-01-02T00:00+00:00", now=0.0)
    86400.0
    """
    if span := re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])", text.strip()):
        return now - float(span[1]) * SECONDS[span[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidSetting(
            f"--since takes a span (30m, 2h, 3d, 1w), a date (2026-11-01) or a date and time (2026-11-01T14:30), got {text!r}"
        ) from error
