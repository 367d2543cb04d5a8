"""A device that bills, for tests: a QPU's manners, a simulator's answers, and a folder that outlives every process.

What a kill must never do, pay twice, shows in `submissions.log`: one line for each task that was accepted.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qloom.catalogue import create_device
from qloom.errors import InvalidSetting, InvalidTask, Rejected, TimedOut, Unavailable, UnknownName
from qloom.jobspecs import new_job_id
from qloom.kit.files import write_all, write_atomically
from qloom.results import Result
from qloom.tasks import TaskState
from qloom.testing.wrapped import WrappedPrepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.contracts import Device, Prepared
    from qloom.results import Engine
    from qloom.specs import DeviceSpec
    from qloom.tasks import ParameterValues

FAULTS = ("unavailable", "lost", "rejected")
LONGEST_PAUSE_S = 0.05


def create(rest: str, *, threads: int | None = None) -> BillingDevice:
    """Make the device from its name: what follows the colon is its folder. It can stand as an entry point.

    Raises:
        InvalidSetting: no folder named.
    """
    if not rest:
        raise InvalidSetting("a billing device needs a folder, as in 'billing:/tmp/qpu'")
    return BillingDevice(Path(rest), create_device("sim", threads=threads))


class BillingDevice:
    """Runs tasks on another device, and bills each: tasks are kept in a folder, so any process attaches to them.

    Args:
        folder: made if missing; holds `submissions.log`, one line `token task_id` for each accepted task (`-` where no
            token was given), synced before `submit` returns, and `tasks/`, their answers.
        inner: computes the answers; the simulator if none is given.
        latency_s: how long after its submission a task completes.
        faults: number of a `submit` call, counted from 1 over all processes that use the folder -> what happens to it:
            `unavailable` (not accepted, but the caller cannot know), `lost` (accepted, and the answer is lost), `rejected`.

    >>> import tempfile
    >>> from qloom.circuits import Circuit
    >>> device = BillingDevice(Path(tempfile.mkdtemp()))
    >>> prepared = device.prepare(Circuit(2).h(0).cx(0, 1))
    >>> first = prepared.submit("sample", shots=100, token="job1-main-0")
    >>> prepared.submit("sample", shots=100, token="job1-main-0").id == first.id, len(device.submissions())
    (True, 1)
    """

    def __init__(
        self, folder: Path, inner: Device | None = None, *, latency_s: float = 0.0, faults: Mapping[int, str] | None = None
    ) -> None:
        for fault in (faults or {}).values():
            if fault not in FAULTS:
                raise UnknownName.among("fault of a billing device", fault, FAULTS)
        self.folder = Path(folder)
        self.inner = create_device("sim") if inner is None else inner
        self.latency_s = latency_s
        self.faults = dict(faults or {})
        (self.folder / "tasks").mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        return f"billing:{self.folder}"

    def submissions(self) -> list[tuple[str, str]]:
        """Return (token, task id) of every task that was accepted, oldest first."""
        try:
            text = (self.folder / "submissions.log").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        lines = text.split("\n")[:-1]  # what follows the last line end was cut off, so it was never accepted
        return [(token, task_id) for token, task_id in map(str.split, lines)]

    def spec(self) -> DeviceSpec:
        return replace(self.inner.spec(), name=self.name, bills=True)

    def check(self, circuits: Circuit | Sequence[Circuit], shots: int | None = None) -> list[str]:
        return self.inner.check(circuits, shots)

    def prepare(
        self,
        circuits: Circuit | Sequence[Circuit],
        observables: Observable | Sequence[Observable] | None = None,
        *,
        engine: Engine | None = None,
    ) -> BillingPrepared:
        return BillingPrepared(self, self.inner.prepare(circuits, observables, engine=engine))

    def attach(self, task_id: str) -> BilledTask:
        if task_id not in {known for _, known in self.submissions()}:
            raise UnknownName(f"{self.name} has no task {task_id!r}; submissions.log in its folder lists them")
        return BilledTask(self.folder, task_id)

    def find(self, token: str) -> BilledTask | None:
        found = dict(self.submissions()).get(token)
        return None if found is None else BilledTask(self.folder, found)

    def accept(self, token: str | None, result: Result) -> BilledTask:
        """Take a task in: at most once for each token, whatever dies in between.

        Raises:
            InvalidTask: a token that does not fit on one line.
            Rejected, Unavailable: as `faults` has it.
        """
        name = _checked_token(token)
        with self._locked():
            fault = self.faults.get(self._count_call(), "")
            if fault == "unavailable":
                raise Unavailable(f"{self.name} did not answer; submit again with the same token")
            if fault == "rejected":
                raise Rejected(f"{self.name} refused the task; nothing was submitted")
            task = None if token is None else self.find(name)
            if task is None:
                task = BilledTask.write(self.folder, result, self.latency_s)
                # The line is what makes it a task: the answer before it is found by nobody.
                _append(self.folder / "submissions.log", f"{name} {task.id}\n")
            if fault == "lost":
                raise Unavailable(f"{self.name} did not answer; submit again with the same token")
        return task

    def _count_call(self) -> int:
        _append(self.folder / "calls", ".")
        return (self.folder / "calls").stat().st_size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # freed by the kernel when the process dies
            yield
        finally:
            os.close(descriptor)


class BillingPrepared(WrappedPrepared):
    """Circuits made ready; every call, direct ones too, is a task that is billed."""

    def __init__(self, device: BillingDevice, inner: Prepared) -> None:
        self._device = device
        super().__init__(inner)

    def run(self, parameters: ParameterValues = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        return self.submit("sample", parameters, shots, seed=seed).result()

    def estimate(self, parameters: ParameterValues = None, shots: int | None = None, *, seed: int | None = None) -> Result:
        return self.submit("estimate", parameters, shots, seed=seed).result()

    def gradient(self, parameters: ParameterValues = None) -> Result:
        return self.submit("gradient", parameters).result()

    def submit(
        self,
        kind: str,
        parameters: ParameterValues = None,
        shots: int | None = None,
        *,
        seed: int | None = None,
        token: str | None = None,
    ) -> BilledTask:
        result = self._inner.submit(kind, parameters, shots, seed=seed).result()
        return self._device.accept(token, result)


class BilledTask:
    """A task in the device's folder; any process may hold it.

    Args:
        folder: the device's.
        task_id: its id.
    """

    def __init__(self, folder: Path, task_id: str) -> None:
        self._file = folder / "tasks" / f"{task_id}.msgpack"
        self._cancelled = folder / "tasks" / f"{task_id}.cancelled"
        self._task_id = task_id

    @classmethod
    def write(cls, folder: Path, result: Result, latency_s: float) -> BilledTask:
        """Keep an answer that is shown `latency_s` from now."""
        import msgspec

        task = cls(folder, new_job_id())
        record = {"ready_at": time.time() + latency_s, "result": result.pack()}
        write_atomically(task._file, msgspec.msgpack.encode(record))
        return task

    @property
    def id(self) -> str:
        return self._task_id

    def state(self) -> TaskState:
        if self._cancelled.exists():
            return TaskState.CANCELLED
        return TaskState.COMPLETED if time.time() >= self._record()["ready_at"] else TaskState.QUEUED

    def result(self, timeout_s: float | None = None) -> Result:
        record = self._record()
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (state := self.state()).ended:
            left = record["ready_at"] - time.time()
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut(f"task {self._task_id} did not end within {timeout_s:g} s; it goes on, ask again")
            if deadline is not None:
                left = min(left, deadline - time.monotonic())
            time.sleep(max(0.0, min(left, LONGEST_PAUSE_S)))
        if state is TaskState.CANCELLED:
            raise Rejected(f"task {self._task_id} was cancelled on the device; it will never have a result")
        return Result.unpack(record["result"])

    def cancel(self) -> None:
        if not self.state().ended:
            self._cancelled.touch()

    def _record(self) -> dict[str, Any]:
        import msgspec

        record: dict[str, Any] = msgspec.msgpack.decode(self._file.read_bytes())
        return record


def _checked_token(token: str | None) -> str:
    if token is None:
        return "-"
    if token.split() != [token] or len(token) < 2:
        raise InvalidTask(f"an idempotency token is a word of two characters or more, without spaces, got {token!r}")
    return token


def _append(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        write_all(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
