"""Peers as warm worker processes on a pipe. They time themselves, so the pipe is in no number."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.channel import Channel, ChannelClosed, NoAnswer
from qloom.kit import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START_TIMEOUT_S = 120.0
"""For the first answer: some peers take many seconds to import."""
ANSWER_TIMEOUT_S = 120.0
CLOSE_TIMEOUT_S = 5.0
MEMORY_BYTES = 12 * 2**30

ONE_THREAD = {
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "QISKIT_PARALLEL": "FALSE",
    "QULACS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
"""What every process of a run is given, ours and the peers' alike."""


class NotRunError(Exception):
    """A figure cannot be measured here; the message says why and what to do."""


def interpreter(root: Path, environment: str | None) -> Path:
    """Return the interpreter of an environment of this repository, the running one for None.

    Raises:
        NotRunError: the environment is not there.
    """
    if environment is None:
        return type(root)(sys.executable)
    found = root / ".environments" / environment / "bin" / "python"
    if not found.exists():
        raise NotRunError("build it with `make envs`")
    return found


class Worker:
    """One peer's process.

    Raises:
        NotRunError: from every method, when the process is gone or silent; the message has its last words.
    """

    def __init__(self, name: str, command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env={**environment, **ONE_THREAD},
                bufsize=0,
            )
        resource.prlimit(self._process.pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())

    def open(self, case: dict[str, Any]) -> str:
        """Make a case ready and return which of its ways the peer uses."""
        return str(self._ask({"open": case}, START_TIMEOUT_S)["way"])

    def seconds(self, loops: int) -> float:
        """Return what that many iterations took, as the worker measured it."""
        return float(self._ask({"loops": loops}, ANSWER_TIMEOUT_S)["seconds"])

    def counts(self, samples: int) -> dict[str, int]:
        """Return that many samples of the first parameter set, added up."""
        return dict(self._ask({"sample": samples}, ANSWER_TIMEOUT_S)["counts"])

    def values(self) -> list[float]:
        """Return the numbers that the peer computes for the first parameter set."""
        return list(self._ask({"values": True}, ANSWER_TIMEOUT_S)["values"])

    def _ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            return self._channel.ask(request, timeout_s)
        except ChannelClosed as error:
            self.close()
            raise NotRunError(f"the worker {self.name} ended: {self._last_words()}") from error
        except NoAnswer as error:
            self.close()
            raise NotRunError(f"the worker {self.name} gave {error}") from error

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process: it ends when its input does, and is killed when it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # With its descendants: a peer that runs a server has no time to end that itself.
            processes.end_tree(lambda: {self._process.pid, *processes.descendants(self._process.pid)}, grace_s=0)
            self._process.wait()
        self._process.stdout.close()


class Workers:
    """The workers of one run: each is started when first needed and stays warm."""

    def __init__(self, root: Path, logs: Path) -> None:
        self._root = root
        self._logs = logs
        self._running: dict[str, Worker] = {}

    def get(self, module: str, environment: str | None = None) -> Worker:
        """Return the worker that runs a module of `benchmarks.workers`, in an environment of this repository.

        Raises:
            NotRunError: the environment is not there.
        """
        worker = self._running.get(module)
        if worker is None or not worker.alive:
            python = interpreter(self._root, environment)
            command = [str(python), "-m", f"benchmarks.workers.{module}"]
            worker = Worker(module, command, folder=self._root, log=self._logs / f"{module}.log", environment=dict(os.environ))
            self._running[module] = worker
        return worker

    def close(self) -> None:
        """End all of them."""
        for worker in self._running.values():
            worker.close()
        self._running.clear()
