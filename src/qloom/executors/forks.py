"""Forks of a fork server that wait for an attempt: forking takes longer than most of what else a start takes.

A fork has a session, pipes and a socket of its own from the start. It runs one attempt and ends, or, where the submitter
wishes so (`map`), says how that ended and waits for the next one of the same source: it drops the modules of the last one,
its variables and its random numbers, and whoever left threads, processes or a failure behind, or turned its output elsewhere,
is not used again.

Taking a process apart takes the kernel longer than a small program: a fork writes its exit code into memory that it shares
with its server before it ends, and the end of its output is the sign to look there.

A fork shares its parent's memory until it uses it, and the copying takes longer than a short program: a fork that has the
time rehearses, by running a program that does nothing, before it is given one.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.executors.program_process import (
    CANNOT_START,
    Program,
    become_an_interpreter,
    exit_code_of,
    fork_program,
    leave,
    program_environment,
    set_environment,
)
from qloom.kit import processes
from qloom.kit.job_folder import JobFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qloom.kit.boxes import Box
    from qloom.kit.processes import MarkerPlace

    Run = Callable[[JobFolder, int], Callable[[], int]]

MOST_ATTEMPTS = 250
"""After so many attempts a fork ends: what leaks does not grow for ever."""
_LARGEST_MESSAGE = 1 << 18


class Key(NamedTuple):
    """What the attempts of one fork have in common.

    Attributes:
        source: digest of the source.
        resources: limits, as text.
    """

    source: str
    resources: str


class Fork(Program):
    """A fork, as its server sees it.

    Attributes:
        channel: takes attempts, gives exit codes.
        key: what its attempts have in common; None before the first, and where there is only one.
        waits: whether it has said how its attempt ended and waits for the next one.
        left: how many attempts it may still take.
    """

    def __init__(self, program: Program, channel: socket.socket, environment: Mapping[str, str], note: mmap.mmap) -> None:
        self.pid = program.pid
        self.pipes = program.pipes
        self.channel = channel
        self.key: Key | None = None
        self.waits = False
        self.left = MOST_ATTEMPTS
        self._note = note
        self._environment = environment

    @classmethod
    def start(
        cls,
        run: Run,
        place: MarkerPlace,
        environment: Mapping[str, str],
        *,
        rehearsal: Callable[[], JobFolder] | None = None,
        box: Box | None = None,
    ) -> Fork:
        """Start a fork.

        Args:
            run: (folder, attempt) -> what runs the program.
            place: where it writes its marker.
            environment: of the submitter.
            rehearsal: gives a job to rehearse with; None for no rehearsal.
            box: the sandbox it is to step into; it then takes one attempt only.

        Raises:
            OSError: no process, pipe or socket could be made.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        note = mmap.mmap(-1, mmap.PAGESIZE)
        server = os.getpid()

        def become() -> int:
            processes.die_with_parent(server)
            kept = {0, 1, 2, theirs.fileno()}
            if box is not None:
                processes.close_all_but({*kept, box.descriptor})  # whoever stays behind must not hold the output open
                box.enter()
            processes.close_all_but(kept)
            become_an_interpreter()
            try:
                inside = _Inside(theirs, run, place, environment, box)
                if rehearsal is not None:
                    inside.rehearse(rehearsal())
                code = inside.work()
            finally:
                leave()
            if not processes.children(os.getpid()):  # they get another parent as this one ends: only then they are counted
                _tell(note, code)
            return code

        with theirs:
            try:
                program = fork_program(become, "a fork of the fork server")
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        return cls(program, ours, environment, note)

    def give(self, folder: Path, attempt: int, environment: Mapping[str, str], key: Key | None) -> None:
        """Give it an attempt; `key` is None where it must not take another one afterwards.

        Raises:
            OSError: it is gone.
        """
        message: dict[str, Any] = {"folder": str(folder), "attempt": attempt, "again": key is not None}
        if environment is not self._environment:
            message["environment"] = self._environment = environment
        self.key, self.waits = key, False
        self.left -= 1
        self.channel.send(json.dumps(message).encode())

    def answer(self) -> int | None:
        """Return the exit code that it sent, None where nothing came; its end is for `waitpid` to tell."""
        try:
            data = self.channel.recv(64)
        except OSError:
            return None
        self.waits = bool(data)
        return int(data) if data else None

    def last_word(self) -> int | None:
        """Return the exit code of a fork that is about to end, None of one that did not say it."""
        said = self._note[0] | self._note[1] << 8
        return said - 1 if said else None

    def close(self) -> None:
        super().close()
        self.channel.close()
        self._note.close()


def _tell(note: mmap.mmap, code: int) -> None:
    """Say the exit code, and let go of the output: who else holds it keeps the server waiting for the end itself."""
    said = (code & 0xFF) + 1
    note[:2] = bytes((said & 0xFF, said >> 8))
    for descriptor in (1, 2):
        os.close(descriptor)
    os.nice(19)  # what is left is to be taken apart, which need not hold up whoever waits for this end


class _Inside:
    """A fork, as it sees itself."""

    def __init__(
        self, channel: socket.socket, run: Run, place: MarkerPlace, environment: Mapping[str, str], box: Box | None
    ) -> None:
        self._channel = channel
        self._box = box
        self._run = run
        self._place = place
        self._environment = environment
        self._known: dict[str, str] | None = None
        self._modules = set(sys.modules)
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._streams = sys.stdout, sys.stderr
        self._output = _output()

    def work(self) -> int:
        while message := self._channel.recv(_LARGEST_MESSAGE):
            document = json.loads(message)
            self._environment = document.get("environment", self._environment)
            folder, attempt = JobFolder(Path(document["folder"])), document["attempt"]
            if self._box is not None:
                self._box.settle(folder, attempt)
            if not document["again"]:
                self._channel.close()
            code = self._attempt(folder, attempt)
            if not document["again"] or code != 0 or not self._clean():
                return code
            self._channel.send(str(code).encode())
        return 0

    def rehearse(self, folder: JobFolder) -> None:
        """Run an attempt that is nobody's."""
        self._attempt(folder, 1)
        self._clean()
        self._known = dict(os.environ)

    def _attempt(self, folder: JobFolder, attempt: int) -> int:
        try:
            job = folder.spec()
            self._place.write(job.job_id)
            processes.apply_limits(job.resources)
            os.chdir(folder.work(attempt))
        except OSError as error:
            print(f"qloom cannot start the program: {error}", file=sys.stderr)  # noqa: T201  the job's log
            return CANNOT_START
        own = {} if self._box is None else {"HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108  the sandbox's own
        self._set(program_environment(job, folder, attempt, self._environment) | own)
        return exit_code_of(self._run(folder, attempt))

    def _set(self, environment: dict[str, str]) -> None:
        """Have exactly these variables; what only a rehearsal has seen since they were last set need not be looked at."""
        before, self._known = self._known, None
        if before is None:
            set_environment(environment)
            return
        for name in before.keys() - environment.keys():
            del os.environ[name]
        for name, value in environment.items():
            if before.get(name) != value:
                os.environ[name] = value

    def _clean(self) -> bool:
        """Forget the attempt's modules; False where something is left that cannot be forgotten."""
        source = os.environ["AMZN_BRAKET_HP_FILE"].removesuffix("hyperparameters.json")
        for name in set(sys.modules) - self._modules:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(source):
                del sys.modules[name]
        self._modules.update(sys.modules)
        sys.path_importer_cache.pop(source + "source", None)
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = self._streams
        self._place.clear()  # who looks for what is left of this attempt must not find this process
        become_an_interpreter()
        os.umask(self._umask)
        alone = threading.active_count() == 1 and not processes.children(os.getpid())
        return alone and _output() == self._output


def _output() -> tuple[int, ...]:
    """Return what standard output and error lead to; nothing that is alike where one is closed."""
    try:
        return tuple(os.fstat(descriptor).st_ino for descriptor in (1, 2))
    except OSError:
        return ()
