"""A free device that tells how often it computed: what a resume must not compute again shows in a file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qloom.catalogue import create_device
from qloom.errors import InvalidSetting
from qloom.testing.wrapped import WrappedPrepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import Device, Prepared, TaskHandle
    from qloom.results import Engine, Result
    from qloom.specs import DeviceSpec
    from qloom.tasks import ParameterValues


def create(rest: str, *, threads: int | None = None) -> CountingDevice:
    """Make the device from its name: what follows the colon is its file. It can stand as an entry point.

    Raises:
        InvalidSetting: no file named.
    """
    if not rest:
        raise InvalidSetting("a counting device needs a file, as in 'counting:/tmp/calls.log'")
    return CountingDevice(Path(rest), create_device("sim", threads=threads))


class CountingDevice:
    """Runs tasks on another device, and appends one line `kind digest` to a file for each answer that was computed.

    Args:
        log: the file; all processes that name it append to it.
        inner: computes the answers; the simulator if none is given.

    >>> import tempfile
    >>> from qloom.circuits import Circuit
    >>> device = CountingDevice(Path(tempfile.mkdtemp()) / "calls.log")
    >>> prepared = device.prepare(Circuit(1).h(0))
    >>> [prepared.run(shots=10) for _ in range(3)] and device.calls()
    3
    """

    def __init__(self, log: Path, inner: Device | None = None) -> None:
        self.log = Path(log)
        self.inner = create_device("sim") if inner is None else inner
        self.log.parent.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        return f"counting:{self.log}"

    def calls(self) -> int:
        """Return how many answers were computed so far, by all processes."""
        return len(self.log.read_text(encoding="utf-8").splitlines()) if self.log.exists() else 0

    def spec(self) -> DeviceSpec:
        return replace(self.inner.spec(), name=self.name)

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        return self.inner.check(circuits, shots)

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> CountingPrepared:
        return CountingPrepared(self.log, self.inner.prepare(circuits, observables, engine=engine))

    def attach(self, task_id: str) -> TaskHandle:
        return self.inner.attach(task_id)

    def find(self, token: str) -> TaskHandle | None:
        return self.inner.find(token)


class CountingPrepared(WrappedPrepared):
    """Circuits made ready; each computed answer leaves a line."""

    def __init__(self, log: Path, inner: Prepared) -> None:
        self._log = log
        super().__init__(inner)

    def run(self, parameters: ParameterValues = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        result = self._inner.run(parameters, shots, seed=seed)
        self._count("sample")
        return result

    def estimate(self, parameters: ParameterValues = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        result = self._inner.estimate(parameters, shots, seed=seed)
        self._count("estimate")
        return result

    def gradient(self, parameters: ParameterValues = None) -> Result:
        result = self._inner.gradient(parameters)
        self._count("gradient")
        return result

    def submit(
        self,
        kind: str,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        token: str | None = None,
    ) -> TaskHandle:
        task = self._inner.submit(kind, parameters, shots, seed=seed, token=token)
        self._count(kind)
        return task

    def _count(self, kind: str) -> None:
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, f"{kind} {self._inner.digest}\n".encode())  # one call, so lines of processes never mix
        finally:
            os.close(descriptor)
