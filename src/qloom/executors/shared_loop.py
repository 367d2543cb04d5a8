"""A loop that supervises many attempts, whose programs are its own forks.

Whose is a process that has lost its parent? The job's whose marker it carries (`kit/processes.py`); of one that wiped its
environment, the job's whose program it was seen below; of one that was too quick for that, nobody's: it is killed when all
attempts have ended that may have started it.

All attempts share one control group, which their programs are in from the start: to move a process into another group
takes the kernel several milliseconds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.executors.forks import Fork, Key
from qloom.executors.local_supervisor import Loop
from qloom.kit import processes
from qloom.kit.boxes import Box
from qloom.kit.control_groups import NAME_PREFIX, ControlGroup, own_groups
from qloom.kit.job_folder import JobFolder
from qloom.kit.sandbox import python_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qloom.executors.forks import Run
    from qloom.executors.program_process import Program
    from qloom.executors.supervision import Attempt, Supervision
    from qloom.jobspecs import JobSpec

LET_GO_S = 2.0
"""Time for forks that wait in vain to end."""
TRIES = 5
"""So many forks that end at once show that forks do not work here: none is made ahead any more."""
_GROUP = "server-"
QUIET_S = 0.002
"""After this time in which nothing happened, there is time for a second spare: who was just told of an end goes first."""
SPARES = 2
"""Forks that wait for an attempt nobody has asked for yet."""
BOXED_SPARES = 4
"""The same in each box: one takes longer to make than a short job takes to run, so a few are kept for jobs in a row."""


class SharedLoop(Loop):
    """A loop of many supervisions; fills `Host`. Most are over before a record of their beginning would be of use.

    Args:
        run: (folder, attempt) -> what runs the program in a fork.
        place: where a fork writes its marker.
        make_rehearsal: makes, below an empty folder, the folder of a job that does nothing, for forks that have time.
        scratch: a folder for that.
    """

    records_after_s = 0.02

    def __init__(self, run: Run, place: processes.MarkerPlace, make_rehearsal: Callable[[Path], Path], scratch: Path) -> None:
        super().__init__()
        self._started = processes.start_time(os.getpid())
        self._make_rehearsal = make_rehearsal
        self._rehearsal = JobFolder(make_rehearsal(scratch))
        self.environment: Mapping[str, str] = {}
        self._run = run
        self._place = place
        self._group = _join_group()
        self._owners: dict[int, str] = {}  # process -> its job, as far as it was seen
        self._nobodys: dict[int, set[str]] = {}  # process -> jobs that may have started it
        self._spares: list[Fork] = []
        self._busy: dict[int, Fork] = {}
        self._leaving: set[int] = set()  # forks that have said their last word, have no children, and are about to end
        self._free: list[Fork] = []
        self._boxes: dict[tuple[Path, int | None], Box] = {}
        self._boxed: dict[tuple[Path, int | None], list[Fork]] = {}
        self._boxless = False
        self._died_waiting = 0  # forks in a row that ended before they were given anything
        self._some_ended = False
        self._bound: int | None = 0

    def add(self, attempt: Attempt) -> Supervision:
        one = super().add(attempt)
        self._bound_group()
        return one

    def turn(self, longest_s: float = float("inf")) -> bool:
        fewest = self._fewest_spares()
        heard = super().turn(min(longest_s, QUIET_S) if fewest < SPARES else longest_s)
        if not self._busy and (self._fewest_spares() == 0 or (fewest < SPARES and not heard)):
            self._prepare()
        return heard

    def close(self) -> None:
        for fork in (*self._spares, *self._free, *(one for forks in self._boxed.values() for one in forks)):
            fork.close()
        for box in self._boxes.values():
            box.close()
        self._wait_for_forks()
        super().close()
        if self._group is not None:
            self._group.leave()
            self._group.remove()

    # ---- the host ----------------------------------------------------------------------------------------------------

    def members(self, supervision: Supervision) -> set[int]:
        found = set() if supervision.program is None else {supervision.program}
        found |= {pid for pid in self._orphans() if self._owners[pid] == supervision.job_id}
        for pid in tuple(found):
            found |= processes.descendants(pid)
        self._owners.update(dict.fromkeys(found, supervision.job_id))
        return found

    def start(self, attempt: Attempt, job: JobSpec, command: Sequence[str] | Callable[[], int]) -> Program:
        if job.sealed:  # its program must be no fork that others shared memory with
            return super().start(attempt, job, command)
        box = self._box(attempt, job) if job.sandbox and job.kind == "program" else None
        if box is None and not callable(command):
            return super().start(attempt, job, command)
        if box is not None:
            return self._give_to(lambda: self._boxed_fork(box), attempt, None)
        key = Key(job.source_digest, repr(asdict(job.resources))) if attempt.again else None
        return self._give_to(lambda: self._fork(key), attempt, key)

    def fell_silent(self, program: Program) -> None:
        fork = self._busy.get(program.pid)
        if fork is not program or fork is None or (code := fork.last_word()) is None:
            return
        for one in self.attempts:
            if one.program == fork.pid:
                self._leaving.add(fork.pid)
                one.ended(code)
        self._some_ended = True

    def release(self, program: Program) -> None:
        fork = self._busy.pop(program.pid, None)
        if fork is None or program is not fork:
            program.close()
            return
        self.forget(fork.channel.fileno())
        if fork.waits and fork.left:
            self._free.append(fork)
        else:
            fork.close()

    def fence(self, name: str, pid: int, most_tasks: int | None) -> ControlGroup | None:
        return None

    def facts(self) -> dict[str, object]:
        group = None if self._group is None else str(self._group.path)
        return {"fork_server": {"started": self._started, "control_group": group}}

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _give_to(self, find: Callable[[], Fork], attempt: Attempt, key: Key | None) -> Fork:
        for _ in range(TRIES):
            fork = find()
            try:
                fork.give(attempt.folder.path, attempt.number, attempt.environment, key)
            except OSError:  # it was killed while it waited
                fork.close()
                continue
            self._died_waiting = 0
            self._busy[fork.pid] = fork
            self.watch(fork.channel.fileno(), partial(self._hear_fork, fork))
            return fork
        raise OSError(f"{TRIES} forks ended, one after the other, before they could be given a program")

    def _fewest_spares(self) -> int:
        """Return how many forks wait of the kind of which the fewest do; as many as there may be when none is to be made."""
        if self._busy or self._died_waiting >= TRIES:
            return SPARES
        boxed = [len(self._boxed[key]) for key, box in self._boxes.items() if box.stands]
        return min(len(self._spares), *(count - (BOXED_SPARES - SPARES) for count in boxed)) if boxed else len(self._spares)

    def _prepare(self) -> None:
        """Make a fork of the kind of which the fewest wait."""
        boxes = [(len(self._boxed[key]), key) for key, box in self._boxes.items() if box.stands]
        fewest, key = min(boxes, key=lambda pair: pair[0], default=(SPARES, None))
        if key is not None and fewest < max(len(self._spares), BOXED_SPARES):
            self._boxed[key].append(self._start_in(self._boxes[key]))
        elif len(self._spares) < SPARES:
            rehearsal = self._rehearsal
            self._spares.append(Fork.start(self._run, self._place, self.environment, rehearsal=lambda: rehearsal))

    def _start_in(self, box: Box, *, rehearse: bool = True) -> Fork:
        return Fork.start(
            self._run, self._place, self.environment, rehearsal=self._rehearsal_inside if rehearse else None, box=box
        )

    def _rehearsal_inside(self) -> JobFolder:
        """Make a job to rehearse with in a box, which does not see the one outside; nobody sees it once its /tmp is hidden."""
        return JobFolder(self._make_rehearsal(Path(tempfile.mkdtemp(dir="/tmp"))))

    def _box(self, attempt: Attempt, job: JobSpec) -> Box | None:
        """Return the box of a job: one for each folder of jobs and bound of memory; None where none can be built."""
        jobs = attempt.folder.path.parent
        key = (jobs, job.resources.memory_mb)
        box = self._boxes.get(key)
        if box is not None and box.stands:
            return box
        if self._boxless:
            return None
        try:
            box = Box(jobs, memory_mb=job.resources.memory_mb, python=python_paths([Path.home(), attempt.folder.path]))
        except OSError as error:
            self._boxless = True
            print(f"no box, each job gets a bubblewrap of its own: {error}", file=sys.stderr)  # noqa: T201  the server's log
            return None
        self._boxes[key], self._boxed[key] = box, []
        return box

    def _boxed_fork(self, box: Box) -> Fork:
        key = next(key for key, one in self._boxes.items() if one is box)
        # The one that waits longest: it has rehearsed.
        return self._boxed[key].pop(0) if self._boxed[key] else self._start_in(box, rehearse=False)

    def _fork(self, key: Key | None) -> Fork:
        for fork in self._free if key else ():
            if fork.key == key:
                self._free.remove(fork)
                return fork
        return self._spares.pop(0) if self._spares else Fork.start(self._run, self._place, self.environment)

    def _hear_fork(self, fork: Fork) -> None:
        code = fork.answer()
        if code is None:
            self.forget(fork.channel.fileno())
            return
        for one in self.attempts:
            if one.program == fork.pid:
                one.ended(code)
        self._some_ended = True

    def _finish(self, one: Supervision) -> None:
        super()._finish(one)
        self._owners = {pid: job_id for pid, job_id in self._owners.items() if job_id != one.job_id}
        for pid, suspects in tuple(self._nobodys.items()):
            suspects.discard(one.job_id)
            if not suspects:
                del self._nobodys[pid]
                _kill_tree(pid)

    def _reap(self) -> None:
        super()._reap()
        if self._some_ended:
            self._some_ended = False
            for one in self.attempts:
                if one.program_ended and not self.members(one):
                    one.nothing_left()

    def _ended(self, pid: int, exit_code: int) -> None:
        super()._ended(pid, exit_code)
        self._some_ended = True
        self._owners.pop(pid, None)
        self._nobodys.pop(pid, None)
        self._leaving.discard(pid)
        for waiting in (self._spares, self._free, *self._boxed.values()):
            for fork in [fork for fork in waiting if fork.pid == pid]:
                waiting.remove(fork)
                fork.close()
                self._died_waiting += 1

    def _orphans(self) -> list[int]:
        """Return the children that are no fork and no program, and whose job is known: they have lost their parents."""
        known = {one.program for one in self.attempts} | self._own_pids()
        orphans = [pid for pid in processes.children(os.getpid()) if pid not in known]
        for pid in orphans:
            if pid not in self._owners and (job_id := processes.marker(pid)):
                self._owners[pid] = job_id
            elif pid not in self._owners:
                self._nobodys.setdefault(pid, {one.job_id for one in self.attempts})
        return [pid for pid in orphans if pid in self._owners]

    def _own_pids(self) -> set[int]:
        waiting = [*self._spares, *self._free, *(fork for forks in self._boxed.values() for fork in forks)]
        forks = {fork.pid for fork in waiting} | set(self._busy) | self._leaving
        return forks | {box.pid for box in self._boxes.values()}

    def _wait_for_forks(self) -> None:
        """Wait until those that were let go have ended: the kernel removes no group with a process in it, dead or alive."""
        until = time.monotonic() + LET_GO_S
        while time.monotonic() < until:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.005)
            except ChildProcessError:
                return

    def _bound_group(self) -> None:
        """Have the kernel bound the tasks of all attempts together; one that has no bound takes it away for all.

        The bound grows with the most attempts there were at one time: to write it for each takes as long as a small one.
        """
        if self._group is None or self._bound is None:
            return
        bounds = [one.most_tasks for one in self.attempts]
        bound = None if None in bounds else sum(bound or 0 for bound in bounds) + 64
        if bound is None or bound > self._bound:
            self._bound = bound
            self._group.bound(bound)


def _join_group() -> ControlGroup | None:
    """Move this process into a control group of its own, which all that it forks is in; None where there are no groups."""
    _remove_left_groups()
    group = ControlGroup.create(f"{_GROUP}{os.getpid()}", most_tasks=None)
    if group is not None and not group.add(os.getpid()):
        group.remove()
        return None
    return group


def _remove_left_groups() -> None:
    """Remove the groups of servers that were killed, as far as nobody is in them."""
    for parent in own_groups():
        for path in parent.glob(f"{NAME_PREFIX}{_GROUP}*"):
            pid = path.name.rpartition("-")[2]
            if pid.isdecimal() and not processes.is_running(int(pid)):
                ControlGroup(path).remove(limit_s=0)


def _kill_tree(pid: int) -> None:
    processes.kill(lambda: {pid} | processes.descendants(pid))
